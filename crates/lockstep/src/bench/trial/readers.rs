//! (k) Thousands of readers of one business's feed: how soon all are told of a change, and what each costs in memory.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::bench::hub::Hub;
use crate::bench::measure::{median, rounded};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::{Bench, clock, say};

const READERS: usize = 5_000;
/// Readers opened at the same time.
const AT_ONCE: usize = 50;
const CHANGES: usize = 10;
const REST: Duration = Duration::from_millis(500);

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let hub = Hub::start(bench).await?;
    // What a first reader and a first change bring is not booked to the others.
    let first = hub.follow("").await?;
    hub.create(bench, 0).await?;
    tokio::time::sleep(REST).await;
    let before = hub.process().memory()?;
    let mut readers = vec![first];
    while readers.len() < READERS {
        let more = AT_ONCE.min(READERS - readers.len());
        let opened = futures_util::future::try_join_all((0..more).map(|_| hub.follow(""))).await?;
        readers.extend(opened);
    }
    tokio::time::sleep(REST).await;
    let waiting = hub.process().memory()?;
    let each_kib = (waiting.resident_kib.saturating_sub(before.resident_kib)) as f64 / READERS as f64;
    say(&format!("  {READERS} readers wait, {each_kib:.1} KiB each"));
    let (mut all_ms, mut half_ms) = (vec![], vec![]);
    for number in 1..=CHANGES {
        let (told, back) = told(&hub, bench, readers, number as u64).await?;
        readers = back;
        half_ms.push(told.half_ms);
        all_ms.push(told.all_ms);
        report.rounds.push(json!({ "halfMs": rounded(told.half_ms), "allMs": rounded(told.all_ms) }));
    }
    let after = hub.process().memory()?;
    let told_kib = (after.resident_kib.saturating_sub(before.resident_kib)) as f64 / READERS as f64;
    report.figures = vec![
        Figure::new("all readers told, median", median(all_ms.iter().copied()), "ms").target(Bound::AtMost(1_000.0)),
        Figure::new("all readers told, worst", all_ms.iter().copied().fold(0.0, f64::max), "ms"),
        Figure::new("half of them told, median", median(half_ms.iter().copied()), "ms"),
        Figure::new("memory of a reader that waits", each_kib, "KiB").target(Bound::AtMost(20.0)),
        Figure::new("memory of a reader that was told", told_kib, "KiB").target(Bound::AtMost(20.0)),
        Figure::new("readers", READERS as f64, "readers"),
    ];
    Ok(())
}

struct Told {
    half_ms: f64,
    all_ms: f64,
}

type Readers = Vec<crate::bench::stream::Reader>;

/// Makes one change and waits until every reader has heard of it.
async fn told(hub: &Hub, bench: &Bench, readers: Readers, number: u64) -> anyhow::Result<(Told, Readers)> {
    let mut waiting = JoinSet::new();
    for mut reader in readers {
        waiting.spawn(async move {
            while reader.next().await? == 0 {}
            anyhow::Ok((reader, clock::now()))
        });
    }
    let started = clock::now();
    hub.create(bench, number).await?;
    let (mut back, mut heard) = (Vec::with_capacity(READERS), Vec::with_capacity(READERS));
    while let Some(done) = waiting.join_next().await {
        let (reader, at) = done??;
        back.push(reader);
        heard.push(at.duration_since(started).as_secs_f64() * 1_000.0);
    }
    ensure!(back.len() == READERS, "{} readers came back", back.len());
    heard.sort_by(f64::total_cmp);
    let at = |index: usize| heard.get(index).copied().context("a reader");
    Ok((Told { half_ms: at(READERS / 2)?, all_ms: at(READERS - 1)? }, back))
}
