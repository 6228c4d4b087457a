//! Runs: the remote is listed and taken in page by page, then records are compared and written, also page by page.
//!
//! The listing is read a few pages ahead; none is taken in while there is anything more urgent. A run is a row: a hub
//! that was killed goes on from its last page.

use super::Worker;
use crate::Halt;
use crate::intake::Shown;
use crate::lane::Lane;
use crate::push::{Done, Ground, Push};
use lockstep_connect::{Ask, Class, Event, Failure, FailureType, Job, Link, Trouble, Write, Written};
use lockstep_core::Fields;
use lockstep_core::clock::Timestamp;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::{RecordId, ShareId};
use lockstep_core::limits;
use lockstep_core::problem::Subject;
use lockstep_core::run::{Counts, Run, RunKind, RunState, Stage};
use lockstep_core::share::History;
use lockstep_core::work::{Progress, Waiting, Why, WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_store::index::Walk;
use lockstep_store::turn::Turn;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinHandle;

/// Pages read ahead of the one that is taken in.
const PAGES_AHEAD: usize = 4;
/// Records compared in one turn.
const RECORDS: usize = 500;
/// Imports under way at once.
const IMPORTS: usize = 4;
/// How often a listing is tried that fails for a cause that does not look like passing.
const TRIES: u32 = 5;
/// How long objects are left alone whose import may or may not have been begun, in milliseconds.
const IMPORT_LOST_MS: i64 = 300_000;
/// How long until an import is asked about, in milliseconds.
const IMPORT_MS: i64 = 1_000;
/// A page was asked for a little earlier than the clock said.
const CAUTION_MS: i64 = -1;

/// A listing that is being read, by a task of its own: it may hold what other calls of the account wait for, such as the
/// turn to refresh a token, so it must go on whatever the worker does. It reads a few pages ahead and ends by itself
/// when nobody takes them any more.
pub(super) struct Listing {
    events: mpsc::Receiver<Event>,
    reading: JoinHandle<Result<(), Failure>>,
    is_whole: bool,
    /// What could not be read.
    gap: Option<Failure>,
    /// Where the next reading begins, as the last state said.
    state: Option<Value>,
}

/// What is the next of a listing.
enum Next {
    Event(Event),
    /// Something else is more urgent.
    Later,
    End(Result<(), Failure>),
}

/// An import that is asked about until it is done.
#[derive(Serialize, Deserialize)]
struct Import {
    job: Job,
    /// What was sent of each record, in the order of the job.
    sent: Vec<(RecordId, Fields)>,
}

impl Listing {
    #[expect(clippy::disallowed_methods, reason = "the listing holds the task, which ends when nobody takes its pages")]
    fn of(link: &Link, stream: &str, state: Value) -> Self {
        let (sender, events) = mpsc::channel(PAGES_AHEAD);
        let (session, stream) = (link.session().clone(), stream.to_owned());
        let reading = tokio::spawn(async move {
            let ask = Ask { streams: Some(vec![(stream, state)]), is_by_page: true, ..Ask::default() };
            session.read(ask, &sender).await
        });
        Self { events, reading, is_whole: true, gap: None, state: None }
    }

    /// The next event, unless something is more urgent.
    async fn next(&mut self, urgent: impl Future<Output = ()>) -> Next {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => Next::Event(event),
                None => Next::End(match (&mut self.reading).await {
                    Ok(ended) => ended,
                    Err(broken) => Err(Failure { kind: FailureType::System, message: broken.to_string() }),
                }),
            },
            () = urgent => Next::Later,
        }
    }
}

/// When a share next pulls by itself.
pub(super) fn pulls_at(lane: &Lane) -> Option<Timestamp> {
    let share = &lane.share;
    let is_on = share.takes_in() && share.switches.pull && !share.is_paused;
    if !is_on || !lane.progress.is_live || lane.run.is_some() {
        return None;
    }
    let last = lane.progress.scheduled_at.unwrap_or(share.created_at);
    share.schedule.as_ref()?.next_after(share.id, last)
}

impl Worker {
    /// Begins the incremental runs whose time has come.
    pub(super) async fn start_scheduled(&mut self) -> Result<bool, Halt> {
        let now = self.world.clock.now();
        let due = self.lanes.values().filter(|lane| lane.may_work(now));
        let due = due.filter(|lane| pulls_at(lane).is_some_and(|at| at <= now));
        let Some(share) = due.map(|lane| lane.share.id).next() else { return Ok(false) };
        self.keep_progress(share, |progress| progress.scheduled_at = Some(now)).await?;
        self.begin(share, RunKind::Incremental).await?;
        Ok(true)
    }

    /// Does one step of one run; runs take turns.
    pub(super) async fn step(&mut self) -> Result<bool, Halt> {
        let now = self.world.clock.now();
        let is_next = |lane: &&Lane| {
            lane.may_work(now)
                && lane.looks_at.is_none_or(|at| at <= now)
                && lane.run.as_ref().is_some_and(|run| run.state == RunState::Running)
        };
        let after = self.last_run;
        let later = self.lanes.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        let found = later.chain(self.lanes.iter()).find(|(_, lane)| is_next(lane));
        let Some((share, run)) = found.and_then(|(id, lane)| Some((*id, lane.run.clone()?))) else { return Ok(false) };
        self.last_run = Some(share);
        match run.stage.clone() {
            Stage::Listing { state } => self.list(share, run, state).await?,
            Stage::Writing { done, job } => self.compare(share, run, &done, job).await?,
            Stage::Over => self.end_run(share, Run { state: RunState::Completed, ..run }, |_| {}).await?,
        }
        Ok(true)
    }

    async fn list(&mut self, share: ShareId, run: Run, state: Value) -> Result<(), Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let mut listing = match (self.listings.remove(&share), &lane.stream) {
            (Some(listing), _) => listing,
            (None, Some(stream)) => {
                if let Err(trouble) = self.link.prepare(&lane.share.object).await {
                    return match trouble.class {
                        Class::Auth | Class::Retry | Class::Unknown | Class::Down => self.fail(share, &trouble).await,
                        _ => self.stop_run(share, run, &trouble.failure).await,
                    };
                }
                Listing::of(&self.link, stream, state)
            }
            // What cannot be listed is matched as it is written.
            (None, None) => return self.listed(share, run, Value::Null).await,
        };
        let due = tokio::time::sleep(self.until_due(self.world.clock.now()));
        let urgent = async {
            tokio::select! {
                () = self.door.knocked() => {}
                () = due => {}
            }
        };
        let next = listing.next(urgent).await;
        match next {
            Next::Later => drop(self.listings.insert(share, listing)),
            Next::Event(event) => {
                if self.listed_event(share, run, &mut listing, event).await? {
                    self.listings.insert(share, listing);
                }
            }
            Next::End(Err(failure)) => self.listing_failed(share, run, &failure).await?,
            Next::End(Ok(())) => match listing.gap.take() {
                Some(failure) => self.listing_failed(share, run, &failure).await?,
                None => {
                    let state = listing.state.unwrap_or_default();
                    let run = if listing.is_whole { run } else { Run { reason: incomplete(), ..run } };
                    self.listed(share, run, state).await?;
                }
            },
        }
        Ok(())
    }

    /// Takes in what happened in a listing. Says whether it goes on.
    async fn listed_event(
        &mut self,
        share: ShareId,
        run: Run,
        listing: &mut Listing,
        event: Event,
    ) -> Result<bool, Halt> {
        match event {
            Event::Began { .. } => {}
            Event::Ended { is_whole, .. } => listing.is_whole &= is_whole,
            Event::State { state, .. } => {
                listing.state = Some(state.clone());
                if let Some(lane) = self.lanes.get_mut(&share) {
                    // Kept with the next page: all before it has been taken in.
                    lane.run = Some(Run { stage: Stage::Listing { state }, ..run });
                }
            }
            Event::Records { records, asked_at, state, .. } => {
                // The page and that the next one comes after it are one commit.
                let stage = state.map_or(run.stage, |state| Stage::Listing { state });
                self.take_page(share, Run { stage, ..run }, records, asked_at.plus_ms(CAUTION_MS)).await?;
            }
            Event::Problem { failure, is_gap: true, .. } => {
                listing.gap.get_or_insert(failure);
            }
            Event::Problem { failure, .. } => {
                let reason = Some(format!("some rows could not be read; the last: {}", failure.message));
                let counts = Counts { seen: 1, failed: 1, ..Counts::default() };
                let run = Run { counts: run.counts.plus(counts), reason, ..run };
                self.commit(Turn { run: Some(run), ..self.blank(share) }).await?;
            }
        }
        Ok(true)
    }

    async fn take_page(
        &mut self,
        share: ShareId,
        run: Run,
        records: Vec<Arc<Value>>,
        asked_at: Timestamp,
    ) -> Result<(), Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let (mut objects, mut puts, mut failed) = (Vec::with_capacity(records.len()), Vec::new(), 0);
        for raw in records {
            let raw = Arc::unwrap_or_clone(raw);
            if let Ok(false) = self.link.is_listed(&lane.share.object, &lane.share.options, &raw) {
                continue;
            }
            match self.link.shaped(&lane.share.object, &lane.share.options, raw) {
                Ok(object) => objects.push(Shown { object, asked_at }),
                Err(failure) => {
                    failed += 1;
                    let subject = Subject::Object(String::new());
                    let reason = Rejection::new(Code::RemoteRefused, failure.message);
                    let problem = self.desk(lane, None).failed(&subject, reason);
                    puts.push((WorkKey::problem(share, problem.id), WorkPut::Row(WorkRow::Problem(problem))));
                }
            }
        }
        let taking = self.desk(lane, Some(&run)).take(objects).await?;
        puts.extend(self.unresolved(share, taking.references));
        let counts = Counts { seen: failed, failed, ..Counts::default() };
        let run = Run { counts: run.counts.plus(counts), ..run };
        let turn = Turn { lines: taking.lines, puts, run: Some(run), is_bulk: true, ..self.blank(share) };
        self.commit(turn).await?;
        self.recovered(share).await
    }

    /// A listing could not be read to its end: it is read on later, or the run is over.
    async fn listing_failed(&mut self, share: ShareId, run: Run, failure: &Failure) -> Result<(), Halt> {
        let class = match failure.kind {
            FailureType::Config => Class::Auth,
            FailureType::Transient => Class::Down,
            // It may be a mood of the platform's; one that lasts is for people.
            FailureType::System if self.streak(share) < TRIES => Class::Down,
            FailureType::System => return self.stop_run(share, run, failure).await,
        };
        self.fail(share, &Trouble { class, failure: failure.clone(), after: None }).await
    }

    /// A run cannot go on, however often it is tried.
    async fn stop_run(&mut self, share: ShareId, run: Run, failure: &Failure) -> Result<(), Halt> {
        let run = Run { state: RunState::Stopped, reason: Some(failure.message.clone()), ..run };
        self.end_run(share, run, |progress| progress.failing = None).await?;
        self.tell(share, "run.stopped");
        Ok(())
    }

    fn streak(&self, share: ShareId) -> u32 {
        let lane = self.lanes.get(&share);
        lane.and_then(|lane| lane.progress.failing.as_ref()).map_or(0, |failing| failing.streak)
    }

    /// The remote has been listed: what comes in is over, what goes out begins.
    async fn listed(&mut self, share: ShareId, run: Run, state: Value) -> Result<(), Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        if lane.share.takes_in() {
            let end = if run.reason.is_some() { RunState::Incomplete } else { RunState::Completed };
            return self.end_run(share, Run { state: end, ..run }, |progress| progress.pulled = state).await;
        }
        let head = self.world.store.head(&self.connection.business).await?;
        let follow = lane.progress.follow.unwrap_or(head);
        let progress = Progress { is_matched: true, follow: Some(follow), pulled: state, ..lane.progress.clone() };
        let run = Run { stage: Stage::Writing { done: String::new(), job: None }, ..run };
        let puts = vec![(WorkKey::progress(share), WorkPut::Row(WorkRow::Progress(progress)))];
        self.commit(Turn { puts, run: Some(run), ..self.blank(share) }).await?;
        Ok(())
    }

    /// Ends a run, with what is kept of it for the next.
    pub(super) async fn end_run(
        &mut self,
        share: ShareId,
        run: Run,
        keep: impl FnOnce(&mut Progress),
    ) -> Result<(), Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let mut progress = Progress { run: None, ..lane.progress.clone() };
        if matches!(run.state, RunState::Completed | RunState::Incomplete) {
            progress.is_matched = true;
            progress.is_live = true;
        }
        keep(&mut progress);
        let run = Run { stage: Stage::Over, ended_at: Some(self.world.clock.now()), ..run };
        tracing::info!(share = %share, run = %run.id, state = ?run.state, seen = run.counts.seen, "a run has ended");
        let mut puts = vec![(WorkKey::progress(share), WorkPut::Row(WorkRow::Progress(progress)))];
        puts.extend(self.oldest_runs(share).await?);
        self.commit(Turn { puts, run: Some(run), ..self.blank(share) }).await?;
        self.listings.remove(&share);
        if let Some(lane) = self.lanes.get_mut(&share) {
            // Of imports that nobody asks about any more, each record has a row, by which it is looked up.
            lane.importing.clear();
            lane.looks_at = None;
        }
        Ok(())
    }

    /// The rows of runs that are more than are kept, as they go.
    pub(super) async fn oldest_runs(&self, share: ShareId) -> Result<Vec<(WorkKey, WorkPut)>, Halt> {
        let business = &self.connection.business;
        let known = self.world.store.work(business, WorkKind::Run, Some(share), None, limits::RUNS_KEPT * 2).await?;
        let oldest = known.len().saturating_sub(limits::RUNS_KEPT);
        Ok(known.into_iter().take(oldest).map(|(key, _)| (key, WorkPut::Gone)).collect())
    }

    /// Compares the next records with what the platform is known to hold, and writes what differs.
    async fn compare(&mut self, share: ShareId, run: Run, done: &str, job: Option<Value>) -> Result<(), Halt> {
        let mut imports: Vec<Import> = job.and_then(|job| serde_json::from_value(job).ok()).unwrap_or_default();
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let ty = lane.share.ty.clone();
        let after = done.parse().map_or(Walk::OLDEST, Walk::Up);
        let is_full = imports.len() >= IMPORTS;
        let page = match is_full {
            true => None,
            false => Some(self.world.store.records(&self.connection.business, &ty, after, RECORDS).await?),
        };
        let ids: Vec<RecordId> = page.iter().flat_map(|page| &page.records).map(|record| record.id).collect();
        let Some(last) = ids.last().copied() else {
            return match imports.is_empty() {
                false => self.ask_import(share, run, done, imports).await,
                true => self.end_run(share, Run { state: ended(&run), ..run }, |_| {}).await,
            };
        };
        let free: Vec<RecordId> =
            ids.into_iter().filter(|id| self.agenda.at(&WorkKey::waiting(share, *id)).is_none()).collect();
        let may_create = lane.share.history == History::All;
        let mut done_now = self.push(share, &free, Ground::new(may_create, false), Some(&run)).await?;
        if let Some(trouble) = done_now.trouble.take() {
            self.commit(Turn { lines: done_now.lines, puts: done_now.puts, ..self.blank(share) }).await?;
            return self.fail(share, &trouble).await;
        }
        let begun = self.begin_imports(share, done_now.import, &mut imports).await?;
        done_now.puts.extend(begun.puts);
        done_now.counts = done_now.counts.plus(begun.counts);
        let job = (!imports.is_empty()).then(|| serde_json::to_value(&imports).unwrap_or_default());
        // Of a page that was not handed over whole, the rest comes again.
        let done = if begun.trouble.is_some() { done.to_owned() } else { last.to_string() };
        let run = Run { stage: Stage::Writing { done, job }, counts: run.counts.plus(done_now.counts), ..run };
        self.note_imports(share, &imports);
        let turn =
            Turn { lines: done_now.lines, puts: done_now.puts, run: Some(run), is_bulk: true, ..self.blank(share) };
        self.commit(turn).await?;
        match begun.trouble {
            Some(trouble) => self.fail(share, &trouble).await,
            None => self.recovered(share).await,
        }
    }

    /// Reads which records are being imported, from a run that goes on.
    pub(super) fn resume_imports(&mut self, share: ShareId) {
        let run = self.lanes.get(&share).and_then(|lane| lane.run.as_ref());
        let Some(Stage::Writing { job: Some(job), .. }) = run.map(|run| &run.stage) else { return };
        let imports: Vec<Import> = serde_json::from_value(job.clone()).unwrap_or_default();
        self.note_imports(share, &imports);
        // What changed before this hub began is not known.
        let all: Vec<RecordId> = imports.into_iter().flat_map(|import| import.sent).map(|(record, _)| record).collect();
        self.touch(share, &all);
    }

    fn note_imports(&mut self, share: ShareId, imports: &[Import]) {
        let Some(lane) = self.lanes.get_mut(&share) else { return };
        let records = imports.iter().flat_map(|import| import.sent.iter().map(|(record, _)| *record));
        let before = std::mem::take(&mut lane.importing);
        lane.importing = records.map(|record| (record, before.get(&record).copied().unwrap_or(false))).collect();
    }

    /// Hands new objects over, as many at once as the platform takes. That they may be imported is committed first: an
    /// import whose answer is lost may be carried out whenever the platform gets to it, so its objects are left alone for
    /// a while and then looked up.
    async fn begin_imports(
        &mut self,
        share: ShareId,
        new: Vec<(Write, Fields)>,
        imports: &mut Vec<Import>,
    ) -> Result<Done, Halt> {
        let mut begun = Done::default();
        let Some(lane) = self.lanes.get(&share).filter(|_| !new.is_empty()) else { return Ok(begun) };
        let lane_share = Arc::clone(&lane.share);
        let size = self.link.bulk(&lane_share.object).map_or(1, |bulk| bulk.size.max(1));
        let record = |write: &Write| write.token.parse::<RecordId>().ok();
        let puts = new.iter().filter_map(|(write, _)| Some(self.import_intent(share, record(write)?)));
        let puts = puts.collect();
        self.commit(Turn { puts, is_bulk: true, ..self.blank(share) }).await?;
        for part in new.chunks(size) {
            let ids = part.iter().filter_map(|(write, _)| record(write));
            if begun.trouble.is_some() {
                begun.puts.extend(ids.map(|id| (WorkKey::waiting(share, id), WorkPut::Gone)));
                continue;
            }
            let writes: Vec<Write> = part.iter().map(|(write, _)| write.clone()).collect();
            match self.link.submit(&lane_share.object, &lane_share.options, writes).await {
                Ok(job) => {
                    let wanted = part.iter().map(|(_, wanted)| wanted.clone());
                    imports.push(Import { job, sent: ids.zip(wanted).collect() });
                }
                Err(trouble) if trouble.class == Class::Unknown => {
                    let waiting = u64::try_from(part.len()).unwrap_or(u64::MAX);
                    begun.counts = begun.counts.plus(Counts { seen: waiting, waiting, ..Counts::default() });
                }
                Err(trouble) => {
                    begun.puts.extend(ids.map(|id| (WorkKey::waiting(share, id), WorkPut::Gone)));
                    begun.trouble = Some(trouble);
                }
            }
        }
        Ok(begun)
    }

    fn import_intent(&self, share: ShareId, record: RecordId) -> (WorkKey, WorkPut) {
        let now = self.world.clock.now();
        let reason = Rejection::new(Code::RemoteInDoubt, "it is being imported there");
        let next_at = now.plus_ms(IMPORT_LOST_MS);
        let waiting = Waiting { why: Why::InDoubt, since: now, attempt: 0, next_at, reason };
        (WorkKey::waiting(share, record), WorkPut::Row(WorkRow::Waiting(waiting)))
    }

    /// What becomes of the rows of records that were imported: those that changed meanwhile are looked at once more.
    fn after_import(&self, share: ShareId, records: &[RecordId]) -> Vec<(WorkKey, WorkPut)> {
        let now = self.world.clock.now();
        let importing = self.lanes.get(&share).map(|lane| &lane.importing);
        let put = |record: &RecordId| {
            let is_touched = importing.and_then(|importing| importing.get(record)).copied().unwrap_or(true);
            let reason = Rejection::new(Code::RemoteInDoubt, "it changed while it was imported");
            let again = Waiting { why: Why::Retry, since: now, attempt: 0, next_at: now, reason };
            let put = if is_touched { WorkPut::Row(WorkRow::Waiting(again)) } else { WorkPut::Gone };
            (WorkKey::waiting(share, *record), put)
        };
        records.iter().map(put).collect()
    }

    /// Asks about the oldest import; one that is under way is asked about again later.
    async fn ask_import(&mut self, share: ShareId, run: Run, done: &str, imports: Vec<Import>) -> Result<(), Halt> {
        let mut imports = imports.into_iter();
        let (Some(oldest), Some(lane)) = (imports.next(), self.lanes.get(&share)) else { return Ok(()) };
        let written = match self.link.poll(&lane.share.object, &lane.share.options, &oldest.job).await {
            Ok(Some(written)) => written,
            Ok(None) => {
                let later = self.world.clock.now().plus_ms(IMPORT_MS);
                if let Some(lane) = self.lanes.get_mut(&share) {
                    lane.looks_at = Some(later);
                }
                return Ok(());
            }
            Err(trouble) => match trouble.class {
                Class::Auth | Class::Retry | Class::Unknown | Class::Down => return self.fail(share, &trouble).await,
                _ => return self.lose_import(share, (run, done), oldest, imports.collect(), &trouble).await,
            },
        };
        let records: Vec<RecordId> = oldest.sent.iter().map(|(record, _)| *record).collect();
        let written = records.iter().copied().zip(written).collect();
        let sent: BTreeMap<RecordId, Fields> = oldest.sent.into_iter().collect();
        let Some(mut made) = self.imported(share, &run, sent, written) else { return Ok(()) };
        let trouble = made.trouble.take();
        // First what becomes of all, then what came of some: the later word on a row holds.
        let mut puts = self.after_import(share, &records);
        puts.extend(made.puts);
        let rest: Vec<Import> = imports.collect();
        self.note_imports(share, &rest);
        let job = (!rest.is_empty()).then(|| serde_json::to_value(&rest).unwrap_or_default());
        let stage = Stage::Writing { done: done.to_owned(), job };
        let run = Run { stage, counts: run.counts.plus(made.counts), ..run };
        if let Some(lane) = self.lanes.get_mut(&share) {
            lane.looks_at = None;
        }
        let turn = Turn { lines: made.lines, puts, run: Some(run), is_bulk: true, ..self.blank(share) };
        self.commit(turn).await?;
        match trouble {
            Some(trouble) => self.fail(share, &trouble).await,
            None => Ok(()),
        }
    }

    /// The platform knows an import no more: what became of its records is looked up, by the row that each has.
    async fn lose_import(
        &mut self,
        share: ShareId,
        (run, done): (Run, &str),
        lost: Import,
        rest: Vec<Import>,
        trouble: &Trouble,
    ) -> Result<(), Halt> {
        tracing::warn!(share = %share, reason = %trouble, "what became of an import is looked up");
        let waiting = u64::try_from(lost.sent.len()).unwrap_or(u64::MAX);
        self.note_imports(share, &rest);
        let job = (!rest.is_empty()).then(|| serde_json::to_value(&rest).unwrap_or_default());
        let counts = run.counts.plus(Counts { seen: waiting, waiting, ..Counts::default() });
        let run = Run { stage: Stage::Writing { done: done.to_owned(), job }, counts, ..run };
        self.commit(Turn { run: Some(run), is_bulk: true, ..self.blank(share) }).await?;
        Ok(())
    }

    fn imported(
        &self,
        share: ShareId,
        run: &Run,
        sent: BTreeMap<RecordId, Fields>,
        written: Vec<(RecordId, Written)>,
    ) -> Option<Done> {
        let lane = self.lanes.get(&share)?;
        let push = Push {
            desk: self.desk(lane, Some(run)),
            link: &self.link,
            waits: &self.waits,
            proof: OnceCell::new(),
            ground: Ground::new(true, false),
            earlier: BTreeMap::new(),
            may_import: false,
        };
        Some(push.import_done(sent, written))
    }
}

fn incomplete() -> Option<String> {
    Some("something could not be read; the next run reads it again".to_owned())
}

const fn ended(run: &Run) -> RunState {
    if run.reason.is_some() { RunState::Incomplete } else { RunState::Completed }
}
