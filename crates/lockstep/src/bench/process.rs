//! A child process with an address: the hub under test, or a peer of it, from this same executable.
//!
//! Children are ended by their own handle, also when a test fails or the bench is interrupted. What a process cost
//! is read from /proc, so the bench measures on Linux only.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::oneshot;

/// What precedes the address in the line a server prints when it is ready.
pub(crate) const READY: &str = "is listening on http://";
const START_MAX: Duration = Duration::from_secs(60);
/// A clock tick of /proc/PID/stat: Linux shows hundredths of a second whatever the kernel's own tick.
pub(crate) const TICK_US: u64 = 10_000;
const LOG_BYTES_SHOWN: usize = 2_000;

/// A running child; dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

/// A process's memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident_kib: u64,
    /// The most that was ever resident.
    pub(crate) peak_kib: u64,
}

impl Memory {
    /// Resident now, in MiB.
    pub(crate) fn resident_mib(self) -> f64 {
        self.resident_kib as f64 / 1_024.0
    }

    /// The most that was ever resident, in MiB.
    pub(crate) fn peak_mib(self) -> f64 {
        self.peak_kib as f64 / 1_024.0
    }
}

/// Ends a child that is not ready yet, should its start be given up.
struct Guard(Option<Child>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

impl Process {
    /// Starts this executable with `arguments` and waits until it says where it listens; its errors go to `log`.
    ///
    /// The child sees only the variables given, so that a bench does not depend on whose shell it is run from.
    ///
    /// # Errors
    /// It cannot be started, ends early, or is not ready within a minute; the end of its log is shown.
    pub(crate) async fn start(
        arguments: Vec<OsString>,
        environment: &[(&str, &str)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let executable = std::env::current_exe().context("finding this executable")?;
        let child = Command::new(&executable)
            .args(&arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).with_context(|| format!("creating {}", log.display()))?)
            .spawn()
            .with_context(|| format!("starting {}", executable.display()))?;
        let mut guard = Guard(Some(child));
        let stdout = guard.0.as_mut().and_then(|child| child.stdout.take()).context("a child without output")?;
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || read_output(stdout, tell));
        let address = match tokio::time::timeout(START_MAX, told).await {
            Ok(Ok(address)) => address,
            Ok(Err(_)) => bail!("{arguments:?} ended before it was ready:\n{}", tail(log)),
            Err(_) => bail!("{arguments:?} was not ready after {START_MAX:?}:\n{}", tail(log)),
        };
        let child = guard.0.take().context("a child that is gone")?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time it has used since it started, in microseconds, in steps of ten thousand.
    pub(crate) fn cpu_us(&self) -> anyhow::Result<u64> {
        let path = self.proc_path("stat");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        cpu_ticks(&text).map(|ticks| ticks * TICK_US).with_context(|| format!("{} has no times", path.display()))
    }

    /// Its memory now and at most.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let path = self.proc_path("status");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let kib = |name| status_kib(&text, name).with_context(|| format!("{} has no {name}", path.display()));
        Ok(Memory { resident_kib: kib("VmRSS:")?, peak_kib: kib("VmHWM:")? })
    }

    fn proc_path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A child that has already ended is only reaped; no error here has a remedy.
fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// Tells the address once, then keeps the pipe empty until the child ends.
fn read_output(stdout: ChildStdout, tell: oneshot::Sender<SocketAddr>) {
    let mut output = BufReader::new(stdout);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(address) = address_in(&line) {
            tell.send(address).ok();
            io::copy(&mut output, &mut io::sink()).ok();
            return;
        }
        line.clear();
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(READY)?;
    rest.split_whitespace().next()?.trim_end_matches('/').parse().ok()
}

/// Processor time of all children that have been waited for, in ticks: fields 16 and 17 of our own.
pub(crate) fn child_cpu_ticks() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    ticks(&text, 13).context("/proc/self/stat has no times of children")
}

/// User and system ticks: fields 14 and 15; the second field, a name in brackets, may itself hold blanks.
fn cpu_ticks(stat: &str) -> Option<u64> {
    ticks(stat, 11)
}

/// Two neighbouring times, after so many fields behind the name.
fn ticks(stat: &str, skipped: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(skipped);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A line of /proc/PID/status, in KiB.
pub(crate) fn status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The end of what a child wrote to its log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(LOG_BYTES_SHOWN);
    String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line_that_says_it() {
        let address = address_in("lockstep is listening on http://127.0.0.1:8080\n").unwrap();
        assert_eq!(address.port(), 8080);
        assert!(address_in("lockstep 0.1.0").is_none());
    }

    #[test]
    fn ticks_are_read_past_a_name_with_blanks() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 900 0 0 0 12 30 0 0 20 0 4 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(ticks(stat, 13), Some(0));
    }
}
