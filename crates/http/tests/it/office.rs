//! A server in process: two organisations, three businesses, an application in each organisation, no network.

use crate::crew::Crew;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use lockstep_core::clock::{Clock, IdSource, Timestamp};
use lockstep_core::rate::RateLimit;
use lockstep_egress::{AddressPolicy, Response, SendError, Transport};
use lockstep_engine::World;
use lockstep_engine::control::token;
use lockstep_engine::deliver::{Desk, PostRoom};
use lockstep_engine::metrics::Metrics;
use lockstep_engine::principal::{Credentials, Principal, digest_of};
use lockstep_engine::seal::Sealer;
use lockstep_engine::settings::SharedSettings;
use lockstep_http::Server;
use lockstep_http::router::router;
use lockstep_http::throttle::Throttle;
use lockstep_store::Store;
use lockstep_store::memory::MemoryStore;
use lockstep_sync::control::Switchboard;
use lockstep_sync::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tower::ServiceExt;

pub(crate) const ADMIN_KEY: &str = "the-administrators-key";

/// Stands still until it is put forward.
#[derive(Default)]
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

/// Counts up, so that every run draws the same ids.
#[derive(Default)]
struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn ordered(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        secret
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// Nothing leaves this office.
struct NoPost;

#[async_trait]
impl Transport for NoPost {
    async fn send(&self, request: lockstep_egress::Request) -> Result<Response, SendError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        Err(SendError::Connect { host, cause: "there is no network here".to_owned() })
    }
}

/// A credential with its business.
#[derive(Clone, Debug)]
pub(crate) struct Badge {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) basic: String,
}

/// The server and everyone in it.
pub(crate) struct Office {
    router: Router,
    /// Held so that the post room's door stays open; nobody answers it.
    _desk: Desk,
    /// What the server stands on, for use cases that have no route of the Data API.
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) store: Arc<dyn Store>,
    /// The same, as what it is.
    pub(crate) memory: Arc<MemoryStore>,
    /// Of Acme, whose businesses are `acme-1` and `acme-2`.
    pub(crate) acme: Badge,
    /// Of Globex, whose business is `globex`.
    pub(crate) globex: Badge,
    /// Of Acme too, with every ability, where the office has a way out.
    pub(crate) manager: Badge,
    /// Who would work for shares.
    pub(crate) crew: Arc<Crew>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The error's code; empty where there is none.
    pub(crate) fn code(&self) -> &str {
        let code = self.body["error"]["code"].as_str().or_else(|| self.body["code"].as_str());
        code.unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        let text = self.body["error"]["message"].as_str().or_else(|| self.body["detail"].as_str());
        text.unwrap_or_default()
    }
}

impl Office {
    pub(crate) async fn open() -> Self {
        Self::open_with(None).await
    }

    /// One whose server has a rate limit for every credential.
    pub(crate) async fn open_with(usual: Option<RateLimit>) -> Self {
        Self::opened(usual, Arc::new(NoPost)).await
    }

    /// One with a way out, and somebody who may do everything.
    pub(crate) async fn open_to(transport: Arc<dyn Transport>) -> Self {
        let mut office = Self::opened(None, transport).await;
        let abilities = json!({"abilities": ["read", "query", "write", "subscribe", "files", "manage"]});
        office.manager = office.badge("Acme", "Manager", &abilities).await;
        office
    }

    async fn opened(usual: Option<RateLimit>, transport: Arc<dyn Transport>) -> Self {
        let clock = Arc::new(StillClock::default());
        let memory = Arc::new(MemoryStore::new(Arc::<StillClock>::clone(&clock)));
        let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(&memory);
        let world = Arc::new(World {
            store: Arc::clone(&store),
            clock: Arc::<StillClock>::clone(&clock),
            ids: Arc::new(CountedIds::default()),
            transport,
            policy: Arc::new(AddressPolicy::default()),
            sealer: Sealer::new(&[5; 32]).expect("a key"),
            settings: SharedSettings::default(),
            alerts: lockstep_engine::alert::Alerts::default(),
            bells: lockstep_engine::feed::Bells::default(),
            classes: lockstep_engine::feed::Classes::default(),
            metrics: Metrics::default(),
            uploads: lockstep_engine::upload::Uploads::default(),
            admin_key_digest: digest_of(ADMIN_KEY),
        });
        let (post_room, desk) = PostRoom::new();
        let blank = Badge { id: String::new(), key: String::new(), basic: String::new() };
        let throttle = Arc::new(Throttle::new(usual, Arc::<StillClock>::clone(&clock)));
        let stop = tokio::sync::watch::channel(false).1;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/connectors").into();
        let registry = Arc::new(Registry::new(Some(folder), Arc::<StillClock>::clone(&clock)).expect("connectors"));
        let crew = Arc::new(Crew::new(Arc::clone(&world), Arc::clone(&registry)));
        let url = "https://hub.example/".parse().expect("a URL");
        let shares = Arc::new(lockstep_sync::Office::new(Arc::clone(&world), Arc::clone(&registry), None));
        let sharing = Arc::new(Switchboard::new(Arc::clone(&world), registry, Arc::<Crew>::clone(&crew), url));
        let router = router(Server { world: Arc::clone(&world), post_room, stop, sharing, office: shares, throttle });
        let (acme, globex, manager) = (blank.clone(), blank.clone(), blank);
        let mut office = Self { router, world, clock, _desk: desk, store, memory, acme, globex, manager, crew };
        for (organisation, id) in [("Acme", "acme-1"), ("Acme", "acme-2"), ("Globex", "globex")] {
            let body = json!({"organisationName": organisation, "name": id, "id": id});
            assert_eq!(office.admin("/management/business/create", &body).await.status, 200);
        }
        office.acme = office.badge("Acme", "CRM", &json!({})).await;
        office.globex = office.badge("Globex", "CRM", &json!({})).await;
        office
    }

    /// A new application; `more` are further members of its grant.
    pub(crate) async fn badge(&self, organisation: &str, label: &str, more: &Value) -> Badge {
        let mut body = json!({
            "label": label, "organisationName": organisation, "businessAccessRule": {"deniedBusinessIds": []},
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let made = self.admin("/management/auth/create", &body).await;
        assert_eq!(made.status, 200, "{made:?}");
        let text = |member: &str| made.body[member].as_str().expect("text").to_owned();
        let basic = base64(&format!("{}:{}", text("clientId"), text("clientSecret")));
        Badge { id: text("id"), key: text("apiKey"), basic: format!("Basic {basic}") }
    }

    /// Whoever a key stands for.
    pub(crate) fn caller(&self, key: &str) -> Principal {
        Principal::of(&self.world, &Credentials::Key(key.to_owned())).expect("a living credential")
    }

    /// A token for acme-1 narrowed from a key, with its own; `more` are further members of what is asked.
    pub(crate) async fn token(&self, from: &str, more: &Value) -> (String, String) {
        let mut body = json!({"label": "kiosk"});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let body = serde_json::from_value(body).expect("a body");
        let made = token::create(&self.world, &self.caller(from), "acme-1", body).await.expect("a token");
        (made.id.to_string(), made.api_key)
    }

    pub(crate) async fn admin(&self, path: &str, body: &Value) -> Answer {
        self.post(path, ADMIN_KEY, &body.to_string()).await
    }

    /// A call by Acme's application.
    pub(crate) async fn acme(&self, path: &str, body: &Value) -> Answer {
        self.post(path, &self.acme.key, &body.to_string()).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        self.send("POST", path, &[("authorization", &format!("Bearer {key}"))], body).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.send(method, path, &[("authorization", &format!("Bearer {key}"))], &body.to_string()).await
    }

    /// A call of the REST face, below `/rest/v1`.
    pub(crate) async fn rest(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let key = format!("Bearer {key}");
        self.send(method, &format!("/rest/v1{path}"), &[("authorization", &key)], &body).await
    }

    /// A stream of the feed, whose events are still to come.
    pub(crate) async fn stream(&self, path: &str, key: &str, headers: &[(&str, &str)]) -> (u16, Body) {
        let mut request = Request::builder().method("GET").uri(format!("/rest/v1{path}"));
        request = request.header("authorization", format!("Bearer {key}")).header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        let response = response.expect("an answer");
        (response.status().as_u16(), response.into_body())
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
