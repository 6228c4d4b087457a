//! Starts that must be refused, each with its code and a file left as it was; and what a start makes.

use crate::client::Client;
use crate::desk::Desk;
use crate::hub::{Start, binary, root};
use crate::restore::lockstep;
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const SEALING_KEY: &str = "LOCKSTEP_SECRET_KEY";

fn sealing_key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

/// Serves once on the folder and stops, so that a store is there.
async fn serve_once(start: &Start) -> Result<()> {
    let hub = start.run().await?;
    Desk::open(&hub).await?;
    hub.stop().await
}

/// Holds a start to being refused with the code, and the store's file to being left as it is.
async fn refused_and_untouched(start: &Start, data: &Path, code: &str) -> Result<()> {
    let file = data.join("lockstep.db");
    let before = fs::read(&file)?;
    start.refused().await?.is_for(code)?;
    ensure!(fs::read(&file)? == before, "{code}: the refused start changed the file");
    Ok(())
}

#[tokio::test]
async fn a_folder_in_use_is_refused_and_the_first_goes_on() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path());
    let hub = start.run().await?;
    start.refused().await?.is_for("data_in_use")?;
    Desk::open(&hub).await?;
    hub.stop().await?;
    serve_once(&start).await
}

#[tokio::test]
async fn a_port_in_use_is_refused() -> Result<()> {
    let data = tempfile::tempdir()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let refusal = Start::on(data.path()).listening_on(taken.local_addr()?).refused().await?;
    refusal.is_for("listen_failed")?;
    let port = taken.local_addr()?.port().to_string();
    ensure!(refusal.stderr.contains(&port), "the address is not named: {refusal}");
    Ok(())
}

#[tokio::test]
async fn a_corrupt_store_is_refused_and_left_as_it_is() -> Result<()> {
    let data = tempfile::tempdir()?;
    let file = data.path().join("lockstep.db");
    fs::write(&file, b"This was a shopping list, never a store. ".repeat(300))?;
    refused_and_untouched(&Start::on(data.path()), data.path(), "store_corrupt").await?;

    let data = tempfile::tempdir()?;
    let file = data.path().join("lockstep.db");
    let start = Start::on(data.path());
    serve_once(&start).await?;
    let mut bytes = fs::read(&file)?;
    bytes[..2_048].fill(0xa5);
    fs::write(&file, bytes)?;
    refused_and_untouched(&start, data.path(), "store_corrupt").await
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_as_it_is() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path());
    serve_once(&start).await?;
    let program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA user_version = 9999')";
    let set = Command::new("python3").args(["-c", program]).arg(data.path().join("lockstep.db")).output()?;
    ensure!(set.status.success(), "python3: {}", String::from_utf8_lossy(&set.stderr));
    refused_and_untouched(&start, data.path(), "store_newer").await
}

#[tokio::test]
async fn a_wrong_sealing_key_is_refused_and_the_right_one_opens_it_again() -> Result<()> {
    let data = tempfile::tempdir()?;
    let right = Start::on(data.path()).with(SEALING_KEY, sealing_key(1));
    serve_once(&right).await?;
    let wrong = Start::on(data.path()).with(SEALING_KEY, sealing_key(2));
    wrong.refused().await?.is_for("sealing_key_wrong")?;
    serve_once(&right).await
}

#[tokio::test]
async fn a_malformed_sealing_key_is_refused_and_not_shown() -> Result<()> {
    let data = tempfile::tempdir()?;
    for malformed in ["no base64 !", "c2hvcnQ="] {
        let refusal = Start::on(data.path()).with(SEALING_KEY, malformed).refused().await?;
        refusal.is_for("sealing_key_invalid")?;
        ensure!(!refusal.stderr.contains(malformed), "a secret is in the message: {refusal}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_flag_ends_with_exit_code_2() -> Result<()> {
    let data = tempfile::tempdir()?;
    let refusal = Start::on(data.path()).allowing("127.0.0.0/99").refused().await?;
    ensure!(refusal.exit == Some(2) && refusal.stderr.contains("127.0.0.0/99"), "{refusal}");
    Ok(())
}

#[test]
fn explain_prints_the_page_of_a_code() {
    let page = fs::read_to_string(root().join("docs/ERRORS/unknown_field.md")).unwrap();
    let done = binary().args(["explain", "unknown_field"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(said.trim(), page.trim());
    let done = binary().args(["explain", "no_such_code"]).output().unwrap();
    assert!(!done.status.success() && String::from_utf8_lossy(&done.stderr).contains("no_such_code"), "{done:?}");
}

#[tokio::test]
async fn an_administrators_key_is_made_for_the_owner_alone() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path()).without("LOCKSTEP_ADMIN_KEY");
    let hub = start.run().await?;
    let file = data.path().join("admin.key");
    let key = fs::read_to_string(&file).context("admin.key is not there")?;
    let private = [file, data.path().join("lockstep.key")];
    for file in private {
        let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{} has mode {mode:o}", file.display());
    }
    let wanted = json!({"organisationName": "Trial", "name": "Shop"});
    let path = "/management/business/create";
    let made = Client::new(hub.address, key.trim()).post(path, &wanted).await?.of_status(200)?;
    ensure!(made["id"].is_string(), "{made}");
    let refused = Client::new(hub.address, "another key").post(path, &wanted).await?;
    ensure!(refused.status == 401, "{refused:?}");
    hub.stop().await?;
    // The same key holds at the next start.
    let hub = start.run().await?;
    Client::new(hub.address, key.trim()).post(path, &wanted).await?.of_status(200)?;
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_needs_a_server_that_answers() -> Result<()> {
    let data = tempfile::tempdir()?;
    let hub = Start::on(data.path()).run().await?;
    let url = format!("http://{}", hub.address);
    let check = async || lockstep(&["doctor", "--running", "--url", &url], &[]).await;
    let done = check().await?;
    ensure!(done.status.success(), "{done:?}");
    hub.stop().await?;
    let done = check().await?;
    ensure!(!done.status.success(), "{done:?}");
    Ok(())
}

#[tokio::test]
async fn health_is_answered_without_a_credential() -> Result<()> {
    let data = tempfile::tempdir()?;
    let hub = Start::on(data.path()).run().await?;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = Client::new(hub.address, "nobody").get(path).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
    }
    hub.stop().await
}
