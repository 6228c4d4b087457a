//! What a template may read: names bound to JSON, and the present time as the caller tells it.
//!
//! Configurations and records are large and templates ask for two or three of their fields, so binding converts
//! nothing: the engine is shown a view that converts the one key asked for. It must not copy what is bound.

use std::sync::Arc;

use jiff::Timestamp;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Engine};
use serde_json::Value;

/// Names of the older dialect that mean the whole slice unless they are bound themselves.
const ALIASES: [&str; 2] = ["stream_partition", "stream_interval"];
/// What they stand for.
const ALIASED: &str = "stream_slice";

/// The name under which macros find the present time, in microseconds since 1970.
pub(super) const NOW: &str = "__now";
/// The name under which macros find the seed that chance is drawn from.
pub(super) const SEED: &str = "__seed";

/// The names a template may read, and the present time. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    now: Timestamp,
    seed: u64,
    /// Few enough that looking through them is the fastest search.
    bindings: Vec<(&'static str, Bound)>,
}

impl Scope {
    /// A scope without names in which it is `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { inner: Arc::new(Inner { now, seed: 0, bindings: Vec::new() }) }
    }

    /// The same scope with the seed that `generate_uuid` draws from; without one it is 0.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        Arc::make_mut(&mut self.inner).seed = seed;
        self
    }

    /// The same scope with a name bound, in place of what it was bound to before.
    #[must_use]
    pub fn with(&self, name: &'static str, value: impl Into<Bound>) -> Self {
        let mut scope = self.clone();
        scope.set(name, value);
        scope
    }

    /// Binds a name, in place of what it was bound to before.
    pub fn set(&mut self, name: &'static str, value: impl Into<Bound>) {
        let bindings = &mut Arc::make_mut(&mut self.inner).bindings;
        match bindings.iter_mut().find(|(known, _)| *known == name) {
            Some((_, bound)) => *bound = value.into(),
            None => bindings.push((name, value.into())),
        }
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.now
    }

    /// What a name is bound to, aliases followed.
    pub(super) fn load(&self, name: &str) -> Option<&Bound> {
        self.inner.load(name)
    }

    pub(super) fn is_bound(&self, name: &str) -> bool {
        self.inner.load(name).is_some()
    }

    /// The scope as the engine's context.
    pub(super) fn context(&self) -> Engine {
        Engine::from_dyn_object(Arc::clone(&self.inner))
    }
}

impl Inner {
    fn load(&self, name: &str) -> Option<&Bound> {
        let find = |name: &str| self.bindings.iter().find(|(known, _)| *known == name).map(|(_, bound)| bound);
        find(name).or_else(|| if ALIASES.contains(&name) { find(ALIASED) } else { None })
    }
}

impl Object for Inner {
    fn get_value(self: &Arc<Self>, key: &Engine) -> Option<Engine> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Engine> {
        match key {
            NOW => Some(Engine::from(self.now.as_microsecond())),
            SEED => Some(Engine::from(self.seed)),
            name => self.load(name).map(|bound| bound.seen.clone()),
        }
    }
}

/// A value as the engine sees it, under no name.
pub(super) fn view(value: Value) -> Engine {
    Bound::from(value).seen
}

/// A value bound to a name. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Bound {
    pub(super) value: Arc<Value>,
    /// The same as the engine sees it.
    seen: Engine,
    /// Whether the names at its top are asked for in any case.
    is_caseless: bool,
}

impl Bound {
    /// Nothing: a name that is known here and has no value.
    #[must_use]
    pub fn nothing() -> Self {
        Self::from(Value::Null)
    }

    /// An object whose names, all of them in lower case, are found in any case: the headers of an answer.
    #[must_use]
    pub fn caseless(fields: Value) -> Self {
        let value = Arc::new(fields);
        let view = View { root: Arc::clone(&value), steps: Box::new([]), is_caseless: true };
        Self { value, seen: Engine::from_object(view), is_caseless: true }
    }

    /// What stands below it.
    pub(super) fn find(&self, keys: &[String]) -> Option<&Value> {
        let Some((first, rest)) = keys.split_first() else { return Some(&self.value) };
        let fields = self.value.as_object()?;
        let below = if self.is_caseless { fields.get(&first.to_ascii_lowercase()) } else { fields.get(first) };
        rest.iter().try_fold(below?, |value, key| value.as_object()?.get(key))
    }
}

impl From<Arc<Value>> for Bound {
    fn from(value: Arc<Value>) -> Self {
        let seen = seen(&value, &value, || Box::new([]));
        Self { value, seen, is_caseless: false }
    }
}

impl From<Value> for Bound {
    fn from(value: Value) -> Self {
        Self::from(Arc::new(value))
    }
}

impl From<&str> for Bound {
    fn from(text: &str) -> Self {
        Self::from(Value::from(text))
    }
}

impl From<i64> for Bound {
    fn from(number: i64) -> Self {
        Self::from(Value::from(number))
    }
}

/// A list or an object inside a bound value: the whole, and the way to the part. Walking the few steps again costs less
/// than copying the part.
#[derive(Debug)]
struct View {
    root: Arc<Value>,
    steps: Box<[Step]>,
    is_caseless: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Key(Arc<str>),
    Index(usize),
}

impl View {
    fn part(&self) -> &Value {
        self.steps.iter().fold(&*self.root, |value, step| match step {
            Step::Key(key) => value.get(&**key).unwrap_or(&Value::Null),
            Step::Index(at) => value.get(*at).unwrap_or(&Value::Null),
        })
    }

    fn below(&self, step: Step) -> Box<[Step]> {
        self.steps.iter().cloned().chain([step]).collect()
    }
}

/// A value of `root` as the engine's: scalars converted, lists and objects as views.
fn seen(root: &Arc<Value>, value: &Value, steps: impl FnOnce() -> Box<[Step]>) -> Engine {
    match value {
        Value::Null => Engine::from(()),
        Value::Bool(is_set) => Engine::from(*is_set),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Engine::from(whole),
            (None, Some(whole)) => Engine::from(whole),
            _ => Engine::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Engine::from(text.as_str()),
        Value::Array(_) | Value::Object(_) => {
            Engine::from_object(View { root: Arc::clone(root), steps: steps(), is_caseless: false })
        }
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.part().is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Engine) -> Option<Engine> {
        match self.part() {
            Value::Object(_) => self.get_value_by_str(key.as_str()?),
            part => {
                let at = key.as_usize()?;
                part.get(at).map(|value| seen(&self.root, value, || self.below(Step::Index(at))))
            }
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Engine> {
        let lower = self.is_caseless.then(|| key.to_ascii_lowercase());
        let key = lower.as_deref().unwrap_or(key);
        let value = self.part().get(key)?;
        Some(seen(&self.root, value, || self.below(Step::Key(Arc::from(key)))))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.part() {
            Value::Object(fields) => Enumerator::Values(fields.keys().map(|key| Engine::from(key.as_str())).collect()),
            Value::Array(items) => Enumerator::Seq(items.len()),
            _ => Enumerator::Empty,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        match self.part() {
            Value::Object(fields) => Some(fields.len()),
            Value::Array(items) => Some(items.len()),
            _ => Some(0),
        }
    }
}
