//! What an answer means: the handlers of the manifest in order, then what every platform means by its statuses.

use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{Action, BackoffStrategy, DefaultErrorHandler, ErrorHandler, FailureType, HttpResponseFilter};

use crate::failure::Failure;
use crate::reply::Reply;

/// What an answer means, and what is said of it where it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) action: Action,
    pub(crate) kind: FailureType,
    pub(crate) message: Option<String>,
    /// Whether a handler says so; if not, it is what the status usually means to a reader.
    pub(crate) is_said: bool,
}

impl Verdict {
    const fn plain(action: Action, kind: FailureType) -> Self {
        Self { action, kind, message: None, is_said: false }
    }
}

/// Tries after the first, where a handler says nothing.
const RETRIES: u32 = 5;

/// How often a call is tried again.
pub(crate) fn retries(handler: Option<&ErrorHandler>, scope: &Scope) -> Result<u32, Failure> {
    let Some(handler) = handler else { return Ok(RETRIES) };
    let first = match handler {
        ErrorHandler::Default(handler) => handler,
        ErrorHandler::Composite(handler) => return retries(handler.error_handlers.first(), scope),
    };
    let Some(said) = &first.max_retries else { return Ok(RETRIES) };
    let value = said.text(scope)?;
    value
        .trim()
        .parse()
        .map_err(|_odd| Failure::config(format!("max_retries is {value:?}; give a whole number from 0")))
}

/// Every backoff strategy of the handler, in order.
pub(crate) fn strategies(handler: Option<&ErrorHandler>) -> Vec<&BackoffStrategy> {
    match handler {
        None => Vec::new(),
        Some(ErrorHandler::Default(handler)) => handler.backoff_strategies.iter().collect(),
        Some(ErrorHandler::Composite(handler)) => {
            handler.error_handlers.iter().flat_map(|inner| strategies(Some(inner))).collect()
        }
    }
}

/// What the answer means to this handler.
pub(crate) fn judge(handler: Option<&ErrorHandler>, reply: &Reply, scope: &Scope) -> Result<Verdict, Failure> {
    match handler {
        None => Ok(by_status(reply)),
        Some(ErrorHandler::Default(handler)) => default(handler, reply, scope),
        Some(ErrorHandler::Composite(composite)) => {
            let mut last = None;
            for inner in &composite.error_handlers {
                let verdict = judge(Some(inner), reply, scope)?;
                let is_final = matches!(
                    verdict.action,
                    Action::Success | Action::Retry | Action::Ignore | Action::ResetPagination
                );
                if is_final {
                    return Ok(verdict);
                }
                last = Some(verdict);
            }
            Ok(last.unwrap_or_else(|| by_status(reply)))
        }
    }
}

fn default(handler: &DefaultErrorHandler, reply: &Reply, scope: &Scope) -> Result<Verdict, Failure> {
    for filter in &handler.response_filters {
        let Some(action) = filter.action else { continue };
        if matches(filter, reply, scope)? {
            let seen = || scope.with("response", reply.bound()).with("headers", reply.bound_headers(false));
            let message = filter.error_message.as_ref().map(|text| text.text(&seen())).transpose()?;
            let kind = match filter.failure_type {
                Some(kind) if action == Action::Fail => kind,
                _ => by_status(reply).kind,
            };
            let message = message.filter(|text| !text.is_empty());
            return Ok(Verdict { action, kind, message, is_said: true });
        }
    }
    Ok(by_status(reply))
}

fn matches(filter: &HttpResponseFilter, reply: &Reply, scope: &Scope) -> Result<bool, Failure> {
    if filter.http_codes.contains(&reply.status.as_u16()) {
        return Ok(true);
    }
    if let Some(predicate) = &filter.predicate {
        let seen = scope.with("response", reply.bound()).with("headers", reply.bound_headers(false));
        if predicate.is_true(&seen.with("request_url", reply.shown_url().as_str()))? {
            return Ok(true);
        }
    }
    let part = filter.error_message_contains.as_deref().filter(|part| !part.is_empty());
    Ok(part.is_some_and(|part| reply.complaint().is_some_and(|text| text.contains(part))))
}

/// What every platform means by its statuses.
fn by_status(reply: &Reply) -> Verdict {
    if reply.is_ok() {
        return Verdict::plain(Action::Success, FailureType::System);
    }
    match reply.status.as_u16() {
        401 | 403 => Verdict::plain(Action::Fail, FailureType::Config),
        400 | 404 | 405 => Verdict::plain(Action::Fail, FailureType::System),
        429 => Verdict::plain(Action::RateLimited, FailureType::Transient),
        _ => Verdict::plain(Action::Retry, FailureType::Transient),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    fn reply(status: u16, body: &str) -> Reply {
        let answer = lockstep_egress::Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            is_cut: false,
        };
        Reply::of(answer, "https://a.test/x".parse().unwrap()).unwrap()
    }

    #[track_caller]
    fn check(handler: &serde_json::Value, status: u16, body: &str, expected: Action) {
        let node = Node::from_json(handler, 1);
        let handler = ErrorHandler::read(&At::root(&node, "")).unwrap();
        let scope = Scope::new(jiff::Timestamp::UNIX_EPOCH).with("config", json!({}));
        let verdict = judge(Some(&handler), &reply(status, body), &scope).unwrap();
        assert_eq!(verdict.action, expected, "{status} {body}");
    }

    #[test]
    fn statuses_mean_what_they_usually_do() {
        for (status, expected) in [
            (200, Action::Success),
            (302, Action::Success),
            (400, Action::Fail),
            (401, Action::Fail),
            (404, Action::Fail),
            (408, Action::Retry),
            (418, Action::Retry),
            (429, Action::RateLimited),
            (503, Action::Retry),
        ] {
            assert_eq!(by_status(&reply(status, "")).action, expected, "{status}");
        }
    }

    #[test]
    fn filters_come_first_and_any_of_their_tests_is_enough() {
        let handler = json!({"type": "DefaultErrorHandler", "response_filters": [
            {"http_codes": [404], "action": "IGNORE"},
            {"error_message_contains": "later", "action": "RETRY"},
            {"predicate": "{{ response.code == 7 }}", "action": "FAIL"},
        ]});
        check(&handler, 404, "", Action::Ignore);
        check(&handler, 400, r#"{"errors": [{"detail": "come later"}]}"#, Action::Retry);
        check(&handler, 200, r#"{"code": 7}"#, Action::Fail);
        check(&handler, 200, r#"{"code": 8}"#, Action::Success);
        check(&handler, 500, "", Action::Retry);
    }

    #[test]
    fn of_several_handlers_the_first_that_lets_go_on_decides() {
        let handler = json!({"type": "CompositeErrorHandler", "error_handlers": [
            {"type": "DefaultErrorHandler", "response_filters": [{"http_codes": [403], "action": "FAIL"}]},
            {"type": "DefaultErrorHandler", "response_filters": [{"http_codes": [403], "action": "IGNORE"}]},
        ]});
        check(&handler, 403, "", Action::Ignore);
        check(&handler, 400, "", Action::Fail);
    }
}
