//! What was: a record's changes, newest first; and all records of a type, a page at a time.
#![expect(clippy::indexing_slicing, reason = "what a case has just made is there, or the case fails")]

use super::Subject;
use super::desk::{Desk, contact, key};
use crate::index::Walk;
use lockstep_core::ids::{RecordId, TypeId};
use serde_json::json;

/// A history is walked back from any seq, a page at a time.
pub async fn a_history_is_newest_first(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let ann = desk.made(&desk.here, json!({"city": "0"}), None).await;
    for city in 1..6 {
        desk.made(&desk.here, json!({}), None).await;
        desk.update(&desk.here, ann, json!({"city": city.to_string()})).await;
    }
    let seqs = async |before: u64, limit: usize| -> Vec<u64> {
        let changes = desk.store.history(&desk.here, &key(ann), before, limit).await.expect("read");
        changes.iter().map(|change| change.seq).collect()
    };
    assert_eq!(seqs(u64::MAX, 99).await, [11, 9, 7, 5, 3, 1]);
    assert_eq!(seqs(9, 2).await, [7, 5]);
    assert_eq!(seqs(5, 99).await, [3, 1]);
    assert_eq!(seqs(1, 99).await, Vec::<u64>::new());
    let at_six = desk.store.history(&desk.here, &key(ann), 7, 1).await.expect("read");
    assert_eq!(at_six[0].state.fields.get("city"), Some(&json!("2")), "as it was at 6");
    assert!(desk.store.history(&desk.here, &key(RecordId(1)), 9, 9).await.expect("read").is_empty());
}

/// Pages of records go by id, hold tombstones too, and end.
pub async fn records_come_in_pages_by_id(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(desk.made(&desk.here, json!({"code": number.to_string()}), None).await);
    }
    desk.made(&desk.there, json!({}), None).await;
    desk.delete(&desk.here, made[1]).await;
    let first = desk.store.records(&desk.here, &contact(), Walk::OLDEST, 3).await.expect("read");
    assert_eq!(first.records.iter().map(|record| record.id).collect::<Vec<_>>(), made[..3]);
    assert!(!first.is_last && first.records[1].state.is_deleted);
    let rest = desk.store.records(&desk.here, &contact(), Walk::Up(made[2]), 99).await.expect("read");
    assert_eq!(rest.records.iter().map(|record| record.id).collect::<Vec<_>>(), made[3..]);
    assert!(rest.is_last);
    let last = desk.store.records(&desk.here, &contact(), Walk::NEWEST, 2).await.expect("read");
    assert_eq!(last.records.iter().map(|record| record.id).collect::<Vec<_>>(), [made[4], made[3]]);
    let rest = desk.store.records(&desk.here, &contact(), Walk::NEWEST.on_from(made[3]), 99).await.expect("read");
    assert_eq!(rest.records.iter().map(|record| record.id).collect::<Vec<_>>(), [made[2], made[1], made[0]]);
    assert!(rest.is_last && !last.is_last);
    let asked = [made[3], RecordId(1), made[1]];
    let picked = desk.store.records_of(&desk.here, &contact(), &asked).await.expect("read");
    let picked: Vec<_> = picked.iter().map(|record| record.as_ref().map(|record| record.id)).collect();
    assert_eq!(picked, [Some(made[3]), None, Some(made[1])]);
    let invoice = TypeId::parse("invoice").expect("a type");
    assert!(desk.store.records(&desk.here, &invoice, Walk::OLDEST, 9).await.expect("read").is_last);
}

/// Large records end a page early, so that no page grows without bound.
pub async fn large_records_still_page(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    for _ in 0..6 {
        desk.made(&desk.here, json!({"notes": "x".repeat(400_000)}), None).await;
    }
    let (mut after, mut count, mut pages) = (RecordId(0), 0, 0);
    loop {
        let page = desk.store.records(&desk.here, &contact(), Walk::Up(after), 99).await.expect("read");
        count += page.records.len();
        pages += 1;
        let Some(last) = page.records.last().filter(|_| !page.is_last) else { break };
        after = last.id;
    }
    assert_eq!(count, 6);
    assert!(pages < 8, "{pages} pages");
}
