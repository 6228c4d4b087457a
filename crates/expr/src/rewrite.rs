//! Three small repairs made to an expression before the engine sees it.
//!
//! The engine sorts a missing value before every number, tells null from missing, and
//! lets `'a' * 100000000` fill the memory; none of these can be changed by its settings.
//! - `18 <= age < 65` becomes `([18, age, 65,]|__ordered('<= <'))`, which knows missing values;
//! - `none` becomes the name `__missing`, which nothing ever defines;
//! - both sides of `*` pass `__number`, which lets numbers through and nothing else.
//!
//! It must not change the meaning of anything else, nor the number of lines.

use crate::names::follows_is;
use crate::token::{Kind, Token};

/// Writes the tokens out again, repaired.
pub(crate) fn rewrite(tokens: &[Token<'_>]) -> String {
    let mut at = 0;
    let mut text = String::new();
    // A closing bracket without its opening one ends a group early; the engine will complain.
    while at < tokens.len() {
        text.push_str(&group(tokens, &mut at));
        if let Some(stray) = tokens.get(at) {
            push(&mut text, stray);
            at += 1;
        }
    }
    text
}

/// One comparison being read: operands and the operators between them.
#[derive(Default)]
struct Line {
    out: String,
    operands: Vec<String>,
    operators: Vec<String>,
    current: String,
    /// Whether the last factor of `current` stands to the right of a `*`.
    is_factor: bool,
    /// Whether `current` ends in an operator, so that a sign may follow.
    wants_value: bool,
}

impl Line {
    fn value(&mut self, text: &str) {
        self.current.push_str(text);
        self.wants_value = false;
    }

    /// Ends a factor: the right side of a `*` must have been a number.
    fn end_factor(&mut self) {
        if std::mem::take(&mut self.is_factor) {
            self.current.push_str("|__number");
        }
    }

    fn arithmetic(&mut self, token: &Token<'_>) {
        let is_splat = self.current.trim().is_empty();
        let is_product = token.is_mark("*") && !is_splat;
        self.is_factor |= is_product;
        if !self.wants_value && !token.is_mark("**") {
            self.end_factor();
        }
        push(&mut self.current, token);
        self.is_factor |= is_product;
        self.wants_value = true;
    }

    fn compare(&mut self, operator: String) {
        self.end_factor();
        self.operands.push(std::mem::take(&mut self.current));
        self.operators.push(operator);
        self.wants_value = true;
    }

    /// Ends the comparison and writes it out.
    fn end(&mut self) {
        self.end_factor();
        self.operands.push(std::mem::take(&mut self.current));
        let operands = std::mem::take(&mut self.operands);
        let operators = std::mem::take(&mut self.operators);
        let is_ordering = operators.iter().any(|op| op.contains(['<', '>']));
        let is_membership = operators.iter().any(|op| op.ends_with("in"));
        if is_ordering && !is_membership {
            let marks: Vec<&str> = operators.iter().map(|op| op.trim()).collect();
            let lines = operators.iter().map(|op| "\n".repeat(op.matches('\n').count()));
            let list: String = operands
                .iter()
                .zip(lines.chain([String::new()]))
                .map(|(operand, lines)| format!("{operand},{lines}"))
                .collect();
            self.out.push_str(&format!(" ([{list}]|__ordered('{}'))", marks.join(" ")));
        } else {
            let mut operators = operators.into_iter();
            for operand in operands {
                self.out.push_str(&operand);
                self.out.push_str(&operators.next().unwrap_or_default());
            }
        }
        self.wants_value = true;
    }
}

/// Rewrites up to the bracket that closes this group, or the end.
fn group(tokens: &[Token<'_>], at: &mut usize) -> String {
    let mut line = Line { wants_value: true, ..Line::default() };
    while let Some(token) = tokens.get(*at) {
        let next = tokens.get(*at + 1);
        match token.text {
            _ if token.kind == Kind::Text => line.value(&written(token)),
            ")" | "]" | "}" => break,
            "(" | "[" | "{" => {
                *at += 1;
                let inner = group(tokens, at);
                let close = tokens.get(*at).map(written).unwrap_or_default();
                line.value(&format!("{}{inner}{close}", written(token)));
            }
            "<" | "<=" | ">" | ">=" | "==" | "!=" => line.compare(written(token)),
            "+" | "-" | "~" | "*" | "/" | "//" | "%" | "**" => line.arithmetic(token),
            _ if is_name_position(tokens, *at) => line.value(&written(token)),
            "in" => line.compare(written(token)),
            "not" if next.is_some_and(|t| t.is_word("in")) => {
                *at += 1;
                line.compare(format!("{}{}", written(token), next.map(written).unwrap_or_default()));
            }
            "and" | "or" | "not" | "if" | "else" | "," | ":" | "=" => {
                line.end();
                push(&mut line.out, token);
            }
            "none" | "None" => line.value(&format!("{}__missing", token.blank)),
            _ => line.value(&written(token)),
        }
        *at += 1;
    }
    line.end();
    line.out
}

/// Whether the word here is a label: an attribute, a filter or a test (`is not` included).
fn is_name_position(tokens: &[Token<'_>], at: usize) -> bool {
    let is_after = |mark| at.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(|t| t.is_mark(mark));
    is_after(".") || is_after("|") || follows_is(tokens, at)
}

fn written(token: &Token<'_>) -> String {
    format!("{}{}", token.blank, token.text)
}

fn push(out: &mut String, token: &Token<'_>) {
    out.push_str(token.blank);
    out.push_str(token.text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::split;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(rewrite(&split(source).unwrap()), expected);
    }

    #[test]
    fn comparisons_learn_about_missing_values() {
        check("a < 5", " ([a, 5,]|__ordered('<'))");
        check("not a<b and c", "not ([ a,b,]|__ordered('<')) and c");
        check("1 <= a+1 < 9", " ([1, a+1, 9,]|__ordered('<= <'))");
        check("a == 1 if x in y else 'q<r'", "a == 1 if x in y else 'q<r'");
        check("f((a < -1), b)", "f(( ([a, -1,]|__ordered('<'))), b)");
    }

    #[test]
    fn none_becomes_the_missing_value_but_tests_stay() {
        check("a == none", "a == __missing");
        check("a is not none and a.none", "a is not none and a.none");
    }

    #[test]
    fn only_numbers_are_multiplied() {
        check("a * -b + c", "a|__number * -b|__number + c");
        check("2 * 3 * x", "2|__number * 3|__number * x|__number");
        check("f(*list)", "f(*list)");
        check("a * b ** 2 < 3", " ([a|__number * b ** 2|__number, 3,]|__ordered('<'))");
    }

    #[test]
    fn lines_keep_their_numbers() {
        check("a\n< b\nor c", " ([a,\n b,]|__ordered('<'))\nor c");
    }
}
