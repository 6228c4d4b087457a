//! What a change of shape means for the lookup: which fields' entries are to be taken out, and which filled in.
//!
//! Commits keep the entries of looked-up fields right from the moment a shape changes. What stood before is gone
//! through afterwards: first entries that nobody kept right are wiped, then every record is entered as it stands.

use super::{Field, Shape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which entries of a field may be stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wipe {
    /// None.
    Nothing,
    /// Those of records without a value.
    Blanks,
    /// All.
    All,
}

/// The fields of a type whose entries must be gone through when its shape changes, with what must be wiped first.
#[must_use]
pub fn reindexed(before: Option<&Shape>, after: Option<&Shape>) -> Vec<(String, Wipe)> {
    fn looked_up(shape: Option<&Shape>) -> impl Iterator<Item = &Field> {
        shape.into_iter().flat_map(Shape::looked_up)
    }
    fn find<'a>(shape: Option<&'a Shape>, id: &str) -> Option<&'a Field> {
        shape.filter(|shape| shape.looks_up(id)).and_then(|shape| shape.fields.get(id))
    }
    let ids: BTreeSet<&String> = looked_up(before).chain(looked_up(after)).map(|field| &field.id).collect();
    let wipe = |id: &str| match (find(before, id), find(after, id)) {
        (None, None) => None,
        (None, Some(_)) => Some(Wipe::Nothing),
        (Some(_), None) => Some(Wipe::All),
        (Some(before), Some(after)) if before.kind.name() != after.kind.name() => Some(Wipe::All),
        (Some(before), Some(after)) => match (before.has_whole_index(), after.has_whole_index()) {
            (false, true) => Some(Wipe::Nothing),
            (true, false) => Some(Wipe::Blanks),
            _ => None,
        },
    };
    ids.into_iter().filter_map(|id| wipe(id).map(|wipe| (id.clone(), wipe))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TypeId;
    use crate::kind::Kind;
    use crate::schema::Schema;
    use crate::schema::definition::TypeDefinition;

    #[test]
    fn only_what_changes_is_gone_through() {
        let ty = TypeId::parse("contact").unwrap();
        let shape = |indexed: &[&str], kind: Kind| {
            let field = |id: &&str| {
                let is_custom = *id == "own";
                ((*id).to_owned(), Field { is_indexed: true, is_custom, ..Field::new(id, kind.clone()) })
            };
            let fields = indexed.iter().map(field).collect();
            let definition = TypeDefinition { fields, ..TypeDefinition::default() };
            Schema::ready_made().with([(&ty, &definition)]).shape("contact").unwrap().clone()
        };
        let none = shape(&[], Kind::String);
        let (city, email) = (shape(&["city"], Kind::String), shape(&["email"], Kind::String));
        let told = |before: Option<&Shape>, after: Option<&Shape>| {
            let told = reindexed(before, after);
            told.iter().map(|(id, wipe)| format!("{id} {wipe:?}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(told(Some(&none), Some(&none)), "");
        assert_eq!(told(Some(&none), Some(&city)), "city Nothing");
        assert_eq!(told(Some(&city), Some(&none)), "city All");
        assert_eq!(told(Some(&none), Some(&email)), "email Nothing");
        assert_eq!(told(Some(&email), Some(&none)), "email Blanks", "matching goes on by its values");
        assert_eq!(told(Some(&none), None), "email All, phone All");
        let (text, number) = (shape(&["own"], Kind::String), shape(&["own"], Kind::Integer));
        assert_eq!(told(Some(&text), Some(&number)), "own All");
    }
}
