//! P4: one stable id for each change and subscription; a repeated key or external id has effect once.

use crate::evidence::Evidence;
use std::collections::{BTreeMap, BTreeSet};

/// Ids that are not stable and effects that came twice.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<String> {
    [ids(evidence), keys(evidence), externals(evidence)].concat()
}

fn ids(evidence: &Evidence) -> Vec<String> {
    let deliveries = evidence.deliveries();
    let mut notices: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    let mut found = Vec::new();
    for arrival in &evidence.arrivals {
        let Some(subscriber) = evidence.subscribers.get(&arrival.path) else {
            found.push(format!("something arrived under {}, which nobody asked for", arrival.path));
            continue;
        };
        let body = arrival.json();
        let said = body.pointer("/data/seq").or(body.get("seq")).and_then(serde_json::Value::as_u64).unwrap_or(0);
        match deliveries.get(arrival.id()) {
            Some((id, seq)) if *id == subscriber.id && (said == *seq || said == 0) => {}
            Some((id, seq)) => found.push(format!(
                "{} stands for seq {seq} and {id}, and came as seq {said} to {}",
                arrival.id(),
                subscriber.id
            )),
            None if said != 0 => found.push(format!("seq {said} came to {} as {}", subscriber.id, arrival.id())),
            None => {
                let text = String::from_utf8_lossy(&arrival.body);
                let about = text.find("op_").and_then(|at| text.get(at..at + 29)).unwrap_or_default().to_owned();
                let first = notices.entry(arrival.id()).or_insert((&arrival.path, about.clone()));
                // Not every format names the operation.
                let is_other = !about.is_empty() && !first.1.is_empty() && first.1 != about;
                if first.0 != arrival.path || is_other {
                    found.push(format!("{} stands for two notices", arrival.id()));
                }
            }
        }
    }
    found
}

/// Commands with one key have one outcome, and what they wrote was written once.
fn keys(evidence: &Evidence) -> Vec<String> {
    let mut found = Vec::new();
    let mut outcomes = BTreeMap::new();
    let mut written = BTreeSet::new();
    for ack in &evidence.acks {
        let Some(key) = &ack.key else { continue };
        let first = outcomes.entry(key).or_insert(&ack.outcome);
        if **first != ack.outcome {
            found.push(format!("the key {key} was answered with {first:?} and with {:?}", ack.outcome));
        }
        written.extend(ack.wrote.as_ref().and_then(|wrote| wrote.get("notes")?.as_str()));
    }
    for (business, log) in &evidence.logs {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for change in log {
            let notes = change.state.fields.get("notes").and_then(serde_json::Value::as_str);
            let is_new = change.old.contains_key("notes") || change.prev_seq == 0;
            if let Some(notes) = notes.filter(|notes| is_new && written.contains(notes)) {
                *times.entry(notes).or_default() += 1;
            }
        }
        let twice = times.iter().filter(|(_, times)| **times > 1);
        found.extend(twice.map(|(notes, times)| format!("{business}: {notes} was written {times} times")));
    }
    found
}

/// An external id that is never taken off makes one record.
fn externals(evidence: &Evidence) -> Vec<String> {
    let mut holders = BTreeMap::new();
    let mut found = Vec::new();
    for ack in &evidence.acks {
        let (Some(external), Some(record)) = (&ack.external, ack.outcome.record) else { continue };
        if matches!(ack.outcome.ending, lockstep_core::command::Ending::Failed(_)) {
            continue;
        }
        let key = (&ack.business, ack.application, &ack.ty, external);
        let first = holders.entry(key).or_insert(record);
        if *first != record {
            found.push(format!("{}: {external} made {first} and {record}", ack.business));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sample::sample;

    #[test]
    fn a_kept_promise_is_not_a_breach() {
        assert_eq!(check(&sample()), Vec::<String>::new());
    }

    #[test]
    fn another_id_for_the_same_change_is_found() {
        let mut evidence = sample();
        let id = evidence.arrivals[0].headers.get("webhook-id").unwrap().clone();
        evidence.arrivals[1].headers.insert("webhook-id", id);
        assert!(check(&evidence)[0].contains("stands for seq 1"), "{:?}", check(&evidence));
        evidence.arrivals[1].headers.insert("webhook-id", http::HeaderValue::from_static("dlv_other"));
        assert!(check(&evidence)[0].contains("came to"), "{:?}", check(&evidence));
    }

    #[test]
    fn a_second_effect_of_a_key_is_found() {
        let mut evidence = sample();
        let mut again = evidence.acks[0].clone();
        again.outcome.record = None;
        evidence.acks.push(again);
        assert!(check(&evidence)[0].contains("was answered with"), "{:?}", check(&evidence));
    }

    #[test]
    fn a_second_record_of_an_external_id_is_found() {
        let mut evidence = sample();
        for (number, ack) in evidence.acks.iter_mut().enumerate() {
            ack.external = Some("x1".to_owned());
            ack.outcome.record = Some(lockstep_core::ids::RecordId(number as u128));
        }
        assert!(check(&evidence).iter().any(|breach| breach.contains("x1 made")));
    }
}
