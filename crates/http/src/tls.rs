//! TLS for those who come: one certificate, read and checked at the start.
//!
//! A renewed certificate is taken in at the next start; a restart lets requests under way finish.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What makes a connection a TLS one.
#[derive(Clone)]
pub struct Tls(pub(crate) TlsAcceptor);

/// A certificate or key that cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// The certificate's file.
    #[error("{0}: give a PEM file with the server's certificate first and those that vouch for it after")]
    Certificate(String),
    /// The key's file.
    #[error("{0}: give a PEM file with one PRIVATE KEY block, without a passphrase")]
    Key(String),
    /// Both together.
    #[error(
        "the key is not that of the first certificate, or cannot be used with it ({0}): give the two that belong together"
    )]
    Pair(String),
}

impl Tls {
    /// TLS with the certificates and the key in two PEM texts.
    ///
    /// # Errors
    /// [`BadTls`], which shows nothing of the key.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, BadTls> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| BadTls::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(BadTls::Certificate("it holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_shows_the_text| BadTls::Key("it holds no private key that can be read".to_owned()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pair = |error: rustls::Error| BadTls::Pair(error.to_string());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}
