//! The registry of profile properties. It must not hold values.

use super::answers::{error, page};
use crate::platforms::{Answer, Call};
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many are on a page when nobody says.
const COUNT_DEFAULT: usize = 20;

/// What becomes of a property when two profiles become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    Both,
    Sum,
    Highest,
    Lowest,
    Latest,
    Oldest,
    KeepCurrent,
}

/// A property of profiles.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its definition, in the API's words.
    definition: Value,
    /// Whether it belongs to a plugin and cannot be changed by REST.
    is_of_plugin: bool,
}

impl Property {
    /// A property with an id, a filter type (`SELECT`, `EMAIL`, `DATETIME`, …), and whether it identifies.
    #[must_use]
    pub fn new(id: &str, filter_type: &str, is_indexed: bool) -> Self {
        let definition = json!({
            "id": id,
            "name": id,
            "description": "",
            "filterType": filter_type,
            "indexed": is_indexed,
            "mergeStrategy": if is_indexed { "BOTH" } else { "LATEST" },
            "permissionLevel": "PERSONAL",
            "dataSensitivity": if is_indexed { "PII" } else { "NON_PII" },
            "tags": [],
            "canRead": true,
            "canWrite": true,
        });
        Self { definition, is_of_plugin: false }
    }

    fn is(&self, flag: &str) -> bool {
        self.definition[flag].as_bool().unwrap_or(false)
    }

    fn of_plugin(id: &str) -> Self {
        let mut property = Self { is_of_plugin: true, ..Self::new(id, "DATETIME", false) };
        property.definition["canWrite"] = Value::Bool(false);
        property.definition["mergeStrategy"] = Value::from("SYSTEM_DEFINED");
        property
    }
}

pub(super) struct Registry(BTreeMap<String, Property>);

impl Registry {
    /// What every tenant has, and what a club adds.
    pub(super) fn new() -> Self {
        let mut registry = Self(BTreeMap::new());
        for id in ["creationdate", "lastmodifieddate"] {
            registry.insert(Property::of_plugin(id));
        }
        for (id, filter_type, is_indexed) in [
            ("email", "EMAIL", true),
            ("member_no", "SELECT", true),
            ("firstname", "SELECT", false),
            ("lastname", "SELECT", false),
            ("city", "SELECT", false),
            ("interests", "SELECT", false),
            ("visits", "RANGE", false),
        ] {
            registry.insert(Property::new(id, filter_type, is_indexed));
        }
        for (id, strategy) in [("interests", "BOTH"), ("visits", "SUM")] {
            if let Some(property) = registry.0.get_mut(id) {
                property.definition["mergeStrategy"] = Value::from(strategy);
            }
        }
        registry
    }

    pub(super) fn insert(&mut self, property: Property) {
        let id = property.definition["id"].as_str().unwrap_or_default().to_owned();
        self.0.insert(id, property);
    }

    pub(super) fn is_indexed(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|property| property.is("indexed"))
    }

    pub(super) fn is_known(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn is_writable(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|property| property.is("canWrite"))
    }

    pub(super) fn merge_strategy(&self, id: &str) -> Merge {
        match self.0.get(id).and_then(|property| property.definition["mergeStrategy"].as_str()) {
            Some("BOTH") => Merge::Both,
            Some("SUM") => Merge::Sum,
            Some("HIGHEST") => Merge::Highest,
            Some("LOWEST") => Merge::Lowest,
            Some("OLDEST") => Merge::Oldest,
            Some("KEEP_CURRENT") => Merge::KeepCurrent,
            _ => Merge::Latest,
        }
    }

    pub(super) fn list(&self, call: &Call) -> Answer {
        let wanted = call.query("filterType");
        let shown = self.0.values().map(|property| &property.definition);
        let shown =
            shown.filter(|definition| wanted.as_deref().is_none_or(|wanted| definition["filterType"] == wanted));
        page(call, "profileProperties", &shown.cloned().collect::<Vec<_>>(), COUNT_DEFAULT)
    }

    pub(super) fn get(&self, id: &str) -> Answer {
        match self.0.get(id) {
            Some(property) => Answer::json(StatusCode::OK, &property.definition),
            None => error(StatusCode::NOT_FOUND, "the profile property doesn't exist"),
        }
    }

    pub(super) fn put(&mut self, id: &str, call: &Call) -> Answer {
        if self.0.get(id).is_some_and(|property| property.is_of_plugin) {
            return error(StatusCode::BAD_REQUEST, "a property of a plugin cannot be changed");
        }
        let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let Some(Value::Object(told)) = call.json().filter(|_| is_id) else {
            return error(StatusCode::BAD_REQUEST, "an id has letters, digits, - and _; a property is an object");
        };
        let mut property = self.0.get(id).cloned().unwrap_or_else(|| Property::new(id, "SELECT", false));
        for (key, value) in told.into_iter().filter(|(key, _)| key != "id") {
            property.definition[key] = value;
        }
        let answer = Answer::json(StatusCode::OK, &property.definition);
        self.insert(property);
        answer
    }

    pub(super) fn delete(&mut self, id: &str) -> Answer {
        match self.0.get(id) {
            None => error(StatusCode::NOT_FOUND, "the profile property doesn't exist"),
            Some(property) if property.is_of_plugin => {
                error(StatusCode::BAD_REQUEST, "a property of a plugin cannot be deleted")
            }
            Some(_) => {
                self.0.remove(id);
                Answer::empty(StatusCode::NO_CONTENT)
            }
        }
    }
}
