//! The parts of a stream: values of a list, records of other streams, several at a time, or all combinations.
//!
//! Parts are made lazily: a parent stream is read page by page while its children are. A slice of a parent that fails
//! is told of, and its other slices go on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_stream::stream;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use lockstep_expr::interpolation::Scope;
use lockstep_manifest::{ParentStreamConfig, PartitionRouter, RequestOption};
use serde_json::{Map, Value};

use crate::account::Account;
use crate::cursor::Cursor;
use crate::draft::Draft;
use crate::failure::Failure;
use crate::files::Files;
use crate::read::{StreamReader, held};
use crate::slice::Slice;
use crate::{dpath, python, tree};

/// Most combinations of several routers held at a time; the first may be as long as it likes.
const COMBINED_MAX: usize = 1_000_000;

/// Where the parts of a stream come from.
pub(crate) enum Router {
    List { field: String, values: Vec<Value>, option: Option<RequestOption> },
    Parents(Vec<Parent>),
    Groups { size: usize, deduplicates: bool, inner: Box<Self> },
    Union { field: String, inner: Vec<Self> },
    Product(Vec<Self>),
}

/// A stream whose records make parts of another.
pub(crate) struct Parent {
    reader: Box<StreamReader>,
    key: String,
    field: String,
    extra: Vec<Vec<String>>,
    option: Option<RequestOption>,
    /// Whether the parent's own progress is kept with the child's.
    is_incremental: bool,
    cursor: Mutex<Cursor>,
}

type Parts<'a> = BoxStream<'a, Result<Slice, Failure>>;

impl Router {
    /// The router of a stream; none where it is one part. `state` is the child's, in which parents keep theirs.
    pub(crate) fn new(
        account: &Arc<Account>,
        files: &Arc<dyn Files>,
        said: &[PartitionRouter],
        state: &Value,
    ) -> Result<Option<Self>, Failure> {
        let mut routers =
            said.iter().map(|said| Self::one(account, files, said, state)).collect::<Result<Vec<_>, _>>()?;
        Ok(if routers.len() > 1 { Some(Self::Product(routers)) } else { routers.pop() })
    }

    fn one(
        account: &Arc<Account>,
        files: &Arc<dyn Files>,
        said: &PartitionRouter,
        state: &Value,
    ) -> Result<Self, Failure> {
        let scope = account.scope();
        Ok(match said {
            PartitionRouter::List(list) => Self::List {
                field: list.cursor_field.text(&scope)?,
                values: tree::list(&list.values, &scope)?,
                option: list.request_option.clone(),
            },
            PartitionRouter::Substream(parents) => {
                let parents = parents.parent_stream_configs.iter().map(|said| Parent::new(account, files, said, state));
                Self::Parents(parents.collect::<Result<_, _>>()?)
            }
            PartitionRouter::Grouping(group) => Self::Groups {
                size: usize::try_from(group.group_size).unwrap_or(usize::MAX).max(1),
                deduplicates: group.deduplicate,
                inner: Box::new(Self::one(account, files, &group.underlying_partition_router, state)?),
            },
            PartitionRouter::Union(union) => {
                let inner = union.partition_routers.iter().map(|said| Self::one(account, files, said, state));
                Self::Union { field: union.partition_field.text(&scope)?, inner: inner.collect::<Result<_, _>>()? }
            }
        })
    }

    /// Whether only a common point is kept of how far its parts were read.
    pub(crate) const fn is_global(&self) -> bool {
        matches!(self, Self::Groups { .. })
    }

    /// The parts, one after the other.
    pub(crate) fn parts(&self) -> Parts<'_> {
        match self {
            Self::List { field, values, .. } => stream::iter(values.iter().map(|value| {
                let partition = Map::from_iter([(field.clone(), value.clone())]);
                Ok(Slice::new(partition, Map::new(), Map::new()))
            }))
            .boxed(),
            Self::Parents(parents) => stream::iter(parents).flat_map(Parent::parts).boxed(),
            Self::Groups { size, deduplicates, inner } => grouped(inner.parts(), *size, *deduplicates),
            Self::Union { field, inner } => {
                let mut seen = BTreeSet::new();
                let parts = stream::iter(inner).flat_map(Self::parts);
                parts.filter_map(move |part| std::future::ready(united(part, field, &mut seen))).boxed()
            }
            Self::Product(routers) => product(routers),
        }
    }

    /// Puts a part into the request.
    pub(crate) fn inject(&self, draft: &mut Draft, slice: &Slice, scope: &Scope) -> Result<(), Failure> {
        match self {
            Self::List { field, option, .. } => put(draft, option.as_ref(), field, slice, scope),
            Self::Parents(parents) => {
                parents.iter().try_for_each(|parent| put(draft, parent.option.as_ref(), &parent.field, slice, scope))
            }
            Self::Groups { .. } | Self::Union { .. } => Ok(()),
            Self::Product(routers) => routers.iter().try_for_each(|router| router.inject(draft, slice, scope)),
        }
    }

    /// How far the parents have been read, by name; none where there are no parents.
    pub(crate) fn parent_state(&self) -> Option<Value> {
        match self {
            Self::Parents(parents) => {
                let mut state = Map::new();
                for parent in parents.iter().filter(|parent| parent.is_incremental) {
                    state.insert(parent.reader.name.to_string(), held(&parent.cursor).state());
                }
                Some(Value::Object(state))
            }
            Self::Groups { inner, .. } => inner.parent_state(),
            Self::List { .. } | Self::Union { .. } | Self::Product(_) => None,
        }
    }
}

impl Parent {
    fn new(
        account: &Arc<Account>,
        files: &Arc<dyn Files>,
        said: &ParentStreamConfig,
        state: &Value,
    ) -> Result<Self, Failure> {
        let scope = account.scope();
        let own = if said.incremental_dependency { own_state(state, said.stream.name()) } else { Value::Null };
        let reader = StreamReader::new(account, files, &said.stream, &own)?;
        let cursor = Mutex::new(reader.cursor(&own)?);
        let extra = said.extra_fields.iter().map(|path| tree::path(path, &scope)).collect::<Result<_, _>>()?;
        Ok(Self {
            reader: Box::new(reader),
            key: said.parent_key.text(&scope)?,
            field: said.partition_field.text(&scope)?,
            extra,
            option: said.request_option.clone(),
            is_incremental: said.incremental_dependency,
            cursor,
        })
    }

    fn parts(&self) -> Parts<'_> {
        let path = dpath::parts(&self.key);
        let records = self.reader.records(&self.cursor);
        let parts = records.filter_map(move |found| {
            let part = match found {
                Ok((record, slice)) => self.part(&record, &slice, &path).map(Ok),
                Err(failure) => Some(Err(failure.while_at(format!("reading the parent stream {}", self.reader.name)))),
            };
            std::future::ready(part)
        });
        parts.boxed()
    }

    /// The part that a record makes; none where it has no key.
    fn part(&self, record: &Value, slice: &Slice, path: &[&str]) -> Option<Slice> {
        let value = dpath::get(record, path).filter(|value| !value.is_null())?;
        let partition = Map::from_iter([
            (self.field.clone(), value.clone()),
            ("parent_slice".to_owned(), Value::Object(slice.partition().clone())),
        ]);
        let extra =
            self.extra.iter().map(|path| (path.join("."), dpath::get(record, path).cloned().unwrap_or(Value::Null)));
        Some(Slice::new(partition, Map::new(), extra.collect()))
    }
}

/// The state of a parent within the child's: its own, else the point that all parts had reached.
fn own_state(state: &Value, name: &str) -> Value {
    let kept = state.get("parent_state").and_then(|all| all.get(name));
    let common = state.get("state");
    match (kept.or(common), state.as_object()) {
        (Some(found), _) => found.clone(),
        // A child that was not partitioned before: its point, under whatever name, is the parent's too.
        (None, Some(fields))
            if fields.len() == 1 && fields.values().all(|value| value.is_string() || value.is_number()) =>
        {
            state.clone()
        }
        _ => Value::Null,
    }
}

fn put(
    draft: &mut Draft,
    option: Option<&RequestOption>,
    field: &str,
    slice: &Slice,
    scope: &Scope,
) -> Result<(), Failure> {
    match (option, slice.get(field).filter(|value| python::is_true(value))) {
        (Some(option), Some(value)) => draft.inject(option, value.clone(), scope),
        _ => Ok(()),
    }
}

/// A part of a union: its one value, once; whatever else it said goes along beside it.
fn united(part: Result<Slice, Failure>, field: &str, seen: &mut BTreeSet<String>) -> Option<Result<Slice, Failure>> {
    let part = match part {
        Ok(part) => part,
        Err(failure) => return Some(Err(failure)),
    };
    let Some(value) = part.partition().get(field) else {
        let message = format!("a UnionPartitionRouter needs parts with `{field}`; give all its routers that field");
        return Some(Err(Failure::system(message)));
    };
    if !seen.insert(value.to_string()) {
        return None;
    }
    let rest = part.partition().iter().filter(|(name, _)| *name != field);
    let mut extra = part.extra().clone();
    extra.extend(rest.map(|(name, value)| (name.clone(), value.clone())));
    Some(Ok(Slice::new(Map::from_iter([(field.to_owned(), value.clone())]), Map::new(), extra)))
}

/// Several parts as one whose values are lists.
fn grouped(mut parts: Parts<'_>, size: usize, deduplicates: bool) -> Parts<'_> {
    let grouped = stream! {
        let mut seen = BTreeSet::new();
        let mut batch: Vec<Slice> = Vec::new();
        while let Some(part) = parts.next().await {
            let part = match part {
                Ok(part) => part,
                Err(failure) => {
                    yield Err(failure);
                    continue;
                }
            };
            let own: Vec<_> = part.partition().iter().filter(|(name, _)| *name != "parent_slice").collect();
            let [(_, value)] = own.as_slice() else {
                yield Err(Failure::system("a GroupingPartitionRouter needs parts with one value each"));
                return;
            };
            if deduplicates && !seen.insert(value.to_string()) {
                continue;
            }
            batch.push(part);
            if batch.len() == size {
                yield Ok(group(&std::mem::take(&mut batch)));
            }
        }
        if !batch.is_empty() {
            yield Ok(group(&batch));
        }
    };
    grouped.boxed()
}

fn group(batch: &[Slice]) -> Slice {
    let lists = |fields: fn(&Slice) -> &Map<String, Value>| -> Map<String, Value> {
        let names: BTreeSet<&String> = batch.iter().flat_map(|part| fields(part).keys()).collect();
        let list =
            |name: &String| batch.iter().map(|part| fields(part).get(name).cloned().unwrap_or(Value::Null)).collect();
        names.into_iter().map(|name| (name.clone(), list(name))).collect()
    };
    Slice::new(lists(Slice::partition), Map::new(), lists(Slice::extra))
}

/// All combinations. Every router but the first is gone through once and held.
fn product(routers: &[Router]) -> Parts<'_> {
    let combined = stream! {
        let Some((first, rest)) = routers.split_first() else { return };
        let mut held: Vec<Slice> = vec![Slice::whole()];
        for router in rest {
            let mut longer = Vec::new();
            let mut parts = router.parts();
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) => longer.extend(held.iter().map(|known| joined(known, &part))),
                    Err(failure) => yield Err(failure),
                }
                if longer.len() > COMBINED_MAX {
                    yield Err(Failure::config(format!("the stream has over {COMBINED_MAX} combinations of parts; ask for fewer")));
                    return;
                }
            }
            held = longer;
        }
        let mut parts = first.parts();
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) => {
                    for known in &held {
                        yield Ok(joined(&part, known));
                    }
                }
                Err(failure) => yield Err(failure),
            }
        }
    };
    combined.boxed()
}

/// Both; what the first says holds where both say something.
fn joined(one: &Slice, other: &Slice) -> Slice {
    let both = |first: &Map<String, Value>, second: &Map<String, Value>| {
        let mut both = second.clone();
        both.extend(first.clone());
        both
    };
    Slice::new(both(one.partition(), other.partition()), Map::new(), both(one.extra(), other.extra()))
}
