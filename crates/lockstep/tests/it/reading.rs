//! What an arrival says: its signature checked, its `standard` body taken apart.

use crate::promises::{Act, Delivery, Shown};
use crate::receiver::Arrival;
use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What an arrival turned out to be.
pub(crate) enum Seen {
    Change(Delivery),
    Current(Shown),
    /// Anything else, in words.
    Other(String),
}

/// Reads an arrival that must be signed with one secret.
pub(crate) fn read(arrival: &Arrival, secret: &str) -> Seen {
    read_body(arrival, secret).unwrap_or_else(|error| {
        let body = String::from_utf8_lossy(&arrival.body);
        Seen::Other(format!("a delivery that cannot be read ({error:#}): {body}"))
    })
}

fn read_body(arrival: &Arrival, secret: &str) -> Result<Seen> {
    let body: Value = serde_json::from_slice(&arrival.body)?;
    let is_signed = is_signed(arrival, secret).unwrap_or(false);
    let data = &body["data"];
    let record = &data["record"];
    let fields = &record["fields"];
    let counter = fields["code"].as_str().and_then(|code| code.parse().ok());
    let id = || record["id"].as_str().map(str::to_owned).context("no record id");
    let kind = body["type"].as_str().context("no type")?;
    let act = match kind.strip_prefix("contact.") {
        Some("created") => Act::Created,
        Some("updated") => Act::Updated,
        Some("deleted") => Act::Deleted,
        Some("correlated") => Act::Correlated,
        Some("current") => {
            let version = record["version"].as_u64().context("no version")?;
            return Ok(Seen::Current(Shown { is_signed, record: id()?, version, counter }));
        }
        _ => return Ok(Seen::Other(format!("a notice nobody asked for: {body}"))),
    };
    let mut digest = DefaultHasher::new();
    (kind, data.to_string()).hash(&mut digest);
    let external_ids = record["externalIds"].as_array().into_iter().flatten();
    Ok(Seen::Change(Delivery {
        life: arrival.life,
        is_accepted: arrival.is_accepted,
        is_signed,
        webhook_id: arrival.headers.get("webhook-id").context("no webhook-id")?.clone(),
        act,
        seq: data["seq"].as_u64().context("no seq")?,
        record: id()?,
        version: record["version"].as_u64().context("no version")?,
        tag: fields["lastName"].as_str().map(str::to_owned),
        counter,
        external_ids: external_ids.filter_map(|external| external["id"].as_str()).map(str::to_owned).collect(),
        content: digest.finish(),
    }))
}

/// Whether the secret verifies one of the arrival's `v1` signatures, as Standard Webhooks has it.
pub(crate) fn is_signed(arrival: &Arrival, secret: &str) -> Result<bool> {
    let header = |name: &str| arrival.headers.get(name).with_context(|| format!("no {name}"));
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").context("a secret begins with whsec_")?)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let head = format!("{}.{}.", header("webhook-id")?, header("webhook-timestamp")?);
    let signed = [head.as_bytes(), &arrival.body].concat();
    let mut signatures = header("webhook-signature")?.split(' ').filter_map(|part| part.strip_prefix("v1,"));
    Ok(signatures.any(|signature| {
        STANDARD.decode(signature).is_ok_and(|signature| hmac::verify(&key, &signed, &signature).is_ok())
    }))
}

#[test]
fn the_sample_of_the_specification_verifies_and_a_changed_body_does_not() {
    // As in the Standard Webhooks test suite.
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        (
            "webhook-signature",
            "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ];
    let mut arrival = Arrival {
        life: 0,
        is_accepted: true,
        path: "/".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: br#"{"test": 2432232314}"#.to_vec().into(),
    };
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(is_signed(&arrival, secret).unwrap());
    arrival.body = br#"{"test": 2432232315}"#.to_vec().into();
    assert!(!is_signed(&arrival, secret).unwrap());
}
