//! (l) Looking for one record by an indexed field among a million.

use serde_json::json;

use crate::bench::hub::Hub;
use crate::bench::measure::{quantile, rounded};
use crate::bench::record::Records;
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::{Bench, clock, say};

const QUERIES: u64 = 5_000;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let hub = Hub::start(bench).await?;
    let count = bench.backlog();
    hub.upload(bench, count).await?;
    say(&format!("  {count} records; {QUERIES} queries, one after the other"));
    // Spread over all records, so that what is asked for is not what was asked for just now.
    let step = (count / QUERIES).max(1) | 1;
    let asking = |mut sender| async {
        let mut took = Vec::new();
        for number in 0..QUERIES {
            let email = Records::email(number * step % count);
            let started = clock::now();
            hub.find(&mut sender, "email", &email).await?;
            took.push(u64::try_from(started.elapsed().as_micros())?);
        }
        drop(sender);
        Ok(took)
    };
    let mut took = hub.target()?.connected(asking).await?;
    let mut at = |share: f64| quantile(&mut took, share) as f64 / 1_000.0;
    let (p50, p99) = (at(0.50), at(0.99));
    report.rounds.push(json!({ "p50Ms": rounded(p50), "p99Ms": rounded(p99) }));
    report.figures = vec![
        Figure::new("query by an indexed field, p50", p50, "ms").target(Bound::AtMost(2.0)),
        Figure::new("query by an indexed field, p99", p99, "ms").target(Bound::AtMost(20.0)),
        Figure::new("hub memory, peak", hub.process().memory()?.peak_mib(), "MiB"),
        Figure::new("records", count as f64, "records"),
    ];
    Ok(())
}
