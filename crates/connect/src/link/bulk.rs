//! Many objects handed over at once and carried out later: a job is begun, asked for until it is over, and then told
//! apart object by object.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use lockstep_core::Fields;
use lockstep_core::mapping::Path;
use lockstep_manifest::{BulkSaid, Listed, Pick, Remote};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::desk::{Asked, Desk, seen};
use super::look::Looked;
use super::shape::plain;
use super::{Class, Job, Trouble, Write, Written};
use crate::failure::Failure;

/// What is kept of a job.
#[derive(Serialize, Deserialize)]
struct Kept {
    job: Value,
    writes: Vec<(Write, Row)>,
}

/// How a write goes with a job.
#[derive(Clone, Serialize, Deserialize)]
enum Row {
    /// Handed over; outcomes name it so.
    Key(String),
    /// Not handed over, and written by itself: a job would take it for another object, or make one.
    Alone,
    /// Not to be written, and why.
    Refused(String),
}

impl Desk {
    fn bulk_said(&self, object: &str) -> Result<(&Remote, &BulkSaid), Trouble> {
        let remote = self.remote(object)?;
        let said = remote.write.as_ref().and_then(|writing| writing.bulk.as_ref());
        Ok((remote, said.ok_or_else(|| Trouble::system(format!("the connector writes no {object} in bulk")))?))
    }

    pub(super) async fn submit(&self, object: &str, options: &Fields, writes: Vec<Write>) -> Result<Job, Trouble> {
        let (remote, said) = self.bulk_said(object)?;
        let mut scope = self.scope(options);
        let (mut items, mut kept) = (Vec::new(), Vec::new());
        for write in writes {
            self.write_into(&mut scope, remote, &write, &write.whole).await?;
            if let Some(shapes) = &said.shape {
                scope.insert("object".to_owned(), self.unshaped(remote, shapes, &write.whole).await?);
            }
            let item = said.item.value(&scope)?;
            scope.insert("item".to_owned(), item.clone());
            let key = said.key.text(&scope)?;
            let row = row(object, said, &write, &item, key);
            items.extend(matches!(row, Row::Key(_)).then_some(item));
            kept.push((write, row));
        }
        let job = match items.is_empty() {
            true => Value::Null,
            false => self.begun(remote, said, options, items).await?,
        };
        let kept = serde_json::to_value(Kept { job, writes: kept });
        kept.map(Job).map_err(|error| Trouble::system(error.to_string()))
    }

    async fn begun(
        &self,
        remote: &Remote,
        said: &BulkSaid,
        options: &Fields,
        items: Vec<Value>,
    ) -> Result<Value, Trouble> {
        let mut scope = self.scope(options);
        scope.insert("items".to_owned(), Value::Array(even(items)));
        let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: false };
        let reply = self.ask(&said.submit.call, &asked).await?;
        scope.remove("items");
        let seen = seen(&reply, &scope);
        let body = seen.get("body").cloned().unwrap_or_default();
        let job = said.submit.job.value(&body, &seen)?;
        if plain(&job).is_empty() {
            let message = "the platform took a job and tells no id of it";
            return Err(Trouble::new(Class::Unknown, Failure::system(message)));
        }
        Ok(job)
    }

    pub(super) async fn poll(
        &self,
        object: &str,
        options: &Fields,
        job: &Job,
    ) -> Result<Option<Vec<Written>>, Trouble> {
        let (remote, said) = self.bulk_said(object)?;
        let kept: Kept = serde_json::from_value(job.0.clone())
            .map_err(|error| Trouble::system(format!("this is no job of this connector: {error}")))?;
        if kept.job.is_null() {
            return Ok(Some(self.told_apart(object, options, &kept, &BTreeSet::new(), &BTreeMap::new()).await));
        }
        let mut scope = self.scope(options);
        scope.insert("job".to_owned(), kept.job.clone());
        let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
        let reply = self.ask(&said.poll.call, &asked).await?;
        let seen = seen(&reply, &scope);
        let failed = said.poll.failed.as_ref().map(|failed| failed.value(&seen)).transpose()?;
        if let Some(why) = failed.filter(|failed| !matches!(failed, Value::Null | Value::Bool(false))) {
            let message = format!("the platform could not carry the job out: {}", plain(&why));
            return Ok(Some(kept.writes.iter().map(|_write| refused(Some(&message))).collect()));
        }
        if !said.poll.done.is_true(&seen)? {
            return Ok(None);
        }
        let body = seen.get("body").cloned().unwrap_or_default();
        let texts = |pick: &Option<Pick>| -> Result<Vec<String>, Trouble> {
            let value = pick.as_ref().map(|pick| pick.value(&body, &seen)).transpose()?;
            Ok(value.as_ref().and_then(Value::as_array).into_iter().flatten().map(plain).collect())
        };
        let rejected: BTreeSet<String> = texts(&said.poll.refused)?.iter().map(|key| key.to_lowercase()).collect();
        let by_key = match &said.listed {
            Some(listed) => self.who(object, (remote, said, listed), options, &texts(&said.poll.ids)?).await?,
            None => BTreeMap::new(),
        };
        Ok(Some(self.told_apart(object, options, &kept, &rejected, &by_key).await))
    }

    /// What became of each write of a job that is over.
    async fn told_apart(
        &self,
        object: &str,
        options: &Fields,
        kept: &Kept,
        rejected: &BTreeSet<String>,
        by_key: &BTreeMap<String, String>,
    ) -> Vec<Written> {
        let one = |(write, row): &(Write, Row)| {
            let (write, row) = (write.clone(), row.clone());
            async move {
                match row {
                    Row::Refused(why) => refused(Some(&why)),
                    Row::Alone => self.write_one(object, options, &write).await,
                    Row::Key(key) if rejected.contains(&key.to_lowercase()) => refused(None),
                    Row::Key(key) => {
                        let known = by_key.get(&key.to_lowercase()).cloned();
                        self.carried(object, options, write, known).await.unwrap_or_else(Written::Refused)
                    }
                }
            }
        };
        let all: Vec<_> = kept.writes.iter().map(one).collect();
        stream::iter(all).buffered(self.sharing.at_once).collect().await
    }

    /// A write that the job carried out: who it is, and what is left to do for it.
    async fn carried(
        &self,
        object: &str,
        options: &Fields,
        write: Write,
        known: Option<String>,
    ) -> Result<Written, Trouble> {
        let is_new = write.id.is_none();
        let id = match write.id.clone().or(known) {
            Some(id) => id,
            None => match self.find(object, options, &write.groups).await? {
                Looked::Found(found) if found.len() == 1 => {
                    found.into_iter().next().map(|object| object.id).unwrap_or_default()
                }
                Looked::Found(found) if found.len() > 1 => return Err(super::write::ambiguous(object, &found)),
                _ => {
                    let message = format!("the job is over, and the {object} is not found");
                    return Err(Trouble::new(Class::Unknown, Failure::transient(message)));
                }
            },
        };
        let (_, said) = self.bulk_said(object)?;
        if let Some(then) = &said.then {
            let write = Write { id: Some(id.clone()), ..write };
            self.run(object, options, then, (&write, &write.whole), true).await?;
        }
        Ok(Written::Done { id, is_new, object: None })
    }

    /// The ids of objects by what outcomes name them by.
    async fn who(
        &self,
        object: &str,
        (remote, said, listed): (&Remote, &BulkSaid, &Listed),
        options: &Fields,
        ids: &[String],
    ) -> Result<BTreeMap<String, String>, Trouble> {
        let size = usize::try_from(listed.size).unwrap_or(1).max(1);
        let path = Path::parse(&said.key_path);
        let mut by_key = BTreeMap::new();
        for ids in ids.chunks(size) {
            let mut scope = self.scope(options);
            scope.insert("ids".to_owned(), ids.iter().map(|id| Value::from(id.as_str())).collect());
            let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
            let reply = self.ask(&listed.call, &asked).await?;
            let seen = seen(&reply, &scope);
            let body = seen.get("body").cloned().unwrap_or_default();
            let list = listed.list.as_ref().map_or(Ok(body.clone()), |pick| pick.value(&body, &seen))?;
            let Value::Array(items) = list else {
                let message = format!("the list of {object} answers without one; check `select`");
                return Err(Trouble::system(message));
            };
            for raw in items {
                let shown = self.shaped(remote, options, raw)?;
                let key = path.get(&shown.tree).map(plain).unwrap_or_default();
                by_key.insert(key.to_lowercase(), shown.id);
            }
        }
        Ok(by_key)
    }
}

/// How a write goes with a job. What it is told by must not be what the write changes.
fn row(object: &str, said: &BulkSaid, write: &Write, item: &Value, key: String) -> Row {
    let is_empty = |name: &&String| plain(item.get(name.as_str()).unwrap_or(&Value::Null)).is_empty();
    let changes_key = Path::parse(&said.key_path).get(&write.changed).is_some();
    match said.needs.0.iter().find(is_empty) {
        _ if !write.may_create || (write.id.is_some() && changes_key) => Row::Alone,
        Some(name) => Row::Refused(format!("the platform takes no {object} without {name}")),
        None if key.is_empty() => Row::Refused(format!("this {object} has nothing that the platform tells it by")),
        None => Row::Key(key),
    }
}

/// Items that all have the same members in the same order: what one lacks is empty, as rows of a table are.
fn even(items: Vec<Value>) -> Vec<Value> {
    let names: BTreeSet<String> =
        items.iter().filter_map(Value::as_object).flat_map(|item| item.keys().cloned()).collect();
    let whole = |item: Value| match item {
        Value::Object(mut members) => {
            let member = |name: &String| (name.clone(), members.remove(name).unwrap_or_else(|| "".into()));
            Value::Object(names.iter().map(member).collect::<Map<_, _>>())
        }
        other => other,
    };
    items.into_iter().map(whole).collect()
}

fn refused(why: Option<&String>) -> Written {
    let message = why.map_or_else(|| "the platform refused this one of the job".to_owned(), Clone::clone);
    Written::Refused(Trouble::new(Class::Permanent, Failure::system(message)))
}
