//! A link to one account: what `lockstep.yaml` says of writing, finding and fetching, carried out.

mod trouble;
mod types;

use std::time::Duration;

use lockstep_core::Fields;
use serde_json::Value;

use crate::failure::Failure;
use crate::source::Session;

pub use trouble::{Class, Trouble};
pub use types::{Bulk, Identity, Job, Object, RemoteField, Write, Written};

/// A link to one account. Cloning shares tokens, budget and what was learnt of the account.
#[derive(Clone)]
pub struct Link {
    pub(crate) session: Session,
}

impl Link {
    /// The reading half.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Whose account it is.
    ///
    /// # Errors
    /// The platform does not answer, or does not take the credentials.
    pub async fn identity(&self) -> Result<Identity, Failure> {
        Err(unbuilt().failure)
    }

    /// An object of a listing in the form in which mappings see it.
    ///
    /// # Errors
    /// It is no object, or says no id.
    pub fn shaped(&self, _object: &str, _options: &Fields, _raw: Value) -> Result<Object, Failure> {
        Err(unbuilt().failure)
    }

    /// An object by its id; none where it is gone for certain.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn fetch(&self, _object: &str, _options: &Fields, _id: &str) -> Result<Option<Object>, Trouble> {
        Err(unbuilt())
    }

    /// The objects that fit the first group of remote paths and values that any object fits.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn find(
        &self,
        _object: &str,
        _options: &Fields,
        _groups: &[Vec<(String, Value)>],
    ) -> Result<Vec<Object>, Trouble> {
        Err(unbuilt())
    }

    /// Whether objects can be looked up by values.
    #[must_use]
    pub fn can_find(&self, _object: &str) -> bool {
        false
    }

    /// Whether one object can be read by its id.
    #[must_use]
    pub fn can_fetch(&self, _object: &str) -> bool {
        false
    }

    /// Whether objects can be written.
    #[must_use]
    pub fn can_write(&self, _object: &str) -> bool {
        false
    }

    /// Whether a listed object says only some of its fields, so that the rest is known of a fetched one alone.
    #[must_use]
    pub fn is_partial(&self, _object: &str) -> bool {
        false
    }

    /// Whether a listed or fetched object says all its fields, so that one that it does not say is empty.
    #[must_use]
    pub fn is_complete(&self, _object: &str) -> bool {
        false
    }

    /// Whether a write may be repeated after a lost answer without making a second object.
    #[must_use]
    pub fn is_idempotent(&self, _object: &str, _write: &Write) -> bool {
        false
    }

    /// Writes objects; the outcomes stand in the order of the writes.
    pub async fn write(&self, _object: &str, _options: &Fields, writes: Vec<Write>) -> Vec<Written> {
        writes.iter().map(|_write| Written::Refused(unbuilt())).collect()
    }

    /// Whether and how objects can be written in bulk.
    #[must_use]
    pub fn bulk(&self, _object: &str) -> Option<Bulk> {
        None
    }

    /// Begins a bulk write of at most [`Bulk::size`] objects.
    ///
    /// # Errors
    /// It was not begun, or that is not known.
    pub async fn submit(&self, _object: &str, _options: &Fields, _writes: Vec<Write>) -> Result<Job, Trouble> {
        Err(unbuilt())
    }

    /// What became of a bulk write, in the order of its writes; none while it is under way.
    ///
    /// # Errors
    /// It cannot be known now.
    pub async fn poll(&self, _object: &str, _options: &Fields, _job: &Job) -> Result<Option<Vec<Written>>, Trouble> {
        Err(unbuilt())
    }

    /// How long after a write a lookup finds it for certain.
    #[must_use]
    pub fn settle_after(&self, _object: &str) -> Duration {
        Duration::ZERO
    }

    /// Makes the platform call `url` when objects change; gives what is to be kept of it. `known` is what was kept
    /// before, or null.
    ///
    /// # Errors
    /// The platform refuses, or hooks are set up there by people alone.
    pub async fn hooks_register(
        &self,
        _object: &str,
        _options: &Fields,
        _url: &str,
        _secret: &str,
        _known: &Value,
    ) -> Result<Value, Trouble> {
        Err(unbuilt())
    }

    /// Looks whether the platform still knows our hooks, and makes those anew that it has lost; gives what is to be
    /// kept.
    ///
    /// # Errors
    /// The platform refuses.
    pub async fn hooks_check(
        &self,
        _object: &str,
        _options: &Fields,
        _url: &str,
        _secret: &str,
        _known: &Value,
    ) -> Result<Value, Trouble> {
        Err(unbuilt())
    }

    /// Takes our hooks back.
    ///
    /// # Errors
    /// The platform refuses. Hooks that are gone already are no error.
    pub async fn hooks_unregister(&self, _object: &str, _options: &Fields, _known: &Value) -> Result<(), Trouble> {
        Err(unbuilt())
    }

    /// A public key that hooks are signed with, by the name that `HookRefused::NeedsKey` told.
    ///
    /// # Errors
    /// There is no such key, or it cannot be fetched.
    pub async fn hook_key(&self, _object: &str, _name: &str) -> Result<String, Trouble> {
        Err(unbuilt())
    }

    /// The fields that objects have in this account.
    ///
    /// # Errors
    /// The platform does not tell.
    pub async fn fields(&self, _object: &str, _options: &Fields) -> Result<Vec<RemoteField>, Trouble> {
        Err(unbuilt())
    }
}

fn unbuilt() -> Trouble {
    Trouble::system("this part of the connector's runtime is being built")
}
