//! Connections: made, changed, tried, revoked, dropped, listed.

use super::account::{Remembering, hook_key, keeper, opened, put, schema, unready, way_out, with_config};
use super::plan::remote;
use super::{Switchboard, config, must_let_out, share};
use crate::registry::Known;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_connect::{Check, Identity, Keep, Link, RemoteField};
use lockstep_core::application::Business;
use lockstep_core::connection::{Connection, ConnectionState};
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::{BusinessId, ConnectionId, Provider, slug};
use lockstep_core::limits;
use lockstep_core::share::Share;
use lockstep_engine::control::within::managed;
use lockstep_engine::control::{blank_in, check_label, commit};
use lockstep_engine::principal::Principal;
use lockstep_engine::refusal::Refusal;
use lockstep_engine::seal::connection_place;
use lockstep_store::settings::{Control, Expect, Put, SettingKey, SettingKind};
use lockstep_wire::connection::{
    ConnectionChecked, ConnectionView, CreateConnection, FieldView, FieldsAsked, FieldsView, HookView, HooksView,
    UpdateConnection,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is to be done where a platform does not tell whose account it is.
const NO_ACCOUNT: &str =
    "it must tell whose account this is, since shares stand on the connection: try again when it does";

/// One of a business's connections, with the version of its row.
pub(super) fn find(board: &Switchboard, business: &BusinessId, id: &str) -> Result<(Arc<Connection>, u64), Refusal> {
    let id: ConnectionId = id.parse()?;
    let found = board.world.settings.read(|settings| settings.sharing.connection(id));
    found
        .filter(|(connection, _)| connection.business == *business)
        .ok_or_else(|| Refusal::new(Code::NotFound, format!("there is no connection {id} in {business}")))
}

/// The same for whoever may decide where it leads.
pub(super) fn steered(
    board: &Switchboard,
    principal: &Principal,
    business: &Business,
    id: &str,
) -> Result<(Arc<Connection>, u64), Refusal> {
    let found = find(board, &business.id, id)?;
    share::must_have_all(board, principal, business, found.0.id)?;
    Ok(found)
}

/// The shares that stand on a connection.
pub(super) fn shares_on(board: &Switchboard, connection: ConnectionId) -> Vec<Arc<Share>> {
    board
        .world
        .settings
        .read(|settings| settings.sharing.shares_on(connection).map(|(share, _)| Arc::clone(share)).collect())
}

/// A connection with those of its shares that the caller may look after.
fn view(board: &Switchboard, principal: &Principal, business: &Business, connection: &Connection) -> ConnectionView {
    let shares = share::kept_on(board, principal, business, connection.id);
    ConnectionView::of(connection, shares.iter().map(|share| share.id).collect())
}

/// A configuration that its connector takes, and what the platform said to it.
pub(super) struct Tried {
    /// As it is to be kept.
    pub(super) config: Value,
    identity: Option<Identity>,
    state: ConnectionState,
}

/// What is asked of a platform before a configuration is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// Nothing.
    None,
    /// Whose account it is.
    Account,
    /// That too, and whether it works.
    Whole,
}

/// Tries a configuration: that the connector takes it, and, where asked, that the platform does. `keep` is told what the
/// platform changes of it on the way.
pub(super) async fn tried(
    board: &Switchboard,
    known: &Known,
    given: Value,
    keep: Option<Arc<dyn Keep>>,
    trial: Trial,
) -> Result<Tried, Refusal> {
    if given.to_string().len() > limits::CONTROL_BYTES_MAX {
        let text = format!("the configuration is over {} bytes", limits::CONTROL_BYTES_MAX);
        return Err(Rejection::new(Code::InvalidValue, text).at_field("config").into());
    }
    if trial != Trial::None {
        must_let_out(&board.world)?;
    }
    let memory = keep.map(Remembering::new);
    let keep = memory.clone().map(|memory| memory as Arc<dyn Keep>);
    let link = known.connector.open(given.clone(), way_out(&board.world, keep));
    let link = link.map_err(|failure| Rejection::new(Code::InvalidValue, failure.message).at_field("config"))?;
    let identity = match trial {
        Trial::None => None,
        Trial::Account => Some(in_time(account_of(known, &link), NO_ACCOUNT).await?),
        Trial::Whole => Some(proven(known, &link).await?),
    };
    let kept = memory.and_then(|memory| memory.latest());
    let config = kept.or_else(|| link.session().take_kept_config()).unwrap_or(given);
    Ok(Tried { config, identity, state: ConnectionState::Ready })
}

/// Whether somebody logs in at the platform: until they have, no configuration works.
pub(super) fn has_login(known: &Known) -> bool {
    known.connector.sharing.as_ref().is_some_and(|sharing| sharing.authorization.is_some())
}

/// Whose account a link leads to, once the platform has taken its credentials.
async fn proven(known: &Known, link: &Link) -> Result<Identity, Refusal> {
    let proof = async {
        if let Check::Fails(why) = link.session().check().await {
            return Err(not_taken(known, link, &why));
        }
        account_of(known, link).await
    };
    in_time(proof, "give ?test=false to keep it untried").await
}

/// Whose account a link leads to, where its connector can tell.
async fn account_of(known: &Known, link: &Link) -> Result<Identity, Refusal> {
    if known.connector.sharing.is_none() {
        return Ok(Identity::default());
    }
    link.identity().await.map_err(|failure| not_taken(known, link, &failure.message))
}

fn not_taken(known: &Known, link: &Link, why: &str) -> Refusal {
    let text = format!("{} did not take this: {}", known.name, link.session().clean(why));
    Refusal::new(Code::ConnectionFailed, text)
}

async fn in_time<T>(proof: impl Future<Output = Result<T, Refusal>>, way_out: &str) -> Result<T, Refusal> {
    let patience = Duration::from_millis(limits::CONNECTION_TEST_MS_MAX);
    tokio::time::timeout(patience, proof).await.unwrap_or_else(|_late| {
        let text = format!("no answer in {} s; {way_out}", patience.as_secs());
        Err(Refusal::new(Code::ConnectionFailed, text))
    })
}

/// Whether shares stand on a connection whose platform tells whose account it is: their ids are that account's.
fn is_bound(board: &Switchboard, known: &Known, connection: &Connection) -> bool {
    let tells = known.connector.sharing.as_ref().is_some_and(|sharing| sharing.identity.is_some());
    tells && connection.realm != connection.id.to_string() && !shares_on(board, connection.id).is_empty()
}

/// The slug under which the ids of a connection's objects stand.
fn provider(
    board: &Switchboard,
    business: &Business,
    known: &Known,
    given: Option<Provider>,
) -> Result<Provider, Refusal> {
    let own = known.connector.sharing.as_ref().and_then(|sharing| sharing.provider.clone());
    let provider = match given {
        Some(given) => given,
        None => Provider::parse(&own.unwrap_or_else(|| slug(&known.name)))?,
    };
    let is_taken = board.world.settings.read(|settings| {
        let mut others = settings.applications.values().filter(|live| !live.is_revoked).map(|live| &live.application);
        others.any(|application| application.organisation == business.organisation && application.provider == provider)
    });
    if is_taken {
        let text =
            format!("the provider {provider} is an application's in this organisation: give another \"provider\"");
        return Err(Rejection::new(Code::ProviderTaken, text).at_field("provider").into());
    }
    Ok(provider)
}

/// A connection as a trial leaves it.
pub(super) fn identified(board: &Switchboard, connection: Connection, tried: &Tried) -> Result<Connection, Refusal> {
    let connection = match &tried.identity {
        Some(identity) => of_account(board, connection, identity)?,
        None => connection,
    };
    Ok(Connection { state: tried.state.clone(), ..connection })
}

/// A connection with the account that it leads to. That is fixed once ids stand under it, and a business has each once:
/// a second connection would have a second pace, and take for its own what the first one wrote.
fn of_account(board: &Switchboard, connection: Connection, identity: &Identity) -> Result<Connection, Refusal> {
    let account = identity.label.clone().or_else(|| connection.account.clone());
    let Some(realm) = identity.id.clone().filter(|realm| *realm != connection.realm) else {
        return Ok(Connection { account, ..connection });
    };
    if realm.is_empty() || realm.len() > limits::EXTERNAL_ID_BYTES_MAX {
        let text = format!("the platform calls the account {}, which is no id of an account", shown(&realm));
        return Err(Refusal::new(Code::ConnectionFailed, text));
    }
    if !shares_on(board, connection.id).is_empty() {
        if connection.realm == connection.id.to_string() {
            // It was not known when they were made, and their ids stand under the connection's own.
            return Ok(Connection { account, ..connection });
        }
        let text = format!(
            "these credentials are of the account {}, and the shares of {} are with {}: make a connection of its own",
            shown(&realm),
            connection.id,
            shown(&connection.realm)
        );
        return Err(Refusal::new(Code::ConnectionFailed, text));
    }
    let other = board.world.settings.read(|settings| {
        let mut all = settings.sharing.connections_of(&connection.business).map(|(other, _)| other);
        let is_same = |other: &&Arc<Connection>| {
            other.id != connection.id && other.provider == connection.provider && other.realm == realm
        };
        all.find(is_same).map(|other| (other.id, other.label.clone()))
    });
    match other {
        None => Ok(Connection { realm, account, ..connection }),
        Some((id, label)) => {
            let text = format!(
                "{id} ({label}) is with the account {} already: use that one, or give another \"provider\" to keep the \
                 ids of the two apart",
                shown(&realm)
            );
            Err(Rejection::new(Code::IdTaken, text).at_field("provider").into())
        }
    }
}

/// Gives a connection a key for its hooks, where it has none.
fn with_hook_key(board: &Switchboard, connection: Connection) -> Result<Connection, Rejection> {
    if !connection.hook_key.is_empty() {
        return Ok(connection);
    }
    let key = URL_SAFE_NO_PAD.encode(board.world.ids.secret());
    let place = connection_place(&connection.business, connection.id, "hook-key");
    Ok(Connection { hook_key: board.world.sealer.seal(key.as_bytes(), &place)?, ..connection })
}

/// The connector of a name, in a version or its newest.
fn connector(board: &Switchboard, name: &str, version: Option<&str>) -> Result<Arc<Known>, Refusal> {
    Ok(match version {
        Some(version) => board.registry.get(name, version)?,
        None => board.registry.newest(name)?,
    })
}

/// Makes a connection. It is tried first, unless the caller says otherwise; one of a platform at which somebody logs in
/// waits for that where it does not work yet.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found` for the connector, `invalid_value`, `provider_taken`,
/// `limit_reached`, `connection_failed`, `id_taken` where the business has a connection with the account.
pub async fn create(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    body: CreateConnection,
    is_tested: bool,
) -> Result<ConnectionView, Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let known = connector(board, &body.connector, body.version.as_deref())?;
    let label = check_label("label", &body.label)?;
    let provider = provider(board, &business, &known, body.provider)?;
    let config = config::patched(json!({}), &body.config)?;
    let trial = if is_tested { Trial::Whole } else { Trial::None };
    let tried = match tried(board, &known, config.clone(), None, trial).await {
        Err(refusal) if has_login(&known) && refusal.rejection.code == Code::ConnectionFailed => {
            let state = ConnectionState::NeedsLogin { since: world.clock.now(), reason: refusal.rejection.message };
            Tried { config, identity: None, state }
        }
        other => other?,
    };
    let id = ConnectionId(world.ids.ordered());
    let blank = Connection {
        id,
        business: business.id.clone(),
        label,
        connector: known.name.clone(),
        version: known.version.clone(),
        provider,
        realm: id.to_string(),
        account: None,
        config: String::new(),
        shown: Value::Null,
        hook_key: String::new(),
        hooks: BTreeMap::new(),
        state: ConnectionState::Ready,
        authorizing: None,
        created_at: world.clock.now(),
    };
    let connection = with_hook_key(board, with_config(world, blank, &known, &tried.config)?)?;
    let _turn = board.turn.lock().await;
    let connection = identified(board, connection, &tried)?;
    if world.settings.read(|settings| settings.sharing.connections_of(&business.id).count())
        >= limits::CONNECTIONS_OF_A_BUSINESS_MAX
    {
        let text = format!("the business has {} connections, the most it may", limits::CONNECTIONS_OF_A_BUSINESS_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    let mut control = blank_in(world, principal, &business.id, "connection.create", id);
    control.puts.push(put(connection.clone(), Expect::Absent));
    commit(world, control).await?;
    Ok(view(board, principal, &business, &connection))
}

/// Changes a connection; what is left out stays. A new configuration or version is tried first, unless the caller says
/// otherwise; whose account it is of is asked all the same while shares stand on the connection.
///
/// # Errors
/// Those of [`create`]; `outside_grant` where shares on it carry more than the caller has.
pub async fn update(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    body: UpdateConnection,
    is_tested: bool,
) -> Result<ConnectionView, Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let (mut standing, mut version) = steered(board, principal, &business, id)?;
    let label = body.label.as_deref().map(|label| check_label("label", label)).transpose()?;
    let is_reconfigured = body.config.is_some() || body.version.is_some();
    let mut next = (*standing).clone();
    if is_reconfigured {
        let asked = body.version.as_deref().unwrap_or(&standing.version);
        let known = connector(board, &standing.connector, Some(asked))?;
        let before = config_of(board, &standing)?;
        let given = config::patched(before.clone(), &body.config.unwrap_or_default())?;
        config::check_place(&schema(&known), &before, &given)?;
        // A trial may spend a token that stays; one that was given anew is not the connection's before it has passed.
        let is_own = !standing.config.is_empty() && config::has_same_secrets(&schema(&known), &before, &given);
        let keep = is_own.then(|| keeper(world, &known, standing.id, given.clone()));
        let trial = match is_tested {
            true => Trial::Whole,
            false if given != before && is_bound(board, &known, &standing) => Trial::Account,
            false => Trial::None,
        };
        let tried = tried(board, &known, given, keep, trial).await?;
        let changed = config::difference(&before, &tried.config);
        (standing, version) = find(board, &business.id, id)?;
        let config = config::patched(config_of(board, &standing)?, &changed)?;
        next = Connection { version: known.version.clone(), ..(*standing).clone() };
        next = with_hook_key(board, with_config(world, next, &known, &config)?)?;
        next = identified(board, next, &tried)?;
    }
    next.label = label.unwrap_or(next.label);
    replace(board, principal, "connection.update", next.clone(), version).await?;
    if is_reconfigured {
        board.workers.reopen(next.id);
    }
    Ok(view(board, principal, &business, &next))
}

/// A connection's configuration; an empty one where it was revoked.
fn config_of(board: &Switchboard, connection: &Connection) -> Result<Value, Refusal> {
    if connection.config.is_empty() { Ok(json!({})) } else { opened(&board.world, connection) }
}

/// Commits a connection as it is to be.
pub(super) async fn replace(
    board: &Switchboard,
    principal: &Principal,
    action: &str,
    connection: Connection,
    version: u64,
) -> Result<(), Refusal> {
    let mut control = blank_in(&board.world, principal, &connection.business, action, connection.id);
    control.puts.push(put(connection, Expect::Version(version)));
    Ok(commit(&board.world, control).await?)
}

/// Tries a connection as it stands. One that needed a login and works is ready from then on.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `outside_grant`, `connection_not_ready` where it was revoked.
pub async fn check(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<ConnectionChecked, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (connection, _) = steered(board, principal, &business, id)?;
    if let (ConnectionState::Revoked { .. }, Some(refused)) = (&connection.state, unready(&connection)) {
        return Err(refused);
    }
    let known = board.registry.get(&connection.connector, &connection.version)?;
    let link = board.workers.link(&connection).await?;
    let identity = match proven(&known, &link).await {
        Ok(identity) => identity,
        Err(refusal) => {
            let message = Some(refusal.rejection.message);
            return Ok(ConnectionChecked { works: false, account: connection.account.clone(), message });
        }
    };
    // The trial may have spent a token, and what came in its place is in the setting by now.
    let (standing, version) = find(board, &business.id, id)?;
    let next = of_account(board, (*standing).clone(), &identity)?;
    let next = Connection { state: ConnectionState::Ready, ..next };
    let account = next.account.clone();
    if next != *standing {
        replace(board, principal, "connection.check", next, version).await?;
        board.workers.reopen(standing.id);
    }
    Ok(ConnectionChecked { works: true, account, message: None })
}

/// Ends a connection's credentials: they are gone from here, with the key of its hooks. Its shares stay, and wait.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `outside_grant`.
pub async fn revoke(
    board: &Switchboard,
    principal: &Principal,
    business: &str,
    id: &str,
) -> Result<ConnectionView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (connection, _) = steered(board, principal, &business, id)?;
    if matches!(connection.state, ConnectionState::Revoked { .. }) {
        return Ok(view(board, principal, &business, &connection));
    }
    board.workers.unhook(&connection).await?;
    // Taking hooks back may have changed what is kept of them.
    let (connection, version) = find(board, &business.id, id)?;
    let next = Connection {
        config: String::new(),
        shown: Value::Object(Map::new()),
        hook_key: String::new(),
        hooks: BTreeMap::new(),
        authorizing: None,
        state: ConnectionState::Revoked { since: board.world.clock.now() },
        ..(*connection).clone()
    };
    replace(board, principal, "connection.revoke", next.clone(), version).await?;
    board.workers.reopen(next.id);
    Ok(view(board, principal, &business, &next))
}

/// Drops a connection that no share stands on.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `outside_grant`, `connection_in_use`.
pub async fn delete(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<(), Refusal> {
    let business = managed(&board.world, principal, business)?;
    let _turn = board.turn.lock().await;
    let (connection, version) = steered(board, principal, &business, id)?;
    if let Some(share) = shares_on(board, connection.id).first() {
        let text = format!("{} ({}) stands on this connection: delete its shares first", share.id, share.label);
        return Err(Refusal::new(Code::ConnectionInUse, text));
    }
    let control = blank_in(&board.world, principal, &business.id, "connection.delete", connection.id);
    let key = SettingKey::new(SettingKind::Connection, connection.id);
    let puts = vec![Put { key, value: None, expect: Expect::Version(version) }];
    let ended_connections = vec![(business.id.clone(), connection.id)];
    commit(&board.world, Control { puts, ended_connections, ..control }).await?;
    board.workers.reopen(connection.id);
    Ok(())
}

/// One connection.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`.
pub fn get(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<ConnectionView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    Ok(view(board, principal, &business, &find(board, &business.id, id)?.0))
}

/// The connections of a business, oldest first.
///
/// # Errors
/// `business_not_found`, `forbidden`.
pub fn list(board: &Switchboard, principal: &Principal, business: &str) -> Result<Vec<ConnectionView>, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let all: Vec<_> = board.world.settings.read(|settings| {
        settings.sharing.connections_of(&business.id).map(|(connection, _)| Arc::clone(connection)).collect()
    });
    Ok(all.iter().map(|connection| view(board, principal, &business, connection)).collect())
}

/// The fields that a remote object has in a connection's account, to be mapped.
///
/// # Errors
/// `business_not_found`, `forbidden`, `outside_grant`, `not_found`, `invalid_value` where the connector has no such
/// object, `connection_not_ready`, `connection_failed` where the platform does not tell, `busy` while the hub is held.
pub async fn fields(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    asked: &FieldsAsked,
) -> Result<FieldsView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (connection, _) = steered(board, principal, &business, id)?;
    if let Some(refused) = unready(&connection) {
        return Err(refused);
    }
    let known = board.registry.get(&connection.connector, &connection.version)?;
    remote(&known, &asked.object)?;
    let link = board.workers.link(&connection).await?;
    let told = async {
        let told = link.fields(&asked.object, &asked.options).await;
        told.map_err(|trouble| not_taken(&known, &link, &trouble.failure.message))
    };
    let view = |field: RemoteField| FieldView { path: field.path, label: field.label, kind: field.kind };
    let fields = in_time(told, "try again in a moment").await?;
    Ok(FieldsView { fields: fields.into_iter().map(view).collect() })
}

/// The addresses of a connection's inbound hooks, for those who set them up at the platform by hand: those of the shares
/// that the caller may look after.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `connection_not_ready` where it was revoked.
pub fn hooks(board: &Switchboard, principal: &Principal, business: &str, id: &str) -> Result<HooksView, Refusal> {
    let business = managed(&board.world, principal, business)?;
    let (connection, _) = find(board, &business.id, id)?;
    let key = hook_key(&board.world, &connection)?;
    let known = board.registry.get(&connection.connector, &connection.version)?;
    let hook = |share: &Arc<Share>| {
        let said = known.connector.object(&share.object)?.hooks.as_ref()?;
        Some(HookView {
            share: share.id,
            object: share.object.clone(),
            url: board.hook_url(connection.id, &share.slot(), Some(&key)),
            is_registered: connection.hooks.contains_key(&share.slot()),
            manual: said.manual.clone(),
        })
    };
    let shares = share::kept_on(board, principal, &business, connection.id);
    Ok(HooksView { hooks: shares.iter().filter(|share| share.takes_in()).filter_map(hook).collect() })
}
