//! Shares against SIGKILL: platforms that throttle, fail, lose answers, end tokens and muddle their webhooks, people who
//! edit, and a hub that is killed at random moments. Then all is quiet, and everybody must hold the same, once.
//!
//! `LOCKSTEP_SHARES_SEEDS` chooses how many worlds there are, `LOCKSTEP_SHARES_SEED` the first. One in twenty is so large
//! that its people are imported: an import of which nobody knows whether it was begun is left alone for five minutes.

use crate::chance::Chance;
use crate::club::{
    Club, SPEED, Stand, activecampaign, add, blueconic, copernica, edit, into_copernica, now, send_hooks, set_webhook,
};
use crate::crash::setting;
use crate::eventually::{eventually, seconds};
use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use lockstep_sim::platforms::activecampaign::ActiveCampaign;
use lockstep_sim::platforms::blueconic::BlueConic;
use lockstep_sim::platforms::copernica::Copernica;
use lockstep_sim::platforms::{Faults, Platform};
use serde_json::{Value, json};
use std::time::Duration;

/// Worlds that are played at the same time; they mostly wait.
const AT_ONCE: usize = 5;
/// Which worlds are large, once in so many.
const LARGE_EACH: u64 = 20;
/// More than so many people are imported.
const IMPORTED: u64 = 9;
/// Kills while people are brought over, and as many while edits follow.
const KILLS: u64 = 3;
const FAULTS: Faults = Faults {
    throttle_one_in: 15,
    retry_after_seconds: 1,
    unavailable_one_in: 15,
    answer_lost_one_in: 15,
    slow_one_in: 15,
    slow_ms: 300,
    expire_one_in: 30,
    hook_lost_one_in: 5,
    hook_twice_one_in: 5,
    hooks_are_shuffled: true,
};

struct World {
    chance: Chance,
    club: Club,
    from: Stand<BlueConic>,
    copernica: Stand<Copernica>,
    activecampaign: Stand<ActiveCampaign>,
    people: u64,
    added: u64,
}

impl World {
    /// A hub between three platforms, none of which fails yet.
    async fn begin(seed: u64, data: &std::path::Path) -> Result<Self> {
        let mut chance = Chance::new(seed);
        let people = if seed % LARGE_EACH == LARGE_EACH - 1 { 600 } else { 3 + chance.below(7) };
        let from = Stand::of(BlueConic::new(seed).with_people(people, now()), seed, 1).await?;
        let copernica = Stand::of(Copernica::new(seed), seed + 1, 1).await?;
        let activecampaign = Stand::of(ActiveCampaign::new(seed), seed + 2, SPEED).await?;
        let club = Club::open(data).await?;
        Ok(Self { chance, club, from, copernica, activecampaign, people, added: 0 })
    }

    /// Connects all, then shares while everything fails and the hub is killed.
    async fn share(&mut self) -> Result<()> {
        let source = self.club.connect("blueconic", blueconic(&self.from)).await?;
        let one = self.club.connect("copernica-v4", copernica(&self.copernica)).await?;
        let other = self.club.connect("activecampaign", activecampaign(&self.activecampaign)).await?;
        self.set(FAULTS);
        let schedule = json!({"cron": "* * * * * *"});
        let from = json!({"object": "profile", "direction": "in", "history": "all", "schedule": schedule});
        self.club.begin_share(&source, from).await?;
        set_webhook(&self.from.site, "get", &self.club.hook(&source).await?, None);
        send_hooks(&self.from.site)?;
        if self.chance.one_in(2) {
            self.kill_soon().await?;
        }
        self.club.begin_share(&one, into_copernica("all")).await?;
        let into = json!({"object": "contact", "direction": "out", "history": "all"});
        self.club.begin_share(&other, into).await?;
        for _ in 0..KILLS {
            self.kill_soon().await?;
        }
        Ok(())
    }

    /// Kills the hub at a moment that nobody chose.
    async fn kill_soon(&mut self) -> Result<()> {
        // tidy: sleep: the random moment is what is tested
        tokio::time::sleep(Duration::from_millis(self.chance.below(300))).await;
        self.club.kill().await
    }

    fn set(&self, faults: Faults) {
        fn of<P: Platform>(stand: &Stand<P>, faults: Faults) {
            stand.site.set(faults);
        }
        of(&self.from, faults);
        of(&self.copernica, faults);
        of(&self.activecampaign, faults);
    }

    fn edit(&mut self) -> Result<()> {
        let number = self.chance.below(1_000);
        if self.chance.one_in(4) {
            self.added += 1;
            add(&self.from.site, &format!("new{}@club.test", self.added), "Delft");
            return Ok(());
        }
        let email = format!("person{}@club.test", 1 + self.chance.below(self.people));
        edit(&self.from.site, &email, "city", &[&format!("Town {number}")])
    }

    /// Edits and kills, at moments that nobody chose.
    async fn suffer(&mut self) -> Result<()> {
        for _ in 0..KILLS {
            for _ in 0..1 + self.chance.below(4) {
                self.edit()?;
                // tidy: sleep: the random moment is what is tested
                tokio::time::sleep(Duration::from_millis(self.chance.below(120))).await;
            }
            self.kill_soon().await?;
        }
        self.edit()?;
        self.set(Faults::default());
        Ok(())
    }

    /// What is not as it should be.
    fn wrong(&self) -> Vec<String> {
        let people = self.from.site.look(|blueconic| blueconic.census());
        let platforms = [
            ("Copernica", self.copernica.site.look(|copernica| copernica.census())),
            ("ActiveCampaign", self.activecampaign.site.look(|activecampaign| activecampaign.census())),
        ];
        let told = platforms.iter().filter_map(|(name, there)| {
            let differing = people.differences(there);
            let first = differing.first()?;
            Some(format!("{} differences at {name}, such as {first}", differing.len()))
        });
        told.collect()
    }

    /// How often the hub has written so far.
    fn writes(&self) -> usize {
        let one = self.copernica.site.look(|copernica| copernica.writes().len());
        one + self.activecampaign.site.look(|activecampaign| activecampaign.writes().len())
    }

    async fn heal(self) -> Result<()> {
        let (mut wrong, mut compared) = (Vec::new(), None);
        let patience = if self.people > IMPORTED { seconds(900) } else { seconds(120) };
        let healed = eventually(patience, "all platforms hold the same", async || {
            // Comparing takes long in a large world, and nobody edits any more.
            let writes = self.writes();
            if compared != Some(writes) {
                (wrong, compared) = (self.wrong(), Some(writes));
            }
            wrong.is_empty()
        });
        if let Err(error) = healed.await {
            let shares = self.club.get("shares").await?;
            return Err(error).context(format!("{}\n{shares}", wrong.join("\n")));
        }
        // A push that waits would only say the same once more, and must say nothing else; no problem may stand.
        let quiet = async || {
            let shares = self.club.get("shares").await.unwrap_or_default();
            let are_live =
                shares["items"].as_array().is_some_and(|items| items.iter().all(|item| item["state"] == "live"));
            are_live && self.club.get("problems").await.is_ok_and(|problems| problems["items"] == json!([]))
        };
        let quiet = eventually(seconds(60), "all shares are live and no problem stands", quiet).await;
        if quiet.is_err() {
            let shares = self.club.get("shares").await?;
            let problems: Value = self.club.get("problems").await?;
            quiet.with_context(|| format!("{shares}\n{problems}"))?;
        }
        let wrong = self.wrong();
        ensure!(wrong.is_empty(), "after all was equal: {}", wrong.join("\n"));
        let struck = self.from.site.struck() + self.copernica.site.struck() + self.activecampaign.site.struck();
        ensure!(struck > 0, "nothing has gone wrong: the trial shows nothing");
        self.club.stop().await
    }
}

async fn play(seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut world = World::begin(seed, &folder.path().join("data")).await?;
    world.share().await?;
    world.suffer().await?;
    world.heal().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn platforms_are_equal_after_the_hub_was_killed_again_and_again() -> Result<()> {
    let first = setting("LOCKSTEP_SHARES_SEED")?.unwrap_or(0);
    let count = setting("LOCKSTEP_SHARES_SEEDS")?.unwrap_or(10);
    let seeds: Vec<u64> = (first..first + count).collect();
    let mut failed = Vec::new();
    for some in seeds.chunks(AT_ONCE) {
        let played = join_all(some.iter().map(|seed| play(*seed))).await;
        let wrong = some.iter().zip(played).filter_map(|(seed, played)| Some((seed, played.err()?)));
        failed.extend(
            wrong.map(|(seed, error)| format!("LOCKSTEP_SHARES_SEED={seed} LOCKSTEP_SHARES_SEEDS=1: {error:#}")),
        );
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}
