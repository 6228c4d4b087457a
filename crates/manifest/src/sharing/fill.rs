//! Texts with holes: `{{ … }}` is an expression of the hub's language. A text that is one hole and nothing else gives
//! the value itself, a list, a number or nothing; any other gives a text. It must not know what names stand for.

use std::fmt;

use lockstep_core::mapping::Path;
use lockstep_expr::{Expr, ExprError};
use serde_json::{Map, Value, json};

use super::part::Describe;
use crate::node::Data;
use crate::problem::Problem;
use crate::read::{At, Read};

/// A text with holes.
#[derive(Clone)]
pub struct Fill {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    Text(String),
    Hole(Expr),
}

/// A tree with holes: the body of a call, its parameters, its headers.
#[derive(Clone, Debug)]
pub enum Blank {
    /// No hole anywhere.
    Fixed(Value),
    /// One text.
    Fill(Fill),
    /// A list.
    List(Vec<Self>),
    /// A mapping, in the order of the file.
    Map(Vec<(Fill, Self)>),
}

/// What to take out of something: a path into it, or a text with holes.
#[derive(Clone, Debug)]
pub enum Pick {
    /// A path; an empty one, or `.`, is the whole.
    Path(Path),
    /// A text with holes.
    Fill(Fill),
}

impl Fill {
    /// Compiles a text.
    ///
    /// # Errors
    /// A hole that is not closed, or whose expression cannot be read.
    pub fn compile(source: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((before, hole)) = rest.split_once("{{") {
            let end = end_of(hole).ok_or("a hole `{{` is not closed with `}}`")?;
            let (inner, after) = hole.split_at(end);
            pieces.extend((!before.is_empty()).then(|| Piece::Text(before.to_owned())));
            pieces.push(Piece::Hole(Expr::compile(inner.trim()).map_err(|error| error.to_string())?));
            rest = after.strip_prefix("}}").unwrap_or(after);
        }
        pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// As it stands in the file.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its value.
    ///
    /// # Errors
    /// Values that do not suit its expressions.
    pub fn value(&self, scope: &Map<String, Value>) -> Result<Value, ExprError> {
        match self.pieces.as_slice() {
            [] => Ok(Value::String(String::new())),
            [Piece::Hole(expr)] => expr.eval(scope),
            _ => self.text(scope).map(Value::String),
        }
    }

    /// Its value as text; nothing is an empty one.
    ///
    /// # Errors
    /// As [`Fill::value`].
    pub fn text(&self, scope: &Map<String, Value>) -> Result<String, ExprError> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Hole(expr) => text.push_str(&plain(&expr.eval(scope)?)),
            }
        }
        Ok(text)
    }

    /// Its value as a path: what fills a hole is one segment, whatever letters it has. A hole at the very beginning is
    /// taken as it is, since base URLs stand there.
    ///
    /// # Errors
    /// As [`Fill::value`], or a segment that would lead elsewhere.
    pub fn path(&self, scope: &Map<String, Value>) -> Result<String, String> {
        let mut path = String::new();
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(plain) => path.push_str(plain),
                Piece::Hole(expr) => {
                    let text = plain(&expr.eval(scope).map_err(|error| error.to_string())?);
                    match (at, text.as_str()) {
                        (0, text) => path.push_str(text),
                        (_, "" | "." | "..") => {
                            return Err(format!("`{}` gives {text:?}, which is no part of a path", expr.source()));
                        }
                        (_, text) => path.push_str(&segment(text)),
                    }
                }
            }
        }
        Ok(path)
    }

    /// Whether its value counts as true.
    ///
    /// # Errors
    /// As [`Fill::value`].
    pub fn is_true(&self, scope: &Map<String, Value>) -> Result<bool, ExprError> {
        match self.pieces.as_slice() {
            [Piece::Hole(expr)] => expr.is_true(scope),
            _ => self.text(scope).map(|text| !text.is_empty()),
        }
    }
}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fill").field(&self.source).finish()
    }
}

impl Blank {
    /// The tree filled in. Entries of a mapping that come to nothing are left out.
    ///
    /// # Errors
    /// As [`Fill::value`].
    pub fn value(&self, scope: &Map<String, Value>) -> Result<Value, ExprError> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Fill(fill) => fill.value(scope)?,
            Self::List(items) => items.iter().map(|item| item.value(scope)).collect::<Result<_, _>>()?,
            Self::Map(entries) => {
                let mut filled = Map::new();
                for (name, inner) in entries {
                    let value = inner.value(scope)?;
                    if !value.is_null() {
                        filled.insert(name.text(scope)?, value);
                    }
                }
                Value::Object(filled)
            }
        })
    }
}

impl Pick {
    /// What it takes; nothing where nothing stands there.
    ///
    /// # Errors
    /// As [`Fill::value`].
    pub fn value(&self, from: &Value, scope: &Map<String, Value>) -> Result<Value, ExprError> {
        match self {
            Self::Path(path) => Ok(path.get(from).cloned().unwrap_or_default()),
            Self::Fill(fill) => fill.value(scope),
        }
    }

    /// The same as text; nothing where there is none.
    ///
    /// # Errors
    /// As [`Fill::value`].
    pub fn text(&self, from: &Value, scope: &Map<String, Value>) -> Result<Option<String>, ExprError> {
        let text = plain(&self.value(from, scope)?);
        Ok((!text.is_empty()).then_some(text))
    }
}

/// A value as text: nothing as an empty one, all that is no text as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*,;=:@".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

/// Where the hole ends whose inside begins here: braces and quotes inside it are its own.
fn end_of(hole: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut letters = hole.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') if letters.peek().is_some_and(|(_, next)| *next == '}') => return Some(at),
            (None, _) => {}
        }
    }
    None
}

fn source(at: &At<'_>) -> Result<String, Problem> {
    match &at.node.data {
        Data::Text(text) => Ok(text.clone()),
        Data::Number(number) => Ok(number.to_string()),
        Data::Bool(is_set) => Ok(is_set.to_string()),
        _ => Err(at.expected("a text")),
    }
}

fn compiled(at: &At<'_>, source: &str) -> Result<Fill, Problem> {
    Fill::compile(source).map_err(|error| at.problem(format!("the text {source:?}: {error}")))
}

impl Read for Fill {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        compiled(at, &source(at)?)
    }
}

impl Read for Blank {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::Text(_) => Fill::read(at).map(Self::Fill),
            Data::List(items) => {
                let items = items.iter().enumerate().map(|(index, item)| Self::read(&at.item(index, item)));
                items.collect::<Result<_, _>>().map(Self::List)
            }
            Data::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| {
                    let inner = at.entry(key, node);
                    Ok((compiled(&inner, key)?, Self::read(&inner)?))
                });
                entries.collect::<Result<_, Problem>>().map(Self::Map)
            }
            _ => Ok(Self::Fixed(at.node.to_json())),
        }
    }
}

impl Read for Pick {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let text = source(at)?;
        if text.contains("{{") {
            return compiled(at, &text).map(Self::Fill);
        }
        Ok(Self::Path(Path::parse(if text == "." { "" } else { &text })))
    }
}

impl Describe for Fill {
    fn describe() -> Value {
        json!({"type": ["string", "number", "boolean"], "description": "A text; `{{ … }}` in it is an expression."})
    }
}

impl Describe for Blank {
    fn describe() -> Value {
        json!({"description": "Any value; `{{ … }}` in its texts are expressions."})
    }
}

impl Describe for Pick {
    fn describe() -> Value {
        json!({"type": "string", "description": "A path with dots, or a text with `{{ … }}`."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Map<String, Value> {
        let Value::Object(scope) = json!({"id": "7", "object": {"tags": ["a", "b"], "n": 2}, "c": {"x}}": 1}}) else {
            unreachable!()
        };
        scope
    }

    #[test]
    fn what_fills_a_path_stays_one_segment() {
        let mut scope = scope();
        let path = Fill::compile("/contacts/{{ id }}/tags").unwrap();
        assert_eq!(path.path(&scope).unwrap(), "/contacts/7/tags");
        scope.insert("id".to_owned(), json!("../a b?x#ü"));
        assert_eq!(path.path(&scope).unwrap(), "/contacts/..%2Fa%20b%3Fx%23%C3%BC/tags");
        for odd in ["..", ".", ""] {
            scope.insert("id".to_owned(), json!(odd));
            assert!(path.path(&scope).is_err(), "{odd}");
        }
        assert_eq!(Fill::compile("{{ base }}/x").unwrap().path(&scope).unwrap(), "/x");
    }

    #[test]
    fn one_hole_is_a_value_and_several_are_a_text() {
        for (text, expected) in [
            ("{{ object.tags }}", json!(["a", "b"])),
            ("{{ object.n + 1 }}", json!(3)),
            ("{{ missing.thing }}", Value::Null),
            ("/contacts/{{ id }}", json!("/contacts/7")),
            ("{{ id }}-{{ object.n }}{{ missing }}", json!("7-2")),
            ("{{ c['x}}'] }}", json!(1)),
            ("{{ '}}' ~ id }}", json!("}}7")),
            ("plain", json!("plain")),
            ("", json!("")),
        ] {
            assert_eq!(Fill::compile(text).unwrap().value(&scope()).unwrap(), expected, "{text}");
        }
        assert!(Fill::compile("{{ id").is_err());
        assert!(Fill::compile("{{ id + }}").is_err());
    }
}
