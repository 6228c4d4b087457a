//! Alerts: what the hub does by itself to a subscription, a connection or a share, posted to an address in the
//! operator's settings; of connections and shares, those who look after them are told too, where they subscribe to it.
//!
//! A body of Standard Webhooks by the same transport and policy as deliveries. An alert is no delivery: it has no row,
//! is tried a few times and then given up with a line in the log, and is lost where the process ends before that.

use crate::World;
use crate::settings::Settings;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{About, Notice, NoticeBody};
use lockstep_core::error::{Code, Rejection};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{BusinessId, DeliveryId, TypeId};
use lockstep_core::limits;
use lockstep_core::rules::retry;
use lockstep_core::rules::signature::Signer;
use lockstep_core::subscription::Subscription;
use lockstep_egress::{AddressPolicy, Request};
use lockstep_store::settings::{Audit, Control};
use lockstep_store::{Commit, StoreError, Work};
use lockstep_wire::notification::{Standard, WarningData};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where alerts go; nowhere by default.
#[derive(Debug, Default)]
pub struct Alerts {
    target: Option<Target>,
}

#[derive(Debug)]
struct Target {
    url: Url,
    signer: Option<Signer>,
}

impl Alerts {
    /// Alerts to an address, signed where there is a secret: `whsec_` and 32 bytes in base64.
    ///
    /// # Errors
    /// `settings_invalid`, where the address is closed or the secret does not read.
    pub fn to(policy: &AddressPolicy, url: &str, secret: Option<&str>) -> Result<Self, Rejection> {
        let invalid = |text: String| Rejection::new(Code::SettingsInvalid, text);
        let url = policy.check_url(url).map_err(|refused| invalid(format!("the alert URL is refused: {refused}")))?;
        let signer = secret.map(|secret| {
            let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
            let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            let bytes = bytes.ok_or_else(|| {
                let text = "LOCKSTEP_ALERT_SECRET does not read: give whsec_ and 32 bytes in base64, or leave it out";
                invalid(text.to_owned())
            })?;
            Ok::<_, Rejection>(Signer::new(&[bytes], true, false))
        });
        Ok(Self { target: Some(Target { url, signer: signer.transpose()? }) })
    }

    /// Whether there is anybody to tell.
    #[must_use]
    pub const fn are_wanted(&self) -> bool {
        self.target.is_some()
    }
}

/// What happened, and to what.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Such as `subscription.paused`.
    pub event: &'static str,
    /// The business.
    pub business: BusinessId,
    /// To what.
    pub about: About,
    /// What happened and what to do.
    pub message: Cow<'static, str>,
}

impl Alert {
    /// Tells those who look after what it is about, by their subscriptions that list the event: the administrator's, and
    /// those of applications that may manage and see all of every type that is concerned.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tell(&self, world: &World, types: &[TypeId]) -> Result<(), StoreError> {
        let now = world.clock.now();
        let notices = world.settings.read(|settings| {
            let told = settings.subscriptions.values().map(|live| &live.subscription);
            let told = told.filter(|to| to.business == self.business && to.is_active() && to.lists_kind(self.event));
            let told = told.filter(|to| keeps(settings, to, types));
            told.map(|to| self.notice(world, to, now)).collect::<Vec<_>>()
        });
        if notices.is_empty() {
            return Ok(());
        }
        let audit = Audit::of(now, "system", self.event, self.about).within(&self.business);
        let control = Control { notices, ..Control::of(audit) };
        world.store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await?;
        Ok(())
    }

    fn notice(&self, world: &World, to: &Subscription, at: Timestamp) -> Notice {
        let body = NoticeBody::Warning {
            event: self.event.to_owned(),
            about: self.about,
            message: self.message.clone().into_owned(),
        };
        Notice::of(DeliveryId(world.ids.ordered()), to, body, at)
    }
}

/// Whether a subscription's credential looks after shares of all these types.
fn keeps(settings: &Settings, to: &Subscription, types: &[TypeId]) -> bool {
    let Some(application) = to.application else { return true };
    settings.credential(application, to.token).is_some_and(|live| {
        live.powers.grant.abilities.contains(&Ability::Manage)
            && types
                .iter()
                .all(|ty| live.powers.grant.allows_type(ty, TypeAccess::Read) && live.reach(ty).is_everything())
    })
}

/// Sends an alert, a few times if need be; waits between the tries without holding anything up.
pub async fn send(world: Arc<World>, alert: Alert) {
    let Some(target) = &world.alerts.target else { return };
    let (id, at) = (DeliveryId(world.ids.ordered()), world.clock.now());
    let data = WarningData::of(&alert.business, alert.about, &alert.message);
    let body = serde_json::to_vec(&Standard { event: alert.event, timestamp: &at.to_string(), data });
    let body = Bytes::from(body.unwrap_or_default());
    let mut failure = String::new();
    for attempt in 1..=limits::ALERT_TRIES_MAX {
        let now = world.clock.now();
        let request = Request {
            method: Method::POST,
            url: target.url.clone(),
            headers: headers(target, id, now, &body),
            body: body.clone(),
            identity: None,
            timeout: Duration::from_millis(limits::DELIVERY_TIMEOUT_MS),
            response_bytes_max: limits::RESPONSE_KEPT_BYTES_MAX,
        };
        failure = match world.transport.send(request).await {
            Ok(response) if response.status.is_success() => return,
            Ok(response) => format!("HTTP {}", response.status.as_u16()),
            Err(error) => error.to_string(),
        };
        let wait = retry::wait_after(attempt, world.ids.fraction()).filter(|_| attempt < limits::ALERT_TRIES_MAX);
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }
    tracing::warn!(about = %alert.about, event = alert.event, failure, "an alert could not be brought to the alert URL; it is given up");
}

fn headers(target: &Target, id: DeliveryId, now: Timestamp, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(now.seconds()));
    let mut put = |name: &'static str, value: &str| {
        // Ids and signatures are visible ASCII.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("webhook-id", &id.to_string());
    if let Some(signer) = &target.signer {
        put("webhook-signature", &signer.sign(&id.to_string(), now.seconds(), body));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_address_and_a_secret_that_does_not_read_are_refused() {
        let policy = AddressPolicy::default();
        let good = format!("whsec_{}", STANDARD.encode([7; 32]));
        let url = "https://alerts.example/hook";
        for (url, secret, said) in [
            ("http://10.0.0.1/", None, "the alert URL is refused"),
            ("nonsense", None, "the alert URL is refused"),
            (url, Some("s3cret"), "whsec_"),
            (url, Some("whsec_c2hvcnQ="), "32 bytes"),
        ] {
            let refused = Alerts::to(&policy, url, secret).unwrap_err();
            assert!(refused.message.contains(said) && !refused.message.contains("s3cret"), "{refused}");
        }
        assert!(Alerts::to(&policy, url, Some(&good)).unwrap().are_wanted());
        assert!(!Alerts::default().are_wanted());
    }
}
