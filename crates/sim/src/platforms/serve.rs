//! A platform over real HTTP, for whoever cannot be handed a transport: another runtime, the binary, a person.
//! It must not decide anything: it carries calls in and answers out.

use super::{Answer, Call, Platform, Site};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

/// The largest body that is taken, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The pieces in which a chunked body goes out, in bytes.
const CHUNK_BYTES: usize = 4 * 1024;

/// Serves a platform on a listener until the future is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve<P: Platform>(site: Arc<Site<P>>, listener: TcpListener) -> std::io::Result<()> {
    let router = Router::new().fallback(answer::<P>).with_state(site);
    axum::serve(listener, router).await
}

async fn answer<P: Platform>(State(site): State<Arc<Site<P>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    let (Ok(url), Ok(body)) = (Url::parse(&format!("http://{host}{}", head.uri)), to_bytes(body, BODY_BYTES_MAX).await)
    else {
        return response(Answer::empty(StatusCode::BAD_REQUEST));
    };
    let answer = site.answer(&Call { method: head.method, url, headers: head.headers, body });
    tokio::time::sleep(Duration::from_millis(answer.after_ms)).await;
    response(answer)
}

fn response(answer: Answer) -> Response {
    let body = if answer.is_chunked {
        let mut rest = answer.body;
        let pieces = std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok::<Bytes, std::io::Error>(rest.split_to(CHUNK_BYTES.min(rest.len()))))
        });
        Body::from_stream(futures_util::stream::iter(pieces))
    } else {
        Body::from(answer.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
