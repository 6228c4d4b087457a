//! The story: three platforms are connected over REST as a user would, brought together, followed, broken and healed.
//! It must not touch the hub's inside, and changes platforms only as their own users do.

use super::account::Account;
use super::doubles::{Doubles, Edit};
use super::parsed;
use super::shop::ORGANISATION;
use crate::failure::Failure;
use crate::printer::say;
use crate::remote::Remote;
use crate::sharing::caller::{Caller, text};
use crate::wire_up::Hub;
use anyhow::anyhow;
use http::Method;
use lockstep_egress::Transport;
use lockstep_engine::control::{application, business};
use lockstep_engine::principal::Principal;
use lockstep_sim::platforms::Faults;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const BUSINESS: &str = "acme-club";
/// Between two looks at how far something is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two lines about a baseline.
const TELL_EVERY: Duration = Duration::from_millis(800);
/// How long anything may take before it is told to be wrong.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long an edit is waited for before the next one, while all is well.
const EDIT_PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing may have been written before all is held to be quiet.
const QUIET: Duration = Duration::from_secs(2);
/// Between two edits of those who watch.
const EDIT_EVERY: Duration = Duration::from_secs(4);
/// Edits from one outage to the next.
const OUTAGE_EACH: u64 = 8;
/// Edits before the outage, and in it.
const EDITS: u64 = 10;
/// How long an outage lasts.
const OUTAGE: Duration = Duration::from_secs(3);

/// Half of all calls fail, one way or another, and a part of the webhooks comes twice, late or never.
const FAULTS: Faults = Faults {
    throttle_one_in: 6,
    retry_after_seconds: 1,
    unavailable_one_in: 3,
    answer_lost_one_in: 12,
    slow_one_in: 6,
    slow_ms: 300,
    expire_one_in: 10,
    hook_lost_one_in: 3,
    hook_twice_one_in: 3,
    hooks_are_shuffled: true,
};

/// The platforms, and whoever looks after them at the hub.
pub(super) struct Story {
    doubles: Doubles,
    caller: Caller,
    transport: Arc<dyn Transport>,
    people: u64,
    edits: u64,
    is_quiet: bool,
}

/// One share as it is made.
struct Wanted {
    connector: &'static str,
    label: &'static str,
    body: Value,
}

impl Story {
    /// Makes the business, somebody who may do everything in it, and the platforms.
    pub(super) async fn prepare(hub: &Hub, people: u64, is_quiet: bool) -> Result<Self, Failure> {
        let wanted = parsed(json!({"organisationName": ORGANISATION, "name": "Acme Club", "id": BUSINESS}))?;
        business::create(&hub.world, &Principal::Admin, wanted).await?;
        let wanted = parsed(json!({
            "organisationName": ORGANISATION, "label": "Club desk", "abilities": ["read", "query", "write", "manage"],
        }))?;
        let user = application::create(&hub.world, &Principal::Admin, wanted).await?;
        let caller = Caller::of(Remote::known(hub.url(), user.api_key), BUSINESS);
        let transport = Arc::clone(&hub.world.transport);
        Ok(Self { doubles: Doubles::start(people).await?, caller, transport, people, edits: 0, is_quiet })
    }

    fn say(&self, line: &str) {
        if !self.is_quiet {
            say(line);
        }
    }

    /// Connects the platforms, shares BlueConic's people with the two others, and waits until all are brought over.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        let [blueconic, copernica, activecampaign] = &self.doubles.urls;
        self.say(&format!("\nthree platforms stand on this machine, {} people at the first:", self.people));
        self.say(&format!("  BlueConic {blueconic}   Copernica {copernica}   ActiveCampaign {activecampaign}"));
        let database = json!({"database": lockstep_sim::platforms::copernica::Copernica::DATABASE.to_string()});
        let schedule = json!({"cron": "*/3 * * * * *"});
        let wanted = [
            Wanted {
                connector: "blueconic",
                label: "BlueConic → hub",
                body: json!({"object": "profile", "direction": "in", "history": "all", "schedule": schedule}),
            },
            Wanted {
                connector: "copernica-v4",
                label: "hub → Copernica",
                body: json!({"object": "profile", "direction": "out", "history": "all", "options": database}),
            },
            Wanted {
                connector: "activecampaign",
                label: "hub → ActiveCampaign",
                body: json!({"object": "contact", "direction": "out", "history": "all"}),
            },
        ];
        let mut shares = Vec::new();
        for wanted in wanted {
            shares.push((wanted.label, self.share(&wanted).await?));
            // The hub has everybody before the others are compared with it, so that imports carry them.
            if shares.len() == 1 {
                self.watch(&shares).await?;
            }
        }
        self.watch(&shares).await
    }

    /// Connects a platform and makes its share; gives the share's id.
    async fn share(&self, wanted: &Wanted) -> Result<String, Failure> {
        let configs = self.doubles.configs();
        let config = configs.iter().find(|(connector, _)| *connector == wanted.connector).map(|(_, config)| config);
        let body = json!({"connector": wanted.connector, "label": wanted.connector, "config": config});
        let connection = self.caller.call(Method::POST, &["connections"], Some(&body)).await?;
        let connection = text(&connection, "/id");
        let mut body = wanted.body.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("connection".to_owned(), connection.as_str().into());
            body.insert("label".to_owned(), wanted.label.into());
        }
        let share = self.caller.call(Method::POST, &["shares"], Some(&body)).await?;
        if wanted.connector == "blueconic" {
            let hooks = self.caller.call(Method::GET, &["connections", &connection, "hooks"], None).await?;
            let url = text(&hooks, "/hooks/0/url");
            self.doubles.connect_hooks(&url, Arc::clone(&self.transport));
        }
        Ok(text(&share, "/id"))
    }

    /// Tells how far the baselines are until all shares are live.
    async fn watch(&self, shares: &[(&'static str, String)]) -> Result<(), Failure> {
        let (began, mut told) = (Instant::now(), None);
        loop {
            let (mut lines, mut is_live) = (Vec::new(), true);
            for (label, share) in shares {
                let view = self.caller.call(Method::GET, &["shares", share], None).await?;
                is_live &= text(&view, "/state") == "live";
                let runs = self.caller.list("runs", &[("share", Some(share.clone()))], 50).await?;
                let baseline = runs.iter().rev().find(|run| text(run, "/kind") == "baseline");
                lines.push(format!("{label} {}", baseline.map_or_else(String::new, counted)));
            }
            if is_live || told.is_none_or(|told: Instant| told.elapsed() > TELL_EVERY) {
                told = Some(Instant::now());
                self.say(&format!("  {:>5.1} s  {}", began.elapsed().as_secs_f32(), lines.join("  ·  ")));
            }
            if is_live {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Failure::Other(anyhow!("the baselines do not come to an end: {}", lines.join("; "))));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The whole story, without waiting for people; gives what came of it.
    pub(super) async fn play(&mut self) -> Result<Account, Failure> {
        self.say("\nedits at BlueConic, and when they came to the others:");
        for _ in 0..EDITS {
            self.edit_and_see().await;
        }
        self.outage().await;
        self.settle().await;
        let account = Account::take(&self.caller, &self.doubles, self.edits).await?;
        self.tell(&account);
        Ok(account)
    }

    /// The same for people, without an end.
    pub(super) async fn go_on(&mut self) -> Result<(), Failure> {
        self.say("\nedits at BlueConic, and when they came to the others; Ctrl-C ends it all:");
        loop {
            tokio::time::sleep(EDIT_EVERY).await;
            self.edit_and_see().await;
            if self.edits.is_multiple_of(OUTAGE_EACH) {
                self.outage().await;
                self.settle().await;
                let account = Account::take(&self.caller, &self.doubles, self.edits).await?;
                self.tell(&account);
            }
        }
    }

    fn edit(&mut self) -> Option<Edit> {
        self.edits += 1;
        let edit = self.doubles.edit(self.edits)?;
        self.say(&format!("  ✎ {}", edit.what));
        Some(edit)
    }

    /// An edit, and how long it takes to come to the other platforms.
    async fn edit_and_see(&mut self) {
        let Some(edit) = self.edit() else { return };
        let (began, mut times) = (Instant::now(), [None; 2]);
        while times.iter().any(Option::is_none) && began.elapsed() < EDIT_PATIENCE {
            tokio::time::sleep(Duration::from_millis(10)).await;
            for (time, did_come) in times.iter_mut().zip(self.doubles.came(&edit)) {
                *time = time.or_else(|| did_come.then(|| began.elapsed().as_millis()));
            }
        }
        let shown = |time: Option<u128>| time.map_or_else(|| "not yet".to_owned(), |ms| format!("{ms} ms"));
        let [copernica, activecampaign] = times.map(shown);
        self.say(&format!("      Copernica {copernica}, ActiveCampaign {activecampaign}"));
    }

    /// Everything goes wrong for a while, and edits go on.
    async fn outage(&mut self) {
        let before = self.doubles.struck();
        self.say("\noutage: calls fail, answers are lost, tokens end, webhooks are lost, doubled and mixed up");
        self.doubles.set(FAULTS);
        let until = Instant::now() + OUTAGE;
        for _ in 0..EDITS {
            self.edit();
            tokio::time::sleep(OUTAGE / u32::try_from(EDITS).unwrap_or(1)).await;
        }
        // Pulls go on, so something does go wrong, however few the edits.
        while Instant::now() < until || self.doubles.struck() == before {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.doubles.set(Faults::default());
        self.say(&format!("healed, after {} faults; what was lost is caught up with:", self.doubles.struck() - before));
    }

    /// Waits until the platforms agree and nothing is written any more, at most as long as patience lasts.
    async fn settle(&self) {
        let began = Instant::now();
        let (mut pushes, mut since) = (self.doubles.pushes(), began);
        while began.elapsed() < PATIENCE {
            tokio::time::sleep(LOOK_EVERY).await;
            let blueconic = self.doubles.blueconic.look(|blueconic| blueconic.census());
            let copernica = self.doubles.copernica.look(|copernica| copernica.census());
            let activecampaign = self.doubles.activecampaign.look(|activecampaign| activecampaign.census());
            let is_equal =
                blueconic.differences(&copernica).is_empty() && blueconic.differences(&activecampaign).is_empty();
            if !is_equal || pushes != self.doubles.pushes() {
                (pushes, since) = (self.doubles.pushes(), Instant::now());
            } else if since.elapsed() > QUIET {
                let seconds = (since - began).as_secs_f32();
                return self.say(&format!("  equal again after {seconds:.1} s"));
            }
        }
    }

    fn tell(&self, account: &Account) {
        self.say("\nevery record, read anew on both sides:");
        for share in &account.shares {
            let count = share.differences.len();
            self.say(&format!("  {:<15} {:>6} compared, {count} differences", share.share, share.compared));
        }
        let Account { edits, pushes, faults, .. } = account;
        self.say(&format!("  {edits} edits, {pushes} pushes, {faults} faults\n"));
    }
}

/// What a run has looked at, and what became of it.
fn counted(run: &Value) -> String {
    let counts = ["created", "updated", "matched", "failed"];
    let some = counts.iter().map(|name| (name, text(run, &format!("/counts/{name}"))));
    let some = some.filter(|(_, count)| !matches!(count.as_str(), "" | "0"));
    let some: Vec<_> = some.map(|(name, count)| format!("{count} {name}")).collect();
    format!("{} seen {}", text(run, "/counts/seen"), some.join(", ")).trim_end().to_owned()
}
