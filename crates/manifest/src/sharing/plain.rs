//! What a manifest says by itself: each of its streams that has a primary key is an object that can be listed, and no
//! more. So manifests that nobody wrote a `lockstep.yaml` for can be read by shares that bring their own mapping.

use std::collections::BTreeMap;

use lockstep_core::mapping::{Mapping, Path};

use super::fill::{Fill, Pick};
use super::{AT_ONCE, Remote, Sharing};
use crate::components::{DeclarativeStream, HttpRequester, Requester, Retriever, Stream};
use crate::manifest::Manifest;

impl Sharing {
    /// What is known of a connector that has no `lockstep.yaml`; none where nothing of it can be listed.
    #[must_use]
    pub fn plain(manifest: &Manifest) -> Option<Self> {
        let streams: Vec<&DeclarativeStream> =
            manifest.streams.iter().filter_map(|entry| entry.stream.as_deref().ok()).map(declared).collect();
        let requester = streams.first().map(|stream| requester(stream).clone())?;
        let types: BTreeMap<String, Remote> =
            streams.iter().filter_map(|stream| Some((stream.name.clone(), listed(stream)?))).collect();
        (!types.is_empty()).then(|| Self {
            provider: None,
            requester: Box::new(requester),
            identity: None,
            at_once: AT_ONCE,
            authorization: None,
            names: BTreeMap::new(),
            types,
        })
    }
}

fn declared(stream: &Stream) -> &DeclarativeStream {
    match stream {
        Stream::Declarative(stream) => stream,
        Stream::StateDelegating(both) => &both.full_refresh_stream,
    }
}

fn requester(stream: &DeclarativeStream) -> &HttpRequester {
    let Requester::HttpRequester(requester) = match &stream.retriever {
        Retriever::Simple(retriever) => &retriever.requester,
        Retriever::Async(retriever) => &retriever.creation_requester,
    };
    requester
}

/// An object that is listed by a stream; none where the stream does not say what tells its records apart.
fn listed(stream: &DeclarativeStream) -> Option<Remote> {
    let cursor = stream.incremental_sync.as_ref().map(|cursor| cursor.cursor_field());
    let cursor = cursor.filter(|field| field.is_literal());
    Some(Remote {
        ty: String::new(),
        label: None,
        stream: Some(stream.name.clone()),
        only: None,
        is_complete: false,
        is_partial: false,
        id: id(&stream.primary_key.0)?,
        version: cursor.map(|field| Pick::Path(place(&[field.source().to_owned()]))),
        changed_at: None,
        gone: None,
        options: BTreeMap::new(),
        shape: Vec::new(),
        matching: Vec::new(),
        mapping: Mapping::default(),
        pair: None,
        fetch: None,
        find: None,
        write: None,
        errors: Vec::new(),
        hooks: None,
        columns: Vec::new(),
        settle_after: 0,
    })
}

/// Where the id stands: one path, or several with a colon between.
fn id(key: &[Vec<String>]) -> Option<Pick> {
    if let [one] = key {
        return Some(Pick::Path(place(one)));
    }
    let is_plain = |name: &String| !name.contains(['\'', '\\', '{', '}']);
    if key.is_empty() || !key.iter().flatten().all(is_plain) {
        return None;
    }
    let hole = |path: &Vec<String>| {
        let names: String = path.iter().map(|name| format!("['{name}']")).collect();
        format!("{{{{ object{names} }}}}")
    };
    let source: Vec<String> = key.iter().map(hole).collect();
    Fill::compile(&source.join(":")).ok().map(Pick::Fill)
}

fn place(names: &[String]) -> Path {
    let names: Vec<String> = names.iter().map(|name| name.replace('\\', "\\\\").replace('.', "\\.")).collect();
    Path::parse(&names.join("."))
}
