//! What subscribers are told, and signed with: rotation, syncs, their own changes.

use crate::desk::{BUSINESS, HOUR, at_desk};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_core::command::Ending;
use lockstep_core::ids::RecordId;
use lockstep_core::rules::signature::Signer;
use lockstep_engine::ingest::Verb;
use lockstep_sim::endpoint::{Arrival, Mood};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Which of these secrets signed a delivery, and how many signatures it has.
fn signers(arrival: &Arrival, secrets: &[&str]) -> (Vec<bool>, usize) {
    let header = arrival.header("webhook-signature");
    let signatures: Vec<&str> = header.split(' ').collect();
    let has = |secret: &&str| {
        let secret =
            STANDARD.decode(secret.strip_prefix("whsec_").expect("a signed delivery")).expect("a signed delivery");
        let signer = Signer::new(&[secret.try_into().expect("a signed delivery")], true, false);
        let stamp = arrival.header("webhook-timestamp").parse().expect("a signed delivery");
        signatures.contains(&signer.sign(arrival.id(), stamp, &arrival.body).as_str())
    };
    (secrets.iter().map(has).collect(), signatures.len())
}

#[test]
fn a_rotated_secret_signs_beside_the_new_one_for_a_day_and_then_no_more() {
    at_desk(|desk| async move {
        let (id, old) = desk.listen_as(&desk.mail, "well.example", json!({})).await;
        desk.create(0).await;
        desk.wait(SECOND).await;
        let new = desk.rotate(id).await;
        desk.create(1).await;
        desk.wait(24 * HOUR - 5 * SECOND).await;
        desk.create(2).await;
        desk.wait(10 * SECOND).await;
        desk.create(3).await;
        desk.wait(SECOND).await;
        let secrets = [old.as_str(), new.as_str()];
        let signed: Vec<_> = desk.at("well.example").iter().map(|arrival| signers(arrival, &secrets)).collect();
        let both = (vec![true, true], 2);
        assert_eq!(signed, [(vec![true, false], 1), both.clone(), both, (vec![false, true], 1)]);
        Ok(())
    });
}

#[test]
fn a_sync_sends_a_current_that_is_never_older_than_a_change_already_sent() {
    at_desk(|desk| async move {
        let kinds = json!({"kinds": ["created", "updated", "current", "operation.completed"]});
        desk.listen("slow.example", kinds).await;
        let record = desk.create(0).await;
        desk.world.net.set("slow.example", Mood::Slow(3_000));
        for number in 0..10 {
            desk.update(record, &format!("change {number}")).await;
            assert_eq!(desk.sync(record).await, Ending::Syncing { matched: 1 });
            desk.wait(Duration::from_millis(700)).await;
        }
        desk.wait(HOUR).await;
        let mut newest = 0;
        let (mut currents, mut ended) = (0, 0);
        for arrival in desk.at("slow.example") {
            let body = arrival.json();
            if body["type"] == "operation.completed" {
                ended += 1;
                assert_eq!((&body["data"]["matched"], &body["data"]["sent"]), (&json!(1), &json!(1)));
                continue;
            }
            let version = body.pointer("/data/record/version").unwrap().as_u64().unwrap();
            assert!(version >= newest, "{} of version {version} after version {newest}", body["type"]);
            newest = version;
            currents += usize::from(body["type"] == "contact.current");
        }
        assert_eq!((newest, currents, ended), (11, 10, 10));
        Ok(())
    });
}

#[test]
fn nothing_found_sends_nothing_and_says_so_only_to_those_that_list_it() {
    at_desk(|desk| async move {
        desk.listen("all.example", json!({})).await;
        desk.listen("lists.example", json!({"kinds": ["current", "operation.completed"]})).await;
        desk.wait(SECOND).await;
        assert_eq!(desk.sync(RecordId(7)).await, Ending::Syncing { matched: 0 });
        desk.wait(SECOND).await;
        let record = desk.create(0).await;
        desk.sync(record).await;
        desk.wait(10 * SECOND).await;
        assert_eq!(desk.events("all.example"), ["contact.created", "contact.current"]);
        assert_eq!(desk.events("lists.example"), ["operation.completed", "contact.current", "operation.completed"]);
        let ended: Vec<_> =
            desk.at("lists.example").iter().map(|arrival| arrival.json()["data"]["matched"].clone()).collect();
        assert_eq!(ended, [json!(0), json!(null), json!(2)]);
        Ok(())
    });
}

#[test]
fn a_sync_keeps_to_what_the_subscription_asks_for_when_it_is_sent() {
    at_desk(|desk| async move {
        let narrow = desk.listen("narrow.example", json!({"kinds": ["current"]})).await;
        let record = desk.create(0).await;
        desk.world.net.set("narrow.example", Mood::Unreachable);
        desk.sync(record).await;
        desk.wait(SECOND).await;
        desk.update_subscription(narrow, json!({"types": ["organization"]})).await;
        desk.world.net.heal();
        desk.wait(HOUR).await;
        assert_eq!(desk.at("narrow.example").len(), 0, "it asks for contacts no more");
        Ok(())
    });
}

#[test]
fn the_owners_own_changes_are_left_out_where_asked() {
    at_desk(|desk| async move {
        desk.listen("others.example", json!({"excludeOwn": true})).await;
        desk.listen("all.example", json!({"excludeOwn": false})).await;
        let record = desk.create(0).await.to_string();
        let patch = json!({"notes": "own"}).as_object().cloned().unwrap();
        desk.world.submit(&desk.mail, BUSINESS, "contact", Verb::Update { id: &record, patch }).await?;
        desk.update(record.parse().unwrap(), "theirs").await;
        desk.wait(SECOND).await;
        assert_eq!(desk.taken("others.example"), [1, 3]);
        assert_eq!(desk.taken("all.example"), [1, 2, 3]);
        Ok(())
    });
}

#[test]
fn a_merge_is_told_as_one_or_to_those_that_know_none_as_a_deletion() {
    at_desk(|desk| async move {
        desk.listen("all.example", json!({})).await;
        desk.listen("envelope.example", json!({"format": "envelope"})).await;
        desk.listen("plain.example", json!({"kinds": ["created", "deleted"]})).await;
        desk.wait(SECOND).await;
        let (goes, stays) = (desk.create(0).await, desk.create(1).await);
        desk.merge(goes, stays).await;
        desk.wait(10 * SECOND).await;
        assert_eq!(desk.events("all.example"), ["contact.created", "contact.created", "contact.merged"]);
        assert_eq!(desk.events("plain.example"), ["contact.created", "contact.created", "contact.deleted"]);
        let told = desk.at("plain.example")[2].json();
        assert_eq!(told["data"]["mergedInto"], json!(stays.to_string()));
        let told = desk.at("envelope.example")[2].json();
        let survivor = &told["payload"]["mergedInto"];
        assert_eq!((told["state"].clone(), survivor), (json!("Deleted"), &json!(stays.to_string())));
        Ok(())
    });
}

#[test]
fn a_subscription_to_all_businesses_hears_of_later_ones_under_one_secret() {
    at_desk(|desk| async move {
        let more = json!({"businesses": "*", "startAt": "beginning"});
        let (_, secret) = desk.listen_as(&desk.mail, "all.example", more).await;
        let here = desk.create(0).await;
        desk.world.business("Acme", "later").await?;
        let fields = json!({"notes": "there"}).as_object().cloned().expect("an object");
        let verb = Verb::Create { fields, external_id: None, matching: &[] };
        desk.world.submit(&desk.crm, "later", "contact", verb).await?;
        desk.wait(10 * SECOND).await;
        let told = desk.at("all.example");
        let mut businesses: Vec<_> =
            told.iter().map(|arrival| arrival.json()["data"]["businessId"].to_string()).collect();
        businesses.sort();
        assert_eq!(businesses, ["\"a1\"", "\"later\""], "{here}");
        assert!(told.iter().all(|arrival| signers(arrival, &[&secret]) == (vec![true], 1)));
        Ok(())
    });
}
