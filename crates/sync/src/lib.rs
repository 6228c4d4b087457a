//! Shares: connections to platforms, and what keeps the two sides equal.
//!
//! ```text
//!  http ─▶ control ─▶ Store::commit ─▶ settings ─▶ read anew by whoever works for shares
//!             └─▶ registry ─▶ connect ─▶ the platform, to try a configuration or to log in
//! ```
//! `engine` knows records and the log and no connector; `connect` knows platforms and no record. Here they meet. What
//! this crate must not do: open a socket, or know how one platform in particular speaks.

pub mod control;
pub mod registry;
