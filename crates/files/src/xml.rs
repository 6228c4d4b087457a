//! Xml to JSON, in the shape that Python's `xmltodict` gives and connectors of the low-code format address: an
//! attribute is `@name`, text beside attributes or elements is `#text`, elements of one name are a list, an empty
//! element is null, and names keep their prefix.
//!
//! Entities that a document declares for itself are left out and never expanded, so no document can grow in memory.
//! It must not read what a document points to, nor turn text into numbers.

use crate::text::{Encoding, Text};
use crate::{DEPTH_MAX, ROW_BYTES_MAX};
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};
use std::io::{BufReader, Chain, Cursor, Read};

/// How far into a document its declaration may reach, in bytes.
const DECLARATION_BYTES_MAX: u64 = 256;

/// A document that is not well formed, or beyond a limit. Nothing after that place can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the XML is not readable from byte {at} on: {cause}; check what the source sends")]
pub struct XmlError {
    /// How many bytes of the document's text were read.
    pub at: u64,
    /// What is wrong there.
    pub cause: String,
}

/// A whole document: an object with one member, named as its root element.
///
/// # Errors
/// [`XmlError`] where it is not well formed or too deep.
pub fn parse(bytes: &[u8]) -> Result<Value, XmlError> {
    let whole = Rows::new(bytes, &[], usize::MAX).next();
    whole.unwrap_or_else(|| Err(XmlError { at: 0, cause: "there is nothing".to_owned() }))
}

/// The elements at a path of names from the root on, such as `["feed", "entry"]`, each as a value, read as they are
/// asked for. After an error there are no more. The encoding is what the document says of itself.
pub fn rows<R: Read>(reader: R, path: &[&str]) -> Rows<R> {
    Rows::new(reader, path, ROW_BYTES_MAX)
}

/// A document's characters: those that were looked at for its encoding, and the rest.
type Document<R> = Text<Chain<Cursor<Vec<u8>>, R>>;

/// See [`rows`].
pub struct Rows<R> {
    reader: quick_xml::Reader<BufReader<Budget<Document<R>>>>,
    buffer: Vec<u8>,
    path: Vec<String>,
    row_bytes_max: usize,
    /// The document, then the elements that are open.
    open: Vec<Node>,
    has_doctype: bool,
    has_root: bool,
    is_over: bool,
}

/// What is known of an element that is still open.
#[derive(Default)]
struct Node {
    name: String,
    members: Map<String, Value>,
    text: String,
    /// Whether it is part of a row.
    is_kept: bool,
}

impl Node {
    /// As `xmltodict` has it: text alone is the value itself, blanks around it do not count.
    fn value(mut self) -> Value {
        let text = self.text.trim();
        match (self.members.is_empty(), text.is_empty()) {
            (true, true) => Value::Null,
            (true, false) => Value::from(text),
            (false, true) => Value::Object(self.members),
            (false, false) => {
                self.members.insert("#text".to_owned(), Value::from(text));
                Value::Object(self.members)
            }
        }
    }

    fn put(&mut self, name: String, value: Value) {
        match self.members.get_mut(&name) {
            None => drop(self.members.insert(name, value)),
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
}

/// A reader that gives so many bytes and then fails, until it is given more.
struct Budget<R> {
    inner: R,
    bytes: usize,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.bytes = self.bytes.checked_sub(read).ok_or_else(|| {
            std::io::Error::other(format!("one row, or what stands between two, is longer than {ROW_BYTES_MAX} bytes"))
        })?;
        Ok(read)
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Value, XmlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let row = self.read_row();
        self.is_over |= row.is_err();
        let row = row.map_err(|cause| XmlError { at: self.reader.buffer_position(), cause });
        row.transpose()
    }
}

impl<R: Read> Rows<R> {
    fn new(mut reader: R, path: &[&str], row_bytes_max: usize) -> Self {
        let mut head = Vec::new();
        // A reader that fails here fails again below, where it is told.
        drop(reader.by_ref().take(DECLARATION_BYTES_MAX).read_to_end(&mut head));
        let encoding = declared_encoding(&head);
        let text = Text::new(Cursor::new(head).chain(reader), encoding);
        let document = Node { is_kept: path.is_empty(), ..Node::default() };
        Self {
            reader: quick_xml::Reader::from_reader(BufReader::new(Budget { inner: text, bytes: row_bytes_max })),
            buffer: Vec::new(),
            path: path.iter().map(|&name| name.to_owned()).collect(),
            row_bytes_max,
            open: vec![document],
            has_doctype: false,
            has_root: false,
            is_over: false,
        }
    }

    /// The next row, or none at the end; in words, what is wrong.
    fn read_row(&mut self) -> Result<Option<Value>, String> {
        self.reader.get_mut().get_mut().bytes = self.row_bytes_max;
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let event = self.reader.read_event_into(&mut buffer).map_err(|error| error.to_string())?;
            let row = match event {
                Event::Start(start) => self.begin(&start).map(|()| None)?,
                Event::Empty(start) => self.begin(&start).map(|()| self.end())?,
                Event::End(_) => self.end(),
                Event::Text(text) => self.push_text(&text).map(|()| None)?,
                Event::CData(text) => self.push_text(&text).map(|()| None)?,
                Event::GeneralRef(entity) => self.push_entity(&entity).map(|()| None)?,
                Event::DocType(_) => {
                    self.has_doctype = true;
                    None
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
                Event::Eof => return self.finish(),
            };
            self.buffer = buffer;
            if row.is_some() {
                return Ok(row);
            }
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() > DEPTH_MAX {
            return Err(format!("elements lie deeper than {DEPTH_MAX} levels"));
        }
        let name = start.name().as_ref().to_owned();
        let is_root = self.open.len() == 1;
        if is_root && std::mem::replace(&mut self.has_root, true) {
            return Err(format!("a second root element, <{name}>"));
        }
        let is_within = self.open.last().is_some_and(|parent| parent.is_kept);
        let mut node = Node { is_kept: is_within || self.is_row(&name), name, ..Node::default() };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let unknown = |_: &str| self.has_doctype.then_some("");
            let value = attribute
                .normalized_value_with(XmlVersion::Implicit1_0, 1, |entity| {
                    resolve_predefined_entity(entity).or_else(|| unknown(entity))
                })
                .map_err(|error| error.to_string())?;
            if node.is_kept {
                node.put(format!("@{}", attribute.key.as_ref()), Value::from(value.as_ref()));
            }
        }
        self.open.push(node);
        Ok(())
    }

    /// Whether an element of this name, opened now, is one of those at the path.
    fn is_row(&self, name: &str) -> bool {
        let Some((last, parents)) = self.path.split_last() else { return false };
        let open = self.open.iter().skip(1).map(|node| &node.name);
        self.open.len() == self.path.len() && last == name && open.eq(parents)
    }

    /// Closes the innermost element, and gives it where it is a row.
    fn end(&mut self) -> Option<Value> {
        let node = self.open.pop().filter(|node| node.is_kept)?;
        let name = node.name.clone();
        let value = node.value();
        match self.open.last_mut() {
            Some(parent) if parent.is_kept => parent.put(name, value),
            _ => return Some(value),
        }
        None
    }

    fn push_text(&mut self, text: &str) -> Result<(), String> {
        let is_outside = self.open.len() == 1;
        if is_outside && !text.trim().is_empty() {
            return Err("text outside of the root element".to_owned());
        }
        if let Some(node) = self.open.last_mut().filter(|node| node.is_kept) {
            node.text.push_str(text);
        }
        Ok(())
    }

    fn push_entity(&mut self, entity: &BytesRef<'_>) -> Result<(), String> {
        if let Some(character) = entity.resolve_char_ref().map_err(|error| error.to_string())? {
            return self.push_text(character.encode_utf8(&mut [0; 4]));
        }
        match resolve_predefined_entity(entity) {
            Some(text) => self.push_text(text),
            None if self.has_doctype && self.open.len() > 1 => Ok(()),
            None => Err(format!("the entity &{};, which nothing declares", entity.as_ref() as &str)),
        }
    }

    fn finish(&mut self) -> Result<Option<Value>, String> {
        self.is_over = true;
        match self.open.pop() {
            Some(node) if !self.open.is_empty() => Err(format!("the end, before <{}> is closed", node.name)),
            _ if !self.has_root => Err("there is no element".to_owned()),
            Some(document) if document.is_kept => Ok(Some(document.value())),
            _ => Ok(None),
        }
    }
}

/// What a document says of its encoding in its first line; UTF-8 when it says nothing that is known.
fn declared_encoding(head: &[u8]) -> Encoding {
    let head = String::from_utf8_lossy(head);
    let declaration =
        head.trim_start_matches('\u{feff}').strip_prefix("<?xml").and_then(|rest| rest.split("?>").next());
    let named =
        declaration.and_then(|text| text.split("encoding").nth(1)).and_then(|text| text.split(['"', '\'']).nth(1));
    named.and_then(|name| Encoding::parse(name).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_an_element_at_the_path_wherever_it_stands() {
        let text = "<feed><title>x</title><entry id='1'/><more><entry id='no'/></more><entry>two</entry></feed>";
        let found: Vec<Value> = rows(text.as_bytes(), &["feed", "entry"]).map(Result::unwrap).collect();
        assert_eq!(found, [json!({"@id": "1"}), json!("two")]);
    }

    #[test]
    fn rows_before_a_fault_are_given_and_none_after() {
        let mut found = rows("<a><b>1</b><b>2</c><b>3</b></a>".as_bytes(), &["a", "b"]);
        assert_eq!(found.next().unwrap().unwrap(), "1");
        assert!(found.next().unwrap().unwrap_err().to_string().starts_with("the XML is not readable from byte"));
        assert!(found.next().is_none());
    }

    #[test]
    fn limits_hold() {
        let deep = format!("{}{}", "<a>".repeat(DEPTH_MAX + 1), "</a>".repeat(DEPTH_MAX + 1));
        assert!(parse(deep.as_bytes()).unwrap_err().cause.contains("deeper than 120"));
        let endless = format!("<a><b>1</b><b>{}</b></a>", "x".repeat(ROW_BYTES_MAX + 100_000));
        let found: Vec<_> = rows(endless.as_bytes(), &["a", "b"]).collect();
        assert!(found[0].is_ok());
        assert!(found[1].as_ref().unwrap_err().cause.contains("longer than 4194304"), "{:?}", found[1]);
        assert_eq!(parse(endless.as_bytes()).unwrap()["a"]["b"][0], "1");
    }

    #[test]
    fn the_encoding_is_what_the_document_says() {
        assert_eq!(parse(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\xe9</a>").unwrap(), json!({"a": "café"}));
        assert_eq!(parse("\u{feff}<a>é</a>".as_bytes()).unwrap(), json!({"a": "é"}));
    }
}
