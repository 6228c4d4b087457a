//! Grants: what a principal may do. Businesses (allow, then deny), abilities, types, row conditions, hidden fields.

use crate::error::{Code, Rejection, shown};
use crate::ids::{BusinessId, TypeId};
use lockstep_expr::Expr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One thing a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ability {
    /// Read by id, history, feed, sync.
    Read,
    /// Search by field.
    Query,
    /// Write records.
    Write,
    /// Subscribe to changes.
    Subscribe,
    /// Store and read files.
    Files,
    /// Administer.
    Manage,
}

impl Ability {
    /// Every ability.
    pub const ALL: [Self; 6] = [Self::Read, Self::Query, Self::Write, Self::Subscribe, Self::Files, Self::Manage];

    /// What a grant holds that names no abilities: everything but administering.
    #[must_use]
    pub fn usual() -> BTreeSet<Self> {
        [Self::Read, Self::Query, Self::Write, Self::Subscribe, Self::Files].into()
    }

    /// The ability as written in a grant.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Query => "query",
            Self::Write => "write",
            Self::Subscribe => "subscribe",
            Self::Files => "files",
            Self::Manage => "manage",
        }
    }
}

/// What may be done with one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeAccess {
    /// Its records may be seen.
    Read,
    /// Its records may be changed.
    Write,
}

impl TypeAccess {
    /// The access as written in a grant.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Which businesses: those allowed (all of the organisation where none are named), less those denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BusinessAccessRule {
    /// Businesses barred, whatever else is said.
    #[serde(default)]
    pub denied_business_ids: BTreeSet<BusinessId>,
    /// The only businesses allowed, where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_business_ids: Option<BTreeSet<BusinessId>>,
}

impl BusinessAccessRule {
    /// Whether a business of the principal's organisation is open to it.
    #[must_use]
    pub fn allows(&self, business: &BusinessId) -> bool {
        self.allowed_business_ids.as_ref().is_none_or(|allowed| allowed.contains(business))
            && !self.denied_business_ids.contains(business)
    }
}

/// What an application may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Where.
    pub business_access_rule: BusinessAccessRule,
    /// What.
    pub abilities: BTreeSet<Ability>,
    /// With which types; all where none are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Which records of a type: those for which the expression is true.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<TypeId, String>,
    /// Fields of a type that are not there for this principal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_fields: BTreeMap<TypeId, BTreeSet<String>>,
}

impl Grant {
    /// Whether the type may be used so.
    #[must_use]
    pub fn allows_type(&self, ty: &TypeId, access: TypeAccess) -> bool {
        self.types.as_ref().is_none_or(|types| types.get(ty).is_some_and(|allowed| allowed.contains(&access)))
    }
}

/// What a token leaves of the grant it was made from; what is not named is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Narrowing {
    /// The only businesses left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub businesses: Option<BTreeSet<BusinessId>>,
    /// The only abilities left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abilities: Option<BTreeSet<Ability>>,
    /// The only types left, and what may be done with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>,
    /// Conditions that records of a type must meet besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<TypeId, BTreeSet<String>>,
    /// Fields of a type that are not there besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_fields: BTreeMap<TypeId, BTreeSet<String>>,
}

impl Narrowing {
    /// Both together.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.businesses = in_both(self.businesses, more.businesses);
        self.abilities = in_both(self.abilities, more.abilities);
        self.types = types_in_both(self.types, more.types);
        join(&mut self.conditions, more.conditions);
        join(&mut self.hidden_fields, more.hidden_fields);
        self
    }
}

/// What both leave; where one says nothing, what the other does.
fn in_both<T: Clone + Ord>(one: Option<BTreeSet<T>>, other: Option<BTreeSet<T>>) -> Option<BTreeSet<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
        (one, other) => one.or(other),
    }
}

type Types = BTreeMap<TypeId, BTreeSet<TypeAccess>>;

/// The types that both leave, with what both allow of them.
pub(crate) fn types_in_both(one: Option<Types>, other: Option<Types>) -> Option<Types> {
    let (one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return one.or(other),
    };
    let both = |(ty, access): (TypeId, BTreeSet<TypeAccess>)| {
        let also = other.get(&ty)?;
        Some((ty, access.intersection(also).copied().collect()))
    };
    Some(one.into_iter().filter_map(both).collect())
}

/// Puts the members of one map of sets into another's.
pub(crate) fn join(into: &mut BTreeMap<TypeId, BTreeSet<String>>, more: BTreeMap<TypeId, BTreeSet<String>>) {
    for (ty, members) in more {
        into.entry(ty).or_default().extend(members);
    }
}

/// Compiles a condition.
///
/// # Errors
/// `invalid_condition`, with the engine's reason.
pub fn compile_condition(text: &str) -> Result<Expr, Rejection> {
    if text.len() > crate::limits::CONDITION_BYTES_MAX {
        return Err(Rejection::new(
            Code::InvalidCondition,
            format!(
                "the condition is {} bytes long; at most {} are taken",
                text.len(),
                crate::limits::CONDITION_BYTES_MAX
            ),
        ));
    }
    Expr::compile(text).map_err(|error| {
        Rejection::new(Code::InvalidCondition, format!("the condition {} does not compile: {error}", shown(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_beats_allowed_and_an_empty_rule_allows_all() {
        let [a, b, c] = ["a", "b", "c"].map(|id| BusinessId::parse(id).unwrap());
        let mut rule = BusinessAccessRule::default();
        assert!(rule.allows(&a));
        rule.denied_business_ids.insert(a.clone());
        rule.allowed_business_ids = Some([a.clone(), b.clone()].into());
        assert_eq!([&a, &b, &c].map(|business| rule.allows(business)), [false, true, false]);
    }
}
