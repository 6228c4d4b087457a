//! The ready-made connectors, read by our runtime from the doubles: whole, under faults, and from a state. What is
//! read is compared with what the platform holds.

use lockstep_connect::{Ask, Check, Event, Source, World};
use lockstep_core::clock::Clock;
use lockstep_sim::platforms::activecampaign::{ActiveCampaign, Origin};
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::rest::{Auth, Rest};
use lockstep_sim::platforms::{Faults, Platform, ScaledClock, Site};
use lockstep_sim::time::BEGINNING;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What goes wrong in the tests with faults: a tenth of calls, and an answer that is late.
const FAULTS: Faults = Faults {
    throttle_one_in: 10,
    retry_after_seconds: 2,
    unavailable_one_in: 10,
    answer_lost_one_in: 10,
    slow_one_in: 10,
    slow_ms: 3000,
    expire_one_in: 20,
    hook_lost_one_in: 0,
    hook_twice_one_in: 0,
    hooks_are_shuffled: false,
};

/// A connector with its configuration, before its platform.
struct Desk<P> {
    source: Source,
    config: Value,
    site: Arc<Site<P>>,
    clock: Arc<dyn Clock>,
}

/// What a read gave.
#[derive(Default)]
struct Found {
    records: BTreeMap<String, Vec<Arc<Value>>>,
    states: BTreeMap<String, Value>,
    problems: Vec<String>,
}

impl Found {
    /// The ids of a stream, each once; a record that came twice is a fault of the test's world, not of the read.
    fn ids(&self, stream: &str, key: &str) -> BTreeSet<String> {
        let records = self.records.get(stream).into_iter().flatten();
        records.map(|record| record[key].as_str().map_or_else(|| record[key].to_string(), str::to_owned)).collect()
    }

    fn count(&self, stream: &str) -> usize {
        self.records.get(stream).map_or(0, Vec::len)
    }
}

impl<P: Platform> Desk<P> {
    fn new(connector: &str, config: Value, platform: P) -> Self {
        let source = Source::parse(&manifest(connector), Arc::new(())).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ScaledClock::begin(1));
        Self { source, config, site: Arc::new(Site::new(platform, 7, Arc::clone(&clock))), clock }
    }

    fn world(&self) -> World {
        World { transport: Arc::clone(&self.site) as _, clock: Arc::clone(&self.clock), seed: 7, keep: None }
    }

    async fn check(&self) -> Check {
        self.source.open(self.config.clone(), self.world()).unwrap().check().await
    }

    /// Reads all streams from their states.
    async fn read(&self, states: &BTreeMap<String, Value>) -> Found {
        self.ask(Ask { streams: None, states: states.clone(), ..Ask::default() }).await
    }

    /// Reads some streams from their beginning.
    async fn read_some(&self, names: &[&str]) -> Found {
        let streams = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        self.ask(Ask { streams: Some(streams), ..Ask::default() }).await
    }

    async fn ask(&self, ask: Ask) -> Found {
        let session = self.source.open(self.config.clone(), self.world()).unwrap();
        let (out, mut events) = tokio::sync::mpsc::channel(8);
        let reading = async {
            session.read(ask, &out).await.unwrap();
            drop(out);
        };
        let mut found = Found::default();
        let taking = async {
            while let Some(event) = events.recv().await {
                match event {
                    Event::Records { stream, records, .. } => {
                        found.records.entry(stream.to_string()).or_default().extend(records);
                    }
                    Event::State { stream, state } => drop(found.states.insert(stream.to_string(), state)),
                    Event::Problem { stream, part, failure, .. } => {
                        found.problems.push(format!("{stream} {part}: {failure:?}"));
                    }
                    Event::Began { .. } | Event::Ended { .. } => {}
                }
            }
        };
        tokio::join!(reading, taking);
        found
    }

    /// Reads all there is; nothing may fail.
    async fn read_whole(&self) -> Found {
        let found = self.read(&BTreeMap::new()).await;
        assert_eq!(found.problems, [""; 0]);
        found
    }
}

/// The text of a connector's manifest.
fn manifest(connector: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors").join(connector);
    fs::read_to_string(folder.join("manifest.yaml")).unwrap()
}

fn blueconic(people: u64) -> Desk<BlueConic> {
    let config = json!({"base_url": "https://acme.blueconic.net/rest/v2", "client_id": "hub", "client_secret": "s3"});
    Desk::new("blueconic", config, BlueConic::new(1).with_people(people, BEGINNING))
}

fn copernica(version: &str, people: u64) -> Desk<Copernica> {
    let config = json!({"access_token": Copernica::TOKEN, "collections": ["21"]});
    Desk::new(&format!("copernica-{version}"), config, Copernica::new(1).with_people(people, BEGINNING))
}

fn activecampaign(people: u64) -> Desk<ActiveCampaign> {
    let config = json!({"base_url": "https://acme.api-us1.com/api/3", "api_key": ActiveCampaign::TOKEN});
    Desk::new("activecampaign", config, ActiveCampaign::new(1).with_fields(110).with_people(people, BEGINNING))
}

/// Compares what was read of BlueConic with what it holds.
fn assert_blueconic(desk: &Desk<BlueConic>, found: &Found) {
    let held: BTreeSet<String> = desk.site.look(|platform| platform.profiles().keys().cloned().collect());
    assert_eq!(found.ids("profiles", "id"), held);
    assert_eq!((found.count("profile_properties"), found.count("segments")), (9, 1));
    for record in &found.records["profiles"] {
        let kept = desk.site.look(|platform| platform.profiles()[record["id"].as_str().unwrap()].clone());
        assert_eq!(record["lastmodifieddate"], kept.modified_at.0);
        let email = record["properties"].as_array().unwrap().iter().find(|property| property["id"] == "email");
        assert_eq!(email.unwrap()["values"], json!(kept.values("email")));
    }
}

#[tokio::test(start_paused = true)]
async fn blueconic_is_read_whole_under_faults_and_from_a_state() {
    let desk = blueconic(2500);
    assert_eq!(desk.check().await, Check::Works);
    let found = desk.read_whole().await;
    assert_eq!(found.count("profiles"), 2500);
    assert_blueconic(&desk, &found);

    desk.site.set(FAULTS);
    assert_blueconic(&desk, &desk.read_whole().await);
    desk.site.set(Faults::default());

    tokio::time::advance(std::time::Duration::from_secs(3600)).await;
    let changed = found.ids("profiles", "id").into_iter().next().unwrap();
    desk.site.look(|platform| platform.visit(&changed, "city", &["Gouda"], desk.clock.now()));
    let later = desk.read(&found.states).await;
    assert!(later.ids("profiles", "id").contains(&changed));
    assert!(later.count("profiles") < 100, "{} profiles", later.count("profiles"));
}

#[tokio::test(start_paused = true)]
async fn both_versions_of_copernica_are_read_whole_under_faults_and_from_a_state() {
    for version in ["v3", "v4"] {
        let desk = copernica(version, 1300);
        assert_eq!(desk.check().await, Check::Works);
        let held: BTreeSet<String> = desk.site.look(|it| it.profiles().keys().map(u64::to_string).collect());
        let found = desk.read_whole().await;
        assert_eq!((found.ids("profiles", "ID"), found.count("profiles")), (held.clone(), 1300), "{version}");
        let counts = ["identity", "databases", "fields", "interests", "collections"].map(|stream| found.count(stream));
        assert_eq!(counts, [1, 1, 5, 5, 1], "{version}");
        assert_eq!(found.count("subprofiles"), 433, "every third has an order");
        assert!(found.records["fields"].iter().all(|field| field["database"] == "12"));

        // v3 has no token to renew.
        let expire_one_in = if version == "v3" { 0 } else { FAULTS.expire_one_in };
        desk.site.set(Faults { expire_one_in, ..FAULTS });
        let names = ["identity", "databases", "profiles"];
        let faulty = desk.read_some(&names).await;
        assert_eq!((faulty.problems.as_slice(), faulty.ids("profiles", "ID")), (&[] as &[String], held), "{version}");
        desk.site.set(Faults::default());

        tokio::time::advance(std::time::Duration::from_secs(7200)).await;
        assert!(desk.site.look(|platform| platform.edit(502, &json!({"city": "Gouda"}), desk.clock.now())));
        let later = desk.read(&found.states).await;
        assert!(later.ids("profiles", "ID").contains("502"), "{version}");
        // People were made a second apart until 01:00:00 in Amsterdam, and an hour is read again.
        let partition = json!({"database": "12", "parent_slice": {}});
        let state = json!({"states": [{"partition": partition, "cursor": {"modified": "2026-01-01 01:50:00"}}]});
        let later = desk.read(&BTreeMap::from([("profiles".to_owned(), state)])).await;
        assert_eq!(later.count("profiles"), 602, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn activecampaign_is_read_whole_within_its_limit_under_faults_and_from_a_state() {
    let desk = activecampaign(220);
    assert_eq!(desk.check().await, Check::Works);
    let found = desk.read_whole().await;
    let held: BTreeSet<String> = desk.site.look(|it| it.contacts().keys().map(u64::to_string).collect());
    assert_eq!((found.ids("contacts", "id"), found.count("contacts")), (held.clone(), 220));
    let counts = ["users_me", "fields", "lists", "tags", "accounts", "deals"].map(|stream| found.count(stream));
    assert_eq!(counts, [1, 113, 2, 2, 44, 44]);
    let counts = ["contact_tags", "contact_lists", "field_values"].map(|stream| found.count(stream));
    assert_eq!(counts, [220, 220, 440]);
    let refused = desk.site.seen().iter().filter(|seen| seen.status == 429).count();
    assert_eq!(refused, 0, "the budget keeps under the limit");

    desk.site.set(FAULTS);
    let faulty = desk.read_some(&["contacts", "fields", "contact_tags"]).await;
    assert_eq!((faulty.problems.as_slice(), faulty.ids("contacts", "id")), (&[] as &[String], held));
    assert_eq!((faulty.count("fields"), faulty.ids("contact_tags", "id").len()), (113, 220));
    desk.site.set(Faults::default());

    tokio::time::advance(std::time::Duration::from_secs(10 * 86_400)).await;
    let told = json!({"firstName": "Bo"});
    desk.site.look(|platform| platform.edit(100, &told, Origin::Admin, desk.clock.now()));
    let newer =
        desk.read(&BTreeMap::from([("contacts".to_owned(), json!({"udate": "2026-01-08T00:00:00+0000"}))])).await;
    assert_eq!(newer.ids("contacts", "id"), BTreeSet::from(["100".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn the_generic_connector_pages_and_proves_itself_in_every_way() {
    let key = |kind: &str| json!({"type": kind, "key": Auth::KEY});
    let oauth = json!({
        "type": "oauth2_client_credentials", "token_url": "https://rest.test/oauth/token", "client_id": Auth::USER,
        "client_secret": Auth::KEY,
    });
    let basic = json!({"type": "basic", "username": Auth::USER, "password": Auth::KEY});
    for (style, paging, auth, said) in [
        ("offset", json!({"type": "offset", "size": 30}), Auth::KeyHeader, key("key_header")),
        ("page", json!({"type": "page", "size": 30, "size_parameter": "per_page"}), Auth::Basic, basic),
        ("cursor", json!({"type": "cursor", "token_path": ["meta", "next_cursor"]}), Auth::OAuth2, oauth),
        ("next", json!({"type": "next_url", "token_path": ["links", "next"]}), Auth::KeyQuery, key("key_query")),
        ("link", json!({"type": "link_header"}), Auth::Bearer, key("bearer")),
    ] {
        let records = if style == "link" { json!([]) } else { json!(["data", "items"]) };
        let config = json!({
            "base_url": "https://rest.test", "path": format!("/{style}/items"), "auth": said, "paging": paging,
            "records_path": records, "changed_since": {"parameter": "updated_since", "field": "updated_at"},
        });
        let desk = Desk::new("generic-rest", config, Rest::new(1, auth).with_people(330, 1, BEGINNING));
        assert_eq!(desk.check().await, Check::Works, "{style}");
        let held: BTreeSet<String> = (1..=330_u64).map(|id| id.to_string()).collect();
        let found = desk.read_whole().await;
        assert_eq!((found.ids("items", "id"), found.count("items")), (held.clone(), 330), "{style}");
        desk.site.set(FAULTS);
        assert_eq!(desk.read_whole().await.ids("items", "id"), held, "{style}");
        desk.site.set(Faults::default());
        tokio::time::advance(std::time::Duration::from_secs(3600)).await;
        desk.site.look(|platform| platform.update(5, &json!({"name": "Bo"}), desk.clock.now()));
        let later = desk.read(&found.states).await;
        assert!(later.ids("items", "id").contains("5"), "{style}");
        assert!(later.count("items") < 100, "{style}: {}", later.count("items"));
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_credentials_fail_the_check_in_words() {
    let said = |check: Check| match check {
        Check::Works => panic!("it works"),
        Check::Fails(why) => why,
    };
    let mut desk = activecampaign(1);
    desk.config["api_key"] = json!("wrong-key");
    let why = said(desk.check().await);
    assert!(why.contains("ActiveCampaign does not take this key") && !why.contains("wrong-key"), "{why}");
    let mut desk = copernica("v4", 1);
    desk.config["access_token"] = json!("wrong-token");
    let why = said(desk.check().await);
    assert!(why.contains("Copernica does not know this API token") && !why.contains("wrong-token"), "{why}");
    let mut desk = copernica("v3", 1);
    desk.config["access_token"] = json!("wrong-token");
    let why = said(desk.check().await);
    assert!(why.contains("Copernica does not know this API token") && !why.contains("wrong-token"), "{why}");
    let mut desk = blueconic(1);
    desk.config["client_secret"] = json!("wrong-secret");
    let why = said(desk.check().await);
    assert!(!why.contains("wrong-secret"), "{why}");
}

/// Reads with one mistake in the manifest, and says whether that shows: something failed, or records are missing.
async fn is_found_out<P: Platform>(
    mut desk: Desk<P>,
    (connector, right, wrong): (&str, &str, &str),
    whole: (&str, usize),
) -> bool {
    let text = manifest(connector);
    assert!(text.contains(right), "{connector} does not say `{right}`");
    desk.source = Source::parse(&text.replacen(right, wrong, 1), Arc::new(())).unwrap();
    let found = desk.read_some(&[whole.0]).await;
    !found.problems.is_empty() || found.count(whole.0) != whole.1
}

#[tokio::test(start_paused = true)]
async fn mistakes_that_are_easily_made_are_found_out_by_the_doubles() {
    for (right, wrong) in [
        ("if next_page_token else '*'", "if next_page_token else ''"),
        ("field_path: [profiles]", "field_path: [items]"),
        ("grant_type: client_credentials", "grant_type: password"),
        ("\"fromValue\": {{ stream_interval['start_time'] }}", "\"fromValue\": \"{{ stream_interval }}\""),
    ] {
        let mistake = ("blueconic", right, wrong);
        assert!(is_found_out(blueconic(1200), mistake, ("profiles", 1200)).await, "{wrong}");
    }
    let desk = blueconic(20_000);
    desk.site.set(Faults { expire_one_in: 8, ..Faults::default() });
    let mistake = ("blueconic", "action: REFRESH_TOKEN_THEN_RETRY", "action: RETRY");
    assert!(is_found_out(desk, mistake, ("profiles", 20_000)).await, "a token is not renewed");

    for (right, wrong) in [
        (
            "request_authentication: {type: Bearer}",
            "request_authentication: {type: ApiKey, inject_into: {type: RequestOption, inject_into: request_parameter, field_name: access_token}}",
        ),
        ("decoder: {type: PlainTextDecoder}", "decoder: {type: JsonDecoder}"),
        ("request_body_data:", "request_body_json:"),
        ("cursor_value: \"{{ last_record['ID'] }}\"", "cursor_value: \"{{ response['next'] }}\""),
    ] {
        let mistake = ("copernica-v4", right, wrong);
        assert!(is_found_out(copernica("v4", 1300), mistake, ("profiles", 1300)).await, "{wrong}");
    }

    for (right, wrong, stream, count) in [
        ("page_size: 100", "page_size: 200", "fields", 113),
        ("field_name: Api-Token", "field_name: Authorization", "fields", 113),
        ("stop_condition: \"{{ last_page_size < 100 }}\"", "stop_condition: \"{{ true }}\"", "contacts", 220),
    ] {
        let mistake = ("activecampaign", right, wrong);
        assert!(is_found_out(activecampaign(220), mistake, (stream, count)).await, "{wrong}");
    }
}
