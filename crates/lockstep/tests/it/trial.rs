//! A trial: a hub under load, ended again and again at moments it did not choose, and everything recorded.

use crate::chance::Chance;
use crate::desk::{Desk, Subscription};
use crate::eventually::eventually;
use crate::hub::{Hub, Start};
use crate::power::Power;
use crate::promises::Evidence;
use crate::reading::{Seen, read};
use crate::receiver::Receiver;
use crate::writers::{Account, Writers};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const WRITERS: u64 = 6;
/// One delivery in so many is refused, to have parked records when the end comes.
const REFUSE_EACH: u64 = 197;
/// Records whose state is asked for at the end.
const ASKED_MAX: usize = 300;

/// How often and how the hub is ended.
pub(crate) struct Plan<'a> {
    pub(crate) ends: u64,
    pub(crate) seed: u64,
    /// With a power cut after each kill.
    pub(crate) power: Option<&'a Power>,
    /// Whether syncs reach the disk, once all is set up.
    pub(crate) is_synced: bool,
    /// How long the end is waited for, step by step.
    pub(crate) patience: Duration,
}

struct Trial {
    receiver: Receiver,
    desk: Desk,
    subscription: Subscription,
    evidence: Evidence,
}

/// Runs a trial on an empty folder.
///
/// # Errors
/// When the trial itself cannot go on; [`crate::hub::Refusal`] when the hub does not start again.
pub(crate) async fn run(data: &Path, plan: &Plan<'_>) -> Result<Evidence> {
    let mut start = Start::on(data);
    if let Some(power) = plan.power {
        start = power.under(start);
    }
    let receiver = Receiver::start().await?;
    let hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let subscription = desk.subscribe(&hub, &receiver.url("/"), json!({"startAt": "beginning"})).await?;
    hub.stop().await?;
    receiver.next_life().await?;

    if !plan.is_synced {
        start = start.with("LOCKSTEP_SHIM_NO_SYNC", "1");
    }
    let mut trial = Trial { receiver, desk, subscription, evidence: Evidence::default() };
    let mut chance = Chance::new(plan.seed);
    let hub = start.run().await?;
    let writers = Writers::start(&trial.desk, hub.address, WRITERS, chance.next());
    let hub = trial.end_again_and_again(hub, &start, plan, &mut chance, &writers).await?;
    let accounts = writers.finish().await?;
    let hub = trial.end(hub, &start, plan, &mut chance).await?;
    let unclear: usize = accounts.iter().map(|account| account.unclear).sum();
    trial.look_at_the_end(&hub, plan.patience, accounts).await;
    let Evidence { deliveries, acknowledged, head, .. } = &trial.evidence;
    println!(
        "{} acknowledged, {unclear} without an answer, {} attempts of {head} changes",
        acknowledged.len(),
        deliveries.len()
    );
    ensure!(unclear > 0 || plan.ends < 5, "no kill ever hit a request: the trial shows nothing");
    Ok(trial.evidence)
}

impl Trial {
    async fn end_again_and_again(
        &mut self,
        mut hub: Hub,
        start: &Start,
        plan: &Plan<'_>,
        chance: &mut Chance,
        writers: &Writers,
    ) -> Result<Hub> {
        for end in 1..=plan.ends {
            // Parked records must be free again before the end.
            self.receiver.refuse_each(if end * 10 <= plan.ends * 8 { REFUSE_EACH } else { 0 });
            // Sometimes at once, while it still recovers from the end before.
            let life_ms = if chance.one_in(5) { chance.below(40) } else { 150 + chance.below(450) };
            // tidy: sleep: the random moment is what is tested
            tokio::time::sleep(Duration::from_millis(life_ms)).await;
            hub = self.end(hub, start, plan, chance).await?;
            writers.go_on_at(hub.address);
            self.gather();
        }
        // The last life serves, too, before the writers are called off.
        let before = self.evidence.deliveries.len();
        let served = eventually(plan.patience, "a delivery from the last life", async || {
            self.gather();
            self.evidence.deliveries.len() > before
        });
        if let Err(error) = served.await {
            self.evidence.surprises.push(error.to_string());
        }
        Ok(hub)
    }

    /// Ends one life and begins the next.
    async fn end(&mut self, hub: Hub, start: &Start, plan: &Plan<'_>, chance: &mut Chance) -> Result<Hub> {
        hub.kill()?;
        if let Some(power) = plan.power {
            let seed = chance.next();
            power.cut((seed % 2 == 1).then_some(seed))?;
        }
        self.receiver.next_life().await?;
        start.run().await
    }

    /// Reads what has arrived.
    fn gather(&mut self) {
        for arrival in self.receiver.take() {
            match read(&arrival, &self.subscription.secret) {
                Seen::Change(delivery) => self.evidence.deliveries.push(delivery),
                Seen::Current(shown) => self.evidence.shown.push(shown),
                Seen::Other(what) => self.evidence.surprises.push(what),
            }
        }
    }

    async fn look_at_the_end(&mut self, hub: &Hub, patience: Duration, accounts: Vec<Account>) {
        let mut living = Vec::new();
        for account in accounts {
            self.evidence.acknowledged.extend(account.acknowledged);
            self.evidence.surprises.extend(account.surprises);
            living.extend(account.living);
        }
        living.truncate(ASKED_MAX);
        self.evidence.asked = living;
        let ended = self.wait_for_the_end(hub, patience).await;
        self.gather();
        if let Err(error) = ended {
            self.evidence.surprises.push(format!("{error:#}"));
        }
        if self.evidence.head == 0 {
            self.evidence.head = self.evidence.deliveries.iter().map(|delivery| delivery.seq).max().unwrap_or_default();
        }
    }

    /// Writes a last change, whose seq is the head, and waits for all up to it; then asks for the records' state.
    async fn wait_for_the_end(&mut self, hub: &Hub, patience: Duration) -> Result<()> {
        let mut client = self.desk.client(hub);
        let last = self.desk.create(&mut client, &json!({"lastName": "last", "code": "0"})).await?;
        let last = last["recordId"].as_str().unwrap_or_default().to_owned();
        let arrived = eventually(patience, "the last change arrives", async || {
            self.gather();
            let told = self.evidence.deliveries.iter().rev().find(|delivery| delivery.record == last);
            self.evidence.head = told.map_or(0, |delivery| delivery.seq);
            told.is_some()
        });
        arrived.await?;
        let mut missing: BTreeSet<u64> = (1..=self.evidence.head).collect();
        let mut looked_at = 0;
        let all = eventually(patience, "every seq up to the head has arrived", async || {
            self.gather();
            for delivery in &self.evidence.deliveries[looked_at..] {
                if delivery.is_accepted {
                    missing.remove(&delivery.seq);
                }
            }
            looked_at = self.evidence.deliveries.len();
            missing.is_empty()
        });
        all.await?;
        for record in &self.evidence.asked {
            let path = self.desk.path(&format!("contact/sync-by-id?id={record}"));
            client.post(&path, &Value::Null).await?.of_status(202)?;
        }
        let shown = eventually(patience, "every sync asked for has come", async || {
            self.gather();
            self.evidence.asked.iter().all(|record| self.evidence.shown.iter().any(|shown| shown.record == *record))
        });
        shown.await
    }
}
