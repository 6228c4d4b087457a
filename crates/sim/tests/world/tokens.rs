//! What is delivered to a subscription that was made with a token.

use crate::desk::{BUSINESS, Desk, HOUR, at_desk};
use lockstep_core::ids::RecordId;
use lockstep_engine::control::{mirror, subscription, token};
use lockstep_engine::ingest::Verb;
use lockstep_sim::endpoint::Mood;
use lockstep_sim::world::{App, principal, told};
use serde_json::{Value, json};
use std::time::Duration;

const MOMENT: Duration = Duration::from_secs(2);

/// A token of the listener's; gives its id and who calls with it.
async fn token(desk: &Desk, mut body: Value) -> anyhow::Result<(String, App)> {
    body.as_object_mut().expect("an object").insert("label".to_owned(), json!("kiosk"));
    let engine = desk.world.engine()?;
    let body = serde_json::from_value(body)?;
    let made = token::create(&engine, &principal(&engine, &desk.mail)?, BUSINESS, body).await.map_err(told)?;
    let App { id, provider, .. } = &desk.mail;
    Ok((made.id.to_string(), App { id: id.clone(), provider: provider.clone(), key: made.api_key }))
}

async fn write(desk: &Desk, id: Option<RecordId>, fields: Value) -> anyhow::Result<RecordId> {
    let fields = fields.as_object().cloned().expect("an object");
    let text = id.map(|id| id.to_string()).unwrap_or_default();
    let verb = match id {
        None => Verb::Create { fields, external_id: None, matching: &[] },
        Some(_) => Verb::Update { id: &text, patch: fields },
    };
    Ok(desk.world.submit(&desk.crm, BUSINESS, "contact", verb).await?.record.expect("a record"))
}

#[test]
fn a_tokens_subscription_is_told_what_the_token_may_see_and_nothing_once_it_is_revoked() {
    at_desk(|desk| async move {
        let narrowed = json!({"conditions": {"contact": "city == 'Delft'"}, "hiddenFields": {"contact": ["phone"]}});
        let (id, kiosk) = token(&desk, narrowed).await?;
        desk.listen_as(&kiosk, "kiosk.example", json!({"types": ["contact"]})).await;
        let inside = write(&desk, None, json!({"city": "Delft", "phone": "+31201234567"})).await?;
        write(&desk, None, json!({"city": "Breda"})).await?;
        desk.wait(MOMENT).await;
        assert_eq!(desk.taken("kiosk.example"), [1], "its own condition");
        let bodies: Vec<_> = desk.at("kiosk.example").iter().map(|arrival| arrival.json().to_string()).collect();
        assert!(bodies.iter().all(|body| !body.contains("+3120")), "its own hidden field: {bodies:?}");
        desk.grant(&desk.mail, json!({"conditions": {"contact": "lastName == 'A'"}})).await;
        write(&desk, Some(inside), json!({"notes": "x"})).await?;
        write(&desk, Some(inside), json!({"lastName": "A"})).await?;
        desk.wait(MOMENT).await;
        assert_eq!(desk.taken("kiosk.example"), [1, 4], "and its application's of now");
        let engine = desk.world.engine()?;
        let own = principal(&engine, &desk.mail)?;
        token::revoke(&engine, &own, BUSINESS, &id).await.map_err(told)?;
        write(&desk, Some(inside), json!({"notes": "y"})).await?;
        desk.wait(HOUR).await;
        assert_eq!(desk.at("kiosk.example").len(), 2, "nothing after it was revoked");
        assert_eq!(
            subscription::list(&engine, &own, BUSINESS).map_err(told)?.len(),
            1,
            "the application still sees it"
        );
        Ok(())
    });
}

#[test]
fn nothing_is_sent_once_a_token_has_expired_though_it_waited_from_before() {
    at_desk(|desk| async move {
        let engine = desk.world.engine()?;
        let ends = engine.clock.now().plus_ms(60_000).to_string();
        let (_, kiosk) = token(&desk, json!({"expiresAt": ends})).await?;
        desk.listen_as(&kiosk, "kiosk.example", json!({})).await;
        desk.create(0).await;
        desk.wait(MOMENT).await;
        assert_eq!(desk.taken("kiosk.example"), [1]);
        desk.world.net.set("kiosk.example", Mood::Says(503));
        desk.create(1).await;
        desk.wait(MOMENT).await;
        let tried = desk.at("kiosk.example").len();
        assert!(tried > 1);
        desk.wait(HOUR).await;
        let late = desk.at("kiosk.example").into_iter().filter(|arrival| arrival.at.to_string() >= ends).count();
        assert_eq!(late, 0, "no try after it ended");
        Ok(())
    });
}

#[test]
fn mirrors_and_syncs_of_a_tokens_subscription_stay_within_the_token() {
    at_desk(|desk| async move {
        desk.world.business("Acme", "a2").await?;
        let (_, here) = token(&desk, json!({})).await?;
        let (_, wide) = token(&desk, json!({"businesses": "*", "types": {"contact": ["read"]}})).await?;
        desk.listen_as(&here, "here.example", json!({"businesses": "*"})).await;
        desk.listen_as(&wide, "wide.example", json!({"businesses": "*", "kinds": ["created", "current"]})).await;
        let engine = desk.world.engine()?;
        mirror::align_all(&engine, lockstep_core::subscription::StartAt::Now).await.map_err(told)?;
        let verb = || Verb::Create { fields: lockstep_core::Fields::new(), external_id: None, matching: &[] };
        for ty in ["contact", "task"] {
            desk.world.submit(&desk.crm, "a2", ty, verb()).await?;
        }
        desk.wait(MOMENT).await;
        assert_eq!(desk.at("here.example").len(), 0, "the token may enter one business alone");
        assert_eq!(desk.taken("wide.example"), [1], "contacts alone");
        let record = desk.create(0).await;
        desk.wait(MOMENT).await;
        let sync = Verb::SyncById { id: &record.to_string(), subscription: None };
        desk.world.submit(&wide, BUSINESS, "contact", sync).await?;
        desk.wait(MOMENT).await;
        assert_eq!(desk.events("wide.example").last().map(String::as_str), Some("contact.current"));
        assert_eq!(desk.events("here.example"), ["contact.created"], "a token syncs its own alone");
        Ok(())
    });
}
