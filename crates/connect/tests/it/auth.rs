//! Tokens are got once for an account, renewed when they run out, and rotated refresh tokens are used from then on.

use crate::oidc::{Drawer, MANIFEST, SHARING};
use crate::platform::{Answer, Asked, Platform, page, read, source, world};
use lockstep_connect::{Connector, Link, World};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

fn secured(authenticator: &str) -> String {
    let stream = |name: &str| {
        format!(
            "- $ref: '#/definitions/stream'
  name: {name}
  $parameters: {{path: {name}}}
  retriever:
    $ref: '#/definitions/stream/retriever'
    requester: {{$ref: '#/definitions/requester', authenticator: {authenticator}}}
    partition_router: {{type: ListPartitionRouter, cursor_field: n, values: ['1', '2', '3', '4', '5', '6'],
      request_option: {{inject_into: request_parameter, field_name: n}}}}\n"
        )
    };
    stream("a") + &stream("b")
}

fn calls_to(platform: &Platform, path: &str) -> Vec<Asked> {
    platform.asked.lock().unwrap().iter().filter(|asked| asked.path == path).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_got_once_for_all_streams_and_slices() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/token" => Answer::json(&json!({"access_token": "t-1", "expires_in": 3600})),
        _ if asked.headers["authorization"] == "Bearer t-1" => page(0, 1),
        _ => Answer::status(401),
    });
    let oauth = "{type: OAuthAuthenticator, client_id: id, client_secret: sec, token_refresh_endpoint: 'https://p.test/token', \
        grant_type: client_credentials}";
    let outcome = read(&source(&secured(oauth)), json!({}), &platform, &[]).await;
    assert_eq!(outcome.problems, [""; 0]);
    let asked = calls_to(&platform, "/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].body, "grant_type=client_credentials&client_id=id&client_secret=sec");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_runs_out_is_renewed_with_the_rotated_refresh_token() {
    let mut given = 0;
    let platform = Platform::new(move |asked| match asked.path.as_str() {
        "/token" => {
            let expected = if given == 0 { "r-0".to_owned() } else { format!("r-{given}") };
            assert!(asked.body.contains(&format!("refresh_token={expected}")), "{}", asked.body);
            given += 1;
            Answer::json(
                &json!({"access_token": format!("t-{given}"), "refresh_token": format!("r-{given}"), "expires_in": 10}),
            )
        }
        _ => page(0, 1),
    });
    let oauth = "{type: OAuthAuthenticator, client_id: id, client_secret: sec, token_refresh_endpoint: 'https://p.test/token', \
        refresh_token: r-0, refresh_token_updater: {}}";
    let outcome = read(&source(&secured(oauth)), json!({}), &platform, &[]).await;
    assert_eq!(outcome.problems, [""; 0]);
    // Ten seconds less the reserve is no time at all: each request renews, one at a time.
    assert_eq!(calls_to(&platform, "/token").len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_says_what_to_do_and_not_the_secret() {
    let platform = Platform::new(|_| Answer {
        status: 400,
        headers: Vec::new(),
        body: b"{\"error\":\"invalid_grant for s3cret-value\"}".to_vec(),
    });
    let oauth = "{type: OAuthAuthenticator, client_id: id, client_secret: \"{{ config.secret }}\", \
        token_refresh_endpoint: 'https://p.test/token', refresh_token: r-0}";
    let outcome = read(&source(&secured(oauth)), json!({"secret": "s3cret-value"}), &platform, &[]).await;
    assert!(
        outcome.problems[0].contains("invalid_grant for ****; check the credentials, or authorise again"),
        "{:?}",
        outcome.problems[0]
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_is_begun_once_and_again_when_it_is_old() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/login" => Answer { status: 200, headers: Vec::new(), body: b" tok-1\n".to_vec() },
        _ if asked.headers["x-session"] == "s tok-1" => page(0, 1),
        _ => Answer::status(401),
    });
    let session = "{type: SessionTokenAuthenticator, expiration_duration: PT1H, session_token_path: [token], decoder: {type: PlainTextDecoder},
      login_requester: {type: HttpRequester, url_base: 'https://p.test', path: login, http_method: POST},
      request_authentication: {type: ApiKey, inject_into: {inject_into: header, field_name: X-Session}, api_token: \"s {{ session_token }}\"}}";
    let outcome = read(&source(&secured(session)), json!({}), &platform, &[]).await;
    assert_eq!(outcome.problems, [""; 0]);
    assert_eq!(calls_to(&platform, "/login").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_configuration_chooses_among_several_ways() {
    let platform = Platform::new(|asked| {
        assert_eq!(asked.headers["authorization"], "Basic YW5uYTpwdw==");
        page(0, 1)
    });
    let choice = "{type: SelectiveAuthenticator, authenticator_selection_path: [auth, kind], authenticators: {
      key: {type: ApiKeyAuthenticator, header: X-Key, api_token: k}, basic: {type: BasicHttpAuthenticator, username: anna, password: pw}}}";
    let outcome = read(&source(&secured(choice)), json!({"auth": {"kind": "basic"}}), &platform, &[]).await;
    assert_eq!(outcome.problems, [""; 0]);
    let outcome = read(&source(&secured(choice)), json!({"auth": {"kind": "oauth"}}), &platform, &[]).await;
    assert!(
        outcome.problems[0].contains("`auth.kind` is \"oauth\" in the configuration; give one of basic, key"),
        "{:?}",
        outcome.problems
    );
}

#[tokio::test(start_paused = true)]
async fn oauth_1_signs_each_call_anew() {
    let platform = Platform::new(|_| page(0, 1));
    let oauth = "{type: OAuth1Authenticator, consumer_key: ck, consumer_secret: cs, token: tk, token_secret: ts}";
    read(&source(&secured(oauth)), json!({}), &platform, &[]).await;
    let nonce = |asked: &Asked| {
        let header = &asked.headers["authorization"];
        assert!(
            header.starts_with("OAuth oauth_consumer_key=\"ck\"")
                && header.contains("oauth_signature_method=\"HMAC-SHA1\""),
            "{header}"
        );
        header.split("oauth_nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let nonces: std::collections::BTreeSet<String> = platform.asked.lock().unwrap().iter().map(nonce).collect();
    assert_eq!(nonces.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_to_several_is_renewed_once() {
    let mut given = 0;
    let platform = Platform::new(move |asked| match asked.path.as_str() {
        "/token" => {
            given += 1;
            Answer::json(&json!({"access_token": format!("t-{given}"), "expires_in": 3600}))
        }
        // The first token was taken back, and each new one takes back the one before.
        _ if given > 1 && asked.headers["authorization"] == format!("Bearer t-{given}") => page(0, 1),
        _ => Answer::status(401),
    });
    let oauth = "{type: OAuthAuthenticator, client_id: id, client_secret: sec, token_refresh_endpoint: 'https://p.test/token', \
        grant_type: client_credentials}, error_handler: {type: DefaultErrorHandler, response_filters: \
        [{http_codes: [401], action: REFRESH_TOKEN_THEN_RETRY}]}";
    let outcome = read(&source(&secured(oauth)), json!({}), &platform, &[]).await;
    assert_eq!(outcome.problems, [""; 0]);
    assert_eq!(calls_to(&platform, "/token").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_end_and_one_of_ages_are_no_trouble() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/login" => Answer { status: 200, headers: Vec::new(), body: b"tok-1".to_vec() },
        _ => page(0, 1),
    });
    let session = "{type: SessionTokenAuthenticator, expiration_duration: P20000Y, session_token_path: [], decoder: {type: PlainTextDecoder},
      login_requester: {type: HttpRequester, url_base: 'https://p.test', path: login, http_method: POST},
      request_authentication: {type: Bearer}}";
    let outcome = read(&source(&secured(session)), json!({}), &platform, &[]).await;
    assert_eq!(outcome.problems, [""; 0]);
}

/// A link to an account whose token ran out long ago, and where its configuration is kept.
fn run_out(platform: &Arc<Platform>) -> (Link, Arc<Drawer>) {
    let connector = Connector::parse(MANIFEST, Some(SHARING), Arc::new(())).unwrap_or_else(|bad| panic!("{bad}"));
    let config = json!({"url": "https://p.test", "client_secret": "sec", "credentials": {
        "access_token": "t-0", "token_expiry_date": "2025-12-31T00:00:00Z", "refresh_token": "r-0",
    }});
    let drawer = Drawer::holding(config.clone());
    let world = World { keep: Some(Arc::clone(&drawer) as _), ..world(platform) };
    (connector.open(config, world).unwrap(), drawer)
}

#[tokio::test(start_paused = true)]
async fn a_renewal_goes_on_when_whoever_asked_hangs_up() {
    let platform = Platform::new(|asked| match asked.path.as_str() {
        "/token" => Answer::json(&json!({"access_token": "t-1", "refresh_token": "r-1", "expires_in": 3600})),
        _ => Answer::json(&json!({"sub": "anna"})),
    });
    let (link, drawer) = run_out(&platform);
    // An answer takes a millisecond.
    tokio::time::timeout(Duration::from_micros(500), link.identity()).await.unwrap_err();
    assert_eq!(drawer.refresh_token(), "r-0");
    // tidy: sleep: on simulated time, in which what is under way ends
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(drawer.refresh_token(), "r-1");
    assert_eq!(link.identity().await.unwrap().id.as_deref(), Some("anna"));
    assert_eq!(calls_to(&platform, "/token").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_a_renewal_share_its_refusal() {
    let platform = Platform::new(|_| Answer::status(400));
    let (link, _drawer) = run_out(&platform);
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let link = link.clone();
        callers.spawn(async move { link.identity().await.unwrap_err().message });
    }
    let told = callers.join_all().await;
    assert!(told.len() == 8 && told.iter().all(|text| text.contains("authorise again")), "{told:?}");
    assert_eq!(calls_to(&platform, "/token").len(), 1);
    link.identity().await.unwrap_err();
    assert_eq!(calls_to(&platform, "/token").len(), 2, "whoever comes later asks anew");
}
