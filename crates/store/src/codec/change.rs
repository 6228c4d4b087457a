//! A change as stored. Its key holds the business and seq; the state is a piece of JSON of its own, written once
//! and shared with the record's row.

use super::{FORMAT, json};
use crate::StoreError;
use lockstep_core::Fields;
use lockstep_core::change::{Change, ChangeKind, Origin};
use lockstep_core::clock::Timestamp;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{ChangeId, RecordId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::record::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct Form<'a> {
    // First, so that walking a chain reads only the front.
    #[serde(rename = "p")]
    prev_seq: u64,
    #[serde(rename = "i")]
    id: ChangeId,
    #[serde(rename = "a")]
    at: Timestamp,
    #[serde(rename = "k")]
    kind: ChangeKind,
    #[serde(rename = "t")]
    ty: TypeId,
    #[serde(rename = "r")]
    record: RecordId,
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "c")]
    created_at: Timestamp,
    #[serde(rename = "o")]
    origin: Cow<'a, Origin>,
    #[serde(rename = "op", default, skip_serializing_if = "Option::is_none")]
    operation: Option<OperationId>,
    #[serde(rename = "b", default, skip_serializing_if = "is_blank")]
    old: Cow<'a, Fields>,
    #[serde(rename = "bx", default, skip_serializing_if = "Option::is_none")]
    old_external_ids: Option<Vec<ExternalId>>,
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    was_deleted: bool,
    #[serde(rename = "s", borrow)]
    state: &'a RawValue,
}

fn is_blank(fields: &Fields) -> bool {
    fields.is_empty()
}

/// The state as JSON, to be shared by a change and its record.
///
/// # Errors
/// [`StoreError::Failed`], which is a bug.
pub fn state_json(state: &State) -> Result<Box<RawValue>, StoreError> {
    serde_json::value::to_raw_value(state).map_err(|error| StoreError::Failed(error.to_string()))
}

/// Bytes of a change, given its state's JSON.
///
/// # Errors
/// [`StoreError::Failed`], which is a bug.
pub fn encode(change: &Change, state: &RawValue) -> Result<Vec<u8>, StoreError> {
    let form = Form {
        prev_seq: change.prev_seq,
        id: change.id,
        at: change.at,
        kind: change.kind,
        ty: change.ty.clone(),
        record: change.record,
        version: change.version,
        created_at: change.created_at,
        origin: Cow::Borrowed(&change.origin),
        operation: change.operation,
        old: Cow::Borrowed(&change.old),
        old_external_ids: change.old_external_ids.clone(),
        was_deleted: change.was_deleted,
        state,
    };
    let mut bytes = Vec::with_capacity(state.get().len() + 256);
    bytes.push(FORMAT);
    serde_json::to_writer(&mut bytes, &form).map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(bytes)
}

/// A change from its bytes and the seq of its key.
///
/// # Errors
/// [`StoreError::Newer`] or [`StoreError::Corrupt`], naming the seq.
pub fn decode(seq: u64, bytes: &[u8]) -> Result<Change, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::Corrupt(format!("change {seq}: {error}"));
    let form: Form<'_> = serde_json::from_slice(json(bytes)?).map_err(corrupt)?;
    let state: State = serde_json::from_str(form.state.get()).map_err(corrupt)?;
    Ok(Change {
        seq,
        id: form.id,
        at: form.at,
        kind: form.kind,
        ty: form.ty,
        record: form.record,
        version: form.version,
        prev_seq: form.prev_seq,
        created_at: form.created_at,
        origin: form.origin.into_owned(),
        operation: form.operation,
        state: Arc::new(state),
        old: form.old.into_owned(),
        old_external_ids: form.old_external_ids,
        was_deleted: form.was_deleted,
    })
}

/// The seq of the record's previous change, without reading the rest.
///
/// # Errors
/// [`StoreError::Newer`] or [`StoreError::Corrupt`].
pub fn prev_seq(seq: u64, bytes: &[u8]) -> Result<u64, StoreError> {
    #[derive(Deserialize)]
    struct Link {
        p: u64,
    }
    let link: Link =
        serde_json::from_slice(json(bytes)?).map_err(|error| StoreError::Corrupt(format!("change {seq}: {error}")))?;
    Ok(link.p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_core::ids::{ApplicationId, Provider};

    fn sample(origin: Origin) -> Change {
        let fields = |text: &str| serde_json::from_str::<Fields>(text).unwrap();
        let external = ExternalId::check(Provider::parse("crm").unwrap(), "r", None, "1").unwrap();
        Change {
            seq: 7,
            id: ChangeId(5),
            at: Timestamp(11),
            kind: ChangeKind::Updated,
            ty: TypeId::parse("contact").unwrap(),
            record: RecordId(9),
            version: 3,
            prev_seq: 4,
            created_at: Timestamp(2),
            origin,
            operation: Some(OperationId::fresh(3)),
            state: Arc::new(State {
                fields: fields(r#"{"firstName":"Ann","tags":["a","b"],"n":12}"#),
                external_ids: vec![external.clone()],
                aliases: vec![external.clone()],
                is_deleted: false,
                merged_into: Some(RecordId(4)),
                is_erased: true,
            }),
            old: fields(r#"{"firstName":null}"#),
            old_external_ids: Some(vec![external]),
            was_deleted: true,
        }
    }

    #[test]
    fn a_change_reads_back_whole() {
        let application =
            Origin::Application { id: ApplicationId(1), provider: Provider::parse("crm").unwrap(), token: None };
        for change in [sample(Origin::Admin), sample(application)] {
            let bytes = encode(&change, &state_json(&change.state).unwrap()).unwrap();
            assert_eq!(decode(7, &bytes).unwrap(), change);
            assert_eq!(prev_seq(7, &bytes).unwrap(), 4);
        }
    }

    #[test]
    fn the_form_is_what_older_versions_wrote() {
        // Bytes of format 1 as first released; they must stay readable for ever.
        let stored = b"\x01{\"p\":0,\"i\":\"chg_00000000000000000000000005\",\"a\":11,\"k\":\"created\",\"t\":\"contact\",\"r\":\"rec_00000000000000000000000009\",\"v\":1,\"c\":11,\"o\":\"adm\",\"s\":{\"f\":{\"email\":\"a@b.nl\"}}}";
        let change = decode(1, stored).unwrap();
        assert_eq!((change.record, change.kind, change.prev_seq), (RecordId(9), ChangeKind::Created, 0));
        assert_eq!(encode(&change, &state_json(&change.state).unwrap()).unwrap(), stored);
    }
}
