//! The components of the format, one page a family; each page says the fields and is their parser.
//!
//! Names and meanings are those of Airbyte's low-code schema (`declarative_component_schema.yaml`, MIT), which says of
//! every field what it is for; the comments here say only what a reader of this code needs. Beyond the format stand
//! `OAuth1Authenticator` and `TokenExchangeAuthenticator`'s plain-text answer, our extensions.

mod auth;
mod cursor;
mod decode;
mod dynamic;
mod error;
mod paging;
mod partition;
mod request;
mod select;
mod source;
mod stream;

pub use auth::*;
pub use cursor::*;
pub use decode::*;
pub use dynamic::*;
pub use error::*;
pub use paging::*;
pub use partition::*;
pub use request::*;
pub use select::*;
pub use source::*;
pub use stream::*;
