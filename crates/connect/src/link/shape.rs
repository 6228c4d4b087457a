//! From what an answer holds to the tree that mappings name places of, and back.

use lockstep_core::Fields;
use lockstep_core::clock::Timestamp;
use lockstep_core::mapping::Path;
use lockstep_manifest::{Fill, Moment, Remote, Shape};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::desk::Desk;
use super::tables::Table;
use super::{Object, Trouble};

/// A value as text: nothing as an empty one, all that is no text as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Desk {
    /// The tables that shaping needs, read where that has not been done.
    pub(super) async fn prepare(&self, remote: &Remote) -> Result<(), Trouble> {
        for table in remote.shape.iter().filter_map(|shape| shape.names.as_ref()) {
            self.table(table, &[]).await?;
        }
        Ok(())
    }

    /// A raw object in the form that mappings see.
    pub(super) fn shaped(&self, remote: &Remote, options: &Fields, raw: Value) -> Result<Object, Trouble> {
        object_of(remote, self.scope(options), &|name| self.known_table(name), raw)
    }

    /// A tree as it is written.
    pub(super) async fn unshaped(&self, remote: &Remote, shapes: &[Shape], tree: &Value) -> Result<Value, Trouble> {
        let mut raw = tree.clone();
        for shape in shapes.iter().rev() {
            let Some(Value::Object(members)) = shape.entries.0.get(&raw).cloned() else { continue };
            let table = match &shape.names {
                None => None,
                Some(name) => Some(self.table(name, &members.keys().cloned().collect::<Vec<_>>()).await?),
            };
            let mut entries = Vec::with_capacity(members.len());
            for (name, value) in members {
                let key = match &table {
                    None => name.clone(),
                    Some(table) => table.by_name.get(&name).cloned().ok_or_else(|| unknown(shape, &name, table))?,
                };
                let mut path = shape.entries.0.names().to_vec();
                path.push(name);
                let is_merged = merges(remote, &path);
                entries.push(entry(shape, key, value, is_merged)?);
            }
            shape.entries.0.set(&mut raw, Value::Array(entries));
        }
        Ok(raw)
    }
}

/// A raw object in the form that mappings see, with what is known of its names.
pub(crate) fn object_of(
    remote: &Remote,
    mut scope: Map<String, Value>,
    table: &dyn Fn(&str) -> Table,
    raw: Value,
) -> Result<Object, Trouble> {
    let mut tree = raw;
    for shape in &remote.shape {
        let table = shape.names.as_ref().map(|name| table(name));
        unfold(&mut tree, shape, table.as_ref());
    }
    scope.insert("object".to_owned(), tree.clone());
    let id = remote.id.text(&tree, &scope)?;
    let id = id.ok_or_else(|| Trouble::system("an object of the platform's says no id; check `id` in the file"))?;
    let version = remote.version.as_ref().map(|version| version.text(&tree, &scope)).transpose()?;
    let is_gone = remote.gone.as_ref().map_or(Ok(false), |gone| gone.is_true(&scope))?;
    let changed_at = remote.changed_at.as_ref().and_then(|moment| instant(moment, &tree));
    Ok(Object { id, tree, version: version.flatten(), changed_at, is_gone })
}

/// Whether members that stand at a place are added to, not replaced.
fn merges(remote: &Remote, path: &[String]) -> bool {
    let mut entries = remote.mapping.entries.values();
    entries.any(|entry| entry.is_merged && entry.path.as_ref().is_some_and(|own| own.names() == path))
}

fn entry(shape: &Shape, key: String, value: Value, is_merged: bool) -> Result<Value, Trouble> {
    let mut entry = Map::from_iter([(shape.key.clone(), key.as_str().into()), (shape.value.clone(), value.clone())]);
    let scope = Map::from_iter([
        ("key".to_owned(), key.into()),
        ("value".to_owned(), value),
        ("merge".to_owned(), is_merged.into()),
    ]);
    for (member, fill) in &shape.with {
        let value = fill.value(&scope)?;
        if !value.is_null() {
            entry.insert(member.clone(), value);
        }
    }
    Ok(Value::Object(entry))
}

fn unknown(shape: &Shape, name: &str, table: &Table) -> Trouble {
    const SHOWN: usize = 20;
    let known: Vec<&str> = table.by_name.keys().take(SHOWN).map(String::as_str).collect();
    Trouble::system(format!(
        "the account has nothing called {name:?} for {}; it has {}. Make it there, or take it out of the mapping",
        shape.entries.0,
        known.join(", ")
    ))
}

/// A list of entries as an object. A list of anything else says nothing here, and neither does an entry whose name is
/// not known.
fn unfold(tree: &mut Value, shape: &Shape, table: Option<&Table>) {
    let path = &shape.entries.0;
    let Some(Value::Array(items)) = path.get(tree) else { return };
    let mut members = Map::new();
    let mut is_said = items.is_empty();
    for item in items.iter().filter_map(Value::as_object) {
        let key = item.get(&shape.key).map(plain).unwrap_or_default();
        let name = match table {
            None => Some(key),
            Some(table) => table.by_id.get(&key).cloned(),
        };
        is_said = true;
        if let Some(name) = name {
            members.insert(name, item.get(&shape.value).cloned().unwrap_or_default());
        }
    }
    if is_said {
        path.set(tree, Value::Object(members));
    } else {
        remove(tree, path);
    }
}

fn remove(tree: &mut Value, path: &Path) {
    let Some((last, outer)) = path.names().split_last() else { return };
    let parent = outer.iter().try_fold(tree, |at, name| at.get_mut(name));
    if let Some(Value::Object(members)) = parent {
        members.remove(last);
    }
}

/// When something was.
fn instant(moment: &Moment, raw: &Value) -> Option<Timestamp> {
    let said = moment.path.get(raw)?.clone();
    let read = moment.codecs.iter().try_fold(said, |value, codec| codec.decode(value)).ok()?;
    let text = plain(&read);
    let at = lockstep_expr::datetime::parse_any(&text).ok()?.timestamp();
    Some(Timestamp(at.as_millisecond()))
}

/// What stands elsewhere in an answer, put into the object.
pub(super) fn put(raw: &mut Value, with: &BTreeMap<String, Fill>, scope: &Map<String, Value>) -> Result<(), Trouble> {
    for (path, fill) in with {
        let value = fill.value(scope)?;
        if !value.is_null() {
            Path::parse(path).set(raw, value);
        }
    }
    Ok(())
}
