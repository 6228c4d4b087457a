//! The hold: a restored hub takes writes and sends nothing until its operator has looked at it and says so.

use super::{blank, commit};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::clock::Timestamp;
use lockstep_store::settings::{Audit, Control, Expect, Hold, Put, Setting, SettingKey, SettingKind};
use lockstep_wire::management::Released;

/// Why nothing is sent while a hub is held.
pub const WHY: &str = "the hub is held since it was restored: check it, and let deliveries go with `lockstep release`";

fn key() -> SettingKey {
    SettingKey::new(SettingKind::Hold, "delivery")
}

/// What makes a restored store a held one.
#[must_use]
pub fn of_restore(now: Timestamp, backup_of: &str) -> Control {
    let hold = Hold { since: now, reason: format!("restored from the backup of {backup_of}") };
    let puts = vec![Put { key: key(), value: Some(Setting::Hold(hold)), expect: Expect::Anything }];
    Control { puts, ..Control::of(Audit::of(now, "system", "backup.restore", backup_of)) }
}

/// Ends the hold; where there is none, nothing is done.
///
/// # Errors
/// `forbidden`, or what the store says.
pub async fn release(world: &World, principal: &Principal) -> Result<Released, Refusal> {
    principal.must_administer()?;
    world.settings.refresh(world.store.as_ref()).await?;
    let Some(hold) = world.settings.read(|settings| settings.hold.clone()) else {
        return Ok(Released { released: false, held_since: None });
    };
    let mut control = blank(world, principal, "hold.release", "delivery");
    control.puts.push(Put { key: key(), value: None, expect: Expect::Anything });
    commit(world, control).await?;
    Ok(Released { released: true, held_since: Some(hold.since.to_string()) })
}
