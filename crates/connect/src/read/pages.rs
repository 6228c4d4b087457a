//! One slice read page by page: asked for, decoded, made into records, and the way to the next page found.

use std::sync::Arc;

use async_stream::try_stream;
use futures_util::Stream;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{Decoder, PaginationReset, ResetAction};
use serde_json::{Value, json};

use crate::call::{Answer, Caller};
use crate::cursor::{Point, Progress, Rules};
use crate::decode::{self, decode};
use crate::draft::Draft;
use crate::failure::Failure;
use crate::paging::{Page, Paging};
use crate::partition::Router;
use crate::reply::Reply;
use crate::select::Selector;
use crate::slice::Slice;

/// Most times that the pages of one slice are begun anew without a newer record between.
const RESETS_MAX: u32 = 3;

/// Reads slices page by page.
pub(crate) struct Pages {
    pub(crate) caller: Caller,
    pub(crate) paging: Paging,
    pub(crate) selector: Selector,
    pub(crate) decoder: Option<Decoder>,
    pub(crate) rules: Option<Arc<Rules>>,
    pub(crate) reset: Option<PaginationReset>,
    /// Whether windows and parts are told on the first page alone.
    pub(crate) tells_slice_once: bool,
}

/// A page of records.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) records: Vec<Arc<Value>>,
    /// The newest of all records of the page, also of those left out.
    pub(crate) newest: Option<Point>,
    pub(crate) problems: Vec<String>,
}

/// What templates see besides the configuration and the slice.
pub(crate) type More<'a> = &'a (dyn Fn(Scope) -> Scope + Sync);

impl Pages {
    /// The pages of a slice. `progress` is what its records are compared with; `more` adds to what templates see.
    pub(crate) fn of<'a>(
        &'a self,
        slice: &'a Slice,
        router: Option<&'a Router>,
        progress: Option<&'a Progress>,
        more: More<'a>,
    ) -> impl Stream<Item = Result<Fetched, Failure>> + Send + 'a {
        try_stream! {
            let mut slice = slice.clone();
            let mut token = self.paging.first();
            let mut resets = Resets::default();
            loop {
                let scope = more(self.seeing(&slice, token.as_ref()));
                let mut reply = match self.ask(&slice, router, token.as_ref(), &scope).await? {
                    Answer::Reply(reply) => reply,
                    Answer::Nothing => return,
                    Answer::Reset => {
                        resets.again()?;
                        slice = self.anew(&slice, resets.newest);
                        token = self.paging.first();
                        continue;
                    }
                };
                let (fetched, next) = self.page(&mut reply, &scope, token.as_ref(), progress)?;
                let count = fetched.records.len();
                resets.saw(&fetched);
                yield fetched;
                if resets.is_due(self.reset.as_ref()) && next.is_some() {
                    resets.again()?;
                    slice = self.anew(&slice, resets.newest);
                    token = self.paging.first();
                    continue;
                }
                match next {
                    None => return,
                    // The same token again, and nothing new with it: the platform leads in a circle.
                    Some(next) if token.as_ref() == Some(&next) && count == 0 => {
                        let message = format!("the next page is this one again ({next}); the paginator needs a stop condition");
                        Err(Failure::system(message))?;
                    }
                    Some(next) => token = Some(next),
                }
            }
        }
    }

    fn seeing(&self, slice: &Slice, token: Option<&Value>) -> Scope {
        let mut scope = self.caller.scope();
        scope.set("stream_slice", slice.bound());
        match token {
            Some(token) => scope.set("next_page_token", json!({ "next_page_token": token })),
            None => scope.set("next_page_token", Value::Null),
        }
        scope
    }

    async fn ask(
        &self,
        slice: &Slice,
        router: Option<&Router>,
        token: Option<&Value>,
        scope: &Scope,
    ) -> Result<Answer, Failure> {
        let path = self.paging.path(token);
        let tells_slice = token.is_none() || !self.tells_slice_once;
        let inject = |draft: &mut Draft| {
            self.paging.inject(draft, token, scope)?;
            if !tells_slice {
                return Ok(());
            }
            if let Some(rules) = &self.rules {
                rules.inject(draft, slice, scope)?;
            }
            router.map_or(Ok(()), |router| router.inject(draft, slice, scope))
        };
        self.caller.call(scope, path.as_deref(), inject).await
    }

    /// The records of an answer, and the token of the next page.
    fn page(
        &self,
        reply: &mut Reply,
        scope: &Scope,
        token: Option<&Value>,
        progress: Option<&Progress>,
    ) -> Result<(Fetched, Option<Value>), Failure> {
        let mut documents = decode(self.decoder.as_ref(), reply)?;
        let is_seen = decode::is_seen_by_paging(self.decoder.as_ref()) && self.paging.reads_body();
        // The first document stands for the answer. Where the records of the page are needed too, it has to be kept
        // beside them; else the next token is found first, and nothing is copied.
        let waits = self.paging.reads_records();
        let mut body = None;
        let mut next = None;
        if let Some(first) = documents.all.first_mut().filter(|_| is_seen) {
            if waits {
                body = Some(Arc::new(first.clone()));
            } else {
                let seen = Arc::new(first.take());
                let page = Page { reply, body: Some(Arc::clone(&seen)), found: 0, kept: 0, last: None };
                next = self.paging.next(&page, token, scope)?;
                drop(page);
                *first = Arc::unwrap_or_clone(seen);
            }
        }
        let now = scope.now();
        let leaves_out = self.rules.as_ref().is_some_and(|rules| rules.is_client_side && !rules.is_data_feed);
        let compared = progress.filter(|_| leaves_out);
        let mut is_kept = |record: &Value| compared.is_none_or(|known| known.is_new(record, now));
        let mut selected = self.selector.select(documents.all, scope, &mut is_kept);
        selected.problems.splice(0..0, documents.problems);
        if waits || !is_seen {
            let last = selected.records.last().cloned();
            let page = Page { reply, body, found: selected.found, kept: selected.records.len(), last };
            next = self.paging.next(&page, token, scope)?;
        }
        // Newest first: the first old record ends the pages, and what is old is left out.
        if let Some(known) = progress.filter(|_| self.rules.as_ref().is_some_and(|rules| rules.is_data_feed)) {
            if selected.records.last().is_some_and(|last| !known.is_new(last, now)) {
                next = None;
            }
            selected.records.retain(|record| known.is_new(record, now));
        }
        let newest = self.rules.as_ref().and_then(|rules| rules.newest(&selected.records, now));
        if newest.is_none() && token == self.paging.first().as_ref() {
            let unread = self.rules.as_ref().and_then(|rules| rules.explain_unread(&selected.records));
            selected.problems.extend(unread.map(|failure| format!("{failure}; the state stays where it was")));
        }
        Ok((Fetched { records: selected.records, newest, problems: selected.problems }, next))
    }

    /// The slice from the newest record on, where pages are begun anew there.
    fn anew(&self, slice: &Slice, newest: Option<Point>) -> Slice {
        let splits = self.reset.as_ref().is_some_and(|reset| reset.action == ResetAction::SplitUsingCursor);
        let (Some(rules), Some(newest)) = (self.rules.as_ref().filter(|_| splits), newest) else {
            return slice.clone();
        };
        match rules.bounds(slice) {
            Ok((_, end)) => slice.within(rules.window(newest, end)),
            Err(_whole) => slice.clone(),
        }
    }
}

/// How far the pages of a slice have come since they were begun anew.
#[derive(Default)]
struct Resets {
    count: u64,
    newest: Option<Point>,
    newest_then: Option<Point>,
    idle: u32,
}

impl Resets {
    fn saw(&mut self, page: &Fetched) {
        self.count += u64::try_from(page.records.len()).unwrap_or(0);
        self.newest = self.newest.max(page.newest);
    }

    fn is_due(&self, said: Option<&PaginationReset>) -> bool {
        let most = said.and_then(|said| said.limits.as_ref()).and_then(|limits| limits.number_of_records);
        most.is_some_and(|most| self.count >= most)
    }

    fn again(&mut self) -> Result<(), Failure> {
        self.idle = if self.newest > self.newest_then { 0 } else { self.idle + 1 };
        if self.idle > RESETS_MAX {
            let message = "the pages were begun anew several times without a newer record; the platform gives no more";
            return Err(Failure::system(message));
        }
        self.newest_then = self.newest;
        self.count = 0;
        Ok(())
    }
}
