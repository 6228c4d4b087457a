//! What a cursor of the manifest says, worked out for one configuration.

use std::sync::Arc;

use jiff::civil::Weekday;
use lockstep_expr::datetime::{Duration, Format, Moment};
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{
    Clamping, DatetimeBasedCursor, IncrementalSync, IncrementingCountCursor, MinMaxDatetime, RequestOption, Text,
};
use serde_json::{Map, Value};

use crate::cursor::scale::{Clamp, Point, Scale};
use crate::draft::Draft;
use crate::failure::Failure;
use crate::python;
use crate::slice::Slice;

/// The rules by which a stream is read in windows.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) scale: Scale,
    /// The field of records that is looked at.
    pub(crate) field: String,
    pub(crate) start: Point,
    end: End,
    pub(crate) lookback: Option<Duration>,
    pub(crate) step: Option<Duration>,
    pub(crate) granularity: Option<Duration>,
    clamp: Option<Clamp>,
    pub(crate) compares_strictly: bool,
    /// Whether records come newest first, so that the first old one ends the pages.
    pub(crate) is_data_feed: bool,
    /// Whether old records are left out here, since the platform cannot.
    pub(crate) is_client_side: bool,
    pub(crate) is_global: bool,
    names: (String, String),
    options: (Option<RequestOption>, Option<RequestOption>),
}

#[derive(Debug)]
enum End {
    Now,
    At(Point),
    Never,
}

impl Rules {
    pub(crate) fn new(said: &IncrementalSync, scope: &Scope) -> Result<Self, Failure> {
        match said {
            IncrementalSync::Datetime(said) => Self::of_time(said, scope),
            IncrementalSync::Count(said) => Self::of_count(said, scope),
        }
    }

    fn of_count(said: &IncrementingCountCursor, scope: &Scope) -> Result<Self, Failure> {
        let start = said.start_value.as_ref().map(|text| text.text(scope)).transpose()?.filter(|text| !text.is_empty());
        let start = start.map_or(Ok(0), |text| {
            text.trim()
                .parse()
                .map_err(|_odd| Failure::config(format!("the cursor starts at {text:?}; give a whole number")))
        });
        Ok(Self {
            scale: Scale::Count,
            field: said.cursor_field.text(scope)?,
            start: Point::Count(start?),
            end: End::Never,
            lookback: None,
            step: None,
            granularity: None,
            clamp: None,
            compares_strictly: false,
            is_data_feed: false,
            is_client_side: false,
            is_global: false,
            names: ("start".to_owned(), "end".to_owned()),
            options: (said.start_value_option.clone(), None),
        })
    }

    fn of_time(said: &DatetimeBasedCursor, scope: &Scope) -> Result<Self, Failure> {
        if said.step.is_some() != said.cursor_granularity.is_some() {
            return Err(Failure::system(
                "a DatetimeBasedCursor has `step` and `cursor_granularity` both, or neither; add the other",
            ));
        }
        let granularity = said.cursor_granularity.as_deref().map(Duration::parse).transpose()?;
        let duration = |text: &Option<Text>| -> Result<Option<Duration>, Failure> {
            let text = text.as_ref().map(|text| text.text(scope)).transpose()?.filter(|text| !text.is_empty());
            Ok(text.map(|text| Duration::parse(&text)).transpose()?)
        };
        let name = |text: &Option<Text>, otherwise: &str| -> Result<String, Failure> {
            Ok(text.as_ref().map(|text| text.text(scope)).transpose()?.unwrap_or_else(|| otherwise.to_owned()))
        };
        let step = duration(&said.step)?;
        if step.is_some_and(|step| step.months() <= 0 && step.microseconds() <= 0) {
            let step = said.step.as_ref().map(Text::source).unwrap_or_default();
            return Err(Failure::config(format!("the `step` {step} is no time; give a longer one, such as P1D")));
        }
        let formats = said.cursor_datetime_formats.iter().map(|format| Format::compile(format));
        let writes = Format::compile(&said.datetime_format)?;
        let start = moment(&said.start_datetime, &said.datetime_format, scope)?;
        let clamp = said.clamping.as_ref().map(|clamping| clamp(clamping, scope)).transpose()?;
        let end = match &said.end_datetime {
            Some(end) => End::At(Point::Time(moment(end, &said.datetime_format, scope)?)),
            None => End::Now,
        };
        Ok(Self {
            scale: Scale::Time { reads: formats.collect::<Result<_, _>>()?, writes, granularity },
            field: said.cursor_field.text(scope)?,
            start: Point::Time(start),
            end,
            lookback: duration(&said.lookback_window)?,
            step,
            granularity,
            clamp,
            compares_strictly: said.is_compare_strictly,
            is_data_feed: said.is_data_feed,
            is_client_side: said.is_client_side_incremental,
            is_global: said.global_substream_cursor,
            names: (name(&said.partition_field_start, "start_time")?, name(&said.partition_field_end, "end_time")?),
            options: (said.start_time_option.clone(), said.end_time_option.clone()),
        })
    }

    /// Whether there are no windows: everything after a number is asked for.
    pub(crate) const fn is_counting(&self) -> bool {
        matches!(self.end, End::Never)
    }

    /// Where windows end now.
    pub(crate) fn end(&self, now: jiff::Timestamp) -> Point {
        let end = match self.end {
            End::Now => Point::Time(Moment::from(now)),
            End::At(point) => point,
            End::Never => return Point::Count(i64::MAX),
        };
        let Some(clamp) = self.clamp else { return end };
        let least = match clamp {
            Clamp::Day => Duration::from_microseconds(1_000_000),
            Clamp::Week(_) | Clamp::Month => Duration::from_microseconds(86_400_000_000),
        };
        clamp.to(end, false).minus(self.granularity.unwrap_or(least))
    }

    pub(crate) fn clamped(&self, point: Point) -> Point {
        self.clamp.map_or(point, |clamp| clamp.to(point, true))
    }

    /// A window as slices have it.
    pub(crate) fn window(&self, from: Point, to: Point) -> Map<String, Value> {
        let end = if to == Point::Count(i64::MAX) { Value::Null } else { self.scale.write(to) };
        Map::from_iter([(self.names.0.clone(), self.scale.write(from)), (self.names.1.clone(), end)])
    }

    /// The bounds of a slice's window, as they were written into it.
    pub(crate) fn bounds(&self, slice: &Slice) -> Result<(Point, Point), Failure> {
        let bound = |name: &str| {
            let value = slice.window().get(name).ok_or_else(|| Failure::system(format!("a window has no `{name}`")))?;
            self.scale.parse(value)
        };
        Ok((bound(&self.names.0)?, bound(&self.names.1)?))
    }

    /// Where a record stands; `None` where it does not say, or not so that it can be read.
    pub(crate) fn point(&self, record: &Value) -> Option<Point> {
        let value = record.get(&self.field).filter(|value| !value.is_null())?;
        self.scale.parse(value).ok()
    }

    /// The newest of some records, as far as it is a place to go on from: a record that is dated ahead says nothing of
    /// what will still come before it.
    pub(crate) fn newest(&self, records: &[Arc<Value>], now: jiff::Timestamp) -> Option<Point> {
        let newest = records.iter().filter_map(|record| self.point(record)).max();
        newest.map(|point| if matches!(point, Point::Time(_)) { point.min(Point::Time(now.into())) } else { point })
    }

    /// Why none of these records says where it stands, though there is something in the field.
    pub(crate) fn explain_unread(&self, records: &[Arc<Value>]) -> Option<Failure> {
        let values = || records.iter().filter_map(|record| record.get(&self.field)).filter(|value| !value.is_null());
        let first = self.scale.parse(values().next()?).err()?;
        values()
            .all(|value| self.scale.parse(value).is_err())
            .then(|| first.while_at(format!("`{}` of the records", self.field)))
    }

    /// Puts the window into the request.
    pub(crate) fn inject(&self, draft: &mut Draft, slice: &Slice, scope: &Scope) -> Result<(), Failure> {
        for (option, name) in [(&self.options.0, &self.names.0), (&self.options.1, &self.names.1)] {
            if let Some(option) = option {
                let value = slice.get(name).cloned().unwrap_or(Value::Null);
                draft.inject(option, value, scope)?;
            }
        }
        Ok(())
    }
}

/// An instant of the manifest, held between its bounds.
fn moment(said: &MinMaxDatetime, format: &str, scope: &Scope) -> Result<Moment, Failure> {
    let format = Format::compile(said.datetime_format.as_deref().unwrap_or(format))?;
    let read = |text: &Text| -> Result<Option<Moment>, Failure> {
        let value = python::text(&text.value(scope)?);
        if value.is_empty() || value == "None" {
            return Ok(None);
        }
        format.parse(&value).map(Some).map_err(|_odd| {
            Failure::config(format!("{value:?}, which {} gives, is not written as {}", text.source(), format.source()))
        })
    };
    let found = read(&said.datetime)?;
    let mut found = found
        .ok_or_else(|| Failure::config(format!("{} gives no date; check the configuration", said.datetime.source())))?;
    if let Some(least) = said.min_datetime.as_ref().map(read).transpose()?.flatten() {
        found = found.max(least);
    }
    if let Some(most) = said.max_datetime.as_ref().map(read).transpose()?.flatten() {
        found = found.min(most);
    }
    Ok(found)
}

fn clamp(said: &Clamping, scope: &Scope) -> Result<Clamp, Failure> {
    let target = said.target.text(scope)?;
    let weekday = said.target_details.as_ref().and_then(|details| details.0.get("weekday")).and_then(Value::as_str);
    match (target.as_str(), weekday) {
        ("DAY", _) => Ok(Clamp::Day),
        ("MONTH", _) => Ok(Clamp::Month),
        ("WEEK", Some("MONDAY")) => Ok(Clamp::Week(Weekday::Monday)),
        ("WEEK", Some("TUESDAY")) => Ok(Clamp::Week(Weekday::Tuesday)),
        ("WEEK", Some("WEDNESDAY")) => Ok(Clamp::Week(Weekday::Wednesday)),
        ("WEEK", Some("THURSDAY")) => Ok(Clamp::Week(Weekday::Thursday)),
        ("WEEK", Some("FRIDAY")) => Ok(Clamp::Week(Weekday::Friday)),
        ("WEEK", Some("SATURDAY")) => Ok(Clamp::Week(Weekday::Saturday)),
        ("WEEK", Some("SUNDAY")) => Ok(Clamp::Week(Weekday::Sunday)),
        ("WEEK", _) => {
            Err(Failure::system("clamping to a WEEK needs `target_details: {weekday: MONDAY}` or another day"))
        }
        (other, _) => Err(Failure::system(format!("clamping to {other:?} is not known; give DAY, WEEK or MONTH"))),
    }
}
