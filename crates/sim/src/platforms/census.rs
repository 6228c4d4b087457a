//! Who a platform's double holds, in words that all platforms have in common, so that two can be compared. It must not
//! ask the platform by its API: what stands there is looked at from the inside.

use super::activecampaign::{ActiveCampaign, Contact};
use super::blueconic::BlueConic;
use super::copernica::Copernica;
use super::platform_x::PlatformX;
use std::collections::{BTreeMap, BTreeSet};

/// The custom field for cities at ActiveCampaign.
const CITY: u64 = 3;

/// What is known of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// First name.
    pub first: String,
    /// Last name.
    pub last: String,
    /// City.
    pub city: String,
    /// Interests; none where whoever holds them has no place for any.
    pub interests: Option<BTreeSet<String>>,
}

impl Known {
    /// Whether both say the same, as far as both have a place for it.
    fn agrees(&self, other: &Self) -> bool {
        let names = |known: &Self| [known.first.clone(), known.last.clone(), known.city.clone()];
        let interests = self.interests.as_ref().zip(other.interests.as_ref());
        names(self) == names(other) && interests.is_none_or(|(one, other)| one == other)
    }
}

/// Everybody who has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By address.
    pub people: BTreeMap<String, Known>,
    /// How many stand there besides with an address that another has.
    pub doubles: usize,
}

impl Census {
    /// Takes somebody in, unless they have no address.
    pub fn add(&mut self, email: &str, known: Known) {
        if !email.is_empty() && self.people.insert(email.to_lowercase(), known).is_some() {
            self.doubles += 1;
        }
    }

    fn of(people: impl Iterator<Item = (String, Known)>) -> Self {
        let mut census = Self::default();
        people.for_each(|(email, known)| census.add(&email, known));
        census
    }

    /// How many addresses there are in one or the other.
    #[must_use]
    pub fn compared(&self, other: &Self) -> usize {
        self.emails(other).len()
    }

    fn emails<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a String> {
        self.people.keys().chain(other.people.keys()).collect()
    }

    /// What differs from another, a line each; whoever stands somewhere twice is a difference.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let emails = self.emails(other).into_iter();
        let differing = emails.filter_map(|email| match (self.people.get(email), other.people.get(email)) {
            (Some(one), Some(two)) if one.agrees(two) => None,
            (one, two) => Some(format!("{email}: {one:?}, and {two:?}")),
        });
        let twice = [self.doubles, other.doubles].into_iter().filter(|doubles| *doubles > 0);
        differing.chain(twice.map(|doubles| format!("{doubles} stand there twice"))).collect()
    }
}

fn set<'a>(interests: impl IntoIterator<Item = &'a String>) -> Option<BTreeSet<String>> {
    Some(interests.into_iter().cloned().collect())
}

impl BlueConic {
    /// Who is there.
    #[must_use]
    pub fn census(&self) -> Census {
        Census::of(self.profiles().values().map(|profile| {
            let values = |name: &str| profile.properties.get(name).map(Vec::as_slice).unwrap_or_default();
            let first = |name: &str| values(name).first().cloned().unwrap_or_default();
            let interests = set(values("interests"));
            (
                first("email"),
                Known { first: first("firstname"), last: first("lastname"), city: first("city"), interests },
            )
        }))
    }
}

impl Copernica {
    /// Who is there, those left out that were removed.
    #[must_use]
    pub fn census(&self) -> Census {
        let present = self.profiles().values().filter(|profile| profile.removed_at.is_none());
        Census::of(present.map(|profile| {
            let field = |name: &str| profile.fields.get(name).cloned().unwrap_or_default();
            let interests = set(&profile.interests);
            (
                field("email"),
                Known { first: field("firstname"), last: field("lastname"), city: field("city"), interests },
            )
        }))
    }
}

impl ActiveCampaign {
    /// Who is there.
    #[must_use]
    pub fn census(&self) -> Census {
        Census::of(self.contacts().values().map(|contact: &Contact| {
            let city = self.field_value(contact.id, CITY).unwrap_or_default().to_owned();
            let (first, last) = (contact.first.clone(), contact.last.clone());
            (contact.email.clone(), Known { first, last, city, interests: None })
        }))
    }
}

impl PlatformX {
    /// Who is there.
    #[must_use]
    pub fn census(&self) -> Census {
        Census::of(self.contacts().values().map(|contact| {
            let text = |name: &str| contact.texts.get(name).cloned().unwrap_or_default();
            let interests = set(&contact.interests);
            let known = Known { first: text("first_name"), last: text("last_name"), city: text("city"), interests };
            (contact.email().to_owned(), known)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::BEGINNING;
    use serde_json::json;

    #[test]
    fn what_differs_is_told_and_what_one_has_no_place_for_is_not() {
        let blueconic = BlueConic::new(1).with_people(3, BEGINNING).census();
        let mut other = blueconic.clone();
        assert_eq!((blueconic.compared(&other), blueconic.differences(&other)), (3, Vec::new()));
        let email = other.people.keys().next().unwrap().clone();
        other.people.get_mut(&email).unwrap().interests = None;
        assert_eq!(blueconic.differences(&other), [""; 0]);
        other.people.get_mut(&email).unwrap().city = "Elsewhere".to_owned();
        other.add(&email.to_uppercase(), Known::default());
        other.add("", Known::default());
        other.add("x@club.test", Known::default());
        let told = blueconic.differences(&other);
        assert!(told.len() == 3 && told.iter().any(|line| line == "1 stand there twice"), "{told:?}");
    }

    #[test]
    fn everybody_counts_at_each_platform() {
        let copernica = Copernica::new(1).with_people(7, BEGINNING).census();
        let activecampaign = ActiveCampaign::new(1).with_people(7, BEGINNING).census();
        let mut platform_x = PlatformX::new().with_people(7, 1, BEGINNING);
        platform_x.add(&json!({"first_name": "Nobody"}), BEGINNING);
        assert_eq!((copernica.people.len(), activecampaign.people.len()), (7, 7));
        assert_eq!(platform_x.census().people.len(), 7);
        assert!(activecampaign.people.values().any(|known| !known.city.is_empty()));
    }
}
