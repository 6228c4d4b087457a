//! A subscription that asks for so many requests a second.

use crate::desk::{at_desk, seq_of};
use lockstep_core::ids::SubscriptionId;
use lockstep_sim::endpoint::{Arrival, Mood};
use serde_json::json;
use std::time::Duration;

/// That no second held more requests than this.
fn assert_paced(arrivals: &[Arrival], per_second: usize) {
    let sent: Vec<_> = arrivals.iter().map(|arrival| arrival.sent_at).collect();
    for (later, earlier) in sent.iter().skip(per_second).zip(&sent) {
        assert!(later.ms_since(*earlier) >= 1_000, "{per_second} requests, and one more, within a second of {earlier}");
    }
}

#[test]
fn a_limited_subscription_is_sent_so_many_a_second_all_of_it_and_never_counts_as_down() {
    at_desk(|desk| async move {
        let limited = desk.listen("slow.example", json!({"rateLimit": {"perSecond": 5}})).await;
        desk.listen("quick.example", json!({})).await;
        for number in 0..40 {
            desk.create(number).await;
        }
        desk.wait(Duration::from_secs(1)).await;
        assert_eq!(desk.taken("quick.example").len(), 40, "nobody else waits for it");
        assert!(desk.taken("slow.example").len() <= 6);
        desk.wait(Duration::from_secs(9)).await;
        assert_eq!(desk.taken("slow.example"), (1..=40).collect::<Vec<_>>());
        assert_paced(&desk.at("slow.example"), 5);
        assert_eq!((desk.parked(limited).await, desk.lane_rows().await), (0, 0));
        Ok(())
    });
}

#[test]
fn retries_and_syncs_keep_the_pace_and_another_limit_holds_at_once() {
    at_desk(|desk| async move {
        let limited: SubscriptionId = desk.listen("slow.example", json!({"rateLimit": 2})).await;
        desk.world.net.set("slow.example", Mood::Picky(2));
        let mut records = Vec::new();
        for number in 0..10 {
            records.push(desk.create(number).await);
        }
        desk.wait(Duration::from_secs(10)).await;
        for record in &records {
            desk.sync(*record).await;
        }
        desk.wait(Duration::from_secs(60)).await;
        assert_paced(&desk.at("slow.example"), 2);
        desk.world.net.set("slow.example", Mood::Healthy);
        desk.wait(Duration::from_secs(3_600)).await;
        let before = desk.at("slow.example").len();
        desk.update_subscription(limited, json!({"rateLimit": null})).await;
        for number in 0..20 {
            desk.create(number).await;
        }
        desk.wait(Duration::from_secs(2)).await;
        let after: Vec<_> = desk.at("slow.example").iter().skip(before).filter_map(seq_of).collect();
        assert_eq!(after.len(), 20, "as fast as they come");
        Ok(())
    });
}
