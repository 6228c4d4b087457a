//! P1: what was answered as accepted is there.

use crate::evidence::{Ack, Evidence};
use lockstep_core::command::Ending;
use lockstep_core::operation::OperationState;

/// Acknowledged commands whose effect cannot be found.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<String> {
    evidence.acks.iter().filter_map(|ack| missing(evidence, ack)).collect()
}

fn missing(evidence: &Evidence, ack: &Ack) -> Option<String> {
    let Ending::Changed { seq, version } = &ack.outcome.ending else {
        return row_missing(evidence, ack);
    };
    let (seq, version) = (*seq, *version);
    let Some(change) = evidence.change(&ack.business, seq) else {
        return Some(format!("{} seq {seq} was acknowledged and is not in the log", ack.business));
    };
    if Some(change.record) != ack.outcome.record || change.version != version {
        return Some(format!(
            "{} seq {seq} was acknowledged as {:?} version {version} and is {} version {}",
            ack.business, ack.outcome.record, change.record, change.version
        ));
    }
    if change.origin.application() != Some(ack.application) {
        return Some(format!("{} seq {seq} has another origin than who asked", ack.business));
    }
    let lost = ack.wrote.iter().flatten().find(|(field, value)| match change.state.fields.get(*field) {
        None => !value.is_null(),
        Some(standing) => standing != *value,
    });
    lost.map(|(field, value)| format!("{} seq {seq} does not hold {field}: {value}", ack.business))
}

/// What made no change has a row that says how it ended.
fn row_missing(evidence: &Evidence, ack: &Ack) -> Option<String> {
    let state = evidence.operations.get(&ack.outcome.operation).map(|row| &row.state);
    let is_there = matches!(
        (&ack.outcome.ending, state),
        (Ending::Unchanged, Some(OperationState::Unchanged))
            | (Ending::Failed(_), Some(OperationState::Failed { .. }))
            | (Ending::Syncing { .. }, Some(OperationState::Sync { .. }))
    );
    let operation = ack.outcome.operation;
    (!is_there).then(|| format!("{operation} ended as {:?} and its row says {state:?}", ack.outcome.ending))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sample::sample;
    use std::sync::Arc;

    #[test]
    fn a_kept_promise_is_not_a_breach() {
        assert_eq!(check(&sample()), Vec::<String>::new());
    }

    #[test]
    fn a_lost_change_is_found() {
        let mut evidence = sample();
        evidence.logs.values_mut().next().unwrap().pop();
        assert!(check(&evidence)[0].contains("not in the log"));
    }

    #[test]
    fn a_lost_value_is_found() {
        let mut evidence = sample();
        let log = evidence.logs.values_mut().next().unwrap();
        let mut last = (**log.last().unwrap()).clone();
        last.state = Arc::default();
        *log.last_mut().unwrap() = Arc::new(last);
        assert!(check(&evidence)[0].contains("does not hold"));
    }
}
