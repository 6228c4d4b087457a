//! Choosing how records are found: by an index where one serves, by a walk where there are few.
//!
//! Whatever is chosen, every test is asked of every record found, so a plan decides only what is looked at.

use super::filter::{Op, Test};
use super::{Order, Subject};
use crate::limits::{QUERY_CANDIDATES_MAX, UNINDEXED_RECORDS_MAX};
use crate::schema::{Field, Shape};
use std::ops::RangeInclusive;

/// A range of lookup bytes.
pub type Bytes = RangeInclusive<Vec<u8>>;

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Every record, in the order of ids.
    Walk,
    /// Those with one value, in the order of ids.
    Same(String, Vec<u8>),
    /// The entries of the field ordered by, in order.
    Stream(String, Bytes),
    /// Those that a field leads to, put in order by whoever asks; for a bounded number.
    Gather(String, Vec<Bytes>),
    /// Every record, put in order by whoever asks; for a bounded number.
    Sort,
}

/// How records are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// First of all.
    pub first: Source,
    /// Where that finds more than may be put in order.
    pub otherwise: Result<Source, Needed>,
}

/// Fields of which one should be indexed.
pub type Needed = Vec<String>;

/// What is known of a type when a plan is made.
pub struct Facts<'a> {
    /// Its shape.
    pub shape: &'a Shape,
    /// Whether a field's index holds every record.
    pub is_whole: &'a dyn Fn(&str) -> bool,
    /// How many records of it live.
    pub living: u64,
    /// How many there are, tombstones too.
    pub stored: u64,
}

/// How well a test narrows: the less, the better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Value,
    Range,
    Presence,
}

struct Candidate<'a> {
    rank: Rank,
    field: &'a Field,
    ranges: Vec<Bytes>,
}

impl Facts<'_> {
    /// The field as the index has it, if it can be used.
    fn index(&self, subject: &Subject) -> Option<&Field> {
        let Subject::Field(field) = subject else { return None };
        let is_usable = self.shape.looks_up(&field.id) && (self.is_whole)(&field.id);
        self.shape.fields.get(&field.id).filter(|_| is_usable)
    }

    fn candidate(&self, test: &Test) -> Option<Candidate<'_>> {
        let field = self.index(&test.subject)?;
        let ranges = test.ranges()?;
        // Only a whole index has entries for records without a value.
        if !field.has_whole_index() && ranges.iter().any(|range| range.start().is_empty()) {
            return None;
        }
        let rank = match test.op {
            Op::Eq | Op::In => Rank::Value,
            Op::Exists if ranges.iter().all(|range| !range.end().is_empty()) => Rank::Presence,
            _ => Rank::Range,
        };
        Some(Candidate { rank, field, ranges })
    }

    /// Whether all records can be looked at and put in order.
    const fn are_few(&self) -> bool {
        self.living <= UNINDEXED_RECORDS_MAX && self.stored <= 5 * QUERY_CANDIDATES_MAX as u64
    }
}

/// The plan for some tests and an order.
///
/// # Errors
/// The fields of which one should be indexed, where no plan serves.
pub fn plan(facts: &Facts<'_>, tests: &[Test], order: &Order) -> Result<Plan, Needed> {
    let mut candidates: Vec<Candidate<'_>> = tests.iter().filter_map(|test| facts.candidate(test)).collect();
    candidates.sort_by_key(|candidate| candidate.rank);
    match &order.by {
        Subject::CreatedAt => by_id(facts, tests, candidates.into_iter().next()),
        by => by_value(facts, tests, by, candidates),
    }
}

fn only(first: Source) -> Result<Plan, Needed> {
    Ok(Plan { otherwise: Ok(first.clone()), first })
}

fn by_id(facts: &Facts<'_>, tests: &[Test], best: Option<Candidate<'_>>) -> Result<Plan, Needed> {
    let has_field = tests.iter().any(|test| matches!(test.subject, Subject::Field(_)));
    match best {
        Some(Candidate { field, ranges, .. }) => match ranges.as_slice() {
            [one] if one.start() == one.end() => only(Source::Same(field.id.clone(), one.start().clone())),
            _ => Ok(Plan { first: Source::Gather(field.id.clone(), ranges), otherwise: Ok(Source::Walk) }),
        },
        None if !has_field || facts.are_few() => only(Source::Walk),
        None => Err(needed(facts, tests, None)),
    }
}

fn by_value(facts: &Facts<'_>, tests: &[Test], by: &Subject, candidates: Vec<Candidate<'_>>) -> Result<Plan, Needed> {
    let own = candidates.iter().find(|candidate| candidate.field.id == by.name() && candidate.ranges.len() == 1);
    let narrowed = own.and_then(|own| own.ranges.first().cloned());
    let whole = || Vec::new()..=vec![u8::MAX; crate::limits::LOOKUP_BYTES_MAX + 1];
    let has_all = facts.index(by).is_some_and(Field::has_whole_index);
    let stream = narrowed.or_else(|| has_all.then(whole)).map(|range| Source::Stream(by.name().to_owned(), range));
    let may_gather = |candidate: &Candidate<'_>| match stream {
        Some(_) => candidate.rank == Rank::Value && candidate.field.id != by.name(),
        None => true,
    };
    let otherwise = match &stream {
        Some(stream) => Ok(stream.clone()),
        None if facts.are_few() => Ok(Source::Sort),
        None => Err(needed(facts, tests, Some(by))),
    };
    match candidates.into_iter().find(may_gather) {
        Some(Candidate { field, ranges, .. }) => {
            Ok(Plan { first: Source::Gather(field.id.clone(), ranges), otherwise })
        }
        None => otherwise.and_then(only),
    }
}

/// What to index: the field ordered by, else those filtered by.
fn needed(facts: &Facts<'_>, tests: &[Test], by: Option<&Subject>) -> Needed {
    let subjects = by.into_iter().chain(tests.iter().map(|test| &test.subject));
    let mut named: Needed = Vec::new();
    for subject in subjects {
        if let Subject::Field(field) = subject
            && !field.kind.is_collection()
            && !facts.index(subject).is_some_and(Field::has_whole_index)
            && !named.contains(&field.id)
        {
            named.push(field.id.clone());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TypeId;
    use crate::kind::Kind;
    use crate::schema::Schema;
    use crate::schema::definition::TypeDefinition;
    use std::sync::Arc;

    fn shape() -> Arc<Shape> {
        let ty = TypeId::parse("contact").unwrap();
        let field = |id: &str, kind| (id.to_owned(), Field { is_indexed: true, ..Field::new(id, kind) });
        let fields = [field("city", Kind::String), field("birthDate", Kind::Date)].into();
        let definition = TypeDefinition { fields, ..TypeDefinition::default() };
        Arc::clone(Schema::of([(&ty, &definition)]).shape("contact").unwrap())
    }

    fn subject(shape: &Shape, name: &str) -> Subject {
        match name {
            "createdAt" => Subject::CreatedAt,
            "updatedAt" => Subject::UpdatedAt,
            name => Subject::Field(Box::new(shape.field(name).unwrap().clone())),
        }
    }

    /// What a plan comes to, in a few words. `filters` are `field op value`, with commas between.
    fn told(filters: &str, order: &str, living: u64) -> String {
        let shape = shape();
        let test = |filter: &str| {
            let [field, op, value] = filter.trim().splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            let values: Vec<String> = value.split('|').map(str::to_owned).collect();
            Test::parse(subject(&shape, field), Op::parse(op).unwrap(), &values).unwrap()
        };
        let tests: Vec<Test> = filters.split(',').filter(|filter| !filter.is_empty()).map(test).collect();
        let order = Order { by: subject(&shape, order), is_descending: false };
        let facts = Facts { shape: &shape, is_whole: &|field| field != "phone", living, stored: living };
        let words = |source: Source| match source {
            Source::Walk => "walk".to_owned(),
            Source::Same(field, _) => format!("same {field}"),
            Source::Stream(field, range) if range.start().is_empty() => format!("stream {field}"),
            Source::Stream(field, _) => format!("part of {field}"),
            Source::Gather(field, ranges) => format!("gather {field} {}", ranges.len()),
            Source::Sort => "sort".to_owned(),
        };
        let needs = |fields: Needed| format!("needs {}", fields.join("+"));
        match plan(&facts, &tests, &order) {
            Ok(Plan { first, otherwise: Ok(otherwise) }) if first == otherwise => words(first),
            Ok(Plan { first, otherwise }) => {
                format!("{}, else {}", words(first), otherwise.map_or_else(needs, words))
            }
            Err(fields) => needs(fields),
        }
    }

    #[test]
    fn each_query_takes_the_index_that_serves_it() {
        let table = [
            ("", "createdAt", 1, "walk"),
            ("", "createdAt", 90_000, "walk"),
            ("createdAt gt 2026-01-01T00:00:00Z", "createdAt", 90_000, "walk"),
            ("lastName eq Vos", "createdAt", 10_000, "walk"),
            ("lastName eq Vos", "createdAt", 10_001, "needs lastName"),
            ("tags contains x,lastName contains v", "createdAt", 90_000, "needs lastName"),
            ("city eq Delft", "createdAt", 90_000, "same city"),
            ("city in Delft|Breda", "createdAt", 90_000, "gather city 2, else walk"),
            ("birthDate gt 2000-01-01,city eq Delft", "createdAt", 90_000, "same city"),
            ("birthDate gt 2000-01-01,lastName eq Vos", "createdAt", 90_000, "gather birthDate 1, else walk"),
            ("email eq a@b.nl,lastName eq Vos", "createdAt", 90_000, "same email"),
            ("email exists false", "createdAt", 90_000, "needs email"),
            ("city exists false", "createdAt", 90_000, "same city"),
            ("phone eq 123", "createdAt", 90_000, "needs phone"),
            ("", "city", 90_000, "stream city"),
            ("city startsWith D", "city", 90_000, "part of city"),
            ("lastName eq Vos", "city", 90_000, "stream city"),
            ("email eq a@b.nl", "city", 90_000, "gather email 1, else stream city"),
            ("birthDate gt 2000-01-01", "city", 90_000, "stream city"),
            ("", "email", 90_000, "needs email"),
            ("", "email", 10, "sort"),
            ("email startsWith a", "email", 90_000, "part of email"),
            ("", "lastName", 10_000, "sort"),
            ("", "lastName", 10_001, "needs lastName"),
            ("city eq Delft", "lastName", 90_000, "gather city 1, else needs lastName"),
            ("city eq Delft", "lastName", 9_000, "gather city 1, else sort"),
            ("city exists true", "updatedAt", 90_000, "gather city 1, else needs "),
            ("", "updatedAt", 90_000, "needs "),
        ];
        for (filters, order, living, expected) in table {
            assert_eq!(told(filters, order, living), expected, "{filters} by {order} of {living}");
        }
    }
}
