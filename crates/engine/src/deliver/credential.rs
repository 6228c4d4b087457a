//! Credentials: what a subscriber has put on its letters, opened; and the proof of who calls, put on each try.
//!
//! Nothing here shows a secret: headers are marked as sensitive, failures name what failed and no value.

use super::token::TokenDesk;
use crate::World;
use crate::seal::{auth_place, header_place};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lockstep_core::auth::{Auth, KeyPlace};
use lockstep_core::subscription::Subscription;
use lockstep_egress::{Identity, Request, Response};
use std::fmt;
use std::sync::Arc;

/// All that is put on a subscription's letters.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    headers: HeaderMap,
    proof: Proof,
}

/// How it is proved who calls.
#[derive(Default)]
enum Proof {
    #[default]
    None,
    Header(HeaderName, HeaderValue),
    Query(String, String),
    Token(Box<TokenDesk>),
    Identity(Arc<Identity>),
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Header(..) => "Header",
            Self::Query(..) => "Query",
            Self::Token(_) => "Token",
            Self::Identity(_) => "Identity",
        })
    }
}

impl Credentials {
    /// Opens what a subscription has sealed.
    ///
    /// # Errors
    /// That it does not open, or is no longer what it was when it was saved.
    pub(super) fn open(world: &World, subscription: &Subscription) -> Result<Self, &'static str> {
        let (business, id) = (&subscription.business, subscription.id);
        let mut headers = HeaderMap::with_capacity(subscription.headers.len());
        for (name, sealed) in &subscription.headers {
            let value =
                open(world, sealed, &header_place(business, id, name)).ok_or("one of its headers does not open")?;
            let pair = HeaderName::try_from(name).ok().zip(secret(&value));
            let (name, value) = pair.ok_or("one of its headers does not read")?;
            headers.insert(name, value);
        }
        let Some(auth) = subscription.auth.as_deref() else { return Ok(Self { headers, proof: Proof::None }) };
        let opened = open(world, auth.sealed(), &auth_place(business, id)).ok_or("its auth does not open")?;
        let proof = proof(auth, opened).ok_or("its auth does not read")?;
        Ok(Self { headers, proof })
    }

    /// Puts the subscriber's own headers beside those of the letter, which come first.
    pub(super) fn dress(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// Sends a request with the proof on it. Where a token is refused, a new one is fetched and the request sent once
    /// more, at once.
    ///
    /// # Errors
    /// Why there is no answer: the endpoint's or the token endpoint's fault.
    pub(super) async fn send(&self, world: &World, mut request: Request) -> Result<Response, String> {
        match &self.proof {
            Proof::None => {}
            Proof::Header(name, value) => {
                request.headers.insert(name, value.clone());
            }
            Proof::Query(name, value) => {
                request.url.query_pairs_mut().append_pair(name, value);
            }
            Proof::Identity(identity) => request.identity = Some(Arc::clone(identity)),
            Proof::Token(desk) => return with_token(world, desk, request).await,
        }
        world.transport.send(request).await.map_err(|error| error.to_string())
    }
}

async fn with_token(world: &World, desk: &TokenDesk, mut request: Request) -> Result<Response, String> {
    let token = desk.token(world).await?;
    request.headers.insert(AUTHORIZATION, token.clone());
    let response = world.transport.send(request.clone()).await.map_err(|error| error.to_string())?;
    if response.status != StatusCode::UNAUTHORIZED {
        return Ok(response);
    }
    desk.forget(token).await;
    request.headers.insert(AUTHORIZATION, desk.token(world).await?);
    world.transport.send(request).await.map_err(|error| error.to_string())
}

fn open(world: &World, sealed: &str, place: &str) -> Option<String> {
    String::from_utf8(world.sealer.open(sealed, place)?).ok()
}

/// A header's value that does not show itself.
pub(super) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn proof(auth: &Auth, opened: String) -> Option<Proof> {
    Some(match auth {
        Auth::Basic { username, .. } => {
            let pair = STANDARD.encode(format!("{username}:{opened}"));
            Proof::Header(AUTHORIZATION, secret(&format!("Basic {pair}"))?)
        }
        Auth::Bearer { .. } => Proof::Header(AUTHORIZATION, secret(&format!("Bearer {opened}"))?),
        Auth::ApiKey { place: KeyPlace::Header, name, .. } => {
            Proof::Header(HeaderName::try_from(name).ok()?, secret(&opened)?)
        }
        Auth::ApiKey { place: KeyPlace::Query, name, .. } => Proof::Query(name.clone(), opened),
        Auth::OAuth2 { .. } => Proof::Token(Box::new(TokenDesk::of(auth, opened)?)),
        Auth::Mtls { certificate, .. } => Proof::Identity(Arc::new(Identity::from_pem(certificate, &opened).ok()?)),
    })
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
