//! The sweeper: asks the store to forget what is over, a bounded amount at a time.

use crate::World;
use std::time::Duration;
use tokio::sync::watch;

const EVERY: Duration = Duration::from_secs(60);

/// Sweeps once a minute until told to stop.
pub async fn run(world: &World, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => return,
        }
        if let Err(error) = world.store.sweep(world.clock.now()).await {
            tracing::warn!(error = %error, "sweeping failed; it is tried again in a minute");
        }
    }
}
