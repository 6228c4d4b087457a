//! Judges a trial: what clients were told, what the subscriber received, and which promises that breaks.
//!
//! A pure function over what was recorded. `promises_judged` shows for each rule that it can find a breach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Created,
    Updated,
    Deleted,
    Correlated,
}

/// One attempt of one change, as the subscriber saw it.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Which process sent it.
    pub(crate) life: u32,
    /// Whether the subscriber took it.
    pub(crate) is_accepted: bool,
    pub(crate) is_signed: bool,
    pub(crate) webhook_id: String,
    pub(crate) act: Act,
    pub(crate) seq: u64,
    pub(crate) record: String,
    pub(crate) version: u64,
    /// What the writer called the record; a delete need not say.
    pub(crate) tag: Option<String>,
    /// The number that the record's writer counts up.
    pub(crate) counter: Option<u64>,
    pub(crate) external_ids: Vec<String>,
    /// A digest of type and data.
    pub(crate) content: u64,
}

/// One command that was answered with 202.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) tag: String,
    pub(crate) record: String,
    pub(crate) act: Act,
    pub(crate) counter: u64,
    /// Whether the record was created under the tag as its external id.
    pub(crate) has_external_id: bool,
}

/// What sync-by-id showed of a record at the end.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) is_signed: bool,
    pub(crate) record: String,
    pub(crate) version: u64,
    pub(crate) counter: Option<u64>,
}

/// All that a trial recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// In order of arrival.
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Records whose sync was asked for at the end.
    pub(crate) asked: Vec<String>,
    pub(crate) shown: Vec<Shown>,
    /// The log's last seq.
    pub(crate) head: u64,
    /// What should never have come: other answers, other notices, waits without end.
    pub(crate) surprises: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    /// What was acknowledged is there.
    P1,
    /// The log has no holes.
    P2,
    /// Each record's changes arrive in order.
    P3,
    /// One id and one content a change, one effect a key.
    P4,
    /// Every delivery is signed.
    Signed,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) promise: Promise,
    pub(crate) what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}

/// Every breach in the evidence.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Breach> {
    let told = |promise, found: Vec<String>| found.into_iter().map(move |what| Breach { promise, what });
    told(Promise::P1, evidence.surprises.clone())
        .chain(told(Promise::P1, missing_work(evidence)))
        .chain(told(Promise::P1, stale_sights(evidence)))
        .chain(told(Promise::P2, holes(evidence)))
        .chain(told(Promise::P3, disorder(&evidence.deliveries)))
        .chain(told(Promise::P4, doubles(evidence)))
        .chain(told(Promise::Signed, unsigned(evidence)))
        .collect()
}

/// The first breaches of each promise, a line each.
pub(crate) fn report(breaches: &[Breach]) -> String {
    const SHOWN: usize = 8;
    let mut by_promise = BTreeMap::<Promise, Vec<&Breach>>::new();
    for breach in breaches {
        by_promise.entry(breach.promise).or_default().push(breach);
    }
    let mut text = String::new();
    for (promise, found) in by_promise {
        text += &format!("{promise:?} broken {} times\n", found.len());
        for breach in found.iter().take(SHOWN) {
            text += &format!("  {breach}\n");
        }
    }
    text
}

/// Accepted deliveries of each record, by seq; attempts of one seq count once.
fn chains(deliveries: &[Delivery]) -> BTreeMap<&str, BTreeMap<u64, &Delivery>> {
    let mut chains = BTreeMap::<&str, BTreeMap<u64, &Delivery>>::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.is_accepted) {
        chains.entry(&delivery.record).or_default().entry(delivery.seq).or_insert(delivery);
    }
    chains
}

fn missing_work(evidence: &Evidence) -> Vec<String> {
    let chains = chains(&evidence.deliveries);
    let mut found = Vec::new();
    for done in &evidence.acknowledged {
        let is_it = |delivery: &&Delivery| {
            delivery.act == done.act
                && match done.act {
                    Act::Created => delivery.tag.as_ref() == Some(&done.tag) && delivery.counter == Some(done.counter),
                    Act::Updated => delivery.counter == Some(done.counter),
                    Act::Deleted | Act::Correlated => true,
                }
        };
        let chain = chains.get(done.record.as_str());
        let told = chain.and_then(|chain| chain.values().copied().find(is_it));
        let Acknowledged { tag, record, act, counter, .. } = done;
        match told {
            None => found.push(format!("{act:?} of {tag} ({record}) to {counter} was acknowledged, never delivered")),
            Some(told) if done.has_external_id && act == &Act::Created && !told.external_ids.contains(tag) => {
                found.push(format!("{record} came as {:?}, without its external id {tag}", told.external_ids));
            }
            Some(_) => {}
        }
    }
    for (record, chain) in &chains {
        let mut highest = 0;
        for (seq, counter) in chain.iter().filter_map(|(seq, delivery)| Some((seq, delivery.counter?))) {
            if counter < highest {
                found.push(format!("{record} went back from {highest} to {counter} at seq {seq}"));
            }
            highest = counter.max(highest);
        }
    }
    found
}

fn stale_sights(evidence: &Evidence) -> Vec<String> {
    let mut newest = BTreeMap::<&str, u64>::new();
    for done in &evidence.acknowledged {
        let counter = newest.entry(&done.record).or_default();
        *counter = done.counter.max(*counter);
    }
    let chains = chains(&evidence.deliveries);
    let shown: BTreeMap<&str, &Shown> = evidence.shown.iter().map(|shown| (shown.record.as_str(), shown)).collect();
    let look = |record: &String| {
        let Some(shown) = shown.get(record.as_str()) else {
            return Some(format!("{record} was acknowledged, and its sync shows nothing"));
        };
        let told = chains.get(record.as_str()).and_then(|chain| chain.values().last()).map_or(0, |last| last.version);
        let acknowledged = newest.get(record.as_str()).copied().unwrap_or_default();
        (shown.version < told || shown.counter.unwrap_or_default() < acknowledged).then(|| {
            format!("{record} shows {shown:?}, older than version {told} told and count {acknowledged} acknowledged")
        })
    };
    evidence.asked.iter().filter_map(look).collect()
}

fn holes(evidence: &Evidence) -> Vec<String> {
    let seqs: BTreeSet<u64> =
        evidence.deliveries.iter().filter(|delivery| delivery.is_accepted).map(|delivery| delivery.seq).collect();
    let mut found = Vec::new();
    let missing: Vec<u64> = (1..=evidence.head).filter(|seq| !seqs.contains(seq)).collect();
    if !missing.is_empty() {
        let first = &missing[..missing.len().min(10)];
        found.push(format!("{} of {} seqs never arrived, first {first:?}", missing.len(), evidence.head));
    }
    if let Some(last) = seqs.last().filter(|last| **last > evidence.head) {
        found.push(format!("seq {last} arrived, and the head is {}", evidence.head));
    }
    if seqs.first() == Some(&0) || evidence.head == 0 {
        found.push("a seq below 1, or no seq at all".to_owned());
    }
    for (record, chain) in chains(&evidence.deliveries) {
        let versions: Vec<u64> = chain.values().map(|delivery| delivery.version).collect();
        if versions.iter().zip(1..).any(|(version, place)| *version != place) {
            found.push(format!("{record} has the versions {versions:?}"));
        }
    }
    found
}

fn disorder(deliveries: &[Delivery]) -> Vec<String> {
    let chains = chains(deliveries);
    let mut accepted = BTreeSet::new();
    let mut last_in_life = BTreeMap::new();
    let mut found = Vec::new();
    for Delivery { life, record, seq, is_accepted, .. } in deliveries {
        // By induction over arrivals, one step back in the record's chain is enough.
        let before = chains.get(record.as_str()).and_then(|chain| chain.range(..seq).next_back());
        if let Some((before, _)) = before.filter(|(before, _)| !accepted.contains(&(record, **before))) {
            found.push(format!("{record}: seq {seq} came before seq {before} was taken"));
        }
        let last = last_in_life.entry((life, record)).or_insert(seq);
        if seq < *last {
            found.push(format!("{record}: seq {seq} came after seq {last} from the same process ({life})"));
        }
        *last = seq;
        if *is_accepted {
            accepted.insert((record, *seq));
        }
    }
    found
}

fn doubles(evidence: &Evidence) -> Vec<String> {
    let mut by_seq = BTreeMap::<u64, &Delivery>::new();
    let mut by_id = BTreeMap::<&str, u64>::new();
    let mut made = BTreeMap::<&str, BTreeSet<(&str, u64)>>::new();
    let mut found = Vec::new();
    for delivery in &evidence.deliveries {
        let Delivery { seq, webhook_id, content, .. } = delivery;
        let first = by_seq.entry(*seq).or_insert(delivery);
        if first.webhook_id != *webhook_id {
            found.push(format!("seq {seq} came as {} and as {webhook_id}", first.webhook_id));
        } else if first.content != *content {
            found.push(format!("seq {seq} ({webhook_id}) came with two contents"));
        }
        let other = by_id.entry(webhook_id).or_insert(*seq);
        if other != seq {
            found.push(format!("{webhook_id} came for seq {other} and for seq {seq}"));
        }
        if let (Act::Created, Some(tag)) = (delivery.act, &delivery.tag) {
            made.entry(tag).or_default().insert((&delivery.record, *seq));
        }
    }
    let twice = made.iter().filter(|(_, made)| made.len() > 1);
    found.extend(twice.map(|(tag, made)| format!("{tag} was created more than once: {made:?}")));
    let mut records = BTreeMap::<&str, &str>::new();
    for done in &evidence.acknowledged {
        let first = records.entry(&done.tag).or_insert(&done.record);
        if *first != done.record {
            found.push(format!("{} was answered with {first} and with {}", done.tag, done.record));
        }
    }
    found
}

fn unsigned(evidence: &Evidence) -> Vec<String> {
    let deliveries = evidence.deliveries.iter().filter(|delivery| !delivery.is_signed).map(|delivery| delivery.seq);
    let sights = evidence.shown.iter().filter(|shown| !shown.is_signed).map(|shown| &shown.record);
    deliveries
        .map(|seq| format!("the signature of seq {seq} does not verify"))
        .chain(sights.map(|record| format!("the signature of the sync of {record} does not verify")))
        .collect()
}
