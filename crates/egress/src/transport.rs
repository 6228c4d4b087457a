//! The port: one request out, one response or reason back. Deliveries and connectors
//! know only this; tests and the simulation put their own behind it.
//! It must not know any client.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::error::SendError;
use crate::identity::Identity;

/// One outgoing request, complete: nothing is added but `host`, `content-length` and,
/// where missing, `user-agent`.
#[derive(Debug, Clone)]
pub struct Request {
    /// Any method.
    pub method: Method,
    /// Where to; http or https. User name and fragment are not sent.
    pub url: Url,
    /// Headers as they shall be sent.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
    /// Who we are, to a server that asks for a certificate.
    pub identity: Option<Arc<Identity>>,
    /// Time for everything: resolving, connecting, sending, and the last byte of the response.
    pub timeout: Duration,
    /// How much of the response body is kept, in bytes.
    pub response_bytes_max: usize,
}

/// What came back, whatever its status; redirects included.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`Request::response_bytes_max`] bytes of it.
    pub body: Bytes,
    /// Whether the body was longer than what is kept.
    pub is_cut: bool,
}

/// Sends requests.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request, once, and waits for the response within its timeout. Dropping
    /// the future gives up; whether the request arrived is then unknown.
    ///
    /// # Errors
    /// [`SendError`] when there is no complete response.
    async fn send(&self, request: Request) -> Result<Response, SendError>;
}
