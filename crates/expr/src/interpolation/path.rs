//! Templates so plain that no engine is needed: `{{ record['a'] }}`, `{{ config.credentials.key }}`.
//!
//! Most templates of most manifests are of this kind. Its answers must be those of the engine; a test in `template.rs`
//! compares the two. It must not know methods: a name that a dict answers as a method is left to the engine.

use serde_json::Value;

use super::scope::Scope;
use crate::token::{self, KEYWORDS, Kind, Token};

/// A name and the keys below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) name: String,
    keys: Vec<String>,
}

impl Path {
    /// Recognises a plain path in the source of a template; `None` sends it to the engine.
    pub(super) fn recognise(source: &str) -> Option<Self> {
        let source = source.strip_suffix('\n').unwrap_or(source);
        let inner = source.strip_prefix("{{")?.strip_suffix("}}")?;
        let tokens = token::split(inner).ok()?;
        let (first, mut rest) = tokens.split_first()?;
        if first.kind != Kind::Name || KEYWORDS.contains(&first.text) || super::macros::NAMES.contains(&first.text) {
            return None;
        }
        let mut keys = Vec::new();
        while let Some((key, beyond)) = step(rest) {
            keys.push(key.to_owned());
            rest = beyond;
        }
        rest.is_empty().then(|| Self { name: first.text.to_owned(), keys })
    }

    /// The value the path leads to; `None` when it leads nowhere or the name is not bound.
    pub(super) fn find<'v>(&self, scope: &'v Scope) -> Option<&'v Value> {
        scope.load(&self.name)?.find(&self.keys)
    }
}

/// `.name` or `['name']`, and what follows.
fn step<'t, 's>(tokens: &'t [Token<'s>]) -> Option<(&'s str, &'t [Token<'s>])> {
    match tokens {
        [dot, name, rest @ ..] if dot.is_mark(".") && name.kind == Kind::Name => Some((name.text, rest)),
        [open, name, close, rest @ ..] if open.is_mark("[") && close.is_mark("]") => Some((name.plain_text()?, rest)),
        _ => None,
    }
}
