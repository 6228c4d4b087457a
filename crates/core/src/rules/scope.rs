//! What a reader may see of a change: grants, row conditions, hidden fields and a subscription's own condition,
//! evaluated on the states before and after.
//!
//! Out → in is told as a creation without old values, in → out as a deletion with the id alone, in → in as it
//! is, out → out not at all. A change of hidden fields alone is no change to the reader; one that brings external
//! ids besides is told as that.

use crate::Fields;
use crate::change::{Change, ChangeKind};
use crate::external_id::ExternalId;
use crate::ids::RecordId;
use crate::record::State;
use lockstep_expr::Expr;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A condition that a grant, or what narrows it, sets for records.
#[derive(Clone, Debug)]
pub struct Row {
    /// What must be true.
    pub condition: Expr,
    /// Fields that are not there for it: those hidden from whoever set it.
    pub unseen: BTreeSet<String>,
}

impl Row {
    /// Whether it holds. One that fails to evaluate does not.
    fn holds(&self, fields: &Fields) -> bool {
        self.condition.is_true(&without(fields, &self.unseen)).unwrap_or(false)
    }
}

/// What one reader may see of one type.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The conditions of its grant: all must hold.
    rows: Vec<Row>,
    /// Fields that are not there for the reader.
    hidden: BTreeSet<String>,
    /// The reader's own condition; it sees what the reader sees.
    own: Option<Expr>,
}

impl Reach {
    /// The whole of the type.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// What a grant leaves of the type.
    #[must_use]
    pub fn of_grant(condition: Option<Expr>, hidden: BTreeSet<String>) -> Self {
        let row = condition.map(|condition| Row { condition, unseen: BTreeSet::new() });
        Self::of_rows(row.into_iter().collect(), hidden)
    }

    /// What several conditions leave of the type.
    #[must_use]
    pub const fn of_rows(rows: Vec<Row>, hidden: BTreeSet<String>) -> Self {
        Self { rows, hidden, own: None }
    }

    /// Nothing of the type.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of_grant(Expr::compile("false").ok(), BTreeSet::new())
    }

    /// The same, narrowed by a condition of the reader's own.
    #[must_use]
    pub fn narrowed(&self, own: Option<Expr>) -> Self {
        Self { own, ..self.clone() }
    }

    /// Whether the field is not there for the reader.
    #[must_use]
    pub fn hides(&self, field: &str) -> bool {
        self.hidden.contains(field)
    }

    /// The first name in a condition that the reader may not use, if there is one.
    #[must_use]
    pub fn forbidden_name<'a>(&self, condition: &'a Expr) -> Option<&'a str> {
        let is_forbidden =
            |name: &&String| self.hidden.contains(*name) || (!self.hidden.is_empty() && *name == "fields");
        condition.names().iter().find(is_forbidden).map(String::as_str)
    }

    /// Whether a record with these fields is within reach. A condition that fails to evaluate does not hold.
    #[must_use]
    pub fn holds(&self, fields: &Fields) -> bool {
        self.rows.iter().all(|row| row.holds(fields))
            && self.own.as_ref().is_none_or(|own| own.is_true(&self.visible(fields)).unwrap_or(false))
    }

    /// The fields less the hidden ones.
    #[must_use]
    pub fn visible<'a>(&self, fields: &'a Fields) -> Cow<'a, Fields> {
        without(fields, &self.hidden)
    }

    /// Whether a living record in this state is within reach.
    #[must_use]
    pub fn sees(&self, state: &State) -> bool {
        !state.is_deleted && self.holds(&state.fields)
    }

    /// What the reader may see of a state within reach.
    #[must_use]
    pub fn cut(&self, state: &State) -> State {
        State {
            fields: self.visible(&state.fields).into_owned(),
            merged_into: state.merged_into.filter(|_| self.is_unconditional()),
            ..state.clone()
        }
    }

    /// Whether a state, living or not, is within reach. Of one that was erased no condition can be asked any more.
    #[must_use]
    pub fn recalls(&self, state: &State) -> bool {
        self.is_unconditional() || (!state.is_erased && self.holds(&state.fields))
    }

    /// Whether every record is within reach.
    #[must_use]
    pub const fn is_unconditional(&self) -> bool {
        self.rows.is_empty() && self.own.is_none()
    }

    /// Whether every record is within reach with all its fields.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.is_unconditional() && self.hidden.is_empty()
    }
}

fn without<'a>(fields: &'a Fields, hidden: &BTreeSet<String>) -> Cow<'a, Fields> {
    if hidden.iter().any(|hidden| fields.contains_key(hidden)) {
        let kept = fields.iter().filter(|(field, _)| !hidden.contains(*field));
        Cow::Owned(kept.map(|(field, value)| (field.clone(), value.clone())).collect())
    } else {
        Cow::Borrowed(fields)
    }
}

/// Why a change is told as another kind than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The record left what the reader may see, or asked for.
    LeftScope,
    /// The record came into it.
    EnteredScope,
}

impl Reason {
    /// The reason as written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftScope => "left-scope",
            Self::EnteredScope => "entered-scope",
        }
    }
}

/// A change as one reader sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<'a> {
    /// What happened, to the reader.
    pub kind: ChangeKind,
    /// Why that is not what happened.
    pub reason: Option<Reason>,
    /// The fields after it.
    pub fields: Cow<'a, Fields>,
    /// The values before it of the fields it changed.
    pub old: Cow<'a, Fields>,
    /// The external ids after it.
    pub external_ids: &'a [ExternalId],
    /// The record that took its place, where it was merged.
    pub merged_into: Option<RecordId>,
}

/// What is told of a record whose values are gone. No condition can be asked of it any more: who may read the type is
/// told by the id alone that it is no more, and of its past nothing.
fn erased(change: &Change) -> Option<Seen<'_>> {
    (change.kind == ChangeKind::Deleted).then(|| Seen {
        kind: ChangeKind::Deleted,
        reason: None,
        fields: Cow::Owned(Fields::new()),
        old: Cow::Owned(Fields::new()),
        external_ids: &[],
        merged_into: None,
    })
}

/// What the reader sees of a change; nothing where both states are out of reach.
#[must_use]
pub fn look<'a>(change: &'a Change, reach: &Reach) -> Option<Seen<'a>> {
    let state = &change.state;
    if state.is_erased {
        return erased(change);
    }
    let was_in = change.existed_before() && (reach.is_unconditional() || reach.holds(&change.fields_before()));
    let is_in = reach.sees(state);
    let nothing = || Cow::Owned(Fields::new());
    let told = |kind, reason, old| Seen {
        kind,
        reason,
        fields: reach.visible(&state.fields),
        old,
        external_ids: &state.external_ids,
        // To whom only some records are open, another record's id is not told.
        merged_into: state.merged_into.filter(|_| reach.is_unconditional()),
    };
    match (was_in, is_in) {
        (false, false) => None,
        (true, false) if state.is_deleted => Some(told(change.kind, None, nothing())),
        (true, false) => Some(Seen {
            kind: ChangeKind::Deleted,
            reason: Some(Reason::LeftScope),
            fields: nothing(),
            old: nothing(),
            external_ids: &[],
            merged_into: None,
        }),
        (false, true) if change.existed_before() => {
            Some(told(ChangeKind::Created, Some(Reason::EnteredScope), nothing()))
        }
        (false, true) => Some(told(ChangeKind::Created, None, nothing())),
        (true, true) => {
            let old = reach.visible(&change.old);
            if change.kind != ChangeKind::Updated || !old.is_empty() {
                return Some(told(change.kind, None, old));
            }
            // Of a change of hidden fields that gave or took external ids besides, those are told.
            let has_other_ids = change.old_external_ids.as_ref().is_some_and(|ids| *ids != state.external_ids);
            has_other_ids.then(|| told(ChangeKind::Correlated, None, old))
        }
    }
}

/// A change of the past as the reader may be told of it, and why that is not what happened; nothing where it is out of
/// reach. To whom all of a type is open it is told as it stands.
#[must_use]
pub fn recall(change: &Arc<Change>, reach: &Reach) -> Option<(Arc<Change>, Option<Reason>)> {
    if reach.is_everything() {
        return Some((Arc::clone(change), None));
    }
    let seen = look(change, reach)?;
    let external_ids = seen.external_ids.to_vec();
    let told = Change {
        kind: seen.kind,
        old: seen.old.into_owned(),
        old_external_ids: change.old_external_ids.clone().filter(|_| !external_ids.is_empty()),
        state: Arc::new(State {
            fields: seen.fields.into_owned(),
            external_ids,
            merged_into: seen.merged_into,
            aliases: Vec::new(),
            is_deleted: change.state.is_deleted,
            is_erased: change.state.is_erased,
        }),
        ..(**change).clone()
    };
    Some((Arc::new(told), seen.reason))
}
