//! Erased records: whoever was told of them is told once more, by the id alone.

use crate::desk::{BUSINESS, HOUR, at_desk};
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_engine::principal::Principal;
use lockstep_sim::endpoint::Mood;
use lockstep_sim::world::told;
use serde_json::json;

#[test]
fn an_erased_record_is_told_as_deleted_and_nothing_of_its_past_is_told_any_more() {
    at_desk(|desk| async move {
        desk.listen("well.example", json!({})).await;
        desk.listen("late.example", json!({})).await;
        desk.listen("narrow.example", json!({"types": ["contact"], "condition": "notes == 'made 1'"})).await;
        let record = desk.create(1).await;
        desk.wait(HOUR).await;
        desk.world.net.set("late.example", Mood::Unreachable);
        desk.update(record, "Quetzalcoatl").await;
        desk.wait(HOUR).await;
        let engine = desk.world.engine()?;
        let id = record.to_string();
        let call = Call {
            principal: &Principal::Admin,
            business: BUSINESS,
            ty: "contact",
            verb: Verb::Erase { id: &id },
            if_match: None,
            idempotency: None,
            bytes: &[],
        };
        submit(&engine, call).await.map_err(told)?;
        desk.wait(HOUR).await;
        desk.world.net.heal();
        desk.wait(10 * HOUR).await;

        assert_eq!(desk.events("well.example"), ["contact.created", "contact.updated", "contact.deleted"]);
        assert_eq!(desk.events("late.example"), ["contact.created", "contact.deleted"], "its past is not told late");
        assert_eq!(desk.events("narrow.example"), ["contact.created", "contact.deleted", "contact.deleted"]);
        for host in ["well.example", "late.example", "narrow.example"] {
            let last = desk.at(host).pop().expect("an arrival").json();
            assert_eq!(last.pointer("/data/erased"), Some(&json!(true)), "{last}");
            assert_eq!(last.pointer("/data/record/id"), Some(&json!(id)), "{last}");
            assert!(!last.to_string().contains("Quetzalcoatl") && !last.to_string().contains("made"), "{last}");
        }
        Ok(())
    });
}
