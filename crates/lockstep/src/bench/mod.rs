//! `lockstep bench`: how fast Lockstep is on this machine, as ratios to what the machine can do without it.
//!
//! A rate alone says as much about the machine as about the program. So each trial measures, in one run and in
//! turns, the hub and a bare peer that does the same HTTP and nothing else, and reports the hub's share of the
//! peer. The hub is a child process (`lockstep serve` on a folder of its own), so are the bare server and the sink;
//! this process is the load generator. What the hub costs is its own processor time.
//!
//! All traffic stays on 127.0.0.1, every load ends by itself, and children end with the bench. docs/BENCHMARKS.md
//! tells how to read the figures. Nothing here may be used by the product, and nothing of the product is used here
//! but its binary: the bench sees what a user sees.

mod bare;
mod clock;
mod hub;
mod link;
mod load;
mod machine;
mod measure;
mod process;
mod record;
mod report;
mod role;
mod sink;
mod stream;
mod trial;
mod upload;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use process::Process;
use record::Records;
use report::Report;
use role::Role;
use trial::Trial;

/// Measure, in one run, against a bare server and a bare client
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// How long each window of load is counted, in seconds
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How often the hub and its peer take turns; figures are medians over the rounds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    rounds: u16,
    /// Only these trials: a creates, b creates and deliveries, c draining, d latency, e fan-out, f idle memory,
    /// g a dead endpoint, h bulk, i backup and restore, j the feed, k thousands of its readers, l queries, m a manifest, n shares
    /// (from g on only where they are named: they take minutes)
    #[arg(long, value_name = "TRIALS", value_delimiter = ',')]
    only: Vec<Trial>,
    /// Connections of the load generator
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    connections: u16,
    /// Size of each created record's body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 600)]
    record_bytes: usize,
    /// Changes behind the dead endpoint of trial g; records of h, i and l; of j at most 200,000
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    backlog: u64,
    /// The interpreter that has airbyte-cdk, to be measured beside ours in trial m
    #[arg(long, value_name = "PATH")]
    airbyte_python: Option<PathBuf>,
    /// Where the hubs keep their data while they are measured; a folder made there is removed at the end.
    /// By default the system's folder for temporary files
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Be a peer of a bench that runs
    #[arg(long, hide = true)]
    role: Option<Role>,
}

/// Measures and prints; on a multi-threaded runtime that the caller makes.
///
/// # Errors
/// A trial broke: a hub that does not start, an answer other than the expected one, deliveries that never came. What
/// was measured is printed all the same. A missed target is no error.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<()> {
    if let Some(role) = args.role {
        return role.play().await;
    }
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = Box::pin(measure_all(args)) => outcome,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn measure_all(args: BenchArgs) -> anyhow::Result<()> {
    let is_json = args.json;
    let trials = if args.only.is_empty() { Trial::USUAL.to_vec() } else { args.only.clone() };
    let bench = Bench::new(args)?;
    let machine = machine::describe(bench.folder());
    warn(&bench);
    let mut reports = Vec::new();
    for trial in trials {
        reports.push(Box::pin(trial.run(&bench)).await);
    }
    let text = if is_json {
        let tests: Vec<_> = reports.iter().map(Report::to_json).collect();
        format!("{}\n", json!({ "machine": machine, "settings": bench.settings(), "tests": tests }))
    } else {
        format!("\n{}", report::table(&reports))
    };
    io::stdout().lock().write_all(text.as_bytes()).context("printing the report")?;
    let broken: Vec<String> = reports.iter().filter(|report| report.error.is_some()).map(|r| r.test.into()).collect();
    if !broken.is_empty() {
        bail!("broken: {}; the report says why", broken.join(", "));
    }
    Ok(())
}

/// Says what makes the figures worth less.
fn warn(bench: &Bench) {
    if cfg!(debug_assertions) {
        say("warning: a debug build measures itself; use cargo run --release -- bench");
    }
    if let Some(warning) = machine::warning(bench.folder()) {
        say(&format!("warning: {warning}"));
    }
}

/// Shows on standard error where the bench is.
fn say(line: &str) {
    // Progress that cannot be shown is no reason to stop.
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// What all trials share: the settings, the bodies, the folder, and what (b) found for (d).
struct Bench {
    args: BenchArgs,
    records: Arc<Records>,
    folder: Folder,
    children: AtomicUsize,
    saturation: OnceLock<f64>,
}

impl Bench {
    fn new(args: BenchArgs) -> anyhow::Result<Self> {
        let records = Arc::new(Records::new(args.record_bytes)?);
        let folder = Folder::make(args.data.as_deref())?;
        Ok(Self { args, records, folder, children: AtomicUsize::new(0), saturation: OnceLock::new() })
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "seconds": self.args.seconds,
            "rounds": self.args.rounds,
            "connections": self.args.connections,
            "recordBytes": self.args.record_bytes,
            "release": !cfg!(debug_assertions),
        })
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.args.seconds)
    }

    fn backlog(&self) -> u64 {
        self.args.backlog
    }

    fn rounds(&self) -> usize {
        self.args.rounds.into()
    }

    fn connections(&self) -> usize {
        self.args.connections.into()
    }

    fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records)
    }

    fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// A number no other child of this bench has.
    fn next_board(&self) -> usize {
        self.children.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a peer in a process of its own.
    async fn peer(&self, role: Role) -> anyhow::Result<Process> {
        let log = self.folder().join(format!("{}-{}.log", role.name(), self.next_board()));
        let arguments = ["bench", "--role", role.name()].map(OsString::from);
        Process::start(arguments.into(), &[], &log).await
    }

    /// What the hub accepts and delivers at most, per second, once (b) has found it.
    fn saturation(&self) -> Option<f64> {
        self.saturation.get().copied()
    }

    fn note_saturation(&self, units_per_s: f64) {
        self.saturation.set(units_per_s).ok();
    }
}

/// A folder of this bench alone, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn make(parent: Option<&Path>) -> anyhow::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("lockstep-bench-{}", std::process::id()));
        std::fs::create_dir_all(&parent).with_context(|| format!("creating {}", parent.display()))?;
        std::fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it is only disk space; the next bench makes another.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
