//! Uploads: a batch of lines, what became of them, how far their upload has come.

use crate::fault::OrFault;
use crate::key::{BusinessNumber, blob, column};
use crate::load::business_number;
use crate::write::{Writing, operation};
use lockstep_core::clock::Timestamp;
use lockstep_core::command::Outcome;
use lockstep_core::ids::BusinessId;
use lockstep_core::operation::{OperationId, OperationState};
use lockstep_store::batch::Load;
use lockstep_store::upload::{self, Batch, LineOutcome};
use lockstep_store::{Committed, StoreError, codec};
use rusqlite::{Connection, OptionalExtension, params};

impl Writing<'_> {
    /// Writes how an upload stands after a batch whose commands came to these outcomes.
    pub(crate) fn upload(
        &mut self,
        batch: &Batch,
        outcomes: Vec<Outcome>,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let business = self.loader.number(&batch.business)?;
        let standing = operation(self.connection(), business, batch.operation.number())?.ok_or(StoreError::Fenced)?;
        let head = self.loader.head(&batch.business)?.0.seq;
        let advanced = upload::advance(standing, batch, outcomes, (head, now))?;
        self.operation(business, &advanced.operation)?;
        if let Some(last) = advanced.outcomes.last() {
            self.execute(
                "INSERT INTO outcome (business, operation, last, body) VALUES (?1, ?2, ?3, ?4)",
                params![
                    business.0,
                    blob(batch.operation.number()),
                    column(last.line),
                    codec::encode(&advanced.outcomes)?
                ],
            )?;
        }
        self.notices(&advanced.notices)?;
        match advanced.operation.state {
            OperationState::Upload(upload) => Ok(Committed::Upload(upload)),
            _ => Err(StoreError::Fenced),
        }
    }
}

/// The outcomes of one row, those after a line.
pub(crate) fn outcomes(
    connection: &Connection,
    business: &BusinessId,
    id: OperationId,
    after: u64,
) -> Result<Vec<LineOutcome>, StoreError> {
    let BusinessNumber(business) = business_number(connection, business)?;
    let mut select = connection
        .prepare_cached(
            "SELECT body FROM outcome WHERE business = ?1 AND operation = ?2 AND last > ?3 ORDER BY last LIMIT 1",
        )
        .or_fault()?;
    let own = params![business, blob(id.number()), column(after)];
    let body: Option<Vec<u8>> = select.query_row(own, |row| row.get(0)).optional().or_fault()?;
    let Some(body) = body else { return Ok(Vec::new()) };
    let mut lines: Vec<LineOutcome> = codec::decode(&body)?;
    lines.retain(|outcome| outcome.line > after);
    Ok(lines)
}
