//! Tables of names: by which names ids are called in an account. Read by a stream of the manifest when they are first
//! needed, and again when a name is not among them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use lockstep_core::Fields;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Trouble;
use super::desk::{Desk, holds};
use crate::read::Event;
use crate::source::Ask;

/// A table is not read again for a name that is not in it sooner than this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A table of names.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(super) by_id: Arc<BTreeMap<String, String>>,
    pub(super) by_name: Arc<BTreeMap<String, String>>,
    read_at: Option<Instant>,
}

impl Desk {
    /// A table as far as it is known.
    pub(super) fn known_table(&self, name: &str) -> Table {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    /// A table that has these names, as far as the account has them.
    pub(super) async fn table(&self, name: &str, wanted: &[String]) -> Result<Table, Trouble> {
        let known = self.known_table(name);
        let has_all = wanted.iter().all(|name| known.by_name.contains_key(name));
        let is_new = known.read_at.is_some_and(|at| at.elapsed() < AGAIN_AFTER);
        if known.read_at.is_some() && (has_all || is_new) {
            return Ok(known);
        }
        let said = self.sharing.names.get(name);
        let said = said.ok_or_else(|| Trouble::system(format!("there is no table {name} under `names`")))?;
        let (mut by_id, mut by_name) = (BTreeMap::new(), BTreeMap::new());
        let mut scope = self.scope(&Fields::new());
        for row in self.rows(&said.stream).await? {
            scope.insert("item".to_owned(), row.as_ref().clone());
            if !holds(said.when.as_ref(), &scope)? {
                continue;
            }
            let (id, name) = (said.id.text(&row, &scope)?, said.name.text(&row, &scope)?);
            if let (Some(id), Some(name)) = (id, name) {
                by_name.insert(name.clone(), id.clone());
                by_id.insert(id, name);
            }
        }
        let table = Table { by_id: Arc::new(by_id), by_name: Arc::new(by_name), read_at: Some(Instant::now()) };
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), table.clone());
        Ok(table)
    }

    /// All records of a stream.
    pub(super) async fn rows(&self, stream: &str) -> Result<Vec<Arc<Value>>, Trouble> {
        let (out, mut events) = mpsc::channel(8);
        let ask = Ask { streams: Some(vec![(stream.to_owned(), Value::Null)]), ..Ask::default() };
        let reading = async {
            let read = self.session.read(ask, &out).await;
            drop(out);
            read
        };
        let mut rows = Vec::new();
        let taking = async {
            let mut failed = None;
            while let Some(event) = events.recv().await {
                match event {
                    Event::Records { records, .. } => rows.extend(records),
                    Event::Problem { failure, is_gap: true, .. } => failed = failed.or(Some(failure)),
                    _ => {}
                }
            }
            failed
        };
        let (read, failed) = tokio::join!(reading, taking);
        read?;
        failed.map_or(Ok(rows), |failure| Err(failure.into()))
    }
}
