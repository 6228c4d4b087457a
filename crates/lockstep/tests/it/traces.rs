//! Traces reach a collector where one is named, and hold nothing that a log may not.

use crate::desk::Desk;
use crate::eventually::{eventually, seconds};
use crate::hub::{ADMIN_KEY, Start};
use crate::receiver::Receiver;
use anyhow::{Result, ensure};
use serde_json::json;

const PLANTED: [&str; 2] = ["planted-in-url", "planted.value@example.com"];

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn requests_and_deliveries_are_traced_without_what_they_carry() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (collector, endpoint) = (Receiver::start().await?, Receiver::start().await?);
    let start = Start::on(data.path()).with("LOCKSTEP_LOG", "trace");
    let hub = start.with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url("")).run().await?;
    let desk = Desk::open(&hub).await?;
    let url = format!("{}?key={}", endpoint.url("/hook"), PLANTED[0]);
    let own = desk.subscribe(&hub, &url, json!({})).await?;
    let mut client = desk.client(&hub);
    desk.create(&mut client, &json!({"email": PLANTED[1]})).await?;
    eventually(seconds(30), "a delivery", async || endpoint.look(|all| !all.is_empty())).await?;
    ensure!(!hub.log_text().contains("lockstep_span"), "spans are no log lines");
    // Stopping sends what is left.
    hub.stop().await?;
    let batches = collector.take();
    ensure!(!batches.is_empty(), "nothing came");
    for batch in &batches {
        let kind = batch.headers.get("content-type").map(String::as_str);
        ensure!((batch.path.as_str(), kind) == ("/v1/traces", Some("application/x-protobuf")), "{batch:?}");
    }
    let all: Vec<u8> = batches.iter().flat_map(|batch| batch.body.to_vec()).collect();
    for expected in [
        "lockstep_http::request",
        "/v1/business/{business}/{type}/create",
        "lockstep_engine::deliver::post",
        own.id.as_str(),
        "dlv_",
    ] {
        ensure!(holds(&all, expected), "{expected} is in no span");
    }
    for secret in [PLANTED[0], PLANTED[1], ADMIN_KEY, &desk.api_key, &own.secret] {
        ensure!(!holds(&all, secret), "{secret:?} is in a span");
    }
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_stops_the_start() -> Result<()> {
    let data = tempfile::tempdir()?;
    for endpoint in ["no url", "ftp://127.0.0.1/"] {
        let refusal = Start::on(data.path()).with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).refused().await?;
        ensure!(refusal.exit == Some(2) && refusal.stderr.contains("4318"), "{endpoint}: {refusal}");
    }
    Ok(())
}
