//! What fails is tried again, told of, and not the end; nothing after it is taken for done; no secret is shown.

use crate::platform::{Answer, Platform, page, read, source};
use serde_json::json;

const PLAIN: &str = "- {$ref: '#/definitions/stream', name: items, $parameters: {path: items}}\n";

const LISTED: &str = "- $ref: '#/definitions/stream'
  name: items
  $parameters: {path: \"{{ stream_partition.shop }}/items\"}
  incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%d', start_datetime: '2025-01-01'}
  retriever:
    $ref: '#/definitions/stream/retriever'
    partition_router: {type: ListPartitionRouter, cursor_field: shop, values: [a, b, c]}\n";

#[tokio::test(start_paused = true)]
async fn a_call_is_tried_again_until_it_gets_through() {
    let mut count = 0;
    let platform = Platform::new(move |_| {
        count += 1;
        match count {
            1 => Answer { status: 503, headers: Vec::new(), body: b"<html>busy</html>".to_vec() },
            2 => Answer::status(429).with("retry-after", "20"),
            _ => page(0, 1),
        }
    });
    let began = tokio::time::Instant::now();
    let outcome = read(&source(PLAIN), json!({}), &platform, &[]).await;
    assert_eq!((outcome.values("items", "id").len(), outcome.problems.len()), (1, 0));
    assert_eq!(began.elapsed().as_secs(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_stays_broken_is_left_with_a_sentence() {
    let platform = Platform::new(|_| Answer::status(500));
    let outcome = read(&source(PLAIN), json!({}), &platform, &[]).await;
    assert_eq!(
        outcome.problems,
        ["items [] true: https://p.test/items answers 500 Internal Server Error: no (tried 6 times)"]
    );
    assert!(!outcome.whole["items"] && !outcome.states.contains_key("items"));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_fails_is_read_again_next_time_and_the_others_go_on() {
    let answer = |asked: &crate::platform::Asked, is_broken: bool| match asked.path.as_str() {
        "/b/items" if is_broken => Answer::status(404),
        path => Answer::json(&json!({"data": [{"id": path, "at": "2025-06-01"}]})),
    };
    let platform = Platform::new(move |asked| answer(asked, true));
    let first = read(&source(LISTED), json!({}), &platform, &[]).await;
    assert_eq!(first.values("items", "id"), ["\"/a/items\"", "\"/c/items\""]);
    assert!(
        first.problems[0].starts_with(
            "items [shop=b, end_time=2026-01-01, start_time=2025-01-01] true: https://p.test/b/items answers 404"
        ),
        "{:?}",
        first.problems
    );
    assert!(!first.whole["items"]);
    let state = &first.states["items"];
    let reached = |shop: &str| {
        let states = state["states"].as_array().unwrap();
        states.iter().find(|entry| entry["partition"]["shop"] == shop).map(|entry| entry["cursor"]["at"].clone())
    };
    assert_eq!((reached("a"), reached("b")), (Some(json!("2025-06-01")), Some(json!("2025-01-01"))));
    assert_eq!(state.get("state"), None, "the common point would skip what is missing");

    let platform = Platform::new(move |asked| answer(asked, false));
    let second = read(&source(LISTED), json!({}), &platform, &[("items", state.clone())]).await;
    assert!(second.whole["items"]);
    assert_eq!(second.states["items"]["state"], json!({"at": "2025-06-01"}));
}

#[tokio::test(start_paused = true)]
async fn one_call_that_is_told_to_wait_holds_them_all() {
    let mut is_first = true;
    let platform = Platform::new(move |_| {
        if std::mem::take(&mut is_first) { Answer::status(429).with("retry-after", "30") } else { page(0, 1) }
    });
    let began = tokio::time::Instant::now();
    read(&source(LISTED), json!({}), &platform, &[]).await;
    // Those under way when it was told are not called back; whoever comes then waits.
    assert!(began.elapsed().as_secs() >= 30);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_in_no_error() {
    let text = PLAIN.replace(
        "$parameters",
        "retriever: {$ref: '#/definitions/stream/retriever', requester: {$ref: '#/definitions/requester', \
        request_parameters: {key: \"{{ config.secret }}\"}}}, $parameters",
    );
    let platform = Platform::new(|asked| Answer {
        status: 401,
        headers: Vec::new(),
        body: format!("{{\"error\":\"bad key {}\"}}", asked.parameter("key")).into_bytes(),
    });
    let outcome = read(&source(&text), json!({"secret": "s3cret-value"}), &platform, &[]).await;
    assert_eq!(
        outcome.problems,
        [
            "items [] true: https://p.test/items answers 401 Unauthorized: bad key ****; check the credentials in the configuration"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn proof_of_who_calls_does_not_follow_a_redirect_to_another_host() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/items" => Answer::status(302).with("location", "https://elsewhere.test/there"),
        _ => page(0, 1),
    });
    let text = PLAIN.replace(
        "$parameters",
        "retriever: {$ref: '#/definitions/stream/retriever', requester: {$ref: '#/definitions/requester', \
        authenticator: {type: BearerAuthenticator, api_token: abc}}}, $parameters",
    );
    let outcome = read(&source(&text), json!({}), &platform, &[]).await;
    let asked = platform.asked.lock().unwrap();
    assert_eq!(asked[0].headers["authorization"], "Bearer abc");
    assert!(!asked[1].headers.contains_key("authorization"));
    assert_eq!(outcome.values("items", "id").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn neither_a_key_nor_a_body_follows_a_redirect_to_another_host() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/items" => Answer::status(307).with("location", "https://elsewhere.test/there"),
        _ => page(0, 1),
    });
    let requester = |more: &str| {
        let said = format!(
            "retriever: {{$ref: '#/definitions/stream/retriever', requester: {{$ref: '#/definitions/requester', {more}}}}}, $parameters"
        );
        source(&PLAIN.replace("$parameters", &said))
    };
    let keyed = requester(
        "request_headers: {X-More: more}, authenticator: {type: ApiKeyAuthenticator, header: X-Key, api_token: abc}",
    );
    let outcome = read(&keyed, json!({}), &platform, &[]).await;
    assert_eq!(outcome.values("items", "id").len(), 1);
    let asked = platform.asked.lock().unwrap().split_off(0);
    assert_eq!(asked[0].headers["x-key"], "abc");
    assert!(!asked[1].headers.contains_key("x-key") && !asked[1].headers.contains_key("x-more"), "{:?}", asked[1]);

    let posted = requester("http_method: POST, request_body_json: {key: abc}");
    let outcome = read(&posted, json!({}), &platform, &[]).await;
    assert!(outcome.problems[0].contains("redirects to elsewhere.test; what was sent"), "{:?}", outcome.problems);
    assert_eq!(platform.asked.lock().unwrap().len(), 1, "the body stayed here");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_json_is_a_gap_and_nothing_after_it_is_taken_for_done() {
    for (body, headers) in [
        (b"<html>back soon</html>".to_vec(), Vec::new()),
        (b"{\"data\": [{\"id\": 1".to_vec(), Vec::new()),
        (vec![0x1f, 0x8b, 8, 0, 1, 2, 3], vec![("content-encoding", "gzip".to_owned())]),
    ] {
        let platform = Platform::new(move |_| Answer { status: 200, headers: headers.clone(), body: body.clone() });
        let outcome = read(&source(PLAIN), json!({}), &platform, &[]).await;
        assert!(!outcome.whole["items"] && !outcome.states.contains_key("items"));
        assert!(outcome.problems[0].contains("https://p.test/items: "), "{:?}", outcome.problems);
    }
    let platform = Platform::new(|_| Answer { status: 204, headers: Vec::new(), body: b" \n".to_vec() });
    let outcome = read(&source(PLAIN), json!({}), &platform, &[]).await;
    assert!(outcome.whole["items"] && outcome.problems.is_empty(), "no answer is an empty one");
}

#[tokio::test(start_paused = true)]
async fn what_a_platform_complains_of_cannot_write_to_the_terminal() {
    let body = b"oh\x1b[2J no\r\n  ok: all fine".to_vec();
    let platform = Platform::new(move |_| Answer { status: 400, headers: Vec::new(), body: body.clone() });
    let outcome = read(&source(PLAIN), json!({}), &platform, &[]).await;
    assert_eq!(
        outcome.problems,
        ["items [] true: https://p.test/items answers 400 Bad Request: oh [2J no ok: all fine"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_says_how_long() {
    let platform = Platform::new(|_| Answer::status(429).with("retry-after", "900"));
    let outcome = read(&source(PLAIN), json!({}), &platform, &[]).await;
    let said = &outcome.problems[0];
    assert!(said.contains("(tried 1 times; the next try would be in 900 s, and a call is tried for 600 s)"), "{said}");
}
