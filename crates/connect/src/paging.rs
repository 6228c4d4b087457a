//! From one page to the next: by counting pages or records, or by what the answer says.

use std::sync::Arc;

use lockstep_expr::interpolation::{Bound, Scope};
use lockstep_manifest::{CursorPagination, DefaultPaginator, PageToken, PaginationStrategy, Paginator, Text};
use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::failure::Failure;
use crate::python;
use crate::reply::Reply;

/// How the pages of a stream follow each other.
pub(crate) struct Paging {
    said: Option<DefaultPaginator>,
    page_size: Option<i64>,
}

/// What a page came to, for finding the next.
pub(crate) struct Page<'p> {
    pub(crate) reply: &'p Reply,
    /// The answer as paging sees it, where it is asked for.
    pub(crate) body: Option<Arc<Value>>,
    /// Records before any was left out.
    pub(crate) found: usize,
    /// Records that were kept.
    pub(crate) kept: usize,
    pub(crate) last: Option<Arc<Value>>,
}

impl Paging {
    pub(crate) fn new(said: Option<&Paginator>, scope: &Scope) -> Result<Self, Failure> {
        let said = match said {
            Some(Paginator::DefaultPaginator(said)) => Some(said.as_ref().clone()),
            Some(Paginator::NoPagination(_)) | None => None,
        };
        let size = said.as_ref().and_then(|said| match &said.pagination_strategy {
            PaginationStrategy::PageIncrement(strategy) => strategy.page_size.as_ref(),
            PaginationStrategy::OffsetIncrement(strategy) => strategy.page_size.as_ref(),
            PaginationStrategy::CursorPagination(strategy) => strategy.page_size.as_ref(),
        });
        // A size that is read from the answer is not known before there is one.
        let page_size = size.filter(|size| !size.reads("response")).map(|size| number(size, scope)).transpose()?;
        if let Some(said) = &said
            && said.page_size_option.is_some()
            && size.is_none()
        {
            return Err(Failure::system(
                "a paginator has `page_size_option` and its strategy no `page_size`; give one",
            ));
        }
        Ok(Self { said, page_size })
    }

    /// The token of the first page, where that has one.
    pub(crate) fn first(&self) -> Option<Value> {
        match &self.said.as_ref()?.pagination_strategy {
            PaginationStrategy::PageIncrement(strategy) if strategy.inject_on_first_request => {
                Some(strategy.start_from_page.into())
            }
            PaginationStrategy::OffsetIncrement(strategy) if strategy.inject_on_first_request => Some(0.into()),
            _ => None,
        }
    }

    /// The whole address of a page, where its token is one.
    pub(crate) fn path(&self, token: Option<&Value>) -> Option<String> {
        let said = self.said.as_ref()?;
        let token = token.filter(|token| python::is_true(token))?;
        matches!(said.page_token_option, Some(PageToken::RequestPath(_))).then(|| python::text(token))
    }

    /// Puts token and page size into the request.
    pub(crate) fn inject(&self, draft: &mut Draft, token: Option<&Value>, scope: &Scope) -> Result<(), Failure> {
        let Some(said) = &self.said else { return Ok(()) };
        if let (Some(PageToken::RequestOption(option)), Some(token)) = (&said.page_token_option, token) {
            draft.inject(option, token.clone(), scope)?;
        }
        if let (Some(option), Some(size)) = (&said.page_size_option, self.page_size) {
            draft.inject(option, size.into(), scope)?;
        }
        Ok(())
    }

    /// Whether finding the next page reads the answer's body.
    pub(crate) fn reads_body(&self) -> bool {
        match self.said.as_ref().map(|said| &said.pagination_strategy) {
            Some(PaginationStrategy::CursorPagination(strategy)) => strategy.texts().any(|text| text.reads("response")),
            Some(PaginationStrategy::OffsetIncrement(strategy)) => {
                strategy.page_size.as_ref().is_some_and(|size| size.reads("response"))
            }
            _ => false,
        }
    }

    /// Whether finding the next page waits for the records of this one.
    pub(crate) fn reads_records(&self) -> bool {
        match self.said.as_ref().map(|said| &said.pagination_strategy) {
            Some(PaginationStrategy::CursorPagination(strategy)) => {
                strategy.texts().any(|text| text.reads("last_record") || text.reads("last_page_size"))
            }
            _ => true,
        }
    }

    /// The token of the next page; none after the last. `scope` holds the slice.
    pub(crate) fn next(&self, page: &Page<'_>, token: Option<&Value>, scope: &Scope) -> Result<Option<Value>, Failure> {
        let Some(said) = &self.said else { return Ok(None) };
        match &said.pagination_strategy {
            PaginationStrategy::PageIncrement(strategy) => {
                if is_last(page.found, self.page_size) {
                    return Ok(None);
                }
                counted(token, strategy.start_from_page, 1).map(Some)
            }
            PaginationStrategy::OffsetIncrement(strategy) => {
                let seen = |size: &Text| number(size, &scope.with("response", body(page)));
                let size = match (&strategy.page_size, self.page_size) {
                    (Some(size), None) => Some(seen(size)?),
                    (_, known) => known,
                };
                if is_last(page.found, size) {
                    return Ok(None);
                }
                counted(token, 0, i64::try_from(page.found).unwrap_or(i64::MAX)).map(Some)
            }
            PaginationStrategy::CursorPagination(strategy) => self.pointed(strategy, page, scope),
        }
    }

    fn pointed(&self, said: &CursorPagination, page: &Page<'_>, scope: &Scope) -> Result<Option<Value>, Failure> {
        let mut seen = scope.with("last_page_size", i64::try_from(page.kept).unwrap_or(i64::MAX));
        if said.texts().any(|text| text.reads("response")) {
            seen.set("response", body(page));
        }
        if said.texts().any(|text| text.reads("headers")) {
            seen.set("headers", page.reply.bound_headers(true));
        }
        match &page.last {
            Some(last) => seen.set("last_record", Bound::from(Arc::clone(last))),
            None => seen.set("last_record", Bound::nothing()),
        }
        match self.page_size {
            Some(size) => seen.set("page_size", size),
            None => seen.set("page_size", Bound::nothing()),
        }
        if let Some(stop) = &said.stop_condition
            && stop.is_true(&seen)?
        {
            return Ok(None);
        }
        Ok(Some(said.cursor_value.value(&seen)?).filter(python::is_true))
    }
}

trait Texts {
    fn texts(&self) -> impl Iterator<Item = &Text>;
}

impl Texts for CursorPagination {
    fn texts(&self) -> impl Iterator<Item = &Text> {
        [&self.cursor_value].into_iter().chain(&self.stop_condition)
    }
}

fn body(page: &Page<'_>) -> Bound {
    page.body.as_ref().map_or_else(|| Bound::from(Value::Object(Map::new())), |body| Bound::from(Arc::clone(body)))
}

/// A page that is not full, or is empty, is the last.
fn is_last(found: usize, page_size: Option<i64>) -> bool {
    found == 0 || page_size.is_some_and(|size| i64::try_from(found).is_ok_and(|found| found < size))
}

fn counted(token: Option<&Value>, first: i64, step: i64) -> Result<Value, Failure> {
    let Some(token) = token else { return Ok((first + step).into()) };
    let at = token
        .as_i64()
        .ok_or_else(|| Failure::system(format!("the token of a page is {token}, and a number is counted on")))?;
    Ok((at + step).into())
}

fn number(size: &Text, scope: &Scope) -> Result<i64, Failure> {
    let value = size.text(scope)?;
    value.trim().parse().map_err(|_odd| Failure::config(format!("a page size is {value:?}; give a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use lockstep_manifest::{At, Node, Read};
    use serde_json::json;

    fn paging(strategy: &Value) -> Paging {
        let node = Node::from_json(&json!({"type": "DefaultPaginator", "pagination_strategy": strategy}), 1);
        Paging::new(Some(&Paginator::read(&At::root(&node, "")).unwrap()), &scope()).unwrap()
    }

    fn scope() -> Scope {
        Scope::new(jiff::Timestamp::UNIX_EPOCH).with("config", json!({"size": 2}))
    }

    #[track_caller]
    fn check(strategy: &Value, body: Value, found: usize, token: Option<i64>, expected: Option<&Value>) {
        let headers =
            HeaderMap::from_iter([("link".parse().unwrap(), "<https://a.test/2>; rel=\"next\"".parse().unwrap())]);
        let answer = lockstep_egress::Response { status: StatusCode::OK, headers, body: Bytes::new(), is_cut: false };
        let reply = Reply::of(answer, "https://a.test".parse().unwrap()).unwrap();
        let last = (found > 0).then(|| Arc::new(json!({"id": found})));
        let page = Page { reply: &reply, body: Some(Arc::new(body)), found, kept: found, last };
        assert_eq!(paging(strategy).next(&page, token.map(Value::from).as_ref(), &scope()).unwrap().as_ref(), expected);
    }

    #[test]
    fn pages_and_offsets_are_counted_until_one_is_not_full() {
        let pages = json!({"type": "PageIncrement", "page_size": "{{ config['size'] }}", "start_from_page": 1});
        check(&pages, json!({}), 2, None, Some(&json!(2)));
        check(&pages, json!({}), 2, Some(2), Some(&json!(3)));
        check(&pages, json!({}), 1, Some(3), None);
        let offsets = json!({"type": "OffsetIncrement", "page_size": 2});
        check(&offsets, json!({}), 2, None, Some(&json!(2)));
        check(&offsets, json!({}), 2, Some(2), Some(&json!(4)));
        check(&offsets, json!({}), 0, Some(4), None);
        let seen = json!({"type": "OffsetIncrement", "page_size": "{{ response['per'] }}"});
        check(&seen, json!({"per": 3}), 3, None, Some(&json!(3)));
        check(&seen, json!({"per": 3}), 2, None, None);
    }

    #[test]
    fn tokens_come_from_the_answer_its_headers_or_its_last_record() {
        let cursor = |value: &str, stop: &str| json!({"type": "CursorPagination", "cursor_value": value, "stop_condition": stop});
        check(
            &cursor("{{ response.next }}", "{{ not response.more }}"),
            json!({"next": "c2", "more": true}),
            2,
            None,
            Some(&json!("c2")),
        );
        check(
            &cursor("{{ response.next }}", "{{ not response.more }}"),
            json!({"next": "c2", "more": false}),
            2,
            None,
            None,
        );
        check(
            &cursor("{{ headers['link']['next']['url'] }}", ""),
            json!({}),
            2,
            None,
            Some(&json!("https://a.test/2")),
        );
        check(&cursor("{{ last_record['id'] }}", "{{ last_page_size < 2 }}"), json!({}), 2, None, Some(&json!(2)));
        check(&cursor("{{ last_record['id'] }}", "{{ last_page_size < 2 }}"), json!({}), 1, None, None);
        check(&cursor("{{ response.missing }}", ""), json!({}), 2, None, None);
    }
}
