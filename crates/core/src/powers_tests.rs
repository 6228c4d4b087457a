//! Powers: nothing narrowed exceeds what it was narrowed from, and what goes beyond is found.

use super::*;
use crate::Fields;
use crate::grant::{Ability, BusinessAccessRule, TypeAccess};
use crate::ids::BusinessId;
use proptest::prelude::*;
use serde_json::json;

const CONDITIONS: [&str; 4] = ["city == 'Delft'", "age > 20", "notes == 'x'", "city != 'Breda' or age < 5"];
const FIELDS: [&str; 3] = ["city", "age", "notes"];

fn contact() -> TypeId {
    TypeId::parse("contact").unwrap()
}

fn business(id: &str) -> BusinessId {
    BusinessId::parse(id).unwrap()
}

fn grant() -> Grant {
    Grant {
        business_access_rule: BusinessAccessRule::default(),
        abilities: Ability::usual(),
        types: None,
        conditions: BTreeMap::new(),
        hidden_fields: BTreeMap::new(),
    }
}

fn some_of<T: Clone + Ord + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = BTreeSet<T>> {
    let most = all.len();
    prop::sample::subsequence(all, 0..=most).prop_map(|some| some.into_iter().collect())
}

fn fields() -> impl Strategy<Value = BTreeSet<String>> {
    some_of(FIELDS.map(str::to_owned).to_vec())
}

fn conditions() -> impl Strategy<Value = BTreeSet<String>> {
    some_of(CONDITIONS.map(str::to_owned).to_vec())
}

fn types() -> impl Strategy<Value = Option<BTreeMap<TypeId, BTreeSet<TypeAccess>>>> {
    let access = || some_of(vec![TypeAccess::Read, TypeAccess::Write]);
    let types =
        prop::collection::btree_map(prop_oneof![Just(contact()), Just(TypeId::parse("task").unwrap())], access(), 0..3);
    prop::option::of(types)
}

fn abilities() -> impl Strategy<Value = BTreeSet<Ability>> {
    some_of(vec![Ability::Read, Ability::Query, Ability::Write, Ability::Subscribe, Ability::Files, Ability::Manage])
}

fn businesses() -> impl Strategy<Value = BTreeSet<BusinessId>> {
    some_of(["a", "b", "c"].map(business).to_vec())
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let rule =
        (businesses(), prop::option::of(businesses())).prop_map(|(denied_business_ids, allowed_business_ids)| {
            BusinessAccessRule { denied_business_ids, allowed_business_ids }
        });
    let condition = prop::option::of(prop::sample::select(CONDITIONS.to_vec()));
    (rule, abilities(), types(), condition, fields()).prop_map(|(rule, abilities, types, condition, hidden)| Grant {
        business_access_rule: rule,
        abilities,
        types,
        conditions: condition.into_iter().map(|text| (contact(), text.to_owned())).collect(),
        hidden_fields: [(contact(), hidden)].into(),
    })
}

fn any_narrowing() -> impl Strategy<Value = Narrowing> {
    let lists = (prop::option::of(businesses()), prop::option::of(abilities()), types());
    (lists, conditions(), fields()).prop_map(|((businesses, abilities, types), conditions, hidden)| Narrowing {
        businesses,
        abilities,
        types,
        conditions: [(contact(), conditions)].into(),
        hidden_fields: [(contact(), hidden)].into(),
    })
}

fn record() -> impl Strategy<Value = Fields> {
    let city = prop::sample::select(vec!["Delft", "Breda", "Gouda"]);
    (city, 0..40_i64, prop::bool::ANY).prop_map(|(city, age, has_notes)| {
        let notes = if has_notes { json!("x") } else { json!(null) };
        json!({"city": city, "age": age, "notes": notes}).as_object().unwrap().clone()
    })
}

/// Whether what one allows of a record, another allows too.
fn is_within(inner: &Powers, outer: &Powers, record: &Fields) -> bool {
    let reach = |powers: &Powers| powers.compile().unwrap().get(&contact()).cloned().unwrap_or_default();
    let (small, large) = (reach(inner), reach(outer));
    let rows = !small.holds(record) || large.holds(record);
    let hidden = FIELDS.iter().all(|field| small.hides(field) || !large.hides(field));
    let accesses = [TypeAccess::Read, TypeAccess::Write];
    let types = accesses
        .iter()
        .all(|access| !inner.grant.allows_type(&contact(), *access) || outer.grant.allows_type(&contact(), *access));
    let allows = |powers: &Powers, id: &str| powers.grant.business_access_rule.allows(&business(id));
    let places = ["a", "b", "c", "later"].iter().all(|id| !allows(inner, id) || allows(outer, id));
    rows && hidden && types && places && inner.grant.abilities.is_subset(&outer.grant.abilities)
}

proptest! {
    /// P7: a token reaches no record, field, type, business or ability that its application does not, nor one of a
    /// token anything that its parent does not.
    #[test]
    fn a_token_never_exceeds_what_it_was_made_from(
        grant in any_grant(), first in any_narrowing(), second in any_narrowing(), record in record(),
    ) {
        let application = Powers::of(&grant);
        let token = application.clone().narrowed(&first);
        let child = application.clone().narrowed(&first.clone().and(second.clone()));
        prop_assert!(is_within(&token, &application, &record));
        prop_assert!(is_within(&child, &token, &record));
        prop_assert_eq!(child, token.narrowed(&second), "narrowed at once or one after the other");
    }

    /// A grant that is said to stay within powers reaches nothing beyond them.
    #[test]
    fn a_grant_within_powers_reaches_nothing_beyond_them(
        own in any_grant(), narrowing in any_narrowing(), other in any_grant(), record in record(),
    ) {
        for powers in [Powers::of(&own), Powers::of(&own).narrowed(&narrowing)] {
            let is_fine = powers.exceeded_by(&other).is_none();
            let is_granted = other.allows_type(&contact(), TypeAccess::Read);
            prop_assert!(!is_fine || !is_granted || is_within(&Powers::of(&other), &powers, &record));
        }
        prop_assert_eq!(Powers::of(&own).exceeded_by(&own), None, "nothing exceeds itself");
    }
}

#[test]
fn what_goes_beyond_is_named() {
    let maker = Grant {
        business_access_rule: BusinessAccessRule {
            denied_business_ids: BTreeSet::new(),
            allowed_business_ids: Some(["a", "b"].map(business).into()),
        },
        types: Some([(contact(), [TypeAccess::Read].into())].into()),
        conditions: [(contact(), CONDITIONS[0].to_owned())].into(),
        hidden_fields: [(contact(), ["notes".to_owned()].into())].into(),
        ..grant()
    };
    let powers = Powers::of(&maker);
    let beyond = |change: fn(&mut Grant)| {
        let mut other = maker.clone();
        change(&mut other);
        powers.exceeded_by(&other).unwrap_or_default()
    };
    assert_eq!(beyond(|_| ()), "");
    assert_eq!(beyond(|other| other.business_access_rule.allowed_business_ids = Some([business("a")].into())), "");
    assert!(beyond(|other| other.business_access_rule.allowed_business_ids = None).contains("businesses"));
    assert!(beyond(|other| other.abilities = [Ability::Manage].into()).contains("manage"));
    assert!(beyond(|other| other.types = None).contains("types"));
    assert!(
        beyond(|other| other.types = Some([(contact(), [TypeAccess::Write].into())].into())).contains("write contact")
    );
    assert!(beyond(|other| other.conditions.clear()).contains("condition"));
    assert!(beyond(|other| other.hidden_fields.clear()).contains("hidden"));
}

#[test]
fn a_tokens_condition_does_not_see_what_is_hidden_from_its_application_later() {
    let narrowing =
        Narrowing { conditions: [(contact(), ["notes == 'x'".to_owned()].into())].into(), ..Narrowing::default() };
    let record = json!({"notes": "x"}).as_object().unwrap().clone();
    let hiding = Grant { hidden_fields: [(contact(), ["notes".to_owned()].into())].into(), ..grant() };
    let holds = |grant: &Grant| Powers::of(grant).narrowed(&narrowing).compile().unwrap()[&contact()].holds(&record);
    assert_eq!([holds(&grant()), holds(&hiding)], [true, false]);
}
