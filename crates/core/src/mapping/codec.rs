//! Codecs: how a value of ours is written at a platform. Each is a pair, and what one writes it reads back as the same
//! value, or as the nearest one that survives. It must not check kinds; whoever decodes does that afterwards.

use super::read::{Reader, Wrong};
use jiff::tz::TimeZone;
use lockstep_expr::datetime::{Format, Moment};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A way to write values.
#[derive(Clone, Debug, PartialEq)]
pub enum Codec {
    /// `strings`: a list of texts; a single value is a list of one, none an empty list.
    Strings,
    /// `bars`: several texts as `||a||b||`; a single one as it is.
    Bars,
    /// `split`: several texts in one, with `by` between them.
    Split(String),
    /// `switches`: a set as an object of its members, each 1.
    Switches,
    /// `text`: anything as its text.
    Text,
    /// `json`: anything as JSON in a text.
    Json,
    /// `epoch_s`, `epoch_ms`: an instant as a number of so many milliseconds each.
    Epoch(i64),
    /// `time`: an instant in a `format`, on the clock of a `zone` where it says none itself.
    Time(Clock),
    /// `date`: a day in a `format`; without one the first ten characters of what stands there.
    Date(Option<Pattern>),
    /// `words`: values of ours, as texts, and the words there.
    Words(BTreeMap<String, String>),
}

/// A format of times with its zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    pattern: Pattern,
    zone: Option<(String, TimeZone)>,
}

/// A format of dates and times, in the letters of `strftime`.
#[derive(Clone, Debug)]
pub struct Pattern(Format);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source() == other.0.source()
    }
}

const KINDS: [&str; 11] =
    ["strings", "bars", "split", "switches", "text", "json", "epoch_s", "epoch_ms", "time", "date", "words"];

impl Codec {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Wrong> {
        let kind = reader.needed_word("kind", &KINDS)?;
        Ok(match kind.as_str() {
            "strings" => Self::Strings,
            "bars" => Self::Bars,
            "split" => Self::Split(reader.text("by").unwrap_or_else(|| ",".to_owned())),
            "switches" => Self::Switches,
            "text" => Self::Text,
            "json" => Self::Json,
            "epoch_s" => Self::Epoch(1000),
            "epoch_ms" => Self::Epoch(1),
            "time" => {
                let format = reader.text("format").unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".to_owned());
                Self::Time(Clock { pattern: pattern(reader, &format)?, zone: zone(reader)? })
            }
            "date" => Self::Date(reader.text("format").map(|format| pattern(reader, &format)).transpose()?),
            _ => Self::Words(reader.words("of")?),
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut more = Map::new();
        let kind = match self {
            Self::Strings => "strings",
            Self::Bars => "bars",
            Self::Split(by) => {
                more.insert("by".to_owned(), by.as_str().into());
                "split"
            }
            Self::Switches => "switches",
            Self::Text => "text",
            Self::Json => "json",
            Self::Epoch(1) => "epoch_ms",
            Self::Epoch(_) => "epoch_s",
            Self::Time(clock) => {
                more.insert("format".to_owned(), clock.pattern.0.source().into());
                more.extend(clock.zone.iter().map(|(name, _)| ("zone".to_owned(), name.as_str().into())));
                "time"
            }
            Self::Date(pattern) => {
                more.extend(pattern.iter().map(|pattern| ("format".to_owned(), pattern.0.source().into())));
                "date"
            }
            Self::Words(words) => {
                let words = words.iter().map(|(ours, theirs)| (ours.clone(), theirs.as_str().into()));
                more.insert("of".to_owned(), Value::Object(words.collect()));
                "words"
            }
        };
        if more.is_empty() {
            return kind.into();
        }
        more.insert("kind".to_owned(), kind.into());
        Value::Object(more)
    }

    /// What stands there, as a value of ours. Nothing is null.
    ///
    /// # Errors
    /// What it should be instead: a clause after "… is not".
    pub fn decode(&self, value: Value) -> Result<Value, String> {
        Ok(match (self, value) {
            (Self::Strings, Value::Array(mut items)) => match items.len() {
                0 | 1 => items.pop().unwrap_or_default(),
                _ => Value::Array(items),
            },
            (_, Value::Null) => Value::Null,
            (Self::Bars, Value::String(text)) => match text.strip_prefix("||") {
                Some(inner) => parts(inner, "||"),
                None => Value::String(text),
            },
            (Self::Split(by), Value::String(text)) => parts(&text, by),
            (Self::Switches, Value::Object(members)) => {
                let on = members.into_iter().filter(|(_, on)| !matches!(plain(on).as_str(), "0" | "false" | ""));
                on.map(|(name, _)| Value::String(name)).collect()
            }
            (Self::Json, Value::String(text)) if text.trim().is_empty() => Value::Null,
            (Self::Json, Value::String(text)) => {
                serde_json::from_str(&text).map_err(|_bad| "JSON in a text".to_owned())?
            }
            (Self::Epoch(_) | Self::Time(_) | Self::Date(_), value) if plain(&value).trim().is_empty() => Value::Null,
            (Self::Epoch(unit), value) => epoch(&plain(&value), *unit)?,
            (Self::Time(clock), value) => clock.decode(&plain(&value))?,
            (Self::Date(pattern), value) => day(pattern.as_ref(), &plain(&value))?,
            (Self::Words(words), value) => {
                let theirs = plain(&value);
                let ours = words.iter().find(|(_, word)| **word == theirs).map(|(ours, _)| ours.clone());
                Value::String(ours.unwrap_or(theirs))
            }
            (_, value) => value,
        })
    }

    /// A value of ours as it stands there.
    ///
    /// # Errors
    /// What it should be instead: a clause after "… is not".
    pub fn encode(&self, value: Value) -> Result<Value, String> {
        Ok(match (self, value) {
            (Self::Strings, Value::Null) => Value::Array(Vec::new()),
            (Self::Strings, Value::Array(items)) => items.iter().map(plain).collect(),
            (Self::Strings, one) => Value::Array(vec![plain(&one).into()]),
            (_, Value::Null) => Value::Null,
            (Self::Bars, Value::Array(items)) => {
                let joined: Vec<String> = items.iter().map(plain).collect();
                format!("||{}||", joined.join("||")).into()
            }
            (Self::Split(by), Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(by).into(),
            (Self::Switches, Value::Array(items)) => {
                Value::Object(items.iter().map(|item| (plain(item), 1.into())).collect())
            }
            (Self::Text, value) => plain(&value).into(),
            (Self::Json, value) => value.to_string().into(),
            (Self::Epoch(unit), value) => {
                let at: jiff::Timestamp = plain(&value).parse().map_err(|_bad| "an instant".to_owned())?;
                at.as_millisecond().div_euclid(*unit).into()
            }
            (Self::Time(clock), value) => clock.encode(&plain(&value))?,
            (Self::Date(Some(pattern)), value) => {
                let midnight: jiff::Timestamp =
                    format!("{}T00:00:00Z", plain(&value)).parse().map_err(|_bad| "a day".to_owned())?;
                let moment = Moment::from_microseconds(midnight.as_microsecond());
                pattern.0.write(moment.map_err(|error| error.message)?).into()
            }
            (Self::Words(words), value) => {
                let ours = plain(&value);
                words.get(&ours).cloned().unwrap_or(ours).into()
            }
            (_, value) => value,
        })
    }
}

impl Clock {
    fn decode(&self, text: &str) -> Result<Value, String> {
        let wanted = || format!("a time as {} is", self.pattern.0.source());
        let moment = self.pattern.0.parse(text.trim()).map_err(|_odd| wanted())?;
        let at = match &self.zone {
            None => moment.timestamp(),
            Some((_, zone)) => zone.to_ambiguous_timestamp(moment.clock()).compatible().map_err(|_odd| wanted())?,
        };
        Ok(at.to_string().into())
    }

    fn encode(&self, text: &str) -> Result<Value, String> {
        let at: jiff::Timestamp = text.parse().map_err(|_bad| "an instant".to_owned())?;
        let offset = self.zone.as_ref().map(|(_, zone)| zone.to_offset(at));
        let moment = Moment::from_microseconds(at.as_microsecond()).map_err(|error| error.message)?;
        Ok(self.pattern.0.write(offset.map_or(moment, |offset| moment.with_offset(offset))).into())
    }
}

fn pattern(reader: &Reader<'_>, format: &str) -> Result<Pattern, Wrong> {
    Format::compile(format).map(Pattern).map_err(|error| reader.wrong("format", error.message))
}

fn zone(reader: &mut Reader<'_>) -> Result<Option<(String, TimeZone)>, Wrong> {
    let Some(name) = reader.text("zone") else { return Ok(None) };
    match TimeZone::get(&name) {
        Ok(zone) => Ok(Some((name, zone))),
        Err(_unknown) => {
            Err(reader.wrong("zone", format!("{name:?} is no time zone; write one such as Europe/Amsterdam")))
        }
    }
}

fn epoch(text: &str, unit: i64) -> Result<Value, String> {
    let wanted = || format!("a number of {}s since 1970", if unit == 1 { "millisecond" } else { "second" });
    let number: i64 = text.trim().parse().map_err(|_odd| wanted())?;
    let at = number.checked_mul(unit).and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    Ok(at.ok_or_else(wanted)?.to_string().into())
}

fn day(pattern: Option<&Pattern>, text: &str) -> Result<Value, String> {
    let Some(pattern) = pattern else { return Ok(text.trim().chars().take(10).collect::<String>().into()) };
    let moment = pattern.0.parse(text.trim()).map_err(|_odd| format!("a day as {} is", pattern.0.source()))?;
    Ok(moment.clock().date().to_string().into())
}

/// The parts of a text, without empty ones.
fn parts(text: &str, by: &str) -> Value {
    text.split(by).map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect()
}

/// A value as plain text: a text as it is, nothing as an empty one, all else as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Mapping;
    use serde_json::json;

    /// The codec as it is written in a mapping.
    fn codec(said: &Value) -> Codec {
        let mapping = Mapping::parse(&json!({"x": {"path": "x", "codec": said}})).unwrap();
        mapping.entries["x"].codecs[0].clone()
    }

    #[test]
    fn what_a_codec_writes_it_reads_back() {
        let amsterdam = json!({"kind": "time", "zone": "Europe/Amsterdam"});
        let words = json!({"kind": "words", "of": {"true": "1", "false": "0"}});
        for (said, ours, theirs) in [
            (json!("strings"), json!("a"), json!(["a"])),
            (json!("strings"), json!(["a", "b"]), json!(["a", "b"])),
            (json!("strings"), json!(null), json!([])),
            (json!("bars"), json!(["a", "b"]), json!("||a||b||")),
            (json!("bars"), json!("a"), json!("a")),
            (json!({"kind": "split", "by": ";"}), json!(["a", "b"]), json!("a;b")),
            (json!("switches"), json!(["a", "b"]), json!({"a": 1, "b": 1})),
            (json!("json"), json!({"a": [1]}), json!("{\"a\":[1]}")),
            (json!("epoch_ms"), json!("2025-03-01T10:02:03.5Z"), json!(1_740_823_323_500_i64)),
            (json!("epoch_s"), json!("2025-03-01T10:02:03Z"), json!(1_740_823_323)),
            (amsterdam.clone(), json!("2025-03-01T10:02:03Z"), json!("2025-03-01 11:02:03")),
            (amsterdam, json!("2025-07-01T10:02:03Z"), json!("2025-07-01 12:02:03")),
            (json!({"kind": "date", "format": "%d-%m-%Y"}), json!("2025-03-01"), json!("01-03-2025")),
            (words, json!("true"), json!("1")),
        ] {
            let codec = codec(&said);
            assert_eq!(codec.encode(ours.clone()), Ok(theirs.clone()), "{codec:?}");
            assert_eq!(codec.decode(theirs), Ok(ours), "{codec:?}");
        }
    }

    #[test]
    fn what_a_codec_cannot_read_is_told() {
        assert_eq!(
            codec(&json!("epoch_ms")).decode(json!("soon")),
            Err("a number of milliseconds since 1970".to_owned())
        );
        assert_eq!(codec(&json!("epoch_ms")).decode(json!("")), Ok(Value::Null));
        assert_eq!(codec(&json!("date")).decode(json!("2025-03-01T10:02:03Z")), Ok(json!("2025-03-01")));
        assert!(codec(&json!("time")).decode(json!("yesterday")).is_err());
        assert_eq!(codec(&json!("switches")).decode(json!({"a": "1", "b": 0})), Ok(json!(["a"])));
    }
}
