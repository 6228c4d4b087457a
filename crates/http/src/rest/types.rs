//! `/types`: which types and fields a business has, and its own.

use super::doc::{Doc, PageOf, doc};
use super::{Answer, Asked, ROOT, gone, made, ok};
use crate::Server;
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_engine::control::types;
use lockstep_wire::types::{CreateField, CreateType, FieldView, TypeView, UpdateField, UpdateType};

type OfAll = Asked<String>;
type OfType = Asked<(String, String)>;
type OfField = Asked<(String, String, String)>;

/// What a change of a type may run into.
const OF_CHANGE: [Code; 9] = [
    Code::UnknownType,
    Code::UnknownField,
    Code::IdTaken,
    Code::LimitReached,
    Code::FieldInUse,
    Code::FieldRequired,
    Code::ValueTaken,
    Code::IndexBuilding,
    Code::UnknownMatchGroup,
];

impl OfType {
    fn named(&self) -> (&str, &str) {
        (&self.places.0, &self.places.1)
    }
}

impl OfField {
    fn named_field(&self) -> (&str, &str, &str) {
        (&self.places.0, &self.places.1, &self.places.2)
    }
}

pub(crate) fn list_doc() -> Doc {
    doc("Types", "List types")
        .about("Every type that the caller may read, ready-made and the business's own, with its fields.")
        .gives::<PageOf<TypeView>>(200, "All of them.")
}

pub(crate) async fn list(State(server): State<Server>, asked: OfAll) -> Answer {
    asked.nothing()?;
    asked.page(types::list(&server.world, &asked.principal, &asked.places).await?, None)
}

pub(crate) fn create_doc() -> Doc {
    doc("Types", "Make a type").takes::<CreateType>().gives::<TypeView>(201, "The type.").codes(&OF_CHANGE)
}

pub(crate) async fn create(State(server): State<Server>, asked: OfAll) -> Answer {
    let body = asked.read::<CreateType>()?;
    let created = types::create(&server.world, &asked.principal, &asked.places, body).await?;
    made(&created, &format!("{ROOT}/businesses/{}/types/{}", asked.places, created.id))
}

pub(crate) fn get_doc() -> Doc {
    doc("Types", "Read a type")
        .about(
            "Its shape: fields with their names for people, kinds and whether they can be edited; and the same as \
                JSON Schema 2020-12.",
        )
        .gives::<TypeView>(200, "The type.")
        .codes(&[Code::UnknownType])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfType) -> Answer {
    asked.nothing()?;
    let (business, ty) = asked.named();
    ok(&types::get(&server.world, &asked.principal, business, ty).await?)
}

pub(crate) fn patch_doc() -> Doc {
    doc("Types", "Change a type")
        .takes::<UpdateType>()
        .gives::<TypeView>(200, "The type as it now stands.")
        .codes(&OF_CHANGE)
}

pub(crate) async fn patch(State(server): State<Server>, asked: OfType) -> Answer {
    let body = asked.read::<UpdateType>()?;
    ok(&types::update(&server.world, &asked.principal, asked.named(), body).await?)
}

pub(crate) fn delete_doc() -> Doc {
    doc("Types", "Remove a type")
        .about("One of the business's own that has no records and that no field refers to.")
        .answers(204, "It is gone.")
        .codes(&OF_CHANGE)
}

pub(crate) async fn delete(State(server): State<Server>, asked: OfType) -> Answer {
    asked.nothing()?;
    types::delete(&server.world, &asked.principal, asked.named()).await?;
    gone()
}

pub(crate) fn fields_doc() -> Doc {
    doc("Types", "List a type's fields").gives::<PageOf<FieldView>>(200, "All of them.").codes(&[Code::UnknownType])
}

pub(crate) async fn fields(State(server): State<Server>, asked: OfType) -> Answer {
    asked.nothing()?;
    let (business, ty) = asked.named();
    asked.page(types::get(&server.world, &asked.principal, business, ty).await?.fields, None)
}

pub(crate) fn create_field_doc() -> Doc {
    doc("Types", "Add a field")
        .about("A field of the business's own, on its own types or a ready-made one.")
        .takes::<CreateField>()
        .gives::<FieldView>(201, "The field.")
        .codes(&OF_CHANGE)
}

pub(crate) async fn create_field(State(server): State<Server>, asked: OfType) -> Answer {
    let body = asked.read::<CreateField>()?;
    let field = types::create_field(&server.world, &asked.principal, asked.named(), body).await?;
    let (business, ty) = asked.named();
    made(&field, &format!("{ROOT}/businesses/{business}/types/{ty}/fields/{}", field.id))
}

pub(crate) fn field_doc() -> Doc {
    doc("Types", "Read a field").gives::<FieldView>(200, "The field.").codes(&[Code::UnknownType, Code::NotFound])
}

pub(crate) async fn field(State(server): State<Server>, asked: OfField) -> Answer {
    asked.nothing()?;
    ok(&types::field(&server.world, &asked.principal, asked.named_field()).await?)
}

pub(crate) fn patch_field_doc() -> Doc {
    doc("Types", "Change a field")
        .about(
            "What is made stricter is checked against the records that stand: a field made unique reports the \
                records that share a value, one made required those that lack it, and stays as it was.",
        )
        .takes::<UpdateField>()
        .gives::<FieldView>(200, "The field as it now stands.")
        .codes(&OF_CHANGE)
}

pub(crate) async fn patch_field(State(server): State<Server>, asked: OfField) -> Answer {
    let body = asked.read::<UpdateField>()?;
    ok(&types::update_field(&server.world, &asked.principal, asked.named_field(), body).await?)
}

pub(crate) fn delete_field_doc() -> Doc {
    doc("Types", "Remove a field")
        .about("One of the business's own that no living record has a value of.")
        .answers(204, "It is gone.")
        .codes(&OF_CHANGE)
}

pub(crate) async fn delete_field(State(server): State<Server>, asked: OfField) -> Answer {
    asked.nothing()?;
    types::delete_field(&server.world, &asked.principal, asked.named_field()).await?;
    gone()
}
