//! Commands: what applications write, and what they send again.

use super::Play;
use super::cast::TYPES;
use crate::evidence::Ack;
use crate::slow_store::SlowStore;
use crate::time::SimClock;
use crate::trace::Trace;
use crate::world::{App, principal, spawn, told};
use lockstep_core::Fields;
use lockstep_core::clock::Clock;
use lockstep_core::command::Outcome;
use lockstep_core::ids::{BusinessId, TypeId};
use lockstep_engine::World;
use lockstep_engine::ingest::{Call, Verb, submit};
use lockstep_wire::operation::{Correlation, IdText};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};

/// A command as an application means it, so that it can be sent again.
#[derive(Clone, Debug)]
pub(super) struct Order {
    player: usize,
    app: App,
    business: &'static str,
    ty: &'static str,
    deed: Deed,
    key: Option<String>,
}

#[derive(Clone, Debug)]
enum Deed {
    Create(Fields, Option<String>),
    Update(String, Fields),
    Delete(String),
    Correlate(String, String, bool),
    Uncorrelate(String, String),
    Sync(String),
    SyncAll,
}

impl Play {
    /// A new command of someone's.
    pub(super) fn command(&mut self) {
        let Some(order) = self.order() else { return };
        self.send(order.clone());
        self.sent.push(order);
    }

    /// An earlier command once more: with its idempotency key, or a creation under its external id.
    pub(super) fn repeat(&mut self) {
        let can_repeat = |order: &&Order| order.key.is_some() || matches!(order.deed, Deed::Create(_, Some(_)));
        let earlier: Vec<Order> = self.sent.iter().rev().take(40).filter(can_repeat).cloned().collect();
        let Some(mut order) = self.chance.pick(&earlier).cloned() else { return };
        if order.key.is_none() {
            let fields = self.fields();
            if let Deed::Create(standing, _) = &mut order.deed {
                *standing = fields;
            }
        }
        self.send(order);
    }

    fn order(&mut self) -> Option<Order> {
        let player = usize::try_from(self.chance.below(self.cast.players.len() as u64)).ok()?;
        let (app, businesses) = {
            let chosen = self.cast.players.get(player)?;
            (chosen.app.clone(), chosen.businesses.clone())
        };
        let business = *self.chance.pick(&businesses)?;
        let ty = *self.chance.pick(&TYPES)?;
        let known = self.known(business, ty);
        let deed = self.deed(known.as_deref());
        let key = self.chance.one_in(3).then(|| format!("key-{}", self.next()));
        Some(Order { player, app, business, ty, deed, key })
    }

    fn deed(&mut self, known: Option<&str>) -> Deed {
        let Some(known) = known.map(str::to_owned) else { return Deed::Create(self.fields(), None) };
        match self.chance.below(20) {
            0..=4 => {
                let external = self.chance.percent(50).then(|| format!("x{}", self.chance.below(30)));
                Deed::Create(self.fields(), external)
            }
            5..=13 => Deed::Update(known, self.fields()),
            14 => Deed::Delete(known),
            15 => Deed::Correlate(known, format!("u{}", self.chance.below(20)), self.chance.percent(50)),
            16 => Deed::Uncorrelate(known, format!("u{}", self.chance.below(20))),
            17 => Deed::SyncAll,
            _ => Deed::Sync(known),
        }
    }

    /// The id of a record that someone was told of, or one that is none.
    fn known(&self, business: &str, ty: &str) -> Option<String> {
        let acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |ack: &&Ack| ack.business.as_str() == business && (ack.ty.as_str() == ty || self.chance.one_in(50));
        let mut records: Vec<_> = acks.iter().filter(here).filter_map(|ack| ack.outcome.record).collect();
        records.sort_unstable();
        records.dedup();
        // A few records get most of the changes.
        let few = if self.chance.percent(60) { 4 } else { records.len() };
        records.truncate(few.max(1));
        self.chance.pick(&records).map(ToString::to_string)
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// A few values; `notes` is never written twice.
    fn fields(&mut self) -> Fields {
        let number = self.next();
        let mut fields = Fields::new();
        fields.insert("notes".to_owned(), json!(format!("mk-{number}")));
        if self.chance.percent(60) {
            let city = ["Delft", "Breda", "Gent"];
            fields.insert("city".to_owned(), self.chance.pick(&city).map_or(Value::Null, |city| json!(city)));
        }
        if self.chance.percent(30) {
            fields.insert("email".to_owned(), json!(format!("mk-{number}@example.com")));
        }
        if self.chance.percent(30) {
            fields.insert("isCustomer".to_owned(), json!(self.chance.percent(50)));
        }
        if self.chance.percent(10) {
            fields.insert("phone".to_owned(), json!(format!("+3120{:07}", number)));
        }
        if self.chance.percent(15) {
            // Now and then only a field that some may not see.
            fields.retain(|id, _| id == "email");
            fields.insert("email".to_owned(), json!(format!("mk-{number}@example.org")));
        }
        if self.chance.percent(5) {
            fields.insert("city".to_owned(), Value::Null);
        }
        fields
    }

    fn send(&mut self, order: Order) {
        let Ok(engine) = self.world.engine() else { return };
        let acks = Arc::clone(&self.acks);
        let (trace, clock) = (Arc::clone(&self.world.trace), self.world.clock);
        let store: Arc<SlowStore> = Arc::clone(&self.world.store);
        self.calls.retain(|call| !call.is_finished());
        self.calls.push(spawn(async move {
            let done = order.submit(&engine).await;
            note(&trace, clock, &store, &order, &done);
            let Ok(outcome) = done else { return };
            if let Some(ack) = order.ack(outcome, clock) {
                acks.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
            }
        }));
    }
}

fn note(trace: &Trace, clock: SimClock, store: &SlowStore, order: &Order, done: &anyhow::Result<Outcome>) {
    let ended = match done {
        Ok(outcome) => format!("{} {:?}", outcome.operation, outcome.ending),
        Err(refused) => refused.to_string(),
    };
    let Order { player, business, ty, deed, .. } = order;
    trace.note(clock.now(), format_args!("life {} player {player} {business} {ty} {deed:?}: {ended}", store.life()));
}

impl Order {
    async fn submit(&self, engine: &World) -> anyhow::Result<Outcome> {
        let caller = principal(engine, &self.app)?;
        let correlation = |value: &str| Correlation {
            value: IdText::Text(value.to_owned()),
            source: None,
            // A slot of its own: one in the first would take the place of what the record was made under.
            realm: "side".to_owned(),
            object: None,
        };
        let verb = match &self.deed {
            Deed::Create(fields, external) => {
                Verb::Create { fields: fields.clone(), external_id: external.as_deref(), matching: &[] }
            }
            Deed::Update(id, patch) => Verb::Update { id, patch: patch.clone() },
            Deed::Delete(id) => Verb::Delete { id },
            Deed::Correlate(id, with, force) => Verb::Correlate { id, with: correlation(with), force: *force },
            Deed::Uncorrelate(id, with) => Verb::Uncorrelate { id, with: correlation(with) },
            Deed::Sync(id) => Verb::SyncById { id, subscription: None },
            Deed::SyncAll => Verb::SyncAll { since: None, subscription: None },
        };
        let bytes = format!("{:?}", self.deed);
        let idempotency = self.key.as_deref().map(|key| (key, "/simulated"));
        let (business, ty) = (self.business, self.ty);
        let call =
            Call { principal: &caller, business, ty, verb, if_match: None, idempotency, bytes: bytes.as_bytes() };
        submit(engine, call).await.map_err(told)
    }

    fn ack(&self, outcome: Outcome, clock: SimClock) -> Option<Ack> {
        let (wrote, external) = match &self.deed {
            Deed::Create(fields, external) => (Some(fields.clone()), external.clone()),
            Deed::Update(_, patch) => (Some(patch.clone()), None),
            _ => (None, None),
        };
        Some(Ack {
            at: clock.now(),
            business: BusinessId::parse(self.business).ok()?,
            application: self.app.id.parse().ok()?,
            ty: TypeId::parse(self.ty).ok()?,
            outcome,
            wrote,
            key: self.key.clone(),
            external,
        })
    }
}
