//! The sweeper: asks the store to forget what is over, a bounded amount at a time.

use crate::World;
use crate::deliver::PostRoom;
use crate::retention::{self, Keep};
use lockstep_core::limits::SWEEP_TURNS_MAX;
use std::time::Duration;
use tokio::sync::watch;

const EVERY: Duration = Duration::from_secs(60);

/// Sweeps once a minute until told to stop.
pub async fn run(world: &World, post_room: &PostRoom, keep: Keep, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.changed() => return,
        }
        turn(world, post_room, keep).await;
    }
}

/// Sweeps once.
pub async fn turn(world: &World, post_room: &PostRoom, keep: Keep) {
    if let Err(error) = world.store.sweep(world.clock.now()).await {
        tracing::warn!(error = %error, "sweeping failed; it is tried again in a minute");
    }
    erase_on(world, SWEEP_TURNS_MAX).await;
    index_on(world, SWEEP_TURNS_MAX).await;
    if let Err(error) = retention::prune(world, post_room, keep).await {
        tracing::warn!(error = %error, "old history could not be dropped; it is tried again in a minute");
    }
}

/// Goes on blanking what was erased, for some turns. The erasure itself is durable: what is left waits for the next
/// sweep. What the feed holds encoded may be of before: it is let go, and read again.
pub(crate) async fn erase_on(world: &World, turns: usize) {
    for _ in 0..turns {
        match world.store.erase_on().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(error = %error, "what was erased could not be blanked; it is tried again in a minute");
                break;
            }
        }
    }
    world.classes.forget().await;
}

/// Goes on building indexes, for some turns. What is left waits for the next sweep.
pub(crate) async fn index_on(world: &World, turns: usize) {
    for _ in 0..turns {
        match world.store.index_on().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(error = %error, "an index could not be built; it is tried again in a minute");
                return;
            }
        }
    }
}
