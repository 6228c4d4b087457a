//! Objects on their way in: what a platform showed becomes lines of a turn.
//!
//! It asks the store what the mapping cannot know: which records an object refers to, and, where a share has a
//! condition, what the record would look like. What is done with a line is decided inside the commit.

use crate::lane::Lane;
use lockstep_connect::Object;
use lockstep_core::Fields;
use lockstep_core::change::Origin;
use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Action, Command, Intake, Pushed, Take, Taken};
use lockstep_core::connection::Connection;
use lockstep_core::error::Rejection;
use lockstep_core::external_id::ExternalKey;
use lockstep_core::ids::{RecordId, TypeId};
use lockstep_core::mapping::Inward;
use lockstep_core::problem::Subject;
use lockstep_core::rules::scope::Reach;
use lockstep_core::run::{Run, RunKind};
use lockstep_core::shadow::{Seen, Shadow, ShadowState};
use lockstep_core::share::OnLeave;
use lockstep_core::work::Unresolved;
use lockstep_engine::World;
use lockstep_engine::ingest::fresh;
use lockstep_store::StoreError;
use lockstep_store::turn::Line;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// About how many bytes an object is, for the limits of one commit.
const OBJECT_BYTES: usize = 1_000;

/// An object, and when it was asked for.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) object: Object,
    pub(crate) asked_at: Timestamp,
}

/// What a batch of objects became.
#[derive(Default)]
pub(crate) struct Taking {
    /// Lines, one an object.
    pub(crate) lines: Vec<Line>,
    /// Of objects that may refer to others, the references that nobody knows the target of, by field.
    pub(crate) references: Vec<(String, Missing)>,
}

/// References by field: the remote object's name, and its id.
pub(crate) type Missing = BTreeMap<String, (String, String)>;

/// Where the objects of other shares of the connection are found, by the remote object's name.
pub(crate) type Slots = BTreeMap<String, (TypeId, Option<String>)>;

/// All that objects are taken in with.
pub(crate) struct Desk<'a> {
    pub(crate) world: &'a World,
    pub(crate) connection: &'a Connection,
    pub(crate) lane: &'a Lane,
    pub(crate) slots: &'a Slots,
    pub(crate) run: Option<&'a Run>,
}

impl Desk<'_> {
    /// Makes lines of objects.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn take(&self, objects: Vec<Shown>) -> Result<Taking, StoreError> {
        let mut taking = Taking::default();
        let mut shadows = self.shadows(&objects).await?.into_iter();
        for shown in objects {
            let shadow = shadows.next().flatten();
            if shown.object.is_gone {
                taking.lines.extend(self.gone(&shown.object.id, shadow.as_ref()));
                taking.references.push((shown.object.id, Missing::new()));
                continue;
            }
            let Shown { mut object, asked_at } = shown;
            let is_whole = self.run.is_none() || !self.lane.is_partial;
            if is_whole {
                object.tree = self.lane.completed(std::mem::take(&mut object.tree));
            }
            let line = if self.lane.share.takes_in() {
                self.line_in(object, asked_at, shadow, &mut taking.references).await?
            } else {
                let values = self.lane.mapping.shown(&object.tree);
                self.line(&object, values, asked_at, Intake::Link)
            };
            taking.lines.push(line);
        }
        Ok(taking)
    }

    /// Shadows are asked for only where a rule out here needs them.
    async fn shadows(&self, objects: &[Shown]) -> Result<Vec<Option<Shadow>>, StoreError> {
        let is_needed = self.lane.condition.is_some() || objects.iter().any(|shown| shown.object.is_gone);
        if !is_needed {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = objects.iter().map(|shown| self.lane.shadow_key(&shown.object.id)).collect();
        self.world.store.shadows(&self.connection.business, &keys).await
    }

    async fn line_in(
        &self,
        object: Object,
        asked_at: Timestamp,
        shadow: Option<Shadow>,
        unresolved: &mut Vec<(String, Missing)>,
    ) -> Result<Line, StoreError> {
        let Inward { mut values, references, problems } = self.lane.mapping.inward(&object.tree);
        let refers = self.lane.mapping.referring().next().is_some();
        let (found, missing) = self.resolved(references).await?;
        values.extend(found);
        let is_wanted = self.lane.condition.is_none() || self.is_wanted(&values, shadow.as_ref()).await?;
        if refers {
            unresolved.push((object.id.clone(), if is_wanted { missing } else { Missing::new() }));
        }
        let intake = match (is_wanted, shadow, self.lane.share.on_leave) {
            (true, ..) => self.lane.intake(self.run.map(|run| run.kind)),
            (false, Some(Shadow { record: Some(record), .. }), OnLeave::Unlink) => {
                return Ok(self.kept(record, &object.id, None, ShadowState::LeftScope));
            }
            (false, ..) => Intake::Nothing,
        };
        let line = self.line(&object, values, asked_at, intake);
        Ok(Line { flaw: problems.into_iter().next(), ..line })
    }

    /// The references of an object whose targets are known now, as a line, and those that are not. None where more has
    /// become of the object since it was seen to refer to them: it must be asked for then.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn referring(
        &self,
        id: &str,
        unresolved: Unresolved,
    ) -> Result<Option<(Option<Line>, Missing)>, StoreError> {
        let (store, business) = (&self.world.store, &self.connection.business);
        let shadow = store.shadows(business, &[self.lane.shadow_key(id)]).await?.pop().flatten();
        let holder = store.holder(business, &self.lane.external(id).key(&self.lane.share.ty)).await?;
        let owned = shadow.filter(|shadow| shadow.record.is_some() && shadow.record == holder.map(|holder| holder.id));
        let Some(shadow) = owned.filter(|shadow| shadow.state != ShadowState::AbsentThere) else {
            // Nobody's object refers to nothing; it is read when it becomes somebody's.
            return Ok(Some((None, Missing::new())));
        };
        if shadow.state != ShadowState::Known || shadow.at > unresolved.seen_at {
            return Ok(None);
        }
        let (values, missing) = self.resolved(unresolved.fields).await?;
        let is_wanted = self.lane.condition.is_none() || self.is_wanted(&values, Some(&shadow)).await?;
        if values.is_empty() || !is_wanted {
            return Ok(Some((None, missing)));
        }
        let object =
            Object { id: id.to_owned(), is_gone: false, tree: Value::Null, version: shadow.version, changed_at: None };
        let line = self.line(&object, values, self.world.clock.now(), self.lane.intake(None));
        Ok(Some((Some(line), missing)))
    }

    /// The values of references whose targets are known, and the references whose targets are not. One to an object that
    /// no share brings is not waited for.
    async fn resolved(&self, references: Missing) -> Result<(Fields, Missing), StoreError> {
        let (mut values, mut missing) = (Fields::new(), Missing::new());
        for (field, (remote, id)) in references {
            match self.referred(&remote, &id).await? {
                Some(record) => drop(values.insert(field, Value::String(record.to_string()))),
                None if self.slots.contains_key(&remote) => drop(missing.insert(field, (remote, id))),
                None => {}
            }
        }
        Ok((values, missing))
    }

    /// Whether the record, as it is or would be, is one of those that are shared.
    async fn is_wanted(&self, values: &Fields, shadow: Option<&Shadow>) -> Result<bool, StoreError> {
        let mut fields = Fields::new();
        if let Some(record) = shadow.and_then(|shadow| shadow.record) {
            let ids = [record];
            let records = self.world.store.records_of(&self.connection.business, &self.lane.share.ty, &ids).await?;
            fields.extend(records.into_iter().flatten().flat_map(|record| record.state.fields.clone()));
        }
        for (field, value) in values {
            if value.is_null() {
                fields.remove(field);
            } else {
                fields.insert(field.clone(), value.clone());
            }
        }
        Ok(self.lane.holds(&fields))
    }

    /// The record that an object of another share of the connection is.
    async fn referred(&self, remote: &str, id: &str) -> Result<Option<RecordId>, StoreError> {
        let Some((ty, slot)) = self.slots.get(remote) else { return Ok(None) };
        let key = ExternalKey {
            provider: self.connection.provider.clone(),
            realm: self.connection.realm.clone(),
            object: slot.clone().unwrap_or_else(|| ty.as_str().to_owned()),
            id: id.to_owned(),
        };
        Ok(self.world.store.holder(&self.connection.business, &key).await?.map(|holder| holder.id))
    }

    fn line(&self, object: &Object, values: Fields, asked_at: Timestamp, intake: Intake) -> Line {
        let take = Take {
            object: self.lane.shadow_key(&object.id),
            external_id: self.lane.external(&object.id),
            seen: Seen { values, version: object.version.clone(), asked_at },
            matching: self.lane.matching.clone(),
            intake,
        };
        let subject = Subject::Object(object.id.clone());
        Line { command: self.command(Action::Take(Box::new(take))), subject, counts_as: None, flaw: None }
    }

    /// An object that is gone there: what was known of it says so from now on.
    fn gone(&self, id: &str, shadow: Option<&Shadow>) -> Option<Line> {
        let record = shadow?.record?;
        Some(self.kept(record, id, None, ShadowState::AbsentThere))
    }

    /// A line that keeps what is known of a record's object, and changes no value.
    pub(crate) fn kept(&self, record: RecordId, id: &str, values: Option<Fields>, state: ShadowState) -> Line {
        let pushed =
            Pushed { record, object: self.lane.shadow_key(id), external_id: self.lane.external(id), values, state };
        let command = self.command(Action::Pushed(Box::new(pushed)));
        Line { command, subject: Subject::Record(record), counts_as: Some(Taken::Skipped), flaw: None }
    }

    /// A command of the share.
    pub(crate) fn command(&self, action: Action) -> Command {
        let share = &self.lane.share;
        let is_whole = |run: &&Run| matches!(run.kind, RunKind::Baseline | RunKind::Full);
        Command {
            business: share.business.clone(),
            at: self.world.clock.now(),
            origin: Origin::Share {
                id: share.id,
                connection: share.connection,
                provider: self.connection.provider.clone(),
                is_history: self.run.is_some_and(|run| run.kind == RunKind::Baseline),
            },
            reach: Arc::new(Reach::everything()),
            ty: share.ty.clone(),
            action,
            if_match: None,
            idempotency: None,
            fresh: fresh(self.world.ids.as_ref()),
            tell: Arc::default(),
            upload: self.run.filter(is_whole).map(Run::operation),
            bytes: OBJECT_BYTES,
        }
    }

    /// A line whose problem is another than the rule's own.
    pub(crate) fn failed(&self, subject: &Subject, reason: Rejection) -> lockstep_core::problem::Problem {
        let now = self.world.clock.now();
        lockstep_core::problem::Problem::of(&self.connection.business, self.lane.share.id, subject, reason, now)
    }
}
