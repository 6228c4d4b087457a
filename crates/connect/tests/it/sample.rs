//! Recorded calls are replayed to the same records, without a secret in them.

use std::sync::Arc;

use crate::platform::{Answer, Platform, page, source, world};
use lockstep_connect::{Ask, Event, Recorder, Replayer, World};
use lockstep_egress::Transport;
use serde_json::json;
use tokio::sync::mpsc;

const KEYED: &str = "- {$ref: '#/definitions/stream', name: items, $parameters: {path: items}, retriever: {
    requester: {$ref: '#/definitions/requester', request_parameters: {key: \"{{ config.secret }}\"}}, record_selector: {$ref: '#/definitions/selector'}}}\n";

async fn records(world: World, secret: &str) -> usize {
    let source = source(KEYED);
    let session = source.open(json!({"secret": secret}), world).unwrap();
    let (out, mut events) = mpsc::channel(8);
    let reading = async {
        session.read(Ask::default(), &out).await.unwrap();
        drop(out);
    };
    let counting = async {
        let mut count = 0;
        while let Some(event) = events.recv().await {
            match event {
                Event::Records { records, .. } => count += records.len(),
                Event::Problem { failure, .. } => panic!("{failure}"),
                _ => {}
            }
        }
        count
    };
    tokio::join!(reading, counting).1
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_can_be_replayed_without_the_secret() {
    let mut is_first = true;
    let platform = Platform::new(move |_| if std::mem::take(&mut is_first) { Answer::status(500) } else { page(0, 3) });
    let recorder = Arc::new(Recorder::new(Arc::clone(&platform) as Arc<dyn Transport>));
    let recording = World { transport: Arc::clone(&recorder) as Arc<dyn Transport>, ..world(&platform) };
    assert_eq!(records(recording, "s3cret-value").await, 3);
    let calls = recorder.calls(|text| text.replace("s3cret-value", "****"));
    assert_eq!(calls.len(), 2);
    assert!(!format!("{calls:?}").contains("s3cret"));

    let replayer = Arc::new(Replayer::new(calls));
    let replaying = World { transport: Arc::clone(&replayer) as Arc<dyn Transport>, ..world(&platform) };
    assert_eq!(records(replaying, "****").await, 3);
    assert_eq!(replayer.unused(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn packed_answers_are_recorded_as_text_so_that_secrets_in_them_are_found() {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"data\": [{\"id\": 1, \"echo\": \"s3cret-value\"}]}").unwrap();
    let packed = packed.finish().unwrap();
    let platform = Platform::new(move |_| {
        Answer { status: 200, headers: Vec::new(), body: packed.clone() }.with("content-encoding", "gzip")
    });
    let recorder = Arc::new(Recorder::new(Arc::clone(&platform) as Arc<dyn Transport>));
    let recording = World { transport: Arc::clone(&recorder) as Arc<dyn Transport>, ..world(&platform) };
    assert_eq!(records(recording, "s3cret-value").await, 1);
    let calls = recorder.calls(|text| text.replace("s3cret-value", "****"));
    assert_eq!(calls[0].body, "{\"data\": [{\"id\": 1, \"echo\": \"****\"}]}");
    let replayer = Arc::new(Replayer::new(calls));
    let replaying = World { transport: Arc::clone(&replayer) as Arc<dyn Transport>, ..world(&platform) };
    assert_eq!(records(replaying, "****").await, 1);
}
