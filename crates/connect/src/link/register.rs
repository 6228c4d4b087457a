//! Hooks asked for, looked after and taken back.
//!
//! What is kept of them says which there are and for which URL, without the URL: a key is in it.

use aws_lc_rs::digest;
use lockstep_core::Fields;
use lockstep_manifest::{Register, Remote, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::desk::{Asked, Desk, holds, keep, seen};
use super::{Class, Hooks, Trouble};
use crate::failure::Failure;

/// What is kept.
#[derive(Default, Deserialize)]
struct Known {
    /// A digest of the URL.
    url: String,
    hooks: Vec<Hook>,
}

#[derive(Serialize, Deserialize)]
struct Hook {
    each: String,
    id: String,
}

impl Known {
    fn of(kept: &Value) -> Self {
        serde_json::from_value(kept.clone()).unwrap_or_default()
    }

    /// Null where there are none.
    fn value(&self) -> Value {
        if self.hooks.is_empty() { Value::Null } else { json!({"url": self.url, "hooks": self.hooks}) }
    }

    fn id(&self, each: &str) -> Option<&str> {
        self.hooks.iter().find(|hook| hook.each == each).map(|hook| hook.id.as_str())
    }

    fn note(&mut self, each: &str, id: String) {
        match self.hooks.iter_mut().find(|hook| hook.each == each) {
            Some(hook) => hook.id = id,
            None => self.hooks.push(Hook { each: each.to_owned(), id }),
        }
    }
}

/// The URL that the platform is to call, and the secret it may sign with.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    pub(super) secret: &'a str,
}

impl Desk {
    fn register_said(&self, object: &str) -> Result<(&Remote, &Register), Trouble> {
        let remote = self.remote(object)?;
        let hooks = remote.hooks.as_ref();
        let manual = hooks.and_then(|hooks| hooks.manual.as_deref()).unwrap_or("it tells of no changes");
        let said = hooks.and_then(|hooks| hooks.register.as_ref());
        Ok((remote, said.ok_or_else(|| Trouble::new(Class::Permanent, Failure::config(manual)))?))
    }

    /// Looks for the hooks that are known, and makes those that are missing.
    pub(super) async fn register(&self, object: &str, options: &Fields, wanted: Wanted<'_>, known: &Value) -> Hooks {
        let mut known = Known::of(known);
        let kept = self.kept_up(object, options, wanted, &mut known).await;
        Hooks { known: known.value(), trouble: kept.err() }
    }

    /// What is found or made is noted at once: what follows it may fail.
    async fn kept_up(
        &self,
        object: &str,
        options: &Fields,
        wanted: Wanted<'_>,
        known: &mut Known,
    ) -> Result<(), Trouble> {
        let (remote, said) = self.register_said(object)?;
        // A refusal may repeat what it was given.
        self.account().secrets.add(wanted.secret);
        let url = digest_of(wanted.url);
        if known.url != url {
            self.take_back(object, options, known).await?;
            *known = Known { url, hooks: Vec::new() };
        }
        let one = [String::new()];
        let each = if said.each.is_empty() { one.as_slice() } else { said.each.as_slice() };
        for each in each {
            let mut scope = self.scope(options);
            scope.insert("url".to_owned(), wanted.url.into());
            scope.insert("secret".to_owned(), wanted.secret.into());
            scope.insert("each".to_owned(), each.as_str().into());
            let id = match self.there(remote, said, &scope, known.id(each)).await? {
                Some(id) => id,
                None => self.made(remote, said, &scope).await?,
            };
            known.note(each, id);
        }
        Ok(())
    }

    pub(super) async fn unregister(&self, object: &str, options: &Fields, known: &Value) -> Result<(), Trouble> {
        self.take_back(object, options, &Known::of(known)).await
    }

    async fn take_back(&self, object: &str, options: &Fields, known: &Known) -> Result<(), Trouble> {
        if known.hooks.is_empty() {
            return Ok(());
        }
        let (remote, said) = self.register_said(object)?;
        let Some(step) = &said.delete else { return Ok(()) };
        for hook in &known.hooks {
            let mut scope = self.scope(options);
            scope.insert("id".to_owned(), hook.id.as_str().into());
            scope.insert("each".to_owned(), hook.each.as_str().into());
            let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
            match self.ask(&step.call, &asked).await {
                Err(trouble) if trouble.class != Class::Gone => return Err(trouble),
                _ => {}
            }
        }
        Ok(())
    }

    /// The id of a hook of ours that the platform has.
    async fn there(
        &self,
        remote: &Remote,
        said: &Register,
        scope: &Map<String, Value>,
        known: Option<&str>,
    ) -> Result<Option<String>, Trouble> {
        let mut scope = scope.clone();
        if let Some(list) = &said.list {
            let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
            let mut seen = seen(&self.ask(&list.call, &asked).await?, &scope);
            let body = seen.get("body").cloned().unwrap_or_default();
            let all = list.list.as_ref().map_or(Ok(body.clone()), |pick| pick.value(&body, &seen))?;
            for item in all.as_array().into_iter().flatten() {
                seen.insert("item".to_owned(), item.clone());
                if list.holds.is_true(&seen)? {
                    return list.id.text(item, &seen).map_err(Trouble::from);
                }
            }
            return Ok(None);
        }
        let Some((check, known)) = said.check.as_ref().zip(known) else { return Ok(known.map(str::to_owned)) };
        scope.insert("id".to_owned(), known.into());
        let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
        let reply = match self.ask(&check.call, &asked).await {
            Err(trouble) if trouble.class == Class::Gone => return Ok(None),
            answered => answered?,
        };
        let is_there = check.holds.is_true(&seen(&reply, &scope))?;
        Ok(is_there.then(|| known.to_owned()))
    }

    async fn made(&self, remote: &Remote, said: &Register, scope: &Map<String, Value>) -> Result<String, Trouble> {
        let mut scope = scope.clone();
        let mut made = None;
        for step in &said.create.0 {
            match self.make(remote, step, &mut scope).await {
                Ok(id) => made = made.or(id),
                Err(trouble) => {
                    // Half of a hook calls nobody, and nobody would know of it. What stops this one from being taken
                    // back is less than what stopped it from being made.
                    if let Some((id, delete)) = made.zip(said.delete.as_ref()) {
                        scope.insert("id".to_owned(), id.into());
                        let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
                        let _taken_back = self.ask(&delete.call, &asked).await;
                    }
                    return Err(trouble);
                }
            }
        }
        made.ok_or_else(|| Trouble::system("the platform took the webhook and tells no id of it; check `id`"))
    }

    /// One of the calls that make a hook; gives the hook's id where it tells it.
    async fn make(
        &self,
        remote: &Remote,
        step: &Step,
        scope: &mut Map<String, Value>,
    ) -> Result<Option<String>, Trouble> {
        if !holds(step.call.when.as_ref(), scope)? {
            return Ok(None);
        }
        let asked = Asked { scope, errors: &remote.errors, is_harmless: false };
        let seen = seen(&self.ask(&step.call, &asked).await?, scope);
        let body = seen.get("body").cloned().unwrap_or_default();
        let id = step.id.as_ref().map(|id| id.text(&body, &seen)).transpose()?.flatten();
        if let Some(id) = &id {
            scope.insert("id".to_owned(), id.as_str().into());
        }
        keep(scope, step, &seen)?;
        Ok(id)
    }

    /// A public key by its name.
    pub(super) async fn hook_key(&self, object: &str, name: &str) -> Result<String, Trouble> {
        let remote = self.remote(object)?;
        let mut verifiers = remote.hooks.iter().flat_map(|hooks| &hooks.verify.0);
        let said = verifiers.find_map(|verifier| Some((verifier, verifier.fetch.as_ref()?)));
        let (verifier, fetch) = said.ok_or_else(|| Trouble::system("the connector fetches no keys"))?;
        if verifier.keys_of.as_ref().is_some_and(|end| !name.ends_with(end.as_str())) {
            return Err(Trouble::system(format!("the key {name:?} is not the platform's")));
        }
        let mut scope = self.scope(&Fields::new());
        scope.insert("key".to_owned(), name.into());
        let reply = self.ask(&fetch.call, &Asked { scope: &scope, errors: &[], is_harmless: true }).await?;
        let seen = seen(&reply, &scope);
        let body = seen.get("body").cloned().unwrap_or_default();
        let key = fetch.select.text(&body, &seen)?;
        key.ok_or_else(|| Trouble::system(format!("there is no key {name}")))
    }
}

fn digest_of(url: &str) -> String {
    let digest = digest::digest(&digest::SHA256, url.as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
