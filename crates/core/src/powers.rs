//! Powers: what a credential may do once all that narrows it is taken in.
//!
//! An application's are its grant; a token's are what its narrowing leaves of them. They are derived, never stored: a
//! grant that changes changes the powers of every token made from it.

use crate::error::Rejection;
use crate::grant::{Grant, Narrowing, compile_condition, join, types_in_both};
use crate::ids::TypeId;
use crate::rules::scope::{Reach, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a credential may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Powers {
    /// The grant, narrowed in everything but its conditions.
    pub grant: Grant,
    /// Conditions that records of a type must meet besides the grant's.
    pub further: BTreeMap<TypeId, BTreeSet<String>>,
    /// Fields hidden by the application's own grant: the further conditions do not see them.
    unseen: BTreeMap<TypeId, BTreeSet<String>>,
}

impl Powers {
    /// Those of an application.
    #[must_use]
    pub fn of(grant: &Grant) -> Self {
        Self { grant: grant.clone(), further: BTreeMap::new(), unseen: grant.hidden_fields.clone() }
    }

    /// What is left of them.
    #[must_use]
    pub fn narrowed(mut self, by: &Narrowing) -> Self {
        let grant = &mut self.grant;
        if let Some(only) = &by.businesses {
            let rule = &mut grant.business_access_rule;
            let open = only.iter().filter(|business| rule.allows(business)).cloned().collect();
            rule.allowed_business_ids = Some(open);
        }
        if let Some(only) = &by.abilities {
            grant.abilities.retain(|ability| only.contains(ability));
        }
        grant.types = types_in_both(grant.types.take(), by.types.clone());
        join(&mut grant.hidden_fields, by.hidden_fields.clone());
        join(&mut self.further, by.conditions.clone());
        self
    }

    /// The condition under which records of a type are seen, as a grant would word it; none where all are.
    #[must_use]
    pub fn condition(&self, ty: &TypeId) -> Option<String> {
        let own = self.grant.conditions.get(ty).into_iter();
        let all: Vec<&String> = own.chain(self.further.get(ty).into_iter().flatten()).collect();
        match all.as_slice() {
            [] => None,
            [one] => Some((*one).clone()),
            many => Some(many.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and ")),
        }
    }

    /// Whether anything is seen of some records alone.
    #[must_use]
    pub fn has_conditions(&self) -> bool {
        !self.grant.conditions.is_empty() || !self.further.is_empty()
    }

    /// What of a grant goes beyond these powers, in words; none where it stays within them. Conditions are compared
    /// word for word: whether one expression allows less than another cannot be told.
    #[must_use]
    pub fn exceeded_by(&self, other: &Grant) -> Option<String> {
        let own = &self.grant;
        let (rule, wanted) = (&own.business_access_rule, &other.business_access_rule);
        let is_open_to_less = match (&wanted.allowed_business_ids, &rule.allowed_business_ids) {
            (Some(only), _) => only.iter().filter(|id| wanted.allows(id)).all(|id| rule.allows(id)),
            (None, None) => rule.denied_business_ids.is_subset(&wanted.denied_business_ids),
            (None, Some(_)) => false,
        };
        if !is_open_to_less {
            return Some("businesses that this credential may not enter".to_owned());
        }
        if let Some(ability) = other.abilities.difference(&own.abilities).next() {
            return Some(format!("the ability {:?}", ability.as_str()));
        }
        if let Some(beyond) = types_beyond(own, other) {
            return Some(beyond);
        }
        let is_granted = |ty: &TypeId| other.types.as_ref().is_none_or(|types| types.contains_key(ty));
        let conditioned = own.conditions.keys().chain(self.further.keys());
        if let Some(ty) =
            conditioned.filter(|ty| is_granted(ty)).find(|ty| other.conditions.get(*ty) != self.condition(ty).as_ref())
        {
            return Some(format!("{ty} records that this credential's own condition leaves out"));
        }
        let hides = |ty: &TypeId, fields: &BTreeSet<String>| {
            fields.is_empty() || other.hidden_fields.get(ty).is_some_and(|hidden| fields.is_subset(hidden))
        };
        let shown = own.hidden_fields.iter().filter(|(ty, _)| is_granted(ty)).find(|(ty, fields)| !hides(ty, fields));
        shown.map(|(ty, _)| format!("fields of {ty} that are hidden from this credential"))
    }

    /// What is seen of each type that is not seen whole.
    ///
    /// # Errors
    /// `invalid_condition`, naming the type and what is wrong.
    pub fn compile(&self) -> Result<BTreeMap<TypeId, Arc<Reach>>, Rejection> {
        let grant = &self.grant;
        let types: BTreeSet<&TypeId> =
            grant.conditions.keys().chain(self.further.keys()).chain(grant.hidden_fields.keys()).collect();
        let row = |ty: &TypeId, text: &String, unseen: BTreeSet<String>| {
            let compiled = compile_condition(text).map_err(|refused| refused.at(format!("/conditions/{ty}")))?;
            Ok(Row { condition: compiled, unseen })
        };
        let reach = |ty: &TypeId| -> Result<Reach, Rejection> {
            let own = grant.conditions.get(ty).map(|text| row(ty, text, BTreeSet::new()));
            let unseen = self.unseen.get(ty).cloned().unwrap_or_default();
            let further = self.further.get(ty).into_iter().flatten().map(|text| row(ty, text, unseen.clone()));
            let rows = own.into_iter().chain(further).collect::<Result<_, Rejection>>()?;
            Ok(Reach::of_rows(rows, grant.hidden_fields.get(ty).cloned().unwrap_or_default()))
        };
        types.into_iter().map(|ty| Ok((ty.clone(), Arc::new(reach(ty)?)))).collect()
    }
}

/// What one grant does with types that another does not allow, in words.
fn types_beyond(own: &Grant, other: &Grant) -> Option<String> {
    own.types.as_ref()?;
    let Some(wanted) = &other.types else { return Some("types that this credential may not use".to_owned()) };
    let all = wanted.iter().flat_map(|(ty, access)| access.iter().map(move |access| (ty, *access)));
    let beyond = all.into_iter().find(|(ty, access)| !own.allows_type(ty, *access));
    beyond.map(|(ty, access)| format!("to {} {ty} records", access.as_str()))
}

#[cfg(test)]
#[path = "powers_tests.rs"]
mod tests;
