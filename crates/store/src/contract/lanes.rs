//! Lanes: where a subscription begins, and that nothing is left of one that is dropped.

use super::Subject;
use super::desk::{Desk, business, commit_to, contact, control, dropped, put_business};
use crate::settings::Control;
use crate::settle::LaneStep;
use crate::{Commit, Committed, Work};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::Action;
use lockstep_core::command::Target;
use lockstep_core::delivery::{DeadLetter, Down, Parked};
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_core::subscription::StartAt;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

fn lane(business: &BusinessId, own: SubscriptionId, start: StartAt) -> Control {
    Control { lanes: vec![(business.clone(), own, start)], ..control(Vec::new()) }
}

/// Now is the head, the beginning is 0, and a seq from the future is the head.
pub async fn a_lane_begins_where_it_was_asked_to(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    for number in 0..3 {
        desk.create(&desk.here, json!({"code": format!("{number}")}), None).await;
    }
    let asked = [
        (StartAt::Now, 3),
        (StartAt::Beginning, 0),
        (StartAt::After(2), 2),
        (StartAt::After(99), 3),
        (StartAt::After(u64::MAX), 3),
    ];
    let mut expected = Vec::new();
    for (start, cursor) in asked {
        let own = desk.subscription_id();
        desk.control(lane(&desk.here, own, start)).await.expect("taken");
        expected.push((own, cursor));
    }
    desk.create(&desk.here, json!({"code": "later"}), None).await;
    let desk = desk.reopen().await;
    let mut lanes = desk.outlet(&desk.here).await.lanes;
    lanes.sort_unstable();
    assert_eq!(lanes, expected);
    assert!(desk.outlet(&desk.there).await.lanes.is_empty());
}

/// Whatever shares its transaction, a lane that starts now owes exactly what is committed after it.
pub async fn a_lane_begins_at_the_head_of_its_own_commit(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let own = desk.subscription_id();
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&desk.store);
        if number == 10 {
            let control = lane(&desk.here, own, StartAt::Now);
            tasks.spawn(async move {
                let work = Work::Control(Box::new(control));
                let answer = store.commit(Commit { id: None, work }).await.expect("taken");
                assert!(matches!(answer, Committed::Settings(_)));
            });
        } else {
            let command = desk.creating(&desk.here, json!({"code": format!("{number}")}), None);
            tasks.spawn(async move { drop(commit_to(&*store, None, vec![command]).await.expect("taken")) });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    let lanes = desk.outlet(&desk.here).await.lanes;
    let [(owner, cursor)] = lanes.try_into().expect("one lane");
    assert!(owner == own && cursor <= 19, "the lane stands at {cursor} of 19");
    // The same without a race: what was answered before the lane was asked for is behind it.
    let later = desk.subscription_id();
    desk.control(lane(&desk.here, later, StartAt::Now)).await.expect("taken");
    assert!(desk.outlet(&desk.here).await.lanes.contains(&(later, 19)));
}

/// A control may make a business and open a lane in it.
pub async fn a_business_and_its_first_lane_come_together(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let (fresh, own) = (business("fresh"), desk.subscription_id());
    let opened = Control { lanes: vec![(fresh.clone(), own, StartAt::Now)], ..control(vec![put_business(&fresh)]) };
    desk.control(opened).await.expect("taken");
    let outlet = desk.outlet(&fresh).await;
    assert_eq!((outlet.lanes, outlet.position), (vec![(own, 0)], None));
    let again = control(vec![put_business(&fresh)]);
    desk.create(&fresh, json!({"code": "1"}), None).await;
    desk.control(again).await.expect("taken");
    assert_eq!(desk.head(&fresh).await, 1, "a business put again keeps its log");
}

/// Lane, parked records, dead letters and notices of a dropped subscription go with it, and nobody else's.
pub async fn a_dropped_subscription_leaves_no_rows(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let (gone, stays) = (desk.subscription_id(), desk.subscription_id());
    let record = desk.made(&desk.here, json!({"code": "1"}), None).await;
    let lanes = vec![
        (desk.here.clone(), gone, StartAt::Beginning),
        (desk.here.clone(), stays, StartAt::Beginning),
        (desk.there.clone(), gone, StartAt::Beginning),
    ];
    desk.control(Control { lanes, ..control(Vec::new()) }).await.expect("taken");
    let parked = Parked {
        ty: contact(),
        record,
        first_seq: 1,
        attempt: 1,
        next_at: Timestamp(1),
        reason: "no".to_owned(),
        is_alone: false,
    };
    let letter =
        DeadLetter { seq: 1, ty: contact(), record, at: Timestamp(1), attempts: 9, reason: "never".to_owned() };
    let down = Down { since: Timestamp(1), is_warned: true };
    let rows = |own| {
        [(own, LaneStep::Park(parked.clone())), (own, LaneStep::Bury(letter.clone())), (own, LaneStep::Shut(down))]
    };
    let fence = desk.store.claim("worker").await.expect("claimed");
    desk.settle(fence, &desk.here, [rows(gone), rows(stays)].concat()).await.expect("settled");
    let sync = Action::SyncById { target: Target::Id(record), subscriptions: vec![gone, stays] };
    desk.send(desk.command(&desk.here, sync)).await;
    assert_eq!(desk.notices().await.len(), 2);

    let dropped = dropped(&desk.here, gone);
    desk.control(Control { dropped, ..control(Vec::new()) }).await.expect("dropped");
    let desk = desk.reopen().await;
    let outlet = desk.outlet(&desk.here).await;
    assert_eq!((outlet.lanes, outlet.parked), (vec![(stays, 0)], vec![(stays, parked)]));
    assert_eq!(outlet.down, [(stays, down)]);
    let letters = async |own| desk.store.dead_letters(&desk.here, own, 0, 10).await.expect("read");
    assert_eq!((letters(gone).await, letters(stays).await), (vec![], vec![letter]));
    let owners: Vec<_> = desk.notices().await.into_iter().map(|(_, notice)| notice.subscription).collect();
    assert_eq!(owners, [stays]);
    assert_eq!(desk.outlet(&desk.there).await.lanes, [(gone, 0)], "dropped where it was said, and only there");
}
