//! The watch: whoever is told of something finds it when it reads, and nobody who waits is forgotten.
//!
//! Word may be late and may come in one for many, so a case goes by the last of a row of commits: a reader that is
//! told too early, or not at all, waits for ever, and is stopped by a limit that no sound store comes near.

use super::Subject;
use super::desk::{Desk, commit_to, control, control_to, put_text};
use crate::heads::{HeadWatch, Moves};
use crate::settings::{Control, Expect};
use lockstep_core::command::{Action, Ending, Target};
use lockstep_core::ids::SubscriptionId;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const COMMITS: u64 = 40;

/// Waits until something has moved, with a limit in case nothing is ever said.
async fn hear(watch: &HeadWatch) -> Moves {
    tokio::time::timeout(Duration::from_secs(30), watch.moved()).await.expect("word comes of every commit");
    watch.take()
}

/// After word of changes the newest can be read.
pub async fn a_watch_tells_of_changes_that_can_be_read(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let watch = desk.store.heads();
    let creating = |n| desk.creating(&desk.here, json!({"code": format!("{n}")}), None);
    let commands: Vec<_> = (0..COMMITS).map(creating).collect();
    let store = Arc::clone(&desk.store);
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for command in commands {
            commit_to(&*store, None, vec![command]).await.expect("taken");
        }
    });
    let mut seen = 0;
    while seen < COMMITS {
        if hear(&watch).await.businesses.contains(&desk.here) {
            seen = desk.store.changes(&desk.here, seen, 1_000).await.expect("read").head;
        }
    }
    writer.join_next().await.expect("one writer").expect("no panic");
}

/// After word of notices they can be read.
pub async fn a_watch_tells_of_notices_that_can_be_read(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let watch = desk.store.heads();
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let sync = |n| {
        let subscriptions = vec![SubscriptionId(n)];
        desk.command(&desk.here, Action::SyncById { target: Target::Id(record), subscriptions })
    };
    let commands: Vec<_> = (0..u128::from(COMMITS)).map(sync).collect();
    let store = Arc::clone(&desk.store);
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for command in commands {
            commit_to(&*store, None, vec![command]).await.expect("taken");
        }
    });
    let (mut seen, mut row) = (0, 0);
    while seen < COMMITS {
        if hear(&watch).await.has_notices {
            let notices = desk.store.notices(row, 1_000).await.expect("read");
            seen += notices.len() as u64;
            row = notices.last().map_or(row, |(last, _)| *last);
        }
    }
    writer.join_next().await.expect("one writer").expect("no panic");
}

/// After word of settings they can be read, and pages of the log are read under them.
pub async fn a_watch_tells_of_settings_that_can_be_read(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let watch = desk.store.heads();
    let start = desk.store.settings(0, 100).await.expect("read").version;
    let store = Arc::clone(&desk.store);
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for n in 0..COMMITS {
            let put = put_text("s", Some(&format!("{n}")), Expect::Anything);
            control_to(&*store, None, control(vec![put])).await.expect("taken");
        }
    });
    let mut seen = start;
    while seen < start + COMMITS {
        if hear(&watch).await.has_settings {
            seen = desk.store.settings(seen, 100).await.expect("read").version;
            let page = desk.store.changes(&desk.here, 0, 1).await.expect("read");
            assert!(page.settings_version >= seen);
        }
    }
    writer.join_next().await.expect("one writer").expect("no panic");
}

/// Word names the businesses that moved, and a commit that changed nothing moves none.
pub async fn a_watch_names_only_what_has_moved(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let record = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let watch = desk.store.heads();
    let unchanged = desk.update(&desk.here, record, json!({"city": "Delft"})).await;
    assert_eq!(unchanged.ending, Ending::Unchanged);
    desk.create(&desk.there, json!({"city": "Breda"}), None).await;
    let moves = hear(&watch).await;
    assert_eq!(moves, Moves { businesses: [desk.there.clone()].into(), ..Moves::default() });
    let notices = Control { notices: Vec::new(), ..control(vec![put_text("s", Some("1"), Expect::Absent)]) };
    desk.control(notices).await.expect("taken");
    assert_eq!(hear(&watch).await, Moves { has_settings: true, ..Moves::default() });
    assert!(watch.take().is_empty(), "what was taken is not told again");
}

/// Each watch has an ear of its own, from when it was made.
pub async fn every_watch_is_told(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let (one, two) = (desk.store.heads(), desk.store.heads());
    drop(desk.store.heads());
    desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    for watch in [&one, &two] {
        assert!(hear(watch).await.businesses.contains(&desk.here));
    }
    desk.create(&desk.there, json!({"city": "Delft"}), None).await;
    assert!(hear(&one).await.businesses.contains(&desk.there));
    desk.create(&desk.here, json!({"city": "Breda"}), None).await;
    let mut gathered = hear(&two).await;
    while gathered.businesses.len() < 2 {
        gathered.businesses.extend(hear(&two).await.businesses);
    }
    assert_eq!(gathered.businesses, [desk.here.clone(), desk.there.clone()].into(), "a late listener misses nothing");
}
