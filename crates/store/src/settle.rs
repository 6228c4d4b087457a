//! Settling: how work rows move. Cursors, parked records, dead letters and notices go together, under the fence of
//! whoever holds the work, so a worker that was taken over cannot move a cursor.

use lockstep_core::clock::Timestamp;
use lockstep_core::delivery::{DeadLetter, Down, Notice, Parked};
use lockstep_core::ids::{BusinessId, DeliveryId, RecordId, SubscriptionId};
use lockstep_core::operation::OperationId;
use lockstep_core::scan::ScanKey;

/// The number of a claim; higher ones shut lower ones out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// What has been settled.
#[derive(Clone, Debug, Default)]
pub struct Settle {
    /// Under which claim.
    pub fence: Fence,
    /// When.
    pub at: Timestamp,
    /// By business.
    pub outlets: Vec<OutletSettle>,
    /// Scans that have moved on; before notices, since those they put off become notices.
    pub scans: Vec<ScanSettle>,
    /// Notices settled or put off.
    pub notices: Vec<NoticeSettle>,
}

impl Settle {
    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.outlets.is_empty() && self.scans.is_empty() && self.notices.is_empty()
    }
}

/// What has been settled of one business's outlets.
#[derive(Clone, Debug)]
pub struct OutletSettle {
    /// The business.
    pub business: BusinessId,
    /// Up to where every lane without a row is settled.
    pub position: Option<u64>,
    /// What became of lanes and their rows.
    pub steps: Vec<(SubscriptionId, LaneStep)>,
}

/// A move of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneStep {
    /// It owes what comes after this seq.
    Cursor(u64),
    /// It owes nothing: the business's position is its own.
    Rejoined,
    /// A record is parked, or parked anew.
    Park(Parked),
    /// What is parked at this place goes on: a record, or a change that was parked alone.
    Unpark(RecordId),
    /// A change is given up.
    Bury(DeadLetter),
    /// A dead letter has been delivered after all, or dismissed.
    Unbury(u64),
    /// Its endpoint is down, or its owner has been warned of that.
    Shut(Down),
    /// Its endpoint is well.
    Opened,
}

/// A move of one scan.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanSettle {
    /// The operation it is of.
    pub operation: OperationId,
    /// Its business.
    pub business: BusinessId,
    /// Whom it is for.
    pub subscription: SubscriptionId,
    /// Up to and with which key all is settled.
    pub done: ScanKey,
    /// Notifications found to be due since the last move.
    pub matched: u64,
    /// Of those due, how many arrived since.
    pub sent: u64,
    /// Those that were refused: they wait as notices, tried again on the schedule.
    pub put_off: Vec<Notice>,
    /// Whether it has come to its end.
    pub is_over: bool,
    /// Whom to tell when that was the operation's last.
    pub tell: Vec<SubscriptionId>,
}

/// A move of one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeSettle {
    /// Which.
    pub id: DeliveryId,
    /// Its business.
    pub business: BusinessId,
    /// Whom it was for.
    pub subscription: SubscriptionId,
    /// What became of it.
    pub step: NoticeStep,
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeStep {
    /// It is tried again later.
    Later {
        /// Attempts so far.
        attempt: u32,
        /// Not before this.
        next_at: Timestamp,
    },
    /// It is over.
    Done {
        /// Whether it arrived.
        is_sent: bool,
        /// The sync it belonged to.
        sync: Option<OperationId>,
        /// Whom to tell when that was the sync's last.
        tell: Vec<SubscriptionId>,
    },
}
