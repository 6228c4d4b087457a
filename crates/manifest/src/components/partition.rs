//! Reading a stream in parts: one for each value of a list, or each record of another stream.

use crate::components::{Absent, RequestOption, Stream};
use crate::read::{component, one_of};
use crate::text::{Text, Values};

one_of! {
    /// Where the parts come from.
    PartitionRouter {
        /// A list of values.
        List as "ListPartitionRouter" (ListPartitionRouter),
        /// Records of other streams.
        Substream as "SubstreamPartitionRouter" (SubstreamPartitionRouter),
        /// Another router's parts, several at a time.
        Grouping as "GroupingPartitionRouter" (Box<GroupingPartitionRouter>),
        /// Several routers' parts, one after the other.
        Union as "UnionPartitionRouter" (UnionPartitionRouter),
    }
}

component! {
    /// A list of values.
    ListPartitionRouter {
        cursor_field: Text,
        values: Values,
        request_option: Option<RequestOption>,
    }

    /// Records of other streams.
    SubstreamPartitionRouter {
        parent_stream_configs: Vec<ParentStreamConfig>,
    }

    /// One of the other streams.
    ParentStreamConfig {
        stream: Box<Stream>,
        parent_key: Text,
        partition_field: Text,
        request_option: Option<RequestOption>,
        incremental_dependency: bool = false,
        lazy_read_pointer: Absent,
        extra_fields: Vec<Vec<Text>>,
    }

    /// Another router's parts, several at a time.
    GroupingPartitionRouter {
        group_size: u64,
        underlying_partition_router: PartitionRouter,
        deduplicate: bool = true,
    }

    /// Several routers' parts, one after the other.
    UnionPartitionRouter {
        partition_field: Text,
        partition_routers: Vec<PartitionRouter>,
    }
}
