//! Windows of load: warm up, count for a while, and what that cost; and the sums made of them.

use std::time::Duration;

use anyhow::bail;

use super::hub::Hub;
use super::load::{ClosedLoop, Errand};
use super::process::Process;
use super::{Bench, clock, sink};

/// Longest wait for another delivery while some are out: longer than a delivery's time and its first retry.
const STALL_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A closed loop against one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Expected answers per second.
    pub(crate) rate: f64,
    /// The server's processor time per answer, in microseconds.
    pub(crate) cpu_us: f64,
}

/// Loads `process` by `errand` in a closed loop for the bench's window.
pub(crate) async fn closed_loop(bench: &Bench, process: &Process, errand: Errand) -> anyhow::Result<Window> {
    let load = ClosedLoop::start(errand, bench.connections(), u64::MAX);
    tokio::time::sleep(clock::WARM_UP).await;
    let (started, before, cpu_before) = (clock::now(), load.answered(), process.cpu_us()?);
    tokio::time::sleep(bench.window()).await;
    let (answered, cpu_us) = (load.answered() - before, process.cpu_us()? - cpu_before);
    let lasted = started.elapsed().as_secs_f64();
    load.stop().await?;
    Ok(Window { rate: answered as f64 / lasted, cpu_us: per(cpu_us, answered) })
}

/// A closed loop against a hub that delivers at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Through {
    /// Creates accepted per second of the window.
    pub(crate) accepted: f64,
    /// Distinct deliveries that reached the sink per second of the window.
    pub(crate) delivered: f64,
    /// The hub's processor time per unit, from the first create to the last delivery, in microseconds.
    pub(crate) cpu_us: f64,
    /// Accepted and not yet delivered, halfway.
    pub(crate) backlog_half: u64,
    /// The same when the window ended.
    pub(crate) backlog_end: u64,
    /// How long the rest took when the load had stopped, in milliseconds.
    pub(crate) drain_ms: f64,
    /// Deliveries that came more than once.
    pub(crate) repeated: u64,
}

impl Through {
    /// What went all the way, per second: the slower of the two ends.
    pub(crate) fn units(&self) -> f64 {
        self.accepted.min(self.delivered)
    }
}

/// Creates at `hub` in a closed loop for `window`, while `sink` counts; waits until all has arrived.
///
/// # Errors
/// An answer other than 202, or deliveries that never come.
pub(crate) async fn through(bench: &Bench, hub: &Hub, sink: &Process, window: Duration) -> anyhow::Result<Through> {
    let (at_first, cpu_first) = (sink::counts(sink, hub.board()).await?, hub.process().cpu_us()?);
    let load = ClosedLoop::start(hub.creating(bench)?, bench.connections(), u64::MAX);
    tokio::time::sleep(clock::WARM_UP).await;
    let (started, before) = (clock::now(), load.answered());
    let arrived_before = sink::counts(sink, hub.board()).await?.distinct;
    tokio::time::sleep(window / 2).await;
    let (half, arrived_half) = (load.answered(), sink::counts(sink, hub.board()).await?.distinct);
    tokio::time::sleep(window / 2).await;
    let end = load.answered();
    let lasted = started.elapsed().as_secs_f64();
    let arrived_end = sink::counts(sink, hub.board()).await?.distinct;
    let total = load.stop().await?;
    let stopped = clock::now();
    let at_last = arrival_of(sink, hub.board(), at_first.distinct + total).await?;
    let backlog = |answered: u64, arrived: u64| answered.saturating_sub(arrived - at_first.distinct);
    Ok(Through {
        accepted: (end - before) as f64 / lasted,
        delivered: (arrived_end - arrived_before) as f64 / lasted,
        cpu_us: per(hub.process().cpu_us()? - cpu_first, total),
        backlog_half: backlog(half, arrived_half),
        backlog_end: backlog(end, arrived_end),
        drain_ms: stopped.elapsed().as_secs_f64() * 1_000.0,
        repeated: (at_last.all - at_first.all).saturating_sub(total),
    })
}

/// Waits until `board` has seen `distinct` different changes.
///
/// # Errors
/// Some are missing and none has come for half a minute.
pub(crate) async fn arrival_of(sink: &Process, board: usize, distinct: u64) -> anyhow::Result<sink::Counts> {
    let (mut seen, mut advanced) = (0, clock::now());
    loop {
        let counts = sink::counts(sink, board).await?;
        if counts.distinct >= distinct {
            return Ok(counts);
        }
        if counts.distinct > seen {
            (seen, advanced) = (counts.distinct, clock::now());
        }
        if advanced.elapsed() > STALL_MAX {
            bail!("{} deliveries are missing and none has come for {STALL_MAX:?}", distinct - seen);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |at: usize| values.get(at).copied().unwrap_or(0.0);
    if values.len().is_multiple_of(2) { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) } else { at(middle) }
}

/// The value that `share` of the values (0 to 1) do not exceed; 0 of none.
pub(crate) fn quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    let at = usize::try_from(whole(last as f64 * share)).unwrap_or(last);
    values.get(at.min(last)).copied().unwrap_or(0)
}

/// Rounded to a whole number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounding is what it is for")]
pub(crate) fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// `sum` per one of `count`; 0 if there is none.
pub(crate) fn per(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

/// Rounded to three places, for the report.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut values: Vec<u64> = (1..=101).rev().collect();
        assert_eq!(quantile(&mut values, 0.5), 51);
        assert_eq!(quantile(&mut values, 0.99), 100);
        assert_eq!(quantile(&mut [], 0.5), 0);
    }
}
