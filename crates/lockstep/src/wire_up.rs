//! Wiring: which store, transport, clock and runtimes a running hub is made of.
//!
//! Three runtimes: one of a few threads for requests, one of a single thread for the post room and one for shares, so
//! that a flood of one cannot starve the others. The store has threads of its own.

use crate::failure::Failure;
use crate::settings::{Settings, TlsFiles};
use crate::world::{SystemClock, SystemIds};
use crate::{keys, paths};
use futures_util::FutureExt;
use lockstep_core::clock::{Clock, IdSource};
use lockstep_core::error::Code;
use lockstep_core::subscription::StartAt;
use lockstep_egress::{AddressPolicy, HttpTransport};
use lockstep_engine::alert::Alerts;
use lockstep_engine::control::mirror::align_all;
use lockstep_engine::deliver::{self, Desk, PostRoom};
use lockstep_engine::feed;
use lockstep_engine::principal::digest_of;
use lockstep_engine::retention::Keep;
use lockstep_engine::seal::Sealer;
use lockstep_engine::settings::SharedSettings;
use lockstep_engine::upload::Uploads;
use lockstep_engine::{World, metrics::Metrics, sweep};
use lockstep_http::throttle::Throttle;
use lockstep_http::tls::{BadTls, Tls};
use lockstep_http::{Server, router, serve, spans};
use lockstep_store::settings::{Audit, Control, Expect, Put, Setting, SettingKey, SettingKind};
use lockstep_store::{Commit, Store, StoreError, Work};
use lockstep_store_sqlite::SqliteStore;
use lockstep_sync::Office;
use lockstep_sync::control::{Switchboard, Workers};
use lockstep_sync::registry::Registry;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use url::Url;

/// Threads for requests: more than a few only contend.
const REQUEST_THREADS_MAX: usize = 4;
/// Wait before a post room that failed is opened again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// A hub, ready to serve.
pub(crate) struct Hub {
    pub(crate) world: Arc<World>,
    pub(crate) post_room: PostRoom,
    throttle: Arc<Throttle>,
    sharing: Arc<Switchboard>,
    office: Arc<Office>,
    keep: Keep,
    pub(crate) address: SocketAddr,
    /// Key files made at this start.
    pub(crate) made: Vec<PathBuf>,
    tls: Option<Tls>,
    is_traced: bool,
    listener: TcpListener,
    desk: Desk,
}

/// TLS as the settings want it.
fn read_tls(files: &TlsFiles) -> Result<Tls, Failure> {
    let invalid = |file: &Path, what: String| {
        Failure::new(Code::SettingsInvalid, format!("the TLS file {} cannot be used: {what}", file.display()))
    };
    let read = |file: &Path| std::fs::read(file).map_err(|error| invalid(file, error.to_string()));
    let made = Tls::new(&read(&files.certificate)?, &read(&files.key)?);
    made.map_err(|bad| {
        let file = if matches!(bad, BadTls::Certificate(_)) { &files.certificate } else { &files.key };
        invalid(file, bad.to_string())
    })
}

/// A runtime for requests.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(REQUEST_THREADS_MAX);
    let built = Builder::new_multi_thread().worker_threads(threads).thread_name("request").enable_all().build();
    built.map_err(|error| Failure::Other(error.into()))
}

impl Hub {
    /// Binds the address, opens the store and checks the keys; nothing runs yet.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Failure> {
        keys::check(settings)?;
        let tls = settings.tls.as_ref().map(read_tls).transpose()?;
        let listen_failed = |error: std::io::Error| {
            let text = format!("cannot listen on {}: {error}; name another address with --listen", settings.listen);
            Failure::new(Code::ListenFailed, text)
        };
        let listener = TcpListener::bind(settings.listen).map_err(listen_failed)?;
        listener.set_nonblocking(true).map_err(listen_failed)?;
        let address = listener.local_addr().map_err(listen_failed)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(SystemIds);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&settings.data, Arc::clone(&clock))?);
        must_bring_key(settings, store.as_ref()).await?;
        let sealing = keys::sealing(settings, ids.as_ref())?;
        let sealer = Sealer::new(&sealing.key)?;
        let admin = keys::admin(settings, ids.as_ref())?;
        let policy = Arc::new(AddressPolicy::new(settings.allow_private.clone()));
        let alerts = settings.alert_url.as_deref();
        let alerts = alerts.map(|url| Alerts::to(&policy, url, settings.alert_secret.as_deref())).transpose()?;
        let world = Arc::new(World {
            transport: Arc::new(HttpTransport::new(Arc::clone(&policy))),
            store,
            clock,
            ids,
            policy,
            sealer,
            settings: SharedSettings::default(),
            alerts: alerts.unwrap_or_default(),
            bells: lockstep_engine::feed::Bells::default(),
            classes: lockstep_engine::feed::Classes::default(),
            metrics: Metrics::default(),
            uploads: Uploads::default(),
            admin_key_digest: digest_of(&admin.key),
        });
        // The post room is given as long to open as it may stand still later.
        world.metrics.delivery_turned_at_ms.set(world.clock.now().0);
        world.settings.refresh(world.store.as_ref()).await?;
        check_sealing(&world).await.map_err(|failure| interrupted(settings, failure))?;
        // A process that ended between a business and its mirrors left them to this.
        align_all(&world, StartAt::Beginning).await.map_err(|refusal| refusal.rejection)?;
        let (post_room, desk) = PostRoom::new();
        let made = sealing.made.into_iter().chain(admin.made).collect();
        let is_traced = settings.otlp_endpoint.is_some();
        let keep = settings.keep;
        let throttle = Arc::new(Throttle::new(settings.rate_limit, Arc::clone(&world.clock)));
        let (sharing, office) = sharing(&world, settings, address)?;
        Ok(Self { world, post_room, throttle, sharing, office, keep, address, made, tls, is_traced, listener, desk })
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves and delivers until told to stop, then finishes what is under way and closes the store.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let Self { world, post_room, throttle, sharing, office, keep, tls, is_traced, listener, desk, .. } = self;
        let sweeping = post_room.clone();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| Failure::Other(error.into()))?;
        let deliver = start_delivery(Arc::clone(&world), desk, stop.clone())?;
        let working = start_office(Arc::clone(&office), stop.clone())?;
        let server = Server { world: Arc::clone(&world), post_room, stop: stop.clone(), sharing, office, throttle };
        let router = router::router(server);
        let router = if is_traced { spans::traced(router) } else { router };
        tokio::join!(
            serve::serve(listener, tls, router, stop.clone()),
            sweep::run(&world, &sweeping, keep, stop.clone()),
            feed::run(&world, stop)
        );
        for (name, thread) in [("delivery", deliver), ("shares", working)] {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!("the {name} thread panicked; this is a bug");
            }
        }
        world.store.close().await;
        Ok(())
    }
}

/// Control of shares and whoever works for them, with the connectors that there are.
fn sharing(
    world: &Arc<World>,
    settings: &Settings,
    address: SocketAddr,
) -> Result<(Arc<Switchboard>, Arc<Office>), Failure> {
    let registry = Arc::new(Registry::new(settings.connectors.clone(), Arc::clone(&world.clock))?);
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let own = || Url::parse(&format!("{scheme}://{address}")).map_err(|error| Failure::Other(error.into()));
    let public_url = settings.public_url.clone().map_or_else(own, Ok)?;
    let office = Office::new(Arc::clone(world), Arc::clone(&registry), Some(public_url.clone()));
    let office = Arc::new(office);
    let workers = Arc::clone(&office) as Arc<dyn Workers>;
    Ok((Arc::new(Switchboard::new(Arc::clone(world), registry, workers, public_url)), office))
}

/// That a key is there where the store has sealed values already, as one that was restored has: no other is made.
pub(crate) async fn must_bring_key(settings: &Settings, store: &dyn Store) -> Result<(), Failure> {
    if keys::is_given(settings) {
        return Ok(());
    }
    let stored = SharedSettings::default();
    stored.refresh(store).await?;
    if stored.read(|settings| settings.sealing_check.is_none()) {
        return Ok(());
    }
    let text = "this data folder holds what was sealed with a key that is not here: bring it, in LOCKSTEP_SECRET_KEY, \
                --secret-key-file or the folder's lockstep.key";
    Err(Failure::new(Code::SealingKeyWrong, text))
}

/// A key that is wrong since a rekey broke off is told as that.
fn interrupted(settings: &Settings, failure: Failure) -> Failure {
    let next = paths::next_sealing_key(&settings.data);
    match failure {
        Failure::Coded(rejection) if rejection.code == Code::SealingKeyWrong && next.exists() => {
            let text = format!(
                "a rekey of this data folder has broken off, and {} is the key it is sealed with now: \
                 `lockstep rekey --data {}` finishes it",
                next.display(),
                settings.data.display()
            );
            Failure::new(Code::SealingKeyWrong, text)
        }
        other => other,
    }
}

/// Tells a wrong sealing key before anything is sealed with it.
async fn check_sealing(world: &World) -> Result<(), Failure> {
    if let Some(value) = world.settings.read(|settings| settings.sealing_check.clone()) {
        return Ok(world.sealer.check(&value)?);
    }
    let key = SettingKey::new(SettingKind::Sealing, "check");
    let value = Some(Setting::Sealing(world.sealer.check_value()?));
    let audit = Audit::of(world.clock.now(), "system", "sealing.begin", "check");
    let puts = vec![Put { key, value, expect: Expect::Absent }];
    let control = Control { puts, ..Control::of(audit) };
    world.store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await?;
    Ok(())
}

/// The post room's thread. A room that fails or panics is opened again: what it had not settled is sent again.
fn start_delivery(world: Arc<World>, mut desk: Desk, stop: watch::Receiver<bool>) -> Result<JoinHandle<()>, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| Failure::Other(error.into()))?;
    let run = move || {
        runtime.block_on(async {
            let owner = format!("pid {}", std::process::id());
            while !*stop.borrow() {
                let room = deliver::run(Arc::clone(&world), &mut desk, stop.clone(), &owner);
                match AssertUnwindSafe(room).catch_unwind().await {
                    Ok(Ok(()) | Err(StoreError::Fenced)) => break,
                    Ok(Err(error)) => tracing::error!(error = %error, "delivery stopped; it is started again"),
                    Err(_) => tracing::error!("delivery panicked; this is a bug; it is started again"),
                }
                tokio::time::sleep(REOPEN_AFTER).await;
            }
        });
    };
    std::thread::Builder::new().name("deliver".to_owned()).spawn(run).map_err(|error| Failure::Other(error.into()))
}

/// The thread of those who work for shares: one, as its work is waiting and small sums; the store has its own.
fn start_office(office: Arc<Office>, stop: watch::Receiver<bool>) -> Result<JoinHandle<()>, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| Failure::Other(error.into()))?;
    let run = move || runtime.block_on(office.run(stop));
    std::thread::Builder::new().name("shares".to_owned()).spawn(run).map_err(|error| Failure::Other(error.into()))
}

/// Becomes true at SIGINT or SIGTERM.
pub(crate) fn stop_at_signal() -> Result<watch::Receiver<bool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::Other(error.into());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let (sender, receiver) = watch::channel(false);
    spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping: what is under way is finished first");
        // Everyone who listened may have gone already.
        let _ = sender.send(true);
    });
    Ok(receiver)
}

/// Starts a task of the process's own.
#[expect(clippy::disallowed_methods, reason = "tasks of the process start here")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}
