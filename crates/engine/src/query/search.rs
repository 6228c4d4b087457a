//! Carrying out a plan: candidates are read in order, or put in order, and every test is asked of each.

use super::Opened;
use crate::World;
use lockstep_core::ids::RecordId;
use lockstep_core::limits::{PAGE_ROWS_MAX, QUERY_CANDIDATES_MAX};
use lockstep_core::record::Record;
use lockstep_core::rules::query::filter::Test;
use lockstep_core::rules::query::plan::{Bytes, Source};
use lockstep_core::rules::query::{Order, Place, Subject, meets};
use lockstep_store::StoreError;
use lockstep_store::index::{Range, Walk};
use std::collections::BTreeSet;

/// Records found, and where to go on if there may be more.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    pub(super) next: Option<Place>,
}

/// A page being looked for.
pub(super) struct Search<'a> {
    world: &'a World,
    opened: &'a Opened,
    tests: &'a [Test],
    order: &'a Order,
    after: Option<Place>,
    limit: usize,
}

impl<'a> Search<'a> {
    pub(super) const fn new(
        world: &'a World,
        opened: &'a Opened,
        (tests, order): (&'a [Test], &'a Order),
        after: Option<Place>,
        limit: usize,
    ) -> Self {
        Self { world, opened, tests, order, after, limit }
    }

    /// The page that a source gives; none where it gives more than can be put in order.
    pub(super) async fn run(&self, source: Source) -> Result<Option<Found>, StoreError> {
        match source {
            Source::Walk => self.walk().await.map(Some),
            Source::Same(field, value) => {
                let only = value.clone()..=value.clone();
                let after = self.after.as_ref().map(|(_, record)| (value.clone(), *record));
                self.stream(&field, only, after).await.map(Some)
            }
            Source::Stream(field, range) => self.stream(&field, range, self.after.clone()).await.map(Some),
            Source::Gather(field, ranges) => self.gather(&field, ranges).await,
            Source::Sort => self.sort().await.map(Some),
        }
    }

    fn meets(&self, record: &Record) -> bool {
        self.opened.reach.sees(&record.state) && meets(self.tests, record)
    }

    async fn walk(&self) -> Result<Found, StoreError> {
        let begin = if self.order.is_descending { Walk::NEWEST } else { Walk::OLDEST };
        let mut walk = self.after.as_ref().map_or(begin, |(_, record)| begin.on_from(*record));
        let (mut page, mut examined) = (Page::new(self.limit), 0);
        loop {
            let found =
                self.world.store.records(&self.opened.business.id, &self.opened.shape.id, walk, PAGE_ROWS_MAX).await?;
            for record in found.records {
                (walk, examined) = (walk.on_from(record.id), examined + 1);
                let place = (Vec::new(), record.id);
                if let Some(full) = page.take(place, self.meets(&record).then_some(record)) {
                    return Ok(full);
                }
            }
            if found.is_last {
                return Ok(page.last());
            }
            if examined >= QUERY_CANDIDATES_MAX {
                return Ok(page.short());
            }
        }
    }

    /// Along a field's entries, which are in the order wanted.
    async fn stream(&self, field: &str, range: Bytes, after: Option<Place>) -> Result<Found, StoreError> {
        let (from, to) = range.into_inner();
        let is_by_field = matches!(self.order.by, Subject::Field(_));
        let is_descending = self.order.is_descending;
        let mut range = Range { from: Some(from), to: Some(to), after, is_descending };
        let (mut page, mut examined) = (Page::new(self.limit), 0);
        loop {
            let entries = self.entries(field, range.clone()).await?;
            let Some(last) = entries.last().cloned() else { return Ok(page.last()) };
            examined += entries.len();
            let ids: Vec<RecordId> = entries.iter().map(|(_, record)| *record).collect();
            let records = self.read(&ids).await?;
            for (entry, record) in entries.into_iter().zip(records) {
                // One that changed its place meanwhile is met where it is now, or was met before.
                let stands = |record: &Record| !is_by_field || self.order.by.place_of(record) == entry.0;
                let record = record.filter(|record| stands(record) && self.meets(record));
                let place = if is_by_field { entry } else { (Vec::new(), entry.1) };
                if let Some(full) = page.take(place, record) {
                    return Ok(full);
                }
            }
            if examined >= QUERY_CANDIDATES_MAX {
                return Ok(page.short());
            }
            range.after = Some(last);
        }
    }

    async fn entries(&self, field: &str, range: Range) -> Result<Vec<Place>, StoreError> {
        let Opened { business, shape, .. } = self.opened;
        self.world.store.entries(&business.id, (&shape.id, field), range, PAGE_ROWS_MAX).await
    }

    async fn read(&self, ids: &[RecordId]) -> Result<Vec<Option<Record>>, StoreError> {
        let Opened { business, shape, .. } = self.opened;
        let mut records = Vec::with_capacity(ids.len());
        while let Some(rest) = ids.get(records.len()..).filter(|rest| !rest.is_empty()) {
            let more = self.world.store.records_of(&business.id, &shape.id, rest).await?;
            if more.is_empty() {
                return Err(StoreError::Failed("records were asked for, and none were answered".to_owned()));
            }
            records.extend(more);
        }
        Ok(records)
    }

    async fn gather(&self, field: &str, ranges: Vec<Bytes>) -> Result<Option<Found>, StoreError> {
        let mut ids = BTreeSet::new();
        for range in ranges {
            let (from, to) = range.into_inner();
            let mut range = Range { from: Some(from), to: Some(to), ..Range::default() };
            loop {
                let entries = self.entries(field, range.clone()).await?;
                let Some(last) = entries.last().cloned() else { break };
                ids.extend(entries.into_iter().map(|(_, record)| record));
                if ids.len() > QUERY_CANDIDATES_MAX {
                    return Ok(None);
                }
                range.after = Some(last);
            }
        }
        if self.order.by == Subject::CreatedAt {
            return self.pick(ids).await.map(Some);
        }
        let ids: Vec<RecordId> = ids.into_iter().collect();
        let mut placed = Vec::new();
        for some in ids.chunks(PAGE_ROWS_MAX) {
            let records = self.read(some).await?.into_iter().flatten();
            placed.extend(
                records.filter(|record| self.meets(record)).map(|record| (self.order.place_of(&record), record)),
            );
        }
        Ok(Some(self.cut(placed)))
    }

    /// Of some records, in the order of ids: no more are read than a page needs.
    async fn pick(&self, ids: BTreeSet<RecordId>) -> Result<Found, StoreError> {
        let is_next =
            |id: &RecordId| self.after.as_ref().is_none_or(|after| self.order.is_after(&(Vec::new(), *id), after));
        let mut ids: Vec<RecordId> = ids.into_iter().filter(is_next).collect();
        if self.order.is_descending {
            ids.reverse();
        }
        let mut page = Page::new(self.limit);
        for some in ids.chunks(PAGE_ROWS_MAX) {
            for (id, record) in some.iter().zip(self.read(some).await?) {
                let record = record.filter(|record| self.meets(record));
                if let Some(full) = page.take((Vec::new(), *id), record) {
                    return Ok(full);
                }
            }
        }
        Ok(page.last())
    }

    async fn sort(&self) -> Result<Found, StoreError> {
        let (mut walk, mut placed) = (Walk::OLDEST, Vec::new());
        loop {
            let Opened { business, shape, .. } = self.opened;
            let page = self.world.store.records(&business.id, &shape.id, walk, PAGE_ROWS_MAX).await?;
            let last = page.records.last().map(|record| record.id).filter(|_| !page.is_last);
            let met = page.records.into_iter().filter(|record| self.meets(record));
            placed.extend(met.map(|record| (self.order.place_of(&record), record)));
            match last {
                Some(last) => walk = walk.on_from(last),
                None => return Ok(self.cut(placed)),
            }
        }
    }

    /// The page of all that was found, put in order.
    fn cut(&self, mut placed: Vec<(Place, Record)>) -> Found {
        self.order.sort(&mut placed);
        let is_next = |place: &Place| self.after.as_ref().is_none_or(|after| self.order.is_after(place, after));
        let mut page = Page::new(self.limit);
        for (place, record) in placed.into_iter().filter(|(place, _)| is_next(place)) {
            if let Some(full) = page.take(place, Some(record)) {
                return full;
            }
        }
        page.last()
    }
}

/// A page as it fills.
struct Page {
    limit: usize,
    records: Vec<Record>,
    /// Where the last record taken stands.
    taken: Option<Place>,
    /// Where the last one looked at stands.
    seen: Option<Place>,
}

impl Page {
    const fn new(limit: usize) -> Self {
        Self { limit, records: Vec::new(), taken: None, seen: None }
    }

    /// Takes the next record, where it is wanted; gives the page once there is one more than it holds.
    fn take(&mut self, place: Place, record: Option<Record>) -> Option<Found> {
        if let Some(record) = record {
            if self.records.len() == self.limit {
                return Some(Found { records: std::mem::take(&mut self.records), next: self.taken.take() });
            }
            self.records.push(record);
            self.taken = Some(place.clone());
        }
        self.seen = Some(place);
        None
    }

    /// The page where no more is to come.
    fn last(self) -> Found {
        Found { records: self.records, next: None }
    }

    /// The page where enough has been looked at.
    fn short(self) -> Found {
        let is_full = self.records.len() == self.limit;
        Found { records: self.records, next: if is_full { self.taken } else { self.seen } }
    }
}
