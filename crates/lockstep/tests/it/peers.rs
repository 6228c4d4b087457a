//! Real deliveries, verified by the libraries that receivers use: `standardwebhooks` of Python and of Node.

use crate::client::Client;
use crate::desk::{Desk, Subscription, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{Start, root};
use crate::receiver::{Arrival, Receiver};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// One line of the file that both verifiers read.
fn line(arrival: &Arrival, secrets: &[&str], public_key: Option<&str>, expect: &str) -> Value {
    json!({
        "headers": arrival.headers, "body": String::from_utf8_lossy(&arrival.body), "secrets": secrets,
        "public_key": public_key, "expect": expect,
    })
}

/// The same delivery with one byte of its body changed.
fn tampered(arrival: &Arrival) -> Arrival {
    let mut other = arrival.clone();
    other.body = String::from_utf8_lossy(&arrival.body).replacen("Lovelace", "Lovelacf", 1).into_bytes().into();
    assert_ne!(other.body, arrival.body, "the name is in the body");
    other
}

/// Creates a contact and gives its delivery at each path.
async fn deliveries(desk: &Desk, client: &mut Client, receiver: &Receiver, paths: &[&str]) -> Result<Vec<Arrival>> {
    let made = desk.create(client, &json!({"firstName": "Ada", "lastName": "Lovelace €"})).await?;
    let record = text(&made, "recordId")?;
    let is_it = |arrival: &&Arrival, path: &str| {
        arrival.path == path && String::from_utf8_lossy(&arrival.body).contains(&record)
    };
    let find = |path: &str| receiver.look(|all| all.iter().find(|arrival| is_it(arrival, path)).cloned());
    eventually(seconds(20), "a delivery at each path", async || paths.iter().all(|path| find(path).is_some())).await?;
    paths.iter().map(|path| find(path).with_context(|| format!("no delivery at {path}"))).collect()
}

/// Runs one verifier and holds it to having seen all the lines.
fn verify(mut command: Command, script: &str, lines: &[Value], file: &Path) -> Result<()> {
    let done = command.arg(root().join("tests/peers").join(script)).arg(file).output().context(script.to_owned())?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(done.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&done.stderr));
    let of = |expect: &str| lines.iter().filter(|line| line["expect"] == expect).count();
    let counts = format!("{} verified, {} refused as expected", of("valid"), of("invalid"));
    ensure!(said.starts_with(&counts) && said.contains("checks of v1a"), "{script} says {said}, not {counts}");
    Ok(())
}

async fn rotate(desk: &Desk, client: &mut Client, subscription: &Subscription) -> Result<String> {
    let path = desk.path(&format!("subscription/rotate-secret/{}", subscription.id));
    text(&client.post(&path, &json!({})).await?.of_status(200)?, "secret")
}

/// Deliveries of every kind of signature, before and after a rotation, each with a copy that must be refused.
async fn collect() -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let receiver = Receiver::start().await?;
    let hub = Start::on(folder.path().join("data")).run().await?;
    let desk = Desk::open(&hub).await?;
    let mut client = desk.client(&hub);
    let shared = desk.subscribe(&hub, &receiver.url("/hmac"), json!({"signing": "hmac"})).await?;
    let paired = desk.subscribe(&hub, &receiver.url("/ed25519"), json!({"signing": "ed25519"})).await?;
    let both = desk.subscribe(&hub, &receiver.url("/both"), json!({"signing": "both"})).await?;
    let fields = desk.subscribe(&hub, &receiver.url("/fields"), json!({"format": "fields"})).await?;
    let paired_key = paired.public_key.as_deref().context("ed25519 shows a public key")?;
    let both_key = both.public_key.as_deref().context("both shows a public key")?;

    let paths = ["/hmac", "/ed25519", "/both", "/fields"];
    let before = deliveries(&desk, &mut client, &receiver, &paths).await?;
    let mut lines = vec![
        line(&before[0], &[&shared.secret], None, "valid"),
        line(&before[1], &[], Some(paired_key), "valid"),
        line(&before[2], &[&both.secret], Some(both_key), "valid"),
        line(&before[3], &[&fields.secret], None, "valid"),
        line(&tampered(&before[0]), &[&shared.secret], None, "invalid"),
        line(&tampered(&before[1]), &[], Some(paired_key), "invalid"),
        line(&tampered(&before[2]), &[&both.secret], Some(both_key), "invalid"),
        line(&before[0], &[&both.secret], Some(both_key), "invalid"),
    ];

    let new_shared = rotate(&desk, &mut client, &shared).await?;
    let new_both = rotate(&desk, &mut client, &both).await?;
    ensure!(new_shared != shared.secret && new_both != both.secret, "a rotation gives another secret");
    let after = deliveries(&desk, &mut client, &receiver, &["/hmac", "/both"]).await?;
    lines.extend([
        line(&after[0], &[&shared.secret, &new_shared], None, "valid"),
        line(&after[1], &[&both.secret, &new_both], Some(both_key), "valid"),
        line(&before[0], &[&new_shared], None, "invalid"),
        line(&tampered(&after[0]), &[&shared.secret, &new_shared], None, "invalid"),
    ]);
    hub.stop().await?;
    Ok(lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_verify_with_the_libraries_of_python_and_node() -> Result<()> {
    let installed = Command::new("bash").arg(root().join("tests/peers/install.sh")).output()?;
    ensure!(installed.status.success(), "install.sh: {}", String::from_utf8_lossy(&installed.stderr));
    let lines = collect().await?;
    let file = tempfile::NamedTempFile::new()?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(file.path(), text)?;
    verify(Command::new(root().join("target/peers/venv/bin/python")), "verify.py", &lines, file.path())?;
    verify(Command::new("node"), "verify.mjs", &lines, file.path())
}
