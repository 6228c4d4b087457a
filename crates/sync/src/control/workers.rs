//! What control asks of whoever works for shares.

use async_trait::async_trait;
use lockstep_connect::Link;
use lockstep_core::connection::Connection;
use lockstep_core::ids::{ConnectionId, RecordId, ShareId};
use lockstep_core::problem::Problem;
use lockstep_core::run::{Run, RunKind};
use lockstep_core::share::Share;
use lockstep_engine::refusal::Refusal;

/// The one thing that a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// A record.
    Record(RecordId),
    /// A remote object, by its id there.
    Object(String),
}

/// Works for shares. Settings are committed before it is asked.
#[async_trait]
pub trait Workers: Send + Sync {
    /// A share was made, or what it says has changed: it is looked at again.
    fn wake(&self, share: ShareId);

    /// A connection's configuration or state has changed: what is open to its platform is opened anew, where it still
    /// may be.
    fn reopen(&self, connection: ConnectionId);

    /// The link to a connection's account that all calls of it go through, opened where there is none; also where it
    /// needs a login, to see whether it still does. See [`super::account::open`].
    ///
    /// # Errors
    /// `connection_not_ready`, `connection_failed`.
    async fn link(&self, connection: &Connection) -> Result<Link, Refusal>;

    /// A connection is about to be revoked: its hooks are taken back while its platform still lets us.
    ///
    /// # Errors
    /// What the store says. That a platform does not answer is none: its hooks are then left to lapse.
    async fn unhook(&self, connection: &Connection) -> Result<(), Refusal>;

    /// A share is about to go: what is done for it ends, and its hooks are taken back. Its work rows go with the setting
    /// that is committed after this.
    ///
    /// # Errors
    /// Those of [`Self::unhook`].
    async fn forget(&self, share: &Share, connection: &Connection) -> Result<(), Refusal>;

    /// Begins a run.
    ///
    /// # Errors
    /// `run_under_way`; what the store says.
    async fn run(&self, share: &Share, kind: RunKind, only: Option<Only>) -> Result<Run, Refusal>;

    /// Pauses a run, as it then stands.
    ///
    /// # Errors
    /// `not_found`, where it is over; what the store says.
    async fn pause_run(&self, run: &Run) -> Result<Run, Refusal>;

    /// Lets a paused run go on.
    ///
    /// # Errors
    /// `not_found`, where it is over; what the store says.
    async fn resume_run(&self, run: &Run) -> Result<Run, Refusal>;

    /// Ends a run before its time.
    ///
    /// # Errors
    /// `not_found`, where it is over; what the store says.
    async fn cancel_run(&self, run: &Run) -> Result<Run, Refusal>;

    /// Tries what could not be done once more.
    ///
    /// # Errors
    /// What the store says.
    async fn replay(&self, share: &Share, problems: &[Problem]) -> Result<(), Refusal>;

    /// Closes problems without trying again.
    ///
    /// # Errors
    /// What the store says.
    async fn dismiss(&self, share: &Share, problems: &[Problem]) -> Result<(), Refusal>;
}
