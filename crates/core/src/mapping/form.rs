//! What a platform can hold of a value: length, case, digits, time. Values are brought to the form that survives, and
//! compared in it. It must not know how a value is written there; that is a codec's.

use super::read::Reader;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// The limits of a place. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `max_length`: characters; text beyond is cut off.
    pub max_length: Option<usize>,
    /// `case`: letters are all of one case.
    pub case: Option<Case>,
    /// `scale`: digits behind the point; a number with more is rounded, half away from zero.
    pub scale: Option<usize>,
    /// `precision`: digits in all; a number with more does not fit.
    pub precision: Option<usize>,
    /// `time`: the unit that instants are whole numbers of.
    pub unit: Option<Unit>,
}

/// The case of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Small letters.
    Lower,
    /// Capitals.
    Upper,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Millisecond,
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Days of UTC.
    Day,
}

const CASES: [(&str, Case); 2] = [("lower", Case::Lower), ("upper", Case::Upper)];
const UNITS: [(&str, Unit); 4] =
    [("millisecond", Unit::Millisecond), ("second", Unit::Second), ("minute", Unit::Minute), ("day", Unit::Day)];

impl Form {
    /// The names of its parts in the form of a mapping.
    pub(super) const NAMES: [&str; 5] = ["max_length", "case", "scale", "precision", "time"];

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            max_length: reader.number("max_length"),
            case: reader.word("case", &CASES),
            scale: reader.number("scale"),
            precision: reader.number("precision"),
            unit: reader.word("time", &UNITS),
        }
    }

    pub(super) fn tell(&self, said: &mut Map<String, Value>) {
        let numbers = [("max_length", self.max_length), ("scale", self.scale), ("precision", self.precision)];
        said.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))));
        let case = CASES.iter().find(|(_, case)| Some(*case) == self.case).map(|(word, _)| ("case", *word));
        let unit = UNITS.iter().find(|(_, unit)| Some(*unit) == self.unit).map(|(word, _)| ("time", *word));
        said.extend([case, unit].into_iter().flatten().map(|(name, word)| (name.to_owned(), word.into())));
    }

    /// The value as it survives there; a canonical value stays canonical.
    ///
    /// # Errors
    /// Why it cannot: a clause after "the platform holds …".
    pub(super) fn apply(&self, kind: Option<&Kind>, value: Value) -> Result<Value, String> {
        match value {
            Value::String(text) if matches!(kind, Some(Kind::Decimal)) => self.digits(&text).map(Value::String),
            Value::String(text) if matches!(kind, Some(Kind::Datetime)) => Ok(Value::String(self.instant(text))),
            Value::String(text) => self.text(kind, text).map(Value::String),
            Value::Array(items) => items.into_iter().map(|item| self.apply(None, item)).collect(),
            other => Ok(other),
        }
    }

    fn text(&self, kind: Option<&Kind>, text: String) -> Result<String, String> {
        let text = match self.case {
            None => text,
            Some(Case::Lower) => text.to_lowercase(),
            Some(Case::Upper) => text.to_uppercase(),
        };
        let Some(max) = self.max_length.filter(|max| text.chars().count() > *max) else { return Ok(text) };
        // Half an address is none.
        if kind.is_some_and(|kind| !matches!(kind, Kind::String | Kind::Text)) {
            return Err(format!("at most {max} characters here"));
        }
        let cut: String = text.chars().take(max).collect();
        Ok(if kind == Some(&Kind::Text) { cut } else { cut.trim().to_owned() })
    }

    fn digits(&self, text: &str) -> Result<String, String> {
        let text = match self.scale {
            Some(scale) => rounded(text, scale),
            None => text.to_owned(),
        };
        let count = text.bytes().filter(u8::is_ascii_digit).count()
            - usize::from(text.trim_start_matches('-').starts_with("0."));
        match self.precision {
            Some(most) if count > most => Err(format!("numbers of at most {most} digits here")),
            _ => Ok(text),
        }
    }

    fn instant(&self, text: String) -> String {
        let Some(unit) = self.unit else { return text };
        let nanoseconds: i128 = match unit {
            Unit::Millisecond => 1_000_000,
            Unit::Second => 1_000_000_000,
            Unit::Minute => 60_000_000_000,
            Unit::Day => 86_400_000_000_000,
        };
        let whole = |at: jiff::Timestamp| at.as_nanosecond().div_euclid(nanoseconds) * nanoseconds;
        let at = text.parse().ok().map(whole).and_then(|at| jiff::Timestamp::from_nanosecond(at).ok());
        at.map_or(text, |at| at.to_string())
    }
}

/// A canonical decimal with at most so many digits behind the point.
fn rounded(text: &str, scale: usize) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if part.len() <= scale {
        return text.to_owned();
    }
    let (kept, rest) = part.split_at(scale);
    let mut all: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    let mut carries = rest.as_bytes().first().is_some_and(|digit| *digit >= b'5');
    for digit in all.iter_mut().rev() {
        if !carries {
            break;
        }
        carries = *digit == b'9';
        *digit = if carries { b'0' } else { *digit + 1 };
    }
    if carries {
        all.insert(0, b'1');
    }
    let text = String::from_utf8(all).unwrap_or_default();
    let (whole, part) = text.split_at(text.len() - scale);
    let part = part.trim_end_matches('0');
    let number = if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") };
    if number == "0" { number } else { format!("{sign}{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_are_rounded_as_people_do() {
        for (text, scale, expected) in [
            ("1.005", 2, "1.01"),
            ("9.995", 2, "10"),
            ("-0.004", 2, "0"),
            ("-0.005", 2, "-0.01"),
            ("12", 2, "12"),
            ("0.5", 0, "1"),
        ] {
            assert_eq!(rounded(text, scale), expected, "{text}");
        }
    }

    #[test]
    fn values_are_brought_to_what_survives() {
        let form = Form { max_length: Some(4), case: Some(Case::Upper), ..Form::default() };
        assert_eq!(form.apply(Some(&Kind::String), json!("ann marie")), Ok(json!("ANN")));
        assert_eq!(form.apply(Some(&Kind::Set), json!(["rowing", "go"])), Ok(json!(["ROWI", "GO"])));
        assert!(form.apply(Some(&Kind::Email), json!("ann@b.nl")).is_err());
        let form = Form { precision: Some(3), unit: Some(Unit::Minute), ..Form::default() };
        assert_eq!(form.apply(Some(&Kind::Decimal), json!("0.125")), Ok(json!("0.125")));
        assert!(form.apply(Some(&Kind::Decimal), json!("10.25")).is_err());
        let instant = form.apply(Some(&Kind::Datetime), json!("2025-03-01T10:02:03.5Z"));
        assert_eq!(instant, Ok(json!("2025-03-01T10:02:00Z")));
    }
}
