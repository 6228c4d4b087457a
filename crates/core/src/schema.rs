//! Types of record: what a business knows, ready-made and its own.
//!
//! [`Schema::ready_made`] is shared by every business that has defined nothing; [`Schema::with`] lays a business's
//! [`definition::TypeDefinition`]s over it. Shapes are shared, so a business with one field of its own costs one shape.

pub mod definition;
pub mod index;
mod ready_made;

use crate::Fields;
use crate::command::MatchGroup;
use crate::error::{Code, Rejection, shown};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::rules::scope::Reach;
use definition::TypeDefinition;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// What stands in the place of a sensitive value.
pub const MASK: &str = "***";

/// A field of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its id: 1–64 letters, digits, `_`, `-`.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether each record must have a value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_required: bool,
    /// Whether no two living records may have equal values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unique: bool,
    /// Whether applications may write it; if not, only the administrator's key does.
    pub is_editable: bool,
    /// Whether its values are kept out of samples, choices and error texts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_sensitive: bool,
    /// Whether records can be searched and sorted by it however many there are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_indexed: bool,
    /// Whether a search of choices looks into it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_searchable: bool,
    /// What a change of it is called, where that is not `FIELD.updated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_kind: Option<String>,
    /// Whether the business made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_custom: bool,
}

impl Field {
    /// A ready-made field with nothing special about it.
    #[must_use]
    pub fn new(id: &str, kind: Kind) -> Self {
        Self {
            id: id.to_owned(),
            label: label_of(id),
            kind,
            is_required: false,
            is_unique: false,
            is_editable: true,
            is_sensitive: false,
            is_indexed: false,
            is_searchable: false,
            update_kind: None,
            is_custom: false,
        }
    }

    /// Whether its index holds every living record, those without a value too.
    #[must_use]
    pub const fn has_whole_index(&self) -> bool {
        self.is_indexed || self.is_unique
    }

    /// A value of it inside an error text.
    #[must_use]
    pub fn shown(&self, value: &Value) -> String {
        match value {
            _ if self.is_sensitive => MASK.to_owned(),
            Value::String(text) => shown(text),
            other => shown(&other.to_string()),
        }
    }
}

/// The name for people that an id gives: `firstName` and `first-name` are both "First name".
#[must_use]
pub fn label_of(id: &str) -> String {
    let mut label = String::with_capacity(id.len() + 4);
    for c in id.chars() {
        match c {
            '_' | '-' => label.push(' '),
            c if label.is_empty() => label.extend(c.to_uppercase()),
            c if c.is_ascii_uppercase() => label.extend([' ', c.to_ascii_lowercase()]),
            c => label.push(c),
        }
    }
    label
}

/// The shape of a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The type's id.
    pub id: TypeId,
    /// Its name for people.
    pub label: String,
    /// Its name for many, as in `{"people": […]}`.
    pub collection: String,
    /// Its fields, by id.
    pub fields: BTreeMap<String, Field>,
    /// Groups of fields that a record can be recognised by, all fields of one together.
    pub match_groups: Vec<MatchGroup>,
    /// Whether the business made it.
    pub is_custom: bool,
    /// Whether it is ready-made, and the business says nothing of it.
    pub(crate) is_plain: bool,
    /// The fields that records are looked up by: the first of each match group, and those that are unique or indexed.
    looked_up: Vec<String>,
}

impl Shape {
    /// Whether a change of some field that the reader may see is called so.
    #[must_use]
    pub fn has_update_kind(&self, kind: &str, reach: &Reach) -> bool {
        self.fields.values().any(|field| field.update_kind.as_deref() == Some(kind) && !reach.hides(&field.id))
    }

    /// What changes of fields are called that have a name of their own for it, by field.
    #[must_use]
    pub fn update_kinds(&self) -> BTreeMap<String, String> {
        let fields = self.fields.values();
        fields.filter_map(|field| Some((field.id.clone(), field.update_kind.clone()?))).collect()
    }

    /// The field of this id.
    ///
    /// # Errors
    /// `unknown_field`, naming the nearest one there is.
    pub fn field(&self, id: &str) -> Result<&Field, Rejection> {
        self.field_within(id, &Reach::everything())
    }

    /// The field of this id, to someone from whom some may be hidden: those are as unknown as any other.
    ///
    /// # Errors
    /// `unknown_field`, naming the nearest one that may be seen.
    pub fn field_within(&self, id: &str, reach: &Reach) -> Result<&Field, Rejection> {
        self.fields.get(id).filter(|_| !reach.hides(id)).ok_or_else(|| {
            let seen: Vec<_> = self.visible_fields(reach).map(|field| field.id.as_str()).collect();
            let hint = nearest(id, seen.iter().copied());
            let text = format!("{} has no field {}{}; its fields are {}", self.id, shown(id), hint, seen.join(", "));
            Rejection::new(Code::UnknownField, text).at_field(id)
        })
    }

    /// The fields that a caller may see.
    pub fn visible_fields<'a>(&'a self, reach: &'a Reach) -> impl Iterator<Item = &'a Field> {
        self.fields.values().filter(|field| !reach.hides(&field.id))
    }

    /// The fields that records are looked up by.
    pub fn looked_up(&self) -> impl Iterator<Item = &Field> {
        self.looked_up.iter().filter_map(|id| self.fields.get(id))
    }

    /// Whether records are looked up by a field.
    #[must_use]
    pub fn looks_up(&self, field: &str) -> bool {
        self.looked_up.iter().any(|id| id == field)
    }

    /// The fields with sensitive values masked.
    #[must_use]
    pub fn masked(&self, mut fields: Fields) -> Fields {
        for (id, value) in &mut fields {
            if self.fields.get(id).is_some_and(|field| field.is_sensitive) {
                *value = MASK.into();
            }
        }
        fields
    }

    /// The group that a caller names as its fields with commas between, in any order.
    ///
    /// # Errors
    /// `unknown_match_group`, naming those that are declared and that the caller may use.
    pub fn match_group(&self, text: &str, reach: &Reach) -> Result<MatchGroup, Rejection> {
        let asked: BTreeSet<&str> = text.split(',').map(str::trim).collect();
        let open = self.match_groups.iter().filter(|group| !group.iter().any(|field| reach.hides(field)));
        let found = open.clone().find(|group| group.iter().map(String::as_str).collect::<BTreeSet<_>>() == asked);
        if let Some(group) = found {
            return Ok(group.clone());
        }
        let known: Vec<String> = open.map(|group| group.join(",")).collect();
        let known = match known.is_empty() {
            true => "declares none".to_owned(),
            false => format!("declares {}", known.join(" | ")),
        };
        let text = format!("{} is no match group of {}: it {known}", shown(text), self.id);
        Err(Rejection::new(Code::UnknownMatchGroup, text))
    }

    /// The same with what follows from its fields worked out.
    fn finished(mut self) -> Self {
        let firsts: BTreeSet<&String> = self.match_groups.iter().filter_map(|group| group.first()).collect();
        let is_looked_up = |field: &&Field| field.has_whole_index() || firsts.contains(&field.id);
        self.looked_up = self.fields.values().filter(is_looked_up).map(|field| field.id.clone()).collect();
        self
    }
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|id| (strsim::jaro_winkler(&word.to_lowercase(), &id.to_lowercase()), id))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, id)| format!(" (did you mean {id}?)"))
        .unwrap_or_default()
}

/// The types that a business knows.
#[derive(Clone, Debug)]
pub struct Schema {
    shapes: BTreeMap<TypeId, Arc<Shape>>,
}

static READY_MADE: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let shapes = ready_made::shapes().map(|shape| (shape.id.clone(), Arc::new(shape.finished())));
    Arc::new(Schema { shapes: shapes.collect() })
});

impl Schema {
    /// The ready-made types.
    #[must_use]
    pub fn ready_made() -> Arc<Self> {
        Arc::clone(&READY_MADE)
    }

    /// The ready-made types with a business's definitions laid over them.
    #[must_use]
    pub fn of<'a>(definitions: impl IntoIterator<Item = (&'a TypeId, &'a TypeDefinition)>) -> Arc<Self> {
        let mut definitions = definitions.into_iter().peekable();
        match definitions.peek() {
            None => Self::ready_made(),
            Some(_) => Arc::new(Self::ready_made().with(definitions)),
        }
    }

    /// These types with definitions laid over them.
    #[must_use]
    pub fn with<'a>(&self, definitions: impl IntoIterator<Item = (&'a TypeId, &'a TypeDefinition)>) -> Self {
        let mut shapes = self.shapes.clone();
        for (id, definition) in definitions {
            if let Some(shape) = definition.lay_over(id, self.shapes.get(id).map(AsRef::as_ref)) {
                shapes.insert(id.clone(), Arc::new(shape.finished()));
            }
        }
        Self { shapes }
    }

    /// The shape of a type.
    ///
    /// # Errors
    /// `unknown_type`, naming the nearest one there is.
    pub fn shape(&self, ty: &str) -> Result<&Arc<Shape>, Rejection> {
        self.shapes.get(ty).ok_or_else(|| {
            let hint = nearest(ty, self.shapes.keys().map(TypeId::as_str));
            let known = self.shapes.keys().map(TypeId::as_str).collect::<Vec<_>>().join(", ");
            Rejection::new(Code::UnknownType, format!("there is no type {}{hint}; the types are {known}", shown(ty)))
        })
    }

    /// Every shape, by type.
    pub fn shapes(&self) -> impl Iterator<Item = &Arc<Shape>> {
        self.shapes.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_gets_a_hint() {
        let schema = Schema::ready_made();
        let refused = schema.shape("contact").unwrap().field("emial").unwrap_err();
        assert_eq!(refused.code, Code::UnknownField);
        assert!(refused.message.contains("did you mean email?"), "{}", refused.message);
        assert!(schema.shape("contacts").unwrap_err().message.contains("did you mean contact?"));
    }

    #[test]
    fn an_id_gives_a_label() {
        assert_eq!(["firstName", "opt-in", "email2", "x"].map(label_of), ["First name", "Opt in", "Email2", "X"]);
    }
}
