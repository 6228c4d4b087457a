//! Records that one endpoint refuses while others pass: parked, retried, given up, replayed.

use crate::desk::{HOUR, at_desk};
use lockstep_core::ids::RecordId;
use lockstep_sim::endpoint::Mood;
use lockstep_sim::trace::fnv;
use serde_json::json;
use std::time::Duration;

fn dislikes(record: RecordId) -> Mood {
    Mood::Dislikes(fnv(record.to_string().as_bytes()))
}

#[test]
fn a_refused_record_holds_back_only_its_own_changes_and_comes_in_order_when_it_is_taken() {
    at_desk(|desk| async move {
        let subscription = desk.listen("picky.example", json!({})).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        let good = desk.create(1).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.set("picky.example", dislikes(bad));
        for number in 0..5 {
            desk.update(bad, &format!("bad {number}")).await;
            desk.update(good, &format!("good {number}")).await;
        }
        desk.wait(Duration::from_secs(60)).await;
        assert_eq!(desk.taken("picky.example"), [1, 2, 4, 6, 8, 10, 12]);
        assert_eq!(desk.parked(subscription).await, 1, "later changes make no rows");
        desk.world.net.heal();
        desk.wait(HOUR).await;
        assert_eq!(desk.taken("picky.example"), [1, 2, 4, 6, 8, 10, 12, 3, 5, 7, 9, 11]);
        assert_eq!((desk.parked(subscription).await, desk.lane_rows().await), (0, 0));
        Ok(())
    });
}

#[test]
fn a_new_change_of_a_parked_record_brings_its_next_try_forward() {
    at_desk(|desk| async move {
        desk.listen("picky.example", json!({})).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.set("picky.example", dislikes(bad));
        desk.update(bad, "one").await;
        desk.wait(12 * HOUR).await;
        desk.world.net.heal();
        desk.update(bad, "two").await;
        desk.wait(Duration::from_secs(2)).await;
        assert_eq!(desk.taken("picky.example"), [1, 2, 3]);
        Ok(())
    });
}

#[test]
fn when_the_schedule_ends_it_is_a_dead_letter_later_changes_go_on_and_a_replay_settles_it() {
    at_desk(|desk| async move {
        let subscription = desk.listen("picky.example", json!({})).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.set("picky.example", dislikes(bad));
        let given_up = desk.update(bad, "one").await;
        let later = [desk.update(bad, "two").await, desk.update(bad, "three").await];
        let mut hours = 0;
        while desk.dead(subscription).await.is_empty() {
            desk.wait(HOUR / 4).await;
            hours += 1;
            assert!(hours < 5 * 24 * 4, "it is tried for ever");
        }
        assert!(hours > 2 * 24 * 4, "given up after {hours} quarters of an hour");
        assert_eq!(desk.dead(subscription).await, [given_up]);
        let tried = desk.at("picky.example");
        let ids: Vec<_> = tried.iter().filter(|arrival| !arrival.is_taken()).map(|arrival| arrival.id()).collect();
        assert_eq!(ids.iter().filter(|id| **id == ids[0]).count(), 11, "eleven tries under one id");

        desk.world.net.heal();
        desk.wait(HOUR).await;
        assert_eq!(desk.taken("picky.example"), [1, later[0], later[1]], "its later changes go on, in order");

        let id = desk.replay(subscription, given_up).await;
        desk.wait(Duration::from_secs(2)).await;
        let arrivals = desk.at("picky.example");
        let replayed = arrivals.last().unwrap();
        assert!(replayed.is_replay() && replayed.is_taken());
        assert_eq!((replayed.id(), replayed.id()), (ids[0], id.to_string().as_str()));
        assert_eq!(replayed.json().pointer("/data/replay"), Some(&json!(true)));
        assert_eq!(desk.dead(subscription).await, Vec::<u64>::new());
        Ok(())
    });
}

#[test]
fn parked_records_survive_a_kill_with_their_attempts() {
    at_desk(|mut desk| async move {
        let subscription = desk.listen("picky.example", json!({})).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.set("picky.example", dislikes(bad));
        desk.update(bad, "one").await;
        desk.wait(HOUR).await;
        let before = desk.world.standing(subscription).await?.parked.first().map(|row| row.attempts);
        desk.world.kill().await;
        desk.world.start().await?;
        desk.wait(Duration::from_secs(1)).await;
        let after = desk.world.standing(subscription).await?.parked.first().map(|row| row.attempts);
        assert_eq!((before, after), (Some(5), Some(5)));
        desk.update(bad, "two").await;
        desk.world.net.heal();
        desk.wait(Duration::from_secs(5)).await;
        assert_eq!(desk.taken("picky.example"), [1, 2, 3]);
        Ok(())
    });
}

#[test]
fn two_replays_of_one_change_leave_nothing_behind() {
    at_desk(|mut desk| async move {
        let subscription = desk.listen("well.example", json!({})).await;
        desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.replay(subscription, 1).await;
        desk.replay(subscription, 1).await;
        desk.wait(Duration::from_secs(5)).await;
        let count = desk.at("well.example").len();
        for _ in 0..3 {
            desk.world.stop().await?;
            desk.world.start().await?;
            desk.wait(Duration::from_secs(5)).await;
        }
        assert_eq!(desk.at("well.example").len(), count, "a restart replays nothing");
        Ok(())
    });
}

#[test]
fn a_paused_subscription_with_parked_records_costs_no_turns() {
    at_desk(|desk| async move {
        let subscription = desk.listen("picky.example", json!({})).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.set("picky.example", dislikes(bad));
        desk.update(bad, "one").await;
        desk.sync(bad).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.update_subscription(subscription, json!({"paused": true})).await;
        let settles = desk.world.store.settles();
        desk.wait(24 * HOUR).await;
        assert!(desk.world.store.settles() <= settles + 2, "nothing moves, so nothing is settled");
        desk.world.net.heal();
        desk.update_subscription(subscription, json!({"paused": false})).await;
        desk.wait(Duration::from_secs(5)).await;
        assert_eq!(desk.events("picky.example"), ["contact.created", "contact.updated", "contact.current"]);
        Ok(())
    });
}

#[test]
fn a_store_that_cannot_be_read_is_not_asked_in_a_hurry() {
    at_desk(|desk| async move {
        desk.listen("picky.example", json!({})).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.set("picky.example", dislikes(bad));
        desk.update(bad, "one").await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.net.heal();
        desk.world.store.refuse(true);
        let calls = desk.world.store.calls();
        desk.wait(Duration::from_secs(60)).await;
        let asked = desk.world.store.calls() - calls;
        assert!((60..1_000).contains(&asked), "asked {asked} times in a minute");
        desk.world.store.refuse(false);
        desk.wait(Duration::from_secs(5)).await;
        assert_eq!(desk.taken("picky.example"), [1, 2]);
        Ok(())
    });
}

#[test]
fn a_change_that_comes_while_a_parked_record_goes_on_is_not_lost() {
    at_desk(|mut desk| async move {
        let subscription = desk.listen("picky.example", json!({})).await;
        desk.world.store.behave(true, false);
        for number in 0..160 {
            let record = desk.create(number).await;
            desk.wait(Duration::from_secs(1)).await;
            desk.world.net.set("picky.example", dislikes(record));
            desk.update(record, "refused").await;
            desk.wait(Duration::from_secs(1)).await;
            assert_eq!(desk.parked(subscription).await, 1);
            // A row that was read back does not say what the record's newest change is.
            desk.world.kill().await;
            desk.world.start().await?;
            desk.world.net.heal();
            let before = desk.world.net.count();
            while desk.world.net.count() == before {
                desk.wait(Duration::from_millis(1)).await;
            }
            // Its chain is being read about now.
            desk.wait(Duration::from_millis(number as u64 % 40)).await;
            let last = desk.update(record, "meanwhile").await;
            desk.wait(Duration::from_secs(30)).await;
            assert_eq!(desk.taken("picky.example").last(), Some(&last), "round {number}");
        }
        Ok(())
    });
}
