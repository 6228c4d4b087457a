//! Records into the engine's values and results back.
//! Nulls become the engine's "undefined", so that missing and null are one thing inside.
//! It must not carry over a field that the expression does not name.

use std::collections::BTreeMap;

use minijinja::Value as Engine;
use serde_json::{Map, Value};

use crate::error::ExprError;
use crate::names::{FIELDS, Names};

/// The part of `scope` that `names` admit, as the engine's context.
pub(crate) fn context(names: &Names, scope: &Map<String, Value>) -> Engine {
    let uses_fields = names.is_open || !names.in_fields.is_empty();
    let fields = uses_fields.then(|| {
        let seen = if names.is_open { map(scope.iter().map(pair)) } else { map(pick(names.in_fields.iter(), scope)) };
        (Engine::from(FIELDS), seen)
    });
    map(pick(names.top.iter(), scope).chain(fields))
}

/// All of `scope`, as the engine's context.
pub(crate) fn whole(scope: &Map<String, Value>) -> Engine {
    map(scope.iter().map(pair))
}

fn map(pairs: impl Iterator<Item = (Engine, Engine)>) -> Engine {
    pairs.collect::<BTreeMap<_, _>>().into()
}

fn pick<'a>(
    names: impl Iterator<Item = &'a String>,
    scope: &Map<String, Value>,
) -> impl Iterator<Item = (Engine, Engine)> {
    names.filter_map(|name| scope.get_key_value(name.as_str())).map(pair)
}

fn pair((name, value): (&String, &Value)) -> (Engine, Engine) {
    (Engine::from(name.as_str()), inward(value))
}

/// One JSON value as the engine's.
fn inward(value: &Value) -> Engine {
    match value {
        Value::Null => Engine::UNDEFINED,
        Value::Bool(is_set) => Engine::from(*is_set),
        Value::Number(number) => number
            .as_i64()
            .map(Engine::from)
            .or_else(|| number.as_u64().map(Engine::from))
            .unwrap_or_else(|| Engine::from(number.as_f64().unwrap_or(f64::NAN))),
        Value::String(text) => Engine::from(text.as_str()),
        Value::Array(items) => items.iter().map(inward).collect::<Vec<_>>().into(),
        Value::Object(fields) => map(fields.iter().map(pair)),
    }
}

/// The engine's result as JSON. Errors: a result that JSON cannot hold (a function,
/// an integer beyond 64 bits).
pub(crate) fn outward(value: &Engine) -> Result<Value, ExprError> {
    serde_json::to_value(value).map_err(|error| ExprError::eval(format!("the result cannot be kept as JSON: {error}")))
}
