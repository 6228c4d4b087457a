//! A reading that is broken off goes on at the page it had come to, where the state is asked to say so.

use crate::paging::{SIZE, paged};
use crate::platform::{Answer, Platform, page, source, world};
use lockstep_connect::{Ask, Event, Source};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A stream of pages that is asked for no size, with more of it beside.
fn stream(strategy: &str, more: &str) -> Source {
    source(&(paged(strategy).replace(SIZE, "") + more))
}

/// The ids that are read and the last state that is told, until so many pages have been taken.
async fn part(source: &Source, platform: &Arc<Platform>, state: Value, pages: usize) -> (Vec<i64>, Value) {
    let session = source.open(json!({}), world(platform)).unwrap();
    let (out, mut events) = mpsc::channel(1);
    let ask = Ask { streams: Some(vec![("items".to_owned(), state)]), is_by_page: true, ..Ask::default() };
    let taking = async {
        let (mut ids, mut last, mut taken) = (Vec::new(), Value::Null, 0);
        while taken < pages
            && let Some(event) = events.recv().await
        {
            match event {
                Event::Records { records, state, .. } => {
                    ids.extend(records.iter().map(|record| record["id"].as_i64().unwrap()));
                    last = state.unwrap_or(last);
                    taken += 1;
                }
                Event::State { state, .. } => last = state,
                Event::Problem { failure, .. } => panic!("{failure}"),
                _ => {}
            }
        }
        drop(events);
        (ids, last)
    };
    let reading = async {
        session.read(ask, &out).await.unwrap();
        drop(out);
    };
    let ((), read) = tokio::join!(reading, taking);
    read
}

/// Ten items in pages of two, by offset.
fn ten() -> Arc<Platform> {
    Platform::new(|asked| {
        let at: u64 = asked.parameter("at").parse().unwrap_or(0);
        page(at, 10_u64.saturating_sub(at).min(2))
    })
}

const OFFSET: &str = "{type: OffsetIncrement, page_size: 2}";

#[tokio::test(start_paused = true)]
async fn a_reading_goes_on_at_its_page() {
    let source = stream(OFFSET, "");
    let (ids, state) = part(&source, &ten(), Value::Null, 3).await;
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
    let platform = ten();
    let (ids, state) = part(&source, &platform, state, 99).await;
    assert_eq!(ids, [6, 7, 8, 9]);
    assert_eq!(platform.calls(), ["/items?at=6", "/items?at=8", "/items?at=10"]);
    assert!(state.get("lockstep_pages").is_none(), "{state}");
    let (ids, _) = part(&source, &ten(), state, 99).await;
    assert_eq!(ids.len(), 10, "a reading that came to its end leaves no place behind");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_the_platform_has_forgotten_is_left() {
    let source = stream(
        "{type: CursorPagination, cursor_value: \"{{ response.next }}\", stop_condition: \"{{ not response.next }}\"}",
        "",
    );
    let scroll = |life: &'static str| {
        Platform::new(move |asked| {
            let at = asked.parameter("at").to_owned();
            let number = at.strip_prefix(life);
            let from: u64 = match number {
                Some(number) => number.parse().unwrap(),
                None if at.is_empty() => 0,
                None => return Answer::status(400),
            };
            let next = (from < 4).then(|| format!("{life}{}", from + 2));
            Answer::json(&json!({"data": [{"id": from}, {"id": from + 1}], "next": next}))
        })
    };
    let (ids, state) = part(&source, &scroll("a"), Value::Null, 2).await;
    assert_eq!(ids, [0, 1, 2, 3]);
    let platform = scroll("b");
    let (ids, _) = part(&source, &platform, state.clone(), 99).await;
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
    assert_eq!(platform.calls(), ["/items?at=a4", "/items", "/items?at=b2", "/items?at=b4"]);

    // An hour and more later it is not even tried.
    let mut old = state;
    let at = old["lockstep_pages"][0]["at"].as_i64().unwrap();
    old["lockstep_pages"][0]["at"] = json!(at - i64::try_from(Duration::from_secs(3_601).as_millis()).unwrap());
    let platform = scroll("b");
    part(&source, &platform, old, 99).await;
    assert_eq!(platform.calls()[0], "/items");
}

#[tokio::test(start_paused = true)]
async fn the_newest_record_before_the_place_counts_and_the_window_stays() {
    let cursor = "  incremental_sync:
    type: DatetimeBasedCursor
    cursor_field: at
    datetime_format: '%Y-%m-%dT%H:%M:%SZ'
    start_datetime: {datetime: '2025-12-30T00:00:00Z'}
    start_time_option: {inject_into: request_parameter, field_name: from}
    end_time_option: {inject_into: request_parameter, field_name: to}\n";
    let source = stream(OFFSET, cursor);
    // Newest first: what the state says in the end stood on the first page.
    let platform = || {
        Platform::new(|asked| {
            let at: i64 = asked.parameter("at").parse().unwrap_or(0);
            let item = |id: i64| json!({"id": id, "at": format!("2025-12-31T00:00:{:02}Z", 50 - id)});
            let data: Vec<_> = (at..(at + 2).min(5)).map(item).collect();
            Answer::json(&json!({"data": data}))
        })
    };
    let (ids, mut state) = part(&source, &platform(), Value::Null, 1).await;
    assert_eq!((ids.as_slice(), &state["at"]), ([0, 1].as_slice(), &json!("2025-12-30T00:00:00Z")));
    let end = &mut state["lockstep_pages"][0]["window"]["end_time"];
    assert_eq!(*end, json!("2026-01-01T00:00:00Z"));
    // The window ended when the reading began, which was earlier.
    *end = json!("2025-12-31T23:00:00Z");
    let later = platform();
    let (ids, state) = part(&source, &later, state, 99).await;
    assert_eq!(ids, [2, 3, 4]);
    assert_eq!(state, json!({"at": "2025-12-31T00:00:50Z"}));
    let calls = later.calls();
    assert!(calls.iter().all(|call| call.ends_with("from=2025-12-30T00:00:00Z&to=2025-12-31T23:00:00Z")), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_says_when_it_was_asked_for_however_late_it_is_taken() {
    let source = stream(OFFSET, "");
    let platform = ten();
    let here = world(&platform);
    let clock = Arc::clone(&here.clock);
    let session = source.open(json!({}), here).unwrap();
    let (out, mut events) = mpsc::channel(8);
    let reading = async {
        session.read(Ask::default(), &out).await.unwrap();
        drop(out);
    };
    let taking = async {
        let mut late = Vec::new();
        while let Some(event) = events.recv().await {
            // tidy: sleep: on simulated time, so that pages wait to be taken
            tokio::time::sleep(Duration::from_secs(10)).await;
            if let Event::Records { asked_at, .. } = event {
                late.push((clock.now().ms_since(asked_at) + 100) / 10_000);
            }
        }
        late
    };
    let ((), late) = tokio::join!(reading, taking);
    assert_eq!(late, [2, 3, 4, 5, 6], "all were asked for within the first moments");
}
