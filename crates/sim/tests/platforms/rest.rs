//! The generic REST platform: its ways of paging, and of proving who calls.

use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::rest::{Auth, Rest};
use lockstep_sim::platforms::{Call, Platform};
use serde_json::{Value, json};

/// 2025-03-01T10:02:03Z.
const NOW: Timestamp = Timestamp(1_740_823_323_000);

fn get(platform: &mut Rest, target: &str) -> (Value, String) {
    let answer = platform.answer(&Call::new(Method::GET, target), NOW);
    assert_eq!(answer.status, 200, "{target}");
    (answer.value(), answer.header("link").to_owned())
}

fn ids(items: &Value) -> Vec<u64> {
    items.as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect()
}

/// Reads all pages of a style, as a client of that style does.
fn read_all(platform: &mut Rest, style: &str) -> Vec<u64> {
    let mut found = Vec::new();
    let mut target = format!("/{style}/items?limit=10");
    for page in 1..20 {
        let (body, link) = get(platform, &target);
        let items = if style == "link" { &body } else { &body["data"]["items"] };
        found.extend(ids(items));
        let is_last = ids(items).len() < 10;
        let next = match style {
            "offset" => (!is_last).then(|| format!("/offset/items?limit=10&offset={}", page * 10)),
            "page" => (!is_last).then(|| format!("/page/items?per_page=10&page={}", page + 1)),
            "cursor" => {
                body["meta"]["next_cursor"].as_str().map(|cursor| format!("/cursor/items?limit=10&cursor={cursor}"))
            }
            "next" => body["links"]["next"].as_str().map(str::to_owned),
            _ => link
                .strip_prefix('<')
                .and_then(|rest| rest.split_once(">; rel=\"next\""))
                .map(|(url, _)| url.to_owned()),
        };
        let Some(next) = next else { return found };
        target = next;
    }
    panic!("{style} has no end");
}

#[test]
fn every_style_of_paging_gives_every_item_once() {
    let mut platform = Rest::new(1, Auth::Open).with_people(33, 1, NOW);
    for style in ["offset", "page", "cursor", "next", "link"] {
        assert_eq!(read_all(&mut platform, style), (1..=33).collect::<Vec<u64>>(), "{style}");
    }
    let (since, _) = get(&mut platform, "/offset/items?updated_since=2025-03-01T10:02:00Z");
    assert_eq!(ids(&since["data"]["items"]), [30, 31, 32, 33]);
}

#[test]
fn every_kind_of_proof_is_asked_for() {
    for (auth, call) in [
        (Auth::KeyHeader, Call::new(Method::GET, "/me").with("x-api-key", Auth::KEY)),
        (Auth::KeyQuery, Call::new(Method::GET, "/me?api_key=key-1")),
        (Auth::Bearer, Call::new(Method::GET, "/me").with("authorization", "Bearer key-1")),
        (Auth::Basic, Call::new(Method::GET, "/me").with("authorization", "Basic aHViOmtleS0x")),
    ] {
        let mut platform = Rest::new(1, auth);
        assert_eq!(platform.answer(&Call::new(Method::GET, "/me"), NOW).status, 401, "{auth:?}");
        assert_eq!(platform.answer(&call, NOW).status, 200, "{auth:?}");
    }
}

#[test]
fn a_refresh_token_is_used_once_and_an_access_token_ends() {
    let mut platform = Rest::new(1, Auth::OAuth2);
    let form =
        [("grant_type", "refresh_token"), ("client_id", "hub"), ("client_secret", "key-1"), ("refresh_token", "rt-0")];
    let refresh = Call::new(Method::POST, "/oauth/token").with_form(&form);
    let token = platform.answer(&refresh, NOW).value()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(platform.answer(&refresh, NOW).value(), json!({"error": "invalid_grant"}));
    let call = Call::new(Method::GET, "/me").with("authorization", &format!("Bearer {token}"));
    assert_eq!(platform.answer(&call, NOW).status, 200);
    assert_eq!(platform.answer(&call, NOW.plus_ms(600_000)).status, 401);
}

#[test]
fn items_are_written_and_hooks_tell_of_it() {
    let mut platform = Rest::new(1, Auth::Open);
    let hook = Call::new(Method::POST, "/webhooks").with_json(&json!({"url": "https://hub.example/in"}));
    assert_eq!(platform.answer(&hook, NOW).status, 201);
    let item = Call::new(Method::POST, "/items").with_json(&json!({"name": "Kim", "email": "kim@club.test"}));
    let id = platform.answer(&item, NOW).value()["id"].as_u64().unwrap();
    assert_eq!(platform.answer(&item, NOW).status, 409);
    let put = Call::new(Method::PUT, &format!("/items/{id}")).with_json(&json!({"name": "Kit"}));
    assert_eq!(platform.answer(&put, NOW).value()["name"], "Kit");
    assert_eq!(platform.answer(&Call::new(Method::DELETE, &format!("/items/{id}")), NOW).status, 204);
    let told: Vec<Value> =
        platform.take_hooks(NOW).iter().map(|hook| serde_json::from_slice(&hook.body).unwrap()).collect();
    let events: Vec<&Value> = told.iter().map(|told| &told["event"]).collect();
    assert_eq!(events, ["created", "updated", "deleted"]);
}
