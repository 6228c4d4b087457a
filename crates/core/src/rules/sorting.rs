//! A value as bytes that sort as the value does, kind by kind.
//!
//! Texts are their UTF-8. Integers, days and instants are big-endian with the sign turned round. A decimal is its sign,
//! the place of its first digit, and its digits; a negative one has all that turned round and an end mark, so that the
//! longer of two that begin alike is the lesser. Which form a kind has never changes: the lookup holds it.

use crate::kind::Kind;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The bytes of a canonical value; none for null, and for what does not sort.
#[must_use]
pub fn bytes(kind: &Kind, value: &Value) -> Option<Vec<u8>> {
    match (kind, value) {
        (Kind::Integer, value) => value.as_i64().map(integer),
        (Kind::Boolean, value) => value.as_bool().map(|is| vec![u8::from(is)]),
        (Kind::Decimal, Value::String(text)) => Some(decimal(text)),
        (Kind::Date, Value::String(text)) => text.parse().ok().map(day),
        (Kind::Datetime, Value::String(text)) => nanoseconds(text).map(instant),
        (_, Value::String(text)) if kind.is_text() => Some(text.clone().into_bytes()),
        _ => None,
    }
}

/// The least and the greatest bytes among which everything equal to a value lies. Instants are equal at the coarser
/// precision of two, which is a second at most; anything else is equal to itself alone.
#[must_use]
pub fn around(kind: &Kind, value: &Value) -> Option<RangeInclusive<Vec<u8>>> {
    const SECOND: i128 = 1_000_000_000;
    if let (Kind::Datetime, Value::String(text)) = (kind, value) {
        let second = nanoseconds(text)?.div_euclid(SECOND) * SECOND;
        return Some(instant(second)..=instant(second + SECOND - 1));
    }
    let own = bytes(kind, value)?;
    Some(own.clone()..=own)
}

fn nanoseconds(text: &str) -> Option<i128> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond)
}

fn integer(value: i64) -> Vec<u8> {
    (value.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec()
}

fn instant(nanoseconds: i128) -> Vec<u8> {
    (nanoseconds.cast_unsigned() ^ (1 << 127)).to_be_bytes().to_vec()
}

fn day(date: jiff::civil::Date) -> Vec<u8> {
    let year = date.year().cast_unsigned() ^ (1 << 15);
    let mut bytes = year.to_be_bytes().to_vec();
    bytes.extend([date.month().cast_unsigned(), date.day().cast_unsigned()]);
    bytes
}

/// Of canonical text: no `+`, no exponent, no zeros that say nothing.
fn decimal(text: &str) -> Vec<u8> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let leading = part.len() - part.trim_start_matches('0').len();
    let all = format!("{whole}{part}");
    let all = all.trim_matches('0');
    if all.is_empty() {
        return vec![1];
    }
    // How many digits stand before the point; less than none where zeros come after it first.
    let place = if whole.is_empty() { -(leading.cast_signed()) } else { whole.len().cast_signed() };
    let place = i16::try_from(place).unwrap_or(i16::MAX).cast_unsigned() ^ (1 << 15);
    let mut bytes = place.to_be_bytes().to_vec();
    bytes.extend(all.bytes());
    if is_negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        bytes.push(u8::MAX);
    }
    bytes.insert(0, if is_negative { 0 } else { 2 });
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(kind: &Kind, value: impl Into<Value>) -> Vec<u8> {
        bytes(kind, &kind.check(value.into()).unwrap()).unwrap()
    }

    #[test]
    fn values_in_order_have_bytes_in_order() {
        let decimals = [
            "-1200", "-120", "-12.5", "-12", "-1", "-0.12", "-0.1", "-0.012", "0", "0.00099", "0.001", "0.01", "0.1",
            "0.11", "1", "1.5", "9", "10", "12", "120",
        ];
        let dates = ["-000001-12-31", "0000-01-01", "1969-12-31", "2026-01-31", "2026-02-01", "9999-12-31"];
        let instants = [
            "1969-12-31T23:59:59.9Z",
            "1970-01-01T00:00:00Z",
            "2026-01-01T00:00:00.000000001Z",
            "2026-01-01T00:00:01Z",
        ];
        for (kind, values) in [(Kind::Decimal, &decimals[..]), (Kind::Date, &dates), (Kind::Datetime, &instants)] {
            let keys: Vec<_> = values.iter().map(|value| of(&kind, *value)).collect();
            assert!(keys.is_sorted_by(|one, two| one < two), "{} {keys:?}", kind.name());
        }
        assert!(of(&Kind::Boolean, false) < of(&Kind::Boolean, true));
        assert_eq!(of(&Kind::Email, "ann@b.nl"), b"ann@b.nl", "texts are as they were before there were other kinds");
        assert_eq!(bytes(&Kind::Set, &json!(["a"])), None);
        assert_eq!(bytes(&Kind::Integer, &json!("a")), None, "a value of another kind is nothing");
    }

    #[test]
    fn what_equals_an_instant_lies_in_its_second() {
        let around = around(&Kind::Datetime, &json!("2025-03-01T10:02:03.5Z")).unwrap();
        for equal in ["2025-03-01T10:02:03Z", "2025-03-01T10:02:03.5Z", "2025-03-01T10:02:03.59Z"] {
            assert!(around.contains(&of(&Kind::Datetime, equal)), "{equal}");
        }
        assert!(!around.contains(&of(&Kind::Datetime, "2025-03-01T10:02:04Z")));
    }

    proptest! {
        #[test]
        fn integers_sort_by_value(one: i64, other: i64) {
            prop_assert_eq!(integer(one).cmp(&integer(other)), one.cmp(&other));
        }

        #[test]
        fn decimals_sort_by_value(one in -9_999_999_i64..9_999_999, one_places in 0..6_u32, other in -9_999_999_i64..9_999_999, other_places in 0..6_u32) {
            let text = |value: i64, places: u32| Value::from(format!("{value}e-{places}"));
            let scaled = |value: i64, places: u32| value * 10_i64.pow(6 - places);
            let (keys, values) = (
                [of(&Kind::Decimal, text(one, one_places)), of(&Kind::Decimal, text(other, other_places))],
                [scaled(one, one_places), scaled(other, other_places)],
            );
            prop_assert_eq!(keys[0].cmp(&keys[1]), values[0].cmp(&values[1]));
        }
    }
}
