//! What was written to a platform from the outside, call by call, and whether it made any difference there. A checker
//! asks afterwards whether a write was needless. It must not know what any platform means by a write, and holds
//! nothing that the platform's own users did.

use lockstep_core::clock::Timestamp;

/// How many writes are remembered; later ones are only counted.
const WRITES_MAX: usize = 1_000_000;

/// One write of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// When it was carried out, which for an import is later than the call.
    pub at: Timestamp,
    /// What kind of object, as the platform calls it: `profile`, `contact`.
    pub object: &'static str,
    /// Its id there.
    pub id: String,
    /// Whether the object is other than before; what was made or removed is.
    pub did_change: bool,
    /// Whether the write made it.
    pub is_new: bool,
}

/// All of them, in the order in which they were carried out.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    writes: Vec<Write>,
    forgotten: u64,
}

impl Ledger {
    pub(super) fn note(&mut self, at: Timestamp, object: &'static str, id: &(impl ToString + ?Sized), what: Effect) {
        if self.writes.len() >= WRITES_MAX {
            self.forgotten += 1;
            return;
        }
        let (did_change, is_new) = (what != Effect::Nothing, what == Effect::Made);
        self.writes.push(Write { at, object, id: id.to_string(), did_change, is_new });
    }

    pub(super) fn writes(&self) -> &[Write] {
        assert_eq!(self.forgotten, 0, "more than {WRITES_MAX} writes, so their list would not be whole");
        &self.writes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The object is there now and was not.
    Made,
    /// It is other than before, or gone.
    Changed,
    /// It is as it was.
    Nothing,
}

impl Effect {
    /// The effect on an object that was there.
    pub(super) const fn changed(is_changed: bool) -> Self {
        if is_changed { Self::Changed } else { Self::Nothing }
    }
}
