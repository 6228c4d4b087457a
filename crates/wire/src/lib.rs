//! Wire types, version 1: everything that is read from or written to the network as JSON.
//!
//! They stand apart from the domain types so that neither can bend the other: a rule never sees a wire type, and
//! a stored thing never changes because the wire did. Unknown members of a request are refused by name.

pub mod audit;
pub mod auth;
pub mod connection;
pub mod error;
pub mod feed;
pub mod management;
pub mod notification;
pub mod operation;
pub mod rate;
pub mod record;
pub mod rest;
pub mod run;
pub mod share;
pub mod subscription;
pub mod token;
pub mod types;
pub mod who;
