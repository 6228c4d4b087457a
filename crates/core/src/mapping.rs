//! Mapping: which field of a record stands where in a remote object, and how its value is written there.
//!
//! A mapping is a setting. Its JSON form is what stands under `fields:` in a connector's `lockstep.yaml` and in a
//! share: by hub field a remote path, or an object of what there is to say of it ([`Entry`]). A key that begins with
//! `@` is a place at the platform that no field feeds alone; its value is worked out by `out`.
//!
//! [`Mapping::parse`] reads, [`Mapping::compile`] checks it against a type's shape, and [`Compiled`] carries it out. It
//! must not know any platform: what an object looks like on the wire beyond its tree of values is the connector's.

mod codec;
mod compiled;
mod form;
mod path;
mod read;

pub use codec::Codec;
pub use compiled::{Compiled, Inward, Outward};
pub use form::{Case, Form, Unit};
pub use path::Path;

use crate::error::Rejection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Begins the key of an entry for a remote place that no field stands for.
pub const REMOTE_ONLY: char = '@';

/// How the fields of a type and the values of a remote object follow from each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Mapping {
    /// By hub field, or by `@` and a remote path.
    pub entries: BTreeMap<String, Entry>,
}

/// One field and one place. All but the place may be left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The remote place: names with dots between.
    pub path: Option<Path>,
    /// `in`: an expression for the field's value; sees `object` and the `value` at the path. Without a path it must give
    /// null where the object does not say what it needs: null then is "not said".
    pub inward: Option<String>,
    /// `out`: an expression for the remote value; sees `record` and the `value` of the field.
    pub outward: Option<String>,
    /// `only`: the one direction it holds in.
    pub only: Option<Way>,
    /// `codec`: how the value is written there, the outermost first.
    pub codecs: Vec<Codec>,
    /// `set: merge`: members that are there and not here stay; only missing ones are added.
    pub is_merged: bool,
    /// `create_only`: sent with a new object and never again.
    pub is_create_only: bool,
    /// `default`: what is sent where the record has no value.
    pub default: Value,
    /// `cleared`: what is sent to clear the place, where that is not null.
    pub cleared: Value,
    /// `reference`: the remote object whose id stands there.
    pub reference: Option<String>,
    /// What the platform can hold of a value.
    pub form: Form,
}

/// A direction, seen from the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the platform to the hub.
    In,
    /// From the hub to the platform.
    Out,
}

impl Mapping {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with a pointer into the form.
    pub fn parse(value: &Value) -> Result<Self, Vec<Rejection>> {
        read::mapping(value)
    }

    /// The JSON form.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let entries = self.entries.iter().map(|(key, entry)| (key.clone(), entry.to_value(key)));
        Value::Object(entries.collect())
    }
}

impl Entry {
    /// A field that stands at a path as it is.
    #[must_use]
    pub fn at(path: Path) -> Self {
        Self { path: Some(path), ..Self::default() }
    }

    fn to_value(&self, key: &str) -> Value {
        let mut said = Map::new();
        let implied = key.strip_prefix(REMOTE_ONLY).map(Path::parse);
        if let Some(path) = self.path.as_ref().filter(|path| implied.as_ref() != Some(*path)) {
            said.insert("path".to_owned(), path.to_string().into());
        }
        let texts = [("in", &self.inward), ("out", &self.outward), ("reference", &self.reference)];
        said.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into()))));
        if let Some(way) = self.only {
            said.insert("only".to_owned(), if way == Way::In { "in" } else { "out" }.into());
        }
        match self.codecs.as_slice() {
            [] => {}
            [one] => drop(said.insert("codec".to_owned(), one.to_value())),
            several => drop(said.insert("codec".to_owned(), several.iter().map(Codec::to_value).collect())),
        }
        if self.is_merged {
            said.insert("set".to_owned(), "merge".into());
        }
        if self.is_create_only {
            said.insert("create_only".to_owned(), true.into());
        }
        let values = [("default", &self.default), ("cleared", &self.cleared)];
        let given = values.into_iter().filter(|(_, value)| !value.is_null());
        said.extend(given.map(|(name, value)| (name.to_owned(), value.clone())));
        self.form.tell(&mut said);
        match (said.len(), &self.path) {
            (1, Some(path)) if said.contains_key("path") => path.to_string().into(),
            _ => Value::Object(said),
        }
    }
}

impl TryFrom<Value> for Mapping {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Self::parse(&value).map_err(|wrong| wrong.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))
    }
}

impl From<Mapping> for Value {
    fn from(mapping: Mapping) -> Self {
        mapping.to_value()
    }
}
