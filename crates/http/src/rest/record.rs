//! `/records/{type}`: records made, read, changed, deleted, and what else is done with one.

use super::doc::{Doc, doc};
use super::{Answer, Asked, ROOT, gone, made, of_operation, ok};
use crate::{Server, answer, request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use lockstep_core::error::Code;
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_engine::ingest::Verb;
use lockstep_engine::read;
use lockstep_engine::record::{self, Effect, Written};
use lockstep_engine::refusal::Refusal;
use lockstep_wire::operation::{Correlation, ExternalIdView, MergeBody};
use lockstep_wire::record::{HistoryView, SimilarView, WhyView};
use lockstep_wire::rest::{HistoryPage, RecordBody};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;
use std::borrow::Cow;

pub(crate) type OfType = Asked<(String, String)>;
pub(crate) type OfRecord = Asked<(String, String, String)>;

/// The values of a record: which fields there are, each business's types say.
pub(crate) fn fields(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "The record's fields; `/types/{type}` says which there are.",
        "additionalProperties": true,
        "example": {"firstName": "Ann", "email": "ann@example.com"},
    })
}

/// Changes on a page of a record's past where nothing is said.
const HISTORY_USUAL: usize = 100;

const EXTERNAL_IDS: &str = "external-ids";

/// Whether the caller wants all ids of each record and reference.
pub(crate) fn wants_every_id<P>(asked: &Asked<P>) -> Result<bool, Refusal> {
    match request::header(&asked.headers, EXTERNAL_IDS)? {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            let text = format!("the header External-Ids is {other:?}, but it takes true or false");
            Err(Refusal::new(Code::InvalidHeader, text))
        }
    }
}

pub(crate) trait OfRecords {
    /// Says that the header `External-Ids` is taken.
    fn every_id(self) -> Self;
}

impl OfRecords for Doc {
    fn every_id(self) -> Self {
        let about = "With `true`, ids and references come as arrays of `{provider, realm, id}`.";
        self.header("External-Ids", &json!({"type": "string", "enum": ["true", "false"]}), about)
    }
}

/// The version as an entity tag.
fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Whether a version is among the tags that a caller has. Weak ones count: what compresses an answer weakens its tag.
fn is_known(tags: &str, version: u64) -> bool {
    let bare = |tag: &str| tag.trim().strip_prefix("W/").unwrap_or(tag.trim()).to_owned();
    tags.trim() == "*" || tags.split(',').map(bare).any(|known| known == tag(version))
}

/// A record with its tag.
fn tagged(mut response: Response, version: u64) -> Response {
    if let Ok(value) = HeaderValue::from_str(&tag(version)) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// A record as a call left it, `201` where the call made it.
async fn written<P>(server: &Server, asked: &Asked<P>, written: &Written) -> Answer {
    let mut body = written.body()?;
    let id = body.id.as_str().unwrap_or_default().to_owned();
    let place = format!("{ROOT}/businesses/{}/records/{}/{id}", written.business.id, body.ty);
    let version = body.version;
    if wants_every_id(asked)? {
        record::with_every_id(&server.world, &asked.principal, &written.business, &mut body).await?;
    }
    let response = if written.effect == Effect::Created { made(&body, &place) } else { ok(&body) }?;
    Ok(of_operation(tagged(response, version), written.operation))
}

pub(crate) fn create_doc() -> Doc {
    doc("Records", "Make a record")
        .about(
            "With `match`, a living record that agrees in all fields of a declared group is changed instead, and \
                the answer is 200. So it is where `externalId` is known already.",
        )
        .takes_shape(fields)
        .query(
            "match",
            &json!({"type": "array", "items": {"type": "string"}}),
            "A match group, such as `email,phone`; several are alternatives.",
        )
        .query("externalId", &json!({"type": "string"}), "What the caller itself calls it.")
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(201, "It was made.")
        .gives::<RecordBody<'_>>(200, "A record that matched was changed, or was so already.")
        .codes(&[Code::AmbiguousMatch, Code::UnknownMatchGroup, Code::ExternalIdTaken])
}

pub(crate) async fn create(State(server): State<Server>, asked: OfType) -> Answer {
    let parameters = asked.parameters(&["match", "externalId"])?;
    let (fields, matching) = (request::object(asked.bytes())?, request::repeated(&asked.uri, "match"));
    let external_id = parameters.get("externalId").map(String::as_str);
    let verb = Verb::Create { fields, external_id, matching: &matching };
    write(&server, &asked, &asked.places, verb).await
}

async fn write<P>(server: &Server, asked: &Asked<P>, (business, ty): &(String, String), verb: Verb<'_>) -> Answer {
    let scope = asked.scope();
    let call = asked.call((business, ty), verb, &scope)?;
    let done = record::write(&server.world, call).await?;
    written(server, asked, &done).await
}

impl OfRecord {
    fn of(&self) -> (String, String) {
        (self.places.0.clone(), self.places.1.clone())
    }

    fn address(&self) -> (&str, &str, &str) {
        (&self.places.0, &self.places.1, &self.places.2)
    }
}

pub(crate) fn get_doc() -> Doc {
    doc("Records", "Read a record")
        .query("at", &json!({"type": "integer", "minimum": 1}), "The record as it was at this seq.")
        .every_id()
        .header("If-None-Match", &json!({"type": "string"}), "The version the caller has: 304 where it still stands.")
        .gives::<RecordBody<'_>>(200, "The record; its `ETag` is its version.")
        .answers(304, "It is the version that the caller has.")
        .codes(&[Code::RecordNotFound, Code::UnknownType, Code::HistoryPruned])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfRecord) -> Answer {
    let parameters = asked.parameters(&["at"])?;
    if let Some(seq) = request::number(&parameters, "at")? {
        return at(&server, &asked, seq).await;
    }
    let found = record::get(&server.world, &asked.principal, asked.address()).await?;
    let version = found.record.version;
    if request::header(&asked.headers, IF_NONE_MATCH.as_str())?.is_some_and(|known| is_known(known, version)) {
        return Ok(tagged(StatusCode::NOT_MODIFIED.into_response(), version));
    }
    let mut body = found.body();
    if wants_every_id(&asked)? {
        record::with_every_id(&server.world, &asked.principal, &found.business, &mut body).await?;
    }
    Ok(tagged(answer::json(StatusCode::OK, &body), version))
}

async fn at(server: &Server, asked: &OfRecord, seq: u64) -> Answer {
    let world = &server.world;
    let change = read::at(world, &asked.principal, asked.address(), seq).await?;
    let mut body = RecordBody::after(&change, Cow::Borrowed(&change.state.fields));
    if wants_every_id(asked)? {
        let business = asked.principal.business(world, &asked.places.0)?;
        record::with_every_id(world, &asked.principal, &business, &mut body).await?;
    }
    ok(&body)
}

pub(crate) fn patch_doc() -> Doc {
    doc("Records", "Change some fields")
        .about("JSON merge patch (RFC 7396): null clears a field, what is left out stays.")
        .takes_shape(fields)
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(200, "The record as it now stands.")
}

pub(crate) async fn patch(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.parameters(&[])?;
    let verb = Verb::Update { id: &asked.places.2, patch: request::object(asked.bytes())? };
    write(&server, &asked, &asked.of(), verb).await
}

pub(crate) fn put_doc() -> Doc {
    doc("Records", "Replace a record")
        .about(
            "What the body leaves out is cleared, but for fields that the caller may not see or edit. Under \
                `ext:VALUE` that nobody has yet, a record is made.",
        )
        .takes_shape(fields)
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(200, "The record as it now stands.")
        .gives::<RecordBody<'_>>(201, "It was made.")
}

pub(crate) async fn put(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.parameters(&[])?;
    let verb = Verb::Replace { id: &asked.places.2, fields: request::object(asked.bytes())? };
    write(&server, &asked, &asked.of(), verb).await
}

pub(crate) fn delete_doc() -> Doc {
    doc("Records", "Delete a record")
        .about("It becomes a tombstone: its history stays, and its external ids lead to it.")
        .writes()
        .answers(204, "It is deleted, or was.")
}

pub(crate) async fn delete(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.nothing()?;
    tombstone(&server, &asked, Verb::Delete { id: &asked.places.2 }).await
}

async fn tombstone(server: &Server, asked: &OfRecord, verb: Verb<'_>) -> Answer {
    let scope = asked.scope();
    let call = asked.call((&asked.places.0, &asked.places.1), verb, &scope)?;
    let done = record::write(&server.world, call).await?;
    Ok(of_operation(gone()?, done.operation))
}

pub(crate) fn erase_doc() -> Doc {
    doc("Records", "Erase a record")
        .about("Leaves nothing of it but its id, now and in its past. There is no way back.")
        .writes()
        .answers(204, "It is erased.")
}

pub(crate) async fn erase(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.nothing()?;
    tombstone(&server, &asked, Verb::Erase { id: &asked.places.2 }).await
}

pub(crate) fn merge_doc() -> Doc {
    doc("Records", "Merge a record into another")
        .about(
            "The record in the path becomes a tombstone that names the other, whose blanks it fills and to which \
                its external ids move.",
        )
        .takes::<MergeBody>()
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(200, "The record that stays.")
        .codes(&[Code::MergeRefused])
}

pub(crate) async fn merge(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.parameters(&[])?;
    let MergeBody { into } = asked.read()?;
    // The answer is another record than the one written: who may not read it is told before anything is done.
    record::must_read(&server.world, &asked.principal, &asked.places.0, &asked.places.1)?;
    let scope = asked.scope();
    let verb = Verb::Merge { id: &asked.places.2, into: &into };
    let call = asked.call((&asked.places.0, &asked.places.1), verb, &scope)?;
    let done = record::write(&server.world, call).await?;
    let stays = record::get(&server.world, &asked.principal, (&asked.places.0, &asked.places.1, &into)).await?;
    let mut body = stays.body();
    if wants_every_id(&asked)? {
        record::with_every_id(&server.world, &asked.principal, &stays.business, &mut body).await?;
    }
    Ok(of_operation(tagged(answer::json(StatusCode::OK, &body), stays.record.version), done.operation))
}

pub(crate) fn unmerge_doc() -> Doc {
    doc("Records", "Undo a merge")
        .about("The record lives again as it was, with the ids that the other still has of it.")
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(200, "The record.")
        .codes(&[Code::MergeRefused])
}

pub(crate) async fn unmerge(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.nothing()?;
    write(&server, &asked, &asked.of(), Verb::Unmerge { id: &asked.places.2 }).await
}

pub(crate) fn copy_doc() -> Doc {
    doc("Records", "Copy a record")
        .about("A new record with the values of this one, and those of the body in their place; null leaves one out.")
        .takes_shape(fields)
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(201, "The copy.")
}

pub(crate) async fn copy(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.parameters(&[])?;
    let instead = request::object(asked.bytes())?;
    let found = record::get(&server.world, &asked.principal, asked.address()).await?;
    let mut fields = record::copied(&server.world, &asked.principal, &found)?;
    fields.extend(instead);
    let verb = Verb::Create { fields, external_id: None, matching: &[] };
    write(&server, &asked, &asked.of(), verb).await
}

pub(crate) fn external_ids_doc() -> Doc {
    doc("Records", "What a record is called elsewhere")
        .gives::<Vec<ExternalIdView<'_>>>(200, "Its external ids.")
        .codes(&[Code::RecordNotFound, Code::UnknownType])
}

pub(crate) async fn external_ids(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.nothing()?;
    let found = record::get(&server.world, &asked.principal, asked.address()).await?;
    ok(&found.record.state.external_ids.iter().map(ExternalIdView::from).collect::<Vec<_>>())
}

pub(crate) fn correlate_doc() -> Doc {
    doc("Records", "Attach an external id")
        .about("The source is the caller where left out. A record has one id of each source and realm.")
        .takes::<Correlation>()
        .query("force", &json!({"type": "boolean"}), "Takes the id from another record that has it.")
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(200, "The record.")
        .codes(&[Code::ExternalIdTaken])
}

pub(crate) async fn correlate(State(server): State<Server>, asked: OfRecord) -> Answer {
    let force = request::flag(&asked.parameters(&["force"])?, "force")?;
    let verb = Verb::Correlate { id: &asked.places.2, with: request::body(asked.bytes())?, force };
    write(&server, &asked, &asked.of(), verb).await
}

pub(crate) fn uncorrelate_doc() -> Doc {
    let text = || json!({"type": "string"});
    doc("Records", "Detach an external id")
        .query("value", &text(), "The id.")
        .query("source", &text(), "Who calls it so; the caller where left out.")
        .query("realm", &text(), "The account there.")
        .query("object", &text(), "The remote object, where it is not the type.")
        .every_id()
        .writes()
        .gives::<RecordBody<'_>>(200, "The record.")
        .codes(&[Code::ExternalIdUnknown])
}

pub(crate) async fn uncorrelate(State(server): State<Server>, asked: OfRecord) -> Answer {
    let parameters = asked.parameters(&["value", "source", "realm", "object"])?;
    if !parameters.contains_key("value") {
        let text = "the query parameter value is missing: give the external id to detach";
        return Err(Refusal::new(Code::InvalidParameter, text).into());
    }
    let with = serde_json::from_value(json!(parameters))
        .map_err(|error| Refusal::new(Code::InvalidParameter, format!("the external id cannot be read: {error}")))?;
    write(&server, &asked, &asked.of(), Verb::Uncorrelate { id: &asked.places.2, with }).await
}

pub(crate) fn similar_doc() -> Doc {
    doc("Records", "Records that look like one")
        .about("Living records that agree with it in a match group of the type.")
        .gives::<SimilarView>(200, "Which, with what they share.")
        .codes(&[Code::RecordNotFound, Code::UnknownType, Code::UnknownMatchGroup])
}

pub(crate) async fn similar(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.nothing()?;
    ok(&read::similar(&server.world, &asked.principal, asked.address()).await?)
}

pub(crate) fn history_doc() -> Doc {
    doc("Records", "A record's past")
        .about("Its changes as the caller may see them, newest first.")
        .paged(PAGE_ROWS_MAX)
        .gives::<HistoryPage<'_>>(200, "A page of them.")
        .codes(&[Code::RecordNotFound, Code::UnknownType])
}

pub(crate) async fn history(State(server): State<Server>, asked: OfRecord) -> Answer {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let before = request::number(&parameters, "cursor")?;
    let limit = super::limit(&parameters, HISTORY_USUAL, PAGE_ROWS_MAX)?;
    let past = read::history(&server.world, &asked.principal, asked.address(), before, Some(limit)).await?;
    let HistoryView { changes, next, pruned_below } = past.view();
    let next = next.map(|before| asked.at_cursor(&before.to_string()));
    let page = HistoryPage { items: changes, next: next.clone(), pruned_below };
    let mut response = answer::json(StatusCode::OK, &page);
    super::link(&mut response, next.as_deref());
    Ok(response)
}

pub(crate) fn why_doc() -> Doc {
    doc("Records", "Where a record's values came from")
        .about("Of each value: which change set it, when its source saw it, and who brought it.")
        .gives::<WhyView<'_>>(200, "By field.")
        .codes(&[Code::RecordNotFound, Code::UnknownType])
}

pub(crate) async fn why(State(server): State<Server>, asked: OfRecord) -> Answer {
    asked.nothing()?;
    ok(&WhyView::of(&read::why(&server.world, &asked.principal, asked.address()).await?))
}
