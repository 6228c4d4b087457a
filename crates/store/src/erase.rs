//! Erasing: what is blanked of rows that tell of an erased record, the same in every store.

use lockstep_core::delivery::{DeadLetter, Notice, NoticeBody, Parked};
use lockstep_core::ids::RecordId;
use lockstep_core::operation::{Operation, OperationState};

/// What stands where a text was that may have held values.
pub const ERASED: &str = "erased";

/// Blanks why a record is parked; says whether there was anything to blank.
pub fn blank_parked(parked: &mut Parked) -> bool {
    blank(&mut parked.reason)
}

/// Blanks why a change was given up.
pub fn blank_letter(letter: &mut DeadLetter) -> bool {
    blank(&mut letter.reason)
}

/// Blanks what an operation says of the record.
pub fn blank_operation(operation: &mut Operation, record: RecordId) -> bool {
    match &mut operation.state {
        OperationState::Failed { rejection } if operation.record == Some(record) => blank(&mut rejection.message),
        _ => false,
    }
}

/// Blanks what a notice says of the record.
pub fn blank_notice(notice: &mut Notice, record: RecordId) -> bool {
    match &mut notice.body {
        NoticeBody::Operation(operation) => blank_operation(operation, record),
        _ => false,
    }
}

fn blank(text: &mut String) -> bool {
    let is_new = text != ERASED;
    ERASED.clone_into(text);
    is_new
}
