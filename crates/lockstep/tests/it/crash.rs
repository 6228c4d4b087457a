//! P1 to P4 against SIGKILL: concurrent writers, a subscriber that sometimes refuses, kills at random moments.
//!
//! `LOCKSTEP_CRASH_KILLS` and `LOCKSTEP_CRASH_SEED` choose how many and which.

use crate::chance::Chance;
use crate::eventually::seconds;
use crate::promises::{judge, report};
use crate::trial::{Plan, run};
use anyhow::{Context as _, Result, ensure};

/// A whole number from the environment.
pub(crate) fn setting(name: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(name) else {
        return Ok(None);
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.map(Some).with_context(|| format!("{name} is {}, no whole number", text.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_work_survives_being_killed_at_random() -> Result<()> {
    let ends = setting("LOCKSTEP_CRASH_KILLS")?.unwrap_or(50);
    let seed = setting("LOCKSTEP_CRASH_SEED")?.unwrap_or_else(Chance::fresh_seed);
    println!("LOCKSTEP_CRASH_KILLS={ends} LOCKSTEP_CRASH_SEED={seed}");
    let folder = tempfile::tempdir()?;
    let plan = Plan { ends, seed, power: None, is_synced: true, patience: seconds(90) };
    let evidence = run(&folder.path().join("data"), &plan).await?;
    let breaches = judge(&evidence);
    ensure!(breaches.is_empty(), "seed {seed}:\n{}", report(&breaches));
    Ok(())
}
