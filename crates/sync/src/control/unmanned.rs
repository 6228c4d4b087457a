//! Workers of a hub in which nobody works for shares: settings are kept, connections can be tried, nothing runs.

use super::account;
use super::workers::{Only, Workers};
use crate::registry::Registry;
use async_trait::async_trait;
use lockstep_connect::Link;
use lockstep_core::connection::Connection;
use lockstep_core::error::Code;
use lockstep_core::ids::{ConnectionId, ShareId};
use lockstep_core::problem::Problem;
use lockstep_core::run::{Run, RunKind};
use lockstep_core::share::Share;
use lockstep_engine::World;
use lockstep_engine::refusal::Refusal;
use std::sync::Arc;

/// Nobody at work.
pub struct Unmanned {
    world: Arc<World>,
    registry: Arc<Registry>,
}

impl Unmanned {
    /// Nobody at work in a hub.
    #[must_use]
    pub const fn new(world: Arc<World>, registry: Arc<Registry>) -> Self {
        Self { world, registry }
    }

    fn refused<T>() -> Result<T, Refusal> {
        Err(Refusal::new(Code::Busy, "nobody works for shares in this hub: settings are kept, and nothing runs"))
    }
}

#[async_trait]
impl Workers for Unmanned {
    fn wake(&self, _share: ShareId) {}

    fn reopen(&self, _connection: ConnectionId) {}

    async fn link(&self, connection: &Connection) -> Result<Link, Refusal> {
        account::open(&self.world, &self.registry, connection)
    }

    async fn unhook(&self, _connection: &Connection) -> Result<(), Refusal> {
        Ok(())
    }

    async fn forget(&self, _share: &Share, _connection: &Connection) -> Result<(), Refusal> {
        Ok(())
    }

    async fn run(&self, _share: &Share, _kind: RunKind, _only: Option<Only>) -> Result<Run, Refusal> {
        Self::refused()
    }

    async fn pause_run(&self, _run: &Run) -> Result<Run, Refusal> {
        Self::refused()
    }

    async fn resume_run(&self, _run: &Run) -> Result<Run, Refusal> {
        Self::refused()
    }

    async fn cancel_run(&self, _run: &Run) -> Result<Run, Refusal> {
        Self::refused()
    }

    async fn replay(&self, _share: &Share, _problems: &[Problem]) -> Result<(), Refusal> {
        Self::refused()
    }

    async fn dismiss(&self, _share: &Share, _problems: &[Problem]) -> Result<(), Refusal> {
        Self::refused()
    }
}
