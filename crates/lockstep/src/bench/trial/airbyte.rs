//! (m) Reading a platform from a manifest, beside airbyte-cdk: the same manifest, the same server, 100,000 records.
//!
//! The server is in this process, with its pages made before the clock starts, so that what is measured is the reader.
//! Both readers are children that print the protocol's lines into a pipe; what they cost is their own processor time
//! and the most memory they held, start included. Without `--airbyte-python` ours is measured alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::bench::load::on_own_runtime;
use crate::bench::measure::{median, rounded};
use crate::bench::process::{TICK_US, child_cpu_ticks, status_kib};
use crate::bench::report::{Bound, Figure, Report};
use crate::bench::{Bench, clock, say};

const RECORDS: usize = 100_000;
/// As many as the manifest's pages have.
const PAGE: usize = 500;
/// Lines between two looks at a child's memory.
const LINES_A_LOOK: usize = 2_000;
const MANIFEST: &str = include_str!("airbyte.manifest.yaml");
/// A stream of the manifest, what it is called in the report, and how many times cheaper than airbyte-cdk we should be
/// and want to be.
const CASES: [(&str, &str, f64, f64); 3] = [
    ("offset", "offset paging", 6.0, 10.0),
    ("cursor", "cursor paging", 6.0, 10.0),
    ("changed", "filter, changes, nested", 15.0, 30.0),
];
const MEMORY_MIB_MAX: f64 = 60.0;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> anyhow::Result<()> {
    if bench.args.airbyte_python.is_none() {
        say("  airbyte-cdk is left out: name an interpreter that has it with --airbyte-python");
    }
    let server = Server::start().await?;
    let folder = Arc::new(Prepared::new(&bench.folder().join("airbyte"), server.address)?);
    for (stream, called, target, aim) in CASES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds() {
            ours.push(reading(&folder, Reader::Ours, stream).await?);
            if let Some(python) = &bench.args.airbyte_python {
                theirs.push(reading(&folder, Reader::Airbyte(python.clone()), stream).await?);
            }
        }
        say(&format!("  {called}: {:.0} records/s", median(ours.iter().map(Cost::rate))));
        report.rounds.push(json!({
            "stream": stream,
            "ours": ours.iter().map(Cost::to_json).collect::<Vec<_>>(),
            "airbyte": theirs.iter().map(Cost::to_json).collect::<Vec<_>>(),
        }));
        figures(report, called, &ours, "ours");
        if let Some(memory) = report.figures.last_mut() {
            *memory = memory.clone().target(Bound::AtMost(MEMORY_MIB_MAX));
        }
        if theirs.is_empty() {
            continue;
        }
        figures(report, called, &theirs, "airbyte-cdk");
        let ratio = median(ours.iter().zip(&theirs).map(|(ours, theirs)| theirs.cpu_s / ours.cpu_s));
        let ratio = Figure::new(format!("{called}: records per CPU second to airbyte-cdk's"), ratio, "×");
        report.figures.push(ratio.target(Bound::AtLeast(target)).aim(Bound::AtLeast(aim)));
    }
    Ok(())
}

fn figures(report: &mut Report, called: &str, costs: &[Cost], who: &str) {
    let of = |value: fn(&Cost) -> f64| median(costs.iter().map(value));
    report.figures.extend([
        Figure::new(format!("{called}: {who}"), of(Cost::rate), "records/s"),
        Figure::new(format!("{called}: {who}, processor"), of(|cost| cost.cpu_s), "s"),
        Figure::new(format!("{called}: {who}, most memory"), of(|cost| cost.peak_mib), "MiB"),
    ]);
}

/// What a reading took.
struct Cost {
    seconds: f64,
    cpu_s: f64,
    peak_mib: f64,
    records: usize,
}

impl Cost {
    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    fn to_json(&self) -> Value {
        json!({"seconds": rounded(self.seconds), "cpuSeconds": rounded(self.cpu_s), "peakMib": rounded(self.peak_mib)})
    }
}

#[derive(Clone)]
enum Reader {
    Ours,
    /// With this interpreter.
    Airbyte(PathBuf),
}

/// The folder of the connector, its configuration, and a catalog for each stream.
struct Prepared(PathBuf);

impl Prepared {
    fn new(folder: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("manifest.yaml"), MANIFEST)?;
        fs::write(folder.join("config.json"), json!({"base_url": format!("http://{address}")}).to_string())?;
        for (stream, ..) in CASES {
            let described = json!({"name": stream, "json_schema": {}, "supported_sync_modes": ["full_refresh"]});
            let entry = json!({"stream": described, "sync_mode": "full_refresh", "destination_sync_mode": "append"});
            fs::write(folder.join(format!("{stream}.json")), json!({"streams": [entry]}).to_string())?;
        }
        Ok(Self(folder.to_owned()))
    }

    fn command(&self, reader: &Reader, stream: &str) -> anyhow::Result<Command> {
        let mut command = match reader {
            Reader::Ours => {
                let mut command = Command::new(std::env::current_exe().context("finding this executable")?);
                command
                    .args(["connector", "read", "--format", "airbyte", "--allow-private", "127.0.0.0/8"])
                    .arg(&self.0);
                command
            }
            Reader::Airbyte(python) => {
                let mut command = Command::new(python);
                command.args(["-c", "import airbyte_cdk.cli.source_declarative_manifest as of; of.run()", "read"]);
                command.arg("--manifest-path").arg(self.0.join("manifest.yaml"));
                command
            }
        };
        command.arg("--config").arg(self.0.join("config.json"));
        command.arg("--catalog").arg(self.0.join(format!("{stream}.json")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(command)
    }
}

async fn reading(folder: &Arc<Prepared>, reader: Reader, stream: &'static str) -> anyhow::Result<Cost> {
    let folder = Arc::clone(folder);
    tokio::task::spawn_blocking(move || read(folder.command(&reader, stream)?, stream)).await?
}

/// Runs a reader to its end. Nothing else may end a child of this process meanwhile: times are those of all children.
fn read(mut command: Command, stream: &str) -> anyhow::Result<Cost> {
    let (started, before) = (clock::now(), child_cpu_ticks()?);
    let mut child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut lines = BufReader::new(child.stdout.take().context("its output")?);
    let (mut line, mut records, mut peak_kib) = (Vec::new(), 0, 0);
    for number in 0_usize.. {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        records += usize::from(is_record(&line));
        if number % LINES_A_LOOK == 0 {
            let text = fs::read_to_string(&status).unwrap_or_default();
            peak_kib = peak_kib.max(status_kib(&text, "VmHWM:").unwrap_or_default());
        }
    }
    let ended = child.wait()?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(ended.success() && records == RECORDS, "{stream}: {records} records, then {ended}");
    let cpu_s = ((child_cpu_ticks()? - before) * TICK_US) as f64 / 1e6;
    Ok(Cost { seconds, cpu_s, peak_mib: peak_kib as f64 / 1_024.0, records })
}

fn is_record(line: &[u8]) -> bool {
    let start = line.get(..40).unwrap_or(line);
    let is_in = |mark: &[u8]| start.windows(mark.len()).any(|part| part == mark);
    is_in(br#""type":"RECORD""#) || is_in(br#""type": "RECORD""#)
}

/// The platform: two lists of the same people, plain and nested; dropped, it ends.
struct Server {
    address: SocketAddr,
    _until: oneshot::Sender<()>,
}

impl Server {
    async fn start() -> anyhow::Result<Self> {
        let (until, ended) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || on_own_runtime(serve(tell, ended)));
        Ok(Self { address: told.await.context("starting the platform")?, _until: until })
    }
}

/// Pages by their number.
type Pages = Arc<Vec<Bytes>>;

async fn serve(tell: oneshot::Sender<SocketAddr>, ended: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let router = Router::new()
        .route("/plain", get(page).with_state(pages(false)))
        .route("/nested", get(page).with_state(pages(true)));
    tell.send(listener.local_addr()?).ok();
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        _ = ended => {}
    }
    Ok(())
}

async fn page(State(pages): State<Pages>, url: Uri) -> impl IntoResponse {
    let mut parameters = url.query().unwrap_or_default().split('&');
    let offset = parameters.find_map(|one| one.strip_prefix("offset=")?.parse::<usize>().ok()).unwrap_or_default();
    let body = pages.get(offset / PAGE).cloned().unwrap_or_else(|| Bytes::from_static(b"{}"));
    ([(CONTENT_TYPE, "application/json")], body)
}

fn pages(is_nested: bool) -> Pages {
    let page = |number: usize| {
        let people = (number * PAGE + 1..=(number + 1) * PAGE).map(person);
        let next = (number + 1) * PAGE;
        let next = if next < RECORDS { json!(next) } else { Value::Null };
        let page = if is_nested {
            let people: Vec<Value> = people.map(|person| json!({"person": person})).collect();
            json!({"result": {"people": people}, "next": next})
        } else {
            json!({"data": people.collect::<Vec<_>>(), "next": next})
        };
        Bytes::from(page.to_string())
    };
    Arc::new((0..RECORDS / PAGE).map(page).collect())
}

fn person(id: usize) -> Value {
    json!({
        "id": id, "first_name": format!("First{id}"), "last_name": format!("Last{}", id % 977),
        "email": format!("person{id}@example.com"), "active": true, "score": id % 100,
        "created_at": "2024-01-01T00:00:00Z", "note": "a few words that nobody reads",
        "address": {"street": format!("Street {}", id % 311), "zip": format!("{:05}", id % 99_999), "city": "Utrecht"},
        "tags": ["one", "two"],
    })
}
