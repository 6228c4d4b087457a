//! YAML text to nodes. Scalars are read as YAML 1.2's core schema says, and `yes`, `no`, `on` and `off` as booleans
//! besides, as the readers these files were written for do. A file is one document; of anchors, aliases are followed.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::Number;

use crate::node::{Data, Node};
use crate::problem::Problem;

/// Deepest nesting of a manifest; reading takes stack. Real ones stay under forty.
const DEPTH_MAX: usize = 128;
/// Most values in a file once aliases are followed, so that a small file cannot fill the memory.
const NODES_MAX: usize = 1_000_000;

/// Reads one document.
///
/// # Errors
/// Text that is not YAML, with its line; a key twice in one mapping; nesting too deep.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), count: 0 };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node { line: 1, data: Data::Null }),
            event => {
                let node = reader.node(event, span, 0)?;
                reader.end()?;
                return Ok(node);
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    count: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(unread(&error)),
            None => Err(Problem::at(1, "the file ends in the middle")),
        }
    }

    /// What comes after the document is nothing: it would be passed over without a word.
    fn end(&mut self) -> Result<(), Problem> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(_), span) => {
                    let message = "a second document begins here, and a file is one; take out the `---`";
                    return Err(Problem::at(span.start.line(), message));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        let line = span.start.line();
        self.count += 1;
        if depth > DEPTH_MAX || self.count > NODES_MAX {
            return Err(Problem::at(
                line,
                format!("the file nests deeper than {DEPTH_MAX} or holds over {NODES_MAX} values; make it smaller"),
            ));
        }
        let (anchor, data) = match event {
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                self.count += known.as_ref().map_or(0, size);
                return known.ok_or_else(|| Problem::at(line, "the alias refers to itself; write the value out"));
            }
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => return Err(Problem::at(line, "a value is missing here")),
        };
        let node = Node { line, data };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Data, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Data::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Data, Problem> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Data::Map(entries));
            }
            let Event::Scalar(key, ..) = event else {
                return Err(Problem::at(span.start.line(), "a key must be a plain text"));
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            // A key given twice: the last one holds, as in the readers these files were written for.
            match entries.iter_mut().find(|(name, _)| *name == key) {
                Some((_, known)) => *known = value,
                None => entries.push((key.into_owned(), value)),
            }
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.data {
        Data::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Data::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
        _ => 1,
    }
}

fn unread(error: &ScanError) -> Problem {
    let at = error.marker();
    Problem::at(at.line(), format!("this is not YAML (column {}): {}", at.col() + 1, error.info()))
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Data {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Data::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Data::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Data::Bool(false),
        _ => number(text).map_or_else(|| Data::Text(text.to_owned()), Data::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if !matches!(first, b'0'..=b'9' | b'-' | b'+' | b'.') {
        return None;
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Number::from);
    }
    if let Some(octal) = unsigned.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok().map(Number::from);
    }
    if let Ok(whole) = unsigned.parse::<i64>() {
        return Some(Number::from(whole));
    }
    let is_float = unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))
        && unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned.contains('.');
    if !is_float {
        return None;
    }
    unsigned.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(yaml: &str, expected: &serde_json::Value) {
        assert_eq!(&parse(yaml).unwrap().to_json(), expected, "{yaml}");
    }

    #[test]
    fn scalars_are_read_as_their_authors_meant() {
        check(
            "[1, -2, 1.5, +3, 0x1f, '1', \"2\", y, yes, No, ~, '', 1.2.3, 2020-01-01, 1e3, 010]",
            &json!([1, -2, 1.5, 3, 31, "1", "2", "y", true, false, null, "", "1.2.3", "2020-01-01", "1e3", 10]),
        );
        check(
            "a: |\n  x\n  y\nb: >-\n  x\n  y\nc: &k {d: 1}\ne: *k\n'/f/g': 2",
            &json!({
                "a": "x\ny\n", "b": "x y", "c": {"d": 1}, "e": {"d": 1}, "/f/g": 2
            }),
        );
        check("", &json!(null));
    }

    #[test]
    fn lines_are_kept() {
        let node = parse("a: 1\nb:\n  c: [1,\n    2]\n").unwrap();
        assert_eq!(node.get("b").unwrap().get("c").unwrap().line, 3);
        let Data::List(items) = &node.get("b").unwrap().get("c").unwrap().data else { panic!("a list") };
        assert_eq!(items[1].line, 4);
    }

    #[test]
    fn what_is_not_yaml_says_where() {
        let problem = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(problem.line >= 2 && problem.message.starts_with("this is not YAML"), "{problem:?}");
    }

    #[test]
    fn aliases_cannot_multiply_without_end() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let one = format!("*a{}", level - 1);
            let all = vec![one; 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{all}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("values"));
    }

    #[test]
    fn a_second_document_is_not_passed_over() {
        let problem = parse("a: 1\n---\nb: 2\n").unwrap_err();
        assert!(problem.message.contains("a second document begins here") && problem.line == 2, "{problem:?}");
        assert!(parse("a: 1\n}\n").is_err(), "what follows is read too");
        check("--- \na: 1\n...\n", &json!({"a": 1}));
    }
}
