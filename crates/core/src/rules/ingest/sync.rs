//! Asking for records as they are: one, or all of a type.

use super::{Case, Decided, Stop, push_notice};
use crate::command::{Ending, Target};
use crate::delivery::NoticeBody;
use crate::ids::{DeliveryId, RecordId, SubscriptionId};
use crate::scan::{Over, Scan, ScanKey, Since};

impl Case<'_> {
    pub(super) fn sync_by_id(&mut self, target: &Target, subscriptions: &[SubscriptionId]) -> Decided {
        let record = match self.find(target) {
            Ok(record) if !record.state.is_deleted => record,
            Err(Stop::Need(keys)) => return Err(Stop::Need(keys)),
            _ => return Ok((None, Ending::Syncing { matched: 0 })),
        };
        let operation = self.command.fresh.operation;
        for subscription in subscriptions {
            let id = DeliveryId::of_sync(operation, record.id, *subscription);
            let body = NoticeBody::Current { operation, ty: record.ty.clone(), record: record.id };
            push_notice(self.set, self.command.at, id, *subscription, body);
        }
        Ok((Some(record.id), Ending::Syncing { matched: subscriptions.len() as u64 }))
    }

    /// A scan a subscription; what it finds is known as it goes.
    pub(super) fn sync_all(
        &mut self,
        since: Option<Since>,
        subscriptions: &[SubscriptionId],
    ) -> (Option<RecordId>, Ending) {
        let scan = |subscription: &SubscriptionId| Scan {
            operation: self.command.fresh.operation,
            business: self.command.business.clone(),
            subscription: *subscription,
            over: Over::Records { ty: self.command.ty.clone(), since },
            done: ScanKey::default(),
        };
        self.set.written.scans.extend(subscriptions.iter().map(scan));
        (None, Ending::Syncing { matched: 0 })
    }
}
