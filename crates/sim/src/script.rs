//! The script: a cast of applications and businesses, and what they do, drawn from a seed.

mod cast;
mod command;
mod control;
mod rest;

use crate::Report;
use crate::chance::Chance;
use crate::checkers;
use crate::endpoint::Mood;
use crate::evidence::{Ack, Evidence};
use crate::world::World;
use cast::Cast;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Longest that something decided under old settings may still be under way while the store is slow.
const GRACE_MS: i64 = 500;

/// A script being played.
struct Play {
    world: World,
    chance: Chance,
    cast: Cast,
    acks: Arc<Mutex<Vec<Ack>>>,
    calls: Vec<JoinHandle<()>>,
    sent: Vec<command::Order>,
    count: u64,
}

/// Plays a seed's script and judges it.
pub(crate) async fn play(seed: u64, steps: usize) -> anyhow::Result<Report> {
    let world = World::begin(seed).await?;
    let chance = Chance::new(seed, "script");
    let cast = Cast::enter(&world, &chance).await?;
    let mut play = Play { world, chance, cast, acks: Arc::default(), calls: Vec::new(), sent: Vec::new(), count: 0 };
    for _ in 0..8 {
        play.subscribe().await;
    }
    play.world.store.behave(play.chance.percent(70), play.chance.percent(50));
    for _ in 0..steps {
        play.step().await?;
    }
    play.come_to_rest().await?;
    let Play { world, acks, .. } = play;
    let acks = std::mem::take(&mut *acks.lock().unwrap_or_else(PoisonError::into_inner));
    let count = acks.len();
    let evidence = Evidence::gather(&world, acks, GRACE_MS).await?;
    let mut breaches = checkers::judge(&evidence);
    if world.has_fallen() {
        breaches.push("the post room ended without being asked".to_owned());
    }
    Ok(Report {
        seed,
        breaches,
        hash: world.trace.hash(),
        trace: world.trace.lines(),
        acks: count,
        arrivals: evidence.arrivals.len(),
        lives: world.store.life(),
    })
}

impl Play {
    async fn step(&mut self) -> anyhow::Result<()> {
        match self.chance.below(100) {
            0..=59 => self.command(),
            60..=67 => self.repeat(),
            68..=73 => self.subscribe().await,
            74..=79 => self.change_subscription().await,
            80..=81 => self.replay().await,
            82..=86 => self.change_grant().await,
            87..=95 => self.change_mood(),
            96 => {
                self.world.stop().await?;
                self.back_after().await?;
            }
            97..=98 => {
                self.world.kill().await;
                self.lose_calls();
                self.back_after().await?;
            }
            _ => self.world.wait(Duration::from_secs(self.chance.below(4 * 3_600))).await,
        }
        let pause = match self.chance.below(20) {
            0..=11 => 0,
            12..=18 => self.chance.below(80),
            _ => self.chance.below(40_000),
        };
        self.world.wait(Duration::from_millis(pause)).await;
        Ok(())
    }

    /// A hub that went comes back after a while.
    async fn back_after(&mut self) -> anyhow::Result<()> {
        let down = if self.chance.one_in(10) { self.chance.below(36_000_000) } else { self.chance.below(20_000) };
        self.world.wait(Duration::from_millis(down)).await;
        self.world.start().await
    }

    /// Callers of a killed hub never get their answers.
    fn lose_calls(&mut self) {
        for call in self.calls.drain(..) {
            call.abort();
        }
    }

    fn change_mood(&mut self) {
        let Some(host) = self.chance.pick(&cast::HOSTS) else { return };
        let mood = match self.chance.below(16) {
            0..=4 => Mood::Healthy,
            5 => Mood::Slow(200),
            6 => Mood::Slow(25_000),
            7 => Mood::Flapping(1 + self.chance.below(90_000)),
            8 => Mood::Unreachable,
            9 => Mood::Silent,
            10 => Mood::Breaking,
            11 | 12 => Mood::Picky(2 + self.chance.below(4)),
            13 => match self.chance.below(6) {
                0 => Mood::Says(410),
                1 | 2 => Mood::Says(302),
                _ => Mood::Says(500),
            },
            14 => Mood::Says(429),
            _ => Mood::Throttles(if self.chance.percent(50) { 429 } else { 503 }, self.chance.below(90)),
        };
        self.world.net.set(host, mood);
        self.world.trace.note(self.world.now(), format_args!("mood {host} {mood:?}"));
    }
}
