//! What only the platform or the configuration knows: streams made from a template, schemas made from an answer.

use crate::components::{Filter, Retriever, Transformation, ValueType};
use crate::node::Data;
use crate::problem::Problem;
use crate::read::{At, Many, Read, component, one_of};
use crate::text::{Json, Raw, Text};

one_of! {
    /// Where the streams come from.
    ComponentsResolver {
        /// An answer of the platform.
        Http as "HttpComponentsResolver" (HttpComponentsResolver),
        /// The configuration.
        Config as "ConfigComponentsResolver" (ConfigComponentsResolver),
        /// A list in the manifest.
        Parametrized as "ParametrizedComponentsResolver" (ParametrizedComponentsResolver),
    }
}

component! {
    /// Streams made from a template.
    DynamicDeclarativeStream {
        name: String = String::new(),
        stream_template: Raw,
        components_resolver: ComponentsResolver,
        use_parent_parameters: bool = true,
    }

    /// One for each record of an answer.
    HttpComponentsResolver {
        retriever: Box<Retriever>,
        components_mapping: Vec<ComponentMapping>,
    }

    /// One for each entry of a list in the configuration; several lists are multiplied.
    ConfigComponentsResolver {
        stream_config: Many<StreamConfig>,
        components_mapping: Vec<ComponentMapping>,
    }

    /// A list in the configuration.
    StreamConfig {
        configs_pointer: Vec<Text>,
        default_values: Vec<Json>,
    }

    /// One for each entry of a list in the manifest.
    ParametrizedComponentsResolver {
        stream_parameters: StreamParameters,
        components_mapping: Vec<ComponentMapping>,
    }

    /// That list.
    StreamParameters {
        list_of_parameters_for_stream: Vec<Json>,
    }

    /// A place of the template and what is put there.
    ComponentMapping {
        field_path: Vec<Text>,
        value: Text,
        value_type: Option<ValueType>,
        create_or_update: bool = false,
        condition: Option<Text>,
    }

    /// A schema made from an answer.
    DynamicSchemaLoader {
        retriever: Retriever,
        schema_filter: Option<Filter>,
        schema_transformations: Vec<Transformation>,
        schema_type_identifier: SchemaTypeIdentifier,
    }

    /// Where names and types of fields are in the answer.
    SchemaTypeIdentifier {
        schema_pointer: Vec<Text>,
        key_pointer: Vec<Text>,
        type_pointer: Vec<Text>,
        types_mapping: Vec<TypesMap>,
    }

    /// A type of the platform and ours.
    TypesMap {
        target_type: TargetType,
        current_type: Many<String>,
        condition: Option<Text>,
    }

    /// A type with a type inside.
    ComplexFieldType {
        field_type: String,
        items: Option<Box<TargetType>>,
    }
}

/// A type of JSON, several of them, or a list of something.
#[derive(Debug, Clone)]
pub enum TargetType {
    /// By name.
    Named(Vec<String>),
    /// With a type inside.
    Complex(ComplexFieldType),
}

impl Read for TargetType {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        match &at.node.data {
            Data::Map(_) => ComplexFieldType::read(at).map(Self::Complex),
            _ => Many::read(at).map(|names| Self::Named(names.0)),
        }
    }
}
