//! `/connections` and `/connectors`: accounts on platforms, and what there is to connect to.

use super::doc::{Doc, PageOf, doc};
use super::{Answer, Asked, ROOT, gone, made, ok};
use crate::{Server, request};
use axum::extract::State;
use lockstep_core::error::Code;
use lockstep_core::limits;
use lockstep_engine::refusal::Refusal;
use lockstep_sync::control::{connection, connectors, login};
use lockstep_wire::connection::{
    AuthorizeBody, AuthorizeView, ConnectionChecked, ConnectionView, ConnectorEntry, ConnectorView, CreateConnection,
    FieldsAsked, FieldsView, HooksView, UpdateConnection,
};
use serde_json::json;

type OfAll = Asked<String>;
type OfOne = Asked<(String, String)>;

const OF_BODY: [Code; 5] =
    [Code::NotFound, Code::ConnectorInvalid, Code::ProviderTaken, Code::LimitReached, Code::ConnectionFailed];

fn tested(doc: Doc) -> Doc {
    let about = "Whether the configuration is tried at the platform before it is kept; `true` where left out.";
    doc.query("test", &json!({"type": "boolean"}), about)
}

/// Whether a configuration is to be tried, as `?test=` says.
fn is_tested<P>(asked: &Asked<P>) -> Result<bool, Refusal> {
    let parameters = asked.parameters(&["test"])?;
    if parameters.contains_key("test") { request::flag(&parameters, "test") } else { Ok(true) }
}

pub(crate) fn create_doc() -> Doc {
    tested(doc("Connections", "Connect an account"))
        .about(
            "`config` holds what the connector asks for, as `GET /connectors/{name}` says. Secrets in it are sealed \
                and never shown again: `•••` stands in their place.",
        )
        .takes::<CreateConnection>()
        .gives::<ConnectionView>(201, "It was made.")
        .codes(&OF_BODY)
}

pub(crate) async fn create(State(server): State<Server>, asked: OfAll) -> Answer {
    let is_tested = is_tested(&asked)?;
    let body: CreateConnection = asked.read_beside()?;
    let made_one = connection::create(&server.sharing, &asked.principal, &asked.places, body, is_tested).await?;
    made(&made_one, &format!("{ROOT}/businesses/{}/connections/{}", asked.places, made_one.id))
}

pub(crate) fn list_doc() -> Doc {
    doc("Connections", "List connections")
        .about("In the order of their making.")
        .paged(limits::PAGE_ROWS_MAX)
        .gives::<PageOf<ConnectionView>>(200, "A page of them.")
}

pub(crate) async fn list(State(server): State<Server>, asked: OfAll) -> Answer {
    let parameters = asked.parameters(&["limit", "cursor"])?;
    let limit = super::limit(&parameters, limits::PAGE_ROWS_MAX, limits::PAGE_ROWS_MAX)?;
    let after = super::after(&parameters)?;
    let mut all = connection::list(&server.sharing, &asked.principal, &asked.places)?;
    all.retain(|view| after.is_none_or(|after| view.id > after));
    let cursor = all.get(limit.saturating_sub(1)).filter(|_| all.len() > limit).map(|view| view.id.to_string());
    all.truncate(limit);
    asked.page(all, cursor.as_deref())
}

pub(crate) fn get_doc() -> Doc {
    doc("Connections", "Read a connection")
        .gives::<ConnectionView>(200, "It, without its secrets.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn get(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&connection::get(&server.sharing, &asked.principal, business, id)?)
}

pub(crate) fn patch_doc() -> Doc {
    tested(doc("Connections", "Change a connection"))
        .about(
            "What is left out stays as it is. `config` is a merge patch: a secret given as `•••` stays. Credentials \
                of another account are refused where shares stand on the connection.",
        )
        .takes::<UpdateConnection>()
        .gives::<ConnectionView>(200, "It as it now stands.")
        .codes(&OF_BODY)
}

pub(crate) async fn patch(State(server): State<Server>, asked: OfOne) -> Answer {
    let is_tested = is_tested(&asked)?;
    let body: UpdateConnection = asked.read_beside()?;
    let (business, id) = &asked.places;
    ok(&connection::update(&server.sharing, &asked.principal, (business, id), body, is_tested).await?)
}

pub(crate) fn delete_doc() -> Doc {
    doc("Connections", "Drop a connection")
        .about("Its shares must go first. Its credentials are forgotten.")
        .answers(204, "It is gone.")
        .codes(&[Code::NotFound, Code::ConnectionInUse])
}

pub(crate) async fn delete(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    connection::delete(&server.sharing, &asked.principal, business, id).await?;
    gone()
}

pub(crate) fn check_doc() -> Doc {
    doc("Connections", "Try a connection")
        .about("One that needed a login, and works, is ready from then on.")
        .gives::<ConnectionChecked>(200, "How that went.")
        .codes(&[Code::NotFound, Code::ConnectionNotReady])
}

pub(crate) async fn check(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&connection::check(&server.sharing, &asked.principal, business, id).await?)
}

pub(crate) fn authorize_doc() -> Doc {
    doc("Connections", "Log in at the platform")
        .about(
            "Gives the address to open in a browser. Whoever logs in there comes back to `/oauth/callback` within ten \
                minutes, and the connection is ready.",
        )
        .takes::<AuthorizeBody>()
        .gives::<AuthorizeView>(200, "Where to log in.")
        .codes(&[Code::NotFound, Code::ConnectionNotReady, Code::ConnectionFailed, Code::UrlRefused])
}

pub(crate) async fn authorize(State(server): State<Server>, asked: OfOne) -> Answer {
    let body: AuthorizeBody = asked.read()?;
    let (business, id) = &asked.places;
    ok(&login::begin(&server.sharing, &asked.principal, (business, id), body).await?)
}

pub(crate) fn revoke_doc() -> Doc {
    doc("Connections", "End a connection's credentials")
        .about("They are forgotten, and its hooks taken back. Its shares stay and wait for new ones.")
        .gives::<ConnectionView>(200, "It as it now stands.")
        .codes(&[Code::NotFound])
}

pub(crate) async fn revoke(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&connection::revoke(&server.sharing, &asked.principal, business, id).await?)
}

pub(crate) fn fields_doc() -> Doc {
    doc("Connections", "List the fields of a remote object")
        .about("As its account has them now, to be mapped. The platform is asked.")
        .takes::<FieldsAsked>()
        .gives::<FieldsView>(200, "Them; none where the connector cannot tell.")
        .codes(&[Code::NotFound, Code::InvalidValue, Code::ConnectionNotReady, Code::ConnectionFailed])
}

pub(crate) async fn fields(State(server): State<Server>, asked: OfOne) -> Answer {
    let body: FieldsAsked = asked.read()?;
    let (business, id) = &asked.places;
    ok(&connection::fields(&server.sharing, &asked.principal, (business, id), &body).await?)
}

pub(crate) fn hooks_doc() -> Doc {
    doc("Connections", "Addresses of a connection's hooks")
        .about("For platforms at which people set hooks up by hand. Each holds a key: it is a secret.")
        .gives::<HooksView>(200, "One for each share that takes objects in.")
        .codes(&[Code::NotFound, Code::ConnectionNotReady])
}

pub(crate) async fn hooks(State(server): State<Server>, asked: OfOne) -> Answer {
    asked.nothing()?;
    let (business, id) = &asked.places;
    ok(&connection::hooks(&server.sharing, &asked.principal, business, id)?)
}

pub(crate) fn connectors_doc() -> Doc {
    doc("Connectors", "List connectors")
        .about("Those that the hub brought along and those of its operator, in every version.")
        .gives::<PageOf<ConnectorEntry>>(200, "All of them.")
}

pub(crate) async fn connectors(State(server): State<Server>, asked: Asked<()>) -> Answer {
    asked.nothing()?;
    asked.page(connectors::list(&server.sharing), None)
}

pub(crate) fn connector_doc() -> Doc {
    doc("Connectors", "Read a connector")
        .about("What a connection's configuration must hold, and which remote objects can be shared.")
        .query("version", &json!({"type": "string"}), "The version; the newest where left out.")
        .gives::<ConnectorView>(200, "It.")
        .codes(&[Code::NotFound, Code::ConnectorInvalid])
}

pub(crate) async fn connector(State(server): State<Server>, asked: Asked<String>) -> Answer {
    let parameters = asked.parameters(&["version"])?;
    let version = parameters.get("version").map(String::as_str);
    ok(&connectors::get(&server.sharing, &asked.places, version)?)
}
