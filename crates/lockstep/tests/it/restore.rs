//! Backup under load, and the hub restored elsewhere: nothing leaves before it is released, nothing kept is missing
//! after it, and nothing of the lost future is taken for what has its place now.

use crate::client::Client;
use crate::desk::{Desk, Subscription, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{ADMIN_KEY, Hub, Start, binary};
use crate::receiver::{Arrival, Receiver};
use crate::writers::Writers;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Runs a command to its end, beside what the test does.
pub(crate) async fn lockstep(args: &[&str], paths: &[&Path]) -> Result<Output> {
    let args: Vec<OsString> =
        args.iter().map(OsString::from).chain(paths.iter().map(|path| path.as_os_str().to_owned())).collect();
    let run = move || binary().args(args).env("LOCKSTEP_ADMIN_KEY", ADMIN_KEY).output();
    Ok(tokio::task::spawn_blocking(run).await??)
}

async fn backup(hub: &Hub, file: &Path) -> Result<Output> {
    let url = format!("http://{}", hub.address);
    lockstep(&["backup", "--json", "--url", &url], &[file]).await
}

async fn restore(file: &Path, data: &Path) -> Result<Output> {
    lockstep(&["restore", "--json"], &[file, Path::new("--data"), data]).await
}

async fn release(hub: &Hub) -> Result<Value> {
    let url = format!("http://{}", hub.address);
    printed(&lockstep(&["release", "--json", "--url", &url], &[]).await?)
}

pub(crate) fn printed(done: &Output) -> Result<Value> {
    ensure!(done.status.success(), "{done:?}");
    ensure!(done.stderr.is_empty(), "with --json nothing else is said: {done:?}");
    Ok(serde_json::from_slice(&done.stdout)?)
}

pub(crate) fn is_refused(done: &Output, code: &str) -> Result<()> {
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(!done.status.success() && said.contains(&format!("error[{code}]")), "expected {code}: {done:?}");
    Ok(())
}

/// Webhook ids by seq, of what came to one path.
fn ids(arrivals: &[Arrival], path: &str) -> Result<BTreeMap<u64, BTreeSet<String>>> {
    let mut ids: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for arrival in arrivals.iter().filter(|arrival| arrival.path == path) {
        let body: Value = serde_json::from_slice(&arrival.body)?;
        let seq = body["data"]["seq"].as_u64().with_context(|| format!("no seq in {body}"))?;
        let id = arrival.headers.get("webhook-id").context("no webhook-id")?;
        ids.entry(seq).or_default().insert(id.clone());
    }
    Ok(ids)
}

/// Makes contacts and gives the ids of the operations.
async fn create(desk: &Desk, hub: &Hub, count: usize) -> Result<BTreeSet<String>> {
    let (mut client, mut operations) = (desk.client(hub), BTreeSet::new());
    for _ in 0..count {
        operations.insert(text(&desk.create(&mut client, &json!({"firstName": "Ann"})).await?, "operationId")?);
    }
    Ok(operations)
}

/// A call about a subscription.
async fn about(desk: &Desk, hub: &Hub, call: &str, own: &Subscription, body: Value) -> Result<Value> {
    desk.client(hub).post(&desk.path(&format!("subscription/{call}/{}", own.id)), &body).await?.of_status(200)
}

/// A hub that has lost what came after its backup.
struct Lost {
    desk: Desk,
    live: Subscription,
    paused: Subscription,
    /// The newest change in the backup, and of the hub that is gone.
    kept: u64,
    lost: u64,
    /// Operations after the backup.
    operations: BTreeSet<String>,
    /// Where the live subscription stood at the end.
    position: String,
    /// Webhook ids of all that had been sent.
    sent: BTreeMap<u64, BTreeSet<String>>,
}

async fn lose(data: &Path, file: &Path, receiver: &Receiver) -> Result<Lost> {
    let hub = Start::on(data).run().await?;
    let desk = Desk::open(&hub).await?;
    let live = desk.subscribe(&hub, &receiver.url("/live"), json!({"startAt": "beginning"})).await?;
    let paused = json!({"startAt": "beginning", "paused": true});
    let paused = desk.subscribe(&hub, &receiver.url("/paused"), paused).await?;
    let writers = Writers::start(&desk, hub.address, 3, 7);
    let arrived = async |count: usize| {
        eventually(seconds(60), "deliveries", async || receiver.look(|all| all.len() >= count)).await
    };
    arrived(60).await?;
    let told = printed(&backup(&hub, file).await?)?;
    let kept = told["manifest"]["businesses"][0]["seq"].as_u64().with_context(|| format!("no head in {told}"))?;
    arrived(receiver.look(<[_]>::len) + 60).await?;
    writers.finish().await?;
    let operations = create(&desk, &hub, 30).await?;
    let mut standing = Value::Null;
    let lost = kept + 30;
    let caught_up = eventually(seconds(60), "all is delivered", async || {
        standing = about(&desk, &hub, "deliveries", &live, json!({})).await.unwrap_or_default();
        let seen = receiver.look(|all| ids(all, "/live")).unwrap_or_default();
        standing["cursor"].as_u64().is_some_and(|cursor| cursor >= lost && seen.contains_key(&cursor))
    });
    caught_up.await.with_context(|| standing.to_string())?;
    let sent = ids(&receiver.take(), "/live")?;
    let lost = standing["cursor"].as_u64().context("a cursor")?;
    hub.kill()?;
    receiver.next_life().await?;
    Ok(Lost { desk, live, paused, kept, lost, operations, position: text(&standing, "position")?, sent })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_restored_elsewhere_is_held_and_then_delivers_what_is_due() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (old, new, file) = (folder.path().join("old"), folder.path().join("new"), folder.path().join("hub.tar.zst"));
    let receiver = Receiver::start().await?;
    let before = lose(&old, &file, &receiver).await?;
    let told = printed(&restore(&file, &new).await?)?;
    ensure!(told["held"] == json!(true) && told["businesses"][0]["seq"] == json!(before.kept), "{told}");
    is_refused(&restore(&file, &new).await?, "data_unusable")?;
    Start::on(&new).refused().await?.is_for("sealing_key_wrong")?;
    ensure!(!new.join("lockstep.key").exists(), "no key is made for what another has sealed");
    fs::copy(old.join("lockstep.key"), new.join("lockstep.key"))?;

    let hub = Start::on(&new).run().await?;
    let desk = &before.desk;
    about(desk, &hub, "update", &before.paused, json!({"paused": false})).await?;
    let operations = create(desk, &hub, 30).await?;
    ensure!(operations.is_disjoint(&before.operations), "an operation's id was used twice");
    for operation in &before.operations {
        let path = desk.path(&format!("operation/get/{operation}"));
        desk.client(&hub).post(&path, &json!({})).await?.of_status(404)?;
    }
    is_lost(&before, &hub).await?;
    nothing_leaves(&before, &hub, &receiver).await?;

    let released = release(&hub).await?;
    ensure!(released["released"] == json!(true), "{released}");
    let again = release(&hub).await?;
    ensure!(again == json!({"released": false}), "{again}");
    let head = before.kept + 30;
    let all_came = eventually(seconds(60), "all that is kept arrives", async || {
        let came = receiver.look(|all| ids(all, "/paused")).unwrap_or_default();
        (1..=head).all(|seq| came.contains_key(&seq))
    });
    all_came.await?;
    let arrivals = receiver.take();
    let lost_ids: BTreeSet<_> = before.sent.range(before.kept + 1..).flat_map(|(_, ids)| ids).collect();
    for path in ["/paused", "/live"] {
        for (seq, ids) in ids(&arrivals, path)? {
            ensure!(ids.len() == 1, "change {seq} came to {path} under {ids:?}");
            ensure!(ids.iter().all(|id| !lost_ids.contains(id)), "{ids:?} of change {seq} was used for a lost change");
            let earlier = before.sent.get(&seq).filter(|_| path == "/live" && seq <= before.kept);
            ensure!(earlier.is_none_or(|earlier| *earlier == ids), "change {seq} came as {ids:?} after {earlier:?}");
        }
    }
    hub.stop().await
}

/// Positions of the log that is gone are known as such.
async fn is_lost(before: &Lost, hub: &Hub) -> Result<()> {
    let desk = &before.desk;
    let future = before.lost + 1_000;
    for start in [json!({"cursor": before.position}), json!({"seq": future})] {
        let body = json!({"url": "http://127.0.0.1:9/", "startAt": start});
        let refused = desk.client(hub).post(&desk.path("subscription/create"), &body).await?;
        ensure!((refused.status, refused.error_code()) == (409, "log_restored"), "{start}: {refused:?}");
    }
    let path = desk.path(&format!("subscription/replay/{}", before.live.id));
    let refused = desk.client(hub).post(&path, &json!({"seq": future})).await?;
    ensure!((refused.status, refused.error_code()) == (409, "log_restored"), "{refused:?}");
    // So are readers of the feed who stand in the lost future.
    for after in [before.position.clone(), future.to_string()] {
        let path = format!("/rest/v1/businesses/{}/changes?after={after}", before.desk.business);
        let refused = before.desk.client(hub).get(&path).await?;
        ensure!((refused.status, refused.body["code"].as_str()) == (409, Some("log_restored")), "{after}: {refused:?}");
    }
    Ok(())
}

/// While it is held the hub says so, and its post room, asked what it has done, has done nothing.
async fn nothing_leaves(before: &Lost, hub: &Hub, receiver: &Receiver) -> Result<()> {
    let ready = Client::new(hub.address, "nobody").get("/readyz").await?.of_status(200)?;
    ensure!(ready["held"].as_str().is_some_and(|why| why.contains("lockstep release")), "{ready}");
    let metrics = Client::new(hub.address, "nobody").get("/metrics").await?.of_status(200)?;
    ensure!(metrics.as_str().is_some_and(|text| text.contains("lockstep_held 1")), "{metrics}");
    let url = format!("http://{}", hub.address);
    let doctor = lockstep(&["doctor", "--url", &url, "--data"], &[Path::new("/nowhere")]).await?;
    ensure!(String::from_utf8_lossy(&doctor.stdout).contains("held"), "{doctor:?}");
    for own in [&before.live, &before.paused] {
        let tried = about(&before.desk, hub, "test", own, json!({})).await?;
        ensure!(tried["failure"].as_str().is_some_and(|why| why.contains("held")), "{tried}");
        let standing = about(&before.desk, hub, "deliveries", own, json!({})).await?;
        ensure!(standing["attempts"] == json!([]), "{standing}");
    }
    ensure!(receiver.look(<[_]>::is_empty), "something left a hub that is held");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_replaces_no_file_and_a_damaged_one_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("hub.tar.zst");
    let hub = Start::on(folder.path().join("data")).run().await?;
    Desk::open(&hub).await?;
    printed(&backup(&hub, &file).await?)?;
    let whole = fs::read(&file)?;
    is_refused(&backup(&hub, &file).await?, "settings_invalid")?;
    ensure!(fs::read(&file)? == whole, "it was not touched");
    hub.stop().await?;
    for key in ["lockstep.key", "admin.key"] {
        ensure!(!String::from_utf8_lossy(&whole).contains(key), "{key} is in it");
    }
    let target = folder.path().join("new");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 0x55;
    for damaged in [&whole[..whole.len() / 2], &altered, b"nothing of the kind"] {
        fs::write(&file, damaged)?;
        is_refused(&restore(&file, &target).await?, "backup_unusable")?;
        ensure!(!target.exists(), "a folder was left behind");
    }
    let left: Vec<_> = fs::read_dir(folder.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    ensure!(left.len() == 2, "something was left beside it: {left:?}");
    Ok(())
}
