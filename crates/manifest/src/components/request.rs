//! One call: where to, with what, and what its failures mean.

use crate::components::{Authenticator, ErrorHandler};
use crate::node::Data;
use crate::problem::Problem;
use crate::read::{At, Read, component, one_of, words};
use crate::text::{Text, Tree};

one_of! {
    /// What makes calls.
    Requester {
        /// The only one that is not Python.
        HttpRequester(Box<HttpRequester>),
    }

    /// A body of a named kind.
    RequestBody {
        /// Sent as it is.
        PlainText as "RequestBodyPlainText" (PlainBody),
        /// A form.
        Form as "RequestBodyUrlEncodedForm" (TreeBody),
        /// JSON.
        Json as "RequestBodyJsonObject" (TreeBody),
        /// JSON with a `query`.
        GraphQl as "RequestBodyGraphQL" (TreeBody),
    }
}

component! {
    /// One call: where to, with what, and what its failures mean.
    HttpRequester {
        url: Option<Text>,
        url_base: Option<Text>,
        path: Option<Text>,
        http_method: Method = Method::Get,
        authenticator: Option<Authenticator>,
        request_parameters: Option<Tree>,
        request_headers: Option<Tree>,
        request_body_data: Option<Tree>,
        request_body_json: Option<Tree>,
        request_body: Option<RequestBody>,
        error_handler: Option<ErrorHandler>,
        fetch_properties_from_endpoint: Absent,
        query_properties: Absent,
        use_cache: bool = false,
        connect_timeout_in_seconds: Option<f64>,
        read_timeout_in_seconds: Option<f64>,
    }

    /// A body sent as it is.
    PlainBody {
        value: Text,
    }

    /// A body made of a tree.
    TreeBody {
        value: Tree,
    }
}

words! {
    /// The verb; the format knows two, and more do no harm.
    Method {
        /// Read.
        Get = "GET",
        /// Ask with a body.
        Post = "POST",
        /// Replace.
        Put = "PUT",
        /// Change.
        Patch = "PATCH",
        /// Remove; asynchronous jobs are aborted so.
        Delete = "DELETE",
    }

    /// A part of a request.
    InjectInto {
        /// The query.
        Parameter = "request_parameter",
        /// A header.
        Header = "header",
        /// The form.
        BodyData = "body_data",
        /// The JSON body.
        BodyJson = "body_json",
    }
}

/// A field of the format that Lockstep does not run: a component that has it is refused, so that nothing is read wrong.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

impl Read for Absent {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        Err(at.not_run(at.name()))
    }

    fn missing() -> Option<Self> {
        Some(Self)
    }
}

/// Where a value goes in a request: `field_path` in a JSON body, `field_name` anywhere.
#[derive(Debug, Clone)]
pub struct RequestOption {
    /// The part of the request.
    pub inject_into: InjectInto,
    /// The name there.
    pub field_name: Option<Text>,
    /// The path in a JSON body; empty where the name is enough.
    pub field_path: Vec<Text>,
}

impl Read for RequestOption {
    fn read(at: &At<'_>) -> Result<Self, Problem> {
        let at = at.component(&["inject_into", "field_name", "field_path"]);
        // `$parameters` of an extractor around may reach in here under the same name, as a text.
        let path = at.node.get("field_path").filter(|node| matches!(node.data, Data::List(_)));
        let field_path = path.map_or_else(|| Ok(Vec::new()), |_list| at.field("field_path"))?;
        let field_name: Option<Text> = at.field("field_name")?;
        if field_name.is_none() && field_path.is_empty() {
            return Err(at.problem("a RequestOption needs `field_name`, or `field_path` for a JSON body"));
        }
        Ok(Self { inject_into: at.field("inject_into")?, field_name, field_path })
    }
}
