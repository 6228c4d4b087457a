//! When a refused delivery is tried again, and what an endpoint's answer means.

use crate::clock::Timestamp;
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

/// Reads an answer's status and `Retry-After`, which is seconds or a date.
#[must_use]
pub fn verdict(status: u16, retry_after: Option<&str>, now: Timestamp) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        410 => Verdict::Gone,
        429 | 502 | 503 | 504 => {
            let longest = Duration::from_millis(limits::RETRY_AFTER_MS_MAX);
            let asked = retry_after.and_then(|text| wait_asked(text.trim(), now)).map(|asked| asked.min(longest));
            Verdict::Throttled(asked)
        }
        _ => Verdict::Refused,
    }
}

fn wait_asked(text: &str, now: Timestamp) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds ask for longer than is ever obeyed.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Duration::from_millis(Timestamp(date.timestamp().as_millisecond()).ms_since(now)))
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
        let at_784_111_777 = "Sun, 06 Nov 1994 08:49:37 GMT";
        let seconds = |seconds| Verdict::Throttled(Some(Duration::from_secs(seconds)));
        let table = [
            (200, None, Verdict::Delivered),
            (204, None, Verdict::Delivered),
            (302, None, Verdict::Refused),
            (400, None, Verdict::Refused),
            (500, None, Verdict::Refused),
            (410, Some("9"), Verdict::Gone),
            (429, Some(" 7 "), seconds(7)),
            (429, Some(at_784_111_777), seconds(90)),
            (503, None, Verdict::Throttled(None)),
            (503, Some("soon"), Verdict::Throttled(None)),
            (504, Some("99999999999999999999"), seconds(3_600)),
            (502, Some("Sun, 06 Nov 9994 08:49:37 GMT"), seconds(3_600)),
        ];
        for (status, after, expected) in table {
            assert_eq!(verdict(status, after, Timestamp(784_111_687_000)), expected, "{status}");
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
