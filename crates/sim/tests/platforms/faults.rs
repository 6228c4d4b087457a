//! Faults, and both ways to reach a platform: in the process and over HTTP.

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use lockstep_egress::{AddressPolicy, HttpTransport, Request, Response, SendError, Transport};
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::rest::{Auth, Rest};
use lockstep_sim::platforms::{Faults, Platform, ScaledClock, Site, serve};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

fn request(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
        identity: None,
        timeout: Duration::from_secs(5),
        response_bytes_max: 1 << 20,
    }
}

fn site(seed: u64) -> Site<Rest> {
    let clock = ScaledClock::begin(1);
    Site::new(Rest::new(seed, Auth::Open).with_people(50, seed, lockstep_sim::time::BEGINNING), seed, Arc::new(clock))
}

async fn statuses(site: &Site<Rest>, calls: usize) -> Vec<u16> {
    let mut found = Vec::new();
    for _ in 0..calls {
        found.push(site.send(request("http://rest.test/offset/items")).await.map_or(0, |it| it.status.as_u16()));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn faults_come_from_the_seed_and_are_told_apart() {
    let faults = Faults::parse("throttle=5,retry_after=7,unavailable=5,slow=5,slow_ms=6000").unwrap();
    let (one, same, other) = (site(1), site(1), site(2));
    for site in [&one, &same, &other] {
        site.set(faults);
    }
    let found = statuses(&one, 60).await;
    assert_eq!(found, statuses(&same, 60).await);
    assert_ne!(found, statuses(&other, 60).await);
    for status in [200, 429, 503, 0] {
        assert!(found.contains(&status), "{status} is missing in {found:?}");
    }
    assert_eq!(one.look(|it| it.throttled(7)).header("retry-after"), "7");
    assert!(one.look(|it| it.unavailable()).header("content-type").starts_with("text/html"));
    assert_eq!(one.seen().len(), 60);
    assert!(Faults::parse("thunder=1").is_err());
}

#[tokio::test(start_paused = true)]
async fn tokens_end_when_the_switch_says_so_and_an_answer_may_be_lost_after_the_work() {
    let site = Site::new(BlueConic::new(1), 1, Arc::new(ScaledClock::begin(1)));
    let mut token = request("https://acme.blueconic.net/rest/v2/oauth/token");
    token.method = Method::POST;
    token.headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    token.body = "grant_type=client_credentials&client_id=hub&client_secret=s3".into();
    let answer: serde_json::Value = serde_json::from_slice(&site.send(token).await.unwrap().body).unwrap();
    let mut call = request("https://acme.blueconic.net/rest/v2/profiles");
    call.headers
        .insert("authorization", format!("Bearer {}", answer["access_token"].as_str().unwrap()).parse().unwrap());
    call.method = Method::PUT;
    call.body = json!([{"strategy": "UPSERT", "properties": []}]).to_string().into();
    site.set(Faults { answer_lost_one_in: 1, ..Faults::default() });
    assert_eq!(site.send(call.clone()).await.unwrap().status, 503);
    assert_eq!(site.look(|platform| platform.profiles().len()), 1, "it was carried out all the same");
    site.set(Faults { expire_one_in: 1, ..Faults::default() });
    assert_eq!(site.send(call).await.unwrap().status, 401);
}

/// A receiver that remembers what came, and answers 410 to the third.
#[derive(Default)]
struct Receiver(Mutex<Vec<String>>);

#[async_trait]
impl Transport for Receiver {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let mut seen = self.0.lock().unwrap();
        seen.push(String::from_utf8(request.body.to_vec()).unwrap());
        let status = if seen.len() == 3 { StatusCode::GONE } else { StatusCode::OK };
        Ok(Response { status, headers: HeaderMap::new(), body: bytes::Bytes::new(), is_cut: false })
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_are_lost_doubled_and_shuffled() {
    let platform = ActiveCampaign::new(1);
    let site = Site::new(platform.with_people(1, lockstep_sim::time::BEGINNING), 1, Arc::new(ScaledClock::begin(1)));
    let mut call = request("https://acme.api-us1.com/api/3/webhooks");
    call.method = Method::POST;
    call.headers.insert("api-token", ActiveCampaign::TOKEN.parse().unwrap());
    let webhook = json!({"name": "hub", "url": "https://hub.example/in", "events": ["update"], "sources": ["admin"]});
    call.body = json!({ "webhook": webhook }).to_string().into();
    assert_eq!(site.send(call).await.unwrap().status, 201);
    let edit = |name: &str| {
        let told = json!({ "firstName": name });
        let origin = lockstep_sim::platforms::activecampaign::Origin::Admin;
        site.look(|platform| platform.edit(88, &told, origin, site.now()));
    };
    let told = |faults: Faults| {
        site.set(faults);
        (0..40).for_each(|at| edit(&format!("N{at}")));
        let names = site.take_hooks().into_iter().map(|hook| hook.field("contact[first_name]").unwrap());
        names.collect::<Vec<_>>()
    };
    let all: Vec<String> = (0..40).map(|at| format!("N{at}")).collect();
    assert_eq!(told(Faults::default()), all);
    assert!(told(Faults { hook_lost_one_in: 3, ..Faults::default() }).len() < 40);
    assert!(told(Faults { hook_twice_one_in: 3, ..Faults::default() }).len() > 40);
    let mut shuffled = told(Faults { hooks_are_shuffled: true, ..Faults::default() });
    assert_ne!(shuffled, all);
    shuffled.sort_by_key(|name| name[1..].parse::<u32>().unwrap());
    assert_eq!(shuffled, all);

    site.set(Faults::default());
    let receiver = Receiver::default();
    for at in 0..3 {
        edit(&format!("S{at}"));
        assert_eq!(site.send_hooks(&receiver).await, 1);
    }
    edit("S4");
    assert_eq!(site.send_hooks(&receiver).await, 0, "the third was answered 410");
}

#[tokio::test]
async fn a_platform_is_reached_over_http_too() {
    let platform = BlueConic::new(1).with_people(40, lockstep_sim::time::BEGINNING);
    let site = Arc::new(Site::new(platform, 1, Arc::new(ScaledClock::begin(1))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut server = tokio::task::JoinSet::new();
    server.spawn(serve(Arc::clone(&site), listener));
    let transport = HttpTransport::new(Arc::new(AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()])));
    let mut token = request(&format!("{base}/rest/v2/oauth/token"));
    token.method = Method::POST;
    token.headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    token.body = "grant_type=client_credentials&client_id=hub&client_secret=s3".into();
    let answer: serde_json::Value = serde_json::from_slice(&transport.send(token).await.unwrap().body).unwrap();
    let mut call = request(&format!("{base}/rest/v2/segments/allmembers/profiles?cursor=*&count=100"));
    call.headers
        .insert("authorization", format!("Bearer {}", answer["access_token"].as_str().unwrap()).parse().unwrap());
    let answer = transport.send(call).await.unwrap();
    assert_eq!(answer.headers["transfer-encoding"], "chunked");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["profiles"].as_array().unwrap().len(), 40);
}
