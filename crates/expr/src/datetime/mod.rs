//! Dates as connector manifests write them: Python's `strftime` both ways, ISO 8601 and durations.
//!
//! A manifest says `%Y-%m-%dT%H:%M:%S%z`, and means what Python means by it, or `%ms`, which is Airbyte's own. Its
//! cursors step by `P1M`, which is a month of the calendar and no number of seconds. This room holds these three
//! notations and the instant they speak of. It must not know the present time: whoever asks brings it.
//!
//! ```text
//! text ── Format::parse, parse_iso, parse_any ──▶ Moment ── Format::write, Moment::iso ──▶ text
//!                                         Moment ± Duration ──▶ Moment
//! ```

mod duration;
mod format;
mod moment;
mod parse;

pub use duration::Duration;
pub use format::Format;
pub use moment::Moment;
pub(crate) use moment::offset_text;
pub use parse::{parse_any, parse_iso};
