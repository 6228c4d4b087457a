//! The hub under test: `lockstep serve` as a child process with a folder of its own, and the calls that set it up.
//! It must not reach into the hub by any other way than its API, so that what is measured is what users get.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Bench;
use super::link::{Sender, Target};
use super::load::{ClosedLoop, Errand};
use super::process::{Process, tail};
use super::stream::Reader;
use super::upload;

const BUSINESS: &str = "bench";
const ORGANISATION: &str = "Bench";
/// Connections over which subscriptions are made that nothing matches.
const DECOY_CONNECTIONS: usize = 64;

/// A hub with one business and one application.
pub(crate) struct Hub {
    process: Process,
    api_key: String,
    admin_key: String,
    data: PathBuf,
    /// Which of the sink's boards counts what this hub delivers.
    board: usize,
}

impl Hub {
    /// Starts a hub on an empty folder and makes its business and application.
    pub(crate) async fn start(bench: &Bench) -> anyhow::Result<Self> {
        Self::start_with(bench, &[]).await
    }

    /// The same, with more flags.
    pub(crate) async fn start_with(bench: &Bench, more: &[OsString]) -> anyhow::Result<Self> {
        let board = bench.next_board();
        let data = bench.folder().join(format!("hub-{board}"));
        let log = log_of(bench, board);
        let admin_key = random_key()?;
        let flags = ["--listen", "127.0.0.1:0", "--allow-private", "127.0.0.0/8"].map(OsString::from);
        let mut arguments = vec![OsString::from("serve"), OsString::from("--data"), data.clone().into_os_string()];
        arguments.extend(flags);
        arguments.extend_from_slice(more);
        let process = Process::start(arguments, &[("LOCKSTEP_ADMIN_KEY", &admin_key)], &log).await?;
        let api_key = set_up(process.address(), &admin_key).await.context("setting up the hub")?;
        Ok(Self { process, api_key, admin_key, data, board })
    }

    /// Serves a folder that was made elsewhere.
    pub(crate) async fn serve_again(bench: &Bench, data: &Path, admin_key: &str) -> anyhow::Result<Process> {
        let log = log_of(bench, bench.next_board());
        let flags = ["--listen", "127.0.0.1:0", "--allow-private", "127.0.0.0/8"].map(OsString::from);
        let mut arguments = vec![OsString::from("serve"), OsString::from("--data"), data.as_os_str().to_owned()];
        arguments.extend(flags);
        Process::start(arguments, &[("LOCKSTEP_ADMIN_KEY", admin_key)], &log).await
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.data
    }

    /// The administrator's key.
    pub(crate) fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Uploads `count` contacts over one connection and waits until the last is durable.
    pub(crate) async fn upload(&self, bench: &Bench, count: u64) -> anyhow::Result<()> {
        let path = format!("/v1/business/{BUSINESS}/contact/create-many");
        upload::send(self.process.address(), &path, &self.api_key, bench.records(), count).await
    }

    /// Asks for every contact; the operation's id.
    pub(crate) async fn sync_all(&self) -> anyhow::Result<String> {
        let target = self.business("contact/sync-all")?;
        let post = |mut sender| async move { target.post(&mut sender, Bytes::new()).await };
        let (status, answer) = self.business("contact/sync-all")?.connected(post).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "sync-all answered {status}");
        text_of(&serde_json::from_slice(&answer)?, "operationId")
    }

    /// A reader of the business's changes that stays.
    pub(crate) async fn follow(&self, query: &str) -> anyhow::Result<Reader> {
        Reader::open(self.process.address(), &self.api_key, BUSINESS, query).await
    }

    /// Makes one contact.
    pub(crate) async fn create(&self, bench: &Bench, number: u64) -> anyhow::Result<()> {
        let (target, body) = (self.business("contact/create")?, bench.records().body(number));
        let post = |mut sender| async move { target.post(&mut sender, body).await };
        let (status, _) = self.business("contact/create")?.connected(post).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "a create was answered {status}");
        Ok(())
    }

    /// Something of the business by the REST face, on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let path = format!("/rest/v1/businesses/{BUSINESS}/{path}");
        Target::new(self.process.address(), &path, &self.api_key)?.get().await
    }

    /// Makes something of the business by the REST face, as the administrator.
    pub(crate) async fn manage(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let path = format!("/rest/v1/businesses/{BUSINESS}/{path}");
        let target = Target::new(self.process.address(), &path, &self.admin_key)?;
        let sent = Bytes::from(body.to_string());
        let post = |mut sender| async move { target.post(&mut sender, sent).await };
        let (status, answer) = Target::new(self.process.address(), &path, &self.admin_key)?.connected(post).await?;
        anyhow::ensure!(status.is_success(), "{path} answered {status}: {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Reads something of the business by the REST face, as the administrator.
    pub(crate) async fn managed(&self, path: &str) -> anyhow::Result<Value> {
        let path = format!("/rest/v1/businesses/{BUSINESS}/{path}");
        Target::new(self.process.address(), &path, &self.admin_key)?.get().await
    }

    /// Looks for one contact by a field on `sender`'s connection, and finds one.
    pub(crate) async fn find(&self, sender: &mut Sender, field: &str, value: &str) -> anyhow::Result<()> {
        let path = format!("/rest/v1/businesses/{BUSINESS}/records/contact?{field}={value}");
        let page = Target::new(self.process.address(), &path, &self.api_key)?.get_on(sender).await?;
        let found = page.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        anyhow::ensure!(found == 1, "{found} contacts have the {field} {value}");
        Ok(())
    }

    /// A connection to ask over.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        Target::new(self.process.address(), "/rest/v1/me", &self.api_key)
    }

    /// How an operation stands.
    pub(crate) async fn operation(&self, id: &str) -> anyhow::Result<Value> {
        self.business(&format!("operation/get/{id}"))?.call(&json!({})).await
    }

    /// Its process, for what it costs.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// The sink's board of this hub.
    pub(crate) fn board(&self) -> usize {
        self.board
    }

    /// Creating contacts over and over.
    pub(crate) fn creating(&self, bench: &Bench) -> anyhow::Result<Errand> {
        create_errand(self.process.address(), &self.api_key, bench)
    }

    /// Subscribes the sink at `sink` to all contacts; the subscription's id.
    pub(crate) async fn subscribe(&self, sink: SocketAddr) -> anyhow::Result<String> {
        self.subscribe_to(sink, &[]).await
    }

    /// The same to some kinds alone; to all where none is named.
    pub(crate) async fn subscribe_to(&self, sink: SocketAddr, kinds: &[&str]) -> anyhow::Result<String> {
        let mut body = json!({ "url": format!("http://{sink}/hook/{}", self.board), "types": ["contact"] });
        if let (Some(members), false) = (body.as_object_mut(), kinds.is_empty()) {
            members.insert("kinds".to_owned(), json!(kinds));
        }
        let answer = self.business("subscription/create")?.call(&body).await?;
        text_of(&answer, "id")
    }

    /// Adds `count` subscriptions that no created contact matches: half ask for another type, half for one contact
    /// each that is never made.
    pub(crate) async fn subscribe_in_vain(&self, sink: SocketAddr, count: u64) -> anyhow::Result<()> {
        let url = format!("http://{sink}/hook/{}", self.board);
        let body = move |number: u64| {
            let wish = if number.is_multiple_of(2) {
                json!({ "url": url, "types": ["invoice"] })
            } else {
                // Well-formed, each another, and none that a hub of this century gives out.
                json!({ "url": url, "types": ["contact"], "recordIds": [format!("rec_{number:026}")] })
            };
            Bytes::from(wish.to_string())
        };
        let target = self.business("subscription/create")?;
        let errand = Errand { target, expected: StatusCode::OK, body: Box::new(body) };
        ClosedLoop::start(errand, DECOY_CONNECTIONS, count).finish().await?;
        Ok(())
    }

    /// Pauses or resumes a subscription.
    pub(crate) async fn set_paused(&self, subscription: &str, is_paused: bool) -> anyhow::Result<()> {
        let target = self.business(&format!("subscription/update/{subscription}"))?;
        target.call(&json!({ "paused": is_paused })).await?;
        Ok(())
    }

    /// Records parked for a subscription.
    pub(crate) async fn parked(&self, subscription: &str) -> anyhow::Result<usize> {
        let answer = self.business(&format!("subscription/deliveries/{subscription}"))?.call(&json!({})).await?;
        Ok(answer.get("parked").and_then(Value::as_array).map_or(0, Vec::len))
    }

    fn business(&self, path: &str) -> anyhow::Result<Target> {
        Target::new(self.process.address(), &format!("/v1/business/{BUSINESS}/{path}"), &self.api_key)
    }
}

/// The ends of the logs of the hubs started since board `first`, to be shown when something broke.
pub(crate) fn logs_since(bench: &Bench, first: usize) -> String {
    let tails = (first..bench.next_board()).map(|board| tail(&log_of(bench, board)));
    let told = tails.filter(|text| !text.trim().is_empty());
    told.map(|text| format!("\nthe log of a hub ends with:\n{}", text.trim_end())).collect()
}

fn log_of(bench: &Bench, board: usize) -> PathBuf {
    bench.folder().join(format!("hub-{board}.log"))
}

/// Creating contacts at any server with the hub's path: the hub, or the bare server.
pub(crate) fn create_errand(address: SocketAddr, key: &str, bench: &Bench) -> anyhow::Result<Errand> {
    let target = Target::new(address, &format!("/v1/business/{BUSINESS}/contact/create"), key)?;
    let records = bench.records();
    Ok(Errand { target, expected: StatusCode::ACCEPTED, body: Box::new(move |number| records.body(number)) })
}

async fn set_up(address: SocketAddr, admin_key: &str) -> anyhow::Result<String> {
    let business = json!({ "organisationName": ORGANISATION, "name": "Bench", "id": BUSINESS });
    Target::new(address, "/management/business/create", admin_key)?.call(&business).await?;
    let application = json!({
        "label": "Load generator",
        "organisationName": ORGANISATION,
        "businessAccessRule": { "deniedBusinessIds": [] },
    });
    let answer = Target::new(address, "/management/auth/create", admin_key)?.call(&application).await?;
    text_of(&answer, "apiKey")
}

fn text_of(answer: &Value, name: &str) -> anyhow::Result<String> {
    let text = answer.get(name).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("an answer without {name:?}: {answer}"))
}

/// The hub listens on the loopback of a machine that others may use too, so its key is a secret.
fn random_key() -> anyhow::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 32];
    let source = Path::new("/dev/urandom");
    std::fs::File::open(source)?.read_exact(&mut bytes).context("reading /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
