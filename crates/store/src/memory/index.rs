//! What a business's types are, walks over records and entries, and the building of indexes, a bounded amount at a time.

use super::{Inner, Log};
use crate::RecordPage;
use crate::index::{Building, Range, Walk};
use crate::settings::{Setting, SettingKey, SettingKind};
use lockstep_core::ids::{BusinessId, RecordId, TypeId};
use lockstep_core::limits::INDEXED_A_TURN;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::matching::{self, LookupKey};
use lockstep_core::schema::index::{Wipe, reindexed};
use lockstep_core::schema::{Field, Schema};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

/// How far a field's entries have been gone through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build {
    wipe: Wipe,
    after: RecordId,
}

impl Inner {
    pub(super) fn schema_of(&self, business: &BusinessId) -> Arc<Schema> {
        self.schemas.get(business).cloned().unwrap_or_else(Schema::ready_made)
    }

    /// Takes in what a business now says of a type.
    pub(super) fn reshape(&mut self, business: &BusinessId, ty: &TypeId) {
        let first = SettingKey::new(SettingKind::Type, format!("{business}/"));
        let rows = self.settings.range(first..).map_while(|(key, row)| Some((key.as_type()?, row)));
        let own: Vec<_> = rows
            .take_while(|((owner, _), _)| owner == business)
            .filter_map(|((_, ty), row)| match &row.value {
                Some(Setting::Type(definition)) => Some((ty, definition)),
                _ => None,
            })
            .collect();
        let after = Schema::of(own.iter().map(|(ty, definition)| (ty, *definition)));
        let before = self.schemas.insert(business.clone(), Arc::clone(&after)).unwrap_or_else(Schema::ready_made);
        let shape = |schema: &Arc<Schema>| schema.shape(ty.as_str()).ok().cloned();
        for (field, wipe) in reindexed(shape(&before).as_deref(), shape(&after).as_deref()) {
            let key = (business.clone(), ty.clone(), field);
            let standing = self.builds.get(&key).map_or(Wipe::Nothing, |build| build.wipe);
            self.builds.insert(key, Build { wipe: wipe.max(standing), after: RecordId(0) });
        }
    }

    pub(super) fn building(&self, business: &BusinessId) -> Vec<Building> {
        let own = self.builds.keys().filter(|(owner, ..)| owner == business);
        own.map(|(_, ty, field)| (ty.clone(), field.clone())).collect()
    }

    /// One turn; says whether more is left.
    pub(super) fn index_on(&mut self) -> bool {
        let Some((key, build)) = self.builds.pop_first() else { return false };
        let (business, ty, field) = &key;
        let schema = self.schema_of(business);
        let shape = schema.shape(ty.as_str()).ok();
        let wanted = shape.filter(|shape| shape.looks_up(field)).and_then(|shape| shape.fields.get(field));
        let Some(log) = self.logs.get_mut(business) else { return !self.builds.is_empty() };
        if let Some(build) = log.build(ty, (field, wanted), build) {
            self.builds.insert(key, build);
        }
        !self.builds.is_empty()
    }
}

impl Log {
    pub(super) fn walk(&self, ty: &TypeId, walk: Walk, limit: usize) -> RecordPage {
        let key = |id| RecordKey { ty: ty.clone(), id };
        let page = |found: &mut dyn Iterator<Item = (&RecordKey, &lockstep_core::record::Record)>| {
            let own = found.take_while(|(key, _)| key.ty == *ty);
            let records: Vec<_> = own.take(limit).map(|(_, record)| record.clone()).collect();
            RecordPage { is_last: records.len() < limit, records }
        };
        match walk {
            Walk::Up(after) => page(&mut self.records.range((Excluded(key(after)), Unbounded))),
            Walk::Down(before) => page(&mut self.records.range(..key(before)).rev()),
        }
    }

    pub(super) fn entries(&self, ty: &TypeId, field: &str, range: &Range, limit: usize) -> Vec<(Vec<u8>, RecordId)> {
        let at =
            |value: &[u8], record| (LookupKey { ty: ty.clone(), field: field.to_owned(), value: value.into() }, record);
        let Range { from, to, after, is_descending } = range;
        let past = || after.as_ref().map(|(value, record)| Excluded(at(value, *record)));
        let from = Included(at(from.as_deref().unwrap_or_default(), RecordId(0)));
        let to = Included(at(to.as_deref().unwrap_or(&[u8::MAX; 256]), RecordId(u128::MAX)));
        let bounds = match is_descending {
            false => (past().unwrap_or(from), to),
            true => (from, past().unwrap_or(to)),
        };
        if let (Included(low) | Excluded(low), Included(high) | Excluded(high)) = (&bounds.0, &bounds.1)
            && low >= high
        {
            return self.lookups.get(low).filter(|_| low == high && after.is_none()).map(found).into_iter().collect();
        }
        let entries = self.lookups.range(bounds);
        match is_descending {
            false => entries.take(limit).map(found).collect(),
            true => entries.rev().take(limit).map(found).collect(),
        }
    }

    /// Wipes or fills in some entries; gives how far it has come, none at the end.
    fn build(&mut self, ty: &TypeId, (id, wanted): (&str, Option<&Field>), build: Build) -> Option<Build> {
        if build.wipe > Wipe::Nothing {
            let to = (build.wipe == Wipe::Blanks).then(Vec::new);
            let stale = self.entries(ty, id, &Range { to, ..Range::default() }, INDEXED_A_TURN);
            let is_last = stale.len() < INDEXED_A_TURN;
            for (value, record) in stale {
                self.lookups.remove(&(LookupKey { ty: ty.clone(), field: id.to_owned(), value }, record));
            }
            return Some(Build { wipe: if is_last { Wipe::Nothing } else { build.wipe }, ..build });
        }
        let field = wanted?;
        let page = self.walk(ty, Walk::Up(build.after), INDEXED_A_TURN);
        let after = page.records.last().map_or(build.after, |record| record.id);
        let entries =
            page.records.iter().filter_map(|record| Some((matching::entry(ty, field, &record.state)?, record.id)));
        self.lookups.extend(entries);
        (!page.is_last).then_some(Build { after, ..build })
    }
}

fn found((key, record): &(LookupKey, RecordId)) -> (Vec<u8>, RecordId) {
    (key.value.clone(), *record)
}
