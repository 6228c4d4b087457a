//! P2: the log has no holes, and every subscriber that is well at the end was told all it wanted.

use crate::evidence::{Evidence, Subscriber};
use crate::model;
use lockstep_core::change::Change;
use lockstep_core::ids::DeliveryId;
use lockstep_core::operation::OperationState;
use lockstep_core::subscription::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Holes in logs, changes never delivered, work left lying.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<String> {
    [holes(evidence), undelivered(evidence), leftovers(evidence)].concat()
}

fn holes(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    for (business, log) in &evidence.logs {
        let (mut last, mut at) = (BTreeMap::new(), lockstep_core::clock::Timestamp(0));
        for (expected, change) in (1..).zip(log) {
            let (prev, version) = last.insert(change.record, (change.seq, change.version)).unwrap_or((0, 0));
            if change.seq != expected || change.prev_seq != prev || change.version != version + 1 || change.at < at {
                found.push(format!(
                    "{business} position {expected} holds seq {} of {} version {} after seq {}, expected version {} after {prev}",
                    change.seq, change.record, change.version, change.prev_seq, version + 1
                ));
            }
            at = change.at;
        }
    }
    found
}

fn undelivered(evidence: &Evidence) -> Vec<String> {
    let taken: BTreeSet<(&str, &str)> =
        evidence.arrivals.iter().filter(|a| a.is_taken()).map(|a| (a.path.as_str(), a.id())).collect();
    let mut found = Vec::new();
    for (path, subscriber) in evidence.subscribers.iter().filter(|(_, subscriber)| subscriber.is_open()) {
        let log = evidence.logs.get(&subscriber.business).into_iter().flatten();
        let dead: BTreeSet<u64> =
            evidence.dead.get(&subscriber.id).into_iter().flatten().map(|letter| letter.seq).collect();
        for change in log {
            let id = DeliveryId::of_change(change.id, subscriber.id).to_string();
            let is_settled = taken.contains(&(path.as_str(), id.as_str())) || dead.contains(&change.seq);
            let is_owed = !is_settled && subscriber.is_owed(change, evidence.before(&subscriber.business, change));
            let may_be_replaced = is_owed && subscriber.ordering() == Ordering::Latest;
            if is_owed && !(may_be_replaced && is_replaced(evidence, subscriber, change)) {
                found.push(format!(
                    "{path} {} was never told of {} seq {} ({} of {})",
                    subscriber.id, subscriber.business, change.seq, change.kind, change.record
                ));
            }
        }
    }
    found
}

/// Whether a later change of the record was wanted, and so could take its place: that one is judged by itself.
fn is_replaced(evidence: &Evidence, subscriber: &Subscriber, change: &Change) -> bool {
    let log = evidence.logs.get(&subscriber.business).into_iter().flatten();
    let mut later = log.filter(|later| later.record == change.record && later.seq > change.seq);
    later.any(|later| {
        let before = evidence.before(&subscriber.business, later);
        subscriber.spans.iter().any(|span| span.is_open() && model::told(span, later, before).is_some())
    })
}

/// What waits for a subscriber that is well has no reason to.
fn leftovers(evidence: &Evidence) -> Vec<String> {
    let open: BTreeSet<_> =
        evidence.subscribers.values().filter(|subscriber| subscriber.is_open()).map(|open| open.id).collect();
    let parked = evidence.outlets.iter().flat_map(|outlet| &outlet.parked).filter(|(id, _)| open.contains(id));
    let lanes = evidence.outlets.iter().flat_map(|outlet| &outlet.lanes).filter(|(id, _)| open.contains(id));
    let notices = evidence.notices.iter().filter(|notice| open.contains(&notice.subscription));
    let has_waited = |subscriber: &Subscriber| subscriber.spans.iter().all(|span| span.is_open());
    let all_well = evidence.subscribers.values().all(|subscriber| subscriber.is_open() && has_waited(subscriber));
    let running = evidence
        .operations
        .values()
        .filter(|operation| all_well && matches!(operation.state, OperationState::Sync { waiting: 1.., .. }));
    parked
        .map(|(id, row)| format!("{} is still parked for {id} at seq {}", row.record, row.first_seq))
        .chain(lanes.map(|(id, cursor)| format!("the lane of {id} still stands at {cursor}")))
        .chain(notices.map(|notice| format!("a notice still waits for {}: {:?}", notice.subscription, notice.body)))
        .chain(running.map(|operation| format!("{} still runs", operation.id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sample::{order, sample};

    #[test]
    fn a_kept_promise_is_not_a_breach() {
        assert_eq!(check(&sample()), Vec::<String>::new());
    }

    #[test]
    fn a_hole_is_found() {
        let mut evidence = sample();
        evidence.logs.values_mut().next().unwrap().remove(1);
        assert!(check(&evidence).iter().any(|breach| breach.contains("position 2 holds seq 3")));
    }

    #[test]
    fn a_change_that_never_arrived_is_found() {
        let mut evidence = sample();
        evidence.arrivals.remove(1);
        assert!(check(&evidence)[0].contains("never told"), "{:?}", check(&evidence));
    }

    #[test]
    fn where_only_the_latest_counts_one_that_was_replaced_need_not_arrive_but_the_newest_must() {
        let mut evidence = sample();
        order(&mut evidence, Ordering::Latest);
        evidence.arrivals.drain(..2);
        assert_eq!(check(&evidence), Vec::<String>::new());
        evidence.arrivals.clear();
        assert_eq!(check(&evidence).len(), 1, "{:?}", check(&evidence));
    }

    #[test]
    fn a_change_that_was_refused_for_ever_is_found_unless_it_is_a_dead_letter() {
        let mut evidence = sample();
        evidence.arrivals[1].status = Some(500);
        assert_eq!(check(&evidence).len(), 1);
        let subscriber = evidence.subscribers.values().next().unwrap().id;
        let change = evidence.logs.values().next().unwrap()[1].clone();
        let letter = lockstep_core::delivery::DeadLetter {
            seq: 2,
            ty: change.ty.clone(),
            record: change.record,
            at: change.at,
            attempts: 11,
            reason: String::new(),
        };
        evidence.dead.insert(subscriber, vec![letter]);
        assert_eq!(check(&evidence), Vec::<String>::new());
    }
}
