//! What letters hold, format by format.

use super::*;
use lockstep_core::change::{Change, Origin};
use lockstep_core::ids::ChangeId;
use lockstep_core::record::State;
use serde_json::{Value, json};
use std::sync::Arc;

fn change(kind: ChangeKind) -> Change {
    let fields = json!({"firstName": "Ada", "city": "Delft", "status": "ACTIVE"});
    Change {
        seq: 7,
        id: ChangeId(1),
        at: Timestamp(1_700_000_000_000),
        kind,
        ty: TypeId::parse("contact").unwrap(),
        record: RecordId(5),
        version: 3,
        prev_seq: 6,
        created_at: Timestamp(0),
        origin: Origin::Admin,
        operation: None,
        state: Arc::new(State {
            fields: fields.as_object().unwrap().clone(),
            is_deleted: kind == ChangeKind::Deleted,
            ..State::default()
        }),
        old: match kind {
            ChangeKind::Updated => json!({"city": "Leiden"}).as_object().unwrap().clone(),
            _ => Fields::new(),
        },
        old_external_ids: None,
        was_deleted: false,
    }
}

fn created() -> Change {
    Change { prev_seq: 0, ..change(ChangeKind::Created) }
}

fn letter(subscription: &Value, change: &Change) -> Letter {
    written(subscription, change).unwrap()
}

fn written(subscription: &Value, change: &Change) -> Written {
    let to = Addressee::of_somebody(subscription);
    let (settings, policy) = (SharedSettings::default(), AddressPolicy::default());
    let writing = Writing { to: &to, id: DeliveryId(9), settings: &settings, policy: &policy };
    of_change(writing, change, &to.view(change).unwrap(), false)
}

fn tested(subscription: &Value) -> Written {
    let to = Addressee::of_somebody(subscription);
    let (settings, policy) = (SharedSettings::default(), AddressPolicy::default());
    of_test(Writing { to: &to, id: DeliveryId(9), settings: &settings, policy: &policy }, Timestamp(0))
}

fn body(letter: &Letter) -> Value {
    serde_json::from_slice(&letter.body).unwrap()
}

fn headers(letter: &Letter) -> Vec<String> {
    let mut lines: Vec<_> =
        letter.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn a_collection_holds_whole_records_and_tells_the_gone_as_archived() {
    let format = json!({"format": "collection"});
    let id = RecordId(5).to_string();
    let living = body(&letter(&format, &change(ChangeKind::Updated)));
    let record = json!({"id": id, "firstName": "Ada", "city": "Delft", "status": "ACTIVE"});
    assert_eq!(living, json!({"people": [record]}));
    let gone = body(&letter(&format, &change(ChangeKind::Deleted)));
    let record = json!({"id": id, "firstName": "Ada", "city": "Delft", "status": "ARCHIVED"});
    assert_eq!(gone, json!({"people": [record]}));
    let many = [1, 2].map(|id| Member { id: RecordId(id), fields: None, is_archived: true });
    let many: Value = serde_json::from_slice(&collection("people", &many)).unwrap();
    assert_eq!(many["people"].as_array().unwrap().len(), 2);
}

#[test]
fn a_record_that_left_a_condition_is_archived_by_its_id_alone() {
    let narrow = Addressee::of_somebody(&json!({"format": "collection"}));
    let (settings, policy) = (SharedSettings::default(), AddressPolicy::default());
    let change = change(ChangeKind::Updated);
    let seen = Seen {
        kind: ChangeKind::Deleted,
        reason: Some(Reason::LeftScope),
        fields: std::borrow::Cow::Owned(Fields::new()),
        old: std::borrow::Cow::Owned(Fields::new()),
        external_ids: &[],
        merged_into: None,
    };
    let writing = Writing { to: &narrow, id: DeliveryId(9), settings: &settings, policy: &policy };
    let letter = of_change(writing, &change, &seen, false).unwrap();
    assert_eq!(body(&letter), json!({"people": [{"id": RecordId(5).to_string(), "status": "ARCHIVED"}]}));
}

#[test]
fn a_get_says_all_in_its_query_and_keeps_the_one_it_had() {
    let letter = letter(&json!({"format": "get"}), &change(ChangeKind::Updated));
    let query: Vec<_> = letter.url.query_pairs().into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let id = RecordId(5).to_string();
    assert_eq!(query, [pair("id", &id), pair("type", "contact"), pair("state", "Updated")]);
    assert_eq!((letter.method, letter.body.len()), (Method::GET, 0));
    assert!(!letter.headers.contains_key(CONTENT_TYPE));
    let mut keyed = blank(&Addressee::of_nobody());
    keyed.url = Url::parse("https://a.example/hook?key=a%20b").unwrap();
    ask(&mut keyed, "rec_1", "contact", "Created");
    assert_eq!(keyed.url.query(), Some("key=a%20b&id=rec_1&type=contact&state=Created"));
}

#[test]
fn a_cloud_event_says_the_same_in_its_body_or_in_headers() {
    let change = change(ChangeKind::Updated);
    let whole = letter(&json!({"format": "cloudevents"}), &change);
    assert_eq!(headers(&whole), ["content-type: application/cloudevents+json; charset=utf-8"]);
    let standard = body(&letter(&json!({}), &change));
    let id = DeliveryId(9).to_string();
    let expected = json!({
        "specversion": "1.0", "id": id, "source": "/v1/business/a1", "type": "lockstep.contact.updated",
        "subject": RecordId(5).to_string(), "time": "2023-11-14T22:13:20.000Z", "datacontenttype": "application/json",
        "data": standard["data"],
    });
    assert_eq!(body(&whole), expected);
    let binary = letter(&json!({"format": "cloudevents-binary"}), &change);
    assert_eq!(body(&binary), standard["data"]);
    assert_eq!(
        headers(&binary),
        [
            format!("ce-id: {id}"),
            "ce-source: /v1/business/a1".to_owned(),
            "ce-specversion: 1.0".to_owned(),
            format!("ce-subject: {}", RecordId(5)),
            "ce-time: 2023-11-14T22:13:20.000Z".to_owned(),
            "ce-type: lockstep.contact.updated".to_owned(),
            "content-type: application/json".to_owned(),
        ]
    );
}

#[test]
fn json_goes_as_application_json() {
    for format in ["standard", "envelope", "fields", "thin", "collection", "cloudevents-binary"] {
        let letter = letter(&json!({"format": format}), &change(ChangeKind::Updated));
        assert_eq!(letter.headers[CONTENT_TYPE], "application/json", "{format}");
        assert!(body(&letter).is_object(), "{format}");
    }
}

#[test]
fn a_payload_tells_as_much_as_was_asked_for() {
    let data = |payload: &str, change: &Change| {
        let told = body(&letter(&json!({"payload": payload}), change));
        told["data"].clone()
    };
    let updated = change(ChangeKind::Updated);
    let changes = json!({"city": {"old": "Leiden", "new": "Delft"}});
    let full = data("full", &updated);
    assert_eq!((&full["changes"], &full["record"]["fields"]["firstName"]), (&changes, &json!("Ada")));
    let less = data("changes", &updated);
    assert_eq!((&less["changes"], less["record"].get("fields")), (&changes, None));
    assert_eq!(less["record"]["externalIds"], json!([]));
    let least = data("id", &updated);
    assert_eq!(least["record"], json!({"type": "contact", "id": RecordId(5).to_string(), "version": 3}));
    assert_eq!((least.get("changes"), &least["seq"]), (None, &json!(7)));
    let new = data("changes", &created());
    assert_eq!(new["changes"]["city"], json!({"old": null, "new": "Delft"}), "all of a new record is new");
    assert_eq!(data("full", &created()).get("changes"), None);
}

#[test]
fn an_envelope_holds_its_record_bare_or_in_a_list() {
    let change = change(ChangeKind::Updated);
    let bare = body(&letter(&json!({"format": "envelope"}), &change));
    let listed = body(&letter(&json!({"format": "envelope", "payload_shape": "array"}), &change));
    assert_eq!(listed["payload"], json!([bare["payload"]]));
    assert_eq!((&bare["state"], &listed["domainComponentName"]), (&json!("Updated"), &json!("contact")));
}

#[test]
fn every_format_can_tell_of_a_test() {
    for (name, _) in Format::ALL {
        let letter = tested(&json!({"format": name, "template": {"body": "{{ firstName }}"}})).unwrap();
        assert_eq!(letter.body.is_empty(), letter.method == Method::GET, "{name}");
    }
}

fn template(template: &Value) -> Value {
    json!({"format": "template", "template": template})
}

#[test]
fn a_template_writes_every_part_of_a_letter() {
    let letter = letter(
        &template(&json!({
            "url": "https://a.example/people/{{ id|lower }}?city={{ city|urlencode }}",
            "method": "{% if kind == 'deleted' %}DELETE{% else %}put{% endif %}",
            "headers": {"Content-Type": "text/plain", "X-What": "{{ event }} {{ seq }}"},
            "body": "{{ firstName }} moved from {{ old.city }} to {{ fields['city'] }}: {{ origin.by }} {{ state }}",
        })),
        &change(ChangeKind::Updated),
    );
    assert_eq!(
        letter.url.as_str(),
        format!("https://a.example/people/{}?city=Delft", RecordId(5).to_string().to_lowercase())
    );
    assert_eq!((letter.method.as_str(), body_text(&letter)), ("PUT", "Ada moved from Leiden to Delft: admin Updated"));
    assert_eq!(headers(&letter), ["content-type: text/plain", "x-what: contact.updated 7"]);
}

fn body_text(letter: &Letter) -> &str {
    std::str::from_utf8(&letter.body).unwrap()
}

#[test]
fn a_template_of_a_get_sends_no_body() {
    let letter = letter(&template(&json!({"method": "GET", "body": "{{ id }}"})), &created());
    assert_eq!((letter.method, letter.body.len(), letter.headers.len()), (Method::GET, 0, 0));
}

#[test]
fn a_template_that_fails_says_which_part_and_why_and_no_value() {
    let mut hostile = change(ChangeKind::Updated);
    let fields = json!({"city": "Delft\r\nx-admin: s3cret", "firstName": "Zoë s3cret", "website": "http://127.0.0.1/s3cret", "gender": "file"});
    hostile.state = Arc::new(State { fields: fields.as_object().unwrap().clone(), ..State::default() });
    for (parts, said) in [
        (json!({"body": "a\nb\n{{ firstName + 1 }}"}), "template of body: it does not work out"),
        (json!({"body": "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}"}), "steps"),
        (json!({"body": "", "headers": {"x-a": "{{ city }}"}}), "template of header x-a: it renders a line break"),
        (json!({"body": "", "headers": {"x-a": "{{ firstName }}"}}), "letters outside of ASCII"),
        (json!({"body": "", "url": "{{ website }}"}), "template of url: the URL points to a closed address"),
        (json!({"body": "", "url": "{{ gender }}:///etc/passwd"}), "only http and https"),
        (json!({"body": "", "url": "https://a.example/{{ city }}"}), "template of url: it renders a line break"),
        (json!({"body": "", "url": "https://b.example/"}), "not that of the subscription"),
        (json!({"body": "", "url": "http://a.example/"}), "not that of the subscription"),
        (json!({"body": "", "url": "https://a.example:444/"}), "not that of the subscription"),
        (json!({"body": "", "url": "https://a.example@b.example/"}), "user name"),
        (json!({"body": "", "url": "{{ missing }}"}), "not a URL"),
        (json!({"body": "", "method": "{{ firstName }}"}), "template of method: it renders no method"),
        (json!({"body": "", "method": "CONNECT"}), "template of method"),
    ] {
        let why = written(&template(&parts), &hostile).unwrap_err();
        assert!(why.contains(said) && !why.contains("s3cret"), "{parts}: {why}");
    }
    let line = written(&template(&json!({"body": "a\nb\n{{ firstName + 1 }}"})), &hostile).unwrap_err();
    assert!(line.ends_with("(line 3)"), "{line}");
}

#[test]
fn a_test_of_a_template_tells_what_would_fail() {
    let why = tested(&template(&json!({"body": "{{ firstName / 2 }}"}))).unwrap_err();
    assert!(why.contains("template of body") && why.contains("line 1"), "{why}");
    let sample = tested(&template(&json!({"body": "{{ email }} {{ isLead }} {{ tags|join }} {{ event }}"}))).unwrap();
    assert_eq!(body_text(&sample), "someone@example.com true text contact.test");
}
