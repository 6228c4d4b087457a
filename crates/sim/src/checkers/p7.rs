//! P7: nothing outside the grant in force ever stands in a body or header, and what left or entered scope is told
//! as that.
//!
//! Each body is compared as a whole with what the model says of the change, in the subscriber's format, so anything
//! more than that is a breach, wherever it stands.

use crate::endpoint::Arrival;
use crate::evidence::{Evidence, Subscriber};
use crate::model::{Span, Told};
use lockstep_core::Fields;
use lockstep_core::change::Change;
use lockstep_core::subscription::Format;
use serde_json::{Map, Value, json};

/// Arrivals that told what they should not, or not what they should.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<String> {
    let deliveries = evidence.deliveries();
    let mut found = Vec::new();
    for arrival in &evidence.arrivals {
        let Some(subscriber) = evidence.subscribers.get(&arrival.path) else { continue };
        let change = deliveries.get(arrival.id()).and_then(|(_, seq)| evidence.change(&subscriber.business, *seq));
        let breach = match change {
            Some(change) => of_change(evidence, subscriber, arrival, change),
            None => of_notice(evidence, subscriber, arrival),
        };
        found.extend(breach.map(|breach| {
            format!("{} at {} ({}): {breach}", arrival.path, arrival.sent_at, String::from_utf8_lossy(&arrival.body))
        }));
    }
    found
}

fn of_change(evidence: &Evidence, subscriber: &Subscriber, arrival: &Arrival, change: &Change) -> Option<String> {
    if change.seq <= subscriber.start && !arrival.is_replay() {
        return Some(format!("seq {} is from before its start, {}", change.seq, subscriber.start));
    }
    let before = evidence.before(&subscriber.business, change);
    let told = subscriber.told_at(arrival.sent_at, evidence.grace_ms, change, before);
    let formats: Vec<Format> = formats(subscriber, evidence, arrival);
    let fits = |told: &Told| formats.iter().any(|format| is_as(*format, arrival, change, told));
    (!told.iter().any(fits)).then(|| format!("seq {} should be told as one of {told:?}", change.seq))
}

fn formats(subscriber: &Subscriber, evidence: &Evidence, arrival: &Arrival) -> Vec<Format> {
    subscriber.in_force(arrival.sent_at, evidence.grace_ms).map(|span| span.subscription.format).collect()
}

/// Whether a body is, in this format, what should be told of the change, and nothing else.
fn is_as(format: Format, arrival: &Arrival, change: &Change, told: &Told) -> bool {
    let (body, event) = (arrival.json(), format!("{}.{}", change.ty, told.kind));
    let is_deleted = told.kind == "deleted";
    let living = told.fields.as_ref().filter(|_| !is_deleted);
    match format {
        Format::Standard => is_standard(&body, &event, change, told),
        Format::Envelope => {
            let state = match told.kind {
                "created" => "Created",
                "deleted" => "Deleted",
                _ => "Updated",
            };
            body.get("state") == Some(&json!(state))
                && body.get("domainComponentName") == Some(&json!(change.ty.as_str()))
                && less(body.get("payload"), &["organisationName", "businessId", "id", "correlationId"])
                    == living.cloned().unwrap_or_default()
        }
        Format::Fields => {
            arrival.header("lockstep-event") == event
                && less(Some(&body), &["id"]) == living.cloned().unwrap_or_default()
        }
        Format::Thin => {
            body.get("type") == Some(&json!(event))
                && less(Some(&body), &["type", "id", "businessId", "seq"]).is_empty()
        }
        Format::Collection => {
            let mut all = told.fields.clone().unwrap_or_default();
            if is_deleted {
                all.insert("status".to_owned(), json!("ARCHIVED"));
            }
            let lists: Vec<&Value> = body.as_object().into_iter().flat_map(Fields::values).collect();
            arrival.header("lockstep-event") == event
                && lists.len() == 1
                && lists.iter().all(|list| less(list.get(0), &["id"]) == all && list.get(1).is_none())
        }
        Format::Get => arrival.header("lockstep-event") == event && arrival.body.is_empty(),
        // Its data is that of `standard`, and is judged as such.
        Format::CloudEvents => is_standard(&as_standard(body.get("type"), body.get("data")), &event, change, told),
        Format::CloudEventsBinary => {
            let ty = json!(arrival.header("ce-type"));
            is_standard(&as_standard(Some(&ty), Some(&body)), &event, change, told)
        }
        // Only its author knows what it should say; no script uses one.
        Format::Template => false,
    }
}

/// A CloudEvent in the shape of `standard`.
fn as_standard(ty: Option<&Value>, data: Option<&Value>) -> Value {
    let event = ty.and_then(Value::as_str).and_then(|ty| ty.strip_prefix("lockstep."));
    json!({"type": event, "data": data})
}

fn is_standard(body: &Value, event: &str, change: &Change, told: &Told) -> bool {
    const DATA: [&str; 7] = ["businessId", "seq", "record", "changes", "reason", "origin", "replay"];
    const RECORD: [&str; 5] = ["type", "id", "version", "externalIds", "fields"];
    let at = |pointer: &str| body.pointer(pointer);
    let pair = |(id, old): (&String, &Value)| {
        let new = told.fields.as_ref().and_then(|fields| fields.get(id)).cloned().unwrap_or(Value::Null);
        (id.clone(), json!({"old": old, "new": new}))
    };
    let changes = told.old.as_ref().map(|old| Value::Object(old.iter().map(pair).collect()));
    let has_left = told.reason == Some("left-scope");
    at("/type") == Some(&json!(event))
        && less(at("/data"), &DATA).is_empty()
        && less(at("/data/record"), &RECORD).is_empty()
        && less(Some(body), &["type", "timestamp", "data"]).is_empty()
        && at("/data/record/id") == Some(&json!(change.record.to_string()))
        && at("/data/record/fields") == told.fields.clone().map(Value::Object).as_ref()
        && at("/data/changes") == changes.as_ref()
        && at("/data/reason").and_then(Value::as_str) == told.reason
        && at("/data/record/externalIds").is_some() != has_left
        && at("/data/origin").is_some() != has_left
}

/// An object's members but these.
fn less(value: Option<&Value>, known: &[&str]) -> Fields {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members.filter(|(id, _)| !known.contains(&id.as_str())).map(|(id, value)| (id.clone(), value.clone())).collect()
}

/// A notice tells no values, but for a record as it is, which is judged like a change.
fn of_notice(evidence: &Evidence, subscriber: &Subscriber, arrival: &Arrival) -> Option<String> {
    let spans: Vec<&Span> = subscriber.in_force(arrival.sent_at, evidence.grace_ms).collect();
    if spans.is_empty() {
        return Some("nothing should be sent to it".to_owned());
    }
    let body = String::from_utf8_lossy(&arrival.body);
    if !body.contains("mk-") {
        return None;
    }
    let json = arrival.json();
    let log = evidence.logs.get(&subscriber.business).into_iter().flatten();
    let fields = fields_in(&json);
    let is_seen = |span: &&Span, change: &Change| {
        let named = span.subscription.record_ids.as_ref();
        span.sees(&change.ty, &change.state)
            && named.is_none_or(|named| named.contains(&change.record))
            && body.contains(&change.record.to_string())
            && fields.as_ref() == Some(&span.visible(&change.ty, &change.state.fields))
    };
    let mut states = log.filter(|change| change.at <= arrival.at);
    let is_current = states.any(|change| spans.iter().any(|span| is_seen(span, change)));
    (!is_current).then(|| "it is not the state of a record within reach".to_owned())
}

/// The values in a `current`, whatever its format.
fn fields_in(body: &Value) -> Option<Map<String, Value>> {
    if let Some(fields) = body.pointer("/data/record/fields") {
        return fields.as_object().cloned();
    }
    if let Some(payload) = body.get("payload") {
        return Some(less(Some(payload), &["organisationName", "businessId", "id", "correlationId"]));
    }
    Some(less(Some(body), &["id"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sample::{restrict, sample};
    use bytes::Bytes;

    #[test]
    fn a_kept_promise_is_not_a_breach() {
        assert_eq!(check(&sample()), Vec::<String>::new());
    }

    #[test]
    fn a_hidden_field_is_found() {
        let mut evidence = sample();
        restrict(&mut evidence, |grant| {
            grant.hidden_fields.insert("contact".parse_type(), ["email".to_owned()].into());
        });
        assert!(!check(&evidence).is_empty());
    }

    #[test]
    fn a_record_outside_the_condition_and_a_type_not_granted_are_found() {
        let mut evidence = sample();
        restrict(&mut evidence, |grant| {
            grant.conditions.insert("contact".parse_type(), "city == 'Delft'".to_owned());
        });
        assert!(!check(&evidence).is_empty(), "leaving scope must be told as that");
        let mut evidence = sample();
        restrict(&mut evidence, |grant| grant.types = Some([].into()));
        assert_eq!(check(&evidence).len(), 3);
    }

    #[test]
    fn another_business_is_found() {
        let mut evidence = sample();
        restrict(&mut evidence, |grant| {
            grant.business_access_rule.denied_business_ids = evidence_business();
        });
        assert_eq!(check(&evidence).len(), 3);
    }

    #[test]
    fn one_member_too_many_is_found() {
        let mut evidence = sample();
        let mut body = evidence.arrivals[0].json();
        body["data"]["secret"] = json!("x");
        evidence.arrivals[0].body = Bytes::from(body.to_string());
        assert_eq!(check(&evidence).len(), 1);
    }

    trait ParseType {
        fn parse_type(&self) -> lockstep_core::ids::TypeId;
    }

    impl ParseType for str {
        fn parse_type(&self) -> lockstep_core::ids::TypeId {
            lockstep_core::ids::TypeId::parse(self).unwrap()
        }
    }

    fn evidence_business() -> std::collections::BTreeSet<lockstep_core::ids::BusinessId> {
        sample().logs.keys().cloned().collect()
    }
}
