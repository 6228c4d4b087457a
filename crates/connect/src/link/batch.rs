//! Several objects in one call: split to the size that the platform takes, and told apart by what it echoes.

use std::collections::BTreeMap;

use lockstep_core::Fields;
use lockstep_manifest::{Batch, Remote};
use serde_json::{Map, Value};

use super::desk::{Asked, Desk, holds, meaning, seen};
use super::write::is_recognised;
use super::{Class, Trouble, Write, Written};
use crate::failure::Failure;

/// Whether a write may be repeated within a batch.
pub(super) fn is_harmless(remote: &Remote, write: &Write) -> bool {
    write.id.is_some() || !write.may_create || is_recognised(remote, &write.groups)
}

impl Desk {
    /// Writes at most a batch's size of objects.
    pub(super) async fn write_batch(
        &self,
        object: &str,
        batch: &Batch,
        options: &Fields,
        writes: &[Write],
    ) -> Vec<Written> {
        match self.batch_written(object, batch, options, writes).await {
            Ok(written) => written,
            Err(trouble) => writes.iter().map(|_write| Written::Refused(trouble.clone())).collect(),
        }
    }

    async fn batch_written(
        &self,
        object: &str,
        batch: &Batch,
        options: &Fields,
        writes: &[Write],
    ) -> Result<Vec<Written>, Trouble> {
        let remote = self.remote(object)?;
        let mut scope = self.scope(options);
        let mut written: BTreeMap<&str, Written> = BTreeMap::new();
        let mut items = Vec::with_capacity(writes.len());
        for write in writes {
            let tree = if write.id.is_some() { &write.changed } else { &write.whole };
            let filled = self.write_into(&mut scope, remote, write, tree).await;
            match filled.and_then(|()| batch.item.value(&scope).map_err(Trouble::from)) {
                Ok(item) => items.push(item),
                // One that cannot be written does not hold up the others.
                Err(trouble) => drop(written.insert(&write.token, Written::Refused(trouble))),
            }
        }
        if !items.is_empty() {
            let mut scope = self.scope(options);
            scope.insert("items".to_owned(), Value::Array(items));
            let is_harmless = writes.iter().all(|write| is_harmless(remote, write));
            let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless };
            let reply = self.ask(&batch.call, &asked).await?;
            scope.remove("items");
            let seen = seen(&reply, &scope);
            let body = seen.get("body").cloned().unwrap_or_default();
            let Value::Array(outcomes) = batch.outcomes.value(&body, &seen)? else {
                let message = format!("the answer to a batch of {object} holds no outcomes; check `outcomes`");
                return Err(Trouble::new(Class::Unknown, Failure::system(message)));
            };
            for outcome in outcomes {
                let token = batch.token.text(&outcome, &item_scope(&outcome, reply.status.as_u16()))?;
                let Some(write) = token.and_then(|token| writes.iter().find(|write| write.token == token)) else {
                    continue;
                };
                let one = outcome_of((remote, batch), write, &outcome, reply.status.as_u16());
                written.insert(&write.token, one.unwrap_or_else(Written::Refused));
            }
        }
        let missing = |write: &Write| {
            let message = format!("the answer to a batch of {object} says nothing of this one");
            let class = if is_harmless(remote, write) { Class::Retry } else { Class::Unknown };
            Written::Refused(Trouble::new(class, Failure::transient(message)))
        };
        Ok(writes.iter().map(|write| written.remove(write.token.as_str()).unwrap_or_else(|| missing(write))).collect())
    }
}

fn item_scope(outcome: &Value, status: u16) -> Map<String, Value> {
    Map::from_iter([("item".to_owned(), outcome.clone()), ("status".to_owned(), status.into())])
}

fn outcome_of(
    (remote, batch): (&Remote, &Batch),
    write: &Write,
    outcome: &Value,
    status: u16,
) -> Result<Written, Trouble> {
    let scope = item_scope(outcome, status);
    for error in remote.errors.iter().filter(|error| error.when.is_some() && error.status.0.is_empty()) {
        if holds(error.when.as_ref(), &scope)?
            && let (Some(class), message) = meaning(error, &scope)?
        {
            let message = message.unwrap_or_else(|| format!("the platform answers {outcome}"));
            return Err(Trouble::new(class, Failure::system(message)));
        }
    }
    let id = batch.id.text(outcome, &scope)?.or_else(|| write.id.clone());
    let id = id.ok_or_else(|| {
        Trouble::new(Class::Unknown, Failure::system(format!("an outcome of a batch tells no id: {outcome}")))
    })?;
    let is_new = batch.is_new.as_ref().map_or(Ok(false), |is_new| is_new.is_true(&scope))?;
    Ok(Written::Done { id, is_new, object: None })
}
