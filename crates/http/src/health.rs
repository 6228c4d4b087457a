//! Signs of life: `/healthz`, `/readyz`, `/metrics`.

use crate::Server;
use crate::answer::json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use lockstep_core::clock::Timestamp;
use lockstep_engine::control::hold;
use serde::Serialize;

/// The post room turns at least once a second; without a turn for this long it is stuck.
const STUCK_MS: u64 = 10_000;

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepting: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivering: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'static str>,
}

/// Whether commits are taken and deliveries go out; red when either does not.
pub(crate) async fn readyz(State(server): State<Server>) -> Response {
    let world = &server.world;
    let accepting = world.store.state().refusing;
    let turned_at = Timestamp(world.metrics.delivery_turned_at_ms.get());
    let still_ms = world.clock.now().ms_since(turned_at);
    let delivering = (still_ms > STUCK_MS).then(|| "the post room has not turned for a while: see the log".to_owned());
    // Somebody wants it so: that is no reason to start the server anew.
    let held = world.settings.read(|settings| settings.hold.is_some()).then_some(hold::WHY);
    let readiness = Readiness { ready: accepting.is_none() && delivering.is_none(), accepting, delivering, held };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &readiness)
}

/// What Prometheus reads.
pub(crate) async fn metrics(State(server): State<Server>) -> Response {
    let world = &server.world;
    world.metrics.observe_store(&world.store.state());
    world.metrics.held.set(world.settings.read(|settings| settings.hold.is_some()).into());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], world.metrics.text()).into_response()
}
