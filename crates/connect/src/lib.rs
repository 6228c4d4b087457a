//! Runs a connector: a manifest and what stands beside it, with a configuration, against the platform.
//!
//! What it is: the runtime of Airbyte's low-code format in Rust, pull by pull, and of `lockstep.yaml`: finding, fetching
//! and writing objects, and hooks. Why a room of its own: nothing in here knows records, stores or shares; it knows how
//! to ask a platform and what the answers mean. What it must not do: open a socket (all calls go through `egress`), show
//! a secret, or hold more than the pages that are being worked on.
//!
//! ```text
//! Manifest + config ─▶ Source ─▶ spec, check, discover
//!                             └▶ read ─▶ read/ (parts ▸ slices ▸ pages) ─▶ Event
//! lockstep.yaml     ─▶ Connector ─▶ Link ─▶ link/ (find, fetch, write, batch, bulk, register) ─▶ Object, Written
//!                               └▶ hook ─▶ hook/ (verify ▸ decode) ─▶ Hint
//!
//! one page:  draft (request, paging, window, part) ─▶ auth ─▶ budget ─▶ egress ─▶ verdict (again? give up?)
//!            ─▶ decode ─▶ select (find ▸ filter ▸ change) ─▶ records, next token
//! ```
//!
//! Errors are [`Failure`]s that say whose matter they are. A record or slice that fails is told of in an [`Event`] and
//! is not the end: how far a stream has been read never goes past what failed.

mod account;
mod auth;
mod backoff;
mod budget;
mod call;
mod config;
mod connector;
mod cursor;
mod decode;
mod dpath;
mod draft;
mod dynamic;
mod failure;
mod files;
mod hook;
mod keep;
mod link;
mod paging;
mod partition;
mod python;
mod read;
mod reply;
mod sample;
mod schema;
mod secret;
mod select;
mod slice;
mod source;
mod tree;
mod verdict;

pub use connector::Connector;
pub use failure::Failure;
pub use files::Files;
pub use hook::{Hint, HookCall, HookRefused};
pub use keep::Keep;
pub use link::{Bulk, Class, Hooks, Identity, Job, Link, Object, RemoteField, Trouble, Write, Written};
pub use lockstep_manifest::{FailureType, OptionSaid, Remote, Sharing};
pub use read::Event;
pub use reply::RESPONSE_BYTES_MAX;
pub use sample::{Exchange, Recorder, Replayer, Sample};
pub use source::{Ask, BadManifest, Check, Refused, Session, Source, StreamInfo, World};
