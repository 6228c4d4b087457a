//! A share made ready for work: its mapping and condition compiled, its rows at hand.

use crate::control::plan::{Plan, remote};
use crate::registry::Known;
use lockstep_core::Fields;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Intake, MatchGroup};
use lockstep_core::connection::Connection;
use lockstep_core::error::Rejection;
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::{Provider, RecordId};
use lockstep_core::mapping::Compiled;
use lockstep_core::record::Record;
use lockstep_core::run::{Run, RunKind};
use lockstep_core::schema::Shape;
use lockstep_core::shadow::{Shadow, ShadowKey};
use lockstep_core::share::{History, Share};
use lockstep_core::work::Progress;
use lockstep_engine::World;
use lockstep_expr::Expr;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A share at work.
pub(crate) struct Lane {
    /// The share.
    pub(crate) share: Arc<Share>,
    /// The stream that lists its objects, where there is one.
    pub(crate) stream: Option<String>,
    /// Whether an object says all its fields.
    pub(crate) is_complete: bool,
    /// Whether a listed one says only some.
    pub(crate) is_partial: bool,
    /// The type.
    pub(crate) shape: Arc<Shape>,
    /// Fields there and here.
    pub(crate) mapping: Compiled,
    /// Which records.
    pub(crate) condition: Option<Expr>,
    /// Groups by which a record is recognised.
    pub(crate) matching: Vec<MatchGroup>,
    /// The remote object as shadows and external ids name it.
    pub(crate) slot: String,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// The run that is under way or paused.
    pub(crate) run: Option<Run>,
    /// Whether a hub that was killed may have written what it did not get to keep: what seems equal is read back.
    pub(crate) is_doubtful: bool,
    /// When it next looks after something it waits for by itself, such as a bulk import.
    pub(crate) looks_at: Option<Timestamp>,
    /// Records that are being imported there, and whether each may have changed meanwhile.
    pub(crate) importing: BTreeMap<RecordId, bool>,
    provider: Provider,
    realm: String,
}

impl Lane {
    /// Makes a share ready.
    ///
    /// # Errors
    /// What its connector or its type no longer fits.
    pub(crate) fn new(
        world: &World,
        known: &Known,
        share: Arc<Share>,
        connection: &Connection,
    ) -> Result<Self, Rejection> {
        let Plan { shape, mapping, matching, condition } = Plan::of(world, known, &share)?;
        let remote = remote(known, &share.object)?;
        Ok(Self {
            stream: remote.stream.clone(),
            is_complete: remote.is_complete,
            is_partial: remote.is_partial,
            shape,
            mapping,
            condition,
            matching,
            slot: share.slot(),
            progress: Progress::default(),
            run: None,
            is_doubtful: true,
            looks_at: None,
            importing: BTreeMap::new(),
            provider: connection.provider.clone(),
            realm: connection.realm.clone(),
            share,
        })
    }

    /// What an object holds that was read by its id, as a shadow says it.
    pub(crate) fn shown(&self, tree: Value) -> Fields {
        self.mapping.shown(&self.completed(tree))
    }

    /// An object that was read by its id, with nothing where it says nothing.
    pub(crate) fn completed(&self, tree: Value) -> Value {
        if self.is_complete { self.mapping.completed(tree) } else { tree }
    }

    /// Names the shadow of one of its objects.
    pub(crate) fn shadow_key(&self, id: &str) -> ShadowKey {
        ShadowKey { connection: self.share.connection, slot: self.slot.clone(), id: id.to_owned() }
    }

    /// What a record is called by one of its objects.
    pub(crate) fn external(&self, id: &str) -> ExternalId {
        let object = (self.slot != self.share.ty.as_str()).then(|| self.slot.clone());
        ExternalId { provider: self.provider.clone(), realm: self.realm.clone(), object, id: id.to_owned() }
    }

    /// The object that a record is, where it is known to be one.
    pub(crate) fn object_of<'r>(&self, record: &'r Record) -> Option<&'r str> {
        let slot = self.external("");
        record.state.external_ids.iter().find(|held| held.has_slot_of(&slot)).map(|held| held.id.as_str())
    }

    /// Whether a record stands for an object: it is not deleted, and shared.
    pub(crate) fn is_live(&self, record: &Record) -> bool {
        !record.state.is_deleted && self.holds(&record.state.fields)
    }

    /// Whether records with these values are shared. A condition that fails to evaluate does not hold.
    pub(crate) fn holds(&self, fields: &Fields) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.is_true(fields).unwrap_or(false))
    }

    /// How far objects are taken in that a run of this kind lists, or that are read one by one.
    pub(crate) fn intake(&self, run: Option<RunKind>) -> Intake {
        if !self.share.takes_in() {
            return Intake::Link;
        }
        match (self.share.history, run) {
            (History::All, _) => Intake::All,
            (History::None, Some(RunKind::Baseline | RunKind::Full)) => Intake::Known,
            (History::None, _) => Intake::Changed,
        }
    }

    /// Whether it may do anything but wait.
    pub(crate) fn may_work(&self, now: Timestamp) -> bool {
        !self.share.is_paused && self.progress.failing.as_ref().is_none_or(|failing| failing.next_at <= now)
    }

    /// Whether it writes changes as they come.
    pub(crate) fn follows(&self) -> bool {
        self.share.sends_out() && self.share.switches.push && self.progress.is_matched
    }
}

/// A record on its way out, with what is known of its object.
pub(crate) struct Candidate {
    pub(crate) record: Record,
    /// The object that it is known to be.
    pub(crate) object: Option<String>,
    pub(crate) shadow: Option<Shadow>,
}

impl Candidate {
    pub(crate) fn id(&self) -> RecordId {
        self.record.id
    }
}
