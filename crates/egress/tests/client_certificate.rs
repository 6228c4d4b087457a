//! Servers that ask for a client certificate.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use lockstep_egress::{AddressPolicy, BadIdentity, HttpTransport, Identity, Request, SendError, Transport};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Someone who vouches for others.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn vouch(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        roots
    }
}

fn identity((certificate, key): &(Certificate, KeyPair)) -> Option<Arc<Identity>> {
    Some(Arc::new(Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()))
}

/// A server that lets in whom `clients` vouches for and answers with the caller's certificate.
#[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
async fn serve(authority: &Authority, clients: &Authority) -> u16 {
    let (certificate, key) = authority.vouch("127.0.0.1");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            tokio::spawn(async move {
                let caller = stream.get_ref().1.peer_certificates().and_then(|all| all.first()).cloned();
                let caller: CertificateDer<'static> = caller.unwrap();
                let mut asked = [0; 4_096];
                // A kept connection asks again and again, and always says whose it is.
                while stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", caller.len());
                    let _written = stream.write_all(&[head.as_bytes(), &caller].concat()).await;
                }
            });
        }
    });
    port
}

fn transport(authority: &Authority) -> HttpTransport {
    let policy = Arc::new(AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]));
    HttpTransport::with_roots(policy, authority.certificate.pem().as_bytes()).unwrap()
}

async fn call(transport: &HttpTransport, port: u16, identity: Option<Arc<Identity>>) -> Result<Bytes, SendError> {
    let request = Request {
        method: Method::GET,
        url: format!("https://127.0.0.1:{port}/").parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        identity,
        timeout: Duration::from_secs(20),
        response_bytes_max: 10_000,
    };
    transport.send(request).await.map(|response| response.body)
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_that_of_the_request() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let port = serve(&authority, &clients).await;
    let transport = transport(&authority);
    let (ada, bob) = (clients.vouch("ada"), clients.vouch("bob"));
    // Twice around: kept connections are not shared between callers.
    for _ in 0..2 {
        for who in [&ada, &bob] {
            let answered = call(&transport, port, identity(who)).await.unwrap();
            assert_eq!(answered, who.0.der().as_ref());
        }
    }
}

#[tokio::test]
async fn a_stranger_and_one_without_a_certificate_are_not_let_in() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let port = serve(&authority, &clients).await;
    let transport = transport(&authority);
    let stranger = Authority::new().vouch("stranger");
    assert!(call(&transport, port, identity(&stranger)).await.is_err());
    assert!(call(&transport, port, None).await.is_err());
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_refused() {
    let authority = Authority::new();
    let ((certificate, key), (_, other)) = (authority.vouch("ada"), authority.vouch("bob"));
    let refused = |certificate: &str, key: &str| Identity::from_pem(certificate, key).unwrap_err();
    assert_eq!(refused(&certificate.pem(), &other.serialize_pem()), BadIdentity::Mismatch);
    assert_eq!(refused("", &key.serialize_pem()), BadIdentity::Certificate);
    assert_eq!(
        refused(&certificate.pem(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        BadIdentity::Key
    );
    assert_eq!(refused(&certificate.pem(), ""), BadIdentity::Key);
    let shown = format!("{:?}", Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap());
    assert_eq!(shown, "Identity(1 certificates)");
}
