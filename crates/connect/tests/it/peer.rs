//! Servers that are programs of their own, over real sockets: started, told things, and ended with the test.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_egress::{AddressPolicy, HttpTransport, Request, Transport};
use serde_json::Value;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Time that stands until it is moved.
pub(crate) struct Moved(AtomicI64);

impl Moved {
    pub(crate) fn to(time: &str) -> Self {
        Self(AtomicI64::new(Timestamp::parse(time).unwrap().0))
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A script of `tests/peers` at work; it ends when its standard input does.
pub(crate) struct Peer {
    child: Child,
    pub(crate) url: String,
    pub(crate) transport: Arc<HttpTransport>,
}

impl Peer {
    /// Starts one. Of the first line that it prints, `read` gives the URL and whatever else is of interest.
    pub(crate) fn start<T>(program: &str, script: &str, read: impl FnOnce(&str) -> (String, T)) -> (Self, T) {
        let mut command = Command::new(program);
        command.arg(root().join("tests/peers").join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (url, told) = read(line.trim());
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        (Self { child, url, transport: Arc::new(HttpTransport::new(Arc::new(policy))) }, told)
    }

    /// Tells it something; gives what it says to that.
    pub(crate) async fn tell(&self, path: &str, body: &Value) -> Value {
        let request = Request {
            method: Method::POST,
            url: format!("{}{path}", self.url).parse().unwrap(),
            headers: HeaderMap::new(),
            body: body.to_string().into(),
            identity: None,
            timeout: Duration::from_secs(10),
            response_bytes_max: 10_000,
        };
        serde_json::from_slice(&self.transport.send(request).await.unwrap().body).unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Whether it was still there does not matter.
        let _gone = self.child.wait();
    }
}
