//! (g) What a dead endpoint costs: memory, parked records, the pace of a healthy endpoint beside it; and whether it
//! gets everything once it is back.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::bench::hub::Hub;
use crate::bench::load::ClosedLoop;
use crate::bench::measure::{arrival_of, median, rounded, through};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::sink::{self, LocalSink};
use crate::bench::{Bench, clock, record, say};

/// Longest wait for the first delivery after the endpoint is back: a probe comes at least every five minutes.
const PROBE_MAX: Duration = Duration::from_secs(360);
const POLL: Duration = Duration::from_millis(200);

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let sink = bench.peer(Role::Sink).await?;
    let (alone, beside) = (Hub::start(bench).await?, Hub::start(bench).await?);
    alone.subscribe(sink.address()).await?;
    beside.subscribe(sink.address()).await?;
    let dead = free_address()?;
    let subscription = beside.subscribe(dead).await?;
    let mut ratios = Vec::new();
    for round in 1..=bench.rounds() {
        let plain = through(bench, &alone, &sink, bench.window()).await?.units();
        let burdened = through(bench, &beside, &sink, bench.window()).await?.units();
        say(&format!("  round {round}: {plain:.0}/s alone, {burdened:.0}/s beside a dead endpoint"));
        report.rounds.push(json!({ "alonePerS": rounded(plain), "besidePerS": rounded(burdened) }));
        ratios.push(burdened / plain);
    }
    for hub in [&alone, &beside] {
        let made = sink::counts(&sink, hub.board()).await?.distinct;
        say(&format!("  topping up from {made} to {} changes", bench.backlog()));
        let more = bench.backlog().saturating_sub(made);
        ClosedLoop::start(hub.creating(bench)?, bench.connections(), more).finish().await?;
        arrival_of(&sink, hub.board(), made + more).await?;
    }
    let (plain, burdened) = (alone.process().memory()?, beside.process().memory()?);
    let parked = beside.parked(&subscription).await?;
    let made = sink::counts(&sink, beside.board()).await?.distinct;
    let back = come_back(dead, made).await?;
    report.figures = vec![
        Figure::new("pace of the healthy endpoint", median(ratios), "×").target(Bound::AtLeast(0.9)),
        Figure::new("changes behind the dead one", made as f64, "changes"),
        Figure::new("memory, against a hub without it", burdened.resident_mib() - plain.resident_mib(), "MiB")
            .target(Bound::AtMost(20.0)),
        Figure::new("records parked", parked as f64, "rows").target(Bound::AtMost(1_000.0)),
        Figure::new("back: until the first delivery", back.first_s, "s"),
        Figure::new("back: pace of the backlog", back.rate, "deliveries/s"),
        Figure::new("back: delivered again", back.repeated as f64, "deliveries"),
    ];
    Ok(())
}

/// An address where nobody listens.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// How the backlog left.
struct Back {
    first_s: f64,
    rate: f64,
    repeated: u64,
}

/// Opens the endpoint and waits until every change up to `made` has come.
async fn come_back(address: SocketAddr, made: u64) -> anyhow::Result<Back> {
    let seen = Arc::new(Mutex::new((0_u64, vec![false; usize::try_from(made)? + 1])));
    let noted = Arc::clone(&seen);
    let started = clock::now();
    let arrived = move |body: &[u8]| {
        let seq = record::number_after(body, b"\"seq\":").and_then(|seq| usize::try_from(seq).ok());
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.0 += 1;
        if let Some(place) = seq.and_then(|seq| noted.1.get_mut(seq)) {
            *place = true;
        }
    };
    let _endpoint = LocalSink::start_at(address, arrived).await?;
    let count = || {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.0, seen.1.iter().filter(|is_here| **is_here).count() as u64)
    };
    let mut advanced = (0, clock::now());
    let mut first = None;
    loop {
        let (all, distinct) = count();
        if distinct > advanced.0 {
            first = first.or(Some(clock::now()));
            advanced = (distinct, clock::now());
        }
        if let (Some(first), true) = (first, distinct >= made) {
            let (lasted, waited) = (first.elapsed().as_secs_f64(), (first - started).as_secs_f64());
            return Ok(Back { first_s: waited, rate: made as f64 / lasted, repeated: all - distinct });
        }
        ensure!(advanced.1.elapsed() < PROBE_MAX, "{} of {made} changes never came", made - distinct);
        tokio::time::sleep(POLL).await;
    }
}
