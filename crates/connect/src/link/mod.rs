//! A link to one account: what `lockstep.yaml` says of finding, fetching and writing, carried out.
//!
//! ```text
//! Write ─▶ batch │ known id: update │ upsert │ look up ─▶ update or create ─▶ Written
//!                     └─▶ desk: draft ─▶ proof ─▶ budget ─▶ egress ─▶ what the answer means
//! answer ─▶ select ─▶ shape ─▶ Object
//! ```
//! It must not know records or mappings: it takes and gives remote trees.

mod batch;
mod bulk;
mod desk;
mod look;
mod register;
mod shape;
mod tables;
mod trouble;
mod types;
mod write;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use lockstep_core::Fields;
use lockstep_manifest::{Remote, Sharing, Writing};
use serde_json::Value;

use crate::failure::Failure;
use crate::source::{Check, Session};
use desk::Desk;
use look::Looked;
use register::Wanted;

pub(crate) use desk::{draft_of, seen};
pub(crate) use shape::object_of;
pub(crate) use tables::Table;
pub use trouble::{Class, Trouble};
pub use types::{Bulk, Hooks, Identity, Job, Object, RemoteField, Write, Written};

/// A link to one account. Cloning shares tokens, budget and what was learnt of the account.
#[derive(Clone)]
pub struct Link {
    session: Session,
    desk: Option<Arc<Desk>>,
}

impl Link {
    pub(crate) fn new(session: Session, sharing: Option<&Arc<Sharing>>) -> Result<Self, Failure> {
        let desk = sharing.map(|sharing| Desk::new(&session, sharing).map(Arc::new)).transpose()?;
        Ok(Self { session, desk })
    }

    fn desk(&self) -> Result<&Desk, Trouble> {
        self.desk.as_deref().ok_or_else(|| {
            Trouble::system("the connector has no lockstep.yaml, and no stream with a primary key; put one beside it")
        })
    }

    fn remote(&self, object: &str) -> Option<&Remote> {
        self.desk.as_deref()?.sharing.types.get(object)
    }

    fn writing(&self, object: &str) -> Option<&Writing> {
        self.remote(object)?.write.as_ref()
    }

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
        Ok(self.desk()?.identity().await?)
    }

    /// Whether the platform answers and takes the credentials, apart from what is asked of single objects.
    ///
    /// # Errors
    /// What is wrong with the account, or with the platform as a whole.
    pub async fn proof(&self) -> Result<(), Failure> {
        if self.desk.as_deref().is_some_and(|desk| desk.sharing.identity.is_some()) {
            return self.identity().await.map(drop);
        }
        match self.session.check().await {
            Check::Works => Ok(()),
            Check::Fails(why) => Err(Failure::transient(why)),
        }
    }

    /// Reads what [`Link::shaped`] needs to know of the account, once.
    ///
    /// # Errors
    /// The platform does not tell.
    pub async fn prepare(&self, object: &str) -> Result<(), Trouble> {
        let desk = self.desk()?;
        desk.prepare(desk.remote(object)?).await
    }

    /// Whether a row of an object's stream is such an object.
    ///
    /// # Errors
    /// The condition of the file does not suit the row.
    pub fn is_listed(&self, object: &str, options: &Fields, raw: &Value) -> Result<bool, Failure> {
        let desk = self.desk()?;
        let only = desk.remote(object)?.only.as_ref();
        let mut scope = desk.scope(options);
        scope.insert("object".to_owned(), raw.clone());
        Ok(desk::holds(only, &scope)?)
    }

    /// An object of a listing in the form in which mappings see it. What is called by names of the account is known
    /// after [`Link::prepare`].
    ///
    /// # Errors
    /// It is no object, or says no id.
    pub fn shaped(&self, object: &str, options: &Fields, raw: Value) -> Result<Object, Failure> {
        let desk = self.desk()?;
        Ok(desk.shaped(desk.remote(object)?, options, raw)?)
    }

    /// An object by its id; none where it is gone for certain.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn fetch(&self, object: &str, options: &Fields, id: &str) -> Result<Option<Object>, Trouble> {
        self.desk()?.fetch(object, options, id).await
    }

    /// The objects that fit the first group of remote paths and values that any object fits.
    ///
    /// # Errors
    /// It cannot be known; groups that the platform cannot look for are no lookup.
    pub async fn find(
        &self,
        object: &str,
        options: &Fields,
        groups: &[Vec<(String, Value)>],
    ) -> Result<Vec<Object>, Trouble> {
        let desk = self.desk()?;
        match desk.find(object, options, groups).await? {
            Looked::Found(found) => Ok(found),
            Looked::Blind => {
                let only = desk.remote(object)?.find.as_ref().map(|find| find.only.0.join(", ")).unwrap_or_default();
                let only = if only.is_empty() { "a value".to_owned() } else { only };
                Err(Trouble::system(format!("{object} is looked up by {only}, and this one has nothing of it")))
            }
        }
    }

    /// Whether an object can be looked up by one of these groups.
    #[must_use]
    pub fn can_look_up(&self, object: &str, groups: &[Vec<(String, Value)>]) -> bool {
        let find = self.remote(object).and_then(|remote| remote.find.as_ref());
        find.is_some_and(|find| groups.iter().any(|group| look::is_known(find, group)))
    }

    /// Whether one object can be read by its id.
    #[must_use]
    pub fn can_fetch(&self, object: &str) -> bool {
        self.remote(object).is_some_and(|remote| remote.fetch.is_some())
    }

    /// Whether a write may be repeated after a lost answer without making a second object.
    #[must_use]
    pub fn is_idempotent(&self, object: &str, write: &Write) -> bool {
        let Some((remote, writing)) = self.remote(object).zip(self.writing(object)) else { return false };
        if writing.batch.is_some() {
            return batch::is_harmless(remote, write);
        }
        if write.id.is_some() || !write.may_create {
            return writing.update.as_ref().is_some_and(|steps| write::is_harmless(steps, true));
        }
        let upsert = writing.upsert.as_ref().filter(|_| write::is_recognised(remote, &write.groups));
        upsert.is_some_and(|steps| write::is_harmless(steps, true))
    }

    /// Writes objects; the outcomes stand in the order of the writes. Of one whose id is not known, `whole` is what a
    /// new object gets, and `changed` what one gets that is found there.
    pub async fn write(&self, object: &str, options: &Fields, writes: Vec<Write>) -> Vec<Written> {
        let desk = match self.desk() {
            Ok(desk) => desk,
            Err(trouble) => return writes.iter().map(|_write| Written::Refused(trouble.clone())).collect(),
        };
        let at_once = desk.sharing.at_once;
        if let Some(batch) = self.writing(object).and_then(|writing| writing.batch.as_ref()) {
            let size = usize::try_from(batch.size).unwrap_or(1).max(1);
            let chunks: Vec<_> =
                writes.chunks(size).map(|chunk| desk.write_batch(object, batch, options, chunk)).collect();
            return stream::iter(chunks).buffered(at_once).collect::<Vec<_>>().await.concat();
        }
        let all: Vec<_> = writes.iter().map(|write| desk.write_one(object, options, write)).collect();
        stream::iter(all).buffered(at_once).collect().await
    }

    /// Whether and how objects can be written in bulk.
    #[must_use]
    pub fn bulk(&self, object: &str) -> Option<Bulk> {
        let said = self.writing(object)?.bulk.as_ref()?;
        let number = |said: u64| usize::try_from(said).unwrap_or(usize::MAX).max(1);
        Some(Bulk { from: number(said.from), size: number(said.size) })
    }

    /// Begins a bulk write of at most [`Bulk::size`] objects.
    ///
    /// # Errors
    /// It was not begun, or that is not known.
    pub async fn submit(&self, object: &str, options: &Fields, writes: Vec<Write>) -> Result<Job, Trouble> {
        self.desk()?.submit(object, options, writes).await
    }

    /// What became of a bulk write, in the order of its writes; none while it is under way.
    ///
    /// # Errors
    /// It cannot be known now.
    pub async fn poll(&self, object: &str, options: &Fields, job: &Job) -> Result<Option<Vec<Written>>, Trouble> {
        self.desk()?.poll(object, options, job).await
    }

    /// How long after a write a lookup finds it for certain.
    #[must_use]
    pub fn settle_after(&self, object: &str) -> Duration {
        self.remote(object).map_or(Duration::ZERO, |remote| Duration::from_secs(remote.settle_after))
    }

    /// Makes the platform call `url` when objects change: looks whether it still has the hooks that are known, and makes
    /// those that are missing. `known` is what was kept of them, or null. The URL is given to the platform as it is: with
    /// the key in its query, where hooks prove themselves so. `secret` is what the platform signs with, where it does.
    /// Where hooks are set up there by people alone, the trouble says how.
    pub async fn hooks_keep(&self, object: &str, options: &Fields, url: &str, secret: &str, known: &Value) -> Hooks {
        match self.desk() {
            Ok(desk) => desk.register(object, options, Wanted { url, secret }, known).await,
            Err(trouble) => Hooks { known: known.clone(), trouble: Some(trouble) },
        }
    }

    /// The fields that objects have in this account, as far as the connector can tell.
    ///
    /// # Errors
    /// The platform does not tell.
    pub async fn fields(&self, object: &str, options: &Fields) -> Result<Vec<RemoteField>, Trouble> {
        self.desk()?.fields(object, options).await
    }

    /// Takes our hooks back.
    ///
    /// # Errors
    /// The platform refuses. Hooks that are gone already are no error.
    pub async fn hooks_unregister(&self, object: &str, options: &Fields, known: &Value) -> Result<(), Trouble> {
        self.desk()?.unregister(object, options, known).await
    }

    /// A public key that hooks are signed with, by the name that `HookRefused::NeedsKey` told.
    ///
    /// # Errors
    /// There is no such key, or it cannot be fetched.
    pub async fn hook_key(&self, object: &str, name: &str) -> Result<String, Trouble> {
        self.desk()?.hook_key(object, name).await
    }
}
