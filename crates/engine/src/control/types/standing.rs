//! What stands against a stricter rule: records without a value, with one, with one that is none any more, or with the
//! value of another.

use super::Held;
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::error::Code;
use lockstep_core::ids::RecordId;
use lockstep_core::limits::{LOOKUP_BYTES_MAX, PAGE_ROWS_MAX, RECORDS_NAMED_MAX};
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::scope::Reach;
use lockstep_core::schema::Field;
use lockstep_core::schema::definition::TypeDefinition;
use lockstep_store::StoreError;
use lockstep_store::index::{Range, Walk};
use serde_json::Value;

/// What may not be of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// No value.
    Blank,
    /// A value.
    Value,
    /// A value that its kind does not take.
    Misfit,
    /// A value that another record has.
    Shared,
}

impl Against {
    /// What a change of a field asks to be looked for.
    pub(super) fn of(before: &Field, after: &Field) -> Vec<Self> {
        let mut asked = Vec::new();
        if after.is_required && !before.is_required {
            asked.push(Self::Blank);
        }
        if after.kind != before.kind && after.kind.name() == before.kind.name() {
            asked.push(Self::Misfit);
        }
        if after.is_unique && !before.is_unique {
            asked.push(Self::Shared);
        }
        asked
    }

    fn is_met_by(self, field: &Field, record: &Record) -> bool {
        let value = record.state.fields.get(&field.id);
        match self {
            Self::Blank => value.is_none(),
            Self::Value => value.is_some(),
            Self::Misfit => value.is_some_and(|value| !field.kind.fits(value)),
            Self::Shared => false,
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Blank => ("without a value of", "give them one first"),
            Self::Value => ("with a value of", "clear it first"),
            Self::Misfit => ("with a value that it would not take of", "change it first"),
            Self::Shared => {
                ("with the value of another, or one too long to be told apart, of", "change or merge them first")
            }
        }
    }
}

/// Records that were found: how many, and the first of those that the caller may see.
#[derive(Default)]
struct Found {
    count: u64,
    named: Vec<String>,
}

impl Found {
    fn add(&mut self, field: &Field, reach: &Reach, record: &Record) {
        self.count += 1;
        if self.named.len() < RECORDS_NAMED_MAX && reach.holds(&record.state.fields) {
            let value = record.state.fields.get(&field.id).filter(|_| !reach.hides(&field.id));
            let shown = value.map(|value: &Value| format!(" {}", field.shown(value))).unwrap_or_default();
            self.named.push(format!("{}{shown}", record.id));
        }
    }
}

impl Held {
    /// Takes what was just committed back to what was before, and refuses the call, where a living record stands
    /// against it.
    pub(super) async fn must_stand(
        &mut self,
        world: &World,
        principal: &Principal,
        (field, against): (&Field, Against),
        before: &TypeDefinition,
    ) -> Result<(), Refusal> {
        let clear = self.must_be_clear(world, principal, field, against).await;
        if clear.is_err() {
            self.commit(world, principal, "field.undo", before.clone()).await?;
        }
        clear
    }

    /// Refuses the call where a living record stands against a rule.
    pub(super) async fn must_be_clear(
        &self,
        world: &World,
        principal: &Principal,
        field: &Field,
        against: Against,
    ) -> Result<(), Refusal> {
        let found = self.find(world, principal, field, against).await?;
        if found.count == 0 {
            return Ok(());
        }
        let (which, way_out) = against.words();
        let named = if found.named.is_empty() { String::new() } else { format!(": {}", found.named.join(", ")) };
        let text = format!("there are {} {} records {which} {}{named}; {way_out}", found.count, self.id, field.id);
        let code = if against == Against::Shared { Code::ValueTaken } else { Code::FieldInUse };
        Err(Refusal::new(code, text))
    }

    async fn find(
        &self,
        world: &World,
        principal: &Principal,
        field: &Field,
        against: Against,
    ) -> Result<Found, StoreError> {
        let reach = self.reach(principal);
        match against {
            Against::Shared => self.shared(world, field, &reach).await,
            _ => self.walk(world, field, &reach, against).await,
        }
    }

    async fn walk(&self, world: &World, field: &Field, reach: &Reach, against: Against) -> Result<Found, StoreError> {
        let (mut found, mut walk) = (Found::default(), Walk::OLDEST);
        loop {
            let page = world.store.records(&self.business.id, &self.id, walk, PAGE_ROWS_MAX).await?;
            for record in page.records.iter().filter(|record| !record.state.is_deleted) {
                if against.is_met_by(field, record) {
                    found.add(field, reach, record);
                }
            }
            match page.records.last().filter(|_| !page.is_last) {
                Some(last) => walk = walk.on_from(last.id),
                None => return Ok(found),
            }
        }
    }

    /// Neighbours in the index that have one value; and values that were cut in it, which cannot be told apart.
    async fn shared(&self, world: &World, field: &Field, reach: &Reach) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut before: Option<(Vec<u8>, RecordId, bool)> = None;
        loop {
            let after = before.as_ref().map(|(value, record, _)| (value.clone(), *record));
            let range = Range { from: Some(vec![0]), after, ..Range::default() };
            let page = world.store.entries(&self.business.id, (&self.id, &field.id), range, PAGE_ROWS_MAX).await?;
            if page.is_empty() {
                return Ok(found);
            }
            for (value, record) in page {
                let is_shared = value.len() >= LOOKUP_BYTES_MAX && self.is_too_long(world, field, record).await?
                    || before.as_ref().is_some_and(|(other, ..)| *other == value);
                let first = before.as_ref().filter(|(.., is_told)| is_shared && !is_told).map(|(_, first, _)| *first);
                if let Some(first) = first.filter(|_| before.as_ref().is_some_and(|(other, ..)| *other == value)) {
                    self.add(world, (field, first), reach, &mut found).await?;
                }
                if is_shared {
                    self.add(world, (field, record), reach, &mut found).await?;
                }
                before = Some((value, record, is_shared));
            }
        }
    }

    async fn is_too_long(&self, world: &World, field: &Field, record: RecordId) -> Result<bool, StoreError> {
        let key = RecordKey { ty: self.id.clone(), id: record };
        let record = world.store.record(&self.business.id, &key).await?;
        let value = record.as_ref().and_then(|record| record.state.fields.get(&field.id));
        let bytes = value.and_then(|value| lockstep_core::rules::sorting::bytes(&field.kind, value));
        Ok(bytes.is_some_and(|bytes| bytes.len() > LOOKUP_BYTES_MAX))
    }

    async fn add(
        &self,
        world: &World,
        (field, record): (&Field, RecordId),
        reach: &Reach,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let key = RecordKey { ty: self.id.clone(), id: record };
        match world.store.record(&self.business.id, &key).await?.filter(|_| found.named.len() < RECORDS_NAMED_MAX) {
            Some(record) => found.add(field, reach, &record),
            None => found.count += 1,
        }
        Ok(())
    }
}
