//! A part of a stream: which partition, which window of time, and what came along from a parent record.

use std::sync::Arc;

use lockstep_expr::interpolation::Bound;
use serde_json::{Map, Value};

/// A part of a stream. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    partition: Map<String, Value>,
    window: Map<String, Value>,
    extra: Map<String, Value>,
    seen: Arc<Value>,
}

impl Slice {
    /// All of a stream.
    pub(crate) fn whole() -> Self {
        Self::new(Map::new(), Map::new(), Map::new())
    }

    pub(crate) fn new(partition: Map<String, Value>, window: Map<String, Value>, extra: Map<String, Value>) -> Self {
        // Templates see all entries, and the three parts by name where no entry has that name.
        let mut seen = Map::new();
        seen.insert("partition".to_owned(), Value::Object(partition.clone()));
        seen.insert("cursor_slice".to_owned(), Value::Object(window.clone()));
        seen.insert("extra_fields".to_owned(), Value::Object(extra.clone()));
        seen.extend(partition.clone());
        seen.extend(window.clone());
        let seen = Arc::new(Value::Object(seen));
        Self { inner: Arc::new(Inner { partition, window, extra, seen }) }
    }

    /// The same partition in a window.
    pub(crate) fn within(&self, window: Map<String, Value>) -> Self {
        Self::new(self.inner.partition.clone(), window, self.inner.extra.clone())
    }

    /// What tells the partition from others; empty where there are none.
    pub(crate) fn partition(&self) -> &Map<String, Value> {
        &self.inner.partition
    }

    /// The window, by the names of its bounds; empty where there is none.
    pub(crate) fn window(&self) -> &Map<String, Value> {
        &self.inner.window
    }

    pub(crate) fn extra(&self) -> &Map<String, Value> {
        &self.inner.extra
    }

    /// An entry of the partition or of the window.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.inner.partition.get(name).or_else(|| self.inner.window.get(name))
    }

    pub(crate) fn bound(&self) -> Bound {
        Bound::from(Arc::clone(&self.inner.seen))
    }

    /// In words, for messages; empty for all of a stream.
    pub(crate) fn explain(&self) -> String {
        let entries = self.inner.partition.iter().filter(|(name, _)| *name != "parent_slice").chain(&self.inner.window);
        entries.map(|(name, value)| format!("{name}={}", crate::python::text(value))).collect::<Vec<_>>().join(", ")
    }
}
