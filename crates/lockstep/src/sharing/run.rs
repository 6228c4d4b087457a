//! `lockstep run` and `lockstep problem`.

use super::args::{OneArgs, ProblemCommand, ReplayArgs, RunCommand, WhichArgs};
use super::caller::{Caller, Column, pretty, text};
use crate::failure::Failure;
use http::Method;
use serde_json::{Map, Value};

pub(super) async fn runs(command: RunCommand) -> Result<(), Failure> {
    match command {
        RunCommand::List(args) => {
            let caller = Caller::new(&args.ask)?;
            let items = caller.list("runs", &[("share", args.share)], args.limit).await?;
            let columns: [Column; 6] = [
                ("ID", |item| text(item, "/id")),
                ("SHARE", |item| text(item, "/share")),
                ("KIND", |item| text(item, "/kind")),
                ("STATE", |item| text(item, "/state")),
                ("BEGAN", |item| text(item, "/startedAt")),
                ("COUNTS", counts),
            ];
            caller.tell_all(items, &columns, "No runs.");
            Ok(())
        }
        RunCommand::Get(args) => one("runs", &args, Method::GET, "", pretty).await,
        RunCommand::Pause(args) => one("runs", &args, Method::POST, "pause", line).await,
        RunCommand::Resume(args) => one("runs", &args, Method::POST, "resume", line).await,
        RunCommand::Cancel(args) => one("runs", &args, Method::POST, "cancel", line).await,
    }
}

pub(super) async fn problems(command: ProblemCommand) -> Result<(), Failure> {
    match command {
        ProblemCommand::List(args) => {
            let caller = Caller::new(&args.ask)?;
            let items = caller.list("problems", &which(args.which), args.limit).await?;
            let columns: [Column; 6] = [
                ("ID", |item| text(item, "/id")),
                ("WAY", |item| text(item, "/side")),
                ("ABOUT", |item| format!("{}{}", text(item, "/recordId"), text(item, "/remoteId"))),
                ("TIMES", |item| text(item, "/times")),
                ("CODE", |item| text(item, "/reason/code")),
                ("REASON", |item| text(item, "/reason/message")),
            ];
            caller.tell_all(items, &columns, "No problems.");
            Ok(())
        }
        ProblemCommand::Get(args) => one("problems", &args, Method::GET, "", pretty).await,
        ProblemCommand::Replay(args) => replay(args).await,
        ProblemCommand::Dismiss(args) => {
            one("problems", &args, Method::POST, "dismiss", |item| format!("{} is dismissed.", text(item, "/id"))).await
        }
    }
}

/// A run in a line.
pub(super) fn line(item: &Value) -> String {
    let reason = text(item, "/reason");
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    format!("{} ({}) is {}{reason}; {}", text(item, "/id"), text(item, "/kind"), text(item, "/state"), counts(item))
}

/// What became of what a run looked at: those that are not zero.
pub(super) fn counts(item: &Value) -> String {
    const NAMES: [&str; 8] = ["seen", "created", "updated", "matched", "unchanged", "skipped", "waiting", "failed"];
    let told = NAMES.iter().filter_map(|name| {
        let count = item.pointer(&format!("/counts/{name}"))?.as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {name}"))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "nothing seen".to_owned() } else { told.join(", ") }
}

async fn one(
    what: &str,
    args: &OneArgs,
    method: Method,
    action: &str,
    told: impl FnOnce(&Value) -> String,
) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let parts: Vec<&str> = [what, &args.id, action].into_iter().filter(|part| !part.is_empty()).collect();
    let answer = caller.call(method, &parts, None).await?;
    caller.tell(&answer, told);
    Ok(())
}

fn which(args: WhichArgs) -> [(&'static str, Option<String>); 3] {
    [("share", args.share), ("side", args.side.map(|side| side.word().to_owned())), ("code", args.code)]
}

async fn replay(args: ReplayArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    if let Some(id) = &args.id {
        let answer = caller.call(Method::POST, &["problems", id, "replay"], None).await?;
        caller.tell(&answer, |item| format!("{} is tried again.", text(item, "/id")));
        return Ok(());
    }
    let body: Map<String, Value> =
        which(args.which).into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
    let answer = caller.call(Method::POST, &["problems", "replay"], Some(&body.into())).await?;
    caller.tell(&answer, |answer| {
        let more = if answer.get("hasMore") == Some(&true.into()) { ", and there are more" } else { "" };
        format!("{} are tried again{more}.", text(answer, "/replayed"))
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_is_told_with_the_counts_that_are_not_zero() {
        let run = json!({
            "id": "run_1", "kind": "full", "state": "stopped", "reason": "auth refused",
            "counts": {"seen": 3, "created": 0, "failed": 3},
        });
        assert_eq!(line(&run), "run_1 (full) is stopped: auth refused; 3 seen, 3 failed");
        assert_eq!(counts(&json!({})), "nothing seen");
    }
}
