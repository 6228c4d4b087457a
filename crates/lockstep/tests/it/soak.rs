//! A soak: mixed load, endpoints that refuse and go away, kills and backups, for as long as is asked; then quiet, and
//! everything must have come everywhere, and nothing of the process or its folder have grown past its bound.
//!
//! `LOCKSTEP_SOAK_SECONDS` chooses how long (`just soak`: an hour), `LOCKSTEP_CRASH_SEED` the seed. A line a minute says
//! how things stand.
#![expect(clippy::disallowed_methods, reason = "how long a soak lasts is a matter of the real clock")]

use crate::chance::Chance;
use crate::client::Client;
use crate::crash::setting;
use crate::desk::{Desk, Subscription, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{Hub, Start};
use crate::receiver::Receiver;
use crate::restore::lockstep;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Calls a second: a small machine's steady business, so that an hour's store stays in the gigabytes.
const CALLS_PER_S: u64 = 200;
/// Bounds on the process, in MiB, and on its files.
const RESIDENT_MIB_MAX: u64 = 250;
const WAL_MIB_MAX: u64 = 300;
const FILES_MAX: usize = 400;
/// Of the main file, in bytes a change: what one change, its record, its lookups and its share of the rest take.
const BYTES_PER_CHANGE_MAX: u64 = 6_000;
/// Of the attempt log, in bytes a delivery.
const ATTEMPT_BYTES_MAX: u64 = 600;

/// What one endpoint has been told: a bit a seq.
#[derive(Default)]
struct Seen {
    seqs: Vec<u64>,
    count: u64,
    deliveries: u64,
}

impl Seen {
    fn take_in(&mut self, receiver: &Receiver) -> Result<()> {
        for arrival in receiver.take().iter().filter(|arrival| arrival.is_accepted) {
            self.deliveries += 1;
            let body: Value = serde_json::from_slice(&arrival.body)?;
            let Some(seq) = body["data"]["seq"].as_u64() else { continue };
            let (word, bit) = (usize::try_from(seq / 64)?, 1 << (seq % 64));
            if word >= self.seqs.len() {
                self.seqs.resize(word + 1, 0);
            }
            self.count += u64::from(self.seqs[word] & bit == 0);
            self.seqs[word] |= bit;
        }
        Ok(())
    }
}

/// An endpoint and what came to it.
struct Endpoint {
    receiver: Receiver,
    seen: Seen,
}

impl Endpoint {
    async fn start() -> Result<Self> {
        Ok(Self { receiver: Receiver::start().await?, seen: Seen::default() })
    }
}

/// How the process and its folder stand.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    resident_mib: u64,
    wal_mib: u64,
    files: usize,
    main_bytes: u64,
    attempt_bytes: u64,
}

impl Standing {
    fn of(hub: &Hub, data: &Path) -> Result<Self> {
        let process = PathBuf::from(format!("/proc/{}", hub.pid()));
        let status = std::fs::read_to_string(process.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = resident.split_whitespace().next().context("no number")?.parse()?;
        let bytes = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |file| file.len());
        Ok(Self {
            resident_mib: kib / 1024,
            wal_mib: bytes("lockstep.db-wal") / (1024 * 1024),
            files: std::fs::read_dir(process.join("fd"))?.count(),
            main_bytes: bytes("lockstep.db"),
            attempt_bytes: bytes("attempts.db"),
        })
    }

    fn most(self, other: Self) -> Self {
        Self {
            resident_mib: self.resident_mib.max(other.resident_mib),
            wal_mib: self.wal_mib.max(other.wal_mib),
            files: self.files.max(other.files),
            main_bytes: self.main_bytes.max(other.main_bytes),
            attempt_bytes: self.attempt_bytes.max(other.attempt_bytes),
        }
    }
}

struct Soak {
    start: Start,
    data: PathBuf,
    desk: Desk,
    steady: Endpoint,
    flaky: Endpoint,
    away: Endpoint,
    away_subscription: Subscription,
    chance: Chance,
    /// Records that were made.
    records: Vec<String>,
    acknowledged: u64,
    kills: u64,
    backups: u64,
    most: Standing,
    /// Resident memory at the end of each life, in MiB.
    ends: Vec<u64>,
}

impl Soak {
    async fn call(&mut self, client: &mut Client) -> Result<()> {
        let number = self.acknowledged;
        let record = (!self.records.is_empty()).then(|| self.records[self.chance.place(self.records.len())].clone());
        let (path, body) = match (self.chance.below(100), record) {
            (0..45, _) | (_, None) => {
                let body =
                    json!({"code": format!("c{number}"), "email": format!("p{number}@example.com"), "city": "Delft"});
                ("contact/create".to_owned(), body)
            }
            (45..90, Some(id)) => {
                (format!("contact/update/{id}"), json!({"city": format!("Breda {number}"), "notes": "called back"}))
            }
            (90..94, Some(id)) => (format!("contact/sync-by-id?id={id}"), json!({})),
            (94..97, Some(_)) => ("contact/create?match=email".to_owned(), json!({"email": "p7@example.com"})),
            (97..99, Some(id)) => (format!("contact/correlate/{id}"), json!({"value": number, "source": "Soak"})),
            (_, Some(id)) => (format!("contact/delete/{id}"), json!({})),
        };
        let answer = client.post(&self.desk.path(&path), &body).await?;
        // A hub in its start or its end says so; nothing else is expected.
        if answer.status == 503 {
            return Ok(());
        }
        let accepted = answer.of_status(202)?;
        self.acknowledged += 1;
        if path == "contact/create" {
            self.records.push(text(&accepted, "recordId")?);
        }
        Ok(())
    }

    fn take_in(&mut self) -> Result<()> {
        for endpoint in [&mut self.steady, &mut self.flaky, &mut self.away] {
            endpoint.seen.take_in(&endpoint.receiver)?;
        }
        Ok(())
    }

    fn look(&mut self, hub: &Hub) -> Result<Standing> {
        let now = Standing::of(hub, &self.data)?;
        self.most = self.most.most(now);
        Ok(now)
    }

    /// One life of the hub: load until its time is over, then SIGKILL.
    async fn live(&mut self, life: Duration, until: Instant) -> Result<()> {
        let hub = self.start.run().await?;
        let mut client = self.desk.client(&hub);
        let began = Instant::now();
        let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / CALLS_PER_S));
        let mut calls = 0_u64;
        while began.elapsed() < life && Instant::now() < until {
            pace.tick().await;
            self.call(&mut client).await?;
            calls += 1;
            if calls.is_multiple_of(CALLS_PER_S) {
                self.take_in()?;
                self.look(&hub)?;
            }
            if calls.is_multiple_of((life.as_secs() / 3).max(1) * CALLS_PER_S) {
                self.trouble(&hub).await?;
            }
        }
        self.take_in()?;
        let end = self.look(&hub)?;
        self.ends.push(end.resident_mib);
        hub.kill()?;
        self.kills += 1;
        for endpoint in [&self.steady, &self.flaky, &self.away] {
            endpoint.receiver.next_life().await?;
        }
        Ok(())
    }

    /// Now and then: an endpoint goes or comes back, a backup, a sync of what changed lately, a secret replaced.
    async fn trouble(&mut self, hub: &Hub) -> Result<()> {
        self.away.receiver.refuse_each(self.chance.below(2));
        let path = self.data.with_file_name("backup.lockstep");
        let url = format!("http://{}", hub.address);
        let done = lockstep(&["backup", "--force", "--json", "--url", &url], &[&path]).await?;
        ensure!(done.status.success(), "{done:?}");
        self.backups += 1;
        let mut client = self.desk.client(hub);
        let since = "contact/sync-all?since=2099-01-01";
        client.post(&self.desk.path(since), &json!({})).await?.of_status(202)?;
        let rotate = format!("subscription/rotate-secret/{}", self.away_subscription.id);
        client.post(&self.desk.path(&rotate), &json!({})).await?.of_status(200)?;
        Ok(())
    }

    fn say(&self, elapsed: Duration) {
        let Standing { resident_mib, wal_mib, files, main_bytes, attempt_bytes } = self.most;
        println!(
            "{:>5} s: {} calls, {} deliveries, {} kills, {} backups; at most {resident_mib} MiB, WAL {wal_mib} MiB, \
             {files} files; store {} MiB, attempts {} MiB",
            elapsed.as_secs(),
            self.acknowledged,
            self.steady.seen.deliveries + self.flaky.seen.deliveries + self.away.seen.deliveries,
            self.kills,
            self.backups,
            main_bytes >> 20,
            attempt_bytes >> 20,
        );
    }
}

async fn head(desk: &Desk, hub: &Hub, subscription: &Subscription) -> Result<(u64, usize)> {
    let path = desk.path(&format!("subscription/deliveries/{}", subscription.id));
    let view = desk.client(hub).post(&path, &json!({})).await?.of_status(200)?;
    let parked = view["parked"].as_array().map_or(0, Vec::len) + view["deadLetters"].as_array().map_or(0, Vec::len);
    Ok((view["cursor"].as_u64().unwrap_or(0), parked))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_grows_over_a_long_time() -> Result<()> {
    let lasting = seconds(setting("LOCKSTEP_SOAK_SECONDS")?.unwrap_or(20));
    let seed = setting("LOCKSTEP_CRASH_SEED")?.unwrap_or_else(Chance::fresh_seed);
    println!("LOCKSTEP_SOAK_SECONDS={} LOCKSTEP_CRASH_SEED={seed}", lasting.as_secs());
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let start = Start::on(&data);
    let (steady, flaky, away) = (Endpoint::start().await?, Endpoint::start().await?, Endpoint::start().await?);
    let hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let own = desk.subscribe(&hub, &steady.receiver.url("/steady"), json!({})).await?;
    let shaky = desk.subscribe(&hub, &flaky.receiver.url("/flaky"), json!({})).await?;
    let away_subscription = desk.subscribe(&hub, &away.receiver.url("/away"), json!({})).await?;
    flaky.receiver.refuse_each(50);
    hub.kill()?;
    let mut soak = Soak {
        start: start.clone(),
        data,
        desk: desk.clone(),
        steady,
        flaky,
        away,
        away_subscription: away_subscription.clone(),
        chance: Chance::new(seed),
        records: Vec::new(),
        acknowledged: 0,
        kills: 1,
        backups: 0,
        most: Standing::default(),
        ends: Vec::new(),
    };
    let (began, life) = (Instant::now(), (lasting / 10).clamp(seconds(5), seconds(120)));
    let (until, mut said) = (began + lasting, began);
    while Instant::now() < until {
        soak.live(life, until).await?;
        if said.elapsed() > seconds(60) {
            said = Instant::now();
            soak.say(began.elapsed());
        }
    }
    settle(soak, [own, shaky, away_subscription], began).await
}

/// Quiet: every endpoint is well, and everything that was committed must have come to each.
async fn settle(mut soak: Soak, subscriptions: [Subscription; 3], began: Instant) -> Result<()> {
    let hub = soak.start.run().await?;
    soak.flaky.receiver.refuse_each(0);
    soak.away.receiver.refuse_each(0);
    let mut last = String::new();
    let all_came = eventually(seconds(900), "everything has come everywhere", async || {
        let mut heads = BTreeSet::new();
        let mut waiting = 0;
        for subscription in &subscriptions {
            match head(&soak.desk, &hub, subscription).await {
                Ok((cursor, parked)) => {
                    heads.insert(cursor);
                    waiting += parked;
                }
                Err(_) => return false,
            }
        }
        if soak.take_in().is_err() {
            return false;
        }
        let counts = [&soak.steady, &soak.flaky, &soak.away].map(|endpoint| endpoint.seen.count);
        last = format!("cursors {heads:?}, {waiting} waiting, {counts:?} came");
        heads.len() == 1 && waiting == 0 && heads.iter().all(|head| counts.iter().all(|count| count == head))
    });
    all_came.await.with_context(|| last.clone())?;
    soak.look(&hub)?;
    soak.say(began.elapsed());
    println!("{last}; resident at the ends of lives, in MiB: {:?}", soak.ends);
    let changes = soak.steady.seen.count;
    let Standing { resident_mib, wal_mib, files, main_bytes, attempt_bytes } = soak.most;
    let deliveries = soak.steady.seen.deliveries + soak.flaky.seen.deliveries + soak.away.seen.deliveries;
    ensure!(resident_mib <= RESIDENT_MIB_MAX, "{resident_mib} MiB were resident");
    ensure!(wal_mib <= WAL_MIB_MAX, "the write-ahead log grew to {wal_mib} MiB");
    ensure!(files <= FILES_MAX, "{files} files were open");
    ensure!(main_bytes <= 4_000_000 + changes * BYTES_PER_CHANGE_MAX, "{main_bytes} bytes for {changes} changes");
    let attempts_max = 4_000_000 + deliveries * ATTEMPT_BYTES_MAX;
    ensure!(attempt_bytes <= attempts_max, "{attempt_bytes} bytes for {deliveries} deliveries");
    for id in soak.records.iter().step_by(1 + soak.records.len() / 500) {
        let path = soak.desk.path(&format!("contact/sync-by-id?id={id}"));
        soak.desk.client(&hub).post(&path, &json!({})).await?.of_status(202)?;
    }
    hub.stop().await
}
