//! The parts of `lockstep.yaml`: `part!` makes a struct, its reading and its JSON Schema of one list, so that none of
//! the three can say what the others do not. Unknown names are faults: nothing in the file is there by accident.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::read::Many;

/// What a part may look like, as JSON Schema.
pub(crate) trait Describe {
    /// The schema.
    fn describe() -> Value;
}

impl Describe for String {
    fn describe() -> Value {
        json!({"type": ["string", "number"]})
    }
}

impl Describe for bool {
    fn describe() -> Value {
        json!({"type": "boolean"})
    }
}

impl Describe for u64 {
    fn describe() -> Value {
        json!({"type": "integer", "minimum": 0})
    }
}

impl Describe for u16 {
    fn describe() -> Value {
        json!({"type": "integer", "minimum": 0, "maximum": 65535})
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe() -> Value {
        T::describe()
    }
}

impl<T: Describe> Describe for Box<T> {
    fn describe() -> Value {
        T::describe()
    }
}

impl<T: Describe> Describe for Vec<T> {
    fn describe() -> Value {
        json!({"type": "array", "items": T::describe()})
    }
}

impl<T: Describe> Describe for Many<T> {
    fn describe() -> Value {
        json!({"anyOf": [T::describe(), {"type": "array", "items": T::describe()}]})
    }
}

impl<T: Describe> Describe for BTreeMap<String, T> {
    fn describe() -> Value {
        json!({"type": "object", "additionalProperties": T::describe()})
    }
}

/// A schema with a sentence of its own.
pub(super) fn described(mut schema: Value, about: &str) -> Value {
    if let Value::Object(members) = &mut schema {
        members.insert("description".to_owned(), about.trim().into());
    }
    schema
}

/// A part: a struct, its reading and its schema. `Name (call)` has the members of a call besides its own.
macro_rules! part {
    ($($(#[doc = $about:literal])* $name:ident $(($flat:ident))? {
        $($(#[doc = $doc:literal])* $field:ident $(as $word:literal)? : $kind:ty $(= $otherwise:expr)?,)*
    })*) => {$(
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $(/// What is called.
            pub $flat: $crate::sharing::Call,)?
            $($(#[doc = $doc])* pub $field: $kind,)*
        }

        impl $crate::read::Read for $name {
            fn read(at: &$crate::read::At<'_>) -> Result<Self, $crate::problem::Problem> {
                if !matches!(at.node.data, $crate::node::Data::Map(_)) {
                    return Err(at.expected("a mapping"));
                }
                let known: &[&str] = &[$(part!(@word $field $($word)?)),*];
                $(let known = &[known, $crate::sharing::Call::WORDS.as_slice(), part!(@none $flat)].concat();)?
                at.only(known);
                Ok(Self {
                    $($flat: $crate::sharing::Call::read(at)?,)?
                    $($field: part!(@field at, part!(@word $field $($word)?) $(, $otherwise)?),)*
                })
            }
        }

        impl $crate::sharing::part::Describe for $name {
            fn describe() -> serde_json::Value {
                let mut members = serde_json::Map::new();
                $(members.extend($crate::sharing::Call::members(part!(@none $flat)));)?
                $(
                    let schema = <$kind as $crate::sharing::part::Describe>::describe();
                    let about = concat!($($doc),*);
                    let word = part!(@word $field $($word)?);
                    members.insert(word.to_owned(), $crate::sharing::part::described(schema, about));
                )*
                let needed = [$(part!(@needed part!(@word $field $($word)?), $kind $(, $otherwise)?)),*];
                let needed: Vec<&str> = needed.into_iter().flatten().collect();
                serde_json::json!({
                    "type": "object", "description": concat!($($about),*).trim(), "properties": members,
                    "required": needed, "additionalProperties": false,
                })
            }
        }
    )*};
    (@word $field:ident) => { stringify!($field) };
    (@word $field:ident $word:literal) => { $word };
    (@none $flat:ident) => { &[] };
    (@field $at:ident, $word:expr) => { $at.field($word)? };
    (@field $at:ident, $word:expr, $otherwise:expr) => { $at.field_or($word, || $otherwise)? };
    (@needed $word:expr, $kind:ty) => {
        <$kind as $crate::read::Read>::missing().is_none().then_some($word)
    };
    (@needed $word:expr, $kind:ty, $otherwise:expr) => { None::<&str> };
}

/// A choice of words with its schema.
macro_rules! choice {
    ($($(#[doc = $about:literal])* $name:ident { $($(#[doc = $doc:literal])* $variant:ident = $word:literal,)* })*) => {$(
        $crate::read::words! {
            $(#[doc = $about])*
            $name { $($(#[doc = $doc])* $variant = $word,)* }
        }

        impl $crate::sharing::part::Describe for $name {
            fn describe() -> serde_json::Value {
                serde_json::json!({"enum": [$($word),*]})
            }
        }
    )*};
}

pub(super) use {choice, part};
