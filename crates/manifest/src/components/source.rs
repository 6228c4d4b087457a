//! What stands beside the streams: the configuration that is asked for, the check, the limits.

use crate::components::AddedField;
use crate::read::{component, one_of};
use crate::text::{Json, Text, Tree};

one_of! {
    /// How it is found out whether a configuration works.
    Check {
        /// By reading a record of each of these streams.
        Stream as "CheckStream" (CheckStream),
        /// The same for streams that are made from a template.
        Dynamic as "CheckDynamicStream" (CheckDynamicStream),
    }

    /// A limit on calls.
    CallRatePolicy {
        /// So many in each period.
        FixedWindow as "FixedWindowCallRatePolicy" (FixedWindow),
        /// So many in any period.
        MovingWindow as "MovingWindowCallRatePolicy" (MovingWindow),
        /// None for these.
        Unlimited as "UnlimitedCallRatePolicy" (Unlimited),
    }

    /// A change of the configuration.
    ConfigTransformation {
        /// A value replaced by another.
        Remap as "ConfigRemapField" (ConfigRemapField),
        /// New values.
        Add as "ConfigAddFields" (ConfigAddFields),
        /// Fewer.
        Remove as "ConfigRemoveFields" (ConfigRemoveFields),
    }

    /// A test of the configuration.
    Validator {
        /// A part of it.
        Dpath as "DpathValidator" (DpathValidator),
        /// A value made of it.
        Predicate as "PredicateValidator" (PredicateValidator),
    }
}

component! {
    /// The configuration that is asked for.
    Spec {
        connection_specification: Json,
        documentation_url: Option<String>,
        advanced_auth: Option<Json>,
        config_normalization_rules: Option<ConfigNormalization>,
    }

    /// What is done to a configuration before it is used.
    ConfigNormalization {
        config_migrations: Vec<ConfigMigration>,
        transformations: Vec<ConfigTransformation>,
        validations: Vec<Validator>,
    }

    /// From an older form to this one.
    ConfigMigration {
        transformations: Vec<ConfigTransformation>,
    }

    /// A value replaced by another.
    ConfigRemapField {
        map: Tree,
        field_path: Vec<Text>,
    }

    /// New values.
    ConfigAddFields {
        fields: Vec<AddedField>,
        condition: Option<Text>,
    }

    /// Fewer.
    ConfigRemoveFields {
        field_pointers: Vec<Vec<Tree>>,
        condition: Option<Text>,
    }

    /// A part of the configuration.
    DpathValidator {
        field_path: Vec<Text>,
        validation_strategy: Json,
    }

    /// A value made of it.
    PredicateValidator {
        value: Tree,
        validation_strategy: Json,
    }

    /// By reading a record of each of these streams.
    CheckStream {
        stream_names: Vec<String>,
    }

    /// The same for streams that are made from a template.
    CheckDynamicStream {
        stream_count: u64,
    }

    /// Streams that are there only under a condition.
    ConditionalStreams {
        condition: Text,
    }

    /// How many slices are read at a time.
    ConcurrencyLevel {
        default_concurrency: Text,
        max_concurrency: Option<u64>,
    }

    /// Limits on calls, and where the platform tells what is left of them.
    HttpApiBudget {
        policies: Vec<CallRatePolicy>,
        ratelimit_reset_header: Option<String>,
        ratelimit_remaining_header: Option<String>,
        status_codes_for_ratelimit_hit: Vec<u16>,
    }

    /// So many in each period.
    FixedWindow {
        period: String,
        call_limit: u64,
        matchers: Vec<RequestMatcher>,
    }

    /// So many in any period.
    MovingWindow {
        rates: Vec<Rate>,
        matchers: Vec<RequestMatcher>,
    }

    /// None for these.
    Unlimited {
        matchers: Vec<RequestMatcher>,
    }

    /// So many in a period.
    Rate {
        limit: Text,
        interval: String,
    }

    /// Which requests a limit is for.
    RequestMatcher {
        method: Option<String>,
        url_base: Option<String>,
        url_path_pattern: Option<String>,
        params: Option<Json>,
        headers: Option<Json>,
        weight: Option<Text>,
    }
}
