//! Evidence: all that a run left behind, read back from the store and the endpoints, for the checkers to judge.

use crate::endpoint::Arrival;
use crate::model::{self, Span, Told};
use crate::slow_store::Past;
use crate::world::World;
use lockstep_core::Fields;
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::Outcome;
use lockstep_core::delivery::{DeadLetter, Notice};
use lockstep_core::ids::{ApplicationId, BusinessId, DeliveryId, SubscriptionId, TypeId};
use lockstep_core::operation::{Operation, OperationId};
use lockstep_core::record::State;
use lockstep_core::subscription::Ordering;
use lockstep_store::settings::Setting;
use lockstep_store::{OutletRows, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One command that was answered as accepted.
#[derive(Clone, Debug)]
pub struct Ack {
    /// When.
    pub at: Timestamp,
    /// The business.
    pub business: BusinessId,
    /// Who asked.
    pub application: ApplicationId,
    /// The type.
    pub ty: TypeId,
    /// What was answered.
    pub outcome: Outcome,
    /// The values written, where it wrote any.
    pub wrote: Option<Fields>,
    /// The idempotency key it came with.
    pub key: Option<String>,
    /// The external id it was created under.
    pub external: Option<String>,
}

/// One subscription, as the checkers see it.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Its id.
    pub id: SubscriptionId,
    /// Its business.
    pub business: BusinessId,
    /// Where it began.
    pub start: u64,
    /// Its life.
    pub spans: Vec<Span>,
}

impl Subscriber {
    /// Whether it ended up with deliveries going out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.spans.last().is_some_and(|last| last.until == Timestamp(i64::MAX) && last.is_open())
    }

    /// What holds among the changes of one record.
    #[must_use]
    pub fn ordering(&self) -> Ordering {
        self.spans.last().map(|span| span.subscription.ordering).unwrap_or_default()
    }

    /// Whether a change was wanted at its making and, under every setting since, still would be.
    #[must_use]
    pub fn is_owed(&self, change: &Change, before: Option<&State>) -> bool {
        let mut since = self.spans.iter().filter(|span| span.until >= change.at || change.at < span.from);
        change.seq > self.start && since.all(|span| !span.is_open() || model::told(span, change, before).is_some())
    }

    /// What it may be told of a change by something sent at an instant, with the settings in force then or so
    /// shortly before that it was under way.
    #[must_use]
    pub fn told_at(&self, sent_at: Timestamp, grace_ms: i64, change: &Change, before: Option<&State>) -> Vec<Told> {
        self.in_force(sent_at, grace_ms).filter_map(|span| model::told(span, change, before)).collect()
    }

    /// The spans in force at an instant or shortly before.
    pub fn in_force(&self, at: Timestamp, grace_ms: i64) -> impl Iterator<Item = &Span> {
        let earliest = at.plus_ms(-grace_ms);
        self.spans.iter().filter(move |span| span.from <= at && span.until >= earliest && span.is_open())
    }
}

/// All that a run left behind.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Each business's log.
    pub logs: BTreeMap<BusinessId, Vec<Arc<Change>>>,
    /// Accepted commands, in the order of their answers.
    pub acks: Vec<Ack>,
    /// What arrived, in order.
    pub arrivals: Vec<Arrival>,
    /// Subscribers by the path of their URL.
    pub subscribers: BTreeMap<String, Subscriber>,
    /// Operations with rows, of those acknowledged.
    pub operations: BTreeMap<OperationId, Operation>,
    /// Dead letters that can be read.
    pub dead: BTreeMap<SubscriptionId, Vec<DeadLetter>>,
    /// What was committed of settings, and when.
    pub past: Past,
    /// Where the outlets stand at the end.
    pub outlets: Vec<OutletRows>,
    /// Notices that still wait.
    pub notices: Vec<Notice>,
    /// How long something may have been under way when a setting changed, in milliseconds.
    pub grace_ms: i64,
}

impl Evidence {
    /// Reads everything back.
    ///
    /// # Errors
    /// What the store says.
    pub async fn gather(world: &World, acks: Vec<Ack>, grace_ms: i64) -> anyhow::Result<Self> {
        let store = world.store.plain();
        let past = world.store.past();
        let mut evidence = Self { acks, arrivals: world.net.arrivals(), grace_ms, ..Self::default() };
        let businesses = past.puts.iter().filter_map(|(_, _, value)| match value {
            Some(Setting::Business(business)) => Some(business.id.clone()),
            _ => None,
        });
        for business in businesses.collect::<BTreeSet<_>>() {
            let changes = store.changes(&business, 0, usize::MAX).await?.changes;
            evidence.logs.insert(business, changes);
        }
        let made = past.puts.iter().filter_map(|(_, _, value)| match value {
            Some(Setting::Subscription(made)) => Some(made),
            _ => None,
        });
        for made in made {
            let path = made.url.rsplit_once('/').map(|(_, name)| format!("/{name}")).unwrap_or_default();
            let subscriber = Subscriber {
                id: made.id,
                business: made.business.clone(),
                start: past.starts.get(&made.id).copied().unwrap_or(0),
                spans: model::spans(&past, made.id),
            };
            evidence.subscribers.insert(path, subscriber);
            let letters = store.dead_letters(&made.business, made.id, 0, usize::MAX).await?;
            evidence.dead.insert(made.id, letters);
        }
        for ack in &evidence.acks {
            let row = store.operation(&ack.business, ack.outcome.operation).await?;
            evidence.operations.extend(row.map(|row| (row.id, row)));
        }
        let arrivals = std::mem::take(&mut evidence.arrivals);
        for arrival in arrivals {
            let members = evidence.members(&arrival);
            evidence.arrivals.extend(members);
        }
        evidence.outlets = store.outlets().await?;
        evidence.notices = store.notices(0, usize::MAX).await?.into_iter().map(|(_, notice)| notice).collect();
        evidence.past = past;
        Ok(evidence)
    }

    /// What arrived, a batch as its members, each as if it had come alone under its own id.
    fn members(&self, arrival: &Arrival) -> Vec<Arrival> {
        let body = arrival.json();
        let subscriber = self.subscribers.get(&arrival.path);
        let (Some("batch"), Some(subscriber)) = (body.get("type").and_then(serde_json::Value::as_str), subscriber)
        else {
            return vec![arrival.clone()];
        };
        let members = body.get("data").and_then(serde_json::Value::as_array).into_iter().flatten();
        let single = |member: &serde_json::Value| {
            let seq = member.pointer("/data/seq").and_then(serde_json::Value::as_u64).unwrap_or(0);
            let mut single = Arrival { body: member.to_string().into(), ..arrival.clone() };
            let change = self.change(&subscriber.business, seq)?;
            let id = DeliveryId::of_change(change.id, subscriber.id).to_string();
            single.headers.insert("webhook-id", http::HeaderValue::try_from(id).ok()?);
            Some(single)
        };
        // What names no change is left as it came, for a checker to wonder at.
        let singles: Option<Vec<_>> = members.map(single).collect();
        singles.unwrap_or_else(|| vec![arrival.clone()])
    }

    /// A change.
    #[must_use]
    pub fn change(&self, business: &BusinessId, seq: u64) -> Option<&Arc<Change>> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.logs.get(business)?.get(index)
    }

    /// The record's state before a change.
    #[must_use]
    pub fn before(&self, business: &BusinessId, change: &Change) -> Option<&State> {
        self.change(business, change.prev_seq).map(|change| &*change.state)
    }

    /// Which change each delivery id stands for.
    #[must_use]
    pub fn deliveries(&self) -> BTreeMap<String, (SubscriptionId, u64)> {
        let of = |subscriber: &Subscriber| {
            let id = subscriber.id;
            let log = self.logs.get(&subscriber.business).cloned().unwrap_or_default();
            log.into_iter().map(move |change| (DeliveryId::of_change(change.id, id).to_string(), (id, change.seq)))
        };
        self.subscribers.values().flat_map(of).collect()
    }
}
