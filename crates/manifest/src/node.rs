//! A manifest as a tree that knows its lines, before it is known what anything means.
//! Keys keep their order. It must not interpret: `resolve`, `propagate` and `read` do.

use serde_json::{Map, Number, Value};

/// One value of the file, with the line where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// From 1; of a value that came by reference, the line of what was referred to.
    pub line: usize,
    /// What it holds.
    pub data: Data,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(Number),
    /// Any text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The entry of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Data::Map(entries) = &self.data else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let Data::Text(text) = &self.data else { return None };
        Some(text)
    }

    /// Whether the entry would count as missing in a component: no value, or an empty one.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.data {
            Data::Null => true,
            Data::Bool(is_set) => !is_set,
            Data::Number(number) => number.as_f64() == Some(0.0),
            Data::Text(text) => text.is_empty(),
            Data::List(items) => items.is_empty(),
            Data::Map(entries) => entries.is_empty(),
        }
    }

    /// Sets an entry of a mapping, in its place or at the end.
    pub(crate) fn set(&mut self, key: &str, value: Self) {
        let Data::Map(entries) = &mut self.data else { return };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, node)) => *node = value,
            None => entries.push((key.to_owned(), value)),
        }
    }

    /// Takes an entry out of a mapping.
    pub(crate) fn take(&mut self, key: &str) -> Option<Self> {
        let Data::Map(entries) = &mut self.data else { return None };
        let at = entries.iter().position(|(name, _)| name == key)?;
        Some(entries.remove(at).1)
    }

    /// What kind of value it is, with an article, for a message.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// The same as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(is_set) => Value::Bool(*is_set),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// A tree of JSON, all of it at one line.
    #[must_use]
    pub fn from_json(value: &Value, line: usize) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(is_set) => Data::Bool(*is_set),
            Value::Number(number) => Data::Number(number.clone()),
            Value::String(text) => Data::Text(text.clone()),
            Value::Array(items) => Data::List(items.iter().map(|item| Self::from_json(item, line)).collect()),
            Value::Object(fields) => {
                Data::Map(fields.iter().map(|(key, value)| (key.clone(), Self::from_json(value, line))).collect())
            }
        };
        Self { line, data }
    }
}
