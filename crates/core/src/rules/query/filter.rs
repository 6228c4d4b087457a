//! One filter of a query: read by the kind of its field, and asked of a record.

use super::Subject;
use crate::clock::Timestamp;
use crate::error::{Code, Rejection, shown};
use crate::kind::{Kind, Misfit};
use crate::limits::{FILTER_VALUES_MAX, LOOKUP_BYTES_MAX};
use crate::record::Record;
use crate::rules::sorting::{around, bytes};
use crate::schema::Field;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// What is asked of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// It equals; of a list or set, a member does.
    Eq,
    /// It does not; an absent one does not either.
    Ne,
    /// It is less.
    Lt,
    /// It is less or equal.
    Lte,
    /// It is greater.
    Gt,
    /// It is greater or equal.
    Gte,
    /// It equals one of several.
    In,
    /// A text holds this, whatever the case; a list or set has this member.
    Contains,
    /// A text begins so.
    StartsWith,
    /// There is one, or there is none.
    Exists,
}

impl Op {
    /// Every one, with its name.
    pub const ALL: [(&'static str, Self); 10] = [
        ("eq", Self::Eq),
        ("ne", Self::Ne),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("in", Self::In),
        ("contains", Self::Contains),
        ("startsWith", Self::StartsWith),
        ("exists", Self::Exists),
    ];

    /// By its name.
    ///
    /// # Errors
    /// `invalid_parameter`.
    pub fn parse(name: &str) -> Result<Self, Rejection> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, op)| *op).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
            invalid(format!("{} is no way to filter: there are {}", shown(name), known.join(", ")))
        })
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    const fn takes(self, kind: &Kind) -> bool {
        match self {
            Self::Exists => true,
            Self::Eq | Self::Ne | Self::In => !matches!(kind, Kind::Object),
            Self::Lt | Self::Lte | Self::Gt | Self::Gte => !kind.is_collection() && !matches!(kind, Kind::Boolean),
            Self::Contains => kind.is_text() || matches!(kind, Kind::List | Kind::Set),
            Self::StartsWith => kind.is_text(),
        }
    }
}

fn invalid(text: String) -> Rejection {
    Rejection::new(Code::InvalidParameter, text)
}

/// A filter that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Of what.
    pub subject: Subject,
    /// What is asked.
    pub op: Op,
    /// Against which values, canonical; null for none.
    pub values: Vec<Value>,
}

impl Test {
    /// Reads a filter's values by the kind of its field.
    ///
    /// # Errors
    /// `invalid_parameter`, naming the field and what it wants.
    pub fn parse(subject: Subject, op: Op, values: &[String]) -> Result<Self, Rejection> {
        let (name, kind) = (subject.name().to_owned(), subject.kind().clone());
        if !op.takes(&kind) {
            let ops: Vec<_> = Op::ALL.iter().filter(|(_, op)| op.takes(&kind)).map(|(name, _)| *name).collect();
            let text = format!(
                "{name} is a {}, which {} is not asked of: it takes {}",
                kind.name(),
                op.name(),
                ops.join(", ")
            );
            return Err(invalid(text));
        }
        if values.len() > FILTER_VALUES_MAX || values.is_empty() || (values.len() > 1 && op != Op::In) {
            let most = if op == Op::In { FILTER_VALUES_MAX } else { 1 };
            return Err(invalid(format!("{name} is filtered by {} values: give 1 to {most}", values.len())));
        }
        let values = values.iter().map(|value| subject.read(op, value)).collect::<Result<Vec<_>, _>>()?;
        let needs_some = !matches!(op, Op::Eq | Op::Ne | Op::In);
        if needs_some && values.iter().any(Value::is_null) {
            return Err(invalid(format!("{name} is compared with nothing: give a value, or ask {name}[exists]=false")));
        }
        Ok(Self { subject, op, values })
    }

    /// Whether a record meets it.
    #[must_use]
    pub fn is_met_by(&self, record: &Record) -> bool {
        let (kind, value) = (self.subject.kind(), self.subject.value_of(record));
        let wanted = self.values.first().unwrap_or(&Value::Null);
        let equals = |wanted: &Value| equals(kind, value.as_deref(), wanted);
        match self.op {
            Op::Eq | Op::In => self.values.iter().any(equals),
            Op::Ne => !equals(wanted),
            Op::Exists => value.is_some() == wanted.as_bool().unwrap_or(true),
            Op::Lt => compare(kind, value.as_deref(), wanted) == Some(Ordering::Less),
            Op::Gt => compare(kind, value.as_deref(), wanted) == Some(Ordering::Greater),
            Op::Lte => compare(kind, value.as_deref(), wanted).is_some_and(Ordering::is_le),
            Op::Gte => compare(kind, value.as_deref(), wanted).is_some_and(Ordering::is_ge),
            Op::Contains if kind.is_collection() => equals(wanted),
            Op::Contains => has_text(value.as_deref(), wanted, |text, part| text.to_lowercase().contains(part)),
            Op::StartsWith => has_text(value.as_deref(), wanted, |text, part| text.starts_with(part)),
        }
    }

    /// The bytes in the lookup among which every record lies that meets it; none where they may lie anywhere. The empty
    /// bytes are those of records without a value.
    #[must_use]
    pub fn ranges(&self) -> Option<Vec<RangeInclusive<Vec<u8>>>> {
        let kind = self.subject.kind();
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(LOOKUP_BYTES_MAX);
            bytes
        };
        let wanted = self.values.first().unwrap_or(&Value::Null);
        let (any, most) = (|| vec![0], || vec![u8::MAX; LOOKUP_BYTES_MAX + 1]);
        let near = |value: &Value| match value {
            Value::Null => Some(Vec::new()..=Vec::new()),
            value => around(kind, value).map(RangeInclusive::into_inner).map(|(low, high)| cut(low)..=cut(high)),
        };
        let one = |range: RangeInclusive<Vec<u8>>| Some(vec![range]);
        match self.op {
            Op::Eq | Op::In => self.values.iter().map(near).collect(),
            Op::Lt | Op::Lte => one(any()..=near(wanted)?.into_inner().1),
            Op::Gt | Op::Gte => one(near(wanted)?.into_inner().0..=most()),
            Op::Exists if wanted == &Value::Bool(false) => one(Vec::new()..=Vec::new()),
            Op::Exists => one(any()..=most()),
            Op::StartsWith => {
                let low = cut(wanted.as_str()?.as_bytes().to_vec());
                let high = [&low[..], &[u8::MAX]].concat();
                one(low..=high)
            }
            Op::Ne | Op::Contains => None,
        }
    }
}

impl Subject {
    fn kind(&self) -> &Kind {
        match self {
            Self::CreatedAt | Self::UpdatedAt => &Kind::Datetime,
            Self::Field(field) => &field.kind,
        }
    }

    fn value_of<'a>(&self, record: &'a Record) -> Option<Cow<'a, Value>> {
        match self {
            Self::CreatedAt => Some(Cow::Owned(record.created_at.to_string().into())),
            Self::UpdatedAt => Some(Cow::Owned(record.updated_at.to_string().into())),
            Self::Field(field) => record.state.fields.get(&field.id).map(Cow::Borrowed),
        }
    }

    fn read(&self, op: Op, value: &str) -> Result<Value, Rejection> {
        // A day stands for its first instant, as it does wherever else a time is asked for.
        let is_day = op != Op::Exists && *self.kind() == Kind::Datetime && value.len() == "2026-01-31".len();
        let first = Timestamp::parse(value).ok().filter(|_| is_day).map(|first| first.to_string());
        let value = first.as_deref().unwrap_or(value);
        let kind = match (op, self.kind()) {
            (Op::Exists, _) => &Kind::Boolean,
            // A member, or a part of a text, is not a whole value.
            (_, Kind::List | Kind::Set) => &Kind::String,
            (Op::Contains, _) => return Ok(value.to_lowercase().into()),
            (Op::StartsWith, Kind::Email) => return Ok(value.to_lowercase().into()),
            (Op::StartsWith, _) => return Ok(value.into()),
            (_, kind) => kind,
        };
        kind.check(value.into()).map_err(|Misfit(wants)| {
            let shown = match self {
                Self::Field(field) => Field::shown(field, &value.into()),
                _ => shown(value),
            };
            invalid(format!("{} is compared with {shown}, but it wants {wants}", self.name()))
        })
    }
}

/// Whether a value, or a member of one, equals what is wanted; null is equal to no value.
fn equals(kind: &Kind, value: Option<&Value>, wanted: &Value) -> bool {
    match (value, wanted) {
        (None, Value::Null) => true,
        (Some(Value::Array(members)), Value::String(wanted)) => members.iter().any(|member| match member {
            Value::String(text) => text == wanted,
            other => wanted.parse::<Value>().is_ok_and(|wanted| wanted == *other),
        }),
        (Some(value), wanted) => !wanted.is_null() && kind.is_equal(value, wanted),
        (None, _) => false,
    }
}

/// How a value stands to another; instants that are equal at the coarser precision are equal.
fn compare(kind: &Kind, value: Option<&Value>, wanted: &Value) -> Option<Ordering> {
    let value = value?;
    if kind.is_equal(value, wanted) {
        return Some(Ordering::Equal);
    }
    Some(bytes(kind, value)?.cmp(&bytes(kind, wanted)?))
}

fn has_text(value: Option<&Value>, wanted: &Value, has: impl Fn(&str, &str) -> bool) -> bool {
    value.and_then(Value::as_str).zip(wanted.as_str()).is_some_and(|(text, part)| has(text, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::ids::{RecordId, TypeId};
    use crate::record::State;
    use serde_json::json;
    use std::sync::Arc;

    fn subject(kind: &Kind) -> Subject {
        Subject::Field(Box::new(Field::new("x", kind.clone())))
    }

    fn record(value: &Value) -> Record {
        let fields = json!({"x": value}).as_object().unwrap().clone();
        let fields = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
        Record {
            id: RecordId(1),
            ty: TypeId::parse("contact").unwrap(),
            version: 1,
            created_at: Timestamp(1_000),
            updated_at: Timestamp(2_500),
            last_seq: 1,
            state: Arc::new(State { fields, ..State::default() }),
            provenance: Vec::new(),
        }
    }

    #[test]
    fn each_filter_asks_what_it_says() {
        let words = Kind::Enum(vec!["a".to_owned(), "b".to_owned()]);
        let table = [
            (Kind::String, json!("Ann"), "eq", "Ann", true),
            (Kind::String, json!("Ann"), "eq", "ann", false),
            (Kind::String, Value::Null, "eq", "", true),
            (Kind::String, Value::Null, "ne", "Ann", true),
            (Kind::String, json!("Ann"), "contains", "NN", true),
            (Kind::String, json!("Ann"), "startsWith", "An", true),
            (Kind::Email, json!("ann@b.nl"), "startsWith", "ANN@", true),
            (Kind::Email, json!("ann@b.nl"), "eq", " Ann@B.nl", true),
            (Kind::String, Value::Null, "lt", "b", false),
            (Kind::Integer, json!(-5), "lt", "3", true),
            (Kind::Integer, json!(10), "gt", "9", true),
            (Kind::Decimal, json!("10"), "gte", "10.0", true),
            (Kind::Decimal, json!("2.5"), "gt", "10", false),
            (Kind::Date, json!("2026-01-31"), "lte", "2026-01-31", true),
            (Kind::Datetime, json!("2025-03-01T10:02:03.5Z"), "eq", "2025-03-01T10:02:03Z", true),
            (Kind::Datetime, json!("2025-03-01T10:02:03.5Z"), "gt", "2025-03-01T10:02:03Z", false),
            (Kind::Datetime, json!("2025-03-01T10:02:04Z"), "gt", "2025-03-01T10:02:03.9Z", true),
            (Kind::Boolean, json!(false), "eq", "false", true),
            (Kind::Boolean, json!(false), "exists", "true", true),
            (Kind::Boolean, Value::Null, "exists", "false", true),
            (Kind::Set, json!(["a", "b"]), "eq", "b", true),
            (Kind::Set, json!(["a", "b"]), "contains", "c", false),
            (Kind::List, json!([1, "b"]), "contains", "1", true),
            (Kind::Set, json!(["a", "b"]), "ne", "b", false),
            (words, json!("a"), "eq", "b", false),
        ];
        for (kind, value, op, wanted, expected) in table {
            let test = Test::parse(subject(&kind), Op::parse(op).unwrap(), &[wanted.to_owned()]).unwrap();
            assert_eq!(test.is_met_by(&record(&value)), expected, "{value} {op} {wanted}");
            let place = subject(&kind).place_of(&record(&value));
            let ranges = test.ranges().filter(|_| !kind.is_collection());
            if let (true, Some(ranges)) = (expected, ranges) {
                assert!(ranges.iter().any(|range| range.contains(&place)), "{value} {op} {wanted}: {ranges:?}");
            }
        }
        let several = Test::parse(subject(&Kind::Integer), Op::In, &["1".to_owned(), "2".to_owned()]).unwrap();
        assert!(several.is_met_by(&record(&json!(2))) && !several.is_met_by(&record(&json!(3))));
        let made = Test::parse(Subject::CreatedAt, Op::Lt, &["1970-01-01T00:00:02Z".to_owned()]).unwrap();
        assert!(made.is_met_by(&record(&Value::Null)));
        let made = Test::parse(Subject::CreatedAt, Op::Lt, &["1970-01-02".to_owned()]).unwrap();
        assert!(made.is_met_by(&record(&Value::Null)), "a day is its first instant");
    }

    #[test]
    fn a_filter_that_makes_no_sense_says_what_does() {
        let table = [
            (Kind::Integer, "eq", "ten", "a whole number"),
            (Kind::Integer, "contains", "1", "it takes eq, ne, lt"),
            (Kind::Object, "eq", "{}", "it takes exists"),
            (Kind::Boolean, "lt", "true", "it takes eq, ne, in, exists"),
            (Kind::String, "gt", "", "[exists]=false"),
            (Kind::Boolean, "exists", "maybe", "true or false"),
        ];
        for (kind, op, value, says) in table {
            let refused = Test::parse(subject(&kind), Op::parse(op).unwrap(), &[value.to_owned()]).unwrap_err();
            assert!(refused.code == Code::InvalidParameter && refused.message.contains(says), "{}", refused.message);
        }
        assert!(Test::parse(subject(&Kind::Integer), Op::Eq, &["1".to_owned(), "2".to_owned()]).is_err());
        assert!(Op::parse("like").unwrap_err().message.contains("startsWith"));
        let secret = Field { is_sensitive: true, ..Field::new("x", Kind::Integer) };
        let refused = Test::parse(Subject::Field(Box::new(secret)), Op::Eq, &["s3cret".to_owned()]).unwrap_err();
        assert!(!refused.message.contains("s3cret"), "{}", refused.message);
    }
}
