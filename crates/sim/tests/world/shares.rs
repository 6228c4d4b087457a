//! Shares among the doubles of three platforms: brought over whole, followed, broken and healed.

use crate::seeds::seeds_or;
use anyhow::anyhow;
use lockstep_core::clock::Clock as _;
use lockstep_core::error::Code;
use lockstep_core::ids::ShareId;
use lockstep_core::run::{Counts, Run, RunKind, RunState, Stage};
use lockstep_engine::control::business;
use lockstep_engine::principal::Principal;
use lockstep_sim::platforms::Faults;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::shares::{Shares, count_writes, differences};
use lockstep_sim::world::simulate;
use serde_json::json;
use std::collections::BTreeSet;
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
        assert_eq!(world.needless(), BTreeSet::new());
        Ok(())
    })
    .unwrap();
}

/// Runs a share whole once more, and gives what it counted.
async fn again(world: &Shares, share: ShareId) -> anyhow::Result<Counts> {
    let (share_row, _) =
        world.board()?.world.settings.read(|settings| settings.sharing.share(share)).expect("it is there");
    let run = world.workers()?.run(&share_row, RunKind::Full, None).await.map_err(|refused| anyhow!("{refused:?}"))?;
    world.settle(&[share]).await?;
    let run = world.runs(share).await?.into_iter().find(|one| one.id == run.id).expect("it was begun");
    assert_eq!((run.state, run.counts.seen), (RunState::Completed, run.counts.settled()), "{run:?}");
    Ok(run.counts)
}

#[test]
fn a_run_of_all_writes_what_has_changed_and_no_more() {
    simulate(async {
        let world = Shares::begin(2, 300).await?;
        let shares = world.share_all().await?;
        world.settle(&shares).await?;
        let written = || (count_writes(&world.platforms.copernica), count_writes(&world.platforms.activecampaign));
        let before = written();
        for share in shares {
            let counts = again(&world, share).await?;
            assert_eq!(
                (counts.unchanged, counts.created + counts.updated + counts.failed),
                (counts.seen, 0),
                "{counts:?}"
            );
        }
        assert_eq!(written(), before, "nothing has changed, and nothing is written");
        // No hook tells of these three.
        let ids: Vec<String> =
            world.platforms.blueconic.look(|there| there.profiles().keys().take(3).cloned().collect());
        let now = world.clock.now();
        for id in &ids {
            world.platforms.blueconic.look(|there| there.edit(id, &[("city", &["Changed"])], now));
        }
        assert_eq!(again(&world, shares[0]).await?.updated, 3);
        world.settle(&shares).await?;
        let after = written();
        assert_eq!((after.0 - before.0, after.1 - before.1), (3, 3), "one in a hundred has changed");
        assert_eq!(differences(&world.at_blueconic(), &world.at_copernica().0), [""; 0]);
        assert_eq!(world.needless(), BTreeSet::new());
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_share_without_history_brings_only_what_changes() {
    simulate(async {
        let world = Shares::begin(3, 50).await?;
        let said = json!({"direction": "in", "history": "none", "schedule": {"cron": "* * * * *"}});
        let from = world.share("blueconic", said).await?;
        world.connect_hooks()?;
        let to = world.share("activecampaign", json!({"direction": "out", "history": "none"})).await?;
        world.settle(&[from, to]).await?;
        assert_eq!(world.at_activecampaign().len(), 0, "what was there before stays where it is");
        assert_eq!(world.runs(from).await?[0].counts.skipped, 50);
        world.edit_one();
        world.add_one();
        world.wait(Duration::from_secs(150)).await;
        world.settle(&[from, to]).await?;
        assert_eq!(world.at_activecampaign().len(), 2, "{:?}", world.problems().await?);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_condition_keeps_others_away_and_lets_go_of_those_that_leave() {
    simulate(async {
        let world = Shares::begin(4, 40).await?;
        let from = world.share("blueconic", json!({"direction": "in", "history": "all"})).await?;
        world.connect_hooks()?;
        let said = json!({"direction": "out", "history": "all", "condition": "city == 'Delft'", "onLeave": "unlink"});
        let to = world.share("activecampaign", said).await?;
        let shares = [from, to];
        world.settle(&shares).await?;
        let in_delft = |world: &Shares| world.at_blueconic().values().filter(|[.., city]| city == "Delft").count();
        assert!(in_delft(&world) > 0 && world.at_activecampaign().len() == in_delft(&world));
        let id = world.add_one();
        world.settle(&shares).await?;
        assert_eq!(world.at_activecampaign().len(), in_delft(&world), "somebody new in Delft");
        let now = world.clock.now();
        world.platforms.blueconic.look(|there| there.edit(&id, &[("city", &["Breda"])], now));
        world.settle(&shares).await?;
        let stayed = world.at_activecampaign();
        assert_eq!(stayed.len(), in_delft(&world) + 1, "who leaves stays there");
        assert!(stayed.values().all(|[.., city]| city == "Delft"), "as they were");
        Ok(())
    })
    .unwrap();
}

#[test]
fn two_records_with_one_address_do_not_take_turns_at_one_object() {
    simulate(async {
        let world = Shares::begin(6, 0).await?;
        let to = world.share("activecampaign", json!({"direction": "out", "history": "all"})).await?;
        world.settle(&[to]).await?;
        let first = world.create(json!({"email": "kim@example.com", "firstName": "Kim"})).await?;
        world.wait(Duration::from_secs(30)).await;
        let second = world.create(json!({"email": "kim@example.com", "firstName": "Kimberley"})).await?;
        world.wait(Duration::from_secs(30)).await;
        // Both at once, and nobody is there yet.
        let third = world.create(json!({"email": "noor@example.com", "firstName": "Noor"})).await?;
        let fourth = world.create(json!({"email": "noor@example.com", "firstName": "Noortje"})).await?;
        world.wait(Duration::from_secs(60)).await;
        let names: Vec<String> = world.at_activecampaign().into_values().map(|[first, ..]| first).collect();
        assert_eq!(names, ["Kim", "Noor"]);
        assert_eq!(count_writes(&world.platforms.activecampaign), 2);
        let problems = world.problems().await?;
        let about: BTreeSet<_> = problems.iter().map(|problem| problem.record).collect();
        assert_eq!(about, BTreeSet::from([Some(second), Some(fourth)]), "{problems:?}, not {first} and {third}");
        assert!(problems.iter().all(|problem| problem.reason.code == Code::RemoteDuplicate), "{problems:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_a_full_run_finds_is_news_and_what_a_baseline_finds_is_not() {
    simulate(async {
        let world = Shares::begin(7, 20).await?;
        let from = world.share("blueconic", json!({"direction": "in", "history": "all"})).await?;
        let to = world.share("activecampaign", json!({"direction": "out", "history": "none"})).await?;
        world.settle(&[from, to]).await?;
        assert_eq!(world.at_activecampaign().len(), 0);
        // No hook tells of them.
        world.add_one();
        world.add_one();
        assert_eq!(again(&world, from).await?.created, 2);
        world.settle(&[from, to]).await?;
        assert_eq!(world.at_activecampaign().len(), 2, "a lost hook is made good by a full run, there too");
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_was_being_imported_when_its_run_was_cancelled_goes_on_by_itself() {
    simulate(async {
        let world = Shares::begin(8, 300).await?;
        let from = world.share("blueconic", json!({"direction": "in", "history": "all"})).await?;
        world.settle(&[from]).await?;
        let to = world.share("activecampaign", json!({"direction": "out", "history": "all"})).await?;
        let importing = |run: &Run| matches!(&run.stage, Stage::Writing { job: Some(_), .. });
        let mut run = None;
        for _ in 0..600 {
            world.wait(Duration::from_millis(200)).await;
            run = world.runs(to).await?.into_iter().find(importing);
            if run.is_some() {
                break;
            }
        }
        let run = run.expect("many new objects are imported");
        world.workers()?.cancel_run(&run).await.map_err(|refused| anyhow!("{refused:?}"))?;
        world.wait(Duration::from_secs(700)).await;
        world.edit_one();
        again(&world, from).await?;
        again(&world, to).await?;
        world.settle(&[from, to]).await?;
        assert_eq!(differences(&world.at_blueconic(), &world.at_activecampaign()), [""; 0]);
        let kept = world.runs(to).await?.into_iter().find(|one| one.id == run.id).unwrap();
        assert_eq!((kept.state, kept.stage), (RunState::Cancelled, Stage::Over), "no values stay in its row");
        Ok(())
    })
    .unwrap();
}

/// Plays a world with faults, and gives what is not as it should be.
async fn broken(seed: u64) -> anyhow::Result<Vec<String>> {
    let mut world = Shares::begin(seed, 40 + world_size(seed)).await?;
    let shares = world.share_all().await?;
    world.connect_hooks()?;
    // In every fourth world nothing is left in doubt, so that no write has an excuse for changing nothing.
    let is_sure = seed.is_multiple_of(4);
    let faults = if is_sure { Faults { answer_lost_one_in: 0, slow_one_in: 0, ..FAULTS } } else { FAULTS };
    world.set(faults);
    for _ in 0..12 {
        for _ in 0..world.chance.draw() % 4 {
            if world.chance.one_in(4) {
                world.add_one();
            } else {
                world.edit_one();
            }
        }
        world.wait(Duration::from_secs(1 + world.chance.draw() % 40)).await;
        if !is_sure && world.chance.one_in(4) {
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
    if is_sure {
        wrong.extend(world.needless().into_iter().map(|write| format!("a write for nothing: {write}")));
    }
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

#[test]
fn nothing_of_an_erased_record_stays_with_its_shares() {
    simulate(async {
        let world = Shares::begin(5, 3).await?;
        let shares = world.share_all().await?;
        world.settle(&shares).await?;
        // Somebody without an address cannot be recognised there: a problem of both.
        let record = world.create(json!({"firstName": "Nobody"})).await?;
        world.wait(Duration::from_secs(30)).await;
        assert_eq!(world.problems().await?.iter().filter(|problem| problem.record == Some(record)).count(), 2);
        world.erase(record).await?;
        world.wait(Duration::from_secs(30)).await;
        assert_eq!(world.problems().await?, []);
        Ok(())
    })
    .unwrap();
}

#[test]
fn hooks_at_a_platform_are_made_once_and_looked_after_each_hour() {
    simulate(async {
        let world = Shares::begin(6, 3).await?;
        let database = json!({"database": Copernica::DATABASE.to_string()});
        let share = world.share("copernica-v4", json!({"direction": "in", "options": database})).await?;
        world.settle(&[share]).await?;
        let calls = |what: &str| {
            let seen = world.platforms.copernica.seen();
            seen.iter().filter(|seen| seen.what.starts_with(what) && seen.status < 300).count()
        };
        assert_eq!((calls("POST /v4/webhooks"), calls("GET /v4/webhook/")), (3, 0), "one for each trigger");
        world.wait(Duration::from_secs(2 * 3_600 + 120)).await;
        assert_eq!((calls("POST /v4/webhooks"), calls("GET /v4/webhook/")), (3, 6), "the same worker looked twice");
        Ok(())
    })
    .unwrap();
}

#[test]
fn nothing_is_shared_any_more_when_a_business_is_closed() {
    simulate(async {
        let world = Shares::begin(7, 20).await?;
        let shares = world.share_all().await?;
        world.settle(&shares).await?;
        let calls = || {
            let at = &world.platforms;
            at.blueconic.seen().len() + at.copernica.seen().len() + at.activecampaign.seen().len()
        };
        let before = calls();
        world.wait(Duration::from_secs(600)).await;
        assert!(calls() > before, "a pull each five minutes");
        let engine = &world.board()?.world;
        business::delete(engine, &Principal::Admin, "acme").await.map_err(|refused| anyhow!("{refused:?}"))?;
        world.wait(Duration::from_secs(5)).await;
        let closed = calls();
        world.edit_one();
        world.wait(Duration::from_secs(1_200)).await;
        assert_eq!(calls(), closed);
        Ok(())
    })
    .unwrap();
}
