//! What is to be done about a record at the platform: a pure rule over the record, the shadow of its object, and where
//! the records it refers to stand there.

use crate::lane::{Candidate, Lane};
use lockstep_connect::Write;
use lockstep_core::Fields;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::RecordId;
use lockstep_core::shadow::ShadowState;
use lockstep_core::share::OnLeave;
use std::collections::BTreeMap;

/// On what ground a record is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ground {
    /// Whether an object is made where there is none.
    pub(crate) may_create: bool,
    /// Whether what seems equal is read back first, once.
    pub(crate) is_doubtful: bool,
    /// Whether the object was read a moment ago, so that nothing is gained by reading it again.
    pub(crate) was_read: bool,
}

impl Ground {
    /// The usual one.
    pub(crate) const fn new(may_create: bool, is_doubtful: bool) -> Self {
        Self { may_create, is_doubtful, was_read: false }
    }

    /// The same once the object has been read.
    pub(crate) const fn read(self) -> Self {
        Self { is_doubtful: false, was_read: true, ..self }
    }
}

/// Where the records stand that a record refers to.
#[derive(Clone, Debug, Default)]
pub(crate) struct References {
    /// Remote ids by field.
    pub(crate) there: BTreeMap<String, String>,
    /// Records that have no object there, by field.
    pub(crate) absent: BTreeMap<String, RecordId>,
    /// Such records that wait for this one in turn: one of them must go first, without the reference.
    pub(crate) circular: BTreeMap<String, RecordId>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing: the object is as it should.
    Unchanged,
    /// Nothing: the record is not shared, or its object is to stay away.
    Skipped,
    /// The object is no longer the record's.
    Unlink(String),
    /// It is read before anything is decided.
    ReadBack(String),
    /// It waits for a record that it refers to.
    Waits(RecordId),
    /// It cannot be written there as it is.
    Refused(Rejection),
    /// It is written; then it holds this. Once the record named has an object there it is written once more.
    Write(Box<Write>, Fields, Option<RecordId>),
}

/// Decides what is to be done about one record.
pub(crate) fn decide(lane: &Lane, candidate: &Candidate, references: &References, ground: Ground) -> Verdict {
    let Candidate { record, object, shadow } = candidate;
    if record.state.is_deleted || record.state.is_erased {
        return Verdict::Skipped;
    }
    if !lane.holds(&record.state.fields) {
        return match (object, lane.share.on_leave) {
            (Some(object), OnLeave::Unlink) => Verdict::Unlink(object.clone()),
            _ => Verdict::Skipped,
        };
    }
    match (object, shadow.as_ref().map(|shadow| shadow.state)) {
        (Some(_), Some(ShadowState::AbsentThere)) => return Verdict::Skipped,
        (Some(object), Some(ShadowState::InDoubt)) if !ground.was_read => return Verdict::ReadBack(object.clone()),
        (None, _) if !ground.may_create => return Verdict::Skipped,
        _ => {}
    }
    let wanted = lane.mapping.outward(&record.state.fields, &references.there);
    if let Some(problem) = wanted.problems.into_iter().next() {
        return Verdict::Refused(problem);
    }
    if let Some(target) = wanted.missing.iter().find_map(|field| references.absent.get(field)) {
        return Verdict::Waits(*target);
    }
    let later = wanted.missing.iter().find_map(|field| references.circular.get(field)).copied();
    let nothing = Fields::new();
    let shown = shadow.as_ref().map_or(&nothing, |shadow| &shadow.values);
    // What a new object gets once, one that is found there already does not get.
    let differing = lane.mapping.differing(&wanted.values, shown, false);
    let is_unknown = |key: &String| !shown.contains_key(key);
    match object {
        Some(object) if !ground.was_read && differing.iter().any(is_unknown) => Verdict::ReadBack(object.clone()),
        Some(object) if differing.is_empty() && ground.is_doubtful => Verdict::ReadBack(object.clone()),
        Some(_) if differing.is_empty() => later.map_or(Verdict::Unchanged, Verdict::Waits),
        _ => written(lane, candidate, (wanted.values, later), &differing),
    }
}

fn written(
    lane: &Lane,
    candidate: &Candidate,
    (wanted, later): (Fields, Option<RecordId>),
    differing: &[String],
) -> Verdict {
    let wanted = match &candidate.shadow {
        Some(shadow) => lane.mapping.joined(wanted, &shadow.values),
        None => wanted,
    };
    // Of an object that cannot be read, nothing is known to be empty already.
    let differing = (candidate.object.is_none() || candidate.shadow.is_some()).then_some(differing);
    let is_new = candidate.object.is_none();
    let groups: Vec<_> = lane.matching.iter().filter_map(|group| lane.mapping.group(group, &wanted)).collect();
    if is_new && groups.is_empty() && !lane.matching.is_empty() {
        let groups: Vec<String> = lane.matching.iter().map(|group| group.join("+")).collect();
        let text = format!(
            "{} {} has none of the values that it would be recognised by there: {}; give it one of them",
            candidate.record.ty,
            candidate.record.id,
            groups.join(" or ")
        );
        return Verdict::Refused(Rejection::new(Code::InvalidValue, text));
    }
    let write = Write {
        token: candidate.id().to_string(),
        id: candidate.object.clone(),
        changed: lane.mapping.object(&wanted, differing),
        whole: lane.mapping.object(&wanted, None),
        groups,
        may_create: is_new,
    };
    Verdict::Write(Box::new(write), wanted, later)
}
