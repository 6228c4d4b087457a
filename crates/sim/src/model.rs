//! The naive model: what a subscriber should be told of a change, worked out the long way from the log and the
//! grant and subscription of one span of time. It shares no code with the engine's scope, index or lanes.

use crate::slow_store::Past;
use lockstep_core::Fields;
use lockstep_core::application::{Application, Business};
use lockstep_core::change::Change;
use lockstep_core::clock::Timestamp;
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::{ApplicationId, BusinessId, SubscriptionId, TypeId};
use lockstep_core::record::State;
use lockstep_core::subscription::Subscription;
use lockstep_store::settings::Setting;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Holds = fn(&Fields) -> bool;

fn city(fields: &Fields) -> Option<&str> {
    fields.get("city").and_then(Value::as_str)
}

/// The conditions that simulated worlds use, each with what it means.
pub const CONDITIONS: [(&str, Holds); 4] = [
    ("city == 'Delft'", |fields| city(fields) == Some("Delft")),
    ("city in ['Delft', 'Breda']", |fields| matches!(city(fields), Some("Delft" | "Breda"))),
    ("city != 'Gent'", |fields| city(fields) != Some("Gent")),
    ("isCustomer", |fields| fields.get("isCustomer") == Some(&Value::Bool(true))),
];

/// Whether a condition holds; one that the model does not know never does.
#[must_use]
pub fn holds(condition: &str, fields: &Fields) -> bool {
    CONDITIONS.iter().any(|(text, means)| *text == condition && means(fields))
}

/// Grant and subscription as they stood for a while.
#[derive(Clone, Debug)]
pub struct Span {
    /// From when.
    pub from: Timestamp,
    /// Until when; the end of time for the last.
    pub until: Timestamp,
    /// The subscription.
    pub subscription: Arc<Subscription>,
    /// The application; none for the administrator's.
    pub application: Option<Arc<Application>>,
    /// The business.
    pub business: Arc<Business>,
}

impl Span {
    /// Whether anything may be sent at all.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let is_granted = self.application.as_ref().is_none_or(|app| {
            !app.is_revoked
                && app.organisation == self.business.organisation
                && app.grant.business_access_rule.allows(&self.business.id)
                && app.grant.abilities.contains(&Ability::Subscribe)
        });
        self.subscription.paused.is_none() && !self.subscription.is_ended && !self.business.is_closed && is_granted
    }

    fn may_read(&self, ty: &TypeId) -> bool {
        self.application.as_ref().is_none_or(|app| {
            let types = app.grant.types.as_ref();
            types.is_none_or(|types| types.get(ty).is_some_and(|access| access.contains(&TypeAccess::Read)))
        })
    }

    /// Fields that are not there.
    fn hidden(&self, ty: &TypeId) -> BTreeSet<String> {
        let grant = self.application.as_ref().map(|app| &app.grant);
        grant.and_then(|grant| grant.hidden_fields.get(ty)).cloned().unwrap_or_default()
    }

    /// What is left of some fields.
    #[must_use]
    pub fn visible(&self, ty: &TypeId, fields: &Fields) -> Fields {
        let hidden = self.hidden(ty);
        fields.iter().filter(|(id, _)| !hidden.contains(*id)).map(|(id, value)| (id.clone(), value.clone())).collect()
    }

    /// Whether a record in this state is within reach.
    #[must_use]
    pub fn sees(&self, ty: &TypeId, state: &State) -> bool {
        let grant = self.application.as_ref().map(|app| &app.grant);
        let row = grant.and_then(|grant| grant.conditions.get(ty));
        let own = self.subscription.condition.as_ref();
        self.may_read(ty)
            && self.subscription.types.as_ref().is_none_or(|types| types.contains(ty))
            && !state.is_deleted
            && row.is_none_or(|row| holds(row, &state.fields))
            && own.is_none_or(|own| holds(own, &self.visible(ty, &state.fields)))
    }
}

/// The spans of one subscription's life, in order.
#[must_use]
pub fn spans(past: &Past, id: SubscriptionId) -> Vec<Span> {
    let (mut subscription, mut applications, mut businesses) =
        (None, BTreeMap::<ApplicationId, Arc<Application>>::new(), BTreeMap::<BusinessId, Arc<Business>>::new());
    let mut spans: Vec<Span> = Vec::new();
    for (at, key, value) in &past.puts {
        match value {
            Some(Setting::Subscription(found)) if found.id == id => subscription = Some(Arc::new(found.clone())),
            None if key.id == id.to_string() => subscription = None,
            Some(Setting::Application(found)) => {
                applications.insert(found.id, Arc::new(found.clone()));
            }
            Some(Setting::Business(found)) => {
                businesses.insert(found.id.clone(), Arc::new(found.clone()));
            }
            _ => continue,
        }
        if let Some(last) = spans.last_mut().filter(|last| last.until == Timestamp(i64::MAX)) {
            last.until = *at;
        }
        let Some(standing) = &subscription else { continue };
        let Some(business) = businesses.get(&standing.business) else { continue };
        spans.push(Span {
            from: *at,
            until: Timestamp(i64::MAX),
            subscription: Arc::clone(standing),
            application: standing.application.and_then(|app| applications.get(&app).cloned()),
            business: Arc::clone(business),
        });
    }
    spans
}

/// What a subscriber is told of one change.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// As what kind.
    pub kind: &'static str,
    /// Why as that.
    pub reason: Option<&'static str>,
    /// The values after it; none where only the id is told.
    pub fields: Option<Fields>,
    /// The values before it of what changed, for an update.
    pub old: Option<Fields>,
}

/// What a subscriber should be told of a change, given the record's state before it.
#[must_use]
pub fn told(span: &Span, change: &Change, before: Option<&State>) -> Option<Told> {
    let subscription = &span.subscription;
    let is_own = subscription.application.is_some() && change.origin.application() == subscription.application;
    let is_named = subscription.record_ids.as_ref().is_none_or(|ids| ids.contains(&change.record));
    if (subscription.exclude_own && is_own) || !is_named {
        return None;
    }
    let was_in = before.is_some_and(|before| span.sees(&change.ty, before));
    let is_in = span.sees(&change.ty, &change.state);
    let was_alive = before.is_some_and(|before| !before.is_deleted);
    let fields = Some(span.visible(&change.ty, &change.state.fields));
    let told = match (was_in, is_in) {
        (false, false) => return None,
        (true, false) if change.state.is_deleted => Told { kind: "deleted", reason: None, fields, old: None },
        (true, false) => Told { kind: "deleted", reason: Some("left-scope"), fields: None, old: None },
        (false, true) if was_alive => Told { kind: "created", reason: Some("entered-scope"), fields, old: None },
        (false, true) => Told { kind: "created", reason: None, fields, old: None },
        (true, true) => inside(span, change, before)?,
    };
    let changed: Vec<&String> = told.old.iter().flat_map(Fields::keys).collect();
    let names_field = |kinds: &BTreeSet<String>| changed.iter().any(|id| kinds.contains(&format!("{id}.updated")));
    let takes = subscription.kinds.as_ref().is_none_or(|kinds| kinds.contains(told.kind) || names_field(kinds));
    let is_about = told.kind != "updated"
        || subscription.fields.as_ref().is_none_or(|fields| changed.iter().any(|id| fields.contains(*id)));
    (takes && is_about).then_some(told)
}

/// A change of a record that was and stays within reach.
fn inside(span: &Span, change: &Change, before: Option<&State>) -> Option<Told> {
    let fields = span.visible(&change.ty, &change.state.fields);
    let has_other_ids = before?.external_ids != change.state.external_ids;
    let before = span.visible(&change.ty, &before?.fields);
    let ids: BTreeSet<&String> = fields.keys().chain(before.keys()).collect();
    let differing = ids.into_iter().filter(|id| fields.get(*id) != before.get(*id));
    let old: Fields = differing.map(|id| (id.clone(), before.get(id).cloned().unwrap_or(Value::Null))).collect();
    match change.kind.as_str() {
        "updated" if old.is_empty() && !has_other_ids => None,
        "updated" if old.is_empty() => Some(Told { kind: "correlated", reason: None, fields: Some(fields), old: None }),
        "updated" => Some(Told { kind: "updated", reason: None, fields: Some(fields), old: Some(old) }),
        kind => Some(Told { kind, reason: None, fields: Some(fields), old: None }),
    }
}
