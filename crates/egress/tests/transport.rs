//! The real transport against servers of our own on the loopback address.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use http::Method;
use lockstep_egress::{AddressPolicy, HttpTransport, Request, Response, SendError, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LOOPBACK: &str = "127.0.0.0/8";

/// Starts a server and gives its port.
#[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
async fn serve() -> u16 {
    let routes = Router::new()
        .route(
            "/echo",
            post(|headers: HeaderMap, body: Bytes| async move {
                let agent = headers.get("user-agent").cloned().unwrap_or_else(|| "none".parse().unwrap());
                ([("x-agent", agent)], body)
            }),
        )
        .route("/moved", get(|| async { (StatusCode::FOUND, [("location", "/echo")]) }))
        .route("/large", get(|| async { "x".repeat(100_000) }))
        .route("/never", get(std::future::pending::<&'static str>));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

fn request(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        identity: None,
        timeout: Duration::from_secs(20),
        response_bytes_max: 1_000,
    }
}

async fn send(allowed: &[&str], request: Request) -> Result<Response, SendError> {
    let policy = AddressPolicy::new(allowed.iter().map(|net| net.parse().unwrap()).collect());
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(Arc::new(policy)));
    transport.send(request).await
}

#[tokio::test]
async fn a_request_is_sent_as_it_is() {
    let port = serve().await;
    let mut request = request(&format!("http://127.0.0.1:{port}/echo"));
    request.method = Method::POST;
    request.body = Bytes::from_static(b"hello");
    let response = send(&[LOOPBACK], request.clone()).await.unwrap();
    assert_eq!(
        (response.status, response.body.as_ref(), response.is_cut),
        (StatusCode::OK, b"hello".as_slice(), false)
    );
    assert_eq!(response.headers["x-agent"], concat!("lockstep/", env!("CARGO_PKG_VERSION")));

    request.headers.insert("user-agent", "mine".parse().unwrap());
    assert_eq!(send(&[LOOPBACK], request).await.unwrap().headers["x-agent"], "mine");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let port = serve().await;
    let response = send(&[LOOPBACK], request(&format!("http://127.0.0.1:{port}/moved"))).await.unwrap();
    assert_eq!((response.status, response.headers["location"].to_str().unwrap()), (StatusCode::FOUND, "/echo"));
}

#[tokio::test]
async fn a_long_body_is_cut() {
    let port = serve().await;
    let url = format!("http://127.0.0.1:{port}/large");
    let response = send(&[LOOPBACK], request(&url)).await.unwrap();
    assert_eq!((response.body.len(), response.is_cut), (1_000, true));
    let exact = Request { response_bytes_max: 100_000, ..request(&url) };
    let response = send(&[LOOPBACK], exact).await.unwrap();
    assert_eq!((response.body.len(), response.is_cut), (100_000, false));
}

#[tokio::test]
async fn a_server_that_does_not_answer_times_out() {
    let port = serve().await;
    let hasty = Request {
        timeout: Duration::from_millis(50),
        ..request(&format!("http://127.0.0.1:{port}/never?token=secret"))
    };
    let error = send(&[LOOPBACK], hasty).await.unwrap_err();
    assert!(matches!(error, SendError::Timeout { .. }), "{error}");
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn a_body_that_stalls_times_out_too() {
    let port = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", true).await;
    let hasty = Request { timeout: Duration::from_millis(50), ..request(&format!("http://127.0.0.1:{port}/")) };
    assert!(matches!(send(&[LOOPBACK], hasty).await, Err(SendError::Timeout { .. })));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_broken() {
    for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "SSH-2.0-OpenSSH\r\n", ""] {
        let port = raw(answer, false).await;
        let error = send(&[LOOPBACK], request(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
        assert!(matches!(error, SendError::Broken { .. }), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_failure() {
    let port = raw("HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    let error = send(&[LOOPBACK], request(&format!("https://127.0.0.1:{port}/"))).await.unwrap_err();
    assert!(matches!(error, SendError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn closed_addresses_are_refused_before_connecting() {
    for host in ["127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "localhost"] {
        let error = send(&[], request(&format!("http://{host}:9/?token=secret"))).await.unwrap_err();
        assert!(error.is_policy(), "{host}: {error}");
        assert!(error.to_string().contains("--allow-private") && !error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = send(&[LOOPBACK], request(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
    assert!(matches!(error, SendError::Connect { .. }), "{error}");
    assert!(!error.is_policy());
}

#[tokio::test]
async fn extra_roots_must_be_certificates() {
    let policy = Arc::new(AddressPolicy::default());
    assert!(HttpTransport::with_roots(Arc::clone(&policy), b"not pem").is_err());
}

/// A server that answers anything with `answer` and then closes or stays.
#[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
async fn raw(answer: &'static str, stays: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1_024];
            let _read = stream.read(&mut asked).await;
            let _written = stream.write_all(answer.as_bytes()).await;
            if stays {
                std::future::pending::<()>().await;
            }
        }
    });
    port
}
