//! Shares among platforms: a hub with its connectors, and the doubles of BlueConic, Copernica and ActiveCampaign, in one
//! thread on simulated time. A story connects them, changes things at the platforms, lets faults happen, kills the hub;
//! then all is read anew at the platforms themselves and compared.

use crate::chance::Chance;
use crate::platforms::activecampaign::ActiveCampaign;
use crate::platforms::blueconic::{BlueConic, WebhookConnection};
use crate::platforms::copernica::Copernica;
use crate::platforms::firm::Firm;
use crate::platforms::{Faults, Platform, Site};
use crate::slow_store::SlowStore;
use crate::time::{BEGINNING, SimClock, SimIds};
use anyhow::{Context, anyhow};
use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use lockstep_connect::HookCall;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::command::Outcome;
use lockstep_core::ids::{BusinessId, RecordId, ShareId};
use lockstep_core::problem::Problem;
use lockstep_core::run::Run;
use lockstep_core::work::{Progress, WorkKey, WorkKind, WorkRow};
use lockstep_egress::{AddressPolicy, Request, Response, SendError, Transport};
use lockstep_engine::alert::Alerts;
use lockstep_engine::control::business;
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_engine::metrics::Metrics;
use lockstep_engine::principal::{Principal, digest_of};
use lockstep_engine::refusal::Refusal;
use lockstep_engine::seal::Sealer;
use lockstep_engine::settings::SharedSettings;
use lockstep_store::Store;
use lockstep_sync::Office;
use lockstep_sync::control::{Switchboard, Workers, connection, share};
use lockstep_sync::registry::Registry;
use lockstep_wire::operation::Correlation;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// Where the hub is reached.
const HUB: &str = "https://hub.example/";
/// Rows read at once.
const ROWS: usize = 100_000;
/// The custom field for cities at ActiveCampaign.
const CITY: u64 = 3;

/// A person as every platform should know them, by address: first and last name, city.
pub type People = BTreeMap<String, [String; 3]>;

/// The net between hub and platforms.
pub struct Platforms {
    /// BlueConic.
    pub blueconic: Arc<Site<BlueConic>>,
    /// Copernica.
    pub copernica: Arc<Site<Copernica>>,
    /// ActiveCampaign.
    pub activecampaign: Arc<Site<ActiveCampaign>>,
    /// Two firms with objects that refer to each other.
    pub firms: [Arc<Site<Firm>>; 2],
    office: Mutex<Option<Arc<Office>>>,
}

#[async_trait]
impl Transport for Platforms {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        match host.as_str() {
            "acme.blueconic.net" => self.blueconic.send(request).await,
            "api.copernica.com" | "authenticate.copernica.com" | "dns.google" => self.copernica.send(request).await,
            "acme.api-us1.com" => self.activecampaign.send(request).await,
            "one.firm.example" => self.firms[0].send(request).await,
            "two.firm.example" => self.firms[1].send(request).await,
            _ => self.call_hub(host, request).await,
        }
    }
}

impl Platforms {
    /// What the hub's own server does with a call of a platform.
    async fn call_hub(&self, host: String, request: Request) -> Result<Response, SendError> {
        let office = self.office.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refused = || SendError::Connect { host, cause: "nobody listens".to_owned() };
        let office = office.ok_or_else(refused)?;
        let mut path = request.url.path_segments().into_iter().flatten().skip(1);
        let part = |text: Option<&str>| {
            let text = text.unwrap_or_default();
            let bytes: Vec<u8> = percent_decoded(text);
            String::from_utf8(bytes).unwrap_or_default()
        };
        let (connection, object) = (part(path.next()), part(path.next()));
        let rest: Vec<&str> = path.collect();
        let query = request.url.query().unwrap_or_default().to_owned();
        let call = HookCall {
            method: request.method,
            target: format!("{}?{query}", request.url.path()),
            path_rest: rest.join("/"),
            query,
            headers: request.headers,
            body: request.body,
            secret: String::new(),
            config: Value::Null,
            keys: BTreeMap::new(),
            now: Timestamp(0),
        };
        let status = match office.hook(&connection, &object, call).await {
            Ok(()) => StatusCode::OK,
            Err(_refused) => StatusCode::BAD_REQUEST,
        };
        Ok(Response { status, headers: HeaderMap::new(), body: bytes::Bytes::new(), is_cut: false })
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    form_urlencoded::parse(format!("x={text}").as_bytes())
        .next()
        .map_or_else(Vec::new, |(_, value)| value.into_owned().into())
}

struct Hub {
    board: Switchboard,
    office: Arc<Office>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A simulated world of shares. At most one hub runs in it at a time.
pub struct Shares {
    /// Its time.
    pub clock: SimClock,
    /// Its store.
    pub store: Arc<SlowStore>,
    /// Its platforms.
    pub platforms: Arc<Platforms>,
    /// What is drawn for its stories.
    pub chance: Chance,
    /// The business that all of it is of.
    pub business: BusinessId,
    /// The connections, by connector.
    pub connections: BTreeMap<&'static str, String>,
    ids: Arc<SimIds>,
    connectors: Option<PathBuf>,
    hub: Option<Hub>,
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is turned into another")]
fn told(refusal: Refusal) -> anyhow::Error {
    anyhow!("{}: {}", refusal.rejection.code.as_str(), refusal.rejection.message)
}

#[expect(clippy::disallowed_methods, reason = "the tasks of a simulated world start here")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

impl Shares {
    /// A world in which BlueConic knows so many people and the others nobody, with a hub that is connected to all three
    /// and shares nothing yet.
    ///
    /// # Errors
    /// Where the hub cannot be opened, or does not take a connection.
    pub async fn begin(seed: u64, people: u64) -> anyhow::Result<Self> {
        let clock = SimClock::begin();
        let time: Arc<dyn Clock> = Arc::new(clock);
        let blueconic = BlueConic::new(seed).with_people(people, BEGINNING);
        let mut copernica = Copernica::new(seed);
        copernica.validate_host("hub.example");
        let activecampaign = ActiveCampaign::new(seed).with_fields(2);
        let firm = |number: u64| Arc::new(Site::new(Firm::default(), seed + number, Arc::clone(&time)));
        let platforms = Platforms {
            firms: [firm(3), firm(4)],
            blueconic: Arc::new(Site::new(blueconic, seed, Arc::clone(&time))),
            copernica: Arc::new(Site::new(copernica, seed + 1, Arc::clone(&time))),
            activecampaign: Arc::new(Site::new(activecampaign, seed + 2, time)),
            office: Mutex::default(),
        };
        let mut world = Self {
            clock,
            store: Arc::new(SlowStore::new(clock, seed)),
            platforms: Arc::new(platforms),
            chance: Chance::new(seed, "shares"),
            business: BusinessId::parse("acme")?,
            connections: BTreeMap::new(),
            ids: Arc::new(SimIds::new(clock, seed)),
            connectors: None,
            hub: None,
        };
        world.start().await?;
        let body = serde_json::from_value(json!({"organisationName": "Acme", "name": "acme", "id": "acme"}))?;
        business::create(&world.board()?.world, &Principal::Admin, body).await.map_err(told)?;
        let configs = [
            (
                "blueconic",
                json!({"base_url": "https://acme.blueconic.net/rest/v2", "client_id": "hub", "client_secret": "s3"}),
            ),
            ("copernica-v4", json!({"access_token": Copernica::TOKEN})),
            ("activecampaign", json!({"base_url": "https://acme.api-us1.com/api/3", "api_key": ActiveCampaign::TOKEN})),
        ];
        for (name, config) in configs {
            world.connect(name, name, config).await?;
        }
        Ok(world)
    }

    /// Begins with nobody, and connects the two firms, by the connector for them in a folder.
    ///
    /// # Errors
    /// Where the hub cannot be opened, or does not take a connection.
    pub async fn begin_with_firms(seed: u64, connectors: PathBuf) -> anyhow::Result<Self> {
        let mut world = Self::begin(seed, 0).await?;
        world.stop().await?;
        world.connectors = Some(connectors);
        world.start().await?;
        for (label, host) in [("one", "one.firm.example"), ("two", "two.firm.example")] {
            world.connect(label, "firm", json!({ "url": format!("https://{host}") })).await?;
        }
        Ok(world)
    }

    async fn connect(&mut self, label: &'static str, connector: &str, config: Value) -> anyhow::Result<()> {
        let body = serde_json::from_value(json!({"connector": connector, "label": label, "config": config}))?;
        let made = connection::create(self.board()?, &Principal::Admin, "acme", body, true).await.map_err(told)?;
        self.connections.insert(label, made.id.to_string());
        Ok(())
    }

    /// Opens a hub on the store as it is.
    ///
    /// # Errors
    /// Where the settings cannot be read.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let engine = Arc::new(lockstep_engine::World {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::new(self.clock),
            ids: Arc::clone(&self.ids) as _,
            transport: Arc::clone(&self.platforms) as _,
            policy: Arc::new(AddressPolicy::new(Vec::new())),
            sealer: Sealer::new(&[7; 32]).map_err(|refused| anyhow!(refused.message))?,
            settings: SharedSettings::default(),
            alerts: Alerts::default(),
            bells: lockstep_engine::feed::Bells::default(),
            classes: lockstep_engine::feed::Classes::default(),
            metrics: Metrics::default(),
            uploads: lockstep_engine::upload::Uploads::default(),
            admin_key_digest: digest_of("lsk_simulated"),
        });
        engine.settings.refresh(self.store.plain()).await?;
        let clock: Arc<dyn Clock> = Arc::new(self.clock);
        let registry =
            Arc::new(Registry::new(self.connectors.clone(), clock).map_err(|refused| anyhow!(refused.message))?);
        let public: Url = HUB.parse()?;
        let office = Arc::new(Office::new(Arc::clone(&engine), Arc::clone(&registry), Some(public.clone())));
        let (stop, stopped) = watch::channel(false);
        let working = Arc::clone(&office);
        let task = spawn(async move { working.run(stopped).await });
        *self.platforms.office.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&office));
        let board = Switchboard::new(engine, registry, Arc::clone(&office) as _, public);
        self.hub = Some(Hub { board, office, stop, task });
        Ok(())
    }

    /// Kills the hub: whatever is under way is dropped where it stands.
    pub async fn kill(&mut self) {
        *self.platforms.office.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(hub) = self.hub.take() {
            hub.task.abort();
            // It was cancelled; that is what we came for.
            let _ = hub.task.await;
        }
    }

    /// Asks the hub to stop and waits until it has.
    ///
    /// # Errors
    /// Where it panicked.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        *self.platforms.office.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(hub) = self.hub.take() {
            let _ = hub.stop.send(true);
            hub.task.await?;
        }
        Ok(())
    }

    /// The hub that runs.
    ///
    /// # Errors
    /// While none does.
    pub fn board(&self) -> anyhow::Result<&Switchboard> {
        self.hub.as_ref().map(|hub| &hub.board).context("no hub runs")
    }

    /// Whoever works for shares.
    ///
    /// # Errors
    /// While no hub runs.
    pub fn workers(&self) -> anyhow::Result<&dyn Workers> {
        self.hub.as_ref().map(|hub| hub.office.as_ref() as &dyn Workers).context("no hub runs")
    }

    /// Makes a share of a connector's object, with what else it says.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn share(&self, connector: &str, said: Value) -> anyhow::Result<ShareId> {
        let mut body = json!({
            "label": connector, "connection": self.connections.get(connector), "type": "contact",
            "object": if connector == "activecampaign" { "contact" } else { "profile" },
        });
        if let (Some(body), Value::Object(said)) = (body.as_object_mut(), said) {
            body.extend(said);
        }
        let body = serde_json::from_value(body)?;
        Ok(share::create(self.board()?, &Principal::Admin, "acme", body).await.map_err(told)?.id)
    }

    /// Shares BlueConic's people with Copernica and ActiveCampaign.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn share_all(&self) -> anyhow::Result<[ShareId; 3]> {
        let schedule = json!({"cron": "*/5 * * * *"});
        let said = json!({"direction": "in", "history": "all", "schedule": schedule});
        let from = self.share("blueconic", said).await?;
        let database = json!({"database": Copernica::DATABASE.to_string()});
        let out = json!({"direction": "out", "history": "all", "options": database});
        let one = self.share("copernica-v4", out).await?;
        let other = self.share("activecampaign", json!({"direction": "out", "history": "all"})).await?;
        Ok([from, one, other])
    }

    /// BlueConic calls the hub when a profile changes.
    ///
    /// # Errors
    /// What the hub says.
    pub fn connect_hooks(&self) -> anyhow::Result<()> {
        let connection = self.connections.get("blueconic").context("no connection")?;
        let hooks = connection::hooks(self.board()?, &Principal::Admin, "acme", connection).map_err(told)?;
        let url = &hooks.hooks.first().context("no hook")?.url;
        self.platforms.blueconic.look(|blueconic| blueconic.connect_webhook(WebhookConnection::of_hub(url)));
        Ok(())
    }

    /// Lets time pass, with hooks on their way.
    pub async fn wait(&self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.platforms.blueconic.send_hooks(self.platforms.as_ref()).await;
        }
    }

    /// A row of a share.
    ///
    /// # Errors
    /// What the store says.
    pub async fn progress(&self, share: ShareId) -> anyhow::Result<Option<Progress>> {
        let row = self.store.plain().work_row(&self.business, &WorkKey::progress(share)).await?;
        Ok(row.and_then(|row| if let WorkRow::Progress(progress) = row { Some(progress) } else { None }))
    }

    /// The runs of a share, oldest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn runs(&self, share: ShareId) -> anyhow::Result<Vec<Run>> {
        let rows = self.store.plain().work(&self.business, WorkKind::Run, Some(share), None, ROWS).await?;
        Ok(rows.into_iter().filter_map(|(_, row)| if let WorkRow::Run(run) = row { Some(run) } else { None }).collect())
    }

    /// All problems.
    ///
    /// # Errors
    /// What the store says.
    pub async fn problems(&self) -> anyhow::Result<Vec<Problem>> {
        let rows = self.store.plain().work(&self.business, WorkKind::Problem, None, None, ROWS).await?;
        let problem = |(_, row)| if let WorkRow::Problem(problem) = row { Some(problem) } else { None };
        Ok(rows.into_iter().filter_map(problem).collect())
    }

    /// Makes a contact of these values.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn create(&self, values: Value) -> anyhow::Result<RecordId> {
        let fields = values.as_object().cloned().unwrap_or_default();
        let verb = Verb::Create { fields, external_id: None, matching: &[] };
        self.submit(verb).await?.record.context("no record")
    }

    /// Changes a contact.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn edit(&self, record: RecordId, values: Value) -> anyhow::Result<()> {
        let (id, patch) = (record.to_string(), values.as_object().cloned().unwrap_or_default());
        self.submit(Verb::Update { id: &id, patch }).await.map(drop)
    }

    /// Says which object of a connection a contact is.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn correlate(&self, record: RecordId, label: &str, object: &str) -> anyhow::Result<()> {
        let (id, with) = (record.to_string(), self.person(label, object)?);
        self.submit(Verb::Correlate { id: &id, with, force: false }).await.map(drop)
    }

    /// Says that a contact is an object of a connection no more.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn uncorrelate(&self, record: RecordId, label: &str, object: &str) -> anyhow::Result<()> {
        let (id, with) = (record.to_string(), self.person(label, object)?);
        self.submit(Verb::Uncorrelate { id: &id, with }).await.map(drop)
    }

    fn person(&self, label: &str, object: &str) -> anyhow::Result<Correlation> {
        let connection = self.connections.get(label).context("no connection")?;
        let connection = connection.parse().map_err(|_odd| anyhow!("no id: {connection}"))?;
        let known = self.board()?.world.settings.read(|settings| settings.sharing.connection(connection));
        let (connection, _) = known.context("no connection")?;
        let with =
            json!({"value": object, "source": connection.provider, "realm": connection.realm, "object": "person"});
        Ok(serde_json::from_value(with)?)
    }

    /// Erases a record.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn erase(&self, record: RecordId) -> anyhow::Result<()> {
        let id = record.to_string();
        self.submit(Verb::Erase { id: &id }).await.map(drop)
    }

    async fn submit(&self, verb: Verb<'_>) -> anyhow::Result<Outcome> {
        let (principal, business, ty) = (&Principal::Admin, "acme", "contact");
        let call = Call { principal, business, ty, verb, if_match: None, idempotency: None, bytes: &[] };
        submit(&self.board()?.world, call).await.map_err(told)
    }

    /// Whether nothing is left to be done for these shares.
    ///
    /// # Errors
    /// What the store says.
    pub async fn is_quiet(&self, shares: &[ShareId]) -> anyhow::Result<bool> {
        let head = self.store.plain().head(&self.business).await?;
        for share in shares {
            let Some(progress) = self.progress(*share).await? else { return Ok(false) };
            let is_behind = progress.follow.is_some_and(|follow| follow.seq + 1_000 < head.seq);
            if !progress.is_live || progress.run.is_some() || progress.failing.is_some() || is_behind {
                return Ok(false);
            }
        }
        for kind in [WorkKind::Hint, WorkKind::Waiting] {
            if !self.store.plain().work(&self.business, kind, None, None, 1).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets time pass until nothing is left to be done, and a pull more.
    ///
    /// # Errors
    /// When that does not come to pass in simulated hours.
    pub async fn settle(&self, shares: &[ShareId]) -> anyhow::Result<()> {
        for _ in 0..2_000 {
            self.wait(Duration::from_secs(5)).await;
            if self.is_quiet(shares).await? {
                self.wait(Duration::from_secs(10)).await;
                if self.is_quiet(shares).await? {
                    return Ok(());
                }
            }
        }
        let mut standing = Vec::new();
        for share in shares {
            let ended: Vec<_> = self.runs(*share).await?.into_iter().filter(|run| run.reason.is_some()).collect();
            standing.push(format!("{:?} {ended:?}", self.progress(*share).await?));
        }
        let connections = self.board()?.world.settings.read(|settings| {
            let states = settings.sharing.connections().map(|(connection, _)| format!("{:?}", connection.state));
            states.collect::<Vec<_>>()
        });
        standing.extend(connections);
        let waiting = self.store.plain().work(&self.business, WorkKind::Waiting, None, None, 3).await?;
        let hints = self.store.plain().work(&self.business, WorkKind::Hint, None, None, 3).await?;
        Err(anyhow!("it does not settle: {}; {waiting:?}; {hints:?}", standing.join("\n")))
    }

    /// What goes wrong at every platform from now on.
    pub fn set(&self, faults: Faults) {
        self.platforms.blueconic.set(faults);
        self.platforms.copernica.set(faults);
        self.platforms.activecampaign.set(faults);
        for firm in &self.platforms.firms {
            firm.set(faults);
        }
    }

    /// Somebody's city changes at BlueConic; gives the profile.
    pub fn edit_one(&self) -> Option<String> {
        let now = self.clock.now();
        let (chance, number) = (&self.chance, self.chance.draw() % 10_000);
        self.platforms.blueconic.look(|blueconic| {
            let count = u64::try_from(blueconic.profiles().len()).unwrap_or(0).max(1);
            let index = usize::try_from(chance.draw() % count).unwrap_or(0);
            let id = blueconic.profiles().keys().nth(index).cloned()?;
            let city = format!("Town {number}");
            blueconic.edit(&id, &[("city", &[city.as_str()])], now);
            Some(id)
        })
    }

    /// Somebody new comes to BlueConic.
    pub fn add_one(&self) -> String {
        let (now, number) = (self.clock.now(), self.chance.draw());
        let email = format!("new{number}@example.com");
        let properties: [(&str, &[&str]); 3] = [("email", &[&email]), ("firstname", &["New"]), ("city", &["Delft"])];
        self.platforms.blueconic.look(|blueconic| blueconic.add(&properties, now))
    }

    /// Everybody at BlueConic who has an address.
    #[must_use]
    pub fn at_blueconic(&self) -> People {
        self.platforms.blueconic.look(|blueconic| {
            let value = |profile: &crate::platforms::blueconic::Profile, name: &str| {
                profile.properties.get(name).and_then(|values| values.first()).cloned().unwrap_or_default()
            };
            let person = |profile| {
                (
                    value(profile, "email"),
                    [value(profile, "firstname"), value(profile, "lastname"), value(profile, "city")],
                )
            };
            blueconic.profiles().values().map(person).filter(|(email, _)| !email.is_empty()).collect()
        })
    }

    /// Everybody at Copernica, and how many stand there twice.
    #[must_use]
    pub fn at_copernica(&self) -> (People, usize) {
        self.platforms.copernica.look(|copernica| {
            let present = copernica.profiles().values().filter(|profile| profile.removed_at.is_none());
            let field = |profile: &crate::platforms::copernica::Profile, name: &str| {
                profile.fields.get(name).cloned().unwrap_or_default()
            };
            let person = |profile| {
                (
                    field(profile, "email"),
                    [field(profile, "firstname"), field(profile, "lastname"), field(profile, "city")],
                )
            };
            let all: Vec<_> = present.map(person).collect();
            let people: People = all.iter().cloned().collect();
            let doubles = all.len() - people.len();
            (people, doubles)
        })
    }

    /// Everybody at ActiveCampaign.
    #[must_use]
    pub fn at_activecampaign(&self) -> People {
        self.platforms.activecampaign.look(|activecampaign| {
            let person = |contact: &crate::platforms::activecampaign::Contact| {
                let city = activecampaign.field_value(contact.id, CITY).unwrap_or_default().to_owned();
                (contact.email.clone(), [contact.first.clone(), contact.last.clone(), city])
            };
            activecampaign.contacts().values().map(person).collect()
        })
    }

    /// The writes to Copernica and ActiveCampaign that left an object as it was: each one is one too many.
    #[must_use]
    pub fn needless(&self) -> BTreeSet<String> {
        let copernica = self.platforms.copernica.writes();
        let activecampaign = self.platforms.activecampaign.writes();
        let all = copernica.into_iter().chain(activecampaign);
        all.filter(|write| !write.did_change)
            .map(|write| format!("{} {} at {}", write.object, write.id, write.at))
            .collect()
    }
}

/// A platform's writes so far.
#[must_use]
pub fn count_writes<P: Platform>(site: &Site<P>) -> usize {
    site.writes().len()
}

/// What differs between two platforms, in words.
#[must_use]
pub fn differences(one: &People, other: &People) -> Vec<String> {
    let emails: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differs = |email: &&String| one.get(*email) != other.get(*email);
    let shown = |email: &String| format!("{email}: {:?} there, {:?} here", one.get(email), other.get(email));
    emails.into_iter().filter(differs).map(shown).collect()
}
