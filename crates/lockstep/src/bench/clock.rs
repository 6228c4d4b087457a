//! The bench's only look at the clock: a bench measures real time, the rest of Lockstep asks the `Clock` port.
//! It must not be used outside the bench.

use std::time::{Duration, Instant};

/// How long a load runs before anything is counted.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);

/// This moment, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds from `origin` to this moment, never 0: 0 marks what has not happened.
pub(crate) fn nanoseconds_since(origin: Instant) -> u64 {
    u64::try_from(now().saturating_duration_since(origin).as_nanos()).unwrap_or(u64::MAX).max(1)
}
