//! Lists and dicts that a template may change: `{% set ids = [] %}{% set _ = ids.append(1) %}`.
//!
//! The engine's own never change. Only templates that call a method which changes something get these, for the lists
//! and dicts they write themselves; what a scope binds cannot be changed. It must not outlive its rendering.

use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value, from_args};
use minijinja::{Error, ErrorKind, State};

use super::{methods, python};
use crate::bounds::SHELF_ITEMS_MAX;

/// A list or a dict that can change. Keys of a list are none.
#[derive(Debug)]
pub(super) struct Shelf {
    is_map: bool,
    items: Mutex<Vec<(Value, Value)>>,
}

impl Shelf {
    /// A changing copy of a list or a dict.
    pub(super) fn of(value: &Value, is_map: bool) -> Value {
        let pair = |item: Value| {
            let kept = if is_map { value.get_item(&item).unwrap_or_default() } else { item.clone() };
            (if is_map { item } else { Value::UNDEFINED }, kept)
        };
        let items = python::items_of(value).into_iter().map(pair).collect();
        Value::from_object(Self { is_map, items: Mutex::new(items) })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<(Value, Value)>) -> T) -> T {
        act(&mut self.items.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, added: Vec<(Value, Value)>) -> Result<Value, Error> {
        self.with(|items| {
            if items.len() + added.len() > SHELF_ITEMS_MAX {
                let what = format!("a list grows over {SHELF_ITEMS_MAX} items; collect less");
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
            for (key, value) in added {
                let known = if self.is_map { items.iter_mut().find(|(known, _)| *known == key) } else { None };
                match known {
                    Some(known) => known.1 = value,
                    None => items.push((key, value)),
                }
            }
            Ok(Value::from(()))
        })
    }
}

/// Whether a method of this name changes what it is called on.
pub(super) fn is_changing(method: &str) -> bool {
    matches!(method, "append" | "extend" | "update" | "setdefault")
}

impl Object for Shelf {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.is_map { ObjectRepr::Map } else { ObjectRepr::Seq }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if self.is_map {
            return self.with(|items| items.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone()));
        }
        let at = key.as_usize()?;
        self.with(|items| items.get(at).map(|(_, value)| value.clone()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let of = |(key, value): &(Value, Value)| if self.is_map { key.clone() } else { value.clone() };
        Enumerator::Values(self.with(|items| items.iter().map(of).collect()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.with(|items| items.len()))
    }

    fn call_method(self: &Arc<Self>, state: &mut State<'_, '_>, name: &str, args: &[Value]) -> Result<Value, Error> {
        let itself = Value::from_dyn_object(Arc::clone(self));
        match (name, self.is_map) {
            ("append", false) => {
                let (item,): (Value,) = from_args(args)?;
                self.add(vec![(Value::UNDEFINED, item)])
            }
            ("extend", false) => {
                let (added,): (Value,) = from_args(args)?;
                self.add(python::items_of(&added).into_iter().map(|item| (Value::UNDEFINED, item)).collect())
            }
            ("update", true) => {
                let (added,): (Value,) = from_args(args)?;
                let pair = |key: Value| (key.clone(), added.get_item(&key).unwrap_or_default());
                self.add(python::items_of(&added).into_iter().map(pair).collect())
            }
            ("setdefault", true) => {
                let (key, value): (Value, Option<Value>) = from_args(args)?;
                if self.get_value(&key).is_none() {
                    self.add(vec![(key.clone(), value.unwrap_or_else(|| Value::from(())))])?;
                }
                Ok(self.get_value(&key).unwrap_or_default())
            }
            _ => methods::call(state, &itself, name, args),
        }
    }
}
