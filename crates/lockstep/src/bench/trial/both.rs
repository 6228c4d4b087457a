//! (b) How many units a second are accepted durably and delivered, side by side, without a growing backlog.

use serde_json::{Value, json};

use crate::bench::hub::{Hub, create_errand};
use crate::bench::measure::{Through, closed_loop, median, rounded, through};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::{Bench, say};

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let bare_server = bench.peer(Role::BareServer).await?;
    let sink = bench.peer(Role::Sink).await?;
    let hub = Hub::start(bench).await?;
    hub.subscribe(sink.address()).await?;
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds() {
        let bare = closed_loop(bench, &bare_server, create_errand(bare_server.address(), "", bench)?).await?;
        let ours = through(bench, &hub, &sink, bench.window()).await?;
        say(&format!(
            "  round {round}: bare server {:.0}/s, hub {:.0} in and {:.0} out a second, backlog {}",
            bare.rate, ours.accepted, ours.delivered, ours.backlog_end
        ));
        report.rounds.push(to_json(bare.rate, &ours));
        rounds.push((bare.rate, ours));
    }
    let over = |figure: &dyn Fn(&(f64, Through)) -> f64| median(rounds.iter().map(figure));
    let units = over(&|(_, ours)| ours.units());
    bench.note_saturation(units);
    report.figures = vec![
        Figure::new("share of the bare server", over(&|(bare, ours)| ours.units() / bare), "×")
            .target(Bound::AtLeast(0.18))
            .aim(Bound::AtLeast(0.25)),
        Figure::new("bare server", over(&|(bare, _)| *bare), "creates/s"),
        Figure::new("hub, created and delivered", units, "units/s"),
        Figure::new("hub CPU per unit", over(&|(_, ours)| ours.cpu_us), "µs")
            .target(Bound::AtMost(100.0))
            .aim(Bound::AtMost(60.0)),
        Figure::new("backlog halfway", over(&|(_, ours)| ours.backlog_half as f64), "changes"),
        // Bounded: what is out is made up for within a second.
        Figure::new("backlog at the end", over(&|(_, ours)| ours.backlog_end as f64 / ours.units()), "s of units")
            .target(Bound::AtMost(1.0)),
        Figure::new("time to drain it", over(&|(_, ours)| ours.drain_ms), "ms"),
        Figure::new("hub memory, peak", hub.process().memory()?.peak_mib(), "MiB"),
    ];
    Ok(())
}

fn to_json(bare: f64, ours: &Through) -> Value {
    json!({
        "barePerS": rounded(bare),
        "acceptedPerS": rounded(ours.accepted),
        "deliveredPerS": rounded(ours.delivered),
        "hubCpuUs": rounded(ours.cpu_us),
        "backlogHalf": ours.backlog_half,
        "backlogEnd": ours.backlog_end,
        "drainMs": rounded(ours.drain_ms),
        "repeated": ours.repeated,
    })
}
