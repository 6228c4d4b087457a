//! `lockstep connection|share|run|problem` over the real binary, in the words that people type.

use crate::desk::Desk;
use crate::hub::{ADMIN_KEY, Start, binary};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::process::Output;

/// Whoever types, and where.
struct Terminal {
    url: String,
    business: String,
}

impl Terminal {
    fn run(&self, words: &[&str], key: &str) -> Result<Output> {
        let place = ["--url", &self.url, "--business", &self.business];
        Ok(binary().args(words).args(place).env("LOCKSTEP_API_KEY", key).output()?)
    }

    /// What a command that must succeed prints, as JSON.
    fn told(&self, words: &[&str]) -> Result<Value> {
        let output = self.run(&[words, &["--json"]].concat(), ADMIN_KEY)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{words:?}: {said}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What a command that must fail says.
    fn refused(&self, words: &[&str], key: &str) -> Result<String> {
        let output = self.run(words, key)?;
        ensure!(output.status.code() == Some(1), "{words:?}: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn id(answer: &Value) -> Result<String> {
    Ok(answer["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_kept_from_a_terminal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let hub = Start::on(folder.path().join("data")).run().await?;
    let desk = Desk::open(&hub).await?;
    let terminal = Terminal { url: format!("http://{}", hub.address), business: desk.business.clone() };
    let call = |words: &[&str]| terminal.told(words);
    let connectors = call(&["connection", "connectors"])?;
    let mut names = connectors.as_array().context("a list")?.iter().filter_map(|one| one["name"].as_str());
    ensure!(names.any(|name| name == "activecampaign"), "{connectors}");
    let add = ["connection", "add", "activecampaign", "--label", "AC", "--untested"];
    let set = ["--set", "base_url=https://acme.example/api/3", "--set", "api_key=s3cret-key"];
    let connection = call(&[&add[..], &set].concat())?;
    ensure!(connection["config"]["api_key"] == "•••" && connection["state"] == "ready", "{connection}");
    let connection = id(&connection)?;
    let add = ["share", "add", &connection, "contact", "in", "--paused"];
    let share = call(&[&add[..], &["--cron", "0 3 * * *", "--condition", "city == 'Delft'"]].concat())?;
    ensure!(share["state"] == "paused" && share["schedule"]["cron"] == "0 3 * * *", "{share}");
    let share = id(&share)?;
    let changed = call(&["share", "set", &share, "--hooks", "false", "--condition", ""])?;
    ensure!(changed["switches"]["hooks"] == false && changed["condition"].is_null(), "{changed}");
    let hooks = call(&["connection", "hooks", &connection])?;
    let url = hooks["hooks"][0]["url"].as_str().context("a hook")?;
    ensure!(url.starts_with(&format!("{}/hook/{connection}/contact?key=", terminal.url)), "{url}");
    for list in ["run", "problem"] {
        ensure!(call(&[list, "list"])? == json!([]), "{list}");
    }
    let table = String::from_utf8_lossy(&terminal.run(&["share", "list"], ADMIN_KEY)?.stdout).into_owned();
    ensure!(table.starts_with("ID") && table.contains(&share) && table.contains("paused"), "{table}");
    let said = terminal.refused(&["share", "run", &share], ADMIN_KEY)?;
    ensure!(said.contains("error[run_under_way]"), "{said}");
    let said = terminal.refused(&["connection", "delete", &connection], ADMIN_KEY)?;
    ensure!(said.contains("error[connection_in_use]"), "{said}");
    ensure!(call(&["share", "delete", &share])?.is_null() && call(&["connection", "delete", &connection])?.is_null());
    let said = terminal.refused(&["share", "list"], "nonsense")?;
    ensure!(said.contains("error[invalid_credentials]"), "{said}");
    hub.stop().await
}
