//! The change feed: pages, filters, places, what leaves a reader's sight, and streams.

use crate::office::Office;
use axum::body::Body;
use http_body_util::BodyExt;
use lockstep_core::ids::BusinessId;
use lockstep_engine::feed;
use lockstep_store::prune::Prune;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::sync::watch;

const CHANGES: &str = "/businesses/acme-1/changes";
const RECORDS: &str = "/businesses/acme-1/records/contact";

async fn made(office: &Office, body: &Value) -> String {
    let made = office.rest("POST", RECORDS, &office.acme.key, body).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

async fn page(office: &Office, key: &str, query: &str) -> Value {
    let answer = office.rest("GET", &format!("{CHANGES}?{query}"), key, &Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn kinds(page: &Value) -> Vec<&str> {
    let changes = page["changes"].as_array().expect("a list");
    changes.iter().map(|change| change["kind"].as_str().expect("a kind")).collect()
}

#[tokio::test]
async fn a_reader_goes_on_where_it_stood_and_sees_what_changed() {
    let office = Office::open().await;
    let id = made(&office, &json!({"firstName": "Ann", "city": "Delft"})).await;
    office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &json!({"city": "Breda"})).await;
    let first = page(&office, &office.acme.key, "limit=1").await;
    assert_eq!(kinds(&first), ["created"]);
    assert_eq!(first["changes"][0]["fields"], json!({"firstName": "Ann", "city": "Delft"}));
    let after = first["after"].as_str().expect("a cursor");
    let second = page(&office, &office.acme.key, &format!("after={after}")).await;
    let change = &second["changes"][0];
    assert_eq!((change["seq"].as_u64(), change["kind"].as_str()), (Some(2), Some("updated")));
    assert_eq!(change["changes"], json!({"city": {"old": "Delft", "new": "Breda"}}));
    assert_eq!(change["kinds"], json!(["updated", "city.updated"]));
    office.rest("DELETE", &format!("{RECORDS}/{id}"), &office.acme.key, &Value::Null).await;
    let third = page(&office, &office.acme.key, "after=2").await;
    assert_eq!(kinds(&third), ["deleted"]);
    assert!(third["changes"][0].get("fields").is_none());
    assert_eq!((third["seq"].as_u64(), third["head"].as_u64()), (Some(3), Some(3)));
}

#[tokio::test]
async fn filters_leave_out_and_the_place_moves_on_all_the_same() {
    let office = Office::open().await;
    let id = made(&office, &json!({"firstName": "Ann"})).await;
    for body in [json!({"city": "Delft"}), json!({"firstName": "Anne"}), json!({"city": "Breda", "jobTitle": "x"})] {
        office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &body).await;
    }
    let key = &office.acme.key;
    let seqs = |page: &Value| -> Vec<u64> {
        page["changes"].as_array().expect("a list").iter().filter_map(|change| change["seq"].as_u64()).collect()
    };
    assert_eq!(seqs(&page(&office, key, "kinds=city.updated").await), [2, 4]);
    assert_eq!(seqs(&page(&office, key, "kinds=created,firstName.updated").await), [1, 3]);
    assert_eq!(seqs(&page(&office, key, "fields=jobTitle").await), [1, 4], "a creation is no update");
    assert_eq!(seqs(&page(&office, key, "fields=jobTitle&kinds=updated").await), [4]);
    let none = page(&office, key, "types=invoice").await;
    assert_eq!((seqs(&none), none["seq"].as_u64()), (vec![], Some(4)), "examined, not matched");
    for (query, code) in [
        ("kinds=nonsense", "invalid_parameter"),
        ("fields=nonsense", "invalid_parameter"),
        ("after=nonsense", "invalid_parameter"),
        ("payload=all", "invalid_parameter"),
        ("wait=999", "invalid_parameter"),
        ("after=99", "log_restored"),
    ] {
        let refused = office.rest("GET", &format!("{CHANGES}?{query}"), key, &Value::Null).await;
        assert_eq!(refused.code(), code, "{query}");
    }
}

#[tokio::test]
async fn what_leaves_a_readers_sight_is_told_and_nothing_else_of_it() {
    let office = Office::open().await;
    let grant = json!({"conditions": {"contact": "city == 'Delft'"}, "hiddenFields": {"contact": ["phone"]}});
    let narrow = office.badge("Acme", "narrow", &grant).await;
    let id = made(&office, &json!({"firstName": "Ann", "city": "Delft", "phone": "+31201234567"})).await;
    for body in [json!({"phone": "+31207654321"}), json!({"city": "Breda"}), json!({"firstName": "Anne"})] {
        office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &body).await;
    }
    let seen = page(&office, &narrow.key, "").await;
    assert_eq!(kinds(&seen), ["created", "deleted"]);
    assert_eq!(seen["changes"][0]["fields"], json!({"firstName": "Ann", "city": "Delft"}));
    assert_eq!(seen["changes"][1]["reason"], "left-scope");
    assert!(!seen.to_string().contains("Breda") && !seen.to_string().contains("+3120"), "{seen}");
    office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &json!({"city": "Delft"})).await;
    let back = page(&office, &narrow.key, "after=4").await;
    assert_eq!((kinds(&back), back["changes"][0]["reason"].as_str()), (vec!["created"], Some("entered-scope")));
}

/// Runs something beside the task that wakes readers.
pub(crate) async fn awake<T>(office: &Office, work: impl Future<Output = T>) -> T {
    let (_running, stop) = watch::channel(false);
    tokio::select! {
        // First, so that it listens before anything happens.
        biased;
        () = feed::run(&office.world, stop) => panic!("it runs until it is stopped"),
        done = work => done,
    }
}

/// The events of a stream, one after the other.
pub(crate) struct Events {
    body: Body,
    waiting: VecDeque<(String, String, Value)>,
}

impl Events {
    pub(crate) async fn open(office: &Office, query: &str, key: &str, headers: &[(&str, &str)]) -> Self {
        let (status, body) = office.stream(&format!("{CHANGES}?{query}"), key, headers).await;
        assert_eq!(status, 200);
        Self { body, waiting: VecDeque::new() }
    }

    /// Id, name and data; none at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, String, Value)> {
        while self.waiting.is_empty() {
            let frame = self.body.frame().await?.expect("no break").into_data().expect("data");
            let text = String::from_utf8(frame.to_vec()).expect("text");
            for event in text.split_terminator("\n\n") {
                let part = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                    line.unwrap_or_default().to_owned()
                };
                let data = serde_json::from_str(&part("data")).expect("JSON");
                self.waiting.push_back((part("id"), part("event"), data));
            }
        }
        self.waiting.pop_front()
    }
}

#[tokio::test]
async fn a_page_that_would_be_empty_is_waited_for() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let (page, _) = awake(&office, async {
        tokio::join!(page(&office, &key, "after=0&types=contact&wait=30"), async {
            // Another type's change does not end the wait.
            office.rest("POST", "/businesses/acme-1/records/note", &key, &json!({"title": "x"})).await;
            made(&office, &json!({"firstName": "Ann"})).await
        })
    })
    .await;
    assert_eq!((kinds(&page), page["seq"].as_u64()), (vec!["created"], Some(2)));
}

#[tokio::test]
async fn streams_tell_changes_as_they_happen_and_go_on_where_they_broke() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    made(&office, &json!({"firstName": "before"})).await;
    awake(&office, async {
        let mut two = Vec::new();
        for _ in 0..2 {
            two.push(Events::open(&office, "", &key, &[]).await);
        }
        let id = made(&office, &json!({"firstName": "Ann"})).await;
        office.rest("PATCH", &format!("{RECORDS}/{id}"), &key, &json!({"city": "Delft"})).await;
        let mut last = String::new();
        for events in &mut two {
            let (cursor, name, data) = events.next().await.expect("an event");
            assert_eq!((name.as_str(), data["seq"].as_u64()), ("created", Some(2)), "from now on");
            last = cursor;
        }
        let mut resumed = Events::open(&office, "after=0", &key, &[("last-event-id", &last)]).await;
        let (_, name, data) = resumed.next().await.expect("an event");
        assert_eq!((name.as_str(), data["seq"].as_u64()), ("updated", Some(3)));
        let mut all = Events::open(&office, "after=0&kinds=created&payload=id", &key, &[]).await;
        for seq in [1, 2] {
            let (_, _, data) = all.next().await.expect("an event");
            assert_eq!((data["seq"].as_u64(), data.get("fields")), (Some(seq), None));
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_follows_its_readers_grant_and_ends_with_it() {
    let office = Office::open().await;
    let reader = office.badge("Acme", "reader", &json!({"conditions": {"contact": "city == 'Delft'"}})).await;
    awake(&office, async {
        let mut events = Events::open(&office, "", &reader.key, &[]).await;
        made(&office, &json!({"firstName": "Ann", "city": "Delft"})).await;
        assert_eq!(events.next().await.expect("an event").2["fields"]["firstName"], "Ann");
        let update = format!("/management/auth/update/{}", reader.id);
        let narrower = json!({"conditions": {"contact": "city == 'Breda'"}});
        assert_eq!(office.admin(&update, &narrower).await.status, 200);
        made(&office, &json!({"firstName": "Bob", "city": "Delft"})).await;
        made(&office, &json!({"firstName": "Cid", "city": "Breda"})).await;
        assert_eq!(events.next().await.expect("an event").2["fields"]["firstName"], "Cid");
        let delete = format!("/management/auth/delete/{}", reader.id);
        assert_eq!(office.admin(&delete, &json!({})).await.status, 200);
        let (_, name, data) = events.next().await.expect("the last event");
        assert_eq!((name.as_str(), data["code"].as_str()), ("error", Some("invalid_credentials")));
        assert!(events.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_stream_and_a_wait_end_with_the_time_of_their_token() {
    let office = Office::open().await;
    let (_, token) = office.token(&office.acme.key, &json!({"expiresAt": "2023-11-14T22:13:21Z"})).await;
    awake(&office, async {
        let mut events = Events::open(&office, "", &token, &[]).await;
        let path = format!("{CHANGES}?after=0&wait=30");
        let (waited, last) = tokio::join!(office.rest("GET", &path, &token, &Value::Null), async {
            office.clock.advance(2_000);
            made(&office, &json!({"firstName": "Ann"})).await;
            events.next().await.expect("the last event")
        });
        assert_eq!((waited.status, waited.code()), (401, "invalid_credentials"));
        assert_eq!((last.1.as_str(), last.2["code"].as_str()), ("error", Some("invalid_credentials")));
        assert!(events.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_stream_tells_nothing_of_a_record_erased_before_it_began() {
    let office = Office::open().await;
    let key = office.acme.key.clone();
    awake(&office, async {
        // Somebody who sees the same has had it told, and stays.
        let mut standing = Events::open(&office, "after=0", &key, &[]).await;
        let id = made(&office, &json!({"firstName": "Secretive"})).await;
        assert_eq!(standing.next().await.expect("an event").2["fields"]["firstName"], "Secretive");
        let erase = format!("/v1/business/acme-1/contact/erase/{id}");
        assert_eq!(office.admin(&erase, &json!({})).await.status, 202);
        let mut late = Events::open(&office, "after=0", &key, &[]).await;
        loop {
            let (_, name, data) = late.next().await.expect("an event");
            assert!(!data.to_string().contains("Secretive"), "{data}");
            if name == "deleted" {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_stream_sees_each_change_once_wherever_it_began_and_however_far_it_fell_behind() {
    // More pages of one change than are held for those at the end.
    const CHANGES: u64 = 300;
    let office = Office::open().await;
    let key = office.acme.key.clone();
    let id = made(&office, &json!({"city": "0"})).await;
    awake(&office, async {
        let mut quick = Events::open(&office, "after=1", &key, &[]).await;
        let mut slow = Vec::new();
        for number in 2..=CHANGES {
            let patch = json!({"city": number.to_string()});
            office.rest("PATCH", &format!("{RECORDS}/{id}"), &key, &patch).await;
            if number % 7 != 0 {
                // Most pages are of one change, some of two: those who come later stand within them too.
                while quick.next().await.expect("an event").2["seq"].as_u64() != Some(number) {}
            }
            if number % 50 == 0 {
                let after = number - 25 + number / 50;
                slow.push((after, Events::open(&office, &format!("after={after}"), &key, &[]).await));
            }
        }
        slow.push((0, Events::open(&office, "after=0", &key, &[]).await));
        slow.push((CHANGES - 13, Events::open(&office, &format!("after={}", CHANGES - 13), &key, &[]).await));
        for (after, mut events) in slow {
            for seq in after + 1..=CHANGES {
                assert_eq!(events.next().await.expect("an event").2["seq"].as_u64(), Some(seq), "after {after}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_whose_next_changes_are_kept_no_more_ends_and_says_so() {
    let office = Office::open().await;
    let id = made(&office, &json!({"city": "0"})).await;
    for number in 1..5 {
        let patch = json!({"city": number.to_string()});
        office.rest("PATCH", &format!("{RECORDS}/{id}"), &office.acme.key, &patch).await;
    }
    let mut events = Events::open(&office, "after=1", &office.acme.key, &[]).await;
    let business = BusinessId::parse("acme-1").expect("legal");
    office.store.prune(Prune { business, until: 3, has_outlets: false }).await.expect("pruned");
    let (_, name, data) = events.next().await.expect("the last event");
    assert_eq!((name.as_str(), data["code"].as_str()), ("error", Some("history_pruned")));
    assert!(events.next().await.is_none());
}
