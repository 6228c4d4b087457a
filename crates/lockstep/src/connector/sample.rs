//! `lockstep connector test`: replays recorded calls and compares what is read of them; `--record` makes the recording.

use crate::command_line::TestArgs;
use crate::connector::{PAGES_AHEAD, input, seed};
use crate::failure::Failure;
use crate::printer::say;
use crate::world::SystemClock;
use lockstep_connect::{Ask, Event, Recorder, Replayer, Sample, Session, Source, World};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::error::Code;
use lockstep_egress::{AddressPolicy, HttpTransport};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Records of a stream that a recording keeps: enough to see paging at work, little enough to be read.
const RECORDS_MAX: usize = 500;

/// Replays all samples of a folder, or records one.
pub(crate) async fn test(args: &TestArgs) -> Result<(), Failure> {
    let source = input::source(&args.connector)?;
    let folder = input::folder(&args.connector).join("samples");
    if args.record {
        return record(args, &source, &folder).await;
    }
    let samples = list(&folder)?;
    let mut failed = 0;
    for path in &samples {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let wrong = replay(&source, path).await?;
        if wrong.is_empty() {
            say(&format!("ok      {name}"));
            continue;
        }
        failed += 1;
        say(&format!("FAILED  {name}"));
        wrong.iter().for_each(|line| say(&format!("        {line}")));
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(Code::ConnectorFailed, format!("{failed} of {} samples are read differently now", samples.len())))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries =
        std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
    let mut samples: Vec<PathBuf> = entries.unwrap_or_default();
    samples.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    samples.sort();
    if samples.is_empty() {
        let text = format!("{} holds no samples; record some with --record --config FILE", folder.display());
        return Err(Failure::new(Code::SettingsInvalid, text));
    }
    Ok(samples)
}

/// A clock that stands.
struct Then(Timestamp);

impl Clock for Then {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// What is read of a sample's calls, compared with what was: a line for each difference.
async fn replay(source: &Source, path: &Path) -> Result<Vec<String>, Failure> {
    let odd = |error: String| Failure::new(Code::SettingsInvalid, format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| odd(error.to_string()))?;
    let sample: Sample = serde_json::from_str(&text).map_err(|error| odd(error.to_string()))?;
    let at = Timestamp::parse(&sample.at).map_err(|rejection| odd(rejection.message))?;
    let replayer = Arc::new(Replayer::new(sample.calls.clone()));
    let transport = Arc::clone(&replayer) as Arc<dyn lockstep_egress::Transport>;
    let world = World { transport, clock: Arc::new(Then(at)), seed: 0, keep: None };
    let session = source.open(sample.config.clone(), world).map_err(|failure| odd(failure.message))?;
    let streams = sample.records.keys().map(|name| (name.clone(), sample.state.get(name).cloned().unwrap_or_default()));
    let read = gather(&session, Ask { streams: Some(streams.collect()), ..Ask::default() }).await?;
    let mut wrong = read.problems;
    for (stream, expected) in &sample.records {
        let found = read.records.get(stream).map(Vec::as_slice).unwrap_or_default();
        wrong.extend(different(stream, expected, found));
    }
    wrong.extend(replayer.unused().into_iter().map(|call| format!("was asked for then, and is not now: {call}")));
    Ok(wrong)
}

fn different(stream: &str, expected: &[Value], found: &[Value]) -> Option<String> {
    let at = expected.iter().zip(found).position(|(one, other)| one != other);
    let at = at.or_else(|| (expected.len() != found.len()).then(|| expected.len().min(found.len())))?;
    let shown = |records: &[Value]| records.get(at).map_or_else(|| "nothing".to_owned(), Value::to_string);
    Some(format!("{stream}, record {}: expected {}, found {}", at + 1, shown(expected), shown(found)))
}

#[derive(Default)]
struct Gathered {
    records: BTreeMap<String, Vec<Value>>,
    problems: Vec<String>,
}

async fn gather(session: &Session, ask: Ask) -> Result<Gathered, Failure> {
    let (out, mut events) = mpsc::channel::<Event>(PAGES_AHEAD);
    let reading = async {
        let done = session.read(ask, &out).await;
        drop(out);
        done
    };
    let gathering = async {
        let mut gathered = Gathered::default();
        while let Some(event) = events.recv().await {
            match event {
                Event::Began { stream } => {
                    gathered.records.entry(stream.to_string()).or_default();
                }
                Event::Records { stream, records, .. } => {
                    let all = gathered.records.entry(stream.to_string()).or_default();
                    all.extend(records.into_iter().map(Arc::unwrap_or_clone));
                }
                Event::Problem { stream, failure, .. } => gathered.problems.push(format!("{stream}: {failure}")),
                Event::State { .. } | Event::Ended { .. } => {}
            }
        }
        gathered
    };
    let (done, gathered) = tokio::join!(reading, gathering);
    done.map_err(|failure| Failure::new(Code::ConnectorFailed, failure.message))?;
    Ok(gathered)
}

/// The same value, every text in it cleaned.
fn cleaned(value: &Value, clean: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.iter().map(|item| cleaned(item, clean)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), cleaned(value, clean))).collect())
        }
        other => other.clone(),
    }
}

async fn record(args: &TestArgs, source: &Source, folder: &Path) -> Result<(), Failure> {
    let config = input::config(args.config.as_deref())?;
    let policy = Arc::new(AddressPolicy::new(args.allow_private.clone()));
    let recorder = Arc::new(Recorder::new(Arc::new(HttpTransport::new(policy))));
    let at = SystemClock.now();
    let transport = Arc::clone(&recorder) as Arc<dyn lockstep_egress::Transport>;
    let world = World { transport, clock: Arc::new(Then(at)), seed: seed(), keep: None };
    let session = source.open(config, world).map_err(|failure| Failure::new(Code::SettingsInvalid, failure.message))?;
    let streams =
        (!args.streams.is_empty()).then(|| args.streams.iter().map(|name| (name.clone(), Value::Null)).collect());
    let read = gather(&session, Ask { streams, ..Ask::default() }).await?;
    if let Some(problem) = read.problems.first() {
        return Err(Failure::new(Code::ConnectorFailed, format!("nothing was recorded: {problem}")));
    }
    if let Some((stream, records)) = read.records.iter().find(|(_, records)| records.len() > RECORDS_MAX) {
        let text = format!("{stream} has {} records; record an account with at most {RECORDS_MAX}", records.len());
        return Err(Failure::new(Code::ConnectorFailed, text));
    }
    let clean = |value: &Value| cleaned(value, &|text| session.clean(text));
    let sample = Sample {
        at: at.to_string(),
        config: clean(session.config()),
        state: BTreeMap::new(),
        calls: recorder.calls(|text| session.clean(text)),
        records: read
            .records
            .iter()
            .map(|(name, records)| (name.clone(), records.iter().map(clean).collect()))
            .collect(),
    };
    let path = folder.join(format!("{}.json", args.name));
    let text = serde_json::to_string_pretty(&sample).map_err(|error| Failure::Other(error.into()))?;
    let unwritten = |error| Failure::Other(anyhow::Error::new(error).context(format!("writing {}", path.display())));
    std::fs::create_dir_all(folder).map_err(unwritten)?;
    std::fs::write(&path, text + "\n").map_err(unwritten)?;
    let count: usize = sample.records.values().map(Vec::len).sum();
    say(&format!(
        "{}: {} calls, {count} records; look it through before you share it",
        path.display(),
        sample.calls.len()
    ));
    Ok(())
}
