//! What a subscriber has put on its letters: headers of its own, proofs of who calls, templates. Checked here when
//! they are saved, and sealed; the post room opens them.
//!
//! A message here never holds a value: values are secrets.

use crate::World;
use crate::refusal::Refusal;
use crate::seal::{auth_place, header_place};
use http::HeaderName;
use lockstep_core::auth::{Auth, KeyPlace};
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::limits;
use lockstep_core::subscription::{Subscription, Template};
use lockstep_egress::Identity;
use lockstep_wire::auth::{AuthBody, Secret};
use std::collections::BTreeMap;

/// Headers that belong to the connection (RFC 9110, section 7.6.1) or that the client writes.
const OF_THE_CONNECTION: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];
/// Beginnings of names that are ours to write.
const OURS: [&str; 3] = ["webhook-", "ce-", "lockstep-"];

fn refuse(pointer: &str, code: Code, text: String) -> Refusal {
    Rejection::new(code, text).at(pointer.to_owned()).into()
}

/// A header's name that a subscriber may choose.
fn header_name(pointer: &str, code: Code, name: &str) -> Result<HeaderName, Refusal> {
    let parsed = HeaderName::try_from(name);
    let parsed = parsed.map_err(|_malformed| {
        refuse(pointer, code, format!("{} is no name of a header: give letters, digits and hyphens", shown(name)))
    })?;
    let is_ours = OURS.iter().any(|ours| parsed.as_str().starts_with(ours));
    if is_ours || OF_THE_CONNECTION.contains(&parsed.as_str()) {
        let text = format!("the header {} is written by Lockstep itself: leave it out", shown(name));
        return Err(refuse(pointer, code, text));
    }
    Ok(parsed)
}

/// That a text can stand in a header: visible ASCII, no line break.
fn check_value(pointer: &str, what: &str, value: &str) -> Result<(), Refusal> {
    let is_visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if value.trim().is_empty() || !is_visible || value.len() > limits::CREDENTIAL_BYTES_MAX {
        let text = format!(
            "{what} is empty, over {} bytes, or holds a line break or letters outside of ASCII: give \
                            printable ASCII",
            limits::CREDENTIAL_BYTES_MAX
        );
        return Err(refuse(pointer, Code::InvalidValue, text));
    }
    Ok(())
}

/// Checks a template: that it compiles, and that its headers are its to write.
pub(super) fn check_template(template: &Template) -> Result<(), Refusal> {
    if template.headers.len() > limits::OWN_HEADERS_MAX {
        let text = format!(
            "the template has {} headers: at most {} are taken",
            template.headers.len(),
            limits::OWN_HEADERS_MAX
        );
        return Err(refuse("/template/headers", Code::LimitReached, text));
    }
    for name in template.headers.keys() {
        header_name("/template/headers", Code::InvalidTemplate, name)?;
    }
    template.compile()?;
    Ok(())
}

/// Headers of a subscriber's own, checked and sealed, by names in lower case.
pub(super) fn sealed_headers(
    world: &World,
    subscription: &Subscription,
    headers: BTreeMap<String, Secret>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let bytes: usize = headers.iter().map(|(name, Secret(value))| name.len() + value.len()).sum();
    if headers.len() > limits::OWN_HEADERS_MAX || bytes > limits::OWN_HEADERS_BYTES_MAX {
        let text = format!(
            "there are {} headers of {bytes} bytes: at most {} of {} bytes together are taken",
            headers.len(),
            limits::OWN_HEADERS_MAX,
            limits::OWN_HEADERS_BYTES_MAX
        );
        return Err(refuse("/headers", Code::LimitReached, text));
    }
    let mut sealed = BTreeMap::new();
    for (name, Secret(value)) in headers {
        let name = header_name("/headers", Code::InvalidValue, &name)?.as_str().to_owned();
        if name == "content-type" {
            let text = "the content type follows from the format: leave it out, or take format template".to_owned();
            return Err(refuse("/headers", Code::InvalidValue, text));
        }
        check_value("/headers", &format!("the value of {}", shown(&name)), &value)?;
        let place = header_place(&subscription.business, subscription.id, &name);
        let value = world.sealer.seal(value.as_bytes(), &place)?;
        if sealed.insert(name.clone(), value).is_some() {
            let text = format!("the header {} is given twice: its letters' case does not matter", shown(&name));
            return Err(refuse("/headers", Code::InvalidValue, text));
        }
    }
    Ok(sealed)
}

/// A proof of who calls, checked and sealed; none where it is to be forgotten.
pub(super) fn sealed_auth(world: &World, subscription: &Subscription, body: AuthBody) -> Result<Option<Auth>, Refusal> {
    check_auth(world, &body)?;
    let place = auth_place(&subscription.business, subscription.id);
    let seal = |Secret(secret): &Secret| world.sealer.seal(secret.as_bytes(), &place);
    Ok(Some(match body {
        AuthBody::None {} => return Ok(None),
        AuthBody::Basic { username, password } => Auth::Basic { username, password: seal(&password)? },
        AuthBody::Bearer { token } => Auth::Bearer { token: seal(&token)? },
        AuthBody::ApiKey { r#in, name, value } => Auth::ApiKey { place: r#in, name, value: seal(&value)? },
        AuthBody::OAuth2 { token_url, client_id, client_secret, scope, audience, client_auth } => Auth::OAuth2 {
            token_url,
            client_id,
            client_secret: seal(&client_secret)?,
            scope,
            audience,
            client_auth: client_auth.unwrap_or_default(),
        },
        AuthBody::Mtls { certificate, key } => Auth::Mtls { certificate, key: seal(&key)? },
    }))
}

fn check_auth(world: &World, body: &AuthBody) -> Result<(), Refusal> {
    let wrong = |member: &str, text: String| refuse(&format!("/auth/{member}"), Code::InvalidValue, text);
    let check = |member: &str, value: &str| check_value(&format!("/auth/{member}"), member, value);
    match body {
        AuthBody::None {} => Ok(()),
        AuthBody::Basic { username, password: Secret(password) } => {
            let is_long = username.len() + password.len() > limits::CREDENTIAL_BYTES_MAX;
            if is_long || username.contains(':') || username.chars().chain(password.chars()).any(char::is_control) {
                let text = "a user name has no colon, neither it nor the password a control character, and both are \
                            short: mend them"
                    .to_owned();
                return Err(wrong("username", text));
            }
            Ok(())
        }
        AuthBody::Bearer { token: Secret(token) } => {
            if token.contains(' ') {
                return Err(wrong("token", "a token has no blanks: give it without the word Bearer".to_owned()));
            }
            check("token", token)
        }
        AuthBody::ApiKey { r#in, name, value: Secret(value) } => {
            if *r#in == KeyPlace::Header {
                let name = header_name("/auth/name", Code::InvalidValue, name)?;
                if name == http::header::CONTENT_TYPE {
                    return Err(wrong("name", "the content type is no key: name another header".to_owned()));
                }
            } else {
                check("name", name)?;
            }
            check("value", value)
        }
        AuthBody::OAuth2 { token_url, client_id, client_secret: Secret(secret), scope, audience, .. } => {
            let refused =
                |refused: lockstep_egress::UrlRefused| refuse("/auth/tokenUrl", Code::UrlRefused, refused.to_string());
            world.policy.check_url(token_url).map_err(refused)?;
            check("clientId", client_id)?;
            check("clientSecret", secret)?;
            scope.iter().try_for_each(|scope| check("scope", scope))?;
            audience.iter().try_for_each(|audience| check("audience", audience))
        }
        AuthBody::Mtls { certificate, key: Secret(key) } => {
            if certificate.len() + key.len() > limits::CREDENTIAL_BYTES_MAX {
                let text = format!("certificate and key are over {} bytes", limits::CREDENTIAL_BYTES_MAX);
                return Err(wrong("certificate", text));
            }
            Identity::from_pem(certificate, key).map(drop).map_err(|bad| wrong("certificate", bad.to_string()))
        }
    }
}

/// That headers, template and proof do not write the same header.
pub(super) fn check_together(subscription: &Subscription) -> Result<(), Refusal> {
    let Some(auth) = subscription.auth.as_deref() else { return Ok(()) };
    let taken = match auth {
        Auth::ApiKey { place: KeyPlace::Header, name, .. } => name.to_ascii_lowercase(),
        auth if auth.is_authorization() => "authorization".to_owned(),
        _ => return Ok(()),
    };
    let templated = subscription.template.iter().flat_map(|template| template.headers.keys());
    if subscription.headers.contains_key(&taken)
        || templated.map(|name| name.to_ascii_lowercase()).any(|name| name == taken)
    {
        let text = format!("the header {taken} is written by auth: leave it out of headers and template");
        return Err(refuse("/headers", Code::InvalidValue, text));
    }
    Ok(())
}
