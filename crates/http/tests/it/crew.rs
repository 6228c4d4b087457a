//! Workers that write down what they were asked, and do of it what a caller can see.

use async_trait::async_trait;
use lockstep_connect::Link;
use lockstep_core::connection::Connection;
use lockstep_core::ids::{ConnectionId, RunId, ShareId};
use lockstep_core::problem::Problem;
use lockstep_core::run::{Counts, Run, RunKind, RunState, Stage};
use lockstep_core::share::Share;
use lockstep_core::work::{Progress, WorkKey, WorkPut, WorkRow};
use lockstep_engine::World;
use lockstep_engine::refusal::Refusal;
use lockstep_store::turn::Turn;
use lockstep_store::{Commit, Work};
use lockstep_sync::control::{Only, Workers, account};
use lockstep_sync::registry::Registry;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// Workers of a test.
pub(crate) struct Crew {
    world: Arc<World>,
    registry: Arc<Registry>,
    asked: Mutex<Vec<String>>,
}

impl Crew {
    pub(crate) fn new(world: Arc<World>, registry: Arc<Registry>) -> Self {
        Self { world, registry, asked: Mutex::default() }
    }

    /// What was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("a lock"))
    }

    fn note(&self, what: String) {
        self.asked.lock().expect("a lock").push(what);
    }

    /// Writes work rows of a share.
    pub(crate) async fn put(&self, share: &Share, puts: Vec<(WorkKey, WorkPut)>) {
        let turn = Turn { puts, ..Turn::of(share.business.clone(), share.id, self.world.clock.now()) };
        let work = Work::Turn(Box::new(turn));
        self.world.store.commit(Commit { id: None, work }).await.expect("a commit");
    }

    async fn set(&self, run: &Run, state: RunState) -> Run {
        let run = Run { state, ..run.clone() };
        let (share, _) = self.world.settings.read(|settings| settings.sharing.share(run.share)).expect("a share");
        let row = (WorkKey::run(run.share, run.id), WorkPut::Row(WorkRow::Run(run.clone())));
        self.put(&share, vec![row]).await;
        run
    }
}

#[async_trait]
impl Workers for Crew {
    fn wake(&self, _share: ShareId) {
        self.note("wake".to_owned());
    }

    fn reopen(&self, _connection: ConnectionId) {
        self.note("reopen".to_owned());
    }

    async fn link(&self, connection: &Connection) -> Result<Link, Refusal> {
        account::open(&self.world, &self.registry, connection)
    }

    async fn unhook(&self, _connection: &Connection) -> Result<(), Refusal> {
        self.note("unhook".to_owned());
        Ok(())
    }

    async fn forget(&self, share: &Share, _connection: &Connection) -> Result<(), Refusal> {
        self.note(format!("forget {}", share.object));
        Ok(())
    }

    async fn run(&self, share: &Share, kind: RunKind, only: Option<Only>) -> Result<Run, Refusal> {
        self.note(format!("run {kind:?} {only:?}"));
        let run = Run {
            id: RunId(self.world.ids.ordered()),
            business: share.business.clone(),
            share: share.id,
            share_version: share.version,
            kind,
            state: RunState::Running,
            stage: Stage::Listing { state: Value::Null },
            counts: Counts::default(),
            started_at: self.world.clock.now(),
            ended_at: None,
            reason: None,
        };
        let progress = Progress {
            follow: None,
            is_matched: false,
            is_live: false,
            pulled: Value::Null,
            run: Some(run.id),
            scheduled_at: None,
            failing: None,
        };
        let puts = vec![
            (WorkKey::progress(share.id), WorkPut::Row(WorkRow::Progress(progress))),
            (WorkKey::run(share.id, run.id), WorkPut::Row(WorkRow::Run(run.clone()))),
        ];
        self.put(share, puts).await;
        Ok(run)
    }

    async fn pause_run(&self, run: &Run) -> Result<Run, Refusal> {
        Ok(self.set(run, RunState::Paused).await)
    }

    async fn resume_run(&self, run: &Run) -> Result<Run, Refusal> {
        Ok(self.set(run, RunState::Running).await)
    }

    async fn cancel_run(&self, run: &Run) -> Result<Run, Refusal> {
        Ok(self.set(run, RunState::Cancelled).await)
    }

    async fn replay(&self, _share: &Share, problems: &[Problem]) -> Result<(), Refusal> {
        self.note(format!("replay {}", problems.len()));
        Ok(())
    }

    async fn dismiss(&self, share: &Share, problems: &[Problem]) -> Result<(), Refusal> {
        let gone = problems.iter().map(|problem| (WorkKey::problem(share.id, problem.id), WorkPut::Gone));
        self.put(share, gone.collect()).await;
        Ok(())
    }
}
