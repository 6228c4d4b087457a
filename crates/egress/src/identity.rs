//! Client certificates: who we say we are to a server that asks.
//! It must not show a private key, nor keep one that does not belong to its certificate.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A certificate with its private key, read once.
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.certified.cert.len())
    }
}

/// A certificate or key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// No certificate in the PEM, or one that does not read.
    #[error("the certificate does not read; give PEM with a CERTIFICATE block, the client's own first")]
    Certificate,
    /// No private key in the PEM, or one that does not read.
    #[error("the key does not read; give PEM with one PRIVATE KEY block, without a pass phrase")]
    Key,
    /// The key belongs to another certificate.
    #[error("the key does not belong to the certificate; give the two that were made together")]
    Mismatch,
}

impl Identity {
    /// Reads a certificate, followed by those that vouch for it, and its private key.
    ///
    /// # Errors
    /// What does not read, or that the two do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, BadIdentity> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_unread| BadIdentity::Certificate)?;
        if chain.is_empty() {
            return Err(BadIdentity::Certificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_unread| BadIdentity::Key)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => BadIdentity::Mismatch,
            rustls::Error::InvalidCertificate(_) => BadIdentity::Certificate,
            _ => BadIdentity::Key,
        })?;
        Ok(Self { certified: Arc::new(certified) })
    }

    /// Whether two present the same certificates, and so may share connections. The same certificate has the same
    /// key.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}
