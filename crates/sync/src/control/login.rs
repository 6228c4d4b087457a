//! Logging in at a platform: somebody is sent there in a browser and comes back with a code, which becomes credentials.
//!
//! What brings them back is a sealed word, good for one login within ten minutes; whoever has no such word is told
//! nothing. The code is bound to this hub by a verifier (PKCE, S256) that never leaves it but for the exchange.

use super::account::{opened, put, way_out, with_config};
use super::config::{difference, patched};
use super::connection::{Trial, has_login, identified, replace, steered, tried};
use super::{Switchboard, must_let_out};
use crate::account;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_core::connection::{Authorizing, Connection, ConnectionState};
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::ConnectionId;
use lockstep_core::limits;
use lockstep_engine::control::commit;
use lockstep_engine::control::within::managed;
use lockstep_engine::principal::{Principal, digest_of};
use lockstep_engine::refusal::Refusal;
use lockstep_engine::seal::connection_place;
use lockstep_store::StoreError;
use lockstep_store::settings::{Audit, Control, Expect};
use lockstep_wire::connection::{AuthorizeBody, AuthorizeView};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where the word that brings somebody back is sealed for.
const STATE_PLACE: &str = "login/state";

/// How somebody came back.
#[derive(Clone, Debug, Default)]
pub struct Return {
    /// The word they were sent with.
    pub state: Option<String>,
    /// What they bring.
    pub code: Option<String>,
    /// Why they bring nothing.
    pub error: Option<String>,
}

/// What became of a login.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The connection.
    pub connection: Arc<Connection>,
    /// Where the browser is to go.
    pub redirect: Option<String>,
    /// Whether it has credentials now.
    pub outcome: Result<(), Refusal>,
}

fn not_ready(text: impl Into<String>) -> Refusal {
    Refusal::new(Code::ConnectionNotReady, text)
}

/// Where platforms send people back to.
fn callback(board: &Switchboard) -> String {
    board.place(&["oauth", "callback"]).to_string()
}

/// Begins a login: gives the address at which somebody is to log in.
///
/// # Errors
/// `business_not_found`, `forbidden`, `not_found`, `outside_grant`, `connection_not_ready` where the connector knows no
/// login or the connection was revoked, `connection_failed`, `url_refused`.
pub async fn begin(
    board: &Switchboard,
    principal: &Principal,
    (business, id): (&str, &str),
    body: AuthorizeBody,
) -> Result<AuthorizeView, Refusal> {
    let world = &board.world;
    let business = managed(world, principal, business)?;
    let (connection, version) = steered(board, principal, &business, id)?;
    let known = board.registry.get(&connection.connector, &connection.version)?;
    if !has_login(&known) {
        return Err(not_ready(format!("{} knows no login: give credentials with PATCH, as config", known.name)));
    }
    let redirect = body.redirect.as_deref().map(check_redirect).transpose()?;
    let config = opened(world, &connection)?;
    let nonce = URL_SAFE_NO_PAD.encode(world.ids.secret());
    let sealed = world.sealer.seal(format!("{} {nonce}", connection.id).as_bytes(), STATE_PLACE)?;
    let state = URL_SAFE_NO_PAD.encode(sealed);
    let verifier = URL_SAFE_NO_PAD.encode(world.ids.secret());
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    let url = known.connector.authorize_url(&config, &callback(board), &state, &challenge);
    let url = url.map_err(|failure| {
        Refusal::new(
            Code::ConnectionFailed,
            format!("{} gives no address to log in at: {}", known.name, failure.message),
        )
    })?;
    let expires_at = world.clock.now().plus_ms(limits::LOGIN_MS_MAX);
    let place = connection_place(&business.id, connection.id, "verifier");
    let authorizing = Authorizing {
        state_digest: digest_of(&state),
        verifier: world.sealer.seal(verifier.as_bytes(), &place)?,
        redirect,
        by: principal.name(),
        expires_at,
    };
    let next = Connection { authorizing: Some(authorizing), ..(*connection).clone() };
    replace(board, principal, "connection.authorize", next, version).await?;
    Ok(AuthorizeView { url, expires_at: expires_at.to_string() })
}

fn check_redirect(text: &str) -> Result<String, Refusal> {
    let parsed = Url::parse(text).ok().filter(|url| {
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_web && text.len() <= limits::URL_BYTES_MAX && url.username().is_empty() && url.password().is_none()
    });
    let refused = || {
        let text = format!("redirect is {}: give an address that begins with https:// or http://", shown(text));
        Rejection::new(Code::UrlRefused, text).at_field("redirect").into()
    };
    parsed.map(|url| url.to_string()).ok_or_else(refused)
}

/// The connection whose login a word belongs to, with the version of its row: none where it is nobody's, or was used, or
/// is too old.
fn meant(board: &Switchboard, state: &str) -> Option<(Arc<Connection>, u64, Authorizing)> {
    let world = &board.world;
    let sealed = String::from_utf8(URL_SAFE_NO_PAD.decode(state).ok()?).ok()?;
    let text = String::from_utf8(world.sealer.open(&sealed, STATE_PLACE)?).ok()?;
    let id: ConnectionId = text.split_once(' ')?.0.parse().ok()?;
    let (connection, version) = world.settings.read(|settings| settings.sharing.connection(id))?;
    let authorizing = connection.authorizing.clone()?;
    let is_it = verify_slices_are_equal(&digest_of(state), &authorizing.state_digest).is_ok();
    (is_it && world.clock.now() < authorizing.expires_at).then_some((connection, version, authorizing))
}

/// Ends a login: what somebody brings back becomes the connection's credentials.
///
/// # Errors
/// `connection_not_ready`, in the same words whatever is wrong with the word that they come back with. What goes wrong
/// after that is told in the outcome.
pub async fn end(board: &Switchboard, brought: Return) -> Result<Ended, Refusal> {
    let unknown = || {
        not_ready(
            "this login was not begun here, has ended already, or took more than ten minutes: begin it again from the \
             connection",
        )
    };
    let state = brought.state.as_deref().ok_or_else(unknown)?;
    let (connection, version, authorizing) = meant(board, state).ok_or_else(unknown)?;
    // It is used up before anything else is done with it.
    let used = Connection { authorizing: None, ..(*connection).clone() };
    let puts = vec![put(used.clone(), Expect::Version(version))];
    let audit = audit(board, &authorizing, "connection.return", &used);
    match commit(&board.world, Control { puts, ..Control::of(audit) }).await {
        Err(StoreError::Conflict(_)) => return Err(unknown()),
        other => other?,
    }
    let connection = Arc::new(used);
    let outcome = finish(board, &connection, &authorizing, brought).await;
    Ok(Ended { connection, redirect: authorizing.redirect, outcome })
}

fn audit(board: &Switchboard, authorizing: &Authorizing, action: &str, connection: &Connection) -> Audit {
    let audit = Audit::of(board.world.clock.now(), authorizing.by.as_str(), action, connection.id);
    audit.within(&connection.business)
}

async fn finish(
    board: &Switchboard,
    connection: &Connection,
    authorizing: &Authorizing,
    brought: Return,
) -> Result<(), Refusal> {
    let world = &board.world;
    must_let_out(world)?;
    let failed = |text: String| Refusal::new(Code::ConnectionFailed, text);
    let Some(code) = brought.code else {
        let why = brought.error.unwrap_or_else(|| "it gave no reason".to_owned());
        return Err(failed(format!("the platform sent no code: {}", shown(&why))));
    };
    let known = board.registry.get(&connection.connector, &connection.version)?;
    let place = connection_place(&connection.business, connection.id, "verifier");
    let verifier = world.sealer.open(&authorizing.verifier, &place).and_then(|text| String::from_utf8(text).ok());
    let verifier =
        verifier.ok_or_else(|| not_ready("this login cannot be ended with this hub's key: begin it again"))?;
    let before = opened(world, connection)?;
    let redirect_uri = callback(board);
    let exchange = known.connector.exchange(before.clone(), way_out(world, None), &code, &redirect_uri, &verifier);
    let patience = Duration::from_millis(limits::CONNECTION_TEST_MS_MAX);
    let config = match tokio::time::timeout(patience, exchange).await {
        Ok(Ok(config)) => config,
        Ok(Err(failure)) => return Err(failed(format!("{} took no code: {}", known.name, failure.message))),
        Err(_late) => return Err(failed(format!("{} did not answer in {} s", known.name, patience.as_secs()))),
    };
    let tried = tried(board, &known, config, None, Trial::Whole).await?;
    let gained = difference(&before, &tried.config);
    let keep = |standing: &Connection| {
        let config: Value = patched(opened(world, standing)?, &gained)?;
        let next = identified(board, with_config(world, standing.clone(), &known, &config)?, &tried)?;
        Ok::<_, Refusal>(Some(Connection { state: ConnectionState::Ready, ..next }))
    };
    let kept = account::change(world, connection.id, (authorizing.by.as_str(), "connection.login"), keep).await?;
    if kept.is_none() {
        return Err(Refusal::new(Code::NotFound, format!("{} is no more", connection.id)));
    }
    board.workers.reopen(connection.id);
    Ok(())
}
