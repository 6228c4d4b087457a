//! The demo's applications: one that edits, another that listens on a built-in receiver which prints what arrives, and
//! three lines to try. It must not know of platforms.

use super::parsed;
use crate::failure::Failure;
use crate::printer::say;
use crate::wire_up::{Hub, spawn};
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_engine::World;
use lockstep_engine::control::{application, business, subscription};
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_engine::principal::{Credentials, Principal};
use lockstep_wire::management::{ApplicationCreated, CreateApplication, CreateBusiness};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) const ORGANISATION: &str = "Acme";
const BUSINESSES: [(&str, &str); 2] = [("acme-delft", "Acme Delft"), ("acme-breda", "Acme Breda")];
const EDIT_EVERY: Duration = Duration::from_secs(2);
const PEOPLE: [(&str, &str, &str); 4] =
    [("Ann", "Vos", "Delft"), ("Bram", "Kok", "Breda"), ("Chloé", "Maes", "Gent"), ("Dirk", "Smit", "Leiden")];

/// Two businesses, an application that writes and one that listens to both.
pub(super) async fn prepare(world: &World, receiver: &str) -> Result<ApplicationCreated, Failure> {
    for (id, name) in BUSINESSES {
        let body: CreateBusiness = parsed(json!({"organisationName": ORGANISATION, "name": name, "id": id}))?;
        business::create(world, &Principal::Admin, body).await?;
    }
    let application =
        |label: &str| parsed::<CreateApplication>(json!({"organisationName": ORGANISATION, "label": label}));
    let crm = application::create(world, &Principal::Admin, application("CRM")?).await?;
    let mail = application::create(world, &Principal::Admin, application("Mail tool")?).await?;
    let mail = Principal::of(world, &Credentials::Key(mail.api_key))?;
    for (id, _) in BUSINESSES {
        let body = parsed(json!({"url": receiver, "types": ["contact", "organization"]}))?;
        subscription::create(world, &mail, id, body).await?;
    }
    Ok(crm)
}

pub(super) fn introduce(hub: &Hub, crm: &ApplicationCreated, receiver: &str) {
    let (base, key) = (format!("http://{}/v1/business/acme-delft", hub.address), &crm.api_key);
    say(&format!("lockstep is listening on http://{}", hub.address));
    say(&format!("the mail tool's endpoint is {receiver}; what it receives is printed below"));
    say("\nTry, in another terminal:\n");
    say(&format!(
        "  curl -X POST {base}/contact/create -H 'Api-Key: {key}' -d '{{\"email\": \"kim@example.com\", \"firstName\": \"Kim\"}}'"
    ));
    say(&format!(
        "  curl -X POST '{base}/contact/create?externalId=42' -H 'Api-Key: {key}' -d '{{\"lastName\": \"Vos\", \"phone\": \"+31 20 123 4567\"}}'"
    ));
    say(&format!(
        "  curl -X POST {base}/contact/update/ext:42 -H 'Api-Key: {key}' -d '{{\"firstName\": \"Kim\", \"opt-in\": true}}'"
    ));
    say("\nMeanwhile the CRM edits a contact every two seconds.");
}

/// Creates a contact, edits it a few times, deletes it, and so on.
pub(super) async fn trickle(world: Arc<World>, crm: ApplicationCreated) {
    let Ok(principal) = Principal::of(&world, &Credentials::Key(crm.api_key)) else { return };
    let mut record: Option<RecordId> = None;
    for turn in 0_usize.. {
        tokio::time::sleep(EDIT_EVERY).await;
        let Some((first, last, city)) = PEOPLE.get(turn / 3 % PEOPLE.len()).copied() else { return };
        let id = record.map(|id| id.to_string()).unwrap_or_default();
        let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
        let verb = match (record, turn % 3) {
            (None, _) | (_, 0) => Verb::Create {
                fields: fields(
                    json!({"firstName": first, "lastName": last, "email": format!("{}@example.com", last.to_lowercase())}),
                ),
                external_id: None,
                matching: &[],
            },
            (Some(_), 1) => Verb::Update { id: &id, patch: fields(json!({"city": city, "tags": ["newsletter"]})) },
            (Some(_), _) => Verb::Delete { id: &id },
        };
        let call = Call {
            principal: &principal,
            business: "acme-delft",
            ty: "contact",
            verb,
            if_match: None,
            idempotency: None,
            bytes: &[],
        };
        match submit(&world, call).await {
            Ok(outcome) => record = outcome.record,
            Err(refusal) if refusal.rejection.code == Code::ShuttingDown => return,
            Err(refusal) => say(&format!("the CRM's edit was refused: {}", refusal.rejection)),
        }
    }
}

/// An endpoint that prints what it receives.
pub(super) async fn start_receiver() -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::Other(error.into());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let url = format!("http://{}/hook", listener.local_addr().map_err(failed)?);
    let router = Router::new().route("/hook", post(print));
    spawn(async move {
        // It ends with the process.
        let _ = axum::serve(listener, router).await;
    });
    Ok(url)
}

async fn print(headers: HeaderMap, body: String) {
    let event: Value = serde_json::from_str(&body).unwrap_or_default();
    let text = |pointer: &str| event.pointer(pointer).map(ToString::to_string).unwrap_or_default();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
    say(&format!("◀ {kind:<16} seq {:<4} {id}", text("/data/seq")));
    say(&format!("    {}", text("/data/record/fields")));
    let changes = text("/data/changes");
    if !changes.is_empty() {
        say(&format!("    changed {changes}"));
    }
}
