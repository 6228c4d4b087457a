//! Why a request got no response, in words for the person who watches the endpoint.
//! It must not contain more of a URL than its host: tokens live in the rest.

use std::net::IpAddr;
use std::time::Duration;

use crate::address::AddressRefused;

/// A request that got no response. A response with an error status is not one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The policy closes the address; trying again will not help.
    #[error("{host} was not called: {refused}")]
    AddressRefused {
        /// Host of the URL.
        host: String,
        /// The address the host stands for.
        address: IpAddr,
        /// The verdict with its reason.
        refused: AddressRefused,
    },
    /// The name could not be resolved.
    #[error("the name {host} could not be resolved ({cause}); check the spelling and the domain's DNS records")]
    Dns {
        /// Host of the URL.
        host: String,
        /// What the resolver said.
        cause: String,
    },
    /// Nothing answered at the address.
    #[error("no connection to {host} could be made ({cause}); check that the server is up and its port is open")]
    Connect {
        /// Host of the URL.
        host: String,
        /// What the system said.
        cause: String,
    },
    /// The TLS handshake failed.
    #[error("{host} could not be trusted ({cause}); check its certificate, its name and its chain")]
    Tls {
        /// Host of the URL.
        host: String,
        /// What the handshake said.
        cause: String,
    },
    /// The whole response was not there in time.
    #[error("{host} did not answer in full within {} ms; answer first and work afterwards", after.as_millis())]
    Timeout {
        /// Host of the URL.
        host: String,
        /// The time it was given.
        after: Duration,
    },
    /// The connection was lost or the answer was not HTTP.
    #[error("the conversation with {host} broke off ({cause}); whether the request arrived is not known")]
    Broken {
        /// Host of the URL.
        host: String,
        /// What happened.
        cause: String,
    },
}

impl SendError {
    /// Whether our own rule refused it, so that no attempt was made and none will succeed.
    #[must_use]
    pub const fn is_policy(&self) -> bool {
        matches!(self, Self::AddressRefused { .. })
    }

    /// Host of the URL that was called.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::AddressRefused { host, .. }
            | Self::Dns { host, .. }
            | Self::Connect { host, .. }
            | Self::Tls { host, .. }
            | Self::Timeout { host, .. }
            | Self::Broken { host, .. } => host,
        }
    }
}

/// The innermost cause of an error, which says most.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
