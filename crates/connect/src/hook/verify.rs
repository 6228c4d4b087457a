//! Where a hook comes from, proved: a key in query, path or header, Basic, an HMAC, or an HTTP signature. Comparisons
//! take the same time whatever differs. It must not fetch a key.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use lockstep_manifest::{Digest, Encoding, Proof, Verifier};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::{HookCall, HookRefused, decode};

/// The parameter of the key, where nothing is said.
const KEY: &str = "key";

type Scope = Map<String, Value>;

/// All proofs; without any said, the key in the query.
pub(super) fn verify(verifiers: &[Verifier], call: &HookCall, scope: &Scope) -> Result<(), HookRefused> {
    if verifiers.is_empty() {
        return key(KEY, call, &call.secret);
    }
    verifiers.iter().try_for_each(|verifier| one(verifier, call, scope))
}

fn one(said: &Verifier, call: &HookCall, scope: &Scope) -> Result<(), HookRefused> {
    let secret = match &said.secret {
        Some(fill) => fill.text(scope)?,
        None => call.secret.clone(),
    };
    if secret.is_empty() && said.kind != Proof::Signature {
        return Err(HookRefused::Unproven("the connection has no secret to compare with; give it one".to_owned()));
    }
    let name = said.name.as_deref();
    match said.kind {
        Proof::Key => key(name.unwrap_or(KEY), call, &secret),
        Proof::Path => {
            let last = call.path_rest.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            same("the key at the end of the path", last, &secret)
        }
        Proof::Header => {
            let name = name.unwrap_or("x-api-key");
            same(&format!("the header {name}"), header(call, name), &secret)
        }
        Proof::Basic => {
            let told = header(call, AUTHORIZATION.as_str()).strip_prefix("Basic ").unwrap_or_default();
            let told = STANDARD.decode(told.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let told = told.unwrap_or_default();
            // The connection's own key is a password, whoever the user is.
            let shown = if said.secret.is_some() { told.as_str() } else { told.split_once(':').map_or("", |it| it.1) };
            same("Basic authentication", shown, &secret)
        }
        Proof::Hmac => hmac(said, call, scope, &secret),
        Proof::Signature => signature(said, call, scope),
    }
}

fn unproven(text: impl Into<String>) -> HookRefused {
    HookRefused::Unproven(text.into())
}

fn same(what: &str, told: &str, wanted: &str) -> Result<(), HookRefused> {
    verify_slices_are_equal(told.as_bytes(), wanted.as_bytes())
        .map_err(|_other| unproven(format!("{what} is {}", if told.is_empty() { "missing" } else { "wrong" })))
}

fn header<'c>(call: &'c HookCall, name: &str) -> &'c str {
    call.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn key(name: &str, call: &HookCall, secret: &str) -> Result<(), HookRefused> {
    let told = decode::query(&call.query).get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    same(&format!("the parameter {name}"), &told, secret)
}

fn hmac(said: &Verifier, call: &HookCall, scope: &Scope, secret: &str) -> Result<(), HookRefused> {
    let algorithm = match said.algorithm {
        Digest::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Digest::Sha256 => hmac::HMAC_SHA256,
        Digest::Sha512 => hmac::HMAC_SHA512,
    };
    let name = said.name.as_deref().ok_or_else(|| unproven("the verifier names no header"))?;
    let told = header(call, name);
    let told = told.strip_prefix(said.prefix.as_deref().unwrap_or_default());
    let told = told.ok_or_else(|| unproven(format!("the header {name} is missing, or begins otherwise")))?;
    let signed = match &said.signed {
        None => call.body.to_vec(),
        Some(fill) => {
            let mut seen = scope.clone();
            seen.insert("text".to_owned(), String::from_utf8_lossy(&call.body).into_owned().into());
            fill.text(&seen)?.into_bytes()
        }
    };
    let bytes = match said.encoding {
        Encoding::Hex => unhex(told.trim()),
        Encoding::Base64 => STANDARD.decode(told.trim()).ok(),
    };
    let bytes = bytes.ok_or_else(|| unproven(format!("the header {name} cannot be read")))?;
    hmac::verify(&hmac::Key::new(algorithm, secret.as_bytes()), &signed, &bytes)
        .map_err(|_other| unproven(format!("the header {name} does not fit the body")))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let pairs = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(pairs.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// HTTP signatures as the draft by Cavage has them, with RSA and SHA-256.
fn signature(said: &Verifier, call: &HookCall, scope: &Scope) -> Result<(), HookRefused> {
    let told = match header(call, "signature") {
        "" => header(call, AUTHORIZATION.as_str()).strip_prefix("Signature ").unwrap_or_default(),
        told => told,
    };
    let parts = parameters(told);
    let part = |name: &str| parts.get(name).map(String::as_str).unwrap_or_default();
    if part("signature").is_empty() {
        return Err(unproven("it is not signed"));
    }
    if !matches!(part("algorithm"), "" | "rsa-sha256" | "hs2019") {
        return Err(unproven(format!("it is signed with {}, and rsa-sha256 is read", part("algorithm"))));
    }
    let covered: Vec<String> = part("headers").split_whitespace().map(str::to_ascii_lowercase).collect();
    if let Some(missing) = said.covers.0.iter().find(|name| !covered.contains(&name.to_ascii_lowercase())) {
        return Err(unproven(format!("its signature does not cover {missing}")));
    }
    if covered.iter().any(|name| name == "digest") {
        check_digest(call)?;
    }
    if covered.iter().any(|name| name == "date") {
        check_date(said, call)?;
    }
    let der = public_key(said, call, scope, part("keyId"))?;
    let signature = STANDARD.decode(part("signature")).map_err(|_odd| unproven("its signature is no base64"))?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der)
        .verify(signed_text(call, &covered).as_bytes(), &signature)
        .map_err(|_other| unproven("its signature does not fit"))
}

/// The public key as DER.
fn public_key(said: &Verifier, call: &HookCall, scope: &Scope, name: &str) -> Result<Vec<u8>, HookRefused> {
    let own = said.public_key.as_ref().map(|fill| fill.text(scope)).transpose()?;
    let text = match own.filter(|text| !text.is_empty()) {
        Some(own) => own,
        None => {
            if !said.keys_of.as_ref().is_none_or(|end| name.ends_with(end.as_str())) || name.is_empty() {
                return Err(unproven(format!("it is signed with the key {name:?}, which is not the platform's")));
            }
            call.keys.get(name).cloned().ok_or_else(|| HookRefused::NeedsKey(name.to_owned()))?
        }
    };
    // PEM, the `p=` of a DNS record, which may come in quoted pieces, or plain base64.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let text = lines.concat();
    let text = text.split_once("p=").map_or(text.as_str(), |(_, key)| key.split(';').next().unwrap_or(key));
    let text: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '"').collect();
    STANDARD.decode(text).map_err(|_odd| unproven(format!("the key {name} cannot be read")))
}

fn check_digest(call: &HookCall) -> Result<(), HookRefused> {
    let wanted = STANDARD.encode(digest::digest(&digest::SHA256, &call.body));
    let told = header(call, "digest");
    let told = told.split(',').find_map(|one| one.trim().strip_prefix("SHA-256="));
    same("its digest", told.unwrap_or_default(), &wanted)
}

fn check_date(said: &Verifier, call: &HookCall) -> Result<(), HookRefused> {
    let at = jiff::fmt::rfc2822::parse(header(call, "date")).map_err(|_odd| unproven("its date cannot be read"))?;
    let off = (at.timestamp().as_millisecond() - call.now.0).unsigned_abs() / 1_000;
    if off > said.leeway {
        return Err(unproven(format!("it was signed {off} s from now, and {} s are allowed", said.leeway)));
    }
    Ok(())
}

/// The text that was signed: a line for each thing that is covered.
fn signed_text(call: &HookCall, covered: &[String]) -> String {
    let line = |name: &String| match name.as_str() {
        "(request-target)" => {
            format!("(request-target): {} {}", call.method.as_str().to_ascii_lowercase(), call.target)
        }
        name => {
            let values = call.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            format!("{name}: {}", values.map(str::trim).collect::<Vec<_>>().join(", "))
        }
    };
    covered.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `name="value",…`.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        parts.insert(name.trim().trim_start_matches(',').trim().to_owned(), value.trim().to_owned());
        rest = next;
    }
    parts
}
