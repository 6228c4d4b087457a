//! Whose fault it is: one object that a platform always refuses holds up nothing else, and what may have been made is
//! not made again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is missing fails the test, which is what it is for"
)]

use crate::references::{connectors, firms};
use anyhow::anyhow;
use lockstep_core::delivery::{About, NoticeBody};
use lockstep_core::error::Code;
use lockstep_core::ids::{ShareId, SubscriptionId};
use lockstep_engine::control::{application, subscription};
use lockstep_engine::principal::Principal;
use lockstep_sim::platforms::Faults;
use lockstep_sim::shares::Shares;
use lockstep_sim::world::simulate;
use lockstep_store::Store as _;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// A world in which contacts go to the second firm.
async fn begin(seed: u64, more: serde_json::Value) -> anyhow::Result<(Shares, ShareId)> {
    let world = Shares::begin_with_firms(seed, connectors()).await?;
    let mut said = json!({"direction": "out", "history": "all", "object": "person", "type": "contact"});
    said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let share = world.share("two", said).await?;
    world.settle(&[share]).await?;
    Ok((world, share))
}

async fn arrives(world: &Shares, mail: &str) -> anyhow::Result<bool> {
    world.create(json!({"email": mail, "firstName": "N"})).await?;
    world.wait(Duration::from_secs(60)).await;
    Ok(firms(world).1.look(|firm| firm.all("people").values().any(|one| one["mail"] == mail)))
}

#[test]
fn an_object_that_is_always_answered_with_an_error_holds_up_no_other() {
    for status in [500, 503, 403] {
        simulate(async {
            let (world, share) = begin(1, json!({})).await?;
            firms(&world).1.look(|firm| firm.refuse("poison@example.com", status));
            assert!(!arrives(&world, "poison@example.com").await?);
            for n in 0..5 {
                assert!(arrives(&world, &format!("p{n}@example.com")).await?, "{status}: number {n} is held up");
            }
            assert!(world.progress(share).await?.unwrap().failing.is_none(), "{status}");
            // Four days on its tries are over.
            world.wait(Duration::from_secs(4 * 86_400)).await;
            let problems = world.problems().await?;
            assert_eq!(problems.len(), 1, "{status}: {problems:?}");
            assert!(arrives(&world, "last@example.com").await?, "{status}: the connection still works");
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn what_may_have_been_made_and_cannot_be_looked_up_is_not_made_again() {
    simulate(async {
        // Found by phone, which the platform cannot be asked for.
        let mapping = json!({"match": [["phone"]], "mapping": {
            "email": "mail", "firstName": "name", "phone": "tel"}});
        let (world, share) = begin(2, mapping).await?;
        let two = &firms(&world).1;
        two.set(Faults { answer_lost_one_in: 1, ..Faults::default() });
        let record = world.create(json!({"email": "a@example.com", "firstName": "A", "phone": "+31612345678"})).await?;
        world.wait(Duration::from_secs(5)).await;
        two.set(Faults::default());
        world.wait(Duration::from_secs(3_600)).await;
        let posts = || two.seen().iter().filter(|seen| seen.what.starts_with("POST")).count();
        let before = posts();
        let problems = world.problems().await?;
        assert_eq!(
            problems.iter().map(|one| (one.record, one.reason.code)).collect::<Vec<_>>(),
            [(Some(record), Code::RemoteInDoubt)]
        );
        world.edit(record, json!({"firstName": "B"})).await?;
        world.wait(Duration::from_secs(3_600)).await;
        assert_eq!(posts(), before, "an edit makes it no second time");
        world.correlate(record, "two", "p000001").await?;
        world.edit(record, json!({"firstName": "C"})).await?;
        world.wait(Duration::from_secs(60)).await;
        assert_eq!(two.look(|firm| firm.all("people")["p000001"]["name"].clone()), "C", "once it is said which it is");
        assert_eq!(world.problems().await?, []);
        world.settle(&[share]).await?;
        Ok(())
    })
    .unwrap();
}

/// A subscription to the failing of shares, made by an application with this grant, or by the administrator.
async fn listening(world: &Shares, label: &str, grant: Option<serde_json::Value>) -> anyhow::Result<SubscriptionId> {
    let engine = &world.board()?.world;
    let principal = match grant {
        None => Principal::Admin,
        Some(mut grant) => {
            grant["organisationName"] = "Acme".into();
            grant["label"] = label.into();
            let made = application::create(engine, &Principal::Admin, serde_json::from_value(grant)?).await;
            let made = made.map_err(|refused| anyhow!("{refused:?}"))?;
            let known = engine.settings.read(|settings| settings.credential(made.id, None).cloned());
            Principal::Application(known.unwrap())
        }
    };
    let body = json!({"url": format!("https://{label}.example/in"), "kinds": ["share.failing", "share.recovered"]});
    let made = subscription::create(engine, &principal, "acme", serde_json::from_value(body)?).await;
    Ok(made.map_err(|refused| anyhow!("{refused:?}"))?.id)
}

#[test]
fn who_looks_after_a_share_is_told_that_it_fails_and_nobody_else() {
    simulate(async {
        let (world, share) = begin(3, json!({})).await?;
        let admin = listening(&world, "admin", None).await?;
        let all = json!({"abilities": ["read", "subscribe", "manage"]});
        let keeper = listening(&world, "keeper", Some(all)).await?;
        listening(&world, "reader", Some(json!({"abilities": ["read", "subscribe"]}))).await?;
        for (label, more) in [
            ("narrow", json!({"hiddenFields": {"contact": ["email"]}})),
            ("other", json!({"types": {"invoice": ["read"]}})),
        ] {
            let mut grant = json!({"abilities": ["read", "subscribe", "manage"]});
            grant.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            listening(&world, label, Some(grant)).await?;
        }
        world.set(Faults { unavailable_one_in: 1, ..Faults::default() });
        assert!(!arrives(&world, "late@example.com").await?);
        world.wait(Duration::from_secs(900)).await;
        let notices = world.store.plain().notices(0, 99).await?;
        let told: Vec<_> = notices.iter().map(|(_, notice)| (notice.subscription, notice.body.clone())).collect();
        assert_eq!(told.iter().map(|(to, _)| *to).collect::<BTreeSet<_>>(), BTreeSet::from([admin, keeper]));
        assert_eq!(told.len(), 2, "once, not with each try: {told:?}");
        let is_right = |body: &NoticeBody| matches!(body, NoticeBody::Warning { event, about, .. } if event == "share.failing" && *about == About::Share(share));
        assert!(told.iter().all(|(_, body)| is_right(body)), "{told:?}");
        world.set(Faults::default());
        world.wait(Duration::from_secs(600)).await;
        assert_eq!(world.store.plain().notices(0, 99).await?.len(), 4, "and that it goes on");
        Ok(())
    })
    .unwrap();
}
