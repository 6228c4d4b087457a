//! A whole manifest: what is read of it, and which streams cannot be.

use std::sync::Arc;

use serde_json::Value;

use crate::components::{
    Check, ConcurrencyLevel, ConditionalStreams, DeclarativeStream, DynamicDeclarativeStream, HttpApiBudget, Spec,
    Stream,
};
use crate::node::{Data, Node};
use crate::problem::Problem;
use crate::propagate::{propagate, propagate_again};
use crate::read::{At, Read};
use crate::resolve::resolve;
use crate::text::Text;
use crate::yaml;

/// Longest manifest, in bytes. The largest known has 1.25 MB.
pub const MANIFEST_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// A manifest, read and checked.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The version of the format that it names.
    pub version: Option<String>,
    /// The configuration it asks for; a file `spec.yaml` or `spec.json` beside it may stand in.
    pub spec: Option<Spec>,
    /// How a configuration is tried.
    pub check: Option<Check>,
    /// Its streams, in the order of the file.
    pub streams: Vec<Entry>,
    /// Streams that are made from templates.
    pub dynamic_streams: Vec<DynamicEntry>,
    /// How many slices are read at a time.
    pub concurrency_level: Option<ConcurrencyLevel>,
    /// Limits on calls.
    pub api_budget: Option<HttpApiBudget>,
    /// Fields that are not of the format and nearly are: slips of the pen, told and let through.
    pub doubts: Vec<Problem>,
}

/// A stream of the manifest.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Under which condition it is there.
    pub condition: Option<Text>,
    /// The stream, or what stands in the way of reading it: Python, or a part of the format that is not run here.
    pub stream: Result<Arc<Stream>, Problem>,
}

/// A template of streams.
#[derive(Debug, Clone)]
pub struct DynamicEntry {
    /// Its name.
    pub name: String,
    /// The template, or what stands in the way.
    pub template: Result<Arc<DynamicDeclarativeStream>, Problem>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with line and path. A stream that needs Python is no error: it is kept
    /// with the reason.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > MANIFEST_BYTES_MAX {
            let message = format!("the manifest has {} bytes and at most {MANIFEST_BYTES_MAX} are read", text.len());
            return Err(vec![Problem::at(1, message)]);
        }
        let file = yaml::parse(text).map_err(|problem| vec![problem])?;
        if !matches!(file.data, Data::Map(_)) {
            return Err(vec![Problem::at(1, format!("a manifest is a mapping, and this is {}", file.kind()))]);
        }
        let mut resolved = resolve(&file).map_err(|problem| vec![problem])?;
        if resolved.get("type").is_none() {
            resolved.set("type", Node { line: 1, data: Data::Text("DeclarativeSource".to_owned()) });
        }
        Self::read(&propagate(resolved, "", &Vec::new()))
    }

    fn read(node: &Node) -> Result<Self, Vec<Problem>> {
        let at = At::root(node, "");
        let mut problems = Vec::new();
        let streams = streams(&at, &mut problems);
        let manifest = Self {
            version: keep(at.field("version"), &mut problems).flatten(),
            spec: keep(at.field("spec"), &mut problems).flatten(),
            check: keep(at.field("check"), &mut problems).flatten(),
            dynamic_streams: dynamic_streams(&at, &mut problems),
            concurrency_level: keep(at.field("concurrency_level"), &mut problems).flatten(),
            api_budget: keep(at.field("api_budget"), &mut problems).flatten(),
            streams,
            doubts: at.take_doubts(),
        };
        // A file with `spec` alone belongs to a source that is all Python; its spec can be shown.
        if manifest.streams.is_empty()
            && manifest.dynamic_streams.is_empty()
            && manifest.spec.is_none()
            && problems.is_empty()
        {
            problems.push(at.problem("a manifest needs `streams` or `dynamic_streams`"));
        }
        if problems.is_empty() { Ok(manifest) } else { Err(problems) }
    }
}

/// A stream made from a template that has been filled in. What was filled in wins over what parameters say, unless
/// `parameters_win`.
///
/// # Errors
/// What is wrong with it, or stands in its way.
pub fn parse_stream(filled: &Value, line: usize, parameters_win: bool) -> Result<Stream, Problem> {
    let node = propagate_again(Node::from_json(filled, line), parameters_win);
    Stream::read(&At::root(&node, "stream_template"))
}

/// A specification in a file of its own, written as the protocol has it (`connectionSpecification`) or as a component.
///
/// # Errors
/// What is wrong with it.
pub fn parse_spec(text: &str) -> Result<Spec, Problem> {
    let mut node = yaml::parse(text)?;
    for (name, known) in
        [("connectionSpecification", "connection_specification"), ("documentationUrl", "documentation_url")]
    {
        if let Some(value) = node.take(name) {
            node.set(known, value);
        }
    }
    Spec::read(&At::root(&node, "spec"))
}

/// A value written as YAML.
#[must_use]
pub fn parse_yaml(text: &str) -> Option<Value> {
    yaml::parse(text).ok().map(|node| node.to_json())
}

fn keep<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn streams(at: &At<'_>, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let Some(node) = at.node.get("streams") else { return Vec::new() };
    let all = at.entry("streams", node);
    let Data::List(items) = &node.data else {
        problems.push(all.expected("a list"));
        return Vec::new();
    };
    let mut entries = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = all.item(index, item);
        let found = match at.kind() {
            "ConditionalStreams" => conditional(&at),
            _ => entry(&at, None).map(|entry| vec![entry]),
        };
        match found {
            Ok(found) => entries.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    entries
}

fn conditional(at: &At<'_>) -> Result<Vec<Entry>, Problem> {
    let condition = ConditionalStreams::read(at)?.condition;
    let node = at.node.get("streams").ok_or_else(|| at.problem("ConditionalStreams needs `streams`"))?;
    let all = at.entry("streams", node);
    let Data::List(items) = &node.data else { return Err(all.expected("a list")) };
    items.iter().enumerate().map(|(index, item)| entry(&all.item(index, item), Some(condition.clone()))).collect()
}

/// A stream that cannot be read here is kept with its reason; one that is written wrongly is an error of the manifest.
fn entry(at: &At<'_>, condition: Option<Text>) -> Result<Entry, Problem> {
    let name = at.node.get("name").and_then(Node::text).unwrap_or_default().to_owned();
    Ok(Entry { name, condition, stream: ours(Stream::read(at))? })
}

fn dynamic_streams(at: &At<'_>, problems: &mut Vec<Problem>) -> Vec<DynamicEntry> {
    let Some(node) = at.node.get("dynamic_streams") else { return Vec::new() };
    let all = at.entry("dynamic_streams", node);
    let Data::List(items) = &node.data else {
        problems.push(all.expected("a list"));
        return Vec::new();
    };
    let read = items.iter().enumerate().filter_map(|(index, item)| {
        let at = all.item(index, item);
        let name = item.get("name").and_then(Node::text).unwrap_or_default().to_owned();
        let template = keep(ours(DynamicDeclarativeStream::read(&at)), problems)?;
        Some(DynamicEntry { name, template })
    });
    read.collect()
}

/// A problem that is ours stays beside what it is about; any other is the manifest's.
fn ours<T>(read: Result<T, Problem>) -> Result<Result<Arc<T>, Problem>, Problem> {
    match read {
        Ok(read) => Ok(Ok(Arc::new(read))),
        Err(problem) if problem.is_beyond_us() => Ok(Err(problem)),
        Err(problem) => Err(problem),
    }
}

impl From<DeclarativeStream> for Stream {
    fn from(stream: DeclarativeStream) -> Self {
        Self::Declarative(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::{Authenticator, IncrementalSync, Requester, Retriever};
    use crate::problem::ProblemKind;

    const BASE: &str = "version: 1.0.0
check: {type: CheckStream, stream_names: [people]}
definitions:
  requester:
    type: HttpRequester
    url_base: \"{{ config['base_url'] }}\"
    authenticator: {type: BearerAuthenticator, api_token: \"{{ config['token'] }}\"}
  stream:
    type: DeclarativeStream
    retriever:
      requester: {$ref: '#/definitions/requester', path: \"{{ parameters.path }}\"}
      record_selector: {extractor: {field_path: [data]}}
";

    fn manifest(streams: &str) -> Result<Manifest, Vec<Problem>> {
        Manifest::parse(&format!("{BASE}streams:\n{streams}"))
    }

    #[test]
    fn a_manifest_becomes_components() {
        let text = "- {$ref: '#/definitions/stream', $parameters: {name: people, path: /people}, primary_key: id,
  incremental_sync: {type: DatetimeBasedCursor, cursor_field: at, datetime_format: '%Y', start_datetime: '2020'}}\n";
        let manifest = manifest(text).unwrap();
        let Ok(stream) = &manifest.streams[0].stream else { panic!("a stream") };
        let Stream::Declarative(stream) = stream.as_ref() else { panic!("a declarative stream") };
        assert_eq!((stream.name.as_str(), &stream.primary_key.0), ("people", &vec![vec!["id".to_owned()]]));
        assert!(matches!(stream.incremental_sync, Some(IncrementalSync::Datetime(_))));
        let Retriever::Simple(retriever) = &stream.retriever else { panic!("a simple retriever") };
        let Requester::HttpRequester(requester) = &retriever.requester;
        assert!(matches!(requester.authenticator, Some(Authenticator::Bearer(_))));
        let scope =
            lockstep_expr::interpolation::Scope::new(jiff::Timestamp::UNIX_EPOCH).with("config", serde_json::json!({}));
        assert_eq!(requester.path.as_ref().unwrap().text(&scope).unwrap(), "/people");
    }

    #[test]
    fn a_stream_that_needs_python_is_refused_by_name_and_the_others_stay() {
        let text = "- {$ref: '#/definitions/stream', name: people}
- {$ref: '#/definitions/stream', name: odd, retriever: {requester: {authenticator: {class_name: source_x.components.Odd}}}}
- {$ref: '#/definitions/stream', name: split, transformations: [{type: CustomTransformation, class_name: source_x.Split}]}\n";
        let manifest = manifest(text).unwrap();
        let refused: Vec<_> = manifest.streams.iter().filter_map(|entry| entry.stream.as_ref().err()).collect();
        assert!(manifest.streams[0].stream.is_ok());
        assert_eq!(refused[1].kind, ProblemKind::Python("source_x.Split".to_owned()));
        assert!(
            refused[1].to_string().starts_with(
                "streams[2].transformations[0]: CustomTransformation needs the Python class source_x.Split"
            )
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_path() {
        let text = "- type: DeclarativeStream
  name: people
  retriever:
    requester: {$ref: '#/definitions/requester'}
    record_selector: {extractor: {field_path: []}}
    paginator:
      type: DefaultPaginator
      pagination_strategy: {type: OffsetIncrment, page_size: 5}
- {$ref: '#/definitions/stream', name: b, primary_key: {a: 1}}
- {$ref: '#/definitions/stream', name: c, transformations: [{type: AddFields, fields: [{path: [x], value: \"{{ now( }}\"}]}]}\n";
        let problems = manifest(text).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told[0],
            "streams[0].retriever.paginator.pagination_strategy: the component OffsetIncrment cannot stand here; did you mean OffsetIncrement? (line 21)"
        );
        assert!(
            told[1].starts_with("streams[1].primary_key: here stands a mapping, and a text is expected (line 22)"),
            "{}",
            told[1]
        );
        assert!(told[2].starts_with("streams[2].transformations[0].fields[0].value: the template"), "{}", told[2]);
    }

    #[test]
    fn a_slip_of_the_pen_is_doubted_and_a_leftover_is_not() {
        let text = "- type: DeclarativeStream
  name: people
  primary_keys: id
  old_leftover: 1
  $parameters: {paginators: handed}
  retriever:
    requester: {$ref: '#/definitions/requester'}
    record_selector: {extractor: {field_path: []}}
    paginater: {type: NoPagination}\n";
        let doubts: Vec<String> = manifest(text).unwrap().doubts.iter().map(ToString::to_string).collect();
        assert_eq!(
            doubts,
            [
                "streams[0].primary_keys: DeclarativeStream has no field `primary_keys`, so it says nothing; did you mean `primary_key`? (line 16)",
                "streams[0].retriever.paginater: SimpleRetriever has no field `paginater`, so it says nothing; did you mean `paginator`? (line 22)"
            ]
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for (text, part) in
            [("", "is nothing"), ("[1]", "is a list"), ("a: [", "not YAML"), ("version: 1", "needs `streams`")]
        {
            let problems = Manifest::parse(text).unwrap_err();
            assert!(problems[0].message.contains(part), "{text}: {problems:?}");
        }
    }

    #[test]
    fn streams_under_a_condition_keep_it() {
        let text = "- {type: ConditionalStreams, condition: \"{{ config.all }}\", streams: [{$ref: '#/definitions/stream', name: more}]}\n";
        let manifest = manifest(text).unwrap();
        assert_eq!(manifest.streams[0].condition.as_ref().unwrap().source(), "{{ config.all }}");
    }

    /// The manifest that docs/CONNECTORS.md shows.
    #[test]
    fn the_example_of_the_documentation_can_be_read() {
        let page = include_str!("../../../docs/CONNECTORS.md");
        let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let manifest = Manifest::parse(example).unwrap();
        assert!(manifest.streams[0].stream.is_ok());
    }
}
