//! What a test needs before it can begin: a business, an application of its organisation, subscriptions.

use crate::client::Client;
use crate::hub::{ADMIN_KEY, Hub};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// A business and the credential that works in it.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) business: String,
    pub(crate) api_key: String,
}

/// A subscription as its owner was shown it.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) public_key: Option<String>,
}

impl Desk {
    /// Makes both, as the administrator.
    pub(crate) async fn open(hub: &Hub) -> Result<Self> {
        let mut admin = Client::new(hub.address, ADMIN_KEY);
        let wanted = json!({"organisationName": "Trial", "name": "Shop"});
        let business = admin.post("/management/business/create", &wanted).await?.of_status(200)?;
        let id = text(&business, "id")?;
        let wanted = json!({
            "label": format!("Tester of {id}"), "organisationName": "Trial", "businessAccessRule": {"deniedBusinessIds": []},
        });
        let application = admin.post("/management/auth/create", &wanted).await?.of_status(200)?;
        Ok(Self { business: id, api_key: text(&application, "apiKey")? })
    }

    /// The path of a call in the business.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/business/{}/{rest}", self.business)
    }

    pub(crate) fn client(&self, hub: &Hub) -> Client {
        Client::new(hub.address, &self.api_key)
    }

    /// Subscribes to contacts; `more` are further members of the call's body.
    pub(crate) async fn subscribe(&self, hub: &Hub, url: &str, more: Value) -> Result<Subscription> {
        let mut wanted = json!({"url": url, "types": ["contact"]});
        for (name, value) in more.as_object().into_iter().flatten() {
            wanted[name] = value.clone();
        }
        let made = self.client(hub).post(&self.path("subscription/create"), &wanted).await?.of_status(200)?;
        Ok(Subscription {
            id: text(&made, "id")?,
            secret: text(&made, "secret")?,
            public_key: made["publicKey"].as_str().map(str::to_owned),
        })
    }

    /// Creates a contact and gives the answer's body.
    pub(crate) async fn create(&self, client: &mut Client, fields: &Value) -> Result<Value> {
        client.post(&self.path("contact/create"), fields).await?.of_status(202)
    }
}

/// A member that must be text.
pub(crate) fn text(value: &Value, member: &str) -> Result<String> {
    let found = value[member].as_str().with_context(|| format!("no text {member} in {value}"))?;
    Ok(found.to_owned())
}
