//! Deliveries with tokens of a real authorization server: Authlib's, as `tests/peers/authority.py` runs it.

use crate::client::Client;
use crate::desk::Desk;
use crate::eventually::{eventually, seconds};
use crate::hub::{Start, root};
use crate::peers::{install, python};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The authorization server; it ends with its standard input.
pub(crate) struct Authority {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Authority {
    pub(crate) fn start() -> Result<Self> {
        install()?;
        let mut child = Command::new(python())
            .arg(root().join("tests/peers/authority.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let port: u16 = line.trim().parse().with_context(|| format!("{line:?} is no port"))?;
        Ok(Self { child, address: ([127, 0, 0, 1], port).into() })
    }

    async fn ask(&self, path: &str) -> Result<Value> {
        Client::new(self.address, "nobody").post(path, &json!({})).await?.of_status(200)
    }

    async fn has_seen(&self, expected: &Value) -> bool {
        self.ask("/seen").await.is_ok_and(|seen| seen == *expected)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Whether it was still there does not matter.
        let _gone = self.child.wait();
    }
}

async fn tokens_are_fetched_and_replaced(client_auth: &str) -> Result<()> {
    let authority = Authority::start()?;
    let folder = tempfile::tempdir()?;
    let hub = Start::on(folder.path().join("data")).run().await?;
    let desk = Desk::open(&hub).await?;
    let mut client = desk.client(&hub);
    let url = |path: &str| format!("http://{}{path}", authority.address);
    let auth = json!({
        "kind": "oauth2", "tokenUrl": url("/token"), "clientId": "hub", "clientSecret": "s3cret-of-the-hub",
        "scope": "deliver", "clientAuth": client_auth,
    });
    let subscription = desk.subscribe(&hub, &url("/hook"), json!({"auth": auth})).await?;
    desk.create(&mut client, &json!({"firstName": "Ada"})).await?;
    let first = json!({"issued": 1, "taken": 1, "refused": 0, "scopes": ["deliver"]});
    eventually(seconds(20), "a delivery with the first token", async || authority.has_seen(&first).await).await?;

    authority.ask("/revoke").await?;
    desk.create(&mut client, &json!({"firstName": "Bob"})).await?;
    let second = json!({"issued": 2, "taken": 2, "refused": 1, "scopes": ["deliver", "deliver"]});
    eventually(seconds(20), "a delivery with a new token", async || authority.has_seen(&second).await).await?;

    let wrong = json!({"auth": {
        "kind": "oauth2", "tokenUrl": url("/token"), "clientId": "hub", "clientSecret": "another-s3cret",
        "clientAuth": client_auth,
    }});
    client.post(&desk.path(&format!("subscription/update/{}", subscription.id)), &wrong).await?.of_status(200)?;
    let path = desk.path(&format!("subscription/test/{}", subscription.id));
    let mut why = String::new();
    eventually(seconds(20), "the test tells of the wrong secret", async || {
        let answer = client.post(&path, &json!({})).await.and_then(|answer| answer.of_status(200));
        why = answer.map(|told| told["failure"].as_str().unwrap_or_default().to_owned()).unwrap_or_default();
        why.contains("invalid_client")
    })
    .await?;
    ensure!(why.starts_with("no token could be fetched") && !why.contains("s3cret"), "{why}");
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_of_authlib_is_replaced_at_once_by_basic() -> Result<()> {
    tokens_are_fetched_and_replaced("basic").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_of_authlib_is_replaced_at_once_by_body() -> Result<()> {
    tokens_are_fetched_and_replaced("body").await
}
