//! Queries: records by their fields, page by page; the newest for samples; choices for lists that people pick from.
//!
//! A page goes on from a place in the order, not from a count, so records that come and go between two pages neither
//! repeat others nor hide them. The place is sealed for the query that it belongs to: it may be that of a record which
//! the caller cannot see.

mod choices;
mod search;

pub use choices::{Choice, Choices, choices};

use crate::World;
use crate::control::types::living_and_stored;
use crate::ingest::short_digest;
use crate::principal::Principal;
use crate::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_core::Fields;
use lockstep_core::application::Business;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::grant::{Ability, TypeAccess};
use lockstep_core::ids::RecordId;
use lockstep_core::limits;
use lockstep_core::record::Record;
use lockstep_core::rules::query::filter::{Op, Test};
use lockstep_core::rules::query::plan::{Facts, Needed, plan};
use lockstep_core::rules::query::{Order, Place, Subject};
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Shape;
use lockstep_store::index::Walk;
use search::Search;
use std::sync::Arc;

/// One filter, as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// A field of the type, `createdAt` or `updatedAt`.
    pub field: String,
    /// What is asked of it.
    pub op: Op,
    /// Against what, as text; several for `in` alone.
    pub values: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All of these.
    pub filters: Vec<Filter>,
    /// By which field, and whether the greatest comes first; by `createdAt` where nothing is said.
    pub order: Option<(String, bool)>,
    /// At most so many, up to [`limits::PAGE_ROWS_MAX`]; [`limits::QUERY_ROWS`] where nothing is said.
    pub limit: Option<usize>,
    /// Where the page before ended, as it said.
    pub cursor: Option<String>,
}

/// A page of records.
#[derive(Debug)]
pub struct Page {
    /// The business.
    pub business: Arc<Business>,
    /// The type's shape.
    pub shape: Arc<Shape>,
    /// What the caller may see of it.
    pub reach: Arc<Reach>,
    /// Living records that the caller may see, in order.
    pub records: Vec<Record>,
    /// Where the next page begins. A page may be short, or empty, and still have a next one: a request looks at
    /// [`limits::QUERY_CANDIDATES_MAX`] records.
    pub next: Option<String>,
}

impl Page {
    /// The fields of one of its records that the caller may see.
    #[must_use]
    pub fn fields(&self, record: &Record) -> Fields {
        self.reach.visible(&record.state.fields).into_owned()
    }

    /// The same, with sensitive values masked.
    #[must_use]
    pub fn masked(&self, record: &Record) -> Fields {
        self.shape.masked(self.fields(record))
    }
}

/// A type, opened to a caller.
struct Opened {
    business: Arc<Business>,
    shape: Arc<Shape>,
    reach: Arc<Reach>,
}

fn open(world: &World, principal: &Principal, business: &str, ty: &str) -> Result<Opened, Refusal> {
    let business = principal.business(world, business)?;
    let shape = world.shape(&business.id, ty)?;
    let reach = principal.reach(&business, &shape.id, TypeAccess::Read)?;
    Ok(Opened { business, shape, reach })
}

/// Records of a type that meet all filters, a page of them.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `unknown_field`, `forbidden`; `invalid_parameter` for a filter, an order or a
/// cursor that makes no sense; `index_needed` where no index serves and there are too many records, `index_building`
/// where one that would is not whole yet.
pub async fn query(
    world: &World,
    principal: &Principal,
    business: &str,
    ty: &str,
    query: Query,
) -> Result<Page, Refusal> {
    principal.must(Ability::Query)?;
    let opened = open(world, principal, business, ty)?;
    if query.filters.len() > limits::FILTERS_MAX {
        let text = format!("there are {} filters; at most {} are taken", query.filters.len(), limits::FILTERS_MAX);
        return Err(Refusal::new(Code::LimitReached, text));
    }
    let tests = query.filters.iter().map(|filter| {
        let subject = opened.subject(&filter.field)?;
        Test::parse(subject, filter.op, &filter.values)
    });
    let tests = tests.collect::<Result<Vec<_>, Rejection>>()?;
    let order = opened.order(query.order.as_ref())?;
    let place = opened.cursor_place(&query);
    let after = query.cursor.as_deref().map(|cursor| parse_cursor(world, cursor, &place)).transpose()?;
    let building = world.store.building(&opened.business.id).await?;
    let is_building = |field: &str| building.iter().any(|(ty, other)| *ty == opened.shape.id && other == field);
    let (living, stored) = living_and_stored(world, &opened.business.id, &opened.shape.id).await?;
    let (first, otherwise) = {
        let facts = Facts { shape: &opened.shape, is_whole: &|field| !is_building(field), living, stored };
        let refuse = |needed: Needed| opened.needs_index(&needed, living, is_building);
        let chosen = plan(&facts, &tests, &order).map_err(refuse)?;
        (chosen.first, chosen.otherwise.map_err(refuse))
    };
    let limit = query.limit.unwrap_or(limits::QUERY_ROWS).clamp(1, limits::PAGE_ROWS_MAX);
    let search = Search::new(world, &opened, (&tests, &order), after, limit);
    let found = match search.run(first).await? {
        Some(found) => found,
        None => search.run(otherwise?).await?.unwrap_or_default(),
    };
    let next = found.next.map(|next| write_cursor(world, &next, &place)).transpose()?;
    let Opened { business, shape, reach } = opened;
    Ok(Page { business, shape, reach, records: found.records, next })
}

/// The newest living records of a type that the caller may see, newest first: samples. It looks at
/// [`limits::QUERY_CANDIDATES_MAX`] records at most.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`.
pub async fn newest(
    world: &World,
    principal: &Principal,
    business: &str,
    ty: &str,
    limit: Option<usize>,
) -> Result<Page, Refusal> {
    principal.must(Ability::Read)?;
    let Opened { business, shape, reach } = open(world, principal, business, ty)?;
    let limit = limit.unwrap_or(limits::QUERY_ROWS).clamp(1, limits::PAGE_ROWS_MAX);
    let (mut records, mut walk, mut examined) = (Vec::new(), Walk::NEWEST, 0);
    while records.len() < limit && examined < limits::QUERY_CANDIDATES_MAX {
        let page = world.store.records(&business.id, &shape.id, walk, limits::PAGE_ROWS_MAX).await?;
        examined += page.records.len();
        let Some(last) = page.records.last().map(|record| record.id) else { break };
        records.extend(page.records.into_iter().filter(|record| reach.sees(&record.state)));
        walk = walk.on_from(last);
        if page.is_last {
            break;
        }
    }
    records.truncate(limit);
    Ok(Page { business, shape, reach, records, next: None })
}

impl Opened {
    fn subject(&self, name: &str) -> Result<Subject, Rejection> {
        match name {
            "createdAt" => Ok(Subject::CreatedAt),
            "updatedAt" => Ok(Subject::UpdatedAt),
            name => {
                let field = self.shape.field_within(name, &self.reach);
                let field = field.map_err(|refused| Rejection { pointer: None, ..refused })?;
                Ok(Subject::Field(Box::new(field.clone())))
            }
        }
    }

    fn order(&self, asked: Option<&(String, bool)>) -> Result<Order, Refusal> {
        let Some((name, is_descending)) = asked else {
            return Ok(Order { by: Subject::CreatedAt, is_descending: false });
        };
        let by = self.subject(name)?;
        if let Subject::Field(field) = &by
            && field.kind.is_collection()
        {
            let text = format!("{name} is a {}, and records are not sorted by one", field.kind.name());
            return Err(Refusal::new(Code::InvalidParameter, text));
        }
        Ok(Order { by, is_descending: *is_descending })
    }

    fn needs_index(&self, needed: &Needed, living: u64, is_building: impl Fn(&str) -> bool) -> Refusal {
        let ty = &self.shape.id;
        if let Some(field) = needed.iter().find(|field| is_building(field)) {
            let text = format!("the index of {field} does not hold every {ty} yet: ask again in a minute");
            return Refusal { retry_after_s: Some(60), ..Refusal::new(Code::IndexBuilding, text) };
        }
        let usable = self.shape.looked_up().filter(|field| !self.reach.hides(&field.id) && !is_building(&field.id));
        let usable: Vec<&str> = usable.map(|field| field.id.as_str()).collect();
        let by = match usable.is_empty() {
            true => String::new(),
            false => format!(", of which there are {}", usable.join(", ")),
        };
        let way_out = match needed.first() {
            Some(first) => format!(
                "index {} (PATCH …/types/{ty}/fields/{first} with {{\"indexed\": true}}), or filter by eq, in, a range or \
                 startsWith of an indexed field{by}",
                needed.join(" or ")
            ),
            None => format!("sort by an indexed field, or filter by eq, in, a range or startsWith of one{by}"),
        };
        let text = format!("there are {living} {ty} records, and no index serves this query: {way_out}");
        Refusal::new(Code::IndexNeeded, text)
    }

    /// What a cursor belongs to: all of the query but its limit.
    fn cursor_place(&self, query: &Query) -> String {
        let asked = format!("{:?} {:?}", query.filters, query.order);
        let parts = [self.business.id.as_str(), self.shape.id.as_str(), &asked].map(str::as_bytes);
        format!("cursor/{:032x}", u128::from_be_bytes(short_digest(&parts)))
    }
}

fn write_cursor(world: &World, (value, record): &Place, place: &str) -> Result<String, Rejection> {
    let bytes = [&record.0.to_be_bytes()[..], value].concat();
    Ok(URL_SAFE_NO_PAD.encode(world.sealer.seal(&bytes, place)?))
}

fn parse_cursor(world: &World, cursor: &str, place: &str) -> Result<Place, Rejection> {
    let sealed = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let opened = sealed.and_then(|sealed| world.sealer.open(&sealed, place));
    let place = opened.as_deref().and_then(|bytes| {
        let (record, value) = bytes.split_first_chunk::<16>()?;
        Some((value.to_vec(), RecordId(u128::from_be_bytes(*record))))
    });
    place.ok_or_else(|| {
        let text = "the cursor is of another query, or of none: give the one that the page before ended with, with \
                    the same filters and order, or leave it out";
        Rejection::new(Code::InvalidParameter, text)
    })
}
