//! Reading single objects: whose account it is, one by its id, those with certain values, and the fields there are.

use lockstep_core::Fields;
use lockstep_core::mapping::Path;
use lockstep_manifest::{Find, Pick, Remote};
use serde_json::{Map, Value};

use super::desk::{Asked, Desk, holds, seen};
use super::shape::{plain, put};
use super::{Class, Identity, Object, RemoteField, Trouble};
use crate::failure::Failure;

/// Remote paths with what should stand there.
pub(super) type Group = Vec<(String, Value)>;

/// What a lookup came to.
pub(super) enum Looked {
    /// These, of the first group that any fit.
    Found(Vec<Object>),
    /// There is nothing that it could be looked up by.
    Blind,
}

impl Desk {
    pub(super) async fn identity(&self) -> Result<Identity, Trouble> {
        let Some(said) = &self.sharing.identity else { return Ok(Identity::default()) };
        let scope = self.scope(&Fields::new());
        let reply = self.ask(&said.call, &Asked { scope: &scope, errors: &[], is_harmless: true }).await?;
        let seen = seen(&reply, &scope);
        let body = seen.get("body").cloned().unwrap_or_default();
        let text = |pick: &Pick| pick.text(&body, &seen).map_err(Trouble::from);
        Ok(Identity { id: text(&said.id)?, label: said.label.as_ref().map(text).transpose()?.flatten() })
    }

    pub(super) async fn fetch(&self, object: &str, options: &Fields, id: &str) -> Result<Option<Object>, Trouble> {
        let remote = self.remote(object)?;
        let said = remote.fetch.as_ref();
        let said = said.ok_or_else(|| Trouble::system(format!("{object} cannot be read one by one")))?;
        let mut scope = self.scope(options);
        scope.insert("id".to_owned(), id.into());
        let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
        let reply = match self.ask(&said.call, &asked).await {
            Err(trouble) if trouble.class == Class::Gone => return Ok(None),
            answered => answered?,
        };
        self.prepare(remote).await?;
        let seen = seen(&reply, &scope);
        let body = seen.get("body").cloned().unwrap_or_default();
        let mut raw = said.object.as_ref().map_or(Ok(body.clone()), |pick| pick.value(&body, &seen))?;
        if !raw.is_object() {
            return Err(Trouble::system(format!("the answer about {object} {id} holds no object; check `select`")));
        }
        put(&mut raw, &said.with, &seen)?;
        let found = self.shaped(remote, options, raw)?;
        Ok((!found.is_gone).then_some(found))
    }

    pub(super) async fn find(&self, object: &str, options: &Fields, groups: &[Group]) -> Result<Looked, Trouble> {
        let remote = self.remote(object)?;
        let said = remote.find.as_ref();
        let said = said.ok_or_else(|| Trouble::system(format!("{object} cannot be looked up")))?;
        self.prepare(remote).await?;
        let mut looked = Looked::Blind;
        for group in groups.iter().filter(|group| is_known(said, group)) {
            let found = self.found(object, options, group).await?;
            if !found.is_empty() {
                return Ok(Looked::Found(found));
            }
            looked = Looked::Found(found);
        }
        Ok(looked)
    }

    async fn found(&self, object: &str, options: &Fields, group: &Group) -> Result<Vec<Object>, Trouble> {
        let remote = self.remote(object)?;
        let Some(said) = &remote.find else { return Ok(Vec::new()) };
        let mut scope = self.scope(options);
        tell(&mut scope, remote, std::slice::from_ref(group))?;
        let asked = Asked { scope: &scope, errors: &remote.errors, is_harmless: true };
        let reply = match self.ask(&said.call, &asked).await {
            Err(trouble) if trouble.class == Class::Gone => return Ok(Vec::new()),
            answered => answered?,
        };
        let seen = seen(&reply, &scope);
        let body = seen.get("body").cloned().unwrap_or_default();
        let list = said.list.as_ref().map_or(Ok(body.clone()), |pick| pick.value(&body, &seen))?;
        let Value::Array(items) = list else {
            return Err(Trouble::system(format!("the lookup of {object} answers without a list; check `select`")));
        };
        let mut found = Vec::new();
        for raw in items {
            let shown = self.shaped(remote, options, raw)?;
            let whole = if said.is_fetching { self.fetch(object, options, &shown.id).await? } else { Some(shown) };
            // A platform may look for what contains the value, or have changed meanwhile.
            found.extend(whole.filter(|object| !object.is_gone && fits(&object.tree, group)));
        }
        Ok(found)
    }

    pub(super) async fn fields(&self, object: &str, options: &Fields) -> Result<Vec<RemoteField>, Trouble> {
        let remote = self.remote(object)?;
        let mut fields = Vec::new();
        for said in &remote.columns {
            let mut scope = self.scope(options);
            for row in self.rows(&said.stream).await? {
                scope.insert("item".to_owned(), row.as_ref().clone());
                if !holds(said.when.as_ref(), &scope)? {
                    continue;
                }
                let kind = said.kind.as_ref().map(|kind| kind.text(&scope)).transpose()?;
                fields.push(RemoteField {
                    path: said.path.text(&scope)?,
                    label: said.label.text(&scope)?,
                    kind: kind.filter(|kind| !kind.is_empty()),
                });
            }
        }
        Ok(fields)
    }
}

/// Whether a platform can look for all of a group.
pub(super) fn is_known(find: &Find, group: &Group) -> bool {
    let only = &find.only.0;
    let is_said = |value: &Value| !plain(&single(value)).is_empty();
    !group.is_empty() && group.iter().all(|(path, value)| is_said(value) && (only.is_empty() || only.contains(path)))
}

/// Puts what an object is recognised by into a scope: `groups`, and of the first one `pairs`, `paths`, `names`,
/// `values`, and `by` for each name.
pub(super) fn tell(scope: &mut Map<String, Value>, remote: &Remote, groups: &[Group]) -> Result<(), Trouble> {
    let pair = |scope: &Map<String, Value>, path: &str, value: &Value| -> Result<Value, Trouble> {
        let (path, value) = (Path::parse(path), single(value));
        let mut seen = Map::from_iter([
            ("path".to_owned(), path.to_string().into()),
            ("name".to_owned(), path.name().into()),
            ("value".to_owned(), value),
        ]);
        let Some(said) = &remote.pair else { return Ok(Value::Object(seen)) };
        seen.extend(
            ["config", "options"].iter().filter_map(|name| Some(((*name).to_owned(), scope.get(*name)?.clone()))),
        );
        said.value(&seen).map_err(Trouble::from)
    };
    let mut all = Vec::new();
    for group in groups {
        let pairs: Result<Vec<Value>, Trouble> = group.iter().map(|(path, value)| pair(scope, path, value)).collect();
        all.push(Value::Array(pairs?));
    }
    let first = groups.first().map(Vec::as_slice).unwrap_or_default();
    let name = |path: &String| Path::parse(path).name().to_owned();
    scope.insert("pairs".to_owned(), all.first().cloned().unwrap_or_else(|| Value::Array(Vec::new())));
    scope.insert("groups".to_owned(), Value::Array(all));
    scope.insert("paths".to_owned(), first.iter().map(|(path, _)| Value::from(path.as_str())).collect());
    scope.insert("names".to_owned(), first.iter().map(|(path, _)| Value::from(name(path))).collect());
    scope.insert("values".to_owned(), first.iter().map(|(_, value)| single(value)).collect());
    let by = first.iter().map(|(path, value)| (name(path), single(value)));
    scope.insert("by".to_owned(), Value::Object(by.collect()));
    Ok(())
}

/// A list of one as the one: a condition is about a value.
fn single(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.len() == 1 => items.first().cloned().unwrap_or_default(),
        other => other.clone(),
    }
}

/// Whether an object has what it was looked for by, as far as it says so. Capitals do not tell apart.
fn fits(tree: &Value, group: &Group) -> bool {
    group.iter().all(|(path, wanted)| {
        let Some(has) = Path::parse(path).get(tree).filter(|has| !has.is_null()) else { return true };
        let wanted = plain(&single(wanted)).to_lowercase();
        match has {
            Value::Array(items) => items.iter().any(|item| plain(item).to_lowercase() == wanted),
            one => plain(one).to_lowercase() == wanted,
        }
    })
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        trouble.failure
    }
}
