//! What is drawn: what a credential may see, what a token leaves of it, and what happens.

use super::ledger::{Condition, Sight};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The types that things happen to, with what may be asked of their records.
pub(super) const TYPES: [(&str, [Condition; 3]); 2] = [
    ("contact", [Condition::Is("city", "Delft"), Condition::IsTrue("isLead"), Condition::IsNot("firstName", "Ann")]),
    (
        "organization",
        [Condition::Is("city", "Delft"), Condition::IsTrue("isCustomer"), Condition::IsNot("name", "Ann")],
    ),
];

/// A field's possible values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Values {
    /// This, or a marker.
    TextOr(&'static str),
    Flag,
    Marker,
    /// One of two addresses, so that records are alike.
    Email,
    Organization,
}

const CONTACT: [(&str, Values); 7] = [
    ("city", Values::TextOr("Delft")),
    ("isLead", Values::Flag),
    ("firstName", Values::TextOr("Ann")),
    ("lastName", Values::Marker),
    ("email", Values::Email),
    ("jobTitle", Values::Marker),
    ("organizationId", Values::Organization),
];

const ORGANIZATION: [(&str, Values); 5] = [
    ("city", Values::TextOr("Delft")),
    ("isCustomer", Values::Flag),
    ("name", Values::TextOr("Ann")),
    ("legalName", Values::Marker),
    ("email", Values::Email),
];

pub(super) fn fields_of(ty: &str) -> &'static [(&'static str, Values)] {
    if ty == "contact" { &CONTACT } else { &ORGANIZATION }
}

/// Fields by number, with which of their values they get.
pub(super) type Patch = Vec<(usize, u8)>;

/// Something that happens; records by number among those that it can happen to.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Create(usize, Patch),
    Patch(usize, usize, Patch),
    Delete(usize, usize),
    Call(usize, usize, bool),
    Merge(usize, usize, usize),
    Unmerge(usize),
}

fn patch(longest: usize) -> impl Strategy<Value = Patch> {
    prop::collection::vec((0..CONTACT.len(), 0..8_u8), 1..=longest)
}

fn step() -> impl Strategy<Value = Step> {
    let ty = || prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let any = || 0..100_usize;
    prop_oneof![
        4 => (ty(), patch(6)).prop_map(|(ty, patch)| Step::Create(ty, patch)),
        8 => (ty(), any(), patch(2)).prop_map(|(ty, record, patch)| Step::Patch(ty, record, patch)),
        1 => (ty(), any()).prop_map(|(ty, record)| Step::Delete(ty, record)),
        2 => (ty(), any(), any()).prop_map(|(ty, record, realm)| Step::Call(ty, record, realm % 2 == 0)),
        2 => (ty(), any(), any()).prop_map(|(ty, goes, stays)| Step::Merge(ty, goes, stays)),
        1 => any().prop_map(Step::Unmerge),
    ]
}

fn sight(ty: usize) -> impl Strategy<Value = Sight> {
    let access = prop_oneof![6 => Just((true, true)), 1 => Just((true, false)), 1 => Just((false, false))];
    (access, prop::option::weighted(0.8, 0..3_usize), prop::collection::btree_set(0..7_usize, 0..3)).prop_map(
        move |((reads, writes), condition, hidden)| {
            let (name, conditions) = TYPES[ty];
            let fields = fields_of(name);
            Sight {
                reads,
                writes,
                conditions: condition.map(|one| conditions[one]).into_iter().collect(),
                hidden: hidden.into_iter().filter_map(|one| fields.get(one)).map(|(field, _)| *field).collect(),
            }
        },
    )
}

pub(super) type Sights = BTreeMap<&'static str, Sight>;

/// What a credential may do; one in eight lacks the ability to read.
fn sights() -> impl Strategy<Value = Sights> {
    (sight(0), sight(1), 0..8_u8).prop_map(|(mut contact, mut organization, ability)| {
        if ability == 0 {
            (contact.reads, organization.reads) = (false, false);
        }
        [("contact", contact), ("organization", organization)].into()
    })
}

/// A grant, what a token asks to leave of it, and what happens.
pub(super) fn case() -> impl Strategy<Value = (Sights, Sights, Vec<Step>)> {
    (sights(), sights(), prop::collection::vec(step(), 8..30))
}

/// What a token may ask to leave: no type, condition or field that is not there for its application.
pub(super) fn askable(of: &Sights, wanted: &Sights) -> Sights {
    let left = |(ty, own): (&&'static str, &Sight)| {
        let more = &wanted[ty];
        let is_open = own.reads || own.writes;
        let conditions = more.conditions.iter().filter(|one| is_open && !own.hidden.contains(one.field()));
        let hidden: BTreeSet<_> = more.hidden.difference(&own.hidden).copied().filter(|_| is_open).collect();
        let sight = Sight {
            reads: own.reads && more.reads,
            writes: own.writes && more.writes,
            conditions: conditions.copied().collect(),
            hidden,
        };
        (*ty, sight)
    };
    of.iter().map(left).collect()
}

/// What both leave.
pub(super) fn both(own: &Sights, narrowed: &Sights) -> Sights {
    let join = |(ty, own): (&&'static str, &Sight)| {
        let more = &narrowed[ty];
        let sight = Sight {
            reads: more.reads,
            writes: more.writes,
            conditions: own.conditions.iter().chain(&more.conditions).copied().collect(),
            hidden: own.hidden.union(&more.hidden).copied().collect(),
        };
        (*ty, sight)
    };
    own.iter().map(join).collect()
}

/// The members of a grant, or of what a token leaves of one. Who may write a type may read it, with the ability to.
pub(super) fn grant(sights: &Sights) -> Value {
    let (mut types, mut conditions, mut hidden) = (json!({}), json!({}), json!({}));
    for (ty, sight) in sights.iter().filter(|(_, sight)| sight.reads || sight.writes) {
        types[ty] = if sight.writes { json!(["read", "write"]) } else { json!(["read"]) };
        if !sight.hidden.is_empty() {
            hidden[ty] = json!(sight.hidden);
        }
        if let Some(condition) = sight.conditions.first() {
            conditions[ty] = json!(condition.text());
        }
    }
    let reads = sights.values().any(|sight| sight.reads);
    let abilities = if reads { json!(["read", "query", "write"]) } else { json!(["write"]) };
    json!({"abilities": abilities, "types": types, "conditions": conditions, "hiddenFields": hidden})
}
