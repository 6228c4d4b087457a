//! A platform that answers as a closure says, and writes down what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use lockstep_connect::{Ask, Event, Source, World};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_egress::{Request, Response, SendError, Transport};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"{\"message\":\"no\"}".to_vec() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A question: verb, address, header, body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

type Answers = Box<dyn FnMut(&Asked) -> Answer + Send>;

/// The platform.
pub(crate) struct Platform {
    answers: Mutex<Answers>,
    pub(crate) asked: Mutex<Vec<Asked>>,
}

impl Platform {
    pub(crate) fn new(answers: impl FnMut(&Asked) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(Box::new(answers)), asked: Mutex::default() })
    }

    /// Paths with queries, in the order in which they were asked for.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = |asked: &Asked| {
            let query: Vec<String> = asked.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}?{}", asked.path, query.join("&")).trim_end_matches('?').to_owned()
        };
        self.asked.lock().unwrap().iter().map(text).collect()
    }
}

#[async_trait]
impl Transport for Platform {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let asked = Asked {
            method: request.method.to_string(),
            path: request.url.path().to_owned(),
            query: request.url.query_pairs().into_owned().collect(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        };
        // A call takes a moment, in which others may come.
        // tidy: sleep: on simulated time, so that others may come meanwhile
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        self.asked.lock().unwrap().push(asked.clone());
        let answer = (self.answers.lock().unwrap())(&asked);
        let mut headers = HeaderMap::new();
        for (name, value) in answer.headers {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let status = StatusCode::from_u16(answer.status).unwrap();
        Ok(Response { status, headers, body: Bytes::from(answer.body), is_cut: false })
    }
}

/// Time begins on the first of January 2026 and goes on as the test's does.
struct Now(tokio::time::Instant);

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let began = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        began.plus_ms(i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

pub(crate) fn world(platform: &Arc<Platform>) -> World {
    let transport = Arc::clone(platform) as Arc<dyn Transport>;
    World { transport, clock: Arc::new(Now(tokio::time::Instant::now())), seed: 7, keep: None }
}

/// What a reading came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) records: BTreeMap<String, Vec<Value>>,
    pub(crate) states: BTreeMap<String, Value>,
    pub(crate) problems: Vec<String>,
    pub(crate) whole: BTreeMap<String, bool>,
}

impl Outcome {
    /// A field of all records of a stream, sorted.
    pub(crate) fn values(&self, stream: &str, field: &str) -> Vec<String> {
        let mut values: Vec<String> = self.records[stream].iter().map(|record| record[field].to_string()).collect();
        values.sort();
        values
    }
}

/// A manifest: what stands before the streams, and the streams.
pub(crate) fn source(streams: &str) -> Source {
    let manifest = format!(
        "version: 1.0.0
definitions:
  requester: {{type: HttpRequester, url_base: 'https://p.test/'}}
  selector: {{extractor: {{type: DpathExtractor, field_path: [data]}}}}
  stream:
    type: DeclarativeStream
    retriever: {{requester: {{$ref: '#/definitions/requester'}}, record_selector: {{$ref: '#/definitions/selector'}}}}
spec:
  connection_specification:
    type: object
    properties: {{secret: {{type: string, airbyte_secret: true}}}}
streams:
{streams}"
    );
    Source::parse(&manifest, Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"))
}

pub(crate) async fn read(
    source: &Source,
    config: Value,
    platform: &Arc<Platform>,
    states: &[(&str, Value)],
) -> Outcome {
    let session = source.open(config, world(platform)).unwrap();
    let states = states.iter().map(|(name, state)| ((*name).to_owned(), state.clone())).collect();
    let (out, mut events) = mpsc::channel(2);
    let reading = async {
        session.read(Ask { streams: None, states, ..Ask::default() }, &out).await.unwrap();
        drop(out);
    };
    let gathering = async {
        let mut outcome = Outcome::default();
        while let Some(event) = events.recv().await {
            match event {
                Event::Began { stream } => {
                    outcome.records.entry(stream.to_string()).or_default();
                }
                Event::Records { stream, records, .. } => {
                    let all = outcome.records.entry(stream.to_string()).or_default();
                    all.extend(records.iter().map(|record| record.as_ref().clone()));
                }
                Event::State { stream, state } => {
                    outcome.states.insert(stream.to_string(), state);
                }
                Event::Problem { stream, part, failure, is_gap } => {
                    outcome.problems.push(format!("{stream} [{part}] {is_gap}: {failure}"));
                }
                Event::Ended { stream, is_whole } => {
                    outcome.whole.insert(stream.to_string(), is_whole);
                }
            }
        }
        outcome
    };
    let ((), outcome) = tokio::join!(reading, gathering);
    outcome
}

/// `count` records from `first` on, under `data`.
pub(crate) fn page(first: u64, count: u64) -> Answer {
    Answer::json(&json!({"data": (first..first + count).map(|id| json!({"id": id})).collect::<Vec<_>>()}))
}
