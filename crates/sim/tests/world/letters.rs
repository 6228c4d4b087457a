//! Letters that cannot be written, and records followed by what they are under.

use crate::desk::{BUSINESS, HOUR, at_desk};
use lockstep_core::ids::{BusinessId, RecordId};
use lockstep_engine::ingest::Verb;
use serde_json::{Value, json};
use std::time::Duration;

fn fields(value: &Value) -> lockstep_core::Fields {
    value.as_object().cloned().expect("an object")
}

#[test]
fn a_record_that_a_template_cannot_tell_is_parked_without_a_call_and_says_why() {
    at_desk(|desk| async move {
        let body = r#"{"data": {"seq": {{ seq }}}}
{% if notes == 'bad' %}{{ notes * 2 }}{% endif %}"#;
        let template = json!({"format": "template", "template": {"body": body}});
        let subscription = desk.listen("own.example", template).await;
        let bad = desk.create(0).await;
        desk.wait(Duration::from_secs(1)).await;
        let good = desk.create(1).await;
        desk.wait(Duration::from_secs(1)).await;
        desk.update(bad, "bad").await;
        desk.update(good, "good").await;
        desk.wait(Duration::from_secs(1)).await;
        assert_eq!(desk.taken("own.example"), [1, 2, 4]);
        assert_eq!((desk.at("own.example").len(), desk.parked(subscription).await), (3, 1), "it was never sent");
        // Attempts are logged some at a time.
        desk.wait(Duration::from_secs(60)).await;
        let engine = desk.world.engine()?;
        let attempts = engine.store.attempts(&BusinessId::parse(BUSINESS).expect("an id"), subscription, 9).await?;
        let failed = attempts.iter().find(|attempt| attempt.failure.is_some()).expect("a failure");
        let why = failed.failure.as_deref().unwrap_or_default();
        assert_eq!((failed.seq, failed.status), (3, None));
        assert!(why.starts_with("the template of body: ") && why.ends_with("(line 2)"), "{why}");
        desk.update_subscription(subscription, json!({"template": {"body": r#"{"data": {"seq": {{ seq }}}}"#}})).await;
        desk.wait(HOUR).await;
        assert_eq!(desk.taken("own.example"), [1, 2, 4, 3]);
        assert_eq!(desk.parked(subscription).await, 0);
        Ok(())
    });
}

#[test]
fn records_under_another_are_told_until_after_they_have_left_it() {
    at_desk(|desk| async move {
        let (here, there) = (RecordId(71), RecordId(72));
        let under = json!([{"field": "organizationId", "id": here}]);
        desk.listen("under.example", json!({"types": ["contact"], "under": under})).await;
        let write = async |verb: Verb<'_>| desk.world.submit(&desk.crm, BUSINESS, "contact", verb).await;
        let inside = fields(&json!({"organizationId": here, "city": "Delft"}));
        let record =
            write(Verb::Create { fields: inside, external_id: None, matching: &[] }).await?.record.expect("a record");
        desk.create(0).await;
        let id = record.to_string();
        for patch in [json!({"city": "Leiden"}), json!({"organizationId": there}), json!({"city": "Breda"})] {
            write(Verb::Update { id: &id, patch: fields(&patch) }).await?;
        }
        write(Verb::Update { id: &id, patch: fields(&json!({"organizationId": here})) }).await?;
        desk.wait(Duration::from_secs(2)).await;
        assert_eq!(desk.taken("under.example"), [1, 3, 4, 6], "not while it was elsewhere");
        Ok(())
    });
}
