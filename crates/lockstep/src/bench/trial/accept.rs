//! (a) How many creates a second become durable, against a bare server that only parses them.

use serde_json::json;

use crate::bench::hub::{Hub, create_errand};
use crate::bench::measure::{closed_loop, median, rounded};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::role::Role;
use crate::bench::{Bench, say};

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let bare_server = bench.peer(Role::BareServer).await?;
    let hub = Hub::start(bench).await?;
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds() {
        let bare = closed_loop(bench, &bare_server, create_errand(bare_server.address(), "", bench)?).await?;
        let ours = closed_loop(bench, hub.process(), hub.creating(bench)?).await?;
        say(&format!("  round {round}: bare server {:.0}/s, hub {:.0}/s", bare.rate, ours.rate));
        report.rounds.push(json!({
            "barePerS": rounded(bare.rate), "bareCpuUs": rounded(bare.cpu_us),
            "hubPerS": rounded(ours.rate), "hubCpuUs": rounded(ours.cpu_us),
        }));
        rounds.push((bare, ours));
    }
    let over = |figure: &dyn Fn(&(_, _)) -> f64| median(rounds.iter().map(figure));
    report.figures = vec![
        Figure::new("share of the bare server", over(&|(bare, ours)| ours.rate / bare.rate), "×")
            .target(Bound::AtLeast(0.20))
            .aim(Bound::AtLeast(0.35)),
        Figure::new("bare server", over(&|(bare, _)| bare.rate), "creates/s"),
        Figure::new("hub", over(&|(_, ours)| ours.rate), "creates/s"),
        Figure::new("hub CPU per create", over(&|(_, ours)| ours.cpu_us), "µs"),
        Figure::new("hub memory, peak", hub.process().memory()?.peak_mib(), "MiB"),
    ];
    Ok(())
}
