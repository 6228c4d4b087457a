//! Rekeying: secrets go on signing, the old key opens nothing any more, and one that breaks off can be finished.

use crate::desk::Desk;
use crate::eventually::{eventually, seconds};
use crate::hub::{Start, binary};
use crate::reading::{Seen, read};
use crate::receiver::Receiver;
use crate::restore::{is_refused, printed};
use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Output;

fn key(fill: u8) -> String {
    STANDARD.encode([fill; 32])
}

fn rekey(data: &Path, settings: &[(&str, &str)]) -> Result<Output> {
    let mut command = binary();
    command.args(["rekey", "--json", "--data"]).arg(data).envs(settings.iter().copied());
    Ok(command.output()?)
}

/// Makes a hub with a subscription on a folder, rekeys it, and has a delivery signed with the secret as it was.
async fn delivers_after(start: &Start, data: &Path, after: &Start, settings: &[(&str, &str)]) -> Result<()> {
    let receiver = Receiver::start().await?;
    let hub = start.run().await?;
    let desk = Desk::open(&hub).await?;
    let own = desk.subscribe(&hub, &receiver.url("/"), json!({})).await?;
    let busy = rekey(data, settings)?;
    is_refused(&busy, "data_in_use")?;
    hub.stop().await?;
    let told = printed(&rekey(data, settings)?)?;
    ensure!(told["resealed"] == json!(2), "the check value and a secret: {told}");
    let hub = after.run().await?;
    desk.create(&mut desk.client(&hub), &json!({"firstName": "Ann"})).await?;
    eventually(seconds(30), "a delivery", async || receiver.look(|all| !all.is_empty())).await?;
    for arrival in receiver.take() {
        let is_signed = matches!(read(&arrival, &own.secret), Seen::Change(delivery) if delivery.is_signed);
        ensure!(is_signed, "not signed with the secret as it was: {arrival:?}");
    }
    hub.stop().await
}

#[tokio::test]
async fn a_folders_own_key_is_made_anew_and_the_old_one_kept() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path());
    start.run().await?.stop().await?;
    let own = data.path().join("lockstep.key");
    let before = fs::read_to_string(&own)?;
    delivers_after(&start, data.path(), &start, &[]).await?;
    ensure!(fs::read_to_string(&own)? != before, "another key");
    ensure!(fs::read_to_string(data.path().join("lockstep.key.old"))? == before, "the old one, for old backups");
    ensure!(!data.path().join("lockstep.key.new").exists(), "nothing is left half done");
    start.with("LOCKSTEP_SECRET_KEY", before.trim()).refused().await?.is_for("sealing_key_wrong")
}

#[tokio::test]
async fn a_key_that_was_given_is_replaced_by_one_that_is_given() -> Result<()> {
    let data = tempfile::tempdir()?;
    let (old, new) = (key(1), key(2));
    let start = |key: &str| Start::on(data.path()).with("LOCKSTEP_SECRET_KEY", key);
    let settings = [("LOCKSTEP_SECRET_KEY", old.as_str()), ("LOCKSTEP_NEW_SECRET_KEY", new.as_str())];
    delivers_after(&start(&old), data.path(), &start(&new), &settings).await?;
    start(&old).refused().await?.is_for("sealing_key_wrong")?;
    is_refused(&rekey(data.path(), &settings)?, "sealing_key_wrong")?;
    is_refused(&rekey(data.path(), &[("LOCKSTEP_SECRET_KEY", &new)])?, "settings_invalid")?;
    let short = [("LOCKSTEP_SECRET_KEY", new.as_str()), ("LOCKSTEP_NEW_SECRET_KEY", "short")];
    is_refused(&rekey(data.path(), &short)?, "sealing_key_invalid")?;
    start(&new).run().await?.stop().await
}

#[tokio::test]
async fn a_rekey_that_broke_off_is_finished_by_the_next() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = Start::on(data.path());
    start.run().await?.stop().await?;
    let (own, next) = (data.path().join("lockstep.key"), data.path().join("lockstep.key.new"));
    // Before anything was sealed: the folder opens with its key, and the next rekey takes another.
    fs::write(&next, key(9))?;
    start.run().await?.stop().await?;
    let told = printed(&rekey(data.path(), &[])?)?;
    ensure!(told["resealed"] == json!(1) && fs::read_to_string(&own)?.trim() != key(9), "{told}");
    // After all was sealed: the new key stands beside the old one still.
    fs::rename(&own, &next)?;
    fs::rename(data.path().join("lockstep.key.old"), &own)?;
    let refusal = start.refused().await?;
    refusal.is_for("sealing_key_wrong")?;
    ensure!(refusal.stderr.contains("lockstep rekey"), "it says the way out: {refusal}");
    let told = printed(&rekey(data.path(), &[])?)?;
    ensure!(told["finished"] == json!(true), "{told}");
    start.run().await?.stop().await
}

#[tokio::test]
async fn a_folder_without_a_store_is_not_rekeyed() -> Result<()> {
    let data = tempfile::tempdir()?;
    is_refused(&rekey(data.path(), &[])?, "data_unusable")?;
    ensure!(fs::read_dir(data.path())?.next().is_none(), "nothing was made");
    Ok(())
}
