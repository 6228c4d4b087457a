//! Preview: a mapping shown at work, both ways, on something real. Nothing is written, here or there.

use super::account::unready;
use super::plan::Plan;
use super::{Switchboard, share};
use lockstep_connect::{Class, Link, Object, Trouble};
use lockstep_core::Fields;
use lockstep_core::connection::Connection;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::kind::Kind;
use lockstep_core::mapping::Compiled;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::share::Share;
use lockstep_engine::control::within::managed;
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_store::index::Walk;
use lockstep_wire::share::{InwardView, OutwardView, PreviewBody, PreviewView};
use serde_json::Value;
use std::collections::BTreeMap;

/// Records that are looked at for the newest that lives.
const NEWEST_LOOKED_AT: usize = 20;

/// A share at work, with what is needed to look at both sides of it.
struct Look<'b> {
    board: &'b Switchboard,
    share: &'b Share,
    connection: &'b Connection,
    plan: Plan,
}

/// Shows a share's mapping, or one to be, at work.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `record_not_found`, `invalid_value`, `invalid_mapping`;
/// `connection_not_ready` and `connection_failed` where the platform must be asked.
pub async fn of(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    body: PreviewBody,
) -> Result<PreviewView, Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let (share, _) = share::find(board, principal, &business, id)?;
    let connection = share::connection_of(board, &share)?;
    let known = board.registry.get(&connection.connector, &connection.version)?;
    let shown = Share { mapping: body.mapping.or_else(|| share.mapping.clone()), ..(*share).clone() };
    let plan = Plan::of(world, &known, &shown)?;
    let look = Look { board, share: &share, connection: &connection, plan };
    match (body.record_id, body.remote_id, body.sample) {
        (Some(id), None, None) => look.at_record(look.record(id).await?).await,
        (None, Some(id), None) => look.at_object(&id).await,
        (None, None, Some(sample)) => look.at_sample(sample).await,
        (None, None, None) => look.at_record(look.newest().await?).await,
        _ => {
            let text = "give one of recordId, remoteId and sample, or none for the newest record";
            Err(Refusal::new(Code::InvalidValue, text))
        }
    }
}

fn missing(ty: &TypeId, what: &str) -> Refusal {
    Refusal::new(Code::RecordNotFound, format!("there is no {ty} {what}"))
}

fn failed(trouble: &Trouble) -> Refusal {
    Refusal::new(Code::ConnectionFailed, format!("the platform did not give the object: {}", trouble.failure.message))
}

impl Look<'_> {
    /// The link to the account, where it can be used.
    async fn link(&self) -> Result<Link, Refusal> {
        match unready(self.connection) {
            Some(refused) => Err(refused),
            None => self.board.workers.link(self.connection).await,
        }
    }

    async fn record(&self, id: RecordId) -> Result<Record, Refusal> {
        let key = RecordKey { ty: self.share.ty.clone(), id };
        let record = self.board.world.store.record(&self.share.business, &key).await?;
        record.filter(|record| !record.state.is_deleted).ok_or_else(|| missing(&self.share.ty, &id.to_string()))
    }

    async fn newest(&self) -> Result<Record, Refusal> {
        let store = &self.board.world.store;
        let page = store.records(&self.share.business, &self.share.ty, Walk::NEWEST, NEWEST_LOOKED_AT).await?;
        let found = page.records.into_iter().find(|record| !record.state.is_deleted);
        found.ok_or_else(|| missing(&self.share.ty, "to show it on: name a remoteId, or give a sample"))
    }

    /// What a record looks like there, beside the object that it is, where it is one and that can be read.
    async fn at_record(&self, record: Record) -> Result<PreviewView, Refusal> {
        let id = self.remote_id(&record, &self.share.slot(), &self.share.ty);
        let object = match id {
            Some(id) if unready(self.connection).is_none() => {
                let link = self.link().await?;
                let can_fetch = link.can_fetch(&self.share.object);
                if can_fetch { self.fetched(&link, &id).await? } else { None }
            }
            _ => None,
        };
        self.both(Some(record), object.map(|object| object.tree)).await
    }

    async fn at_object(&self, id: &str) -> Result<PreviewView, Refusal> {
        let link = self.link().await?;
        if !link.can_fetch(&self.share.object) {
            let text = format!("{} cannot be read one by one: give a sample", self.share.object);
            return Err(Rejection::new(Code::InvalidValue, text).at_field("remoteId").into());
        }
        let object = self.fetched(&link, id).await?.ok_or_else(|| missing(&self.share.ty, &format!("{id} there")))?;
        self.beside(object).await
    }

    async fn at_sample(&self, sample: Value) -> Result<PreviewView, Refusal> {
        let link = self.link().await?;
        let shaped = link.shaped(&self.share.object, &self.share.options, sample);
        let object =
            shaped.map_err(|failure| Rejection::new(Code::InvalidValue, failure.message).at_field("sample"))?;
        self.beside(object).await
    }

    async fn fetched(&self, link: &Link, id: &str) -> Result<Option<Object>, Refusal> {
        match link.fetch(&self.share.object, &self.share.options, id).await {
            Ok(found) => Ok(found),
            Err(trouble) if trouble.class == Class::Gone => Ok(None),
            Err(trouble) => Err(failed(&trouble)),
        }
    }

    /// An object with the record that it is, where it is known to be one.
    async fn beside(&self, object: Object) -> Result<PreviewView, Refusal> {
        let store = &self.board.world.store;
        let external = self.share.external(self.connection, &object.id);
        let record = match store.holder(&self.share.business, &external.key(&self.share.ty)).await? {
            Some(key) => store.record(&self.share.business, &key).await?.filter(|record| !record.state.is_deleted),
            None => None,
        };
        self.both(record, Some(object.tree)).await
    }

    async fn both(&self, record: Option<Record>, object: Option<Value>) -> Result<PreviewView, Refusal> {
        let mapping = &self.plan.mapping;
        let inward = object.as_ref().map(|object| {
            let said = mapping.inward(object);
            InwardView { fields: said.values, references: said.references, problems: said.problems }
        });
        let outward = match &record {
            Some(record) => {
                let references = self.references(&record.state.fields).await?;
                Some(outward(mapping, &record.state.fields, &references, object.as_ref()))
            }
            None => None,
        };
        let record = record.map(|record| record.state.fields.clone());
        Ok(PreviewView { record, object, inward, outward })
    }

    /// What a record's references are called there, as far as that is known.
    async fn references(&self, fields: &Fields) -> Result<BTreeMap<String, String>, Refusal> {
        let mut found = BTreeMap::new();
        for (field, object) in self.plan.mapping.referring() {
            let Some(Kind::Reference(ty)) = self.plan.shape.fields.get(field).map(|field| &field.kind) else {
                continue;
            };
            let id = fields.get(field).and_then(Value::as_str).and_then(|id| id.parse::<RecordId>().ok());
            let Some(id) = id else { continue };
            let key = RecordKey { ty: ty.clone(), id };
            let record = self.board.world.store.record(&self.share.business, &key).await?;
            let remote = record.and_then(|record| self.remote_id(&record, object, ty));
            found.extend(remote.map(|remote| (field.to_owned(), remote)));
        }
        Ok(found)
    }

    /// What a record is called in this account, as an object of a kind.
    fn remote_id(&self, record: &Record, slot: &str, ty: &TypeId) -> Option<String> {
        let object = (slot != ty.as_str()).then_some(slot);
        let is_here = |external: &&lockstep_core::external_id::ExternalId| {
            external.provider == self.connection.provider
                && external.realm == self.connection.realm
                && external.object.as_deref() == object
        };
        record.state.external_ids.iter().find(is_here).map(|external| external.id.clone())
    }
}

fn outward(
    mapping: &Compiled,
    fields: &Fields,
    references: &BTreeMap<String, String>,
    object: Option<&Value>,
) -> OutwardView {
    let said = mapping.outward(fields, references);
    let written = mapping.object(&said.values, None);
    let survives = mapping.differing(&said.values, &mapping.shown(&written), true).is_empty();
    let changed = object.map(|object| mapping.differing(&said.values, &mapping.shown(object), false));
    OutwardView { object: written, changed, survives, problems: said.problems, missing: said.missing }
}
