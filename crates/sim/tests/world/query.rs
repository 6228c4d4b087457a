//! Queries: the same records in the same order by an index as without one, page by page; and choices.

use crate::office::{BUSINESS, Office, asked, code, field, filter, in_office};
use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_engine::ingest::Verb;
use lockstep_engine::principal::Principal;
use lockstep_engine::query::{self, Filter, Query};
use lockstep_sim::chance::Chance;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;

const ADMIN: Principal = Principal::Admin;
/// Fields and the values they may have here, in order as text where the kind is text, by number else.
const FIELDS: [(&str, &str, &[&str]); 6] = [
    ("city", "string", &["Breda", "Delft", "Delftt", "Ede", "delft"]),
    ("size", "integer", &["-9000000000", "-7", "-1", "0", "3", "20", "100"]),
    ("price", "decimal", &["-12.5", "-12.05", "-1", "0", "0.05", "0.5", "2", "10"]),
    ("birthDate", "date", &["1969-12-31", "1970-01-01", "2026-01-31", "2026-02-01"]),
    ("seen", "datetime", &["1969-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"]),
    ("tags", "set", &["a", "b", "c"]),
];
const INDEXED: [&str; 5] = ["city", "size", "price", "birthDate", "seen"];

/// What a record holds, told apart from the hub: the text of each value.
type Values = BTreeMap<&'static str, Vec<&'static str>>;

fn drawn(chance: &Chance) -> Values {
    let some = FIELDS.iter().filter(|_| !chance.one_in(4));
    some.map(|(id, kind, words)| {
        let count = if *kind == "set" { 1 + chance.below(2) } else { 1 };
        let mut values: Vec<&str> = (0..count).filter_map(|_| chance.pick(words)).copied().collect();
        values.sort_unstable();
        values.dedup();
        (*id, values)
    })
    .collect()
}

fn body(values: &Values) -> Value {
    let value = |id: &str, words: &[&str]| match FIELDS.iter().find(|(known, ..)| *known == id) {
        Some((_, "integer", _)) => words.first().and_then(|word| word.parse::<i64>().ok()).into(),
        Some((_, "set", _)) => words.into(),
        _ => words.first().copied().into(),
    };
    values.iter().map(|(id, words)| ((*id).to_owned(), value(id, words))).collect::<serde_json::Map<_, _>>().into()
}

/// Where a value stands among those of its field: they are listed in order.
fn rank(id: &str, word: &str) -> Option<usize> {
    FIELDS.iter().find(|(known, ..)| *known == id)?.2.iter().position(|known| *known == word)
}

/// The filter by its meaning, from the lists above alone.
fn meets(values: &Values, filter: &Filter) -> bool {
    let own = values.get(filter.field.as_str()).cloned().unwrap_or_default();
    let wanted = filter.values.first().map_or("", String::as_str);
    let has = |word: &String| own.contains(&word.as_str()) || (own.is_empty() && word.is_empty());
    let compared = || Some(rank(&filter.field, own.first()?)?.cmp(&rank(&filter.field, wanted)?));
    let name =
        lockstep_core::rules::query::filter::Op::ALL.iter().find(|(_, op)| *op == filter.op).map(|(name, _)| *name);
    match name.unwrap_or_default() {
        "eq" | "in" => filter.values.iter().any(has),
        "ne" => !filter.values.iter().any(has),
        "exists" => own.is_empty() == (wanted == "false"),
        "lt" => compared() == Some(Ordering::Less),
        "lte" => compared().is_some_and(Ordering::is_le),
        "gt" => compared() == Some(Ordering::Greater),
        "gte" => compared().is_some_and(Ordering::is_ge),
        "startsWith" => own.iter().any(|word| word.starts_with(wanted)),
        "contains" => own.iter().any(|word| word.to_lowercase().contains(&wanted.to_lowercase())),
        other => panic!("{other}"),
    }
}

fn drawn_query(chance: &Chance) -> Query {
    let one = || {
        let (id, kind, words) = chance.pick(&FIELDS).expect("a field");
        let ops: &[&str] = match *kind {
            "set" => &["eq", "ne", "in", "contains", "exists"],
            "string" => &["eq", "ne", "in", "lt", "gte", "startsWith", "contains", "exists"],
            _ => &["eq", "ne", "in", "lt", "lte", "gt", "gte", "exists"],
        };
        let op = chance.pick(ops).expect("an operator");
        let word = || chance.pick(words).copied().expect("a value");
        let value = match *op {
            "exists" => (if chance.one_in(2) { "true" } else { "false" }).to_owned(),
            "in" => format!("{}|{}", word(), word()),
            "startsWith" | "contains" => word().chars().take(3).collect(),
            "eq" | "ne" if chance.one_in(6) => String::new(),
            _ => word().to_owned(),
        };
        filter(id, op, &value)
    };
    let filters = (0..chance.below(3)).map(|_| one()).collect();
    let by = chance.pick(&["createdAt", "city", "size", "price", "birthDate", "seen"]).copied();
    let order = by.filter(|_| !chance.one_in(4)).map(|by| (by, chance.one_in(2)));
    let limit = usize::try_from(1 + chance.below(9)).ok();
    Query { limit, ..asked(filters, order) }
}

/// What the query means, by looking at every record.
fn expected(records: &BTreeMap<RecordId, Values>, query: &Query) -> Vec<RecordId> {
    let mut met: Vec<_> =
        records.iter().filter(|(_, values)| query.filters.iter().all(|filter| meets(values, filter))).collect();
    if let Some((by, is_descending)) = &query.order {
        // By id where there is no such field: records are made in the order of their ids.
        let place = |values: &Values| values.get(by.as_str()).and_then(|words| rank(by, words.first()?));
        met.sort_by_key(|(id, values)| (place(values), **id));
        if *is_descending {
            met.reverse();
        }
    }
    met.into_iter().map(|(id, _)| *id).collect()
}

async fn furnish(office: &Office, chance: &Chance, count: usize) -> BTreeMap<RecordId, Values> {
    for (id, kind, _) in FIELDS.iter().filter(|(id, ..)| !["city", "birthDate", "tags"].contains(id)) {
        office.add("contact", field(id, kind, &json!({}))).await.expect("added");
    }
    let mut records = BTreeMap::new();
    for _ in 0..count {
        let values = drawn(chance);
        let id = office.create("contact", body(&values)).await.expect("made");
        records.insert(id, values);
        if chance.one_in(10) {
            office.delete("contact", id).await;
            records.remove(&id);
        }
    }
    records
}

#[test]
fn a_query_finds_what_looking_at_every_record_finds() {
    in_office(async |office| {
        let chance = Chance::new(7, "query");
        let mut records = furnish(&office, &chance, 120).await;
        for is_indexed in [false, true] {
            for id in INDEXED.iter().filter(|_| is_indexed) {
                office.change("contact", id, json!({"indexed": true})).await.expect("indexed");
            }
            for number in 0..400 {
                let query = drawn_query(&chance);
                let found = office.all(&ADMIN, "contact", &query).await.expect("found");
                assert_eq!(found, expected(&records, &query), "{number}, indexed: {is_indexed}, {query:?}");
                // Records go on changing between queries.
                let ids: Vec<RecordId> = records.keys().copied().collect();
                let (id, values) = (*chance.pick(&ids).expect("a record"), drawn(&chance));
                let fields = body(&values).as_object().cloned().expect("an object");
                office.submit("contact", Verb::Replace { id: &id.to_string(), fields }).await.expect("changed");
                records.insert(id, values);
            }
        }
    });
}

#[test]
fn a_row_condition_holds_for_every_way_of_finding() {
    in_office(async |office| {
        let chance = Chance::new(8, "query");
        let records = furnish(&office, &chance, 60).await;
        let seen: BTreeMap<RecordId, Values> =
            records.into_iter().filter(|(_, values)| values.get("city") == Some(&vec!["Delft"])).collect();
        let grant = json!({"conditions": {"contact": "city == 'Delft'"}, "hiddenFields": {"contact": ["price"]}});
        let (_, reader) = office.application("CRM", grant).await;
        for is_indexed in [false, true] {
            for id in INDEXED.iter().filter(|_| is_indexed) {
                office.change("contact", id, json!({"indexed": true})).await.expect("indexed");
            }
            for _ in 0..150 {
                let query = drawn_query(&chance);
                let names_hidden = query.filters.iter().any(|filter| filter.field == "price")
                    || query.order.as_ref().is_some_and(|(by, _)| by == "price");
                let found = office.all(&reader, "contact", &query).await;
                match names_hidden {
                    true => assert_eq!(code(found), Code::UnknownField),
                    false => assert_eq!(found.expect("found"), expected(&seen, &query), "{query:?}"),
                }
            }
        }
        let (_, blind) = office.application("Mail", json!({"abilities": ["read"]})).await;
        assert_eq!(code(office.page(&blind, "contact", Query::default()).await), Code::Forbidden);
    });
}

#[test]
fn pages_stay_apart_while_records_come_and_go() {
    in_office(async |office| {
        office.change("contact", "code", json!({"indexed": true})).await.expect("indexed");
        let mut ids = Vec::new();
        for number in 0..30 {
            ids.push(office.create("contact", json!({"code": format!("{number:02}")})).await.expect("made"));
        }
        for order in [("code", false), ("createdAt", false)] {
            let mut query = Query { limit: Some(10), ..asked(Vec::new(), Some(order)) };
            let first = office.page(&ADMIN, "contact", query.clone()).await.expect("found");
            query.cursor.clone_from(&first.next);
            // Before the place reached: one goes, one comes. After it: one comes to stand where it is met.
            office.delete("contact", ids[3]).await;
            let early = office.create("contact", json!({"code": "00a"})).await.expect("made");
            let rest = office.all(&ADMIN, "contact", &query).await.expect("found");
            let mut wanted = ids[10..].to_vec();
            wanted.extend((order.0 == "createdAt").then_some(early));
            assert_eq!(rest, wanted, "{order:?}");
            office.delete("contact", early).await;
            ids[3] = office.create("contact", json!({"code": "03"})).await.expect("made");
            if order.0 == "code" {
                ids.sort_unstable();
            }
        }
    });
}

#[test]
fn a_cursor_goes_on_with_its_own_query_alone() {
    in_office(async |office| {
        for _ in 0..3 {
            office.create("contact", json!({"city": "Delft"})).await.expect("made");
        }
        let query = Query { limit: Some(1), ..asked(vec![filter("city", "eq", "Delft")], None) };
        let next = office.page(&ADMIN, "contact", query.clone()).await.expect("found").next.expect("more");
        let with = |query: Query, cursor: &str| Query { cursor: Some(cursor.to_owned()), ..query };
        assert!(office.page(&ADMIN, "contact", with(Query { limit: Some(2), ..query.clone() }, &next)).await.is_ok());
        let other = asked(vec![filter("city", "eq", "Breda")], None);
        assert_eq!(code(office.page(&ADMIN, "contact", with(other, &next)).await), Code::InvalidParameter);
        assert_eq!(code(office.page(&ADMIN, "organization", with(query.clone(), &next)).await), Code::InvalidParameter);
        for bad in ["", "x", &next[1..], "rec_01"] {
            assert_eq!(code(office.page(&ADMIN, "contact", with(query.clone(), bad)).await), Code::InvalidParameter);
        }
        let misfit = asked(vec![filter("birthDate", "gt", "soon")], None);
        let refused = office.page(&ADMIN, "contact", misfit).await.expect_err("no day").rejection;
        assert!(refused.code == Code::InvalidParameter && refused.message.contains("birthDate"), "{refused:?}");
        let unsorted = asked(Vec::new(), Some(("tags", false)));
        assert_eq!(code(office.page(&ADMIN, "contact", unsorted).await), Code::InvalidParameter);
    });
}

#[test]
fn much_without_an_index_is_refused_and_much_with_one_is_found() {
    in_office(async |office| {
        let many = 10_050;
        let call = lockstep_engine::ingest::Call {
            principal: &ADMIN,
            business: BUSINESS,
            ty: "contact",
            verb: Verb::CreateMany,
            if_match: None,
            idempotency: None,
            bytes: b"",
        };
        let form = lockstep_engine::upload::Form::Records;
        let mut uploading = lockstep_engine::upload::begin(&office.engine, call, form, &[]).await.expect("begun");
        for number in 0..many {
            let city = if number == 7 { "Breda" } else { "Delft" };
            let line = json!({"city": city, "code": format!("{:05}", (number * 7_919) % many)}).to_string();
            uploading.line(Some(line.as_bytes())).await.expect("taken");
        }
        uploading.finish().await.expect("done");
        let city = |value: &str| vec![filter("city", "eq", value)];
        for query in [asked(city("Breda"), None), asked(Vec::new(), Some(("code", false)))] {
            let refused = office.page(&ADMIN, "contact", query).await.expect_err("no index").rejection;
            assert_eq!(refused.code, Code::IndexNeeded);
            assert!(refused.message.contains("{\"indexed\": true}"), "{}", refused.message);
        }
        office.change("contact", "city", json!({"indexed": true})).await.expect("indexed");
        assert_eq!(office.all(&ADMIN, "contact", &asked(city("Breda"), None)).await.expect("found").len(), 1);
        assert_eq!(
            office.all(&ADMIN, "contact", &asked(city("Breda"), Some(("code", true)))).await.expect("found").len(),
            1
        );
        let too_many = asked(city("Delft"), Some(("code", false)));
        assert_eq!(code(office.page(&ADMIN, "contact", too_many.clone()).await), Code::IndexNeeded);
        office.change("contact", "code", json!({"indexed": true})).await.expect("indexed");
        let found = office.all(&ADMIN, "contact", &Query { limit: Some(500), ..too_many }).await.expect("found");
        assert_eq!(found.len(), many - 1);
        let most =
            Query { limit: Some(500), ..asked(vec![filter("city", "in", "Delft|Ede")], Some(("createdAt", true))) };
        let found = office.all(&ADMIN, "contact", &most).await.expect("found");
        assert!(found.len() == many - 1 && found.is_sorted_by(|one, other| one > other));
        // What is looked at in one request is bounded: a page may be empty and go on.
        let rare = asked(vec![filter("lastName", "exists", "true")], Some(("code", false)));
        let page = office.page(&ADMIN, "contact", rare).await.expect("found");
        assert!(page.records.is_empty() && page.next.is_some());
    });
}

#[test]
fn choices_have_labels_and_are_searched() {
    in_office(async |office| {
        let ann = office.create("contact", json!({"firstName": "Ann", "lastName": "Vos"})).await.expect("made");
        let bob = office.create("contact", json!({"email": "bob@b.nl", "code": "s3cret"})).await.expect("made");
        let none = office.create("contact", json!({"city": "Delft"})).await.expect("made");
        let list = async |search: Option<&str>, limit: usize, cursor: Option<&str>| {
            let page = (Some(limit), cursor);
            query::choices(&office.engine, &ADMIN, (BUSINESS, "contact"), search, page).await.expect("listed")
        };
        let all = list(None, 9, None).await;
        let told: Vec<_> = all.choices.iter().map(|choice| (choice.id, choice.label.as_str())).collect();
        assert_eq!(told, [(none, none.to_string().as_str()), (bob, "bob@b.nl"), (ann, "Ann Vos")]);
        let first = list(None, 2, None).await;
        let rest = list(None, 2, first.next.as_deref()).await;
        assert_eq!((first.choices.len(), rest.choices.len(), rest.choices[0].id), (2, 1, ann));
        let found = async |search: &str| {
            list(Some(search), 9, None).await.choices.iter().map(|choice| choice.id).collect::<Vec<_>>()
        };
        assert_eq!((found("VOS").await, found("b.nl").await, found("delft").await), (vec![ann], vec![bob], vec![]));
        office.change("contact", "code", json!({"sensitive": true})).await.expect("changed");
        assert_eq!(found("s3cret").await, []);
        office.change("contact", "city", json!({"searchable": true})).await.expect("changed");
        assert_eq!((found("delft").await, found("VOS").await), (vec![none], vec![]), "those marked, and no others");
    });
}
