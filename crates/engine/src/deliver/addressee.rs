//! An addressee: a subscription made ready to match and to sign, with the grant of now.

use super::credential::Credentials;
use super::template::Form;
use crate::World;
use crate::seal::subscription_place;
use crate::settings::{LiveApplication, Settings};
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::change::{Change, ChangeKind};
use lockstep_core::clock::Timestamp;
use lockstep_core::grant::{Ability, TypeAccess, compile_condition};
use lockstep_core::ids::{RecordId, SubscriptionId, TypeId};
use lockstep_core::record::Record;
use lockstep_core::rules::scope::{Reach, Seen, look};
use lockstep_core::rules::signature::Signer;
use lockstep_core::schema::Shape;
use lockstep_core::subscription::{Format, Signing, Subscription, Under};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// A subscription with everything that a delivery needs.
#[derive(Debug)]
pub(super) struct Addressee {
    pub(super) subscription: Arc<Subscription>,
    pub(super) business: Arc<Business>,
    pub(super) application: Option<Arc<LiveApplication>>,
    pub(super) url: Url,
    /// Its template, in the format of that name.
    pub(super) form: Option<Form>,
    pub(super) signer: Signer,
    pub(super) credentials: Credentials,
    /// When the first of its secrets stops signing, or its token's time is over: it is made anew then.
    pub(super) good_until: Option<Timestamp>,
    everything: Arc<Reach>,
    /// What changes of fields are called, by type, where the subscription names kinds.
    update_kinds: BTreeMap<TypeId, BTreeMap<String, String>>,
    /// Where the subscription has a condition of its own: what that leaves.
    narrowed: Option<Narrowed>,
}

/// What a subscription's own condition leaves of what may be seen.
#[derive(Debug)]
struct Narrowed {
    /// Of each type of which not all may be seen.
    types: BTreeMap<TypeId, Arc<Reach>>,
    /// Of every other.
    others: Arc<Reach>,
}

impl Narrowed {
    fn of(subscription: &Subscription, application: Option<&LiveApplication>) -> Result<Option<Self>, &'static str> {
        let Some(text) = &subscription.condition else { return Ok(None) };
        let own = compile_condition(text).map_err(|_refused| "its condition does not compile")?;
        let narrowed = |reach: &Reach| Arc::new(reach.narrowed(Some(own.clone())));
        let Some((types, others)) = application.map(LiveApplication::reaches) else {
            return Ok(Some(Self { types: BTreeMap::new(), others: narrowed(&Reach::everything()) }));
        };
        let types = types.iter().map(|(ty, reach)| (ty.clone(), narrowed(reach))).collect();
        Ok(Some(Self { types, others: narrowed(others) }))
    }

    fn of_type(&self, ty: &TypeId) -> Arc<Reach> {
        Arc::clone(self.types.get(ty).unwrap_or(&self.others))
    }
}

impl Addressee {
    /// The addressee, if anything may be sent to it now; otherwise why not.
    pub(super) fn of(world: &World, settings: &Settings, id: SubscriptionId) -> Result<Self, &'static str> {
        if settings.hold.is_some() {
            return Err(crate::control::hold::WHY);
        }
        let live = settings.subscriptions.get(&id).ok_or("it is gone")?;
        let subscription = Arc::clone(&live.subscription);
        if !subscription.is_active() {
            return Err("it is paused or has ended");
        }
        let business = settings.businesses.get(&subscription.business).map(|(business, _)| Arc::clone(business));
        let business = business.filter(|business| !business.is_closed).ok_or("its business is closed")?;
        let application = match subscription.application {
            None => None,
            Some(id) => {
                let live = settings.credential(id, subscription.token).ok_or("its application or token is gone")?;
                if !live.is_at_home(&business) || !live.powers.grant.abilities.contains(&Ability::Subscribe) {
                    return Err("its application has no grant for the business");
                }
                if !live.is_living(world.clock.now()) {
                    return Err("its token has expired");
                }
                Some(Arc::clone(live))
            }
        };
        let url = Url::parse(&subscription.url).map_err(|_malformed| "its URL does not read")?;
        let place = subscription_place(&business.id, id);
        let now = world.clock.now();
        let living = subscription.secrets.iter().filter(|secret| secret.expires_at.is_none_or(|at| at > now));
        let signs_until = living.clone().filter_map(|secret| secret.expires_at);
        let token = application.as_ref().and_then(|live| live.token.as_ref());
        let good_until = signs_until.chain(token.and_then(|token| token.expires_at)).min();
        let secrets: Vec<_> = living.filter_map(|secret| world.sealer.open_secret(&secret.sealed, &place)).collect();
        if secrets.is_empty() {
            return Err("its secret does not open");
        }
        let signing = subscription.signing;
        let signer = Signer::new(&secrets, signing != Signing::Ed25519, signing != Signing::Hmac);
        let credentials = Credentials::open(world, &subscription)?;
        let template = subscription.template.as_deref().filter(|_| subscription.format == Format::Template);
        let form = template.and_then(Form::of);
        let narrowed = Narrowed::of(&subscription, application.as_deref())?;
        let update_kinds = match subscription.kinds {
            Some(_) => {
                settings.schema(&business.id).shapes().map(|shape| (shape.id.clone(), shape.update_kinds())).collect()
            }
            None => BTreeMap::new(),
        };
        let everything = Arc::new(Reach::everything());
        Ok(Self {
            subscription,
            business,
            application,
            url,
            form,
            signer,
            credentials,
            good_until,
            everything,
            update_kinds,
            narrowed,
        })
    }

    fn wants_type(&self, ty: &TypeId) -> bool {
        self.subscription.types.as_ref().is_none_or(|types| types.contains(ty))
    }

    /// Whether it wants a record, by its id or by what one of these states refers to. Where neither is asked for it
    /// wants all. A reference that the reader may not see leads nowhere.
    fn wants_record(&self, record: RecordId, reach: &Reach, states: &[&Fields]) -> bool {
        let subscription = &self.subscription;
        if !subscription.names_records() {
            return true;
        }
        let points = |under: &Under| {
            let parent = under.id.to_string();
            let is_there = |fields: &&Fields| fields.get(&under.field).and_then(Value::as_str) == Some(&parent);
            !reach.hides(&under.field) && states.iter().any(is_there)
        };
        subscription.record_ids.as_ref().is_some_and(|ids| ids.contains(&record))
            || subscription.under.iter().flatten().any(points)
    }

    fn granted(&self, ty: &TypeId) -> Option<Arc<Reach>> {
        match &self.application {
            None => Some(Arc::clone(&self.everything)),
            Some(live) if live.may(&self.business, ty, TypeAccess::Read) => Some(live.reach(ty)),
            Some(_) => None,
        }
    }

    fn reach(&self, ty: &TypeId) -> Option<Arc<Reach>> {
        let granted = self.granted(ty)?;
        Some(self.narrowed.as_ref().map_or(granted, |narrowed| narrowed.of_type(ty)))
    }

    /// The change as the addressee may see it, if it wants it.
    pub(super) fn view<'a>(&self, change: &'a Change) -> Option<Seen<'a>> {
        let subscription = &self.subscription;
        let is_own = subscription.application.is_some() && change.origin.application() == subscription.application;
        if (subscription.exclude_own && is_own) || !self.wants_type(&change.ty) {
            return None;
        }
        let reach = self.reach(&change.ty)?;
        if !self.wants_record(change.record, &reach, &[&change.state.fields, &change.old]) {
            return None;
        }
        let mut seen = look(change, &reach)?;
        // A record that was merged is gone: whoever asks for deletions and knows no merges is told of it as one.
        if seen.kind == ChangeKind::Merged && !subscription.takes_kind(ChangeKind::Merged.as_str()) {
            seen.kind = ChangeKind::Deleted;
        }
        (self.wants_kind(&change.ty, &seen) && self.wants_fields(&seen)).then_some(seen)
    }

    /// Whether some field's changes are called so.
    pub(super) fn is_update_kind(&self, kind: &str) -> bool {
        self.update_kinds.values().flat_map(BTreeMap::values).any(|known| known == kind)
    }

    fn wants_kind(&self, ty: &TypeId, seen: &Seen<'_>) -> bool {
        let subscription = &self.subscription;
        let own_kinds = self.update_kinds.get(ty);
        let is_listed = |field: &String| {
            let own = own_kinds.and_then(|kinds| kinds.get(field));
            subscription.lists_kind(&format!("{field}.updated"))
                || own.is_some_and(|kind| subscription.lists_kind(kind))
        };
        let names_a_field = || seen.kind == ChangeKind::Updated && seen.old.keys().any(is_listed);
        subscription.takes_kind(seen.kind.as_str()) || names_a_field()
    }

    fn wants_fields(&self, seen: &Seen<'_>) -> bool {
        match &self.subscription.fields {
            Some(fields) if seen.kind == ChangeKind::Updated => seen.old.keys().any(|field| fields.contains(field)),
            _ => true,
        }
    }

    /// Whether the token that it was made with has expired.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.application.as_ref().is_some_and(|live| !live.is_living(now))
    }

    /// What the addressee may see of a record as it is.
    pub(super) fn current<'a>(&self, record: &'a Record) -> Option<Cow<'a, Fields>> {
        let reach = self.reach(&record.ty).filter(|_| self.wants_type(&record.ty))?;
        let is_wanted = self.wants_record(record.id, &reach, &[&record.state.fields]);
        (is_wanted && reach.sees(&record.state)).then(|| reach.visible(&record.state.fields))
    }

    /// A record of this shape as the addressee could see one, for a test: a value of its kind in each field.
    pub(super) fn sample(&self, shape: &Shape) -> Fields {
        let reach = self.reach(&shape.id).unwrap_or_default();
        shape.visible_fields(&reach).map(|field| (field.id.clone(), field.kind.sample())).collect()
    }

    /// Whether a change of this kind could be told as another kind to this addressee.
    pub(super) fn may_shift_kinds(&self) -> bool {
        let has_rows = |live: &Arc<LiveApplication>| live.powers.has_conditions();
        self.subscription.condition.is_some() || self.application.as_ref().is_some_and(has_rows)
    }
}

#[cfg(test)]
impl Addressee {
    /// Someone to send to, for tests that never send.
    pub(super) fn of_nobody() -> Self {
        Self::of_somebody(&serde_json::json!({}))
    }

    /// Someone with these members of a subscription, for tests that never send.
    pub(super) fn of_somebody(more: &Value) -> Self {
        let business = serde_json::json!({
            "id": "a1", "organisation": "Acme", "name": "a1", "created_at": 0, "is_closed": false
        });
        let mut subscription = serde_json::json!({
            "id": SubscriptionId(1), "business": "a1", "label": "", "url": "https://a.example/", "format": "standard",
            "signing": "hmac", "exclude_own": false, "secrets": [], "is_ended": false, "created_at": 0
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            subscription[name] = value.clone();
        }
        let subscription: Subscription = serde_json::from_value(subscription).unwrap();
        Self {
            form: subscription.template.as_deref().and_then(Form::of),
            subscription: Arc::new(subscription),
            business: Arc::new(serde_json::from_value(business).unwrap()),
            application: None,
            url: Url::parse("https://a.example/").unwrap(),
            signer: Signer::new(&[], true, false),
            credentials: Credentials::default(),
            good_until: None,
            everything: Arc::new(Reach::everything()),
            update_kinds: BTreeMap::new(),
            narrowed: None,
        }
    }
}
