//! The demo of the real binary: the story of three platforms, played once.

use crate::hub::binary;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::process::Stdio;

#[test]
fn the_demo_ends_with_every_record_equal_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let child = binary()
        .args(["demo", "--once", "--json", "--listen", "127.0.0.1:0", "--people", "300"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    let printed = String::from_utf8(output.stdout)?;
    ensure!(printed.lines().count() == 1, "{printed}");
    let account: Value = serde_json::from_str(&printed)?;
    let members: Vec<&String> = account.as_object().context("an object")?.keys().collect();
    ensure!(members == ["edits", "equal", "faults", "pushes", "shares"], "{account}");
    ensure!(account["equal"] == true, "{account}");
    for count in ["edits", "pushes", "faults"] {
        ensure!(account[count].as_u64().is_some_and(|count| count > 0), "{account}");
    }
    let shares = account["shares"].as_array().context("a list")?;
    ensure!(shares.len() == 3, "{account}");
    for share in shares {
        ensure!(share["compared"].as_u64().is_some_and(|compared| compared > 300), "{account}");
        ensure!(share["differences"] == 0, "{account}");
    }
    ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "something is left behind");
    Ok(())
}
