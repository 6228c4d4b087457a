//! From an answer to records: find, filter, change.

use crate::components::Absent;
use crate::read::{component, one_of, words};
use crate::text::{Text, Tree};

one_of! {
    /// Where records are in an answer.
    Extractor {
        /// At a path.
        Dpath as "DpathExtractor" (DpathExtractor),
        /// In a file; rows of a table are read by the decoder.
        ResponseToFile as "ResponseToFileExtractor" (ResponseToFileExtractor),
    }

    /// Which records are kept.
    Filter {
        /// Those for which a template says yes.
        RecordFilter(RecordFilter),
    }

    /// A change of each record.
    Transformation {
        /// New fields.
        AddFields(AddFields),
        /// Fewer fields.
        RemoveFields(RemoveFields),
        /// Names in lower case.
        KeysToLower(NoFields),
        /// Names in snake case.
        KeysToSnakeCase(NoFields),
        /// Parts of names replaced.
        KeysReplace(KeysReplace),
        /// All inner fields at the top.
        FlattenFields(FlattenFields),
        /// The fields of one object at the top.
        DpathFlattenFields(DpathFlattenFields),
    }
}

component! {
    /// From an answer to records.
    RecordSelector {
        extractor: Extractor,
        record_filter: Option<Filter>,
        schema_normalization: Option<SchemaNormalization>,
        transform_before_filtering: Option<bool>,
    }

    /// At a path; `*` is any entry.
    DpathExtractor {
        field_path: Vec<Text>,
        record_expander: Absent,
    }

    /// In a file.
    ResponseToFileExtractor {
        preserve_na_values: bool = false,
    }

    /// Those for which a template says yes.
    RecordFilter {
        condition: Option<Text>,
    }

    /// New fields.
    AddFields {
        fields: Vec<AddedField>,
        condition: Option<Text>,
    }

    /// One new field.
    AddedField {
        path: Vec<Tree>,
        value: Text,
        value_type: Option<ValueType>,
    }

    /// Fewer fields; the condition sees the field as `property`.
    RemoveFields {
        field_pointers: Vec<Vec<Tree>>,
        condition: Option<Text>,
    }

    /// Nothing to say.
    NoFields {}

    /// Parts of names replaced.
    KeysReplace {
        old: Text,
        new: Text,
    }

    /// All inner fields at the top.
    FlattenFields {
        flatten_lists: bool = true,
    }

    /// The fields of one object at the top.
    DpathFlattenFields {
        field_path: Vec<Text>,
        delete_origin_value: bool = false,
        replace_record: bool = false,
        key_transformation: Option<KeyTransformation>,
    }

    /// What is put before and after names.
    KeyTransformation {
        prefix: Option<Text>,
        suffix: Option<Text>,
    }
}

words! {
    /// Whether values are bent to the schema.
    SchemaNormalization {
        /// They are not.
        None = "None",
        /// They are.
        Default = "Default",
    }

    /// What an added value must be, if it is to be read back from text.
    ValueType {
        /// Text.
        String = "string",
        /// A number.
        Number = "number",
        /// A whole number.
        Integer = "integer",
        /// True or false.
        Boolean = "boolean",
    }
}

impl DpathExtractor {
    /// The whole document.
    #[must_use]
    pub const fn whole() -> Self {
        Self { field_path: Vec::new(), record_expander: Absent }
    }
}
