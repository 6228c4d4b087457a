//! A caller: one connection at a time, JSON in and out, no retries of its own.
#![expect(clippy::disallowed_methods, reason = "a test's task ends with its runtime")]

use crate::eventually::seconds;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    /// The body; as a string where it is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer of this status.
    pub(crate) fn of_status(self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "expected {status}, got {} with {}", self.status, self.body);
        Ok(self.body)
    }

    pub(crate) fn error_code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// One caller with its credential.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    authorization: String,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Whether the last call got as far as a connection, so that the hub may have seen it.
    pub(crate) is_sent: bool,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, authorization: format!("Bearer {key}"), sender: None, is_sent: false }
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::POST, path, &[], body).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, &[], &Value::Null).await
    }

    /// Sends and waits for the whole answer; an error means that it is unknown what became of the request.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer> {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        self.is_sent = false;
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => connect(self.address).await?,
        };
        self.is_sent = true;
        let answer = tokio::time::timeout(seconds(20), exchange(&mut sender, request));
        let answer = answer.await.with_context(|| format!("no answer from {path} in 20 s"))??;
        self.sender = Some(sender);
        Ok(answer)
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Answer> {
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(Answer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: serde_json::from_slice(&body).unwrap_or_else(|_| text()),
    })
}
