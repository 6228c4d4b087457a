//! `lockstep tail` over the real binary: it tells changes as they happen, and goes on after the hub was killed.

use crate::desk::Desk;
use crate::eventually::{eventually, seconds};
use crate::hub::{Start, binary};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// The command, and the lines it has printed. Dropped, it is ended.
struct Tail {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Tail {
    fn start(url: &str, desk: &Desk, flags: &[&str]) -> Result<Self> {
        let mut child = binary()
            .args(["tail", "--url", url, "--json"])
            .args(flags)
            .env("LOCKSTEP_API_KEY", &desk.api_key)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                kept.lock().expect("no panic").push(line);
            }
        });
        Ok(Self { child, lines })
    }

    fn seqs(&self) -> Vec<u64> {
        let lines = self.lines.lock().expect("no panic");
        let changes = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        changes.filter_map(|change| change["seq"].as_u64()).collect()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        let _is_over = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_tells_each_change_once_though_the_hub_is_killed_under_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = Start::on(folder.path().join("data"));
    let hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let (address, url) = (hub.address, format!("http://{}", hub.address));
    let mut client = desk.client(&hub);
    desk.create(&mut client, &json!({"firstName": "Ada"})).await?;
    let mut tail = Tail::start(&url, &desk, &["--after", "0", "--limit", "3"])?;
    eventually(seconds(20), "the first change is told", async || tail.seqs() == [1]).await?;
    desk.create(&mut client, &json!({"firstName": "Bob"})).await?;
    eventually(seconds(20), "the second is told as it happens", async || tail.seqs() == [1, 2]).await?;
    hub.kill()?;
    let hub = start.listening_on(address).run().await?;
    desk.create(&mut desk.client(&hub), &json!({"firstName": "Cid"})).await?;
    eventually(seconds(40), "the third is told after the restart", async || tail.seqs() == [1, 2, 3]).await?;
    let status = tail.child.wait()?;
    ensure!(status.success(), "a tail that has told enough ends well, not with {status}");
    let wrong = binary().args(["tail", "--url", &url]).env("LOCKSTEP_API_KEY", "nonsense").output()?;
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    ensure!(wrong.status.code() == Some(1) && said.contains("error[invalid_credentials]"), "{said}");
    hub.stop().await
}
