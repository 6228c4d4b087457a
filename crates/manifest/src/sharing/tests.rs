//! The reader of `lockstep.yaml` by examples: what it takes, what it says of mistakes, and the page that describes it.

use super::*;

const MANIFEST: &str = "version: 1.0.0
definitions:
  requester:
    type: HttpRequester
    url_base: https://api.example
    authenticator: {type: BearerAuthenticator, api_token: \"{{ config['token'] }}\"}
streams:
  - type: DeclarativeStream
    name: contacts
    retriever:
      type: SimpleRetriever
      requester: {$ref: '#/definitions/requester', path: /contacts}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
";

const SMALL: &str = "version: 1
types:
  person:
    type: contact
    stream: contacts
    id: id
    match: [[email]]
    fields:
      email: mail
      firstName: {path: names.first, max_length: 20}
    fetch: {get: '/contacts/{{ id }}'}
    write:
      create: {post: /contacts, json: '{{ object }}', id: id}
";

fn problems(text: &str) -> Vec<String> {
    Sharing::parse(text, MANIFEST).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_small_file_is_read_and_inherits_the_manifest() {
    let sharing = Sharing::parse(SMALL, MANIFEST).unwrap();
    let person = &sharing.types["person"];
    assert_eq!((person.ty.as_str(), person.matching.len(), person.mapping.entries.len()), ("contact", 1, 2));
    assert_eq!(sharing.requester.url_base.as_ref().unwrap().source(), "https://api.example");
    assert!(sharing.requester.authenticator.is_some());
    let text =
        SMALL.replace("types:", "requester: {$ref: 'manifest#/definitions/requester', url_base: https://b}\ntypes:");
    assert_eq!(Sharing::parse(&text, MANIFEST).unwrap().requester.url_base.as_ref().unwrap().source(), "https://b");
}

#[test]
fn what_is_wrong_is_said_with_line_and_path() {
    for (right, wrong, expected) in [
        (
            "fetch:",
            "fetsh:",
            "types.person.fetsh: there is nothing called `fetsh` here; did you mean `fetch`? (line 11)",
        ),
        ("    id: id\n", "", "types.person: contact needs `id` (line 4)"),
        ("stream: contacts", "stream: people", "types.person.stream: the manifest has no stream people (line 5)"),
        ("email: mail", "emial: mail", "types.person.fields.emial: "),
        ("max_length", "max_lenght", "types.person.fields.firstName.max_lenght: "),
        ("{{ id }}", "{{ id + }}", "types.person.fetch.get: the text \"/contacts/{{ id + }}\": "),
        ("post: /contacts", "post: /contacts, put: /contacts", "types.person.write.create: a call is one of"),
        ("[[email]]", "[[phone]]", "types.person.match: phone is not among `fields` (line 7)"),
        ("version: 1", "version: 2", "version: the version is 2, and this build reads 1 (line 1)"),
        ("types:", "requester: other\ntypes:", "requester: \"other\" is no reference"),
    ] {
        let told = problems(&SMALL.replacen(right, wrong, 1));
        assert!(told.iter().any(|one| one.starts_with(expected)), "{wrong}: {told:#?}");
    }
}

#[test]
fn the_schema_says_what_the_reader_reads() {
    let schema = Sharing::schema();
    assert_eq!(schema["required"], json!(["version", "types"]));
    let remote = &schema["properties"]["types"]["additionalProperties"];
    assert_eq!(remote["required"], json!(["type", "id"]));
    assert_eq!(remote["properties"]["fetch"]["properties"]["get"]["type"], json!(["string", "number", "boolean"]));
    assert_eq!(remote["additionalProperties"], json!(false));
}

/// The file that docs/CONNECTORS.md shows, beside the manifest that it shows before.
#[test]
fn the_example_of_the_documentation_can_be_read() {
    let page = include_str!("../../../../docs/CONNECTORS.md");
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let sharing = Sharing::parse(examples[1], examples[0]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(sharing.types["contact"].mapping.entries.len(), 7);
    assert!(examples[1].lines().count() < 60);
}

#[test]
fn a_manifest_alone_has_objects_that_are_listed() {
    let text = MANIFEST.replace("name: contacts", "name: contacts\n    primary_key: [[data, 'the.id']]");
    let two = text.replace("streams:\n", "streams:\n  - {$ref: '#/definitions/visits'}\n").replace(
        "definitions:\n",
        "definitions:\n  visits:\n    type: DeclarativeStream\n    name: visits\n    primary_key: [day, person]\n    retriever:\n      \
         type: SimpleRetriever\n      requester: {$ref: '#/definitions/requester', path: /v}\n      record_selector: {type: \
         RecordSelector, extractor: {type: DpathExtractor, field_path: []}}\n",
    );
    let sharing = Sharing::plain(&Manifest::parse(&two).unwrap_or_else(|problems| panic!("{problems:#?}"))).unwrap();
    let id = |object: &str, raw: Value| {
        let scope = serde_json::Map::from_iter([("object".to_owned(), raw.clone())]);
        sharing.types[object].id.text(&raw, &scope).unwrap()
    };
    assert_eq!(id("contacts", json!({"data": {"the.id": 7}})).as_deref(), Some("7"));
    assert_eq!(id("visits", json!({"day": "2026-01-01", "person": 3})).as_deref(), Some("2026-01-01:3"));
    assert!(sharing.types.values().all(|remote| remote.write.is_none() && remote.fetch.is_none()));
    assert!(Sharing::plain(&Manifest::parse(MANIFEST).unwrap()).is_none(), "without a key nothing tells records apart");
}
