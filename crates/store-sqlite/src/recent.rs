//! The newest changes, decoded, for readers at the tail: they cost such a reader neither a query nor a parse.

use lockstep_core::change::Change;
use lockstep_core::ids::{BusinessId, RecordId};
use lockstep_core::limits::{RECENT_CHANGES_BYTES_MAX, RECENT_CHANGES_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct Inner {
    /// By business, without holes, newest last.
    logs: BTreeMap<BusinessId, VecDeque<Arc<Change>>>,
    /// In order of arrival: whose entry goes next, up to which seq, and its weight.
    order: VecDeque<(BusinessId, u64, usize)>,
    bytes: usize,
}

impl Inner {
    fn drop_until(&mut self, business: &BusinessId, seq: u64) {
        let Some(log) = self.logs.get_mut(business) else { return };
        while log.front().is_some_and(|change| change.seq <= seq) {
            log.pop_front();
        }
        if log.is_empty() {
            self.logs.remove(business);
        }
    }
}

/// The newest changes of all businesses together, bounded in number and bytes.
#[derive(Default)]
pub(crate) struct Recent {
    inner: Mutex<Inner>,
}

impl Recent {
    /// Adds committed changes of a business; they follow what is held of it.
    pub(crate) fn add(&self, business: &BusinessId, changes: &[Arc<Change>]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let weight = weight(change);
            inner.bytes += weight;
            inner.order.push_back((business.clone(), change.seq, weight));
            match inner.logs.get_mut(business) {
                Some(log) => log.push_back(Arc::clone(change)),
                None => {
                    inner.logs.insert(business.clone(), VecDeque::from([Arc::clone(change)]));
                }
            }
        }
        while inner.bytes > RECENT_CHANGES_BYTES_MAX || inner.order.len() > RECENT_CHANGES_MAX {
            let Some((oldest, seq, weight)) = inner.order.pop_front() else { break };
            inner.bytes -= weight;
            inner.drop_until(&oldest, seq);
        }
    }

    /// Drops what is held below a log's floor. Its weight counts until its turn to go.
    pub(crate) fn prune(&self, business: &BusinessId, floor: u64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).drop_until(business, floor);
    }

    /// Blanks what is held of an erased record.
    pub(crate) fn blank(&self, business: &BusinessId, record: RecordId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let held = inner.logs.get_mut(business).into_iter().flatten();
        for change in held.filter(|change| change.record == record && !change.state.is_erased) {
            *change = Arc::new(change.blanked());
        }
    }

    /// Changes after a seq with the head, if they are all held.
    pub(crate) fn after(&self, business: &BusinessId, after: u64, limit: usize) -> Option<(Vec<Arc<Change>>, u64)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let log = inner.logs.get(business)?;
        let (first, last) = (log.front()?.seq, log.back()?.seq);
        let skip = usize::try_from(after.checked_add(1)?.checked_sub(first)?).ok()?;
        Some((log.iter().skip(skip).take(limit).cloned().collect(), last))
    }
}

fn weight(change: &Change) -> usize {
    let fields: usize = change.state.fields.iter().map(|(name, value)| name.len() + 48 + text_len(value)).sum();
    256 + fields
}

fn text_len(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(items) => items.iter().map(|item| 32 + text_len(item)).sum(),
        serde_json::Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + 64 + text_len(value)).sum()
        }
        _ => 8,
    }
}
