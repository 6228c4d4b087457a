//! A worker: all that is done for the shares of one connection, one turn after the other.
//!
//! ```text
//! orders ─▶ hints (fetched, taken in) ─▶ references ─▶ pushes (the log followed) ─▶ what waits ─▶ one step of a run
//! ```
//! A turn takes the first of these that has something to do and does a bounded amount of it, so real time goes before
//! bulk, one object is worked on at a time, and the account has one budget. What a worker knows is read from the store
//! when it begins; when the store fails it, it is dropped and another begins.

mod hint;
mod hook;
mod order;
mod outbox;
mod reference;
mod run;

pub(crate) use order::{Door, Order};

use crate::Halt;
use crate::agenda::Agenda;
use crate::intake::{Desk, Slots};
use crate::lane::Lane;
use crate::office::Shared;
use crate::reference::Waits;
use lockstep_connect::{Link, Trouble};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::Outcome;
use lockstep_core::connection::Connection;
use lockstep_core::delivery::About;
use lockstep_core::error::Rejection;
use lockstep_core::ids::ShareId;
use lockstep_core::rules::recovery;
use lockstep_core::run::{Run, RunKind, RunState, Stage};
use lockstep_core::work::{Failing, Progress, WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_engine::World;
use lockstep_engine::alert::Alert;
use lockstep_store::turn::{Turn, read_again_at};
use lockstep_store::{Commit, Committed, StoreError, Work};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Rows read from the store at once.
const ROWS: usize = 1_000;

/// The longest a worker rests without looking.
const REST: Duration = Duration::from_secs(60);

pub(crate) struct Worker {
    shared: Arc<Shared>,
    world: Arc<World>,
    connection: Arc<Connection>,
    link: Link,
    lanes: BTreeMap<ShareId, Lane>,
    slots: Slots,
    agenda: Agenda,
    door: Arc<Door>,
    orders: mpsc::Receiver<Order>,
    listings: BTreeMap<ShareId, run::Listing>,
    waits: Waits,
    /// The share whose run has had its step, so that the next one has its turn.
    last_run: Option<ShareId>,
    /// When the platform was last asked whether it still knows our hooks.
    hooks_looked_at: Option<Timestamp>,
}

impl Worker {
    /// Opens an account and reads what is to be done for it.
    ///
    /// # Errors
    /// What the store says; that the account cannot be opened.
    pub(crate) async fn open(shared: &Arc<Shared>, connection: Arc<Connection>, door: Arc<Door>) -> Result<Self, Halt> {
        let world = &shared.world;
        let shut = |wrong: Rejection| Halt::Shut(wrong.message);
        let link = shared.links.get(world, &shared.registry, &connection);
        let link = link.map_err(|refusal| shut(refusal.rejection))?;
        let known = shared.registry.get(&connection.connector, &connection.version).map_err(shut)?;
        let shares = world.settings.read(|settings| shared.shares_on(settings, connection.id));
        let mut lanes = BTreeMap::new();
        let mut slots = Slots::new();
        for (share, _) in shares {
            let ready = Lane::new(world, &known, Arc::clone(&share), &connection);
            match ready {
                Ok(lane) => {
                    let object = (lane.slot != share.ty.as_str()).then(|| lane.slot.clone());
                    slots.insert(share.object.clone(), (share.ty.clone(), object));
                    lanes.insert(share.id, lane);
                }
                Err(wrong) => tracing::warn!(share = %share.id, error = %wrong, "a share does not fit any more"),
            }
        }
        let orders = door.enter();
        let mut worker = Self {
            shared: Arc::clone(shared),
            world: Arc::clone(world),
            connection,
            link,
            lanes,
            slots,
            agenda: Agenda::default(),
            door,
            orders,
            listings: BTreeMap::new(),
            waits: Waits::default(),
            last_run: None,
            hooks_looked_at: None,
        };
        worker.read().await?;
        Ok(worker)
    }

    /// Reads the rows of its shares.
    async fn read(&mut self) -> Result<(), Halt> {
        let ids: Vec<ShareId> = self.lanes.keys().copied().collect();
        for id in ids {
            let business = &self.connection.business;
            let progress = match self.world.store.work_row(business, &WorkKey::progress(id)).await? {
                Some(WorkRow::Progress(progress)) => Some(progress),
                _ => None,
            };
            let run = match progress.as_ref().and_then(|progress| progress.run) {
                Some(run) => self.world.store.work_row(business, &WorkKey::run(id, run)).await?,
                None => None,
            };
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            match progress {
                Some(progress) => lane.progress = progress,
                None if lane.share.is_paused => {}
                None => self.begin(id, RunKind::Baseline).await?,
            }
            if let (Some(lane), Some(WorkRow::Run(run))) = (self.lanes.get_mut(&id), run) {
                lane.run = Some(run).filter(Run::is_open);
            }
            self.resume_imports(id);
            for kind in [WorkKind::Hint, WorkKind::Waiting, WorkKind::Reference] {
                self.read_rows(id, kind).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn read_rows(&mut self, share: ShareId, kind: WorkKind) -> Result<(), Halt> {
        let mut after: Option<WorkKey> = None;
        loop {
            let business = &self.connection.business;
            let rows = self.world.store.work(business, kind, Some(share), after.as_ref(), ROWS).await?;
            after = rows.last().map(|(key, _)| key.clone());
            let is_last = rows.len() < ROWS;
            for (key, row) in rows {
                self.noted(key, WorkPut::Row(row));
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Works until it is told to stop.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(crate) async fn work(mut self) -> Result<(), Halt> {
        while !self.door.is_closed() {
            if !self.turn().await? {
                self.rest().await;
            }
            // A worker with much to do lets others have their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Does a bounded amount of the most urgent work. Says whether there was any.
    async fn turn(&mut self) -> Result<bool, Halt> {
        Ok(self.heed().await?
            || self.keep_hooks().await?
            || self.follow_hints().await?
            || self.refer().await?
            || self.follow_log().await?
            || self.try_again().await?
            || self.start_scheduled().await?
            || self.step().await?)
    }

    /// Waits until there may be something to do.
    async fn rest(&mut self) {
        let now = self.world.clock.now();
        tokio::select! {
            () = self.door.knocked() => {}
            () = tokio::time::sleep(self.until_due(now)) => {}
        }
    }

    /// How long until something is due by itself. What is overdue and was not done waits for its share, which is paused
    /// or in recovery.
    fn until_due(&self, now: Timestamp) -> Duration {
        let failing = self.lanes.values().filter_map(|lane| lane.progress.failing.as_ref());
        let failing = failing.map(|failing| failing.next_at);
        let scheduled = self.lanes.values().filter_map(run::pulls_at);
        let looks = self.lanes.values().filter_map(|lane| lane.looks_at);
        let next =
            scheduled.chain(looks).chain(failing).filter(|at| *at > now).chain(self.agenda.next_after(now)).min();
        next.map_or(REST, |at| Duration::from_millis(at.ms_since(now)).min(REST))
    }

    /// Whether the account is well, apart from what was asked of single objects.
    async fn is_well(&self) -> bool {
        tokio::time::timeout(REST, self.link.proof()).await.is_ok_and(|proven| proven.is_ok())
    }

    /// The rows of one kind that are due, at most so many, of one share that may work.
    fn due(&self, kind: WorkKind, most: usize) -> Option<(ShareId, Vec<WorkKey>)> {
        let now = self.world.clock.now();
        let workable = |key: &&WorkKey| self.lanes.get(&key.share).is_some_and(|lane| lane.may_work(now));
        let share = self.agenda.due(kind, now).find(workable)?.share;
        let due = self.agenda.due(kind, now).filter(|key| key.share == share);
        Some((share, due.take(most).cloned().collect()))
    }

    /// Commits a turn and takes in what it says.
    async fn commit(&mut self, turn: Turn) -> Result<Vec<Outcome>, Halt> {
        if turn.is_empty() {
            return Ok(Vec::new());
        }
        let (share, at, run) = (turn.share, turn.at, turn.run.clone());
        let puts = turn.puts.clone();
        let receipt = turn.receipt();
        let committed = self.world.store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await?;
        let Committed::Outcomes(outcomes) = committed else {
            return Err(StoreError::Failed("a turn was answered with something else".to_owned()).into());
        };
        for (key, put) in puts {
            self.noted(key, put);
        }
        self.release((receipt.linked(&outcomes), receipt.written().collect()), share, at);
        for stale in receipt.stale(&outcomes) {
            self.agenda.set(stale, read_again_at(at));
        }
        if let (Some(run), Some(lane)) = (run, self.lanes.get_mut(&share)) {
            let counts = run.counts.plus(receipt.counts(&outcomes));
            lane.run = Some(Run { counts, ..run }).filter(Run::is_open);
        }
        Ok(outcomes)
    }

    fn noted(&mut self, key: WorkKey, put: WorkPut) {
        self.note_waits(&key, &put);
        match put {
            WorkPut::Row(WorkRow::Progress(progress)) => {
                if let Some(lane) = self.lanes.get_mut(&key.share) {
                    lane.progress = progress;
                }
            }
            WorkPut::Row(row) => {
                if let Some(at) = due_at(&row) {
                    self.agenda.set(key, at);
                }
            }
            WorkPut::Gone | WorkPut::Settle { .. } => self.agenda.drop(&key),
            WorkPut::Raise { at, .. } => self.agenda.set(key, at),
        }
    }

    fn desk<'a>(&'a self, lane: &'a Lane, run: Option<&'a Run>) -> Desk<'a> {
        Desk { world: &self.world, connection: &self.connection, lane, slots: &self.slots, run }
    }

    fn blank(&self, share: ShareId) -> Turn {
        Turn::of(self.connection.business.clone(), share, self.world.clock.now())
    }

    /// Begins a run of a share that has none.
    async fn begin(&mut self, share: ShareId, kind: RunKind) -> Result<(), Halt> {
        let run = self.new_run(share, kind);
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let progress = Progress { run: Some(run.id), ..lane.progress.clone() };
        let puts = vec![(WorkKey::progress(share), WorkPut::Row(WorkRow::Progress(progress)))];
        self.commit(Turn { puts, run: Some(run), ..self.blank(share) }).await?;
        Ok(())
    }

    fn new_run(&self, share: ShareId, kind: RunKind) -> Run {
        let lane = self.lanes.get(&share);
        let pulled = lane.map(|lane| lane.progress.pulled.clone()).unwrap_or_default();
        Run {
            id: lockstep_core::ids::RunId(self.world.ids.ordered()),
            business: self.connection.business.clone(),
            share,
            share_version: lane.map_or(0, |lane| lane.share.version),
            kind,
            state: RunState::Running,
            stage: Stage::Listing {
                state: if kind == RunKind::Incremental { pulled } else { serde_json::Value::Null },
            },
            counts: lockstep_core::run::Counts::default(),
            started_at: self.world.clock.now(),
            ended_at: None,
            reason: None,
        }
    }

    /// A share's work fails for a cause that concerns all of it: it is put off, longer each time.
    async fn fail(&mut self, share: ShareId, trouble: &Trouble) -> Result<(), Halt> {
        if trouble.class == lockstep_connect::Class::Auth {
            return Err(Halt::Login(trouble.failure.message.clone()));
        }
        let now = self.world.clock.now();
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let failing = recovery::failed(lane.progress.failing.as_ref(), now, trouble.after, self.world.ids.fraction());
        let failing = Failing { reason: trouble.failure.message.clone(), ..failing };
        tracing::warn!(share = %share, streak = failing.streak, reason = %failing.reason, "a share cannot go on");
        let is_told = failing.is_told && lane.progress.failing.as_ref().is_none_or(|failing| !failing.is_told);
        self.keep_progress(share, |progress| progress.failing = Some(failing)).await?;
        if is_told {
            self.tell(share, "share.failing");
        }
        Ok(())
    }

    /// A share's work has come through.
    async fn recovered(&mut self, share: ShareId) -> Result<(), Halt> {
        let failing = self.lanes.get(&share).and_then(|lane| lane.progress.failing.clone());
        let Some(failing) = failing else { return Ok(()) };
        self.keep_progress(share, |progress| progress.failing = None).await?;
        if failing.is_told {
            self.tell(share, "share.recovered");
        }
        Ok(())
    }

    async fn keep_progress(&mut self, share: ShareId, change: impl FnOnce(&mut Progress)) -> Result<(), Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let mut progress = lane.progress.clone();
        change(&mut progress);
        let puts = vec![(WorkKey::progress(share), WorkPut::Row(WorkRow::Progress(progress)))];
        self.commit(Turn { puts, ..self.blank(share) }).await?;
        Ok(())
    }

    /// Tells whoever watches over the hub what happens to a share.
    fn tell(&self, share: ShareId, event: &'static str) {
        let label = self.lanes.get(&share).map(|lane| lane.share.label.clone()).unwrap_or_default();
        let message = match event {
            "share.failing" => {
                format!("the share {label} cannot go on; it is tried again by itself, and its state says why")
            }
            "share.recovered" => format!("the share {label} goes on"),
            _ => format!("a run of the share {label} has stopped; it says why"),
        };
        let about = About::Share(share);
        let business = self.connection.business.clone();
        let alert = Alert { event, business, about, message: message.into() };
        let types = self.lanes.get(&share).map(|lane| lane.share.ty.clone());
        self.shared.alert(alert, types.into_iter().collect());
    }
}

/// When a row is due, where it is one that comes due.
const fn due_at(row: &WorkRow) -> Option<Timestamp> {
    match row {
        WorkRow::Hint(hint) => Some(hint.next_at),
        WorkRow::Waiting(waiting) => Some(waiting.next_at),
        WorkRow::Reference(unresolved) => Some(unresolved.next_at),
        _ => None,
    }
}
