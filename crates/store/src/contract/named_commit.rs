//! A commit that names itself has effect once, however often it is sent: the answer may have been lost on the way.

use super::Subject;
use super::desk::{Desk, business, commit_to, control, control_to, put_text, seq_of};
use crate::StoreError;
use crate::settings::{Control, Expect};
use lockstep_core::command::Command;
use lockstep_core::ids::{BusinessId, CommitId};
use lockstep_core::subscription::StartAt;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

fn creating(desk: &Desk<'_>, business: &BusinessId) -> Vec<Command> {
    vec![
        desk.creating(business, json!({"city": "Delft"}), None),
        desk.creating(business, json!({"city": "Breda"}), None),
    ]
}

/// Sent again, commands are not decided again: the first answer comes back, failures included.
pub async fn a_repeated_commit_has_effect_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = Some(desk.commit_id());
    let missing = desk.updating(&desk.here, lockstep_core::ids::RecordId(desk.draw()), json!({"city": "x"}));
    let mut commands = creating(&desk, &desk.here);
    commands.push(missing);
    let first = commit_to(&*desk.store, id, commands.clone()).await.expect("taken");
    assert_eq!(first.iter().take(2).map(seq_of).collect::<Vec<_>>(), [1, 2]);
    desk.create(&desk.here, json!({"city": "Between"}), None).await;
    let again = commit_to(&*desk.store, id, commands).await.expect("taken");
    assert_eq!(again, first);
    assert_eq!(desk.log(&desk.here).await.len(), 3);
    let other = commit_to(&*desk.store, Some(desk.commit_id()), creating(&desk, &desk.here)).await.expect("taken");
    assert_eq!(other.iter().map(seq_of).collect::<Vec<_>>(), [4, 5], "another name is another commit");
}

/// The same for settings: a creation sent again is no conflict with itself.
pub async fn a_repeated_control_has_effect_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = Some(desk.commit_id());
    let own = desk.subscription_id();
    let made = || Control {
        lanes: vec![(desk.here.clone(), own, StartAt::Now)],
        ..control(vec![put_text("s", Some("1"), Expect::Absent)])
    };
    let first = control_to(&*desk.store, id, made()).await.expect("taken");
    desk.create(&desk.here, json!({"city": "Delft"}), None).await;
    let between = desk.control(control(vec![put_text("t", Some("1"), Expect::Absent)])).await.expect("taken");
    assert!(between > first);
    assert_eq!(control_to(&*desk.store, id, made()).await.expect("taken"), first);
    assert_eq!(desk.store.settings(0, 100).await.expect("read").version, between);
    assert_eq!(desk.outlet(&desk.here).await.lanes, [(own, 0)], "the lane is not opened again further on");
}

/// The name is as durable as what was done under it.
pub async fn commit_names_outlive_the_store(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let (commands_id, control_id) = (Some(desk.commit_id()), Some(desk.commit_id()));
    let commands = creating(&desk, &desk.here);
    let outcomes = commit_to(&*desk.store, commands_id, commands.clone()).await.expect("taken");
    let made = || control(vec![put_text("s", Some("1"), Expect::Absent)]);
    let version = control_to(&*desk.store, control_id, made()).await.expect("taken");
    let desk = desk.reopen().await;
    assert_eq!(commit_to(&*desk.store, commands_id, commands).await.expect("taken"), outcomes);
    assert_eq!(control_to(&*desk.store, control_id, made()).await.expect("taken"), version);
    assert_eq!(desk.log(&desk.here).await.len(), 2);
}

/// Sent many times at once, it still has effect once, and all are answered the same.
pub async fn a_commit_repeated_at_once_has_effect_once(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = Some(desk.commit_id());
    let commands = creating(&desk, &desk.here);
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (store, commands) = (Arc::clone(&desk.store), commands.clone());
        tasks.spawn(async move { commit_to(&*store, id, commands).await.expect("taken") });
    }
    let mut answers = tasks.join_all().await;
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(desk.log(&desk.here).await.len(), 2);
}

/// A control that was refused has done nothing, so the same name may be used for a second try.
pub async fn a_refused_control_is_not_remembered(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id: Option<CommitId> = Some(desk.commit_id());
    desk.control(control(vec![put_text("s", Some("1"), Expect::Absent)])).await.expect("taken");
    let refused = control_to(&*desk.store, id, control(vec![put_text("s", Some("2"), Expect::Absent)])).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    desk.control(control(vec![put_text("s", None, Expect::Anything)])).await.expect("removed");
    control_to(&*desk.store, id, control(vec![put_text("s", Some("2"), Expect::Absent)])).await.expect("taken now");
}

/// Nor is a commit that the store could not take.
pub async fn a_failed_commit_is_not_remembered(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let (id, late) = (Some(desk.commit_id()), business("late"));
    let commands = creating(&desk, &late);
    let refused = commit_to(&*desk.store, id, commands.clone()).await;
    assert!(matches!(refused, Err(StoreError::UnknownBusiness(_))), "{refused:?}");
    desk.control(control(vec![super::desk::put_business(&late)])).await.expect("made");
    let outcomes = commit_to(&*desk.store, id, commands).await.expect("taken now");
    assert_eq!(outcomes.iter().map(seq_of).collect::<Vec<_>>(), [1, 2]);
}
