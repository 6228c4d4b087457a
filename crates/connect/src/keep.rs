//! Who keeps a configuration, as a port: a platform may give a new refresh token for each that is used, and one that is
//! not kept before it is needed is lost with the account.

use async_trait::async_trait;
use serde_json::Value;

use crate::failure::Failure;

/// Keeps the configuration of one account.
#[async_trait]
pub trait Keep: Send + Sync {
    /// Keeps it from now on, durably: what came with it is used only afterwards.
    ///
    /// # Errors
    /// It cannot be kept now.
    async fn keep(&self, config: &Value) -> Result<(), Failure>;

    /// The configuration as it is kept now: another process may have changed it. `None` where it is no longer there.
    async fn reread(&self) -> Option<Value>;
}
