//! A business's log: seqs in commit order without holes, read as a prefix by whoever reads (P2).

use super::Subject;
use super::desk::{Desk, commit_to, contact, control, control_to, key, put_text, seq_of};
use crate::Store;
use crate::settings::Expect;
use lockstep_core::command::Command;
use lockstep_core::ids::{BusinessId, RecordId, TypeId};
use lockstep_core::record::RecordKey;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

const COMMITTERS: usize = 8;
const COMMITS_EACH: usize = 6;

/// Commits in turn, of one, two or three commands, which it gives back with their seqs.
async fn commit_in_turn(store: Arc<dyn Store>, work: Vec<Vec<Command>>) -> Vec<(u64, RecordId)> {
    let mut seqs = Vec::new();
    for commands in work {
        let ids: Vec<_> = commands.iter().map(|command| command.fresh.record).collect();
        let outcomes = commit_to(&*store, None, commands).await.expect("taken");
        let got: Vec<_> = outcomes.iter().map(seq_of).zip(ids).collect();
        assert!(got.is_sorted() && seqs.last() < got.first(), "seqs follow the order of commits");
        seqs.extend(got);
    }
    seqs
}

fn work(desk: &Desk<'_>, business: &BusinessId) -> Vec<Vec<Command>> {
    let commit = |number| (0..=number % 3).map(|_| desk.creating(business, json!({"city": "Delft"}), None)).collect();
    (0..COMMITS_EACH).map(commit).collect()
}

async fn check_seqs(desk: &Desk<'_>) {
    let mut tasks = JoinSet::new();
    let mut before = Vec::new();
    for business in [&desk.here, &desk.there] {
        before.push(desk.head(business).await);
        for _ in 0..COMMITTERS {
            let (store, work, business) = (Arc::clone(&desk.store), work(desk, business), business.clone());
            tasks.spawn(async move { (business, commit_in_turn(store, work).await) });
        }
    }
    let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
    while let Some(done) = tasks.join_next().await {
        let (business, seqs) = done.expect("no panic");
        let all = if business == desk.here { &mut here } else { &mut there };
        for (seq, id) in seqs {
            assert!(all.insert((seq, id)), "no seq is given twice");
        }
    }
    for ((business, told), before) in [(&desk.here, here), (&desk.there, there)].into_iter().zip(before) {
        let log = desk.log(business).await;
        let new = log.iter().filter(|change| change.seq > before);
        let read: BTreeSet<_> = new.map(|change| (change.seq, change.record)).collect();
        assert_eq!(read, told, "each committer was told the seq under which its change stands");
        assert_eq!(read.len() as u64, log.len() as u64 - before);
    }
}

/// However many commit at once, each business counts 1, 2, 3 …, and goes on counting after reopening.
pub async fn seqs_have_no_holes_under_many_committers(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    check_seqs(&desk).await;
    let desk = desk.reopen().await;
    check_seqs(&desk).await;
}

/// What is read while others write is always a prefix.
pub async fn a_reader_sees_a_prefix_while_others_write(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut tasks = JoinSet::new();
    let mut total = 0;
    for _ in 0..4 {
        let (store, work) = (Arc::clone(&desk.store), work(&desk, &desk.here));
        total += work.iter().map(Vec::len).sum::<usize>() as u64;
        tasks.spawn(async move { drop(commit_in_turn(store, work).await) });
    }
    let mut seen = 0;
    while seen < total {
        let page = desk.store.changes(&desk.here, seen, 7).await.expect("read");
        for change in page.changes {
            assert_eq!(change.seq, seen + 1);
            seen = change.seq;
        }
        assert!(page.head >= seen, "the head is not behind the page");
        tokio::task::yield_now().await;
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    assert_eq!(desk.head(&desk.here).await, total);
}

/// A page begins after the seq asked for, is as long as asked at most, and names the head.
pub async fn pages_follow_each_other(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    for number in 0..10 {
        desk.create(&desk.here, json!({"code": format!("{number}")}), None).await;
    }
    for _ in 0..2 {
        for (after, limit, expected) in [
            (0, 4, vec![1, 2, 3, 4]),
            (4, 4, vec![5, 6, 7, 8]),
            (8, 4, vec![9, 10]),
            (10, 4, vec![]),
            (11, 4, vec![]),
            (u64::MAX, 4, vec![]),
            (3, 0, vec![]),
        ] {
            let page = desk.store.changes(&desk.here, after, limit).await.expect("read");
            let seqs: Vec<_> = page.changes.iter().map(|change| change.seq).collect();
            assert_eq!((seqs, page.head), (expected, 10), "after {after}, at most {limit}");
        }
        desk = desk.reopen().await;
    }
    desk.create(&desk.here, json!({"code": "after"}), None).await;
    assert_eq!(desk.log(&desk.here).await.len(), 11, "old and new changes are one log");
}

/// A page of large changes may be shorter than asked, and never empty before the head.
pub async fn large_changes_still_page(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    for letter in ["a", "b", "c"] {
        let command = desk.creating(&desk.here, json!({"notes": letter.repeat(900_000)}), None);
        desk.send(Command { bytes: 900_000, ..command }).await;
    }
    let desk = desk.reopen().await;
    let log = desk.log(&desk.here).await;
    let ends: Vec<_> =
        log.iter().map(|change| change.state.fields.get("notes").and_then(|v| v.as_str()).map(str::len)).collect();
    assert_eq!(ends, [Some(900_000); 3]);
}

/// A change is read alone by its seq, and there is none at 0 or beyond the head.
pub async fn one_change_is_found_by_its_seq(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    for number in 0..3 {
        desk.create(&desk.here, json!({"code": format!("{number}")}), None).await;
    }
    for _ in 0..2 {
        let log = desk.log(&desk.here).await;
        for seq in [0, 1, 2, 3, 4, u64::MAX] {
            let found = desk.store.change(&desk.here, seq).await.expect("read");
            let expected = log.iter().find(|change| change.seq == seq).cloned();
            assert_eq!(found, expected, "{seq}");
        }
        desk = desk.reopen().await;
    }
}

/// A record's chain is its own seqs, oldest first, from a seq on, as many as asked.
pub async fn a_chain_is_oldest_first(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    let one = desk.made(&desk.here, json!({"code": "0"}), None).await;
    let two = desk.made(&desk.here, json!({"code": "0"}), None).await;
    for number in 1..4 {
        for id in [one, two] {
            desk.update(&desk.here, id, json!({"code": format!("{number}")})).await;
        }
    }
    for _ in 0..2 {
        for (after, limit, expected) in [
            (0, 10, vec![1, 3, 5, 7]),
            (0, 2, vec![1, 3]),
            (1, 2, vec![3, 5]),
            (2, 2, vec![3, 5]),
            (7, 2, vec![]),
            (u64::MAX, 2, vec![]),
            (0, 0, vec![]),
        ] {
            let chain = desk.store.chain(&desk.here, &key(one), after, limit).await.expect("read");
            assert_eq!(chain, expected, "after {after}, at most {limit}");
        }
        let absent = desk.store.chain(&desk.here, &key(RecordId(77)), 0, 9).await.expect("read");
        assert_eq!(absent, [0; 0], "no record, no chain");
        let agent = RecordKey { ty: TypeId::parse("agent").expect("a type"), id: one };
        let other = desk.store.chain(&desk.here, &agent, 0, 9).await.expect("read");
        assert_eq!(other, [0; 0], "no {} of this id is an agent", contact());
        desk = desk.reopen().await;
    }
}

/// Whoever learns of a change by one way of reading finds it by another.
pub async fn what_a_chain_names_can_be_read(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"code": "0"}), None).await;
    let last = 150;
    let updates: Vec<_> = (2..=last).map(|n| desk.updating(&desk.here, id, json!({"code": format!("{n}")}))).collect();
    let store = Arc::clone(&desk.store);
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for update in updates {
            commit_to(&*store, None, vec![update]).await.expect("taken");
        }
    });
    let mut seen = 0;
    while seen < last {
        for seq in desk.store.chain(&desk.here, &key(id), seen, 100).await.expect("read") {
            let change = desk.store.change(&desk.here, seq).await.expect("read");
            assert!(change.is_some(), "the chain names {seq}, and it is not there");
            seen = seq;
        }
    }
    writer.join_next().await.expect("one writer").expect("no panic");
}

/// Once a control is answered, no page is read under older settings.
pub async fn a_page_knows_the_settings_completed_before_it(subject: &impl Subject) {
    let mut desk = Desk::open(subject).await;
    for _ in 0..2 {
        for number in 0..5 {
            desk.create(&desk.here, json!({"code": format!("{number}")}), None).await;
            let text = format!("{number}");
            let version =
                desk.control(control(vec![put_text("s", Some(&text), Expect::Anything)])).await.expect("taken");
            for business in [&desk.here, &desk.there] {
                let page = desk.store.changes(business, 0, 10).await.expect("read");
                assert_eq!(page.settings_version, version);
            }
        }
        desk = desk.reopen().await;
    }
}

/// A grant revoked before a change was committed is known to every page that holds the change.
pub async fn a_page_is_no_older_than_the_settings_before_its_changes(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    desk.create(&desk.here, json!({"code": "0"}), None).await;
    let base = desk.control(control(vec![put_text("s", Some("0"), Expect::Anything)])).await.expect("taken");
    // From here on the settings move once before each change: change n stands on version base + n - 1.
    let last = 120;
    let commands: Vec<_> =
        (2..=last).map(|n| desk.creating(&desk.here, json!({"code": format!("{n}")}), None)).collect();
    let store = Arc::clone(&desk.store);
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for command in commands {
            let put = put_text("s", Some("x"), Expect::Anything);
            control_to(&*store, None, control(vec![put])).await.expect("taken");
            commit_to(&*store, None, vec![command]).await.expect("taken");
        }
    });
    let mut seen = 1;
    while seen < last {
        let page = desk.store.changes(&desk.here, seen, 10).await.expect("read");
        seen = page.changes.last().map_or(seen, |change| change.seq);
        assert!(page.settings_version >= base + seen - 1, "change {seen} under version {}", page.settings_version);
        tokio::task::yield_now().await;
    }
    writer.join_next().await.expect("one writer").expect("no panic");
}
