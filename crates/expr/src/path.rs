//! Expressions so plain that no engine is needed: `a.b.c` and `a.b == 'text'`.
//!
//! Most mappings and many conditions are of this kind, and a look-up in the record
//! costs a hundredth of an evaluation. Its answers must be those of the engine; a test
//! in `expr.rs` compares the two.

use serde_json::{Map, Value};

use crate::names::FIELDS;
use crate::token::{KEYWORDS, Kind, Token};

/// A plain path, compared with a text or not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Names from the scope inwards; never empty.
    steps: Vec<String>,
    /// The text on the right and whether `==` (or else `!=`) is asked.
    compared: Option<(String, bool)>,
}

impl Plain {
    /// Recognises a plain expression; `None` sends it to the engine.
    pub(crate) fn recognise(tokens: &[Token<'_>]) -> Option<Self> {
        let (path, compared) = match tokens {
            [path @ .., mark, text] if mark.is_mark("==") || mark.is_mark("!=") => {
                (path, Some((text.plain_text()?.to_owned(), mark.is_mark("=="))))
            }
            path => (path, None),
        };
        Some(Self { steps: steps(path)?, compared })
    }

    /// The value in this scope; null when missing.
    pub(crate) fn eval(&self, scope: &Map<String, Value>) -> Value {
        match &self.compared {
            None => self.find(scope).cloned().unwrap_or_default(),
            Some((text, is_equality)) => Value::Bool(self.holds(scope, text) == *is_equality),
        }
    }

    /// Whether the value counts as true in this scope; makes no copy.
    pub(crate) fn is_true(&self, scope: &Map<String, Value>) -> bool {
        match &self.compared {
            None => self.find(scope).is_some_and(is_truthy),
            Some((text, is_equality)) => self.holds(scope, text) == *is_equality,
        }
    }

    fn holds(&self, scope: &Map<String, Value>, text: &str) -> bool {
        self.find(scope).and_then(Value::as_str) == Some(text)
    }

    fn find<'v>(&self, scope: &'v Map<String, Value>) -> Option<&'v Value> {
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(scope.get(first)?, |value, step| value.as_object()?.get(step))
    }
}

/// Reads `a.b.c`, `fields.a` or `fields['a'].b`.
fn steps(tokens: &[Token<'_>]) -> Option<Vec<String>> {
    let (first, mut rest) = tokens.split_first()?;
    if first.kind != Kind::Name || KEYWORDS.contains(&first.text) {
        return None;
    }
    let mut steps = Vec::new();
    if first.text != FIELDS {
        steps.push(first.text.to_owned());
    } else if let [open, name, close, beyond @ ..] = rest
        && open.is_mark("[")
        && close.is_mark("]")
    {
        steps.push(name.plain_text()?.to_owned());
        rest = beyond;
    }
    while let [dot, name, beyond @ ..] = rest {
        if !dot.is_mark(".") || name.kind != Kind::Name {
            return None;
        }
        steps.push(name.text.to_owned());
        rest = beyond;
    }
    (rest.is_empty() && !steps.is_empty()).then_some(steps)
}

/// Whether a JSON value counts as true: not null, false, zero or empty.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_set) => *is_set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::split;

    #[test]
    fn only_plain_expressions_are_recognised() {
        let is_plain = |source: &str| Plain::recognise(&split(source).unwrap()).is_some();
        for source in ["a", "a.b.c", "fields['opt-in']", "fields['a'].b", "a.b == 'x'", "a != \"x\""] {
            assert!(is_plain(source), "{source}");
        }
        for source in ["fields", "a[0]", "a.0", "true", "a == b", "'x' == a", "a|lower", "a()", "", "a b"] {
            assert!(!is_plain(source), "{source}");
        }
    }
}
