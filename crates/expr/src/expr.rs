//! One compiled expression: what callers hold.
//! It must not keep anything of a scope between two evaluations.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::{Expression, Value as Engine};
use serde_json::{Map, Value};

use crate::bounds::SOURCE_BYTES_MAX;
use crate::dialect::ENGINE;
use crate::error::ExprError;
use crate::names::Names;
use crate::path::Plain;
use crate::{convert, names, rewrite, token};

/// A compiled expression; cloning shares it.
///
/// The scope is a JSON object whose entries are seen as top-level names and, all of
/// them, under `fields`: `email` and `fields['email']` are the same thing. An entry that
/// is itself called `fields` is therefore out of sight.
#[derive(Clone)]
pub struct Expr {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    names: BTreeSet<String>,
    plan: Plan,
}

/// How the expression is answered.
enum Plan {
    Plain(Plain),
    Engine { reads: Names, code: Box<Expression<'static, 'static>> },
}

impl Expr {
    /// Compiles `source`, at most [`SOURCE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// `TooLong`, or `Parse` with the line where reading stopped. Unknown filters and
    /// functions show only when evaluated.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        Self::build(source, true)
    }

    fn build(source: &str, may_be_plain: bool) -> Result<Self, ExprError> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(ExprError::too_long("expression", source.len(), SOURCE_BYTES_MAX));
        }
        let tokens = token::split(source)?;
        let reads = names::collect(&tokens);
        let all = reads.all();
        let plain = if may_be_plain { Plain::recognise(&tokens) } else { None };
        let plan = if let Some(plain) = plain {
            Plan::Plain(plain)
        } else {
            let code = ENGINE
                .compile_expression_owned(rewrite::rewrite(&tokens))
                .map_err(|error| ExprError::from_engine(source, &error))?;
            Plan::Engine { reads, code: Box::new(code) }
        };
        Ok(Self { inner: Arc::new(Inner { source: source.to_owned(), names: all, plan }) })
    }

    /// The source as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// Names of the fields it may read: at the top (`email`; of `a.b` only `a`) and
    /// through `fields` (`fields['opt-in']` gives `opt-in`).
    ///
    /// Contains the word `fields` when it may read any field (`fields[x]`,
    /// `fields|items`). No evaluation sees an entry that is not named here.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        &self.inner.names
    }

    /// The value in this scope; missing is null.
    ///
    /// # Errors
    /// `Eval` when the values do not suit (adding a text to a number, a missing value in
    /// arithmetic, an unknown filter, a text grown too large), `Fuel` when it takes too many steps.
    pub fn eval(&self, scope: &Map<String, Value>) -> Result<Value, ExprError> {
        match &self.inner.plan {
            Plan::Plain(plain) => Ok(plain.eval(scope)),
            Plan::Engine { reads, code } => convert::outward(&self.run(reads, code, scope)?),
        }
    }

    /// Whether the value counts as true: not missing, false, zero or empty.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn is_true(&self, scope: &Map<String, Value>) -> Result<bool, ExprError> {
        match &self.inner.plan {
            Plan::Plain(plain) => Ok(plain.is_true(scope)),
            Plan::Engine { reads, code } => Ok(self.run(reads, code, scope)?.is_true()),
        }
    }

    fn run(
        &self,
        reads: &Names,
        code: &Expression<'static, 'static>,
        scope: &Map<String, Value>,
    ) -> Result<Engine, ExprError> {
        code.eval(convert::context(reads, scope)).map_err(|error| ExprError::from_engine(&self.inner.source, &error))
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.inner.source).finish()
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source
    }
}

impl Eq for Expr {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Plain expressions over every shape of value: the short way and the engine agree.
    #[test]
    fn the_short_way_answers_as_the_engine_does() {
        let shapes = [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(0.0),
            json!(-3),
            json!(1.5),
            json!(18_446_744_073_709_551_615_u64),
            json!(""),
            json!("NL"),
            json!("1"),
            json!([]),
            json!(["NL"]),
            json!({}),
            json!({"b": null}),
            json!({"b": "NL", "c": [1, null]}),
            json!({"b": {"c": "NL"}}),
            json!({"b": [{"c": 1}]}),
            json!({"items": 1, "get": "NL"}),
        ];
        let sources = [
            "a",
            "a.b",
            "a.b.c",
            "a.items",
            "a.get",
            "fields.a",
            "fields['a'].b",
            "missing",
            "missing.b.c",
            "a == 'NL'",
            "a != 'NL'",
            "a.b == 'NL'",
            "a.b.c != ''",
            "fields.a == ''",
            "missing == ''",
            "a == '1'",
        ];
        for shape in &shapes {
            let Value::Object(scope) = json!({"a": shape, "other": 1}) else { unreachable!() };
            for source in sources {
                let short = Expr::compile(source).unwrap();
                let long = Expr::build(source, false).unwrap();
                assert!(matches!(short.inner.plan, Plan::Plain(_)), "{source}");
                assert_eq!(short.eval(&scope), long.eval(&scope), "{source} with a = {shape}");
                assert_eq!(short.is_true(&scope), long.is_true(&scope), "{source} with a = {shape}");
            }
        }
    }
}
