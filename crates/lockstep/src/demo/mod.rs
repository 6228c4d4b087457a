//! `lockstep demo`: the main job at a glance. A hub, and around it two plays: applications that edit and listen in two
//! businesses (`shop`), and in a third business three platforms, simulated on ports of this machine, that are kept equal
//! (`doubles`, `story`). What came of it is counted by re-reading everything (`account`).
//! Nothing here may speak to the hub but as its users do, once the shop is prepared.

mod account;
mod doubles;
mod shop;
mod story;

use crate::command_line::{DemoArgs, LogFormat};
use crate::failure::Failure;
use crate::printer::say;
use crate::settings::Settings;
use crate::wire_up::{Hub, runtime, spawn, stop_at_signal};
use crate::{logging, world};
use lockstep_core::clock::IdSource;
use lockstep_engine::retention::Keep;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use story::Story;
use tokio::sync::watch;

/// Runs until a signal, or as long as asked.
pub(crate) fn run(args: DemoArgs) -> Result<(), Failure> {
    logging::begin(if args.once { "error" } else { "warn" }, LogFormat::Text, None)?;
    runtime()?.block_on(demo(args))
}

/// The demo's data, which goes with it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            crate::printer::complain(&format!("the demo's folder {} stays: {error}", self.0.display()));
        }
    }
}

async fn demo(args: DemoArgs) -> Result<(), Failure> {
    let folder = Folder(std::env::temp_dir().join(format!("lockstep-demo-{}", std::process::id())));
    let admin_key = format!("demo_{:032x}", world::SystemIds.ordered());
    let hub = Hub::open(&settings(&folder, &args, admin_key)?).await?;
    let stop = stop_at_signal()?;
    let (sender, ended) = watch::channel(false);
    if !args.once {
        let receiver = shop::start_receiver().await?;
        let crm = shop::prepare(&hub.world, &receiver).await?;
        shop::introduce(&hub, &crm, &receiver);
        spawn(shop::trickle(Arc::clone(&hub.world), crm));
    }
    let story = Story::prepare(&hub, args.people, args.json).await?;
    let playing = async {
        let played = tokio::select! {
            played = play(story, &args) => played,
            () = over(stop, args.seconds) => Ok(()),
        };
        // The hub may have ended by itself.
        let _ = sender.send(true);
        played
    };
    let (served, played) = tokio::join!(hub.run(ended), playing);
    drop(folder);
    served.and(played)
}

async fn play(mut story: Story, args: &DemoArgs) -> Result<(), Failure> {
    story.begin().await?;
    if !args.once {
        return story.go_on().await;
    }
    let account = story.play().await?;
    if args.json {
        say(&account.line()?);
    }
    account.verdict()
}

/// Comes back at a signal, or after so many seconds.
async fn over(mut stop: watch::Receiver<bool>, seconds: Option<u64>) {
    let time = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = stop.changed() => {}
        () = time => {}
    }
}

fn settings(folder: &Folder, args: &DemoArgs, admin_key: String) -> Result<Settings, Failure> {
    Ok(Settings {
        keep: Keep::default(),
        rate_limit: None,
        data: folder.0.clone(),
        listen: args.listen,
        allow_private: vec!["127.0.0.0/8".parse().map_err(|error| Failure::Other(anyhow::Error::new(error)))?],
        secret_key_file: None,
        secret_key: None,
        admin_key: Some(admin_key),
        tls: None,
        connectors: None,
        public_url: None,
        otlp_endpoint: None,
        alert_url: None,
        alert_secret: None,
        log_format: LogFormat::Text,
        log: "warn".to_owned(),
    })
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::Other(error.into()))
}
