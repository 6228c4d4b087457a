//! The office: one worker a connection, begun, ended and begun anew as settings want it; and what others ask of them.

use crate::Halt;
use crate::account::{self, Links};
use crate::control::{Only, Workers};
use crate::inbound::Keys;
use crate::registry::Registry;
use crate::worker::{Door, Order, Worker};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use lockstep_connect::{Link, Source};
use lockstep_core::clock::Timestamp;
use lockstep_core::connection::Connection;
use lockstep_core::delivery::About;
use lockstep_core::error::Code;
use lockstep_core::ids::{BusinessId, ConnectionId, ShareId, TypeId};
use lockstep_core::limits;
use lockstep_core::problem::Problem;
use lockstep_core::run::{Run, RunKind, RunState};
use lockstep_core::share::Share;
use lockstep_core::work::{WorkKey, WorkPut, WorkRow};
use lockstep_engine::World;
use lockstep_engine::alert::{self, Alert};
use lockstep_engine::refusal::Refusal;
use lockstep_engine::settings::Settings;
use lockstep_store::turn::Turn;
use lockstep_store::{Commit, StoreError, Work};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use url::Url;

/// How long a worker that failed stays away.
const AWAY: Duration = Duration::from_secs(1);
/// How long until an account is tried again that could not be opened.
const SHUT: Duration = Duration::from_secs(30);

/// How often in a row credentials are not taken before somebody must log in.
const STRIKES: u32 = 3;
/// Within how many milliseconds.
const STRIKES_MS: u64 = 60_000;
/// How long nothing is begun for a share that is about to go, in milliseconds, if whoever drops it is not heard of again.
const GOING_MS: i64 = 600_000;
/// How often connectors are looked at for whether they have changed.
const LOOK: Duration = Duration::from_secs(10);
/// How long whoever orders something waits for an answer.
const ANSWER: Duration = Duration::from_secs(25);

/// Works for all shares.
pub struct Office {
    shared: Arc<Shared>,
    desks: Mutex<BTreeMap<ConnectionId, Place>>,
    bell: Notify,
    /// Rung when a worker has ended.
    gone: Notify,
    pub(crate) keys: Keys,
    /// How often in a row credentials were not taken, and when last.
    strikes: Mutex<BTreeMap<ConnectionId, (u32, Timestamp)>>,
}

/// What workers share.
pub(crate) struct Shared {
    pub(crate) world: Arc<World>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) links: Links,
    /// Where platforms reach this hub.
    pub(crate) public_url: Option<Url>,
    /// Shares that are about to go, until when they are left alone.
    going: Mutex<BTreeMap<ShareId, Timestamp>>,
    alerts: Mutex<JoinSet<()>>,
}

impl Shared {
    /// Tells whoever watches over the hub, or looks after shares of these types; nobody waits for that.
    pub(crate) fn alert(&self, alert: Alert, types: Vec<TypeId>) {
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        while alerts.try_join_next().is_some() {}
        if alerts.len() < limits::ALERTS_MAX {
            let world = Arc::clone(&self.world);
            alerts.spawn(async move {
                if let Err(error) = alert.tell(&world, &types).await {
                    tracing::warn!(event = alert.event, about = %alert.about, %error, "nobody could be told");
                }
                alert::send(world, alert).await;
            });
        }
    }

    /// The shares of a connection that are worked for, each with the version of its row.
    pub(crate) fn shares_on(&self, settings: &Settings, connection: ConnectionId) -> Vec<(Arc<Share>, u64)> {
        let now = self.world.clock.now();
        let going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        let stays = |share: &Share| going.get(&share.id).is_none_or(|until| *until <= now);
        settings.sharing.shares_on(connection).filter(|(share, _)| stays(share)).cloned().collect()
    }
}

/// A worker that has ended, and how.
type Ended = (ConnectionId, Arc<Door>, Result<(), Halt>);

/// Where a connection's worker sits.
struct Place {
    door: Arc<Door>,
    business: BusinessId,
    /// What it was begun for: another is begun when that changes.
    cause: Cause,
    is_done: bool,
}

/// What a worker depends on.
#[derive(Clone, PartialEq, Eq)]
struct Cause {
    connection: (String, String, String),
    connector: Reading,
    shares: Vec<(ShareId, u64)>,
    schema: usize,
}

/// One reading of a connector's files: another is another, though it says the same. None where they do not read.
#[derive(Clone)]
struct Reading(Option<Arc<Source>>);

impl PartialEq for Reading {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Eq for Reading {}

impl Office {
    /// An office that nobody works in yet. `public_url` is where platforms reach this hub, where they do.
    #[must_use]
    pub fn new(world: Arc<World>, registry: Arc<Registry>, public_url: Option<Url>) -> Self {
        let links = Links::default();
        let shared =
            Arc::new(Shared { world, registry, links, public_url, going: Mutex::default(), alerts: Mutex::default() });
        Self {
            shared,
            desks: Mutex::default(),
            bell: Notify::new(),
            gone: Notify::new(),
            keys: Keys::default(),
            strikes: Mutex::default(),
        }
    }

    fn desks(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Place>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.shared.world
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Works until told to stop. What is under way lands first.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let heads = self.world().store.heads();
        let mut workers: JoinSet<Ended> = JoinSet::new();
        let mut look = tokio::time::interval(LOOK);
        let mut is_other = true;
        loop {
            // A commit of records alone changes nothing about who works for what.
            if std::mem::replace(&mut is_other, true) {
                self.staff(&mut workers);
            }
            tokio::select! {
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { break },
                () = self.bell.notified() => {}
                // The files of connectors change without a word.
                _ = look.tick() => {}
                () = heads.moved() => {
                    let moves = heads.take();
                    is_other = moves.has_settings;
                    if moves.has_settings && let Err(error) = self.world().settings.refresh(self.world().store.as_ref()).await {
                        tracing::warn!(%error, "settings could not be read anew");
                    }
                    for place in self.desks().values().filter(|place| moves.businesses.contains(&place.business)) {
                        place.door.knock();
                    }
                }
                // What a worker breaks down of is caught where it works.
                Some(Ok(ended)) = workers.join_next(), if !workers.is_empty() => self.ended(ended).await,
            }
        }
        for place in self.desks().values() {
            place.door.close();
        }
        let drained = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_millis(limits::DRAIN_MS_MAX), drained).await.is_err() {
            // What they were about is as with a hub that was killed: rows say what to look after.
            tracing::warn!("a platform does not answer: what was asked of it is looked after at the next start");
            workers.shutdown().await;
        }
    }

    /// Begins workers that are wanted, and ends those that are not.
    fn staff(&self, workers: &mut JoinSet<Ended>) {
        let wanted = self.wanted();
        let mut desks = self.desks();
        for (id, place) in desks.iter() {
            let wanted = wanted.get(id).map(|(_, cause)| cause);
            if wanted != Some(&place.cause) {
                place.door.close();
            }
            if wanted.is_some_and(|cause| cause.connector != place.cause.connector) {
                self.shared.links.close(*id);
            }
        }
        desks.retain(|_, place| !place.is_done);
        for (id, (connection, cause)) in wanted {
            if desks.contains_key(&id) {
                continue;
            }
            let door = Arc::new(Door::default());
            let business = connection.business.clone();
            desks.insert(id, Place { door: Arc::clone(&door), business, cause, is_done: false });
            let shared = Arc::clone(&self.shared);
            workers.spawn(async move {
                let working = async { Worker::open(&shared, connection, Arc::clone(&door)).await?.work().await };
                let worked = AssertUnwindSafe(working).catch_unwind().await;
                // What it held is dropped with it; the next begins from what is durable.
                let worked = worked.unwrap_or_else(|_panic| Err(Halt::Shut("its worker has broken down".to_owned())));
                match &worked {
                    Ok(()) => {}
                    Err(Halt::Shut(_)) => door.closed_within(SHUT).await,
                    Err(_) => tokio::time::sleep(AWAY).await,
                }
                (id, door, worked)
            });
        }
    }

    /// The connections that there is work for.
    fn wanted(&self) -> BTreeMap<ConnectionId, (Arc<Connection>, Cause)> {
        self.world().settings.read(|settings| {
            if settings.hold.is_some() {
                return BTreeMap::new();
            }
            let sharing = &settings.sharing;
            let cause = |connection: &Connection| Cause {
                connection: (connection.connector.clone(), connection.version.clone(), connection.realm.clone()),
                connector: Reading(self.source_of(connection)),
                shares: self
                    .shared
                    .shares_on(settings, connection.id)
                    .iter()
                    .map(|(share, version)| (share.id, *version))
                    .collect(),
                schema: Arc::as_ptr(&settings.schema(&connection.business)) as usize,
            };
            let is_wanted =
                |connection: &Connection| connection.is_ready() && account::is_open(settings, &connection.business);
            let ready = sharing.connections().filter(|(connection, _)| is_wanted(connection));
            let wanted = ready.map(|(connection, _)| (connection.id, (Arc::clone(connection), cause(connection))));
            wanted.filter(|(_, (_, cause))| !cause.shares.is_empty()).collect()
        })
    }

    fn source_of(&self, connection: &Connection) -> Option<Arc<Source>> {
        let known = self.registry().get(&connection.connector, &connection.version).ok()?;
        Some(Arc::clone(&known.connector.source))
    }

    async fn ended(&self, (id, door, worked): Ended) {
        match worked {
            Ok(()) => {}
            Err(Halt::Store(error)) => tracing::warn!(connection = %id, %error, "a worker begins anew"),
            Err(Halt::Shut(reason)) => tracing::warn!(connection = %id, %reason, "an account cannot be opened"),
            Err(Halt::Login(reason)) if !self.is_struck_out(id) => {
                tracing::warn!(connection = %id, %reason, "credentials were not taken; they are tried once more");
                self.shared.links.close(id);
            }
            Err(Halt::Login(reason)) => {
                tracing::warn!(connection = %id, %reason, "somebody must log in");
                self.lock_out(id, &reason).await;
            }
        }
        for place in self.desks().values_mut().filter(|place| Arc::ptr_eq(&place.door, &door)) {
            place.is_done = true;
        }
        self.gone.notify_waiters();
    }

    /// Notes that credentials were not taken, and says whether that was so too often to be chance: a token may end in the
    /// moment in which it is used.
    fn is_struck_out(&self, id: ConnectionId) -> bool {
        let now = self.world().clock.now();
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        let strike = strikes.entry(id).or_insert((0, now));
        let is_fresh = now.ms_since(strike.1) < STRIKES_MS;
        *strike = (if is_fresh { strike.0 + 1 } else { 1 }, now);
        let is_out = strike.0 >= STRIKES;
        if is_out {
            strikes.remove(&id);
        }
        is_out
    }

    async fn lock_out(&self, id: ConnectionId, reason: &str) {
        let connection = self.world().settings.read(|settings| settings.sharing.connection(id));
        if let Err(error) = account::needs_login(self.world(), id, reason).await {
            tracing::warn!(connection = %id, %error, "that somebody must log in could not be kept");
            return;
        }
        let Some((connection, _)) = connection else { return };
        let message = format!("the connection {} does not take its credentials any more: {reason}", connection.label);
        let (business, about) = (connection.business.clone(), About::Connection(id));
        let alert = Alert { event: "connection.needs-login", business, about, message: message.into() };
        let shares = self.world().settings.read(|settings| {
            let shares = settings.sharing.shares_on(id);
            shares.map(|(share, _)| share.ty.clone()).collect()
        });
        self.shared.alert(alert, shares);
    }

    pub(crate) fn door(&self, id: ConnectionId) -> Option<Arc<Door>> {
        self.desks().get(&id).filter(|place| !place.is_done).map(|place| Arc::clone(&place.door))
    }

    /// Asks a connection's worker, and waits for its answer.
    async fn ask<T>(
        &self,
        share: &Share,
        order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
    ) -> Result<T, Refusal> {
        let away = || {
            let text = format!(
                "connection {} is not at work: log in if it needs that, or wait a moment and try again",
                share.connection
            );
            Refusal { retry_after_s: Some(1), ..Refusal::new(Code::ConnectionNotReady, text) }
        };
        let door = self.door(share.connection).ok_or_else(away)?;
        let (reply, answer) = oneshot::channel();
        if door.give(order(reply)).is_some() {
            return Err(away());
        }
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(answer) => answer.map_err(|_gone| away())?,
            Err(_late) => {
                let text = format!(
                    "connection {} waits for its platform, and does this when that has answered: look again in a moment",
                    share.connection
                );
                Err(Refusal { retry_after_s: Some(30), ..Refusal::new(Code::ConnectionNotReady, text) })
            }
        }
    }

    async fn put(&self, share: &Share, puts: Vec<(WorkKey, WorkPut)>) -> Result<(), Refusal> {
        let turn = Turn { puts, ..Turn::of(share.business.clone(), share.id, self.world().clock.now()) };
        self.world().store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await?;
        Ok(())
    }

    /// Brings a run that nobody works on into another state.
    async fn turned_here(&self, run: &Run, state: RunState) -> Result<Run, Refusal> {
        let key = WorkKey::run(run.share, run.id);
        let standing = self.world().store.work_row(&run.business, &key).await?;
        let Some(WorkRow::Run(standing)) = standing.filter(|row| matches!(row, WorkRow::Run(run) if run.is_open()))
        else {
            return Err(Refusal::new(Code::NotFound, format!("run {} is over", run.id)));
        };
        let ended_at = (state == RunState::Cancelled).then(|| self.world().clock.now());
        let next = Run { state, ended_at, ..standing };
        let mut puts = vec![(key, WorkPut::Row(WorkRow::Run(next.clone())))];
        let progress = self.world().store.work_row(&run.business, &WorkKey::progress(run.share)).await?;
        if let (Some(WorkRow::Progress(progress)), false) = (progress, next.is_open()) {
            let progress = lockstep_core::work::Progress { run: None, ..progress };
            puts.push((WorkKey::progress(run.share), WorkPut::Row(WorkRow::Progress(progress))));
        }
        let turn = Turn { puts, ..Turn::of(run.business.clone(), run.share, self.world().clock.now()) };
        self.world().store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await?;
        Ok(next)
    }

    async fn turn(&self, run: &Run, state: RunState) -> Result<Run, Refusal> {
        let share = self.world().settings.read(|settings| settings.sharing.share(run.share));
        let Some((share, _)) = share else {
            return Err(Refusal::new(Code::NotFound, format!("the share of run {} is gone", run.id)));
        };
        if self.door(share.connection).is_none() {
            return self.turned_here(run, state).await;
        }
        self.ask(&share, |reply| Order::Turn(run.share, run.id, state, reply)).await
    }

    /// The link to a connection's account.
    pub(crate) fn link_of(&self, connection: &Connection) -> Result<Link, Refusal> {
        self.shared.links.get(self.world(), self.registry(), connection)
    }

    /// Ends what is done for a connection's shares, and waits for it.
    async fn clear(&self, connection: ConnectionId) {
        loop {
            let gone = self.gone.notified();
            let Some(door) = self.door(connection) else { return };
            door.close();
            gone.await;
            if self.door(connection).is_none_or(|other| !Arc::ptr_eq(&other, &door)) {
                return;
            }
        }
    }

    /// Takes back a share's hooks, where there are some and the platform lets us.
    async fn unhook_share(&self, share: &Share, connection: &Connection) -> Result<(), Refusal> {
        let slot = share.slot();
        let (Some(known), true) = (connection.hooks.get(&slot), connection.is_ready()) else { return Ok(()) };
        let unhooked = match self.link_of(connection) {
            Ok(link) => {
                link.hooks_unregister(&share.object, &share.options, known).await.map_err(|why| why.to_string())
            }
            Err(refusal) => Err(refusal.rejection.message),
        };
        if let Err(reason) = unhooked {
            tracing::info!(share = %share.id, reason, "hooks are left to lapse");
        }
        let forget = |connection: &Connection| {
            let mut next = connection.clone();
            Ok::<_, StoreError>(next.hooks.remove(&slot).map(|_hooks| next))
        };
        account::change(self.world(), connection.id, ("system", "connection.hooks"), forget).await?;
        Ok(())
    }
}

#[async_trait]
impl Workers for Office {
    fn wake(&self, share: ShareId) {
        self.shared.going.lock().unwrap_or_else(PoisonError::into_inner).remove(&share);
        let connection = self.world().settings.read(|settings| settings.sharing.share(share));
        if let Some(door) = connection.and_then(|(share, _)| self.door(share.connection)) {
            door.knock();
        }
        self.bell.notify_one();
    }

    fn reopen(&self, connection: ConnectionId) {
        self.shared.links.close(connection);
        if let Some(door) = self.door(connection) {
            door.close();
        }
        self.bell.notify_one();
    }

    async fn link(&self, connection: &Connection) -> Result<Link, Refusal> {
        self.link_of(connection)
    }

    async fn unhook(&self, connection: &Connection) -> Result<(), Refusal> {
        let shares = self.world().settings.read(|settings| self.shared.shares_on(settings, connection.id));
        for (share, _) in shares {
            self.unhook_share(&share, connection).await?;
        }
        Ok(())
    }

    async fn forget(&self, share: &Share, connection: &Connection) -> Result<(), Refusal> {
        let until = self.world().clock.now().plus_ms(GOING_MS);
        self.shared.going.lock().unwrap_or_else(PoisonError::into_inner).insert(share.id, until);
        self.clear(share.connection).await;
        self.unhook_share(share, connection).await
    }

    async fn run(&self, share: &Share, kind: RunKind, only: Option<Only>) -> Result<Run, Refusal> {
        self.ask(share, |reply| Order::Run(share.id, kind, only, reply)).await
    }

    async fn pause_run(&self, run: &Run) -> Result<Run, Refusal> {
        self.turn(run, RunState::Paused).await
    }

    async fn resume_run(&self, run: &Run) -> Result<Run, Refusal> {
        self.turn(run, RunState::Running).await
    }

    async fn cancel_run(&self, run: &Run) -> Result<Run, Refusal> {
        self.turn(run, RunState::Cancelled).await
    }

    async fn replay(&self, share: &Share, problems: &[Problem]) -> Result<(), Refusal> {
        let subject = |problem: &Problem| match (&problem.side, &problem.remote, problem.record) {
            (lockstep_core::problem::Side::In, Some(remote), _) => Some(Only::Object(remote.clone())),
            (_, _, Some(record)) => Some(Only::Record(record)),
            _ => None,
        };
        let subjects = problems.iter().filter_map(subject).collect();
        self.ask(share, |reply| Order::Replay(share.id, subjects, reply)).await
    }

    async fn dismiss(&self, share: &Share, problems: &[Problem]) -> Result<(), Refusal> {
        let key = |problem: &Problem| (WorkKey::problem(share.id, problem.id), WorkPut::Gone);
        self.put(share, problems.iter().map(key).collect()).await
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
