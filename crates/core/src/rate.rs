//! How often: so many calls or requests a second, and so many at once.

use crate::error::{Code, Rejection};
use crate::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often a credential may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// So many calls a second, over time.
    pub per_second: u32,
    /// So many at once; as many as a second where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

impl RateLimit {
    /// So many calls a second.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second, burst: None }
    }

    /// How many calls may come at once.
    #[must_use]
    pub fn at_once(self) -> u32 {
        self.burst.unwrap_or(self.per_second)
    }

    /// That both numbers are ones that can be kept.
    ///
    /// # Errors
    /// `invalid_value`, naming the number at fault.
    pub fn check(self) -> Result<Self, Rejection> {
        let check = |name: &str, number: u32| match number {
            1..=limits::CALLS_A_SECOND_MAX => Ok(()),
            _ => {
                let text = format!("{name} is {number}: give 1 to {}", limits::CALLS_A_SECOND_MAX);
                Err(Rejection::new(Code::InvalidValue, text).at(format!("/rateLimit/{name}")))
            }
        };
        check("perSecond", self.per_second)?;
        check("burst", self.at_once())?;
        Ok(self)
    }

    /// Whether it lets through no more than another, at no time.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.per_second <= other.per_second && self.at_once() <= other.at_once()
    }
}
