//! Shares among the doubles of three platforms: brought over whole, followed, broken and healed.

use crate::seeds::seeds_or;
use lockstep_core::run::{RunKind, RunState};
use lockstep_sim::platforms::Faults;
use lockstep_sim::shares::{Shares, count_writes, differences};
use lockstep_sim::world::simulate;
use std::ops::Range;
use std::time::Duration;

const SEEDS: Range<u64> = 0..200;

#[test]
fn everybody_is_brought_over_and_edits_follow() {
    simulate(async {
        let world = Shares::begin(1, 600).await?;
        let shares = world.share_all().await?;
        world.connect_hooks()?;
        world.settle(&shares).await?;
        assert_eq!(world.problems().await?, []);
        let people = world.at_blueconic();
        let (there, doubles) = world.at_copernica();
        assert_eq!((people.len(), doubles), (600, 0));
        assert_eq!(differences(&people, &there), [""; 0]);
        assert_eq!(differences(&people, &world.at_activecampaign()), [""; 0]);
        for share in shares {
            let runs = world.runs(share).await?;
            let baseline = runs.iter().find(|run| run.kind == RunKind::Baseline).unwrap();
            assert_eq!(baseline.state, RunState::Completed, "{baseline:?}");
            assert_eq!(baseline.counts.seen, baseline.counts.settled(), "{baseline:?}");
        }
        let before = (count_writes(&world.platforms.copernica), count_writes(&world.platforms.activecampaign));
        for _ in 0..20 {
            world.edit_one();
        }
        world.add_one();
        world.settle(&shares).await?;
        let people = world.at_blueconic();
        assert_eq!(differences(&people, &world.at_copernica().0), [""; 0]);
        assert_eq!(differences(&people, &world.at_activecampaign()), [""; 0]);
        let after = (count_writes(&world.platforms.copernica), count_writes(&world.platforms.activecampaign));
        assert!(after.0 - before.0 <= 21 && after.1 - before.1 <= 21, "{before:?} {after:?}");
        assert_eq!(world.needless(), std::collections::BTreeSet::new());
        Ok(())
    })
    .unwrap();
}

/// Plays a world with faults, and gives what is not as it should be.
async fn broken(seed: u64) -> anyhow::Result<Vec<String>> {
    let mut world = Shares::begin(seed, 40 + world_size(seed)).await?;
    let shares = world.share_all().await?;
    world.connect_hooks()?;
    world.set(FAULTS);
    for _ in 0..12 {
        for _ in 0..world.chance.draw() % 4 {
            if world.chance.one_in(4) {
                world.add_one();
            } else {
                world.edit_one();
            }
        }
        world.wait(Duration::from_secs(1 + world.chance.draw() % 40)).await;
        if world.chance.one_in(4) {
            world.kill().await;
            world.start().await?;
        }
    }
    world.set(Faults::default());
    // What a lost hook would have told comes with the next pull.
    world.wait(Duration::from_secs(400)).await;
    world.settle(&shares).await?;
    let people = world.at_blueconic();
    let (there, doubles) = world.at_copernica();
    let mut wrong = differences(&people, &there);
    wrong.extend(differences(&people, &world.at_activecampaign()));
    wrong.extend((doubles > 0).then(|| format!("{doubles} doubles")));
    wrong.extend(world.problems().await?.iter().map(|problem| format!("a problem: {problem:?}")));
    Ok(wrong)
}

fn world_size(seed: u64) -> u64 {
    seed % 7 * 30
}

const FAULTS: Faults = Faults {
    throttle_one_in: 15,
    retry_after_seconds: 2,
    unavailable_one_in: 15,
    answer_lost_one_in: 15,
    slow_one_in: 15,
    slow_ms: 70_000,
    expire_one_in: 30,
    hook_lost_one_in: 5,
    hook_twice_one_in: 5,
    hooks_are_shuffled: true,
};

/// Plays every second seed, so that two cores share them.
fn play(rest: u64) {
    let mut failed = Vec::new();
    for seed in seeds_or(SEEDS).filter(|seed| seed % 2 == rest) {
        let wrong = simulate(broken(seed)).unwrap_or_else(|error| vec![format!("{error:#}")]);
        if !wrong.is_empty() {
            let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n  ");
            failed.push(format!("seed {seed}: {} things\n  {shown}", wrong.len()));
        }
    }
    assert!(failed.is_empty(), "platforms are not equal\n{}", failed.join("\n"));
}

#[test]
fn platforms_are_equal_after_faults_in_every_even_world() {
    play(0);
}

#[test]
fn platforms_are_equal_after_faults_in_every_odd_world() {
    play(1);
}
