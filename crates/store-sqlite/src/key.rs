//! Keys as the tables hold them.

use lockstep_core::ids::BusinessId;
use lockstep_store::StoreError;

const SEQ_BITS: u32 = 40;
/// The highest seq that a key can hold: a trillion changes a business.
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// A business's number in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BusinessNumber(pub(crate) i64);

impl BusinessNumber {
    /// The key of one change.
    pub(crate) fn change_key(self, seq: u64) -> i64 {
        (self.0 << SEQ_BITS) | i64::try_from(seq.min(SEQ_MAX)).unwrap_or(i64::MAX)
    }

    /// The key after the business's last possible change.
    pub(crate) fn last_key(self) -> i64 {
        self.change_key(SEQ_MAX)
    }
}

/// The seq in a change's key.
pub(crate) fn seq_of(key: i64) -> u64 {
    u64::try_from(key).unwrap_or(0) & SEQ_MAX
}

/// A 128-bit id as bytes that sort as it does.
pub(crate) const fn blob(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}

/// The id that bytes hold.
pub(crate) fn number(bytes: &[u8]) -> Result<u128, StoreError> {
    let bytes: [u8; 16] =
        bytes.try_into().map_err(|error| StoreError::Corrupt(format!("an id of {} bytes: {error}", bytes.len())))?;
    Ok(u128::from_be_bytes(bytes))
}

/// A count from a column that never holds a negative one.
pub(crate) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A column from a count.
pub(crate) fn column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The refusal of a business without a log.
pub(crate) fn unknown(business: &BusinessId) -> StoreError {
    StoreError::UnknownBusiness(business.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_businesses_apart_and_seqs_in_order() {
        let (one, two) = (BusinessNumber(1), BusinessNumber(2));
        assert!(one.change_key(1) < one.change_key(2) && one.last_key() < two.change_key(1));
        assert_eq!(seq_of(two.change_key(77)), 77);
        assert_eq!(number(&blob(5)).unwrap(), 5);
    }
}
