//! Settings as last read: businesses, applications, subscriptions, with the indexes that each request needs.
//!
//! A reader knows the version it has read up to and asks the store only for what is newer, so a change costs what
//! it changes. The server's copy is shared behind a lock; the post room keeps one of its own.

pub mod sharing;

use lockstep_core::application::{Application, Business, Token};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::Tell;
use lockstep_core::grant::TypeAccess;
use lockstep_core::ids::{ApplicationId, BusinessId, OrganisationName, SubscriptionId, TokenId, TypeId};
use lockstep_core::limits::PAGE_ROWS_MAX;
use lockstep_core::powers::Powers;
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Schema;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_core::subscription::Subscription;
use lockstep_store::settings::{Hold, Setting, SettingKind, SettingRow};
use lockstep_store::{Store, StoreError};
use sharing::Sharing;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// A credential ready for use: an application's own, or a token's, with what it may do compiled.
#[derive(Debug)]
pub struct LiveApplication {
    /// The application it calls for.
    pub application: Application,
    /// The token, where it is one.
    pub token: Option<Token>,
    /// What it may do.
    pub powers: Powers,
    /// The version of its row.
    pub version: u64,
    /// Whether it, its application, or a token it was made from has been revoked.
    pub is_revoked: bool,
    reaches: BTreeMap<TypeId, Arc<Reach>>,
    everything: Arc<Reach>,
}

impl LiveApplication {
    fn of(application: Application, token: Option<Token>, version: u64, has_lost_a_parent: bool) -> Self {
        let powers = Powers::of(&application.grant);
        let powers = match &token {
            Some(token) => powers.narrowed(&token.narrowing),
            None => powers,
        };
        let (reaches, everything) = match powers.compile() {
            Ok(reaches) => (reaches, Reach::everything()),
            Err(refused) => {
                // Conditions are compiled when they are saved; one that no longer compiles must hide, not show.
                tracing::error!(application.id = %application.id, error = %refused, "a grant does not compile: it shows nothing");
                (BTreeMap::new(), Reach::nothing())
            }
        };
        let is_token_revoked = token.as_ref().is_some_and(|token| token.revoked_at.is_some());
        let is_revoked = application.is_revoked || is_token_revoked || has_lost_a_parent;
        Self { application, token, powers, version, is_revoked, reaches, everything: Arc::new(everything) }
    }

    /// Whether it may still be used.
    #[must_use]
    pub fn is_living(&self, now: Timestamp) -> bool {
        !self.is_revoked && !self.token.as_ref().is_some_and(|token| token.has_expired(now))
    }

    /// Its token's id, where it is one.
    #[must_use]
    pub fn token_id(&self) -> Option<TokenId> {
        self.token.as_ref().map(|token| token.id)
    }

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
        self.is_at_home(business) && self.powers.grant.allows_type(ty, access)
    }

    /// Whether a business is open to it.
    #[must_use]
    pub fn is_at_home(&self, business: &Business) -> bool {
        !self.is_revoked
            && !business.is_closed
            && business.organisation == self.application.organisation
            && self.powers.grant.business_access_rule.allows(&business.id)
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

/// Whose things are: those of one credential in one business.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The business.
    pub business: BusinessId,
    /// The application; none for the administrator.
    pub application: Option<ApplicationId>,
    /// The token, where it was one. What an application's tokens have is the application's too.
    pub token: Option<TokenId>,
}

impl Owner {
    /// A subscription's owner.
    #[must_use]
    pub fn of(subscription: &Subscription) -> Self {
        let Subscription { business, application, token, .. } = subscription;
        Self { business: business.clone(), application: *application, token: *token }
    }

    /// The same without its token.
    fn whole(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// Its application and all of that one's tokens.
    fn all(&self) -> RangeInclusive<Self> {
        self.whole()..=Self { token: Some(TokenId(u128::MAX)), ..self.clone() }
    }
}

/// All settings, with indexes.
#[derive(Debug, Default)]
pub struct Settings {
    /// The version read up to.
    pub version: u64,
    /// Businesses, with the versions of their rows.
    pub businesses: BTreeMap<BusinessId, (Arc<Business>, u64)>,
    /// Applications.
    pub applications: BTreeMap<ApplicationId, Arc<LiveApplication>>,
    /// Tokens of applications that are known.
    pub tokens: BTreeMap<TokenId, Arc<LiveApplication>>,
    /// Subscriptions.
    pub subscriptions: BTreeMap<SubscriptionId, LiveSubscription>,
    /// The value that tells a wrong sealing key.
    pub sealing_check: Option<String>,
    /// Why nothing leaves, where the hub is held.
    pub hold: Option<Hold>,
    token_rows: BTreeMap<TokenId, (Token, u64)>,
    tokens_of: BTreeMap<ApplicationId, BTreeSet<TokenId>>,
    /// What businesses say of types, with the versions of their rows.
    types: BTreeMap<BusinessId, BTreeMap<TypeId, (TypeDefinition, u64)>>,
    /// The types that a business knows, where it says anything of them.
    schemas: BTreeMap<BusinessId, Arc<Schema>>,
    /// Connections and shares.
    pub sharing: Sharing,
    by_key: BTreeMap<[u8; 32], (ApplicationId, Option<TokenId>)>,
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
            (SettingKind::Token, Some(Setting::Token(token))) => self.put_token(token, row.version),
            (SettingKind::Token, None) => {
                if let Ok(id) = row.key.id.parse() {
                    self.drop_token(id);
                }
            }
            (SettingKind::Sealing, Some(Setting::Sealing(value))) => self.sealing_check = Some(value),
            (SettingKind::Hold, value) => {
                self.hold = if let Some(Setting::Hold(hold)) = value { Some(hold) } else { None };
            }
            (SettingKind::Connection | SettingKind::Share, value) => {
                self.sharing.apply(&row.key.id, value, row.version);
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
        let id = application.id;
        if let Some(old) = self.applications.get(&id) {
            self.by_key.remove(&old.application.key_digest);
        }
        self.by_key.insert(application.key_digest, (id, None));
        self.by_client.insert(application.client_id.clone(), id);
        self.applications.insert(id, Arc::new(LiveApplication::of(application, None, version, false)));
        for token in self.tokens_of.get(&id).cloned().unwrap_or_default() {
            self.compile_token(token);
        }
    }

    fn put_token(&mut self, token: Token, version: u64) {
        let (id, application) = (token.id, token.application);
        self.by_key.insert(token.key_digest, (application, Some(id)));
        self.tokens_of.entry(application).or_default().insert(id);
        self.token_rows.insert(id, (token, version));
        self.compile_token(id);
        // Rows come in the order of their last change: one that was made from it may have come before it.
        self.compile_children(application, id);
    }

    fn drop_token(&mut self, id: TokenId) {
        let Some((token, _)) = self.token_rows.remove(&id) else { return };
        self.by_key.remove(&token.key_digest);
        self.tokens.remove(&id);
        if let Some(tokens) = self.tokens_of.get_mut(&token.application) {
            tokens.remove(&id);
        }
        self.compile_children(token.application, id);
    }

    /// Makes a token ready for use, or ready anew, as soon as its application is known.
    fn compile_token(&mut self, id: TokenId) {
        let Some((token, version)) = self.token_rows.get(&id) else { return };
        let Some(live) = self.applications.get(&token.application) else { return };
        let is_gone = |parent: &TokenId| self.token_rows.get(parent).is_none_or(|(row, _)| row.revoked_at.is_some());
        let has_lost_a_parent = token.parents.iter().any(is_gone);
        let live = LiveApplication::of(live.application.clone(), Some(token.clone()), *version, has_lost_a_parent);
        self.tokens.insert(id, Arc::new(live));
    }

    fn compile_children(&mut self, application: ApplicationId, parent: TokenId) {
        for id in self.tokens_of.get(&application).cloned().unwrap_or_default() {
            if self.token_rows.get(&id).is_some_and(|(token, _)| token.parents.contains(&parent)) {
                self.compile_token(id);
            }
        }
    }

    fn put_subscription(&mut self, subscription: Subscription, version: u64) {
        let owner = Owner::of(&subscription);
        self.forget_tells(&owner);
        *self.per_business.entry(subscription.business.clone()).or_default() += 1;
        self.by_owner.entry(owner).or_default().insert(subscription.id);
        let live = LiveSubscription { version, subscription: Arc::new(subscription) };
        self.subscriptions.insert(live.subscription.id, live);
    }

    fn drop_subscription(&mut self, id: SubscriptionId) {
        let Some(old) = self.subscriptions.remove(&id) else { return };
        let owner = Owner::of(&old.subscription);
        self.forget_tells(&owner);
        if let Some(count) = self.per_business.get_mut(&owner.business) {
            *count = count.saturating_sub(1);
        }
        if let Some(owned) = self.by_owner.get_mut(&owner) {
            owned.remove(&id);
            if owned.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }

    /// Whom a subscription tells of what its owner's tokens do, too: what was known of any of them is found anew.
    fn forget_tells(&self, owner: &Owner) {
        let mut tells = self.tells.lock().unwrap_or_else(PoisonError::into_inner);
        let touched: Vec<Owner> = tells.range(owner.all()).map(|(known, _)| known.clone()).collect();
        for known in touched {
            tells.remove(&known);
        }
    }

    /// The credential with this key's digest.
    #[must_use]
    pub fn by_key(&self, digest: &[u8; 32]) -> Option<&Arc<LiveApplication>> {
        self.by_key.get(digest).and_then(|(application, token)| self.credential(*application, *token))
    }

    /// The application with this client id.
    #[must_use]
    pub fn by_client(&self, client_id: &str) -> Option<&Arc<LiveApplication>> {
        self.by_client.get(client_id).and_then(|id| self.applications.get(id))
    }

    /// An application's own credential, or one of its tokens.
    #[must_use]
    pub fn credential(&self, application: ApplicationId, token: Option<TokenId>) -> Option<&Arc<LiveApplication>> {
        match token {
            None => self.applications.get(&application),
            Some(token) => self.tokens.get(&token),
        }
    }

    /// An application's tokens, oldest first, with those that have ended.
    pub fn tokens_of(&self, application: ApplicationId) -> impl Iterator<Item = &Arc<LiveApplication>> {
        self.tokens_of.get(&application).into_iter().flatten().filter_map(|id| self.tokens.get(id))
    }

    /// An owner's subscriptions in a business: a token's are those made with it, an application's are its tokens' too.
    pub fn owned_by(&self, owner: &Owner) -> impl Iterator<Item = &LiveSubscription> {
        let owners = if owner.token.is_some() { owner.clone()..=owner.clone() } else { owner.all() };
        self.by_owner.range(owners).flat_map(|(_, ids)| ids).filter_map(|id| self.subscriptions.get(id))
    }

    /// Subscriptions of a business, of whomever.
    #[must_use]
    pub fn count_in(&self, business: &BusinessId) -> usize {
        self.per_business.get(business).copied().unwrap_or(0)
    }

    /// The subscriptions that may be told what an owner does: those made with the same credential, and, of what a
    /// token does, its application's own.
    pub fn told_of(&self, owner: &Owner) -> impl Iterator<Item = &LiveSubscription> {
        let whole = owner.token.map(|_| owner.whole());
        let owned = whole.and_then(|whole| self.by_owner.get(&whole)).into_iter().chain(self.by_owner.get(owner));
        owned.flatten().filter_map(|id| self.subscriptions.get(id))
    }

    /// Whom to tell of an owner's operations in a business.
    #[must_use]
    pub fn tell(&self, owner: &Owner) -> Arc<Tell> {
        let mut tells = self.tells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tell) = tells.get(owner) {
            return Arc::clone(tell);
        }
        let mut tell = Tell::default();
        for live in self.told_of(owner).filter(|live| live.subscription.is_active()) {
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
