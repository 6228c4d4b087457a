//! Changes that go together: formed once, tried again as they were, taken apart when they are refused.

use crate::desk::{HOUR, at_desk, seq_of};
use lockstep_sim::endpoint::{Arrival, Mood};
use lockstep_sim::trace::fnv;
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Seqs of a request: of its members, or its own.
fn seqs(arrival: &Arrival) -> Vec<u64> {
    let body = arrival.json();
    match body.get("data").and_then(serde_json::Value::as_array) {
        Some(members) => members.iter().filter_map(|member| member.pointer("/data/seq")?.as_u64()).collect(),
        None => seq_of(arrival).into_iter().collect(),
    }
}

#[test]
fn changes_go_together_when_they_are_enough_or_the_first_has_waited() {
    at_desk(|desk| async move {
        desk.listen("many.example", json!({"batch": {"maxRecords": 3, "maxWaitMs": 5_000}})).await;
        let first = desk.create(0).await;
        for number in 1..4 {
            desk.create(number).await;
        }
        desk.update(first, "twice").await;
        desk.wait(SECOND).await;
        let came = |desk: &crate::desk::Desk| desk.at("many.example").iter().map(seqs).collect::<Vec<_>>();
        assert_eq!(came(&desk), [vec![1, 2, 3]]);
        desk.wait(5 * SECOND).await;
        assert_eq!(came(&desk), [vec![1, 2, 3], vec![4, 5]], "the second change of the first record came later");
        let arrivals = desk.at("many.example");
        assert_ne!(arrivals[0].id(), arrivals[1].id());
        assert_eq!(arrivals[0].json()["type"], "batch");
        desk.create(9).await;
        desk.wait(6 * SECOND).await;
        assert_eq!(desk.events("many.example").last().map(String::as_str), Some("contact.created"), "one goes alone");
        assert_eq!(desk.lane_rows().await, 0);
        Ok(())
    });
}

#[test]
fn a_batch_that_does_not_arrive_is_tried_again_with_the_same_members_under_the_same_id() {
    at_desk(|desk| async move {
        desk.listen("many.example", json!({"batch": {"maxRecords": 10, "maxWaitMs": 1_000}})).await;
        desk.world.net.set("many.example", Mood::Throttles(503, 10));
        for number in 0..3 {
            desk.create(number).await;
        }
        desk.wait(5 * SECOND).await;
        desk.create(3).await;
        desk.world.net.heal();
        desk.wait(60 * SECOND).await;
        let arrivals = desk.at("many.example");
        assert_eq!(arrivals.iter().map(seqs).collect::<Vec<_>>(), [vec![1, 2, 3], vec![1, 2, 3], vec![4]]);
        assert_eq!((arrivals[0].id(), &arrivals[0].body), (arrivals[1].id(), &arrivals[1].body));
        Ok(())
    });
}

#[test]
fn a_refused_batch_goes_as_singles_and_one_bad_record_holds_back_no_other() {
    at_desk(|desk| async move {
        let subscription = desk.listen("many.example", json!({"batch": {"maxRecords": 4, "maxWaitMs": 1_000}})).await;
        let bad = desk.create(0).await;
        desk.world.net.set("many.example", Mood::Dislikes(fnv(bad.to_string().as_bytes())));
        for number in 1..4 {
            desk.create(number).await;
        }
        desk.wait(3 * SECOND).await;
        let mut taken = desk.taken("many.example");
        taken.sort_unstable();
        assert_eq!(taken, [2, 3, 4]);
        assert_eq!(desk.parked(subscription).await, 1);
        for number in 4..8 {
            desk.create(number).await;
        }
        desk.wait(3 * SECOND).await;
        let last = desk.at("many.example").iter().filter(|arrival| arrival.is_taken()).map(seqs).next_back();
        assert_eq!(last, Some(vec![5, 6, 7, 8]), "the others go together again");
        desk.world.net.heal();
        desk.wait(HOUR).await;
        assert_eq!(desk.taken("many.example").last(), Some(&1));
        Ok(())
    });
}

#[test]
fn a_batch_too_long_for_one_request_goes_as_several() {
    at_desk(|desk| async move {
        desk.listen("many.example", json!({"batch": {"maxRecords": 8, "maxWaitMs": 0}})).await;
        let records = eight_records(&desk).await;
        desk.wait(3 * SECOND).await;
        let before = desk.at("many.example").len();
        desk.world.net.set("many.example", Mood::Throttles(503, 20));
        for record in &records {
            desk.update(*record, &"long ".repeat(50_000)).await;
        }
        desk.world.net.heal();
        desk.wait(120 * SECOND).await;
        let later: Vec<Vec<u64>> = desk.at("many.example").iter().skip(before).map(seqs).collect();
        let mut all: Vec<u64> = later.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, (9..=16).collect::<Vec<u64>>());
        assert!(desk.at("many.example").iter().all(|arrival| arrival.body.len() <= 1024 * 1024));
        assert_eq!(desk.lane_rows().await, 0);
        Ok(())
    });
}

async fn eight_records(desk: &crate::desk::Desk) -> Vec<lockstep_core::ids::RecordId> {
    let mut records = Vec::new();
    for number in 0..8 {
        records.push(desk.create(number).await);
    }
    records
}

#[test]
fn a_collection_holds_one_type_and_cloud_events_come_as_a_list() {
    at_desk(|desk| async move {
        let batch = json!({"maxRecords": 10, "maxWaitMs": 1_000});
        desk.listen("people.example", json!({"format": "collection", "batch": batch})).await;
        desk.listen("events.example", json!({"format": "cloudevents", "batch": batch})).await;
        let name = json!({"name": "Acme"}).as_object().cloned().expect("an object");
        desk.create(0).await;
        for _ in 0..2 {
            let verb = lockstep_engine::ingest::Verb::Create { fields: name.clone(), external_id: None, matching: &[] };
            desk.world.submit(&desk.crm, crate::desk::BUSINESS, "organization", verb).await?;
        }
        desk.create(1).await;
        desk.wait(5 * SECOND).await;
        let people = desk.at("people.example");
        let told = |came: &Arrival, key: &str| {
            came.json()[key].as_array().map(|list| (list.len(), came.header("lockstep-event").to_owned()))
        };
        for (key, event) in [("people", "contact.batch"), ("organizations", "organization.batch")] {
            let came: Vec<_> = people.iter().filter_map(|came| told(came, key)).collect();
            assert_eq!(came, [(2, event.to_owned())], "each type by itself");
        }
        let [events] = &desk.at("events.example")[..] else { panic!("one request") };
        assert_eq!(events.header("content-type"), "application/cloudevents-batch+json; charset=utf-8");
        let members = events.json();
        let told: Vec<_> = members.as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
        let (contact, organization) = ("lockstep.contact.created", "lockstep.organization.created");
        assert_eq!(told, [contact, organization, organization, contact]);
        Ok(())
    });
}
