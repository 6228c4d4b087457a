//! A length of time as people write it: `90d`, `2w`, `36h`.

use jiff::{Span, SpanTotal, Unit};
use serde::Deserialize;
use std::str::FromStr;
use std::time::Duration;

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct KeptFor(pub(crate) Duration);

impl FromStr for KeptFor {
    type Err = String;

    /// Days are of 24 hours; months and years have no length of their own.
    fn from_str(text: &str) -> Result<Self, String> {
        let span: Result<Span, _> = text.trim().parse();
        let seconds = span.and_then(|span| span.total(SpanTotal::from(Unit::Second).days_are_24_hours()));
        let length = seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        length.map(Self).ok_or_else(|| {
            format!(
                "{} is no length of time: write weeks, days, hours or minutes, such as 90d",
                lockstep_core::error::shown(text)
            )
        })
    }
}

impl TryFrom<String> for KeptFor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        for (text, hours) in [("90d", 90 * 24), ("2w", 14 * 24), ("36h", 36), ("1d 12h", 36), ("P1D", 24)] {
            assert_eq!(text.parse(), Ok(KeptFor(Duration::from_secs(hours * 3_600))), "{text}");
        }
        for text in ["", "soon", "90", "1mo", "1y", "-1d"] {
            assert!(text.parse::<KeptFor>().is_err(), "{text}");
        }
    }
}
