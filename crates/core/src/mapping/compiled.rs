//! A mapping checked against a type, and carried out.
//!
//! One value goes two ways: `place ─▶ decode ─▶ kind ─▶ form ─▶ field` and back `field ─▶ form ─▶ encode ─▶ place`. What
//! is wanted at a place goes there and back in the mind first, so that it is told in the form that survives, and what
//! was written and reads back is equal to what was wanted. A bad value is a problem of its field, and no more.

use super::codec::{Codec, plain};
use super::{Entry, Mapping, REMOTE_ONLY, Way};
use crate::Fields;
use crate::error::{Code, Rejection, shown};
use crate::kind::Kind;
use crate::schema::{Field, Shape};
use lockstep_expr::Expr;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[cfg(test)]
#[path = "compiled_tests.rs"]
mod tests;

/// A mapping that fits its type.
#[derive(Clone, Debug)]
pub struct Compiled {
    entries: Vec<Line>,
}

/// What an object says, in the hub's terms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inward {
    /// Values by field, in canonical form. Absent is not said; null is cleared.
    pub values: Fields,
    /// Remote object and remote id, by the field that refers to it.
    pub references: BTreeMap<String, (String, String)>,
    /// Values that do not fit, by pointer.
    pub problems: Vec<Rejection>,
}

/// How a record should look at the platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outward {
    /// Values by the key of their entry, in the form that survives there. Null is nothing.
    pub values: Fields,
    /// Values that the platform cannot hold, by pointer.
    pub problems: Vec<Rejection>,
    /// Fields whose record is not known there yet.
    pub missing: Vec<String>,
}

/// An entry with what it needs at hand.
#[derive(Clone, Debug)]
struct Line {
    key: String,
    field: Option<Field>,
    inward: Option<Expr>,
    outward: Option<Expr>,
    said: Entry,
}

impl Mapping {
    /// Checks the mapping against a type.
    ///
    /// # Errors
    /// Everything that does not fit: unknown fields, expressions that do not compile, references to nothing; each with
    /// a pointer.
    pub fn compile(&self, shape: &Shape) -> Result<Compiled, Vec<Rejection>> {
        let mut wrong = Vec::new();
        let lines: Vec<Line> =
            self.entries.iter().filter_map(|(key, entry)| line(key, entry, shape, &mut wrong)).collect();
        if wrong.is_empty() { Ok(Compiled { entries: lines }) } else { Err(wrong) }
    }
}

fn line(key: &str, said: &Entry, shape: &Shape, wrong: &mut Vec<Rejection>) -> Option<Line> {
    let known = wrong.len();
    let mut tell = |code: Code, text: String| wrong.push(Rejection::new(code, text).at_field(key));
    let field = match key.strip_prefix(REMOTE_ONLY) {
        Some(_) => None,
        None => match shape.field(key) {
            Ok(field) => Some(field.clone()),
            Err(unknown) => {
                tell(unknown.code, unknown.message);
                return None;
            }
        },
    };
    let mut compiled = |text: &Option<String>| {
        let expr = Expr::compile(text.as_deref()?);
        expr.map_err(|error| tell(Code::InvalidTemplate, error.to_string())).ok()
    };
    let (inward, outward) = (compiled(&said.inward), compiled(&said.outward));
    let goes_out = said.only != Some(Way::In);
    if field.is_none() && said.outward.is_none() {
        tell(Code::InvalidBody, format!("{key} stands for no field, so it needs `out`, an expression for its value"));
    }
    if said.path.is_none() && (said.inward.is_none() || goes_out) {
        let text = "it needs `path`, the remote place; without one it is `{in: …, only: in}`";
        tell(Code::InvalidBody, text.to_owned());
    }
    if said.path.as_ref().is_some_and(|path| path.names().is_empty()) {
        tell(Code::InvalidBody, "the path is empty; name the remote place".to_owned());
    }
    if said.inward.is_some() && said.outward.is_none() && goes_out {
        let text = "it has `in` and goes both ways, so it needs `out` as well; or say `only: in`";
        tell(Code::InvalidBody, text.to_owned());
    }
    if let Some(field) = &field {
        check_kind(said, field, &mut tell);
    }
    (wrong.len() == known).then(|| Line { key: key.to_owned(), field, inward, outward, said: said.clone() })
}

fn check_kind(said: &Entry, field: &Field, tell: &mut impl FnMut(Code, String)) {
    let is_reference = matches!(field.kind, Kind::Reference(_));
    if is_reference != said.reference.is_some() && said.inward.is_none() && said.outward.is_none() {
        let text = match is_reference {
            true => "it refers to a record; name the remote object whose id stands there, as `reference: NAME`",
            false => "only a field that refers to a record has `reference`",
        };
        tell(Code::InvalidBody, text.to_owned());
    }
    if said.is_merged && !matches!(field.kind, Kind::Set | Kind::List) {
        tell(Code::InvalidBody, format!("`set: merge` is for sets, and {} is a {}", field.id, field.kind.name()));
    }
    if said.reference.is_none()
        && let Err(misfit) = field.kind.check(said.default.clone())
    {
        let text = format!("the default is {}, but {} wants {}", shown(&plain(&said.default)), field.id, misfit.0);
        tell(Code::InvalidValue, text);
    }
}

impl Line {
    fn kind(&self) -> Option<&Kind> {
        self.field.as_ref().map(|field| &field.kind)
    }

    /// Whether the value there is another than the field's, so that it is compared as it stands.
    fn is_worked_out(&self) -> bool {
        self.inward.is_some() || self.outward.is_some() || self.field.is_none()
    }

    fn problem(&self, value: &Value, wants: &str) -> Rejection {
        let value = match &self.field {
            Some(field) => field.shown(value),
            None => shown(&plain(value)),
        };
        Rejection::new(Code::InvalidValue, format!("{} is {value}, but this field wants {wants}", self.key))
            .at_field(&self.key)
    }

    /// The value at its place, read; `None` where the object says nothing of it.
    fn decoded(&self, object: &Value) -> Option<Result<Value, Rejection>> {
        let raw = self.said.path.as_ref()?.get(object)?;
        let read = self.said.codecs.iter().try_fold(raw.clone(), |value, codec| codec.decode(value));
        Some(
            read.map(|value| if value == self.said.cleared { Value::Null } else { value })
                .map_err(|wants| self.problem(raw, &wants)),
        )
    }

    fn encoded(&self, value: Value) -> Result<Value, String> {
        if value.is_null() && !self.said.cleared.is_null() {
            return Ok(self.said.cleared.clone());
        }
        self.said.codecs.iter().rev().try_fold(value, |value, codec| codec.encode(value))
    }

    /// The value in canonical form and in the form that survives at the platform.
    fn canonical(&self, value: Value) -> Result<Value, Rejection> {
        let Some(kind) = self.kind().filter(|_| self.said.reference.is_none()) else { return Ok(plain_id(value)) };
        let value = kind.check(value.clone()).map_err(|misfit| self.problem(&value, &misfit.0))?;
        self.formed(Some(kind), &value)
    }

    fn formed(&self, kind: Option<&Kind>, value: &Value) -> Result<Value, Rejection> {
        let formed = self.said.form.apply(kind, value.clone());
        let formed = formed.map_err(|holds| {
            let text = format!("{} is {}, and the platform holds {holds}", self.key, self.told(value));
            Rejection::new(Code::InvalidValue, text).at_field(&self.key)
        })?;
        // Capitals and cuts may leave another canonical form.
        match kind {
            Some(kind) => kind.check(formed.clone()).or(Ok(formed)),
            None => Ok(formed),
        }
    }

    fn told(&self, value: &Value) -> String {
        self.field.as_ref().map_or_else(|| shown(&plain(value)), |field| field.shown(value))
    }

    /// What a field becomes of what an object says; `None` where it says nothing.
    fn value_in(&self, object: &Value) -> Option<Result<Value, Rejection>> {
        let decoded = match (&self.said.path, &self.inward) {
            (None, Some(_)) => Value::Null,
            _ => match self.decoded(object)? {
                Ok(value) => value,
                Err(problem) => return Some(Err(problem)),
            },
        };
        let Some(inward) = &self.inward else { return Some(self.taken(decoded)) };
        let scope = Map::from_iter([("object".to_owned(), object.clone()), ("value".to_owned(), decoded)]);
        match inward.eval(&scope) {
            // Without a place there is no telling "nothing there" from "not said".
            Ok(Value::Null) if self.said.path.is_none() => None,
            Ok(value) => Some(self.taken(value)),
            Err(error) => Some(Err(Rejection::new(Code::InvalidValue, error.to_string()).at_field(&self.key))),
        }
    }

    /// A value as the field's, without the platform's limits: those are known of what is written there.
    fn taken(&self, value: Value) -> Result<Value, Rejection> {
        match self.kind() {
            Some(kind) if self.said.reference.is_none() => {
                kind.check(value.clone()).map_err(|misfit| self.problem(&value, &misfit.0))
            }
            _ => Ok(plain_id(value)),
        }
    }

    /// What the place should hold, in the form that survives.
    fn value_out(&self, own: Value, record: &Fields) -> Result<Value, Rejection> {
        let own = if own.is_null() { self.said.default.clone() } else { own };
        let wanted = match &self.outward {
            None => self.canonical(own)?,
            Some(outward) => {
                let record = Value::Object(record.clone());
                let scope = Map::from_iter([("record".to_owned(), record), ("value".to_owned(), own)]);
                let value = outward.eval(&scope);
                let value =
                    value.map_err(|error| Rejection::new(Code::InvalidValue, error.to_string()).at_field(&self.key))?;
                self.formed(None, &value)?
            }
        };
        if self.said.codecs.is_empty() {
            return Ok(wanted);
        }
        let back = self
            .encoded(wanted.clone())
            .and_then(|there| self.said.codecs.iter().try_fold(there, |value, codec: &Codec| codec.decode(value)));
        let back = back.map_err(|wants| self.problem(&wanted, &wants))?;
        let back = if back == self.said.cleared { Value::Null } else { back };
        if self.is_worked_out() { Ok(back) } else { self.canonical(back) }
    }

    /// What the place is known to hold, as it is compared; `None` where the object says nothing of it.
    fn value_shown(&self, object: &Value) -> Option<Value> {
        if self.said.path.is_none() {
            return self.value_in(object)?.ok();
        }
        let raw = || self.said.path.as_ref().and_then(|path| path.get(object)).cloned();
        match self.decoded(object)? {
            Err(_odd) => raw(),
            Ok(value) if self.is_worked_out() => Some(self.formed(None, &value).unwrap_or(value)),
            Ok(value) => Some(self.canonical(value.clone()).unwrap_or(value)),
        }
    }

    fn is_equal(&self, one: &Value, other: &Value) -> bool {
        if is_nothing(one) || is_nothing(other) {
            return is_nothing(one) && is_nothing(other);
        }
        match (self.kind(), one, other) {
            (Some(Kind::Set), Value::Array(_), Value::Array(_)) => {
                lacks(one, other).next().is_none() && lacks(other, one).next().is_none()
            }
            (Some(kind), _, _) if !self.is_worked_out() && self.said.reference.is_none() => kind.is_equal(one, other),
            _ => is_loosely_equal(one, other),
        }
    }
}

impl Compiled {
    /// What an object says, in the hub's terms and canonical form: fields of the hub only. One bad value is a problem
    /// of its field, not the end.
    #[must_use]
    pub fn inward(&self, object: &Value) -> Inward {
        let mut found = Inward::default();
        for line in self.entries.iter().filter(|line| line.said.only != Some(Way::Out) && line.field.is_some()) {
            match (line.value_in(object), &line.said.reference) {
                (None, _) => {}
                (Some(Err(problem)), _) => found.problems.push(problem),
                (Some(Ok(Value::String(id))), Some(remote)) if !id.is_empty() => {
                    found.references.insert(line.key.clone(), (remote.clone(), id));
                }
                (Some(Ok(_nothing)), Some(_)) => drop(found.values.insert(line.key.clone(), Value::Null)),
                (Some(Ok(value)), None) => drop(found.values.insert(line.key.clone(), value)),
            }
        }
        found
    }

    /// How a record should look there, by the key of each entry, in the form that survives the round trip.
    /// `references` are remote ids by field, for fields that refer to records.
    #[must_use]
    pub fn outward(&self, fields: &Fields, references: &BTreeMap<String, String>) -> Outward {
        let mut found = Outward::default();
        for line in self.entries.iter().filter(|line| line.said.only != Some(Way::In)) {
            let own = fields.get(&line.key).cloned().unwrap_or_default();
            let own = match (&line.said.reference, references.get(&line.key)) {
                (None, _) => own,
                (Some(_), Some(id)) => id.as_str().into(),
                (Some(_), None) if own.is_null() => Value::Null,
                (Some(_), None) => {
                    found.missing.push(line.key.clone());
                    continue;
                }
            };
            match line.value_out(own, fields) {
                Ok(value) => drop(found.values.insert(line.key.clone(), value)),
                Err(problem) => found.problems.push(problem),
            }
        }
        found
    }

    /// The same of an object as the platform shows it, which is what a shadow holds: by the key of each entry, also of
    /// those that only come in. Absent is not said.
    #[must_use]
    pub fn shown(&self, object: &Value) -> Fields {
        let told = self.entries.iter().filter_map(|line| Some((line.key.clone(), line.value_shown(object)?)));
        told.collect()
    }

    /// The keys that are to be written: what is wanted and not shown. Absent, null and empty text are the same; sets
    /// have no order; `create_only` counts while `creating` alone; a merged set differs where a member is missing there.
    #[must_use]
    pub fn differing(&self, wanted: &Fields, shown: &Fields, creating: bool) -> Vec<String> {
        let differs = |line: &&Line| {
            let Some(wanted) = wanted.get(&line.key) else { return false };
            let shown = shown.get(&line.key).unwrap_or(&Value::Null);
            match line.said.is_merged {
                _ if line.said.is_create_only && !creating => false,
                true => lacks(wanted, shown).next().is_some(),
                false => !line.is_equal(wanted, shown),
            }
        };
        self.entries.iter().filter(differs).map(|line| line.key.clone()).collect()
    }

    /// What is wanted, with sets that are merged completed by the members that are there: written as a whole, it takes
    /// none of them away.
    #[must_use]
    pub fn joined(&self, mut wanted: Fields, shown: &Fields) -> Fields {
        for line in self.entries.iter().filter(|line| line.said.is_merged) {
            let (Some(own), Some(there)) = (wanted.get_mut(&line.key), shown.get(&line.key)) else { continue };
            let mut more: Vec<Value> = lacks(there, own).cloned().collect();
            match own {
                Value::Array(items) => items.append(&mut more),
                one if is_nothing(one) => *one = Value::Array(more),
                one => *one = std::iter::once(one.take()).chain(more).collect(),
            }
        }
        wanted
    }

    /// The remote tree of some keys, of all where none are named, with values written as they are there.
    #[must_use]
    pub fn object(&self, wanted: &Fields, keys: Option<&[String]>) -> Value {
        let mut object = Value::Object(Map::new());
        for line in self.entries.iter().filter(|line| keys.is_none_or(|keys| keys.contains(&line.key))) {
            let (Some(path), Some(value)) = (&line.said.path, wanted.get(&line.key)) else { continue };
            if let Ok(there) = line.encoded(value.clone()) {
                path.set(&mut object, there);
            }
        }
        object
    }

    /// An object that says all it has: what it does not say of a mapped place is nothing there.
    #[must_use]
    pub fn completed(&self, mut object: Value) -> Value {
        for path in self.entries.iter().filter_map(|line| line.said.path.as_ref()) {
            if path.get(&object).is_none() {
                path.set(&mut object, Value::Null);
            }
        }
        object
    }

    /// The remote places of a group of fields with what should stand there, to look an object up by; `None` where one
    /// has no place of its own, or no value.
    #[must_use]
    pub fn group(&self, fields: &[String], wanted: &Fields) -> Option<Vec<(String, Value)>> {
        let place = |field: &String| {
            let line = self.entries.iter().find(|line| line.key == *field && !line.is_worked_out())?;
            let value = wanted.get(field).filter(|value| !is_nothing(value))?;
            Some((line.said.path.as_ref()?.to_string(), line.encoded(value.clone()).ok()?))
        };
        fields.iter().map(place).collect()
    }

    /// The remote objects that fields refer to, by field.
    pub fn referring(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().filter_map(|line| Some((line.key.as_str(), line.said.reference.as_deref()?)))
    }
}

/// An id as text; platforms write it as a number as well, and nothing as 0 or an empty text.
fn plain_id(value: Value) -> Value {
    match value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) if text.is_empty() => Value::Null,
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The members of one that another has not; a single value is a member.
fn lacks<'v>(wanted: &'v Value, shown: &'v Value) -> impl Iterator<Item = &'v Value> {
    let members = |value: &'v Value| match value {
        Value::Array(items) => items.as_slice(),
        one if is_nothing(one) => &[],
        one => std::slice::from_ref(one),
    };
    members(wanted).iter().filter(move |item| !members(shown).iter().any(|has| is_loosely_equal(item, has)))
}

/// Equality of values that no kind speaks for: `1`, `"1"` and `true` written differently are not told apart by form.
fn is_loosely_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (one, other) if one == other => true,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_loosely_equal(one, other))
        }
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        (one, other) => plain(one) == plain(other),
    }
}
