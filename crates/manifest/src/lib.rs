//! Connector files: Airbyte low-code manifests read, resolved, checked and explained.
//!
//! What it is: from the text of a `manifest.yaml` to typed components whose templates are compiled, or to problems
//! with line, path and way out. Why a room of its own: reading a file is pure and cheap to test, and whoever runs a
//! manifest (`connect`) should never meet a malformed one. It must not do any I/O, know a configuration, or make a
//! request.
//!
//! ```text
//! text ─▶ yaml (nodes with lines) ─▶ resolve ($ref) ─▶ propagate (types, $parameters) ─▶ components
//! ```

mod components;
mod manifest;
mod node;
mod problem;
mod propagate;
mod read;
mod resolve;
mod sharing;
mod text;
mod yaml;

pub use components::*;
pub use manifest::{DynamicEntry, Entry, MANIFEST_BYTES_MAX, Manifest, parse_spec, parse_stream, parse_yaml};
pub use node::{Data, Node};
pub use problem::{Problem, ProblemKind};
pub use read::{At, Many, Read};
pub use sharing::*;
pub use text::{Json, Raw, Text, Tree, Values};
