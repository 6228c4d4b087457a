//! `lockstep share`.

use super::args::{AddShareArgs, OneArgs, PreviewArgs, RunArgs, SetShareArgs, ShareArgs, ShareCommand};
use super::caller::{Caller, Column, options, pretty, read, text};
use super::run::{self, counts};
use crate::failure::Failure;
use crate::printer::{complain, say};
use http::Method;
use lockstep_core::error::Code;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// How often a run that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(command: ShareCommand) -> Result<(), Failure> {
    match command {
        ShareCommand::List(ask) => {
            let caller = Caller::new(&ask)?;
            let items = caller.list("shares", &[], usize::MAX).await?;
            let columns: [Column; 6] = [
                ("ID", |item| text(item, "/id")),
                ("OBJECT", |item| text(item, "/object")),
                ("WAY", |item| text(item, "/direction")),
                ("TYPE", |item| text(item, "/type")),
                ("STATE", |item| text(item, "/state")),
                ("LABEL", |item| text(item, "/label")),
            ];
            caller.tell_all(items, &columns, "No shares: make one with `lockstep share add`.");
            Ok(())
        }
        ShareCommand::Get(args) => one(&args, Method::GET, "", pretty).await,
        ShareCommand::Add(args) => add(&args).await,
        ShareCommand::Set(args) => set(&args).await,
        ShareCommand::Preview(args) => preview(&args).await,
        ShareCommand::Run(args) => begin(&args).await,
        ShareCommand::Pause(args) => one(&args, Method::POST, "pause", line).await,
        ShareCommand::Resume(args) => one(&args, Method::POST, "resume", line).await,
        ShareCommand::Cancel(args) => one(&args, Method::POST, "cancel", run::line).await,
        ShareCommand::Delete(args) => one(&args, Method::DELETE, "", |_| format!("{} is gone.", args.id)).await,
    }
}

/// A share in a line.
fn line(item: &Value) -> String {
    format!("{} ({}) is {}", text(item, "/id"), text(item, "/label"), text(item, "/state"))
}

async fn one(args: &OneArgs, method: Method, action: &str, told: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let parts: Vec<&str> = ["shares", &args.id, action].into_iter().filter(|part| !part.is_empty()).collect();
    let answer = caller.call(method, &parts, None).await?;
    caller.tell(&answer, told);
    Ok(())
}

/// What the flags say, as a body.
fn said(args: &ShareArgs) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    let texts = [("label", &args.label), ("onLeave", &args.on_leave), ("history", &args.history)];
    body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_deref()?.into()))));
    body.extend(args.condition.as_ref().map(|text| ("condition".to_owned(), text.as_str().into())));
    if let Some(path) = &args.mapping {
        let mapping = if path == Path::new("none") { Value::Null } else { read(path)? };
        body.insert("mapping".to_owned(), mapping);
    }
    if !args.matching.is_empty() {
        body.insert("match".to_owned(), json!(args.matching));
    }
    if let Some(cron) = &args.cron {
        let schedule = match cron.is_empty() {
            true => Value::Null,
            false => json!({"cron": cron, "jitterSeconds": args.jitter.unwrap_or(0)}),
        };
        body.insert("schedule".to_owned(), schedule);
    }
    let switches = [("pull", args.pull), ("hooks", args.hooks), ("push", args.push)];
    let switches: Map<_, _> =
        switches.into_iter().filter_map(|(name, is_on)| Some((name.to_owned(), is_on?.into()))).collect();
    if !switches.is_empty() {
        body.insert("switches".to_owned(), switches.into());
    }
    Ok(body)
}

async fn add(args: &AddShareArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let mut body = said(&args.said)?;
    body.insert("connection".to_owned(), args.connection.as_str().into());
    body.insert("object".to_owned(), args.object.as_str().into());
    body.insert("direction".to_owned(), args.direction.word().into());
    body.insert("paused".to_owned(), args.paused.into());
    body.extend(args.ty.as_ref().map(|ty| ("type".to_owned(), ty.as_str().into())));
    body.insert("options".to_owned(), options(&args.options)?.into());
    let answer = caller.call(Method::POST, &["shares"], Some(&body.into())).await?;
    caller.tell(&answer, line);
    Ok(())
}

async fn set(args: &SetShareArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let body = said(&args.said)?.into();
    let answer = caller.call(Method::PATCH, &["shares", &args.id], Some(&body)).await?;
    caller.tell(&answer, line);
    Ok(())
}

async fn preview(args: &PreviewArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let mut body = Map::new();
    body.extend(args.record.as_ref().map(|id| ("recordId".to_owned(), id.as_str().into())));
    body.extend(args.remote.as_ref().map(|id| ("remoteId".to_owned(), id.as_str().into())));
    for (name, path) in [("sample", &args.sample), ("mapping", &args.mapping)] {
        if let Some(path) = path {
            body.insert(name.to_owned(), read(path)?);
        }
    }
    let answer = caller.call(Method::POST, &["shares", &args.id, "preview"], Some(&body.into())).await?;
    // It is a tree either way.
    say(&pretty(&answer));
    Ok(())
}

async fn begin(args: &RunArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let mut body = Map::new();
    body.extend(args.kind.as_ref().map(|kind| ("kind".to_owned(), kind.as_str().into())));
    body.extend(args.only.as_ref().map(|only| ("only".to_owned(), only.as_str().into())));
    let mut answer = caller.call(Method::POST, &["shares", &args.id, "run"], Some(&body.into())).await?;
    if args.wait {
        let id = text(&answer, "/id");
        let mut told = String::new();
        while text(&answer, "/state") == "running" {
            tokio::time::sleep(LOOK_EVERY).await;
            answer = caller.call(Method::GET, &["runs", &id], None).await?;
            let now = format!("{}: {}", text(&answer, "/stage"), counts(&answer));
            if now != told {
                complain(&now);
                told = now;
            }
        }
    }
    caller.tell(&answer, run::line);
    match text(&answer, "/state").as_str() {
        "running" | "completed" => Ok(()),
        state => Err(Failure::new(Code::ConnectorFailed, format!("the run is {state}: {}", text(&answer, "/reason")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_only_what_was_given() {
        let none = ShareArgs {
            label: None,
            mapping: None,
            condition: None,
            on_leave: None,
            history: None,
            matching: Vec::new(),
            cron: None,
            jitter: None,
            pull: None,
            hooks: None,
            push: None,
        };
        assert_eq!(said(&none).unwrap(), Map::new());
        let some = ShareArgs {
            mapping: Some("none".into()),
            condition: Some(String::new()),
            matching: vec!["email".to_owned(), "a,b".to_owned()],
            cron: Some("* * * * *".to_owned()),
            hooks: Some(false),
            ..none
        };
        let expected = json!({
            "mapping": null, "condition": "", "match": ["email", "a,b"],
            "schedule": {"cron": "* * * * *", "jitterSeconds": 0}, "switches": {"hooks": false},
        });
        assert_eq!(Value::from(said(&some).unwrap()), expected);
    }
}
