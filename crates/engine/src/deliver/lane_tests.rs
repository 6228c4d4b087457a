//! The lane as tables: what leaves next, and what each landing makes of it.

use super::{Effect, Gate, Item, Lane, What};
use crate::deliver::addressee::Addressee;
use crate::deliver::post::{Fate, Landing};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{Notice, NoticeBody};
use lockstep_core::ids::{BusinessId, DeliveryId, RecordId, SubscriptionId, TypeId};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::record::RecordKey;
use lockstep_core::subscription::{Batching, Ordering};
use lockstep_store::settle::LaneStep;
use std::sync::{Arc, Weak};
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_000_000);
const MIDDLE: f64 = 0.5;

fn contact() -> TypeId {
    TypeId::parse("contact").unwrap()
}

fn lane() -> Lane {
    let mut lane = Lane::new(BusinessId::parse("a1").unwrap(), 0, None);
    lane.is_behind = false;
    lane.to = Some(Arc::new(Addressee::of_nobody()));
    lane
}

fn item(seq: u64, record: u128, at: Timestamp) -> Item {
    let (ty, record) = (contact(), RecordId(record));
    Item { seq, ty, record, at, came_at: at, is_single: false, held: Weak::new() }
}

fn push(lane: &mut Lane, seq: u64, record: u128) {
    lane.push(item(seq, record, NOW), NOW);
}

fn landing(fate: Fate, at: Timestamp) -> Landing {
    Landing { delivery: None, fate, status: None, failure: Some("no".to_owned()), at, took_ms: 1 }
}

fn seq(what: &What) -> u64 {
    match what {
        What::Change(item) => item.seq,
        What::Parked(_, seq) => *seq,
        What::Batch(_) | What::Notice(_) | What::Step(_) => 0,
    }
}

/// Everything that may leave now, as seqs; all of it is under way then.
fn leave(lane: &mut Lane, now: Timestamp) -> Vec<What> {
    std::iter::from_fn(|| lane.next(now, u64::MAX)).collect()
}

fn seqs(list: &[What]) -> Vec<u64> {
    list.iter().map(seq).collect()
}

fn current(record: u128) -> Notice {
    Notice {
        id: DeliveryId(record),
        business: BusinessId::parse("a1").unwrap(),
        subscription: SubscriptionId(1),
        after_seq: 0,
        at: NOW,
        body: NoticeBody::Current { operation: OperationId::fresh(1), ty: contact(), record: RecordId(record) },
        attempt: 0,
        next_at: NOW,
    }
}

#[test]
fn one_change_of_a_record_is_under_way_at_a_time() {
    let mut lane = lane();
    for (seq, record) in [(1, 7), (2, 8), (3, 7), (4, 7)] {
        push(&mut lane, seq, record);
    }
    let mut out = leave(&mut lane, NOW);
    assert_eq!(seqs(&out), [1, 2]);
    lane.landed(out.remove(0), &landing(Fate::Delivered, NOW), MIDDLE);
    assert_eq!(seqs(&leave(&mut lane, NOW)), [3]);
    assert_eq!(lane.cursor(4), 1, "2 is under way");
}

#[test]
fn the_cursor_follows_the_first_unsettled_change_whatever_lands_first() {
    let mut lane = lane();
    for seq in 1..=3 {
        push(&mut lane, seq, u128::from(seq));
    }
    let out = leave(&mut lane, NOW);
    let mut cursors = Vec::new();
    for what in out.into_iter().rev() {
        lane.landed(what, &landing(Fate::Delivered, NOW), MIDDLE);
        cursors.push(lane.cursor(9));
    }
    assert_eq!(cursors, [0, 0, 9]);
}

#[test]
fn a_refused_record_is_parked_with_one_row_and_its_later_changes_go_with_it() {
    let mut lane = lane();
    for (seq, record) in [(1, 7), (2, 7), (3, 8), (4, 7)] {
        push(&mut lane, seq, record);
    }
    let mut out = leave(&mut lane, NOW);
    lane.landed(out.remove(0), &landing(Fate::Refused, NOW), MIDDLE);
    assert!(matches!(&lane.steps[..], [LaneStep::Park(row)] if row.first_seq == 1 && row.attempt == 1));
    lane.landed(out.remove(0), &landing(Fate::Delivered, NOW), MIDDLE);
    assert_eq!((lane.cursor(4), lane.held(), lane.parked_count()), (4, 0, 1));
    assert_eq!(lane.due_after(NOW), Some(NOW.plus_ms(5_000)));
    let again = lane.next(NOW.plus_ms(5_000), u64::MAX).unwrap();
    assert_eq!(seq(&again), 1);
    let key = RecordKey { ty: contact(), id: RecordId(7) };
    let effect = lane.landed(again, &landing(Fate::Delivered, NOW), MIDDLE);
    assert_eq!(effect, Effect::Follow(key.clone(), 1));
    assert_eq!(lane.followed(key, 1, &[2, 4], 4, NOW), Effect::Nothing);
    assert_eq!(lane.next(NOW, u64::MAX).as_ref().map(seq), Some(2));
}

#[test]
fn ten_records_without_a_success_close_the_gate_and_nothing_more_is_parked() {
    let mut lane = lane();
    for seq in 1..=32 {
        push(&mut lane, seq, u128::from(seq));
    }
    for what in leave(&mut lane, NOW) {
        lane.landed(what, &landing(Fate::Unreached, NOW), MIDDLE);
    }
    assert!(matches!(lane.gate, Gate::Closed(_)));
    assert_eq!(lane.parked_count(), limits::GATE_FAILURES - 1);
    assert_eq!((lane.held(), leave(&mut lane, NOW).len()), (32 - 9, 0));
    let later = lane.due_after(NOW).unwrap();
    let probes = leave(&mut lane, later);
    assert_eq!(probes.len(), 1, "one probe");
    assert_eq!(lane.due_after(later), None, "its landing says what comes next");
    for probe in probes {
        lane.landed(probe, &landing(Fate::Delivered, later), MIDDLE);
    }
    assert_eq!(lane.gate, Gate::Open);
}

#[test]
fn a_probe_that_fails_lets_another_record_be_the_next() {
    let mut lane = lane();
    for (seq, record) in [(1, 7), (2, 7), (3, 8)] {
        push(&mut lane, seq, record);
    }
    let mut out = leave(&mut lane, NOW);
    lane.landed(out.remove(0), &landing(Fate::Throttled(Some(Duration::from_secs(60))), NOW), 0.0);
    lane.landed(out.remove(0), &landing(Fate::Throttled(None), NOW), 0.0);
    assert_eq!(lane.due_after(NOW), Some(NOW.plus_ms(60_000)), "what was asked for holds");
    let mut order = Vec::new();
    for _ in 0..4 {
        let at = lane.due_after(NOW).unwrap();
        let probe = lane.next(at, u64::MAX).unwrap();
        order.push(seq(&probe));
        lane.landed(probe, &landing(Fate::Unreached, at), 0.0);
    }
    assert_eq!(order, [3, 1, 3, 1], "records take turns, and 2 never goes before 1");
}

#[test]
fn what_is_due_and_may_not_go_asks_nothing_of_the_clock_but_what_is_due_later_does() {
    let mut lane = lane();
    push(&mut lane, 1, 7);
    let out = leave(&mut lane, NOW);
    lane.take_notice(current(7));
    assert_eq!(leave(&mut lane, NOW).len(), 0, "the record is on its way");
    assert_eq!(lane.due_after(NOW), None);
    for what in out {
        lane.landed(what, &landing(Fate::Refused, NOW), MIDDLE);
    }
    assert_eq!(leave(&mut lane, NOW).len(), 0, "the record is parked");
    assert_eq!(lane.due_after(NOW), Some(NOW.plus_ms(5_000)), "the parked record, not the notice before it");
    lane.to = None;
    assert_eq!(lane.due_after(NOW), None, "nothing may be sent at all");
}

#[test]
fn a_current_waits_for_the_changes_it_must_not_overtake() {
    let mut lane = lane();
    push(&mut lane, 1, 7);
    push(&mut lane, 2, 7);
    lane.take_notice(current(7));
    for expected in [1, 2, 0] {
        let out = leave(&mut lane, NOW);
        assert_eq!(seqs(&out), [expected]);
        for what in out {
            lane.landed(what, &landing(Fate::Delivered, NOW), MIDDLE);
        }
    }
}

#[test]
fn the_schedule_ends_in_a_dead_letter_and_the_record_goes_on() {
    let mut lane = lane();
    push(&mut lane, 1, 7);
    let mut now = NOW;
    let mut tries = 0;
    loop {
        let what = lane.next(now, u64::MAX).unwrap();
        tries += 1;
        if let Effect::Follow(_, 1) = lane.landed(what, &landing(Fate::Refused, now), MIDDLE) {
            break;
        }
        match lane.due_after(now) {
            Some(due) => now = due,
            None => break,
        }
    }
    assert_eq!(tries, 11);
    let days = now.ms_since(NOW) / 86_400_000;
    assert_eq!(days, 3);
    assert!(lane.steps.iter().any(|step| matches!(step, LaneStep::Bury(letter) if letter.attempts == 11)));
    assert_eq!(lane.parked_count(), 0);
}

#[test]
fn edits_bring_a_parked_record_forward_but_use_up_no_attempt() {
    let mut lane = lane();
    push(&mut lane, 1, 7);
    let what = lane.next(NOW, u64::MAX).unwrap();
    lane.landed(what, &landing(Fate::Refused, NOW), MIDDLE);
    let scheduled = NOW.plus_ms(5_000);
    let edited = |lane: &mut Lane, seq, at| {
        lane.push(item(seq, 7, at), at);
    };
    let soon = NOW.plus_ms(300);
    edited(&mut lane, 2, soon);
    let what = lane.next(soon, u64::MAX).unwrap();
    lane.landed(what, &landing(Fate::Refused, soon), MIDDLE);
    edited(&mut lane, 3, NOW.plus_ms(600));
    assert_eq!(leave(&mut lane, NOW.plus_ms(600)).len(), 0, "tried a moment ago");
    assert_eq!(lane.parked().map(|row| (row.attempt, row.next_at)).collect::<Vec<_>>(), [(1, scheduled)]);
    let what = lane.next(scheduled, u64::MAX).unwrap();
    lane.landed(what, &landing(Fate::Refused, scheduled), MIDDLE);
    assert_eq!(lane.parked().map(|row| row.attempt).collect::<Vec<_>>(), [2], "the schedule's own try counts");
}

#[test]
fn a_change_found_along_the_chain_has_a_schedule_of_its_own() {
    let mut lane = lane();
    push(&mut lane, 1, 7);
    let what = lane.next(NOW, u64::MAX).unwrap();
    lane.landed(what, &landing(Fate::Refused, NOW), MIDDLE);
    let soon = NOW.plus_ms(300);
    lane.push(item(2, 7, soon), soon);
    let what = lane.next(soon, u64::MAX).unwrap();
    let Effect::Follow(key, after) = lane.landed(what, &landing(Fate::Delivered, soon), MIDDLE) else {
        panic!("2 went by while 1 was parked")
    };
    lane.followed(key, after, &[2], 2, soon);
    let what = lane.next(soon, u64::MAX).unwrap();
    assert_eq!(seq(&what), 2);
    lane.landed(what, &landing(Fate::Refused, soon), MIDDLE);
    assert_eq!(lane.parked().map(|row| row.attempt).collect::<Vec<_>>(), [1], "its first try counts");
}

#[test]
fn records_that_an_endpoint_refused_while_it_was_going_down_are_tried_at_once_when_it_is_back() {
    let mut lane = lane();
    for seq in 1..=12 {
        push(&mut lane, seq, u128::from(seq));
    }
    for what in leave(&mut lane, NOW) {
        lane.landed(what, &landing(Fate::Refused, NOW), MIDDLE);
    }
    let Gate::Closed(closed) = &lane.gate else { panic!("ten records were refused") };
    let probed_at = closed.next_at;
    let parked = lane.parked_count();
    assert!(parked > 0);
    let probe = lane.next(probed_at, u64::MAX).unwrap();
    assert!(matches!(probe, What::Change(_)), "{probe:?}");
    let still_early = NOW.plus_ms(3_000);
    lane.landed(probe, &landing(Fate::Delivered, still_early), MIDDLE);
    let again = leave(&mut lane, still_early);
    assert_eq!(again.iter().filter(|what| matches!(what, What::Parked(..))).count(), parked);
}

#[test]
fn where_only_the_latest_counts_a_newer_change_takes_the_place_of_the_one_that_waits() {
    let mut lane = lane();
    lane.ordering = Ordering::Latest;
    for (seq, record) in [(1, 7), (2, 8), (3, 7), (4, 8)] {
        push(&mut lane, seq, record);
    }
    assert_eq!((lane.held(), lane.cursor(4)), (2, 2));
    let mut out = leave(&mut lane, NOW);
    assert_eq!(seqs(&out), [3, 4]);
    push(&mut lane, 5, 7);
    push(&mut lane, 6, 7);
    assert_eq!(seqs(&leave(&mut lane, NOW)), [0_u64; 0], "3 is under way");
    push(&mut lane, 7, 7);
    lane.landed(out.remove(0), &landing(Fate::Unread, NOW), MIDDLE);
    assert_eq!(seqs(&leave(&mut lane, NOW)), [7]);
    assert_eq!(lane.cursor(7), 3, "4 is under way");
}

#[test]
fn where_only_the_latest_counts_a_parked_row_stands_for_the_newest_change() {
    let mut lane = lane();
    lane.ordering = Ordering::Latest;
    push(&mut lane, 1, 7);
    let mut out = leave(&mut lane, NOW);
    push(&mut lane, 2, 7);
    lane.landed(out.remove(0), &landing(Fate::Refused, NOW), MIDDLE);
    let rows = |lane: &Lane| lane.parked().map(|row| (row.first_seq, row.attempt)).collect::<Vec<_>>();
    assert_eq!(rows(&lane), [(2, 0)]);
    push(&mut lane, 3, 7);
    assert_eq!((rows(&lane), lane.held(), lane.cursor(3)), (vec![(3, 0)], 0, 3));
    let what = lane.next(NOW, u64::MAX).unwrap();
    push(&mut lane, 4, 7);
    assert_eq!((seq(&what), rows(&lane)), (3, vec![(3, 0)]), "it is under way");
    assert_eq!(lane.landed(what, &landing(Fate::Refused, NOW), MIDDLE), Effect::Nothing);
    assert_eq!(rows(&lane), [(4, 0)]);
    let what = lane.next(lane.due_after(NOW).unwrap(), u64::MAX).unwrap();
    lane.landed(what, &landing(Fate::Delivered, NOW), MIDDLE);
    assert_eq!(lane.parked_count(), 0);
    assert!(matches!(lane.steps.last(), Some(LaneStep::Unpark(RecordId(7)))));
}

#[test]
fn without_an_order_each_change_leaves_at_once_and_is_parked_alone() {
    let mut lane = lane();
    lane.ordering = Ordering::None;
    for seq in 1..=3 {
        push(&mut lane, seq, 7);
    }
    let mut out = leave(&mut lane, NOW);
    assert_eq!(seqs(&out), [1, 2, 3]);
    lane.landed(out.remove(1), &landing(Fate::Refused, NOW), MIDDLE);
    lane.landed(out.remove(0), &landing(Fate::Delivered, NOW), MIDDLE);
    assert_eq!((lane.parked_count(), lane.cursor(3)), (1, 2));
    push(&mut lane, 4, 7);
    assert_eq!(seqs(&leave(&mut lane, NOW)), [4]);
    let what = lane.next(NOW.plus_ms(5_000), u64::MAX).unwrap();
    assert_eq!(seq(&what), 2);
    assert_eq!(lane.landed(what, &landing(Fate::Delivered, NOW), MIDDLE), Effect::Nothing);
    assert_eq!(lane.parked_count(), 0);
}

fn batching(max_records: usize) -> Lane {
    let mut lane = lane();
    lane.batch = Some(Batching { max_records, max_wait_ms: 1_000 });
    lane
}

fn members(what: &What) -> Vec<u64> {
    match what {
        What::Batch(bundle) => bundle.items.iter().map(|item| item.seq).collect(),
        other => vec![seq(other)],
    }
}

#[test]
fn a_batch_is_formed_when_it_is_full_or_due_with_one_change_of_each_record() {
    let mut lane = batching(3);
    for (seq, record) in [(1, 7), (2, 7), (3, 8)] {
        push(&mut lane, seq, record);
    }
    assert_eq!(leave(&mut lane, NOW).len(), 0);
    assert_eq!(lane.due_after(NOW), Some(NOW.plus_ms(1_000)));
    push(&mut lane, 4, 9);
    let mut out = leave(&mut lane, NOW);
    assert_eq!(out.iter().map(members).collect::<Vec<_>>(), [vec![1, 3, 4]]);
    assert_eq!(leave(&mut lane, NOW.plus_ms(5_000)).len(), 0, "2 waits for 1");
    lane.landed(out.remove(0), &landing(Fate::Delivered, NOW), MIDDLE);
    assert_eq!(lane.cursor(4), 1);
    assert_eq!(leave(&mut lane, NOW.plus_ms(1_000)).iter().map(members).collect::<Vec<_>>(), [vec![2]]);
}

#[test]
fn a_batch_that_does_not_arrive_is_the_next_probe_and_then_goes_singly() {
    let mut lane = batching(2);
    push(&mut lane, 1, 7);
    push(&mut lane, 2, 8);
    push(&mut lane, 3, 7);
    let mut now = NOW;
    for _ in 0..2 {
        let mut out = leave(&mut lane, now);
        assert_eq!(out.iter().map(members).collect::<Vec<_>>(), [vec![1, 2]]);
        lane.landed(out.remove(0), &landing(Fate::Unreached, now), MIDDLE);
        assert!(matches!(lane.gate, Gate::Closed(_)));
        now = lane.due_after(now).unwrap();
    }
    let what = lane.next(now, u64::MAX).unwrap();
    assert_eq!(members(&what), [1], "a single change, and never 3 before it");
    lane.landed(what, &landing(Fate::Delivered, now), MIDDLE);
    assert_eq!(leave(&mut lane, now.plus_ms(2_000)).iter().map(members).collect::<Vec<_>>(), [vec![2], vec![3]]);
}

#[test]
fn a_batch_that_is_too_long_goes_as_two_and_at_last_singly() {
    let mut lane = batching(3);
    for seq in 1..=3 {
        push(&mut lane, seq, u128::from(seq));
    }
    let what = lane.next(NOW, u64::MAX).unwrap();
    lane.landed(what, &landing(Fate::TooMuch, NOW), MIDDLE);
    let mut out = leave(&mut lane, NOW);
    assert_eq!(out.iter().map(members).collect::<Vec<_>>(), [vec![2, 3], vec![1]]);
    lane.landed(out.remove(0), &landing(Fate::TooMuch, NOW), MIDDLE);
    assert_eq!(leave(&mut lane, NOW).iter().map(members).collect::<Vec<_>>(), [vec![2], vec![3]]);
    assert_eq!(lane.held(), 3);
}

#[test]
fn a_limited_lane_waits_for_its_turn_and_is_neither_failing_nor_closed() {
    let mut lane = lane();
    lane.pace.set(Some(10));
    for seq in 1..=3 {
        push(&mut lane, seq, u128::from(seq));
    }
    let first = leave(&mut lane, NOW);
    assert_eq!(seqs(&first), [1]);
    let next = NOW.plus_ms(100);
    assert_eq!(lane.due_after(NOW), Some(next), "the clock brings the next");
    for what in first {
        lane.landed(what, &landing(Fate::Delivered, NOW), MIDDLE);
    }
    assert_eq!((seqs(&leave(&mut lane, NOW.plus_ms(99))), &lane.gate), (vec![], &Gate::Open));
    let second = leave(&mut lane, next);
    assert_eq!(seqs(&second), [2]);
    for what in second {
        lane.landed(what, &landing(Fate::Unwanted, next), MIDDLE);
    }
    assert_eq!(seqs(&leave(&mut lane, next)), [3], "what was not sent takes no turn");
    assert_eq!(lane.due_after(NOW.plus_ms(200)), None, "an idle lane asks for no alarm");
}
