//! Every route, on one page.

use crate::answer::refused;
use crate::rest::doc::Doc;
use crate::rest::{
    access, change, connection, openapi, operation, query, record, run, share, subscription, types, who,
};
use crate::{Server, auth, health, inbound, login, management, page, rpc};
use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, Uri};
use lockstep_core::error::{Code, shown};
use lockstep_engine::refusal::Refusal;

/// Routes that ask for no credentials. Whoever adds one says here why it gives nothing away.
pub const PUBLIC: &[&str] = &[
    "/healthz",                            // that the process answers
    "/readyz",                             // that it can do its work
    "/metrics",                            // counts, without names of anyone's
    "/openapi.json",                       // the same for everybody
    "/errors/{code}",                      // pages of the documentation
    "/hook/{connection}/{object}",         // takes what proves itself as the connector wants it, and says nothing
    "/hook/{connection}/{object}/{*rest}", // the same
    "/oauth/callback", // says nothing to whoever does not bring back the word of a login that was begun here
];

/// A route.
pub struct Route {
    /// The verb.
    pub method: Method,
    /// The path, with its places in braces.
    pub path: &'static str,
    /// What the OpenAPI document says of it; none for those that it leaves out.
    pub doc: Option<fn() -> Doc>,
    handler: MethodRouter<Server>,
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// A route that the OpenAPI document leaves out.
fn bare<H: Handler<T, Server>, T: 'static>(method: Method, path: &'static str, handler: H) -> Route {
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::TRACE);
    Route { handler: on(filter, handler), method, path, doc: None }
}

/// The path of something within a business, on the REST face.
macro_rules! within {
    ($path:literal) => {
        concat!("/rest/v1/businesses/{business}", $path)
    };
}

/// A route of the REST face.
fn rest<H: Handler<T, Server>, T: 'static>(method: Method, path: &'static str, handler: H, doc: fn() -> Doc) -> Route {
    Route { doc: Some(doc), ..bare(method, path, handler) }
}

/// All routes, as written here; those under `/v1/business` answer without `/v1` too.
#[must_use]
pub fn table() -> Vec<Route> {
    let rest = [of_rest(), of_types(), of_records(), of_subscriptions(), of_access(), of_connections(), of_shares()]
        .into_iter()
        .flatten();
    [of_health(), of_rpc(), of_management()].into_iter().flatten().chain(rest).collect()
}

/// Signs of life, and what anyone may read.
fn of_health() -> Vec<Route> {
    vec![
        bare(GET, "/healthz", health::healthz),
        bare(GET, "/readyz", health::readyz),
        bare(GET, "/metrics", health::metrics),
        bare(GET, "/openapi.json", openapi::serve),
        bare(GET, "/errors/{code}", page::error),
        bare(GET, "/oauth/callback", login::callback),
        bare(GET, "/hook/{connection}/{object}", inbound::hook),
        bare(POST, "/hook/{connection}/{object}", inbound::hook),
        bare(PUT, "/hook/{connection}/{object}", inbound::hook),
        bare(GET, "/hook/{connection}/{object}/{*rest}", inbound::hook),
        bare(POST, "/hook/{connection}/{object}/{*rest}", inbound::hook),
        bare(PUT, "/hook/{connection}/{object}/{*rest}", inbound::hook),
    ]
}

/// The Data API.
fn of_rpc() -> Vec<Route> {
    vec![
        bare(POST, "/v1/business/{business}/{type}/create", rpc::record::create),
        bare(POST, "/v1/business/{business}/{type}/update/{id}", rpc::record::update),
        bare(POST, "/v1/business/{business}/{type}/delete/{id}", rpc::record::delete),
        bare(POST, "/v1/business/{business}/{type}/correlate/{id}", rpc::record::correlate),
        bare(POST, "/v1/business/{business}/{type}/uncorrelate/{id}", rpc::record::uncorrelate),
        bare(POST, "/v1/business/{business}/{type}/merge/{id}", rpc::record::merge),
        bare(POST, "/v1/business/{business}/{type}/unmerge/{id}", rpc::record::unmerge),
        bare(POST, "/v1/business/{business}/{type}/sync-by-id", rpc::record::sync_by_id),
        bare(POST, "/v1/business/{business}/{type}/sync-all", rpc::record::sync_all),
        bare(POST, "/v1/business/{business}/{type}/create-many", rpc::upload::create_many),
        // A record's past and its like; its erasure takes the ability to manage.
        bare(POST, "/v1/business/{business}/{type}/erase/{id}", rpc::record::erase),
        bare(POST, "/v1/business/{business}/{type}/history/{id}", rpc::past::history),
        bare(POST, "/v1/business/{business}/{type}/at/{id}", rpc::past::at),
        bare(POST, "/v1/business/{business}/{type}/why/{id}", rpc::past::why),
        bare(POST, "/v1/business/{business}/{type}/similar/{id}", rpc::past::similar),
        bare(POST, "/v1/business/{business}/operation/get/{id}", rpc::operation::get),
        bare(POST, "/v1/business/{business}/subscription/create", rpc::subscription::create),
        bare(POST, "/v1/business/{business}/subscription/update/{id}", rpc::subscription::update),
        bare(POST, "/v1/business/{business}/subscription/delete/{id}", rpc::subscription::delete),
        bare(POST, "/v1/business/{business}/subscription/list", rpc::subscription::list),
        bare(POST, "/v1/business/{business}/subscription/test/{id}", rpc::subscription::test),
        bare(POST, "/v1/business/{business}/subscription/replay/{id}", rpc::subscription::replay),
        bare(POST, "/v1/business/{business}/subscription/rotate-secret/{id}", rpc::subscription::rotate_secret),
        bare(POST, "/v1/business/{business}/subscription/deliveries/{id}", rpc::subscription::deliveries),
    ]
}

/// Management: the administrator's key alone.
fn of_management() -> Vec<Route> {
    vec![
        bare(POST, "/management/business/create", management::create_business),
        bare(POST, "/management/business/update/{id}", management::update_business),
        bare(POST, "/management/business/delete/{id}", management::delete_business),
        bare(POST, "/management/business/list-all", management::list_businesses),
        bare(POST, "/management/auth/create", management::create_application),
        bare(POST, "/management/auth/update/{id}", management::update_application),
        bare(POST, "/management/auth/delete/{id}", management::delete_application),
        bare(POST, "/management/auth/list-all", management::list_applications),
        bare(POST, "/management/backup", management::backup),
        bare(POST, "/management/release", management::release),
    ]
}

/// The REST face: who calls, and what has happened.
fn of_rest() -> Vec<Route> {
    vec![
        rest(GET, "/rest/v1/me", who::me, who::me_doc),
        rest(GET, "/rest/v1/businesses", who::businesses, who::businesses_doc),
        rest(GET, within!("/changes"), change::changes, change::changes_doc),
        rest(GET, within!("/operations/{id}"), operation::get, operation::get_doc),
        rest(POST, within!("/operations/{id}/rollback"), operation::rollback, operation::rollback_doc),
    ]
}

/// The REST face: types and fields.
fn of_types() -> Vec<Route> {
    vec![
        rest(GET, within!("/types"), types::list, types::list_doc),
        rest(POST, within!("/types"), types::create, types::create_doc),
        rest(GET, within!("/types/{type}"), types::get, types::get_doc),
        rest(PATCH, within!("/types/{type}"), types::patch, types::patch_doc),
        rest(DELETE, within!("/types/{type}"), types::delete, types::delete_doc),
        rest(GET, within!("/types/{type}/fields"), types::fields, types::fields_doc),
        rest(POST, within!("/types/{type}/fields"), types::create_field, types::create_field_doc),
        rest(GET, within!("/types/{type}/fields/{field}"), types::field, types::field_doc),
        rest(PATCH, within!("/types/{type}/fields/{field}"), types::patch_field, types::patch_field_doc),
        rest(DELETE, within!("/types/{type}/fields/{field}"), types::delete_field, types::delete_field_doc),
    ]
}

/// The REST face: records.
fn of_records() -> Vec<Route> {
    vec![
        rest(GET, within!("/records/{type}"), query::list, query::list_doc),
        rest(GET, within!("/samples/{type}"), query::samples, query::samples_doc),
        rest(GET, within!("/resources/{type}"), query::resources, query::resources_doc),
        rest(POST, within!("/records/{type}"), record::create, record::create_doc),
        rest(GET, within!("/records/{type}/{id}"), record::get, record::get_doc),
        rest(PUT, within!("/records/{type}/{id}"), record::put, record::put_doc),
        rest(PATCH, within!("/records/{type}/{id}"), record::patch, record::patch_doc),
        rest(DELETE, within!("/records/{type}/{id}"), record::delete, record::delete_doc),
        rest(POST, within!("/records/{type}/{id}/copy"), record::copy, record::copy_doc),
        rest(POST, within!("/records/{type}/{id}/merge"), record::merge, record::merge_doc),
        rest(POST, within!("/records/{type}/{id}/unmerge"), record::unmerge, record::unmerge_doc),
        rest(POST, within!("/records/{type}/{id}/erase"), record::erase, record::erase_doc),
        rest(GET, within!("/records/{type}/{id}/similar"), record::similar, record::similar_doc),
        rest(GET, within!("/records/{type}/{id}/external-ids"), record::external_ids, record::external_ids_doc),
        rest(POST, within!("/records/{type}/{id}/external-ids"), record::correlate, record::correlate_doc),
        rest(DELETE, within!("/records/{type}/{id}/external-ids"), record::uncorrelate, record::uncorrelate_doc),
        rest(GET, within!("/records/{type}/{id}/history"), record::history, record::history_doc),
        rest(GET, within!("/records/{type}/{id}/why"), record::why, record::why_doc),
    ]
}

/// The REST face: subscriptions.
fn of_subscriptions() -> Vec<Route> {
    vec![
        rest(GET, within!("/subscriptions"), subscription::list, subscription::list_doc),
        rest(POST, within!("/subscriptions"), subscription::create, subscription::create_doc),
        rest(GET, within!("/subscriptions/{id}"), subscription::get, subscription::get_doc),
        rest(PATCH, within!("/subscriptions/{id}"), subscription::patch, subscription::patch_doc),
        rest(DELETE, within!("/subscriptions/{id}"), subscription::delete, subscription::delete_doc),
        rest(POST, within!("/subscriptions/{id}/test"), subscription::test, subscription::test_doc),
        rest(GET, within!("/subscriptions/{id}/deliveries"), subscription::deliveries, subscription::deliveries_doc),
        rest(POST, within!("/subscriptions/{id}/replay"), subscription::replay, subscription::replay_doc),
        rest(POST, within!("/subscriptions/{id}/rotate-secret"), subscription::rotate, subscription::rotate_doc),
    ]
}

/// The REST face: who may call.
fn of_access() -> Vec<Route> {
    vec![
        rest(GET, within!("/tokens"), access::tokens, access::tokens_doc),
        rest(POST, within!("/tokens"), access::create_token, access::create_token_doc),
        rest(GET, within!("/tokens/{id}"), access::token, access::token_doc),
        rest(PATCH, within!("/tokens/{id}"), access::patch_token, access::patch_token_doc),
        rest(DELETE, within!("/tokens/{id}"), access::revoke_token, access::revoke_token_doc),
        rest(GET, within!("/applications"), access::applications, access::applications_doc),
        rest(POST, within!("/applications"), access::create_application, access::create_application_doc),
        rest(GET, within!("/applications/{id}"), access::application, access::application_doc),
        rest(PATCH, within!("/applications/{id}"), access::patch_application, access::patch_application_doc),
        rest(DELETE, within!("/applications/{id}"), access::delete_application, access::delete_application_doc),
        rest(POST, within!("/applications/{id}/rotate"), access::rotate_application, access::rotate_application_doc),
        rest(GET, within!("/audit"), access::audit, access::audit_doc),
    ]
}

/// The REST face: platforms.
fn of_connections() -> Vec<Route> {
    vec![
        rest(GET, "/rest/v1/connectors", connection::connectors, connection::connectors_doc),
        rest(GET, "/rest/v1/connectors/{name}", connection::connector, connection::connector_doc),
        rest(GET, within!("/connections"), connection::list, connection::list_doc),
        rest(POST, within!("/connections"), connection::create, connection::create_doc),
        rest(GET, within!("/connections/{id}"), connection::get, connection::get_doc),
        rest(PATCH, within!("/connections/{id}"), connection::patch, connection::patch_doc),
        rest(DELETE, within!("/connections/{id}"), connection::delete, connection::delete_doc),
        rest(POST, within!("/connections/{id}/check"), connection::check, connection::check_doc),
        rest(POST, within!("/connections/{id}/authorize"), connection::authorize, connection::authorize_doc),
        rest(POST, within!("/connections/{id}/revoke"), connection::revoke, connection::revoke_doc),
        rest(POST, within!("/connections/{id}/fields"), connection::fields, connection::fields_doc),
        rest(GET, within!("/connections/{id}/hooks"), connection::hooks, connection::hooks_doc),
    ]
}

/// The REST face: what is shared with platforms, and how that goes.
fn of_shares() -> Vec<Route> {
    vec![
        rest(GET, within!("/shares"), share::list, share::list_doc),
        rest(POST, within!("/shares"), share::create, share::create_doc),
        rest(GET, within!("/shares/{id}"), share::get, share::get_doc),
        rest(PATCH, within!("/shares/{id}"), share::patch, share::patch_doc),
        rest(DELETE, within!("/shares/{id}"), share::delete, share::delete_doc),
        rest(POST, within!("/shares/{id}/preview"), share::preview, share::preview_doc),
        rest(POST, within!("/shares/{id}/run"), share::run, share::run_doc),
        rest(POST, within!("/shares/{id}/pause"), share::pause, share::pause_doc),
        rest(POST, within!("/shares/{id}/resume"), share::resume, share::resume_doc),
        rest(POST, within!("/shares/{id}/cancel"), share::cancel, share::cancel_doc),
        rest(GET, within!("/runs"), run::list, run::list_doc),
        rest(GET, within!("/runs/{id}"), run::get, run::get_doc),
        rest(POST, within!("/runs/{id}/pause"), run::pause, run::pause_doc),
        rest(POST, within!("/runs/{id}/resume"), run::resume, run::resume_doc),
        rest(POST, within!("/runs/{id}/cancel"), run::cancel, run::cancel_doc),
        rest(GET, within!("/problems"), run::problems, run::problems_doc),
        rest(POST, within!("/problems/replay"), run::replay_all, run::replay_all_doc),
        rest(GET, within!("/problems/{id}"), run::problem, run::problem_doc),
        rest(POST, within!("/problems/{id}/replay"), run::replay, run::replay_doc),
        rest(POST, within!("/problems/{id}/dismiss"), run::dismiss, run::dismiss_doc),
    ]
}

/// The router over all of them.
pub fn router(server: Server) -> Router {
    let mut router = Router::new();
    for Route { path, handler, .. } in table() {
        if let Some(alias) = path.strip_prefix("/v1").filter(|alias| alias.starts_with("/business")) {
            router = router.route(alias, handler.clone());
        }
        router = router.route(path, handler);
    }
    let router = router.route_layer(from_fn_with_state(server.clone(), auth::enter));
    router.fallback(unknown_path).method_not_allowed_fallback(method_not_allowed).with_state(server)
}

async fn unknown_path(uri: Uri) -> Response {
    let hint = match uri.path().starts_with("/rest/") {
        true => "/openapi.json lists those there are",
        false => {
            "calls of the Data API are POST /v1/business/BUSINESS/TYPE/create, update/ID, delete/ID, correlate/ID, \
             uncorrelate/ID, merge/ID, unmerge/ID, sync-by-id?id=ID, sync-all, create-many"
        }
    };
    let text = format!("there is no path {}: {hint}", shown(uri.path()));
    refused(&uri, Refusal::new(Code::UnknownPath, text))
}

/// The header `Allow`, which says what the path takes, is the router's own.
async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let text = format!("{} does not take {method}; the header Allow says what it takes", shown(uri.path()));
    refused(&uri, Refusal::new(Code::MethodNotAllowed, text))
}
