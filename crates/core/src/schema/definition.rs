//! What a business says of a type: a whole type of its own, or what it adds to a ready-made one and changes of it.
//!
//! A definition is checked against the schema that it will be part of, so that a name in it means something. What
//! records hold is not its matter: whoever changes a definition looks at those.

use super::{Field, Schema, Shape};
use crate::change::ChangeKind;
use crate::command::MatchGroup;
use crate::error::{Code, Rejection, shown};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Type ids that mean something else in paths.
pub const RESERVED_TYPES: [&str; 4] = ["subscription", "operation", "business", "management"];

/// Field ids that mean something else in bodies and parameters.
pub const RESERVED_FIELDS: [&str; 10] =
    ["id", "type", "version", "limit", "cursor", "order", "at", "match", "createdAt", "updatedAt"];

/// What a business says of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeDefinition {
    /// Whether the type is the business's own, with no fields but these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_custom: bool,
    /// Its name for people; of a ready-made type, where it has another here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its name for many, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The business's own fields, and ready-made ones of which it has changed something; never their kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Field>,
    /// Match groups beside the ready-made ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_groups: Vec<MatchGroup>,
}

impl TypeDefinition {
    /// Whether it says nothing, so that nothing need be kept of it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        *self == Self::default()
    }

    /// The shape it makes, of itself or of what stands; none where it changes a type that there is no more.
    pub(super) fn lay_over(&self, id: &TypeId, standing: Option<&Shape>) -> Option<Shape> {
        if self.is_custom {
            let label = self.label.clone().unwrap_or_else(|| super::label_of(id.as_str()));
            return Some(Shape {
                id: id.clone(),
                label,
                collection: self.collection.clone().unwrap_or_else(|| id.to_string()),
                fields: self.fields.clone(),
                match_groups: self.match_groups.clone(),
                is_custom: true,
                is_plain: false,
                looked_up: Vec::new(),
            });
        }
        let mut shape = Shape { is_plain: false, ..standing?.clone() };
        for (id, field) in &self.fields {
            let kind = match shape.fields.get(id) {
                Some(standing) if !field.is_custom => standing.kind.clone(),
                None if !field.is_custom => continue,
                _ => field.kind.clone(),
            };
            shape.fields.insert(id.clone(), Field { kind, ..field.clone() });
        }
        shape.label = self.label.clone().unwrap_or(shape.label);
        shape.collection = self.collection.clone().unwrap_or(shape.collection);
        shape.match_groups.extend(self.match_groups.iter().cloned());
        Some(shape)
    }

    /// Checks the definition of a type in the schema that it is part of.
    ///
    /// # Errors
    /// `invalid_id`, `invalid_value`, `unknown_type`, `unknown_field`, `limit_reached`, with a pointer to the member.
    pub fn check(&self, id: &TypeId, schema: &Schema) -> Result<(), Rejection> {
        let shape = schema.shape(id.as_str())?;
        most(shape.fields.len(), limits::FIELDS_MAX, "fields of a type").map_err(|refused| refused.at("/fields"))?;
        let indexed = shape.looked_up().count();
        most(indexed, limits::INDEXED_FIELDS_MAX, "indexed fields of a type")
            .map_err(|refused| refused.at("/fields"))?;
        self.fields.values().try_for_each(|field| check_field(field, schema))?;
        most(shape.match_groups.len(), limits::MATCH_GROUPS_MAX, "match groups of a type")
            .map_err(|refused| refused.at_field("matchGroups"))?;
        self.match_groups
            .iter()
            .try_for_each(|group| check_group(group, shape))
            .map_err(|refused| refused.at_field("matchGroups"))
    }
}

fn most(count: usize, max: usize, what: &str) -> Result<(), Rejection> {
    match count > max {
        true => Err(Rejection::new(Code::LimitReached, format!("that makes {count} {what}; at most {max} are kept"))),
        false => Ok(()),
    }
}

fn invalid(text: String) -> Rejection {
    Rejection::new(Code::InvalidValue, text)
}

/// Checks the id of a type to be made.
///
/// # Errors
/// `invalid_id`.
pub fn check_type_id(id: &str) -> Result<TypeId, Rejection> {
    let parsed = TypeId::parse(id).map_err(|refused| refused.at_field("id"))?;
    if RESERVED_TYPES.contains(&id) {
        let text = format!("{} means something else in paths: give the type another id", shown(id));
        return Err(Rejection::new(Code::InvalidId, text).at_field("id"));
    }
    Ok(parsed)
}

/// Checks the id of a field to be made.
///
/// # Errors
/// `invalid_id`.
pub fn check_field_id(id: &str) -> Result<(), Rejection> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let refuse = |text| Err(Rejection::new(Code::InvalidId, text).at_field("id"));
    if !(1..=64).contains(&id.len()) || !id.chars().all(is_word) {
        return refuse(format!("{} is no field id: it is 1 to 64 letters, digits, '_' or '-'", shown(id)));
    }
    if RESERVED_FIELDS.contains(&id) {
        return refuse(format!(
            "{} means something else in bodies and parameters: give the field another id",
            shown(id)
        ));
    }
    Ok(())
}

fn check_field(field: &Field, schema: &Schema) -> Result<(), Rejection> {
    check_field_id(&field.id)?;
    check_kind(&field.kind, schema).map_err(|refused| refused.at_field("kind"))?;
    let kind = field.kind.name();
    if field.has_whole_index() && field.kind.is_collection() {
        let text = format!("{} is a {kind}, and records are not looked up by one: leave it out of the index", field.id);
        return Err(invalid(text).at_field(if field.is_unique { "unique" } else { "indexed" }));
    }
    if field.is_unique && field.kind == Kind::Datetime {
        let text = format!(
            "{} is an instant, and whether two are equal depends on how precise they are: it cannot be unique",
            field.id
        );
        return Err(invalid(text).at_field("unique"));
    }
    if field.is_searchable && !field.kind.is_text() {
        return Err(invalid(format!("{} is a {kind}, and only text is searched", field.id)).at_field("searchable"));
    }
    field.update_kind.as_deref().map_or(Ok(()), check_update_kind)
}

fn check_update_kind(word: &str) -> Result<(), Rejection> {
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=64).contains(&word.len()) || !word.chars().all(is_legal) {
        let text = format!("{} names no change: give 1 to 64 lower-case letters, digits or '-'", shown(word));
        return Err(invalid(text).at_field("updateKind"));
    }
    if ChangeKind::ALL.iter().any(|kind| kind.as_str() == word) || word == "current" {
        let text = format!("{} is the name of another kind of change: give another", shown(word));
        return Err(invalid(text).at_field("updateKind"));
    }
    Ok(())
}

fn check_kind(kind: &Kind, schema: &Schema) -> Result<(), Rejection> {
    match kind {
        Kind::Reference(ty) => schema.shape(ty.as_str()).map(|_| ()),
        Kind::Enum(words) => {
            most(words.len(), limits::ENUM_WORDS_MAX, "values of one field")?;
            let mut seen = BTreeSet::new();
            for word in words {
                let is_plain = word.trim() == word && !word.is_empty() && !word.chars().any(char::is_control);
                if !is_plain || word.len() > limits::LABEL_BYTES_MAX || !seen.insert(word) {
                    let text = format!(
                        "{} cannot be one of its values: each is 1 to {} bytes of text without blanks around it, and stands once",
                        shown(word),
                        limits::LABEL_BYTES_MAX
                    );
                    return Err(invalid(text));
                }
            }
            match words.is_empty() {
                true => Err(invalid("an enum names its values: give {\"values\": [\"…\"]}".to_owned())),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn check_group(group: &MatchGroup, shape: &Shape) -> Result<(), Rejection> {
    most(group.len(), limits::MATCH_GROUPS_MAX, "fields of a match group")?;
    let distinct: BTreeSet<&String> = group.iter().collect();
    let is_double = |other: &&MatchGroup| other.iter().collect::<BTreeSet<_>>() == distinct;
    if group.is_empty() || distinct.len() < group.len() || shape.match_groups.iter().filter(is_double).count() > 1 {
        let text = format!(
            "{} is no match group: it names each field once, and no other group has the same",
            shown(&group.join(","))
        );
        return Err(invalid(text));
    }
    for id in group {
        let field = shape.field(id)?;
        if field.kind.is_collection() {
            return Err(invalid(format!("{id} is a {}, and records are not recognised by one", field.kind.name())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(field: Field) -> Option<(Code, Option<String>)> {
        let ty = TypeId::parse("contact").unwrap();
        let fields = BTreeMap::from([(field.id.clone(), Field { is_custom: true, ..field })]);
        let definition = TypeDefinition { fields, ..TypeDefinition::default() };
        let schema = Schema::ready_made().with([(&ty, &definition)]);
        definition.check(&ty, &schema).err().map(|refused| (refused.code, refused.pointer))
    }

    #[test]
    fn a_definition_is_laid_over_what_stands() {
        let (contact, visit) = (TypeId::parse("contact").unwrap(), TypeId::parse("visit").unwrap());
        let own = Field { is_custom: true, is_indexed: true, ..Field::new("shoe-size", Kind::Integer) };
        let changed = Field { is_required: true, label: "Mail".to_owned(), ..Field::new("email", Kind::Integer) };
        let stale = Field::new("gone", Kind::String);
        let of = |fields: &[Field]| fields.iter().map(|field| (field.id.clone(), field.clone())).collect();
        let added = TypeDefinition {
            fields: of(&[own.clone(), changed, stale]),
            match_groups: vec![vec!["lastName".to_owned(), "city".to_owned()]],
            ..TypeDefinition::default()
        };
        let whole = TypeDefinition { is_custom: true, fields: of(&[own]), ..TypeDefinition::default() };
        let schema = Schema::ready_made().with([(&contact, &added), (&visit, &whole)]);
        let shape = schema.shape("contact").unwrap();
        let email = shape.field("email").unwrap();
        assert_eq!((&email.kind, email.is_required, email.label.as_str()), (&Kind::Email, true, "Mail"));
        assert!(shape.field("gone").is_err() && shape.field("shoe-size").unwrap().is_custom);
        assert_eq!(shape.match_groups.len(), 4);
        let looked_up: Vec<_> = shape.looked_up().map(|field| field.id.as_str()).collect();
        assert_eq!(looked_up, ["email", "lastName", "phone", "shoe-size"]);
        let visit = schema.shape("visit").unwrap();
        assert_eq!((visit.label.as_str(), visit.collection.as_str(), visit.fields.len()), ("Visit", "visit", 1));
        assert_eq!(Schema::ready_made().shape("contact").unwrap().match_groups.len(), 3, "others see nothing of it");
    }

    #[test]
    fn a_field_that_cannot_be_is_refused_where_it_is_wrong() {
        let enumerated = |words: &[&str]| Kind::Enum(words.iter().map(|&word| word.to_owned()).collect());
        let update = |word: &str| Field { update_kind: Some(word.to_owned()), ..Field::new("x", Kind::String) };
        let indexed = |kind| Field { is_indexed: true, ..Field::new("x", kind) };
        let unique = |kind| Field { is_unique: true, ..Field::new("x", kind) };
        let nowhere = Kind::Reference(TypeId::parse("nowhere").unwrap());
        let table = [
            (Field::new("shoe-size", Kind::Integer), None),
            (Field::new("limit", Kind::Integer), Some((Code::InvalidId, "/id"))),
            (Field::new("créé", Kind::Integer), Some((Code::InvalidId, "/id"))),
            (Field::new("x", enumerated(&[])), Some((Code::InvalidValue, "/kind"))),
            (Field::new("x", enumerated(&["a", "a"])), Some((Code::InvalidValue, "/kind"))),
            (Field::new("x", enumerated(&["a", " b"])), Some((Code::InvalidValue, "/kind"))),
            (Field::new("x", nowhere), Some((Code::UnknownType, "/kind"))),
            (update("assigned"), None),
            (update("Assigned"), Some((Code::InvalidValue, "/updateKind"))),
            (update("updated"), Some((Code::InvalidValue, "/updateKind"))),
            (indexed(Kind::Set), Some((Code::InvalidValue, "/indexed"))),
            (indexed(Kind::Datetime), None),
            (unique(Kind::Datetime), Some((Code::InvalidValue, "/unique"))),
            (unique(Kind::Decimal), None),
            (
                Field { is_searchable: true, ..Field::new("x", Kind::Integer) },
                Some((Code::InvalidValue, "/searchable")),
            ),
        ];
        for (field, expected) in table {
            let expected = expected.map(|(code, pointer)| (code, Some(pointer.to_owned())));
            assert_eq!(checked(field.clone()), expected, "{field:?}");
        }
        assert!(check_type_id("operation").is_err() && check_type_id("visit").is_ok());
    }

    #[test]
    fn a_match_group_names_fields_that_are_there() {
        let ty = TypeId::parse("contact").unwrap();
        let table: [(&[&str], Option<Code>); 5] = [
            (&["lastName", "city"], None),
            (&["lastName", "lastName"], Some(Code::InvalidValue)),
            (&["phone", "email"], Some(Code::InvalidValue)),
            (&["nowhere"], Some(Code::UnknownField)),
            (&["tags"], Some(Code::InvalidValue)),
        ];
        for (group, expected) in table {
            let group: MatchGroup = group.iter().map(|&id| id.to_owned()).collect();
            let definition = TypeDefinition { match_groups: vec![group], ..TypeDefinition::default() };
            let schema = Schema::ready_made().with([(&ty, &definition)]);
            assert_eq!(definition.check(&ty, &schema).err().map(|refused| refused.code), expected);
        }
    }
}
