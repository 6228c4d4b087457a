//! The real transport: HTTP/1.1 with kept connections, TLS by rustls, no redirects.
//!
//! hyper-util's pooled client and nothing around it: about twelve microseconds of CPU
//! per request, which deliveries need. A request whose kept connection was already
//! closed before anything was sent goes out again on a new one; nothing else is retried.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::address::AddressPolicy;
use crate::connect::{ConnectError, Connector};
use crate::error::{SendError, root_cause};
use crate::identity::Identity;
use crate::transport::{Request, Response, Transport};

/// Kept connections per host.
const IDLE_MAX: usize = 64;
/// How long a connection is kept unused: shorter than most servers keep theirs, so that
/// it is we who close it.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Identities whose connections are kept; with more, the one longest unused makes room.
const IDENTITIES_MAX: usize = 256;
/// Room for a response's head, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1_024;

const DEFAULT_USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("lockstep/", env!("CARGO_PKG_VERSION")));

/// Sends requests over the network, within an [`AddressPolicy`].
///
/// Cheap to clone; clones share the kept connections.
#[derive(Clone)]
pub struct HttpTransport {
    client: Pool,
    /// A pool for each identity: a connection made as one client must not carry another's requests. Newest last.
    identified: Arc<Mutex<Identified>>,
    policy: Arc<AddressPolicy>,
    roots: Arc<RootCertStore>,
}

type Pool = Client<HttpsConnector<Connector>, Full<Bytes>>;
type Identified = Vec<(Arc<Identity>, Pool)>;

/// A file of extra root certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the extra root certificates cannot be used ({cause}); give a PEM file with one or more CERTIFICATE blocks")]
pub struct BadRoots {
    cause: String,
}

impl HttpTransport {
    /// A transport that trusts Mozilla's root certificates.
    #[must_use]
    pub fn new(policy: Arc<AddressPolicy>) -> Self {
        Self::build(policy, Arc::new(public_roots()))
    }

    /// A transport that trusts the certificates in `pem` as well.
    ///
    /// # Errors
    /// `pem` holds no certificate, or one that cannot be read.
    pub fn with_roots(policy: Arc<AddressPolicy>, pem: &[u8]) -> Result<Self, BadRoots> {
        let bad = |cause: String| BadRoots { cause };
        let mut roots = public_roots();
        let public = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.len() == public {
            return Err(bad("it holds no certificate".to_owned()));
        }
        Ok(Self::build(policy, Arc::new(roots)))
    }

    fn build(policy: Arc<AddressPolicy>, roots: Arc<RootCertStore>) -> Self {
        let client = pool(Arc::clone(&policy), Arc::clone(&roots), None);
        Self { client, identified: Arc::default(), policy, roots }
    }

    /// The pool whose connections present this identity.
    fn pool_of(&self, identity: Option<&Arc<Identity>>) -> Pool {
        let Some(identity) = identity else { return self.client.clone() };
        let mut identified = self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        let found = identified.iter().position(|(known, _)| known.is_same(identity));
        let entry = match found {
            Some(at) => identified.remove(at),
            None => {
                let made = pool(Arc::clone(&self.policy), Arc::clone(&self.roots), Some(identity));
                (Arc::clone(identity), made)
            }
        };
        if identified.len() >= IDENTITIES_MAX {
            identified.remove(0);
        }
        let pool = entry.1.clone();
        identified.push(entry);
        pool
    }

    async fn exchange(&self, request: Request, host: &str) -> Result<Response, SendError> {
        let Request { method, url, mut headers, body, identity, response_bytes_max, .. } = request;
        headers.entry(USER_AGENT).or_insert(DEFAULT_USER_AGENT);
        let broken = |cause: String| SendError::Broken { host: host.to_owned(), cause };
        let mut outgoing = http::Request::new(Full::new(body));
        *outgoing.method_mut() = method;
        *outgoing.uri_mut() = Uri::try_from(url.as_str()).map_err(|error| broken(error.to_string()))?;
        *outgoing.headers_mut() = headers;
        let pool = self.pool_of(identity.as_ref());
        let answer = pool.request(outgoing).await.map_err(|error| explain(&error, host))?;
        let (head, incoming) = answer.into_parts();
        let (body, is_cut) = read(incoming, response_bytes_max).await.map_err(|error| broken(root_cause(&error)))?;
        Ok(Response { status: head.status, headers: head.headers, body, is_cut })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one home of the HTTP client")]
fn pool(policy: Arc<AddressPolicy>, roots: Arc<RootCertStore>, identity: Option<&Arc<Identity>>) -> Pool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let tls = match identity {
        None => tls.with_no_client_auth(),
        Some(identity) => {
            let resolver = SingleCertAndKey::from(Arc::clone(&identity.certified));
            tls.with_client_cert_resolver(Arc::new(resolver))
        }
    };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector::new(policy));
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_FOR)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .retry_canceled_requests(true)
        .build(connector)
}

fn public_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let after = request.timeout;
        let host = request.url.host_str().unwrap_or_default().to_owned();
        match tokio::time::timeout(after, self.exchange(request, &host)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(SendError::Timeout { host, after }),
        }
    }
}

/// Reads at most `bytes_max`; what lies beyond is left unread and its connection dropped.
async fn read(mut incoming: Incoming, bytes_max: usize) -> Result<(Bytes, bool), hyper::Error> {
    let mut kept = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let Ok(mut data) = frame?.into_data() else {
            continue;
        };
        let room = bytes_max - kept.len();
        if data.len() > room {
            kept.extend_from_slice(&data.split_to(room));
            return Ok((kept.freeze(), true));
        }
        kept.extend_from_slice(&data);
    }
    Ok((kept.freeze(), false))
}

/// Finds our own reason in the client's error, or names the stage that failed.
fn explain(error: &hyper_util::client::legacy::Error, host: &str) -> SendError {
    let host = host.to_owned();
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(own) = inner.downcast_ref::<ConnectError>() {
            return match own {
                ConnectError::Refused(refused) => {
                    SendError::AddressRefused { host, address: refused.address, refused: refused.clone() }
                }
                ConnectError::Dns(cause) => SendError::Dns { host, cause: cause.clone() },
                ConnectError::Connect(cause) => SendError::Connect { host, cause: cause.clone() },
            };
        }
        cause = inner.source();
    }
    let cause = root_cause(error);
    if error.is_connect() { SendError::Tls { host, cause } } else { SendError::Broken { host, cause } }
}
