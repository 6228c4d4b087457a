//! Calls from the command line to a hub that runs, over HTTP or HTTPS.
//!
//! This is the operator's own hub at an address that the operator gave, so the policy for outgoing calls, which guards
//! a hub against addresses that others gave it, has no say here.

use crate::command_line::RemoteArgs;
use crate::failure::Failure;
use crate::settings::variable;
use crate::{paths, wire_up};
use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use lockstep_core::error::Code;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Time for a call to be answered.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for one that copies a whole store before it answers.
const LONG_PATIENCE: Duration = Duration::from_secs(6 * 3_600);
/// Bytes read of an answer that is no stream.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A hub that runs somewhere.
pub(crate) struct Remote {
    url: String,
    key: Option<String>,
    roots: RootCertStore,
    patience: Duration,
}

impl Remote {
    /// The hub that the arguments name, called without a credential.
    pub(crate) fn new(args: &RemoteArgs) -> Result<Self, Failure> {
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        if let Some(path) = &args.ca {
            add_roots(&mut roots, path)?;
        }
        Ok(Self { url: args.url.trim_end_matches('/').to_owned(), key: None, roots, patience: PATIENCE })
    }

    /// A hub without TLS, whose address and key are known.
    pub(crate) const fn known(url: String, key: String) -> Self {
        Self { url, key: Some(key), roots: RootCertStore { roots: Vec::new() }, patience: PATIENCE }
    }

    /// The same with the administrator's key, from `LOCKSTEP_ADMIN_KEY` or the data folder.
    pub(crate) fn as_administrator(args: &RemoteArgs) -> Result<Self, Failure> {
        let data = args.data.clone().unwrap_or_else(paths::default_data);
        let file = paths::admin_key(&data);
        let key = match (variable("LOCKSTEP_ADMIN_KEY"), std::fs::read_to_string(&file)) {
            (Some(key), _) => key,
            (None, Ok(text)) => text,
            (None, Err(error)) => {
                let text = format!(
                    "the administrator's key is needed: set LOCKSTEP_ADMIN_KEY, or name the folder of its admin.key \
                     with --data ({}: {error})",
                    file.display()
                );
                return Err(Failure::new(Code::SettingsInvalid, text));
            }
        };
        Ok(Self { key: Some(key.trim().to_owned()), ..Self::new(args)? })
    }

    /// The same with an API key or token, from `LOCKSTEP_API_KEY`; where there is none, as an administrator.
    pub(crate) fn as_caller(args: &RemoteArgs) -> Result<Self, Failure> {
        match variable("LOCKSTEP_API_KEY") {
            Some(key) => Ok(Self { key: Some(key.trim().to_owned()), ..Self::new(args)? }),
            None => Self::as_administrator(args).map_err(|failure| match failure {
                Failure::Coded(rejection) => {
                    let text = format!("no API key is given: set LOCKSTEP_API_KEY. Or else {}", rejection.message);
                    Failure::new(rejection.code, text)
                }
                other => other,
            }),
        }
    }

    /// The same for calls that take long to be answered.
    pub(crate) fn patient(self) -> Self {
        Self { patience: LONG_PATIENCE, ..self }
    }

    /// Calls and gives the answer's head; its body is still to be read.
    pub(crate) async fn call(&self, method: Method, path: &str) -> anyhow::Result<Response<Incoming>> {
        self.call_with(method, path, &[], Bytes::new()).await
    }

    async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Response<Incoming>> {
        let answer = async {
            let uri: Uri = self.url.parse().with_context(|| format!("{} is no URL", self.url))?;
            let mut sender = self.connect(&uri).await?;
            let prefix = uri.path().trim_end_matches('/');
            let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
            let mut request =
                Request::builder().method(method).uri(format!("{prefix}{path}")).header("host", authority);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(key) = &self.key {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            Ok(sender.send_request(request.body(Full::new(body))?).await?)
        };
        let answer = tokio::time::timeout(self.patience, answer).await;
        answer.with_context(|| format!("{} did not answer in {} s", self.url, self.patience.as_secs()))?
    }

    /// Posts; an answer other than 2xx is a failure in the hub's own words.
    pub(crate) async fn ask(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        self.heard(self.call(Method::POST, path).await, path).await
    }

    /// Gets, in the same way.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response<Incoming>, Failure> {
        self.heard(self.call_with(Method::GET, path, headers, Bytes::new()).await, path).await
    }

    /// Calls with a body of JSON, or with none, in the same way.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Failure> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let headers = [("content-type", "application/json")];
        let headers = if body.is_some() { &headers[..] } else { &[] };
        self.heard(self.call_with(method, path, headers, bytes).await, path).await
    }

    /// The one business that the key opens.
    pub(crate) async fn only_business(&self) -> Result<String, Failure> {
        let answer = whole(self.get("/rest/v1/businesses?limit=20", &[]).await?).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| Failure::Other(error.into()))?;
        let items = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let ids: Vec<&str> = items.iter().filter_map(|item| item.get("id")?.as_str()).collect();
        match ids.as_slice() {
            [only] => Ok((*only).to_owned()),
            [] => {
                Err(Failure::new(Code::BusinessNotFound, "this key opens no business: make one, or give another key"))
            }
            several => {
                let text =
                    format!("this key opens several businesses: name one with --business: {}", several.join(", "));
                Err(Failure::new(Code::SettingsInvalid, text))
            }
        }
    }

    async fn heard(
        &self,
        answer: anyhow::Result<Response<Incoming>>,
        path: &str,
    ) -> Result<Response<Incoming>, Failure> {
        let answer = answer.with_context(|| format!("no hub answers at {}; name another with --url", self.url))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body: Value = serde_json::from_slice(&whole(answer).await?).unwrap_or_default();
        // The two faces write their errors differently.
        let text = |rpc: &str, rest: &str| {
            let found = body.pointer(rpc).or_else(|| body.pointer(rest)).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let code = text("/error/code", "/code");
        match Code::ALL.iter().find(|known| known.as_str() == code) {
            Some(code) => Err(Failure::new(*code, text("/error/message", "/detail"))),
            None => Err(Failure::Other(anyhow::anyhow!("{} answers {status} to {path}", self.url))),
        }
    }

    async fn connect(&self, uri: &Uri) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let host = uri.host().with_context(|| format!("{} has no host", self.url))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => anyhow::bail!("{} begins with neither http:// nor https://", self.url),
        };
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect((bare, port))).await??;
        if !is_https {
            return speak(stream).await;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(bare.to_owned())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        speak(stream.context("the TLS handshake failed; --ca names the certificate of an authority of your own")?).await
    }
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), Failure> {
    let invalid = |what: String| {
        let text = format!("--ca {}: {what}; give a PEM file with one or more CERTIFICATE blocks", path.display());
        Failure::new(Code::SettingsInvalid, text)
    };
    let before = roots.len();
    for found in CertificateDer::pem_file_iter(path).map_err(|error| invalid(error.to_string()))? {
        let certificate = found.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(invalid("it holds no certificate".to_owned()));
    }
    Ok(())
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    wire_up::spawn(async move {
        // The request tells of a connection that broke.
        let _ = connection.await;
    });
    Ok(sender)
}

/// The body of an answer that is no stream.
pub(crate) async fn whole(answer: Response<Incoming>) -> anyhow::Result<Bytes> {
    let read = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let read = tokio::time::timeout(PATIENCE, read).await.context("the answer does not end")?;
    Ok(read.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
}
