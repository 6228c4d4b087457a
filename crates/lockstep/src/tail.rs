//! `lockstep tail`: follows the change feed of a hub that runs, over its REST face.
//!
//! A stream that breaks is taken up again after the last event that came, so a restart of the hub loses nothing and
//! tells nothing twice.

use crate::command_line::TailArgs;
use crate::failure::Failure;
use crate::printer::{complain, say};
use crate::remote::Remote;
use crate::wire_up;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use lockstep_core::error::{Code, Rejection};
use serde_json::Value;
use std::time::Duration;

/// First wait before a broken stream is taken up again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Longest such wait.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(15);
/// A stream that says nothing for so long, not even a heartbeat, is taken for broken.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Follows until told to stop, or until so many changes have come.
pub(crate) fn run(args: &TailArgs) -> Result<(), Failure> {
    wire_up::runtime()?.block_on(async {
        let remote = Remote::as_caller(&args.remote)?;
        let mut stop = wire_up::stop_at_signal()?;
        tokio::select! {
            done = follow(args, &remote) => done,
            _ = stop.changed() => Ok(()),
        }
    })
}

async fn follow(args: &TailArgs, remote: &Remote) -> Result<(), Failure> {
    let business = match &args.business {
        Some(business) => business.clone(),
        None => remote.only_business().await?,
    };
    let path = path(args, &business);
    let mut reader = Reader { left: args.limit, json: args.json, last: None, has_come: false };
    let mut wait = AGAIN_AFTER;
    loop {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(reader.last.as_deref().map(|last| ("last-event-id", last)));
        match remote.get(&path, &headers).await {
            Ok(answer) => {
                reader.has_come = false;
                let broken = reader.read(answer.into_body()).await?;
                let Some(why) = broken else { return Ok(()) };
                if reader.has_come {
                    wait = AGAIN_AFTER;
                }
                complain(&format!("the stream broke off ({why}); it is taken up again"));
            }
            // What was refused will be refused again, unless the hub is only busy or stopping.
            Err(Failure::Coded(refused)) if !is_passing(&refused) => return Err(Failure::Coded(refused)),
            Err(failure) if reader.last.is_none() => return Err(failure),
            Err(failure) => complain(&format!("{failure}; it is tried again")),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN_AFTER_MAX);
    }
}

fn is_passing(refused: &Rejection) -> bool {
    matches!(refused.code, Code::Busy | Code::ShuttingDown | Code::StoreFailed)
}

fn path(args: &TailArgs, business: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let given = [("types", &args.types), ("kinds", &args.kinds), ("fields", &args.fields), ("after", &args.after)];
    for (name, value) in given {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if !args.json {
        // A line tells what changed, of a new record all of it.
        query.append_pair("payload", "changes");
    }
    format!("/rest/v1/businesses/{business}/changes?{}", query.finish())
}

/// What comes over a stream, event by event.
struct Reader {
    left: Option<u64>,
    json: bool,
    /// The id of the newest event.
    last: Option<String>,
    has_come: bool,
}

/// One event as it builds up, line by line.
#[derive(Default)]
struct Event {
    id: Option<String>,
    name: String,
    data: String,
}

impl Reader {
    /// Reads until enough has come, then gives nothing; or until the stream breaks, then says how.
    async fn read(&mut self, mut body: Incoming) -> Result<Option<String>, Failure> {
        let (mut pending, mut event) = (Vec::new(), Event::default());
        while self.left != Some(0) {
            let frame = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Ok(Some(error.to_string())),
                Ok(None) => return Ok(Some("the hub ended it".to_owned())),
                Err(_elapsed) => return Ok(Some(format!("nothing came for {} s", SILENCE_MAX.as_secs()))),
            };
            pending.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                self.take(line.trim_end_matches(['\r', '\n']), &mut event)?;
                if self.left == Some(0) {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Takes in a line; an empty one ends an event.
    fn take(&mut self, line: &str, event: &mut Event) -> Result<(), Failure> {
        if line.is_empty() {
            return self.tell(&std::mem::take(event));
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.name),
            "data" => event.data.push_str(value),
            _ => {}
        }
        Ok(())
    }

    fn tell(&mut self, event: &Event) -> Result<(), Failure> {
        self.has_come = true;
        if let Some(id) = &event.id {
            self.last = Some(id.clone());
        }
        match event.name.as_str() {
            "" | "heartbeat" => return Ok(()),
            "error" => return Err(ended(&event.data)),
            _ => {}
        }
        if self.json {
            say(&event.data);
        } else {
            say(&line_of(&serde_json::from_str(&event.data).unwrap_or_default()));
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(())
    }
}

/// Why the hub ended the stream for good.
fn ended(data: &str) -> Failure {
    let problem: Value = serde_json::from_str(data).unwrap_or_default();
    let text = |member: &str| problem.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = Code::ALL.iter().find(|code| code.as_str() == text("code"));
    Failure::new(code.copied().unwrap_or(Code::Internal), text("detail"))
}

/// A change as a line for people.
fn line_of(change: &Value) -> String {
    let text = |member: &str| change.get(member).and_then(Value::as_str).unwrap_or_default();
    let seq = change.get("seq").and_then(Value::as_u64).unwrap_or(0);
    let by = change.get("provider").and_then(Value::as_str).unwrap_or_else(|| text("by"));
    let mut line =
        format!("{seq:>8}  {}  {}.{}  {}  by {by}", text("at"), text("type"), text("kind"), text("recordId"));
    if let Some(reason) = change.get("reason").and_then(Value::as_str) {
        line.push_str(&format!("  ({reason})"));
    }
    let shown = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(value) => short(&value.to_string()),
    };
    let is_new = text("kind") == "created";
    for (field, pair) in change.get("changes").and_then(Value::as_object).into_iter().flatten() {
        let new = shown(pair.get("new"));
        line.push_str(&match is_new {
            true => format!("  {field}: {new}"),
            false => format!("  {field}: {} → {new}", shown(pair.get("old"))),
        });
    }
    line
}

fn short(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_in_one_line() {
        let change = json!({
            "seq": 7, "at": "2026-01-01T00:00:00Z", "type": "contact", "kind": "updated", "recordId": "rec_1",
            "by": "application", "provider": "crm", "changes": {"city": {"old": null, "new": "Delft"}},
        });
        let line = line_of(&change);
        assert_eq!(line, "       7  2026-01-01T00:00:00Z  contact.updated  rec_1  by crm  city: nothing → \"Delft\"");
    }

    #[test]
    fn events_are_read_line_by_line_and_remembered_by_their_ids() {
        let mut reader = Reader { left: Some(2), json: true, last: None, has_come: false };
        let mut event = Event::default();
        for line in ["id: cur_1", "event: heartbeat", "data: {}", "", ": a comment", "id: cur_2", "event:created"] {
            reader.take(line, &mut event).unwrap();
        }
        assert_eq!((reader.last.as_deref(), reader.left), (Some("cur_1"), Some(2)));
        reader.take("data: {\"seq\": 1}", &mut event).unwrap();
        reader.take("", &mut event).unwrap();
        assert_eq!((reader.last.as_deref(), reader.left), (Some("cur_2"), Some(1)));
        for line in ["event: error", "data: {\"code\": \"forbidden\", \"detail\": \"no more\"}"] {
            reader.take(line, &mut event).unwrap();
        }
        assert!(reader.take("", &mut event).is_err());
    }
}
