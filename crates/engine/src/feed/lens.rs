//! A lens: what one reader asked to see of a business's log, and may see of it under the grant of now.

use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{BusinessId, TypeId};
use lockstep_core::limits;
use lockstep_core::rules::scope::{Reach, Seen, look};
use lockstep_core::schema::Shape;
use lockstep_wire::feed::{ChangeEntry, Told};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a reader asks for; all of it where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Types.
    pub types: Option<BTreeSet<String>>,
    /// Kinds: those of changes, `FIELD.updated`, and fields' own kinds of update.
    pub kinds: Option<BTreeSet<String>>,
    /// For updates, fields of which one must have changed.
    pub fields: Option<BTreeSet<String>>,
    /// How much of each change is told.
    pub told: Told,
}

/// What of one type is seen.
#[derive(Debug)]
struct Pane {
    reach: Arc<Reach>,
    /// Kinds of update that fields have of their own.
    update_kinds: BTreeMap<String, String>,
}

/// A reader's lens on one business.
#[derive(Debug)]
pub struct Lens {
    business: Arc<Business>,
    panes: BTreeMap<TypeId, Pane>,
    wanted: Wanted,
    settings_version: u64,
    sight: String,
}

impl Lens {
    /// The lens of a reader as it may read now.
    ///
    /// # Errors
    /// `business_not_found`; `forbidden` without the ability to read, or for a type named and not granted;
    /// `unknown_type`; `invalid_parameter` for a kind or field that no type wanted has.
    pub fn grind(world: &World, principal: &Principal, business: &str, wanted: &Wanted) -> Result<Arc<Self>, Refusal> {
        // Read first: what is ground under newer settings than it says is ground again, not the other way round.
        let settings_version = world.settings.read(|settings| settings.version);
        let business = principal.business(world, business)?;
        principal.must(Ability::Read)?;
        let schema = world.schema(&business.id);
        let mut shapes = Vec::new();
        match &wanted.types {
            Some(types) => {
                for ty in types {
                    let shape = schema.shape(ty)?;
                    shapes.push((&**shape, principal.reach(&business, &shape.id, TypeAccess::Read)?));
                }
            }
            None => {
                shapes.extend(schema.shapes().filter_map(|shape| {
                    Some((&**shape, principal.reach(&business, &shape.id, TypeAccess::Read).ok()?))
                }))
            }
        }
        check(wanted, &shapes)?;
        let pane = |(shape, reach): (&Shape, Arc<Reach>)| {
            (shape.id.clone(), Pane { reach, update_kinds: shape.update_kinds() })
        };
        let panes: BTreeMap<TypeId, Pane> = shapes.into_iter().map(pane).collect();
        let update_kinds: Vec<_> = panes.iter().map(|(ty, pane)| (ty, &pane.update_kinds)).collect();
        let sight = serde_json::json!([principal.sight(), update_kinds]).to_string();
        Ok(Arc::new(Self { business, panes, wanted: wanted.clone(), settings_version, sight }))
    }

    /// The business looked at.
    #[must_use]
    pub fn business(&self) -> &BusinessId {
        &self.business.id
    }

    /// The version of the settings it was ground under.
    #[must_use]
    pub const fn settings_version(&self) -> u64 {
        self.settings_version
    }

    /// What tells lenses apart that show different things: two of the same key show the same.
    pub(super) fn key(&self) -> (BusinessId, Wanted, String) {
        (self.business.id.clone(), self.wanted.clone(), self.sight.clone())
    }

    /// Whether the change is to be seen.
    #[must_use]
    pub fn wants(&self, change: &Change) -> bool {
        self.seen(change).is_some()
    }

    /// The change as the reader sees it, if it is to be seen.
    pub fn entry<T>(&self, change: &Change, write: impl FnOnce(&ChangeEntry<'_>) -> T) -> Option<T> {
        let (seen, pane) = self.seen(change)?;
        let kinds = kinds(pane, &seen);
        Some(write(&ChangeEntry::of(change, &seen, kinds, &self.business.id, self.wanted.told)))
    }

    fn seen<'a>(&self, change: &'a Change) -> Option<(Seen<'a>, &Pane)> {
        let pane = self.panes.get(&change.ty)?;
        let mut seen = look(change, &pane.reach)?;
        // A record that was merged is gone: whoever asks for deletions and knows no merges is told of it as one.
        let lists = |kind: &str| self.wanted.kinds.as_ref().is_none_or(|wanted| wanted.contains(kind));
        if seen.kind == ChangeKind::Merged && !lists(ChangeKind::Merged.as_str()) {
            seen.kind = ChangeKind::Deleted;
        }
        let is_update = seen.kind == ChangeKind::Updated;
        let has_kind = |wanted: &BTreeSet<String>| {
            wanted.contains(seen.kind.as_str())
                || is_update && kinds(pane, &seen).iter().any(|kind| wanted.contains(kind))
        };
        let has_field = |wanted: &BTreeSet<String>| !is_update || seen.old.keys().any(|field| wanted.contains(field));
        let is_wanted =
            self.wanted.kinds.as_ref().is_none_or(has_kind) && self.wanted.fields.as_ref().is_none_or(has_field);
        is_wanted.then_some((seen, pane))
    }
}

/// The kind of a change, and those of the fields it updated.
fn kinds(pane: &Pane, seen: &Seen<'_>) -> Vec<String> {
    let mut kinds = vec![seen.kind.as_str().to_owned()];
    if seen.kind == ChangeKind::Updated {
        for field in seen.old.keys() {
            kinds.push(format!("{field}.updated"));
            kinds.extend(pane.update_kinds.get(field).filter(|kind| !kinds.contains(kind)).cloned());
        }
    }
    kinds
}

fn check(wanted: &Wanted, shapes: &[(&Shape, Arc<Reach>)]) -> Result<(), Rejection> {
    let invalid = |text: String| Err(Rejection::new(Code::InvalidParameter, text));
    let lists = [&wanted.types, &wanted.kinds, &wanted.fields];
    if lists.into_iter().flatten().any(|list| list.len() > limits::SCOPE_ITEMS_MAX) {
        return invalid(format!("a list of over {} members: name fewer", limits::SCOPE_ITEMS_MAX));
    }
    let is_field =
        |name: &str| shapes.iter().any(|(shape, reach)| shape.fields.contains_key(name) && !reach.hides(name));
    let is_kind = |kind: &str| {
        ChangeKind::ALL.iter().any(|known| known.as_str() == kind)
            || kind.strip_suffix(".updated").is_some_and(is_field)
            || shapes.iter().any(|(shape, reach)| shape.has_update_kind(kind, reach))
    };
    if let Some(kind) = wanted.kinds.iter().flatten().find(|kind| !is_kind(kind)) {
        return invalid(format!(
            "kinds: {} is none: kinds are created, updated, deleted, merged, correlated, FIELD.updated, and those that \
             fields have as their updateKind",
            shown(kind)
        ));
    }
    if let Some(field) = wanted.fields.iter().flatten().find(|field| !is_field(field)) {
        return invalid(format!("fields: none of the types wanted has a field {}", shown(field)));
    }
    Ok(())
}
