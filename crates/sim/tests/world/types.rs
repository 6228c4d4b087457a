//! Types of a business: made, changed while records stand, refused in words that help.

use crate::office::{BUSINESS, Office, code, field, in_office};
use lockstep_core::error::Code;
use lockstep_core::limits::{INDEX_TURNS_WAITED, INDEXED_A_TURN};
use lockstep_engine::control::types;
use lockstep_engine::principal::Principal;
use lockstep_engine::retention::Keep;
use lockstep_engine::upload::{self, Form};
use lockstep_wire::types::IndexState;
use serde_json::{Value, json};

const ADMIN: Principal = Principal::Admin;

async fn get(office: &Office, ty: &str) -> Value {
    let view = types::get(&office.engine, &ADMIN, BUSINESS, ty).await.expect("a type");
    serde_json::to_value(view).expect("JSON")
}

#[test]
fn a_type_is_made_used_and_removed() {
    in_office(async |office| {
        let visit = json!({
            "id": "visit", "collection": "visits", "matchGroups": [["code"]],
            "fields": [
                {"id": "code", "kind": "string", "unique": true},
                {"id": "who", "kind": "reference", "to": "contact", "required": true},
                {"id": "size", "kind": "enum", "values": ["S", "L"], "editable": false},
            ],
        });
        let made = office.make_type(visit.clone()).await.expect("made");
        assert!((made.label.as_str(), made.custom, made.fields.len()) == ("Visit", true, 3), "{made:?}");
        assert_eq!(code(office.make_type(visit).await), Code::IdTaken);
        let ann = office.create("contact", json!({"firstName": "Ann"})).await.expect("made");
        assert_eq!(code(office.create("visit", json!({"code": "1"})).await), Code::FieldRequired);
        let first = office.create("visit", json!({"code": "1", "who": ann.to_string()})).await.expect("made");
        assert_eq!(code(office.create("visit", json!({"code": "1", "who": ann.to_string()})).await), Code::ValueTaken);
        let schema = &get(&office, "visit").await["jsonSchema"];
        assert_eq!((&schema["required"], &schema["properties"]["size"]["readOnly"]), (&json!(["who"]), &json!(true)));
        let gone = types::delete(&office.engine, &ADMIN, (BUSINESS, "visit")).await.expect_err("in use");
        assert!(gone.rejection.code == Code::FieldInUse && gone.rejection.message.contains("1 visit"), "{gone:?}");
        office.delete("visit", first).await;
        office.add("contact", field("last", "reference", &json!({"to": "visit"}))).await.expect("added");
        assert_eq!(code(types::delete(&office.engine, &ADMIN, (BUSINESS, "visit")).await), Code::FieldInUse);
        office.remove("contact", "last").await.expect("removed");
        types::delete(&office.engine, &ADMIN, (BUSINESS, "visit")).await.expect("removed");
        assert_eq!(code(office.create("visit", json!({})).await), Code::UnknownType);
        assert_eq!(code(types::delete(&office.engine, &ADMIN, (BUSINESS, "contact")).await), Code::InvalidValue);
        let all = types::list(&office.engine, &ADMIN, BUSINESS).await.expect("listed");
        assert_eq!(all.len(), 16, "the ready-made ones");
    });
}

#[test]
fn whoever_manages_changes_types_and_nobody_else() {
    in_office(async |office| {
        let (_, plain) = office.application("CRM", json!({})).await;
        let grant = json!({"abilities": ["manage", "read"], "hiddenFields": {"contact": ["notes"]}});
        let (_, manager) = office.application("Desk", grant).await;
        let body = || json!({"indexed": true});
        assert_eq!(code(office.change_as(&plain, "contact", "city", body()).await), Code::Forbidden);
        let changed = office.change_as(&manager, "contact", "city", body()).await.expect("changed");
        assert_eq!(changed.index, Some(IndexState::Ready));
        assert_eq!(code(office.change_as(&manager, "contact", "notes", body()).await), Code::UnknownField, "hidden");
        let seen = types::get(&office.engine, &plain, BUSINESS, "contact").await.expect("a type");
        assert!(seen.fields.iter().any(|field| field.id == "notes"));
        let seen = types::get(&office.engine, &manager, BUSINESS, "contact").await.expect("a type");
        assert!(!seen.fields.iter().any(|field| field.id == "notes"));
        let elsewhere = types::list(&office.engine, &manager, "b2").await;
        assert_eq!(code(elsewhere), Code::BusinessNotFound);
    });
}

#[test]
fn a_stricter_field_is_refused_by_what_stands() {
    in_office(async |office| {
        let add = field("size", "enum", &json!({"values": ["S", "L", "XL"]}));
        office.add("contact", add.clone()).await.expect("added");
        assert_eq!(code(office.add("contact", add).await), Code::IdTaken);
        let ann = office.create("contact", json!({"code": "1", "size": "XL", "lastName": "Vos"})).await.expect("made");
        let bob = office.create("contact", json!({"code": "1", "size": "S"})).await.expect("made");
        let table = [
            ("lastName", json!({"required": true}), Code::FieldInUse, bob),
            ("size", json!({"values": ["S", "L"]}), Code::FieldInUse, ann),
            ("size", json!({"kind": "integer"}), Code::FieldInUse, ann),
            ("code", json!({"unique": true}), Code::ValueTaken, ann),
        ];
        for (id, body, expected, named) in table {
            let before = get(&office, "contact").await;
            let refused = office.change("contact", id, body.clone()).await.expect_err("in use").rejection;
            assert_eq!(refused.code, expected, "{body}");
            assert!(refused.message.contains(&named.to_string()), "{}", refused.message);
            assert_eq!(get(&office, "contact").await, before, "it is as it was: {body}");
        }
        assert_eq!(code(office.remove("contact", "size").await), Code::FieldInUse);
        assert_eq!(code(office.change("contact", "city", json!({"kind": "text"})).await), Code::InvalidValue);
        office.update("contact", bob, json!({"code": "2", "lastName": "Bos", "size": null})).await.expect("changed");
        office.update("contact", ann, json!({"size": "S"})).await.expect("changed");
        for (id, body) in [
            ("lastName", json!({"required": true})),
            ("size", json!({"values": ["S"]})),
            ("code", json!({"unique": true})),
        ] {
            office.change("contact", id, body).await.expect("nothing stands against it");
        }
        assert_eq!(code(office.create("contact", json!({"code": "3"})).await), Code::FieldRequired);
        assert_eq!(code(office.update("contact", bob, json!({"code": "1"})).await), Code::ValueTaken);
        assert_eq!(code(office.update("contact", bob, json!({"size": "XL"})).await), Code::InvalidValue);
        office.update("contact", ann, json!({"size": null})).await.expect("changed");
        let changed = office.change("contact", "size", json!({"kind": "integer", "indexed": true})).await;
        assert_eq!(changed.expect("no record has a value").kind, "integer");
        office.update("contact", ann, json!({"size": -4})).await.expect("changed");
        office.update("contact", ann, json!({"size": null})).await.expect("changed");
        office.remove("contact", "size").await.expect("no record has a value");
        assert_eq!(code(office.update("contact", ann, json!({"size": 1})).await), Code::UnknownField);
    });
}

#[test]
fn what_is_refused_gives_nothing_secret_away() {
    in_office(async |office| {
        let ann = office.create("contact", json!({"code": "s3cret", "city": "Delft"})).await.expect("made");
        office.create("contact", json!({"code": "s3cret", "city": "Breda"})).await.expect("made");
        office.change("contact", "code", json!({"sensitive": true})).await.expect("changed");
        let refused = office.change("contact", "code", json!({"unique": true})).await.expect_err("shared").rejection;
        assert!(refused.message.contains("***") && !refused.message.contains("s3cret"), "{}", refused.message);
        let grant = json!({"abilities": ["manage", "read"], "conditions": {"contact": "city == 'Breda'"}});
        let (_, manager) = office.application("Desk", grant).await;
        let body = json!({"unique": true});
        let refused = office.change_as(&manager, "contact", "code", body).await.expect_err("shared").rejection;
        assert!(refused.message.contains("there are 2") && !refused.message.contains(&ann.to_string()), "{refused:?}");
        let page = lockstep_engine::query::newest(&office.engine, &manager, BUSINESS, "contact", None).await;
        let page = page.expect("read");
        assert_eq!(page.records.len(), 1);
        assert_eq!(Value::Object(page.masked(&page.records[0])), json!({"code": "***", "city": "Breda"}));
    });
}

#[test]
fn a_grant_may_name_what_one_business_of_its_organisation_has() {
    in_office(async |office| {
        office.world.business("Acme", "b2").await.expect("made");
        let body = serde_json::from_value(json!({"id": "visit", "fields": [{"id": "size", "kind": "string"}]}));
        types::create(&office.engine, &ADMIN, "b2", body.expect("a body")).await.expect("made");
        let grant = json!({"types": {"visit": ["write"]}, "hiddenFields": {"visit": ["size"]}});
        office.application("CRM", grant.clone()).await;
        assert!(office.world.application("Other", "CRM", grant).await.is_err(), "not of another organisation");
        assert!(office.world.application("Acme", "Mail", json!({"types": {"visits": ["read"]}})).await.is_err());
    });
}

#[test]
fn an_index_over_much_is_built_by_the_sweeper_and_needed_whole() {
    in_office(async |office| {
        let count = INDEXED_A_TURN * (INDEX_TURNS_WAITED + 1);
        let call = lockstep_engine::ingest::Call {
            principal: &ADMIN,
            business: BUSINESS,
            ty: "contact",
            verb: lockstep_engine::ingest::Verb::CreateMany,
            if_match: None,
            idempotency: None,
            bytes: b"",
        };
        let mut uploading = upload::begin(&office.engine, call, Form::Records, &[]).await.expect("begun");
        for number in 0..count {
            uploading.line(Some(format!("{{\"code\":\"{number}\"}}").as_bytes())).await.expect("taken");
        }
        uploading.finish().await.expect("done");
        let refused = office.change("contact", "code", json!({"unique": true})).await.expect_err("not yet");
        assert_eq!((refused.rejection.code, refused.retry_after_s), (Code::IndexBuilding, Some(60)));
        let fields = get(&office, "contact").await["fields"].clone();
        let code = fields.as_array().expect("fields").iter().find(|field| field["id"] == "code").cloned().expect("it");
        assert_eq!((&code["index"], &code["unique"]), (&json!("building"), &json!(false)));
        office.world.sweep(Keep::default()).await.expect("swept");
        let changed = office.change("contact", "code", json!({"unique": true})).await.expect("it is whole");
        assert!(changed.unique && changed.index == Some(IndexState::Ready));
        assert_eq!(super::office::code(office.create("contact", json!({"code": "20000"})).await), Code::ValueTaken);
    });
}
