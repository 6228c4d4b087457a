//! Templates: texts with expressions in them, rendered within a budget.
//!
//! ```text
//! Hello {{ firstName|default('you') }}{% for line in lines %}, {{ line.name }}{% endfor %}
//! ```
//! Expressions in `{{ }}`, and in the tags `if` and `for`, are those of the rest of this crate: the same lexer, the
//! same repairs, the same filters. Fuel bounds how many steps there are; the rest of the rules below bound how large
//! any one step can grow, so that no template, however it was meant, fills the memory:
//! - there is no way to give a value a name but a loop, and what a loop goes over is taken apart, never put together;
//! - a tag has at most [`TAG_OPERATIONS_MAX`] filters, calls, brackets, commas and joins, so what it makes is at most
//!   so many times what it was given;
//! - filters that repeat a value are told what by a constant;
//! - what comes out is written into a page of bounded size.
//!
//! It must not let an error quote a value.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Value as Engine, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, Output, State};
use serde_json::{Map, Value};

use crate::bounds::{TAG_OPERATIONS_MAX, TEMPLATE_BLOCKS_MAX, TEMPLATE_BYTES_MAX, TEMPLATE_FUEL};
use crate::convert;
use crate::dialect::{ENGINE, json_text};
use crate::error::ExprError;
use crate::rewrite::rewrite;
use crate::token::{self, Kind, Token};

/// The engine that templates start from; each set of them has a copy of its own.
static BLANK: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = ENGINE.clone();
    engine.set_fuel(Some(TEMPLATE_FUEL));
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(write_value);
    engine.add_filter("__items", |value: Engine| match value.kind() {
        ValueKind::String | ValueKind::Bytes => Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "a text is not taken apart into letters; use `split` for its parts",
        )),
        _ => Ok(value),
    });
    engine
});

/// Filters that take a list apart: a long text would become as many values as it has letters.
const OF_ITEMS: [&str; 9] = ["list", "batch", "slice", "sort", "unique", "map", "select", "reject", "groupby"];

/// Templates that belong together, as the parts of one letter do.
#[derive(Clone)]
pub struct Templates {
    engine: Arc<Environment<'static>>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.engine.templates().map(|(part, _)| part)).finish()
    }
}

/// A template that does not compile or does not render: which part, where in it, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template of {part}: {error}")]
pub struct TemplateError {
    /// The part, by the name it was given.
    pub part: String,
    /// Why, with the line.
    #[source]
    pub error: ExprError,
}

/// Values made ready for any number of renderings.
#[derive(Debug, Clone)]
pub struct TemplateScope(Engine);

impl TemplateScope {
    /// The values that templates see, by name.
    #[must_use]
    pub fn new(values: &Map<String, Value>) -> Self {
        Self(convert::whole(values))
    }
}

impl Templates {
    /// Compiles templates by the names of their parts, each of at most [`TEMPLATE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// The first part that does not compile: its syntax, a filter that does not exist, a tag that is not known here.
    pub fn compile<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TemplateError> {
        let mut engine = BLANK.clone();
        for (part, source) in parts {
            let failed = |error| TemplateError { part: part.to_owned(), error };
            let text = translate(source).map_err(failed)?;
            let added = engine.add_template_owned(part.to_owned(), text);
            added.map_err(|error| failed(ExprError::from_template(&error)))?;
        }
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Whether there is a template of this part.
    #[must_use]
    pub fn has(&self, part: &str) -> bool {
        self.engine.get_template(part).is_ok()
    }

    /// Renders a part into at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `Eval` when the values do not suit or the text grows too large, `Fuel` when it takes too many steps; with the
    /// line.
    pub fn render(&self, part: &str, scope: &TemplateScope, bytes_max: usize) -> Result<String, TemplateError> {
        let failed = |error| TemplateError { part: part.to_owned(), error };
        let template = self.engine.get_template(part).map_err(|error| failed(ExprError::from_template(&error)))?;
        let mut page = Page { text: Vec::new(), bytes_max, is_full: false };
        let rendered = template.render_captured_to(scope.0.clone(), &mut page).map(drop);
        if page.is_full {
            return Err(failed(ExprError::eval(format!("it renders more than {bytes_max} bytes; tell less"))));
        }
        rendered.map_err(|error| failed(ExprError::from_template(&error)))?;
        String::from_utf8(page.text).map_err(|_bytes| failed(ExprError::eval("it renders what is no text")))
    }
}

/// What is rendered into: it refuses what is over its size.
struct Page {
    text: Vec<u8>,
    bytes_max: usize,
    is_full: bool,
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.bytes_max {
            self.is_full = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lists, objects, true and false are written as JSON has them, missing values as nothing.
fn write_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Engine) -> Result<(), minijinja::Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    if matches!(value.kind(), ValueKind::Bool | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Ok(out.write_str(&json_text(value)?)?);
    }
    minijinja::escape_formatter(out, state, value)
}

/// A template with each of its tags repaired. Literal text, comments and the number of lines stay as they are.
fn translate(source: &str) -> Result<String, ExprError> {
    if source.len() > TEMPLATE_BYTES_MAX {
        return Err(ExprError::too_long("template", source.len(), TEMPLATE_BYTES_MAX));
    }
    let mut text = String::with_capacity(source.len() + source.len() / 4);
    let mut blocks: Vec<&str> = Vec::new();
    let mut rest = source;
    while let Some((start, open)) = next_tag(rest) {
        let (before, tag) = rest.split_at(start);
        let line = 1 + source.matches('\n').count() - tag.matches('\n').count();
        text.push_str(before);
        let body = tag.get(2..).unwrap_or_default();
        let close = match open {
            '#' => "#}",
            '%' => "%}",
            _ => "}}",
        };
        let length = if open == '#' { body.find(close) } else { end_of_tag(body, close) };
        let Some(length) = length else {
            return Err(ExprError::parse(format!("the tag that begins with {{{open} has no {close}"), line));
        };
        let inner = body.get(..length).unwrap_or_default();
        if open == '#' {
            text.push_str(tag.get(..length + 4).unwrap_or_default());
        } else {
            tag_text(&mut text, inner, (open, close), line, &mut blocks)?;
        }
        rest = body.get(length + 2..).unwrap_or_default();
    }
    text.push_str(rest);
    match blocks.last() {
        Some(open) => {
            let lines = 1 + source.matches('\n').count();
            Err(ExprError::parse(format!("`{open}` has no `end{open}`"), lines))
        }
        None => Ok(text),
    }
}

/// Where the next tag begins, and the letter after its brace.
fn next_tag(rest: &str) -> Option<(usize, char)> {
    rest.match_indices('{').find_map(|(at, _)| {
        let letter = rest.get(at + 1..)?.chars().next().filter(|letter| ['{', '%', '#'].contains(letter))?;
        Some((at, letter))
    })
}

/// Length of a tag's inside: up to its closing mark outside of quotes.
fn end_of_tag(body: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, letter) in body.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if letter == '\\' => is_escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            None if body.get(at..).is_some_and(|rest| rest.starts_with(close)) => return Some(at),
            None => {}
        }
    }
    None
}

/// Writes one tag, repaired.
fn tag_text<'s>(
    text: &mut String,
    inner: &'s str,
    (open, close): (char, &str),
    line: usize,
    blocks: &mut Vec<&'s str>,
) -> Result<(), ExprError> {
    let trim = |mark: Option<char>| mark.filter(|mark| ['-', '+'].contains(mark) && (open == '%' || *mark == '-'));
    let head = trim(inner.chars().next());
    let inner = inner.get(head.map_or(0, char::len_utf8)..).unwrap_or_default();
    let tail = trim(inner.chars().next_back());
    let inner = inner.get(..inner.len() - tail.map_or(0, char::len_utf8)).unwrap_or_default();
    let at_line = |error: ExprError| ExprError { line: Some(error.line.unwrap_or(1) + line - 1), ..error };
    let tokens = token::split(inner).map_err(at_line)?;
    check_size(&tokens).map_err(|what| ExprError::parse(what, line))?;
    let (word, tokens) = if open == '%' { word(&tokens, blocks).map_err(at_line)? } else { ("", tokens.as_slice()) };
    let guarded = guard(tokens).map_err(|what| ExprError::parse(what, line))?;
    let lines_kept = inner.matches('\n').count();
    let repaired = rewrite(&guarded);
    let lost = "\n".repeat(lines_kept.saturating_sub(repaired.matches('\n').count()));
    text.push('{');
    text.push(open);
    text.extend(head);
    text.push_str(&format!(" {word} {repaired}{lost} "));
    text.extend(tail);
    text.push_str(close);
    Ok(())
}

/// That a tag is no larger than one can be answered for, and holds no braces.
fn check_size(tokens: &[Token<'_>]) -> Result<(), String> {
    if tokens.iter().any(|token| token.is_mark("{") || token.is_mark("}")) {
        return Err(
            "braces have no place in a tag; write objects outside of it, and `|tojson` after a value".to_owned()
        );
    }
    let counted = |token: &&Token<'_>| ["|", "~", "+", "(", "[", ","].iter().any(|mark| token.is_mark(mark));
    let count = tokens.iter().filter(counted).count();
    if count > TAG_OPERATIONS_MAX {
        return Err(format!(
            "one tag has {count} filters, brackets, commas and joins, and at most {TAG_OPERATIONS_MAX} are allowed; split it"
        ));
    }
    Ok(())
}

/// The word that a `{%` begins with, and what follows it; keeps account of what is open.
fn word<'t, 's>(tokens: &'t [Token<'s>], blocks: &mut Vec<&'s str>) -> Result<(&'s str, &'t [Token<'s>]), ExprError> {
    let wrong = |what: String| Err(ExprError::parse(what, 1));
    let Some((first, rest)) = tokens.split_first() else {
        return wrong("a tag is empty; write `if`, `for`, or `{{ }}` around a value".to_owned());
    };
    match first.text {
        "if" | "for" if blocks.len() >= TEMPLATE_BLOCKS_MAX => {
            return wrong(format!("blocks are nested more than {TEMPLATE_BLOCKS_MAX} deep"));
        }
        "if" | "for" => blocks.push(first.text),
        "elif" if blocks.last() == Some(&"if") => {}
        "else" if !blocks.is_empty() => {}
        "endif" | "endfor" if blocks.last().copied() == first.text.strip_prefix("end") => {
            blocks.pop();
        }
        "elif" | "else" | "endif" | "endfor" => return wrong(format!("`{}` closes nothing that is open", first.text)),
        other => {
            return wrong(format!("there is no tag `{other}` here; the tags are if, elif, else, for, endif, endfor"));
        }
    }
    if first.text == "for" {
        check_loop(rest).map_err(|what| ExprError::parse(what, 1))?;
    }
    Ok((first.text, rest))
}

/// That a loop goes over one value taken apart: brackets in it hold constants only, and nothing is joined.
fn check_loop(tokens: &[Token<'_>]) -> Result<(), String> {
    if tokens.iter().any(|token| token.is_word("recursive")) {
        return Err("loops do not call themselves here; nest them".to_owned());
    }
    let Some(at) = tokens.iter().position(|token| token.is_word("in")) else {
        return Err("a loop reads `for item in items`".to_owned());
    };
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(at + 1) {
        let next = tokens.get(place + 1);
        let is_label = next.is_some_and(|next| next.is_mark("="));
        match token.text {
            _ if token.kind == Kind::Text => {}
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "if" if depth == 0 => return Ok(()),
            "~" | "+" | "*" => return Err("what a loop goes over is not joined; loop over each part".to_owned()),
            _ if depth > 0 && token.kind == Kind::Name && !is_label && !token::KEYWORDS.contains(&token.text) => {
                return Err(format!(
                    "`{}` stands in the brackets of what a loop goes over; only constants may",
                    token.text
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The tokens with a guard before each filter that could make much of little, after a look that it exists.
fn guard<'s>(tokens: &[Token<'s>]) -> Result<Vec<Token<'s>>, String> {
    let mut guarded = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let is_filter = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|t| t.is_mark("|"));
        if is_filter && token.kind == Kind::Name {
            if !is_known_filter(token.text) {
                return Err(format!("there is no filter `{}`; use one of Jinja's own", token.text));
            }
            if token.text == "map" && !is_by_attribute(tokens.get(at + 1..).unwrap_or_default()) {
                return Err("`map` takes an attribute alone here, as in `map(attribute='name')`; or loop".to_owned());
            }
            if OF_ITEMS.contains(&token.text) {
                guarded.push(Token { kind: Kind::Name, text: "__items", blank: "" });
                guarded.push(Token { kind: Kind::Mark, text: "|", blank: "" });
            }
        }
        guarded.push(*token);
    }
    Ok(guarded)
}

/// Whether the arguments are `(attribute='name')` and nothing else.
fn is_by_attribute(arguments: &[Token<'_>]) -> bool {
    let [open, word, is, name, close, ..] = arguments else { return false };
    open.is_mark("(") && word.is_word("attribute") && is.is_mark("=") && name.kind == Kind::Text && close.is_mark(")")
}

fn is_known_filter(name: &str) -> bool {
    let tried = BLANK.empty_state().apply_filter(name, &[]);
    !tried.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExprErrorKind;
    use serde_json::json;

    const ROOM: usize = 10_000;

    fn render(source: &str, values: &Value) -> Result<String, TemplateError> {
        let scope = TemplateScope::new(values.as_object().unwrap());
        Templates::compile([("body", source)])?.render("body", &scope, ROOM)
    }

    fn failure(source: &str, values: &Value) -> String {
        render(source, values).unwrap_err().to_string()
    }

    #[test]
    fn a_template_speaks_the_language_of_conditions() {
        let values = json!({"name": "Ada", "age": 17, "tags": ["a", "b"], "note": null, "fields": {"opt-in": true}});
        for (source, expected) in [
            ("plain { text } and {x}", "plain { text } and {x}"),
            ("Hi {{ name }}{{ missing }}{{ note }}!", "Hi Ada!"),
            ("{% if age < 18 %}young{% elif age < 65 %}grown{% else %}old{% endif %}", "young"),
            ("{% if missing < 18 %}young{% else %}unknown{% endif %}", "unknown"),
            ("{% for tag in tags|sort(reverse=true) if tag != 'b' %}<{{ tag }}>{% endfor %}", "<a>"),
            ("{% for tag in ['x', 'y'] %}{{ loop.index }}{{ tag }}{% else %}none{% endfor %}", "1x2y"),
            ("{{ tags }} {{ fields['opt-in'] }} {{ name|tojson }}", "[\"a\",\"b\"] true \"Ada\""),
            ("a\n  {%- if true -%}\n  b\n  {%- endif %}", "ab"),
            ("{# {{ not read }} #}{{ '}}' }}{{ \"{%\" }}", "}}{%"),
            ("{{ name\n|upper\n}}", "ADA"),
            ("{\"a\": {{ age * 2 }}}", "{\"a\": 34}"),
        ] {
            assert_eq!(render(source, &values).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn what_does_not_compile_names_its_part_and_line() {
        for (source, said) in [
            ("a\nb {{ name", "(line 2)"),
            ("a\n{{ name | nonsense }}", "no filter `nonsense`"),
            ("{% if a %}\n\nx", "`if` has no `endif` (line 3)"),
            ("x\n{% endif %}", "`endif` closes nothing that is open (line 2)"),
            ("\n\n{{ a b }}", "(line 3)"),
            ("{% set a = 1 %}", "there is no tag `set` here"),
            ("{% macro a() %}{% endmacro %}", "there is no tag `macro` here"),
            ("{% include 'x' %}", "there is no tag `include` here"),
            ("{% raw %}{% endraw %}", "there is no tag `raw` here"),
            ("{{ {'a': 1} }}", "braces have no place in a tag"),
            ("{% for x in [a, a] %}{% endfor %}", "only constants may"),
            ("{% for x in a|zip(a) %}{% endfor %}", "only constants may"),
            ("{% for x in a + a %}{% endfor %}", "is not joined"),
            ("{% for x in a recursive %}{% endfor %}", "do not call themselves"),
            ("{{ a|map('default', b) }}", "`map` takes an attribute alone"),
            ("{{ __missing }}", "two underscores"),
        ] {
            let said_now = failure(source, &json!({}));
            assert!(said_now.starts_with("the template of body: ") && said_now.contains(said), "{source}: {said_now}");
        }
        let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
        assert!(failure(&long, &json!({})).contains("the template is 16385 bytes long"));
        let wide = format!("{{{{ a{} }}}}", " ~ a".repeat(TAG_OPERATIONS_MAX + 1));
        assert!(failure(&wide, &json!({})).contains("split it"));
        let deep = "{% if a %}".repeat(TEMPLATE_BLOCKS_MAX + 1);
        assert!(failure(&deep, &json!({})).contains("nested more than"));
    }

    #[test]
    fn what_does_not_render_names_its_line_and_no_value() {
        let values = json!({"name": "s3cret", "tags": ["s3cret"]});
        for (source, said) in
            [("a\n{{ missing + 1 }}", "(line 2)"), ("\n\n{{ name * 2 }}", "(line 3)"), ("{{ name() }}", "(line 1)")]
        {
            let said_now = failure(source, &values);
            assert!(said_now.contains(said) && !said_now.contains("s3cret"), "{source}: {said_now}");
        }
    }

    #[test]
    fn no_template_runs_or_grows_without_end() {
        let items: Vec<_> = (0..1_000).collect();
        let values = json!({"items": items, "note": "n".repeat(5_000), "quotes": "\"".repeat(100), "none": vec![Value::Null; 1_000]});
        let rounds = "{% for a in items %}{% for b in items %}{{ b }}{% endfor %}{% endfor %}";
        let error = render(rounds, &values).unwrap_err();
        assert!(error.error.kind == ExprErrorKind::Fuel && error.to_string().contains("steps"), "{error}");
        for (source, said) in [
            ("{% for a in items %}{{ note }}{% endfor %}", "renders more than 10000 bytes"),
            ("{{ [note, note, note] }}", "renders more than 10000 bytes"),
            (
                "{{ quotes|tojson|tojson|tojson|tojson|tojson|tojson|tojson|tojson|tojson|tojson|tojson|tojson|tojson }}",
                "tojson would make",
            ),
            ("{{ [1]|batch(1000, note)|string|length }}", "filled up with"),
            ("{{ [1]|batch(1000, [1])|string|length }}", "filled up with"),
            ("{{ note|list|length }}", "not taken apart"),
            ("{{ note * 1000 }}", "only numbers are multiplied"),
            ("{% for a in range(100000) %}{% endfor %}", "range makes at most"),
        ] {
            let said_now = failure(source, &values);
            assert!(said_now.contains(said), "{source}: {said_now}");
        }
    }
}
