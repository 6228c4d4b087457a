//! `lockstep connection|share|run|problem`: control of shares from a terminal, over the REST face of a hub that runs.

pub(crate) mod args;
pub(crate) mod caller;
mod connection;
mod run;
mod share;

use crate::failure::Failure;
use crate::wire_up;
use args::{ConnectionCommand, ProblemCommand, RunCommand, ShareCommand};

/// Runs one of the commands about connections.
pub(crate) fn connections(command: ConnectionCommand) -> Result<(), Failure> {
    wire_up::runtime()?.block_on(connection::run(command))
}

/// Runs one of the commands about shares.
pub(crate) fn shares(command: ShareCommand) -> Result<(), Failure> {
    wire_up::runtime()?.block_on(share::run(command))
}

/// Runs one of the commands about runs.
pub(crate) fn runs(command: RunCommand) -> Result<(), Failure> {
    wire_up::runtime()?.block_on(run::runs(command))
}

/// Runs one of the commands about problems.
pub(crate) fn problems(command: ProblemCommand) -> Result<(), Failure> {
    wire_up::runtime()?.block_on(run::problems(command))
}
