//! Recorded calls: made once against the platform, replayed ever after without it.
//!
//! A sample is what a connector's test needs: the configuration without its secrets, the time, the calls, and what was
//! read of them. A replayed call is found by verb, address and body; several of the same are answered in their order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lockstep_egress::{Request, Response, SendError, Transport};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reply;

/// What a connector's test needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// When it was recorded; the replay takes place then. RFC 3339.
    pub at: String,
    /// The configuration, secrets as `****`.
    pub config: Value,
    /// States of streams that were read on from, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<String, Value>,
    /// The calls, in their order.
    pub calls: Vec<Exchange>,
    /// The records that were read of them, by stream.
    pub records: BTreeMap<String, Vec<Value>>,
}

/// A call and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The verb.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// What was sent, if anything.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sent: String,
    /// The answer's status.
    pub status: u16,
    /// The answer's headers that a connector may read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The answer's body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The answer's body in base64, where it is no text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body_base64: String,
}

/// Headers that say nothing to a connector, or too much.
const LEFT_OUT: [&str; 8] = [
    "date",
    "set-cookie",
    "server",
    "connection",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "strict-transport-security",
];

/// Passes calls on and writes them down.
pub struct Recorder {
    inner: Arc<dyn Transport>,
    calls: Mutex<Vec<Exchange>>,
}

impl Recorder {
    /// Records what goes through to `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// What was recorded, every text passed through `clean`.
    pub fn calls(&self, clean: impl Fn(&str) -> String) -> Vec<Exchange> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let cleaned = calls.iter().map(|call| Exchange {
            method: call.method.clone(),
            url: clean(&call.url),
            sent: clean(&call.sent),
            status: call.status,
            headers: call.headers.iter().map(|(name, value)| (name.clone(), clean(value))).collect(),
            body: clean(&call.body),
            body_base64: call.body_base64.clone(),
        });
        cleaned.collect()
    }
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let (method, url) = (request.method.to_string(), request.url.to_string());
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        let answer = self.inner.send(request).await?;
        let mut headers = BTreeMap::new();
        for (name, value) in &answer.headers {
            if let (false, Ok(text)) = (LEFT_OUT.contains(&name.as_str()), value.to_str()) {
                headers.insert(name.as_str().to_owned(), text.to_owned());
            }
        }
        // As text, in which secrets can be found; what stays packed is the platform's own archive.
        let unpacked = reply::uncompressed(&answer.headers, &answer.body);
        let packing = headers.remove(CONTENT_ENCODING.as_str()).filter(|_| unpacked.is_none());
        headers.extend(packing.map(|packing| (CONTENT_ENCODING.as_str().to_owned(), packing)));
        let bytes = unpacked.unwrap_or_else(|| answer.body.clone());
        let (body, body_base64) = match std::str::from_utf8(&bytes) {
            Ok(text) => (text.to_owned(), String::new()),
            Err(_bytes) => (String::new(), STANDARD.encode(&bytes)),
        };
        let exchange = Exchange { method, url, sent, status: answer.status.as_u16(), headers, body, body_base64 };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        Ok(answer)
    }
}

/// Answers calls as they were once answered.
pub struct Replayer {
    left: Mutex<Vec<Option<Exchange>>>,
}

impl Replayer {
    /// Answers with these.
    #[must_use]
    pub fn new(calls: Vec<Exchange>) -> Self {
        Self { left: Mutex::new(calls.into_iter().map(Some).collect()) }
    }

    /// Calls that were recorded and never asked for.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.iter().flatten().map(|call| format!("{} {}", call.method, call.url)).collect()
    }

    fn take(&self, request: &Request) -> Option<Exchange> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = String::from_utf8_lossy(&request.body);
        let is_it = |call: &Exchange| {
            call.method == request.method.as_str() && same_address(&call.url, request.url.as_str()) && call.sent == sent
        };
        let at = left.iter().position(|call| call.as_ref().is_some_and(is_it))?;
        left.get_mut(at)?.take()
    }
}

/// The same address, however its stars are escaped.
fn same_address(recorded: &str, asked: &str) -> bool {
    let plain = |text: &str| text.replace("%2A", "*");
    plain(recorded) == plain(asked)
}

#[async_trait]
impl Transport for Replayer {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let Some(call) = self.take(&request) else {
            let host = request.url.host_str().unwrap_or_default().to_owned();
            let cause = format!(
                "the samples hold no answer to {} {}; record them again with --record",
                request.method, request.url
            );
            return Err(SendError::Broken { host, cause });
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        let body = STANDARD.decode(&call.body_base64).unwrap_or_default();
        let body = if body.is_empty() { call.body.into_bytes() } else { body };
        let status = StatusCode::from_u16(call.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Ok(Response { status, headers, body: Bytes::from(body), is_cut: false })
    }
}
