//! Turns of shares, shadows, and work rows.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, number};
use crate::load::business_number;
use crate::write::Writing;
use lockstep_core::command::Outcome;
use lockstep_core::ids::{BusinessId, ConnectionId, ShareId};
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_core::work::{WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_store::turn::Turn;
use lockstep_store::{StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};

/// A shadow, from its row.
pub(crate) fn shadow(
    connection: &Connection,
    business: BusinessNumber,
    key: &ShadowKey,
) -> Result<Option<Shadow>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT body FROM shadow WHERE business = ?1 AND connection = ?2 AND slot = ?3 AND id = ?4")
        .or_fault()?;
    let own = params![business.0, blob(key.connection.0), key.slot, key.id];
    let body: Option<Vec<u8>> = select.query_row(own, |row| row.get(0)).optional().or_fault()?;
    body.map(|body| codec::decode(&body)).transpose()
}

/// Shadows, in the order asked for.
pub(crate) fn shadows(
    connection: &Connection,
    business: &BusinessId,
    keys: &[ShadowKey],
) -> Result<Vec<Option<Shadow>>, StoreError> {
    let business = business_number(connection, business)?;
    keys.iter().map(|key| shadow(connection, business, key)).collect()
}

/// A work row.
pub(crate) fn row(
    connection: &Connection,
    business: BusinessNumber,
    key: &WorkKey,
) -> Result<Option<WorkRow>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT body FROM work WHERE business = ?1 AND kind = ?2 AND share = ?3 AND about = ?4")
        .or_fault()?;
    let own = params![business.0, key.kind.code(), blob(key.share.0), key.about];
    let body: Option<Vec<u8>> = select.query_row(own, |row| row.get(0)).optional().or_fault()?;
    body.map(|body| codec::decode(&body)).transpose()
}

/// A page of work rows of a kind.
pub(crate) fn page(
    connection: &Connection,
    business: &BusinessId,
    (kind, share): (WorkKind, Option<ShareId>),
    after: Option<&WorkKey>,
    limit: usize,
) -> Result<Vec<(WorkKey, WorkRow)>, StoreError> {
    let business = business_number(connection, business)?;
    let lowest = share.unwrap_or(ShareId(0));
    let highest = share.unwrap_or(ShareId(u128::MAX));
    let (from, about) = after.map_or((lowest, ""), |key| (key.share, key.about.as_str()));
    // No row is about nothing but a share's progress, of which there is one: it is the first of its share.
    let is_first = after.is_none();
    let mut select = connection
        .prepare_cached(
            "SELECT share, about, body FROM work WHERE business = ?1 AND kind = ?2 \
             AND ((share, about) > (?3, ?4) OR (?5 AND share = ?3 AND about = ?4)) AND share <= ?6 \
             ORDER BY share, about LIMIT ?7",
        )
        .or_fault()?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let asked = params![business.0, kind.code(), blob(from.0), about, is_first, blob(highest.0), limit];
    let mut rows = select.query(asked).or_fault()?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().or_fault()? {
        let share = ShareId(number(&row.get::<_, Vec<u8>>(0).or_fault()?)?);
        let body: Vec<u8> = row.get(2).or_fault()?;
        found.push((WorkKey { kind, share, about: row.get(1).or_fault()? }, codec::decode(&body)?));
    }
    Ok(found)
}

/// The first change that shares have yet to follow.
pub(crate) fn followed(connection: &Connection, business: BusinessNumber) -> Result<Option<u64>, StoreError> {
    let mut select = connection.prepare_cached("SELECT body FROM work WHERE business = ?1 AND kind = ?2").or_fault()?;
    let mut first: Option<u64> = None;
    let kind = WorkKind::Progress.code();
    for body in select.query_map(params![business.0, kind], |row| row.get::<_, Vec<u8>>(0)).or_fault()? {
        let row: WorkRow = codec::decode(&body.or_fault()?)?;
        first = [first, row.follows().map(|seq| seq + 1)].into_iter().flatten().min();
    }
    Ok(first)
}

impl Writing<'_> {
    /// Writes what becomes of work rows, given what a turn's lines came to.
    pub(crate) fn turn(&mut self, turn: &Turn, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let business = self.loader.number(&turn.business)?;
        for (key, put) in turn.closed(outcomes) {
            self.put_work(business, &key, put)?;
        }
        Ok(())
    }

    fn put_work(&self, business: BusinessNumber, key: &WorkKey, put: WorkPut) -> Result<(), StoreError> {
        let standing = if put.reads() { row(self.connection(), business, key)? } else { None };
        let (kind, share) = (key.kind.code(), blob(key.share.0));
        match put.applied(standing) {
            Some(row) => self.execute(
                "INSERT INTO work (business, kind, share, about, body) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO UPDATE SET body = excluded.body",
                params![business.0, kind, share, key.about, codec::encode(&row)?],
            )?,
            None => self.execute(
                "DELETE FROM work WHERE business = ?1 AND kind = ?2 AND share = ?3 AND about = ?4",
                params![business.0, kind, share, key.about],
            )?,
        };
        Ok(())
    }

    pub(crate) fn put_shadow(
        &self,
        business: BusinessNumber,
        key: &ShadowKey,
        shadow: Option<&Shadow>,
    ) -> Result<(), StoreError> {
        let connection = blob(key.connection.0);
        match shadow {
            Some(shadow) => self.execute(
                "INSERT INTO shadow (business, connection, slot, id, body) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT DO UPDATE SET body = excluded.body",
                params![business.0, connection, key.slot, key.id, codec::encode(shadow)?],
            )?,
            None => self.execute(
                "DELETE FROM shadow WHERE business = ?1 AND connection = ?2 AND slot = ?3 AND id = ?4",
                params![business.0, connection, key.slot, key.id],
            )?,
        };
        Ok(())
    }

    pub(crate) fn end_share(&mut self, business: &BusinessId, share: ShareId) -> Result<(), StoreError> {
        let business = self.loader.number(business)?;
        for kind in WorkKind::ALL {
            let own = params![business.0, kind.code(), blob(share.0)];
            self.execute("DELETE FROM work WHERE business = ?1 AND kind = ?2 AND share = ?3", own)?;
        }
        Ok(())
    }

    pub(crate) fn end_connection(&mut self, business: &BusinessId, ended: ConnectionId) -> Result<(), StoreError> {
        let own = params![self.loader.number(business)?.0, blob(ended.0)];
        self.execute("DELETE FROM shadow WHERE business = ?1 AND connection = ?2", own)?;
        Ok(())
    }
}
