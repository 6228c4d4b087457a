//! Shares among the doubles of three platforms: brought over whole, followed, broken and healed.

use lockstep_core::run::{RunKind, RunState};
use lockstep_sim::shares::{Shares, count_writes, differences};
use lockstep_sim::world::simulate;

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
