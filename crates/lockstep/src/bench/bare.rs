//! What Lockstep is compared with: a server that only parses and answers, and a client that only posts.
//! They must stay bare: whatever is added here flatters the hub.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::clock;

/// Posts under way at once, as many as the hub allows one endpoint.
const IN_FLIGHT: usize = 32;
/// As long as the answer of the hub.
const ACCEPTED: &str = r#"{"operationId":"op_01k0000000000000000000000","recordId":"rec_01k0000000000000000000000"}"#;
/// Of the length the hub's headers have.
const WEBHOOK_HEADERS: [(&str, &str); 3] = [
    ("webhook-id", "dlv_01k0000000000000000000000a"),
    ("webhook-timestamp", "1790000000"),
    ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
];

/// Serves creates that keep nothing, until `ended`; tells its address when it is ready.
pub(crate) async fn serve(tell: oneshot::Sender<SocketAddr>, ended: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell.send(listener.local_addr()?).ok();
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let router = Router::new().route("/v1/business/{business}/{type}/create", post(create));
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        _ = ended => {}
    }
    Ok(())
}

async fn create(Path(path): Path<(String, String)>, body: Bytes) -> impl IntoResponse {
    let parsed = serde_json::from_slice::<Value>(&body);
    let status = if parsed.is_ok() { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST };
    black_box((path, parsed.ok()));
    (status, [(CONTENT_TYPE, "application/json")], ACCEPTED)
}

/// Posts `body` to `address` for `lasting` after a warm-up, 32 at a time over kept connections; posts per second.
///
/// Runs on the runtime that calls it: one of a single thread is the cheapest, and how the hub delivers.
pub(crate) async fn post_for(address: SocketAddr, body: Bytes, lasting: Duration) -> anyhow::Result<f64> {
    let answered = Arc::new(AtomicU64::new(0));
    let client = client();
    let mut running = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, body, answered) = (client.clone(), body.clone(), Arc::clone(&answered));
        running.spawn(async move { post_for_ever(&client, address, body, &answered).await });
    }
    tokio::time::sleep(clock::WARM_UP).await;
    let (started, before) = (clock::now(), answered.load(Ordering::Relaxed));
    tokio::select! {
        () = tokio::time::sleep(lasting) => {}
        Some(ended) = running.join_next() => ended??,
    }
    let posts = answered.load(Ordering::Relaxed) - before;
    Ok(posts as f64 / started.elapsed().as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "the peer that the hub's own client is measured against")]
fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IN_FLIGHT).build(connector)
}

/// Ends only by an error.
async fn post_for_ever(
    client: &Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    body: Bytes,
    answered: &AtomicU64,
) -> anyhow::Result<()> {
    let uri: http::Uri = format!("http://{address}/hook/bare").parse()?;
    loop {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in WEBHOOK_HEADERS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let answer = client.request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "the sink answered {}", answer.status());
        answer.into_body().collect().await?;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}
