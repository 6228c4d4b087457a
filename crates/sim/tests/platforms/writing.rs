//! The ready-made connectors writing to the doubles: made, changed, recognised, refused and gone; in batches and in
//! bulk; and under faults, where no object may be made twice.

use super::linked::{Linked, activecampaign, blueconic, copernica};
use lockstep_connect::{Class, Written};
use lockstep_sim::platforms::Platform;
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
async fn activecampaign_is_written() {
    let linked = activecampaign(20);
    lives(&linked).await;
    let identity = linked.link.identity().await.unwrap();
    assert_eq!(identity.id.as_deref(), Some("acme.api-us1.com"));
}
