//! Persisted bytes: every stored value is a format number and then JSON.
//!
//! Only this module knows them. The number is of the one thing's form, so a form can be changed without touching
//! the others: a new writer uses the next number, the reader keeps reading the old ones. JSON because a person with
//! a SQLite shell should be able to read a record that matters to them.

pub mod change;
pub mod record;

use crate::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The format number of everything written today.
pub const FORMAT: u8 = 1;

/// Bytes of a value.
///
/// # Errors
/// [`StoreError::Failed`] where it cannot be JSON, which is a bug.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(FORMAT);
    serde_json::to_writer(&mut bytes, value).map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok(bytes)
}

/// The JSON of stored bytes, once their format number is known.
///
/// # Errors
/// [`StoreError::Newer`] for a number of the future, [`StoreError::Corrupt`] where there is none.
pub fn json(bytes: &[u8]) -> Result<&[u8], StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, json)) => Ok(json),
        Some((&found, _)) if found > FORMAT => {
            Err(StoreError::Newer { found: i64::from(found), known: i64::from(FORMAT) })
        }
        _ => Err(StoreError::Corrupt("a stored value has no format number".to_owned())),
    }
}

/// A value from stored bytes.
///
/// # Errors
/// [`StoreError::Newer`], or [`StoreError::Corrupt`] where they do not read as one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(json(bytes)?).map_err(|error| StoreError::Corrupt(format!("a stored value: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_and_later_formats_are_named() {
        let bytes = encode(&["a", "b"]).unwrap();
        assert_eq!(decode::<Vec<String>>(&bytes).unwrap(), ["a", "b"]);
        assert!(matches!(decode::<Vec<String>>(&[9, b'[']), Err(StoreError::Newer { found: 9, known: 1 })));
        assert!(matches!(decode::<Vec<String>>(&[]), Err(StoreError::Corrupt(_))));
        assert!(matches!(decode::<Vec<String>>(&[1, b'[']), Err(StoreError::Corrupt(_))));
    }
}
