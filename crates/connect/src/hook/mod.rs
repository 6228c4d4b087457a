//! Hooks: a platform calls us and tells that something changed.
//!
//! ```text
//! HookCall ─▶ verb ─▶ proof (verify) ─▶ body (decode) ─▶ items ─▶ Hint: an id, and the object where it is all there
//! ```
//! Nothing in here makes a call: a public key that is not at hand is asked for by name. What a hook says is a hint;
//! whoever takes it decides whether to believe it or to fetch.

mod decode;
mod types;
mod verify;

use lockstep_core::Fields;
use lockstep_manifest::{Fill, Hooks, Remote};
use serde_json::{Map, Value};

use crate::link::{Table, object_of};

pub use types::{Hint, HookCall, HookRefused};

/// Most objects that one call tells of.
const ITEMS_MAX: usize = 10_000;

/// What a call says of an object.
pub(crate) fn hints(
    object: &str,
    remote: Option<&Remote>,
    options: &Fields,
    call: &HookCall,
) -> Result<Vec<Hint>, HookRefused> {
    let found = remote.and_then(|remote| Some((remote, remote.hooks.as_ref()?)));
    let (remote, said) = found.ok_or_else(|| HookRefused::NotTaken(object.to_owned()))?;
    let verbs = &said.verbs.0;
    let is_taken = |verb: &String| verb.eq_ignore_ascii_case(call.method.as_str());
    if !verbs.is_empty() && !verbs.iter().any(is_taken) {
        return Err(HookRefused::Verb(verbs.join(", ")));
    }
    let mut scope = Map::from_iter([
        ("config".to_owned(), call.config.clone()),
        ("options".to_owned(), Value::Object(options.clone())),
        ("secret".to_owned(), call.secret.as_str().into()),
        ("path".to_owned(), call.path_rest.as_str().into()),
        ("query".to_owned(), decode::query(&call.query)),
        ("headers".to_owned(), decode::headers(&call.headers)),
    ]);
    verify::verify(&said.verify.0, call, &scope)?;
    let body = decode::body(said.decoder, call).map_err(HookRefused::Unread)?;
    scope.insert("body".to_owned(), body.clone());
    let mut hints = Vec::new();
    for item in items(said, body, &scope)? {
        scope.insert("item".to_owned(), item);
        hints.extend(hint(remote, said, &scope)?);
    }
    Ok(hints)
}

fn items(said: &Hooks, body: Value, scope: &Map<String, Value>) -> Result<Vec<Value>, HookRefused> {
    let found = match &said.split {
        None => body,
        Some(pick) => pick.value(&body, scope)?,
    };
    let items = match found {
        Value::Array(items) => items,
        // A map of lists: what a list is called says no more than where it stood.
        Value::Object(lists) if said.split.is_some() && lists.values().all(Value::is_array) => {
            lists.into_iter().flat_map(|(_, list)| list.as_array().cloned().unwrap_or_default()).collect()
        }
        one => vec![one],
    };
    if items.len() > ITEMS_MAX {
        return Err(HookRefused::Unread(format!(
            "it tells of {} objects, and at most {ITEMS_MAX} are taken",
            items.len()
        )));
    }
    Ok(items)
}

fn hint(remote: &Remote, said: &Hooks, scope: &Map<String, Value>) -> Result<Option<Hint>, HookRefused> {
    let is_true =
        |fill: &Option<Fill>| fill.as_ref().map_or(Ok(false), |fill| fill.is_true(scope)).map_err(HookRefused::from);
    if is_true(&said.ignore)? {
        return Ok(None);
    }
    let id = said.id.text(scope)?;
    if id.is_empty() {
        return Err(HookRefused::Unread(format!("it tells no id ({} is empty)", said.id.source())));
    }
    if is_true(&said.gone)? {
        return Ok(Some(Hint { id, is_gone: true, object: None }));
    }
    let Some(blank) = &said.object else {
        return Ok(Some(Hint { id, is_gone: false, object: None }));
    };
    let raw = blank.value(scope)?;
    let found = object_of(remote, scope.clone(), &|_name| Table::default(), raw);
    let found = found.map_err(|trouble| HookRefused::Unread(trouble.failure.message))?;
    Ok(Some(Hint { id, is_gone: found.is_gone, object: Some(found) }))
}
