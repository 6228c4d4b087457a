//! One call: a verb with its path, and what goes with it. Base URL, proof and error handling come from the requester
//! of the file.

use serde_json::{Map, Value, json};

use super::fill::{Blank, Fill};
use super::part::{Describe, described};
use crate::components::Method;
use crate::problem::Problem;
use crate::read::At;

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The verb.
    pub method: Method,
    /// The path after the base URL, or a whole URL.
    pub path: Fill,
    /// The query; a list is several.
    pub parameters: Option<Blank>,
    /// Headers.
    pub headers: Option<Blank>,
    /// A JSON body.
    pub json: Option<Blank>,
    /// A body as a form.
    pub form: Option<Blank>,
    /// The call is left out where this is not true.
    pub when: Option<Fill>,
    /// Whether it may be made twice to the same effect; for what only reads it goes without saying.
    pub is_idempotent: Option<bool>,
    /// Whether no credentials go with it.
    pub is_open: bool,
}

const VERBS: [(&str, Method); 5] = [
    ("get", Method::Get),
    ("post", Method::Post),
    ("put", Method::Put),
    ("patch", Method::Patch),
    ("delete", Method::Delete),
];

impl Call {
    /// The names of its members.
    pub(super) const WORDS: [&'static str; 12] =
        ["get", "post", "put", "patch", "delete", "parameters", "headers", "json", "form", "if", "idempotent", "open"];

    /// Reads the members of a call from a mapping that may have others.
    pub(super) fn read(at: &At<'_>) -> Result<Self, Problem> {
        let said: Vec<(Method, Fill)> = VERBS
            .iter()
            .filter_map(|(word, method)| Some((*method, at.field::<Option<Fill>>(word).transpose()?)))
            .map(|(method, path)| Ok((method, path?)))
            .collect::<Result<_, Problem>>()?;
        let one = <[_; 1]>::try_from(said);
        let [(method, path)] =
            one.map_err(|_other| at.problem("a call is one of get, post, put, patch and delete, with its path"))?;
        Ok(Self {
            method,
            path,
            parameters: at.field("parameters")?,
            headers: at.field("headers")?,
            json: at.field("json")?,
            form: at.field("form")?,
            when: at.field("if")?,
            is_idempotent: at.field("idempotent")?,
            is_open: at.field_or("open", || false)?,
        })
    }

    /// The schemas of its members.
    pub(super) fn members(_own: &[&str]) -> Map<String, Value> {
        let mut members = Map::new();
        for (word, _) in VERBS {
            members
                .insert(word.to_owned(), described(Fill::describe(), "The path after the base URL, or a whole URL."));
        }
        for (word, schema, about) in [
            ("parameters", Blank::describe(), "The query; a list is several."),
            ("headers", Blank::describe(), "Headers."),
            ("json", Blank::describe(), "A JSON body."),
            ("form", Blank::describe(), "A body as a form."),
            ("if", Fill::describe(), "The call is left out where this is not true."),
            ("idempotent", json!({"type": "boolean"}), "Whether it may be made twice to the same effect."),
            ("open", json!({"type": "boolean"}), "Whether no credentials go with it."),
        ] {
            members.insert(word.to_owned(), described(schema, about));
        }
        members
    }
}
