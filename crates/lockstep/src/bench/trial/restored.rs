//! (i) A backup of a large store, its restore into an empty folder, and the start on it: seconds and memory.

use anyhow::{Context, ensure};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bench::hub::Hub;
use crate::bench::measure::rounded;
use crate::bench::report::{Figure, Report};
use crate::bench::{Bench, clock, say};
use serde_json::json;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    let count = bench.backlog();
    let hub = Hub::start(bench).await?;
    hub.upload(bench, count).await?;
    say(&format!("  {count} changes are there; backing up"));
    let archive = bench.folder().join("backup.tar.zst");
    let url = format!("http://{}", hub.process().address());
    let backup = timed(
        &["backup".into(), archive.clone().into_os_string()],
        &[("LOCKSTEP_URL", &url), ("LOCKSTEP_ADMIN_KEY", hub.admin_key())],
    )?;
    let (store, packed) = (bytes_of(&hub.folder().join("lockstep.db"))?, bytes_of(&archive)?);
    let key = hub.folder().join("lockstep.key");
    let elsewhere = bench.folder().join("restored");
    let arguments = ["restore".into(), archive.into_os_string(), "--data".into(), elsewhere.clone().into_os_string()];
    let restore = timed(&arguments, &[])?;
    std::fs::copy(&key, elsewhere.join("lockstep.key")).context("bringing the sealing key")?;
    let started = clock::now();
    let again = Hub::serve_again(bench, &elsewhere, hub.admin_key()).await?;
    let start = started.elapsed().as_secs_f64();
    let memory = again.memory()?;
    report.rounds.push(json!({ "backupS": rounded(backup), "restoreS": rounded(restore), "startS": rounded(start) }));
    let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    report.figures = vec![
        Figure::new("changes", count as f64, "changes"),
        Figure::new("store", mib(store), "MiB"),
        Figure::new("backup", backup, "s"),
        Figure::new("archive", mib(packed), "MiB"),
        Figure::new("restore", restore, "s"),
        Figure::new("start on it", start, "s"),
        Figure::new("memory after the start", memory.resident_mib(), "MiB"),
        Figure::new("memory, peak", memory.peak_mib(), "MiB"),
    ];
    Ok(())
}

fn bytes_of(path: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?.len())
}

/// Runs this executable to its end; how many seconds that took.
fn timed(arguments: &[OsString], environment: &[(&str, &str)]) -> anyhow::Result<f64> {
    let executable = std::env::current_exe().context("finding this executable")?;
    let started = clock::now();
    let output = Command::new(executable)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {arguments:?}"))?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(started.elapsed().as_secs_f64())
}
