//! The engine of this dialect: minijinja with Python's manners.
//! It must not be shared with the expressions of the rest of the crate, whose manners are others.

use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value};

use super::collection::Shelf;
use super::{filters, macros, methods, operators, python};
use crate::bounds::MANIFEST_FUEL;

/// The one engine all templates start from; it holds no state of theirs.
pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Lenient);
    engine.set_fuel(Some(MANIFEST_FUEL));
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(write_value);
    engine.set_unknown_method_callback(methods::call);
    // The reference takes `range` away because it can count far; the other shows the inside of the engine.
    for name in ["range", "debug"] {
        engine.remove_global(name);
    }
    for name in ["pprint", "lines", "chain", "zip", "bool", "split"] {
        engine.remove_filter(name);
    }
    engine.add_filter("__each", operators::each);
    engine.add_filter("__some", operators::some);
    engine.add_filter("__slice", operators::slice);
    engine.add_filter("__list", |value: &Value| Shelf::of(value, false));
    engine.add_filter("__dict", |value: &Value| Shelf::of(value, true));
    operators::add_to(&mut engine);
    filters::add_to(&mut engine);
    macros::add_to(&mut engine);
    tests(&mut engine);
    engine
});

/// Tests that compare values are the operators, what is odd is a number, and a text is a sequence too.
fn tests(engine: &mut Environment<'static>) {
    type Holds = fn(std::cmp::Ordering) -> bool;
    engine.add_test("in", operators::is_in);
    engine.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Undefined)
    });
    engine.add_test("iterable", |value: &Value| operators::each(value).is_ok());
    for (name, rest) in [("odd", 1), ("even", 0)] {
        engine.add_test(name, move |value: &Value| match value.kind() {
            ValueKind::Number => Ok(i64::try_from(value.clone()).is_ok_and(|number| number.rem_euclid(2) == rest)),
            ValueKind::Bool => Ok(i64::from(value.is_true()) == rest),
            ValueKind::Undefined => Err(operators::undefined()),
            kind => Err(operators::mismatch(format!("a {kind} is neither odd nor even; use `|int`"))),
        });
    }
    let orders: [(&[&'static str], Holds); 4] = [
        (&["lt", "lessthan", "<"], std::cmp::Ordering::is_lt),
        (&["le", "<="], std::cmp::Ordering::is_le),
        (&["gt", "greaterthan", ">"], std::cmp::Ordering::is_gt),
        (&["ge", ">="], std::cmp::Ordering::is_ge),
    ];
    for (names, holds) in orders {
        for name in names {
            engine.add_test(*name, move |a: &Value, b: &Value| operators::order(a, b).map(holds));
        }
    }
}

/// Writes a value as Python's `str`.
fn write_value(out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    match value.as_str() {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&python::str_of(value))?,
    }
    Ok(())
}

/// Whether there is a filter of this name.
pub(super) fn has_filter(name: &str) -> bool {
    is_known("filter", name)
}

/// Whether there is a test of this name.
pub(super) fn has_test(name: &str) -> bool {
    is_known("test", name)
}

fn is_known(kind: &str, name: &str) -> bool {
    let question = format!("'{name}' is {kind}");
    ENGINE.compile_expression(&question).and_then(|asked| asked.eval(())).is_ok_and(|known| known.is_true())
}
