//! What the figures were taken on: processor, kernel, load, and the file system under the store.
//! It must not fail: what cannot be read is shown as unknown.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

const UNKNOWN: &str = "unknown";
/// File systems that keep nothing on a disk, so that a sync costs nothing.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The machine, as the JSON report shows it.
pub(crate) fn describe(data: &Path) -> Value {
    json!({
        "cores": cores(),
        "cpu": cpu_model(),
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "loadAverage": first_line("/proc/loadavg"),
        "dataFileSystem": file_system(data),
    })
}

/// Processors this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Why the figures would flatter, if the data folder is no disk.
pub(crate) fn warning(data: &Path) -> Option<String> {
    let kind = file_system(data);
    IN_MEMORY.contains(&kind.as_str()).then(|| {
        format!("{} is on {kind}: syncs cost nothing there; name a folder on a disk with --data", data.display())
    })
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or(UNKNOWN, |(_, name)| name.trim()).to_owned()
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or(UNKNOWN).to_owned()
}

/// The kind of the mount that holds `folder`: the one with the longest path above it.
fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    above.max_by_key(|(length, _)| *length).map_or(UNKNOWN, |(_, kind)| kind).to_owned()
}
