//! Shows that the judge can find each kind of breach: one that cannot fail would be worthless.

use crate::promises::{Acknowledged, Act, Delivery, Evidence, Promise, Shown, judge, report};

fn delivery(life: u32, seq: u64, record: &str, version: u64, act: Act, counter: u64) -> Delivery {
    Delivery {
        life,
        is_accepted: true,
        is_signed: true,
        webhook_id: format!("dlv_{seq}"),
        act,
        seq,
        record: record.to_owned(),
        version,
        tag: Some(format!("tag of {record}")),
        counter: Some(counter),
        external_ids: vec![format!("tag of {record}")],
        content: seq * 31,
    }
}

fn acknowledged(record: &str, act: Act, counter: u64) -> Acknowledged {
    let tag = format!("tag of {record}");
    Acknowledged { tag, record: record.to_owned(), act, counter, has_external_id: true }
}

fn shown(record: &str, version: u64, counter: u64) -> Shown {
    Shown { is_signed: true, record: record.to_owned(), version, counter: Some(counter) }
}

/// Two records, two lives of the hub, a refusal that was retried, a rewind after the kill.
fn good() -> Evidence {
    let mut refused = delivery(0, 3, "a", 2, Act::Updated, 1);
    refused.is_accepted = false;
    Evidence {
        deliveries: vec![
            delivery(0, 1, "a", 1, Act::Created, 0),
            delivery(0, 2, "b", 1, Act::Created, 0),
            refused,
            delivery(0, 4, "b", 2, Act::Updated, 1),
            delivery(0, 3, "a", 2, Act::Updated, 1),
            delivery(1, 2, "b", 1, Act::Created, 0),
            delivery(1, 3, "a", 2, Act::Updated, 1),
            delivery(1, 4, "b", 2, Act::Updated, 1),
            delivery(1, 5, "b", 3, Act::Updated, 2),
            delivery(1, 6, "a", 3, Act::Deleted, 1),
        ],
        acknowledged: vec![
            acknowledged("a", Act::Created, 0),
            acknowledged("b", Act::Created, 0),
            acknowledged("a", Act::Updated, 1),
            acknowledged("b", Act::Updated, 1),
            acknowledged("b", Act::Updated, 2),
            acknowledged("a", Act::Deleted, 1),
        ],
        asked: vec!["b".to_owned()],
        shown: vec![shown("b", 3, 2)],
        head: 6,
        surprises: Vec::new(),
    }
}

/// Spoils good evidence and names the promise that must be found broken.
#[track_caller]
fn check(promise: Promise, spoil: impl FnOnce(&mut Evidence)) {
    let mut evidence = good();
    spoil(&mut evidence);
    let breaches = judge(&evidence);
    assert!(breaches.iter().any(|breach| breach.promise == promise), "not found; only:\n{}", report(&breaches));
}

#[test]
fn good_evidence_breaks_nothing() {
    let breaches = judge(&good());
    assert!(breaches.is_empty(), "{}", report(&breaches));
}

#[test]
fn a_lost_change_is_found() {
    check(Promise::P1, |evidence| evidence.deliveries.retain(|delivery| delivery.seq != 5));
    // Lost at the end, so that the log itself looks whole.
    check(Promise::P1, |evidence| {
        evidence.deliveries.retain(|delivery| delivery.seq != 6);
        evidence.head = 5;
    });
    check(Promise::P1, |evidence| evidence.deliveries.retain(|delivery| delivery.record != "a"));
    check(Promise::P1, |evidence| evidence.deliveries[8].is_accepted = false);
}

#[test]
fn a_create_without_its_external_id_is_found() {
    check(Promise::P1, |evidence| {
        for delivery in &mut evidence.deliveries {
            delivery.external_ids.clear();
        }
    });
}

#[test]
fn a_value_that_goes_back_is_found() {
    check(Promise::P1, |evidence| evidence.deliveries.push(delivery(1, 7, "b", 4, Act::Updated, 1)));
}

#[test]
fn a_stale_or_missing_sight_is_found() {
    check(Promise::P1, |evidence| evidence.shown[0].counter = Some(1));
    check(Promise::P1, |evidence| evidence.shown[0].version = 2);
    check(Promise::P1, |evidence| evidence.shown.clear());
}

#[test]
fn a_surprise_is_found() {
    check(Promise::P1, |evidence| evidence.surprises.push("a 401".to_owned()));
}

#[test]
fn a_hole_is_found() {
    check(Promise::P2, |evidence| evidence.deliveries.retain(|delivery| delivery.seq != 5));
    check(Promise::P2, |evidence| evidence.head = 7);
    check(Promise::P2, |evidence| evidence.head = 5);
    check(Promise::P2, |evidence| evidence.deliveries.push(delivery(1, 0, "c", 1, Act::Created, 0)));
    check(Promise::P2, |evidence| *evidence = Evidence::default());
    check(Promise::P2, |evidence| {
        for delivery in evidence.deliveries.iter_mut().filter(|delivery| delivery.seq == 5) {
            delivery.version = 4;
        }
    });
}

#[test]
fn a_reorder_is_found() {
    check(Promise::P3, |evidence| evidence.deliveries.swap(7, 8));
    check(Promise::P3, |evidence| evidence.deliveries.push(delivery(1, 2, "b", 1, Act::Created, 0)));
    // In a new life, but past what the earlier one had not delivered.
    check(Promise::P3, |evidence| {
        evidence.deliveries[8].life = 2;
        evidence.deliveries.swap(8, 9);
        evidence.deliveries.retain(|delivery| delivery.seq != 3);
        evidence.deliveries.push(delivery(3, 3, "a", 2, Act::Updated, 1));
    });
    // A refused change must hold its record's later ones back.
    check(Promise::P3, |evidence| {
        let mut early = delivery(0, 6, "a", 3, Act::Deleted, 1);
        early.is_accepted = false;
        evidence.deliveries.insert(3, early);
    });
}

#[test]
fn a_double_is_found() {
    check(Promise::P4, |evidence| evidence.deliveries[5].webhook_id = "dlv_other".to_owned());
    check(Promise::P4, |evidence| evidence.deliveries[5].content = 1);
    check(Promise::P4, |evidence| evidence.deliveries[8].webhook_id = "dlv_4".to_owned());
    check(Promise::P4, |evidence| {
        let mut second = delivery(1, 7, "c", 1, Act::Created, 0);
        second.tag = Some("tag of b".to_owned());
        evidence.deliveries.push(second);
        evidence.head = 7;
    });
    check(Promise::P4, |evidence| {
        let mut again = acknowledged("b", Act::Created, 0);
        again.record = "c".to_owned();
        evidence.acknowledged.push(again);
    });
}

#[test]
fn a_bad_signature_is_found() {
    check(Promise::Signed, |evidence| evidence.deliveries[3].is_signed = false);
    check(Promise::Signed, |evidence| evidence.shown[0].is_signed = false);
}
