//! A lexer for the expression language, coarse but exact about where things begin and end.
//!
//! The engine has its own; ours exists so that names, paths and rewriting can be
//! decided before it runs. It follows minijinja 3.0's `compiler/lexer.rs` for strings,
//! names and operators. It must not judge grammar: that is left to the engine.

use crate::bounds::NESTING_MAX;
use crate::error::ExprError;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Name,
    /// A number, as written.
    Number,
    /// A quoted text, quotes included.
    Text,
    /// An operator or a bracket.
    Mark,
}

/// A token and the blanks before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    /// The token as written.
    pub(crate) text: &'s str,
    /// Blanks between the previous token and this one; kept so that lines keep their numbers.
    pub(crate) blank: &'s str,
}

impl<'s> Token<'s> {
    /// Whether this is the operator or bracket `mark`.
    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }

    /// Whether this is the word `word`.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Name && self.text == word
    }

    /// The content of a quoted text without escapes; `None` for anything else.
    pub(crate) fn plain_text(&self) -> Option<&'s str> {
        let inner = self.text.get(1..self.text.len().checked_sub(1)?)?;
        (self.kind == Kind::Text && !inner.contains('\\')).then_some(inner)
    }
}

/// Words that are never the name of a field when they stand alone.
pub(crate) const KEYWORDS: [&str; 13] =
    ["and", "or", "not", "if", "else", "in", "is", "true", "True", "false", "False", "none", "None"];

/// Prefix of names that belong to this crate (`__missing`); refused in sources.
const OWN_PREFIX: &str = "__";

/// Splits a source into tokens. Errors: a character that begins nothing, a text
/// without its closing quote, a name beginning with two underscores, brackets more
/// than [`NESTING_MAX`] deep.
pub(crate) fn split(source: &str) -> Result<Vec<Token<'_>>, ExprError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut depth = 0_usize;
    loop {
        let rest = source.get(at..).unwrap_or_default();
        let blank_len = rest.len() - rest.trim_ascii_start().len();
        let (blank, body) = rest.split_at(blank_len);
        let Some(first) = body.chars().next() else {
            return Ok(tokens);
        };
        let line = 1 + source.get(..at + blank_len).unwrap_or_default().matches('\n').count();
        let (kind, len) = measure(first, body, line)?;
        let text = body.get(..len).unwrap_or(body);
        if kind == Kind::Name && text.starts_with(OWN_PREFIX) {
            let message = format!(
                "`{text}` begins with two underscores, which is kept for internal use; read it as `fields['{text}']`"
            );
            return Err(ExprError::parse(message, line));
        }
        match text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            let message = format!("brackets are nested more than {NESTING_MAX} deep; split the expression");
            return Err(ExprError::parse(message, line));
        }
        tokens.push(Token { kind, text, blank });
        at += blank_len + len;
    }
}

/// Kind and length in bytes of the token that `body` begins with.
fn measure(first: char, body: &str, line: usize) -> Result<(Kind, usize), ExprError> {
    const TWO: [&str; 6] = ["//", "**", "==", "!=", ">=", "<="];
    const ONE: &str = "+-*/%.,:~|=<>()[]{}";
    if first.is_ascii_alphabetic() || first == '_' {
        let len = run(body, |c| c.is_ascii_alphanumeric() || c == '_');
        return Ok((Kind::Name, len));
    }
    if first.is_ascii_digit() {
        return Ok((Kind::Number, number_len(body)));
    }
    if first == '\'' || first == '"' {
        let len = text_len(body, first).ok_or_else(|| {
            ExprError::parse(format!("the text that begins with {first} has no closing {first}"), line)
        })?;
        return Ok((Kind::Text, len));
    }
    if TWO.iter().any(|mark| body.starts_with(mark)) {
        return Ok((Kind::Mark, 2));
    }
    if ONE.contains(first) {
        return Ok((Kind::Mark, 1));
    }
    let message = format!(
        "`{first}` means nothing here; put texts in quotes, and read a field with an unusual name as `fields['its-name']`"
    );
    Err(ExprError::parse(message, line))
}

fn run(body: &str, is_in: impl Fn(char) -> bool) -> usize {
    body.find(|c| !is_in(c)).unwrap_or(body.len())
}

/// Length of a number: digits, radix letters, one fraction, an exponent with its sign.
fn number_len(body: &str) -> usize {
    let whole = run(body, |c| c.is_ascii_alphanumeric() || c == '_');
    let fraction = body.get(whole..).and_then(|rest| rest.strip_prefix('.')).map_or(0, |rest| {
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            1 + run(rest, |c| c.is_ascii_alphanumeric() || c == '_')
        } else {
            0
        }
    });
    let end = whole + fraction;
    let written = body.get(..end).unwrap_or_default();
    let is_exponent = written.ends_with(['e', 'E']) && !written.starts_with("0x") && !written.starts_with("0X");
    let signed = body.get(end..).unwrap_or_default();
    if is_exponent && signed.starts_with(['+', '-']) {
        return end + 1 + run(signed.get(1..).unwrap_or_default(), |c| c.is_ascii_digit());
    }
    end
}

/// Length of a quoted text with both quotes; `None` when it does not end.
fn text_len(body: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        split(source).unwrap().iter().map(|token| token.text).collect()
    }

    #[test]
    fn tokens_are_cut_where_the_engine_cuts_them() {
        assert_eq!(texts("a.b>=1.5e-3 and c"), ["a", ".", "b", ">=", "1.5e-3", "and", "c"]);
        assert_eq!(texts(r#"x['it\'s'] ~ "b""#), ["x", "[", r"'it\'s'", "]", "~", "\"b\""]);
        assert_eq!(texts("0x1e-2 a.0.1"), ["0x1e", "-", "2", "a", ".", "0.1"]);
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        assert_eq!(split("a and\n b ? c").unwrap_err().line, Some(2));
        assert_eq!(split("'open").unwrap_err().line, Some(1));
        assert_eq!(split("__missing").unwrap_err().line, Some(1));
    }
}
