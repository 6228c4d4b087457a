//! The JSON form of a mapping read: every fault is told, with its pointer and the way out. It must not know a type.

use super::codec::Codec;
use super::form::Form;
use super::path::Path;
use super::{Entry, Mapping, REMOTE_ONLY, Way};
use crate::error::{Code, Rejection, shown};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most entries of a mapping.
const ENTRIES_MAX: usize = 1_000;

const NAMES: [&str; 10] =
    ["path", "in", "out", "only", "codec", "set", "create_only", "default", "cleared", "reference"];

/// A fault that ended the reading of one part.
pub(super) type Wrong = Rejection;

/// Reads the members of one object and keeps what is wrong.
pub(super) struct Reader<'v> {
    members: &'v Map<String, Value>,
    pointer: String,
    wrong: Vec<Rejection>,
}

pub(super) fn mapping(value: &Value) -> Result<Mapping, Vec<Rejection>> {
    let Value::Object(members) = value else {
        let text = "a mapping is an object: by field of the type a remote path, or an object that describes it";
        return Err(vec![Rejection::new(Code::InvalidBody, text).at("")]);
    };
    if members.len() > ENTRIES_MAX {
        let text = format!("a mapping has {} entries and at most {ENTRIES_MAX} are allowed", members.len());
        return Err(vec![Rejection::new(Code::InvalidBody, text).at("")]);
    }
    let mut wrong = Vec::new();
    let mut entries = BTreeMap::new();
    for (key, said) in members {
        entries.insert(key.clone(), entry(key, said, &mut wrong));
    }
    if wrong.is_empty() { Ok(Mapping { entries }) } else { Err(wrong) }
}

fn entry(key: &str, said: &Value, wrong: &mut Vec<Rejection>) -> Entry {
    let implied = key.strip_prefix(REMOTE_ONLY).map(Path::parse);
    let members = match said {
        Value::String(path) => return Entry::at(Path::parse(path)),
        Value::Object(members) => members,
        _ => {
            let text = "an entry is a remote path, or an object with `path` and what else there is to say";
            wrong.push(Rejection::new(Code::InvalidBody, text).at_field(key));
            return Entry::default();
        }
    };
    let mut reader = Reader::new(members, pointer("", key), &[&NAMES[..], &Form::NAMES].concat());
    let entry = Entry {
        path: reader.text("path").map(|text| Path::parse(&text)).or(implied),
        inward: reader.text("in"),
        outward: reader.text("out"),
        only: reader.word("only", &[("in", Way::In), ("out", Way::Out)]),
        codecs: reader.codecs(),
        is_merged: reader.word("set", &[("merge", true), ("replace", false)]).unwrap_or(false),
        is_create_only: reader.flag("create_only"),
        default: members.get("default").cloned().unwrap_or_default(),
        cleared: members.get("cleared").cloned().unwrap_or_default(),
        reference: reader.text("reference"),
        form: Form::read(&mut reader),
    };
    wrong.append(&mut reader.wrong);
    entry
}

fn pointer(base: &str, name: &str) -> String {
    format!("{base}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl<'v> Reader<'v> {
    /// Begins with an object; names that are not known are told.
    fn new(members: &'v Map<String, Value>, pointer: String, known: &[&str]) -> Self {
        let mut reader = Self { members, pointer, wrong: Vec::new() };
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            let near =
                known.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
            let near = near.filter(|near| strsim::jaro_winkler(near, name) > 0.8);
            let hint = near.map_or_else(
                || format!("; known here: {}", known.join(", ")),
                |near| format!("; did you mean {near}?"),
            );
            let text = format!("there is nothing called {} here{hint}", shown(name));
            let wrong = reader.wrong(name, text);
            reader.wrong.push(wrong);
        }
        reader
    }

    /// A fault at a member.
    pub(super) fn wrong(&self, name: &str, text: impl Into<String>) -> Wrong {
        Rejection::new(Code::InvalidBody, text).at(pointer(&self.pointer, name))
    }

    fn tell(&mut self, name: &str, text: impl Into<String>) {
        let wrong = self.wrong(name, text);
        self.wrong.push(wrong);
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.members.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            _ => {
                self.tell(name, format!("`{name}` is a text"));
                None
            }
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Option<usize> {
        let value = self.members.get(name)?;
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        if number.is_none() {
            self.tell(name, format!("`{name}` is a whole number from 0"));
        }
        number
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.members.get(name) {
            None => false,
            Some(Value::Bool(is_set)) => *is_set,
            Some(_) => {
                self.tell(name, format!("`{name}` is true or false"));
                false
            }
        }
    }

    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.members.get(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, meant)| *meant);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.tell(name, format!("`{name}` is one of {}", words.join(", ")));
        }
        found
    }

    pub(super) fn needed_word(&self, name: &str, words: &[&str]) -> Result<String, Wrong> {
        let found = self.members.get(name).and_then(Value::as_str).filter(|word| words.contains(word));
        found.map(str::to_owned).ok_or_else(|| self.wrong(name, format!("`{name}` is one of {}", words.join(", "))))
    }

    /// A member that is an object of texts.
    pub(super) fn words(&self, name: &str) -> Result<BTreeMap<String, String>, Wrong> {
        let wrong = || self.wrong(name, format!("`{name}` is an object: by value of ours the word there"));
        let members = self.members.get(name).and_then(Value::as_object).ok_or_else(wrong)?;
        Ok(members.iter().map(|(ours, theirs)| (ours.clone(), super::codec::plain(theirs))).collect())
    }

    /// `codec`: a word, an object, or several of either in a list.
    fn codecs(&mut self) -> Vec<Codec> {
        let said = match self.members.get("codec") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
        };
        let at = pointer(&self.pointer, "codec");
        let mut codecs = Vec::new();
        for one in said {
            let members = match one {
                Value::String(word) => Map::from_iter([("kind".to_owned(), Value::String(word))]),
                Value::Object(members) => members,
                _ => Map::new(),
            };
            let mut reader = Reader::new(&members, at.clone(), &["kind", "by", "format", "zone", "of"]);
            let read = Codec::read(&mut reader);
            let mut wrong = reader.wrong;
            match read {
                Ok(codec) => codecs.push(codec),
                Err(one) => wrong.push(one),
            }
            self.wrong.append(&mut wrong);
        }
        codecs
    }
}
