//! From Jinja as Python means it to Jinja as the engine runs it.
//!
//! A template is cut into texts and tags, and the expressions in its tags are read with Jinja's own precedence and
//! written out again with every part in brackets, so that operators can be given to our filters:
//! - `a - b` becomes `(a|__sub(b))`: dates, lists, Python's division and its errors;
//! - `a ~ b` becomes `(''|__text(a,b))`: Python's spelling of values;
//! - texts are read with Python's escapes and written with the engine's;
//! - where a template calls a method that changes a list, its list literals become lists that can change.
//!
//! A template without statements becomes a single expression, which spares an engine of its own. This room must not
//! decide what an operator does, nor what a name is bound to.

use super::collection::is_changing;
use super::{engine, python};
use crate::bounds::NESTING_MAX;
use crate::error::ExprError;
use crate::token::{self, Kind, Token};

/// A template made ready for the engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// No tag at all: the text itself.
    Text(String),
    /// A single expression and nothing around it, with its tokens' text for the short way.
    Expression(String),
    /// Texts and expressions joined into one expression that makes a text.
    Joined(String),
    /// A template with statements.
    Statements(String),
}

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'s> {
    Text(&'s str),
    Expression(&'s str),
    Statement(&'s str),
    /// Inside of `{% raw %}`.
    Raw(&'s str),
}

/// Filters that go over items. Python goes over the letters of a text and the keys of a dict, and over no number.
const OF_ITEMS: [&str; 12] =
    ["batch", "first", "groupby", "last", "list", "max", "min", "slice", "sort", "sum", "unique", "join"];

/// Rewrites a whole template.
pub(super) fn rewrite(source: &str) -> Result<Rewritten, ExprError> {
    // The last line break belongs to the file and not to the text, says Jinja.
    let source = source.strip_suffix('\n').unwrap_or(source);
    let pieces = cut(source)?;
    let changes = pieces.iter().any(|piece| match piece {
        Piece::Expression(inner) | Piece::Statement(inner) => calls_changing(inner),
        Piece::Text(_) | Piece::Raw(_) => false,
    });
    let expression = |inner: &str| Reader::read(inner, changes);
    match pieces.as_slice() {
        [] => Ok(Rewritten::Text(String::new())),
        [Piece::Text(text) | Piece::Raw(text)] => Ok(Rewritten::Text((*text).to_owned())),
        [Piece::Expression(inner)] => expression(inner).map(Rewritten::Expression),
        pieces if pieces.iter().any(|piece| matches!(piece, Piece::Statement(_))) => {
            let mut out = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) | Piece::Raw(text) => out.push_str(&format!("{{{{{}}}}}", engine_text(text))),
                    Piece::Expression(inner) => out.push_str(&format!("{{{{{}}}}}", expression(inner)?)),
                    Piece::Statement(inner) => out.push_str(&format!("{{% {} %}}", statement(inner, changes)?)),
                }
            }
            Ok(Rewritten::Statements(out))
        }
        pieces => {
            let parts = pieces.iter().map(|piece| match piece {
                Piece::Expression(inner) => expression(inner),
                Piece::Text(text) | Piece::Raw(text) | Piece::Statement(text) => Ok(engine_text(text)),
            });
            let parts = parts.collect::<Result<Vec<_>, _>>()?.join(",");
            Ok(Rewritten::Joined(format!("''|__text({parts})")))
        }
    }
}

/// Whether a tag may call a method that changes a list or a dict.
fn calls_changing(inner: &str) -> bool {
    let Ok(tokens) = token::split(inner) else {
        return false;
    };
    tokens.windows(2).any(|pair| matches!(pair, [dot, name] if dot.is_mark(".") && is_changing(name.text)))
}

/// Cuts a template into its pieces; comments are dropped, and blanks that a `-` eats.
fn cut(source: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut rest = source;
    let mut eats_blanks = false;
    loop {
        let found = rest.match_indices('{').find_map(|(at, _)| {
            let letter = rest.get(at + 1..)?.chars().next().filter(|letter| "{%#".contains(*letter))?;
            Some((at, letter))
        });
        let text = rest.get(..found.map_or(rest.len(), |(at, _)| at)).unwrap_or_default();
        let text = if eats_blanks { text.trim_start() } else { text };
        let Some((at, open)) = found else {
            push_text(&mut pieces, text);
            return Ok(pieces);
        };
        let line = 1 + source
            .len()
            .checked_sub(rest.len())
            .and_then(|to| source.get(..to + at))
            .map_or(0, |before| before.matches('\n').count());
        let body = rest.get(at + 2..).unwrap_or_default();
        let close = match open {
            '{' => "}}",
            '%' => "%}",
            _ => "#}",
        };
        let length = if open == '#' { body.find(close) } else { end_of_tag(body, close) };
        let length = length
            .ok_or_else(|| ExprError::parse(format!("the tag that begins with `{{{open}` has no `{close}`"), line))?;
        let inner = body.get(..length).unwrap_or_default();
        rest = body.get(length + 2..).unwrap_or_default();
        let (inner, text) = inner.strip_prefix('-').map_or((inner, text), |inner| (inner, text.trim_end()));
        let (inner, is_eating) = inner.strip_suffix('-').map_or((inner, false), |inner| (inner, true));
        let inner = inner.trim_start_matches('+').trim_end_matches('+');
        eats_blanks = is_eating;
        push_text(&mut pieces, text);
        match open {
            '{' => pieces.push(Piece::Expression(inner)),
            '%' if inner.trim() == "raw" => {
                let end = raw_end(rest).ok_or_else(|| ExprError::parse("`raw` has no `endraw`", line))?;
                pieces.push(Piece::Raw(rest.get(..end.0).unwrap_or_default()));
                rest = rest.get(end.1..).unwrap_or_default();
            }
            '%' => pieces.push(Piece::Statement(inner)),
            _ => {}
        }
    }
}

fn push_text<'s>(pieces: &mut Vec<Piece<'s>>, text: &'s str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// Where the text inside of `raw` ends, and where its closing tag ends.
fn raw_end(rest: &str) -> Option<(usize, usize)> {
    rest.match_indices("{%").find_map(|(at, _)| {
        let close = at + rest.get(at..)?.find("%}")?;
        let inner = rest.get(at + 2..close)?.trim_matches(['-', ' ']);
        (inner == "endraw").then_some((at, close + 2))
    })
}

/// Length of a tag's inside: up to its closing mark outside of quotes and of brackets that are open.
fn end_of_tag(body: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    let mut depth = 0_usize;
    for (at, letter) in body.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if letter == '\\' => is_escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if depth == 0 && body.get(at..).is_some_and(|rest| rest.starts_with(close)) => return Some(at),
            None => match letter {
                '\'' | '"' => quote = Some(letter),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
    }
    None
}

/// A text as the engine's literal.
fn engine_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Rewrites the inside of a `{% %}`.
fn statement(inner: &str, changes: bool) -> Result<String, ExprError> {
    let tokens = token::split(inner)?;
    // Jinja lets a colon end the head of a block.
    let tokens = match tokens.as_slice() {
        [head @ .., colon] if colon.is_mark(":") => head,
        all => all,
    };
    let Some((word, rest)) = tokens.split_first() else {
        return Err(ExprError::parse("a `{% %}` tag is empty; write `if`, `for` or `set` in it", 1));
    };
    let target = |until: &dyn Fn(&Token<'_>) -> bool| {
        let at = rest.iter().position(until).unwrap_or(rest.len());
        let (target, after) = rest.split_at(at);
        (target.iter().map(|token| token.text).collect::<Vec<_>>().join(" ").replace(" . ", "."), after)
    };
    let whole = |tokens: &[Token<'_>]| {
        let mut reader = Reader { tokens, at: 0, depth: 0, changes };
        let text = reader.list()?;
        reader.end().map(|()| text)
    };
    match word.text {
        "if" | "elif" => Ok(format!("{} {}", word.text, whole(rest)?)),
        "else" | "endif" | "endfor" | "endset" if rest.is_empty() => Ok(word.text.to_owned()),
        "set" => match target(&|token| token.is_mark("=")) {
            (target, []) => Ok(format!("set {target}")),
            (target, value) => Ok(format!("set {target} = {}", whole(value.get(1..).unwrap_or_default())?)),
        },
        "for" => {
            let (target, after) = target(&|token| token.is_word("in"));
            let mut reader = Reader { tokens: after.get(1..).unwrap_or_default(), at: 0, depth: 0, changes };
            let items = reader.without_condition()?;
            let condition =
                if reader.takes_word("if") { format!(" if {}", reader.expression()?) } else { String::new() };
            reader.end()?;
            Ok(format!("for {target} in ({items}|__each){condition}"))
        }
        other => Err(ExprError::parse(
            format!("there is no tag `{other}` here; the tags are if, elif, else, for, set, raw and their ends"),
            1,
        )),
    }
}

/// Reads one expression and writes it for the engine. Each method gives a text that stands for itself: a name, a
/// literal, or something in brackets.
struct Reader<'t, 's> {
    tokens: &'t [Token<'s>],
    at: usize,
    depth: usize,
    /// Whether list and dict literals become ones that can change.
    changes: bool,
}

type Written = Result<String, ExprError>;

impl<'s> Reader<'_, 's> {
    /// The whole of a `{{ }}`.
    fn read(inner: &str, changes: bool) -> Written {
        let tokens = token::split(inner)?;
        let mut reader = Reader { tokens: &tokens, at: 0, depth: 0, changes };
        let text = reader.list()?;
        reader.end().map(|()| text)
    }

    fn peek(&self) -> Option<Token<'s>> {
        self.tokens.get(self.at).copied()
    }

    fn takes(&mut self, mark: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_mark(mark));
        self.at += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_word(word));
        self.at += usize::from(found);
        found
    }

    fn wants(&mut self, mark: &str) -> Result<(), ExprError> {
        if self.takes(mark) { Ok(()) } else { Err(self.surprise(&format!("`{mark}`"))) }
    }

    fn end(&self) -> Result<(), ExprError> {
        if self.at == self.tokens.len() { Ok(()) } else { Err(self.surprise("the end of the tag")) }
    }

    fn surprise(&self, wanted: &str) -> ExprError {
        let found = self.peek().map_or_else(|| "the tag ends".to_owned(), |token| format!("there is `{}`", token.text));
        ExprError::parse(format!("{found} where {wanted} is wanted; mend the expression"), 1)
    }

    /// One expression, or several with commas between, which are a tuple.
    fn list(&mut self) -> Written {
        let first = self.expression()?;
        if !self.takes(",") {
            return Ok(first);
        }
        let mut items = format!("({first},");
        while self.peek().is_some_and(|token| !token.is_mark(")")) {
            items.push_str(&self.expression()?);
            items.push(',');
            if !self.takes(",") {
                break;
            }
        }
        Ok(items + ")")
    }

    /// `a if b else c`.
    fn expression(&mut self) -> Written {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(ExprError::parse(format!("an expression is nested more than {NESTING_MAX} deep; split it"), 1));
        }
        let mut text = self.without_condition()?;
        while self.takes_word("if") {
            let condition = self.without_condition()?;
            let otherwise =
                if self.takes_word("else") { format!(" else {}", self.expression()?) } else { String::new() };
            text = format!("({text} if {condition}{otherwise})");
        }
        self.depth -= 1;
        Ok(text)
    }

    fn without_condition(&mut self) -> Written {
        let mut text = self.conjunction()?;
        while self.takes_word("or") {
            text = format!("({text} or {})", self.conjunction()?);
        }
        Ok(text)
    }

    fn conjunction(&mut self) -> Written {
        let mut text = self.negation()?;
        while self.takes_word("and") {
            text = format!("({text} and {})", self.negation()?);
        }
        Ok(text)
    }

    fn negation(&mut self) -> Written {
        let mut count = 0_usize;
        while self.takes_word("not") {
            count += 1;
        }
        let text = self.comparison()?;
        Ok((0..count).fold(text, |text, _| format!("(not {text})")))
    }

    fn comparison(&mut self) -> Written {
        let mut left = self.sum()?;
        let mut links: Vec<String> = Vec::new();
        while let Some(mark) = self.comparing() {
            let right = self.sum()?;
            links.push(match mark {
                "<" => format!("({left}|__lt({right}))"),
                "<=" => format!("({left}|__le({right}))"),
                ">" => format!("({left}|__gt({right}))"),
                ">=" => format!("({left}|__ge({right}))"),
                "in" => format!("({left}|__in({right}))"),
                "not in" => format!("(not ({left}|__in({right})))"),
                mark => format!("({left} {mark} {right})"),
            });
            left = right;
        }
        Ok(match links.as_slice() {
            [] => left,
            [one] => one.clone(),
            several => format!("({})", several.join(" and ")),
        })
    }

    fn comparing(&mut self) -> Option<&'s str> {
        let token = self.peek()?;
        let is_not_in = token.is_word("not") && self.tokens.get(self.at + 1).is_some_and(|next| next.is_word("in"));
        if is_not_in {
            self.at += 2;
            return Some("not in");
        }
        let is_mark = token.kind == Kind::Mark && ["<", "<=", ">", ">=", "==", "!="].contains(&token.text);
        (is_mark || token.is_word("in")).then(|| {
            self.at += 1;
            token.text
        })
    }

    fn sum(&mut self) -> Written {
        let mut text = self.joined()?;
        loop {
            if self.takes("+") {
                text = format!("({text}|__add({}))", self.joined()?);
            } else if self.takes("-") {
                text = format!("({text}|__sub({}))", self.joined()?);
            } else {
                return Ok(text);
            }
        }
    }

    fn joined(&mut self) -> Written {
        let first = self.product()?;
        let mut rest = Vec::new();
        while self.takes("~") {
            rest.push(self.product()?);
        }
        Ok(if rest.is_empty() { first } else { format!("({first}|__text({}))", rest.join(",")) })
    }

    fn product(&mut self) -> Written {
        let mut text = self.power()?;
        loop {
            let filter = match self.peek().filter(|token| token.kind == Kind::Mark).map(|token| token.text) {
                Some("*") => "__mul",
                Some("/") => "__div",
                Some("//") => "__floor",
                Some("%") => "__mod",
                _ => return Ok(text),
            };
            self.at += 1;
            text = format!("({text}|{filter}({}))", self.power()?);
        }
    }

    fn power(&mut self) -> Written {
        let mut text = self.unary(true)?;
        while self.takes("**") {
            text = format!("({text}|__pow({}))", self.unary(true)?);
        }
        Ok(text)
    }

    fn unary(&mut self, with_filters: bool) -> Written {
        let text = if self.takes("-") {
            let inner = self.unary(false)?;
            if inner.starts_with(|c: char| c.is_ascii_digit()) {
                format!("(-{inner})")
            } else {
                format!("({inner}|__neg)")
            }
        } else if self.takes("+") {
            self.unary(false)?
        } else {
            self.primary()?
        };
        let text = self.postfix(text)?;
        if with_filters { self.filters(text) } else { Ok(text) }
    }

    fn primary(&mut self) -> Written {
        let Some(token) = self.peek() else {
            return Err(self.surprise("a value"));
        };
        match token.kind {
            Kind::Name => {
                self.at += 1;
                if matches!(token.text, "if" | "else" | "and" | "or" | "not" | "in" | "is") {
                    self.at -= 1;
                    return Err(self.surprise("a value"));
                }
                Ok(token.text.to_owned())
            }
            Kind::Number => {
                self.at += 1;
                Ok(token.text.to_owned())
            }
            Kind::Text => self.text(),
            Kind::Mark => self.bracket(token.text),
        }
    }

    /// Texts beside each other, which are one.
    fn text(&mut self) -> Written {
        let mut all = String::new();
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Text) {
            let raw = token.text.get(1..token.text.len() - 1).unwrap_or_default();
            let read = python::unescape(raw);
            all.push_str(&read.ok_or_else(|| ExprError::parse(format!("`{}` has a broken escape", token.text), 1))?);
            self.at += 1;
        }
        Ok(engine_text(&all))
    }

    fn bracket(&mut self, mark: &str) -> Written {
        match mark {
            "(" => {
                self.at += 1;
                if self.takes(")") {
                    return Ok("()".to_owned());
                }
                let inner = self.list()?;
                self.wants(")").map(|()| inner)
            }
            "[" => {
                self.at += 1;
                let items = self.items("]", Self::expression)?;
                Ok(if self.changes { format!("([{items}]|__list)") } else { format!("[{items}]") })
            }
            "{" => {
                self.at += 1;
                let pairs = self.items("}", |reader| {
                    let key = reader.expression()?;
                    reader.wants(":")?;
                    Ok(format!("{key}:{}", reader.expression()?))
                })?;
                Ok(if self.changes { format!("({{{pairs}}}|__dict)") } else { format!("{{{pairs}}}") })
            }
            _ => Err(self.surprise("a value")),
        }
    }

    /// Items with commas between, up to a closing bracket.
    fn items(&mut self, close: &str, read: impl Fn(&mut Self) -> Written) -> Written {
        let mut items = Vec::new();
        while !self.takes(close) {
            if !items.is_empty() {
                self.wants(",")?;
                if self.takes(close) {
                    break;
                }
            }
            items.push(read(self)?);
        }
        Ok(items.join(","))
    }

    /// Attributes, items, slices and calls.
    fn postfix(&mut self, mut text: String) -> Written {
        loop {
            if self.takes(".") {
                let name = self.peek().filter(|token| matches!(token.kind, Kind::Name | Kind::Number));
                let name = name.ok_or_else(|| self.surprise("a name"))?;
                self.at += 1;
                if name.kind == Kind::Number {
                    text = format!("{text}[{}]", name.text);
                } else {
                    text = format!("{text}.{}", name.text);
                }
            } else if self.takes("[") {
                text = self.subscript(&text)?;
            } else if self.takes("(") {
                let arguments = self.arguments()?;
                text = format!("{text}({arguments})");
            } else {
                return Ok(text);
            }
        }
    }

    /// What stands in `[]`: a key, or `a:b:c`, each part of which may be left out.
    fn subscript(&mut self, text: &str) -> Written {
        let mut parts = [const { None }; 3];
        let mut at = 0;
        while !self.takes("]") {
            if self.takes(":") {
                at += 1;
                continue;
            }
            let free = parts.get_mut(at).filter(|part| part.is_none());
            *free.ok_or_else(|| self.surprise("`]`"))? = Some(self.list()?);
        }
        let [start, stop, step] = parts.map(|part| part.unwrap_or_else(|| "none".to_owned()));
        match at {
            0 if start == "none" => Err(self.surprise("a key")),
            0 => Ok(format!("{text}[{start}]")),
            _ => Ok(format!("({text}|__slice({start},{stop},{step}))")),
        }
    }

    fn arguments(&mut self) -> Written {
        self.items(")", |reader| {
            let name = reader.peek().filter(|token| token.kind == Kind::Name);
            let is_named = name.is_some() && reader.tokens.get(reader.at + 1).is_some_and(|next| next.is_mark("="));
            if let (Some(name), true) = (name, is_named) {
                reader.at += 2;
                return Ok(format!("{}={}", name.text, reader.expression()?));
            }
            if reader.takes("*") {
                return Ok(format!("*{}", reader.expression()?));
            }
            reader.expression()
        })
    }

    /// Filters, tests and calls of their results.
    fn filters(&mut self, mut text: String) -> Written {
        loop {
            if self.takes("|") {
                let name = self.label("filter", engine::has_filter)?;
                let arguments = if self.takes("(") { format!("({})", self.arguments()?) } else { String::new() };
                let each = match name.as_str() {
                    "map" | "select" | "reject" | "selectattr" | "rejectattr" => "|__some",
                    name if OF_ITEMS.contains(&name) => "|__each",
                    _ => "",
                };
                text = format!("({text}{each}|{name}{arguments})");
            } else if self.takes_word("is") {
                text = self.test(&text)?;
            } else if self.takes("(") {
                text = format!("({text})({})", self.arguments()?);
            } else {
                return Ok(text);
            }
        }
    }

    fn label(&mut self, what: &str, is_known: impl Fn(&str) -> bool) -> Written {
        let name = self.peek().filter(|token| token.kind == Kind::Name).ok_or_else(|| self.surprise("a name"))?;
        if !is_known(name.text) {
            let message = format!("there is no {what} `{}` here; use one of Jinja's or Airbyte's own", name.text);
            return Err(ExprError::parse(message, 1));
        }
        self.at += 1;
        Ok(name.text.to_owned())
    }

    fn test(&mut self, text: &str) -> Written {
        let not = if self.takes_word("not") { "not " } else { "" };
        let name = self
            .label("test", |name| matches!(name, "None" | "True" | "False") || engine::has_test(name))?
            .to_lowercase();
        let is_argument = self.peek().is_some_and(|next| match next.kind {
            Kind::Name => !["else", "or", "and", "if", "is", "in", "not"].contains(&next.text),
            Kind::Number | Kind::Text => true,
            Kind::Mark => ["[", "{"].contains(&next.text),
        });
        let arguments = if self.takes("(") {
            format!("({})", self.arguments()?)
        } else if is_argument {
            let argument = self.primary()?;
            format!("({})", self.postfix(argument)?)
        } else {
            String::new()
        };
        Ok(format!("({text} is {not}{name}{arguments})"))
    }
}
