//! A disk that fills up: refused with a clear error, nothing acknowledged lost, and writing resumes by itself.
//!
//! Needs a small file system of its own, so root; elsewhere it says that it is skipped.

use crate::client::{Answer, Client};
use crate::desk::{Desk, text};
use crate::eventually::{eventually, seconds};
use crate::hub::Start;
use crate::receiver::Receiver;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const DISK_MIB: u64 = 256;
/// Below the floor of 64 MiB that the hub keeps free.
const LEFT_FREE_MIB: u64 = 60;

/// A small disk; taken off when dropped.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None where mounting is not permitted.
    fn mount() -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={DISK_MIB}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "lockstep-it"]).arg(folder.path()).output();
        Ok(mounted.is_ok_and(|done| done.status.success()).then_some(Self { folder }))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all but so much of what is free.
    fn fill(&self, name: &str, left_mib: u64) -> Result<()> {
        let free = Command::new("df").args(["--output=avail", "-BM"]).arg(self.path()).output()?;
        let free = String::from_utf8_lossy(&free.stdout).into_owned();
        let free = free.lines().nth(1).and_then(|line| line.trim().trim_end_matches('M').parse::<u64>().ok());
        let size = format!("{}MiB", free.context("df says how much is free")?.saturating_sub(left_mib));
        let made = Command::new("fallocate").args(["-l", &size]).arg(self.path().join(name)).output()?;
        ensure!(made.status.success(), "no filler of {size}: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// Takes all there is.
    fn fill_up(&self, name: &str) -> Result<()> {
        let mut file = File::create(self.path().join(name))?;
        match std::io::copy(&mut std::io::repeat(0), &mut file) {
            Err(error) if error.kind() == ErrorKind::StorageFull => Ok(()),
            other => bail!("the disk never fills: {other:?}"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the hub may still be ending.
        let _done = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

/// Writes contacts one after another and remembers those acknowledged.
struct Writing {
    desk: Desk,
    client: Client,
    acknowledged: Vec<String>,
}

impl Writing {
    async fn write(&mut self) -> Result<Answer> {
        let fields = json!({"lastName": "full", "notes": "x".repeat(2_000)});
        let answer = self.client.post(&self.desk.path("contact/create"), &fields).await?;
        if answer.status == 202 {
            self.acknowledged.push(text(&answer.body, "recordId")?);
        }
        Ok(answer)
    }

    /// Writes until the answer has this status, and gives it; others must be 202, `busy` or `disk_full`.
    async fn write_until(&mut self, status: u16) -> Result<Answer> {
        let mut last = None;
        let what = format!("an answer {status}");
        let reached = eventually(seconds(30), &what, async || {
            let answer = self.write().await;
            let is_over = answer.as_ref().map_or(true, |answer| answer.status == status);
            last = Some(answer);
            is_over
        });
        reached.await?;
        let answer = last.context("no answer")??;
        ensure!([202, 503].contains(&answer.status), "{answer:?}");
        Ok(answer)
    }
}

fn is_refused_for_the_disk(answer: &Answer) -> Result<()> {
    ensure!(answer.error_code() == "disk_full", "{answer:?}");
    let wait = answer.headers.get("retry-after").and_then(|wait| wait.parse::<u64>().ok());
    ensure!(wait.is_some_and(|wait| wait > 0), "no Retry-After: {answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_loses_nothing_and_recovers() -> Result<()> {
    let Some(disk) = Disk::mount()? else {
        println!("skipped: mounting a tmpfs is not permitted here");
        return Ok(());
    };
    let data = disk.path().join("data");
    let receiver = Receiver::start().await?;
    let mut hub = Start::on(&data).run().await?;
    let desk = Desk::open(&hub).await?;
    desk.subscribe(&hub, &receiver.url("/"), json!({})).await?;
    let mut writing = Writing { client: desk.client(&hub), desk, acknowledged: Vec::new() };
    for _ in 0..50 {
        writing.write().await?.of_status(202)?;
    }

    disk.fill("filler", LEFT_FREE_MIB)?;
    is_refused_for_the_disk(&writing.write_until(503).await?)?;
    // To the last block: still an answer, no crash.
    disk.fill_up("last")?;
    let answer = writing.write().await?;
    ensure!(answer.status == 503, "{answer:?}");
    is_refused_for_the_disk(&answer)?;
    ensure!(hub.is_running(), "it ended: {}", hub.log_text());

    for filler in ["filler", "last"] {
        std::fs::remove_file(disk.path().join(filler))?;
    }
    writing.write_until(202).await?;
    for _ in 0..20 {
        writing.write().await?.of_status(202)?;
    }
    let wanted = &writing.acknowledged;
    let arrived = eventually(seconds(30), "all acknowledged creates are delivered", async || {
        let bodies = receiver.look(|all| {
            all.iter().map(|arrival| String::from_utf8_lossy(&arrival.body).into_owned()).collect::<Vec<_>>()
        });
        wanted.iter().all(|record| bodies.iter().any(|body| body.contains(record)))
    });
    if let Err(error) = arrived.await {
        bail!("{error:#}; {} were acknowledged; the log: {}", wanted.len(), hub.log_text());
    }
    hub.stop().await?;

    // And the store opens again.
    let hub = Start::on(&data).run().await?;
    writing.client = writing.desk.client(&hub);
    writing.write().await?.of_status(202)?;
    hub.stop().await
}
