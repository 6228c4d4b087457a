//! Reading only what is new.

use crate::components::RequestOption;
use crate::node::Data;
use crate::problem::Problem;
use crate::read::{At, Read, component, one_of};
use crate::text::{Json, Text};

one_of! {
    /// What newness is measured by.
    IncrementalSync {
        /// A time.
        Datetime as "DatetimeBasedCursor" (Box<DatetimeBasedCursor>),
        /// A number that only grows.
        Count as "IncrementingCountCursor" (IncrementingCountCursor),
    }
}

component! {
    /// A time, in windows of `step` from `start_datetime` to `end_datetime`.
    DatetimeBasedCursor {
        cursor_field: Text,
        cursor_datetime_formats: Vec<String>,
        start_datetime: MinMaxDatetime,
        start_time_option: Option<RequestOption>,
        end_datetime: Option<MinMaxDatetime>,
        end_time_option: Option<RequestOption>,
        datetime_format: String,
        cursor_granularity: Option<String>,
        is_data_feed: bool = false,
        is_client_side_incremental: bool = false,
        is_compare_strictly: bool = false,
        global_substream_cursor: bool = false,
        lookback_window: Option<Text>,
        partition_field_start: Option<Text>,
        partition_field_end: Option<Text>,
        step: Option<Text>,
        clamping: Option<Clamping>,
    }

    /// Windows that begin with a day, a week or a month.
    Clamping {
        target: Text,
        target_details: Option<Json>,
    }

    /// A number that only grows.
    IncrementingCountCursor {
        cursor_field: Text,
        start_value: Option<Text>,
        start_value_option: Option<RequestOption>,
    }
}

impl IncrementalSync {
    /// The field of records that is looked at.
    #[must_use]
    pub const fn cursor_field(&self) -> &Text {
        match self {
            Self::Datetime(cursor) => &cursor.cursor_field,
            Self::Count(cursor) => &cursor.cursor_field,
        }
    }
}

/// An instant, held between two others.
#[derive(Debug, Clone)]
pub struct MinMaxDatetime {
    /// The instant.
    pub datetime: Text,
    /// How all three are written; the cursor's own format where this is none.
    pub datetime_format: Option<String>,
    /// Not earlier than this.
    pub min_datetime: Option<Text>,
    /// Not later than this.
    pub max_datetime: Option<Text>,
}

impl Read for MinMaxDatetime {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        if !matches!(at.node.data, Data::Map(_)) {
            return Ok(Self {
                datetime: Text::read(at)?,
                datetime_format: None,
                min_datetime: None,
                max_datetime: None,
            });
        }
        let at = at.component(&["datetime", "datetime_format", "min_datetime", "max_datetime"]);
        Ok(Self {
            datetime: at.field("datetime")?,
            datetime_format: at.field::<Option<String>>("datetime_format")?.filter(|format| !format.is_empty()),
            min_datetime: at.field("min_datetime")?,
            max_datetime: at.field("max_datetime")?,
        })
    }
}
