//! Places in a remote object: names with dots between. It must not know what stands there.

use serde_json::{Map, Value};
use std::fmt;

/// A place in a tree: `fields.city`; a dot that belongs to a name is written `\.`. A number is an index where it meets
/// a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<String>);

impl Path {
    /// Reads a path. An empty text is the object itself.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut names = Vec::new();
        let mut name = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => name.extend(letters.next()),
                '.' => names.push(std::mem::take(&mut name)),
                letter => name.push(letter),
            }
        }
        if !text.is_empty() {
            names.push(name);
        }
        Self(names)
    }

    /// The names from the outside inwards.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The innermost name; empty for the object itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// What stands there.
    #[must_use]
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |at, name| match at {
            Value::Object(members) => members.get(name),
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Puts a value there; what is missing on the way is made.
    pub fn set(&self, value: &mut Value, new: Value) {
        let mut at = value;
        for name in &self.0 {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(members) = at else { return };
            at = members.entry(name.as_str()).or_insert(Value::Null);
        }
        *at = new;
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{}", name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_is_read_written_and_followed() {
        for text in ["", "email", "a.b.c", "fields.one\\.two", "a\\\\b"] {
            assert_eq!(Path::parse(text).to_string(), text);
        }
        let mut tree = json!({"a": {"b": [{"c": 1}]}});
        assert_eq!(Path::parse("a.b.0.c").get(&tree), Some(&json!(1)));
        assert_eq!(Path::parse("a.x.y").get(&tree), None);
        Path::parse("a.x\\.y.z").set(&mut tree, json!(2));
        assert_eq!(tree["a"]["x.y"]["z"], 2);
    }
}
