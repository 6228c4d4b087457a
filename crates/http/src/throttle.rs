//! Rate limits: how often each credential may call, counted in this process.
//!
//! A credential has a bucket that holds as many calls as may come at once and fills again by so many a second. A token
//! draws from its own and from its application's, so that no number of tokens calls oftener than the application may.
//! The administrator is not counted. Buckets live in memory alone, a bounded number of them: what is forgotten is full.

use governor::clock::{Clock as Ticks, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderValue};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::error::Code;
use lockstep_core::ids::{ApplicationId, TokenId};
use lockstep_core::limits;
use lockstep_core::rate::RateLimit;
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_engine::settings::LiveApplication;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Credential = (ApplicationId, Option<TokenId>);
type Limiter = RateLimiter<NotKeyed, InMemoryState, Forward, StateInformationMiddleware>;

/// The world's time as it passes: a clock that is set back stands still until it has caught up with itself.
#[derive(Clone)]
struct Forward {
    clock: Arc<dyn Clock>,
    passed: Arc<Mutex<(Timestamp, Duration)>>,
}

impl Forward {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let begun = (clock.now(), Duration::ZERO);
        Self { clock, passed: Arc::new(Mutex::new(begun)) }
    }
}

impl Ticks for Forward {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let now = self.clock.now();
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, so_far) = *passed;
        let so_far = so_far + Duration::from_millis(now.ms_since(last));
        *passed = (now, so_far);
        so_far.into()
    }
}

struct Bucket {
    limit: RateLimit,
    limiter: Limiter,
    used_at: Nanos,
}

impl Bucket {
    fn new(limit: RateLimit, clock: &Forward) -> Self {
        let number = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(number(limit.per_second)).allow_burst(number(limit.at_once()));
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone()).with_middleware();
        Self { limit, limiter, used_at: clock.now() }
    }

    fn draw(&mut self, clock: &Forward) -> Result<Standing, Standing> {
        self.used_at = clock.now();
        match self.limiter.check() {
            Ok(left) => Ok(Standing::of(self.limit, left.remaining_burst_capacity())),
            Err(early) => {
                let wait = early.wait_time_from(self.used_at);
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(Standing { limit: self.limit, left: 0, seconds: seconds.max(1) })
            }
        }
    }

    /// Whether it has filled since it was last drawn from, so that a new one is no other.
    fn is_full(&self, now: Nanos) -> bool {
        now.duration_since(self.used_at) >= Duration::from_secs(window_s(self.limit)).into()
    }
}

/// Seconds in which an empty bucket fills.
fn window_s(limit: RateLimit) -> u64 {
    u64::from(limit.at_once().div_ceil(limit.per_second.max(1))).max(1)
}

/// How a credential's bucket stands after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: RateLimit,
    /// Calls that may still come at once.
    left: u32,
    /// Seconds until it is full, or, where it is empty, until the next call may come.
    seconds: u64,
}

impl Standing {
    fn of(limit: RateLimit, left: u32) -> Self {
        let missing = limit.at_once().saturating_sub(left);
        Self { limit, left, seconds: u64::from(missing.div_ceil(limit.per_second.max(1))) }
    }

    /// Tells it as draft-ietf-httpapi-ratelimit-headers has it.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let policy = format!("\"default\";q={};w={}", self.limit.at_once(), window_s(self.limit));
        let state = format!("\"default\";r={};t={}", self.left, self.seconds);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }

    /// What a caller is told who came too soon.
    pub(crate) fn refusal(self) -> Refusal {
        let text = format!(
            "this credential may call {} times a second, {} at once, and has: wait {} s, and spread the calls",
            self.limit.per_second,
            self.limit.at_once(),
            self.seconds
        );
        Refusal { retry_after_s: Some(self.seconds), ..Refusal::new(Code::RateLimited, text) }
    }
}

/// Counts calls.
pub struct Throttle {
    usual: Option<RateLimit>,
    clock: Forward,
    buckets: Mutex<BTreeMap<Credential, Bucket>>,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Throttle({:?})", self.usual)
    }
}

impl Throttle {
    /// One with a limit for credentials that have none of their own.
    #[must_use]
    pub fn new(usual: Option<RateLimit>, clock: Arc<dyn Clock>) -> Self {
        Self { usual, clock: Forward::new(clock), buckets: Mutex::default() }
    }

    /// Counts a call; gives how the tightest of the caller's buckets stands, none where the caller is not limited.
    ///
    /// # Errors
    /// The bucket that is empty.
    pub(crate) fn draw(&self, principal: &Principal) -> Result<Option<Standing>, Standing> {
        let Principal::Application(live) = principal else { return Ok(None) };
        let LiveApplication { application, token, .. } = &**live;
        let own = token.as_ref().map(|token| ((application.id, Some(token.id)), token.rate_limit));
        let whole = ((application.id, None), application.rate_limit);
        let mut tightest: Option<Standing> = None;
        // The token's own first: one that calls too often takes nothing from the others.
        for (credential, limit) in own.into_iter().chain([whole]) {
            let Some(limit) = limit.or(self.usual) else { continue };
            let standing = self.draw_from(credential, limit)?;
            tightest = tightest.filter(|other| other.left <= standing.left).or(Some(standing));
        }
        Ok(tightest)
    }

    fn draw_from(&self, credential: Credential, limit: RateLimit) -> Result<Standing, Standing> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        match buckets.get_mut(&credential) {
            Some(bucket) if bucket.limit == limit => bucket.draw(&self.clock),
            _ => {
                make_room(&mut buckets, self.clock.now());
                let mut bucket = Bucket::new(limit, &self.clock);
                let drawn = bucket.draw(&self.clock);
                buckets.insert(credential, bucket);
                drawn
            }
        }
    }
}

/// Forgets buckets that are full again, or, where none is, the one drawn from longest ago.
fn make_room(buckets: &mut BTreeMap<Credential, Bucket>, now: Nanos) {
    if buckets.len() < limits::CREDENTIALS_COUNTED_MAX {
        return;
    }
    buckets.retain(|_, bucket| !bucket.is_full(now));
    if buckets.len() >= limits::CREDENTIALS_COUNTED_MAX {
        let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.used_at).map(|(credential, _)| *credential);
        oldest.map(|credential| buckets.remove(&credential));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::Relaxed))
        }
    }

    fn throttle() -> (Throttle, Arc<Hand>) {
        let hand = Arc::new(Hand::default());
        (Throttle::new(None, Arc::<Hand>::clone(&hand)), hand)
    }

    const ONE: Credential = (ApplicationId(1), None);

    #[test]
    fn a_bucket_holds_what_may_come_at_once_and_fills_by_the_second() {
        let (throttle, hand) = throttle();
        let limit = RateLimit { per_second: 2, burst: Some(4) };
        let draw = || throttle.draw_from(ONE, limit).map(|standing| (standing.left, standing.seconds));
        assert_eq!([draw(), draw(), draw(), draw()], [Ok((3, 1)), Ok((2, 1)), Ok((1, 2)), Ok((0, 2))]);
        assert_eq!(draw().map_err(|standing| standing.seconds), Err(1));
        hand.0.store(500, Ordering::Relaxed);
        assert!(draw().is_ok() && draw().is_err(), "one in half a second");
        hand.0.store(-60_000, Ordering::Relaxed);
        assert!(draw().is_err(), "a clock that is set back gives nothing");
        hand.0.store(-59_500, Ordering::Relaxed);
        assert!(draw().is_ok(), "and takes nothing");
        let wider = RateLimit { per_second: 5, burst: None };
        assert_eq!(throttle.draw_from(ONE, wider).map(|standing| standing.left), Ok(4), "another limit begins anew");
    }

    #[test]
    fn buckets_are_bounded_and_full_ones_go_first() {
        let (throttle, hand) = throttle();
        let limit = RateLimit::per_second(1);
        let count = || throttle.buckets.lock().unwrap().len();
        for id in 0..limits::CREDENTIALS_COUNTED_MAX as u128 {
            throttle.draw_from((ApplicationId(id), None), limit).unwrap();
        }
        throttle.draw_from((ApplicationId(u128::MAX), None), limit).unwrap();
        assert_eq!(count(), limits::CREDENTIALS_COUNTED_MAX, "the oldest made room");
        hand.0.store(5_000, Ordering::Relaxed);
        throttle.draw_from((ApplicationId(u128::MAX - 1), None), limit).unwrap();
        assert_eq!(count(), 1, "all others were full again");
    }

    #[test]
    fn a_standing_is_told_in_structured_headers() {
        let mut headers = HeaderMap::new();
        Standing::of(RateLimit { per_second: 10, burst: Some(25) }, 4).tell(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"default\";q=25;w=3");
        assert_eq!(headers["ratelimit"], "\"default\";r=4;t=3");
    }
}
