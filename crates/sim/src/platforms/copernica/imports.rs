//! Imports: many rows at once, carried out later, with a status to ask for. It must not fire webhooks but under the
//! caller `import`.

use super::answers::{created, refusal};
use super::hooks::Caller;
use super::profiles::text;
use super::{Copernica, Place, zone};
use crate::platforms::Answer;
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use lockstep_files::csv;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How long an import waits and then runs.
const WAIT_MS: i64 = 2000;
const RUN_MS: i64 = 3000;

pub(super) struct Import {
    id: u64,
    database: u64,
    name: String,
    action: String,
    key_fields: Vec<String>,
    is_removing_missing: bool,
    rows: Vec<Map<String, Value>>,
    begun_at: Timestamp,
    is_done: bool,
    error: Option<String>,
}

impl Copernica {
    pub(super) fn create_import(&mut self, place: &Place<'_>) -> Result<Answer, Answer> {
        let body = place.body()?;
        let action = body["action"].as_str().unwrap_or("update or add");
        let is_action = matches!(action, "add" | "update" | "update or add" | "ignore or add" | "delete");
        let rows =
            read_source(&body["source"]).filter(|_| is_action).ok_or_else(|| refusal("Invalid data provided"))?;
        let database = self.database_id(&text(&body["database"]))?;
        let id = self.fresh_id();
        let import = Import {
            id,
            database,
            name: text(&body["name"]),
            action: action.to_owned(),
            key_fields: body["keyFields"].as_array().into_iter().flatten().map(text).collect(),
            is_removing_missing: body["removeMissing"].as_bool().unwrap_or(false),
            rows,
            begun_at: place.now.plus_ms(WAIT_MS),
            is_done: false,
            error: None,
        };
        self.imports.insert(id, import);
        Ok(created(place.call, place.version, "import", id))
    }

    pub(super) fn get_import(&self, id: &str) -> Result<Answer, Answer> {
        let import = id.parse().ok().and_then(|id| self.imports.get(&id));
        let import = import.ok_or_else(|| refusal("No entity with supplied ID"))?;
        let status = match (import.is_done, &import.error) {
            (_, Some(_)) => "failed",
            (true, None) => "finished",
            (false, None) => "running",
        };
        let shown = json!({
            "ID": import.id.to_string(),
            "name": import.name,
            "type": "api",
            "status": status,
            "totallines": import.rows.len().to_string(),
            "processedlines": if import.is_done { import.rows.len() } else { 0 }.to_string(),
            "lastrun": zone::local(import.begun_at),
            "nextrun": "",
            "lasterror": import.error,
        });
        Ok(Answer::json(StatusCode::OK, &shown))
    }

    pub(super) fn run_imports(&mut self, now: Timestamp) {
        let is_due = |import: &&mut Import| !import.is_done && import.begun_at.plus_ms(RUN_MS) <= now;
        let due: Vec<u64> = self.imports.values_mut().filter(is_due).map(|import| import.id).collect();
        for id in due {
            let Some(mut import) = self.imports.remove(&id) else { continue };
            import.is_done = true;
            import.error = self.run_import(&import);
            self.imports.insert(id, import);
        }
    }

    /// Carries an import out; gives what went wrong.
    fn run_import(&mut self, import: &Import) -> Option<String> {
        let columns = import.rows.first().map(|row| row.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        if import.rows.iter().any(|row| !row.keys().eq(columns.iter())) {
            return Some("not all rows list the same fields".to_owned());
        }
        let now = import.begun_at.plus_ms(RUN_MS);
        let mut touched = BTreeSet::new();
        for row in &import.rows {
            let matching = self.matching(import, row);
            match import.action.as_str() {
                "add" => drop(touched.insert(self.import_row(import, row, None, now))),
                "delete" => matching.iter().for_each(|id| self.remove(*id, Caller::Import, now)),
                "ignore or add" if !matching.is_empty() => touched.extend(matching),
                "update" | "update or add" if !matching.is_empty() => {
                    touched.extend(matching.into_iter().map(|id| self.import_row(import, row, Some(id), now)));
                }
                "update" => {}
                _ => drop(touched.insert(self.import_row(import, row, None, now))),
            }
        }
        if import.is_removing_missing {
            let all = self.profiles.values().filter(|it| it.database == import.database && it.removed_at.is_none());
            let missing: Vec<u64> = all.map(|profile| profile.id).filter(|id| !touched.contains(id)).collect();
            missing.into_iter().for_each(|id| self.remove(id, Caller::Import, now));
        }
        None
    }

    /// The profiles that have a row's values in all key fields.
    fn matching(&self, import: &Import, row: &Map<String, Value>) -> Vec<u64> {
        let all = self.profiles.values().filter(|it| it.database == import.database && it.removed_at.is_none());
        let has = |fields: &std::collections::BTreeMap<String, String>, key: &String| {
            let value = row.get(key).map(text);
            value.is_some()
                && fields.iter().any(|(name, has)| name.eq_ignore_ascii_case(key) && Some(has) == value.as_ref())
        };
        let fits =
            all.filter(|it| !import.key_fields.is_empty() && import.key_fields.iter().all(|key| has(&it.fields, key)));
        fits.map(|profile| profile.id).collect()
    }

    /// Writes a row to a profile, or to a new one; a column `Collection.Field` makes a subprofile.
    fn import_row(&mut self, import: &Import, row: &Map<String, Value>, id: Option<u64>, now: Timestamp) -> u64 {
        let own: Map<String, Value> = row
            .iter()
            .filter(|(name, _)| !name.contains('.'))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let body = json!({"fields": own});
        let id = match id {
            Some(id) => {
                self.update(id, &body, Caller::Import, now);
                id
            }
            None => self.create(import.database, &body, Caller::Import, now),
        };
        let nested = row.iter().filter_map(|(name, value)| Some((name.split_once('.')?, value)));
        let mut children: std::collections::BTreeMap<&str, Map<String, Value>> = std::collections::BTreeMap::new();
        for ((collection, field), value) in nested {
            children.entry(collection).or_default().insert(field.to_owned(), value.clone());
        }
        for (collection, fields) in children {
            if let Ok(collection) = self.collection(collection).map(|collection| collection.id) {
                self.create_subprofile(id, collection, &Value::Object(fields), Caller::Import, now);
            }
        }
        id
    }
}

/// The rows of a source that is a list, or the text of a csv file. A location is not fetched.
fn read_source(source: &Value) -> Option<Vec<Map<String, Value>>> {
    match source {
        Value::Array(rows) => rows.iter().map(|row| row.as_object().cloned()).collect(),
        Value::String(text) if text.contains('\n') => {
            csv::rows(text.as_bytes(), &csv::Options::default()).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}
