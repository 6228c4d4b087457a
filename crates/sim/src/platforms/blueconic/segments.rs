//! Segments, and the export of their profiles: by cursor, refined, and only what changed. It must not change a
//! profile; it remembers what was exported to which audience.

use super::answers::{error, frame, page};
use super::profile::{Profile, Profiles};
use super::refinement::keeps;
use crate::platforms::{Answer, Call};
use http::StatusCode;
use lockstep_core::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most profiles of a page, and how many when nobody says.
const COUNT_MAX: usize = 1_000_000;
const COUNT_DEFAULT: usize = 20;

const DAY_MS: i64 = 86_400_000;

struct Segment {
    id: String,
    name: String,
    refinement: Option<Value>,
}

pub(super) struct Segments {
    segments: Vec<Segment>,
    /// The last profile of the page before each cursor that was given out.
    cursors: BTreeMap<String, String>,
    /// When each profile was last exported to an audience.
    exported: BTreeMap<(String, String), Timestamp>,
}

impl Segments {
    pub(super) fn new() -> Self {
        let all = Segment { id: "allmembers".to_owned(), name: "All members".to_owned(), refinement: None };
        Self { segments: vec![all], cursors: BTreeMap::new(), exported: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, id: &str, name: &str, refinement: Value) {
        self.segments.push(Segment { id: id.to_owned(), name: name.to_owned(), refinement: Some(refinement) });
    }

    /// Whether a profile is in a segment; never in one that does not exist.
    pub(super) fn has_member(&self, segment: &str, profile: &Profile, now: Timestamp) -> bool {
        let segment = self.segments.iter().find(|known| known.id == segment);
        segment.is_some_and(|segment| segment.has(profile, now))
    }

    pub(super) fn list(&self, call: &Call, profiles: &Profiles, now: Timestamp) -> Answer {
        let shown = self.segments.iter().map(|segment| {
            let count = profiles.all().values().filter(|profile| segment.has(profile, now)).count();
            json!({"id": segment.id, "name": segment.name, "description": "", "profileCount": count, "tags": []})
        });
        page(call, "segments", &shown.collect::<Vec<_>>(), COUNT_DEFAULT)
    }

    pub(super) fn export(&mut self, call: &Call, id: &str, profiles: &Profiles, now: Timestamp) -> Answer {
        let Some(segment) = self.segments.iter().find(|segment| segment.id == id) else {
            return error(StatusCode::NOT_FOUND, "Segment not found.");
        };
        let found = self.select(call, segment, profiles, now).and_then(|selected| {
            let after = self.place(call)?;
            let count = call.query("count").map_or(Ok(COUNT_DEFAULT), |count| count.parse());
            let count = count.ok().filter(|count| (1..=COUNT_MAX).contains(count)).ok_or("count is 1 to 1000000")?;
            Ok((selected, after, count))
        });
        let (selected, after, count) = match found {
            Ok(found) => found,
            Err(text) => return error(StatusCode::BAD_REQUEST, &text),
        };
        let mut rest = selected.iter().filter(|profile| after.as_ref().is_none_or(|after| profile.id > *after));
        let shown: Vec<&&Profile> = rest.by_ref().take(count).collect();
        let mut body = frame(count, selected.len());
        body["links"] = links(call, count);
        body["profiles"] = shown.iter().map(|profile| self.shown(call, profile, now)).collect();
        let last = shown.last().map(|profile| profile.id.clone()).filter(|_| rest.next().is_some());
        let ids: Vec<String> = shown.iter().map(|profile| profile.id.clone()).collect();
        if let Some(cursor) = call.query("cursor") {
            body["cursor"] = Value::from(cursor);
            if let Some(last) = last {
                let next = format!("c{}", self.cursors.len() + 2);
                body["nextCursor"] = Value::from(next.as_str());
                self.cursors.insert(next, last);
            }
        }
        self.remember(call, ids, now);
        Answer { is_chunked: true, ..Answer::json(StatusCode::OK, &body) }
    }

    /// The profiles that the call's filters leave, by id.
    fn select<'p>(
        &self,
        call: &Call,
        segment: &Segment,
        profiles: &'p Profiles,
        now: Timestamp,
    ) -> Result<Vec<&'p Profile>, String> {
        let refinement = match call.query("refinement") {
            Some(text) => Some(serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())?),
            None => None,
        };
        let tracked = Tracked::of(call, now)?;
        let mut selected = Vec::new();
        for profile in profiles.all().values().filter(|profile| segment.has(profile, now)) {
            let is_refined = refinement.as_ref().map_or(Ok(true), |refinement| keeps(refinement, profile, now))?;
            let exported_at = tracked.audience.as_ref().map(|audience| {
                let key = (audience.clone(), profile.id.clone());
                self.exported.get(&key).copied()
            });
            if is_refined && tracked.keeps(profile, exported_at) {
                selected.push(profile);
            }
        }
        Ok(selected)
    }

    /// The id after which the page begins.
    fn place(&self, call: &Call) -> Result<Option<String>, String> {
        match call.query("cursor").as_deref() {
            None | Some("*") => Ok(None),
            Some(cursor) => {
                self.cursors.get(cursor).cloned().map(Some).ok_or_else(|| "the cursor is unknown".to_owned())
            }
        }
    }

    fn shown(&self, call: &Call, profile: &Profile, now: Timestamp) -> Value {
        let mut shown = profile.shown(&chosen(call));
        let segments = self.segments.iter().filter(|segment| segment.has(profile, now));
        shown["segments"] = segments.map(|segment| json!({"id": segment.id, "name": segment.name})).collect();
        for expand in call.queries("expand") {
            match expand.as_str() {
                "profiles.profile.replace" => shown["replaces"] = json!(profile.replaces),
                "profiles.profile.permissions" => shown["permissions"] = json!({"level": profile.level}),
                "profiles.profile.timeline" => shown["events"] = profile.timeline.values().cloned().collect(),
                _ => {}
            }
        }
        shown
    }

    fn remember(&mut self, call: &Call, ids: Vec<String>, now: Timestamp) {
        let is_committed = call.query("autoCommit").as_deref() != Some("false");
        if let Some(audience) = call.query("audienceId").filter(|_| is_committed) {
            self.exported.extend(ids.into_iter().map(|id| ((audience.clone(), id), now)));
        }
    }
}

impl Segment {
    fn has(&self, profile: &Profile, now: Timestamp) -> bool {
        self.refinement.as_ref().is_none_or(|refinement| keeps(refinement, profile, now).unwrap_or(false))
    }
}

/// The properties that a call chose: one list with commas, or the name repeated.
pub(super) fn chosen(call: &Call) -> Vec<String> {
    let listed = call.query("properties").unwrap_or_default();
    let listed = listed.split(',').filter(|id| !id.is_empty()).map(str::to_owned);
    listed.chain(call.queries("profileProperty")).collect()
}

fn links(call: &Call, count: usize) -> Value {
    let mut first = call.url.clone();
    first.query_pairs_mut().clear().append_pair("cursor", "*").append_pair("count", &count.to_string());
    json!([{"href": first.as_str(), "rel": "first", "type": "application/json"}])
}

/// Which changes a call asks for.
struct Tracked {
    audience: Option<String>,
    properties: Vec<String>,
    since: Option<Timestamp>,
}

impl Tracked {
    fn of(call: &Call, now: Timestamp) -> Result<Self, String> {
        let mut since = None;
        if let Some(text) = call.query("trackPropertiesModifiedSince") {
            since = Some(Timestamp::parse(&text).map_err(|rejection| format!("{rejection:?}"))?);
        }
        if let Some(days) = call.query("trackPropertyChangesInNumberOfDays") {
            let days: i64 = days.parse().map_err(|error| format!("number of days: {error}"))?;
            since = since.max(Some(now.plus_ms(-days * DAY_MS)));
        }
        Ok(Self { audience: call.query("audienceId"), properties: call.queries("trackProperties").collect(), since })
    }

    /// `exported_at` is when the profile went to the audience last, if ever; none where no audience was named.
    fn keeps(&self, profile: &Profile, exported_at: Option<Option<Timestamp>>) -> bool {
        let since = match exported_at {
            Some(None) => return true,
            Some(Some(exported_at)) => Some(self.since.map_or(exported_at, |since| since.max(exported_at))),
            None => self.since,
        };
        let Some(since) = since else { return true };
        let changed = self.properties.iter().filter_map(|property| profile.changed_at.get(property));
        changed.max().is_some_and(|changed_at| *changed_at > since)
    }
}
