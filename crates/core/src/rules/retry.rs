//! When a refused delivery is tried again, and what an endpoint's answer means.

use crate::limits;
use std::time::Duration;

/// Waits between tries of one delivery: quick while a restart may be all that is wrong, then patient; about
/// three days and four hours in all.
const SCHEDULE_S: [u64; 10] = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The wait after try number `attempt` (from 1) has failed, spread by up to a fifth either way; none when the
/// schedule has ended and the delivery is a dead letter.
#[must_use]
pub fn wait_after(attempt: u32, fraction: f64) -> Option<Duration> {
    let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let seconds = *SCHEDULE_S.get(index)?;
    Some(Duration::from_secs(seconds).mul_f64(0.8 + 0.4 * fraction.clamp(0.0, 1.0)))
}

/// The wait before the next probe of a closed gate, twice the last one up to its limit.
#[must_use]
pub fn probe_after(last: Option<Duration>, is_throttled: bool) -> Duration {
    let first = if is_throttled { limits::THROTTLE_FIRST_MS } else { limits::PROBE_FIRST_MS };
    let doubled = last.map_or(Duration::from_millis(first), |last| last * 2);
    doubled.min(Duration::from_millis(limits::PROBE_LAST_MS))
}

/// What an answer means for the delivery and its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Settled.
    Delivered,
    /// Refused; try again on the schedule.
    Refused,
    /// The endpoint asks for less: wait, this long if it says so.
    Throttled(Option<Duration>),
    /// The endpoint wants nothing more, ever.
    Gone,
}

/// Reads an answer's status and `Retry-After` (in seconds).
#[must_use]
pub fn verdict(status: u16, retry_after_s: Option<u64>) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        410 => Verdict::Gone,
        429 | 502 | 503 | 504 => {
            let asked = retry_after_s
                .map(|seconds| Duration::from_secs(seconds).min(Duration::from_millis(limits::RETRY_AFTER_MS_MAX)));
            Verdict::Throttled(asked)
        }
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_spreads_and_ends() {
        let wait = |attempt, fraction| wait_after(attempt, fraction).map(|wait| wait.as_secs());
        assert_eq!([wait(1, 0.0), wait(1, 0.5), wait(1, 1.0)], [Some(4), Some(5), Some(6)]);
        assert_eq!(wait(10, 0.5), Some(86_400));
        assert_eq!([wait(0, 0.5), wait(11, 0.5)], [None, None]);
    }

    #[test]
    fn answers_are_read_as_promised() {
        let table = [
            (200, None, Verdict::Delivered),
            (204, None, Verdict::Delivered),
            (302, None, Verdict::Refused),
            (400, None, Verdict::Refused),
            (500, None, Verdict::Refused),
            (410, Some(9), Verdict::Gone),
            (429, Some(7), Verdict::Throttled(Some(Duration::from_secs(7)))),
            (503, None, Verdict::Throttled(None)),
            (504, Some(u64::MAX), Verdict::Throttled(Some(Duration::from_secs(3_600)))),
        ];
        for (status, after, expected) in table {
            assert_eq!(verdict(status, after), expected, "{status}");
        }
    }

    #[test]
    fn probes_slow_down_to_their_limit() {
        let mut wait = None;
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                let next = probe_after(wait, false);
                wait = Some(next);
                next.as_secs()
            })
            .collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(probe_after(None, true).as_secs(), 1);
    }
}
