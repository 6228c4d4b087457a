//! Webhooks: several events and sources each, one event a request, as a form. Never signed, never sent again.
//! It must not decide what is a change.

use super::answers::{body, invalid, list, missing};
use super::{ActiveCampaign, Origin, zone};
use crate::platforms::{Answer, Call, Hook};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use url::Url;

/// What can be listened for. That a contact was deleted is not among it.
const EVENTS: [&str; 30] = [
    "subscribe",
    "unsubscribe",
    "update",
    "subscriber_note",
    "contact_tag_added",
    "contact_tag_removed",
    "sent",
    "open",
    "click",
    "reply",
    "forward",
    "share",
    "bounce",
    "list_add",
    "sms_sent",
    "sms_reply",
    "sms_unsub",
    "deal_add",
    "deal_update",
    "deal_note_add",
    "deal_pipeline_add",
    "deal_stage_add",
    "deal_task_add",
    "deal_task_complete",
    "deal_tasktype_add",
    "contact_task_add",
    "account_add",
    "account_update",
    "account_contact_add",
    "account_contact_update",
];

const SOURCES: [&str; 4] = ["public", "admin", "api", "system"];

pub(super) struct Webhook {
    name: String,
    url: Url,
    events: Vec<String>,
    sources: Vec<String>,
    list: u64,
    created_at: Timestamp,
    pub(super) is_active: bool,
}

impl Webhook {
    fn shown(&self, id: u64) -> Value {
        json!({
            "cdate": zone::offset(self.created_at),
            "listid": self.list.to_string(),
            "name": self.name,
            "url": self.url.as_str(),
            "events": self.events,
            "sources": self.sources,
            "links": [],
            "id": id.to_string(),
        })
    }
}

pub(super) fn list_events() -> Answer {
    Answer::json(StatusCode::OK, &json!({"webhookEvents": EVENTS}))
}

impl ActiveCampaign {
    pub(super) fn list_webhooks(&self, call: &Call) -> Answer {
        let active = self.webhooks.iter().filter(|(_, webhook)| webhook.is_active);
        list(call, "webhooks", &Vec::from_iter(active), |(id, webhook)| webhook.shown(**id), json!({}))
    }

    pub(super) fn post_webhook(&mut self, call: &Call, now: Timestamp) -> Result<Answer, Answer> {
        let webhook = self.read_webhook(&body(call, "webhook")?, now)?;
        let id = self.fresh_id();
        let answer = Answer::json(StatusCode::CREATED, &json!({"webhook": webhook.shown(id)}));
        self.webhooks.insert(id, webhook);
        Ok(answer)
    }

    pub(super) fn route_webhook(&mut self, call: &Call, id: &str) -> Result<Answer, Answer> {
        let known = id.parse().ok().and_then(|id: u64| Some((id, self.webhooks.get(&id)?)));
        let (id, webhook) = known.filter(|(_, it)| it.is_active).ok_or_else(|| missing("Webhook", id))?;
        let shown = match call.method.as_str() {
            "GET" => webhook.shown(id),
            "PUT" => {
                let mut told = webhook.shown(id);
                for (name, value) in body(call, "webhook")?.as_object().into_iter().flatten() {
                    told[name] = value.clone();
                }
                let webhook = self.read_webhook(&told, webhook.created_at)?;
                let shown = webhook.shown(id);
                self.webhooks.insert(id, webhook);
                shown
            }
            "DELETE" => {
                self.webhooks.remove(&id);
                return Ok(Answer::json(StatusCode::OK, &json!({})));
            }
            _ => return Err(missing("Webhook", &id.to_string())),
        };
        Ok(Answer::json(StatusCode::OK, &json!({ "webhook": shown })))
    }

    fn read_webhook(&self, told: &Value, now: Timestamp) -> Result<Webhook, Answer> {
        let names = |field: &str, known: &[&str]| -> Option<Vec<String>> {
            let listed = told[field].as_array().filter(|listed| !listed.is_empty())?;
            let name = |name: &Value| name.as_str().filter(|name| known.contains(name)).map(str::to_owned);
            listed.iter().map(name).collect()
        };
        let url = told["url"].as_str().and_then(|url| Url::parse(url).ok());
        let is_public = |url: &Url| url.scheme() == "https" && url.port().is_none();
        let url = url.filter(|url| self.takes_any_url || is_public(url));
        Ok(Webhook {
            name: told["name"].as_str().unwrap_or_default().to_owned(),
            url: url.ok_or_else(|| invalid("The url is https on port 443.", "url_invalid", "url"))?,
            events: names("events", &EVENTS)
                .ok_or_else(|| invalid("An event is unknown.", "event_invalid", "events"))?,
            sources: names("sources", &SOURCES)
                .ok_or_else(|| invalid("A source is unknown.", "source_invalid", "sources"))?,
            list: super::links::number(&told["listid"]).unwrap_or(0),
            created_at: now,
            is_active: true,
        })
    }

    /// Queues the webhooks that want to know; `about` is the tag or list that an event is about.
    pub(super) fn notify(&mut self, event: &str, contact: u64, about: Option<u64>, origin: Origin, now: Timestamp) {
        let fields = self.fields_of(event, contact, about, origin, now);
        let wants = |webhook: &Webhook| {
            let is_list = webhook.list == 0 || about == Some(webhook.list) || !event.ends_with("subscribe");
            let has = |names: &[String], wanted: &str| names.iter().any(|name| name == wanted);
            webhook.is_active && is_list && has(&webhook.events, event) && has(&webhook.sources, origin.name())
        };
        let due = self.webhooks.iter().filter(|(_, webhook)| wants(webhook));
        self.hooks.extend(due.map(|(id, webhook)| Hook::form(&id.to_string(), webhook.url.clone(), &fields)));
    }

    /// What a webhook tells; of the contact only what it has.
    fn fields_of(
        &self,
        event: &str,
        contact: u64,
        about: Option<u64>,
        origin: Origin,
        now: Timestamp,
    ) -> Vec<(String, String)> {
        let Some(contact) = self.contacts.get(&contact) else { return Vec::new() };
        let is_list = event.ends_with("subscribe");
        let list = about.filter(|_| is_list).unwrap_or(0).to_string();
        let own = self.contact_tags.values().filter(|link| link.contact == contact.id);
        let tags: Vec<&str> = own.filter_map(|link| self.tags.get(&link.tag)).map(|tag| tag.tag.as_str()).collect();
        let mut told: Vec<(String, String)> = [
            ("type", event.to_owned()),
            ("date_time", zone::offset(now)),
            ("initiated_from", origin.name().to_owned()),
            ("initiated_by", origin.name().to_owned()),
            ("list", list),
            ("contact[id]", contact.id.to_string()),
            ("contact[email]", contact.email.clone()),
            ("contact[first_name]", contact.first.clone()),
            ("contact[last_name]", contact.last.clone()),
            ("contact[phone]", contact.phone.clone()),
            ("contact[tags]", tags.join(", ")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
        let values = self.values.values().filter(|value| value.contact == contact.id);
        let named = values.filter_map(|value| Some((self.fields.get(&value.field)?, value)));
        told.extend(named.map(|(field, value)| {
            (format!("contact[fields][{}]", field.perstag().to_lowercase()), value.value.clone())
        }));
        if let Some(tag) = about.filter(|_| !is_list).and_then(|tag| self.tags.get(&tag)) {
            told.push(("tag".to_owned(), tag.tag.clone()));
        }
        told
    }
}
