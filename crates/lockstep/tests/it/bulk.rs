//! Bulk against SIGKILL: an upload that is killed goes on where its last durable line stands, and a sync of everything
//! that is killed sends every record, none of them older than a change already sent.
//!
//! `LOCKSTEP_BULK_RECORDS` chooses how many.

use crate::chance::Chance;
use crate::client::Client;
use crate::crash::setting;
use crate::desk::{Desk, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{ADMIN_KEY, Hub, Start};
use crate::receiver::{Arrival, Receiver};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const KEY: &str = "the first load";

fn line(number: u64) -> String {
    format!(
        "{}\n",
        json!({"code": format!("c{number}"), "firstName": "Ann", "lastName": format!("Vos {number}"), "city": "Delft"})
    )
}

/// Sends `lines` of an upload as one chunked body; without an end where `is_whole` is not so. Gives the answer's head.
async fn upload(hub: &Hub, desk: &Desk, lines: std::ops::Range<u64>, is_whole: bool) -> Result<String> {
    let mut stream = TcpStream::connect(hub.address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nidempotency-key: {KEY}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        desk.path("contact/create-many"),
        hub.address,
        desk.api_key
    );
    stream.write_all(head.as_bytes()).await?;
    for first in lines.clone().step_by(200) {
        let chunk: String = (first..(first + 200).min(lines.end)).map(line).collect();
        stream.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes()).await?;
    }
    if !is_whole {
        return Ok(String::new());
    }
    stream.write_all(b"0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn count(hub: &Hub, desk: &Desk) -> Result<u64> {
    let all = Client::new(hub.address, ADMIN_KEY).post("/management/business/list-all", &json!({})).await?;
    let all = all.of_status(200)?;
    let own = all.as_array().into_iter().flatten().find(|business| business["id"] == json!(desk.business));
    Ok(own.context("the business is listed")?["records"]["contact"].as_u64().unwrap_or(0))
}

async fn operation(hub: &Hub, desk: &Desk, id: &str) -> Result<Value> {
    desk.client(hub).post(&desk.path(&format!("operation/get/{id}")), &json!({})).await?.of_status(200)
}

/// What a subscriber knows of each record: how often it was told of it as it is, and the newest version it was sent.
#[derive(Default)]
struct Told {
    current: BTreeMap<String, u32>,
    newest: BTreeMap<String, u64>,
    older: Vec<String>,
}

impl Told {
    fn take_in(&mut self, arrivals: Vec<Arrival>) -> Result<()> {
        for arrival in arrivals {
            let body: Value = serde_json::from_slice(&arrival.body)?;
            let record = &body["data"]["record"];
            let (id, version) = (text(record, "id")?, record["version"].as_u64().context("a version")?);
            let newest = self.newest.entry(id.clone()).or_default();
            if body["type"] == json!("contact.current") {
                if version < *newest {
                    self.older.push(format!("{id}: version {version} after {newest}"));
                }
                *self.current.entry(id).or_default() += 1;
            }
            *newest = version.max(*newest);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_and_a_sync_of_everything_survive_being_killed() -> Result<()> {
    let records = setting("LOCKSTEP_BULK_RECORDS")?.unwrap_or(200_000);
    let seed = setting("LOCKSTEP_CRASH_SEED")?.unwrap_or_else(Chance::fresh_seed);
    println!("LOCKSTEP_BULK_RECORDS={records} LOCKSTEP_CRASH_SEED={seed}");
    let mut chance = Chance::new(seed);
    let folder = tempfile::tempdir()?;
    let start = Start::on(folder.path().join("data"));
    let receiver = Receiver::start().await?;

    let hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let broken_at = records / 4 + chance.below(records / 2);
    upload(&hub, &desk, 0..broken_at, false).await?;
    hub.kill()?;
    receiver.next_life().await?;
    let hub = start.run().await?;
    let durable = count(&hub, &desk).await?;
    ensure!(durable <= broken_at, "{durable} of {broken_at} lines");
    let answer = upload(&hub, &desk, 0..records, true).await?;
    ensure!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let upload: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).context("a body")?)?;
    let view = operation(&hub, &desk, &text(&upload, "operationId")?).await?;
    let told = (view["state"].as_str(), view["lines"].as_u64(), view["changed"].as_u64());
    ensure!(told == (Some("completed"), Some(records), Some(records)), "{view}");
    ensure!(count(&hub, &desk).await? == records, "a line was lost, or taken twice");

    sync_through_a_kill(Sync { start, hub, desk, receiver, records }, &mut chance).await
}

struct Sync {
    start: Start,
    hub: Hub,
    desk: Desk,
    receiver: Receiver,
    records: u64,
}

async fn sync_through_a_kill(stage: Sync, chance: &mut Chance) -> Result<()> {
    let Sync { start, hub, desk, receiver, records } = stage;
    let wanted = json!({"kinds": ["current", "updated"]});
    desk.subscribe(&hub, &receiver.url("/all"), wanted).await?;
    let begun = desk.client(&hub).post(&desk.path("contact/sync-all"), &json!({})).await?.of_status(202)?;
    let id = text(&begun, "operationId")?;
    let mut told = Told::default();
    let killed_at = records / 8 + chance.below(records / 2);
    let mut writer = desk.client(&hub);
    let mut edits = 0;
    let edit = async |writer: &mut Client, known: Option<String>, number: u32| -> Result<()> {
        let Some(known) = known else { return Ok(()) };
        let path = desk.path(&format!("contact/update/{known}"));
        writer.post(&path, &json!({"city": format!("Breda {number}")})).await?.of_status(202).map(|_| ())
    };
    while (told.current.len() as u64) < killed_at {
        told.take_in(receiver.take())?;
        edits += 1;
        let known = told.newest.keys().nth(chance.place(1 + told.newest.len().min(500))).cloned();
        edit(&mut writer, known, edits).await?;
    }
    hub.kill()?;
    receiver.next_life().await?;
    let hub = start.run().await?;
    let mut writer = desk.client(&hub);
    for _ in 0..200 {
        edits += 1;
        let known = told.newest.keys().nth(chance.place(500)).cloned();
        edit(&mut writer, known, edits).await?;
    }
    let mut view = Value::Null;
    let ended = eventually(seconds(120), "the sync ends", async || {
        if let Ok(read) = operation(&hub, &desk, &id).await {
            view = read;
        }
        view["state"] == json!("completed")
    });
    ended.await.with_context(|| view.to_string())?;
    told.take_in(receiver.take())?;
    ensure!(told.older.is_empty(), "{} were older, such as {:?}", told.older.len(), told.older.first());
    ensure!(told.current.len() as u64 == records, "{} of {records} were sent", told.current.len());
    ensure!(view["matched"].as_u64() >= Some(records), "{view}");
    hub.stop().await
}
