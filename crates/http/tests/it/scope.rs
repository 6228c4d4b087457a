//! Scope (P7), at random: whatever a credential's grant, and whatever happens, each way to look shows what a plain list
//! of states says should be seen, and no answer holds a value or an id that is out of sight.
//!
//! Every value is a marker of its own, so a leak is found wherever it stands. Whoever adds a way to look adds a line to
//! [`WAYS`], or to [`PLACES`] where it is no single record's. Deliveries are judged by the checker of P7 in `sim`: they
//! are cut by the same rule, `core::rules::scope`.

mod ledger;
mod script;

use crate::feed::{Events, awake};
use crate::office::{Answer, Office};
use ledger::{Called, Fields, Ledger, Sight, State, Told, marked};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use script::{Patch, Sights, Step, TYPES, Values, askable, both, case, fields_of, grant};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A credential, and what it should see.
struct Eye {
    key: String,
    sights: Sights,
    /// Markers and ids that may stand in what it is told.
    seen: BTreeSet<String>,
}

/// The office while things happen in it.
struct Play {
    office: Office,
    ledger: Ledger,
    markers: usize,
    /// What others asked for.
    operations: Vec<String>,
}

/// A record, or the whole business, as one credential asks about it.
struct Asked<'a> {
    ledger: &'a Ledger,
    sights: &'a Sights,
    ty: &'a str,
    record: usize,
    seq: u64,
}

impl Asked<'_> {
    fn sight(&self) -> &Sight {
        &self.sights[self.ty]
    }

    fn now(&self) -> &State {
        self.ledger.now(self.record)
    }
}

type Judge = fn(&Asked<'_>, &Answer);

/// A way to look at a record: verb, path and body, the header `External-Ids`, and what should be seen. `INTO` in a body
/// stands for the record, and `{living}` in a path for one that the credential may write.
struct Way(&'static str, &'static str, &'static str, Judge);

const READS: &[Way] = &[
    Way("GET", "/records/{type}/{id}", "", shows_the_record),
    Way("GET", "/records/{type}/{id}", "External-Ids", shows_all_ids),
    Way("GET", "/records/{type}/{id}/external-ids", "", lists_names),
    Way("GET", "/records/{type}/{id}/history", "", tells_its_past),
    Way("GET", "/records/{type}/{id}/why", "", says_why),
    Way("GET", "/records/{type}/{id}/similar", "", finds_its_like),
];

/// Ways to look at a record as it was.
const PAST: &[Way] = &[
    Way("GET", "/records/{type}/{id}?at={seq}", "", shows_what_was),
    Way("POST", "/v1/business/acme-1/{type}/at/{id}?seq={seq}", "{}", shows_what_was),
];

/// What only a record that may not be written is asked for, and must be refused.
const WRITES: &[Way] = &[
    Way("POST", "/records/{type}/{id}/copy", "{}", is_refused),
    Way("PATCH", "/records/{type}/{id}", "{}", is_refused),
    Way("PUT", "/records/{type}/{id}", "{}", is_refused),
    Way("POST", "/records/{type}/{id}/merge", r#"{"into": "INTO"}"#, is_refused),
    Way("POST", "/records/{type}/{living}/merge", r#"{"into": "INTO"}"#, is_refused),
    Way("POST", "/records/{type}/{id}/external-ids", r#"{"value": "other"}"#, is_refused),
    Way("DELETE", "/records/{type}/{id}/external-ids?value=other", "", is_refused),
    Way("POST", "/records/{type}/{id}/erase", "", is_refused),
    Way("POST", "/v1/business/acme-1/{type}/sync-by-id?id={id}", "{}", says_nothing_more),
    Way("POST", "/v1/business/acme-1/{type}/why/{id}", "{}", says_nothing_more),
    Way("POST", "/v1/business/acme-1/{type}/history/{id}", "{}", says_nothing_more),
];

/// Ways to look at a type.
const PLACES: &[Way] = &[
    Way("GET", "/types/{type}", "", names_no_hidden_field),
    Way("GET", "/types/{type}/fields", "", names_no_hidden_field),
    Way("GET", "/changes?types={type}&limit=1000", "", tells_the_types_changes),
    Way("GET", "/changes?types={type}&payload=id&limit=1000", "", tells_the_types_changes_by_id),
    Way("GET", "/changes?types={type}&kinds=deleted&limit=1000", "", tells_the_types_deletions),
    Way("GET", "/changes?limit=1000&payload=changes", "", says_nothing_more),
    Way("GET", "/records/{type}?limit=500", "", finds_the_types_records),
    Way("GET", "/records/{type}?limit=500&order=-createdAt&firstName[exists]=true", "", says_nothing_more),
    Way("GET", "/records/{type}?email[contains]=e&order=email", "", says_nothing_more),
    Way("GET", "/samples/{type}?limit=100", "", samples_the_types_records),
    Way("GET", "/resources/{type}?limit=500", "", offers_the_types_records),
    Way("GET", "/resources/{type}?search=e", "", says_nothing_more),
    Way("GET", "/types", "", says_nothing_more),
    Way("GET", "/subscriptions", "", says_nothing_more),
    Way("GET", "/audit", "", says_nothing_more),
];

fn is_refused(_: &Asked<'_>, answer: &Answer) {
    assert!((400..500).contains(&answer.status), "{answer:?}");
}

/// What no answer may hold is looked for in each of them.
fn says_nothing_more(_: &Asked<'_>, _: &Answer) {}

/// Whether an answer should be there, and is; one that should not is missing, or the type is not open.
fn is_there(asked: &Asked<'_>, should: bool, answer: &Answer) -> bool {
    let expected = match (asked.sight().reads, should) {
        (false, _) => (403, "forbidden"),
        (true, false) => (404, "record_not_found"),
        (true, true) => (200, ""),
    };
    assert_eq!((answer.status, answer.code()), expected, "{answer:?}");
    should && asked.sight().reads
}

fn named(called: &[Called]) -> Value {
    called.iter().map(|(realm, id)| json!({"provider": "crm", "realm": realm, "id": id})).collect()
}

fn shows_the_record(asked: &Asked<'_>, answer: &Answer) {
    let (sight, state) = (asked.sight(), asked.now());
    if is_there(asked, sight.sees(state), answer) {
        assert_eq!(answer.body["fields"], Value::Object(sight.visible(&state.fields)));
        assert_eq!(answer.body["externalIds"], named(&state.called));
    }
}

fn shows_all_ids(asked: &Asked<'_>, answer: &Answer) {
    let (sight, state, ledger) = (asked.sight(), asked.now(), asked.ledger);
    if !is_there(asked, sight.sees(state), answer) {
        return;
    }
    let every = |record: usize, called: &[Called]| {
        let own = json!({"provider": "lockstep", "realm": "acme-1", "id": ledger.records[record].1});
        let Value::Array(others) = named(called) else { panic!("a list") };
        std::iter::once(own).chain(others).collect::<Value>()
    };
    assert_eq!(answer.body["id"], every(asked.record, &state.called));
    if let Some(id) = sight.visible(&state.fields).get("organizationId").and_then(Value::as_str) {
        let other = ledger.records.iter().position(|(_, known)| known == id).expect("a record");
        let is_seen = asked.sights["organization"].sees(ledger.now(other));
        let called = if is_seen { &ledger.now(other).called[..] } else { &[] };
        assert_eq!(answer.body["fields"]["organizationId"], every(other, called));
    }
}

fn lists_names(asked: &Asked<'_>, answer: &Answer) {
    if is_there(asked, asked.sight().sees(asked.now()), answer) {
        assert_eq!(answer.body, named(&asked.now().called));
    }
}

fn shows_what_was(asked: &Asked<'_>, answer: &Answer) {
    let (sight, state) = (asked.sight(), asked.ledger.at(asked.record, asked.seq));
    if is_there(asked, state.is_some_and(|state| sight.recalls(state)), answer) {
        let state = state.expect("it is there");
        assert_eq!(answer.body["fields"], Value::Object(sight.visible(&state.fields)));
        assert_eq!(answer.body["deleted"] == true, state.is_deleted);
    }
}

fn tells_its_past(asked: &Asked<'_>, answer: &Answer) {
    let (sight, ledger) = (asked.sight(), asked.ledger);
    let own = ledger.log.iter().rev().filter(|entry| entry.record == asked.record);
    let told: Vec<Told> = own.filter_map(|entry| entry.recalled(sight)).collect();
    if !is_there(asked, !told.is_empty() || sight.recalls(asked.now()), answer) {
        return;
    }
    let short = |told: &Told| json!([told.seq, told.kind, told.reason, told.changes]);
    let items = answer.body["items"].as_array().expect("a list");
    let shown = |item: &Value| json!([item["seq"], item["kind"], item["reason"], item["changes"]]);
    assert_eq!(items.iter().map(shown).collect::<Vec<_>>(), told.iter().map(short).collect::<Vec<_>>());
}

fn says_why(asked: &Asked<'_>, answer: &Answer) {
    if is_there(asked, asked.sight().recalls(asked.now()), answer) {
        let fields = answer.body["fields"].as_object().expect("fields");
        let values: Fields = fields.iter().map(|(field, why)| (field.clone(), why["value"].clone())).collect();
        assert_eq!(values, asked.sight().visible(&asked.now().fields));
    }
}

/// Of the groups that types declare, only addresses of mail are ever given here.
fn finds_its_like(asked: &Asked<'_>, answer: &Answer) {
    let (sight, ledger) = (asked.sight(), asked.ledger);
    if !is_there(asked, sight.recalls(asked.now()), answer) {
        return;
    }
    let of = |record: usize| sight.visible(&ledger.now(record).fields).get("email").cloned();
    let alike = ledger.living(asked.ty).into_iter().filter(|other| {
        *other != asked.record
            && of(*other).is_some()
            && of(*other) == of(asked.record)
            && sight.sees(ledger.now(*other))
    });
    let expected: BTreeSet<&str> = alike.map(|other| &*ledger.records[other].1).collect();
    let found = answer.body["similar"].as_array().expect("a list");
    assert_eq!(found.iter().filter_map(|one| one["recordId"].as_str()).collect::<BTreeSet<_>>(), expected);
}

fn names_no_hidden_field(asked: &Asked<'_>, answer: &Answer) {
    let sight = asked.sight();
    assert!(answer.status == 200 || !sight.reads, "{answer:?}");
    let text = answer.body.to_string();
    // As a field, as a property of the JSON Schema, in a match group.
    let ways = |field: &&&str| [format!("\"id\":\"{field}\""), format!("\"{field}\":"), format!("[\"{field}\"")];
    let found = sight.hidden.iter().find(|field| ways(field).iter().any(|way| text.contains(way)));
    assert!(found.is_none(), "{found:?} in {text}");
}

/// What a change of the feed says, but for when it was and whose.
fn is_told_as(ledger: &Ledger, told: &Told, change: &Value) {
    let members = |names: &[&str]| names.iter().map(|name| change[name].clone()).collect::<Vec<_>>();
    let (ty, id) = &ledger.records[told.record];
    let expected = [json!(told.seq), json!(told.kind), json!(ty), json!(id), json!(told.reason)];
    assert_eq!(members(&["seq", "kind", "type", "recordId", "reason"]), expected, "{change}");
    if told.reason == Some("left-scope") {
        let only = ["at", "id", "kind", "kinds", "reason", "recordId", "seq", "type", "version"];
        assert!(change.as_object().expect("a change").keys().eq(only), "the id alone: {change}");
    }
    let is_there = !matches!(told.kind, "deleted" | "merged");
    // Of a new record its values say it all.
    let changes = if told.kind == "created" { Value::Null } else { told.changes.clone() };
    let values = [json!(told.fields), changes, named(&told.called)];
    let expected = if is_there { values.to_vec() } else { vec![Value::Null; 3] };
    assert_eq!(members(&["fields", "changes", "externalIds"]), expected);
    assert_eq!(change["mergedInto"], json!(told.merged_into.map(|into| &ledger.records[into].1)), "{change}");
}

fn told_of_type(asked: &Asked<'_>, answer: &Answer) -> Option<(Vec<Told>, Vec<Value>)> {
    if !asked.sight().reads {
        assert_eq!((answer.status, answer.code()), (403, "forbidden"));
        return None;
    }
    let mut told = asked.ledger.told_to(asked.sights);
    told.retain(|told| asked.ledger.records[told.record].0 == asked.ty);
    Some((told, answer.body["changes"].as_array().expect("a list").clone()))
}

fn tells_the_types_changes(asked: &Asked<'_>, answer: &Answer) {
    let Some((told, changes)) = told_of_type(asked, answer) else { return };
    assert_eq!(changes.len(), told.len(), "{answer:?}");
    told.iter().zip(&changes).for_each(|(told, change)| is_told_as(asked.ledger, told, change));
}

fn tells_the_types_changes_by_id(asked: &Asked<'_>, answer: &Answer) {
    let Some((told, changes)) = told_of_type(asked, answer) else { return };
    let seqs: Vec<_> = changes.iter().map(|change| change["seq"].as_u64()).collect();
    assert_eq!(seqs, told.iter().map(|told| Some(told.seq)).collect::<Vec<_>>());
    assert!(changes.iter().all(|change| change.get("fields").or(change.get("changes")).is_none()));
}

/// A record that was merged is gone to whoever asks for no merges.
fn tells_the_types_deletions(asked: &Asked<'_>, answer: &Answer) {
    let Some((mut told, changes)) = told_of_type(asked, answer) else { return };
    told.retain(|told| matches!(told.kind, "deleted" | "merged"));
    let seqs: Vec<_> = changes.iter().map(|change| change["seq"].as_u64()).collect();
    assert_eq!(seqs, told.iter().map(|told| Some(told.seq)).collect::<Vec<_>>());
}

/// The living records of a type that the credential sees, with what it sees of each, oldest first.
fn in_sight(asked: &Asked<'_>) -> Vec<(String, Value)> {
    let (sight, ledger) = (asked.sight(), asked.ledger);
    let own = ledger.living(asked.ty).into_iter().filter(|record| sight.sees(ledger.now(*record)));
    let seen =
        own.map(|record| (ledger.records[record].1.clone(), Value::Object(sight.visible(&ledger.now(record).fields))));
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    seen
}

fn lists(asked: &Asked<'_>, answer: &Answer, list: impl Fn(&Value) -> Option<&Vec<Value>>) -> Option<Vec<Value>> {
    let expected = if asked.sight().reads { 200 } else { 403 };
    assert_eq!(answer.status, expected, "{answer:?}");
    (expected == 200).then(|| list(&answer.body).expect("a list").clone())
}

fn finds_the_types_records(asked: &Asked<'_>, answer: &Answer) {
    let Some(found) = lists(asked, answer, |body| body["items"].as_array()) else { return };
    let found: Vec<_> = found.iter().map(|item| (item["id"].clone(), item["fields"].clone())).collect();
    assert_eq!(found, in_sight(asked).into_iter().map(|(id, fields)| (id.into(), fields)).collect::<Vec<_>>());
}

fn samples_the_types_records(asked: &Asked<'_>, answer: &Answer) {
    let Some(found) = lists(asked, answer, Value::as_array) else { return };
    let found: Vec<_> = found.iter().rev().map(|item| (item["id"].clone(), item["fields"].clone())).collect();
    assert_eq!(found, in_sight(asked).into_iter().map(|(id, fields)| (id.into(), fields)).collect::<Vec<_>>());
}

fn offers_the_types_records(asked: &Asked<'_>, answer: &Answer) {
    let Some(found) = lists(asked, answer, Value::as_array) else { return };
    let found: Vec<_> = found.iter().rev().map(|item| item["id"].clone()).collect();
    assert_eq!(found, in_sight(asked).into_iter().map(|(id, _)| Value::from(id)).collect::<Vec<_>>());
}

impl Play {
    async fn open() -> Self {
        Self { office: Office::open().await, ledger: Ledger::default(), markers: 10, operations: Vec::new() }
    }

    fn marker(&mut self) -> String {
        self.markers += 1;
        format!("mk{}x", self.markers)
    }

    /// The values that a patch stands for.
    fn values(&mut self, ty: &str, patch: &Patch) -> Fields {
        let fields = fields_of(ty);
        let mut values = Fields::new();
        for (field, choice) in patch {
            let (name, kind) = fields[field % fields.len()];
            let organizations = self.ledger.living("organization");
            let value = match (kind, choice) {
                (_, 0) => Value::Null,
                (Values::TextOr(text), 1..=4) => json!(text),
                (Values::TextOr(_) | Values::Marker, _) => json!(self.marker()),
                (Values::Flag, _) => json!(*choice < 6),
                (Values::Email, _) => json!(format!("mk{}x@example.com", choice % 2)),
                (Values::Organization, _) => match organizations.get(usize::from(*choice) % organizations.len().max(1))
                {
                    Some(one) => json!(self.ledger.records[*one].1),
                    None => Value::Null,
                },
            };
            values.insert(name.to_owned(), value);
        }
        values
    }

    /// A call by whoever sees all.
    async fn call(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/businesses/acme-1/records/{path}");
        let answer = self.office.rest(method, &path, &self.office.acme.key, body).await;
        assert!(answer.status < 300, "{method} {path} {body}: {answer:?}");
        self.operations
            .extend(answer.headers.get("lockstep-operation").map(|id| id.to_str().expect("text").to_owned()));
        answer.body
    }

    async fn step(&mut self, step: &Step) {
        let pick = |ledger: &Ledger, ty: usize, one: usize| {
            let living = ledger.living(TYPES[ty].0);
            living.get(one % living.len().max(1)).copied()
        };
        let path = |ledger: &Ledger, one: usize| format!("{}/{}", ledger.records[one].0, ledger.records[one].1);
        match step {
            Step::Create(ty, patch) => {
                let ty = TYPES[*ty].0;
                let mut fields = self.values(ty, patch);
                fields.retain(|_, value| !value.is_null());
                let made = self.call("POST", ty, &json!(fields)).await;
                self.ledger.create(ty, made["id"].as_str().expect("an id").to_owned(), fields);
            }
            Step::Patch(ty, one, patch) => {
                let Some(one) = pick(&self.ledger, *ty, *one) else { return };
                let values = self.values(TYPES[*ty].0, patch);
                self.call("PATCH", &path(&self.ledger, one), &json!(values)).await;
                self.ledger.patch(one, &values);
            }
            Step::Delete(ty, one) => {
                let Some(one) = pick(&self.ledger, *ty, *one) else { return };
                self.call("DELETE", &path(&self.ledger, one), &Value::Null).await;
                self.ledger.delete(one);
            }
            Step::Call(ty, one, realm) => {
                let Some(one) = pick(&self.ledger, *ty, *one) else { return };
                let name = (if *realm { "north" } else { "south" }.to_owned(), self.marker());
                let body = json!({"realm": name.0, "value": name.1});
                self.call("POST", &format!("{}/external-ids", path(&self.ledger, one)), &body).await;
                self.ledger.call(one, name);
            }
            Step::Merge(ty, goes, stays) => {
                let pair = (pick(&self.ledger, *ty, *goes), pick(&self.ledger, *ty, *stays));
                let (Some(goes), Some(stays)) = pair else { return };
                if goes != stays {
                    let into = json!({"into": self.ledger.records[stays].1});
                    self.call("POST", &format!("{}/merge", path(&self.ledger, goes)), &into).await;
                    self.ledger.merge(goes, stays);
                }
            }
            Step::Unmerge(one) => {
                let merged: Vec<_> =
                    (0..self.ledger.records.len()).filter(|one| self.ledger.was_merged(*one)).collect();
                let Some(one) = merged.get(one % merged.len().max(1)).copied() else { return };
                self.call("POST", &format!("{}/unmerge", path(&self.ledger, one)), &Value::Null).await;
                self.ledger.unmerge(one);
            }
        }
    }

    /// Asks, and looks for what the credential may not see.
    async fn ask(&self, eye: &Eye, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {}", eye.key);
        let headers = [&[("authorization", &*bearer)], headers].concat();
        let full = if path.starts_with("/v1") { path.to_owned() } else { format!("/rest/v1/businesses/acme-1{path}") };
        let answer = self.office.send(method, &full, &headers, body).await;
        let said = marked(&format!("{path} {body}"));
        let told = marked(&format!("{:?} {}", answer.headers, answer.body));
        let leaks: Vec<_> = told.difference(&eye.seen).filter(|text| !said.contains(*text)).collect();
        assert!(leaks.is_empty(), "{leaks:?} leak to {:?} from {method} {path} {body}: {answer:?}", eye.sights);
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
        answer
    }

    async fn look(&self, eye: &Eye, Way(method, path, body, judge): &Way, (ty, record, seq): (&str, usize, u64)) {
        let id = self.ledger.records.get(record).map_or("", |(_, id)| id.as_str());
        let asked = Asked { ledger: &self.ledger, sights: &eye.sights, ty, record, seq };
        let living = self.ledger.living(ty).into_iter().find(|one| asked.sight().reaches(self.ledger.now(*one)));
        let living = living.map_or(id, |living| self.ledger.records[living].1.as_str());
        let path = path.replace("{type}", ty).replace("{id}", id).replace("{living}", living);
        let path = path.replace("{seq}", &seq.to_string());
        let headers: &[_] = if *body == "External-Ids" { &[("external-ids", "true")] } else { &[] };
        let body = if headers.is_empty() { body.replace("INTO", id) } else { String::new() };
        judge(&asked, &self.ask(eye, (method, &path), headers, &body).await);
    }

    /// What a credential is told when it repeats a call that changed nothing, from when the record may have stood
    /// within its reach.
    async fn repeat(&self, eye: &Eye, record: usize) {
        let (ty, id) = &self.ledger.records[record];
        let (sight, state) = (&eye.sights[ty], self.ledger.now(record));
        let key = format!("again-{id}");
        let path = format!("/records/{ty}/{id}");
        let answer = self.ask(eye, ("PATCH", &path), &[("idempotency-key", &key)], "{}").await;
        if sight.reaches(state) && answer.status == 200 {
            let fields = if sight.reads { sight.visible(&state.fields) } else { Fields::new() };
            assert_eq!(answer.body["fields"], Value::Object(fields));
        }
    }

    /// Everything that a credential can look at, in every way.
    async fn look_around(&self, eye: &Eye) {
        for (ty, _) in TYPES {
            for way in PLACES {
                self.look(eye, way, (ty, 0, 0)).await;
            }
        }
        for (record, (ty, _)) in self.ledger.records.iter().enumerate() {
            for way in READS {
                self.look(eye, way, (ty, record, 0)).await;
            }
            for seq in 1..=self.ledger.log.len() as u64 {
                for way in PAST {
                    self.look(eye, way, (ty, record, seq)).await;
                }
            }
            if !eye.sights[ty].reaches(self.ledger.now(record)) {
                for way in WRITES {
                    self.look(eye, way, (ty, record, 0)).await;
                }
            }
            self.repeat(eye, record).await;
        }
        for operation in &self.operations {
            for (method, path) in [("GET", ""), ("POST", "/rollback")] {
                let path = format!("/operations/{operation}{path}");
                assert_eq!(self.ask(eye, (method, &path), &[], "").await.status, 404, "another's");
            }
        }
    }

    /// The feed, by pages and as a stream, tells each change once and in order.
    async fn follow(&self, eye: &Eye) {
        let told = self.ledger.told_to(&eye.sights);
        if !eye.sights.values().any(|sight| sight.reads)
            && self.ask(eye, ("GET", "/changes"), &[], "").await.status == 403
        {
            return;
        }
        let (mut after, mut told_by_page) = ("0".to_owned(), 0);
        loop {
            let page = self.ask(eye, ("GET", &format!("/changes?limit=3&after={after}")), &[], "").await.body;
            for change in page["changes"].as_array().expect("a list") {
                is_told_as(&self.ledger, told.get(told_by_page).expect("no more than should be told"), change);
                told_by_page += 1;
            }
            page["after"].as_str().expect("a cursor").clone_into(&mut after);
            if page["seq"] == page["head"] {
                break;
            }
        }
        assert_eq!(told_by_page, told.len());
        let mut events = Events::open(&self.office, "after=0", &eye.key, &[]).await;
        for told in &told {
            let (_, name, data) = events.next().await.expect("an event");
            assert_eq!(name, told.kind);
            is_told_as(&self.ledger, told, &data);
        }
    }
}

async fn play((own, wanted, steps): (Sights, Sights, Vec<Step>)) {
    let mut play = Play::open().await;
    let badge = play.office.badge("Acme", "narrow", &grant(&own)).await;
    let asked = askable(&own, &wanted);
    let (_, token) = play.office.token(&badge.key, &grant(&asked)).await;
    let eye = |key: String, sights: Sights, ledger: &Ledger| Eye { key, seen: ledger.seen_by(&sights), sights };
    let all = [(badge.key, own.clone()), (token, both(&own, &asked))];
    for (count, step) in steps.iter().enumerate() {
        play.step(step).await;
        if count % 4 == 3 {
            for (key, sights) in all.clone() {
                let eye = eye(key, sights, &play.ledger);
                let records = 0..play.ledger.records.len();
                for record in
                    records.filter(|one| eye.sights[play.ledger.records[*one].0].reaches(play.ledger.now(*one)))
                {
                    play.repeat(&eye, record).await;
                }
            }
        }
    }
    // The list of states is the office's own, as whoever sees all is told of it.
    let path = "/businesses/acme-1/changes?limit=1000";
    let feed = play.office.rest("GET", path, &play.office.acme.key, &Value::Null).await;
    assert_eq!(feed.body["head"], play.ledger.log.len());
    for (key, sights) in all {
        let eye = eye(key, sights, &play.ledger);
        play.look_around(&eye).await;
        awake(&play.office, play.follow(&eye)).await;
    }
}

#[test]
fn nobody_is_told_more_or_less_than_their_grant_shows() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
    let seeded = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let outcome = TestRunner::new_with_rng(config, seeded).run(&case(), |drawn| {
        runtime.block_on(play(drawn));
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}
