//! Leave given by a user, and refresh tokens that are good for one use: nothing is used that was not kept before.

use super::linked::{Linked, blueconic};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use lockstep_connect::{Failure, FailureType, Keep, World};
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::{Call, Platform};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use url::Url;

const BACK: &str = "https://hub.example/oauth/back";
const VERIFIER: &str = "a-verifier-of-forty-three-letters-or-more-000";

/// A drawer that can be shut.
struct Drawer {
    config: Mutex<Value>,
    is_shut: AtomicBool,
}

#[async_trait]
impl Keep for Drawer {
    async fn keep(&self, config: &Value) -> Result<(), Failure> {
        if self.is_shut.load(Ordering::SeqCst) {
            return Err(Failure { kind: FailureType::Transient, message: "the drawer is shut".to_owned() });
        }
        *self.config.lock().unwrap() = config.clone();
        Ok(())
    }

    async fn reread(&self) -> Option<Value> {
        Some(self.config.lock().unwrap().clone())
    }
}

/// Somebody gives leave; gives the drawer with what came of it.
async fn leave(linked: &mut Linked<BlueConic>) -> Arc<Drawer> {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let url = linked.connector.authorize_url(&linked.config, BACK, "st-1", &challenge).unwrap();
    let url = Url::parse(&url).unwrap();
    let call = Call::new(Method::GET, &url[url::Position::BeforePath..]);
    let answer = linked.site.look(|platform| platform.answer(&call, linked.clock.now()));
    let back = Url::parse(answer.header("location")).unwrap();
    let told: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
    assert_eq!((told["state"].as_str(), back.host_str()), ("st-1", Some("hub.example")));
    let world =
        || World { transport: Arc::clone(&linked.site) as _, clock: Arc::clone(&linked.clock), seed: 7, keep: None };
    let config = linked.config.clone();
    let kept = linked.connector.exchange(config.clone(), world(), &told["code"], BACK, VERIFIER).await.unwrap();
    assert_eq!((&kept["auth_type"], &kept["client_id"]), (&json!("authorization_code"), &json!("hub")));
    let failure = linked.connector.exchange(config, world(), &told["code"], BACK, VERIFIER).await.unwrap_err();
    assert!(!failure.message.contains(&told["code"]), "a code is good once, and is not shown: {failure}");
    linked.config = kept.clone();
    Arc::new(Drawer { config: Mutex::new(kept), is_shut: AtomicBool::new(false) })
}

fn refresh_token(drawer: &Drawer) -> Value {
    drawer.config.lock().unwrap()["credentials"]["refresh_token"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_new_refresh_token_is_kept_before_what_came_with_it_is_used() {
    let mut linked = blueconic(2);
    let drawer = leave(&mut linked).await;
    let first = refresh_token(&drawer);
    let link = linked.opened(Some(Arc::clone(&drawer) as _));
    drawer.is_shut.store(true, Ordering::SeqCst);
    let failure = link.identity().await.unwrap_err();
    assert!(failure.message.contains("the drawer is shut"), "{failure}");
    let profiles = || linked.site.seen().iter().filter(|seen| seen.what.contains("profileProperties")).count();
    assert_eq!((profiles(), refresh_token(&drawer)), (0, first.clone()), "nothing was asked with it");
    // It is not lost: the next one who asks has the newer one.
    drawer.is_shut.store(false, Ordering::SeqCst);
    link.identity().await.unwrap();
    let second = refresh_token(&drawer);
    assert_ne!(second, first);
    linked.site.look(Platform::expire_tokens);
    link.identity().await.unwrap();
    assert_ne!(refresh_token(&drawer), second);
}

#[tokio::test(start_paused = true)]
async fn another_process_that_was_first_is_asked_before_anybody_has_to_log_in() {
    let mut linked = blueconic(2);
    let drawer = leave(&mut linked).await;
    let one = linked.opened(Some(Arc::clone(&drawer) as _));
    let other = linked.opened(Some(Arc::clone(&drawer) as _));
    one.identity().await.unwrap();
    // It holds a token that is spent by now, and finds the newer one where it is kept.
    other.identity().await.unwrap();
    let tokens =
        linked.site.seen().iter().filter(|seen| seen.what.contains("oauth/token") && seen.status == 200).count();
    assert_eq!(tokens, 3);
    let alone = linked.opened(None);
    let failure = alone.identity().await.unwrap_err();
    assert_eq!(failure.kind, FailureType::Config, "{failure}");
}
