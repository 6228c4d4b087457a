//! The only opener of connections to the outside.
//!
//! Why a room of its own: whoever registers a webhook chooses where this program
//! connects to, so every connection must pass one door with one rule ([`AddressPolicy`]).
//! The rule is asked twice: of the URL when it is saved, and of every resolved address
//! when a connection is made; the connection then goes to the very address that was
//! judged, so that a name cannot change its mind in between.
//!
//! What it must not do: follow a redirect, retry on its own, log, or put the query of a
//! URL (where tokens live) into a message.
//!
//! ```text
//! Request ─▶ Transport::send ─▶ pool ─▶ Connector: resolve, judge, connect ─▶ TLS ─▶ Response
//! ```

mod address;
mod client;
mod connect;
mod error;
mod identity;
mod transport;
mod url_check;

pub use address::{AddressPolicy, AddressRefused};
pub use client::{BadRoots, HttpTransport};
pub use error::SendError;
pub use identity::{BadIdentity, Identity};
pub use transport::{Request, Response, Transport};
pub use url_check::{URL_BYTES_MAX, UrlRefused};
