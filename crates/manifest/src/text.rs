//! Text that may hold templates, and trees of it, with the parameters that hold where it stands.
//! Templates are compiled when the manifest is read and only evaluated afterwards.

use std::fmt;
use std::sync::Arc;

use lockstep_expr::ExprError;
use lockstep_expr::interpolation::{Bound, Scope, Template};
use serde_json::Value;

use crate::node::{Data, Node};
use crate::problem::{Problem, ProblemKind};
use crate::read::{At, Read};

/// The parameters of a component, shared by all its templates.
pub(crate) type Parameters = Option<Arc<Value>>;

/// One text of a manifest; `{{ … }}` in it is evaluated each time it is asked for.
#[derive(Clone)]
pub struct Text {
    template: Template,
    parameters: Option<Bound>,
}

impl Text {
    /// Compiles a text that has no parameters.
    ///
    /// # Errors
    /// A template that cannot be read.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        Ok(Self { template: Template::compile(source)?, parameters: None })
    }

    pub(crate) fn with(source: &str, parameters: &Parameters) -> Result<Self, ExprError> {
        let template = Template::compile(source)?;
        let reads_them = template.names().contains("parameters");
        let bound =
            || Bound::from(parameters.clone().unwrap_or_else(|| Arc::new(Value::Object(serde_json::Map::new()))));
        Ok(Self { parameters: reads_them.then(bound), template })
    }

    /// As it stands in the manifest.
    #[must_use]
    pub fn source(&self) -> &str {
        self.template.source()
    }

    /// Whether it says the same in every scope.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.template.is_literal()
    }

    /// Whether it reads the variable.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        self.template.names().contains(name)
    }

    /// Its value: what was rendered, read back as a Python literal where it is one, as the format has it.
    ///
    /// # Errors
    /// A variable that is not there, values that do not suit, a rendering that is too large.
    pub fn value(&self, scope: &Scope) -> Result<Value, ExprError> {
        match &self.parameters {
            None => self.template.eval(scope),
            Some(parameters) => self.template.eval(&scope.with("parameters", parameters.clone())),
        }
    }

    /// What was rendered, as text.
    ///
    /// # Errors
    /// As [`Text::value`].
    pub fn text(&self, scope: &Scope) -> Result<String, ExprError> {
        match &self.parameters {
            None => self.template.text(scope),
            Some(parameters) => self.template.text(&scope.with("parameters", parameters.clone())),
        }
    }

    /// Whether it says yes, as conditions of the format are read: `false`, `0`, `[]` and the like say no.
    ///
    /// # Errors
    /// As [`Text::value`].
    pub fn is_true(&self, scope: &Scope) -> Result<bool, ExprError> {
        match &self.parameters {
            None => self.template.is_true(scope),
            Some(parameters) => self.template.is_true(&scope.with("parameters", parameters.clone())),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.source()).finish()
    }
}

impl Read for Text {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let source = match &at.node.data {
            Data::Text(text) => text.clone(),
            Data::Number(number) => number.to_string(),
            Data::Bool(is_set) => if *is_set { "True" } else { "False" }.to_owned(),
            _ => return Err(at.expected("a text")),
        };
        Self::with(&source, at.parameters()).map_err(|error| unread(at, &source, &error))
    }
}

/// A template that cannot be read. The format once had `stream_state` and has it no more: such a manifest was right.
fn unread(at: &At<'_>, source: &str, error: &ExprError) -> Problem {
    if source.contains("stream_state") {
        let message =
            "the format has given up the variable `stream_state`, so the stream cannot be read; use `stream_interval`";
        return Problem { kind: ProblemKind::NotRun, ..at.problem(message) };
    }
    at.problem(format!("the template {source:?}: {error}"))
}

/// A tree in which every text, keys too, may hold templates: a request's body, headers, parameters.
#[derive(Debug, Clone)]
pub enum Tree {
    /// No template anywhere.
    Fixed(Value),
    /// One text.
    Text(Text),
    /// A list.
    List(Vec<Self>),
    /// A mapping, in the order of the file.
    Map(Vec<(Text, Self)>),
}

impl Read for Tree {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::Text(_) => Text::read(at).map(Self::Text),
            Data::List(items) => {
                let items = items.iter().enumerate().map(|(index, item)| Self::read(&at.item(index, item)));
                items.collect::<Result<_, _>>().map(Self::List)
            }
            Data::Map(entries) => {
                let entries = entries.iter().filter(|(key, _)| !key.starts_with('$')).map(|(key, node)| {
                    let inner = at.entry(key, node);
                    let name = Text::with(key, at.parameters());
                    let name = name.map_err(|error| unread(&inner, key, &error))?;
                    Ok((name, Self::read(&inner)?))
                });
                entries.collect::<Result<_, Problem>>().map(Self::Map)
            }
            _ => Ok(Self::Fixed(at.node.to_json())),
        }
    }
}

/// Either one text, or a list of texts.
#[derive(Debug, Clone)]
pub enum Values {
    /// A text that gives the list when it is evaluated.
    Text(Text),
    /// The list itself; what is no text stands as it is.
    List(Vec<Tree>),
}

impl Read for Values {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::List(_) => Vec::<Tree>::read(at).map(Self::List),
            _ => Text::read(at).map(Self::Text),
        }
    }
}

/// JSON as it stands, without templates.
#[derive(Debug, Clone)]
pub struct Json(pub Arc<Value>);

impl Read for Json {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        Ok(Self(Arc::new(without_parameters(at.node).to_json())))
    }
}

/// A part of the manifest kept as it is, to be read once it has been filled in.
#[derive(Debug, Clone)]
pub struct Raw(pub Arc<Node>);

impl Read for Raw {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        Ok(Self(Arc::new(at.node.clone())))
    }
}

fn without_parameters(node: &Node) -> Node {
    let mut node = node.clone();
    node.take(crate::propagate::PARAMETERS);
    node
}
