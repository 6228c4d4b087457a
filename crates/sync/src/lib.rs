//! Shares: connections to platforms, and what keeps the two sides equal.
//!
//! ```text
//!  http ─▶ control ─▶ Store::commit ─▶ settings ─▶ office ─▶ worker (one a connection)
//!     └──▶ inbound ─▶ hint rows ────────────────────────────────▲        │
//!                     the log ──────────────────────────────────┘        │
//!                                                                        ▼
//!                    intake (objects ▸ lines) · push (records ▸ writes) ─▶ connect ─▶ the platform
//!                                             └─▶ turns ─▶ Store::commit
//! ```
//! `engine` knows records and the log and no connector; `connect` knows platforms and no record. Here they meet. What
//! this crate must not do: open a socket, or know how one platform in particular speaks.

mod account;
mod agenda;
pub mod control;
mod inbound;
mod intake;
mod lane;
mod office;
mod push;
mod reference;
pub mod registry;
mod worker;

pub use lockstep_connect::HookCall;
pub use office::Office;

/// Why a worker cannot go on.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The store failed it: another begins from what is durable.
    Store(lockstep_store::StoreError),
    /// The platform does not take the credentials.
    Login(String),
    /// The account cannot be opened, whatever the credentials: its connector is not there or cannot be read.
    Shut(String),
}
