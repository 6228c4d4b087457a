//! How far a stream, or one partition of it, has been read: intervals on the scale that are complete.
//!
//! Windows are read in any order; each that is done becomes an interval, and intervals that touch become one. What is
//! stored is the newest record of the first interval, so that a window that failed is read again next time, and
//! nothing after it is taken for done.

use std::sync::Arc;

use lockstep_expr::datetime::Duration;
use serde_json::{Map, Value};

use crate::cursor::rules::Rules;
use crate::cursor::scale::Point;
use crate::failure::Failure;
use crate::slice::Slice;

/// Most windows of one part; a window is a call at least, and all are held until they are read.
const WINDOWS_MAX: usize = 100_000;

/// How far something has been read.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    rules: Arc<Rules>,
    /// From where records count as new.
    pub(crate) from: Point,
    intervals: Vec<Interval>,
    /// What else the state held when we began; it is handed on.
    kept: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct Interval {
    start: Point,
    end: Point,
    newest: Option<Point>,
}

impl Progress {
    /// Takes up a state of an earlier run; an empty one is the beginning. `again` is read a second time.
    pub(crate) fn new(rules: &Arc<Rules>, state: &Value, again: Option<Duration>) -> Result<Self, Failure> {
        let kept = state.as_object().cloned().unwrap_or_default();
        if let Some(slices) = kept.get("slices").and_then(Value::as_array).filter(|_| kept.contains_key("state_type")) {
            return Self::of_slices(rules, slices);
        }
        let low = kept
            .get(&rules.field)
            .filter(|value| !value.is_null())
            .map(|value| rules.scale.parse(value))
            .transpose()?;
        let low = match (low, again) {
            (Some(low), Some(again)) => Some(low.minus(again)),
            (low, _) => low,
        };
        let from = low.filter(|low| *low >= rules.start).unwrap_or(rules.start);
        let first = Interval { start: rules.start, end: from, newest: Some(from) };
        Ok(Self { rules: Arc::clone(rules), from, intervals: vec![first], kept })
    }

    /// The state of another runtime that keeps all intervals.
    fn of_slices(rules: &Arc<Rules>, slices: &[Value]) -> Result<Self, Failure> {
        let point = |slice: &Value, name: &str| {
            slice.get(name).filter(|value| !value.is_null()).map(|value| rules.scale.parse(value)).transpose()
        };
        let mut intervals = Vec::new();
        for slice in slices {
            let missing = |name: &str| Failure::config(format!("a slice of the state has no `{name}`"));
            let start = point(slice, "start")?.ok_or_else(|| missing("start"))?;
            let end = point(slice, "end")?.ok_or_else(|| missing("end"))?;
            intervals.push(Interval { start, end, newest: point(slice, "most_recent_cursor_value")? });
        }
        let from = intervals.first().map_or(rules.start, |first| first.newest.unwrap_or(first.end));
        if intervals.is_empty() {
            intervals.push(Interval { start: rules.start, end: from, newest: Some(from) });
        }
        Ok(Self { rules: Arc::clone(rules), from, intervals, kept: Map::new() })
    }

    /// The state to be stored.
    pub(crate) fn state(&self) -> Value {
        let mut state = self.kept.clone();
        let mut intervals = self.intervals.clone();
        self.merge(&mut intervals);
        if let Some(first) = intervals.first() {
            let reached = first.newest.unwrap_or(first.start);
            state.insert(self.rules.field.clone(), self.rules.scale.write(reached));
        }
        Value::Object(state)
    }

    /// The point that the state names.
    pub(crate) fn reached(&self) -> Point {
        let mut intervals = self.intervals.clone();
        self.merge(&mut intervals);
        intervals.first().map_or(self.rules.start, |first| first.newest.unwrap_or(first.start))
    }

    /// A window has been read to its end; `newest` is the newest record of it.
    pub(crate) fn close(&mut self, slice: &Slice, newest: Option<Point>) -> Result<(), Failure> {
        match (self.rules.is_counting(), newest) {
            (true, Some(newest)) => {
                self.intervals.push(Interval { start: self.from, end: newest, newest: Some(newest) })
            }
            (true, None) => {}
            (false, newest) => {
                let (start, end) = self.rules.bounds(slice)?;
                self.intervals.push(Interval { start, end, newest });
            }
        }
        let mut intervals = std::mem::take(&mut self.intervals);
        self.merge(&mut intervals);
        self.intervals = intervals;
        Ok(())
    }

    fn merge(&self, intervals: &mut Vec<Interval>) {
        intervals.sort_by_key(|interval| (interval.start, interval.end));
        let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals.drain(..) {
            match merged.last_mut() {
                Some(last) if self.rules.scale.next(last.end) >= interval.start => {
                    last.end = last.end.max(interval.end);
                    last.newest = last.newest.max(interval.newest);
                }
                _ => merged.push(interval),
            }
        }
        *intervals = merged;
    }

    /// The windows that are still to be read.
    pub(crate) fn windows(&self, now: jiff::Timestamp) -> Result<Vec<Map<String, Value>>, Failure> {
        let rules = &self.rules;
        let mut intervals = self.intervals.clone();
        self.merge(&mut intervals);
        let mut windows = Vec::new();
        if let Some(first) = intervals.first().filter(|first| rules.start < first.start) {
            self.split(rules.start, first.start, false, &mut windows);
        }
        for (one, next) in intervals.iter().zip(intervals.iter().skip(1)) {
            let from = rules.granularity.map_or(Some(one.end), |step| one.end.plus(step)).unwrap_or(one.end);
            self.split(from, next.start, false, &mut windows);
        }
        if let Some(last) = intervals.last() {
            let from = rules.lookback.map_or(last.end, |lookback| last.end.minus(lookback));
            self.split(from, rules.end(now), true, &mut windows);
        }
        if windows.len() > WINDOWS_MAX {
            return Err(Failure::config(format!(
                "what is to be read falls into over {WINDOWS_MAX} windows; give a longer `step`, or a later start"
            )));
        }
        Ok(windows)
    }

    /// The windows from `lower` to `upper`, a step each. Only the last may end where time does.
    fn split(&self, lower: Point, upper: Point, is_end: bool, windows: &mut Vec<Map<String, Value>>) {
        let rules = &self.rules;
        if lower > upper || (lower == upper && rules.granularity.is_none()) || upper < rules.start {
            return;
        }
        let lower = rules.clamped(lower.max(rules.start));
        if lower > upper || (lower == upper && (rules.compares_strictly || !is_end)) {
            return;
        }
        let before = |point: Point| rules.granularity.map_or(point, |step| point.minus(step));
        let stepped = |from: Point| rules.step.and_then(|step| from.plus(step)).unwrap_or(upper).min(upper);
        if stepped(lower) >= upper {
            let is_open = is_end && rules.granularity.is_some();
            let clamped = if is_open { upper } else { rules.clamped(upper) };
            let end = if is_end { clamped } else { before(clamped) };
            windows.push(rules.window(lower, end));
            return;
        }
        let mut from = lower;
        loop {
            let to = stepped(from);
            let clamped = if to == upper { to } else { rules.clamped(to) };
            let is_last = to >= upper || clamped == upper;
            let begin = rules.clamped(from);
            if begin >= clamped {
                return;
            }
            windows.push(rules.window(begin, if is_end && is_last { clamped } else { before(clamped) }));
            if is_last {
                return;
            }
            if windows.len() > WINDOWS_MAX {
                return;
            }
            from = clamped;
        }
    }

    /// Whether a record is new: not older than where we began, nor younger than the end. One without a time is.
    pub(crate) fn is_new(&self, record: &Value, now: jiff::Timestamp) -> bool {
        let rules = &self.rules;
        let Some(point) = rules.point(record) else { return true };
        let lowest = match rules.lookback {
            None => self.from,
            Some(lookback) => self.from.minus(lookback).max(self.from.min(rules.start)),
        };
        lowest <= point && point <= rules.end(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_expr::interpolation::Scope;
    use lockstep_manifest::{At, IncrementalSync, Node, Read};
    use serde_json::json;

    fn progress(extra: &Value, state: &Value) -> Progress {
        let mut said = json!({"type": "DatetimeBasedCursor", "cursor_field": "at", "datetime_format": "%Y-%m-%d",
            "start_datetime": "2026-01-01", "end_datetime": "2026-01-10"});
        for (key, value) in extra.as_object().unwrap() {
            said[key] = value.clone();
        }
        let node = Node::from_json(&said, 1);
        let said = IncrementalSync::read(&At::root(&node, "")).unwrap();
        let rules = Rules::new(&said, &Scope::new(now()).with("config", json!({}))).unwrap();
        Progress::new(&Arc::new(rules), state, None).unwrap()
    }

    fn now() -> jiff::Timestamp {
        "2026-01-20T00:00:00Z".parse().unwrap()
    }

    fn windows(progress: &Progress) -> Vec<String> {
        let text = |window: &Map<String, Value>| {
            format!("{}..{}", window["start_time"].as_str().unwrap(), window["end_time"].as_str().unwrap())
        };
        progress.windows(now()).unwrap().iter().map(text).collect()
    }

    fn close(progress: &mut Progress, from: &str, to: &str, newest: Option<&str>) {
        let window = Map::from_iter([("start_time".to_owned(), from.into()), ("end_time".to_owned(), to.into())]);
        let newest = newest.map(|at| progress.rules.scale.parse(&at.into()).unwrap());
        progress.close(&Slice::whole().within(window), newest).unwrap();
    }

    #[test]
    fn without_a_step_there_is_one_window() {
        assert_eq!(windows(&progress(&json!({}), &json!({}))), ["2026-01-01..2026-01-10"]);
        assert_eq!(windows(&progress(&json!({}), &json!({"at": "2026-01-05"}))), ["2026-01-05..2026-01-10"]);
        assert_eq!(
            windows(&progress(&json!({"lookback_window": "P2D"}), &json!({"at": "2026-01-05"}))),
            ["2026-01-03..2026-01-10"]
        );
        assert_eq!(
            windows(&progress(&json!({"lookback_window": "P2D"}), &json!({"at": "2026-01-02"}))),
            ["2026-01-01..2026-01-10"]
        );
    }

    #[test]
    fn steps_do_not_overlap_and_end_where_time_does() {
        let stepped = json!({"step": "P4D", "cursor_granularity": "P1D"});
        assert_eq!(
            windows(&progress(&stepped, &json!({}))),
            ["2026-01-01..2026-01-04", "2026-01-05..2026-01-08", "2026-01-09..2026-01-10"]
        );
        let months = json!({"step": "P1M", "cursor_granularity": "P1D", "end_datetime": "2026-03-15"});
        assert_eq!(
            windows(&progress(&months, &json!({}))),
            ["2026-01-01..2026-01-31", "2026-02-01..2026-02-28", "2026-03-01..2026-03-15"]
        );
        assert_eq!(windows(&progress(&stepped, &json!({"at": "2026-01-10"}))), ["2026-01-10..2026-01-10"]);
    }

    #[test]
    fn a_window_that_failed_is_read_again_and_nothing_after_it_counts() {
        let stepped = json!({"step": "P4D", "cursor_granularity": "P1D"});
        let mut progress = progress(&stepped, &json!({"other": 1}));
        close(&mut progress, "2026-01-09", "2026-01-10", Some("2026-01-10"));
        assert_eq!(progress.state(), json!({"at": "2026-01-01", "other": 1}));
        close(&mut progress, "2026-01-01", "2026-01-04", Some("2026-01-03"));
        assert_eq!(progress.state()["at"], "2026-01-03");
        assert_eq!(windows(&progress), ["2026-01-05..2026-01-08", "2026-01-10..2026-01-10"]);
        close(&mut progress, "2026-01-05", "2026-01-08", None);
        assert_eq!(progress.state()["at"], "2026-01-10");
    }

    #[test]
    fn records_are_new_from_the_state_on() {
        let progress = progress(&json!({"lookback_window": "P1D"}), &json!({"at": "2026-01-05"}));
        for (at, is_new) in [("2026-01-03", false), ("2026-01-04", true), ("2026-01-10", true), ("2026-01-11", false)] {
            assert_eq!(progress.is_new(&json!({"at": at}), now()), is_new, "{at}");
        }
        assert!(progress.is_new(&json!({"at": null}), now()));
    }
}
