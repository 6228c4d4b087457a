//! Letters: what endpoints receive, in the format each asked for: method, address, the format's own headers, body.
//!
//! Signatures, credentials and the subscriber's own headers are put on outside, by `post`.

use super::addressee::Addressee;
use super::template::Form;
use crate::settings::SharedSettings;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lockstep_core::Fields;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::About;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{DeliveryId, RecordId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::record::Record;
use lockstep_core::rules::scope::{Reason, Seen};
use lockstep_core::schema::Schema;
use lockstep_core::subscription::{Format, Payload, PayloadShape};
use lockstep_egress::AddressPolicy;
use lockstep_wire::notification::{
    Bare, ChangeData, Changes, CloudEvent, Collection, CorrelationId, Envelope, EnvelopePayload, Member, OperationData,
    OriginView, RecordView, Standard, Thin, WarningData,
};
use lockstep_wire::operation::{ExternalIdView, OperationView};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CLOUD_EVENTS: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");
const CLOUD_EVENT: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");

/// What goes into the envelope of one delivery.
#[derive(Debug)]
pub(super) struct Letter {
    /// `POST`, where the format does not say otherwise.
    pub(super) method: Method,
    /// The subscription's address, with what the format adds to it.
    pub(super) url: Url,
    /// The format's own headers.
    pub(super) headers: HeaderMap,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Letter {
    fn put(&mut self, name: &'static str, value: &str) {
        // What we write here is visible ASCII; anything else is left out rather than sent broken.
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Whom a letter is for, under which id it goes, and what else is needed to write it.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    pub(super) to: &'a Addressee,
    pub(super) id: DeliveryId,
    pub(super) settings: &'a SharedSettings,
    pub(super) policy: &'a AddressPolicy,
}

impl Writing<'_> {
    fn schema(&self) -> Arc<Schema> {
        self.settings.read(|settings| settings.schema(&self.to.business.id))
    }
}

/// Why a letter could not be written.
pub(super) type Written = Result<Letter, String>;

/// What is told of one record, whatever the format.
struct Told<'a> {
    kind: &'static str,
    state: &'static str,
    at: Timestamp,
    seq: Option<u64>,
    ty: &'a TypeId,
    record: RecordId,
    version: u64,
    fields: &'a Fields,
    old: Option<&'a Fields>,
    external_ids: &'a [ExternalId],
    reason: Option<Reason>,
    merged_into: Option<RecordId>,
    is_erased: bool,
    origin: Option<OriginView<'a>>,
    is_replay: bool,
    operation: Option<OperationId>,
}

/// What is told of something that is no record.
struct Word<'a, T> {
    event: &'a str,
    /// `operation` or `subscription`.
    about: &'static str,
    id: String,
    state: &'a str,
    at: Timestamp,
    data: T,
}

/// The letter of a change.
pub(super) fn of_change(writing: Writing<'_>, change: &Change, seen: &Seen<'_>, is_replay: bool) -> Written {
    write(writing, &told_of(writing.to, change, seen, is_replay))
}

/// A change as a member of a batch, in formats that hold many.
pub(super) fn member_of(writing: Writing<'_>, change: &Change, seen: &Seen<'_>) -> Vec<u8> {
    let to = writing.to;
    let told = told_of(to, change, seen, false);
    let event = format!("{}.{}", told.ty, told.kind);
    match to.subscription.format {
        Format::Collection => json(&member(&told)),
        Format::CloudEvents => {
            json(&event_of(writing, (&event, told.record.to_string()), told.at, change_data(to, &told)))
        }
        _ => json(&Standard { event: &event, timestamp: &told.at.to_string(), data: change_data(to, &told) }),
    }
}

/// The letter of several changes, the newest made at this instant; in a collection all are of one type.
pub(super) fn of_members(writing: Writing<'_>, ty: &TypeId, at: Timestamp, members: &[Vec<u8>]) -> Letter {
    let Writing { to, .. } = writing;
    let mut letter = blank(to);
    let (head, tail) = match to.subscription.format {
        Format::Collection => {
            say_in_headers(&mut letter, to, &format!("{ty}.batch"), None);
            let schema = writing.schema();
            let key = schema.shape(ty.as_str()).map_or(ty.as_str(), |shape| &shape.collection);
            (format!("{{{}:[", Value::from(key)), "]}")
        }
        Format::CloudEvents => {
            letter.headers.insert(CONTENT_TYPE, CLOUD_EVENTS);
            ("[".to_owned(), "]")
        }
        _ => (format!("{{\"type\":\"batch\",\"timestamp\":\"{at}\",\"data\":["), "]}"),
    };
    letter.body = [head.as_bytes(), &members.join(&b','), tail.as_bytes()].concat();
    letter
}

fn told_of<'a>(to: &Addressee, change: &'a Change, seen: &'a Seen<'_>, is_replay: bool) -> Told<'a> {
    let state = match seen.kind {
        ChangeKind::Created => "Created",
        ChangeKind::Updated | ChangeKind::Correlated => "Updated",
        ChangeKind::Deleted | ChangeKind::Merged => "Deleted",
    };
    let origin = OriginView {
        by: change.origin.by(),
        provider: change.origin.provider(),
        operation_id: change.operation(&to.business.id),
    };
    Told {
        kind: seen.kind.as_str(),
        state,
        at: change.at,
        seq: Some(change.seq),
        ty: &change.ty,
        record: change.record,
        version: change.version,
        fields: &seen.fields,
        old: (seen.kind == ChangeKind::Updated).then_some(&*seen.old),
        external_ids: seen.external_ids,
        reason: seen.reason,
        merged_into: seen.merged_into,
        is_erased: change.state.is_erased,
        origin: (seen.reason != Some(Reason::LeftScope)).then_some(origin),
        is_replay,
        operation: None,
    }
}

/// The letter of a record as it is.
pub(super) fn of_current(
    writing: Writing<'_>,
    record: &Record,
    fields: &Fields,
    operation: OperationId,
    now: Timestamp,
) -> Written {
    write(
        writing,
        &Told {
            kind: "current",
            state: "Current",
            at: now,
            seq: None,
            ty: &record.ty,
            record: record.id,
            version: record.version,
            fields,
            old: None,
            external_ids: &record.state.external_ids,
            reason: None,
            merged_into: None,
            is_erased: false,
            origin: None,
            is_replay: false,
            operation: Some(operation),
        },
    )
}

fn blank(to: &Addressee) -> Letter {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, JSON);
    Letter { method: Method::POST, url: to.url.clone(), headers, body: Vec::new() }
}

fn write(writing: Writing<'_>, told: &Told<'_>) -> Written {
    let Writing { to, policy, .. } = writing;
    let event = format!("{}.{}", told.ty, told.kind);
    let record = told.record.to_string();
    let mut letter = blank(to);
    match to.subscription.format {
        Format::Standard => {
            letter.body =
                json(&Standard { event: &event, timestamp: &told.at.to_string(), data: change_data(to, told) });
        }
        Format::Envelope => letter.body = envelope(to, told),
        Format::Fields => {
            letter.body = json(&Bare { id: told.record, fields: living(told) });
            say_in_headers(&mut letter, to, &event, told.origin.as_ref());
        }
        Format::Thin => letter.body = thin(to, &event, &record, told.seq.unwrap_or(0)),
        Format::Collection => {
            let schema = writing.schema();
            let key = schema.shape(told.ty.as_str()).map_or(told.ty.as_str(), |shape| &shape.collection);
            letter.body = collection(key, &[member(told)]);
            say_in_headers(&mut letter, to, &event, told.origin.as_ref());
        }
        Format::Get => {
            ask(&mut letter, &record, told.ty.as_str(), told.state);
            say_in_headers(&mut letter, to, &event, told.origin.as_ref());
        }
        Format::CloudEvents | Format::CloudEventsBinary => {
            cloud_event(writing, &mut letter, (&event, record), told.at, change_data(to, told));
        }
        Format::Template => form(to)?.fill(&mut letter, policy, &values(to, told, &event))?,
    }
    Ok(letter)
}

/// What formats whose body cannot say it say in headers: what happened, in which business, by whom.
fn say_in_headers(letter: &mut Letter, to: &Addressee, event: &str, origin: Option<&OriginView<'_>>) {
    letter.put("lockstep-event", event);
    letter.put("lockstep-business", to.business.id.as_str());
    if let Some(origin) = origin {
        letter.put("lockstep-user", origin.provider.map_or(origin.by, |provider| provider.as_str()));
    }
}

/// The fields, where there is still a record to tell them of.
fn living<'a>(told: &Told<'a>) -> Option<&'a Fields> {
    (told.state != "Deleted").then_some(told.fields)
}

/// The data of a change, as much of it as the subscription wants.
fn change_data<'a>(to: &'a Addressee, told: &Told<'a>) -> ChangeData<'a> {
    let level = to.subscription.payload;
    let has_left = told.reason == Some(Reason::LeftScope);
    // A record sent as it is has changed nothing: it is all there is to tell.
    let has_fields = level == Payload::Full || (level == Payload::Changes && told.kind == "current");
    let record = RecordView {
        ty: told.ty,
        id: told.record,
        version: (!has_left).then_some(told.version),
        external_ids: (!has_left && level != Payload::Id)
            .then(|| told.external_ids.iter().map(ExternalIdView::from).collect()),
        fields: (!has_left && has_fields).then_some(told.fields),
    };
    let is_new = level == Payload::Changes && told.kind == "created";
    let changes = match told.old {
        _ if level == Payload::Id => None,
        None if is_new => Some(Changes { old: None, new: told.fields }),
        old => old.map(|old| Changes { old: Some(old), new: told.fields }),
    };
    ChangeData {
        business_id: &to.business.id,
        seq: told.seq,
        record,
        changes,
        reason: told.reason.map(Reason::as_str),
        merged_into: told.merged_into,
        erased: told.is_erased,
        origin: told.origin.clone(),
        replay: told.is_replay,
        operation_id: told.operation,
    }
}

fn envelope(to: &Addressee, told: &Told<'_>) -> Vec<u8> {
    let own = to.application.as_ref().map(|live| &live.application.provider);
    let correlation = told.external_ids.iter().find(|external| Some(&external.provider) == own);
    let payload = EnvelopePayload {
        organisation_name: &to.business.organisation,
        business_id: &to.business.id,
        id: told.record,
        correlation_id: correlation.map(|external| CorrelationId { source: &external.provider, value: &external.id }),
        merged_into: told.merged_into,
        fields: living(told),
    };
    enveloped(to, told.ty.as_str(), told.state, payload)
}

fn enveloped<T: Serialize>(to: &Addressee, name: &str, state: &str, payload: T) -> Vec<u8> {
    match to.subscription.payload_shape {
        PayloadShape::Object => json(&Envelope { domain_component_name: name, state, payload }),
        PayloadShape::Array => json(&Envelope { domain_component_name: name, state, payload: [payload] }),
    }
}

fn thin(to: &Addressee, event: &str, id: &str, seq: u64) -> Vec<u8> {
    json(&Thin { event, id, business_id: &to.business.id, seq })
}

/// Records of one type, however many.
fn collection<T: Serialize>(key: &str, members: &[T]) -> Vec<u8> {
    json(&Collection { key, members })
}

fn member<'a>(told: &Told<'a>) -> Member<'a> {
    let has_left = told.reason == Some(Reason::LeftScope);
    Member { id: told.record, fields: (!has_left).then_some(told.fields), is_archived: told.state == "Deleted" }
}

fn form(to: &Addressee) -> Result<&Form, String> {
    to.form.as_ref().ok_or_else(|| "the subscription has no template that compiles: give it one".to_owned())
}

/// What a template sees of a record: its fields by their names, and all else that is told; where both have a name,
/// the field is found under `fields`.
fn values(to: &Addressee, told: &Told<'_>, event: &str) -> Map<String, Value> {
    let mut values = told.fields.clone();
    let external_ids: Vec<ExternalIdView<'_>> = told.external_ids.iter().map(ExternalIdView::from).collect();
    for (name, value) in [
        ("event", Value::from(event)),
        ("type", told.ty.as_str().into()),
        ("kind", told.kind.into()),
        ("state", told.state.into()),
        ("id", told.record.to_string().into()),
        ("version", told.version.into()),
        ("business", to.business.id.as_str().into()),
        ("seq", told.seq.into()),
        ("timestamp", told.at.to_string().into()),
        ("old", told.old.cloned().into()),
        ("externalIds", shown(&external_ids)),
        ("origin", shown(&told.origin)),
        ("reason", told.reason.map(Reason::as_str).into()),
        ("mergedInto", told.merged_into.map(|id| id.to_string()).into()),
        ("fields", told.fields.clone().into()),
    ] {
        values.insert(name.to_owned(), value);
    }
    values
}

fn shown<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Makes a GET of a letter: the address says it all, beside the query it has.
fn ask(letter: &mut Letter, id: &str, ty: &str, state: &str) {
    letter.method = Method::GET;
    letter.headers.remove(CONTENT_TYPE);
    letter.url.query_pairs_mut().append_pair("id", id).append_pair("type", ty).append_pair("state", state);
}

fn event_of<T: Serialize>(
    writing: Writing<'_>,
    (event, subject): (&str, String),
    at: Timestamp,
    data: T,
) -> CloudEvent<'static, T> {
    CloudEvent {
        specversion: "1.0",
        id: writing.id.to_string(),
        source: format!("/v1/business/{}", writing.to.business.id),
        event: format!("lockstep.{event}"),
        subject,
        time: at.to_string(),
        datacontenttype: "application/json",
        data,
    }
}

/// Makes a CloudEvent of a letter (CloudEvents 1.0, its JSON format and its HTTP binding).
fn cloud_event<T: Serialize>(
    writing: Writing<'_>,
    letter: &mut Letter,
    (event, subject): (&str, String),
    at: Timestamp,
    data: T,
) {
    let event = event_of(writing, (event, subject), at, data);
    if writing.to.subscription.format == Format::CloudEvents {
        letter.headers.insert(CONTENT_TYPE, CLOUD_EVENT);
        letter.body = json(&event);
        return;
    }
    // None of these holds a character that the binding wants encoded: ids, types and times are visible ASCII
    // without space, quote or percent.
    letter.put("ce-specversion", event.specversion);
    letter.put("ce-id", &event.id);
    letter.put("ce-source", &event.source);
    letter.put("ce-type", &event.event);
    letter.put("ce-subject", &event.subject);
    letter.put("ce-time", &event.time);
    letter.body = json(&event.data);
}

/// The letter of an operation's end.
pub(super) fn of_operation(writing: Writing<'_>, operation: &OperationView, now: Timestamp) -> Written {
    let event = operation.event();
    let word = Word {
        event,
        about: "operation",
        id: operation.operation_id.to_string(),
        state: if event == "operation.failed" { "Failed" } else { "Completed" },
        at: now,
        data: OperationData { business_id: &writing.to.business.id, operation },
    };
    tell(writing, &word)
}

/// The letter of word about another subscription, a connection or a share.
pub(super) fn of_warning(writing: Writing<'_>, event: &str, about: About, message: &str, now: Timestamp) -> Written {
    let data = WarningData::of(&writing.to.business.id, about, message);
    tell(writing, &Word { event, about: about.kind(), id: about.to_string(), state: event, at: now, data })
}

/// The letter of a test: as real as can be without a record. A template is tried with values of the kinds that the
/// first type wanted has.
pub(super) fn of_test(writing: Writing<'_>, now: Timestamp) -> Written {
    let subscription = &writing.to.subscription;
    let mut types = subscription.types.iter().flatten().map(TypeId::as_str);
    let schema = writing.schema();
    let shape = schema.shape(types.next().unwrap_or("contact"));
    if let (Format::Template, Ok(shape)) = (subscription.format, shape) {
        let fields = writing.to.sample(shape);
        let told = Told {
            kind: "test",
            state: "Test",
            at: now,
            seq: Some(0),
            ty: &shape.id,
            record: RecordId(0),
            version: 1,
            fields: &fields,
            old: None,
            external_ids: &[],
            reason: None,
            is_erased: false,
            merged_into: None,
            origin: None,
            is_replay: false,
            operation: None,
        };
        return write(writing, &told);
    }
    let message = "a test of this subscription's endpoint: nothing has changed";
    of_warning(writing, "subscription.test", About::Subscription(writing.to.subscription.id), message, now)
}

fn tell<T: Serialize>(writing: Writing<'_>, word: &Word<'_, T>) -> Written {
    let Writing { to, policy, .. } = writing;
    let mut letter = blank(to);
    let Word { event, about, data, .. } = word;
    match to.subscription.format {
        Format::Standard => letter.body = json(&Standard { event, timestamp: &word.at.to_string(), data }),
        Format::Envelope => letter.body = enveloped(to, about, word.state, data),
        Format::Fields => {
            letter.body = json(data);
            say_in_headers(&mut letter, to, event, None);
        }
        Format::Thin => letter.body = thin(to, event, &word.id, 0),
        Format::Collection => {
            letter.body = collection(&format!("{about}s"), &[data]);
            say_in_headers(&mut letter, to, event, None);
        }
        Format::Get => {
            ask(&mut letter, &word.id, about, word.state);
            say_in_headers(&mut letter, to, event, None);
        }
        Format::CloudEvents | Format::CloudEventsBinary => {
            cloud_event(writing, &mut letter, (event, word.id.clone()), word.at, data);
        }
        Format::Template => form(to)?.fill(&mut letter, policy, &values_of(to, word))?,
    }
    Ok(letter)
}

/// What a template sees of something that is no record.
fn values_of<T: Serialize>(to: &Addressee, word: &Word<'_, T>) -> Map<String, Value> {
    let kind = word.event.split_once('.').map_or(word.event, |(_, kind)| kind);
    let values = [
        ("event", Value::from(word.event)),
        ("type", word.about.into()),
        ("kind", kind.into()),
        ("state", word.state.into()),
        ("id", word.id.as_str().into()),
        ("business", to.business.id.as_str().into()),
        ("timestamp", word.at.to_string().into()),
        ("fields", shown(&word.data)),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut body = Vec::with_capacity(1_024);
    // Maps with text keys, strings and numbers always are JSON.
    let written = serde_json::to_writer(&mut body, value);
    debug_assert!(written.is_ok());
    body
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
