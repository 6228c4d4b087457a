//! Types and fields of a business, as they are given and shown, and a type's shape as JSON Schema.

use lockstep_core::command::MatchGroup;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::TypeId;
use lockstep_core::kind::Kind;
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::{Field, Shape, label_of};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

/// A type of a business.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeView {
    /// Its id.
    pub id: TypeId,
    /// Its name for people.
    pub label: String,
    /// Its name for many.
    pub collection: String,
    /// Whether the business made it.
    pub custom: bool,
    /// The groups of fields by which a record is recognised, those with hidden fields left out.
    pub match_groups: Vec<MatchGroup>,
    /// Its fields, those hidden left out.
    pub fields: Vec<FieldView>,
    /// Its records' fields as JSON Schema, where one type is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<Value>,
}

impl TypeView {
    /// The view of a shape, to someone from whom fields may be hidden, given which indexes are being built.
    pub fn of(shape: &Shape, reach: &Reach, is_building: impl Fn(&str) -> bool) -> Self {
        let is_open = |group: &&MatchGroup| !group.iter().any(|field| reach.hides(field));
        Self {
            id: shape.id.clone(),
            label: shape.label.clone(),
            collection: shape.collection.clone(),
            custom: shape.is_custom,
            match_groups: shape.match_groups.iter().filter(is_open).cloned().collect(),
            fields: shape.visible_fields(reach).map(|field| FieldView::of(field, is_building(&field.id))).collect(),
            json_schema: None,
        }
    }
}

/// Whether an index can be used yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IndexState {
    /// It holds every record.
    Ready,
    /// It does not yet.
    Building,
}

/// A field of a type.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// What it holds.
    pub kind: &'static str,
    /// Of an enum: what it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// Of a reference: the type it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<TypeId>,
    /// Whether each record must have a value.
    pub required: bool,
    /// Whether no two living records may have equal values.
    pub unique: bool,
    /// Whether applications may write it.
    pub editable: bool,
    /// Whether its values are kept out of samples, choices and error texts.
    pub sensitive: bool,
    /// Whether records can be searched and sorted by it however many there are.
    pub indexed: bool,
    /// Whether a search of choices looks into it.
    pub searchable: bool,
    /// What a change of it is called, where that is not `FIELD.updated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_kind: Option<String>,
    /// Whether the business made it.
    pub custom: bool,
    /// How its index stands, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexState>,
}

impl FieldView {
    /// The view of a field.
    #[must_use]
    pub fn of(field: &Field, is_building: bool) -> Self {
        let state = if is_building { IndexState::Building } else { IndexState::Ready };
        Self {
            id: field.id.clone(),
            label: field.label.clone(),
            kind: field.kind.name(),
            values: if let Kind::Enum(words) = &field.kind { Some(words.clone()) } else { None },
            to: if let Kind::Reference(to) = &field.kind { Some(to.clone()) } else { None },
            required: field.is_required,
            unique: field.is_unique,
            editable: field.is_editable,
            sensitive: field.is_sensitive,
            indexed: field.has_whole_index(),
            searchable: field.is_searchable,
            update_kind: field.update_kind.clone(),
            custom: field.is_custom,
            index: field.has_whole_index().then_some(state),
        }
    }
}

/// `POST /types`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateType {
    /// Its id.
    pub id: String,
    /// Its name for people; follows from the id where none is given.
    pub label: Option<String>,
    /// Its name for many; the id where none is given.
    pub collection: Option<String>,
    /// Its fields.
    #[serde(default)]
    pub fields: Vec<CreateField>,
    /// Groups of fields by which a record is recognised.
    #[serde(default)]
    pub match_groups: Vec<MatchGroup>,
}

/// `PATCH /types/{t}`. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateType {
    /// A new name for people.
    pub label: Option<String>,
    /// A new name for many.
    pub collection: Option<String>,
    /// The business's own match groups, all of them anew; those of ready-made types stay beside them.
    pub match_groups: Option<Vec<MatchGroup>>,
}

/// `POST /types/{t}/fields`, and a field of a new type.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateField {
    /// Its id.
    pub id: String,
    /// Its name for people; follows from the id where none is given.
    pub label: Option<String>,
    /// What it holds, by name.
    pub kind: String,
    /// Of an enum: what it may be.
    pub values: Option<Vec<String>>,
    /// Of a reference: the type it leads to.
    pub to: Option<TypeId>,
    /// Whether each record must have a value.
    #[serde(default)]
    pub required: bool,
    /// Whether no two living records may have equal values.
    #[serde(default)]
    pub unique: bool,
    /// Whether applications may write it; they may where nothing is said.
    pub editable: Option<bool>,
    /// Whether its values are kept out of samples, choices and error texts.
    #[serde(default)]
    pub sensitive: bool,
    /// Whether records can be searched and sorted by it however many there are.
    #[serde(default)]
    pub indexed: bool,
    /// Whether a search of choices looks into it.
    #[serde(default)]
    pub searchable: bool,
    /// What a change of it is called.
    pub update_kind: Option<String>,
}

impl CreateField {
    /// The field of the business's own that this asks for; what it says is not checked yet.
    ///
    /// # Errors
    /// `invalid_value`, where kind, values and to do not go together.
    pub fn into_field(self) -> Result<Field, Rejection> {
        Ok(Field {
            label: self.label.unwrap_or_else(|| label_of(&self.id)),
            kind: parse_kind(&self.kind, self.values, self.to)?,
            is_required: self.required,
            is_unique: self.unique,
            is_editable: self.editable.unwrap_or(true),
            is_sensitive: self.sensitive,
            // What is unique is found by its index.
            is_indexed: self.indexed || self.unique,
            is_searchable: self.searchable,
            update_kind: self.update_kind,
            is_custom: true,
            id: self.id,
        })
    }
}

/// `PATCH /types/{t}/fields/{f}`. What is left out stays as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateField {
    /// A new name for people.
    pub label: Option<String>,
    /// What it holds; of one's own fields, and only while no record has a value.
    pub kind: Option<String>,
    /// Of an enum: what it may be.
    pub values: Option<Vec<String>>,
    /// Of a reference: the type it leads to.
    pub to: Option<TypeId>,
    /// Whether each record must have a value.
    pub required: Option<bool>,
    /// Whether no two living records may have equal values.
    pub unique: Option<bool>,
    /// Whether applications may write it.
    pub editable: Option<bool>,
    /// Whether its values are kept out of samples, choices and error texts.
    pub sensitive: Option<bool>,
    /// Whether records can be searched and sorted by it however many there are.
    pub indexed: Option<bool>,
    /// Whether a search of choices looks into it.
    pub searchable: Option<bool>,
    /// What a change of it is called; null for `FIELD.updated`.
    #[serde(default, deserialize_with = "said")]
    pub update_kind: Option<Option<String>>,
}

/// Tells null from nothing said.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl UpdateField {
    /// The field with this put into it; what it says is not checked yet.
    ///
    /// # Errors
    /// `invalid_value`, where kind, values and to do not go together.
    pub fn put_into(self, field: &Field) -> Result<Field, Rejection> {
        let is_of_kind = self.kind.is_some() || self.values.is_some() || self.to.is_some();
        let kind = match is_of_kind {
            true => parse_kind(self.kind.as_deref().unwrap_or(field.kind.name()), self.values, self.to)?,
            false => field.kind.clone(),
        };
        let is_unique = self.unique.unwrap_or(field.is_unique);
        Ok(Field {
            id: field.id.clone(),
            label: self.label.unwrap_or_else(|| field.label.clone()),
            kind,
            is_required: self.required.unwrap_or(field.is_required),
            is_unique,
            is_editable: self.editable.unwrap_or(field.is_editable),
            is_sensitive: self.sensitive.unwrap_or(field.is_sensitive),
            is_indexed: self.indexed.unwrap_or(field.is_indexed) || is_unique,
            is_searchable: self.searchable.unwrap_or(field.is_searchable),
            update_kind: self.update_kind.unwrap_or_else(|| field.update_kind.clone()),
            is_custom: field.is_custom,
        })
    }
}

const PLAIN_KINDS: [Kind; 14] = [
    Kind::String,
    Kind::Text,
    Kind::Integer,
    Kind::Decimal,
    Kind::Boolean,
    Kind::Date,
    Kind::Datetime,
    Kind::Email,
    Kind::Phone,
    Kind::Url,
    Kind::List,
    Kind::Set,
    Kind::Object,
    Kind::File,
];

/// A kind by its name, with what an enum and a reference say beside it.
///
/// # Errors
/// `invalid_value`, at `kind`, `values` or `to`.
fn parse_kind(name: &str, values: Option<Vec<String>>, to: Option<TypeId>) -> Result<Kind, Rejection> {
    let refuse = |at: &str, text: String| Err(Rejection::new(Code::InvalidValue, text).at_field(at));
    match (name, values, to) {
        ("enum", Some(words), None) => Ok(Kind::Enum(words)),
        ("enum", None, _) => refuse("values", "an enum names its values: give {\"values\": [\"…\"]}".to_owned()),
        ("reference", None, Some(to)) => Ok(Kind::Reference(to)),
        ("reference", _, None) => refuse("to", "a reference names its type: give {\"to\": \"contact\"}".to_owned()),
        (name, None, None) => match PLAIN_KINDS.into_iter().find(|kind| kind.name() == name) {
            Some(kind) => Ok(kind),
            None => {
                let known: Vec<_> = PLAIN_KINDS.iter().map(Kind::name).collect();
                let text = format!("{} is no kind: kinds are {}, enum, reference", shown(name), known.join(", "));
                refuse("kind", text)
            }
        },
        (name, Some(_), _) => refuse("values", format!("only an enum has values, and {} is none", shown(name))),
        (name, _, Some(_)) => refuse("to", format!("only a reference leads to a type, and {} is none", shown(name))),
    }
}

/// The `fields` of a type's records as JSON Schema 2020-12; hidden fields are left out.
#[must_use]
pub fn json_schema(shape: &Shape, reach: &Reach) -> Value {
    let property = |field: &Field| (field.id.clone(), property(field));
    let properties: Map<String, Value> = shape.visible_fields(reach).map(property).collect();
    let required: Vec<&str> =
        shape.visible_fields(reach).filter(|field| field.is_required).map(|field| field.id.as_str()).collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": shape.label,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Some(members), false) = (schema.as_object_mut(), required.is_empty()) {
        members.insert("required".to_owned(), required.into());
    }
    schema
}

fn property(field: &Field) -> Value {
    let mut property = match &field.kind {
        Kind::String | Kind::Text | Kind::File => json!({"type": "string"}),
        Kind::Integer => json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}),
        Kind::Decimal => json!({"type": ["string", "number"], "pattern": "^-?[0-9]+(\\.[0-9]+)?$"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Datetime => json!({"type": "string", "format": "date-time"}),
        Kind::Email => json!({"type": "string", "format": "email"}),
        Kind::Phone => json!({"type": "string", "pattern": "^\\+?[0-9]{3,15}$"}),
        Kind::Url => json!({"type": "string", "format": "uri"}),
        Kind::Enum(words) => json!({"type": "string", "enum": words}),
        Kind::Reference(to) => json!({"type": "string", "pattern": "^rec_[0-9a-z]{26}$", "x-lockstep-to": to}),
        Kind::List => json!({"type": "array"}),
        Kind::Set => json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        Kind::Object => json!({"type": "object"}),
    };
    if let Some(members) = property.as_object_mut() {
        members.insert("title".to_owned(), field.label.clone().into());
        if !field.is_editable {
            members.insert("readOnly".to_owned(), true.into());
        }
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_core::schema::Schema;

    fn field(body: Value) -> Result<Field, Rejection> {
        serde_json::from_value::<CreateField>(body).unwrap().into_field()
    }

    #[test]
    fn every_kind_is_named_and_read_back() {
        for kind in PLAIN_KINDS {
            assert_eq!(field(json!({"id": "x", "kind": kind.name()})).unwrap().kind, kind);
        }
        let size = field(json!({"id": "size", "kind": "enum", "values": ["S", "L"], "unique": true})).unwrap();
        assert!(size.kind == Kind::Enum(vec!["S".to_owned(), "L".to_owned()]) && size.is_indexed && size.is_custom);
        let table = [
            (json!({"id": "x", "kind": "enum"}), "/values"),
            (json!({"id": "x", "kind": "reference"}), "/to"),
            (json!({"id": "x", "kind": "string", "values": ["a"]}), "/values"),
            (json!({"id": "x", "kind": "number"}), "/kind"),
        ];
        for (body, pointer) in table {
            assert_eq!(field(body).unwrap_err().pointer.as_deref(), Some(pointer));
        }
    }

    #[test]
    fn an_update_changes_what_it_says() {
        let before = field(json!({"id": "size", "kind": "enum", "values": ["S"], "updateKind": "sized"})).unwrap();
        let put = |body: Value| serde_json::from_value::<UpdateField>(body).unwrap().put_into(&before).unwrap();
        assert_eq!(put(json!({})), before);
        assert_eq!(put(json!({"updateKind": null})).update_kind, None);
        assert_eq!(put(json!({"values": ["L"]})).kind, Kind::Enum(vec!["L".to_owned()]));
        assert!(put(json!({"required": true})).is_required);
    }

    #[test]
    fn a_shape_is_told_as_json_schema() {
        let schema = Schema::ready_made();
        let mut shape = (**schema.shape("contact").unwrap()).clone();
        if let Some(field) = shape.fields.get_mut("code") {
            (field.is_required, field.is_editable) = (true, false);
        }
        let told = json_schema(&shape, &Reach::of_grant(None, ["notes".to_owned()].into()));
        assert_eq!(told["required"], json!(["code"]));
        assert_eq!(told["properties"]["code"], json!({"type": "string", "title": "Code", "readOnly": true}));
        assert_eq!(told["properties"]["status"]["enum"], json!(["ACTIVE", "ARCHIVED"]));
        assert!(told["properties"].get("notes").is_none(), "hidden");
    }
}
