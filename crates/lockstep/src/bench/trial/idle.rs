//! (f) What a hub holds in memory that has nothing to do.

use std::time::Duration;

use serde_json::json;

use crate::bench::Bench;
use crate::bench::hub::Hub;
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;

const REST: Duration = Duration::from_secs(2);

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let sink = bench.peer(Role::Sink).await?;
    let hub = Hub::start(bench).await?;
    hub.subscribe(sink.address()).await?;
    tokio::time::sleep(REST).await;
    let memory = hub.process().memory()?;
    report.rounds.push(json!({ "residentKiB": memory.resident_kib, "peakKiB": memory.peak_kib }));
    report.figures = vec![
        Figure::new("resident", memory.resident_mib(), "MiB").target(Bound::AtMost(30.0)).aim(Bound::AtMost(20.0)),
        Figure::new("peak since start", memory.peak_mib(), "MiB"),
    ];
    Ok(())
}
