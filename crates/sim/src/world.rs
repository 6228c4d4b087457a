//! The world: one thread, simulated time, a store that outlives every hub, endpoints on a simulated net, and the
//! real engine between them.

use crate::endpoint::Net;
use crate::slow_store::SlowStore;
use crate::time::{SimClock, SimIds};
use crate::trace::Trace;
use anyhow::{Context, anyhow};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::command::Outcome;
use lockstep_core::ids::{BusinessId, SubscriptionId};
use lockstep_egress::AddressPolicy;
use lockstep_engine::alert::Alerts;
use lockstep_engine::control::{application, business, subscription};
use lockstep_engine::deliver::{self, PostRoom};
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_engine::metrics::Metrics;
use lockstep_engine::principal::{Credentials, Principal, digest_of};
use lockstep_engine::refusal::Refusal;
use lockstep_engine::retention::Keep;
use lockstep_engine::seal::Sealer;
use lockstep_engine::settings::SharedSettings;
use lockstep_engine::sweep;
use lockstep_store::{Store, StoreError};
use lockstep_wire::subscription::{DeliveriesView, SubscriptionCreated, SubscriptionView};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The key of the simulated administrator.
const ADMIN_KEY: &str = "lsk_simulated";

/// Runs a story on simulated time, to its end.
///
/// # Errors
/// Where the runtime cannot be built, and what the story says.
pub fn simulate<T>(story: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(story)
}

/// An application's credentials and name.
#[derive(Clone, Debug)]
pub struct App {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub provider: String,
    /// Its API key.
    pub key: String,
}

struct Hub {
    world: Arc<lockstep_engine::World>,
    post_room: PostRoom,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A simulated world. At most one hub runs in it at a time.
pub struct World {
    /// Its time.
    pub clock: SimClock,
    /// Its store.
    pub store: Arc<SlowStore>,
    /// Its endpoints.
    pub net: Arc<Net>,
    /// What was seen.
    pub trace: Arc<Trace>,
    /// Where system events go, from the next start on.
    pub alert_url: Option<String>,
    ids: Arc<SimIds>,
    hub: Option<Hub>,
}

impl World {
    /// An empty world, with a hub running in it.
    ///
    /// # Errors
    /// Where the hub cannot be opened.
    pub async fn begin(seed: u64) -> anyhow::Result<Self> {
        let clock = SimClock::begin();
        let store = Arc::new(SlowStore::new(clock, seed));
        let trace = Arc::new(Trace::default());
        let net = Arc::new(Net::new(clock, seed, Arc::clone(&store), Arc::clone(&trace)));
        let ids = Arc::new(SimIds::new(clock, seed));
        let mut world = Self { clock, store, net, trace, alert_url: None, ids, hub: None };
        world.start().await?;
        Ok(world)
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Opens a hub on the store as it is.
    ///
    /// # Errors
    /// Where the settings cannot be read.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.hub.is_some() {
            return Ok(());
        }
        let world = Arc::new(lockstep_engine::World {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::new(self.clock),
            ids: Arc::clone(&self.ids) as _,
            transport: Arc::clone(&self.net) as _,
            policy: Arc::new(AddressPolicy::new(Vec::new())),
            sealer: Sealer::new(&[7; 32]).map_err(|refused| anyhow!(refused.message))?,
            settings: SharedSettings::default(),
            alerts: self.alerts()?,
            bells: lockstep_engine::feed::Bells::default(),
            classes: lockstep_engine::feed::Classes::default(),
            metrics: Metrics::default(),
            uploads: lockstep_engine::upload::Uploads::default(),
            admin_key_digest: digest_of(ADMIN_KEY),
        });
        world.settings.refresh(self.store.plain()).await?;
        let (stop, stopped) = watch::channel(false);
        let (post_room, mut desk) = PostRoom::new();
        let running = Arc::clone(&world);
        let task = spawn(async move {
            // As in the binary: a room that failed is opened again after a second.
            while !*stopped.borrow() {
                match deliver::run(Arc::clone(&running), &mut desk, stopped.clone(), "sim").await {
                    Ok(()) | Err(StoreError::Fenced) => break,
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        });
        self.trace.note(self.now(), "start");
        self.hub = Some(Hub { world, post_room, stop, task });
        Ok(())
    }

    fn alerts(&self) -> anyhow::Result<Alerts> {
        let Some(url) = &self.alert_url else { return Ok(Alerts::default()) };
        Alerts::to(&AddressPolicy::default(), url, None).map_err(|refused| anyhow!(refused.message))
    }

    /// Kills the hub: whatever is under way is dropped where it stands.
    pub async fn kill(&mut self) {
        if let Some(hub) = self.hub.take() {
            self.trace.note(self.now(), "kill");
            hub.task.abort();
            // It was cancelled; that is what we came for.
            let _ = hub.task.await;
        }
    }

    /// Asks the hub to stop and waits until it has.
    ///
    /// # Errors
    /// Where the hub panicked.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(hub) = self.hub.take() {
            self.trace.note(self.now(), "stop");
            // It may have ended by itself.
            let _ = hub.stop.send(true);
            hub.task.await.context("the post room panicked")?;
        }
        Ok(())
    }

    /// Lets simulated time pass.
    pub async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Whether the hub has ended without being asked, which it never should.
    #[must_use]
    pub fn has_fallen(&self) -> bool {
        self.hub.as_ref().is_some_and(|hub| hub.task.is_finished())
    }

    /// The engine of the hub that runs.
    ///
    /// # Errors
    /// While none does.
    pub fn engine(&self) -> anyhow::Result<Arc<lockstep_engine::World>> {
        self.hub.as_ref().map(|hub| Arc::clone(&hub.world)).context("no hub runs")
    }

    /// How a subscription's lane stands, as the post room tells it.
    ///
    /// # Errors
    /// While no hub runs, and what the room says.
    pub async fn standing(&self, id: SubscriptionId) -> anyhow::Result<DeliveriesView> {
        let room = self.hub.as_ref().map(|hub| hub.post_room.clone()).context("no hub runs")?;
        room.standing(id).await.map_err(told)
    }

    /// Sweeps once, as the sweeper does each minute.
    ///
    /// # Errors
    /// While no hub runs.
    pub async fn sweep(&self, keep: Keep) -> anyhow::Result<()> {
        let hub = self.hub.as_ref().context("no hub runs")?;
        sweep::turn(&hub.world, &hub.post_room, keep).await;
        Ok(())
    }

    /// Makes a business.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn business(&self, organisation: &str, id: &str) -> anyhow::Result<BusinessId> {
        let body = serde_json::from_value(json!({"organisationName": organisation, "name": id, "id": id}))?;
        let made = business::create(&*self.engine()?, &Principal::Admin, body).await;
        Ok(made.map_err(told)?.id)
    }

    /// Makes an application; `grant` holds the members of its grant.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn application(&self, organisation: &str, label: &str, mut grant: Value) -> anyhow::Result<App> {
        if let Value::Object(members) = &mut grant {
            members.insert("organisationName".to_owned(), organisation.into());
            members.insert("label".to_owned(), label.into());
        }
        let made = application::create(&*self.engine()?, &Principal::Admin, serde_json::from_value(grant)?).await;
        let made = made.map_err(told)?;
        Ok(App { id: made.id.to_string(), provider: made.provider.to_string(), key: made.api_key })
    }

    /// Makes a subscription.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn subscribe(&self, app: &App, business: &str, body: Value) -> anyhow::Result<SubscriptionCreated> {
        let engine = self.engine()?;
        let (caller, body) = (principal(&engine, app)?, serde_json::from_value(body)?);
        subscription::create(&engine, &caller, business, body).await.map_err(told)
    }

    /// Changes a subscription.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn resubscribe(
        &self,
        app: &App,
        business: &str,
        id: SubscriptionId,
        body: Value,
    ) -> anyhow::Result<SubscriptionView> {
        let engine = self.engine()?;
        let (caller, body) = (principal(&engine, app)?, serde_json::from_value(body)?);
        subscription::update(&engine, &caller, business, &id.to_string(), body).await.map_err(told)
    }

    /// Submits a call of the Data API.
    ///
    /// # Errors
    /// What the hub says.
    pub async fn submit(&self, app: &App, business: &str, ty: &str, verb: Verb<'_>) -> anyhow::Result<Outcome> {
        let engine = self.engine()?;
        let caller = principal(&engine, app)?;
        let call = Call { principal: &caller, business, ty, verb, if_match: None, idempotency: None, bytes: b"" };
        submit(&engine, call).await.map_err(told)
    }
}

/// Whoever an application's key stands for at present.
///
/// # Errors
/// Where its credentials were revoked.
pub fn principal(engine: &lockstep_engine::World, app: &App) -> anyhow::Result<Principal> {
    Principal::of(engine, &Credentials::Key(app.key.clone())).map_err(told)
}

/// A refusal as an error.
pub fn told(refusal: Refusal) -> anyhow::Error {
    let Refusal { rejection, .. } = refusal;
    anyhow!("{}: {}", rejection.code, rejection.message)
}

/// Starts a task in the world's one thread.
#[expect(clippy::disallowed_methods, reason = "the tasks of a simulated world start here")]
pub fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}
