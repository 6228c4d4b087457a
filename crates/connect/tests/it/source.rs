//! What a connector says of itself: its specification, its streams, whether a configuration works.

use std::sync::Arc;

use crate::platform::{Answer, Platform, page, read, source, world};
use lockstep_connect::{Check, Files, Source};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn a_stream_that_needs_python_is_refused_before_any_request_and_the_others_are_read() {
    let text = "- {$ref: '#/definitions/stream', name: fine, $parameters: {path: fine}}
- {$ref: '#/definitions/stream', name: odd, $parameters: {path: odd}, transformations: [{type: CustomTransformation, class_name: source_x.Odd}]}\n";
    let source = source(text);
    assert!(source.refused()[0].why.contains("needs the Python class source_x.Odd"));
    let platform = Platform::new(|_| page(0, 1));
    let outcome = read(&source, json!({}), &platform, &[]).await;
    assert_eq!(outcome.records.keys().collect::<Vec<_>>(), ["fine"]);
    assert_eq!(platform.calls(), ["/fine"]);
}

#[tokio::test(start_paused = true)]
async fn streams_are_made_from_what_the_platform_lists() {
    let manifest = "
dynamic_streams:
- name: tables
  stream_template:
    type: DeclarativeStream
    name: ''
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: 'https://p.test', path: '', http_method: GET}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [data]}}
    schema_loader:
      type: DynamicSchemaLoader
      retriever:
        type: SimpleRetriever
        requester: {type: HttpRequester, url_base: 'https://p.test', path: fields}
        record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
      schema_type_identifier: {key_pointer: [name], type_pointer: [kind], schema_pointer: [fields],
        types_mapping: [{target_type: string, current_type: singleLineText}]}
  components_resolver:
    type: HttpComponentsResolver
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url_base: 'https://p.test', path: tables}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [tables]}}
    components_mapping:
    - {type: ComponentMappingDefinition, field_path: [name], value: \"{{ components_values['name'] }}\"}
    - {type: ComponentMappingDefinition, field_path: [retriever, requester, path], value: \"/table/{{ components_values['id'] }}\"}
check: {type: CheckDynamicStream, stream_count: 1}
";
    let source = Source::parse(manifest, Arc::new(())).unwrap();
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/tables" => Answer::json(&json!({"tables": [{"id": 1, "name": "people"}, {"id": 2, "name": "firms"}]})),
        "/fields" => Answer::json(
            &json!({"fields": [{"name": "a", "kind": "singleLineText"}, {"name": "b", "kind": "integer"}]}),
        ),
        path => Answer::json(&json!({"data": [{"from": path}]})),
    });
    let session = source.open(json!({}), world(&platform)).unwrap();
    assert_eq!(session.check().await, Check::Works);
    let streams = session.discover().await.unwrap();
    assert_eq!(streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), ["people", "firms"]);
    assert_eq!(
        streams[0].schema["properties"],
        json!({"a": {"type": ["null", "string"]}, "b": {"type": ["null", "integer"]}})
    );
    let outcome = read(&source, json!({}), &platform, &[]).await;
    assert_eq!(outcome.values("firms", "from"), ["\"/table/2\""]);
}

#[tokio::test(start_paused = true)]
async fn a_check_says_what_is_wrong() {
    let manifest = "
spec: {connection_specification: {type: object, required: [key], properties: {key: {type: string, airbyte_secret: true}}}}
check: {type: CheckStream, stream_names: [items]}
streams:
- type: DeclarativeStream
  name: items
  retriever:
    requester: {type: HttpRequester, url_base: 'https://p.test', path: items, authenticator: {type: ApiKeyAuthenticator, api_token: \"{{ config.key }}\", header: X-Key}}
    record_selector: {extractor: {field_path: []}}
";
    let source = Source::parse(manifest, Arc::new(())).unwrap();
    let platform = Platform::new(|asked| {
        if asked.headers["x-key"] == "good-key" { Answer::json(&json!([])) } else { Answer::status(403) }
    });
    let missing = source.open(json!({}), world(&platform)).err().unwrap();
    assert_eq!(missing.message, "the configuration needs `key`");
    let check = source.open(json!({"key": "good-key"}), world(&platform)).unwrap().check().await;
    assert_eq!(check, Check::Works, "an empty account is no failure");
    let check = source.open(json!({"key": "bad-key-1"}), world(&platform)).unwrap().check().await;
    assert_eq!(
        check,
        Check::Fails(
            "stream items: https://p.test/items answers 403 Forbidden: no; check what the credentials may do"
                .to_owned()
        )
    );
}

struct Beside;

impl Files for Beside {
    fn load(&self, path: &str) -> Option<String> {
        let text = match path {
            "schemas/items.json" => {
                r##"{"properties": {"a": {"$ref": "#/definitions/t"}, "b": {"$ref": "money.json#/sum"}}, "definitions": {"t": {"type": "string"}}}"##
            }
            "schemas/shared/money.json" => r#"{"sum": {"type": "number"}}"#,
            "spec.yaml" => "connectionSpecification: {title: Beside}\ndocumentationUrl: https://p.test/docs",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn schemas_and_the_specification_may_be_files_beside_the_manifest() {
    let manifest = "
streams:
- type: DeclarativeStream
  name: items
  schema_loader: {type: JsonFileSchemaLoader, file_path: \"./source_x/schemas/{{ parameters['name'] }}.json\"}
  $parameters: {name: items}
  retriever:
    requester: {type: HttpRequester, url_base: 'https://p.test', path: items}
    record_selector: {extractor: {field_path: []}}
";
    let source = Source::parse(manifest, Arc::new(Beside)).unwrap();
    assert_eq!(
        source.spec(),
        json!({"connectionSpecification": {"title": "Beside"}, "documentationUrl": "https://p.test/docs"})
    );
    let platform = Platform::new(|_| page(0, 0));
    let session = source.open(json!({}), world(&platform)).unwrap();
    let streams = session.discover().await.unwrap();
    assert_eq!(streams[0].schema["properties"], json!({"a": {"type": "string"}, "b": {"type": "number"}}));
    assert_eq!(platform.calls(), [""; 0], "nothing is asked of the platform for what is known here");
}

#[tokio::test(start_paused = true)]
async fn two_streams_of_one_name_are_refused() {
    let text = "- {$ref: '#/definitions/stream', name: items, $parameters: {path: a}}
- {$ref: '#/definitions/stream', name: items, $parameters: {path: b}}\n";
    let source = source(text);
    let platform = Platform::new(|_| page(0, 1));
    let session = source.open(json!({}), world(&platform)).unwrap();
    let failure = session.discover().await.unwrap_err();
    assert!(failure.message.contains("two streams are called items"), "{failure}");
}
