//! Looking for records: by their fields, the newest as samples, and as choices for lists that people pick from.

use super::doc::{Doc, PageOf, doc};
use super::record::{OfRecords, OfType, wants_every_id};
use super::{Answer, limit};
use crate::Server;
use axum::extract::State;
use lockstep_core::error::{Code, shown};
use lockstep_core::limits::{PAGE_ROWS_MAX, QUERY_ROWS};
use lockstep_core::record::Record;
use lockstep_core::rules::query::filter::Op;
use lockstep_engine::query::{self, Filter, Page, Query};
use lockstep_engine::record;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::rest::{Choice, RecordBody};
use serde_json::{Value, json};
use std::borrow::Cow;

pub(crate) fn list_doc() -> Doc {
    let operators = Op::ALL.map(|(name, _)| name).join(", ");
    let filters = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let about = "Filters: `FIELD=value` or `FIELD[OP]=value`; several must all hold.";
    let about =
        format!("{about} Operators: {operators}. `in` takes values with commas between, `exists` true or false.");
    doc("Records", "Look for records")
        .about(
            "Living records that meet every filter, such as `?email=a@b.nl&name[contains]=ann&order=-lastName`. \
                Fields are those of the type, `createdAt` and `updatedAt`. A filter or order that no index serves is \
                refused where there are over 10,000 records of the type, naming the index to add. A page may be short, \
                or empty, and still have a next one.",
        )
        .free_query("filters", &filters, &about)
        .query(
            "order",
            &json!({"type": "string"}),
            "A field, with `-` before it for the greatest first; `createdAt` where left out.",
        )
        .paged(PAGE_ROWS_MAX)
        .every_id()
        .gives::<PageOf<RecordBody<'_>>>(200, "A page of them.")
        .codes(&[Code::UnknownType, Code::UnknownField, Code::IndexNeeded, Code::IndexBuilding, Code::LimitReached])
}

/// `name[contains]=ann` as a filter.
fn filter(name: &str, value: &str) -> Result<Filter, Refusal> {
    let (field, op) = match name.split_once('[') {
        None => (name, Op::Eq),
        Some((field, rest)) => {
            let op = Op::parse(rest.strip_suffix(']').unwrap_or_default())?;
            (field, op)
        }
    };
    let values = match op {
        Op::In => value.split(',').map(|value| value.trim().to_owned()).collect(),
        _ => vec![value.to_owned()],
    };
    Ok(Filter { field: field.to_owned(), op, values })
}

fn asked_for(asked: &OfType) -> Result<Query, Refusal> {
    let mut query = Query::default();
    let mut names = std::collections::BTreeSet::new();
    for (name, value) in form_urlencoded::parse(asked.uri.query().unwrap_or_default().as_bytes()) {
        let refuse = |text: String| Err(Refusal::new(Code::InvalidParameter, text));
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return refuse(format!("the parameter {} is no UTF-8", shown(&name)));
        }
        if !names.insert(name.to_string()) {
            return refuse(format!("the parameter {} stands twice: give it once", shown(&name)));
        }
        match &*name {
            "cursor" => query.cursor = Some(value.into_owned()),
            "order" => {
                let (field, is_descending) = value.strip_prefix('-').map_or((&*value, false), |field| (field, true));
                query.order = Some((field.to_owned(), is_descending));
            }
            "limit" => {
                let parameters = [(name.to_string(), value.into_owned())].into();
                query.limit = Some(limit(&parameters, QUERY_ROWS, PAGE_ROWS_MAX)?);
            }
            _ => query.filters.push(filter(&name, &value)?),
        }
    }
    Ok(query)
}

pub(crate) async fn list(State(server): State<Server>, asked: OfType) -> Answer {
    let query = asked_for(&asked)?;
    let every_id = wants_every_id(&asked)?;
    let (business, ty) = &asked.places;
    let page = query::query(&server.world, &asked.principal, business, ty, query).await?;
    let mut bodies = Vec::with_capacity(page.records.len());
    for record in &page.records {
        let mut body = RecordBody::of(record, page.reach.visible(&record.state.fields));
        if every_id {
            record::with_every_id(&server.world, &asked.principal, &page.business, &mut body).await?;
        }
        bodies.push(body);
    }
    asked.page(bodies, page.next.as_deref())
}

pub(crate) fn samples_doc() -> Doc {
    doc("Records", "Newest records, as samples")
        .about(
            "A bare list, for set-up screens that show what a record looks like; sensitive values are masked. With \
                `format=fields` each is as subscriptions of that format tell it.",
        )
        .query("limit", &json!({"type": "integer", "minimum": 1, "maximum": 100}), "At most so many; 3 where left out.")
        .query("format", &json!({"type": "string", "enum": ["record", "fields"]}), "How they are written.")
        .gives::<Vec<Value>>(200, "Newest first.")
        .codes(&[Code::UnknownType])
}

/// A record with its id among its values, as format `fields` tells it.
fn bare(page: &Page, record: &Record) -> Value {
    let mut fields = page.masked(record);
    fields.insert("id".to_owned(), record.id.to_string().into());
    fields.into()
}

pub(crate) async fn samples(State(server): State<Server>, asked: OfType) -> Answer {
    const USUAL: usize = 3;
    const MOST: usize = 100;
    let parameters = asked.parameters(&["limit", "format"])?;
    let limit = limit(&parameters, USUAL, MOST)?;
    let is_bare = match parameters.get("format").map(String::as_str) {
        None | Some("record") => false,
        Some("fields") => true,
        Some(other) => {
            let text = format!("format is {}, but it takes record or fields", shown(other));
            return Err(Refusal::new(Code::InvalidParameter, text).into());
        }
    };
    let (business, ty) = &asked.places;
    let page = query::newest(&server.world, &asked.principal, business, ty, Some(limit)).await?;
    let samples = page.records.iter().map(|record| match is_bare {
        true => bare(&page, record),
        false => json!(RecordBody::of(record, Cow::Owned(page.masked(record)))),
    });
    asked.bare_page(&samples.collect::<Vec<_>>(), None)
}

pub(crate) fn resources_doc() -> Doc {
    doc("Records", "Records as choices")
        .about(
            "A bare list of ids and labels, newest first, for drop-down lists; the next page stands in the header \
                `Link`.",
        )
        .query("search", &json!({"type": "string"}), "Those alone that hold this text, whatever its case.")
        .paged(PAGE_ROWS_MAX)
        .gives::<Vec<Choice>>(200, "A page of them.")
        .codes(&[Code::UnknownType])
}

pub(crate) async fn resources(State(server): State<Server>, asked: OfType) -> Answer {
    let parameters = asked.parameters(&["search", "limit", "cursor"])?;
    let limit = limit(&parameters, QUERY_ROWS, PAGE_ROWS_MAX)?;
    let (search, cursor) = (parameters.get("search").map(String::as_str), parameters.get("cursor").map(String::as_str));
    let (business, ty) = &asked.places;
    let place = (Some(limit), cursor);
    let found = query::choices(&server.world, &asked.principal, (business, ty), search, place).await?;
    let choices = found.choices.into_iter().map(|choice| Choice { id: choice.id.to_string(), label: choice.label });
    asked.bare_page(&choices.collect::<Vec<_>>(), found.next.as_deref())
}
