//! (j) The change feed on one connection, as a stream and page by page, beside SQLite reading the same rows bare.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::bench::hub::Hub;
use crate::bench::measure::{median, rounded};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::stream::Reader;
use crate::bench::{Bench, clock, say};

/// Changes read; more only makes it longer.
const CHANGES_MAX: u64 = 200_000;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let hub = Hub::start(bench).await?;
    let count = bench.backlog().min(CHANGES_MAX);
    hub.upload(bench, count).await?;
    let (mut bare, mut streamed, mut paged, mut shares, mut costs) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..bench.rounds() {
        let folder = hub.folder().to_owned();
        let started = clock::now();
        let probed = tokio::task::spawn_blocking(move || lockstep_store_sqlite::probe::read_log(&folder)).await??;
        let bare_rate = probed.rows as f64 / started.elapsed().as_secs_f64();
        let cpu_before = hub.process().cpu_us()?;
        let stream_rate = streaming(&hub, count).await?;
        costs.push((hub.process().cpu_us()? - cpu_before) as f64 / count as f64);
        let page_rate = paging(&hub, count).await?;
        say(&format!("  streamed at {stream_rate:.0}/s, paged at {page_rate:.0}/s; SQLite bare {bare_rate:.0}/s"));
        report.rounds.push(json!({
            "barePerS": rounded(bare_rate), "streamPerS": rounded(stream_rate), "pagedPerS": rounded(page_rate),
        }));
        shares.push(stream_rate / bare_rate);
        bare.push(bare_rate);
        streamed.push(stream_rate);
        paged.push(page_rate);
    }
    report.figures = vec![
        Figure::new("one stream", median(streamed.iter().copied()), "changes/s")
            .target(Bound::AtLeast(40_000.0))
            .aim(Bound::AtLeast(100_000.0)),
        Figure::new("share of SQLite bare", median(shares.iter().copied()), "×"),
        Figure::new("hub CPU per change", median(costs.iter().copied()), "µs"),
        Figure::new("pages of 1,000", median(paged.iter().copied()), "changes/s"),
        Figure::new("SQLite bare", median(bare.iter().copied()), "rows/s"),
        Figure::new("changes", count as f64, "changes"),
    ];
    Ok(())
}

async fn streaming(hub: &Hub, count: u64) -> anyhow::Result<f64> {
    let started = clock::now();
    let mut reader = hub.follow("after=0").await?;
    let mut came = 0;
    while came < count {
        came += Reader::next(&mut reader).await?;
    }
    Ok(came as f64 / started.elapsed().as_secs_f64())
}

async fn paging(hub: &Hub, count: u64) -> anyhow::Result<f64> {
    let started = clock::now();
    let (mut after, mut came) = ("0".to_owned(), 0);
    while came < count {
        let page = hub.get(&format!("changes?limit=1000&after={after}")).await?;
        let changes = page.get("changes").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        ensure!(changes > 0, "the feed ended after {came} of {count}");
        came += changes;
        after = page.get("after").and_then(Value::as_str).unwrap_or_default().to_owned();
    }
    Ok(came as f64 / started.elapsed().as_secs_f64())
}
