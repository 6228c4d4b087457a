//! A desk: one business, an application that writes and one that listens, and short words for what stories do.

use lockstep_core::command::Ending;
use lockstep_core::ids::{DeliveryId, RecordId, SubscriptionId};
use lockstep_engine::control::{application, replay, subscription};
use lockstep_engine::ingest::Verb;
use lockstep_engine::principal::Principal;
use lockstep_sim::endpoint::Arrival;
use lockstep_sim::world::{App, World, principal, simulate, told};
use lockstep_store::Store;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const BUSINESS: &str = "a1";
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) struct Desk {
    pub(crate) world: World,
    /// Who writes.
    pub(crate) crm: App,
    /// Who listens.
    pub(crate) mail: App,
}

/// Runs a story at a desk.
pub(crate) fn at_desk<F: Future<Output = anyhow::Result<()>>>(story: impl FnOnce(Desk) -> F) {
    let begun = async {
        let world = World::begin(11).await?;
        world.business("Acme", BUSINESS).await?;
        let crm = world.application("Acme", "CRM", json!({})).await?;
        let mail = world.application("Acme", "Mail", json!({})).await?;
        story(Desk { world, crm, mail }).await
    };
    simulate(begun).expect("the story goes as told");
}

impl Desk {
    /// The listener subscribes at a host; the path is the host's name.
    pub(crate) async fn listen(&self, host: &str, more: Value) -> SubscriptionId {
        self.listen_as(&self.mail, host, more).await.0
    }

    /// The same for any application; gives the secret too.
    pub(crate) async fn listen_as(&self, app: &App, host: &str, mut more: Value) -> (SubscriptionId, String) {
        if let Value::Object(members) = &mut more {
            members.insert("url".to_owned(), json!(format!("https://{host}/{host}")));
        }
        let made = self.world.subscribe(app, BUSINESS, more).await.expect("the story goes as told");
        (made.id, made.secret)
    }

    pub(crate) async fn update_subscription(&self, id: SubscriptionId, body: Value) {
        self.world.resubscribe(&self.mail, BUSINESS, id, body).await.expect("the story goes as told");
    }

    /// Another grant for an application.
    pub(crate) async fn grant(&self, app: &App, grant: Value) {
        let engine = self.world.engine().expect("a hub runs");
        let body = serde_json::from_value(grant).expect("a grant");
        let done = application::update(&engine, &Principal::Admin, &app.id, body).await;
        done.map_err(told).expect("the story goes as told");
    }

    /// The administrator lets a subscription go on.
    pub(crate) async fn resume(&self, id: SubscriptionId) {
        let engine = self.world.engine().expect("a hub runs");
        let body = serde_json::from_value(json!({"paused": false})).expect("a body");
        let done = subscription::update(&engine, &Principal::Admin, BUSINESS, &id.to_string(), body).await;
        done.map_err(told).expect("the story goes as told");
    }

    /// A new contact.
    pub(crate) async fn create(&self, number: usize) -> RecordId {
        let fields = json!({"notes": format!("made {number}")}).as_object().cloned().expect("an object");
        let verb = Verb::Create { fields, external_id: None, matching: &[] };
        self.world
            .submit(&self.crm, BUSINESS, "contact", verb)
            .await
            .expect("the story goes as told")
            .record
            .expect("a record")
    }

    /// A change of a contact; gives its seq.
    pub(crate) async fn update(&self, id: RecordId, text: &str) -> u64 {
        let patch = json!({"notes": text}).as_object().cloned().expect("an object");
        let verb = Verb::Update { id: &id.to_string(), patch };
        match self.world.submit(&self.crm, BUSINESS, "contact", verb).await.expect("the story goes as told").ending {
            Ending::Changed { seq, .. } => seq,
            other => panic!("the update ended as {other:?}"),
        }
    }

    /// One contact takes the place of another.
    pub(crate) async fn merge(&self, goes: RecordId, stays: RecordId) {
        let verb = Verb::Merge { id: &goes.to_string(), into: &stays.to_string() };
        self.world.submit(&self.crm, BUSINESS, "contact", verb).await.expect("the story goes as told");
    }

    /// The listener asks for a record as it is.
    pub(crate) async fn sync(&self, id: RecordId) -> Ending {
        let verb = Verb::SyncById { id: &id.to_string(), subscription: None };
        self.world.submit(&self.mail, BUSINESS, "contact", verb).await.expect("the story goes as told").ending
    }

    pub(crate) async fn replay(&self, id: SubscriptionId, seq: u64) -> DeliveryId {
        let engine = self.world.engine().expect("the story goes as told");
        let caller = principal(&engine, &self.mail).expect("the story goes as told");
        let body = serde_json::from_value(json!({"seq": seq})).expect("the story goes as told");
        let id = id.to_string();
        let replayed = replay::replay(&engine, &caller, BUSINESS, &id, body);
        let replayed = replayed.await.map_err(told).expect("the story goes as told");
        replayed.delivery_id.expect("one change was asked for")
    }

    /// A new secret for a subscription.
    pub(crate) async fn rotate(&self, id: SubscriptionId) -> String {
        let engine = self.world.engine().expect("the story goes as told");
        let id = id.to_string();
        let made = subscription::rotate_secret(&engine, &Principal::Admin, BUSINESS, &id);
        made.await.map_err(told).expect("the story goes as told").secret
    }

    pub(crate) async fn wait(&self, time: Duration) {
        self.world.wait(time).await;
    }

    /// What arrived at a host.
    pub(crate) fn at(&self, host: &str) -> Vec<Arrival> {
        self.world.net.at(&format!("/{host}"))
    }

    /// Seqs that a host took, in order of arrival.
    pub(crate) fn taken(&self, host: &str) -> Vec<u64> {
        self.at(host).iter().filter(|arrival| arrival.is_taken()).filter_map(seq_of).collect()
    }

    /// Events that a host took, in order of arrival.
    pub(crate) fn events(&self, host: &str) -> Vec<String> {
        let taken = self.at(host).into_iter().filter(Arrival::is_taken);
        taken.filter_map(|arrival| Some(arrival.json().get("type")?.as_str()?.to_owned())).collect()
    }

    /// Parked rows of a subscription.
    pub(crate) async fn parked(&self, id: SubscriptionId) -> usize {
        let outlets = self.world.store.plain().outlets().await.expect("the story goes as told");
        outlets.iter().flat_map(|outlet| &outlet.parked).filter(|(of, _)| *of == id).count()
    }

    /// Lanes with a row.
    pub(crate) async fn lane_rows(&self) -> usize {
        let outlets = self.world.store.plain().outlets().await.expect("the story goes as told");
        outlets.iter().map(|outlet| outlet.lanes.len()).sum()
    }

    /// Seqs of a subscription's dead letters.
    pub(crate) async fn dead(&self, id: SubscriptionId) -> Vec<u64> {
        let business = BUSINESS.parse_business();
        let letters =
            self.world.store.plain().dead_letters(&business, id, 0, 100).await.expect("the story goes as told");
        letters.into_iter().map(|letter| letter.seq).collect()
    }
}

pub(crate) trait ParseBusiness {
    fn parse_business(&self) -> lockstep_core::ids::BusinessId;
}

impl ParseBusiness for str {
    fn parse_business(&self) -> lockstep_core::ids::BusinessId {
        lockstep_core::ids::BusinessId::parse(self).expect("the story goes as told")
    }
}

/// The seq that a standard body tells.
pub(crate) fn seq_of(arrival: &Arrival) -> Option<u64> {
    arrival.json().pointer("/data/seq")?.as_u64()
}

/// That each record's seqs first arrived in order.
pub(crate) fn assert_in_order(arrivals: &[Arrival]) {
    let mut newest = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for arrival in arrivals {
        let (Some(seq), body) = (seq_of(arrival), arrival.json()) else { continue };
        let record = body.pointer("/data/record/id").expect("the story goes as told").to_string();
        if seen.insert(seq) {
            let before = newest.insert(record.clone(), seq).unwrap_or(0);
            assert!(before < seq, "{record}: seq {seq} arrived after seq {before}");
        }
    }
}
