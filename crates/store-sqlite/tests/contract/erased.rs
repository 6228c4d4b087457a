//! What is left of an erased record in the files themselves.

use crate::Folder;
use lockstep_core::command::{Action, Command, Target};
use lockstep_core::delivery::{Attempt, DeadLetter, Parked};
use lockstep_core::ids::{DeliveryId, SubscriptionId};
use lockstep_store::contract::desk::{Desk, contact};
use lockstep_store::settle::LaneStep;
use serde_json::json;

/// Whether any file of the folder holds a text.
fn holding(folder: &Folder, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    files.filter(|file| holds(std::fs::read(file).unwrap())).map(|file| file.display().to_string()).collect()
}

#[tokio::test]
async fn no_file_holds_a_byte_of_what_was_erased() {
    const SECRETS: [&str; 4] = ["Quetzalcoatl", "Popocatepetl", "Huitzilopochtli", "said-back-by-the-endpoint"];
    let folder = Folder::fresh();
    let desk = Desk::open(&folder).await;
    // Neighbours, so that pages are full, split and shared.
    let around = async |from: usize| {
        for number in from..from + 200 {
            let notes = "n".repeat(number % 700);
            desk.create(&desk.here, json!({"firstName": format!("{number}"), "notes": notes}), None).await;
        }
    };
    around(0).await;
    let long = format!("{} {}", "x".repeat(20_000), SECRETS[2]);
    let values = json!({"firstName": SECRETS[0], "email": "quetzalcoatl@example.com", "notes": long});
    let record = desk.made(&desk.here, values, Some("Quetzalcoatl-7")).await;
    around(200).await;
    desk.update(&desk.here, record, json!({"firstName": SECRETS[1], "notes": null})).await;
    let (at, ty, own) = (desk.clock_now(), contact(), SubscriptionId(1));
    let reason = format!("HTTP 400: {}", SECRETS[3]);
    let parked = Parked {
        ty: ty.clone(),
        record,
        first_seq: 201,
        attempt: 1,
        next_at: at,
        reason: reason.clone(),
        is_alone: true,
    };
    let letter = DeadLetter { seq: 201, ty, record, at, attempts: 10, reason: reason.clone() };
    let fence = desk.store.claim("worker").await.unwrap();
    desk.settle(fence, &desk.here, vec![(own, LaneStep::Park(parked)), (own, LaneStep::Bury(letter))]).await.unwrap();
    let attempt = Attempt {
        delivery: DeliveryId(1),
        business: desk.here.clone(),
        subscription: own,
        seq: 201,
        number: 1,
        at,
        took_ms: 1,
        status: Some(400),
        failure: Some(reason),
    };
    desk.store.log_attempts(vec![attempt]).await.unwrap();
    desk.store.attempts(&desk.here, own, 1).await.unwrap();
    for secret in SECRETS {
        assert!(!holding(&folder, secret).is_empty(), "{secret} stands somewhere before");
    }
    let erase: Command = desk.command(&desk.here, Action::Erase { target: Target::Id(record), accounts: Vec::new() });
    desk.send(erase).await;
    while desk.store.erase_on().await.unwrap() {}
    desk.store.close().await;
    for secret in SECRETS.into_iter().chain(["quetzalcoatl@example.com"]) {
        assert_eq!(holding(&folder, secret), Vec::<String>::new(), "{secret}");
    }
}
