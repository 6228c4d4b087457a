//! P3: each record's changes arrive in order at each endpoint, each of them where the subscription asks for that, and
//! never an older one after a newer where only the latest counts. Who wants no order is not judged. After a restart the order may begin again earlier,
//! and then holds again; replays stand outside.

use crate::endpoint::Arrival;
use crate::evidence::{Evidence, Subscriber};
use lockstep_core::change::Change;
use lockstep_core::ids::RecordId;
use lockstep_core::subscription::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Arrivals out of order.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<String> {
    let deliveries = evidence.deliveries();
    let mut found = Vec::new();
    let mut walks: BTreeMap<&str, Walk> = BTreeMap::new();
    for arrival in &evidence.arrivals {
        let Some(subscriber) = evidence.subscribers.get(&arrival.path) else { continue };
        if subscriber.ordering() == Ordering::None {
            continue;
        }
        let walk = walks.entry(&arrival.path).or_default();
        match deliveries.get(arrival.id()) {
            Some((_, seq)) if !arrival.is_replay() => {
                let Some(change) = evidence.change(&subscriber.business, *seq) else { continue };
                found.extend(walk.step(evidence, subscriber, arrival, change));
            }
            // What a replay brought counts as told, but not for the order.
            Some((_, seq)) if arrival.is_taken() => {
                walk.taken.insert(*seq);
            }
            _ => found.extend(walk.current(arrival)),
        }
    }
    found
}

#[derive(Default)]
struct Walk {
    life: u64,
    /// Newest seq and version of each record in this life.
    newest: BTreeMap<RecordId, (u64, u64)>,
    seen: BTreeSet<u64>,
    taken: BTreeSet<u64>,
}

impl Walk {
    fn enter(&mut self, life: u64) {
        if self.life != life {
            self.life = life;
            self.newest.clear();
            self.seen.clear();
        }
    }

    fn step(
        &mut self,
        evidence: &Evidence,
        subscriber: &Subscriber,
        arrival: &Arrival,
        change: &Change,
    ) -> Option<String> {
        self.enter(arrival.life);
        let (path, seq, record) = (&arrival.path, change.seq, change.record);
        let newest = self.newest.get(&record).map_or(0, |(newest, _)| *newest);
        let is_first = self.seen.insert(seq);
        let is_each_due = subscriber.ordering() == Ordering::Record;
        let skipped = is_each_due.then(|| self.skipped(evidence, subscriber, arrival, change)).flatten();
        if arrival.is_taken() {
            self.taken.insert(seq);
        }
        if seq > newest {
            self.newest.insert(record, (seq, change.version));
        }
        if is_first && seq < newest {
            return Some(format!("{path} {record}: seq {seq} arrived after seq {newest} at {}", arrival.at));
        }
        skipped.map(|earlier| {
            format!("{path} {record}: seq {seq} arrived at {} before seq {earlier} was taken", arrival.at)
        })
    }

    /// The record's latest earlier change that should have been taken first and was not.
    fn skipped(&self, evidence: &Evidence, subscriber: &Subscriber, arrival: &Arrival, change: &Change) -> Option<u64> {
        let mut prev = change.prev_seq;
        while prev > subscriber.start {
            let earlier = evidence.change(&subscriber.business, prev)?;
            if subscriber.is_owed(earlier, evidence.before(&subscriber.business, earlier)) {
                let buried = evidence.past.buried.get(&(subscriber.id, prev));
                let is_over = self.taken.contains(&prev) || buried.is_some_and(|at| *at <= arrival.at);
                return (!is_over).then_some(prev);
            }
            prev = earlier.prev_seq;
        }
        None
    }

    /// A record as it is must not be older than a change of it already sent.
    fn current(&mut self, arrival: &Arrival) -> Option<String> {
        let body = arrival.json();
        let record = body.pointer("/data/record")?;
        if !body.get("type")?.as_str()?.ends_with(".current") {
            return None;
        }
        self.enter(arrival.life);
        let (id, version) = (record.get("id")?.as_str()?.parse::<RecordId>().ok()?, record.get("version")?.as_u64()?);
        let (_, newest) = self.newest.get(&id)?;
        (version < *newest)
            .then(|| format!("{} {id}: a current of version {version} after version {newest}", arrival.path))
    }
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
    fn a_reordering_is_found() {
        let mut evidence = sample();
        evidence.arrivals.swap(0, 1);
        assert!(check(&evidence).iter().any(|breach| breach.contains("after seq 2")), "{:?}", check(&evidence));
    }

    #[test]
    fn where_only_the_latest_counts_changes_may_be_left_out_but_never_turned_round() {
        let mut evidence = sample();
        order(&mut evidence, Ordering::Latest);
        evidence.arrivals.remove(1);
        assert_eq!(check(&evidence), Vec::<String>::new());
        evidence.arrivals.swap(0, 1);
        assert_eq!(check(&evidence).len(), 1, "{:?}", check(&evidence));
        order(&mut evidence, Ordering::None);
        assert_eq!(check(&evidence), Vec::<String>::new());
    }

    #[test]
    fn a_rewind_is_allowed_only_in_another_life() {
        let mut evidence = sample();
        let mut again = evidence.arrivals[0].clone();
        evidence.arrivals.push(again.clone());
        assert_eq!(check(&evidence), Vec::<String>::new(), "another attempt is no new arrival");
        evidence.arrivals.pop();
        again.life += 1;
        evidence.arrivals.push(again);
        assert_eq!(check(&evidence), Vec::<String>::new());
    }

    #[test]
    fn overtaking_a_change_that_was_refused_is_found() {
        let mut evidence = sample();
        evidence.arrivals[0].status = Some(500);
        assert!(check(&evidence)[0].contains("before seq 1 was taken"), "{:?}", check(&evidence));
    }
}
