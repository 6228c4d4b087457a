//! Which fields an expression reads, known before it runs.
//!
//! Conditions that name hidden fields are refused by these names, and the scope shown
//! to the engine is cut down to them. That second half makes the first safe: a name
//! this scan did not see is a name the engine cannot read. It must not look at values.

use std::collections::BTreeSet;

use crate::token::{KEYWORDS, Kind, Token};

/// The whole scope under one name, for names that are not identifiers: `fields['opt-in']`.
pub(crate) const FIELDS: &str = "fields";

/// Functions of the dialect; a call of one is not the reading of a field.
const FUNCTIONS: [&str; 2] = ["range", "dict"];

/// What an expression reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Read directly: `email`.
    pub(crate) top: BTreeSet<String>,
    /// Read through `fields`: `fields.email`, `fields['email']`.
    pub(crate) in_fields: BTreeSet<String>,
    /// Whether `fields` is used in a way that may read anything: `fields[x]`, `fields|items`.
    pub(crate) is_open: bool,
}

impl Names {
    /// One set for the caller; the word `fields` in it means "may read anything".
    pub(crate) fn all(&self) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = self.top.union(&self.in_fields).cloned().collect();
        if self.is_open {
            all.insert(FIELDS.to_owned());
        }
        all
    }
}

/// Collects the names that `tokens` read.
pub(crate) fn collect(tokens: &[Token<'_>]) -> Names {
    let mut names = Names::default();
    for (at, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Name || !is_read(tokens, at) {
            continue;
        }
        if token.text != FIELDS {
            names.top.insert(token.text.to_owned());
        } else if let Some(name) = constant_field(tokens, at) {
            names.in_fields.insert(name.to_owned());
        } else {
            names.is_open = true;
        }
    }
    names
}

/// Whether the name at `at` is read, rather than being a keyword, the attribute of
/// something, a filter, a test, a function or the label of an argument.
fn is_read(tokens: &[Token<'_>], at: usize) -> bool {
    let Some(token) = tokens.get(at) else {
        return false;
    };
    if KEYWORDS.contains(&token.text) || follows_is(tokens, at) {
        return false;
    }
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    let after = tokens.get(at + 1);
    let is_part = before.is_some_and(|t| t.is_mark(".") || t.is_mark("|"));
    let is_label = after.is_some_and(|t| t.is_mark("="));
    let is_call = after.is_some_and(|t| t.is_mark("(")) && FUNCTIONS.contains(&token.text);
    !(is_part || is_label || is_call)
}

/// Whether the token at `at` stands where a test is named: after `is` or `is not`.
pub(crate) fn follows_is(tokens: &[Token<'_>], at: usize) -> bool {
    let word =
        |back: usize, word: &str| at.checked_sub(back).and_then(|i| tokens.get(i)).is_some_and(|t| t.is_word(word));
    word(1, "is") || (word(1, "not") && word(2, "is"))
}

/// The constant name read through `fields` at `at`, if it is one.
fn constant_field<'s>(tokens: &[Token<'s>], at: usize) -> Option<&'s str> {
    match tokens.get(at + 1..)? {
        [dot, name, rest @ ..] if dot.is_mark(".") && name.kind == Kind::Name => {
            let is_method = rest.first().is_some_and(|t| t.is_mark("("));
            (!is_method).then_some(name.text)
        }
        [open, name, close, ..] if open.is_mark("[") && close.is_mark("]") => name.plain_text(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::split;

    fn names(source: &str) -> String {
        let all = collect(&split(source).unwrap()).all();
        all.into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_those_that_are_read() {
        assert_eq!(names("a.b.c and d[e] > 1"), "a d e");
        assert_eq!(names("email[0:3]|upper is in codes"), "codes email");
        assert_eq!(names("x is not none and y is defined"), "x y");
        assert_eq!(names("items|map(attribute='name')|join(sep)"), "items sep");
        assert_eq!(names("range(3)|list + dict(a=b)|list"), "b");
        assert_eq!(names("'quoted name' ~ true"), "");
    }

    #[test]
    fn fields_is_seen_through_when_the_name_is_constant() {
        assert_eq!(names("fields.email"), "email");
        assert_eq!(names("fields['opt-in'] == 'yes'"), "opt-in");
        assert_eq!(names("fields['a'].b.fields"), "a");
    }

    #[test]
    fn fields_itself_is_named_when_anything_may_be_read() {
        assert_eq!(names("fields[name]"), "fields name");
        assert_eq!(names("fields|items"), "fields");
        assert_eq!(names("fields.items()"), "fields");
        assert_eq!(names("fields['a' ~ b]"), "b fields");
        assert_eq!(names("'a' in fields"), "fields");
        assert_eq!(names(r"fields['\x61']"), "fields");
    }
}
