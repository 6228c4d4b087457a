//! The lookup: records by their values.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column, number};
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::limits::LOOKUP_BYTES_MAX;
use lockstep_core::record::RecordKey;
use lockstep_core::rules::matching::{self, LookupKey};
use lockstep_core::schema::Schema;
use lockstep_store::index::Range;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, params};

/// Records with a value.
pub(crate) fn find(
    connection: &Connection,
    business: BusinessNumber,
    key: &LookupKey,
    limit: usize,
) -> Result<Vec<RecordId>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT record FROM lookup WHERE business = ?1 AND type = ?2 AND field = ?3 AND value = ?4 \
             ORDER BY record LIMIT ?5",
        )
        .or_fault()?;
    let own = params![business.0, key.ty.as_str(), key.field, key.value, column(limit as u64)];
    let rows = select.query_map(own, |row| row.get::<_, [u8; 16]>(0)).or_fault()?;
    rows.map(|row| Ok(RecordId(number(&row.or_fault()?)?))).collect()
}

/// A page of a field's entries.
pub(crate) fn entries(
    connection: &Connection,
    business: BusinessNumber,
    (ty, field): (&TypeId, &str),
    range: &Range,
    limit: usize,
) -> Result<Vec<(Vec<u8>, RecordId)>, StoreError> {
    // No value is longer than the cut, and no record's id is longer than its sixteen bytes.
    let (least, greatest) = ((Vec::new(), Vec::new()), (vec![u8::MAX; LOOKUP_BYTES_MAX + 1], vec![u8::MAX; 17]));
    let from = range.from.clone().map_or(least, |value| (value, Vec::new()));
    let to = range.to.clone().map_or(greatest, |value| (value, vec![u8::MAX; 17]));
    let past = range.after.clone().map(|(value, record)| (value, blob(record.0).to_vec()));
    let (from, to, sql) = match range.is_descending {
        false => (
            past.unwrap_or(from),
            to,
            "SELECT value, record FROM lookup WHERE business = ?1 AND type = ?2 AND field = ?3 \
             AND (value, record) > (?4, ?5) AND (value, record) < (?6, ?7) ORDER BY value, record LIMIT ?8",
        ),
        true => (
            from,
            past.unwrap_or(to),
            "SELECT value, record FROM lookup WHERE business = ?1 AND type = ?2 AND field = ?3 \
             AND (value, record) > (?4, ?5) AND (value, record) < (?6, ?7) ORDER BY value DESC, record DESC LIMIT ?8",
        ),
    };
    let mut select = connection.prepare_cached(sql).or_fault()?;
    let own = params![business.0, ty.as_str(), field, from.0, from.1, to.0, to.1, column(limit as u64)];
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, [u8; 16]>(1)?));
    let rows = select.query_map(own, read).or_fault()?;
    rows.map(|row| row.or_fault().and_then(|(value, record)| Ok((value, RecordId(number(&record)?))))).collect()
}

/// Enters a record under a value, or takes it out.
pub(crate) fn write(
    connection: &Connection,
    business: BusinessNumber,
    (key, record): &(LookupKey, RecordId),
    is_so: bool,
) -> Result<(), StoreError> {
    let sql = match is_so {
        true => {
            "INSERT INTO lookup (business, type, field, value, record) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO NOTHING"
        }
        false => "DELETE FROM lookup WHERE business = ?1 AND type = ?2 AND field = ?3 AND value = ?4 AND record = ?5",
    };
    let values = params![business.0, key.ty.as_str(), key.field, key.value, blob(record.0)];
    connection.prepare_cached(sql).or_fault()?.execute(values).or_fault()?;
    Ok(())
}

/// Enters every record of a store that was written before there was a lookup.
pub(crate) fn fill(connection: &Connection) -> Result<(), StoreError> {
    let schema = Schema::ready_made();
    let mut select = connection.prepare("SELECT business, type, id, body FROM record").or_fault()?;
    let mut rows = select.query([]).or_fault()?;
    while let Some(row) = rows.next().or_fault()? {
        let business = BusinessNumber(row.get(0).or_fault()?);
        let ty: String = row.get(1).or_fault()?;
        let ty = TypeId::parse(&ty).map_err(|refused| StoreError::Corrupt(refused.message))?;
        let Ok(shape) = schema.shape(ty.as_str()) else { continue };
        let id: [u8; 16] = row.get(2).or_fault()?;
        let key = RecordKey { ty, id: RecordId(number(&id)?) };
        let body: Vec<u8> = row.get(3).or_fault()?;
        let record = codec::record::decode(&key, &body)?;
        for entry in matching::entries(shape, &record.state) {
            write(connection, business, &(entry, record.id), true)?;
        }
    }
    Ok(())
}
