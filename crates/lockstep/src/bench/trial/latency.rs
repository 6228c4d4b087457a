//! (d) How soon a commit is told, when the hub has room: a quarter of what it can do, by a timetable.
//!
//! The sink is in the load generator's process, so both read one clock. A commit itself is not seen from outside;
//! its 202 leaves right after it, so commit to arrival is taken as arrival minus 202 received, and as zero when the
//! delivery overtook the 202.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;

use crate::bench::hub::Hub;
use crate::bench::load::{Mark, Marks, by_timetable};
use crate::bench::measure::{median, quantile, through, whole};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::sink::LocalSink;
use crate::bench::{Bench, clock, record, say};

const ARRIVAL_MAX: Duration = Duration::from_secs(60);
/// Milliseconds of the quantiles of one round, and their names in the report.
type Latencies = [f64; 6];
const NAMES: [&str; 6] = [
    "commit to arrival, p50",
    "commit to arrival, p99",
    "request to 202, p50",
    "request to 202, p99",
    "request to arrival, p50",
    "request to arrival, p99",
];

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let rate = saturation(bench).await? / 4.0;
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds() {
        let latencies = timed(bench, rate).await?;
        let [p50, p99, ..] = latencies;
        say(&format!("  round {round}: {rate:.0}/s, commit to arrival p50 {p50:.2} ms, p99 {p99:.2} ms"));
        let named: serde_json::Map<_, _> =
            NAMES.map(str::to_owned).into_iter().zip(latencies.map(|ms| json!(ms))).collect();
        report.rounds.push(named.into());
        rounds.push(latencies);
    }
    report.figures = vec![Figure::new("offered", rate, "creates/s")];
    for (at, name) in NAMES.into_iter().enumerate() {
        let value = median(rounds.iter().filter_map(|round| round.get(at).copied()));
        let figure = Figure::new(name, value, "ms");
        report.figures.push(if at == 0 { figure.target(Bound::AtMost(2.0)) } else { figure });
    }
    Ok(())
}

/// What (b) found, or a window of it if that was not run.
async fn saturation(bench: &Bench) -> anyhow::Result<f64> {
    if let Some(units) = bench.saturation() {
        return Ok(units);
    }
    let sink = bench.peer(Role::Sink).await?;
    let hub = Hub::start(bench).await?;
    hub.subscribe(sink.address()).await?;
    Ok(through(bench, &hub, &sink, bench.window()).await?.units())
}

/// One round, on a hub of its own: the sink is the round's.
async fn timed(bench: &Bench, rate: f64) -> anyhow::Result<Latencies> {
    let warm_up = usize::try_from(whole(rate * clock::WARM_UP.as_secs_f64()))?;
    let counted = usize::try_from(whole(rate * bench.window().as_secs_f64()))?;
    let marks = Arc::new(Marks::new(warm_up + counted));
    let seen = Arc::clone(&marks);
    let sink = LocalSink::start(move |body| {
        if let Some(number) = record::number_in(body) {
            seen.note(number, |mark| &mark.arrived);
        }
    })
    .await?;
    let hub = Hub::start(bench).await?;
    hub.subscribe(sink.address()).await?;
    by_timetable(hub.creating(bench)?, bench.connections(), rate, Arc::clone(&marks)).await?;
    all_arrived(&marks).await?;
    Ok(quantiles(marks.all().get(warm_up..).unwrap_or_default()))
}

async fn all_arrived(marks: &Marks) -> anyhow::Result<()> {
    let started = clock::now();
    loop {
        let missing = marks.all().iter().filter(|mark| mark.arrived.load(Ordering::Relaxed) == 0).count();
        if missing == 0 {
            return Ok(());
        }
        if started.elapsed() > ARRIVAL_MAX {
            bail!("{missing} deliveries had not come {ARRIVAL_MAX:?} after the last create");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn quantiles(marks: &[Mark]) -> Latencies {
    let read = |mark: &Mark| {
        let [sent, answered, arrived] =
            [&mark.sent, &mark.answered, &mark.arrived].map(|moment| moment.load(Ordering::Relaxed));
        [arrived.saturating_sub(answered), answered.saturating_sub(sent), arrived.saturating_sub(sent)]
    };
    let times: Vec<[u64; 3]> = marks.iter().map(read).collect();
    let both = |mut of: Vec<u64>| [0.5, 0.99].map(|share| quantile(&mut of, share) as f64 / 1e6);
    let [told, told_late] = both(times.iter().map(|[told, ..]| *told).collect());
    let [answer, answer_late] = both(times.iter().map(|[_, answer, _]| *answer).collect());
    let [whole, whole_late] = both(times.iter().map(|[.., whole]| *whole).collect());
    [told, told_late, answer, answer_late, whole, whole_late]
}
