//! What must never be in the log is not, though everything is logged and much goes wrong.

use crate::client::Client;
use crate::desk::Desk;
use crate::eventually::{eventually, seconds};
use crate::hub::{ADMIN_KEY, Start};
use crate::receiver::Receiver;
use anyhow::{Result, ensure};
use serde_json::json;

const PLANTED: [&str; 4] = ["planted-in-url", "planted.value@example.com", "planted-wrong-key", "planted-condition"];

#[tokio::test]
async fn secrets_and_values_are_never_logged() -> Result<()> {
    let data = tempfile::tempdir()?;
    let receiver = Receiver::start().await?;
    receiver.refuse_each(1);
    let hub = Start::on(data.path()).with("LOCKSTEP_LOG", "trace").with("LOCKSTEP_LOG_FORMAT", "json").run().await?;
    let desk = Desk::open(&hub).await?;
    let url = format!("{}?key={}", receiver.url("/hook"), PLANTED[0]);
    let more = json!({"condition": format!("lastName != '{}'", PLANTED[3])});
    let subscription = desk.subscribe(&hub, &url, more).await?;
    let mut client = desk.client(&hub);
    for _ in 0..12 {
        desk.create(&mut client, &json!({"email": PLANTED[1], "firstName": "Ann"})).await?;
    }
    let refused = client.post(&desk.path("contact/create"), &json!({"birthDate": PLANTED[1]})).await?;
    refused.of_status(400)?;
    let mut stranger = Client::new(hub.address, PLANTED[2]);
    stranger.post(&desk.path("contact/create"), &json!({})).await?.of_status(401)?;
    eventually(seconds(30), "word of the endpoint", async || hub.log_text().contains("the endpoint is down")).await?;
    let log = hub.log_text();
    hub.stop().await?;
    ensure!(receiver.look(<[_]>::len) >= 10, "deliveries were tried");
    let keys = [ADMIN_KEY, &desk.api_key, &subscription.secret];
    for secret in PLANTED.into_iter().chain(keys) {
        ensure!(!log.contains(secret), "{secret:?} is in the log: {log}");
    }
    Ok(())
}
