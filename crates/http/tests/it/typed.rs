//! Types and fields of a business's own, and looking for records by them.

use crate::office::{Answer, Office};
use serde_json::{Value, json};

const TYPES: &str = "/businesses/acme-1/types";
const PEOPLE: &str = "/businesses/acme-1/records/contact";

/// A credential that may administer its business.
async fn keeper(office: &Office) -> String {
    let abilities = json!({"abilities": ["read", "query", "write", "subscribe", "files", "manage"]});
    office.badge("Acme", "keeper", &abilities).await.key
}

async fn get(office: &Office, path: &str) -> Answer {
    office.rest("GET", path, &office.acme.key, &Value::Null).await
}

async fn people(office: &Office) {
    for (first, last, city) in
        [("Ann", "Vos", "Delft"), ("Bob", "Vos", "Breda"), ("Cid", "Aal", "Delft"), ("Dot", "Uil", "Delft")]
    {
        let body = json!({"firstName": first, "lastName": last, "city": city, "email": format!("{first}@example.com")});
        assert_eq!(office.rest("POST", PEOPLE, &office.acme.key, &body).await.status, 201);
    }
}

fn names(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().expect("a list");
    items.iter().map(|item| item["fields"]["firstName"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn every_type_is_listed_and_its_shape_says_what_can_be_edited() {
    let office = Office::open().await;
    let all = get(&office, TYPES).await;
    let ids: Vec<_> = all.body["items"].as_array().expect("a list").iter().map(|ty| ty["id"].clone()).collect();
    assert!(ids.contains(&json!("contact")) && ids.contains(&json!("invoice")), "{ids:?}");
    let shape = get(&office, &format!("{TYPES}/contact")).await;
    let fields = shape.body["fields"].as_array().expect("fields");
    let email = fields.iter().find(|field| field["id"] == "email").expect("there");
    assert_eq!((&email["kind"], &email["editable"], &email["custom"]), (&json!("email"), &json!(true), &json!(false)));
    let schema = &shape.body["jsonSchema"];
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["email"]["format"], "email");
}

#[tokio::test]
async fn custom_types_and_fields_have_ids_and_names_for_people() {
    let office = Office::open().await;
    let keeper = keeper(&office).await;
    let body = json!({"id": "venue", "label": "Venue", "fields": [
        {"id": "name", "kind": "string", "required": true, "searchable": true},
        {"id": "size", "label": "Size of the hall", "kind": "enum", "values": ["S", "L"]},
        {"id": "manager", "kind": "reference", "to": "contact", "updateKind": "assigned"},
    ]});
    assert_eq!(office.rest("POST", TYPES, &office.acme.key, &body).await.status, 403, "without the ability");
    let made = office.rest("POST", TYPES, &keeper, &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let fields = get(&office, &format!("{TYPES}/venue/fields")).await;
    let size = fields.body["items"].as_array().expect("a list").iter().find(|field| field["id"] == "size").cloned();
    let size = size.expect("there");
    assert_eq!((&size["label"], &size["custom"]), (&json!("Size of the hall"), &json!(true)));
    let venues = "/businesses/acme-1/records/venue";
    let key = &office.acme.key;
    let refused = office.rest("POST", venues, key, &json!({"size": "S"})).await;
    assert_eq!((refused.status, refused.code()), (422, "field_required"));
    let refused = office.rest("POST", venues, key, &json!({"name": "Ahoy", "size": "XL"})).await;
    assert_eq!((refused.status, refused.code()), (400, "invalid_value"));
    let made = office.rest("POST", venues, key, &json!({"name": "Ahoy", "size": "L"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    // Another business does not have the type.
    let other = office.rest("GET", "/businesses/acme-2/types/venue", key, &Value::Null).await;
    assert_eq!((other.status, other.code()), (404, "unknown_type"));
    // A field's own kind of update, in the feed.
    let person = office.rest("POST", PEOPLE, key, &json!({"firstName": "Ann"})).await;
    let venue = format!("{venues}/{}", made.body["id"].as_str().expect("an id"));
    office.rest("PATCH", &venue, key, &json!({"manager": person.body["id"]})).await;
    office.rest("PATCH", &venue, key, &json!({"size": "S"})).await;
    let feed = get(&office, "/businesses/acme-1/changes?kinds=assigned").await;
    let changes = feed.body["changes"].as_array().expect("a list");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["kinds"], json!(["updated", "manager.updated", "assigned"]));
    assert_eq!(changes[0]["changes"]["manager"]["new"], person.body["id"]);
    let hook = json!({"url": "https://example.com/", "types": ["venue"], "kinds": ["assigned"]});
    assert_eq!(office.rest("POST", "/businesses/acme-1/subscriptions", key, &hook).await.status, 201);
}

#[tokio::test]
async fn a_field_made_unique_reports_the_records_that_share_a_value() {
    let office = Office::open().await;
    let keeper = keeper(&office).await;
    people(&office).await;
    let field = format!("{TYPES}/contact/fields/lastName");
    let refused = office.rest("PATCH", &field, &keeper, &json!({"unique": true})).await;
    assert_eq!((refused.status, refused.code()), (409, "value_taken"), "{refused:?}");
    assert!(refused.message().contains("Vos"), "{}", refused.message());
    let unique =
        office.rest("PATCH", &format!("{TYPES}/contact/fields/email"), &keeper, &json!({"unique": true})).await;
    assert_eq!((unique.status, &unique.body["unique"]), (200, &json!(true)), "{unique:?}");
    let double = office.rest("POST", PEOPLE, &office.acme.key, &json!({"email": "ANN@example.com"})).await;
    assert_eq!((double.status, double.code()), (409, "value_taken"));
}

#[tokio::test]
async fn records_are_found_by_their_fields_in_order_and_page_by_page() {
    let office = Office::open().await;
    people(&office).await;
    assert_eq!(names(&get(&office, &format!("{PEOPLE}?email=BOB@example.com")).await), ["Bob"]);
    assert_eq!(names(&get(&office, &format!("{PEOPLE}?lastName=Vos&city=Delft")).await), ["Ann"]);
    assert_eq!(names(&get(&office, &format!("{PEOPLE}?lastName[contains]=VO&order=-firstName")).await), ["Bob", "Ann"]);
    assert_eq!(names(&get(&office, &format!("{PEOPLE}?city[in]=Breda,Gouda")).await), ["Bob"]);
    assert_eq!(names(&get(&office, &format!("{PEOPLE}?phone[exists]=false&lastName[gte]=V")).await), ["Ann", "Bob"]);
    let (mut path, mut seen) = (format!("{PEOPLE}?city=Delft&order=lastName&limit=1"), Vec::new());
    loop {
        let page = get(&office, &path).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page.body["next"].as_str() else { break };
        path = next.strip_prefix("/rest/v1").expect("below the root").to_owned();
    }
    assert_eq!(seen, ["Cid", "Dot", "Ann"]);
    for (query, code) in [
        ("colour=red", "unknown_field"),
        ("email[like]=a", "invalid_parameter"),
        ("birthDate[gt]=soon", "invalid_parameter"),
        ("order=colour", "unknown_field"),
        ("cursor=nonsense", "invalid_parameter"),
        ("limit=0", "invalid_parameter"),
    ] {
        assert_eq!(get(&office, &format!("{PEOPLE}?{query}")).await.code(), code, "{query}");
    }
}

#[tokio::test]
async fn samples_and_choices_are_bare_lists_newest_first() {
    let office = Office::open().await;
    people(&office).await;
    let samples = get(&office, "/businesses/acme-1/samples/contact?limit=2&format=fields").await;
    let list = samples.body.as_array().expect("a bare list");
    assert_eq!((list.len(), &list[0]["firstName"], &list[1]["firstName"]), (2, &json!("Dot"), &json!("Cid")));
    assert!(list[0]["id"].as_str().expect("an id").starts_with("rec_"));
    let choices = get(&office, "/businesses/acme-1/resources/contact?search=vos&limit=1").await;
    assert_eq!(choices.body[0]["label"], "Bob Vos");
    assert!(choices.headers["link"].to_str().expect("text").contains("rel=\"next\""));
}

#[tokio::test]
async fn put_clears_what_it_leaves_out_and_makes_what_is_called_so_first() {
    let office = Office::open().await;
    let key = &office.acme.key;
    let made = office.rest("PUT", &format!("{PEOPLE}/ext:7"), key, &json!({"firstName": "Ann", "city": "Delft"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let again = office.rest("PUT", &format!("{PEOPLE}/ext:7"), key, &json!({"firstName": "Anne"})).await;
    assert_eq!((again.status, &again.body["fields"]), (200, &json!({"firstName": "Anne"})));
    assert_eq!(again.body["id"], made.body["id"]);
}

#[tokio::test]
async fn an_operation_is_undone_but_for_what_was_changed_again_since() {
    let office = Office::open().await;
    let key = &office.acme.key;
    let made = office.rest("POST", PEOPLE, key, &json!({"firstName": "Ann", "city": "Delft"})).await;
    let one = format!("{PEOPLE}/{}", made.body["id"].as_str().expect("an id"));
    let changed = office.rest("PATCH", &one, key, &json!({"firstName": "Bob", "city": "Breda"})).await;
    let operation = changed.headers["lockstep-operation"].to_str().expect("text").to_owned();
    office.rest("PATCH", &one, key, &json!({"city": "Gouda"})).await;
    let path = format!("/businesses/acme-1/operations/{operation}/rollback");
    let undone = office.rest("POST", &path, key, &Value::Null).await;
    assert_eq!((undone.status, &undone.body["restored"]), (200, &json!(1)), "{undone:?}");
    assert_eq!(undone.body["kept"], json!([{"recordId": made.body["id"], "fields": ["city"]}]));
    assert_eq!(get(&office, &one).await.body["fields"], json!({"firstName": "Ann", "city": "Gouda"}));
    let again = office.rest("POST", &path, key, &Value::Null).await;
    assert_eq!((&again.body["restored"], &again.body["unchanged"]), (&json!(0), &json!(1)));
    let neighbour = office.badge("Acme", "neighbour", &json!({})).await;
    let refused = office.rest("POST", &path, &neighbour.key, &Value::Null).await;
    assert_eq!((refused.status, refused.code()), (404, "not_found"));
}

#[tokio::test]
async fn a_merge_is_undone_on_both_sides() {
    let office = Office::open().await;
    let key = &office.acme.key;
    for (id, body) in [("1", json!({"firstName": "Ann"})), ("2", json!({"firstName": "An", "phone": "+31201234567"}))] {
        office.rest("POST", &format!("{PEOPLE}?externalId={id}"), key, &body).await;
    }
    let merged = office.rest("POST", &format!("{PEOPLE}/ext:2/merge"), key, &json!({"into": "ext:1"})).await;
    assert_eq!(merged.body["fields"], json!({"firstName": "Ann", "phone": "+31201234567"}));
    let operation = merged.headers["lockstep-operation"].to_str().expect("text").to_owned();
    let path = format!("/businesses/acme-1/operations/{operation}/rollback");
    let undone = office.rest("POST", &path, key, &Value::Null).await;
    assert_eq!((undone.status, &undone.body["kept"]), (200, &json!([])), "{undone:?}");
    assert_eq!(get(&office, &format!("{PEOPLE}/ext:1")).await.body["fields"], json!({"firstName": "Ann"}));
    let back = get(&office, &format!("{PEOPLE}/ext:2")).await;
    assert_eq!(back.body["fields"], json!({"firstName": "An", "phone": "+31201234567"}), "{back:?}");
}

#[tokio::test]
async fn an_upload_is_undone_newest_line_first() {
    let office = Office::open().await;
    let lines = "{\"op\":\"create\",\"id\":\"ext:1\",\"fields\":{\"city\":\"Delft\"}}\n\
                 {\"op\":\"update\",\"id\":\"ext:1\",\"fields\":{\"city\":\"Breda\"}}\n\
                 {\"op\":\"create\",\"id\":\"ext:2\",\"fields\":{\"city\":\"Gouda\"}}\n";
    let path = "/v1/business/acme-1/contact/create-many?form=ops";
    let done = office.post(path, &office.acme.key, lines).await;
    let operation = done.body["operationId"].as_str().expect("an operation").to_owned();
    let path = format!("/businesses/acme-1/operations/{operation}/rollback");
    let undone = office.rest("POST", &path, &office.acme.key, &Value::Null).await;
    assert_eq!((&undone.body["restored"], &undone.body["kept"]), (&json!(3), &json!([])), "{undone:?}");
    assert_eq!(get(&office, PEOPLE).await.body["items"], json!([]));
}

#[tokio::test]
async fn the_audit_log_says_who_changed_what() {
    let office = Office::open().await;
    let keeper = keeper(&office).await;
    let hook = json!({"url": "https://example.com/hook"});
    office.rest("POST", "/businesses/acme-1/subscriptions", &office.acme.key, &hook).await;
    office.rest("POST", TYPES, &keeper, &json!({"id": "venue"})).await;
    let log = office.rest("GET", "/businesses/acme-1/audit", &keeper, &Value::Null).await;
    let actions: Vec<_> =
        log.body["items"].as_array().expect("a list").iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["type.create", "subscription.create", "business.create"], "{log:?}");
    let elsewhere = office.rest("GET", "/businesses/acme-2/audit", &keeper, &Value::Null).await;
    assert_eq!(elsewhere.body["items"].as_array().map(Vec::len), Some(1), "its making");
}
