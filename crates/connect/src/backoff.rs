//! How long to wait before the next try.

use std::time::Duration;

use http::header::RETRY_AFTER;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{BackoffStrategy, Text};
use regex::Regex;

use crate::failure::Failure;
use crate::python;
use crate::reply::Reply;

/// Longest wait between two tries. What asks for more is given up with what it asked for.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Where nothing says how long: a second, twice as long each time, at most a minute.
const DOUBLING_MAX: Duration = Duration::from_secs(64);

/// The wait after the `attempt`-th try (from 1) of which `reply` is what came, if anything did.
pub(crate) fn wait(
    strategies: &[&BackoffStrategy],
    reply: Option<&Reply>,
    attempt: u32,
    scope: &Scope,
    now: jiff::Timestamp,
) -> Result<Duration, Failure> {
    for strategy in strategies {
        let seconds = asked(strategy, reply, attempt, scope, now)?;
        if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
            return bounded(seconds);
        }
    }
    if let Some(seconds) = reply.and_then(|reply| retry_after(reply, now)) {
        return bounded(seconds);
    }
    let doubled = Duration::from_secs(1 << attempt.saturating_sub(1).min(6));
    Ok(doubled.min(DOUBLING_MAX))
}

fn bounded(seconds: f64) -> Result<Duration, Failure> {
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if wait <= WAIT_MAX {
        return Ok(wait);
    }
    Err(Failure::transient(format!(
        "the platform asks to wait {seconds:.0} s and at most {} s are waited; run again later",
        WAIT_MAX.as_secs()
    )))
}

fn asked(
    strategy: &BackoffStrategy,
    reply: Option<&Reply>,
    attempt: u32,
    scope: &Scope,
    now: jiff::Timestamp,
) -> Result<Option<f64>, Failure> {
    let number = |text: &Text| -> Result<f64, Failure> {
        let value = text.text(scope)?;
        value
            .trim()
            .parse()
            .map_err(|_odd| Failure::config(format!("{} gives {value:?}, not a number of seconds", text.source())))
    };
    Ok(match strategy {
        // The middle of the range in which the format draws: waits here need no dice, calls are spread by the budget.
        BackoffStrategy::Constant(constant) => {
            Some(number(&constant.backoff_time_in_seconds)? + constant.jitter_range_in_seconds.unwrap_or(0.0))
        }
        BackoffStrategy::Exponential(exponential) => {
            let factor = exponential.factor.as_ref().map_or(Ok(5.0), number)?;
            Some(factor * f64::from(attempt.min(30)).exp2() + exponential.jitter_range_in_seconds.unwrap_or(0.0))
        }
        BackoffStrategy::WaitTimeFromHeader(header) => {
            let found = in_header(reply, &header.header, header.regex.as_ref(), scope)?;
            capped(found, header.max_waiting_time_in_seconds.as_ref().map(number).transpose()?)?
        }
        BackoffStrategy::WaitUntilTimeFromHeader(header) => {
            let least = header.min_wait.as_ref().map(number).transpose()?;
            let until = in_header(reply, &header.header, header.regex.as_ref(), scope)?;
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
            let wait = until.map(|until| until - now.as_millisecond() as f64 / 1_000.0);
            let found = match (wait, least) {
                (Some(wait), Some(least)) => Some(wait.max(least)),
                (wait, least) => wait.filter(|wait| *wait >= 0.0).or(least),
            };
            capped(found, header.max_waiting_time_in_seconds.as_ref().map(number).transpose()?)?
        }
        BackoffStrategy::WaitTimeFromResponse(response) => {
            let Some(reply) = reply else { return Ok(None) };
            let seen = scope.with("response", reply.bound()).with("headers", reply.bound_headers(false));
            let text = response.wait_time_in_seconds.value(&seen).map(|value| python::text(&value)).unwrap_or_default();
            let found = text.trim().parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            capped(found, response.max_waiting_time_in_seconds.as_ref().map(number).transpose()?)?
        }
    })
}

fn capped(found: Option<f64>, most: Option<f64>) -> Result<Option<f64>, Failure> {
    match (found, most) {
        (Some(found), Some(most)) if found >= most => Err(Failure::transient(format!(
            "the platform asks to wait {found:.0} s, and the connector allows less than {most:.0} s; run again later"
        ))),
        _ => Ok(found),
    }
}

fn in_header(reply: Option<&Reply>, name: &Text, regex: Option<&Text>, scope: &Scope) -> Result<Option<f64>, Failure> {
    let Some(reply) = reply else { return Ok(None) };
    let name = name.text(scope)?;
    let Some(value) = reply.headers.get(name.as_str()).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let Some(regex) = regex else { return Ok(value.trim().parse().ok()) };
    let pattern = regex.text(scope)?;
    let regex = Regex::new(&format!("^(?:{pattern})"))
        .map_err(|error| Failure::system(format!("the regular expression {pattern:?} cannot be read: {error}")))?;
    Ok(regex.find(value).and_then(|found| found.as_str().trim().parse().ok()))
}

/// `Retry-After` in seconds, given as such or as an HTTP date.
fn retry_after(reply: &Reply, now: jiff::Timestamp) -> Option<f64> {
    let text = reply.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds.max(0.0));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(date.duration_since(now).as_secs_f64().max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    fn reply(headers: &[(&'static str, &str)]) -> Reply {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>();
        let answer = lockstep_egress::Response {
            status: StatusCode::TOO_MANY_REQUESTS,
            headers,
            body: Bytes::new(),
            is_cut: false,
        };
        Reply::of(answer, "https://a.test".parse().unwrap()).unwrap()
    }

    #[track_caller]
    fn check(
        strategy: Option<serde_json::Value>,
        headers: &[(&'static str, &str)],
        attempt: u32,
        expected: Option<f64>,
    ) {
        let node = strategy.map(|strategy| Node::from_json(&strategy, 1));
        let strategy = node.as_ref().map(|node| BackoffStrategy::read(&At::root(node, "")).unwrap());
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let scope = Scope::new(now).with("config", json!({}));
        let found = wait(&strategy.iter().collect::<Vec<_>>(), Some(&reply(headers)), attempt, &scope, now);
        assert_eq!(found.ok().map(|wait| wait.as_secs_f64()), expected);
    }

    #[test]
    fn waits_are_what_the_strategy_or_the_platform_says() {
        check(None, &[], 1, Some(1.0));
        check(None, &[], 4, Some(8.0));
        check(None, &[], 40, Some(64.0));
        check(None, &[("retry-after", "7")], 1, Some(7.0));
        check(None, &[("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT")], 1, Some(30.0));
        check(None, &[("retry-after", "90000")], 1, None);
        check(Some(json!({"type": "ConstantBackoffStrategy", "backoff_time_in_seconds": 2.5})), &[], 3, Some(2.5));
        check(Some(json!({"type": "ExponentialBackoffStrategy", "factor": 3})), &[], 2, Some(12.0));
        let header = json!({"type": "WaitTimeFromHeader", "header": "X-Wait", "regex": "[0-9]+"});
        check(Some(header), &[("x-wait", "12s")], 1, Some(12.0));
        let until = json!({"type": "WaitUntilTimeFromHeader", "header": "X-Reset", "min_wait": 5});
        check(Some(until.clone()), &[("x-reset", "1767225660")], 1, Some(60.0));
        check(Some(until.clone()), &[("x-reset", "1767225601")], 1, Some(5.0));
        check(Some(until), &[], 1, Some(5.0));
        let capped = json!({"type": "WaitTimeFromHeader", "header": "X-Wait", "max_waiting_time_in_seconds": 10});
        check(Some(capped), &[("x-wait", "11")], 1, None);
    }
}
