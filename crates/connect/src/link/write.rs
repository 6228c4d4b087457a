//! Writing objects one by one: a known one is changed, one that the platform recognises is left to it, and for the rest
//! it is looked up first and then changed or made.

use lockstep_core::Fields;
use lockstep_manifest::{Method, Remote, Steps, Writing};
use serde_json::{Map, Value};

use super::desk::{Asked, Desk, holds, keep, seen};
use super::look::{Group, Looked, is_known, tell};
use super::shape::put;
use super::{Class, Object, Trouble, Write, Written};
use crate::failure::Failure;

/// What the steps of a write came to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) id: Option<String>,
    pub(super) is_new: Option<bool>,
    pub(super) object: Option<Object>,
}

/// Whether the steps may be carried out twice to the same effect.
pub(super) fn is_harmless(steps: &Steps, otherwise: bool) -> bool {
    steps.0.iter().all(|step| step.call.is_idempotent.unwrap_or(otherwise))
}

/// Whether the platform can recognise an object by one of its groups.
pub(super) fn is_recognised(remote: &Remote, groups: &[Group]) -> bool {
    groups.iter().any(|group| match &remote.find {
        Some(find) => is_known(find, group),
        None => !group.is_empty(),
    })
}

impl Desk {
    pub(super) async fn write_one(&self, object: &str, options: &Fields, write: &Write) -> Written {
        let written = match self.remote(object) {
            Ok(remote) => match &remote.write {
                Some(writing) => self.written(object, (remote, writing), options, write).await,
                None => Err(Trouble::system(format!("the connector writes no {object}"))),
            },
            Err(trouble) => Err(trouble),
        };
        written.unwrap_or_else(Written::Refused)
    }

    async fn written(
        &self,
        object: &str,
        (remote, writing): (&Remote, &Writing),
        options: &Fields,
        write: &Write,
    ) -> Result<Written, Trouble> {
        if let Some(id) = &write.id {
            return self.update(object, options, id, write).await;
        }
        if let Some(upsert) =
            writing.upsert.as_ref().filter(|_| write.may_create && is_recognised(remote, &write.groups))
        {
            let outcome = self.run(object, options, upsert, (write, &write.whole), true).await?;
            return self.settled(object, options, write, outcome).await;
        }
        let found = match remote.find.is_some() {
            true => self.find(object, options, &write.groups).await?,
            false => Looked::Blind,
        };
        match found {
            Looked::Found(found) => match found.as_slice() {
                [] => {}
                [one] => return self.update(object, options, &one.id, write).await,
                several => return Err(ambiguous(object, several)),
            },
            Looked::Blind => {}
        }
        let Some(create) = writing.create.as_ref().filter(|_| write.may_create) else {
            let message = format!("there is no {object} there that fits, and none may be made");
            return Err(Trouble::new(Class::Gone, Failure::system(message)));
        };
        let outcome = self.run(object, options, create, (write, &write.whole), false).await?;
        self.settled(object, options, write, Outcome { is_new: Some(true), ..outcome }).await
    }

    async fn update(&self, object: &str, options: &Fields, id: &str, write: &Write) -> Result<Written, Trouble> {
        let writing = self.remote(object)?.write.as_ref();
        let steps = writing.and_then(|writing| writing.update.as_ref());
        let steps = steps.ok_or_else(|| Trouble::system(format!("the connector changes no {object} that is there")))?;
        let known = Write { id: Some(id.to_owned()), ..write.clone() };
        let outcome = self.run(object, options, steps, (&known, &write.changed), true).await?;
        Ok(Written::Done { id: outcome.id.unwrap_or_else(|| id.to_owned()), is_new: false, object: outcome.object })
    }

    /// The outcome with its id, looked up where the answer said none.
    async fn settled(
        &self,
        object: &str,
        options: &Fields,
        write: &Write,
        outcome: Outcome,
    ) -> Result<Written, Trouble> {
        let is_new = outcome.is_new.unwrap_or(false);
        if let Some(id) = outcome.id {
            return Ok(Written::Done { id, is_new, object: outcome.object });
        }
        match self.find(object, options, &write.groups).await? {
            Looked::Found(found) => match found.as_slice() {
                [one] => Ok(Written::Done { id: one.id.clone(), is_new, object: Some(one.clone()) }),
                [] => Err(lost(object)),
                several => Err(ambiguous(object, several)),
            },
            Looked::Blind => Err(lost(object)),
        }
    }

    /// Carries out steps for an object; `tree` is what they write.
    pub(super) async fn run(
        &self,
        object: &str,
        options: &Fields,
        steps: &Steps,
        (write, tree): (&Write, &Value),
        is_harmless: bool,
    ) -> Result<Outcome, Trouble> {
        let remote = self.remote(object)?;
        let mut scope = self.write_scope(remote, options, write, tree).await?;
        let mut outcome = Outcome { id: write.id.clone(), ..Outcome::default() };
        let mut is_begun = false;
        for step in &steps.0 {
            if !holds(step.call.when.as_ref(), &scope)? {
                continue;
            }
            // What follows a first step is about an object whose id is known, and only adds to it.
            let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: is_harmless || is_begun };
            let answered = self.ask(&step.call, &asked).await;
            let reply = answered.map_err(|trouble| match is_begun && !is_harmless {
                // It is made, but not whole: looked up, it is completed.
                true => Trouble { class: Class::Unknown, ..trouble },
                false => trouble,
            })?;
            is_begun |= step.call.method != Method::Get;
            let seen = seen(&reply, &scope);
            let body = seen.get("body").cloned().unwrap_or_default();
            if let Some(id) = step.id.as_ref().map(|id| id.text(&body, &seen)).transpose()?.flatten() {
                scope.insert("id".to_owned(), id.as_str().into());
                outcome.id = Some(id);
            }
            keep(&mut scope, step, &seen)?;
            if let Some(is_new) = &step.is_new {
                outcome.is_new = Some(is_new.is_true(&seen)?);
            }
            if let Some(pick) = &step.object {
                let mut raw = pick.value(&body, &seen)?;
                if raw.is_object() {
                    put(&mut raw, &step.with, &seen)?;
                    self.prepare(remote).await?;
                    outcome.object = Some(self.shaped(remote, options, raw)?);
                }
            }
        }
        Ok(outcome)
    }

    /// What the calls of a write see.
    pub(super) async fn write_scope(
        &self,
        remote: &Remote,
        options: &Fields,
        write: &Write,
        tree: &Value,
    ) -> Result<Map<String, Value>, Trouble> {
        let mut scope = self.scope(options);
        self.write_into(&mut scope, remote, write, tree).await?;
        Ok(scope)
    }

    pub(super) async fn write_into(
        &self,
        scope: &mut Map<String, Value>,
        remote: &Remote,
        write: &Write,
        tree: &Value,
    ) -> Result<(), Trouble> {
        let known: Vec<Group> = match &remote.find {
            Some(find) => write.groups.iter().filter(|group| is_known(find, group)).cloned().collect(),
            None => write.groups.clone(),
        };
        tell(scope, remote, &known)?;
        scope.insert("id".to_owned(), write.id.as_deref().map_or(Value::Null, Value::from));
        scope.insert("token".to_owned(), write.token.as_str().into());
        scope.insert("may_create".to_owned(), write.may_create.into());
        scope.insert("object".to_owned(), self.unshaped(remote, &remote.shape, tree).await?);
        scope.insert("whole".to_owned(), self.unshaped(remote, &remote.shape, &write.whole).await?);
        Ok(())
    }
}

fn lost(object: &str) -> Trouble {
    let message = format!("{object} was written, and the platform does not tell its id, nor is it found");
    Trouble::new(Class::Unknown, Failure::transient(message))
}

pub(super) fn ambiguous(object: &str, found: &[Object]) -> Trouble {
    const SHOWN: usize = 5;
    let ids: Vec<&str> = found.iter().take(SHOWN).map(|object| object.id.as_str()).collect();
    let message = format!("{} {object} there fit: {}; make one of them, or match by more", found.len(), ids.join(", "));
    Trouble::new(Class::Ambiguous, Failure::system(message))
}
