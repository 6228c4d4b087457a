//! Trees of templates made into values.

use lockstep_expr::interpolation::{Scope, literal};
use lockstep_manifest::{Text, Tree, Values};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::python;

/// All of it: every text read back as a Python literal, entries without a value left out.
pub(crate) fn value(tree: &Tree, scope: &Scope) -> Result<Value, Failure> {
    Ok(match tree {
        Tree::Fixed(value) => value.clone(),
        Tree::Text(text) => text.value(scope)?,
        Tree::List(items) => Value::Array(items.iter().map(|item| value(item, scope)).collect::<Result<_, _>>()?),
        Tree::Map(entries) => {
            let mut fields = Map::new();
            for (name, tree) in entries {
                let found = value(tree, scope)?;
                if !found.is_null() {
                    fields.insert(name.text(scope)?, found);
                }
            }
            Value::Object(fields)
        }
    })
}

/// Entries for a query or a form: text stays text, so that `007` does not become a number; lists are read.
pub(crate) fn parameters(tree: &Tree, scope: &Scope) -> Result<Vec<(String, Value)>, Failure> {
    match tree {
        Tree::Map(entries) => {
            let entries = entries.iter().map(|(name, tree)| {
                let value = match tree {
                    Tree::Text(text) => text_or_list(text, scope)?,
                    other => value(other, scope)?,
                };
                Ok((name.text(scope)?, value))
            });
            let entries: Result<Vec<_>, Failure> = entries.collect();
            Ok(entries?.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        Tree::Text(text) => match text.value(scope)? {
            Value::Object(fields) => Ok(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
            _ => Ok(Vec::new()),
        },
        Tree::Fixed(Value::Object(fields)) => Ok(fields.clone().into_iter().collect()),
        _ => Ok(Vec::new()),
    }
}

/// Entries for headers.
pub(crate) fn headers(tree: &Tree, scope: &Scope) -> Result<Vec<(String, String)>, Failure> {
    let entries = match value(tree, scope)? {
        Value::Object(_) if matches!(tree, Tree::Map(_)) => parameters(tree, scope)?,
        Value::Object(fields) => fields.into_iter().collect(),
        _ => Vec::new(),
    };
    Ok(entries.into_iter().map(|(name, value)| (name, python::text(&value))).collect())
}

fn text_or_list(text: &Text, scope: &Scope) -> Result<Value, Failure> {
    let rendered = text.text(scope)?;
    if rendered.is_empty() {
        return Ok(Value::Null);
    }
    // `1,2` is a tuple to Python, and stays the text it is.
    let may_be_list = rendered.trim_start().starts_with('[');
    Ok(match if may_be_list { literal(&rendered) } else { None } {
        Some(found) => found,
        None => Value::String(rendered),
    })
}

/// A list of values, given or made.
pub(crate) fn list(values: &Values, scope: &Scope) -> Result<Vec<Value>, Failure> {
    match values {
        Values::List(items) => items.iter().map(|item| as_it_stands(item, scope)).collect(),
        Values::Text(text) => match text.value(scope)? {
            Value::Array(items) => Ok(items),
            // A text is a list of its characters where the format comes from.
            Value::String(text) => Ok(text.chars().map(|one| Value::String(one.to_string())).collect()),
            other => Err(Failure::config(format!("{} should give a list and gives {other}", text.source()))),
        },
    }
}

/// A text without templates is itself, not a number that looks like it.
fn as_it_stands(tree: &Tree, scope: &Scope) -> Result<Value, Failure> {
    match tree {
        Tree::Text(text) => Ok(Value::String(text.source().to_owned())),
        other => value(other, scope),
    }
}

/// A path whose parts may be templates.
pub(crate) fn path(parts: &[Text], scope: &Scope) -> Result<Vec<String>, Failure> {
    parts.iter().map(|part| Ok(part.text(scope)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_manifest::{At, Node, Read as _};
    use serde_json::json;

    #[test]
    fn ids_joined_by_commas_stay_a_text() {
        let node = Node::from_json(
            &json!({"ids": "{{ config.ids | join(',') }}", "list": "{{ config.ids }}", "code": "007"}),
            1,
        );
        let tree = Tree::read(&At::root(&node, "")).unwrap();
        let scope = Scope::new(jiff::Timestamp::UNIX_EPOCH).with("config", json!({"ids": [1, 2]}));
        let mut found = parameters(&tree, &scope).unwrap();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [("code", json!("007")), ("ids", json!("1,2")), ("list", json!([1, 2]))];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
