//! Erasing over the wire.

use crate::office::Office;
use serde_json::json;

#[tokio::test]
async fn an_erased_record_shows_no_values_now_or_then() {
    let office = Office::open().await;
    let made = office.acme("/v1/business/acme-1/contact/create?externalId=7", &json!({"email": "a@b.nl"})).await;
    let id = made.body["recordId"].as_str().expect("an id").to_owned();
    office.acme(&format!("/v1/business/acme-1/contact/update/{id}"), &json!({"city": "Delft"})).await;
    let refused = office.acme(&format!("/v1/business/acme-1/contact/erase/{id}"), &json!({})).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    let erased = office.admin(&format!("/v1/business/acme-1/contact/erase/{id}"), &json!({})).await;
    assert_eq!((erased.status, erased.body["recordId"].as_str()), (202, Some(id.as_str())), "{erased:?}");

    for seq in [1, 2, 3] {
        let then = office.admin(&format!("/v1/business/acme-1/contact/at/{id}?seq={seq}"), &json!({})).await;
        assert_eq!((then.status, &then.body["fields"], &then.body["externalIds"]), (200, &json!({}), &json!([])));
        assert_eq!(then.body["erased"], json!(true));
    }
    let history = office.admin(&format!("/v1/business/acme-1/contact/history/{id}"), &json!({})).await;
    let kinds: Vec<_> =
        history.body["changes"].as_array().expect("a list").iter().map(|change| &change["kind"]).collect();
    assert_eq!(kinds, ["deleted", "updated", "created"]);
    assert!(!history.body.to_string().contains("Delft"), "{:?}", history.body);
    let why = office.admin(&format!("/v1/business/acme-1/contact/why/{id}"), &json!({})).await;
    assert_eq!(why.body, json!({"fields": {}}));
    let again = office.acme("/v1/business/acme-1/contact/create?externalId=7", &json!({"email": "c@d.nl"})).await;
    assert_ne!(again.body["recordId"], json!(id), "somebody new");
    let update = office.acme(&format!("/v1/business/acme-1/contact/update/{id}"), &json!({"city": "Breda"})).await;
    assert_eq!(update.status, 202);
    let operation =
        format!("/v1/business/acme-1/operation/get/{}", update.body["operationId"].as_str().expect("an id"));
    assert_eq!(office.acme(&operation, &json!({})).await.body["error"]["code"], json!("record_deleted"));
}
