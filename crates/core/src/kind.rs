//! Kinds of field: what a value of each must be, its one canonical form, and when two values are equal.
//!
//! Canonical forms are what is stored and sent. They are versioned by [`FORM`]: a later version that writes a
//! value another way must never by itself make a change or a delivery, which is why [`Kind::is_equal`], not `==`,
//! decides whether a write changes anything.

use crate::ids::TypeId;
use crate::limits;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Version of the canonical forms below.
pub const FORM: u8 = 1;

/// The kind of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A line of text; trimmed.
    String,
    /// Text of any length that a record may have; kept as written.
    Text,
    /// A 64-bit integer.
    Integer,
    /// A decimal of any length; canonical decimal text, accepted as number or string.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// An instant, RFC 3339; kept in UTC with the precision it came with.
    Datetime,
    /// An e-mail address; trimmed, lower case.
    Email,
    /// A telephone number; E.164 where it has a country code, else its digits.
    Phone,
    /// An absolute URL.
    Url,
    /// One of a few words.
    Enum(Vec<String>),
    /// The id of a record of the type.
    Reference(TypeId),
    /// JSON values in order.
    List,
    /// Strings without order or doubles; kept sorted.
    Set,
    /// A JSON object.
    Object,
    /// The id of a stored file.
    File,
}

/// Why a value does not fit: a clause that completes "…, but this field wants …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub String);

type Checked = Result<Value, Misfit>;

impl Kind {
    /// A value that fits, for a test or an example.
    #[must_use]
    pub fn sample(&self) -> Value {
        match self {
            Self::String | Self::Text => "text".into(),
            Self::Integer => 1.into(),
            Self::Decimal => "1.5".into(),
            Self::Boolean => true.into(),
            Self::Date => "2026-01-31".into(),
            Self::Datetime => "2026-01-31T12:00:00Z".into(),
            Self::Email => "someone@example.com".into(),
            Self::Phone => "+31201234567".into(),
            Self::Url => "https://example.com/".into(),
            Self::Enum(words) => words.first().cloned().unwrap_or_default().into(),
            Self::Reference(_) | Self::File => crate::ids::RecordId(0).to_string().into(),
            Self::List | Self::Set => Vec::from(["text"]).into(),
            Self::Object => Value::Object([("key".to_owned(), "text".into())].into_iter().collect()),
        }
    }

    /// The kind's name in shapes and error texts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Url => "url",
            Self::Enum(_) => "enum",
            Self::Reference(_) => "reference",
            Self::List => "list",
            Self::Set => "set",
            Self::Object => "object",
            Self::File => "file",
        }
    }

    /// Checks a value and gives its canonical form. Null, and text that is empty once trimmed, come back as null:
    /// the field is cleared.
    ///
    /// # Errors
    /// What the kind wants instead.
    pub fn check(&self, value: Value) -> Checked {
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (_, Value::String(text)) if text.contains('\0') => misfit("text without NUL characters"),
            (Self::Integer, value) => check_integer(&value),
            (Self::Decimal, value) => check_decimal(&value),
            (Self::Boolean, value @ Value::Bool(_)) => Ok(value),
            (Self::Boolean, Value::String(text)) => match text.trim() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "" => Ok(Value::Null),
                _ => misfit("true or false"),
            },
            (Self::Boolean, _) => misfit("true or false"),
            (Self::List, value) => check_list(value),
            (Self::Set, value) => check_set(value),
            (Self::Object, value @ Value::Object(_)) => check_depth(value),
            (Self::Object, _) => misfit("a JSON object"),
            (Self::Text, Value::String(text)) => Ok(if text.is_empty() { Value::Null } else { text.into() }),
            (_, Value::String(text)) => self.check_text(&text),
            (Self::String | Self::Text | Self::Phone, Value::Number(number)) => self.check_text(&number.to_string()),
            _ => misfit(self.wants()),
        }
    }

    fn check_text(&self, text: &str) -> Checked {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Value::Null);
        }
        if text.len() > limits::STRING_BYTES_MAX {
            return misfit(&format!("at most {} bytes", limits::STRING_BYTES_MAX));
        }
        let canonical = match self {
            Self::Date => text.parse::<jiff::civil::Date>().ok().map(|date| date.to_string()),
            Self::Datetime => text.parse::<jiff::Timestamp>().ok().map(|instant| instant.to_string()),
            Self::Email => email(text),
            Self::Phone => phone(text),
            Self::Url => is_absolute_url(text).then(|| text.to_owned()),
            Self::Enum(words) => words.iter().any(|word| word == text).then(|| text.to_owned()),
            Self::Reference(_) => text.parse::<crate::ids::RecordId>().ok().map(|id| id.to_string()),
            _ => Some(text.to_owned()),
        };
        canonical.map(Value::String).ok_or_else(|| Misfit(self.wants().to_owned() + &self.choices()))
    }

    /// Whether a value that was canonical once is so still, under this kind.
    #[must_use]
    pub fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) => true,
            (Self::String | Self::Text | Self::File, value) => value.is_string(),
            (Self::Integer, value) => value.is_i64(),
            (Self::Boolean, value) => value.is_boolean(),
            (Self::List | Self::Set, value) => value.is_array(),
            (Self::Object, value) => value.is_object(),
            (_, value) => value.is_string() && self.check(value.clone()).as_ref() == Ok(value),
        }
    }

    /// Whether its values are texts, and no numbers, times or collections.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(
            self,
            Self::String
                | Self::Text
                | Self::Email
                | Self::Phone
                | Self::Url
                | Self::Enum(_)
                | Self::Reference(_)
                | Self::File
        )
    }

    /// Whether a value holds others, so that records cannot be looked up or sorted by it.
    #[must_use]
    pub const fn is_collection(&self) -> bool {
        matches!(self, Self::List | Self::Set | Self::Object)
    }

    const fn wants(&self) -> &'static str {
        match self {
            Self::String | Self::Text => "text",
            Self::Integer => "a whole number of at most 64 bits",
            Self::Decimal => "a number, or a number as text",
            Self::Boolean => "true or false",
            Self::Date => "a day written YYYY-MM-DD",
            Self::Datetime => "an instant with its zone, such as 2025-03-01T10:02:03Z",
            Self::Email => "an e-mail address such as ann@example.com",
            Self::Phone => "a telephone number such as +31 20 123 4567",
            Self::Url => "an absolute URL such as https://example.com/",
            Self::Enum(_) => "one of ",
            Self::Reference(_) => "a record id beginning with rec_",
            Self::List => "an array",
            Self::Set => "an array of strings",
            Self::Object => "a JSON object",
            Self::File => "the id of a stored file",
        }
    }

    fn choices(&self) -> String {
        match self {
            Self::Enum(words) => words.join(", "),
            _ => String::new(),
        }
    }

    /// Whether two canonical values are equal: instants at the coarser precision of the two, all else by value.
    #[must_use]
    pub fn is_equal(&self, one: &Value, other: &Value) -> bool {
        if one == other {
            return true;
        }
        match (self, one, other) {
            (Self::Datetime, Value::String(one), Value::String(other)) => is_same_instant(one, other),
            _ => false,
        }
    }
}

fn misfit(wants: &str) -> Checked {
    Err(Misfit(wants.to_owned()))
}

fn check_integer(value: &Value) -> Checked {
    let wants = Kind::Integer.wants();
    match value {
        Value::Number(number) if number.is_i64() => Ok(value.clone()),
        // 3.0 is a whole number as JavaScript writes it.
        Value::Number(number) => match number.as_f64().map(|float| float.to_string().parse::<i64>()) {
            Some(Ok(integer)) if !number.is_u64() => Ok(integer.into()),
            _ => misfit(wants),
        },
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => text.trim().parse::<i64>().map(Value::from).or_else(|_| misfit(wants)),
        _ => misfit(wants),
    }
}

fn check_decimal(value: &Value) -> Checked {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.trim().is_empty() => return Ok(Value::Null),
        Value::String(text) => text.trim().to_owned(),
        _ => return misfit(Kind::Decimal.wants()),
    };
    decimal(&text).map(Value::String).ok_or_else(|| Misfit(Kind::Decimal.wants().to_owned()))
}

/// The canonical text of a decimal: no `+`, no exponent, no zeros that say nothing, and no negative zero.
fn decimal(text: &str) -> Option<String> {
    const DIGITS_MAX: usize = 1_000;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    if text.len() > DIGITS_MAX || point.unsigned_abs() > DIGITS_MAX as u64 {
        return None;
    }
    let all = format!("{whole}{part}");
    let padded = if point <= 0 {
        format!("{}{all}", "0".repeat(usize::try_from(1 - point).ok()?))
    } else {
        let missing = usize::try_from(point).ok()?.saturating_sub(all.len());
        format!("{all}{}", "0".repeat(missing))
    };
    let (whole, part) = padded.split_at(usize::try_from(point.max(1)).ok()?);
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    Some(match (whole, part) {
        ("", "") => "0".to_owned(),
        ("", part) => format!("{sign}0.{part}"),
        (whole, "") => format!("{sign}{whole}"),
        (whole, part) => format!("{sign}{whole}.{part}"),
    })
}

fn email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>,;:\"()[]\\".contains(c);
    let is_fit = !local.is_empty()
        && !local.contains('@')
        && text.chars().all(is_plain)
        && domain.split('.').all(|label| !label.is_empty());
    is_fit.then(|| text.to_lowercase())
}

fn phone(text: &str) -> Option<String> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && !"-.()/".contains(*c)).collect();
    let international = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00"));
    let digits = international.unwrap_or(&bare);
    let is_fit = digits.bytes().all(|b| b.is_ascii_digit()) && (3..=15).contains(&digits.len());
    is_fit.then(|| if international.is_some() { format!("+{digits}") } else { bare.clone() })
}

fn is_absolute_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

fn is_same_instant(one: &str, other: &str) -> bool {
    let (Ok(first), Ok(second)) = (one.parse::<jiff::Timestamp>(), other.parse::<jiff::Timestamp>()) else {
        return false;
    };
    let places = |text: &str| text.split_once('.').map_or(0, |(_, rest)| rest.trim_end_matches('Z').len());
    let coarser = u32::try_from(places(one).min(places(other))).unwrap_or(0).min(9);
    let unit = 10_i128.pow(9 - coarser);
    first.as_nanosecond().div_euclid(unit) == second.as_nanosecond().div_euclid(unit)
}

fn items(value: Value, kind: &Kind) -> Result<Vec<Value>, Misfit> {
    let items = match value {
        Value::Array(items) => items,
        single @ (Value::String(_) | Value::Number(_)) => vec![single],
        _ => return Err(Misfit(kind.wants().to_owned())),
    };
    if items.len() > limits::LIST_ITEMS_MAX {
        return Err(Misfit(format!("at most {} members", limits::LIST_ITEMS_MAX)));
    }
    Ok(items)
}

fn check_list(value: Value) -> Checked {
    let kept = items(value, &Kind::List)?.into_iter().map(|item| match item {
        Value::String(text) => Value::String(text.trim().to_owned()),
        other => other,
    });
    let kept: Vec<Value> = kept.filter(|item| !item.is_null() && item.as_str() != Some("")).collect();
    if kept.is_empty() { Ok(Value::Null) } else { check_depth(Value::Array(kept)) }
}

fn check_set(value: Value) -> Checked {
    let mut strings = Vec::new();
    for item in items(value, &Kind::Set)? {
        if let Value::String(text) = Kind::String.check(item)? {
            strings.push(text)
        }
    }
    strings.sort();
    strings.dedup();
    Ok(if strings.is_empty() { Value::Null } else { strings.into() })
}

fn check_depth(value: Value) -> Checked {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    if depth(&value) > limits::OBJECT_DEPTH_MAX {
        return misfit(&format!("a value nested at most {} deep", limits::OBJECT_DEPTH_MAX));
    }
    Ok(value)
}

/// A JSON number from an integer, for tests and samples.
#[must_use]
pub fn integer(value: i64) -> Value {
    Value::Number(Number::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(kind: &Kind, value: Value) -> String {
        match kind.check(value) {
            Ok(value) => value.to_string(),
            Err(Misfit(wants)) => format!("wants {wants}"),
        }
    }

    #[test]
    fn each_kind_has_one_canonical_form() {
        let table = [
            (Kind::String, json!("  Ann "), "\"Ann\""),
            (Kind::String, json!("   "), "null"),
            (Kind::String, json!(12), "\"12\""),
            (Kind::String, json!(["a"]), "wants text"),
            (Kind::Text, json!(" keep \n"), "\" keep \\n\""),
            (Kind::Integer, json!("42"), "42"),
            (Kind::Integer, json!(3.0), "3"),
            (Kind::Integer, json!(3.5), "wants a whole number of at most 64 bits"),
            (Kind::Integer, json!(u64::MAX), "wants a whole number of at most 64 bits"),
            (Kind::Decimal, json!("+007.500"), "\"7.5\""),
            (Kind::Decimal, json!(1e3), "\"1000\""),
            (Kind::Decimal, json!("1.5e-3"), "\"0.0015\""),
            (Kind::Decimal, json!("-0.00"), "\"0\""),
            (Kind::Decimal, json!(".5"), "\"0.5\""),
            (Kind::Decimal, json!("1e999999999"), "wants a number, or a number as text"),
            (Kind::Decimal, json!("1,5"), "wants a number, or a number as text"),
            (Kind::Boolean, json!("true"), "true"),
            (Kind::Boolean, json!(1), "wants true or false"),
            (Kind::Date, json!("2025-02-30"), "wants a day written YYYY-MM-DD"),
            (Kind::Date, json!("2025-02-03"), "\"2025-02-03\""),
            (Kind::Datetime, json!("2025-03-01T12:02:03+02:00"), "\"2025-03-01T10:02:03Z\""),
            (
                Kind::Datetime,
                json!("2025-03-01T12:02:03"),
                "wants an instant with its zone, such as 2025-03-01T10:02:03Z",
            ),
            (Kind::Email, json!(" Ann@Example.COM"), "\"ann@example.com\""),
            (Kind::Email, json!("ann@@example.com"), "wants an e-mail address such as ann@example.com"),
            (Kind::Email, json!("Ann <a@b.nl>"), "wants an e-mail address such as ann@example.com"),
            (Kind::Phone, json!("+31 (0)20-123.45"), "\"+3102012345\""),
            (Kind::Phone, json!("0031 6 1234"), "\"+3161234\""),
            (Kind::Phone, json!("06 12 34 56 78"), "\"0612345678\""),
            (Kind::Phone, json!("call me"), "wants a telephone number such as +31 20 123 4567"),
            (Kind::Url, json!("example.com"), "wants an absolute URL such as https://example.com/"),
            (Kind::Enum(vec!["a".to_owned(), "b".to_owned()]), json!("c"), "wants one of a, b"),
            (Kind::List, json!(["b", "", "a"]), "[\"b\",\"a\"]"),
            (Kind::Set, json!(["b", "a", "b"]), "[\"a\",\"b\"]"),
            (Kind::Set, json!([{}]), "wants text"),
            (Kind::List, json!([{"qty": 2}, null]), "[{\"qty\":2}]"),
            (Kind::Object, json!([]), "wants a JSON object"),
        ];
        for (kind, value, expected) in table {
            assert_eq!(check(&kind, value.clone()), expected, "{} {value}", kind.name());
        }
    }

    #[test]
    fn instants_are_equal_at_the_coarser_precision() {
        let equal = |one: &str, other: &str| Kind::Datetime.is_equal(&json!(one), &json!(other));
        assert!(equal("2025-03-01T10:02:03Z", "2025-03-01T10:02:03.999Z"));
        assert!(!equal("2025-03-01T10:02:03.1Z", "2025-03-01T10:02:03.2Z"));
        assert!(!equal("2025-03-01T10:02:03Z", "2025-03-01T10:02:04Z"));
    }

    proptest! {
        #[test]
        fn canonical_decimals_stay_as_they_are(text in "[+-]?[0-9]{0,12}(\\.[0-9]{0,12})?(e-?[0-9]{1,2})?") {
            if let Some(once) = decimal(&text) {
                prop_assert_eq!(decimal(&once), Some(once.clone()));
                let (given, canonical): (f64, f64) = (text.parse().unwrap(), once.parse().unwrap());
                prop_assert!((given - canonical).abs() <= given.abs() * 1e-12);
            }
        }

        #[test]
        fn a_checked_value_checks_to_itself(text in "\\PC{0,30}") {
            for kind in [Kind::String, Kind::Text, Kind::Integer, Kind::Decimal, Kind::Date, Kind::Datetime,
                         Kind::Email, Kind::Phone, Kind::Url, Kind::List, Kind::Set] {
                if let Ok(once) = kind.check(json!(text)) {
                    prop_assert_eq!(kind.check(once.clone()), Ok(once));
                }
            }
        }
    }
}
