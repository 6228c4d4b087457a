//! Proofs on their way out: where each stands, and how tokens are fetched, shared, refused and forgotten.

use super::*;
use crate::metrics::Metrics;
use crate::seal::{Sealer, sealed_places};
use crate::settings::SharedSettings;
use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use lockstep_core::clock::{Clock, IdSource, Timestamp};
use lockstep_egress::{AddressPolicy, SendError, Transport};
use lockstep_store::memory::MemoryStore;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct NoIds;

impl IdSource for NoIds {
    fn ordered(&self) -> u128 {
        1
    }

    fn secret(&self) -> [u8; 32] {
        [1; 32]
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// A token endpoint at `/token` that numbers its tokens, and an endpoint that refuses some.
#[derive(Default)]
struct Net {
    sent: Mutex<Vec<Request>>,
    tokens: AtomicUsize,
    token_status: AtomicU16,
    refused: Mutex<Vec<String>>,
}

impl Net {
    fn count(&self, path: &str) -> usize {
        self.sent.lock().unwrap().iter().filter(|request| request.url.path() == path).count()
    }

    fn last(&self) -> Request {
        self.sent.lock().unwrap().last().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        self.sent.lock().unwrap().push(request.clone());
        let authorization = request.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let answer = |status: u16, body: Value| Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body.to_string()),
            is_cut: false,
        };
        if request.url.path() != "/token" {
            let is_refused = authorization.is_some_and(|token| self.refused.lock().unwrap().contains(&token));
            return Ok(answer(if is_refused { 401 } else { 200 }, json!({})));
        }
        // Others get their turn while the token is on its way.
        tokio::task::yield_now().await;
        match self.token_status.load(Ordering::Relaxed) {
            0 => {
                let token = format!("t{}", self.tokens.fetch_add(1, Ordering::Relaxed) + 1);
                Ok(answer(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 100})))
            }
            1 => Err(SendError::Connect { host: "a.example".to_owned(), cause: "refused".to_owned() }),
            status => Ok(answer(status, json!({"error": "invalid_client", "error_description": "s3cret is wrong"}))),
        }
    }
}

fn world() -> (Arc<World>, Arc<Hand>, Arc<Net>) {
    let (clock, net) = (Arc::new(Hand::default()), Arc::new(Net::default()));
    let world = World {
        store: Arc::new(MemoryStore::new(Arc::<Hand>::clone(&clock))),
        clock: Arc::<Hand>::clone(&clock),
        ids: Arc::new(NoIds),
        transport: Arc::<Net>::clone(&net),
        policy: Arc::new(AddressPolicy::default()),
        sealer: Sealer::new(&[5; 32]).unwrap(),
        settings: SharedSettings::default(),
        uploads: crate::upload::Uploads::default(),
        alerts: crate::alert::Alerts::default(),
        bells: crate::feed::Bells::default(),
        classes: crate::feed::Classes::default(),
        metrics: Metrics::default(),
        admin_key_digest: [0; 32],
    };
    (Arc::new(world), clock, net)
}

/// Credentials with these members of a subscription; what is to be sealed is given open.
fn credentials(world: &World, more: &Value) -> Credentials {
    let mut subscription = json!({
        "id": lockstep_core::ids::SubscriptionId(1), "business": "a1", "label": "", "url": "https://a.example/",
        "format": "standard", "signing": "hmac", "exclude_own": false, "secrets": [], "is_ended": false, "created_at": 0
    });
    for (name, value) in more.as_object().unwrap() {
        subscription[name] = value.clone();
    }
    let mut subscription: Subscription = serde_json::from_value(subscription).unwrap();
    for (place, sealed) in sealed_places(&mut subscription) {
        *sealed = world.sealer.seal(sealed.as_bytes(), &place).unwrap();
    }
    Credentials::open(world, &subscription).unwrap()
}

fn request() -> Request {
    Request {
        method: Method::POST,
        url: "https://a.example/hook?x=1".parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        identity: None,
        timeout: Duration::from_secs(1),
        response_bytes_max: 100,
    }
}

fn oauth2(more: &Value) -> Value {
    let mut auth = json!({
        "kind": "oauth2", "token_url": "https://a.example/token", "client_id": "hub", "client_secret": "s3cret",
        "client_auth": "basic",
    });
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"auth": auth})
}

#[tokio::test]
async fn each_proof_stands_where_its_endpoint_looks_for_it() {
    let (world, _, net) = world();
    for (auth, expected) in [
        (json!({"kind": "basic", "username": "hub", "password": "pä:ss"}), "Basic aHViOnDDpDpzcw=="),
        (json!({"kind": "bearer", "token": "t"}), "Bearer t"),
        (json!({"kind": "api-key", "place": "header", "name": "Authorization", "value": "Key k"}), "Key k"),
    ] {
        let credentials = credentials(&world, &json!({"auth": auth}));
        assert!(!format!("{credentials:?}").contains(expected));
        credentials.send(&world, request()).await.unwrap();
        let sent = net.last();
        assert_eq!(sent.headers[AUTHORIZATION], expected);
        assert!(sent.headers[AUTHORIZATION].is_sensitive());
    }
    let query = json!({"auth": {"kind": "api-key", "place": "query", "name": "key", "value": "a b&c"}});
    credentials(&world, &query).send(&world, request()).await.unwrap();
    assert_eq!(net.last().url.query(), Some("x=1&key=a+b%26c"));
}

#[tokio::test]
async fn own_headers_stand_beside_those_of_the_letter_which_come_first() {
    let (world, ..) = world();
    let credentials = credentials(&world, &json!({"headers": {"x-shop": "7", "x-both": "mine"}}));
    let mut headers = HeaderMap::new();
    headers.insert("x-both", HeaderValue::from_static("the letter's"));
    credentials.dress(&mut headers);
    assert_eq!(headers["x-shop"], "7");
    assert_eq!(headers["x-both"], "the letter's");
}

#[tokio::test]
async fn a_token_is_fetched_once_and_kept_for_most_of_its_life() {
    let (world, clock, net) = world();
    let credentials = credentials(&world, &oauth2(&json!({"scope": "read write", "audience": "shop"})));
    let send = || async { credentials.send(&world, request()).await.unwrap().status.as_u16() };
    assert_eq!(futures_util::future::join_all([send(), send(), send()]).await, [200; 3]);
    assert_eq!((net.count("/token"), net.count("/hook")), (1, 3), "who needs it at once waits for one fetch");
    let asked = net.sent.lock().unwrap().first().unwrap().clone();
    assert_eq!(asked.headers[AUTHORIZATION], "Basic aHViOnMzY3JldA==");
    assert_eq!(asked.body, "grant_type=client_credentials&scope=read+write&audience=shop");
    clock.0.store(79_000, Ordering::Relaxed);
    send().await;
    assert_eq!(net.count("/token"), 1);
    clock.0.store(80_000, Ordering::Relaxed);
    send().await;
    assert_eq!((net.count("/token"), net.last().headers[AUTHORIZATION].to_str().unwrap()), (2, "Bearer t2"));
}

#[tokio::test]
async fn a_refused_token_is_forgotten_and_the_delivery_sent_once_more() {
    let (world, _, net) = world();
    let credentials = credentials(&world, &oauth2(&json!({"client_auth": "body"})));
    net.refused.lock().unwrap().push("Bearer t1".to_owned());
    assert_eq!(credentials.send(&world, request()).await.unwrap().status, 200);
    assert_eq!((net.count("/token"), net.count("/hook")), (2, 2));
    assert_eq!(net.last().headers[AUTHORIZATION], "Bearer t2");
    let asked = net.sent.lock().unwrap().first().unwrap().clone();
    assert!(String::from_utf8_lossy(&asked.body).contains("client_secret=s3cret"));
    net.refused.lock().unwrap().extend(["Bearer t2", "Bearer t3"].map(str::to_owned));
    assert_eq!(credentials.send(&world, request()).await.unwrap().status, 401, "once more, and not again");
    assert_eq!((net.count("/token"), net.count("/hook")), (3, 4));
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_told_without_its_secrets() {
    let (world, clock, net) = world();
    let credentials = credentials(&world, &oauth2(&json!({})));
    for (status, said) in
        [(401, "it refuses with invalid_client"), (1, "a.example"), (302, "HTTP 302"), (500, "it refuses")]
    {
        net.token_status.store(status, Ordering::Relaxed);
        let why = credentials.send(&world, request()).await.unwrap_err();
        assert!(why.starts_with("no token could be fetched") && why.contains(said), "{status}: {why}");
        assert!(!why.contains("s3cret"), "{why}");
        clock.0.fetch_add(1, Ordering::Relaxed);
    }
    assert_eq!(net.count("/hook"), 0);
}
