//! Endpoints that are down: their cursor waits, nobody else does, and their owner is told.

use crate::desk::{BUSINESS, HOUR, assert_in_order, at_desk};
use lockstep_sim::endpoint::Mood;
use lockstep_store::Store;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_dead_endpoint_parks_next_to_nothing_holds_up_nobody_and_later_gets_everything_in_order() {
    const CHANGES: usize = 20_000;
    const RECORDS: usize = 500;
    at_desk(|desk| async move {
        let dead = desk.listen("dead.example", json!({})).await;
        desk.listen("well.example", json!({})).await;
        desk.world.net.set("dead.example", Mood::Unreachable);
        let mut records = Vec::new();
        for number in 0..CHANGES {
            if number < RECORDS {
                records.push(desk.create(number).await);
            } else {
                desk.update(records[number % RECORDS], &format!("change {number}")).await;
            }
            if number % 100 == 99 {
                desk.wait(Duration::from_millis(100)).await;
                assert!(desk.parked(dead).await <= 10);
            }
        }
        desk.wait(Duration::from_secs(30)).await;
        assert_eq!(desk.at("dead.example").len(), 0);
        let well = desk.at("well.example");
        assert_eq!(well.len(), CHANGES, "others get everything, once, meanwhile");
        assert_in_order(&well);

        desk.world.net.heal();
        desk.wait(HOUR).await;
        let taken: BTreeSet<u64> = desk.taken("dead.example").into_iter().collect();
        assert_eq!(taken.len(), CHANGES);
        assert_in_order(&desk.at("dead.example"));
        assert_eq!((desk.parked(dead).await, desk.lane_rows().await), (0, 0));
        Ok(())
    });
}

#[test]
fn a_down_endpoint_is_warned_of_after_a_day_paused_after_five_and_goes_on_where_it_stopped() {
    at_desk(|desk| async move {
        let down = desk.listen("down.example", json!({})).await;
        desk.listen("owner.example", json!({"kinds": ["subscription.failing", "subscription.paused"]})).await;
        desk.world.net.set("down.example", Mood::Silent);
        for number in 0..30 {
            desk.create(number).await;
        }
        desk.wait(DAY - HOUR).await;
        assert_eq!(desk.events("owner.example"), Vec::<String>::new());
        desk.wait(2 * HOUR).await;
        assert_eq!(desk.events("owner.example"), ["subscription.failing"]);
        desk.wait(4 * DAY).await;
        assert_eq!(desk.events("owner.example"), ["subscription.failing", "subscription.paused"]);
        assert_eq!(desk.dead(down).await, Vec::<u64>::new(), "a closed gate never ends in dead letters");

        let tries = desk.world.net.tries("down.example").len();
        desk.world.net.heal();
        desk.wait(DAY).await;
        assert_eq!(desk.world.net.tries("down.example").len(), tries, "nothing is sent while it is paused");
        desk.update_subscription(down, json!({"paused": false})).await;
        desk.wait(5 * HOUR).await;
        let taken: BTreeSet<u64> = desk.taken("down.example").into_iter().collect();
        assert_eq!(taken, (1..=30).collect());
        assert_in_order(&desk.at("down.example"));
        Ok(())
    });
}

#[test]
fn a_restart_neither_puts_off_the_warning_nor_the_pause_nor_warns_twice() {
    at_desk(|mut desk| async move {
        let down = desk.listen("down.example", json!({})).await;
        desk.listen("owner.example", json!({"kinds": ["subscription.failing", "subscription.paused"]})).await;
        desk.world.net.set("down.example", Mood::Silent);
        for number in 0..30 {
            desk.create(number).await;
        }
        for _ in 0..3 {
            desk.wait(7 * HOUR).await;
            desk.world.kill().await;
            desk.world.start().await?;
        }
        assert_eq!(desk.events("owner.example"), Vec::<String>::new());
        desk.wait(4 * HOUR).await;
        assert_eq!(desk.events("owner.example"), ["subscription.failing"], "a day since it went down");
        for _ in 0..3 {
            desk.world.kill().await;
            desk.world.start().await?;
            desk.wait(DAY).await;
        }
        assert_eq!(desk.events("owner.example"), ["subscription.failing"]);
        desk.wait(DAY).await;
        assert_eq!(desk.events("owner.example"), ["subscription.failing", "subscription.paused"]);

        desk.world.kill().await;
        desk.world.start().await?;
        desk.world.net.heal();
        desk.update_subscription(down, json!({"paused": false})).await;
        desk.wait(5 * HOUR).await;
        let taken: BTreeSet<u64> = desk.taken("down.example").into_iter().collect();
        assert_eq!(taken, (1..=30).collect());
        let outlets = desk.world.store.plain().outlets().await?;
        assert!(outlets.iter().all(|outlet| outlet.down.is_empty()), "one that is well has no row");
        Ok(())
    });
}

#[test]
fn one_that_is_still_down_when_it_is_resumed_has_its_days_again() {
    at_desk(|desk| async move {
        let down = desk.listen("down.example", json!({})).await;
        desk.listen("owner.example", json!({"kinds": ["subscription.paused"]})).await;
        desk.world.net.set("down.example", Mood::Unreachable);
        for number in 0..20 {
            desk.create(number).await;
        }
        desk.wait(5 * DAY + HOUR).await;
        desk.update_subscription(down, json!({"paused": false})).await;
        desk.wait(4 * DAY).await;
        assert_eq!(desk.events("owner.example").len(), 1);
        desk.wait(DAY + 2 * HOUR).await;
        assert_eq!(desk.events("owner.example").len(), 2);
        Ok(())
    });
}

#[test]
fn retry_after_is_obeyed() {
    at_desk(|desk| async move {
        desk.listen("busy.example", json!({})).await;
        desk.world.net.set("busy.example", Mood::Throttles(429, 120));
        desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        assert_eq!(desk.world.net.tries("busy.example").len(), 1);
        for number in 1..20 {
            desk.create(number).await;
        }
        desk.wait(Duration::from_secs(117)).await;
        desk.world.net.heal();
        assert_eq!(desk.world.net.tries("busy.example").len(), 1, "two minutes were asked for");
        desk.wait(Duration::from_secs(20)).await;
        let tries = desk.world.net.tries("busy.example");
        let waited = tries[1].ms_since(tries[0]);
        assert!((120_000..=133_000).contains(&waited), "{waited} ms");
        assert_eq!(desk.taken("busy.example").len(), 20);
        Ok(())
    });
}

#[test]
fn throttling_without_a_time_slows_down_and_uses_no_attempt_up() {
    at_desk(|desk| async move {
        let busy = desk.listen("busy.example", json!({})).await;
        desk.world.net.set("busy.example", Mood::Says(503));
        desk.create(0).await;
        desk.wait(4 * HOUR).await;
        assert_eq!((desk.parked(busy).await, desk.taken("busy.example").len()), (0, 0));
        let tries = desk.world.net.tries("busy.example").len();
        assert!((40..80).contains(&tries), "{tries} tries in four hours: every five minutes in the end");
        desk.world.net.heal();
        desk.wait(Duration::from_secs(331)).await;
        assert_eq!(desk.taken("busy.example"), [1]);
        Ok(())
    });
}

#[test]
fn a_410_ends_the_subscription_and_tells_its_owner_once() {
    at_desk(|desk| async move {
        let gone = desk.listen("gone.example", json!({})).await;
        desk.listen("owner.example", json!({"kinds": ["subscription.ended"]})).await;
        desk.listen_as(&desk.crm, "other.example", json!({"kinds": ["subscription.ended"]})).await;
        desk.world.net.set("gone.example", Mood::Says(410));
        for number in 0..25 {
            desk.create(number).await;
        }
        desk.wait(HOUR).await;
        let told = desk.at("owner.example");
        assert_eq!(told.len(), 1, "many deliveries were under way, and it ended once");
        assert_eq!(told[0].json().pointer("/data/subscriptionId"), Some(&json!(gone.to_string())));
        assert_eq!(desk.at("other.example").len(), 0, "another owner is not told");
        let tries = desk.world.net.tries("gone.example").len();
        desk.create(99).await;
        desk.wait(HOUR).await;
        assert_eq!(desk.world.net.tries("gone.example").len(), tries);
        let refused = desk.world.resubscribe(&desk.mail, BUSINESS, gone, json!({"paused": false})).await;
        assert!(refused.unwrap_err().to_string().contains("subscription_ended"));
        Ok(())
    });
}

#[test]
fn a_redirect_is_a_failure_and_is_not_followed() {
    at_desk(|desk| async move {
        let moved = desk.listen("moved.example", json!({})).await;
        desk.world.net.set("moved.example", Mood::Says(302));
        desk.create(0).await;
        desk.wait(Duration::from_secs(2)).await;
        assert_eq!((desk.at("moved.example").len(), desk.parked(moved).await), (1, 1));
        Ok(())
    });
}

#[test]
fn the_operator_is_told_what_happens_to_a_subscription_until_the_alert_url_takes_it() {
    at_desk(|mut desk| async move {
        desk.world.kill().await;
        desk.world.alert_url = Some("https://alerts.example/alerts.example".to_owned());
        desk.world.start().await?;
        let subscription = desk.listen("gone.example", json!({})).await;
        desk.world.net.set("gone.example", Mood::Says(410));
        desk.world.net.set("alerts.example", Mood::Says(500));
        desk.create(0).await;
        desk.wait(Duration::from_secs(2)).await;
        desk.world.net.heal();
        desk.wait(Duration::from_secs(60)).await;
        let told = desk.at("alerts.example");
        assert_eq!(told.iter().map(lockstep_sim::endpoint::Arrival::is_taken).collect::<Vec<_>>(), [false, true]);
        assert_eq!((told[0].id(), &told[0].body), (told[1].id(), &told[1].body), "one id on each try");
        let body = told[1].json();
        assert_eq!((&body["type"], &body["data"]["businessId"]), (&json!("subscription.ended"), &json!("a1")));
        assert_eq!(body["data"]["subscriptionId"], json!(subscription.to_string()));
        Ok(())
    });
}
