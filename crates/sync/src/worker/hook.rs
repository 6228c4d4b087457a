//! Our hooks at the platform: made where a share wants them, looked after, and taken back.

use super::Worker;
use crate::Halt;
use crate::account;
use crate::control::account::hook_key;
use crate::control::hook_url;
use crate::lane::Lane;
use lockstep_connect::{Class, Hooks};
use lockstep_core::connection::Connection;
use lockstep_core::ids::ShareId;
use lockstep_store::StoreError;
use serde_json::Value;

/// How often the platform is asked whether it still knows our hooks, in milliseconds.
const EVERY_MS: u64 = 3_600_000;

impl Worker {
    /// Makes and mends the hooks of all shares, once in a while.
    pub(super) async fn keep_hooks(&mut self) -> Result<bool, Halt> {
        let now = self.world.clock.now();
        if self.hooks_looked_at.is_some_and(|at| now.ms_since(at) < EVERY_MS) {
            return Ok(false);
        }
        self.hooks_looked_at = Some(now);
        let wants = |lane: &&Lane| lane.share.takes_in() && lane.share.switches.hooks && !lane.share.is_paused;
        let ids: Vec<ShareId> = self.lanes.values().filter(wants).map(|lane| lane.share.id).collect();
        for id in ids {
            self.keep_hooks_of(id).await?;
        }
        Ok(true)
    }

    async fn keep_hooks_of(&mut self, share: ShareId) -> Result<(), Halt> {
        let (Some(lane), Some(public)) = (self.lanes.get(&share), &self.shared.public_url) else { return Ok(()) };
        // As it stands now: what this worker began with knows nothing of the hooks that it has made since.
        let id = self.connection.id;
        let connection = self.world.settings.read(|settings| settings.sharing.connection(id));
        let Some((connection, _)) = connection else { return Ok(()) };
        let Ok(key) = hook_key(&self.world, &connection) else { return Ok(()) };
        let url = hook_url(public, id, &lane.slot, Some(&key));
        let known = connection.hooks.get(&lane.slot).cloned().unwrap_or_default();
        let Hooks { known: kept, trouble } =
            self.link.hooks_keep(&lane.share.object, &lane.share.options, &url, &key, &known).await;
        if kept != known {
            let slot = &lane.slot;
            let keep = |connection: &Connection| {
                let mut next = connection.clone();
                match &kept {
                    Value::Null => next.hooks.remove(slot),
                    kept => next.hooks.insert(slot.clone(), kept.clone()),
                };
                Ok::<_, StoreError>(Some(next))
            };
            account::change(&self.world, id, ("system", "connection.hooks"), keep).await?;
        }
        match trouble {
            None => Ok(()),
            Some(trouble) if trouble.class == Class::Auth => Err(Halt::Login(trouble.failure.message)),
            // People set them up there, or it is tried again: pulls bring what hooks would have.
            Some(trouble) => {
                tracing::info!(share = %share, reason = %trouble, "hooks are not set up by the hub");
                Ok(())
            }
        }
    }
}
