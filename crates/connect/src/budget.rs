//! The budget of calls of one account: what the manifest allows, and what the platform asks for while we go.
//!
//! A call takes the first policy that matches it and waits until that has room. When the platform says that it has
//! had enough, every call of the account waits, not only the one that was told.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use lockstep_expr::datetime;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{CallRatePolicy, HttpApiBudget, RequestMatcher};
use regex::Regex;
use tokio::time::Instant;

use crate::draft::Ready;
use crate::failure::Failure;
use crate::python;

/// The budget of one account.
#[derive(Default)]
pub(crate) struct Budget {
    policies: Vec<Policy>,
    remaining_header: String,
    reset_header: String,
    hit_statuses: Vec<u16>,
    held_until: Mutex<Option<Instant>>,
}

struct Policy {
    matchers: Vec<Matcher>,
    windows: Mutex<Vec<Window>>,
    is_fixed: bool,
}

/// So many calls in a period.
struct Window {
    limit: u64,
    period: Duration,
    /// When calls were made and how many, oldest first; of a fixed window, all at its beginning.
    calls: VecDeque<(Instant, u64)>,
}

/// Longest period that is kept to, and longest time to which a platform's word can put off the next call.
const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
const RESET_MAX: Duration = Duration::from_secs(3_600);

struct Matcher {
    method: Option<String>,
    base: Option<String>,
    path: Option<Regex>,
    parameters: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Budget {
    pub(crate) fn of(said: &HttpApiBudget, scope: &Scope) -> Result<Self, Failure> {
        let policies = said.policies.iter().map(|policy| Policy::of(policy, scope)).collect::<Result<_, _>>()?;
        let hits = &said.status_codes_for_ratelimit_hit;
        Ok(Self {
            policies,
            remaining_header: said
                .ratelimit_remaining_header
                .clone()
                .unwrap_or_else(|| "ratelimit-remaining".to_owned()),
            reset_header: said.ratelimit_reset_header.clone().unwrap_or_else(|| "ratelimit-reset".to_owned()),
            hit_statuses: if hits.is_empty() { vec![429] } else { hits.clone() },
            held_until: Mutex::new(None),
        })
    }

    /// Waits until the call may be made, and counts it.
    pub(crate) async fn take(&self, call: &Ready) {
        loop {
            let held = *self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if let Some(until) = held.filter(|until| *until > now) {
                tokio::time::sleep_until(until).await;
                continue;
            }
            let policy = self.policies.iter().find(|policy| policy.is_for(call));
            match policy.and_then(|policy| policy.take(now)) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    /// Makes all calls of the account wait.
    pub(crate) fn hold(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut held = self.held_until.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.map_or(until, |known| known.max(until)));
    }

    /// Takes in what the platform says is left.
    pub(crate) fn learn(&self, call: &Ready, status: u16, headers: &HeaderMap, now: jiff::Timestamp) {
        let Some(policy) = self.policies.iter().find(|policy| policy.is_fixed && policy.is_for(call)) else { return };
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
        let left = number(&self.remaining_header).or_else(|| self.hit_statuses.contains(&status).then_some(0));
        let reset = number(&self.reset_header).map(|at| at.saturating_sub(now.as_second()));
        let reset = reset.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        policy.learn(left, reset.map(|seconds| Duration::from_secs(seconds).min(RESET_MAX)));
    }
}

impl Policy {
    fn of(said: &CallRatePolicy, scope: &Scope) -> Result<Self, Failure> {
        let (matchers, windows, is_fixed) = match said {
            CallRatePolicy::FixedWindow(fixed) => {
                (&fixed.matchers, vec![Window::of(fixed.call_limit, &fixed.period)?], true)
            }
            CallRatePolicy::MovingWindow(moving) => {
                let windows = moving.rates.iter().map(|rate| {
                    let limit = rate.limit.text(scope)?;
                    let odd = |_odd| Failure::config(format!("a rate's limit is {limit:?}; give a whole number"));
                    Window::of(limit.trim().parse().map_err(odd)?, &rate.interval)
                });
                (&moving.matchers, windows.collect::<Result<_, Failure>>()?, false)
            }
            CallRatePolicy::Unlimited(unlimited) => (&unlimited.matchers, Vec::new(), false),
        };
        let matchers = matchers.iter().map(Matcher::of).collect::<Result<_, _>>()?;
        Ok(Self { matchers, windows: Mutex::new(windows), is_fixed })
    }

    fn is_for(&self, call: &Ready) -> bool {
        self.matchers.is_empty() || self.matchers.iter().any(|matcher| matcher.is_for(call))
    }

    /// Counts a call; when there is no room, nothing is counted and the time to ask again is given.
    fn take(&self, now: Instant) -> Option<Instant> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let until = windows.iter_mut().filter_map(|window| window.full_until(now)).max();
        if until.is_none() {
            for window in windows.iter_mut() {
                let begin = window.calls.front().filter(|_| self.is_fixed).map_or(now, |(begin, _)| *begin);
                window.count(begin, 1);
            }
        }
        until
    }

    fn learn(&self, left: Option<i64>, reset: Option<Duration>) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for window in windows.iter_mut() {
            if let Some(begin) = reset.and_then(|reset| (now + reset).checked_sub(window.period)) {
                window.calls.iter_mut().for_each(|(call, _)| *call = begin);
            }
            let Some(left) = left.and_then(|left| u64::try_from(left).ok()) else { continue };
            let begin = window.calls.front().map_or(now, |(begin, _)| *begin);
            let used = window.limit.saturating_sub(left);
            window.count(begin, used.saturating_sub(window.used()));
        }
    }
}

impl Window {
    fn of(limit: u64, period: &str) -> Result<Self, Failure> {
        Ok(Self { limit: limit.max(1), period: span(period)?.min(PERIOD_MAX), calls: VecDeque::new() })
    }

    fn used(&self) -> u64 {
        self.calls.iter().map(|(_, count)| count).sum()
    }

    fn count(&mut self, at: Instant, more: u64) {
        match self.calls.back_mut() {
            Some((last, count)) if *last == at => *count += more,
            _ => self.calls.push_back((at, more)),
        }
    }

    fn full_until(&mut self, now: Instant) -> Option<Instant> {
        while self.calls.front().is_some_and(|(call, _)| *call + self.period <= now) {
            self.calls.pop_front();
        }
        let (oldest, _) = self.calls.front()?;
        (self.used() >= self.limit).then(|| *oldest + self.period)
    }
}

/// An ISO 8601 duration as a span of time; a month has thirty days.
pub(crate) fn span(text: &str) -> Result<Duration, Failure> {
    let duration = datetime::Duration::parse(text)?;
    let month = 30 * 24 * 3_600 * 1_000_000;
    let microseconds = duration.microseconds().saturating_add(duration.months().saturating_mul(month));
    Ok(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)))
}

impl Matcher {
    fn of(said: &RequestMatcher) -> Result<Self, Failure> {
        let path = said.url_path_pattern.as_deref().map(|pattern| {
            Regex::new(pattern).map_err(|error| {
                Failure::system(format!("the pattern {pattern:?} of a rate's matcher cannot be read: {error}"))
            })
        });
        let entries = |json: &Option<lockstep_manifest::Json>| {
            let fields = json.as_ref().and_then(|json| json.0.as_object());
            fields.into_iter().flatten().map(|(name, value)| (name.clone(), python::text(value))).collect()
        };
        Ok(Self {
            method: said.method.clone(),
            base: said.url_base.as_deref().map(|base| base.trim_end_matches('/').to_owned()),
            path: path.transpose()?,
            parameters: entries(&said.params),
            headers: entries(&said.headers),
        })
    }

    fn is_for(&self, call: &Ready) -> bool {
        let url = &call.url;
        let has =
            |(name, value): &(String, String)| url.query_pairs().any(|(key, found)| key == *name && found == *value);
        let carries =
            |(name, value): &(String, String)| call.headers.get(name.as_str()).is_some_and(|found| found == value);
        self.method.as_ref().is_none_or(|method| call.method.as_str().eq_ignore_ascii_case(method))
            && self.base.as_ref().is_none_or(|base| url.origin().ascii_serialization() == *base)
            && self.path.as_ref().is_none_or(|path| path.is_match(url.path()))
            && self.parameters.iter().all(has)
            && self.headers.iter().all(carries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    fn budget(policies: &serde_json::Value) -> Budget {
        let node = Node::from_json(&json!({"type": "HTTPAPIBudget", "policies": policies}), 1);
        let said = HttpApiBudget::read(&At::root(&node, "")).unwrap();
        Budget::of(&said, &Scope::new(jiff::Timestamp::UNIX_EPOCH)).unwrap()
    }

    fn call(url: &str) -> Ready {
        Ready {
            method: http::Method::GET,
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            form: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_moving_window_lets_so_many_through_in_any_period() {
        let budget = budget(&json!([
            {"type": "UnlimitedCallRatePolicy", "matchers": [{"url_path_pattern": "^/free"}]},
            {"type": "MovingWindowCallRatePolicy", "rates": [{"limit": 2, "interval": "PT10S"}], "matchers": []}
        ]));
        let began = Instant::now();
        for _ in 0..5 {
            budget.take(&call("https://a.test/x")).await;
            budget.take(&call("https://a.test/free")).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_platform_says_is_left_counts() {
        let budget = budget(
            &json!([{"type": "FixedWindowCallRatePolicy", "period": "PT60S", "call_limit": 100, "matchers": []}]),
        );
        let one = call("https://a.test/x");
        budget.take(&one).await;
        let headers = HeaderMap::from_iter([("ratelimit-remaining".parse().unwrap(), "0".parse().unwrap())]);
        budget.learn(&one, 200, &headers, jiff::Timestamp::UNIX_EPOCH);
        let began = Instant::now();
        budget.take(&one).await;
        assert_eq!(began.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn when_one_call_is_told_to_wait_all_do() {
        let budget = Budget::default();
        budget.hold(Duration::from_secs(9));
        let began = Instant::now();
        let (one, other) = (call("https://a.test/x"), call("https://a.test/y"));
        tokio::join!(budget.take(&one), budget.take(&other));
        assert_eq!(began.elapsed(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn odd_headers_and_limits_do_no_harm() {
        let one = call("https://a.test/x");
        for limit in [5, i64::MAX] {
            let budget = budget(
                &json!([{"type": "FixedWindowCallRatePolicy", "period": "P9999999Y", "call_limit": limit, "matchers": []}]),
            );
            for reset in ["9223372036854775807", "-9223372036854775808", "1790000000000"] {
                let headers = HeaderMap::from_iter([
                    ("ratelimit-remaining".parse().unwrap(), "0".parse().unwrap()),
                    ("ratelimit-reset".parse().unwrap(), reset.parse().unwrap()),
                ]);
                budget.take(&call("https://b.test/y")).await;
                budget.learn(&one, 200, &headers, jiff::Timestamp::UNIX_EPOCH);
                if !reset.starts_with('-') {
                    let began = Instant::now();
                    budget.take(&one).await;
                    assert!(began.elapsed() <= Duration::from_secs(3_600), "{limit} {reset}");
                }
            }
        }
    }
}
