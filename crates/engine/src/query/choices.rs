//! Choices: records as an id and a label, for lists that people pick from.

use super::{Opened, open, parse_cursor, write_cursor};
use crate::World;
use crate::ingest::short_digest;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::Fields;
use lockstep_core::grant::Ability;
use lockstep_core::ids::RecordId;
use lockstep_core::limits;
use lockstep_core::record::Record;
use lockstep_core::schema::{MASK, Shape};
use lockstep_store::index::Walk;
use serde_json::Value;

/// Fields that a label is made of: the first of these that say anything.
const LABELS: [&[&str]; 6] = [&["name"], &["title"], &["firstName", "lastName"], &["email"], &["code"], &["number"]];

/// One record to pick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub id: RecordId,
    /// What it is called; its id where nothing better is known.
    pub label: String,
}

/// A page of choices.
#[derive(Debug, Default)]
pub struct Choices {
    /// Newest first.
    pub choices: Vec<Choice>,
    /// Where the next page begins; a page may be short, or empty, and still have one.
    pub next: Option<String>,
}

/// Living records that the caller may see as choices, newest first; of those alone that hold `search`, whatever the
/// case, in a searchable field, or, where the type has none, in what labels are made of.
///
/// # Errors
/// `business_not_found`, `unknown_type`, `forbidden`, `invalid_parameter` for a cursor of another list.
pub async fn choices(
    world: &World,
    principal: &Principal,
    (business, ty): (&str, &str),
    search: Option<&str>,
    (limit, cursor): (Option<usize>, Option<&str>),
) -> Result<Choices, Refusal> {
    principal.must(Ability::Read)?;
    if search.is_some() {
        principal.must(Ability::Query)?;
    }
    let opened = open(world, principal, business, ty)?;
    let search = search.map(str::trim).filter(|text| !text.is_empty()).map(str::to_lowercase);
    let parts = ["choices", opened.business.id.as_str(), opened.shape.id.as_str(), search.as_deref().unwrap_or("")];
    let place = format!("cursor/{:032x}", u128::from_be_bytes(short_digest(&parts.map(str::as_bytes))));
    let limit = limit.unwrap_or(limits::QUERY_ROWS).clamp(1, limits::PAGE_ROWS_MAX);
    let mut walk = match cursor {
        Some(cursor) => Walk::Down(parse_cursor(world, cursor, &place)?.1),
        None => Walk::NEWEST,
    };
    let (mut found, mut examined) = (Choices::default(), 0);
    loop {
        let Opened { business, shape, reach } = &opened;
        let page = world.store.records(&business.id, &shape.id, walk, limits::PAGE_ROWS_MAX).await?;
        for record in &page.records {
            (walk, examined) = (walk.on_from(record.id), examined + 1);
            let fields = reach.visible(&record.state.fields);
            let is_wanted = search.as_ref().is_none_or(|search| holds(shape, record.id, &fields, search));
            if !reach.sees(&record.state) || !is_wanted {
                continue;
            }
            found.choices.push(Choice { id: record.id, label: label(shape, record, &fields) });
            if found.choices.len() == limit {
                found.next = Some(write_cursor(world, &(Vec::new(), record.id), &place)?);
                return Ok(found);
            }
        }
        let last = page.records.last().filter(|_| !page.is_last);
        let Some(last) = last else { return Ok(found) };
        if examined >= limits::QUERY_CANDIDATES_MAX {
            found.next = Some(write_cursor(world, &(Vec::new(), last.id), &place)?);
            return Ok(found);
        }
    }
}

fn text(shape: &Shape, fields: &Fields, id: &str) -> Option<String> {
    let field = shape.fields.get(id)?;
    let value = fields.get(id)?;
    Some(match value {
        _ if field.is_sensitive => MASK.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn label(shape: &Shape, record: &Record, fields: &Fields) -> String {
    let said = LABELS.iter().map(|ids| ids.iter().filter_map(|id| text(shape, fields, id)).collect::<Vec<_>>());
    let said = said.map(|parts| parts.join(" ")).find(|label| !label.is_empty());
    said.unwrap_or_else(|| record.id.to_string())
}

/// Whether a record holds what is searched for. A sensitive value is not searched: an answer would give it away.
fn holds(shape: &Shape, id: RecordId, fields: &Fields, search: &str) -> bool {
    let has = |id: &str| {
        let is_open = shape.fields.get(id).is_some_and(|field| !field.is_sensitive);
        is_open && text(shape, fields, id).is_some_and(|text| text.to_lowercase().contains(search))
    };
    let mut searchable = shape.fields.values().filter(|field| field.is_searchable).peekable();
    match searchable.peek() {
        Some(_) => searchable.any(|field| has(&field.id)),
        None => LABELS.iter().copied().flatten().any(|id| has(id)) || id.to_string().contains(search),
    }
}
