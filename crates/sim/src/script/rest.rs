//! Coming to rest: faults stop, everything that may go out does.

use super::Play;
use std::time::Duration;

/// Longest wait of the retry schedule, and then some.
const HOURS_MAX: u64 = 4 * 24;

impl Play {
    /// Ends all faults and lets time pass until nothing is owed to anyone, or four days have gone by.
    pub(super) async fn come_to_rest(&mut self) -> anyhow::Result<()> {
        self.world.net.heal();
        self.world.store.behave(false, false);
        self.world.start().await?;
        self.world.trace.note(self.world.now(), "all is well");
        for _ in 0..HOURS_MAX {
            self.world.wait(Duration::from_secs(3_600)).await;
            if self.is_at_rest().await? {
                break;
            }
        }
        // Rest is also that nothing more comes.
        self.world.wait(Duration::from_secs(60)).await;
        Ok(())
    }
}
