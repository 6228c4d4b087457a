//! Posting: one try of one delivery, from the change in the store to the endpoint's answer.
//!
//! What may be seen is asked here again, with the grant of the moment of sending.

use super::addressee::Addressee;
use super::lane::Item;
use super::letter::{self, Writing, Written};
use super::walk::{Held, Step};
use crate::World;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{Notice, NoticeBody};
use lockstep_core::ids::DeliveryId;
use lockstep_core::limits;
use lockstep_core::operation::OperationId;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::retry::{Verdict, verdict};
use lockstep_egress::{Request, Response};
use lockstep_store::StoreError;
use lockstep_wire::operation::OperationView;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use tracing::field::Empty;

/// Wait after the store could not be read.
const UNREAD_WAIT: Duration = Duration::from_millis(200);

/// How one try went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Landing {
    pub(super) delivery: Option<DeliveryId>,
    pub(super) fate: Fate,
    pub(super) status: Option<u16>,
    pub(super) failure: Option<String>,
    pub(super) at: Timestamp,
    pub(super) took_ms: u32,
}

impl Landing {
    /// Whether no request was made.
    pub(super) const fn is_unsent(&self) -> bool {
        matches!(self.fate, Fate::Unwanted | Fate::NotYet | Fate::Unread | Fate::TooMuch)
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrived.
    Delivered,
    /// It was not to be sent after all.
    Unwanted,
    /// What it tells of has not come by yet.
    NotYet,
    /// The endpoint refused it.
    Refused,
    /// The endpoint could not be reached, or did not answer in time.
    Unreached,
    /// The endpoint asks for less.
    Throttled(Option<Duration>),
    /// The endpoint wants nothing more.
    Gone,
    /// The store could not be read.
    Unread,
    /// It is a batch too long to send.
    TooMuch,
}

fn unsent(fate: Fate, failure: Option<String>, at: Timestamp) -> Landing {
    Landing { delivery: None, fate, status: None, failure, at, took_ms: 0 }
}

/// What could not be read is tried again by whoever sent for it: not at once, or a store in trouble would be asked
/// as fast as it can refuse.
async fn unread(world: &World, error: StoreError) -> Landing {
    tokio::time::sleep(UNREAD_WAIT).await;
    unsent(Fate::Unread, Some(error.to_string()), world.clock.now())
}

fn writing<'a>(world: &'a World, to: &'a Addressee, id: DeliveryId) -> Writing<'a> {
    Writing { to, id, settings: &world.settings, policy: &world.policy }
}

/// Sends a change, reading it first where it is not at hand.
pub(super) async fn change(
    world: Arc<World>,
    to: Arc<Addressee>,
    held: Option<Arc<Change>>,
    seq: u64,
    is_replay: bool,
) -> Landing {
    let now = world.clock.now();
    let change = match read_change(&world, &to, held, seq).await {
        Ok(change) => change,
        Err(error) => return unread(&world, error).await,
    };
    let Some(change) = change else { return unsent(Fate::Unwanted, None, now) };
    let Some(seen) = to.view(&change) else { return unsent(Fate::Unwanted, None, now) };
    let id = DeliveryId::of_change(change.id, to.subscription.id);
    let letter = letter::of_change(writing(&world, &to, id), &change, &seen, is_replay);
    send(&world, &to, id, letter, is_replay).await
}

/// A change that may be at hand.
async fn read_change(
    world: &World,
    to: &Addressee,
    held: Option<Arc<Change>>,
    seq: u64,
) -> Result<Option<Arc<Change>>, StoreError> {
    match held {
        Some(change) => Ok(Some(change)),
        None => world.store.change(&to.business.id, seq).await,
    }
}

/// Sends changes together: what is wanted of them, in order.
pub(super) async fn batch(world: Arc<World>, to: Arc<Addressee>, items: &[Item]) -> Landing {
    let now = world.clock.now();
    let (mut members, mut changes, mut bytes) = (Vec::new(), Vec::new(), 0);
    for item in items {
        let found = match read_change(&world, &to, item.held.upgrade(), item.seq).await {
            Ok(found) => found,
            Err(error) => return unread(&world, error).await,
        };
        let Some(found) = found else { continue };
        let Some(seen) = to.view(&found) else { continue };
        let id = DeliveryId::of_change(found.id, to.subscription.id);
        let member = letter::member_of(writing(&world, &to, id), &found, &seen);
        bytes += member.len() + 1;
        if bytes > limits::BATCH_BYTES_MAX {
            return unsent(Fate::TooMuch, None, now);
        }
        drop(seen);
        members.push(member);
        changes.push((found.id, found.seq, found.at, found.ty.clone()));
    }
    let Some((_, seq, at, ty)) = changes.last().cloned() else { return unsent(Fate::Unwanted, None, now) };
    if changes.len() == 1 {
        return change(world, to, None, seq, false).await;
    }
    let id = DeliveryId::of_batch(changes.iter().map(|(change, ..)| *change), to.subscription.id);
    let letter = letter::of_members(writing(&world, &to, id), &ty, at, &members);
    send(&world, &to, id, Ok(letter), false).await
}

/// Sends a step of a walk.
pub(super) async fn step(world: Arc<World>, to: Arc<Addressee>, step: Step, scanned: u64) -> Landing {
    let now = world.clock.now();
    let id = DeliveryId::of_sync(step.operation, step.record.id, to.subscription.id);
    let writing = writing(&world, &to, id);
    let letter = match &step.held {
        Held::Change(held) => {
            let seq = held.seq;
            return change(world, to, Some(Arc::clone(held)), seq, true).await;
        }
        Held::Record(Some(record)) => match to.current(record) {
            Some(fields) => letter::of_current(writing, record, &fields, step.operation, now),
            None => return unsent(Fate::Unwanted, None, now),
        },
        Held::Record(None) => match current(&world, writing, &step.record, step.operation, scanned).await {
            Ok(letter) => letter,
            Err(landing) => return landing,
        },
    };
    send(&world, &to, id, letter, false).await
}

/// Sends a notice. `scanned` is how far the lane has read: a record that is newer waits.
pub(super) async fn notice(world: Arc<World>, to: Arc<Addressee>, notice: Notice, scanned: u64) -> Landing {
    let now = world.clock.now();
    let writing = writing(&world, &to, notice.id);
    let letter = match &notice.body {
        NoticeBody::Replay { seq, .. } => return change(world, to, None, *seq, true).await,
        NoticeBody::Operation(operation) => letter::of_operation(writing, &OperationView::of(operation), now),
        NoticeBody::Warning { event, about, message } => letter::of_warning(writing, event, *about, message, now),
        NoticeBody::Current { operation, ty, record } => {
            let key = RecordKey { ty: ty.clone(), id: *record };
            match current(&world, writing, &key, *operation, scanned).await {
                Ok(letter) => letter,
                Err(landing) => return landing,
            }
        }
    };
    send(&world, &to, notice.id, letter, false).await
}

async fn current(
    world: &World,
    writing: Writing<'_>,
    key: &RecordKey,
    operation: OperationId,
    scanned: u64,
) -> Result<Written, Landing> {
    let (now, to) = (world.clock.now(), writing.to);
    let record = match world.store.record(&to.business.id, key).await {
        Ok(record) => record,
        Err(error) => return Err(unread(world, error).await),
    };
    let record = record.ok_or_else(|| unsent(Fate::Unwanted, None, now))?;
    if record.last_seq > scanned {
        return Err(unsent(Fate::NotYet, None, now));
    }
    let fields = to.current(&record).ok_or_else(|| unsent(Fate::Unwanted, None, now))?;
    Ok(letter::of_current(writing, &record, &fields, operation, now))
}

/// Sends a test.
pub(super) async fn test(world: Arc<World>, to: Arc<Addressee>) -> Landing {
    let id = DeliveryId(world.ids.ordered());
    let letter = letter::of_test(writing(&world, &to, id), world.clock.now());
    send(&world, &to, id, letter, false).await
}

async fn send(world: &World, to: &Addressee, id: DeliveryId, letter: Written, is_replay: bool) -> Landing {
    let started = world.clock.now();
    if to.has_expired(started) {
        // It waits, as for an application that has been revoked.
        return unsent(Fate::NotYet, Some("its token has expired".to_owned()), started);
    }
    let letter = match letter {
        Ok(letter) => letter,
        // What cannot be written is refused as if the endpoint had: it waits as one record, and its reason is seen.
        Err(why) => return Landing { delivery: Some(id), ..unsent(Fate::Refused, Some(why), started) },
    };
    let mut own = letter.headers;
    to.credentials.dress(&mut own);
    let signature = to.signer.sign(&id.to_string(), started.seconds(), &letter.body);
    let request = Request {
        method: letter.method,
        url: letter.url,
        headers: headers(own, id, &signature, is_replay, started),
        body: Bytes::from(letter.body),
        identity: None,
        timeout: Duration::from_millis(limits::DELIVERY_TIMEOUT_MS),
        response_bytes_max: limits::RESPONSE_KEPT_BYTES_MAX,
    };
    let span = tracing::info_span!(
        target: crate::SPANS,
        "lockstep_engine::deliver::post",
        otel.kind = "client",
        otel.status_code = Empty,
        business.id = %to.business.id,
        subscription.id = %to.subscription.id,
        delivery.id = %id,
        http.response.status_code = Empty,
    );
    let answer = to.credentials.send(world, request).instrument(span.clone()).await;
    let at = world.clock.now();
    let took_ms = u32::try_from(at.ms_since(started)).unwrap_or(u32::MAX);
    let (fate, status, failure) = match answer {
        Ok(response) => read(&response, at),
        Err(why) => (Fate::Unreached, None, Some(why)),
    };
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    if fate != Fate::Delivered {
        span.record("otel.status_code", "ERROR");
    }
    Landing { delivery: Some(id), fate, status, failure, at, took_ms }
}

/// The letter's headers with those that every delivery has.
fn headers(mut headers: HeaderMap, id: DeliveryId, signature: &str, is_replay: bool, now: Timestamp) -> HeaderMap {
    headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(now.seconds()));
    let mut put = |name: &'static str, value: &str| {
        // What we write here is visible ASCII; anything else is left out rather than sent broken.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("webhook-id", &id.to_string());
    put("webhook-signature", signature);
    if is_replay {
        put("lockstep-replay", "true");
    }
    headers
}

fn read(response: &Response, now: Timestamp) -> (Fate, Option<u16>, Option<String>) {
    let status = response.status.as_u16();
    let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let fate = match verdict(status, retry_after, now) {
        Verdict::Delivered => return (Fate::Delivered, Some(status), None),
        Verdict::Refused => Fate::Refused,
        Verdict::Throttled(after) => Fate::Throttled(after),
        Verdict::Gone => Fate::Gone,
    };
    let kept = response.body.get(..response.body.len().min(limits::RESPONSE_KEPT_BYTES_MAX)).unwrap_or_default();
    let head = String::from_utf8_lossy(kept);
    let failure =
        if head.trim().is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {}", head.trim()) };
    (fate, Some(status), Some(failure))
}
