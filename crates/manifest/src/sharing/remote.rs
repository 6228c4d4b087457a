//! A remote object: how it looks, how it is read and found, and how it is written.

use std::collections::BTreeMap;

use lockstep_core::mapping::{Codec, Mapping};
use serde_json::{Value, json};

use super::fill::{Blank, Fill, Pick};
use super::hooks::Hooks;
use super::part::{Describe, choice, part};
use crate::problem::Problem;
use crate::read::{At, Many, Read};

part! {
    /// A remote object.
    Remote {
        /// The hub's type.
        ty as "type": String,
        /// What people call it.
        label: Option<String>,
        /// The manifest's stream that lists it.
        stream: Option<String>,
        /// Which rows of the stream are such objects; sees `object` and `options`.
        only: Option<Fill>,
        /// Whether a listed or fetched object says all its fields, so that one that it does not say is empty.
        is_complete as "complete": bool = false,
        /// Whether a listed object says only some of its fields; the rest is known of a fetched one alone.
        is_partial as "partial": bool = false,
        /// Where its id stands.
        id: Pick,
        /// What grows with each edit of it.
        version: Option<Pick>,
        /// When it was last edited: a path, or a path with a codec.
        changed_at: Option<Moment>,
        /// Whether it says that it is no more; sees `object`.
        gone: Option<Fill>,
        /// What a share has to say of it, by name; calls see it as `options`.
        options: BTreeMap<String, OptionSaid> = BTreeMap::new(),
        /// How the raw object becomes the tree that mappings name places of, step by step.
        shape: Vec<Shape>,
        /// Groups of hub fields by which one is recognised; groups are alternatives.
        matching as "match": Vec<Vec<String>>,
        /// By hub field its place there.
        mapping as "fields": Mapping,
        /// How a condition of a lookup is written; sees `path`, `name` and `value`, and calls see `pairs` and `groups`.
        pair: Option<Blank>,
        /// One by its id.
        fetch: Option<Fetch>,
        /// Those with certain values.
        find: Option<Find>,
        /// How it is written.
        write: Option<Writing>,
        /// What its refusals mean, before statuses are looked at.
        errors: Vec<ErrorSaid>,
        /// How the platform tells of changes.
        hooks: Option<Hooks>,
        /// Where the fields of an account are listed.
        columns: Vec<Columns>,
        /// Seconds after a write when a lookup finds it for certain.
        settle_after: u64 = 0,
    }

    /// Something that a share has to say of an object.
    OptionSaid {
        /// What people call it.
        title: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Whether it must be said.
        is_required as "required": bool = false,
        /// The manifest's stream whose rows are to choose from.
        stream: Option<String>,
        /// Of a row, the value.
        value: Option<Pick>,
        /// Of a row, what people call it.
        name: Option<Pick>,
    }

    /// One step from the raw object to its tree, and back.
    Shape {
        /// Where a list of entries stands, which becomes an object: `[{id: a, value: 1}]` and `{a: 1}`.
        entries: Pathed,
        /// The member of an entry that names it.
        key: String = "id".to_owned(),
        /// The member of an entry that holds its value.
        value: String = "value".to_owned(),
        /// The table of names by which ids are called.
        names: Option<String>,
        /// Members that are written besides; see `key`, `value`, and `merge`: whether its members are added to.
        with: BTreeMap<String, Fill> = BTreeMap::new(),
    }

    /// One object by its id.
    Fetch (call) {
        /// Where it stands in the answer.
        object as "select": Option<Pick>,
        /// What is put into it from elsewhere in the answer, by path.
        with: BTreeMap<String, Fill> = BTreeMap::new(),
    }

    /// Objects with certain values.
    Find (call) {
        /// The only paths that can be looked for; any where none are named.
        only: Many<String>,
        /// Where the list stands in the answer.
        list as "select": Option<Pick>,
        /// Whether the list has ids alone, and each is fetched.
        is_fetching as "fetch": bool = false,
    }

    /// How objects are written.
    Writing {
        /// A new one.
        create: Option<Steps>,
        /// One whose id is known.
        update: Option<Steps>,
        /// One that is recognised by the platform, or made.
        upsert: Option<Steps>,
        /// Several in one call.
        batch: Option<Batch>,
        /// Many, carried out later.
        bulk: Option<BulkSaid>,
    }

    /// One call of several that write an object.
    Step (call) {
        /// The object's id in the answer.
        id: Option<Pick>,
        /// Whether the object is a new one.
        is_new as "new": Option<Fill>,
        /// The whole object in the answer.
        object: Option<Pick>,
        /// What is put into it from elsewhere in the answer, by path.
        with: BTreeMap<String, Fill> = BTreeMap::new(),
        /// What of the answer the calls after it see, by these names.
        keep: BTreeMap<String, Fill> = BTreeMap::new(),
    }

    /// Several objects in one call.
    Batch (call) {
        /// Most of one call.
        size: u64,
        /// One of them as it is written; the call sees all as `items`.
        item: Blank,
        /// Where the outcomes stand in the answer; each is seen as `item`.
        outcomes: Pick,
        /// Of an outcome, the token.
        token: Pick,
        /// Of an outcome, the id.
        id: Pick,
        /// Of an outcome, whether it made a new object.
        is_new as "new": Option<Fill>,
    }

    /// Many objects, carried out later.
    BulkSaid {
        /// Fewer are written one by one.
        from: u64,
        /// Most of one job.
        size: u64,
        /// One of them as it is written; calls see all as `items`.
        item: Blank,
        /// Members that an item needs, else it is refused before it is sent.
        needs: Many<String>,
        /// Of an item, what outcomes name it by.
        key: Fill,
        /// The remote path that the key stands at.
        key_path: String,
        /// Begins a job.
        submit: Submit,
        /// Asks how far it is.
        poll: Poll,
        /// Objects of ids: who is who among the successes.
        listed: Option<Listed>,
        /// What is done for each object afterwards.
        then: Option<Steps>,
        /// The steps of `shape` that hold here instead.
        shape: Option<Vec<Shape>>,
    }

    /// Begins a job.
    Submit (call) {
        /// The job's id in the answer; calls see it as `job`.
        job: Pick,
    }

    /// Asks how far a job is.
    Poll (call) {
        /// Whether it is over.
        done: Fill,
        /// Whether it failed as a whole; a text says why.
        failed: Option<Fill>,
        /// Ids of the objects that were written.
        ids: Option<Pick>,
        /// Keys of the rows that were refused.
        refused: Option<Pick>,
    }

    /// Objects of ids.
    Listed (call) {
        /// Most ids of one call; it sees them as `ids`.
        size: u64,
        /// Where the list stands in the answer.
        list as "select": Option<Pick>,
    }

    /// What a refusal means. All that is said must hold.
    ErrorSaid {
        /// Statuses.
        status: Many<u16>,
        /// Words in the answer.
        contains: Many<String>,
        /// A condition; sees `status`, `body`, `headers`, and `item` of a batch.
        when as "if": Option<Fill>,
        /// What it means.
        class: ClassSaid,
        /// What is said of it.
        message: Option<Fill>,
    }

    /// Where the fields of an account are listed.
    Columns {
        /// The manifest's stream of them; a row is seen as `item`.
        stream: String,
        /// Which rows are meant.
        when as "if": Option<Fill>,
        /// Its place, as mappings name it.
        path: Fill,
        /// What people call it.
        label: Fill,
        /// The platform's word for its kind.
        kind: Option<Fill>,
    }
}

choice! {
    /// What a refusal means.
    ClassSaid {
        /// It is no refusal.
        Done = "done",
        /// Nothing was done, or asking again is harmless.
        Retry = "retry",
        /// It may have taken effect.
        Unknown = "unknown",
        /// This object cannot be written as it is.
        Permanent = "permanent",
        /// There is no such object any more.
        Gone = "gone",
        /// There is one like it already.
        Duplicate = "duplicate",
        /// Several are meant.
        Ambiguous = "ambiguous",
        /// The credentials are not taken.
        Auth = "auth",
        /// The platform as a whole does not answer.
        Down = "down",
    }
}

/// Calls that write an object, one after the other; a single one stands without brackets.
pub type Steps = Many<Step>;

/// A path.
#[derive(Debug, Clone)]
pub struct Pathed(pub lockstep_core::mapping::Path);

/// When something was: a path with codecs.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The path.
    pub path: lockstep_core::mapping::Path,
    /// How the instant is written there.
    pub codecs: Vec<Codec>,
}

impl Read for Pathed {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        String::read(at).map(|text| Self(lockstep_core::mapping::Path::parse(&text)))
    }
}

impl Describe for Pathed {
    fn describe() -> Value {
        json!({"type": "string"})
    }
}

impl Read for Mapping {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        Self::parse(&at.node.to_json()).map_err(|wrong| {
            let mut problems = wrong.into_iter().map(|one| at.inside(one.pointer.as_deref(), &one.message));
            let first = problems.next().unwrap_or_else(|| at.problem("the mapping cannot be read"));
            problems.for_each(|problem| at.tell(problem));
            first
        })
    }

    fn missing() -> Option<Self> {
        Some(Self::default())
    }
}

impl Describe for Mapping {
    fn describe() -> Value {
        let entry = json!({
            "anyOf": [
                {"type": "string", "description": "The place there: names with dots between."},
                {"type": "object", "additionalProperties": false, "properties": {
                    "path": {"type": "string"}, "in": {"type": "string"}, "out": {"type": "string"},
                    "only": {"enum": ["in", "out"]}, "codec": {}, "set": {"enum": ["merge", "replace"]},
                    "create_only": {"type": "boolean"}, "default": {}, "cleared": {}, "reference": {"type": "string"},
                    "max_length": {"type": "integer"}, "case": {"enum": ["lower", "upper"]},
                    "scale": {"type": "integer"}, "precision": {"type": "integer"},
                    "time": {"enum": ["millisecond", "second", "minute", "day"]},
                }},
            ],
        });
        json!({"type": "object", "additionalProperties": entry})
    }
}

impl Read for Moment {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let said = json!({"at": at.node.to_json()});
        let mapping = Mapping::parse(&said).map_err(|wrong| {
            let text = wrong.into_iter().map(|one| one.message).next().unwrap_or_default();
            at.problem(text)
        })?;
        let entry = mapping.entries.into_values().next();
        let found = entry.and_then(|entry| Some(Self { path: entry.path?, codecs: entry.codecs }));
        found.ok_or_else(|| at.problem("a path is expected, or `path` with `codec`"))
    }
}

impl Describe for Moment {
    fn describe() -> Value {
        json!({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": false, "required": ["path"],
            "properties": {"path": {"type": "string"}, "codec": {}}}]})
    }
}
