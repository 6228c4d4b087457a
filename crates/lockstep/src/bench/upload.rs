//! One long call: a body of many lines, made while it is sent, so that neither side holds it whole.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use futures_util::stream;
use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::record::Records;

/// Lines handed to the connection at once.
const CHUNK: u64 = 100;

/// Posts `count` records as lines; returns when the answer, which must be 202, has come.
pub(crate) async fn send(
    address: SocketAddr,
    path: &str,
    key: &str,
    records: Arc<Records>,
    count: u64,
) -> anyhow::Result<()> {
    let chunks = stream::iter((0..count).step_by(usize::try_from(CHUNK)?).map(move |first| {
        let mut chunk = BytesMut::new();
        for number in first..(first + CHUNK).min(count) {
            chunk.extend_from_slice(&records.body(number));
            chunk.extend_from_slice(b"\n");
        }
        Ok::<_, std::convert::Infallible>(Frame::data(chunk.freeze()))
    }));
    let request = Request::post(path)
        .header(HOST, address.to_string())
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .body(StreamBody::new(chunks))?;
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let work = async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let text: Bytes = answer.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::ACCEPTED, "the upload was answered {status}: {}", String::from_utf8_lossy(&text));
        Ok(())
    };
    match select(pin!(connection), pin!(work)).await {
        Either::Left((ended, _)) => bail!("the connection ended under the upload: {ended:?}"),
        Either::Right((done, _)) => done,
    }
}
