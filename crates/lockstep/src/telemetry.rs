//! Traces, where the operator names a collector: spans of requests and deliveries by OTLP over HTTP.
//!
//! Spans have a target of their own, so they reach the collector and nothing else does: no log line, no value of a
//! field, no secret, no address of a subscriber. Where no collector is named nobody wants that target, and a span
//! costs a look at a flag. What a collector does not take in time is dropped; nothing waits for it.

use crate::failure::Failure;
use crate::settings::{Settings, variable};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use lockstep_core::error::{Code, shown};
use lockstep_egress::{AddressPolicy, HttpTransport, Transport};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use url::Url;

/// One batch's time, all told.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes kept of a collector's answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// Time for the last batches when the server stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to a collector.
pub(crate) struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Begins, where the settings name a collector. To be called inside the runtime that is to send.
    pub(crate) fn begin(settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        let invalid = |what: &dyn fmt::Display| {
            let text = format!(
                "the OTLP endpoint {} cannot be used ({what}): give a URL such as http://127.0.0.1:4318",
                shown(endpoint)
            );
            Failure::new(Code::SettingsInvalid, text)
        };
        let url: Url = endpoint.parse().map_err(|error| invalid(&error))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(invalid(&"it is no http or https URL"));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Courier::new().map_err(|error| invalid(&error))?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| invalid(&error))?;
        let name = variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "lockstep".to_owned());
        let resource = Resource::builder().with_service_name(name).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self { provider }))
    }

    /// What spans are given to.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("lockstep")
    }

    /// Sends what is left.
    pub(crate) async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces did not reach their collector");
        }
    }
}

/// Carries batches to the collector by the transport that everything leaves by. The operator named the address, so the
/// policy, which guards against addresses that others name, lets it pass.
struct Courier {
    transport: HttpTransport,
    runtime: Handle,
}

impl Courier {
    fn new() -> Result<Self, ipnet::AddrParseError> {
        let everywhere = vec!["0.0.0.0/0".parse()?, "::/0".parse()?];
        let policy = Arc::new(AddressPolicy::new(everywhere));
        Ok(Self { transport: HttpTransport::new(policy), runtime: Handle::current() })
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Courier")
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = lockstep_egress::Request {
            method: head.method,
            url: head.uri.to_string().parse()?,
            headers: head.headers,
            body,
            identity: None,
            timeout: EXPORT_TIMEOUT,
            response_bytes_max: ANSWER_BYTES_MAX,
        };
        let transport = self.transport.clone();
        // Batches are sent from a thread that is in no runtime.
        let answer = self.runtime.spawn(async move { transport.send(request).await }).await??;
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
