//! Pages are asked for one by one, and only as long as somebody takes them.

use crate::platform::{Answer, Platform, page, read, source, world};
use lockstep_connect::{Ask, Event};
use serde_json::json;
use tokio::sync::mpsc;

/// The line of a stream that says how pages are asked for a size.
pub(crate) const SIZE: &str = "      page_size_option: {inject_into: request_parameter, field_name: limit}\n";

/// A stream of pages, as a manifest says it.
pub(crate) fn paged(strategy: &str) -> String {
    format!(
        "- $ref: '#/definitions/stream'
  name: items
  $parameters: {{path: items}}
  retriever:
    $ref: '#/definitions/stream/retriever'
    paginator:
      type: DefaultPaginator
{SIZE}      page_token_option: {{type: RequestOption, inject_into: request_parameter, field_name: at}}
      pagination_strategy: {strategy}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn offsets_are_counted_to_the_page_that_is_not_full() {
    let platform = Platform::new(|asked| {
        page(asked.parameter("at").parse().unwrap_or(0), if asked.parameter("at") == "4" { 1 } else { 2 })
    });
    let outcome = read(&source(&paged("{type: OffsetIncrement, page_size: 2}")), json!({}), &platform, &[]).await;
    assert_eq!(outcome.values("items", "id"), ["0", "1", "2", "3", "4"]);
    assert_eq!(platform.calls(), ["/items?limit=2", "/items?at=2&limit=2", "/items?at=4&limit=2"]);
    assert!(outcome.whole["items"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_to_the_next_page_is_followed() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/items" => {
            page(0, 2).with("link", "<https://p.test/more?x=1>; rel=\"next\", <https://p.test/>; rel=\"first\"")
        }
        _ => page(2, 1),
    });
    let strategy = "{type: CursorPagination, cursor_value: \"{{ headers['link']['next']['url'] }}\"}";
    let text = paged(strategy)
        .replace("{type: RequestOption, inject_into: request_parameter, field_name: at}", "{type: RequestPath}");
    let text = text.replace(SIZE, "");
    let outcome = read(&source(&text), json!({}), &platform, &[]).await;
    assert_eq!(platform.calls(), ["/items", "/more?x=1"]);
    assert_eq!(outcome.values("items", "id").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_leads_in_a_circle_is_left() {
    let platform = Platform::new(|_| Answer::json(&json!({"data": [], "next": "c1"})));
    let text = paged("{type: CursorPagination, cursor_value: \"{{ response.next }}\"}").replace(SIZE, "");
    let outcome = read(&source(&text), json!({}), &platform, &[]).await;
    assert!(outcome.problems[0].contains("the next page is this one again"), "{:?}", outcome.problems);
    assert_eq!(platform.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_does_not_know_the_filter_is_left_and_a_scroll_is_not() {
    let after = paged("{type: CursorPagination, cursor_value: \"{{ last_record['id'] }}\"}").replace(SIZE, "");
    let platform = Platform::new(|_| page(0, 2));
    let outcome = read(&source(&after), json!({}), &platform, &[]).await;
    assert!(outcome.problems[0].contains("the next page is this one again"), "{:?}", outcome.problems);

    let scroll = paged("{type: CursorPagination, cursor_value: \"{{ response.scroll }}\", stop_condition: \"{{ response.data | length == 0 }}\"}").replace(SIZE, "");
    let mut left = 4;
    let platform = Platform::new(move |_| {
        left -= 1;
        let data: Vec<_> = (0..left).map(|id| json!({"id": id})).collect();
        Answer::json(&json!({"data": data, "scroll": "s1"}))
    });
    let outcome = read(&source(&scroll), json!({}), &platform, &[]).await;
    assert_eq!((outcome.values("items", "id").len(), outcome.problems.len()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_that_nobody_takes() {
    let platform = Platform::new(|asked| page(asked.parameter("at").parse().unwrap_or(0), 2));
    let source = source(&paged("{type: OffsetIncrement, page_size: 2}"));
    let session = source.open(json!({}), world(&platform)).unwrap();
    let (out, mut events) = mpsc::channel(1);
    let taking = async {
        let mut pages = 0;
        while let Some(event) = events.recv().await {
            pages += u32::from(matches!(event, Event::Records { .. }));
            if pages == 3 {
                events.close();
            }
        }
    };
    let (done, ()) = tokio::join!(session.read(Ask::default(), &out), taking);
    done.unwrap();
    assert!(platform.calls().len() <= 5, "the platform has no end, and was asked {} times", platform.calls().len());
}

#[tokio::test(start_paused = true)]
async fn a_link_may_hold_commas_and_semicolons() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/items" => page(0, 2).with(
            "link",
            "<https://p.test/a,b>; rel=\"prev\"; title=\"x, y\",<https://p.test/more;v=1?fields=a,b>; rel=next",
        ),
        _ => page(2, 1),
    });
    let strategy = "{type: CursorPagination, cursor_value: \"{{ headers['link']['next']['url'] }}\"}";
    let text = paged(strategy)
        .replace("{type: RequestOption, inject_into: request_parameter, field_name: at}", "{type: RequestPath}");
    let text = text.replace(SIZE, "");
    let outcome = read(&source(&text), json!({}), &platform, &[]).await;
    assert_eq!(platform.calls(), ["/items", "/more;v=1?fields=a,b"]);
    assert_eq!(outcome.values("items", "id").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn reading_stops_at_once_when_nobody_takes_the_records() {
    let platform = Platform::new(|asked| match asked.parameter("at") {
        "" => page(0, 2),
        _ => Answer::status(429).with("retry-after", "500"),
    });
    let source = source(&paged("{type: OffsetIncrement, page_size: 2}"));
    let session = source.open(json!({}), world(&platform)).unwrap();
    let (out, mut events) = mpsc::channel(1);
    let began = tokio::time::Instant::now();
    let listening = async {
        while !matches!(events.recv().await, Some(Event::Records { .. })) {}
        drop(events);
    };
    let (done, ()) = tokio::join!(session.read(Ask::default(), &out), listening);
    done.unwrap();
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_does_not_see_the_page_is_left() {
    let platform = Platform::new(|_| page(0, 2));
    let outcome = read(&source(&paged("{type: OffsetIncrement, page_size: 2}")), json!({}), &platform, &[]).await;
    assert!(outcome.problems[0].contains("100 pages in a row are the same"), "{:?}", outcome.problems);
    assert_eq!((platform.calls().len(), outcome.whole["items"]), (101, false));
}
