//! P1 to P4 against power loss: after each kill all that no sync covered is taken away.
//!
//! The second test shows that the first one can fail. `LOCKSTEP_POWER_CUTS` and `LOCKSTEP_CRASH_SEED` choose how many
//! and which.

use crate::chance::Chance;
use crate::crash::setting;
use crate::eventually::seconds;
use crate::hub::Refusal;
use crate::power::Power;
use crate::promises::{Promise, judge, report};
use crate::trial::{Plan, run};
use anyhow::{Result, ensure};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_work_survives_power_loss() -> Result<()> {
    let ends = setting("LOCKSTEP_POWER_CUTS")?.unwrap_or(5);
    let seed = setting("LOCKSTEP_CRASH_SEED")?.unwrap_or_else(Chance::fresh_seed);
    println!("LOCKSTEP_POWER_CUTS={ends} LOCKSTEP_CRASH_SEED={seed}");
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let power = Power::wire_up(folder.path(), &data)?;
    let evidence =
        run(&data, &Plan { ends, seed, power: Some(&power), is_synced: true, patience: seconds(90) }).await?;
    let breaches = judge(&evidence);
    ensure!(breaches.is_empty(), "seed {seed}:\n{}", report(&breaches));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_loss_is_noticed_when_the_sync_is_removed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let power = Power::wire_up(folder.path(), &data)?;
    let plan = Plan { ends: 2, seed: 1, power: Some(&power), is_synced: false, patience: seconds(8) };
    let evidence = match run(&data, &plan).await {
        Ok(evidence) => evidence,
        Err(error) => {
            let refusal = error.downcast::<Refusal>()?;
            println!("noticed: the hub does not start: {refusal}");
            return Ok(());
        }
    };
    let breaches = judge(&evidence);
    ensure!(
        breaches.iter().any(|breach| breach.promise == Promise::P1),
        "nothing was synced, and no loss of acknowledged work was found; only:\n{}",
        report(&breaches)
    );
    println!("noticed:\n{}", report(&breaches));
    Ok(())
}
