//! What holds among the changes of one record: each in turn, the latest alone, or no order.

use crate::desk::{HOUR, at_desk};
use lockstep_sim::endpoint::Mood;
use lockstep_sim::trace::fnv;
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_endpoint_that_was_down_gets_the_newest_state_of_each_record_once() {
    at_desk(|desk| async move {
        desk.listen("latest.example", json!({"ordering": "latest"})).await;
        desk.world.net.set("latest.example", Mood::Throttles(503, 30));
        let (one, other) = (desk.create(0).await, desk.create(1).await);
        desk.wait(SECOND).await;
        for number in 0..400 {
            desk.update(one, &format!("{number}")).await;
        }
        let newest = desk.update(other, "newest").await;
        desk.wait(10 * SECOND).await;
        desk.world.net.heal();
        desk.wait(HOUR).await;
        let mut taken = desk.taken("latest.example");
        taken.sort_unstable();
        assert_eq!(taken, [newest - 1, newest]);
        assert_eq!(desk.lane_rows().await, 0);
        Ok(())
    });
}

#[test]
fn a_parked_row_moves_to_the_newest_change_and_a_restart_finds_it_there() {
    at_desk(|mut desk| async move {
        let subscription = desk.listen("latest.example", json!({"ordering": "latest"})).await;
        let bad = desk.create(0).await;
        desk.wait(SECOND).await;
        desk.world.net.set("latest.example", Mood::Dislikes(fnv(bad.to_string().as_bytes())));
        desk.update(bad, "one").await;
        desk.wait(SECOND).await;
        let mut last = 0;
        for number in 0..3 {
            last = desk.update(bad, &format!("{number}")).await;
        }
        desk.wait(SECOND).await;
        desk.world.kill().await;
        desk.world.start().await?;
        assert_eq!(desk.parked(subscription).await, 1);
        desk.world.net.heal();
        desk.wait(HOUR).await;
        assert_eq!(desk.taken("latest.example"), [1, last]);
        assert_eq!((desk.parked(subscription).await, desk.lane_rows().await), (0, 0));
        Ok(())
    });
}

#[test]
fn without_an_order_a_refused_change_holds_back_no_other_of_its_record() {
    at_desk(|mut desk| async move {
        let subscription = desk.listen("free.example", json!({"ordering": "none"})).await;
        let bad = desk.create(0).await;
        desk.wait(SECOND).await;
        desk.world.net.set("free.example", Mood::Dislikes(fnv(bad.to_string().as_bytes())));
        let refused = [desk.update(bad, "one").await, desk.update(bad, "two").await];
        desk.wait(SECOND).await;
        assert_eq!(desk.parked(subscription).await, 2, "each change has a row of its own");
        let first: Vec<_> = desk.at("free.example").iter().map(|arrival| arrival.id().to_owned()).collect();
        desk.world.kill().await;
        desk.world.net.heal();
        desk.world.start().await?;
        let later = desk.update(bad, "three").await;
        desk.wait(SECOND).await;
        assert_eq!(desk.taken("free.example"), [1, later], "the others wait for their schedules");
        desk.wait(HOUR).await;
        let mut taken = desk.taken("free.example");
        taken.sort_unstable();
        assert_eq!(taken, [1, refused[0], refused[1], later]);
        let ids: std::collections::BTreeSet<_> =
            desk.at("free.example").iter().map(|arrival| arrival.id().to_owned()).collect();
        assert!(ids.len() == 4 && first.iter().all(|id| ids.contains(id)), "one id a change: {ids:?}");
        assert!(desk.at("free.example").iter().all(|arrival| !arrival.is_replay()));
        assert_eq!((desk.parked(subscription).await, desk.lane_rows().await), (0, 0));
        Ok(())
    });
}

#[test]
fn without_an_order_changes_of_one_record_are_under_way_together() {
    at_desk(|desk| async move {
        desk.listen("free.example", json!({"ordering": "none"})).await;
        desk.world.net.set("free.example", Mood::Silent);
        let record = desk.create(0).await;
        desk.update(record, "one").await;
        desk.update(record, "two").await;
        desk.wait(SECOND).await;
        assert_eq!(desk.at("free.example").len(), 3);
        Ok(())
    });
}
