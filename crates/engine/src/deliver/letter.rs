//! Letters: the bodies that endpoints receive, in the format each asked for.

use super::addressee::Addressee;
use lockstep_core::Fields;
use lockstep_core::change::{Change, ChangeKind, Origin};
use lockstep_core::clock::Timestamp;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{RecordId, SubscriptionId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::record::Record;
use lockstep_core::rules::scope::{Reason, Seen};
use lockstep_core::subscription::Format;
use lockstep_wire::notification::{
    Bare, ChangeData, Changes, CorrelationId, Envelope, EnvelopePayload, OperationData, OriginView, RecordView,
    Standard, Thin, WarningData,
};
use lockstep_wire::operation::{ExternalIdView, OperationView};
use serde::Serialize;

/// What is put in the envelope of one delivery.
#[derive(Debug)]
pub(super) struct Letter {
    /// Such as `contact.updated`.
    pub(super) event: String,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Who made the change, for formats whose body cannot say it.
    pub(super) by: Option<String>,
}

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
    is_erased: bool,
    origin: Option<OriginView<'a>>,
    is_replay: bool,
    operation: Option<OperationId>,
}

/// The letter of a change.
pub(super) fn of_change(to: &Addressee, change: &Change, seen: &Seen<'_>, is_replay: bool) -> Letter {
    let state = match seen.kind {
        ChangeKind::Created => "Created",
        ChangeKind::Updated | ChangeKind::Correlated => "Updated",
        ChangeKind::Deleted | ChangeKind::Merged => "Deleted",
    };
    let origin = OriginView {
        by: if change.origin == Origin::Admin { "admin" } else { "application" },
        provider: change.origin.provider(),
        operation_id: change.operation(&to.business.id),
    };
    write(
        to,
        &Told {
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
            is_erased: change.state.is_erased,
            origin: (seen.reason != Some(Reason::LeftScope)).then_some(origin),
            is_replay,
            operation: None,
        },
    )
}

/// The letter of a record as it is.
pub(super) fn of_current(
    to: &Addressee,
    record: &Record,
    fields: &Fields,
    operation: OperationId,
    now: Timestamp,
) -> Letter {
    write(
        to,
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
            is_erased: false,
            origin: None,
            is_replay: false,
            operation: Some(operation),
        },
    )
}

fn write(to: &Addressee, told: &Told<'_>) -> Letter {
    let event = format!("{}.{}", told.ty, told.kind);
    let body = match to.subscription.format {
        Format::Standard => standard(to, told, &event),
        Format::Envelope => envelope(to, told),
        Format::Fields => json(&Bare { id: told.record, fields: living(told) }),
        Format::Thin => thin(to, &event, &told.record.to_string(), told.seq.unwrap_or(0)),
    };
    let by =
        told.origin.as_ref().map(|origin| origin.provider.map_or(origin.by, |provider| provider.as_str()).to_owned());
    Letter { event, body, by }
}

/// The fields, where there is still a record to tell them of.
fn living<'a>(told: &Told<'a>) -> Option<&'a Fields> {
    (told.state != "Deleted").then_some(told.fields)
}

fn standard(to: &Addressee, told: &Told<'_>, event: &str) -> Vec<u8> {
    let has_left = told.reason == Some(Reason::LeftScope);
    let record = RecordView {
        ty: told.ty,
        id: told.record,
        version: (!has_left).then_some(told.version),
        external_ids: (!has_left).then(|| told.external_ids.iter().map(ExternalIdView::from).collect()),
        fields: (!has_left).then_some(told.fields),
    };
    let origin = told.origin.as_ref().map(|origin| OriginView { ..*origin });
    let data = ChangeData {
        business_id: &to.business.id,
        seq: told.seq,
        record,
        changes: told.old.map(|old| Changes { old, new: told.fields }),
        reason: told.reason.map(Reason::as_str),
        erased: told.is_erased,
        origin,
        replay: told.is_replay,
        operation_id: told.operation,
    };
    json(&Standard { event, timestamp: &told.at.to_string(), data })
}

fn envelope(to: &Addressee, told: &Told<'_>) -> Vec<u8> {
    let own = to.application.as_ref().map(|live| &live.application.provider);
    let correlation = told.external_ids.iter().find(|external| Some(&external.provider) == own);
    let payload = EnvelopePayload {
        organisation_name: &to.business.organisation,
        business_id: &to.business.id,
        id: told.record,
        correlation_id: correlation.map(|external| CorrelationId { source: &external.provider, value: &external.id }),
        fields: living(told),
    };
    json(&Envelope { domain_component_name: told.ty.as_str(), state: told.state, payload })
}

fn thin(to: &Addressee, event: &str, id: &str, seq: u64) -> Vec<u8> {
    json(&Thin { event, id, business_id: &to.business.id, seq })
}

/// The letter of an operation's end.
pub(super) fn of_operation(to: &Addressee, operation: &OperationView, now: Timestamp) -> Letter {
    let event = operation.event();
    let data = OperationData { business_id: &to.business.id, operation };
    let state = if event == "operation.failed" { "Failed" } else { "Completed" };
    let body = match to.subscription.format {
        Format::Standard => json(&Standard { event, timestamp: &now.to_string(), data }),
        Format::Envelope => json(&Envelope { domain_component_name: "operation", state, payload: data }),
        Format::Fields => json(&data),
        Format::Thin => thin(to, event, &operation.operation_id.to_string(), 0),
    };
    Letter { event: event.to_owned(), body, by: None }
}

/// The letter of word about another subscription.
pub(super) fn of_warning(to: &Addressee, event: &str, about: SubscriptionId, message: &str, now: Timestamp) -> Letter {
    let data = WarningData { business_id: &to.business.id, subscription_id: about, message };
    let body = match to.subscription.format {
        Format::Standard => json(&Standard { event, timestamp: &now.to_string(), data }),
        Format::Envelope => json(&Envelope { domain_component_name: "subscription", state: event, payload: data }),
        Format::Fields => json(&data),
        Format::Thin => thin(to, event, &about.to_string(), 0),
    };
    Letter { event: event.to_owned(), body, by: None }
}

/// The letter of a test: as real as can be without a record.
pub(super) fn of_test(to: &Addressee, now: Timestamp) -> Letter {
    let message = "a test of this subscription's endpoint: nothing has changed";
    let letter = of_warning(to, "subscription.test", to.subscription.id, message, now);
    Letter { by: None, ..letter }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut body = Vec::with_capacity(1_024);
    // Maps with text keys, strings and numbers always are JSON.
    let written = serde_json::to_writer(&mut body, value);
    debug_assert!(written.is_ok());
    body
}
