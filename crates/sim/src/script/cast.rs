//! The cast: organisations, businesses, applications, and the hosts of their endpoints.

use crate::chance::Chance;
use crate::model::CONDITIONS;
use crate::world::{App, World};
use lockstep_core::ids::SubscriptionId;
use serde_json::{Map, Value, json};

/// Hosts of endpoints; several subscriptions share one.
pub(super) const HOSTS: [&str; 6] =
    ["one.example", "two.example", "three.example", "four.example", "five.example", "six.example"];
/// Types in play.
pub(super) const TYPES: [&str; 2] = ["contact", "organization"];

/// One application and what it knows of.
#[derive(Clone, Debug)]
pub(super) struct Player {
    pub(super) app: App,
    pub(super) businesses: Vec<&'static str>,
}

/// A subscription that was made.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) id: SubscriptionId,
    pub(super) business: &'static str,
    pub(super) player: usize,
}

/// Everyone.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) players: Vec<Player>,
    pub(super) wishes: Vec<Wish>,
    pub(super) named: usize,
}

impl Cast {
    /// Brings everyone in.
    pub(super) async fn enter(world: &World, chance: &Chance) -> anyhow::Result<Self> {
        let organisations: [(&str, &[&'static str], &[&str]); 2] =
            [("Acme", &["a1", "a2"], &["CRM", "Mail", "Shop"]), ("Globex", &["g1"], &["ERP", "BI"])];
        let mut players = Vec::new();
        for (organisation, businesses, labels) in organisations {
            for business in businesses {
                world.business(organisation, business).await?;
            }
            for label in labels {
                let app = world.application(organisation, label, grant(chance, businesses)).await?;
                players.push(Player { app, businesses: businesses.to_vec() });
            }
        }
        Ok(Self { players, wishes: Vec::new(), named: 0 })
    }
}

/// A grant, whole or narrowed in some way.
pub(super) fn grant(chance: &Chance, businesses: &[&str]) -> Value {
    let mut grant = Map::new();
    let mut put = |name: &str, value: Value| {
        grant.insert(name.to_owned(), value);
    };
    let denied: Vec<&str> = businesses.iter().copied().filter(|_| chance.one_in(8)).collect();
    put("businessAccessRule", json!({"deniedBusinessIds": denied}));
    put("conditions", json!({}));
    put("hiddenFields", json!({}));
    put("types", json!({"contact": ["read", "write"], "organization": ["read", "write"]}));
    if chance.one_in(3) {
        put("conditions", json!({"contact": condition(chance)}));
    }
    if chance.one_in(3) {
        let hidden = [json!(["email"]), json!(["email", "phone"]), json!(["city"])];
        put("hiddenFields", json!({"contact": chance.pick(&hidden), "organization": ["phone"]}));
    }
    if chance.one_in(6) {
        put("types", json!({"contact": ["read", "write"]}));
    }
    if chance.one_in(20) {
        put("abilities", json!(["read", "write"]));
    } else {
        put("abilities", json!(["read", "write", "subscribe"]));
    }
    Value::Object(grant)
}

/// One of the conditions that the model knows.
pub(super) fn condition(chance: &Chance) -> &'static str {
    chance.pick(&CONDITIONS).map_or("", |(text, _)| *text)
}
