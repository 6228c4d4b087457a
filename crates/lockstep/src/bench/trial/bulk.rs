//! (h) Bulk: how fast an upload becomes durable, and how fast a sync of everything leaves, in how much memory.

use anyhow::{Context, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::bench::hub::Hub;
use crate::bench::load::on_own_runtime;
use crate::bench::measure::rounded;
use crate::bench::process::Process;
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::{Bench, bare, clock, say, sink};

/// Lines that the hub makes durable together, as its limits say.
const BATCH: u64 = 500;
const POLL: Duration = Duration::from_millis(100);

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let sink = bench.peer(Role::Sink).await?;
    let hub = Hub::start(bench).await?;
    let count = bench.backlog();
    let raw = written(bench, count.min(100_000))?;
    let (started, cpu_before) = (clock::now(), hub.process().cpu_us()?);
    hub.upload(bench, count).await?;
    let uploaded = count as f64 / started.elapsed().as_secs_f64();
    let upload_cpu = (hub.process().cpu_us()? - cpu_before) as f64 / count as f64;
    let after_upload = hub.process().memory()?;
    say(&format!("  {count} lines uploaded at {uploaded:.0}/s; the same bytes appended and synced at {raw:.0}/s"));
    hub.subscribe_to(sink.address(), &["current"]).await?;
    let synced = synced(&hub, &sink, count).await?;
    let bare = posted(bench, &sink, sink::last_body(&sink, hub.board()).await?).await?;
    say(&format!("  all sent again at {:.0}/s; a bare client posts {bare:.0}/s", synced.rate));
    report.rounds.push(json!({ "uploadPerS": rounded(uploaded), "syncPerS": rounded(synced.rate) }));
    report.figures = vec![
        Figure::new("create-many", uploaded, "records/s")
            .target(Bound::AtLeast(20_000.0))
            .aim(Bound::AtLeast(40_000.0)),
        Figure::new("share of bare appends", uploaded / raw, "×"),
        Figure::new("hub CPU per line", upload_cpu, "µs"),
        Figure::new("hub memory after it, peak", after_upload.peak_mib(), "MiB"),
        Figure::new("sync-all", synced.rate, "records/s")
            .target(Bound::AtLeast(12_000.0))
            .aim(Bound::AtLeast(20_000.0)),
        Figure::new("share of the bare client", synced.rate / bare, "×"),
        Figure::new("hub CPU per notification", synced.cpu_us, "µs"),
        Figure::new("hub memory, peak", hub.process().memory()?.peak_mib(), "MiB").target(Bound::AtMost(200.0)),
        Figure::new("records", count as f64, "records"),
    ];
    Ok(())
}

struct Synced {
    rate: f64,
    cpu_us: f64,
}

/// Asks for everything and waits until the operation says that it has been sent.
async fn synced(hub: &Hub, sink: &Process, count: u64) -> anyhow::Result<Synced> {
    let (started, cpu_before) = (clock::now(), hub.process().cpu_us()?);
    let operation = hub.sync_all().await?;
    let view = loop {
        let view = hub.operation(&operation).await?;
        if view.get("state").and_then(Value::as_str) == Some("completed") {
            break view;
        }
        tokio::time::sleep(POLL).await;
    };
    let lasted = started.elapsed().as_secs_f64();
    ensure!(view.get("sent").and_then(Value::as_u64) == Some(count), "{count} records, and {view}");
    let came = sink::counts(sink, hub.board()).await?.all;
    ensure!(came == count, "{count} records were sent, {came} came");
    let cpu_us = (hub.process().cpu_us()? - cpu_before) as f64 / count as f64;
    Ok(Synced { rate: count as f64 / lasted, cpu_us })
}

/// How many bodies a second can be appended to a file that is synced after each batch: what a store that wrote each
/// byte once, without an index, could do at most.
fn written(bench: &Bench, count: u64) -> anyhow::Result<f64> {
    let path: &Path = &bench.folder().join("appended");
    let mut file = std::fs::File::create(path).with_context(|| format!("creating {}", path.display()))?;
    let (records, started) = (bench.records(), clock::now());
    let mut held = Vec::new();
    for number in 0..count {
        held.extend_from_slice(&records.body(number));
        held.push(b'\n');
        if number % BATCH == BATCH - 1 || number + 1 == count {
            file.write_all(&held)?;
            file.sync_data()?;
            held.clear();
        }
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

async fn posted(bench: &Bench, sink: &Process, body: Bytes) -> anyhow::Result<f64> {
    let (address, window) = (sink.address(), bench.window());
    tokio::task::spawn_blocking(move || on_own_runtime(bare::post_for(address, body, window))).await?
}
