//! (n) Two platforms brought together: how fast the people of one are made at the other, through listing, matching,
//! committing and writing in batches; then how soon an edit that a hook tells of is written there.

mod platform;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::bench::hub::Hub;
use crate::bench::link::Target;
use crate::bench::load::{Errand, Marks, by_timetable};
use crate::bench::measure::{median, quantile, whole};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::{Bench, clock, say};
use platform::Platform;

/// People that are brought over.
const PEOPLE: usize = 100_000;
/// Hooks a second.
const HOOKS: f64 = 200.0;
const PATIENCE: Duration = Duration::from_secs(300);
/// Syncs whose median is the disk's.
const SYNCS: usize = 200;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds() {
        let found = measured(bench).await?;
        let Found { rate, peak_mib, cpu_us, hook_ms, sync_ms, .. } = found;
        say(&format!(
            "  round {round}: {rate:.0} records/s, {cpu_us:.0} µs each, {peak_mib:.0} MiB; hook to write {hook_ms:.2} ms, \
             a sync {sync_ms:.2} ms"
        ));
        report.rounds.push(json!({
            "records_per_s": rate, "cpu_us_per_record": cpu_us, "peak_mib": peak_mib, "hook_p50_ms": hook_ms,
            "hook_p99_ms": found.hook_late_ms, "fdatasync_ms": sync_ms,
        }));
        rounds.push(found);
    }
    let of = |value: fn(&Found) -> f64| median(rounds.iter().map(value));
    report.figures = vec![
        Figure::new("people brought over", of(|found| found.rate), "records/s")
            .target(Bound::AtLeast(4_000.0))
            .aim(Bound::AtLeast(8_000.0)),
        Figure::new("processor time each", of(|found| found.cpu_us), "µs"),
        Figure::new("most memory", of(|found| found.peak_mib), "MiB").target(Bound::AtMost(200.0)),
        Figure::new("hook to write, p50", of(|found| found.hook_ms), "ms"),
        Figure::new("hook to write, p99", of(|found| found.hook_late_ms), "ms"),
        Figure::new("a sync of this disk, p50", of(|found| found.sync_ms), "ms"),
        Figure::new("hook to write beyond three syncs, p50", of(|found| found.hook_ms - 3.0 * found.sync_ms), "ms")
            .target(Bound::AtMost(6.0)),
    ];
    Ok(())
}

struct Found {
    rate: f64,
    cpu_us: f64,
    peak_mib: f64,
    hook_ms: f64,
    hook_late_ms: f64,
    sync_ms: f64,
}

async fn measured(bench: &Bench) -> anyhow::Result<Found> {
    let platform = Platform::start(PEOPLE).await?;
    let connectors = connectors(bench)?;
    let hub = Hub::start_with(bench, &["--connectors".into(), connectors.into_os_string()]).await?;
    let to = connect(&hub, &platform, "to").await?;
    share(&hub, &to, json!({"direction": "out", "history": "all"})).await?;
    let from = connect(&hub, &platform, "from").await?;
    let (started, before) = (clock::now(), hub.process().cpu_us()?);
    share(&hub, &from, json!({"direction": "in", "history": "all"})).await?;
    until(|| platform.created() >= PEOPLE as u64).await.context("not everybody was brought over")?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_us = (hub.process().cpu_us()? - before) as f64 / PEOPLE as f64;
    let peak_mib = hub.process().memory()?.peak_mib();
    // The run ends, and what was written is kept.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (hook_ms, hook_late_ms) = hooked(bench, &hub, &platform, &from).await?;
    let sync_ms = synced(bench)?;
    Ok(Found { rate: PEOPLE as f64 / seconds, cpu_us, peak_mib, hook_ms, hook_late_ms, sync_ms })
}

/// The connector, in a folder of the bench's.
fn connectors(bench: &Bench) -> anyhow::Result<PathBuf> {
    let folder = bench.folder().join("connectors");
    let own = folder.join("bench");
    fs::create_dir_all(&own)?;
    fs::write(own.join("manifest.yaml"), include_str!("manifest.yaml"))?;
    fs::write(own.join("lockstep.yaml"), include_str!("lockstep.yaml"))?;
    Ok(folder)
}

async fn connect(hub: &Hub, platform: &Platform, which: &str) -> anyhow::Result<String> {
    let body = json!({"connector": "bench", "label": which, "config": {"base_url": platform.url(which)}});
    let made = hub.manage("connections", &body).await?;
    made.get("id").and_then(Value::as_str).map(str::to_owned).context("a connection without an id")
}

async fn share(hub: &Hub, connection: &str, said: Value) -> anyhow::Result<()> {
    let mut body = json!({"label": "people", "connection": connection, "object": "person", "type": "contact"});
    if let (Some(body), Value::Object(said)) = (body.as_object_mut(), said) {
        body.extend(said);
    }
    hub.manage("shares", &body).await?;
    Ok(())
}

async fn until(is_done: impl Fn() -> bool) -> anyhow::Result<()> {
    let started = clock::now();
    while !is_done() {
        if started.elapsed() > PATIENCE {
            bail!("it had not come to pass after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Milliseconds from a hook's sending to the arrival of what it told of: the median, and the slowest in a hundred.
async fn hooked(bench: &Bench, hub: &Hub, platform: &Platform, from: &str) -> anyhow::Result<(f64, f64)> {
    let warm_up = usize::try_from(whole(HOOKS * clock::WARM_UP.as_secs_f64()))?;
    let counted = usize::try_from(whole(HOOKS * bench.window().as_secs_f64()))?;
    let marks = Arc::new(Marks::new(warm_up + counted));
    platform.mark(Arc::clone(&marks));
    let hooks = hub.managed(&format!("connections/{from}/hooks")).await?;
    let url = hooks.pointer("/hooks/0/url").and_then(Value::as_str).context("no hook")?;
    let path = url.find("/hook/").and_then(|at| url.get(at..)).context("a hook's path")?;
    let body = |number: u64| Bytes::from(json!({"id": number.to_string()}).to_string());
    let target = Target::new(hub.process().address(), path, "")?;
    let errand = Errand { target, expected: StatusCode::OK, body: Box::new(body) };
    by_timetable(errand, bench.connections(), HOOKS, Arc::clone(&marks)).await?;
    let arrived = |marks: &Marks| marks.all().iter().all(|mark| mark.arrived.load(Ordering::Relaxed) > 0);
    until(|| arrived(&marks)).await.context("some edits never arrived")?;
    let took = |mark: &crate::bench::load::Mark| {
        mark.arrived.load(Ordering::Relaxed).saturating_sub(mark.sent.load(Ordering::Relaxed))
    };
    let mut times: Vec<u64> = marks.all().iter().skip(warm_up).map(took).collect();
    let [usual, late] = [0.5, 0.99].map(|share| quantile(&mut times, share) as f64 / 1e6);
    Ok((usual, late))
}

/// Milliseconds that a sync of a small write takes, in the median.
fn synced(bench: &Bench) -> anyhow::Result<f64> {
    let path = bench.folder().join("synced");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let started = clock::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path)?;
    Ok(median(times))
}
