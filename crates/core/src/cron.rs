//! Cron expressions: when a share pulls by itself.
//!
//! Five fields (minute, hour, day of the month, month, day of the week), or six with seconds in front, in UTC. A field
//! is `*`, a number, a range `a-b`, a step `/n` on either, names of months and days, or several of these with commas
//! between. Where both days are said, one of them suffices, as cron has always had it.

use crate::clock::Timestamp;
use crate::error::{Code, Rejection, shown};
use crate::ids::ShareId;
use crate::share::Schedule;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Days looked through for the next time: a 29th of February is at most eight years away.
const DAYS_MAX: usize = 8 * 366 + 1;
/// An expression, in bytes.
const BYTES_MAX: usize = 200;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A cron expression, read. Each set has a bit for each number that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether either of the two days suffices.
    is_either_day: bool,
}

/// What a field may hold.
struct Part {
    name: &'static str,
    first: u32,
    last: u32,
    words: &'static [&'static str],
}

const PARTS: [Part; 6] = [
    Part { name: "second", first: 0, last: 59, words: &[] },
    Part { name: "minute", first: 0, last: 59, words: &[] },
    Part { name: "hour", first: 0, last: 23, words: &[] },
    Part { name: "day of the month", first: 1, last: 31, words: &[] },
    Part { name: "month", first: 1, last: 12, words: &MONTHS },
    Part { name: "day of the week", first: 0, last: 7, words: &DAYS },
];

impl Part {
    /// The numbers that a field's text names.
    fn read(&self, text: &str) -> Option<u64> {
        let mut set = 0;
        for item in text.split(',') {
            let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
            let step: u32 = step.map_or(Some(1), |step| step.parse().ok().filter(|step| *step > 0))?;
            let (from, to) = match (range, range.split_once('-')) {
                ("*", _) => (self.first, self.last),
                (_, Some((from, to))) => (self.number(from)?, self.number(to)?),
                // A step on one number goes on to the end.
                (_, None) if item.contains('/') => (self.number(range)?, self.last),
                (_, None) => (self.number(range)?, self.number(range)?),
            };
            if from > to {
                return None;
            }
            let mut at = from;
            while at <= to {
                set |= 1 << at;
                at += step;
            }
        }
        Some(set)
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = self.words.iter().zip(self.first..).find(|(word, _)| text.eq_ignore_ascii_case(word));
        let number = named.map(|(_, number)| number).or_else(|| text.parse().ok())?;
        (self.first..=self.last).contains(&number).then_some(number)
    }
}

fn invalid(text: String) -> Rejection {
    Rejection::new(Code::InvalidValue, text)
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// `invalid_value`, naming the field that does not read.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let count = if text.len() > BYTES_MAX { 0 } else { text.split_ascii_whitespace().count() };
        if count != 5 && count != 6 {
            return Err(invalid(format!(
                "{} is no cron expression: it has five fields, such as \"*/15 * * * *\" for each quarter of an hour, or \
                 six with seconds in front",
                shown(text)
            )));
        }
        let mut sets = [1; 6];
        let parts = sets.iter_mut().zip(&PARTS).skip(6 - count);
        for ((set, part), said) in parts.zip(text.split_ascii_whitespace()) {
            *set = part.read(said).ok_or_else(|| {
                let Part { name, first, last, .. } = part;
                let text = format!(
                    "{} is no {name}: give *, numbers from {first} to {last}, ranges such as 2-5, steps such as */10, or \
                     several with commas between",
                    shown(said)
                );
                invalid(text)
            })?;
        }
        let [seconds, minutes, hours, days, months, weekdays] = sets;
        let mut fields = text.split_ascii_whitespace().rev();
        let (weekday, day) = (fields.next().unwrap_or("*"), fields.nth(1).unwrap_or("*"));
        // Sunday is 0 and 7.
        let weekdays = if weekdays & (1 << 7) == 0 { weekdays } else { weekdays | 1 };
        let is_either_day = !day.starts_with('*') && !weekday.starts_with('*');
        let cron = Self { seconds, minutes, hours, days, months, weekdays, is_either_day };
        match cron.next_after(Timestamp(0)) {
            Some(_) => Ok(cron),
            None => Err(invalid(format!("{} never comes: no such day is in a calendar", shown(text)))),
        }
    }

    /// The first time after an instant; none where the calendar ends before it.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = jiff::Timestamp::from_second(after.seconds().checked_add(1)?).ok()?;
        let next = next.to_zoned(TimeZone::UTC).datetime();
        let (mut day, time) = (next.date(), next.time());
        let mut from = [time.hour(), time.minute(), time.second()].map(|part| u32::try_from(part).unwrap_or(0));
        for _ in 0..DAYS_MAX {
            if self.is_day(day)
                && let Some([hour, minute, second]) = self.time_from(from)
            {
                let found = day.at(hour, minute, second, 0).to_zoned(TimeZone::UTC).ok()?;
                return Some(Timestamp(found.timestamp().as_millisecond()));
            }
            day = day.tomorrow().ok()?;
            from = [0; 3];
        }
        None
    }

    fn is_day(&self, day: Date) -> bool {
        let has = |set: u64, number: i8| u32::try_from(number).is_ok_and(|number| set & (1 << number) != 0);
        let of_month = has(self.days, day.day());
        let of_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let is_one = if self.is_either_day { of_month || of_week } else { of_month && of_week };
        is_one && has(self.months, day.month())
    }

    /// The first time of a day at or after one.
    fn time_from(&self, [hour, minute, second]: [u32; 3]) -> Option<[i8; 3]> {
        let at = |set: u64, from: u32| first_from(set, from);
        let whole = |hour: u32| Some([hour, at(self.minutes, 0)?, at(self.seconds, 0)?]);
        let within = || {
            let first = at(self.hours, hour)?;
            if first > hour {
                return whole(first);
            }
            let same_minute = || Some([hour, minute, at(self.seconds, second)?]);
            let is_now = at(self.minutes, minute)? == minute;
            let later = || Some([hour, at(self.minutes, minute + 1)?, at(self.seconds, 0)?]);
            is_now.then(same_minute).flatten().or_else(later)
        };
        let found = within().or_else(|| whole(at(self.hours, hour + 1)?))?;
        let [hour, minute, second] = found.map(|part| i8::try_from(part).ok());
        Some([hour?, minute?, second?])
    }
}

/// The first number of a set at or after one.
fn first_from(set: u64, from: u32) -> Option<u32> {
    let rest = set.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

impl Schedule {
    /// That its expression reads.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn check(&self) -> Result<Cron, Rejection> {
        Cron::parse(&self.cron)
    }

    /// When a share pulls next after an instant: its own part of the jitter later than the expression says.
    #[must_use]
    pub fn next_after(&self, share: ShareId, after: Timestamp) -> Option<Timestamp> {
        let spread = u128::from(self.jitter_seconds) * 1_000 + 1;
        // The low half of an id is random, and the same each time.
        let late = i64::try_from((share.0 & u128::from(u64::MAX)) % spread).unwrap_or(0);
        let next = Cron::parse(&self.cron).ok()?.next_after(after.plus_ms(-late))?;
        Some(next.plus_ms(late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> String {
        let next = Cron::parse(cron).unwrap().next_after(Timestamp::parse(after).unwrap()).unwrap();
        next.to_string().replace(".000Z", "Z")
    }

    #[test]
    fn the_next_time_is_after_the_instant() {
        for (cron, after, expected) in [
            ("* * * * *", "2026-01-31T23:59:00Z", "2026-02-01T00:00:00Z"),
            ("*/15 * * * *", "2026-01-31T08:15:00Z", "2026-01-31T08:30:00Z"),
            ("*/15 * * * *", "2026-01-31T08:14:59Z", "2026-01-31T08:15:00Z"),
            ("*/10 * * * * *", "2026-01-31T08:14:51Z", "2026-01-31T08:15:00Z"),
            ("5 4 * * *", "2026-01-31T04:05:00Z", "2026-02-01T04:05:00Z"),
            ("5,50 8-10/2 * * *", "2026-01-31T08:50:00Z", "2026-01-31T10:05:00Z"),
            ("30 9 * * mon-fri", "2026-01-30T09:30:00Z", "2026-02-02T09:30:00Z"),
            ("0 0 * * 7", "2026-01-30T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("0 0 29 feb *", "2026-01-30T00:00:00Z", "2028-02-29T00:00:00Z"),
            // Either day suffices where both are said.
            ("0 0 13 * fri", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
            ("0 0 13 * fri", "2026-03-07T00:00:00Z", "2026-03-13T00:00:00Z"),
            ("7/20 * * * *", "2026-01-31T08:08:00Z", "2026-01-31T08:27:00Z"),
            ("59 59 23 31 12 *", "2026-01-31T08:08:00Z", "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(next(cron, after), expected, "{cron} after {after}");
        }
    }

    #[test]
    fn what_is_no_expression_says_which_field_is_wrong() {
        for (cron, said) in [
            ("", "five fields"),
            ("* * * *", "five fields"),
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * * foo *", "month"),
            ("* * * * 8", "day of the week"),
            ("*/0 * * * *", "minute"),
            ("5-2 * * * *", "minute"),
            ("0 0 30 feb *", "never comes"),
            (&"1,".repeat(150), "five fields"),
        ] {
            let refused = Cron::parse(cron).unwrap_err();
            assert!(refused.message.contains(said), "{cron}: {refused}");
        }
    }

    #[test]
    fn a_share_comes_later_by_the_same_time_each_day() {
        let schedule = Schedule { cron: "0 3 * * *".to_owned(), jitter_seconds: 600 };
        let share = ShareId(u128::from(u64::MAX) << 64 | 123_456_789);
        let first = schedule.next_after(share, Timestamp::parse("2026-01-31").unwrap()).unwrap();
        let second = schedule.next_after(share, first).unwrap();
        assert_eq!(second, first.plus_ms(24 * 3_600_000));
        let late = first.ms_since(Timestamp::parse("2026-01-31T03:00:00Z").unwrap());
        assert!((1..=600_000).contains(&late), "{late}");
        let bare = Schedule { jitter_seconds: 0, ..schedule };
        assert_eq!(bare.next_after(share, first).unwrap().to_string(), "2026-02-01T03:00:00.000Z");
    }
}
