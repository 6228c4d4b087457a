//! The ledgers: of each write from the outside, whether it made a difference; of what users do, nothing.

use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::activecampaign::{ActiveCampaign, Origin};
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::rest::{Auth, Rest};
use lockstep_sim::platforms::{Call, Platform};
use serde_json::{Value, json};

/// 2025-03-01T10:02:03Z.
const NOW: Timestamp = Timestamp(1_740_823_323_000);

/// Of each write: what was written, whether it changed, whether it is new.
fn told(platform: &dyn Platform) -> Vec<(String, bool, bool)> {
    let writes = platform.writes().iter();
    writes.map(|write| (format!("{} {}", write.object, write.id), write.did_change, write.is_new)).collect()
}

fn line(what: &str, did_change: bool, is_new: bool) -> (String, bool, bool) {
    (what.to_owned(), did_change, is_new)
}

#[test]
fn blueconic_tells_needless_writes_from_others() {
    let mut platform = BlueConic::new(1).with_people(3, NOW);
    let kim = platform.add(&[("email", &["kim@club.test"]), ("city", &["Delft"])], NOW);
    let part = platform.add(&[("email", &["kim@club.test"]), ("firstname", &["Kim"])], NOW.plus_ms(5));
    assert_eq!((kim.as_str(), platform.profiles()[&kim].values("firstname")), (part.as_str(), vec!["Kim".to_owned()]));
    assert!(platform.edit(&kim, &[("city", &["Gent"]), ("interests", &["chess"])], NOW));
    assert!(platform.writes().is_empty());
    let token = Call::new(Method::POST, "/rest/v2/oauth/token").with_form(&[
        ("grant_type", "client_credentials"),
        ("client_id", "hub"),
        ("client_secret", "s3"),
    ]);
    let token = platform.answer(&token, NOW).value()["access_token"].as_str().unwrap().to_owned();
    let city = |city: &str| json!({"profileId": kim, "properties": [{"id": "city", "values": [city]}]});
    let new = json!({"strategy": "UPSERT", "profileId": "p-9", "properties": []});
    let absent = json!({"profileId": "p-10", "properties": []});
    let delete = json!({"strategy": "DELETE", "profileId": "p-9"});
    let entries = json!([city("Gent"), city("Lyon"), city("Lyon"), new, absent, delete]);
    let put = Call::new(Method::PUT, "/rest/v2/profiles").with_json(&entries);
    let put = put.with("authorization", &format!("Bearer {token}"));
    assert_eq!(platform.answer(&put, NOW).status, 200);
    let own = format!("profile {kim}");
    assert_eq!(
        told(&platform),
        [
            line(&own, false, false),
            line(&own, true, false),
            line(&own, false, false),
            line("profile p-9", true, true),
            line("profile p-9", true, false),
        ]
    );
    assert!(platform.remove(&kim) && !platform.remove(&kim));
}

#[test]
fn copernica_tells_needless_writes_from_others() {
    let mut platform = Copernica::new(1).with_people(2, NOW);
    let id = platform.add(Copernica::DATABASE, &json!({"fields": {"email": "kim@club.test"}}), NOW);
    assert!(platform.edit(id, &json!({"city": "Gent"}), NOW));
    assert!(platform.edit_interests(id, &json!({"rowing": 1}), NOW));
    assert!(platform.profiles()[&id].interests.contains("rowing"));
    assert!(platform.writes().is_empty());
    let mut call = |method: Method, target: &str, body: Value| {
        let call = Call::new(method, &format!("/v3/{target}?access_token={}", Copernica::TOKEN)).with_json(&body);
        platform.answer(&call, NOW).status.as_u16()
    };
    assert_eq!(call(Method::PUT, &format!("profile/{id}/fields"), json!({"city": "Gent"})), 200);
    assert_eq!(call(Method::PUT, &format!("profile/{id}/fields"), json!({"city": "Lyon"})), 200);
    assert_eq!(call(Method::POST, &format!("profile/{id}/interests"), json!(["rowing"])), 200);
    assert_eq!(call(Method::POST, "database/12/profiles", json!({"fields": {"email": "lee@club.test"}})), 201);
    assert_eq!(call(Method::DELETE, &format!("profile/{id}"), json!({})), 200);
    let (own, new) = (format!("profile {id}"), format!("profile {}", id + 1));
    assert_eq!(
        told(&platform),
        [
            line(&own, false, false),
            line(&own, true, false),
            line(&own, false, false),
            line(&new, true, true),
            line(&own, true, false),
        ]
    );
    assert!(!platform.remove_by_user(id, NOW) && platform.remove_by_user(id + 1, NOW));
}

#[test]
fn activecampaign_tells_needless_writes_from_others() {
    let mut platform = ActiveCampaign::new(1).with_people(2, NOW);
    let id = platform.add(&json!({"email": "kim@club.test"}), Origin::Admin, NOW);
    assert!(platform.edit(id, &json!({"email": "kit@club.test"}), Origin::Public, NOW));
    assert!(platform.writes().is_empty());
    let mut now = NOW;
    let mut post = |target: &str, body: Value| {
        now = now.plus_ms(4000);
        let call = Call::new(Method::POST, &format!("/api/3/{target}")).with("api-token", "k1").with_json(&body);
        platform.answer(&call, now).status.as_u16()
    };
    let kit = |phone: &str| json!({"contact": {"email": "KIT@club.test", "phone": phone}});
    assert_eq!(post("contact/sync", kit("+31600000000")), 200);
    assert_eq!(post("contact/sync", kit("+31600000000")), 200);
    assert_eq!(post("contact/sync", json!({"contact": {"email": "kim@club.test"}})), 201, "the address is free again");
    let row = |tag: &str| json!({"contacts": [{"email": "kit@club.test", "tags": [tag]}]});
    assert_eq!(post("import/bulk_import", row("rowing")), 200);
    assert_eq!(post("import/bulk_import", row("rowing")), 200);
    assert_eq!(post("contactTags", json!({"contactTag": {"contact": id, "tag": 20}})), 200);
    let own = format!("contact {id}");
    assert_eq!(
        told(&platform)[..5],
        [
            line("contact 90", true, false),
            line(&own, false, false),
            line(&format!("contact {}", id + 1), true, true),
            line(&own, true, false),
            line(&own, false, false),
        ]
    );
    assert!(matches!(&told(&platform)[5..], [(what, false, false)] if what.starts_with("contactTag ")));
    assert!(platform.remove(id) && !platform.remove(id));
}

#[test]
fn the_rest_platform_tells_needless_writes_from_others() {
    let mut platform = Rest::new(1, Auth::Open).with_people(2, 1, NOW);
    let id = platform.insert(json!({"name": "Kim"}), NOW);
    assert!(platform.update(id, &json!({"name": "Kit"}), NOW));
    assert!(platform.writes().is_empty());
    for (method, target, body) in [
        (Method::POST, "/items".to_owned(), json!({"name": "Lee"})),
        (Method::PUT, format!("/items/{id}"), json!({"name": "Kit"})),
        (Method::PUT, format!("/items/{id}"), json!({"name": "Kay"})),
        (Method::DELETE, format!("/items/{id}"), json!({})),
    ] {
        assert!(platform.answer(&Call::new(method, &target).with_json(&body), NOW).status.is_success(), "{target}");
    }
    let own = format!("item {id}");
    assert_eq!(
        told(&platform),
        [
            line(&format!("item {}", id + 1), true, true),
            line(&own, false, false),
            line(&own, true, false),
            line(&own, true, false),
        ]
    );
    assert!(!platform.remove(id) && platform.remove(id + 1));
}
