//! (e) What 999 and 9,999 subscriptions cost a change that none of them matches: they should cost nothing.
//!
//! One hub per size, all started and filled beforehand; windows go round the sizes, beginning each round with the
//! next one, so that none always has the first turn.

use std::time::Duration;

use serde_json::json;

use crate::bench::hub::Hub;
use crate::bench::measure::{median, rounded, through};
use crate::bench::process::Process;
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::{Bench, say};

const SIZES: [u64; 3] = [1, 1_000, 10_000];

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let sink = bench.peer(Role::Sink).await?;
    let mut hubs = Vec::new();
    for size in SIZES {
        say(&format!("  preparing {size} subscriptions"));
        hubs.push(prepared(bench, &sink, size).await?);
    }
    // Half as long and nearly twice as many as elsewhere: what is compared are neighbours in time.
    let window = (bench.window() / 2).max(Duration::from_secs(1));
    let mut costs = Vec::new();
    for round in 0..bench.rounds() * 2 - 1 {
        let cost = cpu_per_unit(bench, &hubs, &sink, round, window).await?;
        let [one, thousand, ten_thousand] = cost;
        say(&format!("  round {}: {one:.1}, {thousand:.1}, {ten_thousand:.1} µs a unit", round + 1));
        report.rounds.push(json!({ "hubCpuUs": cost.map(rounded) }));
        costs.push(cost);
    }
    let over = |figure: &dyn Fn(&[f64; 3]) -> f64| median(costs.iter().map(figure));
    let thousand = over(&|[one, thousand, _]| thousand / one);
    let ten_thousand = over(&|[one, _, ten_thousand]| ten_thousand / one);
    let deviation = (thousand - 1.0).abs().max((ten_thousand - 1.0).abs()) * 100.0;
    report.figures = vec![
        Figure::new("largest deviation from one subscription", deviation, "%").target(Bound::AtMost(10.0)),
        Figure::new("hub CPU per unit, 1", over(&|[one, ..]| *one), "µs"),
        Figure::new("hub CPU per unit, 1,000", over(&|[_, thousand, _]| *thousand), "µs"),
        Figure::new("hub CPU per unit, 10,000", over(&|[.., ten_thousand]| *ten_thousand), "µs"),
        Figure::new("1,000 against 1", thousand, "×"),
        Figure::new("10,000 against 1", ten_thousand, "×"),
    ];
    for (hub, what) in hubs.iter().zip(["hub memory, 1", "hub memory, 1,000", "hub memory, 10,000"]) {
        report.figures.push(Figure::new(what, hub.process().memory()?.resident_mib(), "MiB"));
    }
    Ok(())
}

async fn prepared(bench: &Bench, sink: &Process, size: u64) -> anyhow::Result<Hub> {
    let hub = Hub::start(bench).await?;
    hub.subscribe_in_vain(sink.address(), size - 1).await?;
    hub.subscribe(sink.address()).await?;
    Ok(hub)
}

async fn cpu_per_unit(
    bench: &Bench,
    hubs: &[Hub],
    sink: &Process,
    round: usize,
    window: Duration,
) -> anyhow::Result<[f64; 3]> {
    let mut cost = [0.0; 3];
    for turn in 0..SIZES.len() {
        let at = (round + turn) % SIZES.len();
        if let (Some(hub), Some(cost)) = (hubs.get(at), cost.get_mut(at)) {
            *cost = through(bench, hub, sink, window).await?.cpu_us;
        }
    }
    Ok(cost)
}
