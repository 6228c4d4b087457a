//! Jobs of the platform: ordered, waited for, ordered again where they fail, and what they made fetched.

use crate::platform::{Answer, Platform, read, source};
use serde_json::json;

const EXPORT: &str = "- type: DeclarativeStream
  name: rows
  retriever:
    type: AsyncRetriever
    record_selector: {extractor: {type: DpathExtractor, field_path: []}, record_filter: {type: RecordFilter, condition: \"{{ record.n != '2' }}\"}}
    status_mapping: {running: [busy], completed: [done], failed: [broken], timeout: [late]}
    status_extractor: {type: DpathExtractor, field_path: [status]}
    download_target_extractor: {type: DpathExtractor, field_path: [urls]}
    creation_requester: {type: HttpRequester, url_base: 'https://p.test', path: exports, http_method: POST}
    polling_requester: {type: HttpRequester, url_base: 'https://p.test', path: \"exports/{{ creation_response['id'] }}\"}
    download_requester: {type: HttpRequester, url: \"{{ download_target }}\"}
    download_decoder: {type: CsvDecoder}
    delete_requester: {type: HttpRequester, url_base: 'https://p.test', path: \"exports/{{ creation_response['id'] }}\", http_method: DELETE}\n";

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_is_ordered_again_and_its_files_are_read() {
    let (mut ordered, mut polled) = (0, 0);
    let platform = Platform::new(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", _) => {
            ordered += 1;
            Answer::json(&json!({"id": ordered}))
        }
        ("GET", "/exports/1") => Answer::json(&json!({"status": "broken"})),
        ("GET", "/exports/2") => {
            polled += 1;
            let status = if polled < 3 { "busy" } else { "done" };
            Answer::json(&json!({"status": status, "urls": ["https://p.test/one.csv", "https://p.test/two.csv"]}))
        }
        ("DELETE", "/exports/2") => Answer::json(&json!({})),
        (_, "/one.csv") => Answer { status: 200, headers: Vec::new(), body: b"n\n1\n2\n".to_vec() },
        (_, "/two.csv") => Answer { status: 200, headers: Vec::new(), body: b"n\n3\n".to_vec() },
        other => panic!("{other:?}"),
    });
    let outcome = read(&source(EXPORT), json!({}), &platform, &[]).await;
    assert_eq!(
        (outcome.values("rows", "n"), outcome.problems.len()),
        (vec!["\"1\"".to_owned(), "\"3\"".to_owned()], 0)
    );
    assert_eq!(platform.asked.lock().unwrap().last().unwrap().method, "DELETE");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_cleared_away_was_read_all_the_same() {
    let platform = Platform::new(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", _) => Answer::json(&json!({"id": 1})),
        ("DELETE", _) => Answer::status(403),
        (_, "/one.csv") => Answer { status: 200, headers: Vec::new(), body: b"n\n1\n".to_vec() },
        _ => Answer::json(&json!({"status": "done", "urls": ["https://p.test/one.csv"]})),
    });
    let outcome = read(&source(EXPORT), json!({}), &platform, &[]).await;
    assert!(outcome.whole["rows"] && outcome.values("rows", "n").len() == 1);
    assert!(outcome.problems[0].contains("false: the job could not be cleared away"), "{:?}", outcome.problems);
}

#[tokio::test(start_paused = true)]
async fn a_job_without_end_is_given_up_with_a_sentence() {
    let platform = Platform::new(|asked| match asked.method.as_str() {
        "POST" => Answer::json(&json!({"id": 1})),
        _ => Answer::json(&json!({"status": "busy"})),
    });
    let outcome = read(&source(EXPORT), json!({}), &platform, &[]).await;
    assert_eq!(outcome.problems, ["rows [] true: the job was not done after 60 minutes, 3 times; run again later"]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_status_is_said() {
    let platform = Platform::new(|_| Answer::json(&json!({"id": 1, "status": "odd"})));
    let outcome = read(&source(EXPORT), json!({}), &platform, &[]).await;
    assert!(
        outcome.problems[0].contains("the status \"odd\" of a job is not in the manifest's `status_mapping`"),
        "{:?}",
        outcome.problems
    );
}
