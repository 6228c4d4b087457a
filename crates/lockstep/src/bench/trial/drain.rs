//! (c) How fast a backlog leaves, against the same HTTP client posting the same body with nothing between.

use anyhow::ensure;
use bytes::Bytes;
use serde_json::json;

use crate::bench::hub::Hub;
use crate::bench::load::{ClosedLoop, on_own_runtime};
use crate::bench::measure::{arrival_of, median, per, rounded};
use crate::bench::process::Process;
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::{Bench, bare, clock, say, sink};

/// Backlog per second of the window: 50,000 at the default of four.
const BACKLOG_PER_S: u64 = 12_500;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let sink = bench.peer(Role::Sink).await?;
    let hub = Hub::start(bench).await?;
    let subscription = hub.subscribe(sink.address()).await?;
    let backlog = BACKLOG_PER_S * bench.window().as_secs();
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds() {
        let ours = drained(bench, &hub, &sink, &subscription, backlog).await?;
        let bare = posted(bench, &sink, sink::last_body(&sink, hub.board()).await?).await?;
        say(&format!("  round {round}: hub {:.0}/s, bare client {bare:.0}/s", ours.rate));
        report.rounds.push(json!({
            "hubPerS": rounded(ours.rate), "hubCpuUs": rounded(ours.cpu_us), "barePerS": rounded(bare),
        }));
        rounds.push((bare, ours));
    }
    let over = |figure: &dyn Fn(&(f64, Drained)) -> f64| median(rounds.iter().map(figure));
    report.figures = vec![
        Figure::new("share of the bare client", over(&|(bare, ours)| ours.rate / bare), "×")
            .target(Bound::AtLeast(0.3))
            .aim(Bound::AtLeast(0.5)),
        Figure::new("bare client", over(&|(bare, _)| *bare), "posts/s"),
        Figure::new("hub", over(&|(_, ours)| ours.rate), "deliveries/s"),
        Figure::new("hub CPU per delivery", over(&|(_, ours)| ours.cpu_us), "µs"),
        Figure::new("backlog", backlog as f64, "changes"),
    ];
    Ok(())
}

struct Drained {
    rate: f64,
    cpu_us: f64,
}

/// Lets `backlog` changes gather behind a paused subscription, then times how they leave.
async fn drained(
    bench: &Bench,
    hub: &Hub,
    sink: &Process,
    subscription: &str,
    backlog: u64,
) -> anyhow::Result<Drained> {
    let all = sink::counts(sink, hub.board()).await?.distinct + backlog;
    hub.set_paused(subscription, true).await?;
    ClosedLoop::start(hub.creating(bench)?, bench.connections(), backlog).finish().await?;
    // What was under way when the pause came may have left; it is not counted.
    let left = all - sink::counts(sink, hub.board()).await?.distinct;
    ensure!(left > backlog / 2, "a paused subscription was sent {} of {backlog} changes", backlog - left);
    let (started, cpu_before) = (clock::now(), hub.process().cpu_us()?);
    hub.set_paused(subscription, false).await?;
    arrival_of(sink, hub.board(), all).await?;
    let rate = left as f64 / started.elapsed().as_secs_f64();
    Ok(Drained { rate, cpu_us: per(hub.process().cpu_us()? - cpu_before, left) })
}

async fn posted(bench: &Bench, sink: &Process, body: Bytes) -> anyhow::Result<f64> {
    let (address, window) = (sink.address(), bench.window());
    tokio::task::spawn_blocking(move || on_own_runtime(bare::post_for(address, body, window))).await?
}
