//! The row of a gate: since when an endpoint has been down, and whether its owner knows, kept over restarts.

use super::lane::{Closed, Gate, Lane};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::Down;
use lockstep_core::limits;
use lockstep_store::settle::LaneStep;
use std::time::Duration;

impl Lane {
    /// Closes the gate as it was stored; the endpoint is probed at once.
    pub(super) fn restore_gate(&mut self, down: Down, now: Timestamp) {
        self.down = Some(down);
        self.is_restored = true;
        self.gate = Gate::Closed(Closed {
            since: down.since,
            next_at: now,
            wait: Duration::from_millis(limits::PROBE_FIRST_MS),
            is_probing: false,
            reason: "it was down before the hub was started".to_owned(),
            is_warned: down.is_warned,
        });
    }

    /// Takes in another addressee. An endpoint that is another one, or asked for anew, has its days again; one that
    /// is only addressed again after a restart has not.
    pub(super) fn readdressed(&mut self, is_another: bool) {
        if is_another && !std::mem::take(&mut self.is_restored) {
            self.reopen();
        }
    }

    /// What must become of the row for the gate to be read back from it.
    pub(super) fn gate_step(&self) -> Option<LaneStep> {
        let down = match &self.gate {
            Gate::Open => None,
            Gate::Closed(closed) => Some(Down { since: closed.since, is_warned: closed.is_warned }),
        };
        (down != self.down).then(|| down.map_or(LaneStep::Opened, LaneStep::Shut))
    }
}
