//! P1 in the order of the process's own calls: no 202 leaves before the sync of its commit came back.

use crate::desk::Desk;
use crate::hub::Start;
use crate::power::Power;
use anyhow::{Result, ensure};
use serde_json::json;

const CREATES: usize = 30;

/// Places of the 202s in a trace before which, since the 202 before, no sync of the log came back.
fn answers_too_early(trace: &str) -> Vec<usize> {
    let mut early = Vec::new();
    let mut is_synced = false;
    for (place, line) in trace.lines().enumerate() {
        if line.starts_with("sync ") && line.ends_with("/lockstep.db-wal") {
            is_synced = true;
        } else if line.starts_with("answer ") {
            if line == "answer 202" && !is_synced {
                early.push(place);
            }
            is_synced = false;
        }
    }
    early
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_leaves_before_its_commits_sync() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let trace = folder.path().join("trace");
    let power = Power::wire_up(folder.path(), &data)?;
    let hub = power.under(Start::on(&data)).with("LOCKSTEP_SHIM_TRACE", &trace).run().await?;
    // No subscription: nothing else may sync the log in between and hide an answer that came too early.
    let desk = Desk::open(&hub).await?;
    let mut client = desk.client(&hub);
    for number in 0..CREATES {
        desk.create(&mut client, &json!({"lastName": format!("traced {number}")})).await?;
    }
    hub.kill()?;
    let trace = std::fs::read_to_string(&trace)?;
    let answers = trace.lines().filter(|line| *line == "answer 202").count();
    ensure!(answers == CREATES, "{CREATES} creates, and {answers} answers were traced:\n{trace}");
    let early = answers_too_early(&trace);
    ensure!(early.is_empty(), "answers at lines {early:?} (from 0) left before a sync:\n{trace}");
    Ok(())
}

#[test]
fn an_answer_without_a_sync_of_its_own_is_found() {
    let sync = "sync /data/lockstep.db-wal\n";
    let answer = "answer 202\n";
    let check = |lines: &[&str], early: &[usize]| assert_eq!(answers_too_early(&lines.concat()), early, "{lines:?}");
    check(&[sync, answer, sync, sync, answer], &[]);
    check(&[answer, sync, answer], &[0]);
    check(&[sync, answer, answer, sync], &[2]);
    check(&["sync /data/attempts.db-wal\n", answer, "sync /data/lockstep.db\n", answer], &[1, 3]);
    check(&[sync, "answer 200\n", answer], &[2]);
}
