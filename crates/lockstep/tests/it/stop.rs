//! Stopping on request: what is under way is answered, the exit code is 0, and the next start finds everything.

use crate::client::Client;
use crate::desk::{Desk, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{Hub, Start};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Reads until the text holds `end`, or the other side closes.
async fn read_until(stream: &mut TcpStream, end: &str) -> Result<String> {
    let mut text = String::new();
    let reads = async {
        let mut piece = [0; 1_024];
        while !text.contains(end) {
            let count = stream.read(&mut piece).await?;
            if count == 0 {
                break;
            }
            text.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(seconds(15), reads).await.with_context(|| format!("no {end} in 15 s"))??;
    Ok(text)
}

/// A create whose head the hub has read and whose body it waits for.
async fn half_a_create(desk: &Desk, hub: &Hub, body: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(hub.address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        desk.path("contact/create"),
        hub.address,
        desk.api_key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let told = read_until(&mut stream, "\r\n\r\n").await?;
    ensure!(told.starts_with("HTTP/1.1 100"), "the hub does not ask for the body: {told}");
    Ok(stream)
}

#[tokio::test]
async fn a_stopping_hub_answers_what_is_under_way_and_keeps_it() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path());
    let mut hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let body = json!({"lastName": "under way"}).to_string();
    let mut stream = half_a_create(&desk, &hub, &body).await?;

    hub.ask_to_stop()?;
    let stopping = eventually(seconds(10), "the hub takes no new work", async || {
        let ready = Client::new(hub.address, "nobody").get("/readyz").await;
        !ready.is_ok_and(|answer| answer.status == 200)
    });
    stopping.await?;
    ensure!(hub.is_running(), "it ended with a request under way: {}", hub.log_text());
    stream.write_all(body.as_bytes()).await?;
    let answer = read_until(&mut stream, "recordId").await?;
    ensure!(answer.starts_with("HTTP/1.1 202"), "under way, answered: {answer}");
    let status = hub.ended(seconds(12)).await?;
    ensure!(status.success(), "stopped with {status}: {}", hub.log_text());

    let operation = answer.split('"').find(|word| word.starts_with("op_")).context("no operation id")?;
    let hub = start.run().await?;
    let path = desk.path(&format!("operation/get/{operation}"));
    desk.client(&hub).post(&path, &json!({})).await?.of_status(200)?;
    hub.stop().await
}

#[tokio::test]
async fn a_restart_keeps_what_there_was() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path());
    let hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let mut client = desk.client(&hub);
    let made = desk.create(&mut client, &json!({"lastName": "kept", "email": "kept@example.com"})).await?;
    let path = desk.path(&format!("operation/get/{}", text(&made, "operationId")?));
    let before = client.post(&path, &json!({})).await?.of_status(200)?;
    hub.stop().await?;

    let hub = start.run().await?;
    let mut client = desk.client(&hub);
    let after = client.post(&path, &json!({})).await?.of_status(200)?;
    ensure!(before == after, "{before} became {after}");
    let path = desk.path(&format!("contact/update/{}", text(&made, "recordId")?));
    client.post(&path, &json!({"firstName": "Still"})).await?.of_status(202)?;
    hub.stop().await
}
