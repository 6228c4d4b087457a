//! Readers of the change feed: one connection each, whose events are counted as they come.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A reader that stays.
pub(crate) struct Reader {
    body: Incoming,
    _sender: SendRequest<Empty<Bytes>>,
    has_half: bool,
}

impl Reader {
    /// Opens a stream of a business's changes.
    pub(crate) async fn open(address: SocketAddr, key: &str, business: &str, query: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        // A reader of little needs little: 5,000 of them are one process.
        let (mut sender, connection) = Builder::new().max_buf_size(16 * 1024).handshake(TokioIo::new(stream)).await?;
        crate::wire_up::spawn(async move {
            // The reader tells of a stream that broke.
            let _ = connection.await;
        });
        let request = Request::get(format!("/rest/v1/businesses/{business}/changes?{query}"))
            .header(HOST, address.to_string())
            .header(ACCEPT, "text/event-stream")
            .header(AUTHORIZATION, format!("Bearer {key}"))
            .body(Empty::new())?;
        let answer = sender.send_request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "a stream was answered {}", answer.status());
        Ok(Self { body: answer.into_body(), _sender: sender, has_half: false })
    }

    /// Waits for what comes next; how many events end in it.
    pub(crate) async fn next(&mut self) -> anyhow::Result<u64> {
        loop {
            let frame = self.body.frame().await.context("the stream ended")??;
            let Ok(data) = frame.into_data() else { continue };
            let mut events = 0;
            for byte in &data {
                let is_end = *byte == b'\n';
                if is_end && self.has_half {
                    events += 1;
                }
                self.has_half = is_end && !self.has_half;
            }
            return Ok(events);
        }
    }
}
