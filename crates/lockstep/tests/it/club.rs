//! A club whose platforms a hub keeps equal: doubles of platforms on ports of this machine, and a hub that is connected to
//! them over REST. The doubles are no part of the hub: they are what it speaks to.
#![expect(clippy::disallowed_methods, reason = "a test's task ends with its runtime")]

use crate::client::Client;
use crate::desk::{Desk, text};
use crate::eventually::{eventually, seconds};
use crate::hub::{ADMIN_KEY, Hub, Start};
use anyhow::{Context as _, Result};
use http::Method;
use lockstep_core::clock::Timestamp;
use lockstep_egress::{AddressPolicy, HttpTransport};
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::{BlueConic, WebhookConnection};
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::{Platform, ScaledClock, Site, serve};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

/// How fast time goes at ActiveCampaign, so that its five calls a second become fifty.
pub(crate) const SPEED: u32 = 10;
/// How often webhooks are sent that have come due.
const HOOKS_EVERY: Duration = Duration::from_millis(10);

/// The machine's time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A platform on a port of this machine.
pub(crate) struct Stand<P> {
    pub(crate) site: Arc<Site<P>>,
    pub(crate) url: String,
}

impl<P: Platform> Stand<P> {
    /// Serves a platform, on which time goes so many times as fast as here.
    pub(crate) async fn of(platform: P, seed: u64, speed: u32) -> Result<Self> {
        let site = Arc::new(Site::new(platform, seed, Arc::new(ScaledClock::begin_at(now(), speed))));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(serve(Arc::clone(&site), listener));
        Ok(Self { site, url })
    }

    /// How many calls it has seen that begin with this and were answered with a status from 200 to 299.
    pub(crate) fn count(&self, what: &str) -> usize {
        let seen = self.site.seen();
        seen.iter().filter(|seen| seen.what.starts_with(what) && (200..300).contains(&seen.status)).count()
    }
}

/// What a connector is told of its platform.
pub(crate) fn blueconic(stand: &Stand<BlueConic>) -> Value {
    let base_url = format!("{}/rest/v2", stand.url);
    json!({"base_url": base_url, "client_id": "hub", "client_secret": "s3", "backoff_seconds": 0.1})
}

/// The same for Copernica.
pub(crate) fn copernica(stand: &Stand<Copernica>) -> Value {
    json!({
        "access_token": Copernica::TOKEN, "base_url": format!("{}/v4", stand.url), "authenticate_url": stand.url,
        "backoff_seconds": 0.1,
    })
}

/// The same for ActiveCampaign.
pub(crate) fn activecampaign(stand: &Stand<ActiveCampaign>) -> Value {
    json!({
        "base_url": format!("{}/api/3", stand.url), "api_key": ActiveCampaign::TOKEN, "backoff_seconds": 0.1,
        "calls_per_second": 4 * SPEED,
    })
}

/// A share of Copernica's only database.
pub(crate) fn into_copernica(history: &str) -> Value {
    let database = json!({"database": Copernica::DATABASE.to_string()});
    json!({"object": "profile", "direction": "out", "history": history, "options": database})
}

/// A hub, and the business that its shares are of. It is reached at the same address after each start.
pub(crate) struct Club {
    hub: Option<Hub>,
    start: Start,
    desk: Desk,
}

impl Club {
    /// Starts a hub on a folder.
    pub(crate) async fn open(data: &Path) -> Result<Self> {
        let start = Start::on(data);
        let hub = start.run().await?;
        let desk = Desk::open(&hub).await?;
        let start = start.listening_on(hub.address);
        Ok(Self { hub: Some(hub), start, desk })
    }

    /// SIGKILL, and the next life.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.hub.take().context("no hub runs")?.kill()?;
        self.hub = Some(self.start.run().await?);
        Ok(())
    }

    /// SIGTERM.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.hub.take().context("no hub runs")?.stop().await
    }

    fn path(&self, rest: &str) -> String {
        format!("/rest/v1/businesses/{}/{rest}", self.desk.business)
    }

    /// Somebody who may do everything.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::new(self.hub.as_ref().context("no hub runs")?.address, ADMIN_KEY))
    }

    /// Reads something within the business.
    pub(crate) async fn get(&self, rest: &str) -> Result<Value> {
        self.client()?.get(&self.path(rest)).await?.of_status(200)
    }

    /// Connects an account.
    pub(crate) async fn connect(&self, connector: &str, config: Value) -> Result<String> {
        let body = json!({"connector": connector, "label": connector, "config": config});
        text(&self.client()?.post(&self.path("connections"), &body).await?.of_status(201)?, "id")
    }

    /// Makes a share on a connection; its baseline is still to come.
    pub(crate) async fn begin_share(&self, connection: &str, mut body: Value) -> Result<String> {
        body["connection"] = connection.into();
        text(&self.client()?.post(&self.path("shares"), &body).await?.of_status(201)?, "id")
    }

    /// Makes a share on a connection, and waits until its baseline is over.
    pub(crate) async fn share(&self, connection: &str, body: Value) -> Result<String> {
        let share = self.begin_share(connection, body).await?;
        let mut last = Value::Null;
        let live = eventually(seconds(240), "the share is live", async || {
            last = self.get(&format!("shares/{share}")).await.unwrap_or_default();
            last["state"] == "live"
        });
        live.await.with_context(|| last.to_string())?;
        Ok(share)
    }

    /// Where a connection's first hook goes, with its key.
    pub(crate) async fn hook(&self, connection: &str) -> Result<String> {
        let hooks = self.get(&format!("connections/{connection}/hooks")).await?;
        Ok(hooks["hooks"][0]["url"].as_str().context("a hook")?.to_owned())
    }
}

/// From now on BlueConic calls this address when a profile changes: by GET with its id, or with a body by POST.
pub(crate) fn set_webhook(site: &Arc<Site<BlueConic>>, name: &str, url: &str, body: Option<&str>) {
    let by_get = WebhookConnection { name: name.to_owned(), ..WebhookConnection::of_hub(url) };
    let webhook = match body {
        Some(body) => {
            WebhookConnection { method: Method::POST, url: url.to_owned(), body: Some(body.to_owned()), ..by_get }
        }
        None => by_get,
    };
    site.look(|blueconic| {
        blueconic.disconnect_webhooks();
        blueconic.connect_webhook(webhook);
    });
}

/// BlueConic sends its webhooks from now on, as long as the test runs.
pub(crate) fn send_hooks(site: &Arc<Site<BlueConic>>) -> Result<()> {
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse()?]);
    let (site, transport) = (Arc::clone(site), HttpTransport::new(Arc::new(policy)));
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(HOOKS_EVERY);
        loop {
            pace.tick().await;
            site.send_hooks(&transport).await;
        }
    });
    Ok(())
}

/// The id of the profile with an address.
pub(crate) fn profile_of(site: &Site<BlueConic>, email: &str) -> Result<String> {
    let found = site.look(|blueconic| {
        let mut profiles = blueconic.profiles().values();
        let has = |profile: &&lockstep_sim::platforms::blueconic::Profile| {
            profile.properties.get("email").is_some_and(|emails| emails.iter().any(|known| known == email))
        };
        profiles.find(has).map(|profile| profile.id.clone())
    });
    found.with_context(|| format!("BlueConic has no {email}"))
}

/// Changes a profile as its visitor does.
pub(crate) fn edit(site: &Site<BlueConic>, email: &str, property: &str, values: &[&str]) -> Result<()> {
    let (id, now) = (profile_of(site, email)?, site.now());
    site.look(|blueconic| blueconic.edit(&id, &[(property, values)], now));
    Ok(())
}

/// Somebody new at BlueConic.
pub(crate) fn add(site: &Site<BlueConic>, email: &str, city: &str) {
    let now = site.now();
    let properties: [(&str, &[&str]); 3] = [("email", &[email]), ("firstname", &["New"]), ("city", &[city])];
    site.look(|blueconic| blueconic.add(&properties, now));
}
