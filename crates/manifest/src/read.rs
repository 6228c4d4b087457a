//! From nodes to components: each field is looked for, read by its type, and missed with a sentence.
//!
//! `component!` and `one_of!` make a struct or a choice and its reading in one; `components/` is written in them, so
//! that the page that lists a component's fields is also its parser. Fields that a component does not know are let
//! through: the format has grown for years, and manifests carry leftovers of all its ages.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::node::{Data, Node};
use crate::problem::{Problem, ProblemKind};
use crate::propagate::PARAMETERS;
use crate::text::Parameters;

/// Components of the format that are not run here: each is used by fewer than one manifest in a hundred.
const NOT_RUN: [&str; 5] = [
    "RateLimitedMultipleTokenAuthenticator",
    "CombinedExtractor",
    "JsonItemsDecoder",
    "QueryProperties",
    "FileUploader",
];

/// A node and where it stands.
pub struct At<'a> {
    /// The node itself.
    pub node: &'a Node,
    place: Place<'a>,
    parameters: Parameters,
    doubts: Doubts,
}

/// What may be meant otherwise than it is written, gathered over a whole tree.
type Doubts = Rc<RefCell<Vec<Problem>>>;

/// How near a name must be to a field's to be taken for a slip of the pen.
const SLIP: f64 = 0.9;

enum Place<'a> {
    Root(&'a str),
    Field(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

/// What can be read from a node.
pub trait Read: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    fn read(at: &At<'_>) -> Result<Self, Problem>;

    /// What it is where nothing stands; `None` where something must.
    fn missing() -> Option<Self> {
        None
    }
}

impl<'a> At<'a> {
    /// The beginning of a tree; `path` is shown before the paths inside.
    #[must_use]
    pub fn root(node: &'a Node, path: &'a str) -> Self {
        Self { node, place: Place::Root(path), parameters: None, doubts: Doubts::default() }
    }

    /// Fields that no component here knows and that are nearly ones it does.
    pub(crate) fn take_doubts(&self) -> Vec<Problem> {
        self.doubts.take()
    }

    pub(crate) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn entry<'b>(&'b self, name: &'b str, node: &'b Node) -> At<'b> {
        At {
            node,
            place: Place::Field(self, name),
            parameters: self.parameters.clone(),
            doubts: Rc::clone(&self.doubts),
        }
    }

    pub(crate) fn item<'b>(&'b self, index: usize, node: &'b Node) -> At<'b> {
        At {
            node,
            place: Place::Item(self, index),
            parameters: self.parameters.clone(),
            doubts: Rc::clone(&self.doubts),
        }
    }

    /// This place as a component with these fields: its parameters hold from here on.
    pub(crate) fn component(&self, fields: &[&str]) -> At<'_> {
        self.doubt(fields);
        let own = self.node.get(PARAMETERS).map(|node| Arc::new(node.to_json()));
        let place = match &self.place {
            Place::Root(path) => Place::Root(path),
            Place::Field(at, name) => Place::Field(at, name),
            Place::Item(at, index) => Place::Item(at, *index),
        };
        At { node: self.node, place, parameters: own, doubts: Rc::clone(&self.doubts) }
    }

    /// Doubts fields that are nearly one of these. Others are let through: manifests carry leftovers of all ages, and
    /// what parameters hand down.
    fn doubt(&self, fields: &[&str]) {
        let Data::Map(entries) = &self.node.data else { return };
        let handed = |key: &str| self.node.get(PARAMETERS).is_some_and(|own| own.get(key).is_some());
        for (key, node) in entries.iter().filter(|(key, _)| !fields.contains(&key.as_str()) && !handed(key)) {
            let free = fields.iter().filter(|field| self.node.get(field).is_none());
            let near = free.max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            if let Some(near) = near.filter(|near| strsim::jaro_winkler(near, key) > SLIP) {
                let message =
                    format!("{} has no field `{key}`, so it says nothing; did you mean `{near}`?", self.kind());
                let doubt = self.entry(key, node).problem(message);
                // One place of the file may stand in many of the tree.
                let mut doubts = self.doubts.borrow_mut();
                if !doubts.iter().any(|known| known.line == doubt.line && known.message == doubt.message) {
                    doubts.push(doubt);
                }
            }
        }
    }

    /// Tells of names that are not among these.
    pub(crate) fn only(&self, names: &[&str]) {
        let Data::Map(entries) = &self.node.data else { return };
        for (key, node) in entries.iter().filter(|(key, _)| !names.contains(&key.as_str())) {
            let near =
                names.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
            let near = near.filter(|near| strsim::jaro_winkler(near, key) > 0.8);
            let hint = near
                .map_or_else(|| format!("known here: {}", names.join(", ")), |near| format!("did you mean `{near}`?"));
            self.tell(self.entry(key, node).problem(format!("there is nothing called `{key}` here; {hint}")));
        }
    }

    /// Keeps a problem besides the one that ends the reading.
    pub(crate) fn tell(&self, problem: Problem) {
        self.doubts.borrow_mut().push(problem);
    }

    /// A problem at a place inside, which a JSON pointer names.
    pub(crate) fn inside(&self, pointer: Option<&str>, message: &str) -> Problem {
        let names: Vec<String> = pointer
            .unwrap_or_default()
            .split('/')
            .filter(|name| !name.is_empty())
            .map(|name| name.replace("~1", "/").replace("~0", "~"))
            .collect();
        self.below(&names.iter().map(String::as_str).collect::<Vec<_>>(), message.to_owned())
    }

    /// A problem at a place inside, which names lead to as far as they go.
    pub(crate) fn below(&self, names: &[&str], message: String) -> Problem {
        let Some((first, rest)) = names.split_first() else { return self.problem(message) };
        match self.node.get(first) {
            Some(node) => self.entry(first, node).below(rest, message),
            None => self.problem(message),
        }
    }

    /// The field of a component.
    pub(crate) fn field<T: Read>(&self, name: &str) -> Result<T, Problem> {
        match self.node.get(name) {
            Some(node) if node.data != Data::Null => T::read(&self.entry(name, node)),
            _ => T::missing().ok_or_else(|| self.problem(format!("{} needs `{name}`", self.kind()))),
        }
    }

    /// The field of a component, or what stands for it.
    pub(crate) fn field_or<T: Read>(&self, name: &str, otherwise: impl FnOnce() -> T) -> Result<T, Problem> {
        match self.node.get(name) {
            Some(node) if node.data != Data::Null => T::read(&self.entry(name, node)),
            _ => Ok(otherwise()),
        }
    }

    /// The name of the field it stands in.
    pub(crate) const fn name(&self) -> &str {
        match self.place {
            Place::Root(name) | Place::Field(_, name) => name,
            Place::Item(at, _) => at.name(),
        }
    }

    /// The component's type, or what it is instead.
    pub(crate) fn kind(&self) -> &str {
        self.node.get("type").and_then(Node::text).unwrap_or_else(|| self.node.kind())
    }

    pub(crate) fn expected(&self, what: &str) -> Problem {
        self.problem(format!("here stands {}, and {what} is expected", self.node.kind()))
    }

    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { line: self.node.line, path: self.to_string(), message: message.into(), kind: ProblemKind::Wrong }
    }

    /// That something of the format is not run here.
    pub(crate) fn not_run(&self, what: &str) -> Problem {
        let message =
            format!("{what} belongs to the format, but Lockstep does not run it, so the stream cannot be read");
        Problem { kind: ProblemKind::NotRun, ..self.problem(message) }
    }

    /// That the type is none of those that may stand here; a custom one needs Python.
    pub(crate) fn unknown(&self, known: &[&str]) -> Problem {
        let Some(kind) = self.node.get("type").and_then(Node::text) else {
            return self.problem(format!("a component with a `type` is expected: {}", known.join(", ")));
        };
        if let Some(class) = self.node.get("class_name").and_then(Node::text) {
            let message = format!(
                "{kind} needs the Python class {class}, and Lockstep runs no Python; replace it by the format's own components"
            );
            return Problem { kind: ProblemKind::Python(class.to_owned()), ..self.problem(message) };
        }
        if NOT_RUN.contains(&kind) {
            return self.not_run(kind);
        }
        let near = known.iter().max_by(|a, b| strsim::jaro(a, kind).total_cmp(&strsim::jaro(b, kind)));
        let hint = near.filter(|near| strsim::jaro(near, kind) > 0.85).map(|near| format!("; did you mean {near}?"));
        let hint = hint.unwrap_or_else(|| format!("; known here: {}", known.join(", ")));
        self.problem(format!("the component {kind} cannot stand here{hint}"))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Root(path) => f.write_str(path),
            Place::Field(at, name) => match at.place {
                Place::Root("") => f.write_str(name),
                _ => write!(f, "{at}.{name}"),
            },
            Place::Item(at, index) => write!(f, "{at}[{index}]"),
        }
    }
}

impl<T: Read> Read for Option<T> {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        T::read(at).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Box<T> {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        T::read(at).map(Self::new)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let Data::List(items) = &at.node.data else { return Err(at.expected("a list")) };
        items.iter().enumerate().map(|(index, item)| T::read(&at.item(index, item))).collect()
    }

    fn missing() -> Option<Self> {
        Some(Self::new())
    }
}

/// A list, of which a single one may stand without brackets.
#[derive(Debug, Clone)]
pub struct Many<T>(pub Vec<T>);

impl<T: Read> Read for Many<T> {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::List(_) => Vec::read(at).map(Self),
            _ => Ok(Self(vec![T::read(at)?])),
        }
    }

    fn missing() -> Option<Self> {
        Some(Self(Vec::new()))
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let Data::Map(entries) = &at.node.data else { return Err(at.expected("a mapping")) };
        let own = entries.iter().filter(|(key, _)| key != PARAMETERS);
        own.map(|(key, node)| Ok((key.clone(), T::read(&at.entry(key, node))?))).collect()
    }
}

impl Read for String {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::Text(text) => Ok(text.clone()),
            Data::Number(number) => Ok(number.to_string()),
            _ => Err(at.expected("a text")),
        }
    }
}

impl Read for bool {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::Bool(is_set) => Ok(*is_set),
            Data::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Data::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(at.expected("true or false")),
        }
    }
}

impl Read for i64 {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let whole = match &at.node.data {
            Data::Number(number) => number.as_i64(),
            Data::Text(text) => text.parse().ok(),
            _ => None,
        };
        whole.ok_or_else(|| at.expected("a whole number"))
    }
}

impl Read for u64 {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        i64::read(at).and_then(|whole| Self::try_from(whole).map_err(|_negative| at.expected("a number from 0")))
    }
}

impl Read for u16 {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        i64::read(at).and_then(|whole| Self::try_from(whole).map_err(|_large| at.expected("a number up to 65535")))
    }
}

impl Read for f64 {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let number = match &at.node.data {
            Data::Number(number) => number.as_f64(),
            Data::Text(text) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| at.expected("a number"))
    }
}

/// A component: a struct whose fields are those of the format, and its reading.
macro_rules! component {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident : $kind:ty $(= $otherwise:expr)?,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone)]
        pub struct $name { $($(#[$doc])* #[doc = concat!("`", stringify!($field), "`, as the format's schema explains it.")] pub $field: $kind,)* }

        impl $crate::read::Read for $name {
            fn read(at: &$crate::read::At<'_>) -> Result<Self, $crate::problem::Problem> {
                if !matches!(at.node.data, $crate::node::Data::Map(_)) {
                    return Err(at.expected(concat!("a ", stringify!($name))));
                }
                let _component = at.component(&[$(stringify!($field)),*]);
                Ok(Self { $($field: component!(@field _component, $field $(, $otherwise)?),)* })
            }
        }
    )*};
    (@field $at:ident, $field:ident) => { $at.field(stringify!($field))? };
    (@field $at:ident, $field:ident, $otherwise:expr) => { $at.field_or(stringify!($field), || $otherwise)? };
}

/// A choice of components, told apart by `type`.
macro_rules! one_of {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $(as $tag:literal)? ($kind:ty),)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone)]
        pub enum $name { $($(#[$doc])* $variant($kind),)* }

        impl $crate::read::Read for $name {
            fn read(at: &$crate::read::At<'_>) -> Result<Self, $crate::problem::Problem> {
                const KNOWN: &[&str] = &[$(one_of!(@tag $variant $($tag)?)),*];
                $(if at.node.get("type").and_then($crate::node::Node::text) == Some(one_of!(@tag $variant $($tag)?)) {
                    return <$kind as $crate::read::Read>::read(at).map(Self::$variant);
                })*
                Err(at.unknown(KNOWN))
            }
        }
    )*};
    (@tag $variant:ident) => { stringify!($variant) };
    (@tag $variant:ident $tag:literal) => { $tag };
}

/// A choice of words.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $crate::read::Read for $name {
            fn read(at: &$crate::read::At<'_>) -> Result<Self, $crate::problem::Problem> {
                match at.node.text() {
                    $(Some($word) => Ok(Self::$variant),)*
                    _ => Err(at.problem(format!("{} is not one of {}", at.node.to_json(), [$($word),*].join(", ")))),
                }
            }
        }
    )*};
}

pub(crate) use {component, one_of, words};
