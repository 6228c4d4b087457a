//! `lockstep.yaml`: what stands beside a manifest and says what its format cannot: objects and their fields, finding,
//! fetching and writing them, hooks, and who the account is.
//!
//! The vocabulary is the manifest's, and so is the requester that calls inherit. [`Sharing::parse`] reads the file,
//! [`Sharing::schema`] describes it. It must not make a call.

mod call;
mod fill;
mod hooks;
mod part;
mod plain;
mod remote;

use std::collections::BTreeMap;

use lockstep_core::schema::Schema;
use serde_json::{Value, json};

use crate::components::HttpRequester;
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest};
use crate::node::{Data, Node};
use crate::problem::Problem;
use crate::propagate::propagate;
use crate::read::{At, Read};
use crate::resolve::resolve;
use crate::yaml;
use part::{Describe, part};

pub use call::Call;
pub use fill::{Blank, Fill, Pick};
pub use hooks::{CheckHook, Decoding, Digest, Encoding, Hooks, KeyFetch, ListHooks, Proof, Register, Verifier};
pub use remote::{
    Batch, BulkSaid, ClassSaid, ErrorSaid, Fetch, Find, Listed, Moment, OptionSaid, Poll, Remote, Shape, Step, Steps,
    Submit, Writing,
};

/// The version of this format.
const VERSION: u64 = 1;

/// What stands before a reference into the manifest.
const MANIFEST_REF: &str = "manifest#/";

/// The requester that calls inherit where the file says nothing.
const REQUESTER: &str = "manifest#/definitions/requester";

part! {
    /// What a connector says beside its manifest.
    Said {
        /// The version of this format: 1.
        version: u64,
        /// The slug under which the ids of its objects stand; the folder's name where nothing is said.
        provider: Option<String>,
        /// The requester of the manifest that calls inherit base URL, proof and error handling from.
        requester: Option<Blank>,
        /// Whose account it is.
        identity: Option<IdentitySaid>,
        /// Limits on calls besides the manifest's budget.
        limits: Option<Limits>,
        /// How somebody gives leave to use their account.
        authorization: Option<Authorization>,
        /// Tables of names by which ids are called in the account.
        names: BTreeMap<String, Names> = BTreeMap::new(),
        /// Remote objects by their name.
        types: BTreeMap<String, Remote>,
    }

    /// Whose account it is.
    IdentitySaid (call) {
        /// The account's id.
        id: Pick,
        /// What people call it.
        label: Option<Pick>,
    }

    /// Limits on calls besides the manifest's budget.
    Limits {
        /// Calls under way at a time.
        at_once: u64 = 4,
    }

    /// How somebody gives leave to use their account. Texts see `config`, `redirect_uri`, `state` and `challenge`.
    Authorization {
        /// Where they are sent.
        url: Fill,
        /// The query.
        parameters: Blank,
        /// Turns the code that came back into credentials.
        exchange: Exchange,
    }

    /// Turns a code into credentials; sees `code`, `redirect_uri` and `verifier`.
    Exchange (call) {
        /// What of the answer goes where in the configuration; sees `body`.
        config: Blank,
    }

    /// A table of names by which ids are called in the account.
    Names {
        /// The manifest's stream of it; a row is seen as `item`.
        stream: String,
        /// Which rows are meant.
        when as "if": Option<Fill>,
        /// Of a row, the id.
        id: Pick,
        /// Of a row, the name.
        name: Pick,
    }
}

/// What a connector says beside its manifest.
#[derive(Debug, Clone)]
pub struct Sharing {
    /// The slug under which the ids of its objects stand; the folder's name where it says none.
    pub provider: Option<String>,
    /// What calls inherit.
    pub requester: Box<HttpRequester>,
    /// Whose account it is.
    pub identity: Option<IdentitySaid>,
    /// Calls under way at a time.
    pub at_once: usize,
    /// How somebody gives leave to use their account.
    pub authorization: Option<Authorization>,
    /// Tables of names.
    pub names: BTreeMap<String, Names>,
    /// Remote objects by their name.
    pub types: BTreeMap<String, Remote>,
}

/// Calls at a time, where nothing is said, and at most.
const AT_ONCE: usize = 4;
const AT_ONCE_MAX: usize = 32;

impl Sharing {
    /// Reads the file beside a manifest.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line and path. Names that are not known are faults.
    pub fn parse(text: &str, manifest: &str) -> Result<Self, Vec<Problem>> {
        let one = |problem: Problem| vec![problem];
        if text.len() > MANIFEST_BYTES_MAX {
            let message = format!("the file has {} bytes and at most {MANIFEST_BYTES_MAX} are read", text.len());
            return Err(one(Problem::at(1, message)));
        }
        let file = yaml::parse(text).map_err(one)?;
        if !matches!(file.data, Data::Map(_)) {
            return Err(one(Problem::at(1, format!("the file is a mapping, and this is {}", file.kind()))));
        }
        let requester = requester(&file, manifest).map_err(one)?;
        let mut node = resolve(&file).map_err(one)?;
        node.take("requester");
        let at = At::root(&node, "");
        let read = Said::read(&at);
        let mut problems = at.take_doubts();
        match read {
            Err(problem) => problems.insert(0, problem),
            Ok(said) => {
                let manifest = Manifest::parse(manifest)?;
                check(&said, &at, &manifest, &mut problems);
                if problems.is_empty() {
                    let at_once = said.limits.map_or(AT_ONCE, |limits| usize::try_from(limits.at_once).unwrap_or(1));
                    return Ok(Self {
                        provider: said.provider,
                        requester: Box::new(requester),
                        identity: said.identity,
                        at_once: at_once.clamp(1, AT_ONCE_MAX),
                        authorization: said.authorization,
                        names: said.names,
                        types: said.types,
                    });
                }
            }
        }
        Err(problems)
    }

    /// The file's JSON Schema.
    #[must_use]
    pub fn schema() -> Value {
        let mut schema = Said::describe();
        if let Value::Object(members) = &mut schema {
            members.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
            members.insert("title".to_owned(), json!("lockstep.yaml"));
            if let Some(Value::Object(members)) = members.get_mut("properties") {
                members.insert("definitions".to_owned(), json!({"description": "Parts that `$ref` refers to."}));
            }
        }
        schema
    }
}

/// The requester that calls inherit: one of the manifest, with what the file says instead.
fn requester(file: &Node, manifest: &str) -> Result<HttpRequester, Problem> {
    let line = file.get("requester").map_or(1, |node| node.line);
    let text = |text: String| Node { line, data: Data::Text(text) };
    let said = file.get("requester").cloned().unwrap_or_else(|| text(REQUESTER.to_owned()));
    let into = |reference: &str| {
        let inner = reference.strip_prefix(MANIFEST_REF).map(|path| text(format!("#/{path}")));
        inner.ok_or_else(|| Problem::at(line, format!("requester: {reference:?} is no reference; write {REQUESTER:?}")))
    };
    let said = match said.data {
        Data::Text(reference) => Node { line, data: Data::Map(vec![("$ref".to_owned(), into(&reference)?)]) },
        _ => {
            let mut said = said;
            if let Some(reference) = said.get("$ref").and_then(Node::text).map(str::to_owned) {
                said.set("$ref", into(&reference)?);
            }
            said
        }
    };
    let mut whole = yaml::parse(manifest)?;
    whole.set("lockstep_requester", said);
    let mut resolved = resolve(&whole)?;
    let node = resolved.take("lockstep_requester").unwrap_or_else(|| text(String::new()));
    let node = propagate(node, "SimpleRetriever.requester", &Vec::new());
    HttpRequester::read(&At::root(&node, "requester"))
}

/// What can only be seen with both files at hand.
fn check(said: &Said, at: &At<'_>, manifest: &Manifest, problems: &mut Vec<Problem>) {
    let mut tell = |path: &[&str], message: String| problems.push(at.below(path, message));
    if said.version != VERSION {
        tell(&["version"], format!("the version is {}, and this build reads {VERSION}", said.version));
    }
    let has_stream =
        |name: &str| manifest.streams.iter().any(|entry| entry.name == name) || !manifest.dynamic_streams.is_empty();
    for (name, table) in &said.names {
        if !has_stream(&table.stream) {
            tell(&["names", name, "stream"], format!("the manifest has no stream {}", table.stream));
        }
    }
    let schema = Schema::ready_made();
    for (name, remote) in &said.types {
        if let Some(stream) = remote.stream.as_ref().filter(|stream| !has_stream(stream)) {
            tell(&["types", name, "stream"], format!("the manifest has no stream {stream}"));
        }
        for table in remote.shape.iter().filter_map(|shape| shape.names.as_ref()) {
            if !said.names.contains_key(table) {
                tell(&["types", name, "shape"], format!("there is no table {table} under `names`"));
            }
        }
        for field in remote.matching.iter().flatten().filter(|field| !remote.mapping.entries.contains_key(*field)) {
            tell(&["types", name, "match"], format!("{field} is not among `fields`"));
        }
        // A type of the business's own is known only there.
        if let Ok(shape) = schema.shape(&remote.ty)
            && let Err(wrong) = remote.mapping.compile(shape)
        {
            for one in wrong {
                let field = one.pointer.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                tell(&["types", name, "fields", field], one.message.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
