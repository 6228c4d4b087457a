//! The desk at which a case sits: a store, a clock moved by hand, fresh ids, and short ways to say common things.

use super::Subject;
use crate::settings::{Audit, Control, Dropped, Expect, Put, Setting, SettingKey, SettingKind};
use crate::settle::{Fence, LaneStep, OutletSettle, Settle};
use crate::{Commit, Committed, OutletRows, Store, StoreError, Work};
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, Origin};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::command::{Action, Command, Ending, FreshIds, Outcome, Target};
use lockstep_core::delivery::Notice;
use lockstep_core::error::Code;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{ApplicationId, BusinessId, ChangeId, OrganisationName, Provider};
use lockstep_core::ids::{CommitId, RecordId, SubscriptionId, TypeId};
use lockstep_core::operation::OperationId;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::scope::Reach;
use lockstep_core::subscription::{Format, Payload, PayloadShape, Signing, Subscription};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// Moves it on.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A store with two businesses in it, and what a case needs to use it.
pub struct Desk<'a> {
    subject: &'a dyn Subject,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: Arc<HandClock>,
    /// One business.
    pub here: BusinessId,
    /// Another.
    pub there: BusinessId,
    drawn: AtomicU64,
}

impl<'a> Desk<'a> {
    /// Opens a fresh store and makes the two businesses.
    pub async fn open(subject: &'a dyn Subject) -> Self {
        let desk = Self::join(subject).await;
        for id in [&desk.here, &desk.there] {
            desk.control(control(vec![put_business(id)])).await.expect("a business is made");
        }
        desk
    }

    /// Opens a store that has been used before.
    pub async fn join(subject: &'a dyn Subject) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(1_700_000_000_000)));
        let time: Arc<dyn Clock> = Arc::<HandClock>::clone(&clock);
        let store = subject.open(time).await;
        let (here, there) = (business("here"), business("there"));
        Self { subject, store, clock, here, there, drawn: AtomicU64::new(0) }
    }

    /// Closes the store and opens it again.
    pub async fn reopen(mut self) -> Self {
        self.store.close().await;
        let time: Arc<dyn Clock> = Arc::<HandClock>::clone(&self.clock);
        self.store = self.subject.open(time).await;
        self
    }

    /// Closes the store and opens it again with every log in its next epoch.
    pub async fn reopen_in_new_epoch(self) -> Self {
        self.store.close().await;
        let time: Arc<dyn Clock> = Arc::<HandClock>::clone(&self.clock);
        self.subject.begin_epoch(time).await;
        self.reopen().await
    }

    /// Whether a closed store is shut for good.
    pub fn is_durable(&self) -> bool {
        self.subject.is_durable()
    }

    /// The time it is.
    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh number that begins with the time.
    pub fn draw(&self) -> u128 {
        let time = u128::try_from(self.clock.now().0).unwrap_or(0);
        (time << 80) | u128::from(self.drawn.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// A fresh name for a commit.
    pub fn commit_id(&self) -> CommitId {
        CommitId(self.draw())
    }

    /// A fresh subscription.
    pub fn subscription_id(&self) -> SubscriptionId {
        SubscriptionId(self.draw())
    }

    /// A command about contacts, with ids of its own.
    pub fn command(&self, business: &BusinessId, action: Action) -> Command {
        Command {
            business: business.clone(),
            at: self.clock.now(),
            origin: Origin::Application { id: ApplicationId(9), provider: provider(), token: None },
            reach: Arc::new(Reach::everything()),
            ty: contact(),
            action,
            if_match: None,
            idempotency: None,
            fresh: FreshIds {
                record: RecordId(self.draw()),
                change: ChangeId(self.draw()),
                second_change: ChangeId(self.draw()),
                operation: OperationId::fresh(self.draw()),
            },
            tell: Arc::default(),
            upload: None,
            bytes: 100,
        }
    }

    /// A command that creates a contact.
    pub fn creating(&self, business: &BusinessId, values: Value, called: Option<&str>) -> Command {
        self.command(
            business,
            Action::Create { fields: fields(values), external_id: called.map(external), matching: Vec::new() },
        )
    }

    /// A command that updates a contact.
    pub fn updating(&self, business: &BusinessId, record: RecordId, patch: Value) -> Command {
        self.command(business, Action::Update { target: Target::Id(record), patch: fields(patch) })
    }

    /// Commits commands, unnamed.
    ///
    /// # Errors
    /// The store's.
    pub async fn commit(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, StoreError> {
        commit_to(&*self.store, None, commands).await
    }

    /// Commits one command that the store takes.
    pub async fn send(&self, command: Command) -> Outcome {
        let outcomes = self.commit(vec![command]).await.expect("the command is taken");
        outcomes.into_iter().next().expect("one outcome for one command")
    }

    /// Creates a contact.
    pub async fn create(&self, business: &BusinessId, values: Value, called: Option<&str>) -> Outcome {
        self.send(self.creating(business, values, called)).await
    }

    /// Creates a contact and gives its id.
    pub async fn made(&self, business: &BusinessId, values: Value, called: Option<&str>) -> RecordId {
        self.create(business, values, called).await.record.expect("a made record has an id")
    }

    /// Updates a contact.
    pub async fn update(&self, business: &BusinessId, record: RecordId, patch: Value) -> Outcome {
        self.send(self.updating(business, record, patch)).await
    }

    /// Deletes a contact.
    pub async fn delete(&self, business: &BusinessId, record: RecordId) -> Outcome {
        self.send(self.command(business, Action::Delete { target: Target::Id(record) })).await
    }

    /// Changes settings, unnamed.
    ///
    /// # Errors
    /// The store's.
    pub async fn control(&self, control: Control) -> Result<u64, StoreError> {
        control_to(&*self.store, None, control).await
    }

    /// A contact.
    pub async fn record(&self, business: &BusinessId, record: RecordId) -> Option<Record> {
        self.store.record(business, &key(record)).await.expect("records are read")
    }

    /// What a contact that is there holds.
    pub async fn values(&self, business: &BusinessId, record: RecordId) -> Value {
        let record = self.record(business, record).await.expect("the record is there");
        Value::Object(record.state.fields.clone())
    }

    /// The newest seq of a business.
    pub async fn head(&self, business: &BusinessId) -> u64 {
        self.store.changes(business, 0, 1).await.expect("the log is read").head
    }

    /// A business's whole log, read by pages, without holes.
    pub async fn log(&self, business: &BusinessId) -> Vec<Arc<Change>> {
        let mut log: Vec<Arc<Change>> = Vec::new();
        loop {
            let after = log.len() as u64;
            let page = self.store.changes(business, after, 16).await.expect("the log is read");
            if page.changes.is_empty() {
                assert_eq!(page.head, after, "the log ends at its head");
                return log;
            }
            for change in page.changes {
                assert_eq!(change.seq, log.len() as u64 + 1, "the log has no holes");
                log.push(change);
            }
        }
    }

    /// Where a business's outlets stand.
    pub async fn outlet(&self, business: &BusinessId) -> OutletRows {
        let rows = self.store.outlets().await.expect("outlets are read");
        rows.into_iter().find(|row| row.business.as_ref() == Some(business)).expect("each business has a row")
    }

    /// All notices.
    pub async fn notices(&self) -> Vec<(i64, Notice)> {
        self.store.notices(0, 1_000).await.expect("notices are read")
    }

    /// Moves lanes of one business.
    ///
    /// # Errors
    /// The store's.
    pub async fn settle(
        &self,
        fence: Fence,
        business: &BusinessId,
        steps: Vec<(SubscriptionId, LaneStep)>,
    ) -> Result<(), StoreError> {
        let outlets = vec![OutletSettle { business: business.clone(), position: None, steps }];
        self.store.settle(Settle { fence, at: self.clock.now(), outlets, scans: Vec::new(), notices: Vec::new() }).await
    }
}

/// Commits commands to a store.
///
/// # Errors
/// The store's.
pub async fn commit_to(
    store: &dyn Store,
    id: Option<CommitId>,
    commands: Vec<Command>,
) -> Result<Vec<Outcome>, StoreError> {
    match store.commit(Commit { id, work: Work::Commands(commands) }).await? {
        Committed::Outcomes(outcomes) => Ok(outcomes),
        other => panic!("commands are answered with outcomes, not {other:?}"),
    }
}

/// Changes a store's settings.
///
/// # Errors
/// The store's.
pub async fn control_to(store: &dyn Store, id: Option<CommitId>, control: Control) -> Result<u64, StoreError> {
    match store.commit(Commit { id, work: Work::Control(Box::new(control)) }).await? {
        Committed::Settings(version) => Ok(version),
        other => panic!("a control is answered with a version, not {other:?}"),
    }
}

/// A subscription whose rows go, with nobody to tell.
pub fn dropped(business: &BusinessId, subscription: SubscriptionId) -> Vec<Dropped> {
    vec![Dropped { business: business.clone(), subscription, tell: Vec::new() }]
}

/// A business's id.
pub fn business(id: &str) -> BusinessId {
    BusinessId::parse(id).expect("a legal business id")
}

/// The type that cases use.
pub fn contact() -> TypeId {
    TypeId::parse("contact").expect("a legal type")
}

/// The slug that cases call by.
pub fn provider() -> Provider {
    Provider::parse("crm").expect("a legal provider")
}

/// A contact's address.
pub fn key(id: RecordId) -> RecordKey {
    RecordKey { ty: contact(), id }
}

/// An object's members.
pub fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        other => panic!("{other} is no object"),
    }
}

/// What a record is called by the cases' provider.
pub fn external(id: &str) -> ExternalId {
    ExternalId::check(provider(), "", None, id).expect("a legal external id")
}

/// The seq of the change that a command made.
pub fn seq_of(outcome: &Outcome) -> u64 {
    match &outcome.ending {
        Ending::Changed { seq, .. } => *seq,
        other => panic!("a change was due, not {other:?}"),
    }
}

/// Why a command failed or was refused.
pub fn code_of(outcome: &Outcome) -> Code {
    match &outcome.ending {
        Ending::Failed(rejection) | Ending::Refused(rejection) => rejection.code,
        other => panic!("a failure was due, not {other:?}"),
    }
}

/// A control with puts alone.
pub fn control(puts: Vec<Put>) -> Control {
    Control { puts, ..Control::of(Audit::of(Timestamp(1), "admin", "contract.try", "contract")) }
}

/// A put of a business, whatever stands.
pub fn put_business(id: &BusinessId) -> Put {
    let organisation = OrganisationName::parse("Org").expect("a legal organisation");
    let value = Business {
        id: id.clone(),
        organisation,
        name: format!("Business {id}"),
        created_at: Timestamp(1),
        is_closed: false,
    };
    let key = SettingKey::new(SettingKind::Business, id);
    Put { key, value: Some(Setting::Business(value)), expect: Expect::Anything }
}

/// A put of a setting that is just a text.
pub fn put_text(id: &str, text: Option<&str>, expect: Expect) -> Put {
    let key = SettingKey::new(SettingKind::Sealing, id);
    Put { key, value: text.map(|text| Setting::Sealing(text.to_owned())), expect }
}

/// A subscription to everything of a business.
pub fn subscription(id: SubscriptionId, business: &BusinessId) -> Subscription {
    Subscription {
        id,
        business: business.clone(),
        covers: None,
        mirrors: None,
        application: Some(ApplicationId(9)),
        token: None,
        label: "all".to_owned(),
        url: "https://subscriber.example/hook".to_owned(),
        types: Some([contact()].into()),
        kinds: None,
        fields: None,
        record_ids: Some([RecordId(3)].into()),
        under: None,
        condition: Some("city == 'Delft'".to_owned()),
        format: Format::Envelope,
        payload: Payload::Full,
        payload_shape: PayloadShape::Object,
        template: None,
        headers: Default::default(),
        auth: None,
        signing: Signing::Both,
        ordering: Default::default(),
        batch: None,
        per_second: None,
        exclude_own: true,
        secrets: Vec::new(),
        paused: None,
        is_ended: false,
        created_at: Timestamp(5),
    }
}
