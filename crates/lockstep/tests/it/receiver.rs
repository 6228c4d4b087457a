//! A subscriber's endpoint that remembers what came, in order, and from which life of the hub.
//!
//! A life is one process. Connections of a killed process can still hold requests when the next one starts, so
//! [`Receiver::next_life`] waits until every connection that the dead one opened has been read to its end.
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use crate::eventually::{eventually, seconds};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Which process sent it.
    pub(crate) life: u32,
    /// Whether it was answered with 2xx.
    pub(crate) is_accepted: bool,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

#[derive(Default)]
struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    life: AtomicU32,
    open: AtomicUsize,
    /// Every how many arrivals one is refused with 500; 0: none.
    refuse_each: AtomicU64,
    count: AtomicU64,
}

impl Shared {
    fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The endpoint.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Refuses one delivery in so many from here on; none at 0.
    pub(crate) fn refuse_each(&self, count: u64) {
        self.shared.refuse_each.store(count, Ordering::Relaxed);
    }

    /// What came since this was last called.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.shared.arrivals())
    }

    /// What came and was not taken.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Arrival]) -> T) -> T {
        look(&self.shared.arrivals())
    }

    /// To be called between the end of one process and the start of the next.
    pub(crate) async fn next_life(&self) -> Result<()> {
        // Connections are accepted in the order in which they were made: once this one is answered, all of the
        // dead process are known.
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"GET /barrier HTTP/1.1\r\nhost: barrier\r\nconnection: close\r\n\r\n").await?;
        stream.read_to_end(&mut Vec::new()).await.context("the receiver answers")?;
        let open = &self.shared.open;
        let closed = eventually(seconds(10), "the dead process's connections are closed", async || {
            open.load(Ordering::SeqCst) == 0
        });
        closed.await?;
        self.shared.life.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Counts one connection for as long as it is served.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let open = Open::new(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| receive(&open.0, request));
            // An error is a peer that was killed.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn receive(shared: &Shared, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut answer = Response::new(Empty::new());
    if head.uri.path() == "/barrier" {
        return Ok(answer);
    }
    let refuse_each = shared.refuse_each.load(Ordering::Relaxed);
    let count = shared.count.fetch_add(1, Ordering::Relaxed) + 1;
    let is_accepted = !count.is_multiple_of(refuse_each);
    if !is_accepted {
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let arrival = Arrival {
        life: shared.life.load(Ordering::SeqCst),
        is_accepted,
        path: head.uri.path().to_owned(),
        headers: headers.collect(),
        body,
    };
    shared.arrivals().push(arrival);
    Ok(answer)
}
