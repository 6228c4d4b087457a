//! The demo's platforms: doubles of BlueConic, Copernica and ActiveCampaign on ports of this machine, and what their own
//! users do there. It must not know of the hub, but for the address that a webhook is given.

use crate::failure::Failure;
use crate::wire_up::spawn;
use crate::world::SystemClock;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_egress::Transport;
use lockstep_sim::chance::Chance;
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::{BlueConic, WebhookConnection};
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::{Faults, Platform, ScaledClock, Site, serve};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The same people and the same accidents each time.
const SEED: u64 = 6;
/// How fast time goes at ActiveCampaign, so that its five calls a second become fifty.
const SPEED: u32 = 10;
/// How often webhooks are sent that have come due.
const HOOKS_EVERY: Duration = Duration::from_millis(10);
const INTERESTS: [&str; 5] = ["rowing", "football", "chess", "sailing", "running"];

/// The three platforms.
pub(super) struct Doubles {
    pub(super) blueconic: Arc<Site<BlueConic>>,
    pub(super) copernica: Arc<Site<Copernica>>,
    pub(super) activecampaign: Arc<Site<ActiveCampaign>>,
    /// Where each is reached, in this order.
    pub(super) urls: [String; 3],
    chance: Chance,
}

/// An edit at BlueConic, for people, and what others should hold of it then.
pub(super) struct Edit {
    pub(super) email: String,
    pub(super) what: String,
    pub(super) city: String,
}

/// Serves a platform on a free port; gives its address.
async fn stand<P: Platform>(site: &Arc<Site<P>>) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::Other(error.into());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    let site = Arc::clone(site);
    spawn(async move {
        // It ends with the process.
        let _ = serve(site, listener).await;
    });
    Ok(url)
}

impl Doubles {
    /// Starts all three: BlueConic with so many people, the others with nobody.
    pub(super) async fn start(people: u64) -> Result<Self, Failure> {
        let now = SystemClock.now();
        let clock = |speed| Arc::new(ScaledClock::begin_at(now, speed)) as Arc<dyn Clock>;
        let blueconic = Arc::new(Site::new(BlueConic::new(SEED).with_people(people, now), SEED, clock(1)));
        let copernica = Arc::new(Site::new(Copernica::new(SEED), SEED + 1, clock(1)));
        let activecampaign = Arc::new(Site::new(ActiveCampaign::new(SEED), SEED + 2, clock(SPEED)));
        let urls = [stand(&blueconic).await?, stand(&copernica).await?, stand(&activecampaign).await?];
        Ok(Self { blueconic, copernica, activecampaign, urls, chance: Chance::new(SEED, "demo") })
    }

    /// The connectors that reach them, with what each is told.
    pub(super) fn configs(&self) -> [(&'static str, Value); 3] {
        let [blueconic, copernica, activecampaign] = &self.urls;
        [
            (
                "blueconic",
                json!({
                    "base_url": format!("{blueconic}/rest/v2"), "client_id": "hub", "client_secret": "s3",
                    "backoff_seconds": 0.2,
                }),
            ),
            (
                "copernica-v4",
                json!({
                    "access_token": Copernica::TOKEN, "base_url": format!("{copernica}/v4"),
                    "authenticate_url": copernica, "backoff_seconds": 0.2,
                }),
            ),
            (
                "activecampaign",
                json!({
                    "base_url": format!("{activecampaign}/api/3"), "api_key": ActiveCampaign::TOKEN,
                    "calls_per_second": 4 * SPEED, "backoff_seconds": 0.2,
                }),
            ),
        ]
    }

    /// From now on BlueConic calls this address when a profile changes.
    pub(super) fn connect_hooks(&self, url: &str, transport: Arc<dyn Transport>) {
        self.blueconic.look(|blueconic| blueconic.connect_webhook(WebhookConnection::of_hub(url)));
        let site = Arc::clone(&self.blueconic);
        spawn(async move {
            // It ends with the process.
            loop {
                tokio::time::sleep(HOOKS_EVERY).await;
                site.send_hooks(transport.as_ref()).await;
            }
        });
    }

    /// What goes wrong at all of them from now on.
    pub(super) fn set(&self, faults: Faults) {
        self.blueconic.set(faults);
        self.copernica.set(faults);
        self.activecampaign.set(faults);
    }

    /// How often something has gone wrong that was wanted.
    pub(super) fn struck(&self) -> u64 {
        self.blueconic.struck() + self.copernica.struck() + self.activecampaign.struck()
    }

    /// How often the hub has written to Copernica and ActiveCampaign.
    pub(super) fn pushes(&self) -> usize {
        self.copernica.writes().len() + self.activecampaign.writes().len()
    }

    /// The next edit at BlueConic: somebody moves and likes something more, or somebody new comes.
    pub(super) fn edit(&self, number: u64) -> Option<Edit> {
        let now = self.blueconic.now();
        let city = format!("Town {number}");
        if number.is_multiple_of(5) {
            let email = format!("new{number}@club.test");
            let last = format!("van {number}");
            let properties: [(&str, &[&str]); 4] = [
                ("email", &[email.as_str()]),
                ("firstname", &["Nour"]),
                ("lastname", &[last.as_str()]),
                ("city", &[city.as_str()]),
            ];
            self.blueconic.look(|blueconic| blueconic.add(&properties, now));
            return Some(Edit { what: format!("{email} is new, in {city}"), email, city });
        }
        let interest = self.chance.pick(&INTERESTS).copied().unwrap_or_default();
        self.blueconic.look(|blueconic| self.move_one(blueconic, city, interest, now))
    }

    fn move_one(&self, blueconic: &mut BlueConic, city: String, interest: &str, now: Timestamp) -> Option<Edit> {
        let place = self.chance.below(u64::try_from(blueconic.profiles().len()).unwrap_or(u64::MAX));
        let (id, profile) = blueconic.profiles().iter().nth(usize::try_from(place).unwrap_or(0))?;
        let (id, email) = (id.clone(), profile.properties.get("email").and_then(|emails| emails.first()).cloned()?);
        let mut interests = profile.properties.get("interests").cloned().unwrap_or_default();
        if !interests.iter().any(|known| known == interest) {
            interests.push(interest.to_owned());
        }
        let interests: Vec<&str> = interests.iter().map(String::as_str).collect();
        blueconic.edit(&id, &[("city", &[city.as_str()]), ("interests", &interests)], now);
        Some(Edit { what: format!("{email} moves to {city} and likes {interest}"), email, city })
    }

    /// Whether an edit has come to Copernica, and whether to ActiveCampaign.
    pub(super) fn came(&self, edit: &Edit) -> [bool; 2] {
        [
            self.copernica.look(|copernica| {
                let mut profiles = copernica.profiles().values();
                profiles.any(|profile| {
                    profile.fields.get("email") == Some(&edit.email) && profile.fields.get("city") == Some(&edit.city)
                })
            }),
            self.activecampaign.look(|activecampaign| {
                let census = activecampaign.census();
                census.people.get(&edit.email).is_some_and(|known| known.city == edit.city)
            }),
        ]
    }
}
