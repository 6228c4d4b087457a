//! Loading inside a commit: what the rules ask for, by key.

use crate::epoch::position;
use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column, count, number, unknown};
use crate::{index, lookup, work};
use lockstep_core::clock::Timestamp;
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{BusinessId, RecordId, TypeId};
use lockstep_core::limits;
use lockstep_core::position::Position;
use lockstep_core::record::{Record, RecordKey};
use lockstep_core::rules::matching::LookupKey;
use lockstep_core::rules::working_set::Remembered;
use lockstep_core::schema::Schema;
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_store::batch::Load;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Numbers of businesses.
type Numbers = BTreeMap<BusinessId, BusinessNumber>;

/// Types of businesses.
type Schemas = BTreeMap<BusinessId, Arc<Schema>>;

/// What the writer remembers of businesses from one transaction to the next.
#[derive(Default)]
pub(crate) struct Known {
    numbers: Numbers,
    schemas: Schemas,
}

impl Known {
    /// Forgets it all: what was read in a transaction that is no more may not be so.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads through one connection.
pub(crate) struct Loader<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) known: &'a mut Known,
}

impl Loader<'_> {
    /// A business's number.
    pub(crate) fn number(&mut self, business: &BusinessId) -> Result<BusinessNumber, StoreError> {
        if let Some(number) = self.known.numbers.get(business) {
            return Ok(*number);
        }
        let number = business_number(self.connection, business)?;
        self.known.numbers.insert(business.clone(), number);
        Ok(number)
    }

    /// Reads a business's types anew; gives those that were known, and those that are so now.
    pub(crate) fn reread(&mut self, business: &BusinessId) -> Result<(Arc<Schema>, Arc<Schema>), StoreError> {
        let after = index::schema(self.connection, business)?;
        let before = self.known.schemas.insert(business.clone(), Arc::clone(&after));
        Ok((before.unwrap_or_else(Schema::ready_made), after))
    }
}

/// A business's number, from its row.
pub(crate) fn business_number(connection: &Connection, business: &BusinessId) -> Result<BusinessNumber, StoreError> {
    let mut select = connection.prepare_cached("SELECT number FROM business WHERE id = ?1").or_fault()?;
    let number = select.query_row([business.as_str()], |row| row.get(0)).optional().or_fault()?;
    number.map(BusinessNumber).ok_or_else(|| unknown(business))
}

/// A record, from its row.
pub(crate) fn record(
    connection: &Connection,
    business: BusinessNumber,
    key: &RecordKey,
) -> Result<Option<Record>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT body FROM record WHERE business = ?1 AND type = ?2 AND id = ?3")
        .or_fault()?;
    let mut rows = select.query(params![business.0, key.ty.as_str(), blob(key.id.0)]).or_fault()?;
    match rows.next().or_fault()? {
        Some(row) => {
            let body = row.get_ref(0).or_fault()?;
            let bytes = body.as_blob().map_err(|error| StoreError::Corrupt(error.to_string()))?;
            codec::record::decode(key, bytes).map(Some)
        }
        None => Ok(None),
    }
}

/// The record that an external id leads to, from its row.
pub(crate) fn holder(
    connection: &Connection,
    business: BusinessNumber,
    key: &ExternalKey,
) -> Result<Option<RecordKey>, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT type, record FROM external_id \
             WHERE business = ?1 AND provider = ?2 AND realm = ?3 AND object = ?4 AND id = ?5",
        )
        .or_fault()?;
    let keys = params![business.0, key.provider.as_str(), key.realm, key.object, key.id];
    let found: Option<(String, [u8; 16])> =
        select.query_row(keys, |row| Ok((row.get(0)?, row.get(1)?))).optional().or_fault()?;
    found
        .map(|(ty, record)| {
            let ty = TypeId::parse(&ty).map_err(|refused| StoreError::Corrupt(refused.message))?;
            Ok(RecordKey { ty, id: RecordId(number(&record)?) })
        })
        .transpose()
}

impl Load for Loader<'_> {
    fn head(&mut self, business: &BusinessId) -> Result<(Position, Timestamp), StoreError> {
        let number = self.number(business)?;
        let mut select =
            self.connection.prepare_cached("SELECT epoch, head, last_at FROM business WHERE number = ?1").or_fault()?;
        select.query_row([number.0], |row| Ok((position(row, "epoch", "head")?, Timestamp(row.get(2)?)))).or_fault()
    }

    fn schema(&mut self, business: &BusinessId) -> Result<Arc<Schema>, StoreError> {
        if let Some(schema) = self.known.schemas.get(business) {
            return Ok(Arc::clone(schema));
        }
        Ok(self.reread(business)?.1)
    }

    fn record(&mut self, business: &BusinessId, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        record(self.connection, self.number(business)?, key)
    }

    fn holder(&mut self, business: &BusinessId, key: &ExternalKey) -> Result<Option<RecordKey>, StoreError> {
        holder(self.connection, self.number(business)?, key)
    }

    fn remembered(&mut self, business: &BusinessId, key: [u8; 16]) -> Result<Option<Remembered>, StoreError> {
        let business = self.number(business)?;
        let mut select = self
            .connection
            .prepare_cached("SELECT body FROM idempotency WHERE business = ?1 AND key = ?2")
            .or_fault()?;
        let body: Option<Vec<u8>> =
            select.query_row(params![business.0, key], |row| row.get(0)).optional().or_fault()?;
        body.map(|body| codec::decode(&body)).transpose()
    }

    fn shadow(&mut self, business: &BusinessId, key: &ShadowKey) -> Result<Option<Shadow>, StoreError> {
        work::shadow(self.connection, self.number(business)?, key)
    }

    fn lookup(&mut self, business: &BusinessId, key: &LookupKey) -> Result<Vec<RecordId>, StoreError> {
        lookup::find(self.connection, self.number(business)?, key, limits::MATCHES_MAX)
    }
}

/// The version at which all settings stand.
pub(crate) fn settings_version(connection: &Connection) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT coalesce(max(version), 0) FROM setting").or_fault()?;
    select.query_row([], |row| row.get(0)).map(count).or_fault()
}

/// The fence in force for a piece of work.
pub(crate) fn fence(connection: &Connection, work: &str) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached("SELECT fence FROM lease WHERE work = ?1").or_fault()?;
    Ok(select.query_row([work], |row| row.get(0)).optional().or_fault()?.map_or(0, count))
}

/// Raises the fence of a piece of work and gives it to an owner.
pub(crate) fn take_lease(connection: &Connection, work: &str, owner: &str) -> Result<u64, StoreError> {
    let next = fence(connection, work)? + 1;
    let mut put = connection
        .prepare_cached(
            "INSERT INTO lease (work, fence, owner) VALUES (?1, ?2, ?3) \
             ON CONFLICT (work) DO UPDATE SET fence = excluded.fence, owner = excluded.owner",
        )
        .or_fault()?;
    put.execute(params![work, column(next), owner]).or_fault()?;
    Ok(next)
}
