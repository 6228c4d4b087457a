//! Settings as last read: businesses, applications, subscriptions, with the indexes that each request needs.
//!
//! A reader knows the version it has read up to and asks the store only for what is newer, so a change costs what
//! it changes. The server's copy is shared behind a lock; the post room keeps one of its own.

use lockstep_core::application::{Application, Business};
use lockstep_core::command::Tell;
use lockstep_core::grant::TypeAccess;
use lockstep_core::ids::{ApplicationId, BusinessId, OrganisationName, SubscriptionId, TypeId};
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Schema;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_core::subscription::Subscription;
use lockstep_store::settings::{Hold, Setting, SettingKind, SettingRow};
use lockstep_store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// An application with its grant compiled.
#[derive(Debug)]
pub struct LiveApplication {
    /// The application.
    pub application: Application,
    /// The version of its row.
    pub version: u64,
    reaches: BTreeMap<TypeId, Arc<Reach>>,
    everything: Arc<Reach>,
}

impl LiveApplication {
    /// What it may see of a type it may use.
    #[must_use]
    pub fn reach(&self, ty: &TypeId) -> Arc<Reach> {
        Arc::clone(self.reaches.get(ty).unwrap_or(&self.everything))
    }

    /// What it may see of each type of which that is less than all, and of every other type.
    pub(crate) const fn reaches(&self) -> (&BTreeMap<TypeId, Arc<Reach>>, &Arc<Reach>) {
        (&self.reaches, &self.everything)
    }

    /// Whether it may do this with records of a type in a business of an organisation.
    #[must_use]
    pub fn may(&self, business: &Business, ty: &TypeId, access: TypeAccess) -> bool {
        self.is_at_home(business) && self.application.grant.allows_type(ty, access)
    }

    /// Whether a business is open to it.
    #[must_use]
    pub fn is_at_home(&self, business: &Business) -> bool {
        !self.application.is_revoked
            && !business.is_closed
            && business.organisation == self.application.organisation
            && self.application.grant.business_access_rule.allows(&business.id)
    }
}

/// A subscription with the version of its row.
#[derive(Clone, Debug)]
pub struct LiveSubscription {
    /// The subscription.
    pub subscription: Arc<Subscription>,
    /// The version of its row.
    pub version: u64,
}

type Owner = (BusinessId, Option<ApplicationId>);

/// All settings, with indexes.
#[derive(Debug, Default)]
pub struct Settings {
    /// The version read up to.
    pub version: u64,
    /// Businesses, with the versions of their rows.
    pub businesses: BTreeMap<BusinessId, (Arc<Business>, u64)>,
    /// Applications.
    pub applications: BTreeMap<ApplicationId, Arc<LiveApplication>>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<SubscriptionId, LiveSubscription>,
    /// The value that tells a wrong sealing key.
    pub sealing_check: Option<String>,
    /// Why nothing leaves, where the hub is held.
    pub hold: Option<Hold>,
    /// What businesses say of types, with the versions of their rows.
    types: BTreeMap<BusinessId, BTreeMap<TypeId, (TypeDefinition, u64)>>,
    /// The types that a business knows, where it says anything of them.
    schemas: BTreeMap<BusinessId, Arc<Schema>>,
    by_key: BTreeMap<[u8; 32], ApplicationId>,
    by_client: BTreeMap<String, ApplicationId>,
    by_owner: BTreeMap<Owner, BTreeSet<SubscriptionId>>,
    per_business: BTreeMap<BusinessId, usize>,
    tells: Mutex<BTreeMap<Owner, Arc<Tell>>>,
}

impl Settings {
    /// Takes in one row.
    pub fn apply(&mut self, row: SettingRow) {
        self.version = self.version.max(row.version);
        match (row.key.kind, row.value) {
            (SettingKind::Business, Some(Setting::Business(business))) => {
                self.businesses.insert(business.id.clone(), (Arc::new(business), row.version));
            }
            (SettingKind::Application, Some(Setting::Application(application))) => {
                self.put_application(application, row.version);
            }
            (SettingKind::Subscription, value) => {
                if let Ok(id) = row.key.id.parse() {
                    self.drop_subscription(id);
                }
                if let Some(Setting::Subscription(subscription)) = value {
                    self.put_subscription(subscription, row.version);
                }
            }
            (SettingKind::Sealing, Some(Setting::Sealing(value))) => self.sealing_check = Some(value),
            (SettingKind::Hold, value) => {
                self.hold = if let Some(Setting::Hold(hold)) = value { Some(hold) } else { None };
            }
            (SettingKind::Type, value) => {
                if let Some((business, ty)) = row.key.as_type() {
                    self.put_type(business, ty, value, row.version);
                }
            }
            _ => {}
        }
    }

    fn put_type(&mut self, business: BusinessId, ty: TypeId, value: Option<Setting>, version: u64) {
        let own = self.types.entry(business.clone()).or_default();
        match value {
            Some(Setting::Type(definition)) => own.insert(ty, (definition, version)),
            _ => own.remove(&ty),
        };
        self.schemas.insert(business, Schema::of(own.iter().map(|(ty, (definition, _))| (ty, definition))));
    }

    /// The types that a business knows.
    #[must_use]
    pub fn schema(&self, business: &BusinessId) -> Arc<Schema> {
        self.schemas.get(business).cloned().unwrap_or_else(Schema::ready_made)
    }

    /// The types that a business would know if it said this of one.
    #[must_use]
    pub fn schema_with(&self, business: &BusinessId, ty: &TypeId, next: &TypeDefinition) -> Arc<Schema> {
        let own = self.types.get(business).into_iter().flatten().map(|(ty, (definition, _))| (ty, definition));
        let others = own.filter(|(other, _)| *other != ty);
        Schema::of(others.chain([(ty, next)]))
    }

    /// The types that the businesses of an organisation know, each set once.
    #[must_use]
    pub fn schemas_of(&self, organisation: &OrganisationName) -> Vec<Arc<Schema>> {
        let is_own = |id: &&BusinessId| {
            self.businesses.get(*id).is_some_and(|(business, _)| business.organisation == *organisation)
        };
        let own = self.schemas.keys().filter(is_own).map(|id| self.schema(id));
        std::iter::once(Schema::ready_made()).chain(own).collect()
    }

    /// What a business says of a type, with the version of its row.
    #[must_use]
    pub fn definition(&self, business: &BusinessId, ty: &TypeId) -> Option<&(TypeDefinition, u64)> {
        self.types.get(business)?.get(ty)
    }

    /// How many types a business says anything of.
    #[must_use]
    pub fn count_types(&self, business: &BusinessId) -> usize {
        self.types.get(business).map_or(0, BTreeMap::len)
    }

    fn put_application(&mut self, application: Application, version: u64) {
        let reaches = application.grant.compile().unwrap_or_else(|refused| {
            // Conditions are compiled when they are saved; one that no longer compiles must hide, not show.
            tracing::error!(application.id = %application.id, error = %refused, "a grant does not compile: it shows nothing");
            BTreeMap::new()
        });
        let is_broken = reaches.is_empty() && !application.grant.conditions.is_empty();
        let everything = Arc::new(if is_broken { nothing() } else { Reach::everything() });
        self.by_key.insert(application.key_digest, application.id);
        self.by_client.insert(application.client_id.clone(), application.id);
        let live = LiveApplication { version, reaches, everything, application };
        self.applications.insert(live.application.id, Arc::new(live));
    }

    fn put_subscription(&mut self, subscription: Subscription, version: u64) {
        let owner = (subscription.business.clone(), subscription.application);
        self.tells.lock().unwrap_or_else(PoisonError::into_inner).remove(&owner);
        *self.per_business.entry(subscription.business.clone()).or_default() += 1;
        self.by_owner.entry(owner).or_default().insert(subscription.id);
        let live = LiveSubscription { version, subscription: Arc::new(subscription) };
        self.subscriptions.insert(live.subscription.id, live);
    }

    fn drop_subscription(&mut self, id: SubscriptionId) {
        let Some(old) = self.subscriptions.remove(&id) else { return };
        let owner = (old.subscription.business.clone(), old.subscription.application);
        self.tells.lock().unwrap_or_else(PoisonError::into_inner).remove(&owner);
        if let Some(count) = self.per_business.get_mut(&owner.0) {
            *count = count.saturating_sub(1);
        }
        if let Some(owned) = self.by_owner.get_mut(&owner) {
            owned.remove(&id);
        }
    }

    /// The application with this API key's digest.
    #[must_use]
    pub fn by_key(&self, digest: &[u8; 32]) -> Option<&Arc<LiveApplication>> {
        self.by_key.get(digest).and_then(|id| self.applications.get(id))
    }

    /// The application with this client id.
    #[must_use]
    pub fn by_client(&self, client_id: &str) -> Option<&Arc<LiveApplication>> {
        self.by_client.get(client_id).and_then(|id| self.applications.get(id))
    }

    /// An owner's subscriptions in a business.
    pub fn owned_by(&self, owner: &Owner) -> impl Iterator<Item = &LiveSubscription> {
        self.by_owner.get(owner).into_iter().flatten().filter_map(|id| self.subscriptions.get(id))
    }

    /// Subscriptions of a business, of whomever.
    #[must_use]
    pub fn count_in(&self, business: &BusinessId) -> usize {
        self.per_business.get(business).copied().unwrap_or(0)
    }

    /// Whom to tell of an owner's operations in a business.
    #[must_use]
    pub fn tell(&self, owner: &Owner) -> Arc<Tell> {
        let mut tells = self.tells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tell) = tells.get(owner) {
            return Arc::clone(tell);
        }
        let mut tell = Tell::default();
        for live in self.owned_by(owner).filter(|live| live.subscription.is_active()) {
            let subscription = &live.subscription;
            if subscription.takes_kind("operation.failed") {
                tell.failed.push(subscription.id);
            }
            if subscription.lists_kind("operation.completed") {
                tell.completed.push(subscription.id);
            }
        }
        let tell = Arc::new(tell);
        tells.insert(owner.clone(), Arc::clone(&tell));
        tell
    }
}

fn nothing() -> Reach {
    Reach::of_grant(lockstep_expr::Expr::compile("false").ok(), BTreeSet::new())
}

/// Rows newer than a version, all of them.
///
/// # Errors
/// What the store says.
pub async fn newer(store: &dyn Store, version: u64) -> Result<Vec<SettingRow>, StoreError> {
    let (mut after, mut rows) = (version, Vec::new());
    loop {
        let page = store.settings(after, PAGE_ROWS_MAX).await?;
        let Some(last) = page.rows.last() else { return Ok(rows) };
        after = last.version;
        rows.extend(page.rows);
    }
}

/// The server's copy.
#[derive(Debug, Default)]
pub struct SharedSettings {
    inner: RwLock<Settings>,
}

impl SharedSettings {
    /// Reads something off them.
    pub fn read<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        read(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what is newer in the store.
    ///
    /// # Errors
    /// What the store says.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let version = self.read(|settings| settings.version);
        let rows = newer(store, version).await?;
        let mut settings = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            // Two refreshes may overlap: a row already taken in is not taken in again.
            if row.version > settings.version {
                settings.apply(row);
            }
        }
        Ok(())
    }
}
