//! One compiled template: what callers hold.
//! It must not keep anything of a scope between two evaluations.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, Expression, Value as Engine};
use serde_json::Value;

use super::engine::ENGINE;
use super::literal::literal;
use super::macros;
use super::path::Path;
use super::python;
use super::rewrite::{Rewritten, rewrite};
use super::scope::Scope;
use crate::bounds::{MANIFEST_TEMPLATE_BYTES_MAX, RENDERED_BYTES_MAX};
use crate::error::{ExprError, ExprErrorKind};

/// The name of the one template in an engine of its own.
const ONLY: &str = "template";
/// A variable that the reference took away; naming it is refused there too.
const REMOVED: &str = "stream_state";

/// A compiled template of a manifest; cloning shares it.
#[derive(Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    names: BTreeSet<String>,
    plan: Plan,
}

/// How the template is answered.
enum Plan {
    Text(String),
    Path(Path),
    /// One expression; whether it stands alone, so that its value need not become text first.
    Expression {
        code: Box<Expression<'static, 'static>>,
        is_alone: bool,
    },
    Statements(Box<Environment<'static>>),
}

/// What came out: a value of a lone expression, or text.
enum Outcome {
    Value(Engine),
    Text(String),
    /// Something that is not there was used.
    Nothing,
}

impl Template {
    /// Compiles `source`, at most [`MANIFEST_TEMPLATE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// `TooLong`, or `Parse`: the syntax, a filter, a test or a tag that does not exist here, the variable
    /// `stream_state`, which manifests no longer have.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        Self::build(source, true)
    }

    fn build(source: &str, may_be_short: bool) -> Result<Self, ExprError> {
        if source.len() > MANIFEST_TEMPLATE_BYTES_MAX {
            return Err(ExprError::too_long("template", source.len(), MANIFEST_TEMPLATE_BYTES_MAX));
        }
        let failed = |error: &minijinja::Error| ExprError::from_interpolation(error);
        let path = if may_be_short { Path::recognise(source) } else { None };
        let (plan, read) = match (path, rewrite(source)?) {
            (Some(path), _) => {
                let name = path.name.clone();
                (Plan::Path(path), [name].into())
            }
            (None, Rewritten::Text(text)) => (Plan::Text(text), std::collections::HashSet::new()),
            (None, Rewritten::Statements(text)) => {
                let mut engine = ENGINE.clone();
                engine.add_template_owned(ONLY, text).map_err(|error| failed(&error))?;
                let read = engine.get_template(ONLY).map_err(|error| failed(&error))?.undeclared_variables(false);
                (Plan::Statements(Box::new(engine)), read)
            }
            (None, rewritten) => {
                let is_alone = matches!(rewritten, Rewritten::Expression(_));
                let (Rewritten::Expression(text) | Rewritten::Joined(text)) = rewritten else {
                    return Err(ExprError::parse("the template is of no known shape", 1));
                };
                let code = ENGINE.compile_expression_owned(text).map_err(|error| failed(&error))?;
                let read = code.undeclared_variables(false);
                (Plan::Expression { code: Box::new(code), is_alone }, read)
            }
        };
        let names: BTreeSet<String> = read.into_iter().filter(|name| !macros::NAMES.contains(&name.as_str())).collect();
        if names.contains(REMOVED) {
            return Err(ExprError::parse("`stream_state` is no longer bound; read `stream_interval` instead", 1));
        }
        Ok(Self { inner: Arc::new(Inner { source: source.to_owned(), names, plan }) })
    }

    /// The source as it was given.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// Whether it has no tags: it renders to itself, whatever the scope.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self.inner.plan, Plan::Text(_))
    }

    /// The variables it reads from the scope; of `config['a']` that is `config`.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        &self.inner.names
    }

    /// What it renders to, read back as a Python literal; null when that is empty or something missing was used.
    ///
    /// # Errors
    /// `Eval` for a name that is not bound and for values that are wrong, `Mismatch` for kinds of values that do not go
    /// together, `Fuel` when it takes too many steps.
    pub fn eval(&self, scope: &Scope) -> Result<Value, ExprError> {
        if let Plan::Path(path) = &self.inner.plan {
            self.check_names(scope)?;
            return Ok(match path.find(scope) {
                Some(Value::String(text)) => read_back(text),
                Some(value) => value.clone(),
                None => Value::Null,
            });
        }
        Ok(match self.run(scope)? {
            Outcome::Nothing => Value::Null,
            Outcome::Text(text) => read_back(&text),
            Outcome::Value(value) => match value.as_str() {
                Some(text) => read_back(text),
                None if python::is_literal(&value) => python::to_json(&value).unwrap_or_default(),
                None => {
                    let text = python::str_of(&value);
                    if text.len() > RENDERED_BYTES_MAX {
                        return Err(too_large());
                    }
                    read_back(&text)
                }
            },
        })
    }

    /// What it renders to, as text; empty when something missing was used. A text that is itself a quoted Python text
    /// loses its quotes, as in the reference.
    ///
    /// # Errors
    /// As [`Template::eval`].
    pub fn text(&self, scope: &Scope) -> Result<String, ExprError> {
        let text = match &self.inner.plan {
            Plan::Path(path) => {
                self.check_names(scope)?;
                path.find(scope).map(python::json_str).unwrap_or_default()
            }
            _ => match self.run(scope)? {
                Outcome::Nothing => String::new(),
                Outcome::Text(text) => text,
                Outcome::Value(value) => python::str_of(&value),
            },
        };
        if text.len() > RENDERED_BYTES_MAX {
            return Err(too_large());
        }
        Ok(match literal(&text) {
            Some(Value::String(inner)) => inner,
            _ => text,
        })
    }

    /// Whether it holds: anything but nothing, false, zero, an empty list or object, or the texts for these.
    ///
    /// Values that do not go together make it hold: the reference then takes the template's own text for the answer,
    /// and filters of published manifests rely on it (`record['n'] > 3` lets a record without a number through).
    ///
    /// # Errors
    /// As [`Template::eval`], but for `Mismatch`.
    pub fn is_true(&self, scope: &Scope) -> Result<bool, ExprError> {
        match self.eval(scope) {
            Ok(value) => Ok(holds(&value)),
            Err(error) if error.kind == ExprErrorKind::Mismatch => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn check_names(&self, scope: &Scope) -> Result<(), ExprError> {
        match self.inner.names.iter().find(|name| !scope.is_bound(name)) {
            Some(name) => Err(ExprError::eval(format!(
                "`{name}` is not bound where `{}` is used; name one of the variables of this place",
                crate::error::shorten(&self.inner.source)
            ))),
            None => Ok(()),
        }
    }

    fn run(&self, scope: &Scope) -> Result<Outcome, ExprError> {
        self.check_names(scope)?;
        let outcome = match &self.inner.plan {
            Plan::Text(text) => return Ok(Outcome::Text(text.clone())),
            Plan::Path(path) => {
                return Ok(path.find(scope).map_or(Outcome::Nothing, |v| Outcome::Text(python::json_str(v))));
            }
            Plan::Expression { code, is_alone: true } => code.eval(scope.context()).map(Outcome::Value),
            Plan::Expression { code, is_alone: false } => {
                code.eval(scope.context()).map(|value| Outcome::Text(python::str_of(&value)))
            }
            Plan::Statements(engine) => render(engine, scope).map(Outcome::Text),
        };
        match outcome {
            Ok(Outcome::Text(text)) if text.len() > RENDERED_BYTES_MAX => Err(too_large()),
            Ok(outcome) => Ok(outcome),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Ok(Outcome::Nothing),
            Err(error) => Err(ExprError::from_interpolation(&error)),
        }
    }
}

fn too_large() -> ExprError {
    ExprError::eval(format!("it renders more than {RENDERED_BYTES_MAX} bytes; tell less"))
}

fn render(engine: &Environment<'static>, scope: &Scope) -> Result<String, minijinja::Error> {
    let mut page = Page(Vec::new());
    let rendered = engine.get_template(ONLY)?.render_captured_to(scope.context(), &mut page);
    if page.0.len() > RENDERED_BYTES_MAX {
        return Err(super::operators::wrong(too_large().message));
    }
    rendered?;
    String::from_utf8(page.0).map_err(|_bytes| super::operators::wrong("it renders what is no text"))
}

/// What is rendered into: it refuses more once it is over its size.
struct Page(Vec<u8>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > RENDERED_BYTES_MAX {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A rendered text as the reference reads it: a literal, or itself; nothing is null.
fn read_back(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    literal(text).unwrap_or_else(|| Value::from(text))
}

fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_set) => *is_set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.as_str(), "False" | "false" | "{}" | "[]" | "()" | "" | "0" | "0.0"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.inner.source).finish()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source
    }
}

impl Eq for Template {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Plain paths over every shape of value: the short way and the engine agree.
    #[test]
    fn the_short_way_answers_as_the_engine_does() {
        let shapes = [
            json!(null),
            json!(true),
            json!(0),
            json!(-3),
            json!(1.0),
            json!(1e20),
            json!(18_446_744_073_709_551_615_u64),
            json!(""),
            json!("NL"),
            json!("12"),
            json!("'quoted'"),
            json!("['a', 1]"),
            json!("it's"),
            json!([]),
            json!(["a", {"b": null}]),
            json!({}),
            json!({"b": null}),
            json!({"b": "7", "c": [1, null]}),
            json!({"b": {"c": {"d": true}}}),
            json!({"b": ["x"]}),
        ];
        let sources = [
            "{{ a }}",
            "{{ a.b }}",
            "{{ a['b'] }}",
            "{{a['b'].c}}",
            "{{ a.b['c'] }}\n",
            "{{ a.missing }}",
            "{{ a.missing.c }}",
            "{{ stream_partition['b'] }}",
            "{{ stream_interval }}",
            "{{ unbound }}",
        ];
        for shape in &shapes {
            let scope =
                Scope::new(jiff::Timestamp::UNIX_EPOCH).with("a", shape.clone()).with("stream_slice", shape.clone());
            for source in sources {
                let short = Template::compile(source).unwrap();
                let long = Template::build(source, false).unwrap();
                assert!(matches!(short.inner.plan, Plan::Path(_)), "{source}");
                assert_eq!(short.names(), long.names(), "{source}");
                assert_eq!(short.eval(&scope), long.eval(&scope), "{source} with {shape}");
                assert_eq!(short.text(&scope), long.text(&scope), "{source} with {shape}");
                assert_eq!(short.is_true(&scope), long.is_true(&scope), "{source} with {shape}");
            }
        }
    }

    #[test]
    fn only_plain_paths_go_the_short_way() {
        for source in
            ["{{ a[0] }}", "{{ a }} ", "{{ a }}{{ b }}", "{{ a|int }}", "{{ true }}", "{{ now_utc }}", "a", "{{- a }}"]
        {
            let template = Template::compile(source).unwrap();
            assert!(!matches!(template.inner.plan, Plan::Path(_)), "{source}");
        }
    }
}
