//! Makes one TCP connection: resolve, judge every address, connect to a judged one.
//!
//! The socket address that passed the policy is the one connected to, so a name that
//! resolves differently a moment later gains nothing. It must not be reachable except
//! through the client's pool.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tower::Service;

use crate::address::{AddressPolicy, AddressRefused};

/// Time to resolve a name. A resolver that needs longer is down.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time to connect, shared by all addresses that are tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most addresses tried for one connection.
const ADDRESSES_MAX: usize = 4;

/// Why no connection was made; the client adds the host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Refused(#[from] AddressRefused),
    #[error("{0}")]
    Dns(String),
    #[error("{0}")]
    Connect(String),
}

/// The connector under TLS.
#[derive(Clone)]
pub(crate) struct Connector {
    policy: Arc<AddressPolicy>,
}

impl Connector {
    pub(crate) const fn new(policy: Arc<AddressPolicy>) -> Self {
        Self { policy }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let addresses = resolve(&target).await?;
            let judged = judge(&policy, addresses)?;
            let stream = connect(&judged).await?;
            Ok(TokioIo::new(stream))
        })
    }
}

async fn resolve(target: &Uri) -> Result<Vec<SocketAddr>, ConnectError> {
    let host = target.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_https = target.scheme_str() == Some("https");
    let port = target.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    match timeout(RESOLVE_TIMEOUT, lookup_host((bare, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(ConnectError::Dns(error.to_string())),
        Err(_elapsed) => Err(ConnectError::Dns("the resolver did not answer in time".to_owned())),
    }
}

/// Keeps the addresses that may be connected to; the first refusal if none may.
fn judge(policy: &AddressPolicy, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ConnectError> {
    let mut judged = Vec::with_capacity(addresses.len());
    let mut refusal = None;
    for address in addresses {
        match policy.check_ip(address.ip()) {
            Ok(()) => judged.push(address),
            Err(refused) => refusal = refusal.or(Some(refused)),
        }
    }
    match refusal {
        Some(refused) if judged.is_empty() => Err(refused.into()),
        _ => Ok(judged),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let tried = addresses.len().clamp(1, ADDRESSES_MAX);
    let each = CONNECT_TIMEOUT / u32::try_from(tried).unwrap_or(1);
    let mut cause = "the name has no address".to_owned();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error: io::Error| ConnectError::Connect(error.to_string()))?;
                return Ok(stream);
            }
            Ok(Err(error)) => cause = error.to_string(),
            Err(_elapsed) => "nothing answered in time".clone_into(&mut cause),
        }
    }
    Err(ConnectError::Connect(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_judged_addresses_are_left() {
        let addresses: Vec<SocketAddr> = vec!["10.0.0.1:80".parse().unwrap(), "1.1.1.1:80".parse().unwrap()];
        let left = judge(&AddressPolicy::default(), addresses.clone()).unwrap();
        assert_eq!(left, addresses[1..]);
        let none = judge(&AddressPolicy::default(), addresses[..1].to_vec());
        assert!(matches!(none, Err(ConnectError::Refused(refused)) if refused.address.to_string() == "10.0.0.1"));
    }
}
