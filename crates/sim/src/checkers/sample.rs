//! A small true story for the checkers' tests: a record made and changed twice, told to one subscriber. Each test
//! doctors it and sees whether the checker notices.

use crate::evidence::{Ack, Evidence};
use crate::world::{World, simulate};
use lockstep_core::command::Ending;
use lockstep_core::grant::Grant;
use lockstep_core::ids::{BusinessId, TypeId};
use lockstep_core::subscription::Ordering;
use lockstep_engine::ingest::Verb;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What the story left behind.
pub(super) fn sample() -> Evidence {
    simulate(story()).expect("the story runs")
}

async fn story() -> anyhow::Result<Evidence> {
    let world = World::begin(1).await?;
    world.business("Acme", "a1").await?;
    let app = world.application("Acme", "CRM", json!({})).await?;
    world.subscribe(&app, "a1", json!({"url": "https://crm.example/s1"})).await?;
    let mut acks = Vec::new();
    let mut record = String::new();
    for (number, city) in ["Delft", "Gent", "Breda"].into_iter().enumerate() {
        let fields =
            json!({"city": city, "email": format!("mk-{number}@example.com"), "notes": format!("mk-{number}")});
        let Value::Object(fields) = fields else { continue };
        let verb = match number {
            0 => Verb::Create { fields: fields.clone(), external_id: None, matching: &[] },
            _ => Verb::Update { id: &record, patch: fields.clone() },
        };
        let outcome = world.submit(&app, "a1", "contact", verb).await?;
        assert!(matches!(outcome.ending, Ending::Changed { .. }));
        record = outcome.record.map(|id| id.to_string()).unwrap_or_default();
        acks.push(Ack {
            at: world.now(),
            business: BusinessId::parse("a1").map_err(|refused| anyhow::anyhow!(refused.message))?,
            application: app.id.parse().map_err(|_refused| anyhow::anyhow!("an application id"))?,
            ty: TypeId::parse("contact").map_err(|refused| anyhow::anyhow!(refused.message))?,
            outcome,
            wrote: Some(fields),
            key: (number == 0).then(|| "k0".to_owned()),
            external: None,
        });
        world.wait(Duration::from_secs(1)).await;
    }
    // What is doctored below must not look as if it had only been under way.
    Evidence::gather(&world, acks, 0).await
}

/// The same evidence, had the subscription asked for another order.
pub(super) fn order(evidence: &mut Evidence, ordering: Ordering) {
    for span in evidence.subscribers.values_mut().flat_map(|subscriber| &mut subscriber.spans) {
        Arc::make_mut(&mut span.subscription).ordering = ordering;
    }
}

/// The same evidence, had the grant been narrower from the beginning.
pub(super) fn restrict(evidence: &mut Evidence, narrow: impl Fn(&mut Grant)) {
    for span in evidence.subscribers.values_mut().flat_map(|subscriber| &mut subscriber.spans) {
        if let Some(application) = &mut span.application {
            narrow(&mut Arc::make_mut(application).grant);
        }
    }
}
