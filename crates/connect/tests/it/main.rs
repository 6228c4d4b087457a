//! The runtime against a scripted platform, in process and on simulated time; and against servers that others wrote.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod auth;
mod hook;
mod incremental;
mod job;
mod oidc;
mod paging;
mod peer;
mod platform;
mod ready_made;
mod resume;
mod sample;
mod source;
mod steps;
mod stranger;
mod trouble;
