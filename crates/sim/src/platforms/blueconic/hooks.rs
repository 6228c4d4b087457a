//! Webhook connections: set up on a screen, triggered by properties, filled from templates, so that no two send the
//! same; and the list of connections that the API shows. It must not decide whether a write may trigger.

use super::BlueConic;
use super::answers::{error, page};
use super::profile::Profile;
use crate::platforms::call::insert;
use crate::platforms::{Answer, Call, Hook};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

/// A webhook as its users set it up. In the URL and the body `{{profileId}}` and `{{property}}` stand for values.
#[derive(Clone, Debug)]
pub struct WebhookConnection {
    /// Its name, which is its id too.
    pub name: String,
    /// The properties whose change sends it.
    pub triggers: Vec<String>,
    /// Only for members of this segment.
    pub segment: Option<String>,
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// Where to, as a template.
    pub url: String,
    /// The body, as a template; none for GET.
    pub body: Option<String>,
    /// A header with a secret, if one was set up.
    pub secret: Option<(&'static str, String)>,
}

/// The properties whose change a hub is told of.
const TOLD_TO_HUBS: [&str; 5] = ["email", "firstname", "lastname", "city", "interests"];

impl WebhookConnection {
    /// One that calls a hub by GET, with the profile's id behind the URL's query.
    #[must_use]
    pub fn of_hub(url: &str) -> Self {
        Self {
            name: "hub".to_owned(),
            triggers: TOLD_TO_HUBS.map(str::to_owned).into(),
            segment: None,
            method: Method::GET,
            url: format!("{url}&id={{{{profileId}}}}"),
            body: None,
            secret: None,
        }
    }

    pub(super) fn is_triggered_by(&self, changed: &[String], is_member: impl Fn(&str) -> bool) -> bool {
        let is_meant = changed.iter().any(|property| self.triggers.contains(property));
        is_meant && self.segment.as_deref().is_none_or(is_member)
    }

    /// The request for a profile; none where the template makes no URL.
    pub(super) fn request(&self, profile: &Profile) -> Option<Hook> {
        let in_url = |value: &str| form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
        let url = Url::parse(&fill(&self.url, profile, in_url)).ok()?;
        let mut headers = HeaderMap::new();
        if let Some((name, secret)) = &self.secret {
            insert(&mut headers, name, secret);
        }
        let in_json = |value: &str| Value::from(value).to_string().trim_matches('"').to_owned();
        let body = self.body.as_ref().map(|template| fill(template, profile, in_json));
        if body.is_some() {
            insert(&mut headers, CONTENT_TYPE.as_str(), "application/json");
        }
        let (webhook, method) = (self.name.clone(), self.method.clone());
        Some(Hook { webhook, method, url, headers, body: body.unwrap_or_default().into() })
    }
}

/// A template with a profile's values in it; several values are joined by commas.
fn fill(template: &str, profile: &Profile, escape: impl Fn(&str) -> String) -> String {
    let mut pieces = template.split("{{");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        let value = match name.trim() {
            "profileId" => profile.id.clone(),
            property => profile.values(property).join(","),
        };
        filled.push_str(&escape(&value));
        filled.push_str(rest);
    }
    filled
}

impl BlueConic {
    pub(super) fn list_connections(&self, call: &Call) -> Answer {
        page(call, "connections", &self.webhooks.iter().map(shown).collect::<Vec<_>>(), 20)
    }

    pub(super) fn get_connection(&self, id: &str) -> Answer {
        match self.webhooks.iter().find(|webhook| webhook.name == id) {
            Some(webhook) => Answer::json(StatusCode::OK, &shown(webhook)),
            None => error(StatusCode::NOT_FOUND, "the connection doesn't exist"),
        }
    }

    /// Webhooks have no runs; other kinds of connection do, and there are none.
    pub(super) fn list_runs(&self, call: &Call, id: &str) -> Answer {
        let is_known = self.webhooks.iter().any(|webhook| webhook.name == id);
        if is_known {
            page(call, "runs", &[], 20)
        } else {
            error(StatusCode::NOT_FOUND, "the connection doesn't exist")
        }
    }
}

fn shown(webhook: &WebhookConnection) -> Value {
    json!({"id": webhook.name, "name": webhook.name, "description": "", "active": true, "tags": []})
}
