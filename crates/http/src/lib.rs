//! The server: parses and authenticates requests, calls one use case each, writes the answer.
//!
//! Only this crate knows status codes. Every route stands on one page, `router`; every operation has a file or a
//! function of its own that converts and calls, nothing more.

mod answer;
mod auth;
mod health;
mod inbound;
mod login;
mod management;
pub mod page;
mod request;
mod rest;
pub mod router;
mod rpc;
pub mod serve;
pub mod spans;
pub mod throttle;
pub mod tls;

pub use rest::openapi::document as openapi;

use lockstep_engine::World;
use lockstep_engine::deliver::PostRoom;
use lockstep_sync::Office;
use lockstep_sync::control::Switchboard;
use std::sync::Arc;
use tokio::sync::watch;

/// What every handler has at hand.
#[derive(Clone)]
pub struct Server {
    /// The use cases' world.
    pub world: Arc<World>,
    /// The door of the post room.
    pub post_room: PostRoom,
    /// Becomes true when streams are to end.
    pub stop: watch::Receiver<bool>,
    /// Control of connections and shares.
    pub sharing: Arc<Switchboard>,
    /// Whoever works for shares, and takes the calls of platforms.
    pub office: Arc<Office>,
    /// Counts calls.
    pub throttle: Arc<throttle::Throttle>,
}
