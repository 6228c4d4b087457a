//! Types of a business: listed, made, changed, removed; and their fields.
//!
//! What records hold is asked last. The stricter rule is committed first, so that no write from then on breaks it; then
//! what stands is looked through, and where something stands against the rule it is taken back and the call refused.

mod field;
mod standing;

pub use field::{create_field, delete_field, update_field};

use super::{blank_in, check_label, claim, commit};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::sweep::index_on;
use lockstep_core::application::Business;
use lockstep_core::command::MatchGroup;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::grant::TypeAccess;
use lockstep_core::ids::{BusinessId, TypeId};
use lockstep_core::kind::Kind;
use lockstep_core::limits;
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::definition::{TypeDefinition, check_type_id};
use lockstep_core::schema::{Field, Schema, Shape};
use lockstep_store::StoreError;
use lockstep_store::settings::{Expect, Put, Setting, SettingKey};
use lockstep_wire::types::{CreateType, FieldView, TypeView, UpdateType, json_schema};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The types that the caller may read, with their fields.
///
/// # Errors
/// `business_not_found`.
pub async fn list(world: &World, principal: &Principal, business: &str) -> Result<Vec<TypeView>, Refusal> {
    let business = principal.business(world, business)?;
    let building = world.store.building(&business.id).await?;
    let view = |shape: &Arc<Shape>| {
        let reach = principal.reach(&business, &shape.id, TypeAccess::Read).ok()?;
        let is_building = |field: &str| building.iter().any(|(ty, other)| *ty == shape.id && other == field);
        Some(TypeView::of(shape, &reach, is_building))
    };
    Ok(world.schema(&business.id).shapes().filter_map(view).collect())
}

/// One type, with its records' fields as JSON Schema.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`.
pub async fn get(world: &World, principal: &Principal, business: &str, ty: &str) -> Result<TypeView, Refusal> {
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    let reach = principal.reach(&business, &shape.id, TypeAccess::Read)?;
    let building = world.store.building(&business.id).await?;
    let is_building = |field: &str| building.iter().any(|(ty, other)| *ty == shape.id && other == field);
    let view = TypeView::of(&shape, &reach, is_building);
    Ok(TypeView { json_schema: Some(json_schema(&shape, &reach)), ..view })
}

/// One field of a type.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `unknown_field`, `forbidden`.
pub async fn field(
    world: &World,
    principal: &Principal,
    (business, ty, id): (&str, &str, &str),
) -> Result<FieldView, Refusal> {
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    let reach = principal.reach(&business, &shape.id, TypeAccess::Read)?;
    let field = shape.field_within(id, &reach).map_err(|refused| Refusal::new(Code::NotFound, refused.message))?;
    let building = world.store.building(&business.id).await?;
    Ok(FieldView::of(field, building.iter().any(|(other, field)| *other == shape.id && field == id)))
}

/// Makes a type of the business's own.
///
/// # Errors
/// `forbidden`, `invalid_id`, `invalid_value`, `id_taken`, `unknown_type`, `unknown_field`, `limit_reached`.
pub async fn create(
    world: &World,
    principal: &Principal,
    business: &str,
    body: CreateType,
) -> Result<TypeView, Refusal> {
    let business = managed(world, principal, business)?;
    let id = check_type_id(&body.id)?;
    let text = format!("there is a type {id} already: give another id");
    let taken = || Refusal::from(Rejection::new(Code::IdTaken, text.clone()).at_field("id"));
    if world.shape(&business.id, id.as_str()).is_ok() {
        return Err(taken());
    }
    if world.settings.read(|settings| settings.count_types(&business.id)) >= limits::TYPES_MAX {
        let text = format!("{} has {} types of its own, the most it may", business.id, limits::TYPES_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    let mut definition = TypeDefinition {
        is_custom: true,
        label: body.label.map(|label| check_label("label", &label)).transpose()?,
        collection: body.collection.map(|name| check_label("collection", &name)).transpose()?,
        match_groups: body.match_groups,
        ..TypeDefinition::default()
    };
    for (index, field) in body.fields.into_iter().enumerate() {
        let field = field.into_field().and_then(checked_label).map_err(|refused| within(refused, index))?;
        if definition.fields.contains_key(&field.id) {
            let text = format!("the field {} stands twice", shown(&field.id));
            return Err(within(Rejection::new(Code::IdTaken, text).at_field("id"), index).into());
        }
        definition.fields.insert(field.id.clone(), field);
    }
    let held = Held { id, business, definition: TypeDefinition::default(), expect: Expect::Absent };
    held.check(world, &definition)?;
    let mut control = blank_in(world, principal, &held.business.id, "type.create", &held.id);
    control.puts.push(held.put(definition));
    claim(world, control, |_| Some(taken())).await?;
    index_on(world, limits::INDEX_TURNS_WAITED).await;
    get(world, principal, held.business.id.as_str(), held.id.as_str()).await
}

/// Changes a type's names and the business's own match groups; what is left out stays.
///
/// # Errors
/// `forbidden`, `unknown_type`, `invalid_value`, `unknown_field`, `limit_reached`, `index_building`.
pub async fn update(
    world: &World,
    principal: &Principal,
    (business, ty): (&str, &str),
    body: UpdateType,
) -> Result<TypeView, Refusal> {
    let mut held = held(world, principal, business, ty)?;
    let mut next = held.definition.clone();
    if let Some(label) = body.label {
        next.label = Some(check_label("label", &label)?);
    }
    if let Some(name) = body.collection {
        next.collection = Some(check_label("collection", &name)?);
    }
    if let Some(groups) = body.match_groups {
        next.match_groups = groups;
    }
    held.check(world, &next)?;
    held.index_firsts(world, principal, &mut next).await?;
    held.commit(world, principal, "type.update", next).await?;
    get(world, principal, business, ty).await
}

/// Removes a type of the business's own.
///
/// # Errors
/// `forbidden`, `unknown_type`; `invalid_value` for a ready-made one; `field_in_use` where it has living records or
/// another type refers to it.
pub async fn delete(world: &World, principal: &Principal, (business, ty): (&str, &str)) -> Result<(), Refusal> {
    let mut held = held(world, principal, business, ty)?;
    if !held.definition.is_custom {
        let text = format!("{} is ready-made and cannot be removed: leave it unused", held.id);
        return Err(Refusal::new(Code::InvalidValue, text));
    }
    let schema = world.schema(&held.business.id);
    held.is_referred_to(&schema)?;
    held.has_no_records(world).await?;
    let before = held.definition.clone();
    held.commit(world, principal, "type.delete", TypeDefinition::default()).await?;
    // A record, or a reference, may have come while this was asked.
    let stands = match held.is_referred_to(&world.schema(&held.business.id)) {
        Ok(()) => held.has_no_records(world).await,
        refused => refused,
    };
    if let Err(refused) = stands {
        held.commit(world, principal, "type.delete.undo", before).await?;
        return Err(refused);
    }
    Ok(())
}

fn within(refused: Rejection, index: usize) -> Rejection {
    let pointer = refused.pointer.clone().unwrap_or_default();
    refused.at(format!("/fields/{index}{pointer}"))
}

fn checked_label(field: Field) -> Result<Field, Rejection> {
    Ok(Field { label: check_label("label", &field.label)?, ..field })
}

fn managed(world: &World, principal: &Principal, business: &str) -> Result<Arc<Business>, Refusal> {
    let business = principal.business(world, business)?;
    principal.must_manage(&business)?;
    Ok(business)
}

/// What a business says of a type, in the hands of whoever changes it.
struct Held {
    business: Arc<Business>,
    id: TypeId,
    definition: TypeDefinition,
    /// What a put believes of the row.
    expect: Expect,
}

fn held(world: &World, principal: &Principal, business: &str, ty: &str) -> Result<Held, Refusal> {
    let business = managed(world, principal, business)?;
    let id = world.shape(&business.id, ty)?.id.clone();
    let found = world.settings.read(|settings| settings.definition(&business.id, &id).cloned());
    let (definition, expect) = match found {
        Some((definition, version)) => (definition, Expect::Version(version)),
        None => (TypeDefinition::default(), Expect::Absent),
    };
    Ok(Held { business, id, definition, expect })
}

impl Held {
    fn key(&self) -> SettingKey {
        SettingKey::of_type(&self.business.id, &self.id)
    }

    fn put(&self, definition: TypeDefinition) -> Put {
        let value = (!definition.is_blank()).then_some(Setting::Type(definition));
        Put { key: self.key(), value, expect: self.expect }
    }

    /// What may be seen of the type by whoever changes it: an error text says no more.
    fn reach(&self, principal: &Principal) -> Reach {
        match principal.reach(&self.business, &self.id, TypeAccess::Read) {
            Ok(reach) => (*reach).clone(),
            Err(_) => Reach::of_grant(lockstep_expr::Expr::compile("false").ok(), BTreeSet::new()),
        }
    }

    /// Checks a definition to come against all that the business knows.
    fn check(&self, world: &World, next: &TypeDefinition) -> Result<(), Refusal> {
        let schema = world.settings.read(|settings| settings.schema_with(&self.business.id, &self.id, next));
        Ok(next.check(&self.id, &schema)?)
    }

    /// Commits what is said of the type from now on.
    async fn commit(
        &mut self,
        world: &World,
        principal: &Principal,
        action: &str,
        next: TypeDefinition,
    ) -> Result<(), Refusal> {
        if next == self.definition {
            return Ok(());
        }
        let mut control = blank_in(world, principal, &self.business.id, action, &self.id);
        control.puts.push(self.put(next.clone()));
        commit(world, control).await?;
        let version = world
            .settings
            .read(|settings| settings.definition(&self.business.id, &self.id).map(|(_, version)| *version));
        self.expect = version.map_or(Expect::Absent, Expect::Version);
        self.definition = next;
        // What is left when these turns are over, the sweeper does.
        index_on(world, limits::INDEX_TURNS_WAITED).await;
        Ok(())
    }

    fn shape(&self, world: &World) -> Result<Arc<Shape>, Refusal> {
        Ok(world.shape(&self.business.id, self.id.as_str())?)
    }

    async fn is_whole(&self, world: &World, field: &str) -> Result<bool, StoreError> {
        let building = world.store.building(&self.business.id).await?;
        Ok(!building.iter().any(|(ty, other)| *ty == self.id && other == field))
    }

    /// That the index of a field holds every record.
    async fn must_be_whole(&self, world: &World, field: &str) -> Result<(), Refusal> {
        if self.is_whole(world, field).await? {
            return Ok(());
        }
        let text = format!("the index of {field} does not hold every {} yet: ask again in a minute", self.id);
        Err(Refusal { retry_after_s: Some(60), ..Refusal::new(Code::IndexBuilding, text) })
    }

    /// Has the first field of each match group to come indexed: records are found by it from the group's commit on.
    async fn index_firsts(
        &mut self,
        world: &World,
        principal: &Principal,
        next: &mut TypeDefinition,
    ) -> Result<(), Refusal> {
        let firsts: BTreeSet<String> =
            next.match_groups.iter().filter_map(|group: &MatchGroup| group.first().cloned()).collect();
        for first in firsts {
            let shape = self.shape(world)?;
            let field = shape.field(&first)?;
            if !shape.looks_up(&first) {
                let indexed = Field { is_indexed: true, ..field.clone() };
                next.fields.insert(first.clone(), indexed.clone());
                let mut definition = self.definition.clone();
                definition.fields.insert(first.clone(), indexed);
                self.commit(world, principal, "field.index", definition).await?;
            }
            self.must_be_whole(world, &first).await?;
        }
        Ok(())
    }

    fn is_referred_to(&self, schema: &Schema) -> Result<(), Refusal> {
        let refers = |field: &&Field| matches!(&field.kind, Kind::Reference(ty) if *ty == self.id);
        let others = schema.shapes().filter(|shape| shape.id != self.id);
        let from = others.flat_map(|shape| shape.fields.values().filter(refers).map(move |field| (shape, field)));
        let named: Vec<_> = from.map(|(shape, field)| format!("{}.{}", shape.id, field.id)).collect();
        if named.is_empty() {
            return Ok(());
        }
        let text = format!("{} is referred to by {}: remove those fields first", self.id, named.join(", "));
        Err(Refusal::new(Code::FieldInUse, text))
    }

    async fn has_no_records(&self, world: &World) -> Result<(), Refusal> {
        let (living, _) = living_and_stored(world, &self.business.id, &self.id).await?;
        if living == 0 {
            return Ok(());
        }
        let text = format!("there are {living} {} records: delete them first", self.id);
        Err(Refusal::new(Code::FieldInUse, text))
    }
}

/// How many records of a type live, and how many there are with tombstones.
pub(crate) async fn living_and_stored(
    world: &World,
    business: &BusinessId,
    ty: &TypeId,
) -> Result<(u64, u64), StoreError> {
    let counts = world.store.counts(business).await?;
    Ok(counts.get(ty).map_or((0, 0), |count| (count.living, count.living + count.deleted)))
}
