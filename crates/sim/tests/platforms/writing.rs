//! The ready-made connectors writing to the doubles: made, changed, recognised, refused and gone; in batches and in
//! bulk; and under faults, where no object may be made twice.

use super::linked::{Linked, activecampaign, blueconic, copernica, platform_x, rest};
use lockstep_connect::{Class, Written};
use lockstep_sim::platforms::{Faults, Platform};
use serde_json::{Value, json};

fn kim() -> Value {
    json!({
        "email": "kim@hub.test", "firstName": "Kim", "lastName": "Vos", "phone": "+31600000000", "city": "Delft",
        "interests": ["rowing", "chess"],
    })
}

/// What every connector does alike.
async fn lives<P: Platform>(linked: &Linked<P>) {
    let (id, is_new) = linked.done(linked.write_of("a", None, &kim(), None)).await;
    assert!(is_new);
    linked.assert_holds(&id, &kim()).await;
    // What is written reads back as it was wanted, and is no edit.
    let found = linked.fetch(&id).await.unwrap();
    assert_eq!(found.id, id);
    assert!(found.version.is_some());
    let inward = linked.mapping.inward(&found.tree);
    assert_eq!(inward.problems, []);
    assert_eq!(inward.values["email"], "kim@hub.test");

    // Some of it changes; the rest stays, and nothing is made anew.
    let moved = json!({
        "email": "kim@hub.test", "firstName": "Kim", "lastName": "Vos", "phone": "+31600000000", "city": "Gent",
        "interests": ["rowing", "chess"],
    });
    assert_eq!(linked.done(linked.write_of("b", Some(&id), &moved, Some(&["city"]))).await, (id.clone(), false));
    linked.assert_holds(&id, &moved).await;
    let mut cleared = moved.clone();
    cleared["lastName"] = Value::Null;
    linked.done(linked.write_of("c", Some(&id), &cleared, Some(&["lastName"]))).await;
    linked.assert_holds(&id, &cleared).await;

    // Without its id it is recognised.
    let again = linked.done(linked.write_of("d", None, &moved, None)).await;
    assert_eq!(again, (id.clone(), false));
    linked.assert_holds(&id, &moved).await;

    let write = linked.write_of("e", None, &kim(), None);
    let found = linked.link.find(linked.object, &linked.options, &write.groups).await.unwrap();
    assert_eq!(found.iter().map(|object| object.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    let nobody = linked.write_of("f", None, &json!({"email": "nobody@hub.test"}), None);
    assert_eq!(linked.link.find(linked.object, &linked.options, &nobody.groups).await.unwrap(), []);
    assert!(linked.link.find(linked.object, &linked.options, &[]).await.is_err(), "nothing to look for is no answer");
}

/// The class of the trouble with the only write.
fn class(written: &[Written]) -> Class {
    match written {
        [Written::Refused(trouble)] => trouble.class,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn blueconic_is_written() {
    let linked = blueconic(20);
    lives(&linked).await;
    assert_eq!(linked.link.identity().await.unwrap().id.as_deref(), Some("acme.blueconic.net"));
}

#[tokio::test(start_paused = true)]
async fn copernica_v4_is_written() {
    let linked = copernica("v4", 20);
    lives(&linked).await;
    let identity = linked.link.identity().await.unwrap();
    assert_eq!(identity.id.as_deref(), Some("34"));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_upsert_is_looked_up_and_then_made_or_changed() {
    let linked = copernica("v3", 20);
    lives(&linked).await;
    let linked = platform_x(20);
    lives(&linked).await;
    assert_eq!(linked.link.identity().await.unwrap().id.as_deref(), Some("x-7"));
    let mut linked = rest(20);
    lives(&linked).await;
    linked.config["update"] = json!("patch");
    linked.reopen();
    let write = linked.write_of("a", Some("1"), &kim(), Some(&["city"]));
    assert_eq!(class(&linked.write(vec![write]).await), Class::Gone, "this one knows no PATCH");
}

#[tokio::test(start_paused = true)]
async fn activecampaign_is_written() {
    let linked = activecampaign(20);
    lives(&linked).await;
    let identity = linked.link.identity().await.unwrap();
    assert_eq!(identity.id.as_deref(), Some("acme.api-us1.com"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_says_what_it_means() {
    let linked = activecampaign(3);
    // Somebody else has the address.
    let write = linked.write_of("a", Some("88"), &json!({"email": "person2@club.test"}), Some(&["email"]));
    assert_eq!(class(&linked.write(vec![write]).await), Class::Duplicate);
    assert!(linked.site.look(|platform| platform.remove(88)));
    let write = linked.write_of("a", Some("88"), &kim(), Some(&["firstName"]));
    assert_eq!(class(&linked.write(vec![write]).await), Class::Gone);
    assert_eq!(linked.fetch("88").await, None);
    let mut write = linked.write_of("a", None, &kim(), None);
    write.whole["fieldValues"] = json!({"CITTY": "Delft"});
    let written = linked.write(vec![write]).await;
    let [Written::Refused(trouble)] = written.as_slice() else { panic!("{written:?}") };
    assert!(trouble.failure.message.contains("CITTY") && trouble.failure.message.contains("CITY"), "{trouble}");

    let linked = copernica("v4", 3);
    assert!(linked.site.look(|platform| platform.remove_by_user(501, linked.clock.now())));
    assert_eq!(linked.fetch("501").await, None);
    let write = linked.write_of("a", Some("501"), &kim(), Some(&["firstName"]));
    assert_eq!(class(&linked.write(vec![write]).await), Class::Gone);
    // Two profiles have the address: neither is the one.
    let twin = json!({"fields": {"email": "person2@club.test"}});
    linked.site.look(|platform| platform.add(12, &twin, linked.clock.now()));
    let write = linked.write_of("a", None, &json!({"email": "person2@club.test", "city": "Delft"}), None);
    assert_eq!(class(&linked.write(vec![write]).await), Class::Ambiguous);

    let linked = blueconic(3);
    let id = linked.site.look(|platform| platform.profiles().keys().next().unwrap().clone());
    assert!(linked.site.look(|platform| platform.remove(&id)));
    assert_eq!(linked.fetch(&id).await, None);
    let write = linked.write_of("a", Some(&id), &kim(), Some(&["firstName"]));
    assert_eq!(class(&linked.write(vec![write]).await), Class::Gone);
    let mut write = linked.write_of("a", None, &kim(), None);
    write.whole["properties"]["shoe"] = json!(["42"]);
    let written = linked.write(vec![write]).await;
    let [Written::Refused(trouble)] = written.as_slice() else { panic!("{written:?}") };
    assert_eq!(trouble.class, Class::Permanent);
    assert!(trouble.failure.message.contains("'shoe' doesn't exist"), "{trouble}");
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_told_from_all_else() {
    let mut linked = activecampaign(1);
    linked.config["api_key"] = json!("other");
    linked.reopen();
    let write = linked.write_of("a", None, &kim(), None);
    assert_eq!(class(&linked.write(vec![write]).await), Class::Auth);
    let mut linked = copernica("v4", 1);
    linked.config["access_token"] = json!("other-token");
    linked.reopen();
    let write = linked.write_of("a", None, &kim(), None);
    assert_eq!(class(&linked.write(vec![write]).await), Class::Auth);
    let failure = linked.link.identity().await.unwrap_err();
    assert!(!failure.message.contains("other-token"), "{failure}");
}

/// A member by number.
fn member(number: usize) -> Value {
    json!({"email": format!("m{number}@hub.test"), "firstName": format!("F{number}"), "city": "Delft"})
}

#[tokio::test(start_paused = true)]
async fn more_than_a_batch_is_split_and_one_bad_entry_is_alone() {
    let linked = blueconic(0);
    let mut writes: Vec<_> = (0..2500).map(|n| linked.write_of(&n.to_string(), None, &member(n), None)).collect();
    writes[1200].whole["properties"]["shoe"] = json!(["42"]);
    let written = linked.write(writes).await;
    assert_eq!(written.len(), 2500);
    let refused: Vec<usize> = (0..2500).filter(|n| matches!(written[*n], Written::Refused(_))).collect();
    assert_eq!(refused, [1200]);
    let calls = linked.site.seen().iter().filter(|seen| seen.what.starts_with("PUT ")).count();
    assert_eq!((calls, linked.site.look(|platform| platform.profiles().len())), (3, 2499));
    for n in [0, 999, 1000, 2499] {
        let Written::Done { id, is_new: true, .. } = &written[n] else { panic!("{:?}", written[n]) };
        linked.assert_holds(id, &member(n)).await;
    }
}

/// Submits and waits.
async fn in_bulk<P: Platform>(linked: &Linked<P>, writes: Vec<lockstep_connect::Write>) -> Vec<Written> {
    let job = linked.link.submit(linked.object, &linked.options, writes).await.unwrap();
    let mut asked = 0;
    loop {
        if let Some(written) = linked.link.poll(linked.object, &linked.options, &job).await.unwrap() {
            assert!(asked > 0, "it was over at once");
            return written;
        }
        asked += 1;
        assert!(asked < 100, "the job never ends");
        tokio::time::advance(std::time::Duration::from_millis(500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_contacts_are_imported_and_one_bad_row_is_alone() {
    let linked = activecampaign(5);
    assert_eq!(linked.link.bulk("contact").map(|bulk| (bulk.from, bulk.size)), Some((10, 250)));
    let mut writes: Vec<_> = (0..200).map(|n| linked.write_of(&n.to_string(), None, &member(n), None)).collect();
    writes[7].whole["email"] = json!("bad@@x");
    writes[8].whole["email"] = json!("");
    writes.push(linked.write_of(
        "known",
        Some("90"),
        &json!({"email": "person3@club.test", "city": "Gouda"}),
        Some(&["city"]),
    ));
    writes.last_mut().unwrap().may_create = true;
    // It gets another address: an import would make another contact of it.
    writes.push(linked.write_of("moved", Some("91"), &json!({"email": "moved@hub.test"}), Some(&["email"])));
    let written = in_bulk(&linked, writes).await;
    let refused: Vec<usize> = (0..202).filter(|n| matches!(written[*n], Written::Refused(_))).collect();
    assert_eq!((written.len(), refused), (202, vec![7, 8]));
    assert_eq!(linked.site.look(|platform| platform.contacts().len()), 5 + 198);
    for n in [0, 199] {
        let Written::Done { id, is_new: true, .. } = &written[n] else { panic!("{:?}", written[n]) };
        linked.assert_holds(id, &member(n)).await;
    }
    assert_eq!(linked.shown("90").await["city"], "Gouda");
    assert_eq!(linked.shown("91").await["email"], "moved@hub.test");
}

#[tokio::test(start_paused = true)]
async fn many_profiles_are_imported_with_their_interests() {
    let linked = copernica("v4", 5);
    let mut writes: Vec<_> = (0..250).map(|n| linked.write_of(&n.to_string(), None, &member(n), None)).collect();
    let mut rower = member(3);
    rower["interests"] = json!(["rowing"]);
    writes[3] = linked.write_of("3", None, &rower, None);
    let written = in_bulk(&linked, writes).await;
    assert_eq!(linked.site.look(|platform| platform.profiles().len()), 255);
    for (n, record) in [(0, member(0)), (3, rower), (249, member(249))] {
        let Written::Done { id, .. } = &written[n] else { panic!("{:?}", written[n]) };
        linked.assert_holds(id, &record).await;
    }
}

/// What goes wrong in the tests with faults.
const FAULTS: Faults = Faults {
    throttle_one_in: 8,
    retry_after_seconds: 2,
    unavailable_one_in: 8,
    answer_lost_one_in: 8,
    slow_one_in: 20,
    slow_ms: 90_000,
    expire_one_in: 15,
    hook_lost_one_in: 0,
    hook_twice_one_in: 0,
    hooks_are_shuffled: false,
};

/// Writes people one by one as an engine does: what is harmless is repeated, what is unknown is looked up first.
async fn write_through<P: Platform>(linked: &Linked<P>, people: usize) {
    for n in 0..people {
        let mut write = linked.write_of(&n.to_string(), None, &member(n), None);
        for attempt in 0.. {
            assert!(attempt < 30, "it is never written");
            let is_harmless = linked.link.is_idempotent(linked.object, &write);
            let trouble = match linked.write(vec![write.clone()]).await.remove(0) {
                Written::Done { .. } => break,
                Written::Refused(trouble) => trouble,
            };
            match trouble.class {
                Class::Retry | Class::Down => {}
                Class::Unknown => {
                    assert!(!is_harmless, "{trouble:?}");
                    tokio::time::advance(linked.link.settle_after(linked.object)).await;
                    let found = loop {
                        match linked.link.find(linked.object, &linked.options, &write.groups).await {
                            Ok(found) => break found,
                            Err(again) => assert_eq!(again.class, Class::Down, "{again:?}"),
                        }
                    };
                    assert!(found.len() < 2, "made twice");
                    write.id = found.first().map(|object| object.id.clone());
                }
                _ => panic!("{trouble:?}"),
            }
            tokio::time::advance(trouble.after.unwrap_or_default()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn under_faults_nothing_is_lost_and_nothing_is_made_twice() {
    let linked = blueconic(0);
    linked.site.set(FAULTS);
    write_through(&linked, 60).await;
    linked.site.set(Faults::default());
    assert_eq!(linked.site.look(|platform| platform.profiles().len()), 60);

    let linked = copernica("v4", 0);
    linked.site.set(FAULTS);
    write_through(&linked, 60).await;
    linked.site.set(Faults::default());
    assert_eq!(linked.site.look(|platform| platform.profiles().len()), 60);

    let linked = activecampaign(0);
    linked.site.set(FAULTS);
    write_through(&linked, 60).await;
    linked.site.set(Faults::default());
    assert_eq!(linked.site.look(|platform| platform.contacts().len()), 60);

    // No upsert: what is unknown is looked up, and two may have one address here.
    let linked = copernica("v3", 0);
    linked.site.set(Faults { expire_one_in: 0, ..FAULTS });
    write_through(&linked, 60).await;
    linked.site.set(Faults::default());
    assert_eq!(linked.site.look(|platform| platform.profiles().len()), 60);

    let linked = rest(0);
    linked.site.set(FAULTS);
    write_through(&linked, 60).await;
    linked.site.set(Faults::default());
    assert_eq!(linked.site.look(|platform| platform.items().len()), 60);

    let linked = platform_x(0);
    linked.site.set(FAULTS);
    write_through(&linked, 60).await;
    linked.site.set(Faults::default());
    assert_eq!(linked.site.look(|platform| platform.contacts().len()), 60);
}

/// What is wanted there, written out and read as if it were shown, is what was wanted.
fn assert_survives<P: Platform>(linked: &Linked<P>, record: &Value) {
    let wanted = linked.wanted(record);
    let mut tree = linked.mapping.object(&wanted, None);
    tree["id"] = json!("1");
    tree["ID"] = json!("1");
    let shown = linked.mapping.shown(&tree);
    assert_eq!(linked.mapping.differing(&wanted, &shown, true), [""; 0], "{tree}");
    // Out, in, and out again is the same: what comes in of it changes nothing.
    let inward = linked.mapping.inward(&tree);
    let again = linked.mapping.outward(&inward.values, &std::collections::BTreeMap::new());
    assert_eq!((inward.problems, again.values), (Vec::new(), wanted));
}

#[tokio::test(start_paused = true)]
async fn what_is_mapped_out_and_in_and_out_again_is_the_same() {
    for record in
        [kim(), json!({"email": "a@b.test", "interests": []}), json!({"email": "a@b.test", "lastName": " x "})]
    {
        assert_survives(&blueconic(0), &record);
        assert_survives(&copernica("v3", 0), &record);
        assert_survives(&copernica("v4", 0), &record);
        assert_survives(&activecampaign(0), &record);
        assert_survives(&platform_x(0), &record);
        assert_survives(&rest(0), &record);
    }
}

#[tokio::test(start_paused = true)]
async fn the_fields_of_an_account_are_listed_as_mappings_name_them() {
    let linked = activecampaign(1);
    let fields = linked.link.fields("contact", &linked.options).await.unwrap();
    let city = fields.iter().find(|field| field.path == "fieldValues.CITY").unwrap();
    assert_eq!((fields.len(), city.label.as_str(), city.kind.as_deref()), (113, "City", Some("text")));
    let linked = copernica("v4", 1);
    let fields = linked.link.fields("profile", &linked.options).await.unwrap();
    let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["fields.email", "fields.firstname", "fields.lastname", "fields.city", "fields.customer_id"]);
    let linked = blueconic(1);
    let fields = linked.link.fields("profile", &linked.options).await.unwrap();
    assert!(fields.iter().any(|field| field.path == "properties.interests"));
}

#[tokio::test(start_paused = true)]
async fn a_listed_object_is_shaped_like_a_fetched_one() {
    let linked = activecampaign(2);
    let rows = linked.rows("contacts").await;
    linked.link.prepare("contact").await.unwrap();
    let shaped = linked.link.shaped("contact", &linked.options, rows[0].clone()).unwrap();
    assert_eq!((shaped.id.as_str(), shaped.tree.get("fieldValues")), ("88", None), "it has ids there, no values");
    let fetched = linked.fetch("88").await.unwrap();
    assert_eq!((&fetched.version, fetched.changed_at), (&shaped.version, shaped.changed_at));
    assert!(fetched.changed_at.is_some());
    assert!(fetched.tree["fieldValues"].get("CITY").is_some(), "{}", fetched.tree);

    let linked = blueconic(2);
    let row = linked.rows("profiles").await.remove(0);
    let shaped = linked.link.shaped("profile", &linked.options, row).unwrap();
    let fetched = linked.fetch(&shaped.id).await.unwrap();
    assert_eq!(linked.mapping.shown(&shaped.tree), linked.mapping.shown(&fetched.tree));
    assert_eq!((&fetched.version, fetched.changed_at), (&shaped.version, shaped.changed_at));

    let linked = copernica("v4", 2);
    let row = linked.rows("profiles").await.remove(0);
    assert!(linked.link.is_listed("profile", &linked.options, &row).unwrap());
    let elsewhere = super::linked::fields(json!({"database": 13}));
    assert!(!linked.link.is_listed("profile", &elsewhere, &row).unwrap());
    let shaped = linked.link.shaped("profile", &linked.options, row).unwrap();
    assert_eq!(Some(shaped.clone()), linked.fetch(&shaped.id).await);
    // 2026-01-01 in Amsterdam began an hour before it did in London.
    assert_eq!(shaped.changed_at, Some(lockstep_sim::time::BEGINNING.plus_ms(-1000)));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_taken_effect_is_not_repeated_and_what_must_wait_long_is_given_back() {
    let linked = platform_x(0);
    let posts = || linked.site.seen().iter().filter(|seen| seen.what == "POST /contacts").count();
    let write = linked.write_of("a", None, &kim(), None);
    assert!(!linked.link.is_idempotent("contact", &write));
    // The lookup gets through, and the answer to the POST is lost after its work.
    linked.site.set(Faults { slow_one_in: 2, slow_ms: 90_000, ..Faults::default() });
    let mut lost = 0;
    for n in 0..40 {
        let before = posts();
        let written = linked.write(vec![linked.write_of("a", None, &member(n), None)]).await;
        assert!(posts() <= before + 1, "it was sent twice");
        if let [Written::Refused(trouble)] = written.as_slice() {
            lost += usize::from(trouble.class == Class::Unknown);
        }
    }
    assert!(lost > 5, "{lost} were lost");

    linked.site.set(Faults { throttle_one_in: 1, retry_after_seconds: 300, ..Faults::default() });
    let before = linked.site.seen().len();
    let written = linked.write(vec![write]).await;
    let [Written::Refused(trouble)] = written.as_slice() else { panic!("{written:?}") };
    assert_eq!((trouble.class, trouble.after), (Class::Retry, Some(std::time::Duration::from_secs(300))));
    assert_eq!(linked.site.seen().len(), before + 1);

    linked.site.set(Faults { unavailable_one_in: 1, ..Faults::default() });
    let trouble = linked.link.fetch("contact", &linked.options, "1").await.unwrap_err();
    assert_eq!(trouble.class, Class::Down);
}
