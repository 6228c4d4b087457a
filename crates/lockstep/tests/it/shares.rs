//! The three scenarios of sharing, over the real binary and doubles of the platforms.
//!
//! `LOCKSTEP_SHARES_PEOPLE` chooses how many people the second begins with.

use crate::club::{
    Club, SPEED, Stand, activecampaign, add, blueconic, copernica, edit, into_copernica, now, send_hooks, set_webhook,
};
use crate::crash::setting;
use crate::eventually::{eventually, seconds};
use anyhow::{Context as _, Result, ensure};
use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::platform_x::PlatformX;
use lockstep_sim::platforms::{Answer, Call, Census, Faults, Hook, Platform, Site, Write};
use serde_json::json;
use std::sync::Arc;

/// Waits until a platform holds what BlueConic does.
async fn equal(site: &Site<BlueConic>, other: impl Fn() -> Census) -> Result<()> {
    let mut told = Vec::new();
    let alike = eventually(seconds(60), "both platforms hold the same", async || {
        told = site.look(|blueconic| blueconic.census()).differences(&other());
        told.is_empty()
    });
    alike.await.with_context(|| told.iter().take(5).cloned().collect::<Vec<_>>().join("\n"))
}

/// That nothing was written to a platform that it held already.
fn nothing_needless<P: Platform>(site: &Site<P>) -> Result<()> {
    let needless = site.writes().into_iter().filter(|write| !write.did_change);
    let needless: Vec<Write> = needless.collect();
    ensure!(
        needless.is_empty(),
        "{} of {} writes changed nothing: {:?}",
        needless.len(),
        site.writes().len(),
        needless.first()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interests_go_from_blueconic_to_copernica() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let from = Stand::of(BlueConic::new(1).with_people(6, now()), 1, 1).await?;
    let to = Stand::of(Copernica::new(1).with_people(3, now()), 2, 1).await?;
    let club = Club::open(&folder.path().join("data")).await?;
    let connection = club.connect("blueconic", blueconic(&from)).await?;
    // Neither brings over what was there before: what changes from now on is what is shared.
    club.share(&connection, json!({"object": "profile", "direction": "in"})).await?;
    let target = club.connect("copernica-v4", copernica(&to)).await?;
    club.share(&target, into_copernica("none")).await?;
    let hook = club.hook(&connection).await?;
    send_hooks(&from.site)?;
    let census = || to.site.look(|copernica| copernica.census());
    let likes = |email: &str, interest: &str| {
        let known = census().people.remove(email).and_then(|known| known.interests);
        known.is_some_and(|interests| interests.contains(interest))
    };
    let writes = to.site.writes().len();
    ensure!(writes == 0, "{writes} writes before anything has changed");

    // By GET with an id: one who is there is changed.
    set_webhook(&from.site, "get", &hook, None);
    edit(&from.site, "person2@club.test", "interests", &["rowing", "sailing"])?;
    let came = async || likes("person2@club.test", "rowing") && likes("person2@club.test", "sailing");
    eventually(seconds(20), "the interests of one who is there", came).await?;
    ensure!(census().people.len() == 3, "{:?}", census());
    // By POST with a body: one who is not there is made.
    set_webhook(&from.site, "post", &hook, Some(r#"{"profileId": "{{profileId}}"}"#));
    edit(&from.site, "person5@club.test", "interests", &["chess"])?;
    let came = async || likes("person5@club.test", "chess");
    eventually(seconds(20), "one who was not there, with interests", came).await?;
    ensure!(census().people.len() == 4 && census().doubles == 0, "{:?}", census());
    let one = |site: &Census| site.people.get("person5@club.test").cloned();
    ensure!(one(&census()) == one(&from.site.look(|blueconic| blueconic.census())), "{:?}", census());

    // Nobody else may say what has changed.
    let path = hook.splitn(4, '/').nth(3).context("a path")?.to_owned();
    let forged = path.split_once("key=").context("a key")?.0.to_owned() + "key=guessed&id=1";
    club.client()?.get(&format!("/{forged}")).await?.of_status(401)?;
    nothing_needless(&to.site)?;
    club.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_activecampaign_is_filled_from_blueconic_in_bulk() -> Result<()> {
    let people = setting("LOCKSTEP_SHARES_PEOPLE")?.unwrap_or(2_000);
    let folder = tempfile::tempdir()?;
    let from = Stand::of(BlueConic::new(2).with_people(people, now()), 1, 1).await?;
    let to = Stand::of(ActiveCampaign::new(2).with_any_url(), 2, SPEED).await?;
    // Somebody else listens at ActiveCampaign, to writes of the API as well.
    let wanted = json!({"webhook": {
        "name": "All", "url": "http://127.0.0.1:9/", "events": ["subscribe", "update"],
        "sources": ["public", "admin", "api", "system"],
    }});
    let call = Call::new(Method::POST, "/api/3/webhooks").with("api-token", ActiveCampaign::TOKEN).with_json(&wanted);
    ensure!(to.site.answer(&call).status.is_success());
    let club = Club::open(&folder.path().join("data")).await?;
    let connection = club.connect("blueconic", blueconic(&from)).await?;
    let schedule = json!({"cron": "*/2 * * * * *"});
    let body = json!({"object": "profile", "direction": "in", "history": "all", "schedule": schedule});
    club.share(&connection, body).await?;
    let target = club.connect("activecampaign", activecampaign(&to)).await?;
    let share = club.share(&target, json!({"object": "contact", "direction": "out", "history": "all"})).await?;
    let census = || to.site.look(|activecampaign| activecampaign.census());
    equal(&from.site, census).await?;

    let imports = to.count("POST /api/3/import/bulk_import");
    let least = usize::try_from(people.div_ceil(250))?;
    ensure!(imports >= least && imports <= least * 2, "{imports} imports for {people} people");
    ensure!(to.count("POST /api/3/contact/sync") == 0, "some were written one by one");
    ensure!(to.site.take_hooks().is_empty(), "an import has called somebody");
    let runs = club.get(&format!("runs?share={share}")).await?;
    let counts = &runs["items"][0]["counts"];
    ensure!(counts["seen"] == people && counts["created"] == people, "{runs}");

    let hook = club.hook(&connection).await?;
    set_webhook(&from.site, "get", &hook, None);
    send_hooks(&from.site)?;
    for (number, city) in [(1, "Breda"), (7, "Gouda")] {
        edit(&from.site, &format!("person{number}@club.test"), "city", &[city])?;
    }
    add(&from.site, "new@club.test", "Leiden");
    equal(&from.site, census).await?;
    ensure!(to.count("POST /api/3/import/bulk_import") == imports, "three changes were imported");
    // No hook comes any more: the next pull tells.
    from.site.set(Faults { hook_lost_one_in: 1, ..Faults::default() });
    edit(&from.site, "person3@club.test", "city", &["Delfzijl"])?;
    equal(&from.site, census).await?;
    ensure!(from.site.struck() > 0, "no hook was lost");
    nothing_needless(&to.site)?;
    club.stop().await
}

/// Platform X, with the last call that it has taken.
struct Overheard {
    platform: PlatformX,
    last: Option<Call>,
}

impl Platform for Overheard {
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        self.last = Some(call.clone());
        self.platform.answer(call, now)
    }

    fn throttled(&self, seconds: u64) -> Answer {
        self.platform.throttled(seconds)
    }

    fn unavailable(&self) -> Answer {
        self.platform.unavailable()
    }

    fn expire_tokens(&mut self) {
        self.platform.expire_tokens();
    }

    fn take_hooks(&mut self, now: Timestamp) -> Vec<Hook> {
        self.platform.take_hooks(now)
    }

    fn hook_answered(&mut self, hook: &Hook, status: Option<u16>) {
        self.platform.hook_answered(hook, status);
    }

    fn writes(&self) -> &[Write] {
        self.platform.writes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn platform_x_is_signed_for_looked_up_and_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let from = Stand::of(BlueConic::new(3).with_people(4, now()), 1, 1).await?;
    let platform = PlatformX::new().with_people(2, 3, now());
    let to = Stand::of(Overheard { platform, last: None }, 2, 1).await?;
    let club = Club::open(&folder.path().join("data")).await?;
    let connection = club.connect("blueconic", blueconic(&from)).await?;
    club.share(&connection, json!({"object": "profile", "direction": "in", "history": "all"})).await?;
    let config = json!({
        "base_url": to.url, "consumer_key": PlatformX::CONSUMER_KEY, "consumer_secret": PlatformX::CONSUMER_SECRET,
        "token": PlatformX::TOKEN, "token_secret": PlatformX::TOKEN_SECRET, "backoff_seconds": 0.1,
    });
    let target = club.connect("platform-x", config).await?;
    club.share(&target, json!({"object": "contact", "direction": "out", "history": "all"})).await?;
    let census = || to.site.look(|x| x.platform.census());
    equal(&from.site, census).await?;

    set_webhook(&from.site, "get", &club.hook(&connection).await?, None);
    send_hooks(&from.site)?;
    let lookups = to.count("GET /contacts?email=");
    let creates = to.count("POST /contacts") - to.count("POST /contacts/");
    // Nobody has that address: it is looked up and made.
    add(&from.site, "absent@club.test", "Delft");
    equal(&from.site, census).await?;
    ensure!(to.count("GET /contacts?email=") > lookups, "nobody was looked up");
    ensure!(to.count("POST /contacts") - to.count("POST /contacts/") == creates + 1, "one was to be made");
    // Somebody has it by now: it is looked up and changed.
    let known = json!({"email": "present@club.test", "first_name": "Old", "phone": "+31 20 123 4567"});
    let present = to.site.look(|x| x.platform.add(&known, now()));
    add(&from.site, "present@club.test", "Gent");
    equal(&from.site, census).await?;
    ensure!(to.count("POST /contacts") - to.count("POST /contacts/") == creates + 1, "one was made once more");
    ensure!(to.count(&format!("POST /contacts/{present}")) > 0, "the one who was there was not changed");
    let phone = to.site.look(|x| x.platform.contacts().get(&present).and_then(|one| one.texts.get("phone")).cloned());
    ensure!(phone.as_deref() == Some("+31 20 123 4567"), "what nobody shares was changed: {phone:?}");

    // The hub never uses a nonce again; whoever does is refused.
    ensure!(to.site.seen().iter().all(|seen| seen.status != 401), "{:?}", to.site.seen());
    let overheard = to.site.look(|x| x.last.clone()).context("no call")?;
    let answer = Arc::clone(&to.site).answer(&overheard);
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 401 && said.contains("nonce_used"), "{}: {said}", answer.status);
    nothing_needless(&to.site)?;
    club.stop().await
}
