//! What receives deliveries: a server of hyper alone on one thread, which notes what came and answers at once.
//!
//! As a process of its own it counts, per board, deliveries and distinct sequence numbers, so that loss can be told
//! from repetition; in the load generator's process it marks arrivals on the generator's own clock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::link::{Sender, Target};
use super::load::on_own_runtime;
use super::process::Process;
use super::record;

/// Says what to answer to a path and a body; none is 404.
type Answer = dyn Fn(&str, Bytes) -> Option<Bytes> + Send + Sync;

/// A sink in this process; dropped, it ends.
pub(crate) struct LocalSink {
    address: SocketAddr,
    _until: oneshot::Sender<()>,
}

impl LocalSink {
    /// Starts a sink on a thread of its own that calls `arrived` with each delivery's body.
    pub(crate) async fn start(arrived: impl Fn(&[u8]) + Send + Sync + 'static) -> anyhow::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), arrived).await
    }

    /// The same, at an address of the caller's choice.
    pub(crate) async fn start_at(
        address: SocketAddr,
        arrived: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let (until, ended) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let answer = move |_: &str, body: Bytes| {
            arrived(&body);
            Some(Bytes::new())
        };
        std::thread::spawn(move || on_own_runtime(serve(address, Arc::new(answer), tell, ended)));
        Ok(Self { address: told.await.context("starting a sink")?, _until: until })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What one board has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Deliveries.
    pub(crate) all: u64,
    /// Different sequence numbers among them.
    pub(crate) distinct: u64,
}

/// Reads the counts of `board` from a sink that is a process of its own.
pub(crate) async fn counts(sink: &Process, board: usize) -> anyhow::Result<Counts> {
    let answer = Target::new(sink.address(), &format!("/counts/{board}"), "")?.call(&Value::Null).await?;
    let read = |name| answer.get(name).and_then(Value::as_u64).with_context(|| format!("the sink told no {name}"));
    Ok(Counts { all: read("all")?, distinct: read("distinct")? })
}

/// The body of the delivery that came last to `board`.
pub(crate) async fn last_body(sink: &Process, board: usize) -> anyhow::Result<Bytes> {
    let target = &Target::new(sink.address(), &format!("/last/{board}"), "")?;
    let post = |mut sender: Sender| async move { target.post(&mut sender, Bytes::new()).await };
    Ok(target.connected(post).await?.1)
}

/// Runs the sink's process until `ended`; tells its address when it is ready.
pub(crate) async fn serve_counting(
    tell: oneshot::Sender<SocketAddr>,
    ended: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let boards = Mutex::new(HashMap::<String, Board>::new());
    let answer = move |path: &str, body: Bytes| {
        let (verb, board) = path.trim_start_matches('/').split_once('/')?;
        // A board is whole after every step, so one that a panic left is as good as any.
        let mut boards = boards.lock().unwrap_or_else(PoisonError::into_inner);
        let board = boards.entry(board.to_owned()).or_default();
        match verb {
            "hook" => {
                board.note(body);
                Some(Bytes::new())
            }
            "counts" => Some(Bytes::from(json!({ "all": board.all, "distinct": board.distinct }).to_string())),
            "last" => Some(board.last.clone()),
            _ => None,
        }
    };
    serve(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::new(answer), tell, ended).await
}

/// What came from one hub.
#[derive(Default)]
struct Board {
    all: u64,
    distinct: u64,
    /// One bit per sequence number.
    seen: Vec<u64>,
    last: Bytes,
}

impl Board {
    fn note(&mut self, body: Bytes) {
        self.all += 1;
        if let Some(seq) = record::number_after(&body, b"\"seq\":") {
            self.note_seq(seq);
        }
        self.last = body;
    }

    fn note_seq(&mut self, seq: u64) {
        let at = usize::try_from(seq / 64).unwrap_or(0);
        if at >= self.seen.len() {
            self.seen.resize(at + 1, 0);
        }
        if let Some(bits) = self.seen.get_mut(at) {
            let bit = 1 << (seq % 64);
            self.distinct += u64::from(*bits & bit == 0);
            *bits |= bit;
        }
    }
}

async fn serve(
    address: SocketAddr,
    answer: Arc<Answer>,
    tell: oneshot::Sender<SocketAddr>,
    mut ended: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tell.send(listener.local_addr()?).ok();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            // Also when the other end is dropped.
            _ = &mut ended => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let answer = Arc::clone(&answer);
        connections.spawn(async move {
            let service = service_fn(|request| respond(Arc::clone(&answer), request));
            // A connection that breaks shows at the other end as an error.
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn respond(answer: Arc<Answer>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let answer = answer(head.uri.path(), body);
    let status = if answer.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let mut response = Response::new(Full::new(answer.unwrap_or_default()));
    *response.status_mut() = status;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_delivery_counts_once_as_distinct() {
        let mut board = Board::default();
        for seq in [1, 2, 200, 2] {
            board.note(Bytes::from(format!("{{\"data\":{{\"seq\":{seq},\"record\":{{}}}}}}")));
        }
        assert_eq!((board.all, board.distinct), (4, 3));
    }
}
