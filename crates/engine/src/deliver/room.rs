//! The room: one loop that reads pages, hands changes to lanes, sends what lanes give it, and settles what landed.
//!
//! Everything it waits for is one event of one set of futures. A turn takes a bounded number of events, then starts
//! what may be started, round-robin over lanes that have something to send.

mod reading;
mod walking;

use super::Ask;
use super::addressee::Addressee;
use super::lane::{Effect, Gate, Item, Lane, What};
use super::owner::{self, Turn};
use super::post::{self, Fate, Landing};
use super::settling;
use super::tail::Tail;
use super::walk::Held;
use crate::World;
use crate::alert::{self, Alert};
use crate::settings::{self, Settings};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::About;
use lockstep_core::delivery::{Attempt, Notice, NoticeBody};
use lockstep_core::ids::{ApplicationId, BusinessId, SubscriptionId, TokenId};
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::record::RecordKey;
use lockstep_core::scan::Scan;
use lockstep_store::heads::HeadWatch;
use lockstep_store::settings::{SettingKind, SettingRow};
use lockstep_store::settle::{Fence, Settle};
use lockstep_store::{ChangePage, StoreError};
use lockstep_wire::subscription::{DeliveriesView, TestView};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Events taken before lanes are looked at again.
const EVENTS_A_TURN: usize = 64;
/// Deliveries started for one lane before the next lane has its turn.
const BURST: usize = 16;
/// Changes asked for along a chain at once.
const CHAIN_SEQS: usize = 64;
/// Longest wait without a turn: the sign of life that `/readyz` looks for.
const TICK: Duration = Duration::from_secs(1);
/// Time between settles, so that busy lanes do not settle each delivery by itself.
const SETTLE_EVERY_MS: i64 = 25;
/// Time between writes of the attempt log.
const ATTEMPTS_EVERY_MS: i64 = 1_000;
/// Lanes that may hold on to the page they read.
const PAGES_HELD_MAX: usize = 32;

enum Event {
    Landed(SubscriptionId, Box<What>, Landing),
    TailPage(BusinessId, Result<ChangePage, StoreError>),
    LanePage(SubscriptionId, Result<ChangePage, StoreError>),
    Notices(Result<Vec<(i64, Notice)>, StoreError>),
    Scans(Result<Vec<(i64, Scan)>, StoreError>),
    WalkPage(SubscriptionId, OperationId, Result<walking::Page, StoreError>),
    Followed(SubscriptionId, RecordKey, u64, Result<Vec<u64>, StoreError>),
    Settled(Box<Settle>, Result<(), StoreError>),
    Tested,
    Turned(SubscriptionId, Turn, Result<bool, StoreError>),
    Alerted,
    Nudge(BusinessId),
}

/// The post room.
pub(super) struct Room {
    world: Arc<World>,
    fence: Fence,
    heads: HeadWatch,
    settings: Settings,
    lanes: BTreeMap<SubscriptionId, Lane>,
    tails: BTreeMap<BusinessId, Tail>,
    work: FuturesUnordered<BoxFuture<'static, Event>>,
    round: VecDeque<SubscriptionId>,
    alarms: BTreeSet<(Timestamp, SubscriptionId)>,
    in_flight: usize,
    held: usize,
    catch_ups: usize,
    /// Lanes that wait for their turn to read a page.
    hungry: VecDeque<SubscriptionId>,
    notice_row: i64,
    is_reading_notices: bool,
    /// Whether word came of more while they were being read.
    must_read_notices_again: bool,
    scan_row: i64,
    is_reading_scans: bool,
    must_read_scans_again: bool,
    attempts: Vec<Attempt>,
    attempts_at: Timestamp,
    is_settling: bool,
    settle_at: Timestamp,
    is_stopping: bool,
    /// Alerts under way.
    alerts: usize,
}

impl Room {
    /// Takes over the work and reads where everything stands.
    pub(super) async fn open(world: Arc<World>, owner: &str) -> Result<Self, StoreError> {
        let fence = world.store.claim(owner).await?;
        let now = world.clock.now();
        let mut room = Self {
            heads: world.store.heads(),
            fence,
            settings: Settings::default(),
            lanes: BTreeMap::new(),
            tails: BTreeMap::new(),
            work: FuturesUnordered::new(),
            round: VecDeque::new(),
            alarms: BTreeSet::new(),
            in_flight: 0,
            held: 0,
            catch_ups: 0,
            hungry: VecDeque::new(),
            notice_row: 0,
            is_reading_notices: false,
            must_read_notices_again: false,
            scan_row: 0,
            is_reading_scans: false,
            must_read_scans_again: false,
            attempts: Vec::new(),
            attempts_at: now,
            is_settling: false,
            settle_at: now,
            is_stopping: false,
            alerts: 0,
            world,
        };
        for row in settings::newer(room.world.store.as_ref(), 0).await? {
            room.settings.apply(row);
        }
        room.restore().await?;
        let ids: Vec<_> = room.lanes.keys().copied().collect();
        for id in ids {
            room.readdress(id);
        }
        let businesses: Vec<_> = room.tails.keys().cloned().collect();
        for business in businesses {
            room.read_tail(&business);
        }
        room.read_notices();
        room.read_scans();
        Ok(room)
    }

    /// Lanes and tails from their rows.
    async fn restore(&mut self) -> Result<(), StoreError> {
        for outlet in self.world.store.outlets().await? {
            let Some(business) = outlet.business else { continue };
            let rows: BTreeMap<_, _> = outlet.lanes.into_iter().collect();
            let here = self.settings.subscriptions.values().filter(|live| live.subscription.business == business);
            let ids: Vec<SubscriptionId> = here.map(|live| live.subscription.id).collect();
            if ids.is_empty() {
                continue;
            }
            let has_rowless = ids.iter().any(|id| !rows.contains_key(id));
            let lowest = ids.iter().filter_map(|id| rows.get(id)).min().copied();
            let position = match (outlet.position, lowest) {
                (Some(position), _) if has_rowless => position,
                (_, lowest) => lowest.unwrap_or(0),
            };
            let tail = self.tails.entry(business.clone()).or_default();
            tail.position = position;
            tail.stored = outlet.position;
            for id in ids {
                let row = rows.get(&id).copied();
                let mut lane = Lane::new(business.clone(), row.unwrap_or(position), row);
                lane.is_behind = lane.scanned < position;
                tail.lanes.insert(id);
                tail.owing.insert(id);
                self.lanes.insert(id, lane);
            }
            for (id, row) in outlet.parked {
                if let Some(lane) = self.lanes.get_mut(&id) {
                    lane.restore(row);
                }
            }
            for (id, down) in outlet.down {
                if let Some(lane) = self.lanes.get_mut(&id) {
                    lane.restore_gate(down, self.world.clock.now());
                }
            }
        }
        Ok(())
    }

    /// Runs until told to stop, or taken over.
    pub(super) async fn run(
        mut self,
        asks: &mut mpsc::Receiver<Ask>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        loop {
            // Looked at each time, so that a stream of landings cannot keep them waiting.
            self.moved().await?;
            while let Ok(ask) = asks.try_recv() {
                self.answer(ask);
            }
            if *stop.borrow() {
                break;
            }
            let now = self.world.clock.now();
            self.world.metrics.delivery_turned_at_ms.set(now.0);
            self.turn(now);
            let wait = self.wait(now);
            tokio::select! {
                biased;
                Some(event) = self.work.next() => self.events(event).await?,
                () = self.heads.moved() => {}
                Some(ask) = asks.recv() => self.answer(ask),
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => break,
            }
        }
        self.drain().await
    }

    /// Time until the clock brings something to do.
    fn wait(&self, now: Timestamp) -> Duration {
        if !self.round.is_empty() && self.in_flight < limits::DELIVERIES_MAX {
            return Duration::ZERO;
        }
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let settle = (!self.is_settling && self.tails.values().any(|tail| tail.is_dirty)).then_some(self.settle_at);
        let next = [alarm, settle].into_iter().flatten().min();
        next.map_or(TICK, |next| Duration::from_millis(next.ms_since(now)).min(TICK))
    }

    async fn events(&mut self, first: Event) -> Result<(), StoreError> {
        self.event(first).await?;
        for _ in 1..EVENTS_A_TURN {
            match self.work.next().now_or_never() {
                Some(Some(event)) => self.event(event).await?,
                _ => break,
            }
        }
        Ok(())
    }

    async fn event(&mut self, event: Event) -> Result<(), StoreError> {
        match event {
            Event::Landed(id, what, landing) => self.landed(id, *what, &landing),
            Event::TailPage(business, page) => self.tail_page(&business, page).await?,
            Event::LanePage(id, page) => self.lane_page(id, page).await?,
            Event::Notices(page) => self.notices(page).await?,
            Event::Scans(page) => self.scans(page).await?,
            Event::WalkPage(id, operation, page) => self.walk_page(id, operation, page),
            Event::Followed(id, key, seq, seqs) => self.followed(id, key, seq, seqs),
            Event::Settled(settle, done) => self.settled(*settle, done)?,
            Event::Tested => self.in_flight = self.in_flight.saturating_sub(1),
            Event::Turned(id, turn, done) => self.turned(id, turn, done),
            Event::Alerted => self.alerts = self.alerts.saturating_sub(1),
            Event::Nudge(business) => {
                self.read_tail(&business);
                let ids: Vec<_> = self.tails.get(&business).into_iter().flat_map(|tail| &tail.lanes).copied().collect();
                ids.into_iter().for_each(|id| self.touch(id));
            }
        }
        Ok(())
    }

    /// Word from the store.
    async fn moved(&mut self) -> Result<(), StoreError> {
        let moves = self.heads.take();
        if moves.is_empty() {
            return Ok(());
        }
        if moves.has_settings {
            self.refresh().await?;
        }
        for business in &moves.businesses {
            self.read_tail(business);
        }
        if moves.has_notices {
            self.read_notices();
        }
        if moves.has_scans {
            self.read_scans();
        }
        Ok(())
    }

    // ── settings ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Takes in newer settings and makes the lanes they touch anew.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        let rows = settings::newer(self.world.store.as_ref(), self.settings.version).await?;
        let mut touched = BTreeSet::new();
        for row in rows {
            self.touched_by(&row, &mut touched);
            self.settings.apply(row.clone());
            self.touched_by(&row, &mut touched);
        }
        for id in touched {
            if !self.lanes.contains_key(&id) {
                self.open_lane(id).await?;
            }
            self.readdress(id);
        }
        Ok(())
    }

    fn touched_by(&self, row: &SettingRow, touched: &mut BTreeSet<SubscriptionId>) {
        let all = || self.settings.subscriptions.values().map(|live| &live.subscription);
        match row.key.kind {
            SettingKind::Subscription => touched.extend(row.key.id.parse::<SubscriptionId>()),
            SettingKind::Application => {
                let of = row.key.id.parse::<ApplicationId>().ok();
                touched.extend(all().filter(|found| of.is_some() && found.application == of).map(|found| found.id));
            }
            SettingKind::Business => {
                touched.extend(all().filter(|found| found.business.as_str() == row.key.id).map(|found| found.id));
            }
            SettingKind::Hold => touched.extend(all().map(|found| found.id)),
            SettingKind::Token => {
                // With a token the tokens made from it end too.
                let of = row.key.id.parse::<TokenId>().ok();
                let parents = |id: TokenId| self.settings.tokens.get(&id)?.token.as_ref().map(|own| &own.parents);
                let is_touched = |token: TokenId| {
                    of == Some(token) || parents(token).into_iter().flatten().any(|parent| Some(*parent) == of)
                };
                touched.extend(all().filter(|found| found.token.is_some_and(is_touched)).map(|found| found.id));
            }
            // Fields may be called otherwise when they change.
            SettingKind::Type => {
                let of = row.key.id.split_once('/').map_or("", |(business, _)| business);
                touched.extend(all().filter(|found| found.business.as_str() == of).map(|found| found.id));
            }
            SettingKind::Provider | SettingKind::Sealing | SettingKind::Connection | SettingKind::Share => {}
        }
    }

    /// A lane for a subscription made while the room runs; it begins where its row says.
    async fn open_lane(&mut self, id: SubscriptionId) -> Result<(), StoreError> {
        let Some(live) = self.settings.subscriptions.get(&id) else { return Ok(()) };
        let business = live.subscription.business.clone();
        let row = self.world.store.lane_cursor(&business, id).await?;
        let is_new = !self.tails.contains_key(&business);
        let tail = self.tails.entry(business.clone()).or_default();
        if is_new {
            tail.position = row.unwrap_or(0);
        }
        let mut lane = Lane::new(business.clone(), row.unwrap_or(tail.position), row);
        lane.is_behind = lane.scanned < tail.position;
        tail.lanes.insert(id);
        tail.owing.insert(id);
        tail.is_dirty = true;
        self.lanes.insert(id, lane);
        self.read_tail(&business);
        Ok(())
    }

    /// Makes a lane's addressee anew, or closes the lane of a subscription that is gone.
    fn readdress(&mut self, id: SubscriptionId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(tail) = self.tails.get_mut(&lane.business) else { return };
        let old = lane.to.take();
        if let Some(old) = &old {
            tail.index.remove(old);
        }
        if !self.settings.subscriptions.contains_key(&id) {
            let business = lane.business.clone();
            self.held = self.held.saturating_sub(lane.held());
            tail.lanes.remove(&id);
            tail.owing.remove(&id);
            tail.walking.remove(&id);
            if tail.lanes.is_empty() {
                self.tails.remove(&business);
            }
            self.lanes.remove(&id);
            return;
        }
        match Addressee::of(&self.world, &self.settings, id) {
            Ok(addressee) => {
                tail.index.add(&addressee);
                lane.readdressed(old.is_none_or(|old| old.url != addressee.url));
                lane.ordering = addressee.subscription.ordering;
                lane.batch = addressee.subscription.batch;
                lane.pace.set(addressee.subscription.per_second);
                lane.to = Some(Arc::new(addressee));
            }
            Err(why) => {
                tracing::debug!(subscription.id = %id, why, "nothing is sent");
                lane.leave(lane.reached(tail.position));
                lane.page.clear();
                lane.is_restored = false;
            }
        }
        tail.owing.insert(id);
        tail.is_dirty = true;
        self.touch(id);
    }

    // ── sending ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Starts what may be started and settles what should be.
    fn turn(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.alarms.first().filter(|(at, _)| *at <= now).copied() {
            self.alarms.pop_first();
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.alarm = None;
                queue(&mut self.round, id, lane);
            }
        }
        // Each lane that waits has one turn; what more it has to send waits for the next.
        for _ in 0..self.round.len() {
            if self.is_stopping || self.in_flight >= limits::DELIVERIES_MAX {
                break;
            }
            let Some(id) = self.round.pop_front() else { break };
            self.serve(id, now);
        }
        self.settle(now);
        self.log_attempts(now);
    }

    /// Starts up to a burst of one lane's deliveries.
    fn serve(&mut self, id: SubscriptionId, now: Timestamp) {
        let has_expired = |lane: &Lane| lane.to.as_ref().is_some_and(|to| to.good_until.is_some_and(|at| at <= now));
        if self.lanes.get(&id).is_some_and(has_expired) {
            self.readdress(id);
        }
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.is_queued = false;
        let tail = self.tails.get(&lane.business).map_or(0, |tail| tail.position);
        for started in 0..BURST {
            let reached = lane.reached(tail);
            let Some((what, to)) = lane.next(now, reached).zip(lane.to.clone()) else { break };
            self.in_flight += 1;
            self.work.push(send(Arc::clone(&self.world), id, to, what, reached));
            if started + 1 == BURST {
                queue(&mut self.round, id, lane);
            }
        }
        set_alarm(&mut self.alarms, id, lane, now);
        self.read_lane(id);
        self.read_walks(id);
    }

    fn landed(&mut self, id: SubscriptionId, what: What, landing: &Landing) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.note_attempt(id, &what, landing);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let before = lane.held();
        let was_open = lane.gate == Gate::Open;
        let effect = lane.landed(what, landing, self.world.ids.fraction());
        self.held = (self.held + lane.held()).saturating_sub(before);
        if was_open && lane.gate != Gate::Open {
            // The endpoint's words and address are its owner's to read, not the log's.
            tracing::warn!(subscription.id = %id, http.status = landing.status, fate = ?landing.fate, "the endpoint is down: only probes go out");
        }
        if let Some(tail) = self.tails.get_mut(&lane.business) {
            tail.owing.insert(id);
            tail.is_dirty = true;
        }
        match effect {
            Effect::Nothing => {}
            Effect::Follow(key, seq) => self.follow(id, key, seq),
            Effect::End => self.turn_subscription(id, Turn::Ended),
        }
        self.look_after(id);
        self.touch(id);
    }

    /// Warns the owner of an endpoint that stays down, and at last pauses its subscription.
    fn look_after(&mut self, id: SubscriptionId) {
        let now = self.world.clock.now();
        let Some(Gate::Closed(closed)) = self.lanes.get_mut(&id).map(|lane| &mut lane.gate) else { return };
        let down_ms = now.ms_since(closed.since);
        if down_ms >= limits::PAUSE_AFTER_MS {
            self.turn_subscription(id, Turn::Paused);
        } else if down_ms >= limits::WARN_AFTER_MS && !closed.is_warned {
            closed.is_warned = true;
            self.turn_subscription(id, Turn::Failing);
        }
    }

    fn turn_subscription(&mut self, id: SubscriptionId, turn: Turn) {
        let Some(control) = owner::control(&self.world, &self.settings, id, turn) else { return };
        // Nothing more goes out while that is on its way.
        if let Some(lane) = self.lanes.get_mut(&id).filter(|_| turn != Turn::Failing)
            && let (Some(to), Some(tail)) = (lane.to.take(), self.tails.get_mut(&lane.business))
        {
            tail.index.remove(&to);
            lane.leave(lane.reached(tail.position));
        }
        tracing::warn!(subscription.id = %id, event = turn.event(), "a subscription is not what it was: its owner is told");
        let world = Arc::clone(&self.world);
        self.work.push(async move { Event::Turned(id, turn, owner::carry_out(world, control).await) }.boxed());
    }

    fn turned(&mut self, id: SubscriptionId, turn: Turn, done: Result<bool, StoreError>) {
        let has_failed = done.is_err();
        match done {
            Ok(is_done) => self.alert(id, turn, is_done),
            Err(error) => {
                tracing::warn!(subscription.id = %id, error = %error, "a subscription could not be changed; it is tried again");
            }
        }
        if !has_failed
            && turn == Turn::Lapsed
            && let Some(lane) = self.lanes.get_mut(&id)
        {
            let tail = self.tails.get(&lane.business).map_or(0, |tail| tail.position);
            self.held = self.held.saturating_sub(lane.held());
            lane.lapse(tail);
        }
        if has_failed || turn == Turn::Lapsed {
            self.readdress(id);
        }
    }

    /// Tells the operator, where that is wished.
    fn alert(&mut self, id: SubscriptionId, turn: Turn, is_done: bool) {
        let Some(live) = self.settings.subscriptions.get(&id) else { return };
        if !is_done || !self.world.alerts.are_wanted() {
            return;
        }
        if self.alerts >= limits::ALERTS_MAX {
            tracing::warn!(subscription.id = %id, event = turn.event(), "too many alerts are under way: this one is not sent");
            return;
        }
        self.alerts += 1;
        let business = live.subscription.business.clone();
        let about = About::Subscription(id);
        let word = Alert { event: turn.event(), business, about, message: turn.message().into() };
        self.work.push(alert::send(Arc::clone(&self.world), word).map(|()| Event::Alerted).boxed());
    }

    fn follow(&mut self, id: SubscriptionId, key: RecordKey, seq: u64) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let (store, business) = (Arc::clone(&self.world.store), lane.business.clone());
        self.work.push(
            async move {
                let seqs = store.chain(&business, &key, seq, CHAIN_SEQS).await;
                Event::Followed(id, key, seq, seqs)
            }
            .boxed(),
        );
    }

    fn followed(&mut self, id: SubscriptionId, key: RecordKey, seq: u64, seqs: Result<Vec<u64>, StoreError>) {
        let now = self.world.clock.now();
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        let Some(tail) = self.tails.get_mut(&lane.business) else { return };
        let effect = match seqs {
            Ok(seqs) => lane.followed(key, seq, &seqs, tail.position, now),
            Err(error) => {
                tracing::warn!(subscription.id = %id, error = %error, "a record's chain could not be read; it is tried again");
                lane.unfollowed(key.id, now);
                Effect::Nothing
            }
        };
        tail.owing.insert(id);
        tail.is_dirty = true;
        if let Effect::Follow(key, seq) = effect {
            self.follow(id, key, seq);
        }
        self.touch(id);
    }

    fn touch(&mut self, id: SubscriptionId) {
        let now = self.world.clock.now();
        if let Some(lane) = self.lanes.get_mut(&id) {
            queue(&mut self.round, id, lane);
            set_alarm(&mut self.alarms, id, lane, now);
        }
    }

    fn note_attempt(&mut self, id: SubscriptionId, what: &What, landing: &Landing) {
        let Some(delivery) = landing.delivery else { return };
        self.world.metrics.attempt_ended(landing.fate == Fate::Delivered, landing.took_ms);
        let Some(lane) = self.lanes.get(&id) else { return };
        let (seq, number) = match what {
            What::Change(item) => (item.seq, 1),
            What::Batch(bundle) => (bundle.items.first().map_or(0, |item| item.seq), bundle.tries + 1),
            What::Parked(key, seq) => {
                let parked = lane.parked().find(|parked| parked.record == key.id && parked.first_seq == *seq);
                (*seq, parked.map_or(1, |parked| parked.attempt + 1))
            }
            What::Notice(notice) => match notice.body {
                NoticeBody::Replay { seq, .. } => (seq, notice.attempt + 1),
                _ => (0, notice.attempt + 1),
            },
            What::Step(step) => match &step.held {
                Held::Change(change) => (change.seq, 1),
                Held::Record(_) => (0, 1),
            },
        };
        if self.attempts.len() >= limits::ATTEMPTS_HELD_MAX {
            return;
        }
        self.attempts.push(Attempt {
            delivery,
            business: lane.business.clone(),
            subscription: id,
            seq,
            number,
            at: landing.at,
            took_ms: landing.took_ms,
            status: landing.status,
            failure: landing.failure.clone(),
        });
    }

    // ── settling ──────────────────────────────────────────────────────────────────────────────────────────────

    fn settle(&mut self, now: Timestamp) {
        if self.is_settling || now < self.settle_at {
            return;
        }
        let settle = settling::gather(self.fence, now, &mut self.tails, &mut self.lanes, &self.settings);
        self.observe(now);
        if settle.is_empty() {
            return;
        }
        self.is_settling = true;
        self.settle_at = now.plus_ms(SETTLE_EVERY_MS);
        let store = Arc::clone(&self.world.store);
        self.work.push(
            async move {
                let done = store.settle(settle.clone()).await;
                Event::Settled(Box::new(settle), done)
            }
            .boxed(),
        );
    }

    fn settled(&mut self, settle: Settle, done: Result<(), StoreError>) -> Result<(), StoreError> {
        self.is_settling = false;
        match done {
            Ok(()) => settling::stored(&settle, &mut self.tails, &mut self.lanes),
            Err(StoreError::Fenced) => {
                tracing::error!("another process has taken over delivery; this one stops delivering");
                return Err(StoreError::Fenced);
            }
            Err(error) => {
                tracing::warn!(error = %error, "what landed could not be settled; it is tried again");
                settling::put_back(settle, &mut self.tails, &mut self.lanes);
                self.settle_at = self.world.clock.now().plus_ms(1_000);
            }
        }
        Ok(())
    }

    fn observe(&self, now: Timestamp) {
        let metrics = &self.world.metrics;
        let owing = self.tails.values().flat_map(|tail| &tail.owing).filter_map(|id| self.lanes.get(id));
        let (mut closed, mut parked, mut count, mut oldest) = (0, 0, 0, None::<Timestamp>);
        for lane in owing {
            count += 1;
            closed += i64::from(matches!(lane.gate, Gate::Closed(_)));
            parked += i64::try_from(lane.parked_count()).unwrap_or(i64::MAX);
            if lane.gate == Gate::Open && lane.to.is_some() {
                oldest = [oldest, lane.oldest_at()].into_iter().flatten().min();
            }
        }
        metrics.gates_closed.set(closed);
        metrics.parked.set(parked);
        metrics.lanes_owing.set(count);
        metrics.in_flight.set(i64::try_from(self.in_flight).unwrap_or(i64::MAX));
        let age = oldest.map_or(0, |oldest| now.ms_since(oldest));
        metrics.oldest_undelivered_ms.set(i64::try_from(age).unwrap_or(i64::MAX));
    }

    fn log_attempts(&mut self, now: Timestamp) {
        let is_time = now.ms_since(self.attempts_at) >= ATTEMPTS_EVERY_MS.unsigned_abs();
        let is_much = self.attempts.len() >= limits::ATTEMPTS_HELD_MAX / 2;
        if self.attempts.is_empty() || !(is_time || is_much) {
            return;
        }
        self.attempts_at = now;
        let (store, attempts) = (Arc::clone(&self.world.store), std::mem::take(&mut self.attempts));
        // The attempt log promises nothing: what it cannot take now is gone.
        if let Some(Err(error)) = store.log_attempts(attempts).now_or_never() {
            tracing::debug!(error = %error, "attempts were not logged");
        }
    }

    // ── asked from outside ────────────────────────────────────────────────────────────────────────────────────

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Test(id, reply) => self.test(id, reply),
            Ask::Standing(id, reply) => {
                let view = self.lanes.get(&id).map(|lane| DeliveriesView {
                    cursor: Some(lane.cursor(self.tails.get(&lane.business).map_or(0, |tail| tail.position))),
                    gate: Some(lane.gate_text()),
                    parked: lane.parked().map(Into::into).collect(),
                    ..DeliveriesView::default()
                });
                // Who has hung up needs no answer.
                let _ = reply.send(view.unwrap_or_default());
            }
            Ask::Lapse(id) => self.turn_subscription(id, Turn::Lapsed),
        }
    }

    fn test(&mut self, id: SubscriptionId, reply: oneshot::Sender<TestView>) {
        let to = self.lanes.get(&id).and_then(|lane| lane.to.clone());
        let Some(to) = to else {
            let why = Addressee::of(&self.world, &self.settings, id).err().unwrap_or("it is not open yet: try again");
            let failure = Some(format!("nothing was sent: {why}"));
            let _ = reply.send(TestView { delivered: false, status: None, failure, took_ms: 0 });
            return;
        };
        self.in_flight += 1;
        let world = Arc::clone(&self.world);
        self.work.push(
            async move {
                let Landing { fate, status, failure, took_ms, .. } = post::test(world, to).await;
                let _ = reply.send(TestView { delivered: fate == Fate::Delivered, status, failure, took_ms });
                Event::Tested
            }
            .boxed(),
        );
    }

    /// Lets what is under way land, within bounds, and settles it.
    async fn drain(mut self) -> Result<(), StoreError> {
        self.is_stopping = true;
        let patience = tokio::time::sleep(Duration::from_millis(limits::DRAIN_MS_MAX));
        tokio::pin!(patience);
        while self.in_flight > 0 || self.is_settling {
            tokio::select! {
                Some(event) = self.work.next() => self.event(event).await?,
                () = &mut patience => {
                    tracing::warn!(deliveries = self.in_flight, "deliveries did not land in time; they are sent again at the next start");
                    break;
                }
            }
        }
        let now = self.world.clock.now();
        let settle = settling::gather(self.fence, now, &mut self.tails, &mut self.lanes, &self.settings);
        if !settle.is_empty() {
            self.world.store.settle(settle).await?;
        }
        self.attempts_at = Timestamp(0);
        self.log_attempts(now);
        Ok(())
    }
}

fn item(change: &Arc<Change>, came_at: Timestamp) -> Item {
    let (ty, held) = (change.ty.clone(), Arc::downgrade(change));
    Item { seq: change.seq, ty, record: change.record, at: change.at, came_at, is_single: false, held }
}

/// Gives a lane a place in the round, if it has none.
fn queue(round: &mut VecDeque<SubscriptionId>, id: SubscriptionId, lane: &mut Lane) {
    if !lane.is_queued {
        lane.is_queued = true;
        round.push_back(id);
    }
}

/// Sets the clock for what a lane has to do next. What is due and cannot go yet waits for a landing, not for the clock.
fn set_alarm(alarms: &mut BTreeSet<(Timestamp, SubscriptionId)>, id: SubscriptionId, lane: &mut Lane, now: Timestamp) {
    let due = lane.due_after(now);
    if due != lane.alarm {
        if let Some(old) = lane.alarm {
            alarms.remove(&(old, id));
        }
        alarms.extend(due.map(|due| (due, id)));
        lane.alarm = due;
    }
}

fn send(
    world: Arc<World>,
    id: SubscriptionId,
    to: Arc<Addressee>,
    what: What,
    reached: u64,
) -> BoxFuture<'static, Event> {
    async move {
        let landing = match &what {
            What::Change(item) => {
                let held = Weak::upgrade(&item.held);
                post::change(world, to, held, item.seq, false).await
            }
            What::Batch(bundle) => post::batch(world, to, &bundle.items).await,
            What::Parked(_, seq) => post::change(world, to, None, *seq, false).await,
            What::Notice(notice) => post::notice(world, to, (**notice).clone(), reached).await,
            What::Step(step) => post::step(world, to, (**step).clone(), reached).await,
        };
        Event::Landed(id, Box::new(what), landing)
    }
    .boxed()
}
