//! Fields: added, changed, removed.

use super::standing::Against;
use super::{Held, checked_label, get, held};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::kind::Kind;
use lockstep_core::schema::Field;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_wire::types::{CreateField, FieldView, UpdateField};

/// Adds a field of the business's own to a type.
///
/// # Errors
/// `forbidden`, `unknown_type`, `invalid_id`, `invalid_value`, `id_taken`, `limit_reached`; `field_in_use` for one that
/// is required where there are records already.
pub async fn create_field(
    world: &World,
    principal: &Principal,
    (business, ty): (&str, &str),
    body: CreateField,
) -> Result<FieldView, Refusal> {
    let mut held = held(world, principal, business, ty)?;
    let field = checked_label(body.into_field()?)?;
    let id = field.id.clone();
    // A field that is hidden from the caller is no free name either.
    if held.shape(world)?.fields.contains_key(&id) {
        let text = format!("{ty} has a field {} already: give another id", shown(&id));
        return Err(Rejection::new(Code::IdTaken, text).at_field("id").into());
    }
    let before = held.definition.clone();
    let next = with(&before, field.clone());
    held.check(world, &next)?;
    if field.is_required {
        held.must_be_clear(world, principal, &field, Against::Blank).await?;
    }
    held.commit(world, principal, "field.create", next).await?;
    if field.is_required {
        held.must_stand(world, principal, (&field, Against::Blank), &before).await?;
    }
    view(world, principal, (business, ty), &id).await
}

/// Changes a field: of a ready-made one everything but its kind; what is left out stays.
///
/// # Errors
/// `forbidden`, `unknown_type`, `unknown_field`, `invalid_value`; `field_in_use` and `value_taken` where records stand
/// against it, `index_building` where what is to be unique is not yet found by an index.
pub async fn update_field(
    world: &World,
    principal: &Principal,
    (business, ty, id): (&str, &str, &str),
    body: UpdateField,
) -> Result<FieldView, Refusal> {
    let mut held = held(world, principal, business, ty)?;
    let shape = held.shape(world)?;
    let reach = held.reach(principal);
    let standing = shape.field_within(id, &reach)?.clone();
    let field = checked_label(body.put_into(&standing)?)?;
    let is_first = held.definition.match_groups.iter().any(|group| group.first().is_some_and(|first| first == id));
    if field.kind != standing.kind && !standing.is_custom {
        let text = format!("{id} is ready-made, and its kind stays {}: add a field of your own", standing.kind.name());
        return Err(Rejection::new(Code::InvalidValue, text).at_field("kind").into());
    }
    let before = held.definition.clone();
    held.check(world, &with(&before, field.clone()))?;
    if is_new_kind(&standing.kind, &field.kind) {
        // Taken off and put on again: at no moment does a record hold a value of either kind.
        if is_first {
            let text = format!("records are recognised by {id}: take it out of the match groups first");
            return Err(Rejection::new(Code::FieldInUse, text).at_field("kind").into());
        }
        held.take_off(world, principal, &standing).await?;
    }
    if field.is_unique && !standing.is_unique {
        let kind = if is_new_kind(&standing.kind, &field.kind) { &field.kind } else { &standing.kind };
        let indexed = Field { is_indexed: true, kind: kind.clone(), ..standing.clone() };
        held.commit(world, principal, "field.index", with(&held.definition, indexed)).await?;
        held.must_be_whole(world, id).await?;
    }
    let next = with(&held.definition, field.clone());
    held.commit(world, principal, "field.update", next).await?;
    for against in Against::of(&standing, &field) {
        held.must_stand(world, principal, (&field, against), &before).await?;
    }
    view(world, principal, (business, ty), id).await
}

/// Removes a field of the business's own; a ready-made one is as it was made again.
///
/// # Errors
/// `forbidden`, `unknown_type`, `unknown_field`, `field_in_use` where records have a value of it, or are recognised by
/// it.
pub async fn delete_field(
    world: &World,
    principal: &Principal,
    (business, ty, id): (&str, &str, &str),
) -> Result<(), Refusal> {
    let mut held = held(world, principal, business, ty)?;
    let standing = held.shape(world)?.field_within(id, &held.reach(principal))?.clone();
    let is_matched = held.definition.match_groups.iter().any(|group| group.iter().any(|field| field == id));
    if is_matched && standing.is_custom {
        let text = format!("records of {ty} are recognised by {id}: take it out of the match groups first");
        return Err(Refusal::new(Code::FieldInUse, text));
    }
    if standing.is_custom {
        return held.take_off(world, principal, &standing).await;
    }
    let mut next = held.definition.clone();
    if next.fields.remove(id).is_none() {
        let text = format!("{id} is ready-made and cannot be removed: leave it unused");
        return Err(Refusal::new(Code::InvalidValue, text));
    }
    held.check(world, &next)?;
    held.commit(world, principal, "field.delete", next).await
}

/// Whether values of one kind are none of the other. More or fewer words of an enum are the same kind.
fn is_new_kind(before: &Kind, after: &Kind) -> bool {
    match (before, after) {
        (Kind::Enum(_), Kind::Enum(_)) => false,
        (before, after) => before != after,
    }
}

fn with(definition: &TypeDefinition, field: Field) -> TypeDefinition {
    let mut next = definition.clone();
    next.fields.insert(field.id.clone(), field);
    next
}

async fn view(
    world: &World,
    principal: &Principal,
    (business, ty): (&str, &str),
    id: &str,
) -> Result<FieldView, Refusal> {
    let found = get(world, principal, business, ty).await?.fields.into_iter().find(|field| field.id == id);
    found.ok_or_else(|| Refusal::new(Code::UnknownField, format!("{ty} has no field {}", shown(id))))
}

impl Held {
    /// Takes a field off the type, unless a living record has a value of it.
    async fn take_off(&mut self, world: &World, principal: &Principal, field: &Field) -> Result<(), Refusal> {
        let before = self.definition.clone();
        let mut next = before.clone();
        next.fields.remove(&field.id);
        self.check(world, &next)?;
        self.commit(world, principal, "field.delete", next).await?;
        self.must_stand(world, principal, (field, Against::Value), &before).await
    }
}
