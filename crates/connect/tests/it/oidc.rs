//! Refresh tokens that are good for one use, against npm's oidc-provider as `tests/peers/oidc.mjs` runs it: eight who
//! come at once ask once, what is kept is enough to go on from, and an answer that is lost does not loop.
//!
//! The provider takes back all that it ever gave where a token comes twice. Time here and there is moved by hand.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use lockstep_connect::{Check, Connector, Failure, FailureType, Keep, Link, World};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::peer::{Moved, Peer, root};

pub(crate) const MANIFEST: &str = r##"version: 1.0.0
check: {type: CheckStream, stream_names: [me]}
definitions:
  api:
    type: HttpRequester
    url_base: "{{ config['url'] }}"
    authenticator:
      type: OAuthAuthenticator
      token_refresh_endpoint: "{{ config['url'] }}/token"
      client_id: hub
      client_secret: "{{ config['client_secret'] }}"
      refresh_token: "{{ config['credentials']['refresh_token'] }}"
      refresh_token_updater: {}
    error_handler:
      type: DefaultErrorHandler
      response_filters: [{http_codes: [401], action: REFRESH_TOKEN_THEN_RETRY}]
streams:
  - type: DeclarativeStream
    name: me
    primary_key: sub
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/api", path: /me}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
spec: {type: Spec, connection_specification: {type: object, properties: {}}}
"##;

pub(crate) const SHARING: &str = "version: 1
requester: manifest#/definitions/api
identity: {get: /me, id: sub}
types: {person: {type: contact, stream: me, id: sub, fields: {}}}
";

const CALLERS: usize = 8;

/// Where the configuration is kept, with how often it was kept and read.
pub(crate) struct Drawer {
    config: Mutex<Value>,
    keeps: AtomicUsize,
    reads: AtomicUsize,
}

impl Drawer {
    pub(crate) fn holding(config: Value) -> Arc<Self> {
        Arc::new(Self { config: Mutex::new(config), keeps: AtomicUsize::default(), reads: AtomicUsize::default() })
    }

    fn config(&self) -> Value {
        self.config.lock().unwrap().clone()
    }

    pub(crate) fn refresh_token(&self) -> Value {
        self.config()["credentials"]["refresh_token"].clone()
    }

    /// Times that something was kept in it, and that it was read.
    fn counts(&self) -> (usize, usize) {
        (self.keeps.load(Ordering::SeqCst), self.reads.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Keep for Drawer {
    async fn keep(&self, config: &Value) -> Result<(), Failure> {
        self.keeps.fetch_add(1, Ordering::SeqCst);
        *self.config.lock().unwrap() = config.clone();
        Ok(())
    }

    async fn reread(&self) -> Option<Value> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Some(self.config())
    }
}

/// The provider, and an account that somebody logged in to long ago.
struct Provider {
    peer: Peer,
    clock: Arc<Moved>,
    drawer: Arc<Drawer>,
}

impl Provider {
    fn start() -> Self {
        let installed = Command::new("bash").arg(root().join("tests/peers/install.sh")).output().unwrap();
        assert!(installed.status.success(), "install.sh: {}", String::from_utf8_lossy(&installed.stderr));
        let (peer, told) = Peer::start("node", "oidc.mjs", |line| {
            let told: Value = serde_json::from_str(line).unwrap();
            (told["url"].as_str().unwrap().to_owned(), told)
        });
        let config = json!({"url": peer.url, "client_secret": "s3cret-of-the-hub", "credentials": {
            "access_token": "ran-out-long-ago", "token_expiry_date": "2025-12-31T00:00:00Z",
            "refresh_token": told["refreshToken"],
        }});
        Self { peer, clock: Arc::new(Moved::to("2026-01-01T00:00:00Z")), drawer: Drawer::holding(config) }
    }

    /// A link with what is kept.
    fn opened(&self) -> Link {
        let connector = Connector::parse(MANIFEST, Some(SHARING), Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"));
        let world = World {
            transport: Arc::clone(&self.peer.transport) as _,
            clock: Arc::clone(&self.clock) as _,
            seed: 7,
            keep: Some(Arc::clone(&self.drawer) as _),
        };
        connector.open(self.drawer.config(), world).unwrap()
    }

    /// An hour passes there, where a token lives for a minute.
    async fn an_hour_later(&self) {
        self.peer.tell("/later", &json!({"seconds": 3_600})).await;
    }

    /// What it counted: token requests, tokens given, requests refused, leaves taken back, and pages shown.
    async fn assert_seen(&self, asked: u64, given: u64, refused: u64, revoked: u64, shown: u64) {
        let seen = self.peer.tell("/seen", &json!({})).await;
        let counts = ["asked", "given", "refused", "revoked", "shown"].map(|name| seen[name].as_u64().unwrap());
        assert_eq!(counts, [asked, given, refused, revoked, shown], "{seen}");
    }
}

/// Eight at once over one link: half of them write's way, half of them reading's. All are shown the page.
async fn eight_at_once(link: &Link) {
    let mut callers = JoinSet::new();
    for n in 0..CALLERS {
        let link = link.clone();
        callers.spawn(async move {
            if n.is_multiple_of(2) {
                assert_eq!(link.identity().await.unwrap().id.as_deref(), Some("anna"));
            } else {
                assert_eq!(link.session().check().await, Check::Works);
            }
        });
    }
    callers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_who_come_at_once_refresh_once_and_nothing_is_taken_back() {
    let provider = Provider::start();
    let first = provider.drawer.refresh_token();
    let link = provider.opened();
    eight_at_once(&link).await;
    provider.assert_seen(1, 1, 0, 0, 8).await;
    let second = provider.drawer.refresh_token();
    assert!(second != first && second.is_string(), "the new refresh token is kept");
    assert_eq!(provider.drawer.counts(), (1, 0));

    // After a restart what was kept is gone on from: while its token lives, without a word to the provider.
    drop(link);
    let link = provider.opened();
    eight_at_once(&link).await;
    provider.assert_seen(1, 1, 0, 0, 16).await;
    provider.an_hour_later().await;
    provider.clock.advance(3_600_000);
    eight_at_once(&link).await;
    provider.assert_seen(2, 2, 0, 0, 24).await;
    let third = provider.drawer.refresh_token();
    assert!(third != second && third != first);

    // Nor where the clocks disagree, and all eight are turned away with a token that was thought to live.
    provider.an_hour_later().await;
    eight_at_once(&link).await;
    provider.assert_seen(3, 3, 0, 0, 32).await;
    assert!(![first, second, third].contains(&provider.drawer.refresh_token()));
    assert_eq!(provider.drawer.counts(), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_request_that_was_lost_is_made_again() {
    let provider = Provider::start();
    let first = provider.drawer.refresh_token();
    provider.peer.tell("/cut", &json!({"took": false})).await;
    eight_at_once(&provider.opened()).await;
    provider.assert_seen(2, 1, 0, 0, 8).await;
    assert_ne!(provider.drawer.refresh_token(), first);
    assert_eq!(provider.drawer.counts(), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_answer_was_lost_the_old_token_is_tried_once_and_then_somebody_must_log_in() {
    let provider = Provider::start();
    let before = provider.drawer.config();
    provider.peer.tell("/cut", &json!({"took": true})).await;
    let failure = provider.opened().identity().await.unwrap_err();
    assert_eq!(failure.kind, FailureType::Config, "{failure}");
    assert!(failure.message.contains("authorise again"), "{failure}");
    let token = before["credentials"]["refresh_token"].as_str().unwrap();
    assert!(!failure.message.contains(token) && !failure.message.contains("s3cret"), "{failure}");
    // Asked twice, given once to nobody; what is kept was read once, and was no newer one.
    provider.assert_seen(2, 1, 1, 1, 0).await;
    assert_eq!((provider.drawer.counts(), provider.drawer.config()), ((0, 1), before));
}
