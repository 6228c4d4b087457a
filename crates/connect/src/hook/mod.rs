//! Hooks: a platform tells that something changed.

mod types;

pub use types::{Hint, HookCall, HookRefused};
