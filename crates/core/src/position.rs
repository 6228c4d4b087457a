//! Positions: where something stands in a business's log.
//!
//! A log has an epoch, raised each time it is restored from a backup: what was written after the backup is lost, and
//! the seqs it had are given out again. So a seq alone says where something stands only within one epoch; handed to
//! the outside, a position goes as a cursor, an opaque text that holds both, and is known again when it comes back.

use crate::clock::Timestamp;
use crate::error::{Code, Rejection, shown};
use crate::ids::BusinessId;

/// Bits of a seq: a trillion changes a business.
const SEQ_BITS: u32 = 40;
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;
const PREFIX: &str = "cur_";
/// 2026-01-01T00:00:00Z. Minutes from here fill 24 bits in 2057; after that, epochs are counted.
const EPOCHS_SINCE_MS: i64 = 1_767_225_600_000;

/// A place in a business's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The life of the log: 1, and another after each restore.
    pub epoch: u32,
    /// The seq in it.
    pub seq: u64,
}

impl Position {
    /// The epoch of a log that was never restored.
    pub const FIRST_EPOCH: u32 = 1;
    /// The last epoch there can be.
    pub const EPOCH_MAX: u32 = 1 << 24;

    /// A place in a log that was never restored.
    #[must_use]
    pub const fn first(seq: u64) -> Self {
        Self { epoch: Self::FIRST_EPOCH, seq }
    }

    /// The epoch that follows one at a restore: the next, or one told by the minute where that is later. So a backup
    /// that is restored twice begins two epochs, and what was made in the first is not made again in the second. None
    /// where there are no more.
    #[must_use]
    pub fn next_epoch(epoch: u32, now: Timestamp) -> Option<u32> {
        let minutes = u32::try_from((now.0 - EPOCHS_SINCE_MS).max(0) / 60_000).unwrap_or(0);
        let told = Some(minutes).filter(|minutes| *minutes <= Self::EPOCH_MAX).unwrap_or(0);
        Some(epoch.checked_add(1)?.max(told)).filter(|next| *next <= Self::EPOCH_MAX)
    }

    /// Both in 64 bits: 24 of the epoch less one, 40 of the seq. In the first epoch it is the seq itself.
    #[must_use]
    pub fn packed(self) -> u64 {
        (u64::from(self.epoch.saturating_sub(1)) << SEQ_BITS) | (self.seq & SEQ_MAX)
    }

    /// What 64 bits hold.
    #[must_use]
    pub fn unpacked(packed: u64) -> Self {
        let epoch = u32::try_from(packed >> SEQ_BITS).unwrap_or(u32::MAX);
        Self { epoch: epoch.saturating_add(1), seq: packed & SEQ_MAX }
    }

    /// The cursor that stands for this place in a business's log: `cur_` and 26 characters.
    #[must_use]
    pub fn cursor(self, business: &BusinessId) -> String {
        let number = (u128::from(check_of(business)) << 64) | u128::from(self.packed());
        let mut text = [0; ulid::ULID_LEN];
        let digits = ulid::Ulid(number).array_to_str(&mut text);
        digits.make_ascii_lowercase();
        format!("{PREFIX}{digits}")
    }

    /// The place that a cursor of a business stands for.
    ///
    /// # Errors
    /// `invalid_id` where it is no cursor, or one of another business.
    pub fn parse(text: &str, business: &BusinessId) -> Result<Self, Rejection> {
        let number = text
            .strip_prefix(PREFIX)
            .filter(|digits| digits.len() == ulid::ULID_LEN && digits.starts_with(|c| c < '8'))
            .and_then(|digits| ulid::Ulid::from_string(digits).ok());
        let Some(ulid::Ulid(number)) = number else {
            let text = format!("{} is no cursor: it is \"{PREFIX}\" followed by 26 letters and digits", shown(text));
            return Err(Rejection::new(Code::InvalidId, text));
        };
        let packed = u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
        if number >> 64 != u128::from(check_of(business)) {
            let text =
                format!("{} is no cursor of {business}: give one that this business's calls have shown", shown(text));
            return Err(Rejection::new(Code::InvalidId, text));
        }
        Ok(Self::unpacked(packed))
    }
}

/// FNV-1a over the business id, 63 bits: it keeps a cursor or an operation's id from being read in another business
/// by mistake. Access is decided by grants, never by this.
pub(crate) fn check_of(business: &BusinessId) -> u64 {
    let hash = business
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash & (u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn business(id: &str) -> BusinessId {
        BusinessId::parse(id).unwrap()
    }

    #[test]
    fn a_cursor_reads_back_in_its_business_alone() {
        for (epoch, seq) in [(1, 0), (1, 1_042), (2, 1_042), (Position::EPOCH_MAX, SEQ_MAX)] {
            let position = Position { epoch, seq };
            let cursor = position.cursor(&business("here"));
            assert_eq!(Position::parse(&cursor, &business("here")), Ok(position));
            assert_eq!(Position::parse(&cursor, &business("there")).unwrap_err().code, Code::InvalidId);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "7", "cur_", "cur_7", "op_00000000000000000000000001", "cur_zzzzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert_eq!(Position::parse(text, &business("here")).unwrap_err().code, Code::InvalidId, "{text}");
        }
    }

    #[test]
    fn a_backup_restored_twice_begins_two_epochs() {
        let at = |minutes: i64| Timestamp(EPOCHS_SINCE_MS + 60_000 * minutes);
        let next = |epoch, minutes| Position::next_epoch(epoch, at(minutes));
        assert_eq!((next(1, 500), next(1, 501)), (Some(500), Some(501)));
        assert_eq!(next(500, 500), Some(501), "always higher");
        assert_eq!((next(1, -5), next(7, i64::from(u32::MAX))), (Some(2), Some(8)), "whatever the clock says");
        assert_eq!(next(Position::EPOCH_MAX, 500), None);
    }

    #[test]
    fn in_the_first_epoch_a_packed_position_is_its_seq() {
        assert_eq!(Position::first(7).packed(), 7);
        assert_eq!(Position::unpacked(7), Position::first(7));
    }
}
