//! A stream of records, and what reads it.

use crate::components::{
    Absent, Decoder, DpathExtractor, DynamicSchemaLoader, Extractor, IncrementalSync, PaginationReset, Paginator,
    PartitionRouter, RecordSelector, Requester, Transformation,
};
use crate::node::Data;
use crate::problem::Problem;
use crate::read::{At, Many, Read, component, one_of};
use crate::text::{Json, Text};

one_of! {
    /// A stream of records.
    Stream {
        /// One as it stands.
        Declarative as "DeclarativeStream" (Box<DeclarativeStream>),
        /// One until there is a state, another from then on.
        StateDelegating as "StateDelegatingStream" (StateDelegatingStream),
    }

    /// What reads a stream.
    Retriever {
        /// By asking for pages.
        Simple as "SimpleRetriever" (Box<SimpleRetriever>),
        /// By ordering a job and fetching what it made.
        Async as "AsyncRetriever" (Box<AsyncRetriever>),
    }

    /// What says how records look.
    SchemaLoader {
        /// The manifest itself.
        Inline as "InlineSchemaLoader" (InlineSchemaLoader),
        /// A file beside it.
        JsonFile as "JsonFileSchemaLoader" (JsonFileSchemaLoader),
        /// The platform.
        Dynamic as "DynamicSchemaLoader" (Box<DynamicSchemaLoader>),
    }

    /// A change of a state from an older version.
    StateMigration {
        /// From a map of partitions to a list.
        LegacyToPerPartition as "LegacyToPerPartitionStateMigration" (NoMembers),
    }
}

component! {
    /// A stream as it stands.
    DeclarativeStream {
        name: String = String::new(),
        retriever: Retriever,
        incremental_sync: Option<IncrementalSync>,
        primary_key: PrimaryKey,
        schema_loader: Option<Many<SchemaLoader>>,
        transformations: Vec<Transformation>,
        state_migrations: Vec<StateMigration>,
        file_uploader: Absent,
    }

    /// One stream until there is a state, another from then on.
    StateDelegatingStream {
        name: String,
        full_refresh_stream: Box<DeclarativeStream>,
        incremental_stream: Box<DeclarativeStream>,
        api_retention_period: Option<String>,
    }

    /// By asking for pages.
    SimpleRetriever {
        requester: Requester,
        decoder: Option<Decoder>,
        record_selector: RecordSelector,
        paginator: Option<Paginator>,
        pagination_reset: Option<PaginationReset>,
        page_size_reduction: Absent,
        request_window_splitting: Absent,
        ignore_stream_slicer_parameters_on_paginated_requests: bool = false,
        partition_router: Many<PartitionRouter>,
    }

    /// By ordering a job and fetching what it made.
    AsyncRetriever {
        record_selector: RecordSelector,
        status_mapping: AsyncJobStatusMap,
        status_extractor: DpathExtractor,
        download_target_extractor: Option<DpathExtractor>,
        download_extractor: Option<Extractor>,
        creation_requester: Requester,
        polling_requester: Requester,
        polling_job_timeout: Option<Text>,
        download_target_requester: Option<Requester>,
        download_requester: Requester,
        download_paginator: Option<Paginator>,
        abort_requester: Option<Requester>,
        delete_requester: Option<Requester>,
        partition_router: Many<PartitionRouter>,
        decoder: Option<Decoder>,
        download_decoder: Option<Decoder>,
    }

    /// What the platform's words for a job's state mean.
    AsyncJobStatusMap {
        running: Vec<String>,
        completed: Vec<String>,
        failed: Vec<String>,
        timeout: Vec<String>,
        skipped: Vec<String>,
    }

    /// The manifest itself says how records look.
    InlineSchemaLoader {
        schema: Option<Json>,
    }

    /// A file says how records look.
    JsonFileSchemaLoader {
        file_path: Option<Text>,
    }

    /// Nothing to say.
    NoMembers {}
}

impl DeclarativeStream {
    /// A stream that is nothing but its retriever.
    #[must_use]
    pub fn of_retriever(name: &str, retriever: Retriever) -> Self {
        Self {
            name: name.to_owned(),
            retriever,
            incremental_sync: None,
            primary_key: PrimaryKey::default(),
            schema_loader: None,
            transformations: Vec::new(),
            state_migrations: Vec::new(),
            file_uploader: Absent,
        }
    }
}

impl Stream {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Declarative(stream) => &stream.name,
            Self::StateDelegating(stream) => &stream.name,
        }
    }
}

/// The fields that tell records apart; each a path.
#[derive(Debug, Clone, Default)]
pub struct PrimaryKey(pub Vec<Vec<String>>);

impl Read for PrimaryKey {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let Data::List(items) = &at.node.data else {
            let name = String::read(at)?;
            return Ok(Self(if name.is_empty() { Vec::new() } else { vec![vec![name]] }));
        };
        let paths = items.iter().enumerate().map(|(index, item)| {
            let at = at.item(index, item);
            Many::<String>::read(&at).map(|path| path.0)
        });
        paths.collect::<Result<_, _>>().map(Self)
    }

    fn missing() -> Option<Self> {
        Some(Self::default())
    }
}
