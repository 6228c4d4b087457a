//! One HTTP/1.1 connection and the requests sent over it, one after another.
//!
//! hyper's own connection without a pool: the cheapest client there is, so that the load generator takes little from
//! what it measures. The connection is driven by the task that uses it.

use std::net::SocketAddr;
use std::pin::pin;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// What one sends over a connection.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// Where requests go, and the headers they all have.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    path: Uri,
    headers: HeaderMap,
}

impl Target {
    /// `path` at `address`, with a bearer key unless `key` is empty.
    pub(crate) fn new(address: SocketAddr, path: &str, key: &str) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::try_from(address.to_string())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !key.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))?);
        }
        Ok(Self { address, path: path.parse()?, headers })
    }

    /// Opens a connection, runs `work` over it and closes it.
    ///
    /// # Errors
    /// No connection, one closed by the other side before the work was done, or the work's own.
    pub(crate) async fn connected<T, F>(&self, work: impl FnOnce(Sender) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let stream =
            TcpStream::connect(self.address).await.with_context(|| format!("connecting to {}", self.address))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        match select(pin!(connection), pin!(work(sender))).await {
            Either::Left((Ok(()), _)) => bail!("{} closed a connection in use", self.address),
            Either::Left((Err(error), _)) => Err(error).with_context(|| format!("talking to {}", self.address)),
            Either::Right((outcome, _)) => outcome,
        }
    }

    /// Posts `body` and reads the whole answer.
    pub(crate) async fn post(&self, sender: &mut Sender, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// Gets over a connection; what comes must be 200 and JSON.
    pub(crate) async fn get_on(&self, sender: &mut Sender) -> anyhow::Result<Value> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::OK, self.refusal(status, &body));
        serde_json::from_slice(&body).with_context(|| format!("reading the answer of {}", self.path))
    }

    /// The same on a connection of its own.
    pub(crate) async fn get(&self) -> anyhow::Result<Value> {
        self.connected(|mut sender: Sender| async move { self.get_on(&mut sender).await }).await
    }

    /// One call on a connection of its own, which must be answered 200 with JSON.
    pub(crate) async fn call(&self, body: &Value) -> anyhow::Result<Value> {
        let body = Bytes::from(body.to_string());
        let post = |mut sender: Sender| async move { self.post(&mut sender, body).await };
        let (status, answer) = self.connected(post).await?;
        ensure!(status == StatusCode::OK, self.refusal(status, &answer));
        serde_json::from_slice(&answer).with_context(|| format!("reading the answer of {}", self.path))
    }

    /// What to say of an answer that should not have been given.
    pub(crate) fn refusal(&self, status: StatusCode, answer: &[u8]) -> String {
        format!("{} answered {status}: {}", self.path, String::from_utf8_lossy(answer))
    }
}
