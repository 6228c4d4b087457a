//! ActiveCampaign: the samples of A.3, and its checklist.

use crate::golden::assert_like;
use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::activecampaign::{ActiveCampaign, Origin};
use lockstep_sim::platforms::{Answer, Call, Platform};
use serde_json::{Value, json};

/// 2025-03-01T10:02:03Z, 11:02:03 in Amsterdam.
const NOW: Timestamp = Timestamp(1_740_823_323_000);

struct World {
    platform: ActiveCampaign,
    now: Timestamp,
}

impl World {
    fn new(platform: ActiveCampaign) -> Self {
        Self { platform, now: NOW }
    }

    /// A call a second after the last, so that the limit is not met.
    fn call(&mut self, method: Method, target: &str, body: Option<&Value>) -> Answer {
        self.now = self.now.plus_ms(1000);
        let call = Call::new(method, &format!("/api/3/{target}")).with("api-token", "k1");
        let call = body.map_or(call.clone(), |body| call.with_json(body));
        self.platform.answer(&call, self.now)
    }

    fn get(&mut self, target: &str) -> Value {
        let answer = self.call(Method::GET, target, None);
        assert_eq!(answer.status, 200, "{target}");
        answer.value()
    }

    fn post(&mut self, target: &str, body: &Value) -> Answer {
        self.call(Method::POST, target, Some(body))
    }
}

fn kim() -> Value {
    json!({"contact": {
        "email": "kim@club.test", "firstName": "Kim", "lastName": "Vos", "phone": "+31600000000",
        "fieldValues": [{"field": "3", "value": "Delft"}],
    }})
}

#[test]
fn a_contact_is_synced_as_in_the_sample() {
    let mut world = World::new(ActiveCampaign::new(1));
    let made = world.post("contact/sync", &kim());
    assert_eq!(made.status, 201);
    assert_like(
        &made.value(),
        &json!({
            "fieldValues": [{
                "contact": "88", "field": "3", "value": "Delft", "cdate": "…", "udate": "…", "created_by": null,
                "updated_by": null, "links": {"…": 0}, "id": "…", "owner": "88",
            }],
            "contact": {
                "email": "kim@club.test", "phone": "+31600000000", "firstName": "Kim", "lastName": "Vos",
                "email_empty": false, "cdate": "…", "udate": "…", "orgid": "", "orgname": "", "links": {"…": 0},
                "hash": "…", "fieldValues": ["…"], "id": "88", "organization": "",
            },
        }),
    );
    let again = world.post("contact/sync", &kim());
    assert_eq!((again.status.as_u16(), &again.value()["contact"]["id"]), (200, &json!("88")));
    let twice = world.post("contacts", &kim());
    assert_eq!(twice.status, 422);
    assert_like(
        &twice.value(),
        &json!({"errors": [{
            "title": "…", "detail": "", "code": "duplicate", "source": {"pointer": "/data/attributes/email"},
        }]}),
    );
}

#[test]
fn contacts_are_listed_as_in_the_sample() {
    let mut world = World::new(ActiveCampaign::new(1));
    world.post("contact/sync", &kim());
    let body = world.get("contacts?limit=2&orders[id]=ASC&id_greater=80");
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["contacts", "meta", "scoreValues"]);
    assert_like(&body["meta"], &json!({"total": "1", "page_input": {"…": 0}}));
    assert_eq!((&body["contacts"][0]["id"], &body["scoreValues"]), (&json!("88"), &json!([])));
    assert_eq!(body["contacts"][0]["udate"], "2025-03-01T11:02:04+01:00");
    assert_eq!(body["contacts"][0]["updated_utc_timestamp"], "2025-03-01 10:02:04");
}

#[test]
fn a_tag_is_linked_as_in_the_sample() {
    let mut world = World::new(ActiveCampaign::new(1));
    world.post("contact/sync", &kim());
    let made = world.post("contactTags", &json!({"contactTag": {"contact": "88", "tag": "20"}}));
    assert_eq!(made.status, 201);
    let sample = json!({"contactTag": {"cdate": "…", "contact": "88", "tag": "20", "id": "…", "links": {"…": 0}}});
    assert_like(&made.value(), &sample);
    let id = made.value()["contactTag"]["id"].as_str().unwrap().to_owned();
    assert_eq!(world.get("contacts/88/contactTags")["contactTags"].as_array().unwrap().len(), 1);
    assert_eq!(world.call(Method::DELETE, &format!("contactTags/{id}"), None).status, 200);
    assert_eq!(world.call(Method::DELETE, &format!("contactTags/{id}"), None).status, 404);
    assert_eq!(world.get("tags?filters[search][eq]=rowing")["tags"][0]["id"], "20");
    assert_eq!(world.post("tags", &json!({"tag": {"tag": "new", "tagType": "contact"}})).status, 201);
}

#[test]
fn an_import_is_queued_and_told_of_as_in_the_sample() {
    let mut world = World::new(ActiveCampaign::new(1));
    world.post("webhooks", &webhook());
    let rows = json!({
        "contacts": [{"email": "kim@club.test", "first_name": "Kim", "tags": ["rowing"], "fields": [{"id": 3, "value": "Delft"}]}, {"email": "bad@@x"}],
        "callback": {"url": "https://hub.example/done", "requestType": "POST", "detailed_results": "true",
                     "params": [{"key": "run", "value": "7"}], "headers": [{"key": "x-secret", "value": "abc"}]},
    });
    let queued = world.post("import/bulk_import", &rows);
    assert_eq!(queued.status, 200);
    assert_like(&queued.value(), &json!({"Success": 1, "queued_contacts": 2, "batchId": "…", "message": "…"}));
    let info = format!("import/info?batchId={}", queued.value()["batchId"].as_str().unwrap());
    assert_eq!(world.get(&info)["status"], "waiting");
    world.now = world.now.plus_ms(10_000);
    assert_eq!(world.get(&info), json!({"status": "completed", "success": ["88"], "failure": ["bad@@x"]}));
    let hooks = world.platform.take_hooks(world.now);
    assert_eq!(hooks.len(), 1, "the callback, and no webhook: imports are silent");
    assert_eq!(hooks[0].url.as_str(), "https://hub.example/done?run=7");
    assert_eq!(hooks[0].headers["x-secret"], "abc");
    let wrong = json!({"contacts": [{"email": "lee@club.test"}, {"first_name": "Nobody"}]});
    let refused = world.post("import/bulk_import", &wrong);
    assert_eq!(refused.status, 400);
    let sample = json!({"success": 0, "message": "…", "failureReasons": [{"contact": 1, "failureReason": "…"}]});
    assert_like(&refused.value(), &sample);
    assert_eq!(world.platform.contacts().len(), 1, "nothing was queued");
}

#[test]
fn imports_have_limits_of_their_own() {
    let mut world = World::new(ActiveCampaign::new(1));
    let many: Vec<Value> = (0..251).map(|at| json!({"email": format!("p{at}@club.test")})).collect();
    assert_eq!(world.post("import/bulk_import", &json!({ "contacts": many })).status, 400);
    let one = json!({"contacts": [{"email": "kim@club.test"}]});
    for _ in 0..99 {
        world.now = world.now.plus_ms(-750);
        assert_eq!(world.post("import/bulk_import", &one).status, 200);
    }
    let answer = world.post("import/bulk_import", &one);
    assert_eq!((answer.status.as_u16(), &answer.value()["message"]), (400, &json!("Rate limit exceeded.")));
}

fn webhook() -> Value {
    json!({"webhook": {
        "name": "hub", "url": "https://hub.example/in/ac1", "events": ["subscribe", "update"],
        "sources": ["public", "admin", "system"],
    }})
}

#[test]
fn a_webhook_is_registered_and_sent_as_in_the_samples() {
    let mut world = World::new(ActiveCampaign::new(1));
    let made = world.post("webhooks", &webhook());
    assert_eq!(made.status, 201);
    assert_like(
        &made.value(),
        &json!({"webhook": {
            "cdate": "…", "listid": "0", "name": "hub", "url": "https://hub.example/in/ac1",
            "events": ["subscribe", "update"], "sources": ["public", "admin", "system"], "links": [], "id": "…",
        }}),
    );
    world.post(
        "contact/sync",
        &json!({"contact": {"email": "kim@club.test", "fieldValues": [{"field": "3", "value": "Delft"}]}}),
    );
    for tag in ["19", "20"] {
        world.post("contactTags", &json!({"contactTag": {"contact": "88", "tag": tag}}));
    }
    assert_eq!(world.platform.take_hooks(NOW).len(), 0, "api is not among the sources");
    world.platform.edit(88, &json!({"firstName": "Kim"}), Origin::Admin, NOW);
    let hooks = world.platform.take_hooks(NOW);
    let fields: Vec<(String, String)> = form_urlencoded::parse(&hooks[0].body).into_owned().collect();
    let shown: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("type", "update"),
            ("date_time", "2025-03-01T11:02:03+01:00"),
            ("initiated_from", "admin"),
            ("initiated_by", "admin"),
            ("list", "0"),
            ("contact[id]", "88"),
            ("contact[email]", "kim@club.test"),
            ("contact[first_name]", "Kim"),
            ("contact[tags]", "member, rowing"),
            ("contact[fields][city]", "Delft"),
        ]
    );
    world.platform.hook_answered(&hooks[0], Some(500));
    world.platform.edit(88, &json!({"firstName": "Kit"}), Origin::Admin, NOW);
    let hooks = world.platform.take_hooks(NOW);
    assert_eq!(hooks.len(), 1, "never sent again, and still on");
    world.platform.hook_answered(&hooks[0], Some(410));
    world.platform.edit(88, &json!({"firstName": "Kim"}), Origin::Admin, NOW);
    assert_eq!(world.platform.take_hooks(NOW).len(), 0, "410 switched it off");
    assert_eq!(world.get("webhooks")["meta"]["total"], "0");
    let plain =
        json!({"webhook": {"name": "x", "url": "http://hub.example/", "events": ["update"], "sources": ["api"]}});
    assert_eq!(world.post("webhooks", &plain).status, 422);
}

#[test]
fn a_wrong_token_is_403_and_a_sixth_call_in_a_second_429() {
    let mut platform = ActiveCampaign::new(1);
    let answer = platform.answer(&Call::new(Method::GET, "/api/3/users/me").with("api-token", "no"), NOW);
    assert_eq!((answer.status.as_u16(), answer.value()), (403, json!({"message": "Forbidden"})));
    let call = Call::new(Method::GET, "/api/3/users/me").with("api-token", "k1");
    for left in (0..5).rev() {
        let answer = platform.answer(&call, NOW);
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit-remaining")), (200, left.to_string().as_str()));
    }
    let answer = platform.answer(&call, NOW.plus_ms(300));
    assert_eq!(answer.status, 429);
    let told = ["retry-after", "ratelimit-limit", "ratelimit-remaining"].map(|name| answer.header(name).to_owned());
    assert_eq!(told, ["1", "5", "0"]);
    assert_eq!(platform.answer(&call, NOW.plus_ms(1000)).status, 200);
    assert_eq!(platform.throttled(2).header("retry-after"), "2");
}

#[test]
fn pages_end_at_a_hundred_and_totals_are_texts() {
    let mut world = World::new(ActiveCampaign::new(1).with_people(130, NOW).with_fields(120));
    assert_eq!(world.get("contacts")["contacts"].as_array().unwrap().len(), 20);
    let page = world.get("contacts?limit=500&offset=100");
    assert_eq!((page["contacts"].as_array().unwrap().len(), &page["meta"]["total"]), (30, &json!("130")));
    assert_eq!(world.get("fields")["fields"].as_array().unwrap().len(), 100);
    assert_eq!(world.get("fields?offset=100&limit=100")["fields"].as_array().unwrap().len(), 23);
    let after = world.get("contacts?filters[updated_after]=2025-03-01T11:02:00%2B01:00&limit=100");
    assert_eq!(after["meta"]["total"], "3");
    assert_eq!(after["meta"]["page_input"]["filters"]["updated_after"], "2025-03-01T11:02:00+01:00");
    let newest = world.get("contacts?orders[udate]=DESC&limit=1");
    assert_eq!(newest["contacts"][0]["email"], "person130@club.test");
    assert_eq!(world.get("contacts?email=person7%40club.test")["meta"]["total"], "1");
}

#[test]
fn who_left_a_list_comes_back_only_when_that_is_said() {
    let mut world = World::new(ActiveCampaign::new(1));
    world.post("contact/sync", &kim());
    let status = |world: &mut World, status: u64, source: Option<u64>| {
        let body = json!({"contactList": {"list": 1, "contact": 88, "status": status, "sourceid": source}});
        world.post("contactLists", &body).value()["contactList"]["status"].clone()
    };
    assert_eq!(status(&mut world, 1, None), "1");
    assert_eq!(status(&mut world, 2, None), "2");
    assert_eq!(status(&mut world, 1, None), "2");
    assert_eq!(status(&mut world, 1, Some(4)), "1");
}

#[test]
fn a_contact_is_changed_shown_with_its_side_lists_and_deleted() {
    let mut world = World::new(ActiveCampaign::new(1).with_people(5, NOW));
    let id = world.platform.contacts().keys().last().unwrap().to_string();
    let put = world.call(Method::PUT, &format!("contacts/{id}"), Some(&json!({"contact": {"firstName": "Bo"}})));
    assert_eq!((put.status.as_u16(), &put.value()["contact"]["firstName"]), (200, &json!("Bo")));
    let taken = json!({"contact": {"email": "person1@club.test"}});
    assert_eq!(world.call(Method::PUT, &format!("contacts/{id}"), Some(&taken)).status, 422);
    let shown = world.get(&format!("contacts/{id}"));
    let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["contact", "contactAutomations", "contactLists", "deals", "fieldValues", "geoAddresses", "geoIps"]
    );
    assert_eq!(shown["deals"].as_array().unwrap().len(), 1);
    let gone = world.call(Method::DELETE, &format!("contacts/{id}"), None);
    assert_eq!((gone.status.as_u16(), gone.value()), (200, json!({})));
    let again = world.call(Method::DELETE, &format!("contacts/{id}"), None);
    assert_eq!(again.status, 404);
    assert!(again.value()["message"].is_string());
}
