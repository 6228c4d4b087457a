//! Streams of records: parts, slices, pages.
//!
//! ```text
//! StreamReader ─▶ Router: parts ─▶ Cursor: slices ─▶ Pages or Job: pages of records ─▶ Event
//!                   ▲ a parent is a StreamReader itself
//! ```
//! Everything is pulled: a page is asked for when the one before it has been taken. Slices of a stream are read several
//! at a time ([`Read::run`]); how far each has come is kept by the cursor, and what fails is told of and read again
//! next time.

mod build;
mod job;
mod pages;
mod place;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_stream::stream;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _, pin_mut};
use lockstep_core::clock::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::account::Account;
use crate::cursor::{Cursor, Point, Progress, Rules};
use crate::failure::Failure;
use crate::partition::Router;
use crate::slice::Slice;

pub(crate) use build::chosen;
use pages::Fetched;
pub(crate) use place::Places;

/// Something that happened while a stream is read.
#[derive(Debug)]
pub enum Event {
    /// A stream is begun.
    Began {
        /// The stream's name.
        stream: Arc<str>,
    },
    /// A stream is at its end.
    Ended {
        /// The stream's name.
        stream: Arc<str>,
        /// Whether nothing of it is missing.
        is_whole: bool,
    },
    /// A page of records.
    Records {
        /// The stream's name.
        stream: Arc<str>,
        /// The records, in the order in which they came.
        records: Vec<Arc<Value>>,
        /// When they were asked for, or ordered: they show nothing that happened later, and may miss what did before
        /// they came.
        asked_at: Timestamp,
        /// How far the stream has been read with these, where that is told by page and the platform gives a next one.
        state: Option<Value>,
    },
    /// How far the stream has been read: all records before it have been told.
    State {
        /// The stream's name.
        stream: Arc<str>,
        /// The state, to be given to the next run.
        state: Value,
    },
    /// Something could not be read; the rest goes on.
    Problem {
        /// The stream's name.
        stream: Arc<str>,
        /// Which part of it, in words; empty for the stream as a whole, or a record.
        part: String,
        /// What is wrong.
        failure: Failure,
        /// Whether a part of the stream is missing because of it.
        is_gap: bool,
    },
}

/// Reads one stream.
pub(crate) struct StreamReader {
    pub(crate) name: Arc<str>,
    account: Arc<Account>,
    router: Option<Router>,
    rules: Option<Arc<Rules>>,
    retriever: Retriever,
}

enum Retriever {
    Pages(Box<pages::Pages>),
    Job(Box<job::Job>),
}

type FetchedPages<'a> = BoxStream<'a, Result<Fetched, Failure>>;

impl StreamReader {
    /// How far the stream has been read, taken up from a state.
    pub(crate) fn cursor(&self, state: &Value) -> Result<Cursor, Failure> {
        let is_global = self.router.as_ref().is_some_and(Router::is_global)
            || self.rules.as_ref().is_some_and(|rules| rules.is_global);
        Cursor::new(self.rules.as_ref(), state, self.router.is_some(), is_global)
    }

    fn parts(&self) -> BoxStream<'_, Result<Slice, Failure>> {
        match &self.router {
            Some(router) => router.parts(),
            None => futures_util::stream::iter([Ok(Slice::whole())]).boxed(),
        }
    }

    /// The pages of a slice, from the one of a token on where there is one. A job's are always read from the first.
    fn pages<'a>(&'a self, slice: &'a Slice, progress: Option<&'a Progress>, from: Option<Value>) -> FetchedPages<'a> {
        match &self.retriever {
            Retriever::Pages(pages) => pages.of(slice, self.router.as_ref(), progress, (from, &|scope| scope)).boxed(),
            Retriever::Job(job) => job.of(slice, self.router.as_ref(), progress).boxed(),
        }
    }

    /// All records, one slice after the other, each with its slice. A slice that fails is told of; the next goes on.
    pub(crate) fn records<'a>(
        &'a self,
        cursor: &'a Mutex<Cursor>,
    ) -> BoxStream<'a, Result<(Arc<Value>, Slice), Failure>> {
        let records = stream! {
            let mut parts = self.parts();
            while let Some(part) = parts.next().await {
                let slices = match part {
                    Ok(part) => held(cursor).open(&part, self.account.now()),
                    Err(failure) => Err(failure),
                };
                let slices = match slices {
                    Ok(slices) => slices,
                    Err(failure) => {
                        yield Err(failure);
                        continue;
                    }
                };
                for slice in slices {
                    let inner = self.slice_records(cursor, slice);
                    pin_mut!(inner);
                    while let Some(record) = inner.next().await {
                        yield record;
                    }
                }
            }
        };
        records.boxed()
    }

    fn slice_records<'a>(
        &'a self,
        cursor: &'a Mutex<Cursor>,
        slice: Slice,
    ) -> impl futures_util::Stream<Item = Result<(Arc<Value>, Slice), Failure>> + Send + 'a {
        stream! {
            let known = held(cursor).progress(&slice);
            let progress = match known {
                Ok(progress) => progress,
                Err(failure) => {
                    yield Err(failure);
                    return;
                }
            };
            let mut newest: Option<Point> = None;
            let mut pages = self.pages(&slice, progress.as_ref(), None);
            while let Some(page) = pages.next().await {
                match page {
                    Ok(page) => {
                        newest = newest.max(page.newest);
                        for record in page.records {
                            yield Ok((record, slice.clone()));
                        }
                    }
                    Err(failure) => {
                        yield Err(failure);
                        return;
                    }
                }
            }
            drop(pages);
            let closed = held(cursor).close(&slice, newest);
            if let Err(failure) = closed {
                yield Err(failure);
            }
        }
    }
}

/// A cursor or places, which nobody holds across an `await`.
pub(crate) fn held<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One reading of a stream.
pub(crate) struct Read<'a> {
    reader: &'a StreamReader,
    cursor: Mutex<Cursor>,
    out: &'a mpsc::Sender<Event>,
    told: Mutex<Instant>,
    /// Where slices go on; none where the state is not to say so.
    places: Option<Mutex<Places>>,
}

/// Between two tellings of the state of a stream with many parts.
const STATE_EVERY: Duration = Duration::from_secs(10);

impl<'a> Read<'a> {
    /// A reading from a state on, which holds no places: those are given beside it, where the state is to hold them.
    pub(crate) fn new(
        reader: &'a StreamReader,
        state: &Value,
        places: Option<Places>,
        out: &'a mpsc::Sender<Event>,
    ) -> Result<Self, Failure> {
        let (cursor, told) = (Mutex::new(reader.cursor(state)?), Mutex::new(Instant::now()));
        Ok(Self { reader, cursor, out, told, places: places.map(Mutex::new) })
    }

    /// Reads the stream to its end, `at_once` slices at a time. Gives whether nothing of it is missing; stops early,
    /// as if something were, when nobody takes the events any more.
    ///
    /// Whatever waits here waits beside the slices, never before them: a slice that is not polled may hold what the
    /// wait is for (a token that is being renewed, a place in the channel).
    pub(crate) async fn run(&self, at_once: usize) -> bool {
        let began = Instant::now();
        let mut is_whole = true;
        let mut has_more = true;
        let mut parts = self.reader.parts();
        let mut slices: VecDeque<Slice> = VecDeque::new();
        let mut running: FuturesUnordered<BoxFuture<'_, bool>> = FuturesUnordered::new();
        loop {
            while running.len() < at_once
                && let Some(slice) = slices.pop_front()
            {
                running.push(self.slice(slice).boxed());
            }
            let wants_parts = has_more && slices.is_empty() && running.len() < at_once;
            if running.is_empty() && !wants_parts {
                break;
            }
            tokio::select! {
                // However long a slice would still wait for its platform.
                () = self.out.closed() => return false,
                Some(is_done) = running.next(), if !running.is_empty() => is_whole &= is_done,
                part = parts.next(), if wants_parts => match part.map(|part| self.opened(part)) {
                    None => has_more = false,
                    Some(Ok(found)) => slices.extend(found),
                    Some(Err(failure)) => {
                        let told = self.problem(String::new(), failure, true);
                        running.push(told.map(|()| false).boxed());
                    }
                },
            }
        }
        drop(running);
        drop(parts);
        if is_whole {
            let took_s = i64::try_from(began.elapsed().as_secs() + 1).unwrap_or(i64::MAX);
            let parents = self.reader.router.as_ref().and_then(Router::parent_state);
            held(&self.cursor).finish(took_s, parents);
        }
        if is_whole || self.reader.rules.is_some() {
            self.state().await;
        }
        is_whole
    }

    fn opened(&self, part: Result<Slice, Failure>) -> Result<Vec<Slice>, Failure> {
        held(&self.cursor).open(&part?, self.reader.account.now())
    }

    /// Reads a slice; false where it failed.
    async fn slice(&self, slice: Slice) -> bool {
        match self.slice_pages(&slice).await {
            Ok(()) => {
                if self.is_due() {
                    self.state().await;
                }
                true
            }
            Err(failure) => {
                self.problem(slice.explain(), failure, true).await;
                false
            }
        }
    }

    /// Whether the state is to be told: after each window, and of many parts now and then.
    fn is_due(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = self.reader.rules.is_some() && (self.reader.router.is_none() || told.elapsed() >= STATE_EVERY);
        if is_due {
            *told = Instant::now();
        }
        is_due
    }

    async fn slice_pages(&self, slice: &Slice) -> Result<(), Failure> {
        let progress = held(&self.cursor).progress(slice)?;
        let rules = self.reader.rules.as_deref();
        let place = self.places.as_ref().and_then(|places| held(places).take(slice, rules));
        let mut newest = place.as_ref().and_then(|place| place.newest(rules));
        let slice = &place.as_ref().map_or_else(|| slice.clone(), |place| place.slice(slice));
        let mut pages = self.reader.pages(slice, progress.as_ref(), place.map(|place| place.token));
        while let Some(page) = pages.next().await {
            let page = page?;
            newest = newest.max(page.newest);
            for problem in page.problems {
                self.problem(slice.explain(), Failure::system(problem), false).await;
            }
            let next = page.next.filter(|_| self.places.is_some());
            if page.records.is_empty() && next.is_none() {
                continue;
            }
            // What a state says is told before it, whatever other slices tell meanwhile: first the room, then the state.
            let room = self.out.reserve().await;
            let room = room.map_err(|_closed| Failure::transient("nobody takes the records any more"))?;
            let state = next.and_then(|token| self.state_at(slice, token, newest));
            let stream = Arc::clone(&self.reader.name);
            let told = match state {
                Some(state) if page.records.is_empty() => Event::State { stream, state },
                state => {
                    let asked_at = Timestamp(page.asked_at.as_millisecond());
                    Event::Records { stream, records: page.records, asked_at, state }
                }
            };
            room.send(told);
        }
        drop(pages);
        if let Some(places) = &self.places {
            held(places).done(slice);
        }
        held(&self.cursor).close(slice, newest)
    }

    async fn state(&self) {
        // Whoever has stopped listening needs no state.
        if let Ok(room) = self.out.reserve().await {
            room.send(Event::State { stream: Arc::clone(&self.reader.name), state: self.state_now() });
        }
    }

    /// The state with which a slice goes on at the page of a token, where the state is to say so.
    fn state_at(&self, slice: &Slice, token: Value, newest: Option<Point>) -> Option<Value> {
        let rules = self.reader.rules.as_deref();
        let newest = rules.zip(newest).map(|(rules, newest)| rules.scale.write(newest));
        held(self.places.as_ref()?).keep(slice, token, newest.unwrap_or_default(), self.reader.account.now());
        Some(self.state_now())
    }

    fn state_now(&self) -> Value {
        let Some(places) = self.places.as_ref().map(held).filter(|places| !places.is_empty()) else {
            return held(&self.cursor).state();
        };
        let mut state = held(&self.cursor).state_under_way();
        places.put(&mut state);
        state
    }

    async fn problem(&self, part: String, failure: Failure, is_gap: bool) {
        let stream = Arc::clone(&self.reader.name);
        let secrets = &self.reader.account.secrets;
        let failure = Failure { message: secrets.clean(&failure.message), ..failure };
        let _gone = self.out.send(Event::Problem { stream, part: secrets.clean(&part), failure, is_gap }).await;
    }
}
