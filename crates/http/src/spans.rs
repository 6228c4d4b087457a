//! A span for each request, for whoever has traces on: which route, how it ended, how long it took. Nothing of the
//! body, the headers or the places in the path.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::Method;
use lockstep_engine::SPANS;
use tracing::Instrument;
use tracing::field::Empty;

/// The same routes, each request in a span.
pub fn traced(router: Router) -> Router {
    router.layer(from_fn(follow))
}

async fn follow(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        target: SPANS,
        "lockstep_http::request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method(request.method()),
        http.route = route,
        http.response.status_code = Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Methods that there are; a caller can make up others.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
