//! Every route, on one page.

use crate::answer::Refused;
use crate::{Server, auth, health, management, rpc};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use http::header::ALLOW;
use http::{HeaderName, Method, Uri};
use lockstep_core::error::{Code, shown};
use lockstep_engine::refusal::Refusal;

/// Routes that ask for no credentials. Whoever adds one says here why it gives nothing away.
pub const PUBLIC: &[&str] = &[
    "/healthz", // that the process answers
    "/readyz",  // that it can do its work
    "/metrics", // counts, without names of anyone's
];

/// All routes, as written here; those under `/v1/business` answer without `/v1` too.
#[must_use]
pub fn table() -> Vec<(&'static str, MethodRouter<Server>)> {
    vec![
        ("/healthz", get(health::healthz)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(health::metrics)),
        // The Data API.
        ("/v1/business/{business}/{type}/create", post(rpc::record::create)),
        ("/v1/business/{business}/{type}/update/{id}", post(rpc::record::update)),
        ("/v1/business/{business}/{type}/delete/{id}", post(rpc::record::delete)),
        ("/v1/business/{business}/{type}/correlate/{id}", post(rpc::record::correlate)),
        ("/v1/business/{business}/{type}/uncorrelate/{id}", post(rpc::record::uncorrelate)),
        ("/v1/business/{business}/{type}/merge/{id}", post(rpc::record::merge)),
        ("/v1/business/{business}/{type}/unmerge/{id}", post(rpc::record::unmerge)),
        ("/v1/business/{business}/{type}/sync-by-id", post(rpc::record::sync_by_id)),
        ("/v1/business/{business}/{type}/sync-all", post(rpc::record::sync_all)),
        ("/v1/business/{business}/{type}/create-many", post(rpc::upload::create_many)),
        // A record's past, its like and its erasure.
        ("/v1/business/{business}/{type}/erase/{id}", post(rpc::record::erase)),
        ("/v1/business/{business}/{type}/history/{id}", post(rpc::past::history)),
        ("/v1/business/{business}/{type}/at/{id}", post(rpc::past::at)),
        ("/v1/business/{business}/{type}/why/{id}", post(rpc::past::why)),
        ("/v1/business/{business}/{type}/similar/{id}", post(rpc::past::similar)),
        ("/v1/business/{business}/operation/get/{id}", post(rpc::operation::get)),
        ("/v1/business/{business}/subscription/create", post(rpc::subscription::create)),
        ("/v1/business/{business}/subscription/update/{id}", post(rpc::subscription::update)),
        ("/v1/business/{business}/subscription/delete/{id}", post(rpc::subscription::delete)),
        ("/v1/business/{business}/subscription/list", post(rpc::subscription::list)),
        ("/v1/business/{business}/subscription/test/{id}", post(rpc::subscription::test)),
        ("/v1/business/{business}/subscription/replay/{id}", post(rpc::subscription::replay)),
        ("/v1/business/{business}/subscription/rotate-secret/{id}", post(rpc::subscription::rotate_secret)),
        ("/v1/business/{business}/subscription/deliveries/{id}", post(rpc::subscription::deliveries)),
        // Management: the administrator's key alone.
        ("/management/business/create", post(management::create_business)),
        ("/management/business/update/{id}", post(management::update_business)),
        ("/management/business/delete/{id}", post(management::delete_business)),
        ("/management/business/list-all", post(management::list_businesses)),
        ("/management/auth/create", post(management::create_application)),
        ("/management/auth/update/{id}", post(management::update_application)),
        ("/management/auth/delete/{id}", post(management::delete_application)),
        ("/management/auth/list-all", post(management::list_applications)),
        ("/management/backup", post(management::backup)),
        ("/management/release", post(management::release)),
    ]
}

/// The router over all of them.
pub fn router(server: Server) -> Router {
    let mut router = Router::new();
    for (path, route) in table() {
        if let Some(alias) = path.strip_prefix("/v1").filter(|alias| alias.starts_with("/business")) {
            router = router.route(alias, route.clone());
        }
        router = router.route(path, route);
    }
    let router = router.route_layer(from_fn_with_state(server.clone(), auth::enter));
    router.fallback(unknown_path).method_not_allowed_fallback(method_not_allowed).with_state(server)
}

async fn unknown_path(uri: Uri) -> Refused {
    let text = format!(
        "there is no path {}: calls of the Data API are POST /v1/business/BUSINESS/TYPE/create, update/ID, delete/ID, \
         correlate/ID, uncorrelate/ID, merge/ID, unmerge/ID, sync-by-id?id=ID, sync-all, create-many",
        shown(uri.path())
    );
    Refusal::new(Code::UnknownPath, text).into()
}

async fn method_not_allowed(method: Method, uri: Uri) -> ([(HeaderName, &'static str); 1], Refused) {
    let takes = if PUBLIC.contains(&uri.path()) { "GET" } else { "POST" };
    let text = format!("{} does not take {method}, but {takes}", shown(uri.path()));
    ([(ALLOW, takes)], Refusal::new(Code::MethodNotAllowed, text).into())
}
