//! The runtime against a scripted platform, in process and on simulated time.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod auth;
mod hook;
mod incremental;
mod job;
mod paging;
mod platform;
mod sample;
mod source;
mod trouble;
