//! The REST face held to its own document by schemathesis: it makes requests of the shapes that `/openapi.json` gives,
//! and others, and looks at what comes back. No 5xx, no status and no body that the document does not have.

use crate::client::Client;
use crate::desk::text;
use crate::hub::{ADMIN_KEY, Hub, Start};
use crate::peers::{install, python};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Requests that schemathesis makes up for each call, beside those it always makes.
const EXAMPLES: &str = "15";

/// Things for the made-up requests to be about.
async fn settings(hub: &Hub, folder: &Path) -> Result<String> {
    let mut admin = Client::new(hub.address, ADMIN_KEY);
    let business = json!({"organisationName": "Trial", "name": "Shop", "id": "shop"});
    admin.post("/management/business/create", &business).await?.of_status(200)?;
    let grant = json!({
        "label": "Tester", "organisationName": "Trial",
        "abilities": ["read", "query", "write", "subscribe", "files", "manage"],
    });
    let key = text(&admin.post("/management/auth/create", &grant).await?.of_status(200)?, "apiKey")?;
    let mut client = Client::new(hub.address, &key);
    let contacts = "/rest/v1/businesses/shop/records/contact";
    let made = client.post(contacts, &json!({"firstName": "Ada", "email": "ada@example.com"})).await?;
    let operation = made.headers.get("lockstep-operation").cloned().context("an operation")?;
    let record = text(&made.of_status(201)?, "id")?;
    let hook = json!({"url": "http://127.0.0.1:9/hook", "paused": true});
    let subscription = client.post("/rest/v1/businesses/shop/subscriptions", &hook).await?.of_status(201)?;
    let narrow = json!({"label": "Narrow", "abilities": ["read"]});
    let token = client.post("/rest/v1/businesses/shop/tokens", &narrow).await?.of_status(201)?;
    let other = json!({"label": "Other"});
    let application = client.post("/rest/v1/businesses/shop/applications", &other).await?.of_status(201)?;
    let field = json!({"id": "size", "kind": "enum", "values": ["S", "L"]});
    client.post("/rest/v1/businesses/shop/types/contact/fields", &field).await?.of_status(201)?;
    let of = |path: &str, id: &str| {
        format!("[[operations]]\ninclude-path-regex = \"{path}\"\nparameters = {{ \"path.id\" = \"{id}\" }}\n\n")
    };
    let settings = [
        "[parameters]\n\"path.business\" = \"shop\"\n\"path.type\" = \"contact\"\n\"path.field\" = \"size\"\n\n"
            .to_owned(),
        of("/records/", &record),
        of("/subscriptions/", &text(&subscription, "id")?),
        of("/operations/", &operation),
        of("/tokens/", &text(&token, "id")?),
        of("/applications/", &text(&application, "id")?),
    ];
    std::fs::write(folder.join("schemathesis.toml"), settings.concat())?;
    Ok(key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_face_keeps_to_its_document() -> Result<()> {
    install()?;
    let folder = tempfile::tempdir()?;
    let hub = Start::on(folder.path().join("data")).run().await?;
    let key = settings(&hub, folder.path()).await?;
    let url = format!("http://{}/openapi.json", hub.address);
    let done = Command::new(python())
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(folder.path().join("schemathesis.toml"))
        .args(["run", &url, "-H", &format!("Authorization: Bearer {key}")])
        .args(["--phases", "examples,coverage,fuzzing", "-n", EXAMPLES, "--seed", "1", "--continue-on-failure"])
        // What state refuses (409, 422) is data that the shape alone allows.
        .args(["--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color"])
        .current_dir(folder.path())
        .output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    // It has found the calls, and tried them.
    let document: Value = Client::new(hub.address, "").get("/openapi.json").await?.of_status(200)?;
    let items = document["paths"].as_object().context("paths")?.values();
    let calls: usize = items.map(|item| item.as_object().map_or(0, serde_json::Map::len)).sum();
    ensure!(said.contains(&format!("Tested: {calls}")), "not all of {calls} calls were tried: {said}");
    hub.stop().await
}
