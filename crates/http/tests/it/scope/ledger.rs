//! What a reader should see, by a plain list of every state that every record had.
//!
//! It asks nothing of the engine: conditions are a small family evaluated by hand, changes are followed as the API's
//! page describes them, and what is told of each follows from the states before and after.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Fields = Map<String, Value>;

/// A realm and the id there, of the one application that calls records by names.
pub(super) type Called = (String, String);

/// A record at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) fields: Fields,
    pub(super) called: Vec<Called>,
    aliases: Vec<Called>,
    pub(super) is_deleted: bool,
    pub(super) merged_into: Option<usize>,
}

impl State {
    fn is_called(&self, name: &Called) -> bool {
        self.called.contains(name) || self.aliases.contains(name)
    }

    fn forget(&mut self, name: &Called) {
        self.called.retain(|held| held != name);
        self.aliases.retain(|held| held != name);
    }
}

/// What must be true of a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Condition {
    Is(&'static str, &'static str),
    IsNot(&'static str, &'static str),
    IsTrue(&'static str),
}

impl Condition {
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Is(field, _) | Self::IsNot(field, _) | Self::IsTrue(field) => field,
        }
    }

    /// As a grant words it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Is(field, value) => format!("{field} == '{value}'"),
            Self::IsNot(field, value) => format!("{field} != '{value}'"),
            Self::IsTrue(field) => field.to_owned(),
        }
    }

    fn holds(self, fields: &Fields) -> bool {
        match self {
            Self::Is(field, value) => fields.get(field) == Some(&json!(value)),
            Self::IsNot(field, value) => fields.get(field) != Some(&json!(value)),
            Self::IsTrue(field) => fields.get(field) == Some(&json!(true)),
        }
    }
}

/// What a credential may do with one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    pub(super) reads: bool,
    pub(super) writes: bool,
    pub(super) conditions: Vec<Condition>,
    pub(super) hidden: BTreeSet<&'static str>,
}

impl Sight {
    pub(super) fn visible(&self, fields: &Fields) -> Fields {
        let kept = fields.iter().filter(|(field, _)| !self.hidden.contains(field.as_str()));
        kept.map(|(field, value)| (field.clone(), value.clone())).collect()
    }

    fn holds(&self, fields: &Fields) -> bool {
        self.conditions.iter().all(|condition| condition.holds(fields))
    }

    /// Whether the state may be read, living or not.
    pub(super) fn recalls(&self, state: &State) -> bool {
        self.reads && self.holds(&state.fields)
    }

    /// Whether a living record in this state is there to be read.
    pub(super) fn sees(&self, state: &State) -> bool {
        !state.is_deleted && self.recalls(state)
    }

    /// Whether a living record in this state is there to be written.
    pub(super) fn reaches(&self, state: &State) -> bool {
        !state.is_deleted && self.writes && self.holds(&state.fields)
    }
}

/// A change, as the list of states has it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) record: usize,
    kind: &'static str,
    before: Option<State>,
    pub(super) after: State,
}

impl Entry {
    /// The same in a record's past: who sees the whole of a type reads there as well how ids left a tombstone.
    pub(super) fn recalled(&self, sight: &Sight) -> Option<Told> {
        let is_whole = sight.reads && sight.conditions.is_empty() && sight.hidden.is_empty();
        self.told(sight).or_else(|| is_whole.then(|| self.of_tombstone()))
    }

    fn of_tombstone(&self) -> Told {
        let Self { seq, record, kind, .. } = *self;
        assert_eq!(kind, "correlated", "a tombstone has no other changes");
        let (changes, fields, called) = (json!({}), Fields::new(), Vec::new());
        Told { seq, record, kind, reason: None, changes, fields, called, merged_into: None }
    }

    /// A change as it should be told to whoever has this sight of the record's type; nothing where it should not be.
    pub(super) fn told(&self, sight: &Sight) -> Option<Told> {
        let after = &self.after;
        let living = self.before.as_ref().filter(|before| !before.is_deleted);
        let before = living.filter(|before| sight.sees(before));
        let (kind, reason) = match (before, sight.sees(after)) {
            (None, false) => return None,
            (Some(_), false) if after.is_deleted => (self.kind, None),
            (Some(_), false) => ("deleted", Some("left-scope")),
            (None, true) => ("created", living.map(|_| "entered-scope")),
            (Some(_), true) => (self.kind, None),
        };
        let has_left = reason == Some("left-scope");
        let fields = if has_left { Fields::new() } else { sight.visible(&after.fields) };
        let old = before.map(|before| sight.visible(&before.fields)).unwrap_or_default();
        let names: BTreeSet<&String> = fields.keys().chain(old.keys()).collect();
        let pair = |name: &String| {
            let value = |fields: &Fields| fields.get(name).cloned().unwrap_or_default();
            (name.clone(), json!({"old": value(&old), "new": value(&fields)}))
        };
        let differing = names.into_iter().filter(|name| old.get(*name) != fields.get(*name));
        let changes: Fields = differing.filter(|_| matches!(kind, "created" | "updated")).map(pair).collect();
        let has_other_names = before.is_some_and(|before| before.called != after.called);
        let kind = match kind {
            "updated" if changes.is_empty() && !has_other_names => return None,
            // Of a change that fills hidden fields and brings names, the names are left.
            "updated" if changes.is_empty() => "correlated",
            kind => kind,
        };
        let called = if has_left { Vec::new() } else { after.called.clone() };
        let merged_into = after.merged_into.filter(|_| kind == "merged" && sight.conditions.is_empty());
        Some(Told {
            seq: self.seq,
            record: self.record,
            kind,
            reason,
            changes: changes.into(),
            fields,
            called,
            merged_into,
        })
    }
}

/// A change, as it should be told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) seq: u64,
    pub(super) record: usize,
    pub(super) kind: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) changes: Value,
    pub(super) fields: Fields,
    pub(super) called: Vec<Called>,
    pub(super) merged_into: Option<usize>,
}

/// Every state of every record of one business.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Type and id of each.
    pub(super) records: Vec<(&'static str, String)>,
    pub(super) log: Vec<Entry>,
}

impl Ledger {
    fn enter(&mut self, record: usize, kind: &'static str, after: State) {
        let before = self.log.iter().rev().find(|entry| entry.record == record).map(|entry| entry.after.clone());
        self.log.push(Entry { seq: self.log.len() as u64 + 1, record, kind, before, after });
    }

    pub(super) fn now(&self, record: usize) -> &State {
        self.at(record, u64::MAX).expect("it was made")
    }

    pub(super) fn at(&self, record: usize, seq: u64) -> Option<&State> {
        let mut past = self.log.iter().rev().filter(|entry| entry.record == record && entry.seq <= seq);
        past.next().map(|entry| &entry.after)
    }

    /// Living records of a type.
    pub(super) fn living(&self, ty: &str) -> Vec<usize> {
        (0..self.records.len()).filter(|one| self.records[*one].0 == ty && !self.now(*one).is_deleted).collect()
    }

    pub(super) fn create(&mut self, ty: &'static str, id: String, fields: Fields) {
        self.records.push((ty, id));
        self.enter(self.records.len() - 1, "created", State { fields, ..State::default() });
    }

    pub(super) fn patch(&mut self, record: usize, patch: &Fields) {
        let mut state = self.now(record).clone();
        for (field, value) in patch {
            if value.is_null() {
                state.fields.remove(field)
            } else {
                state.fields.insert(field.clone(), value.clone())
            };
        }
        if state.fields != self.now(record).fields {
            self.enter(record, "updated", state);
        }
    }

    pub(super) fn delete(&mut self, record: usize) {
        let state = State { is_deleted: true, ..self.now(record).clone() };
        self.enter(record, "deleted", state);
    }

    /// A record has one name in each realm.
    pub(super) fn call(&mut self, record: usize, name: Called) {
        let mut state = self.now(record).clone();
        state.called.retain(|held| held.0 != name.0);
        state.called.push(name);
        self.enter(record, "correlated", state);
    }

    /// Blanks of the one that stays are filled, and names come to it: a second one of a realm as an alias.
    pub(super) fn merge(&mut self, goes: usize, stays: usize) {
        let gone = State { is_deleted: true, merged_into: Some(stays), ..self.now(goes).clone() };
        let mut state = self.now(stays).clone();
        let filled = gone.fields.iter().filter(|(field, _)| !state.fields.contains_key(*field));
        let filled: Fields = filled.map(|(field, value)| (field.clone(), value.clone())).collect();
        let is_update = !filled.is_empty();
        state.fields.extend(filled);
        for name in &gone.called {
            let is_second = state.called.iter().any(|held| held.0 == name.0);
            if is_second { &mut state.aliases } else { &mut state.called }.push(name.clone());
        }
        state.aliases.extend(gone.aliases.iter().cloned());
        if is_update || !gone.called.is_empty() || !gone.aliases.is_empty() {
            self.enter(stays, if is_update { "updated" } else { "correlated" }, state);
        }
        self.enter(goes, "merged", gone);
    }

    /// Whether a record was merged into one that was not merged itself.
    pub(super) fn was_merged(&self, record: usize) -> bool {
        self.now(record).merged_into.is_some_and(|into| self.now(into).merged_into.is_none())
    }

    pub(super) fn unmerge(&mut self, record: usize) {
        let mut state = State { is_deleted: false, merged_into: None, ..self.now(record).clone() };
        let into = self.now(record).merged_into.expect("it was merged");
        let mut survivor = self.now(into).clone();
        let mut is_other = false;
        for name in [state.called.clone(), state.aliases.clone()].concat() {
            if survivor.is_called(&name) {
                survivor.forget(&name);
                is_other = true;
            } else {
                state.forget(&name);
            }
        }
        if is_other {
            self.enter(into, "correlated", survivor);
        }
        self.enter(record, "created", state);
    }

    /// All that a credential should be told, oldest first.
    pub(super) fn told_to(&self, sights: &BTreeMap<&'static str, Sight>) -> Vec<Told> {
        self.log.iter().filter_map(|entry| entry.told(&sights[self.records[entry.record].0])).collect()
    }

    /// Every marker and record id that a credential may ever come to see.
    pub(super) fn seen_by(&self, sights: &BTreeMap<&'static str, Sight>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        for entry in &self.log {
            let (ty, id) = &self.records[entry.record];
            let sight = &sights[ty];
            // Who writes a record without reading it may be told which it is.
            if sight.writes && sight.holds(&entry.after.fields) {
                seen.insert(id.clone());
            }
            if sight.recalls(&entry.after) {
                seen.extend(marked(&json!([id, sight.visible(&entry.after.fields), entry.after.called]).to_string()));
            }
        }
        seen
    }
}

/// The markers, `mk17x`, and record ids that stand in a text.
pub(super) fn marked(text: &str) -> BTreeSet<String> {
    let marker = |(at, _): (usize, &str)| {
        let digits: String = text[at + 2..].chars().take_while(char::is_ascii_digit).collect();
        let is_whole = !digits.is_empty() && text[at + 2 + digits.len()..].starts_with('x');
        is_whole.then(|| format!("mk{digits}x"))
    };
    let id = |(at, _): (usize, &str)| {
        let id = text.get(at..at + 30)?;
        id[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| id.to_owned())
    };
    text.match_indices("mk").filter_map(marker).chain(text.match_indices("rec_").filter_map(id)).collect()
}
