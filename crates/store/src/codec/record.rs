//! A record as stored. Its key holds the business, type and id.

use super::{FORMAT, json};
use crate::StoreError;
use lockstep_core::clock::Timestamp;
use lockstep_core::record::{Provenance, Record, RecordKey, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct Form<'a> {
    #[serde(rename = "l")]
    last_seq: u64,
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "c")]
    created_at: Timestamp,
    #[serde(rename = "u")]
    updated_at: Timestamp,
    #[serde(rename = "y")]
    provenance: Cow<'a, [Provenance]>,
    #[serde(rename = "s", borrow)]
    state: &'a RawValue,
}

/// Bytes of a record, given its state's JSON.
///
/// # Errors
/// [`StoreError::Failed`], which is a bug.
pub fn encode(record: &Record, state: &RawValue) -> Result<Vec<u8>, StoreError> {
    let form = Form {
        last_seq: record.last_seq,
        version: record.version,
        created_at: record.created_at,
        updated_at: record.updated_at,
        provenance: Cow::Borrowed(&record.provenance),
        state,
    };
    let mut bytes = Vec::with_capacity(state.get().len() + 256);
    bytes.push(FORMAT);
    serde_json::to_writer(&mut bytes, &form).map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(bytes)
}

/// A record from its key and bytes.
///
/// # Errors
/// [`StoreError::Newer`] or [`StoreError::Corrupt`], naming the record.
pub fn decode(key: &RecordKey, bytes: &[u8]) -> Result<Record, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::Corrupt(format!("{} {}: {error}", key.ty, key.id));
    let form: Form<'_> = serde_json::from_slice(json(bytes)?).map_err(corrupt)?;
    let state: State = serde_json::from_str(form.state.get()).map_err(corrupt)?;
    Ok(Record {
        id: key.id,
        ty: key.ty.clone(),
        version: form.version,
        created_at: form.created_at,
        updated_at: form.updated_at,
        last_seq: form.last_seq,
        state: Arc::new(state),
        provenance: form.provenance.into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::change::state_json;
    use lockstep_core::change::Origin;
    use lockstep_core::ids::{RecordId, TypeId};

    #[test]
    fn a_record_reads_back_whole() {
        let key = RecordKey { ty: TypeId::parse("contact").unwrap(), id: RecordId(9) };
        let record = Record {
            id: key.id,
            ty: key.ty.clone(),
            version: 2,
            created_at: Timestamp(1),
            updated_at: Timestamp(5),
            last_seq: 8,
            state: Arc::new(State { is_deleted: true, ..State::default() }),
            provenance: vec![Provenance {
                seq: 8,
                observed_at: Timestamp(4),
                origin: Origin::Admin,
                fields: vec!["email".to_owned()],
            }],
        };
        let bytes = encode(&record, &state_json(&record.state).unwrap()).unwrap();
        assert_eq!(decode(&key, &bytes).unwrap(), record);
    }
}
