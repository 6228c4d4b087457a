//! Building indexes over what stands, a bounded amount in a transaction: a row says how far it has come.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column, number};
use crate::load::{Loader, business_number};
use crate::lookup;
use lockstep_core::ids::{BusinessId, RecordId, TypeId};
use lockstep_core::limits::{INDEXED_A_TURN, PAGE_BYTES_MAX};
use lockstep_core::record::RecordKey;
use lockstep_core::rules::matching;
use lockstep_core::schema::index::{Wipe, reindexed};
use lockstep_core::schema::{Field, Schema};
use lockstep_store::batch::Load;
use lockstep_store::index::Building;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

/// A field whose entries are gone through.
struct Build {
    number: BusinessNumber,
    business: BusinessId,
    ty: TypeId,
    field: String,
    wipe: i64,
    after: Vec<u8>,
}

const fn wipe_number(wipe: Wipe) -> i64 {
    match wipe {
        Wipe::Nothing => 0,
        Wipe::Blanks => 1,
        Wipe::All => 2,
    }
}

/// The types that a business knows, from its setting rows.
pub(crate) fn schema(connection: &Connection, business: &BusinessId) -> Result<Arc<Schema>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT id, body FROM setting WHERE kind = 'type' AND id > ?1 || '/' AND id < ?1 || '0' AND body IS NOT NULL",
        )
        .or_fault()?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?));
    let rows = select.query_map([business.as_str()], read).or_fault()?.collect::<Result<Vec<_>, _>>().or_fault()?;
    let mut definitions = Vec::new();
    for (id, body) in rows {
        let setting = codec::decode(&body)?;
        if let (Some((_, ty)), lockstep_store::settings::Setting::Type(definition)) = (id.split_once('/'), setting) {
            definitions.push((type_of(ty)?, definition));
        }
    }
    Ok(Schema::of(definitions.iter().map(|(ty, definition)| (ty, definition))))
}

fn type_of(text: &str) -> Result<TypeId, StoreError> {
    TypeId::parse(text).map_err(|refused| StoreError::Corrupt(refused.message))
}

/// Enters what a type's change of shape asks for.
pub(crate) fn begin(
    connection: &Connection,
    business: BusinessNumber,
    ty: &TypeId,
    (before, after): (&Schema, &Schema),
) -> Result<(), StoreError> {
    let shape = |schema: &Schema| schema.shape(ty.as_str()).ok().cloned();
    for (field, wipe) in reindexed(shape(before).as_deref(), shape(after).as_deref()) {
        let sql = "INSERT INTO index_build (business, type, field, wipe) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO UPDATE SET wipe = max(wipe, excluded.wipe), after = x''";
        let values = params![business.0, ty.as_str(), field, wipe_number(wipe)];
        connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
    }
    Ok(())
}

/// The fields of a business that are being gone through.
pub(crate) fn building(connection: &Connection, business: &BusinessId) -> Result<Vec<Building>, StoreError> {
    let number = business_number(connection, business)?;
    let mut select = connection.prepare_cached("SELECT type, field FROM index_build WHERE business = ?1").or_fault()?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let rows = select.query_map([number.0], read).or_fault()?.collect::<Result<Vec<_>, _>>().or_fault()?;
    rows.into_iter().map(|(ty, field)| Ok((type_of(&ty)?, field))).collect()
}

fn first(connection: &Connection) -> Result<Option<Build>, StoreError> {
    let sql = "SELECT index_build.business, business.id, type, field, wipe, after \
               FROM index_build JOIN business ON business.number = index_build.business LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| {
        let (business, ty): (String, String) = (row.get(1)?, row.get(2)?);
        Ok((BusinessNumber(row.get(0)?), business, ty, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    let found = connection.prepare_cached(sql).or_fault()?.query_row([], read).optional().or_fault()?;
    found
        .map(|(number, business, ty, field, wipe, after)| {
            let business = BusinessId::parse(&business).map_err(|refused| StoreError::Corrupt(refused.message))?;
            Ok(Build { number, business, ty: type_of(&ty)?, field, wipe, after })
        })
        .transpose()
}

/// Whether anything is left to be gone through.
pub(crate) fn is_due(connection: &Connection) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM index_build)")
        .or_fault()?
        .query_row([], |row| row.get(0))
        .or_fault()
}

/// One turn; says whether more is left.
pub(crate) fn turn(loader: &mut Loader<'_>) -> Result<bool, StoreError> {
    let connection = loader.connection;
    let Some(mut build) = first(connection)? else { return Ok(false) };
    let schema = loader.schema(&build.business)?;
    let shape = schema.shape(build.ty.as_str()).ok().filter(|shape| shape.looks_up(&build.field));
    let is_over = match (build.wipe, shape.and_then(|shape| shape.fields.get(&build.field))) {
        (1.., wanted) => build.wipe_some(connection)? && wanted.is_none(),
        (_, None) => true,
        (_, Some(field)) => build.fill_some(connection, field)?,
    };
    build.settle(connection, is_over)?;
    is_due(connection)
}

impl Build {
    fn settle(&self, connection: &Connection, is_over: bool) -> Result<(), StoreError> {
        let (ty, field) = (self.ty.as_str(), &self.field);
        let settled = match is_over {
            true => connection
                .prepare_cached("DELETE FROM index_build WHERE business = ?1 AND type = ?2 AND field = ?3")
                .or_fault()?
                .execute(params![self.number.0, ty, field]),
            false => connection
                .prepare_cached(
                    "UPDATE index_build SET wipe = ?4, after = ?5 WHERE business = ?1 AND type = ?2 AND field = ?3",
                )
                .or_fault()?
                .execute(params![self.number.0, ty, field, self.wipe, self.after]),
        };
        settled.or_fault().map(|_| ())
    }

    /// Takes out some entries that may be stale; says whether they were the last.
    fn wipe_some(&mut self, connection: &Connection) -> Result<bool, StoreError> {
        let sql = "DELETE FROM lookup WHERE business = ?1 AND type = ?2 AND field = ?3 AND (value, record) IN \
                   (SELECT value, record FROM lookup WHERE business = ?1 AND type = ?2 AND field = ?3 \
                    AND (?4 = 2 OR value = x'') ORDER BY value, record LIMIT ?5)";
        let values = params![self.number.0, self.ty.as_str(), self.field, self.wipe, column(INDEXED_A_TURN as u64)];
        let wiped = connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
        let is_last = wiped < INDEXED_A_TURN;
        if is_last {
            self.wipe = 0;
        }
        Ok(is_last)
    }

    /// Enters some records; says whether they were the last.
    fn fill_some(&mut self, connection: &Connection, field: &Field) -> Result<bool, StoreError> {
        let mut select = connection
            .prepare_cached("SELECT id, body FROM record WHERE business = ?1 AND type = ?2 AND id > ?3 ORDER BY id")
            .or_fault()?;
        let mut rows = select.query(params![self.number.0, self.ty.as_str(), self.after]).or_fault()?;
        let (mut bytes, mut count) = (0, 0);
        while count < INDEXED_A_TURN && bytes < 4 * PAGE_BYTES_MAX {
            let Some(row) = rows.next().or_fault()? else { return Ok(true) };
            let id: [u8; 16] = row.get(0).or_fault()?;
            let key = RecordKey { ty: self.ty.clone(), id: RecordId(number(&id)?) };
            let body = row.get_ref(1).or_fault()?.as_blob().map_err(|error| StoreError::Corrupt(error.to_string()))?;
            (bytes, count) = (bytes + body.len(), count + 1);
            let record = codec::record::decode(&key, body)?;
            if let Some(entry) = matching::entry(&self.ty, field, &record.state) {
                lookup::write(connection, self.number, &(entry, key.id), true)?;
            }
            self.after = blob(key.id.0).to_vec();
        }
        Ok(false)
    }
}
