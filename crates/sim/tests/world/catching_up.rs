//! Lanes that fall behind, catch up, and rejoin; and what they cost when they have nothing to do.

use crate::desk::{BUSINESS, HOUR, at_desk};
use lockstep_store::Store;
use serde_json::json;
use std::time::Duration;

#[test]
fn ten_thousand_idle_subscriptions_cost_no_rows_and_no_settles() {
    at_desk(|desk| async move {
        for number in 0..10_000 {
            desk.listen(&format!("idle{number}.example"), json!({"types": ["invoice"]})).await;
        }
        desk.listen("busy.example", json!({})).await;
        assert!(desk.lane_rows().await > 0);
        desk.wait(Duration::from_secs(60)).await;
        assert_eq!(desk.lane_rows().await, 0, "all have rejoined");
        let settles = desk.world.store.settles();
        desk.wait(HOUR).await;
        assert_eq!(desk.world.store.settles(), settles, "idle, it settles nothing");
        let record = desk.create(0).await;
        for number in 0..200 {
            desk.update(record, &format!("{number}")).await;
        }
        desk.wait(Duration::from_secs(60)).await;
        assert_eq!(desk.taken("busy.example").len(), 201);
        assert_eq!(desk.lane_rows().await, 0);
        assert!(desk.world.store.settles() < settles + 500, "what one owes is settled for one");
        Ok(())
    });
}

#[test]
fn lanes_that_wait_for_a_page_get_one_though_others_give_up_theirs() {
    for delay in [5, 10, 15, 20, 25, 30, 40] {
        at_desk(|desk| async move {
            let record = desk.create(0).await;
            for number in 1..300 {
                desk.update(record, &format!("{number}")).await;
            }
            let mut late = Vec::new();
            for number in 0..160 {
                let app = if number < 100 { &desk.mail } else { &desk.crm };
                let more = json!({"startAt": "beginning", "kinds": ["created"], "paused": true});
                late.push(desk.listen_as(app, &format!("late{number}.example"), more).await.0);
            }
            // The tail goes on without those that are paused: from here on they read pages of their own.
            desk.wait(Duration::from_secs(1)).await;
            for app in [&desk.mail, &desk.crm] {
                desk.grant(app, json!({"businessAccessRule": {"deniedBusinessIds": [BUSINESS]}})).await;
            }
            for id in late {
                desk.resume(id).await;
            }
            desk.wait(Duration::from_secs(1)).await;
            let open = json!({"businessAccessRule": {"deniedBusinessIds": []}});
            desk.world.store.behave(true, false);
            desk.grant(&desk.mail, open.clone()).await;
            desk.wait(Duration::from_millis(delay)).await;
            desk.grant(&desk.crm, open).await;
            desk.wait(Duration::from_millis(delay)).await;
            // Those that wait in front go away all at once, so that their places fall to the others.
            desk.grant(&desk.mail, json!({"businessAccessRule": {"deniedBusinessIds": [BUSINESS]}})).await;
            desk.wait(Duration::from_secs(120)).await;
            for number in 100..160 {
                assert_eq!(desk.taken(&format!("late{number}.example")), [1], "subscription {number} after {delay} ms");
            }
            Ok(())
        });
    }
}

#[test]
fn a_change_is_delivered_at_once_wherever_it_falls_between_reads() {
    at_desk(|desk| async move {
        desk.listen("well.example", json!({})).await;
        desk.world.store.behave(true, false);
        let record = desk.create(0).await;
        for number in 0..400_u64 {
            desk.update(record, &format!("{number} one")).await;
            desk.wait(Duration::from_millis(number % 23)).await;
            let last = desk.update(record, &format!("{number} two")).await;
            desk.wait(Duration::from_secs(5)).await;
            let head = desk.taken("well.example").last().copied();
            assert_eq!(head, Some(last), "round {number} waits for the next change");
        }
        Ok(())
    });
}

#[test]
fn a_notice_is_delivered_at_once_wherever_it_falls_between_reads() {
    at_desk(|desk| async move {
        let subscription = desk.listen("well.example", json!({"kinds": ["created"]})).await;
        desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.store.behave(true, false);
        for number in 0..200_u64 {
            let before = desk.at("well.example").len();
            let (one, other) = (desk.replay(subscription, 1), async {
                desk.wait(Duration::from_millis(number % 29)).await;
                desk.create(1).await;
                desk.replay(subscription, number + 2).await
            });
            tokio::join!(one, other);
            desk.wait(Duration::from_secs(5)).await;
            let came = desk.at("well.example").len() - before;
            assert_eq!(came, 3, "round {number}: two replays and a creation");
        }
        let left = desk.world.store.plain().notices(0, 10).await?;
        assert_eq!(left.len(), 0, "{left:?} in {BUSINESS}");
        Ok(())
    });
}

#[test]
fn a_notice_for_a_subscription_just_made_is_not_lost() {
    at_desk(|desk| async move {
        let other = desk.listen("other.example", json!({})).await;
        desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.world.store.behave(true, false);
        for number in 0..100 {
            let host = format!("new{number}.example");
            // Notices of the other one are being read at any moment.
            let busy = async {
                for _ in 0..12 {
                    desk.replay(other, 1).await;
                }
            };
            let made = async {
                let subscription = desk.listen(&host, json!({})).await;
                desk.replay(subscription, 1).await;
            };
            // And so are settings.
            let changing = async {
                for turn in 0..12 {
                    desk.update_subscription(other, json!({"label": format!("{number} {turn}")})).await;
                }
            };
            tokio::join!(busy, made, changing);
            desk.wait(Duration::from_secs(5)).await;
            assert_eq!(desk.taken(&host), [1], "subscription {number}");
        }
        Ok(())
    });
}

#[test]
fn a_notice_that_could_not_be_settled_is_settled_later_though_nothing_else_happens() {
    at_desk(|desk| async move {
        desk.listen("well.example", json!({"kinds": ["current"]})).await;
        let record = desk.create(0).await;
        desk.wait(Duration::from_secs(5)).await;
        desk.sync(record).await;
        while desk.at("well.example").is_empty() {
            desk.wait(Duration::from_millis(1)).await;
        }
        desk.world.store.refuse(true);
        desk.wait(Duration::from_secs(3)).await;
        desk.world.store.refuse(false);
        desk.wait(Duration::from_secs(10)).await;
        assert_eq!(desk.world.store.plain().notices(0, 10).await?.len(), 0);
        assert_eq!(desk.at("well.example").len(), 1);
        Ok(())
    });
}
