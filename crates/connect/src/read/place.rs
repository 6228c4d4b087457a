//! Where a reading goes on that was broken off: the next page of each slice that was under way.
//!
//! It is kept in the state, beside what the cursor says, and only for who asks for it: other runtimes do not know it. A
//! place that does not fit any more, is old, or that the platform refuses costs nothing but reading the slice from its
//! beginning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cursor::{Point, Rules};
use crate::slice::Slice;

/// Where places stand in a state.
const KEY: &str = "lockstep_pages";

/// How long a place is good for: tokens expire, and numbered pages shift as objects come and go.
const GOOD_FOR_MS: i64 = 3_600_000;

/// A slice that was not read to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    partition: Map<String, Value>,
    window: Map<String, Value>,
    /// The token of the page after the last that was read.
    pub(crate) token: Value,
    /// The newest record before it, as a state writes it.
    newest: Value,
    /// When that was, in milliseconds since 1970.
    at: i64,
}

impl Place {
    /// The newest record before it.
    pub(crate) fn newest(&self, rules: Option<&Rules>) -> Option<Point> {
        rules.filter(|_| !self.newest.is_null()).and_then(|rules| rules.scale.parse(&self.newest).ok())
    }

    /// The slice as it was then: its window may have ended earlier.
    pub(crate) fn slice(&self, opened: &Slice) -> Slice {
        opened.within(self.window.clone())
    }

    fn is_of(&self, slice: &Slice, rules: Option<&Rules>) -> bool {
        if self.partition != *slice.partition() {
            return false;
        }
        let begin = |slice: &Slice| rules.and_then(|rules| rules.bounds(slice).ok()).map(|(begin, _)| begin);
        self.window == *slice.window() || begin(slice).is_some_and(|then| begin(&self.slice(slice)) == Some(then))
    }
}

/// The places of one reading.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// From the state, and not taken up yet.
    known: Vec<Place>,
    under_way: BTreeMap<String, Place>,
}

impl Places {
    /// Takes the places out of a state.
    pub(crate) fn of(state: &mut Value, now: jiff::Timestamp) -> Self {
        let held = state.as_object_mut().and_then(|state| state.remove(KEY));
        let mut known: Vec<Place> = held.and_then(|held| serde_json::from_value(held).ok()).unwrap_or_default();
        known.retain(|place| now.as_millisecond() - place.at <= GOOD_FOR_MS);
        Self { known, under_way: BTreeMap::new() }
    }

    /// Where a slice goes on that is opened now, if it was under way.
    pub(crate) fn take(&mut self, slice: &Slice, rules: Option<&Rules>) -> Option<Place> {
        let index = self.known.iter().position(|place| place.is_of(slice, rules))?;
        let place = self.known.swap_remove(index);
        self.under_way.insert(place.slice(slice).explain(), place.clone());
        Some(place)
    }

    /// A slice has been read up to the page of a token.
    pub(crate) fn keep(&mut self, slice: &Slice, token: Value, newest: Value, now: jiff::Timestamp) {
        let (partition, window) = (slice.partition().clone(), slice.window().clone());
        let place = Place { partition, window, token, newest, at: now.as_millisecond() };
        self.under_way.insert(slice.explain(), place);
    }

    /// A slice has been read to its end.
    pub(crate) fn done(&mut self, slice: &Slice) {
        self.under_way.remove(&slice.explain());
    }

    /// Whether no slice is under way, nor was when the reading before this was broken off.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.known.is_empty()
    }

    /// Puts the places into a state.
    pub(crate) fn put(&self, state: &mut Value) {
        let all: Vec<&Place> = self.under_way.values().chain(&self.known).collect();
        if let (Value::Object(state), Ok(all)) = (state, serde_json::to_value(all)) {
            state.insert(KEY.to_owned(), all);
        }
    }
}
