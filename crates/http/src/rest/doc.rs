//! What the OpenAPI document says of a call, written beside it.

use crate::answer::status;
use lockstep_core::error::Code;
use lockstep_wire::rest::Page;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What gathers the shapes of bodies, and those of answers: a member that an answer may leave out is not one that a
/// body must have.
pub(crate) struct Shapes {
    pub(crate) of_bodies: SchemaGenerator,
    pub(crate) of_answers: SchemaGenerator,
}

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A page of a list, in the document.
pub(crate) type PageOf<T> = Page<T>;

/// The media type and shape of a body or an answer.
#[derive(Clone, Copy)]
struct Content {
    media: &'static str,
    schema: SchemaOf,
}

/// One call's part of the document.
pub struct Doc {
    group: &'static str,
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Value>,
    body: Option<Content>,
    answers: Vec<(u16, &'static str, Option<Content>)>,
    codes: Vec<Code>,
}

/// Codes that any call with a credential may answer.
const USUAL: [Code; 13] = [
    Code::Unauthenticated,
    Code::InvalidCredentials,
    Code::InvalidParameter,
    Code::InvalidHeader,
    Code::InvalidId,
    Code::Forbidden,
    Code::RateLimited,
    Code::BusinessNotFound,
    Code::MethodNotAllowed,
    Code::Busy,
    Code::ShuttingDown,
    Code::StoreFailed,
    Code::Internal,
];
/// Codes that a call with a body may answer beside them.
const OF_BODIES: [Code; 5] =
    [Code::InvalidJson, Code::SingleQuotes, Code::InvalidBody, Code::InvalidValue, Code::BodyTooLarge];

/// Begins what is said of a call: the group it belongs to, and a sentence.
pub(crate) const fn doc(group: &'static str, summary: &'static str) -> Doc {
    Doc { group, summary, about: "", parameters: Vec::new(), body: None, answers: Vec::new(), codes: Vec::new() }
}

impl Doc {
    /// More about it.
    pub(crate) const fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }

    /// A query parameter with its JSON Schema.
    pub(crate) fn query(self, name: &str, schema: &Value, about: &str) -> Self {
        self.parameter("query", name, schema, about)
    }

    /// Query parameters whose names the caller chooses.
    pub(crate) fn free_query(mut self, name: &str, schema: &Value, about: &str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "schema": schema, "description": about, "style": "form", "explode": true,
        }));
        self
    }

    /// The parameters of a list that comes in pages.
    pub(crate) fn paged(self, most: usize) -> Self {
        self.query("limit", &json!({"type": "integer", "minimum": 1, "maximum": most}), "At most so many.").query(
            "cursor",
            &json!({"type": "string"}),
            "Where to go on, as `next` and the header `Link` of the page before say.",
        )
    }

    /// A header.
    pub(crate) fn header(self, name: &str, schema: &Value, about: &str) -> Self {
        self.parameter("header", name, schema, about)
    }

    fn parameter(mut self, place: &str, name: &str, schema: &Value, about: &str) -> Self {
        self.parameters.push(json!({"name": name, "in": place, "schema": schema, "description": about}));
        self
    }

    /// The headers of a call that changes a record.
    pub(crate) fn writes(self) -> Self {
        self.header(
            "Idempotency-Key",
            &json!({"type": "string", "minLength": 1, "maxLength": 255}),
            "Makes a repeated call have effect once for 24 hours.",
        )
        .header("If-Match", &json!({"type": "string"}), "The version that the record must have, such as `\"3\"`.")
        .codes(&[
            Code::RecordNotFound,
            Code::UnknownType,
            Code::RecordDeleted,
            Code::VersionConflict,
            Code::IdempotencyConflict,
            Code::OutsideGrant,
            Code::UnknownField,
            Code::RecordTooLarge,
            Code::FieldRequired,
            Code::FieldNotEditable,
            Code::ValueTaken,
            Code::LimitReached,
        ])
    }

    /// The body, of this shape.
    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        self.takes_shape(SchemaGenerator::subschema_for::<T>)
    }

    pub(crate) fn takes_shape(mut self, schema: SchemaOf) -> Self {
        self.body = Some(Content { media: "application/json", schema });
        self
    }

    /// An answer without a body.
    pub(crate) fn answers(mut self, status: u16, about: &'static str) -> Self {
        self.answers.push((status, about, None));
        self
    }

    /// An answer of this shape.
    pub(crate) fn gives<T: JsonSchema>(self, status: u16, about: &'static str) -> Self {
        self.gives_as::<T>("application/json", status, about)
    }

    /// An answer of this shape and media type.
    pub(crate) fn gives_as<T: JsonSchema>(mut self, media: &'static str, status: u16, about: &'static str) -> Self {
        self.answers.push((status, about, Some(Content { media, schema: SchemaGenerator::subschema_for::<T> })));
        self
    }

    /// What it may be refused with, beside what any call may.
    pub(crate) fn codes(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// The operation object of OpenAPI 3.1 for a call with these places in its path.
    pub(crate) fn write(&self, id: &str, places: &[&str], shapes: &mut Shapes) -> Value {
        let mut parameters: Vec<Value> = places.iter().map(|place| of_place(place)).collect();
        parameters.extend(self.parameters.iter().cloned());
        let mut answers = Map::new();
        for (status, about, content) in &self.answers {
            let content = content.map_or_else(Map::new, |content| written(content, &mut shapes.of_answers));
            merge(&mut answers, *status, about, content);
        }
        for (status, codes) in self.refusals() {
            let codes: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
            let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
            let content = Map::from_iter([("application/problem+json".to_owned(), problem)]);
            merge(&mut answers, status, &format!("Refused: {}.", codes.join(", ")), content);
        }
        let mut operation = Map::new();
        let mut say = |member: &str, value: Value| drop(operation.insert(member.to_owned(), value));
        say("operationId", id.into());
        say("tags", json!([self.group]));
        say("summary", self.summary.into());
        if !self.about.is_empty() {
            say("description", self.about.into());
        }
        say("parameters", parameters.into());
        if let Some(body) = self.body {
            say("requestBody", json!({"required": true, "content": written(body, &mut shapes.of_bodies)}));
        }
        say("responses", answers.into());
        operation.into()
    }

    fn refusals(&self) -> BTreeMap<u16, Vec<Code>> {
        let mut refusals: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        let of_body: &[Code] = if self.body.is_some() { &OF_BODIES } else { &[Code::BodyTooLarge, Code::InvalidBody] };
        for code in USUAL.iter().chain(of_body).chain(&self.codes) {
            let codes = refusals.entry(status(*code).as_u16()).or_default();
            if !codes.contains(code) {
                codes.push(*code);
            }
        }
        refusals
    }
}

fn written(content: Content, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let schema = (content.schema)(generator);
    Map::from_iter([(content.media.to_owned(), json!({"schema": schema}))])
}

/// Adds an answer. A status may be both an answer and a refusal, with another media type each.
fn merge(answers: &mut Map<String, Value>, status: u16, about: &str, content: Map<String, Value>) {
    let answer = answers.entry(status.to_string()).or_insert_with(|| json!({"description": about}));
    let Some(answer) = answer.as_object_mut().filter(|_| !content.is_empty()) else { return };
    let standing = answer.entry("content").or_insert_with(|| json!({}));
    if let Some(standing) = standing.as_object_mut() {
        standing.extend(content);
    }
}

fn of_place(place: &str) -> Value {
    let about = match place {
        "business" => "The business.",
        "type" => "The type of record, such as `contact`.",
        "field" => "The field.",
        "id" => "The id; of a record also `ext:` and the caller's own external id.",
        _ => "",
    };
    json!({"name": place, "in": "path", "required": true, "schema": {"type": "string"}, "description": about})
}
