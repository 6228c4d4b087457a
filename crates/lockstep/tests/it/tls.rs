//! HTTPS: served with a certificate that is checked at the start, called by the command line, and not stopped by
//! whoever cannot shake hands.

use crate::client::Client;
use crate::hub::{ADMIN_KEY, Hub, Start};
use crate::restore::{is_refused, lockstep, printed};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A folder with a certificate for this machine, its key, and another key.
struct Papers {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

fn papers() -> Result<Papers> {
    let folder = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    Ok(Papers { folder, certificate, key })
}

impl Papers {
    fn start(&self, certificate: &Path, key: &Path) -> Start {
        Start::on(self.folder.path().join("data")).with("LOCKSTEP_TLS_CERT", certificate).with("LOCKSTEP_TLS_KEY", key)
    }

    /// One request over TLS, and its whole answer.
    async fn ask(&self, hub: &Hub, request: &str) -> Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate)?)?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(hub.address).await?;
        let name = ServerName::try_from("localhost")?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let spoken = stream.get_ref().1.alpn_protocol().context("no protocol was agreed on")?;
        ensure!(spoken == b"http/1.1", "{spoken:?}");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

const READY: &str = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_serves_https_and_the_command_line_calls_it() -> Result<()> {
    let papers = papers()?;
    let hub = papers.start(&papers.certificate, &papers.key).run().await?;
    let answer = papers.ask(&hub, READY).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let url = format!("https://{}", hub.address);
    let ca = papers.certificate.to_str().context("a path")?;
    let asked = |command: &'static str, more: &'static [&'static str]| {
        let mut args = vec![command, "--url", &url];
        args.extend(more);
        args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()
    };
    let run = async |args: Vec<String>, paths: &[&Path]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        lockstep(&args, paths).await
    };
    let mut release = asked("release", &["--json", "--ca"]);
    release.push(ca.to_owned());
    ensure!(printed(&run(release, &[]).await?)? == json!({"released": false}));
    let mut backup = asked("backup", &["--json", "--ca"]);
    backup.push(ca.to_owned());
    let file = papers.folder.path().join("hub.tar.zst");
    printed(&run(backup, &[&file]).await?)?;
    let doctor = asked("doctor", &["--data", "/nowhere", "--ca"]);
    let told = run(doctor, &[&papers.certificate]).await?;
    ensure!(String::from_utf8_lossy(&told.stdout).contains("takes writes and delivers"), "{told:?}");
    // Without it the certificate is nobody's.
    let stranger = run(asked("release", &[]), &[]).await?;
    ensure!(!stranger.status.success() && String::from_utf8_lossy(&stranger.stderr).contains("--ca"), "{stranger:?}");
    hub.stop().await
}

#[tokio::test]
async fn a_failed_handshake_stops_nobody_else() -> Result<()> {
    let papers = papers()?;
    let hub = papers.start(&papers.certificate, &papers.key).run().await?;
    // One says nothing and stays, some speak plain HTTP, some leave at once.
    let silent = TcpStream::connect(hub.address).await?;
    for _ in 0..20 {
        let plain = Client::new(hub.address, ADMIN_KEY).get("/healthz").await;
        ensure!(plain.is_err(), "plain HTTP is answered: {plain:?}");
        drop(TcpStream::connect(hub.address).await?);
    }
    let answer = papers.ask(&hub, READY).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(silent);
    hub.stop().await
}

#[tokio::test]
async fn a_certificate_that_cannot_be_served_with_stops_the_start() -> Result<()> {
    let (papers, others) = (papers()?, papers()?);
    let nothing = papers.folder.path().join("nothing.pem");
    fs::write(&nothing, "no PEM")?;
    for (certificate, key, word) in [
        (&nothing, &papers.key, "nothing.pem"),
        (&papers.certificate, &nothing, "PRIVATE KEY"),
        (&papers.certificate, &others.key, "belong together"),
        (&papers.folder.path().join("absent.pem"), &papers.key, "absent.pem"),
    ] {
        let refusal = papers.start(certificate, key).refused().await?;
        ensure!(refusal.exit == Some(2) && refusal.stderr.contains(word), "{word}: {refusal}");
    }
    let alone = Start::on(papers.folder.path()).with("LOCKSTEP_TLS_CERT", &papers.certificate).refused().await?;
    ensure!(alone.exit == Some(2) && alone.stderr.contains("--tls-key"), "{alone}");
    let bad = lockstep(&["release", "--ca"], &[&nothing]).await?;
    is_refused(&bad, "settings_invalid")
}
