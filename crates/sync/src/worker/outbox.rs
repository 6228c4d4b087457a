//! The way out: the log is followed, and what changed is brought to the platform; what waits is tried again.

use super::Worker;
use crate::Halt;
use crate::push::{Done, Ground, Push, distinct};
use lockstep_connect::Trouble;
use lockstep_core::change::{Change, Origin};
use lockstep_core::ids::{RecordId, ShareId};
use lockstep_core::position::Position;
use lockstep_core::run::{Run, RunKind};
use lockstep_core::share::History;
use lockstep_core::work::{Progress, Waiting, Why, WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_store::turn::Turn;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Changes looked at in one turn.
const CHANGES: usize = 500;
/// Waiting records tried in one turn.
const WAITING: usize = 100;
/// How long a record waits that is being imported, in milliseconds.
const IMPORTING_MS: i64 = 2_000;
/// How far the log may be followed without a row that says so, where nothing was to be written.
const UNKEPT: u64 = 1_000;

impl Worker {
    /// Follows the log for one share that has not seen its end.
    pub(super) async fn follow_log(&mut self) -> Result<bool, Halt> {
        let now = self.world.clock.now();
        let ids: Vec<ShareId> =
            self.lanes.iter().filter(|(_, lane)| lane.follows() && lane.may_work(now)).map(|(id, _)| *id).collect();
        for id in ids {
            if self.follow_share(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn follow_share(&mut self, share: ShareId) -> Result<bool, Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(false) };
        let Some(follow) = lane.progress.follow else { return Ok(false) };
        let head = self.world.store.head(&self.connection.business).await?;
        if head.epoch != follow.epoch {
            return self.begin_anew(share, head).await;
        }
        if head.seq <= follow.seq {
            self.calm(share);
            return Ok(false);
        }
        let page = self.world.store.changes(&self.connection.business, follow.seq, CHANGES).await?;
        let Some(last) = page.changes.last().map(|change| change.seq) else { return Ok(false) };
        let to = Position { seq: last, ..follow };
        let own = page.changes.iter().filter(|change| change.ty == lane.share.ty);
        let own: Vec<&Arc<Change>> = own.collect();
        let ids = distinct(own.iter().map(|change| change.record));
        let (ids, busy): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| self.is_free(share, *id));
        let forward = self.brought_forward(share, &busy).await?;
        if ids.is_empty() && forward.is_empty() {
            self.touch(share, &busy);
            return self.passed(share, to).await;
        }
        // What a baseline brought into the hub is history to the others: it makes nothing where a share wants none.
        let is_news = |change: &Arc<Change>| !matches!(change.origin, Origin::Share { is_history: true, .. });
        let news: BTreeSet<RecordId> =
            own.iter().filter(|change| is_news(change)).map(|change| change.record).collect();
        let all = lane.share.history == History::All;
        let is_doubtful = lane.is_doubtful;
        let (new, historical): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| all || news.contains(id));
        let mut done = self.push(share, &historical, Ground::new(false, is_doubtful), None).await?;
        if done.trouble.is_none() {
            done.add(self.push(share, &new, Ground::new(true, is_doubtful), None).await?);
        }
        self.touch(share, &busy);
        done.puts.extend(forward);
        let trouble = done.trouble.take();
        let mut turn = Turn { lines: done.lines, puts: done.puts, ..self.blank(share) };
        if trouble.is_none() {
            let progress = self.lanes.get(&share).map(|lane| lane.progress.clone()).unwrap_or_default();
            let progress = Progress { follow: Some(to), failing: None, ..progress };
            turn.puts.push((WorkKey::progress(share), WorkPut::Row(WorkRow::Progress(progress))));
        }
        let was_told =
            self.lanes.get(&share).and_then(|lane| lane.progress.failing.as_ref()).is_some_and(|f| f.is_told);
        self.commit(turn).await?;
        match trouble {
            Some(trouble) => self.fail(share, &trouble).await?,
            None => {
                if was_told {
                    self.tell(share, "share.recovered");
                }
                self.calm(share);
            }
        }
        Ok(true)
    }

    /// What a hub that was killed may have left half done is behind us.
    fn calm(&mut self, share: ShareId) {
        if let Some(lane) = self.lanes.get_mut(&share) {
            lane.is_doubtful = false;
        }
    }

    /// Nothing of a page was ours.
    async fn passed(&mut self, share: ShareId, to: Position) -> Result<bool, Halt> {
        let Some(lane) = self.lanes.get_mut(&share) else { return Ok(false) };
        let from = lane.progress.follow.map_or(0, |follow| follow.seq);
        lane.progress.follow = Some(to);
        let is_far = to.seq.saturating_sub(from) >= UNKEPT || to.seq % UNKEPT < to.seq.saturating_sub(from);
        if is_far {
            self.keep_progress(share, |progress| progress.follow = Some(to)).await?;
        }
        Ok(true)
    }

    /// The log has begun another life after a restore: what was followed may never have been.
    async fn begin_anew(&mut self, share: ShareId, head: Position) -> Result<bool, Halt> {
        self.keep_progress(share, |progress| progress.follow = Some(head)).await?;
        if self.lanes.get(&share).is_some_and(|lane| lane.run.is_none()) {
            self.begin(share, RunKind::Full).await?;
        }
        Ok(true)
    }

    /// Whether a record's push does not wait for a time of its own.
    fn is_free(&self, share: ShareId, record: RecordId) -> bool {
        self.agenda.at(&WorkKey::waiting(share, record)).is_none()
    }

    /// Records that wait and have been edited: the edit may be what they waited for.
    async fn brought_forward(&self, share: ShareId, busy: &[RecordId]) -> Result<Vec<(WorkKey, WorkPut)>, Halt> {
        let now = self.world.clock.now();
        let mut puts = Vec::new();
        for record in busy {
            let key = WorkKey::waiting(share, *record);
            let row = self.world.store.work_row(&self.connection.business, &key).await?;
            if let Some(WorkRow::Waiting(waiting)) = row
                && let Some(waiting) = waiting.brought_forward(now)
            {
                puts.push((key, WorkPut::Row(WorkRow::Waiting(waiting))));
            }
        }
        Ok(puts)
    }

    /// Records that change while they are being imported are looked at once more when that is over.
    pub(super) fn touch(&mut self, share: ShareId, records: &[RecordId]) {
        let Some(lane) = self.lanes.get_mut(&share) else { return };
        for record in records {
            if let Some(is_touched) = lane.importing.get_mut(record) {
                *is_touched = true;
            }
        }
    }

    /// Brings records to the platform. Commits nothing but intents.
    pub(super) async fn push(
        &self,
        share: ShareId,
        ids: &[RecordId],
        ground: Ground,
        run: Option<&Run>,
    ) -> Result<Done, Halt> {
        self.push_waiting(share, ids, (ground, run), BTreeMap::new()).await
    }

    pub(super) async fn push_waiting(
        &self,
        share: ShareId,
        ids: &[RecordId],
        (ground, run): (Ground, Option<&Run>),
        earlier: BTreeMap<RecordId, Waiting>,
    ) -> Result<Done, Halt> {
        let Some(lane) = self.lanes.get(&share).filter(|_| !ids.is_empty()) else { return Ok(Done::default()) };
        let push = Push {
            desk: self.desk(lane, run),
            link: &self.link,
            waits: &self.waits,
            proof: OnceCell::new(),
            ground,
            earlier,
            may_import: run.is_some_and(|run| run.state == lockstep_core::run::RunState::Running),
        };
        push.run(ids).await
    }

    /// Tries records again whose time has come.
    pub(super) async fn try_again(&mut self) -> Result<bool, Halt> {
        let now = self.world.clock.now();
        let Some((share, keys)) = self.due(WorkKind::Waiting, WAITING) else { return Ok(false) };
        let mut earlier = BTreeMap::new();
        for key in keys {
            let is_importing =
                |record: RecordId| self.lanes.get(&share).is_some_and(|lane| lane.importing.contains_key(&record));
            if key.about.parse().is_ok_and(is_importing) {
                self.agenda.set(key, now.plus_ms(IMPORTING_MS));
                continue;
            }
            let row = self.world.store.work_row(&self.connection.business, &key).await?;
            match (row, key.about.parse::<RecordId>()) {
                // It was woken for what it waits for no more, and must not be hurried.
                (Some(WorkRow::Waiting(waiting)), _)
                    if waiting.next_at > now && !matches!(waiting.why, Why::Reference { .. }) =>
                {
                    self.agenda.set(key, waiting.next_at);
                }
                (Some(WorkRow::Waiting(waiting)), Ok(record)) => drop(earlier.insert(record, waiting)),
                _ => self.agenda.drop(&key),
            }
        }
        if earlier.is_empty() {
            // Nothing was tried, so nothing has come through.
            return Ok(true);
        }
        let ids: Vec<RecordId> = earlier.keys().copied().collect();
        // An intent that a killed hub left is as doubtful as what it wrote.
        let is_intent = |waiting: &Waiting| matches!(waiting.why, Why::InDoubt | Why::Asked);
        let ground = Ground::new(true, earlier.values().any(is_intent));
        let mut done = self.push_waiting(share, &ids, (ground, None), earlier).await?;
        let trouble = done.trouble.take();
        self.commit(Turn { lines: done.lines, puts: done.puts, ..self.blank(share) }).await?;
        match trouble {
            Some(trouble) => self.fail(share, &trouble).await?,
            None => self.recovered(share).await?,
        }
        Ok(true)
    }

    /// Brings one record to the platform, as a run of its own. Gives why it could not.
    pub(super) async fn push_one(
        &mut self,
        share: ShareId,
        record: RecordId,
        run: Run,
    ) -> Result<Option<Trouble>, Halt> {
        let ground = Ground::new(true, true);
        let mut done = self.push(share, &[record], ground, Some(&run)).await?;
        if let Some(trouble) = done.trouble.take() {
            return Ok(Some(trouble));
        }
        let standing = self.lanes.get(&share).and_then(|lane| lane.run.clone());
        let run = Run { counts: run.counts.plus(done.counts), ..run };
        self.commit(Turn { lines: done.lines, puts: done.puts, run: Some(run), ..self.blank(share) }).await?;
        if let Some(lane) = self.lanes.get_mut(&share) {
            lane.run = standing;
        }
        Ok(None)
    }
}
