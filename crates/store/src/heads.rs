//! Word of commits: which businesses' logs have grown, whether there are new notices or settings.
//!
//! A watch gathers what has moved since it was last asked, so a slow reader costs a set, not a queue. It is a
//! hint, given after the commit is durable: readers read the store for what is true.

use lockstep_core::ids::BusinessId;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// What has moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Businesses with new changes.
    pub businesses: BTreeSet<BusinessId>,
    /// Whether there are new notices.
    pub has_notices: bool,
    /// Whether there are new scans.
    pub has_scans: bool,
    /// Whether settings changed.
    pub has_settings: bool,
}

impl Moves {
    /// Whether nothing has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: &Self) {
        for business in &other.businesses {
            if !self.businesses.contains(business) {
                self.businesses.insert(business.clone());
            }
        }
        self.has_notices |= other.has_notices;
        self.has_scans |= other.has_scans;
        self.has_settings |= other.has_settings;
    }
}

#[derive(Debug, Default)]
struct Board {
    moves: Mutex<Moves>,
    bell: Notify,
}

/// One reader's ear.
#[derive(Clone, Debug)]
pub struct HeadWatch {
    board: Arc<Board>,
}

impl HeadWatch {
    /// What has moved since the last call; nothing, if nothing has.
    #[must_use]
    pub fn take(&self) -> Moves {
        std::mem::take(&mut *self.board.moves.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something has moved.
    pub async fn moved(&self) {
        self.board.bell.notified().await;
    }
}

/// A store's side: everyone who listens.
#[derive(Debug, Default)]
pub struct Heads {
    boards: Mutex<Vec<Weak<Board>>>,
}

impl Heads {
    /// A new ear.
    pub fn watch(&self) -> HeadWatch {
        let board = Arc::new(Board::default());
        let mut boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        boards.retain(|board| board.strong_count() > 0);
        boards.push(Arc::downgrade(&board));
        HeadWatch { board }
    }

    /// Tells everyone.
    pub fn publish(&self, moves: &Moves) {
        if moves.is_empty() {
            return;
        }
        let boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner);
        for board in boards.iter().filter_map(Weak::upgrade) {
            board.moves.lock().unwrap_or_else(PoisonError::into_inner).add(moves);
            board.bell.notify_one();
        }
    }
}
