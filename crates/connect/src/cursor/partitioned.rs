//! How far each partition of a stream has been read, and how far all of them have.
//!
//! A partition keeps a progress of its own; a new one begins where all had got to at the end of the last run, minus
//! the time that run took. With a global cursor only that common point is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_expr::datetime::Duration;
use serde_json::{Map, Value, json};

use crate::cursor::progress::Progress;
use crate::cursor::rules::Rules;
use crate::cursor::scale::Point;
use crate::failure::Failure;
use crate::slice::Slice;

/// How far the partitions of a stream have been read.
pub(crate) struct Partitioned {
    rules: Arc<Rules>,
    is_global: bool,
    /// By canonical JSON of the partition, with the order in which they were met.
    progress: BTreeMap<String, Entry>,
    met: Vec<String>,
    /// The common point of the last run, and its seconds.
    global: Option<Point>,
    lookback_s: i64,
    newest: Option<Point>,
    has_seen_records: bool,
    parent_state: Option<Value>,
}

struct Entry {
    partition: Map<String, Value>,
    progress: Progress,
    open: usize,
    /// Whether its windows were given out in this run.
    is_met: bool,
}

impl Partitioned {
    pub(crate) fn new(rules: &Arc<Rules>, state: &Value, is_global: bool) -> Result<Self, Failure> {
        let mut this = Self {
            rules: Arc::clone(rules),
            is_global,
            progress: BTreeMap::new(),
            met: Vec::new(),
            global: None,
            lookback_s: 0,
            newest: None,
            has_seen_records: false,
            parent_state: None,
        };
        let Some(fields) = state.as_object().filter(|fields| !fields.is_empty()) else { return Ok(this) };
        let is_own = fields.contains_key("states") || fields.contains_key("state");
        let global = if is_own { fields.get("state") } else { Some(state) };
        if let Some(point) = global.and_then(|state| state.get(&rules.field)).filter(|value| !value.is_null()) {
            this.global = Some(rules.scale.parse(point)?);
            this.newest = this.global;
        }
        if is_own {
            this.is_global = is_global || fields.get("use_global_cursor").and_then(Value::as_bool).unwrap_or(false);
            this.lookback_s = fields.get("lookback_window").and_then(Value::as_i64).unwrap_or(0);
            for entry in fields.get("states").and_then(Value::as_array).into_iter().flatten() {
                let partition = entry.get("partition").and_then(Value::as_object).cloned().unwrap_or_default();
                let progress = Progress::new(rules, entry.get("cursor").unwrap_or(&Value::Null), None)?;
                this.enter(partition, progress);
            }
            this.parent_state = fields.get("parent_state").filter(|state| super::holds(state)).cloned();
        }
        Ok(this)
    }

    fn enter(&mut self, partition: Map<String, Value>, progress: Progress) {
        let key = key(&partition);
        if self.progress.insert(key.clone(), Entry { partition, progress, open: 0, is_met: false }).is_none() {
            self.met.push(key);
        }
    }

    /// The windows of a partition that are still to be read; none where it was met before in this run.
    pub(crate) fn open(&mut self, partition: &Slice, now: jiff::Timestamp) -> Result<Vec<Slice>, Failure> {
        let key = key(partition.partition());
        if self.progress.get(&key).is_some_and(|entry| entry.open > 0) {
            return Ok(Vec::new());
        }
        // In a global state there is nothing of single partitions to begin from.
        if !self.progress.contains_key(&key) || self.is_global {
            let progress = self.fresh()?;
            self.enter(partition.partition().clone(), progress);
        }
        let Some(entry) = self.progress.get_mut(&key).filter(|entry| !entry.is_met) else { return Ok(Vec::new()) };
        entry.is_met = true;
        let windows = entry.progress.windows(now)?;
        entry.open = windows.len();
        Ok(windows.into_iter().map(|window| partition.within(window)).collect())
    }

    /// Where a partition begins that nothing is known of.
    fn fresh(&self) -> Result<Progress, Failure> {
        let Some(global) = self.global else { return Progress::new(&self.rules, &Value::Null, None) };
        let state = json!({ self.rules.field.clone(): self.rules.scale.write(global) });
        let again = Duration::from_microseconds(self.lookback_s.saturating_mul(1_000_000));
        Progress::new(&self.rules, &state, Some(again))
    }

    /// What a partition's records are compared with.
    pub(crate) fn progress(&self, slice: &Slice) -> Result<Progress, Failure> {
        match self.progress.get(&key(slice.partition())) {
            Some(entry) => Ok(entry.progress.clone()),
            None => self.fresh(),
        }
    }

    /// A window of a partition has been read to its end.
    pub(crate) fn close(&mut self, slice: &Slice, newest: Option<Point>) -> Result<(), Failure> {
        self.newest = self.newest.max(newest);
        self.has_seen_records |= newest.is_some();
        let key = key(slice.partition());
        let Some(entry) = self.progress.get_mut(&key) else { return Ok(()) };
        entry.progress.close(slice, newest)?;
        entry.open = entry.open.saturating_sub(1);
        if entry.open == 0 && !self.is_global {
            self.newest = self.newest.max(Some(entry.progress.reached()));
        }
        if entry.open == 0 && self.is_global {
            // Nothing is asked of it again.
            self.progress.remove(&key);
            self.met.retain(|known| *known != key);
        }
        Ok(())
    }

    /// All partitions have been read to their ends; it took so many seconds.
    pub(crate) fn finish(&mut self, took_s: i64, parent_state: Option<Value>) {
        if self.has_seen_records {
            self.global = self.newest;
            self.lookback_s = took_s;
        }
        if parent_state.is_some() {
            self.parent_state = parent_state;
        }
    }

    /// The state to be stored.
    pub(crate) fn state(&self) -> Value {
        let mut state = Map::new();
        state.insert("use_global_cursor".to_owned(), self.is_global.into());
        if !self.is_global {
            let entries = self.met.iter().filter_map(|key| self.progress.get(key));
            let states = entries.map(|entry| json!({"partition": entry.partition, "cursor": entry.progress.state()}));
            state.insert("states".to_owned(), states.collect());
        }
        if let Some(global) = self.global {
            state.insert("state".to_owned(), json!({ self.rules.field.clone(): self.rules.scale.write(global) }));
        }
        state.insert("lookback_window".to_owned(), self.lookback_s.into());
        if let Some(parent_state) = &self.parent_state {
            state.insert("parent_state".to_owned(), parent_state.clone());
        }
        Value::Object(state)
    }
}

fn key(partition: &Map<String, Value>) -> String {
    Value::Object(partition.clone()).to_string()
}
