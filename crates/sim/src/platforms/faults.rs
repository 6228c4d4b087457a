//! What goes wrong at a platform besides what it refuses: switches, each "once in so many", zero for never. The
//! numbers come from a seed. It must not know how a platform words its errors.

use anyhow::{Context, bail};

/// The switches. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Calls answered "too many", with the platform's headers.
    pub throttle_one_in: u64,
    /// What `Retry-After` says then, in seconds.
    pub retry_after_seconds: u64,
    /// Calls answered "busy", in HTML where the platform does so; nothing is done.
    pub unavailable_one_in: u64,
    /// Calls that are carried out, and then answered "busy" all the same.
    pub answer_lost_one_in: u64,
    /// Answers that take [`Faults::slow_ms`] longer.
    pub slow_one_in: u64,
    /// How much longer, in milliseconds.
    pub slow_ms: u64,
    /// Calls before which every token ends.
    pub expire_one_in: u64,
    /// Hooks that never come.
    pub hook_lost_one_in: u64,
    /// Hooks that come twice.
    pub hook_twice_one_in: u64,
    /// Whether hooks come in another order.
    pub hooks_are_shuffled: bool,
}

impl Faults {
    /// Reads `throttle=10,retry_after=1,slow=5,hooks_shuffled=1`: names as above, without `_one_in`.
    ///
    /// # Errors
    /// When a name or a number is unknown.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut faults = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, number) = part.split_once('=').with_context(|| format!("`{part}` is not NAME=NUMBER"))?;
            let number: u64 = number.parse().with_context(|| format!("`{number}` is no number"))?;
            match name {
                "throttle" => faults.throttle_one_in = number,
                "retry_after" => faults.retry_after_seconds = number,
                "unavailable" => faults.unavailable_one_in = number,
                "answer_lost" => faults.answer_lost_one_in = number,
                "slow" => faults.slow_one_in = number,
                "slow_ms" => faults.slow_ms = number,
                "expire" => faults.expire_one_in = number,
                "hook_lost" => faults.hook_lost_one_in = number,
                "hook_twice" => faults.hook_twice_one_in = number,
                "hooks_shuffled" => faults.hooks_are_shuffled = number != 0,
                _ => bail!("`{name}` is no fault; see the fields of Faults"),
            }
        }
        Ok(faults)
    }
}
