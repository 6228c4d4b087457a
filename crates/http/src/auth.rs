//! Credentials from headers: HTTP Basic, `Authorization: Bearer`, `Api-Key`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use lockstep_core::error::Code;
use lockstep_engine::World;
use lockstep_engine::principal::{Credentials, Principal};
use lockstep_engine::refusal::Refusal;

/// Whoever sent the request.
pub(crate) fn principal(world: &World, headers: &HeaderMap) -> Result<Principal, Refusal> {
    Principal::of(world, &credentials(headers)?)
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
