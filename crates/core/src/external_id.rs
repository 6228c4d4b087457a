//! External ids: what the same record is called elsewhere.

use crate::error::{Code, Rejection, shown};
use crate::ids::{Provider, TypeId};
use crate::limits::EXTERNAL_ID_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// `(provider, realm, object, id)`: the record's id in one account of one application or platform.
///
/// The realm is the account inside the provider, empty where the provider has but one. The object is the remote
/// kind of thing; it is left out where it is the record's own type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExternalId {
    /// Who calls it so.
    pub provider: Provider,
    /// The account there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub realm: String,
    /// The remote object, where it is not the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The id there.
    pub id: String,
}

impl ExternalId {
    /// Checks the parts as they came.
    ///
    /// # Errors
    /// `invalid_id`, naming the part at fault.
    pub fn check(provider: Provider, realm: &str, object: Option<&str>, id: &str) -> Result<Self, Rejection> {
        let part = |name: &str, text: &str| {
            if text.len() > EXTERNAL_ID_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(Rejection::new(
                    Code::InvalidId,
                    format!(
                        "{} is no {name} of an external id: it is at most {EXTERNAL_ID_BYTES_MAX} bytes of printable text",
                        shown(text)
                    ),
                ));
            }
            Ok(text.to_owned())
        };
        if id.is_empty() {
            return Err(Rejection::new(Code::InvalidId, "the external id is empty: give the record's id elsewhere"));
        }
        Ok(Self {
            provider,
            realm: part("realm", realm)?,
            object: object.map(|object| part("object", object)).transpose()?,
            id: part("value", id)?,
        })
    }

    /// Whether both stand in one slot: the place for one id of one account's object.
    #[must_use]
    pub fn has_slot_of(&self, other: &Self) -> bool {
        self.provider == other.provider && self.realm == other.realm && self.object == other.object
    }

    /// The key under which a store finds the record: the object said in full.
    #[must_use]
    pub fn key(&self, ty: &TypeId) -> ExternalKey {
        ExternalKey {
            provider: self.provider.clone(),
            realm: self.realm.clone(),
            object: self.object.clone().unwrap_or_else(|| ty.as_str().to_owned()),
            id: self.id.clone(),
        }
    }
}

/// An external id as a store's key, within one business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalKey {
    /// Who calls it so.
    pub provider: Provider,
    /// The account there; empty where there is but one.
    pub realm: String,
    /// The remote object.
    pub object: String,
    /// The id there.
    pub id: String,
}
