//! The nouns of Lockstep and the pure rules over them.
//!
//! What a record, a change, a grant or a subscription *is*, and what a command does to a record, is decided
//! here and nowhere else. This crate performs no I/O, holds no async, reads no clock, draws no randomness and
//! writes no log line: everything it needs comes in as an argument, so each rule can be tested as a table.

pub mod application;
pub mod auth;
pub mod change;
pub mod clock;
pub mod command;
pub mod connection;
pub mod cron;
pub mod delivery;
pub mod error;
pub mod external_id;
pub mod grant;
pub mod ids;
pub mod kind;
pub mod limits;
pub mod mapping;
pub mod operation;
pub mod position;
pub mod powers;
pub mod problem;
pub mod rate;
pub mod record;
pub mod rules;
pub mod run;
pub mod scan;
pub mod schema;
pub mod shadow;
pub mod share;
pub mod subscription;
pub mod work;

/// A record's values by field id, in their canonical form. Absent and null are the same thing; null is not stored.
pub type Fields = serde_json::Map<String, serde_json::Value>;
