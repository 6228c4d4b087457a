//! Reading a rendered text back as a Python literal, as the reference does after every rendering.
//!
//! This is where `"123"` becomes a number and `"['a']"` a list. The grammar is that of Python's `ast.literal_eval`:
//! constants, signs before numbers, lists, tuples, sets, dicts, adjacent texts, comments and blanks. What JSON cannot
//! hold is no literal here and stays text: complex numbers, bytes, integers beyond 64 bits, infinities, `...`.
//! It must not evaluate: no names, no operators, no calls.

use std::iter;

use serde_json::{Map, Number, Value};

use super::python;
use crate::bounds::NESTING_MAX;

/// Reads a Python literal; `None` when the text is not one, or one that JSON has no place for.
#[must_use]
pub fn literal(text: &str) -> Option<Value> {
    let text = text.trim_start_matches([' ', '\t']);
    if !text.starts_with(may_begin) {
        return None;
    }
    let body = text.trim_start_matches('\n');
    if body.len() < text.len() && body.starts_with([' ', '\t']) {
        return None;
    }
    let mut reader = Reader { rest: body, depth: 0 };
    let value = reader.top()?;
    reader.blanks(true);
    reader.rest.is_empty().then_some(value)
}

/// Whether a literal can begin so: it spares most texts the reading.
fn may_begin(first: char) -> bool {
    first.is_ascii_digit() || "+-.'\"([{NTFrRuU\n#s".contains(first)
}

struct Reader<'t> {
    rest: &'t str,
    /// Brackets that are open.
    depth: usize,
}

impl<'t> Reader<'t> {
    /// Skips blanks, comments and, inside brackets or at the end, line breaks.
    fn blanks(&mut self, over_lines: bool) {
        loop {
            let is_blank = |c: char| matches!(c, ' ' | '\t' | '\x0c') || (over_lines && matches!(c, '\n' | '\r'));
            self.rest = self.rest.trim_start_matches(is_blank);
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.trim_start_matches(|c| c != '\n'),
                None => return,
            }
        }
    }

    fn skip(&mut self) {
        self.blanks(self.depth > 0);
    }

    fn take(&mut self, mark: char) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A value, or several with commas between them, which are a tuple without its brackets.
    fn top(&mut self) -> Option<Value> {
        let first = self.value()?;
        if !self.take(',') {
            return Some(first);
        }
        let mut items = vec![first];
        loop {
            self.skip();
            if self.rest.is_empty() || self.rest.starts_with('\n') {
                return Some(Value::Array(items));
            }
            items.push(self.value()?);
            if !self.take(',') {
                return Some(Value::Array(items));
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.skip();
        match self.rest.chars().next()? {
            '[' => self.inside('[', |reader| reader.items(']').map(|(items, _)| Value::Array(items))),
            '(' => self.inside('(', Self::tuple),
            '{' => self.inside('{', Self::braces),
            '+' | '-' => self.signed(),
            first if first.is_ascii_digit() || first == '.' => Some(Value::Number(self.number(false)?)),
            _ => self.word(),
        }
    }

    fn inside(&mut self, open: char, read: impl FnOnce(&mut Self) -> Option<Value>) -> Option<Value> {
        self.rest = self.rest.strip_prefix(open)?;
        self.depth += 1;
        (self.depth <= NESTING_MAX).then_some(())?;
        let value = read(self)?;
        self.depth -= 1;
        Some(value)
    }

    /// Values up to the closing bracket, and whether a comma was among them.
    fn items(&mut self, close: char) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            if self.take(close) {
                return Some((items, has_comma));
            }
            items.push(self.value()?);
            if self.take(',') {
                has_comma = true;
            } else {
                return self.take(close).then_some((items, has_comma));
            }
        }
    }

    fn tuple(&mut self) -> Option<Value> {
        let (mut items, has_comma) = self.items(')')?;
        if items.len() == 1 && !has_comma { items.pop() } else { Some(Value::Array(items)) }
    }

    /// A dict, or a set, which becomes a list.
    fn braces(&mut self) -> Option<Value> {
        let mut fields = Map::new();
        if self.take('}') {
            return Some(Value::Object(fields));
        }
        let mut key = self.value()?;
        if !self.take(':') {
            let is_more = self.take(',');
            let rest = if is_more { self.items('}')?.0 } else { self.take('}').then(Vec::new)? };
            return Some(Value::Array(iter::once(key).chain(rest).collect()));
        }
        loop {
            let value = self.value()?;
            fields.insert(key_text(key)?, value);
            let is_more = self.take(',');
            if self.take('}') {
                return Some(Value::Object(fields));
            }
            is_more.then_some(())?;
            key = self.value()?;
            self.take(':').then_some(())?;
        }
    }

    fn signed(&mut self) -> Option<Value> {
        let is_negative = self.rest.starts_with('-');
        self.rest = self.rest.get(1..)?;
        self.skip();
        // A sign stands before a number, in brackets or not, and before nothing else.
        if self.rest.starts_with('(') {
            let inner = self.value()?;
            let negated = || {
                let number = inner.as_number()?;
                number.as_i64().map_or_else(
                    || Number::from_f64(-number.as_f64()?),
                    |whole| Some(Number::from(whole.checked_neg()?)),
                )
            };
            return if is_negative { negated().map(Value::Number) } else { inner.is_number().then(|| inner.clone()) };
        }
        self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.').then_some(())?;
        Some(Value::Number(self.number(is_negative)?))
    }

    fn number(&mut self, is_negative: bool) -> Option<Number> {
        let (number, rest) = read_number(self.rest, is_negative)?;
        self.rest = rest;
        Some(number)
    }

    fn word(&mut self) -> Option<Value> {
        let length = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        let constant = match word {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "set" => {
                self.rest = rest;
                let is_empty = self.take('(') && self.take(')');
                return is_empty.then(|| Value::Array(Vec::new()));
            }
            _ => return self.texts(),
        };
        self.rest = rest;
        Some(constant)
    }

    /// Texts beside each other, which are one.
    fn texts(&mut self) -> Option<Value> {
        let mut all = self.text()?;
        loop {
            self.skip();
            if !self.rest.starts_with(['\'', '"', 'r', 'R', 'u', 'U']) {
                return Some(Value::String(all));
            }
            all.push_str(&self.text()?);
        }
    }

    fn text(&mut self) -> Option<String> {
        let (prefix, body) = match self.rest.chars().next()? {
            letter @ ('r' | 'R' | 'u' | 'U') => (Some(letter), self.rest.get(1..)?),
            _ => (None, self.rest),
        };
        let quote = body.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let triple: String = iter::repeat_n(quote, 3).collect();
        let is_triple = body.starts_with(&triple);
        let closing = if is_triple { triple } else { quote.to_string() };
        let inner = body.get(closing.len()..)?;
        let length = closing_at(inner, &closing, is_triple)?;
        let raw = inner.get(..length)?;
        self.rest = inner.get(length + closing.len()..)?;
        let is_raw = matches!(prefix, Some('r' | 'R'));
        if is_raw { Some(raw.to_owned()) } else { python::unescape(raw) }
    }
}

/// Where the closing quotes stand; a single quoted text ends with its line.
fn closing_at(inner: &str, closing: &str, is_triple: bool) -> Option<usize> {
    let mut letters = inner.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next()?;
            }
            '\n' if !is_triple => return None,
            _ if inner.get(at..)?.starts_with(closing) => return Some(at),
            _ => {}
        }
    }
    None
}

/// A number as Python writes it, and what follows. No leading zeros, underscores only between digits.
fn read_number(text: &str, is_negative: bool) -> Option<(Number, &str)> {
    let radix = match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        Some("0b") => Some(2),
        _ => None,
    };
    let length = number_length(text, radix);
    let (word, rest) = text.split_at(length);
    let is_glued = word.contains("__") || word.ends_with('_') || rest.starts_with(|c: char| c.is_alphanumeric());
    (!is_glued).then_some(())?;
    let plain = word.replace('_', "");
    let sign = if is_negative { -1 } else { 1 };
    if let Some(radix) = radix {
        return Some((whole(i128::from_str_radix(plain.get(2..)?, radix).ok()? * sign)?, rest));
    }
    if plain.contains(['.', 'e', 'E']) {
        let number: f64 = plain.parse().ok()?;
        return Some((Number::from_f64(if is_negative { -number } else { number })?, rest));
    }
    let has_leading_zero = plain.starts_with('0') && !plain.trim_start_matches('0').is_empty();
    (!has_leading_zero).then_some(())?;
    Some((whole(plain.parse::<i128>().ok()? * sign)?, rest))
}

fn number_length(text: &str, radix: Option<u32>) -> usize {
    if radix.is_some() {
        return text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    }
    let run = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(rest.len())
    };
    let mut at = run(0);
    if text.get(at..).is_some_and(|rest| rest.starts_with('.')) {
        at = run(at + 1);
    }
    if text.get(at..).is_some_and(|rest| rest.starts_with(['e', 'E'])) {
        let sign = text.get(at + 1..).is_some_and(|rest| rest.starts_with(['+', '-']));
        let from = at + 1 + usize::from(sign);
        let end = run(from);
        at = if end > from { end } else { at };
    }
    at
}

/// An integer, if it has a place in JSON.
fn whole(number: i128) -> Option<Number> {
    i64::try_from(number).map(Number::from).or_else(|_large| u64::try_from(number).map(Number::from)).ok()
}

/// The key of a dict as JSON writes it.
fn key_text(key: Value) -> Option<String> {
    match key {
        Value::String(text) => Some(text),
        Value::Null => Some("null".to_owned()),
        Value::Bool(is_set) => Some(is_set.to_string()),
        Value::Number(number) => Some(python::number_text(&number)),
        Value::Array(_) | Value::Object(_) => None,
    }
}
