//! The connectors there are, as people are shown them: the same for everybody.

use super::Switchboard;
use super::account::schema;
use super::connection::has_login;
use crate::registry::Known;
use lockstep_connect::Remote;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::connection::{ConnectorEntry, ConnectorView, ObjectView};
use serde_json::{Map, Value, json};

fn entry(known: &Known) -> ConnectorEntry {
    let title = schema(known).get("title").and_then(Value::as_str).map(str::to_owned);
    ConnectorEntry {
        name: known.name.clone(),
        version: known.version.clone(),
        title: title.unwrap_or_else(|| known.name.clone()),
        is_ready_made: known.is_ready_made,
        trouble: known.trouble.clone(),
    }
}

fn object((name, remote): (&String, &Remote)) -> ObjectView {
    let option = |(name, said): (&String, &lockstep_connect::OptionSaid)| {
        let mut told = Map::new();
        told.extend(said.title.clone().map(|title| ("title".to_owned(), title.into())));
        told.extend(said.description.clone().map(|text| ("description".to_owned(), text.into())));
        told.insert("required".to_owned(), said.is_required.into());
        (name.clone(), Value::Object(told))
    };
    ObjectView {
        object: name.clone(),
        label: remote.label.clone().unwrap_or_else(|| name.clone()),
        r#type: Some(remote.ty.clone()).filter(|ty| !ty.is_empty()),
        is_writable: remote.write.is_some(),
        has_hooks: remote.hooks.is_some(),
        options: remote.options.iter().map(option).collect::<Map<_, _>>().into(),
        mapping: remote.mapping.to_value(),
        r#match: remote.matching.clone(),
    }
}

/// All connectors, each in every version.
#[must_use]
pub fn list(board: &Switchboard) -> Vec<ConnectorEntry> {
    board.registry.list().iter().map(|known| entry(known)).collect()
}

/// A connector in its newest version, or in one that is asked for.
///
/// # Errors
/// `not_found`, `connector_invalid`.
pub fn get(board: &Switchboard, name: &str, version: Option<&str>) -> Result<ConnectorView, Refusal> {
    let known = match version {
        Some(version) => board.registry.get(name, version)?,
        None => board.registry.newest(name)?,
    };
    let versions = board.registry.list().iter().filter(|one| one.name == name).map(|one| one.version.clone()).collect();
    let spec = known.connector.source.spec();
    let documentation = spec.get("documentationUrl").and_then(Value::as_str).map(str::to_owned);
    let types = known.connector.sharing.as_ref().map(|sharing| &sharing.types);
    Ok(ConnectorView {
        entry: entry(&known),
        versions,
        config: spec.get("connectionSpecification").cloned().unwrap_or_else(|| json!({})),
        documentation_url: documentation,
        has_login: has_login(&known),
        objects: types.into_iter().flatten().map(object).collect(),
    })
}
