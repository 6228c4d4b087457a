//! One slice read page by page: asked for, decoded, made into records, and the way to the next page found.

use std::sync::Arc;

use async_stream::try_stream;
use bytes::Bytes;
use futures_util::Stream;
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{Decoder, FailureType, PaginationReset, ResetAction};
use serde_json::{Value, json};

use crate::call::{Answer, Caller};
use crate::cursor::{Point, Progress, Rules};
use crate::decode::{self, Body, Documents, decode};
use crate::draft::Draft;
use crate::failure::Failure;
use crate::paging::{Page, Paging};
use crate::partition::Router;
use crate::reply::Reply;
use crate::select::Selector;
use crate::slice::Slice;

/// Most times that the pages of one slice are begun anew without a newer record between.
const RESETS_MAX: u32 = 3;

/// Most answers in a row that are the same to the byte, though another page was asked for each time.
const REPEATS_MAX: u32 = 100;

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
    /// When it was asked for; of a job, when that was ordered. It may show nothing that happened later.
    pub(crate) asked_at: jiff::Timestamp,
    /// The token of the page after this, where there is one and the slice can go on there.
    pub(crate) next: Option<Value>,
}

/// What templates see besides the configuration and the slice.
pub(crate) type More<'a> = &'a (dyn Fn(Scope) -> Scope + Sync);

impl Pages {
    /// The pages of a slice. `progress` is what its records are compared with; `from` the token of the first page, which
    /// counts only as long as the platform knows it; `more` adds to what templates see.
    pub(crate) fn of<'a>(
        &'a self,
        slice: &'a Slice,
        router: Option<&'a Router>,
        progress: Option<&'a Progress>,
        (from, more): (Option<Value>, More<'a>),
    ) -> impl Stream<Item = Result<Fetched, Failure>> + Send + 'a {
        try_stream! {
            let mut slice = slice.clone();
            let mut is_tried = from.is_some();
            let mut is_anew = false;
            let mut token = from.or_else(|| self.paging.first());
            let mut resets = Resets::default();
            let mut repeats = Repeats::default();
            let mut is_told = false;
            loop {
                let scope = more(self.seeing(&slice, token.as_ref()));
                let asked_at = scope.now();
                let answer = self.ask(&slice, router, token.as_ref(), &scope).await;
                if std::mem::take(&mut is_tried) && matches!(&answer, Err(failure) if failure.kind == FailureType::System) {
                    // The place is no place any more.
                    token = self.paging.first();
                    continue;
                }
                let mut reply = match answer? {
                    Answer::Reply(reply) => reply,
                    Answer::Nothing => return,
                    Answer::Reset => {
                        resets.again()?;
                        slice = self.anew(&slice, resets.newest);
                        token = self.paging.first();
                        is_anew = true;
                        continue;
                    }
                };
                let next = match decode(self.decoder.as_ref(), &mut reply)? {
                    Body::Whole(documents) => {
                        let (mut fetched, next) = self.page(documents, &reply, &scope, token.as_ref(), progress)?;
                        self.tell_unread(&mut fetched, &mut is_told);
                        resets.saw(&fetched);
                        fetched.asked_at = asked_at;
                        fetched.next = next.clone().filter(|_| !is_anew);
                        yield fetched;
                        next
                    }
                    Body::Rows(mut rows) => {
                        let mut all = Kept::default();
                        while let Some(batch) = rows.batch()? {
                            let mut fetched = all.add(self.kept(batch, &scope, progress));
                            self.tell_unread(&mut fetched, &mut is_told);
                            resets.saw(&fetched);
                            fetched.asked_at = asked_at;
                            yield fetched;
                        }
                        let next = self.after(&all, &reply, None, &scope, token.as_ref())?;
                        yield Fetched { next: next.clone().filter(|_| !is_anew), ..Fetched::default() };
                        next
                    }
                };
                if resets.is_due(self.reset.as_ref()) && next.is_some() {
                    resets.again()?;
                    slice = self.anew(&slice, resets.newest);
                    token = self.paging.first();
                    is_anew = true;
                    continue;
                }
                let Some(next) = next else { return };
                repeats.saw(reply.body, token.as_ref(), &next)?;
                token = Some(next);
            }
        }
    }

    /// Tells once for a slice that its records do not say where they stand.
    fn tell_unread(&self, fetched: &mut Fetched, is_told: &mut bool) {
        let rules = self.rules.as_ref().filter(|_| !*is_told && fetched.newest.is_none());
        if let Some(failure) = rules.and_then(|rules| rules.explain_unread(&fetched.records)) {
            *is_told = true;
            fetched.problems.push(format!("{failure}; the state stays where it was"));
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
        mut documents: Documents,
        reply: &Reply,
        scope: &Scope,
        token: Option<&Value>,
        progress: Option<&Progress>,
    ) -> Result<(Fetched, Option<Value>), Failure> {
        let is_seen = decode::is_seen_by_paging(self.decoder.as_ref()) && self.paging.reads_body();
        let Some(first) = documents.all.first_mut().filter(|_| is_seen) else {
            let mut kept = self.kept(documents, scope, progress);
            let next = self.after(&kept, reply, None, scope, token)?;
            return Ok((kept.take(), next));
        };
        // The first document stands for the answer. Where the records of the page are needed too, it has to be kept
        // beside them; else the next token is found first, and nothing is copied.
        if self.paging.reads_records() {
            let body = Arc::new(first.clone());
            let mut kept = self.kept(documents, scope, progress);
            let next = self.after(&kept, reply, Some(body), scope, token)?;
            return Ok((kept.take(), next));
        }
        let seen = Arc::new(first.take());
        let next = self.after(&Kept::default(), reply, Some(Arc::clone(&seen)), scope, token)?;
        *first = Arc::unwrap_or_clone(seen);
        let mut kept = self.kept(documents, scope, progress);
        let next = next.filter(|_| !kept.ends);
        Ok((kept.take(), next))
    }

    /// The records of some documents, without those that are old.
    fn kept(&self, documents: Documents, scope: &Scope, progress: Option<&Progress>) -> Kept {
        let now = scope.now();
        let rules = self.rules.as_deref();
        let leaves_out = rules.is_some_and(|rules| rules.is_client_side && !rules.is_data_feed);
        let compared = progress.filter(|_| leaves_out);
        let mut is_kept = |record: &Value| compared.is_none_or(|known| known.is_new(record, now));
        let mut selected = self.selector.select(documents.all, scope, &mut is_kept);
        selected.problems.splice(0..0, documents.problems);
        let mut kept = Kept { found: selected.found, count: selected.records.len(), ..Kept::default() };
        kept.last = selected.records.last().cloned();
        // Newest first: the first old record ends the pages, and what is old is left out.
        if let Some(known) = progress.filter(|_| rules.is_some_and(|rules| rules.is_data_feed)) {
            kept.ends = selected.records.last().is_some_and(|last| !known.is_new(last, now));
            selected.records.retain(|record| known.is_new(record, now));
        }
        let newest = rules.and_then(|rules| rules.newest(&selected.records, now));
        kept.fetched = Fetched { records: selected.records, newest, problems: selected.problems, ..Fetched::default() };
        kept
    }

    /// The token of the page after these records.
    fn after(
        &self,
        kept: &Kept,
        reply: &Reply,
        body: Option<Arc<Value>>,
        scope: &Scope,
        token: Option<&Value>,
    ) -> Result<Option<Value>, Failure> {
        if kept.ends {
            return Ok(None);
        }
        let page = Page { reply, body, found: kept.found, kept: kept.count, last: kept.last.clone() };
        self.paging.next(&page, token, scope)
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

/// What was kept of an answer, or of a part of it.
#[derive(Default)]
struct Kept {
    fetched: Fetched,
    /// Records before any was left out.
    found: usize,
    /// Records after the filter.
    count: usize,
    last: Option<Arc<Value>>,
    /// Whether nothing new comes after it.
    ends: bool,
}

impl Kept {
    fn take(&mut self) -> Fetched {
        std::mem::take(&mut self.fetched)
    }

    /// Takes up another part of the same answer; gives its records.
    fn add(&mut self, part: Self) -> Fetched {
        self.found += part.found;
        self.count += part.count;
        self.ends |= part.ends;
        self.last = part.last.or_else(|| self.last.take());
        part.fetched
    }
}

/// Answers that are the same though another page was asked for.
#[derive(Default)]
struct Repeats {
    last: Option<Bytes>,
    count: u32,
}

impl Repeats {
    /// The same token again, and the same answer: the platform leads in a circle. A scroll, whose token stays while its
    /// pages go on, does not.
    fn saw(&mut self, body: Bytes, token: Option<&Value>, next: &Value) -> Result<(), Failure> {
        self.count = if self.last.as_ref() == Some(&body) { self.count + 1 } else { 0 };
        self.last = Some(body);
        if self.count > 0 && token == Some(next) {
            let message = format!("the next page is this one again ({next}); the paginator needs a stop condition");
            return Err(Failure::system(message));
        }
        if self.count >= REPEATS_MAX {
            let message = format!(
                "{REPEATS_MAX} pages in a row are the same; the platform does not see which page is asked for, so check \
                 the paginator's options"
            );
            return Err(Failure::system(message));
        }
        Ok(())
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
