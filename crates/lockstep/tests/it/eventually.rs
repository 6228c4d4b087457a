//! Waiting for an event without a fixed sleep: it is asked for until it is there or the time is up.

use anyhow::{Result, bail};
use std::time::Duration;

/// Between two looks.
const PACE: Duration = Duration::from_millis(10);

/// Asks until `is_so` says yes.
///
/// # Errors
/// When `limit` is over, naming what was waited for.
pub(crate) async fn eventually(limit: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Result<()> {
    let looks = async {
        let mut pace = tokio::time::interval(PACE);
        loop {
            pace.tick().await;
            if is_so().await {
                return;
            }
        }
    };
    if tokio::time::timeout(limit, looks).await.is_err() {
        bail!("after {limit:?} still not so: {what}");
    }
    Ok(())
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
