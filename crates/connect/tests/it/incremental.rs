//! Only what is new is asked for, in windows and partitions; a parent's progress is kept with the child's.

use crate::platform::{Answer, Platform, read, source};
use serde_json::json;

const WINDOWED: &str = "- $ref: '#/definitions/stream'
  name: items
  $parameters: {path: items}
  incremental_sync:
    type: DatetimeBasedCursor
    cursor_field: at
    datetime_format: '%Y-%m-%dT%H:%M:%SZ'
    start_datetime: {datetime: '2025-12-01T00:00:00Z'}
    step: P10D
    cursor_granularity: PT1S
    lookback_window: P1D
    start_time_option: {inject_into: request_parameter, field_name: from}
    end_time_option: {inject_into: request_parameter, field_name: to}\n";

#[tokio::test(start_paused = true)]
async fn windows_follow_each_other_and_the_next_run_goes_on() {
    let platform = Platform::new(|asked| Answer::json(&json!({"data": [{"id": 1, "at": asked.parameter("from")}]})));
    let first = read(&source(WINDOWED), json!({}), &platform, &[]).await;
    let mut calls = platform.calls();
    calls.sort();
    assert_eq!(
        calls[..3],
        [
            "/items?from=2025-12-01T00:00:00Z&to=2025-12-10T23:59:59Z",
            "/items?from=2025-12-11T00:00:00Z&to=2025-12-20T23:59:59Z",
            "/items?from=2025-12-21T00:00:00Z&to=2025-12-30T23:59:59Z"
        ]
    );
    assert_eq!(first.states["items"], json!({"at": "2025-12-31T00:00:00Z"}));

    let platform = Platform::new(|_| Answer::json(&json!({"data": []})));
    let second = read(&source(WINDOWED), json!({}), &platform, &[("items", first.states["items"].clone())]).await;
    assert_eq!(platform.calls(), ["/items?from=2025-12-30T00:00:00Z&to=2026-01-01T00:00:00Z"]);
    assert_eq!(second.states["items"], json!({"at": "2025-12-31T00:00:00Z"}), "an empty answer moves nothing");
}

#[tokio::test(start_paused = true)]
async fn a_count_goes_on_from_the_highest_number() {
    let text = "- $ref: '#/definitions/stream'
  name: items
  $parameters: {path: items}
  incremental_sync: {type: IncrementingCountCursor, cursor_field: id, start_value: 5,
    start_value_option: {inject_into: request_parameter, field_name: after}}\n";
    let platform = Platform::new(|asked| {
        let after: i64 = asked.parameter("after").parse().unwrap();
        Answer::json(&json!({"data": [{"id": after + 1}, {"id": after + 3}]}))
    });
    let first = read(&source(text), json!({}), &platform, &[]).await;
    assert_eq!(first.states["items"], json!({"id": 8}));
    let second = read(&source(text), json!({}), &platform, &[("items", first.states["items"].clone())]).await;
    assert_eq!(second.states["items"], json!({"id": 11}));
    assert_eq!(platform.calls(), ["/items?after=5", "/items?after=8"]);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_comes_newest_first_ends_at_the_first_old_record() {
    let text = "- $ref: '#/definitions/stream'
  name: items
  $parameters: {path: items}
  incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%d', start_datetime: '2025-01-01', is_data_feed: true}
  retriever:
    $ref: '#/definitions/stream/retriever'
    paginator:
      type: DefaultPaginator
      page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
      pagination_strategy: {type: PageIncrement, start_from_page: 1, page_size: 2}\n";
    let platform = Platform::new(|asked| {
        let page: u32 = asked.parameter("page").parse().unwrap_or(1);
        let day = |record: u32| format!("2025-06-{:02}", 30 - 2 * (page - 1) - record);
        Answer::json(&json!({"data": [{"at": day(0)}, {"at": day(1)}]}))
    });
    let outcome = read(&source(text), json!({}), &platform, &[("items", json!({"at": "2025-06-27"}))]).await;
    assert_eq!(outcome.values("items", "at"), ["\"2025-06-27\"", "\"2025-06-28\"", "\"2025-06-29\"", "\"2025-06-30\""]);
    assert_eq!(platform.calls().len(), 3);
    assert_eq!(outcome.states["items"], json!({"at": "2025-06-30"}));
}

const CHILD: &str = "- $ref: '#/definitions/stream'
  name: lines
  $parameters: {path: \"orders/{{ stream_partition.order }}/lines/{{ stream_slice.extra_fields['shop'] }}\"}
  incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%d', start_datetime: '2025-01-01'}
  retriever:
    $ref: '#/definitions/stream/retriever'
    partition_router:
      type: SubstreamPartitionRouter
      parent_stream_configs:
      - parent_key: id
        partition_field: order
        incremental_dependency: true
        extra_fields: [[shop]]
        stream:
          $ref: '#/definitions/stream'
          name: orders
          $parameters: {path: orders}
          incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%d', start_datetime: '2025-01-01',
            start_time_option: {inject_into: request_parameter, field_name: since}}\n";

#[tokio::test(start_paused = true)]
async fn a_parent_is_read_on_from_where_the_child_got() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/orders" => Answer::json(
            &json!({"data": [{"id": 1, "shop": "x", "at": "2025-05-01"}, {"id": 2, "shop": "y", "at": "2025-06-01"}, {"shop": "z"}]}),
        ),
        path => Answer::json(&json!({"data": [{"id": path, "at": "2025-06-02"}]})),
    });
    let first = read(&source(CHILD), json!({}), &platform, &[]).await;
    assert_eq!(first.values("lines", "id"), ["\"/orders/1/lines/x\"", "\"/orders/2/lines/y\""]);
    let state = &first.states["lines"];
    assert_eq!(state["parent_state"], json!({"orders": {"at": "2025-06-01"}}));
    assert_eq!((&state["state"], &state["use_global_cursor"]), (&json!({"at": "2025-06-02"}), &json!(false)));
    assert_eq!(state["states"][0]["partition"], json!({"order": 1, "parent_slice": {}}));

    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/orders" => Answer::json(&json!({"data": [{"id": 3, "shop": "x", "at": "2025-07-01"}]})),
        _ => Answer::json(&json!({"data": [{"id": 9, "at": "2025-07-02"}]})),
    });
    let second = read(&source(CHILD), json!({}), &platform, &[("lines", state.clone())]).await;
    assert_eq!(platform.calls(), ["/orders?since=2025-06-01", "/orders/3/lines/x"]);
    assert_eq!(second.states["lines"]["states"].as_array().unwrap().len(), 3, "what was read before is not forgotten");
}

#[tokio::test(start_paused = true)]
async fn groups_keep_one_common_point() {
    let text = "- $ref: '#/definitions/stream'
  name: items
  $parameters: {path: items}
  incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%d', start_datetime: '2025-01-01'}
  retriever:
    requester: {$ref: '#/definitions/requester', request_parameters: {ids: \"{{ stream_partition.id | join(',') }}\"}}
    record_selector: {$ref: '#/definitions/selector'}
    partition_router:
      type: GroupingPartitionRouter
      group_size: 2
      underlying_partition_router: {type: ListPartitionRouter, cursor_field: id, values: ['1', '2', '2', '3']}\n";
    let platform = Platform::new(|_| Answer::json(&json!({"data": [{"at": "2025-06-01"}]})));
    let outcome = read(&source(text), json!({}), &platform, &[]).await;
    assert_eq!(platform.calls(), ["/items?ids=1,2", "/items?ids=3"]);
    let state = &outcome.states["items"];
    assert_eq!((&state["use_global_cursor"], &state["state"]), (&json!(true), &json!({"at": "2025-06-01"})));
}

#[tokio::test(start_paused = true)]
async fn a_record_from_the_future_does_not_take_the_state_there() {
    let body = json!({"data": [{"id": 1, "at": "2025-12-31T00:00:00Z"}, {"id": 2, "at": "2999-12-31T00:00:00Z"}]});
    let platform = Platform::new(move |_| Answer::json(&body));
    let first = read(&source(WINDOWED), json!({}), &platform, &[]).await;
    assert_eq!(first.states["items"], json!({"at": "2026-01-01T00:00:00Z"}));
    let before = platform.calls().len();
    read(&source(WINDOWED), json!({}), &platform, &[("items", first.states["items"].clone())]).await;
    assert!(platform.calls().len() > before, "there is still something to ask for");
}

#[tokio::test(start_paused = true)]
async fn a_step_of_nothing_and_one_that_makes_too_many_windows_are_refused() {
    let platform = Platform::new(|_| Answer::json(&json!({"data": []})));
    for (step, part) in [("PT0S", "`step` PT0S is no time"), ("PT1S", "over 100000 windows; give a longer `step`")] {
        let outcome = read(&source(&WINDOWED.replace("P10D", step)), json!({}), &platform, &[]).await;
        assert!(!outcome.whole["items"] && outcome.problems[0].contains(part), "{:?}", outcome.problems);
    }
    assert_eq!(platform.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_field_that_is_not_written_as_the_cursor_says_is_told() {
    let platform = Platform::new(|_| Answer::json(&json!({"data": [{"id": 1, "at": "31 December"}]})));
    let outcome = read(&source(&WINDOWED.replace("P10D", "P90D")), json!({}), &platform, &[]).await;
    assert_eq!(outcome.values("items", "id").len(), 1);
    assert!(
        outcome.problems[0]
            .contains("false: `at` of the records: \"31 December\" is not written as the cursor's format says"),
        "{:?}",
        outcome.problems
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_listed_twice_is_read_once() {
    let text = "- $ref: '#/definitions/stream'
  name: items
  $parameters: {path: items}
  incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y-%m-%d', start_datetime: '2025-01-01'}
  retriever:
    $ref: '#/definitions/stream/retriever'
    partition_router: {type: ListPartitionRouter, cursor_field: id, values: ['1', '2', '1'],
      request_option: {inject_into: request_parameter, field_name: id}}\n";
    let platform = Platform::new(|_| Answer::json(&json!({"data": [{"at": "2025-06-01"}]})));
    read(&source(text), json!({}), &platform, &[]).await;
    assert_eq!(platform.calls(), ["/items?id=1", "/items?id=2"]);
}
