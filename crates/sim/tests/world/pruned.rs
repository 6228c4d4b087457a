//! History that is dropped in time: never under a reader who is still on its way, and not for ever for one who is not.

use crate::desk::{BUSINESS, HOUR, ParseBusiness, at_desk};
use lockstep_engine::retention::Keep;
use lockstep_sim::endpoint::Mood;
use lockstep_store::Store;
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const KEEP: Keep = Keep { history_for: Some(DAY), cursors_for: DAY };

#[test]
fn old_changes_go_and_nobody_misses_one() {
    at_desk(|desk| async move {
        desk.listen("well.example", json!({})).await;
        for number in 0..10 {
            desk.create(number).await;
        }
        desk.wait(2 * DAY).await;
        let record = desk.create(10).await;
        desk.wait(HOUR).await;
        desk.world.sweep(KEEP).await?;
        let floor = async || desk.world.store.floor(&BUSINESS.parse_business()).await.expect("read");
        assert_eq!(floor().await, 10);
        desk.listen("late.example", json!({"startAt": "beginning"})).await;
        desk.update(record, "later").await;
        desk.wait(HOUR).await;
        let mut taken = desk.taken("well.example");
        taken.sort_unstable();
        assert_eq!(taken, (1..=12).collect::<Vec<_>>());
        assert_eq!(desk.taken("late.example"), [11, 12], "the beginning is the oldest change kept");
        desk.world.sweep(Keep::default()).await?;
        assert_eq!(floor().await, 10, "history is kept for ever unless a time is given");
        Ok(())
    });
}

#[test]
fn one_that_is_down_holds_history_for_its_time_and_then_lapses_and_resumes_with_a_sync() {
    at_desk(|mut desk| async move {
        let down = desk.listen("down.example", json!({"types": ["contact"]})).await;
        desk.listen("owner.example", json!({"kinds": ["subscription.lapsed"]})).await;
        desk.world.net.set("down.example", Mood::Unreachable);
        for number in 0..20 {
            desk.create(number).await;
        }
        let business = BUSINESS.parse_business();
        desk.wait(DAY + 12 * HOUR).await;
        desk.create(20).await;
        for _ in 0..2 {
            desk.world.sweep(KEEP).await?;
            assert_eq!(desk.world.store.floor(&business).await?, 0, "it is held for another day");
            desk.world.kill().await;
            desk.world.start().await?;
        }
        assert_eq!(desk.events("owner.example"), Vec::<String>::new());
        desk.wait(12 * HOUR + HOUR).await;
        for _ in 0..2 {
            desk.world.sweep(KEEP).await?;
            desk.wait(HOUR).await;
        }
        assert_eq!(desk.events("owner.example"), ["subscription.lapsed"]);
        assert_eq!(desk.world.store.floor(&business).await?, 20);
        desk.world.kill().await;
        desk.world.start().await?;
        desk.create(21).await;
        desk.wait(HOUR).await;
        assert_eq!(desk.at("down.example").len(), 0);

        desk.world.net.heal();
        desk.wait(10 * HOUR).await;
        let events = desk.events("down.example");
        let current = events.iter().filter(|event| *event == "contact.current").count();
        assert!((21..=22).contains(&current), "every record as it is: {events:?}");
        assert_eq!(desk.taken("down.example"), [22], "and then what happens since");
        assert_eq!(desk.parked(down).await, 0);
        assert_eq!(desk.lane_rows().await, 0);
        Ok(())
    });
}

#[test]
fn a_parked_record_holds_history_too_until_its_subscription_lapses() {
    at_desk(|desk| async move {
        let picky = desk.listen("picky.example", json!({"types": ["contact"]})).await;
        let first = desk.create(0).await;
        desk.create(1).await;
        desk.wait(HOUR).await;
        desk.world.net.set("picky.example", Mood::Says(400));
        desk.update(first, "no").await;
        desk.create(2).await;
        desk.wait(DAY + HOUR).await;
        let floor = async || desk.world.store.floor(&BUSINESS.parse_business()).await.expect("read");
        desk.world.sweep(KEEP).await?;
        assert_eq!((floor().await, desk.parked(picky).await), (2, 2), "up to the first that is parked");
        desk.wait(DAY).await;
        for _ in 0..2 {
            desk.world.sweep(KEEP).await?;
            desk.wait(Duration::from_secs(10)).await;
        }
        assert_eq!((floor().await, desk.parked(picky).await), (3, 0));
        desk.world.net.heal();
        desk.wait(10 * HOUR).await;
        let told = desk.events("picky.example");
        assert_eq!(told.iter().filter(|event| *event == "contact.current").count(), 3, "{told:?}");
        Ok(())
    });
}
