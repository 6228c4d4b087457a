//! Endpoints: what stands behind the URLs of a simulated world, how it behaves, and what has arrived there.
//!
//! A request takes time to arrive and its answer takes time to come back; whoever drops the request in between (a
//! killed hub) never learns that it arrived.

use crate::chance::Chance;
use crate::slow_store::SlowStore;
use crate::time::SimClock;
use crate::trace::{Trace, fnv};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_egress::{Request, Response, SendError, Transport};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How an endpoint behaves at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It answers 200, soon.
    #[default]
    Healthy,
    /// It answers 200 after up to so many milliseconds.
    Slow(u64),
    /// Up for so many milliseconds, then unreachable for as many.
    Flapping(u64),
    /// No connection can be made.
    Unreachable,
    /// It never answers.
    Silent,
    /// It takes the request, and in a third of cases the connection breaks before the answer.
    Breaking,
    /// It answers 500 for one record in so many.
    Picky(u64),
    /// It answers 500 for the record whose id has this hash.
    Dislikes(u64),
    /// It answers this to everything.
    Says(u16),
    /// It answers this, with `Retry-After` in seconds.
    Throttles(u16, u64),
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When the hub sent it.
    pub sent_at: Timestamp,
    /// When it arrived.
    pub at: Timestamp,
    /// Which opening of the post room sent it.
    pub life: u64,
    /// Host of the URL.
    pub host: String,
    /// Path of the URL, which tells the subscription.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What was answered, whether or not the hub learned of it.
    pub status: Option<u16>,
}

impl Arrival {
    /// A header as text; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The `webhook-id`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// Whether it is marked as a replay.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.header("lockstep-replay") == "true"
    }

    /// Whether the endpoint took it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct State {
    moods: BTreeMap<String, Mood>,
    arrivals: Vec<Arrival>,
    tries: Vec<(Timestamp, String)>,
}

/// All endpoints, as the transport that reaches them.
pub struct Net {
    clock: SimClock,
    chance: Chance,
    store: Arc<SlowStore>,
    trace: Arc<Trace>,
    state: Mutex<State>,
}

impl Net {
    /// A net on which every host is healthy.
    #[must_use]
    pub fn new(clock: SimClock, seed: u64, store: Arc<SlowStore>, trace: Arc<Trace>) -> Self {
        Self { clock, chance: Chance::new(seed, "net"), store, trace, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a host behaves from now on.
    pub fn set(&self, host: &str, mood: Mood) {
        self.lock().moods.insert(host.to_owned(), mood);
    }

    /// How a host behaves now.
    #[must_use]
    pub fn mood(&self, host: &str) -> Mood {
        self.lock().moods.get(host).copied().unwrap_or_default()
    }

    /// Every host is healthy from now on.
    pub fn heal(&self) {
        self.lock().moods.clear();
    }

    /// What has arrived so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.lock().arrivals.clone()
    }

    /// How much has arrived so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().arrivals.len()
    }

    /// What has arrived so far under one path.
    #[must_use]
    pub fn at(&self, path: &str) -> Vec<Arrival> {
        self.lock().arrivals.iter().filter(|arrival| arrival.path == path).cloned().collect()
    }

    /// When requests were sent to a host, arrived or not.
    #[must_use]
    pub fn tries(&self, host: &str) -> Vec<Timestamp> {
        self.lock().tries.iter().filter(|(_, to)| to == host).map(|(at, _)| *at).collect()
    }

    fn reach(&self, host: &str, mood: Mood) -> Result<(), SendError> {
        let is_down = match mood {
            Mood::Unreachable => true,
            Mood::Flapping(period) => {
                let ms = self.clock.now().0.unsigned_abs();
                (ms / period.max(1)) % 2 == 1
            }
            _ => false,
        };
        let refused = || SendError::Connect { host: host.to_owned(), cause: "connection refused".to_owned() };
        if is_down { Err(refused()) } else { Ok(()) }
    }

    /// What a mood makes of a request that arrived: the time it takes, and the answer.
    fn judge(&self, mood: Mood, request: &Request) -> (u64, Option<u16>, Option<u64>) {
        match mood {
            Mood::Slow(most) => (self.chance.below(most), Some(200), None),
            Mood::Picky(one_in) if records_of(&request.body).any(|record| fnv(record).is_multiple_of(one_in)) => {
                (self.chance.below(20), Some(500), None)
            }
            Mood::Dislikes(bad) if records_of(&request.body).any(|record| fnv(record) == bad) => {
                (self.chance.below(20), Some(500), None)
            }
            Mood::Says(status) => (self.chance.below(20), Some(status), None),
            Mood::Throttles(status, seconds) => (self.chance.below(20), Some(status), Some(seconds)),
            Mood::Silent => (u64::MAX, None, None),
            _ => (self.chance.below(20), Some(200), None),
        }
    }

    fn arrived(&self, sent_at: Timestamp, host: &str, request: &Request, status: Option<u16>) {
        let at = self.clock.now();
        let arrival = Arrival {
            sent_at,
            at,
            life: self.store.life(),
            host: host.to_owned(),
            path: request.url.path().to_owned(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            status,
        };
        let head = format!("{:?}", request.headers);
        self.trace.note(
            at,
            format_args!(
                "arrival {} {} {:?} {:x} {:x}",
                arrival.path,
                arrival.id(),
                status,
                fnv(&arrival.body),
                fnv(head.as_bytes())
            ),
        );
        self.lock().arrivals.push(arrival);
    }
}

/// The records that a body is about: the first that it names, in each member of a batch.
fn records_of(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MARK: &[u8] = b"\"record\":";
    let is_batch = body.starts_with(b"{\"type\":\"batch\"");
    let marks = body.windows(MARK.len()).enumerate().filter(move |(_, window)| is_batch && *window == MARK);
    let members = marks.filter_map(|(at, _)| body.get(at..)).map(record_of);
    (!is_batch).then(|| record_of(body)).into_iter().chain(members)
}

/// The first record id in a body, or nothing.
fn record_of(body: &[u8]) -> &[u8] {
    const LEN: usize = 30;
    let start = body.windows(4).position(|window| window == b"rec_");
    start.and_then(|start| body.get(start..start + LEN)).unwrap_or_default()
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let sent_at = self.clock.now();
        self.lock().tries.push((sent_at, host.clone()));
        let way = Duration::from_millis(self.chance.below(15));
        tokio::time::sleep(way).await;
        let mood = self.mood(&host);
        self.reach(&host, mood)?;
        let (ms, status, retry_after) = self.judge(mood, &request);
        self.arrived(sent_at, &host, &request, status);
        let rest = request.timeout.saturating_sub(way);
        if Duration::from_millis(ms) >= rest {
            tokio::time::sleep(rest).await;
            return Err(SendError::Timeout { host, after: request.timeout });
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
        if mood == Mood::Breaking && self.chance.one_in(3) {
            return Err(SendError::Broken { host, cause: "connection reset".to_owned() });
        }
        let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        Ok(Response { status, headers, body: Bytes::from_static(b"simulated"), is_cut: false })
    }
}
