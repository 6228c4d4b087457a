//! Reading only what is new: windows on a scale, and how far each part of a stream has got.
//!
//! ```text
//! manifest ─▶ Rules ─▶ Progress (one partition) ─▶ windows ─▶ read ─▶ close ─▶ state
//!                      Partitioned (all of them, and a common point)
//! ```

mod partitioned;
mod progress;
mod rules;
mod scale;

use std::sync::Arc;

use serde_json::{Value, json};

pub(crate) use progress::Progress;
pub(crate) use rules::Rules;
pub(crate) use scale::Point;

use crate::failure::Failure;
use crate::slice::Slice;
use partitioned::Partitioned;

/// What the state of a stream without a cursor says once it was read to its end.
pub(crate) const READ_TO_THE_END: &str = "__ab_no_cursor_state_message";

/// How far a stream has been read.
pub(crate) enum Cursor {
    /// It is always read whole.
    None,
    /// In windows.
    One(Box<Progress>),
    /// In windows of partitions.
    Each(Box<Partitioned>),
}

impl Cursor {
    /// Takes up the state of an earlier run. `is_partitioned`: the stream has a router; `is_global`: only a common
    /// point is kept.
    pub(crate) fn new(
        rules: Option<&Arc<Rules>>,
        state: &Value,
        is_partitioned: bool,
        is_global: bool,
    ) -> Result<Self, Failure> {
        let nothing = Value::Null;
        let state = if state.get(READ_TO_THE_END).is_some() { &nothing } else { state };
        Ok(match rules {
            None => Self::None,
            Some(rules) if is_partitioned => Self::Each(Box::new(Partitioned::new(rules, state, is_global)?)),
            Some(rules) => Self::One(Box::new(Progress::new(rules, state, None)?)),
        })
    }

    /// The slices of a partition that are still to be read.
    pub(crate) fn open(&mut self, partition: &Slice, now: jiff::Timestamp) -> Result<Vec<Slice>, Failure> {
        match self {
            Self::None => Ok(vec![partition.clone()]),
            Self::One(progress) => {
                Ok(progress.windows(now)?.into_iter().map(|window| partition.within(window)).collect())
            }
            Self::Each(all) => all.open(partition, now),
        }
    }

    /// What the records of a slice are compared with.
    pub(crate) fn progress(&self, slice: &Slice) -> Result<Option<Progress>, Failure> {
        match self {
            Self::None => Ok(None),
            Self::One(progress) => Ok(Some(progress.as_ref().clone())),
            Self::Each(all) => all.progress(slice).map(Some),
        }
    }

    /// A slice has been read to its end.
    pub(crate) fn close(&mut self, slice: &Slice, newest: Option<Point>) -> Result<(), Failure> {
        match self {
            Self::None => Ok(()),
            Self::One(progress) => progress.close(slice, newest),
            Self::Each(all) => all.close(slice, newest),
        }
    }

    /// All slices have been read to their ends.
    pub(crate) fn finish(&mut self, took_s: i64, parent_state: Option<Value>) {
        if let Self::Each(all) = self {
            all.finish(took_s, parent_state);
        }
    }

    /// The state to be stored while something is still being read.
    pub(crate) fn state_under_way(&self) -> Value {
        match self {
            Self::None => json!({}),
            Self::One(_) | Self::Each(_) => self.state(),
        }
    }

    /// The state to be stored. A stream without a cursor has one only when it is done.
    pub(crate) fn state(&self) -> Value {
        match self {
            Self::None => json!({ READ_TO_THE_END: true }),
            Self::One(progress) => progress.state(),
            Self::Each(all) => all.state(),
        }
    }
}

fn holds(value: &Value) -> bool {
    crate::python::is_true(value)
}
