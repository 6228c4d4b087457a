//! The pace of a lane: how many requests a second its endpoint is sent.
//!
//! Requests leave evenly, never more at once than the clock's millisecond makes of it, so that no second holds more than
//! was asked for. An idle lane has nothing but two numbers here.

use lockstep_core::clock::Timestamp;

const SECOND_US: i64 = 1_000_000;
const MS_US: i64 = 1_000;

/// When the next request may leave.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::deliver) struct Pace {
    /// Between two requests, in microseconds; 0 where they are not counted.
    apart_us: i64,
    /// When the next may leave, in microseconds.
    free_at_us: i64,
}

impl Pace {
    /// Takes another limit; what has left counts on.
    pub(in crate::deliver) fn set(&mut self, per_second: Option<u32>) {
        // Rounded up: a moment too late, never one too many.
        self.apart_us = per_second.map_or(0, |count| {
            let count = i64::from(count.max(1));
            (SECOND_US + count - 1) / count
        });
    }

    /// When the next request may leave, where that is later than now.
    pub(super) fn later(self, now: Timestamp) -> Option<Timestamp> {
        let free_at = self.free_at_us.div_euclid(MS_US);
        // A clock that was set back would have it wait for longer than any pace does.
        let is_believable = free_at - now.0 <= self.apart_us / MS_US + 1;
        (self.apart_us > 0 && free_at > now.0 && is_believable).then_some(Timestamp(free_at))
    }

    /// Counts a request.
    pub(super) fn take(&mut self, now: Timestamp) {
        let is_late = self.later(now).is_none() && self.free_at_us.div_euclid(MS_US) != now.0;
        let from = if is_late { now.0.saturating_mul(MS_US) } else { self.free_at_us };
        self.free_at_us = from.saturating_add(self.apart_us);
    }

    /// Gives one back that was not sent after all.
    pub(super) fn give_back(&mut self) {
        self.free_at_us -= self.apart_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instants at which requests leave, of a lane that always has more, asked every so many milliseconds.
    fn left(per_second: u32, step_ms: usize, until_ms: i64) -> Vec<i64> {
        let mut pace = Pace::default();
        pace.set(Some(per_second));
        let mut left = Vec::new();
        for at in (1_000..1_000 + until_ms).step_by(step_ms).map(Timestamp) {
            while pace.later(at).is_none() {
                pace.take(at);
                left.push(at.0);
            }
        }
        left
    }

    #[test]
    fn no_second_holds_more_than_was_asked_for_and_hardly_less() {
        for per_second in [1, 3, 7, 10, 999, 1_000, 1_001, 3_333, 10_000] {
            for step_ms in [1, 7] {
                let left = left(per_second, step_ms, 3_000);
                let count = per_second as usize;
                assert!(left.windows(count + 1).all(|window| window[count] - window[0] >= 1_000), "{per_second}");
                if step_ms == 1 {
                    assert!(left.len() >= count * 3 - count / 100 - 1, "{per_second}: {}", left.len());
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_it() {
        let mut pace = Pace::default();
        pace.set(Some(10));
        pace.take(Timestamp(100_000));
        assert_eq!(pace.later(Timestamp(100_000)), Some(Timestamp(100_100)));
        assert_eq!(pace.later(Timestamp(50_000)), None);
        pace.take(Timestamp(50_000));
        assert_eq!(pace.later(Timestamp(50_000)), Some(Timestamp(50_100)));
    }

    #[test]
    fn what_was_not_sent_is_given_back() {
        let mut pace = Pace::default();
        pace.set(Some(1));
        pace.take(Timestamp(5_000));
        pace.give_back();
        assert_eq!(pace.later(Timestamp(5_000)), None);
        pace.set(None);
        pace.take(Timestamp(5_000));
        assert_eq!(pace.later(Timestamp(5_000)), None, "nothing is counted");
    }
}
