//! A made-up platform with objects that refer to each other: companies, people who work for one, and staff with
//! managers. It takes no reference to what it does not know, lists by id in pages, and sends no hooks.

use super::ledger::{Effect, Ledger, Write};
use super::{Answer, Call, Hook, Platform};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A kind of object.
struct Kind {
    name: &'static str,
    /// The value that it is recognised by.
    key: &'static str,
    /// The value that refers to another object, and of which kind that is.
    refers: Option<(&'static str, &'static str)>,
}

const KINDS: [Kind; 3] = [
    Kind { name: "companies", key: "vat", refers: None },
    Kind { name: "people", key: "mail", refers: Some(("company", "companies")) },
    Kind { name: "staff", key: "mail", refers: Some(("manager", "staff")) },
];

fn kind_of(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Objects on a page.
const PAGE: usize = 10;

/// The platform.
#[derive(Default)]
pub struct Firm {
    next: u64,
    objects: BTreeMap<&'static str, BTreeMap<String, Map<String, Value>>>,
    ledger: Ledger,
    refused: BTreeMap<String, u16>,
}

impl Firm {
    /// The objects of a kind, by id.
    #[must_use]
    pub fn all(&self, kind: &str) -> &BTreeMap<String, Map<String, Value>> {
        static NONE: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        self.objects.get(kind).unwrap_or(&NONE)
    }

    /// Its own users add an object, or change one that they name by `id`; gives its id. They may refer to anything.
    ///
    /// # Panics
    /// When there is no such kind, or `values` is no object, which only a test can write.
    pub fn put(&mut self, kind: &str, values: &Value, now: Timestamp) -> String {
        let kind = kind_of(kind).unwrap_or_else(|| panic!("no {kind}")).name;
        let values = values.as_object().unwrap_or_else(|| panic!("no object: {values}"));
        let id = values.get("id").and_then(Value::as_str).map_or_else(|| self.fresh(kind), str::to_owned);
        let object = self.objects.entry(kind).or_default().entry(id.clone()).or_default();
        object.extend(values.clone());
        object.insert("id".to_owned(), id.as_str().into());
        object.insert("edited".to_owned(), now.to_string().into());
        id
    }

    /// Whatever is written to an object with this value, of those that objects are recognised by, is answered so from now
    /// on, and nothing is done.
    pub fn refuse(&mut self, value: &str, status: u16) {
        self.refused.insert(value.to_owned(), status);
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{}{:06}", &kind[..1], self.next)
    }

    fn list(&self, Kind { name, key, .. }: &Kind, call: &Call) -> Answer {
        let wanted = call.query(key);
        let after = call.query("after").unwrap_or_default();
        let since = call.query("since").unwrap_or_default();
        let text =
            |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let found = self.all(name).iter().filter(|(id, object)| {
            **id > after
                && text(object, "edited") >= since
                && wanted.as_ref().is_none_or(|wanted| text(object, key).eq_ignore_ascii_case(wanted))
        });
        let page: Vec<&Map<String, Value>> = found.map(|(_, object)| object).take(PAGE).collect();
        let next = page.last().filter(|_| page.len() == PAGE).map(|last| last["id"].clone());
        Answer::json(StatusCode::OK, &json!({"data": page, "next": next}))
    }

    fn write(&mut self, said: &'static Kind, id: Option<&str>, call: &Call, now: Timestamp) -> Answer {
        let Kind { name: kind, key, refers } = *said;
        let Some(Value::Object(values)) = call.json() else { return fault(400, "the body is no JSON object") };
        let standing = id.and_then(|id| self.all(kind).get(id)?.get(key));
        let named = values.get(key).or(standing).and_then(Value::as_str);
        if let Some(status) = named.and_then(|named| self.refused.get(named)) {
            return fault(*status, "not this one");
        }
        if let Some((field, target)) = refers
            && let Some(Value::String(other)) = values.get(field)
            && !self.all(target).contains_key(other)
        {
            return fault(422, &format!("{field}: there is no {target} {other}"));
        }
        let before = match id {
            Some(id) => match self.all(kind).get(id) {
                Some(before) => before.clone(),
                None => return fault(404, "there is no such object"),
            },
            None if self.all(kind).values().any(|known| known.get(key) == values.get(key)) => {
                return fault(409, &format!("{key} is there already"));
            }
            None => Map::new(),
        };
        let is_same = values.iter().all(|(name, value)| before.get(name).unwrap_or(&Value::Null) == value);
        let mut next = values;
        next.extend(id.map(|id| ("id".to_owned(), id.into())));
        let id = self.put(kind, &Value::Object(next), now);
        let what = if before.is_empty() { Effect::Made } else { Effect::changed(!is_same) };
        self.ledger.note(now, kind, &id, what);
        Answer::json(StatusCode::OK, &json!({"data": self.all(kind)[&id]}))
    }
}

fn fault(status: u16, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Answer::json(status, &json!({ "message": message }))
}

impl Platform for Firm {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        let segments = call.segments();
        let Some(kind) = segments.first().and_then(|name| kind_of(name)) else {
            return if segments == ["me"] {
                Answer::json(StatusCode::OK, &json!({"firm": "one"}))
            } else {
                fault(404, "no")
            };
        };
        match (call.method.as_str(), segments.get(1).map(String::as_str)) {
            ("GET", None) => self.list(kind, call),
            ("GET", Some(id)) => match self.all(kind.name).get(id) {
                Some(object) => Answer::json(StatusCode::OK, &json!({ "data": object })),
                None => fault(404, "there is no such object"),
            },
            ("POST" | "PATCH", id) => self.write(kind, id, call, now),
            _ => fault(405, "no"),
        }
    }

    fn throttled(&self, seconds: u64) -> Answer {
        fault(429, "slower").with("retry-after", &seconds.to_string())
    }

    fn unavailable(&self) -> Answer {
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, "text/html", "<html><body>Busy</body></html>")
    }

    fn expire_tokens(&mut self) {}

    fn take_hooks(&mut self, _: Timestamp) -> Vec<Hook> {
        Vec::new()
    }

    fn hook_answered(&mut self, _: &Hook, _: Option<u16>) {}

    fn writes(&self) -> &[Write] {
        self.ledger.writes()
    }
}
