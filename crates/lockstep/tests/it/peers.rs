//! Real deliveries, verified by the libraries that receivers use: `standardwebhooks` and `cloudevents` of Python and
//! of Node.

use crate::client::Client;
use crate::desk::{Desk, Subscription, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{Start, root};
use crate::receiver::{Arrival, Receiver};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

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

/// Installs what is not there; two tests may ask at the same time, so the script holds a lock.
pub(crate) fn install() -> Result<()> {
    let installed = Command::new("bash").arg(root().join("tests/peers/install.sh")).output()?;
    ensure!(installed.status.success(), "install.sh: {}", String::from_utf8_lossy(&installed.stderr));
    Ok(())
}

/// The interpreter that has the libraries of Python.
pub(crate) fn python() -> PathBuf {
    root().join("target/peers/venv/bin/python")
}

fn file_of(lines: &[Value]) -> Result<NamedTempFile> {
    let file = NamedTempFile::new()?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(file.path(), text)?;
    Ok(file)
}

/// What a CloudEvent has to say, as the same change is told in format `standard`.
fn event_line(arrival: &Arrival, standard: &Arrival, business: &str) -> Result<Value> {
    let told: Value = serde_json::from_slice(&standard.body)?;
    let expect = json!({
        "id": arrival.headers["webhook-id"], "source": format!("/v1/business/{business}"),
        "type": format!("lockstep.{}", text(&told, "type")?), "subject": told["data"]["record"]["id"],
        "data": told["data"],
    });
    Ok(json!({"headers": arrival.headers, "body": String::from_utf8_lossy(&arrival.body), "expect": expect}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloud_events_are_parsed_by_the_libraries_of_python_and_node() -> Result<()> {
    install()?;
    let folder = tempfile::tempdir()?;
    let receiver = Receiver::start().await?;
    let hub = Start::on(folder.path().join("data")).run().await?;
    let desk = Desk::open(&hub).await?;
    let mut client = desk.client(&hub);
    for format in ["standard", "cloudevents", "cloudevents-binary"] {
        desk.subscribe(&hub, &receiver.url(&format!("/{format}")), json!({"format": format})).await?;
    }
    let paths = ["/standard", "/cloudevents", "/cloudevents-binary"];
    let all = deliveries(&desk, &mut client, &receiver, &paths).await?;
    hub.stop().await?;
    let lines = [event_line(&all[1], &all[0], &desk.business)?, event_line(&all[2], &all[0], &desk.business)?];
    let file = file_of(&lines)?;
    for (mut command, script) in [(Command::new(python()), "events.py"), (Command::new("node"), "events.mjs")] {
        let done = command.arg(root().join("tests/peers").join(script)).arg(file.path()).output()?;
        let said = String::from_utf8_lossy(&done.stdout);
        ensure!(done.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&done.stderr));
        ensure!(said.trim() == "2 events parsed, 1 of them binary", "{script} says {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_verify_with_the_libraries_of_python_and_node() -> Result<()> {
    install()?;
    let lines = collect().await?;
    let file = file_of(&lines)?;
    verify(Command::new(python()), "verify.py", &lines, file.path())?;
    verify(Command::new("node"), "verify.mjs", &lines, file.path())
}
