//! Objects that refer to others: whichever comes first, in the end each refers to the right one, here and there.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is missing fails the test, which is what it is for"
)]

use crate::seeds::seeds_or;
use lockstep_core::clock::Clock as _;
use lockstep_core::ids::{ShareId, TypeId};
use lockstep_core::work::WorkKind;
use lockstep_sim::platforms::firm::Firm;
use lockstep_sim::platforms::{Faults, Site};
use lockstep_sim::shares::Shares;
use lockstep_sim::world::simulate;
use lockstep_store::Store as _;
use lockstep_store::index::Walk;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

const SEEDS: Range<u64> = 0..30;
const OBJECTS: [(&str, &str); 3] = [("person", "contact"), ("member", "employee"), ("company", "organization")];

/// Where the connector for the firms is.
pub(crate) fn connectors() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "world", "connectors"].iter().collect()
}

/// Who belongs to whom at a firm, in terms that both firms share: a kind and a recognised value, to that of what it
/// refers to; empty where that is nothing.
fn belongings(firm: &Site<Firm>) -> BTreeMap<(&'static str, String), String> {
    firm.look(|firm| {
        let named = |kind: &str, key: &str, id: &str| {
            firm.all(kind).get(id).map_or("?", |one| one[key].as_str().unwrap()).to_owned()
        };
        let mut all = BTreeMap::new();
        for (kind, key, reference) in [
            ("companies", "vat", None),
            ("people", "mail", Some(("company", "companies", "vat"))),
            ("staff", "mail", Some(("manager", "staff", "mail"))),
        ] {
            for object in firm.all(kind).values() {
                let other =
                    reference.and_then(|(field, kind, key)| Some(named(kind, key, object.get(field)?.as_str()?)));
                all.insert((kind, object[key].as_str().unwrap().to_owned()), other.unwrap_or_default());
            }
        }
        all
    })
}

/// Shares all objects of the first firm with the second; those that refer come first.
async fn share_all(world: &Shares) -> anyhow::Result<Vec<ShareId>> {
    let mut shares = Vec::new();
    for (label, direction) in [("one", "in"), ("two", "out")] {
        for (object, ty) in OBJECTS {
            let schedule = (direction == "in").then(|| json!({"cron": "*/5 * * * *"}));
            let said =
                json!({"direction": direction, "history": "all", "object": object, "type": ty, "schedule": schedule});
            shares.push(world.share(label, said).await?);
        }
    }
    Ok(shares)
}

/// Fills the first firm: 60 people in 12 companies, and 40 staff with managers, some of them in circles.
fn fill(world: &Shares) {
    let now = world.clock.now();
    world.platforms.firms[0].look(|firm| {
        let companies: Vec<String> = (0..12)
            .map(|n| firm.put("companies", &json!({"vat": format!("NL{n:03}"), "name": format!("Firm {n}")}), now))
            .collect();
        for n in 0..60 {
            firm.put(
                "people",
                &json!({"mail": format!("p{n}@example.com"), "name": "P", "company": companies[n % 12]}),
                now,
            );
        }
        let staff: Vec<String> = (0..40)
            .map(|n| firm.put("staff", &json!({"mail": format!("s{n}@example.com"), "name": "S"}), now))
            .collect();
        for (n, id) in staff.iter().enumerate() {
            // Chains of four, of which every second one is a circle; one is a manager of their own.
            let manager = match n % 8 {
                3 => None,
                7 => Some(&staff[n - 3]),
                _ => Some(&staff[n + 1]),
            };
            let manager = if n == 0 { Some(id) } else { manager };
            firm.put("staff", &json!({"id": id, "manager": manager}), now);
        }
    });
}

/// The two firms.
pub(crate) fn firms(world: &Shares) -> (&Site<Firm>, &Site<Firm>) {
    let [one, two] = &world.platforms.firms;
    (one, two)
}

/// How often single objects were asked for at the first firm.
fn fetches(world: &Shares) -> usize {
    world.platforms.firms[0].seen().iter().filter(|seen| seen.what.matches('/').count() > 1).count()
}

#[test]
fn each_refers_to_the_right_one_whichever_comes_first() {
    simulate(async {
        let world = Shares::begin_with_firms(1, connectors()).await?;
        fill(&world);
        let shares = share_all(&world).await?;
        world.settle(&shares).await?;
        assert_eq!(world.problems().await?, []);
        let [one, two] = &world.platforms.firms;
        assert_eq!(belongings(one), belongings(two));
        assert_eq!(fetches(&world), 0, "a reference is filled in from what is known");
        let needless: Vec<_> = two.writes().into_iter().filter(|write| !write.did_change).collect();
        assert_eq!(needless, []);

        // One whose company is not there yet, and one whose never comes.
        let now = world.clock.now();
        one.look(|firm| {
            firm.put("people", &json!({"mail": "early@example.com", "name": "E", "company": "c-later"}), now)
        });
        one.look(|firm| {
            firm.put("people", &json!({"mail": "lost@example.com", "name": "L", "company": "c-never"}), now)
        });
        world.wait(Duration::from_secs(3_600)).await;
        let told = |mail: &str| belongings(two).get(&("people", mail.to_owned())).cloned();
        assert_eq!((told("early@example.com"), told("lost@example.com")), (Some(String::new()), Some(String::new())));
        one.look(|firm| {
            firm.put("companies", &json!({"id": "c-later", "vat": "NL999", "name": "Late"}), world.clock.now())
        });
        world.wait(Duration::from_secs(700)).await;
        world.settle(&shares).await?;
        assert_eq!(
            (told("early@example.com"), told("lost@example.com")),
            (Some("NL999".to_owned()), Some(String::new()))
        );
        let rows = world.store.plain().work(&world.business, WorkKind::Reference, None, None, 9).await?;
        assert_eq!(rows.len(), 1, "{rows:?}");

        let by_mail = |firm: &mut Firm| {
            firm.all("people").iter().find(|(_, one)| one["mail"] == "lost@example.com").unwrap().0.clone()
        };
        let lost = one.look(by_mail);
        let is_of_lost = |what: &str| what.ends_with(&format!("/people/{lost}"));
        assert!(!one.seen().iter().any(|seen| is_of_lost(&seen.what)), "it is not asked for again and again");

        // What it refers to now is known: nothing waits any more.
        one.look(|firm| firm.put("people", &json!({"id": lost, "company": "c-later"}), world.clock.now()));
        world.wait(Duration::from_secs(700)).await;
        world.settle(&shares).await?;
        assert_eq!(belongings(one), belongings(two));
        let rows = world.store.plain().work(&world.business, WorkKind::Reference, None, None, 9).await?;
        assert_eq!(rows, []);
        Ok(())
    })
    .unwrap();
}

/// Plays a world with faults and kills, and gives what is not as it should be.
async fn broken(seed: u64) -> anyhow::Result<Vec<String>> {
    let mut world = Shares::begin_with_firms(seed, connectors()).await?;
    fill(&world);
    let shares = share_all(&world).await?;
    world.set(Faults {
        throttle_one_in: 15,
        retry_after_seconds: 2,
        unavailable_one_in: 15,
        answer_lost_one_in: 15,
        slow_one_in: 20,
        slow_ms: 70_000,
        ..Faults::default()
    });
    for round in 0..8 {
        let now = world.clock.now();
        world.platforms.firms[0].look(|firm| {
            let company = firm.put("companies", &json!({"vat": format!("BE{round}"), "name": "New"}), now);
            let people: Vec<String> = firm.all("people").keys().cloned().collect();
            let index = usize::try_from(world.chance.draw() % 60).unwrap_or(0);
            firm.put("people", &json!({"id": people[index], "company": company}), now);
        });
        world.wait(Duration::from_secs(1 + world.chance.draw() % 200)).await;
        if world.chance.one_in(3) {
            world.kill().await;
            world.start().await?;
        }
    }
    world.set(Faults::default());
    world.wait(Duration::from_secs(700)).await;
    world.settle(&shares).await?;
    let [one, two] = &world.platforms.firms;
    let (here, there) = (belongings(one), belongings(two));
    let all: BTreeSet<_> = here.keys().chain(there.keys()).collect();
    let differs = all.into_iter().filter(|key| here.get(*key) != there.get(*key));
    let mut wrong: Vec<String> =
        differs.map(|key| format!("{key:?}: {:?} there, {:?} here", here.get(key), there.get(key))).collect();
    let doubled =
        |kind: &str| two.look(|firm| firm.all(kind).len()) != here.keys().filter(|(of, _)| *of == kind).count();
    wrong.extend(
        ["companies", "people", "staff"].into_iter().filter(|kind| doubled(kind)).map(|kind| format!("{kind} twice")),
    );
    wrong.extend(world.problems().await?.iter().map(|problem| format!("a problem: {problem:?}")));
    Ok(wrong)
}

#[test]
fn references_are_equal_after_faults() {
    let mut failed = Vec::new();
    for seed in seeds_or(SEEDS) {
        let wrong = simulate(broken(seed)).unwrap_or_else(|error| vec![format!("{error:#}")]);
        if !wrong.is_empty() {
            failed.push(format!("seed {seed}: {}", wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n  ")));
        }
    }
    assert!(failed.is_empty(), "references are not equal\n{}", failed.join("\n"));
}

#[test]
fn what_changes_in_the_files_of_a_connector_is_taken_up() {
    let folder = [env!("CARGO_TARGET_TMPDIR"), "changing-connector"].iter().collect::<PathBuf>();
    let own = folder.join("firm");
    std::fs::create_dir_all(&own).unwrap();
    for name in ["manifest.yaml", "lockstep.yaml"] {
        std::fs::copy(connectors().join("firm").join(name), own.join(name)).unwrap();
    }
    simulate(async {
        let world = Shares::begin_with_firms(9, folder.clone()).await?;
        let said = json!({"direction": "out", "history": "all", "object": "person", "type": "contact"});
        let share = world.share("two", said).await?;
        world.settle(&[share]).await?;
        world.create(json!({"email": "a@example.com", "firstName": "First", "lastName": "Last"})).await?;
        world.wait(Duration::from_secs(30)).await;
        let text = std::fs::read_to_string(own.join("lockstep.yaml"))?;
        std::fs::write(own.join("lockstep.yaml"), text.replace("firstName: name", "lastName: name"))?;
        world.wait(Duration::from_secs(60)).await;
        world.create(json!({"email": "b@example.com", "firstName": "First", "lastName": "Last"})).await?;
        world.wait(Duration::from_secs(30)).await;
        let names =
            firms(&world).1.look(|firm| firm.all("people").values().map(|one| one["name"].clone()).collect::<Vec<_>>());
        assert_eq!(names, ["First", "Last"], "by the mapping of before, and of now");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_reference_is_not_filled_in_for_an_object_that_is_no_longer_its_records() {
    simulate(async {
        let world = Shares::begin_with_firms(10, connectors()).await?;
        let one = firms(&world).0;
        let person = json!({"mail": "a@example.com", "name": "A", "company": "c-later"});
        let id = one.look(|firm| firm.put("people", &person, world.clock.now()));
        let said = |object: &str, ty: &str, schedule| {
            json!({"direction": "in", "history": "all", "object": object, "type": ty, "schedule": schedule})
        };
        // The person is listed once.
        let person = world.share("one", said("person", "contact", json!(null))).await?;
        let company = world.share("one", said("company", "organization", json!({"cron": "*/5 * * * *"}))).await?;
        let shares = [person, company];
        world.settle(&shares).await?;
        let contacts = async || world.store.plain().records(&world.business, &TypeId::parse("contact").unwrap(), Walk::OLDEST, 9).await;
        let record = contacts().await?.records[0].id;
        world.uncorrelate(record, "one", &id).await?;
        let company = json!({"id": "c-later", "vat": "NL1", "name": "Late"});
        one.look(|firm| firm.put("companies", &company, world.clock.now()));
        world.wait(Duration::from_secs(700)).await;
        let found = contacts().await?.records;
        assert!(found.iter().all(|record| !record.state.fields.contains_key("organizationId")), "{found:?}");
        assert!(found.iter().all(|record| record.state.fields.contains_key("email")), "no record of a reference alone: {found:?}");
        let rows = world.store.plain().work(&world.business, WorkKind::Reference, None, None, 9).await?;
        assert_eq!(rows, []);
        Ok(())
    })
    .unwrap();
}
