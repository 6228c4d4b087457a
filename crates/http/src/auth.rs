//! The entrance: credentials from headers (HTTP Basic, `Authorization: Bearer`, `Api-Key`), and how often they come.

use crate::Server;
use crate::answer::refused;
use crate::router::PUBLIC;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use lockstep_core::error::Code;
use lockstep_engine::principal::{Credentials, Principal};
use lockstep_engine::refusal::Refusal;

/// Who calls, or why nobody does, as the entrance found it.
#[derive(Clone)]
struct Entered(Result<Principal, Refusal>);

/// The entrance, before every route that asks for credentials: finds once who calls, and counts the call. What is wrong
/// with the credentials is said by the route, so that an unknown path or method is told as that.
pub(crate) async fn enter(State(server): State<Server>, mut request: Request, next: Next) -> Response {
    if PUBLIC.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let found = find(&server, request.headers());
    let drawn = found.as_ref().map_or(Ok(None), |principal| server.throttle.draw(principal));
    let (standing, mut response) = match drawn {
        Ok(standing) => {
            request.extensions_mut().insert(Entered(found));
            (standing, next.run(request).await)
        }
        Err(standing) => (Some(standing), refused(request.uri(), standing.refusal())),
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    response
}

/// Whoever sent the request, as the entrance found it.
pub(crate) fn principal(server: &Server, request: &Request) -> Result<Principal, Refusal> {
    match request.extensions().get::<Entered>() {
        Some(Entered(found)) => found.clone(),
        None => find(server, request.headers()),
    }
}

fn find(server: &Server, headers: &HeaderMap) -> Result<Principal, Refusal> {
    Principal::of(&server.world, &credentials(headers)?)
}

fn credentials(headers: &HeaderMap) -> Result<Credentials, Refusal> {
    if let Some(key) = headers.get("api-key") {
        let key = key.to_str().map_err(|_unreadable| unreadable("Api-Key"))?;
        return Ok(Credentials::Key(key.trim().to_owned()));
    }
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(Refusal::new(
            Code::Unauthenticated,
            "no credentials were sent: give Authorization: Bearer API_KEY, Api-Key: API_KEY, or HTTP Basic with client id and secret",
        ));
    };
    let value = value.to_str().map_err(|_unreadable| unreadable("Authorization"))?;
    let (scheme, rest) = value.split_once(' ').ok_or_else(|| unreadable("Authorization"))?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Credentials::Key(rest.trim().to_owned())),
        "basic" => basic(rest.trim()).ok_or_else(|| unreadable("Authorization")),
        _ => Err(unreadable("Authorization")),
    }
}

fn basic(encoded: &str) -> Option<Credentials> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some(Credentials::Client(id.to_owned(), secret.to_owned()))
}

fn unreadable(header: &str) -> Refusal {
    let text =
        format!("the header {header} cannot be read: it is Bearer API_KEY, or Basic and the base64 of ID:SECRET");
    Refusal::new(Code::InvalidCredentials, text)
}
