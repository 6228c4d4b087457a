//! Types that may be left out, and `$parameters` that flow down to the components inside.
//!
//! A component is a mapping with a `type`. What it says itself wins over parameters, and parameters of an inner
//! component over those from outside; each component keeps the parameters that hold for it under `$parameters`, for
//! its templates. JSON schemas also have a `type` and are left alone.

use crate::node::{Data, Node};

pub(crate) const PARAMETERS: &str = "$parameters";

/// The type of a component that names none, by where it stands.
const DEFAULT_TYPES: [(&str, &str); 37] = [
    ("CompositeErrorHandler.error_handlers", "DefaultErrorHandler"),
    ("CursorPagination.decoder", "JsonDecoder"),
    ("DatetimeBasedCursor.end_datetime", "MinMaxDatetime"),
    ("DatetimeBasedCursor.end_time_option", "RequestOption"),
    ("DatetimeBasedCursor.start_datetime", "MinMaxDatetime"),
    ("DatetimeBasedCursor.start_time_option", "RequestOption"),
    ("DeclarativeSource.check", "CheckStream"),
    ("DeclarativeSource.spec", "Spec"),
    ("DeclarativeSource.streams", "DeclarativeStream"),
    ("DeclarativeStream.retriever", "SimpleRetriever"),
    ("DeclarativeStream.schema_loader", "JsonFileSchemaLoader"),
    ("DynamicDeclarativeStream.stream_template", "DeclarativeStream"),
    ("DynamicDeclarativeStream.components_resolver", "ConfigComponentResolver"),
    ("HttpComponentsResolver.retriever", "SimpleRetriever"),
    ("HttpComponentsResolver.components_mapping", "ComponentMappingDefinition"),
    ("ConfigComponentsResolver.stream_config", "StreamConfig"),
    ("ConfigComponentsResolver.components_mapping", "ComponentMappingDefinition"),
    ("DefaultErrorHandler.response_filters", "HttpResponseFilter"),
    ("DefaultPaginator.decoder", "JsonDecoder"),
    ("DefaultPaginator.page_size_option", "RequestOption"),
    ("DpathExtractor.decoder", "JsonDecoder"),
    ("DpathExtractor.record_expander", "RecordExpander"),
    ("HttpRequester.error_handler", "DefaultErrorHandler"),
    ("ListPartitionRouter.request_option", "RequestOption"),
    ("ParentStreamConfig.request_option", "RequestOption"),
    ("ParentStreamConfig.stream", "DeclarativeStream"),
    ("RecordExpander.parent_fields", "ParentFieldPath"),
    ("RecordSelector.extractor", "DpathExtractor"),
    ("RecordSelector.record_filter", "RecordFilter"),
    ("SimpleRetriever.paginator", "NoPagination"),
    ("SimpleRetriever.record_selector", "RecordSelector"),
    ("SimpleRetriever.requester", "HttpRequester"),
    ("SubstreamPartitionRouter.parent_stream_configs", "ParentStreamConfig"),
    ("AddFields.fields", "AddedFieldDefinition"),
    ("CustomPartitionRouter.parent_stream_configs", "ParentStreamConfig"),
    ("DynamicSchemaLoader.retriever", "SimpleRetriever"),
    ("SchemaTypeIdentifier.types_map", "TypesMap"),
];

/// The same for a mapping with a `class_name`.
const CUSTOM_TYPES: [(&str, &str); 9] = [
    ("CompositeErrorHandler.backoff_strategies", "CustomBackoffStrategy"),
    ("DeclarativeStream.retriever", "CustomRetriever"),
    ("DeclarativeStream.transformations", "CustomTransformation"),
    ("DefaultErrorHandler.backoff_strategies", "CustomBackoffStrategy"),
    ("DefaultPaginator.pagination_strategy", "CustomPaginationStrategy"),
    ("HttpRequester.authenticator", "CustomAuthenticator"),
    ("HttpRequester.error_handler", "CustomErrorHandler"),
    ("RecordSelector.extractor", "CustomRecordExtractor"),
    ("SimpleRetriever.partition_router", "CustomPartitionRouter"),
];

type Parameters = Vec<(String, Node)>;

/// The component with types and parameters filled in, all the way down. `place` is the outer type and the field it
/// stands in, such as `SimpleRetriever.requester`.
pub(crate) fn propagate(node: Node, place: &str, outer: &Parameters) -> Node {
    down(node, place, outer, Wins::Inner)
}

/// The same for a component that was worked out before and changed since: its inner components already hold the
/// parameters of then, which give way to those of now if `outer_wins`.
pub(crate) fn propagate_again(node: Node, outer_wins: bool) -> Node {
    down(node, "", &Vec::new(), if outer_wins { Wins::Outer } else { Wins::Inner })
}

/// Whose parameter holds where two have one name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wins {
    Inner,
    Outer,
}

fn down(mut node: Node, place: &str, outer: &Parameters, wins: Wins) -> Node {
    if !matches!(node.data, Data::Map(_)) {
        return node;
    }
    if node.get("type").is_none() {
        let table: &[(&str, &str)] = if node.get("class_name").is_some() { &CUSTOM_TYPES } else { &DEFAULT_TYPES };
        if let Some((_, kind)) = table.iter().find(|(known, _)| *known == place) {
            let line = node.line;
            node.set("type", Node { line, data: Data::Text((*kind).to_owned()) });
        }
    }
    let mut parameters = outer.clone();
    if let Some(Node { data: Data::Map(own), .. }) = node.take(PARAMETERS) {
        for (key, value) in own {
            if wins == Wins::Inner || !parameters.iter().any(|(known, _)| *known == key) {
                assign(&mut parameters, key, value);
            }
        }
    }
    match node.get("type").map(|kind| &kind.data) {
        Some(Data::Text(kind)) if kind == "object" => node,
        Some(Data::Text(kind)) => {
            let kind = kind.clone();
            component(node, &kind, parameters, wins)
        }
        Some(Data::List(_) | Data::Map(_)) => node,
        _ => plain(node, place, &parameters, wins),
    }
}

/// A mapping that is no component may hold some.
fn plain(mut node: Node, place: &str, parameters: &Parameters, wins: Wins) -> Node {
    let Data::Map(entries) = &mut node.data else { return node };
    for (_, child) in entries {
        if child.get("type").is_some_and(|kind| !kind.is_empty()) {
            let taken = std::mem::replace(child, Node { line: 0, data: Data::Null });
            *child = down(taken, place, parameters, wins);
        }
    }
    node
}

fn component(mut node: Node, kind: &str, parameters: Parameters, wins: Wins) -> Node {
    for (key, value) in &parameters {
        if node.get(key).is_none_or(Node::is_empty) {
            node.set(key, value.clone());
        }
    }
    let line = node.line;
    let Data::Map(entries) = &mut node.data else { return node };
    for (field, child) in entries.iter_mut() {
        let place = format!("{kind}.{field}");
        let taken = std::mem::replace(child, Node { line: 0, data: Data::Null });
        // A parameter is not handed down into the field that has its name: it would find itself there without end.
        let handed = || parameters.iter().filter(|(key, _)| key != field).cloned().collect::<Parameters>();
        *child = match taken.data {
            Data::Map(_) => down(taken, &place, &handed(), wins),
            Data::List(items) => {
                let handed = handed();
                let items = items.into_iter().map(|item| down(item, &place, &handed, wins)).collect();
                Node { line: taken.line, data: Data::List(items) }
            }
            _ => taken,
        };
    }
    if !parameters.is_empty() {
        node.set(PARAMETERS, Node { line, data: Data::Map(parameters) });
    }
    node
}

fn assign(parameters: &mut Parameters, key: String, value: Node) {
    match parameters.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => parameters.push((key, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use serde_json::json;

    fn propagated(text: &str, place: &str) -> serde_json::Value {
        propagate(yaml::parse(text).unwrap(), place, &Vec::new()).to_json()
    }

    #[test]
    fn parameters_flow_down_and_what_is_said_wins() {
        let text = "type: DeclarativeStream\n$parameters: {name: lists, path: /lists}\nretriever:\n  requester: {path: /own}\n  paginator: {type: DefaultPaginator, $parameters: {path: /in}}";
        let found = propagated(text, "");
        assert_eq!(found["name"], "lists");
        assert_eq!(found["retriever"]["type"], "SimpleRetriever");
        assert_eq!(found["retriever"]["requester"]["path"], "/own");
        assert_eq!(found["retriever"]["requester"]["$parameters"], json!({"name": "lists", "path": "/lists"}));
        assert_eq!(found["retriever"]["paginator"]["path"], "/in");
    }

    #[test]
    fn schemas_are_left_alone() {
        let text =
            "type: InlineSchemaLoader\n$parameters: {name: x}\nschema: {type: object, properties: {a: {type: string}}}";
        assert_eq!(propagated(text, "")["schema"], json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    }

    #[test]
    fn a_class_name_makes_a_custom_component() {
        let found = propagated("type: HttpRequester\nauthenticator: {class_name: a.B}", "");
        assert_eq!(found["authenticator"]["type"], "CustomAuthenticator");
    }
}
