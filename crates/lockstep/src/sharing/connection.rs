//! `lockstep connection`.

use super::args::{
    AddConnectionArgs, ConfigArgs, ConnectionCommand, FieldsArgs, LoginArgs, OneArgs, SetConnectionArgs,
};
use super::caller::{Caller, Column, options, pair, pretty, read, text};
use crate::failure::Failure;
use crate::printer::say;
use http::Method;
use lockstep_core::error::Code;
use serde_json::{Map, Value, json};

pub(super) async fn run(command: ConnectionCommand) -> Result<(), Failure> {
    match command {
        ConnectionCommand::List(ask) => {
            let caller = Caller::new(&ask)?;
            let items = caller.list("connections", &[], usize::MAX).await?;
            let columns: [Column; 5] = [
                ("ID", |item| text(item, "/id")),
                ("CONNECTOR", |item| text(item, "/connector")),
                ("STATE", |item| text(item, "/state")),
                ("ACCOUNT", |item| text(item, "/realm")),
                ("LABEL", |item| text(item, "/label")),
            ];
            caller.tell_all(items, &columns, "No connections: make one with `lockstep connection add`.");
        }
        ConnectionCommand::Connectors(ask) => {
            let caller = Caller::new(&ask)?;
            let items = caller.list_all("connectors").await?;
            let columns: [Column; 4] = [
                ("NAME", |item| text(item, "/name")),
                ("VERSION", |item| text(item, "/version")),
                ("TITLE", |item| text(item, "/title")),
                ("TROUBLE", |item| text(item, "/trouble")),
            ];
            caller.tell_all(items, &columns, "No connectors.");
        }
        ConnectionCommand::Get(args) => one(&args, Method::GET, "", pretty).await?,
        ConnectionCommand::Add(args) => add(&args).await?,
        ConnectionCommand::Set(args) => set(&args).await?,
        ConnectionCommand::Check(args) => check(&args).await?,
        ConnectionCommand::Login(args) => login(&args).await?,
        ConnectionCommand::Fields(args) => fields(&args).await?,
        ConnectionCommand::Hooks(args) => one(&args, Method::GET, "hooks", hooks).await?,
        ConnectionCommand::Revoke(args) => one(&args, Method::POST, "revoke", line).await?,
        ConnectionCommand::Delete(args) => {
            one(&args, Method::DELETE, "", |_| format!("{} is gone.", args.id)).await?;
        }
    }
    Ok(())
}

/// A connection in a line.
fn line(item: &Value) -> String {
    let reason = text(item, "/reason");
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    format!("{} ({}) is {}{reason}", text(item, "/id"), text(item, "/label"), text(item, "/state"))
}

async fn fields(args: &FieldsArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let body = json!({"object": args.object, "options": options(&args.options)?});
    let answer = caller.call(Method::POST, &["connections", &args.id, "fields"], Some(&body)).await?;
    caller.tell(&answer, |answer| {
        let all = answer.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if all.is_empty() {
            return "The connector cannot tell which fields there are.".to_owned();
        }
        let told = |field: &Value| {
            let told = format!("{}\t{}\t{}", text(field, "/path"), text(field, "/label"), text(field, "/kind"));
            told.trim_end().to_owned()
        };
        all.iter().map(told).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

fn hooks(answer: &Value) -> String {
    let all = answer.get("hooks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return "No share of this connection takes objects in by hooks.".to_owned();
    }
    let told = |hook: &Value| {
        let set_up = if hook.get("isRegistered") == Some(&true.into()) { " (set up by the hub)" } else { "" };
        let manual = text(hook, "/manual");
        let manual = if manual.is_empty() { manual } else { format!("\n  {manual}") };
        format!("{}{set_up}\n  {}{manual}", text(hook, "/object"), text(hook, "/url"))
    };
    all.iter().map(told).collect::<Vec<_>>().join("\n")
}

async fn one(args: &OneArgs, method: Method, action: &str, told: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let parts: Vec<&str> = ["connections", &args.id, action].into_iter().filter(|part| !part.is_empty()).collect();
    let answer = caller.call(method, &parts, None).await?;
    caller.tell(&answer, told);
    Ok(())
}

/// A configuration from a file and single members; dots lead into objects.
fn config(args: &ConfigArgs) -> Result<Option<Map<String, Value>>, Failure> {
    let mut config = match args.config.as_deref().map(read).transpose()? {
        None if args.set.is_empty() => return Ok(None),
        None => Map::new(),
        Some(Value::Object(config)) => config,
        Some(_) => return Err(Failure::new(Code::SettingsInvalid, "a configuration is a JSON object")),
    };
    for set in &args.set {
        let (name, value) = pair(set)?;
        put(&mut config, name, value);
    }
    Ok(Some(config))
}

fn put(config: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => drop(config.insert(name.to_owned(), value)),
        Some((first, rest)) => {
            let inner = config.entry(first.to_owned()).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

const fn tested(args: &ConfigArgs) -> &'static str {
    if args.untested { "false" } else { "true" }
}

async fn add(args: &AddConnectionArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let mut body = json!({
        "connector": args.connector, "label": args.label.as_ref().unwrap_or(&args.connector),
        "config": config(&args.config)?.unwrap_or_default(),
    });
    for (name, value) in [("version", &args.version), ("provider", &args.provider)] {
        if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
            members.insert(name.to_owned(), value.as_str().into());
        }
    }
    let query = [("test", tested(&args.config))];
    let answer = caller.ask(Method::POST, &["connections"], &query, &body).await?;
    caller.tell(&answer, line);
    Ok(())
}

async fn set(args: &SetConnectionArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let mut body = Map::new();
    body.extend(args.label.as_ref().map(|label| ("label".to_owned(), label.as_str().into())));
    body.extend(args.version.as_ref().map(|version| ("version".to_owned(), version.as_str().into())));
    body.extend(config(&args.config)?.map(|config| ("config".to_owned(), config.into())));
    let query = [("test", tested(&args.config))];
    let answer = caller.ask(Method::PATCH, &["connections", &args.id], &query, &body.into()).await?;
    caller.tell(&answer, line);
    Ok(())
}

async fn check(args: &OneArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let answer = caller.call(Method::POST, &["connections", &args.id, "check"], None).await?;
    if caller.json {
        say(&pretty(&answer));
    }
    if answer.get("works") == Some(&true.into()) {
        if !caller.json {
            say("The connection works.");
        }
        return Ok(());
    }
    Err(Failure::new(Code::ConnectionFailed, text(&answer, "/message")))
}

async fn login(args: &LoginArgs) -> Result<(), Failure> {
    let caller = Caller::new(&args.ask)?;
    let body = match &args.redirect {
        Some(redirect) => json!({"redirect": redirect}),
        None => json!({}),
    };
    let answer = caller.call(Method::POST, &["connections", &args.id, "authorize"], Some(&body)).await?;
    caller.tell(&answer, |answer| {
        format!("Open this address in a browser before {}:\n{}", text(answer, "/expiresAt"), text(answer, "/url"))
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_put_together_by_their_dots() {
        let set = ["url=https://x", "auth.type=bearer", "auth.key=7", "auth.key=\"7\"", "url.x=1"];
        let args = ConfigArgs { config: None, set: set.map(str::to_owned).to_vec(), untested: false };
        let expected = json!({"url": {"x": 1}, "auth": {"type": "bearer", "key": "7"}});
        assert_eq!(Value::from(config(&args).unwrap().unwrap()), expected);
        assert!(config(&ConfigArgs { set: Vec::new(), ..args }).unwrap().is_none());
    }

    #[test]
    fn hooks_are_told_with_what_people_do() {
        let answer =
            json!({"hooks": [{"object": "person", "url": "https://h/", "isRegistered": false, "manual": "Paste it."}]});
        assert_eq!(hooks(&answer), "person\n  https://h/\n  Paste it.");
        assert!(hooks(&json!({"hooks": []})).starts_with("No share"));
    }
}
