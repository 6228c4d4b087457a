//! Records for callers that want them back at once: read as they are, and after what a call made of them.

use crate::World;
use crate::ingest::{self, Call};
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::command::{Ending, Target};
use lockstep_core::error::{Code, shown};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::kind::Kind;
use lockstep_core::operation::OperationId;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Shape;
use lockstep_store::StoreError;
use lockstep_wire::rest::{RecordBody, every_id};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A record as it is, with what of it its reader may see.
#[derive(Debug)]
pub struct Found {
    /// The business.
    pub business: Arc<Business>,
    /// What the reader may see of the type.
    pub reach: Arc<Reach>,
    /// The record.
    pub record: Record,
}

impl Found {
    /// The record as its reader may see it.
    #[must_use]
    pub fn body(&self) -> RecordBody<'_> {
        RecordBody::of(&self.record, self.reach.visible(&self.record.state.fields))
    }
}

/// A living record.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`, `invalid_id`; `record_not_found`, in the same words for one that
/// is not there and one that the reader may not see.
pub async fn get(
    world: &World,
    principal: &Principal,
    (business, ty, id): (&str, &str, &str),
) -> Result<Found, Refusal> {
    let business = principal.business(world, business)?;
    let shape = &*world.shape(&business.id, ty)?;
    principal.must(Ability::Read)?;
    let reach = principal.reach(&business, &shape.id, TypeAccess::Read)?;
    let missing = |why: &str| unseen(&shape.id, id, why);
    let key = key(world, principal, &business, shape, id).await?.ok_or_else(|| missing(""))?;
    let record = world.store.record(&business.id, &key).await?;
    let record = record.filter(|record| reach.holds(&record.state.fields)).ok_or_else(|| missing(""))?;
    if record.state.is_deleted {
        let why = match record.state.merged_into {
            Some(into) if reach.is_unconditional() => format!(": it was merged into {into}"),
            _ => ": it is deleted".to_owned(),
        };
        return Err(missing(&why));
    }
    Ok(Found { business, reach, record })
}

/// The record that a path names by its id, or by the caller's own external id.
pub(crate) async fn key(
    world: &World,
    principal: &Principal,
    business: &Business,
    shape: &Shape,
    id: &str,
) -> Result<Option<RecordKey>, Refusal> {
    match ingest::target(principal, id)? {
        Target::Id(id) => Ok(Some(RecordKey { ty: shape.id.clone(), id })),
        Target::External(external) => {
            let holder = world.store.holder(&business.id, &external.key(&shape.id)).await?;
            Ok(holder.filter(|holder| holder.ty == shape.id))
        }
    }
}

/// What a call made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// There was none before.
    Created,
    /// It changed, or lives again.
    Changed,
    /// It was so already.
    Unchanged,
}

/// A record after a call.
#[derive(Debug)]
pub struct Written {
    /// What the call made of it.
    pub effect: Effect,
    /// Its operation.
    pub operation: OperationId,
    /// The business.
    pub business: Arc<Business>,
    /// What the caller may see of the type.
    pub reach: Arc<Reach>,
    ty: TypeId,
    /// Whether the caller may read the type, and not only write it.
    is_readable: bool,
    state: Standing,
}

#[derive(Debug)]
enum Standing {
    After(Arc<Change>),
    Is(Record),
}

impl Written {
    /// The record as its writer may see it: who may only write is shown no values.
    ///
    /// # Errors
    /// `record_not_found` where it is out of the writer's sight. What a repeated call did the first time was within it
    /// then, and need not be now.
    pub fn body(&self) -> Result<RecordBody<'_>, Refusal> {
        let (id, state) = match &self.state {
            Standing::After(change) => (change.record, &change.state),
            Standing::Is(record) => (record.id, &record.state),
        };
        if !self.reach.sees(state) {
            return Err(unseen(&self.ty, &id.to_string(), ""));
        }
        let mut body = match &self.state {
            Standing::After(change) => RecordBody::after(change, self.reach.visible(&state.fields)),
            Standing::Is(record) => RecordBody::of(record, self.reach.visible(&state.fields)),
        };
        if !self.is_readable {
            body.fields = Cow::Owned(Fields::new());
            body.external_ids.clear();
        }
        Ok(body)
    }
}

/// A record out of sight is missing in the same words as one that is not there.
fn unseen(ty: &TypeId, id: &str, why: &str) -> Refusal {
    Refusal::new(Code::RecordNotFound, format!("there is no {ty} {} that this credential may see{why}", shown(id)))
}

/// That the caller may read records of a type.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`.
pub fn must_read(world: &World, principal: &Principal, business: &str, ty: &str) -> Result<(), Refusal> {
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    principal.must(Ability::Read)?;
    principal.reach(&business, &shape.id, TypeAccess::Read).map(drop)
}

/// Commits a call and gives the record as it then stands.
///
/// # Errors
/// What is wrong with the request; what the operation failed for; what the store says.
pub async fn write(world: &World, call: Call<'_>) -> Result<Written, Refusal> {
    let (principal, business, ty) = (call.principal, call.business, call.ty);
    let outcome = ingest::submit(world, call).await?;
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    let reach = principal.reach(&business, &shape.id, TypeAccess::Write)?;
    let is_readable = must_read(world, principal, business.id.as_str(), ty).is_ok();
    let seq = match outcome.ending {
        Ending::Failed(rejection) => return Err(rejection.into()),
        Ending::Changed { seq, .. } => Some(seq),
        _ => None,
    };
    let change = match seq {
        Some(seq) => world.store.change(&business.id, seq).await?,
        None => None,
    };
    let (effect, state) = match (change, outcome.record) {
        (Some(change), _) => {
            let is_new = change.kind == ChangeKind::Created && change.prev_seq == 0;
            (if is_new { Effect::Created } else { Effect::Changed }, Standing::After(change))
        }
        (None, Some(id)) => {
            let record = world.store.record(&business.id, &RecordKey { ty: shape.id.clone(), id }).await?;
            let gone = || StoreError::Failed(format!("{} {id} is not there after its own write", shape.id));
            let effect = if seq.is_some() { Effect::Changed } else { Effect::Unchanged };
            (effect, Standing::Is(record.ok_or_else(gone)?))
        }
        (None, None) => return Err(StoreError::Failed("a write without a record".to_owned()).into()),
    };
    Ok(Written { effect, operation: outcome.operation, business, reach, ty: shape.id.clone(), is_readable, state })
}

/// The values that a copy of a record begins with: those that its reader may see and write, but for those that no
/// two records share.
///
/// # Errors
/// `unknown_type`, where the type is gone.
pub fn copied(world: &World, principal: &Principal, found: &Found) -> Result<Fields, Refusal> {
    let shape = world.shape(&found.business.id, found.record.ty.as_str())?;
    let is_free = |name: &String| {
        let field = shape.fields.get(name);
        field.is_some_and(|field| !field.is_unique && (field.is_editable || matches!(principal, Principal::Admin)))
    };
    let mut fields = found.reach.visible(&found.record.state.fields).into_owned();
    fields.retain(|name, _| is_free(name));
    Ok(fields)
}

/// Puts in the place of a record's id, and of each reference it holds, all ids that the record meant is known by.
///
/// # Errors
/// What the store says.
pub async fn with_every_id(
    world: &World,
    principal: &Principal,
    business: &Business,
    body: &mut RecordBody<'_>,
) -> Result<(), Refusal> {
    let shape = world.shape(&business.id, &body.ty)?;
    let references: Vec<_> = shape
        .fields
        .values()
        .filter_map(|field| match &field.kind {
            Kind::Reference(ty) => Some((field.id.to_owned(), ty.clone())),
            _ => None,
        })
        .collect();
    for (field, ty) in references {
        let Some(id) = body.fields.get(&field).and_then(Value::as_str).and_then(|id| id.parse().ok()) else {
            continue;
        };
        let key = RecordKey { ty, id };
        let known = world.store.record(&business.id, &key).await?;
        let reach = principal.reach(business, &key.ty, TypeAccess::Read).ok();
        let seen = known.filter(|known| reach.is_some_and(|reach| reach.sees(&known.state)));
        let external = seen.as_ref().map_or(&[][..], |known| &known.state.external_ids);
        body.fields.to_mut().insert(field, every_id(&business.id, id, external));
    }
    if let Some(id) = body.id.as_str().and_then(|id| id.parse::<RecordId>().ok()) {
        let others = std::mem::take(&mut body.external_ids);
        body.id = every_id(&business.id, id, &[]);
        if let Some(ids) = body.id.as_array_mut() {
            ids.extend(
                others.iter().map(|id| serde_json::json!({"provider": id.provider, "realm": id.realm, "id": id.id})),
            );
        }
        body.external_ids = others;
    }
    Ok(())
}
