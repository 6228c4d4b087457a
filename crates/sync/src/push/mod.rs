//! Records on their way out: looked at, written where they differ, and kept as they then stand.
//!
//! ```text
//! records + shadows ─▶ look up what is in doubt ─▶ decide ─▶ read back ─▶ Link::write ─▶ lines and rows of one turn
//! ```
//! Before a creation that must not be made twice an intent is committed; what a lost answer leaves is looked up before
//! anything is made again. This room gives a turn's content; who calls commits it, with how far it has come.

mod decide;
mod outcome;

pub(crate) use decide::{Ground, References, Verdict, decide};

use crate::Halt;
use crate::intake::Desk;
use crate::lane::Candidate;
use crate::reference::Waits;
use futures_util::StreamExt as _;
use lockstep_connect::{Class, Link, Object, Trouble, Write, Written};
use lockstep_core::Fields;
use lockstep_core::command::MatchGroup;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::external_id::ExternalId;
use lockstep_core::ids::RecordId;
use lockstep_core::kind::Kind;
use lockstep_core::problem::Subject;
use lockstep_core::record::Record;
use lockstep_core::rules::matching::{self, LookupKey};
use lockstep_core::rules::recovery;
use lockstep_core::run::Counts;
use lockstep_core::shadow::{Shadow, ShadowState};
use lockstep_core::work::{Waiting, Why, WorkKey, WorkPut, WorkRow};
use lockstep_store::turn::{Line, Turn};
use lockstep_store::{Commit, Work};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How many objects are asked for at once.
const ASKED_AT_ONCE: usize = 8;
/// How many other records are looked at that have a new object's values.
const RIVALS: usize = 16;
/// How long the platform may take to say that it is well.
const PROOF: Duration = Duration::from_secs(60);

/// Records on their way out.
pub(crate) struct Push<'a> {
    pub(crate) desk: Desk<'a>,
    pub(crate) link: &'a Link,
    pub(crate) ground: Ground,
    /// The rows of those that have waited.
    pub(crate) earlier: BTreeMap<RecordId, Waiting>,
    /// Whether many new objects may be handed over as one import.
    pub(crate) may_import: bool,
    /// Who waits for whom.
    pub(crate) waits: &'a Waits,
    /// Whether the account is well, once somebody has asked.
    pub(crate) proof: OnceCell<bool>,
}

/// What came of it: what a turn is to hold.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) lines: Vec<Line>,
    pub(crate) puts: Vec<(WorkKey, WorkPut)>,
    /// What became of those that have no line.
    pub(crate) counts: Counts,
    /// Why nothing could be done, where that concerns all of it: those that are left come again.
    pub(crate) trouble: Option<Trouble>,
    /// New objects that are to be imported.
    pub(crate) import: Vec<(Write, Fields)>,
}

impl Done {
    /// With what else came of it.
    pub(crate) fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.puts.extend(other.puts);
        self.counts = self.counts.plus(other.counts);
        self.trouble = self.trouble.take().or(other.trouble);
        self.import.extend(other.import);
    }
}

/// A write, and whose.
struct Errand {
    candidate: Candidate,
    write: Write,
    wanted: Fields,
    /// A record that it refers to and that has no object there yet: it is written without, and once more then.
    later: Option<RecordId>,
}

impl Push<'_> {
    /// Brings records to the platform.
    ///
    /// # Errors
    /// What the store says, or that somebody must log in.
    pub(crate) async fn run(&self, ids: &[RecordId]) -> Result<Done, Halt> {
        let mut done = Done::default();
        let mut candidates = self.candidates(ids).await?;
        self.look_up(&mut candidates, &mut done).await?;
        let references = self.references(&candidates).await?;
        let mut errands = Vec::new();
        let mut doubtful = Vec::new();
        for candidate in candidates {
            let referred = references.get(&candidate.id()).cloned().unwrap_or_default();
            match decide(self.desk.lane, &candidate, &referred, self.ground) {
                Verdict::ReadBack(id) => doubtful.push((candidate, referred, id)),
                verdict => self.settle(candidate, verdict, &mut errands, &mut done),
            }
        }
        self.read_back(doubtful, &mut errands, &mut done).await?;
        let errands = self.without_rivals(errands, &mut done).await?;
        if !errands.is_empty() && done.trouble.is_none() {
            self.write(errands, &mut done).await?;
        }
        Ok(done)
    }

    async fn candidates(&self, ids: &[RecordId]) -> Result<Vec<Candidate>, Halt> {
        let (store, business, lane) = (&self.desk.world.store, &self.desk.connection.business, self.desk.lane);
        let records = store.records_of(business, &lane.share.ty, ids).await?;
        let known: Vec<(_, Option<String>)> = records
            .into_iter()
            .flatten()
            .map(|record| {
                let object = lane.object_of(&record).map(str::to_owned);
                (record, object)
            })
            .collect();
        let keys: Vec<_> = known.iter().filter_map(|(_, object)| Some(lane.shadow_key(object.as_deref()?))).collect();
        let mut shadows = store.shadows(business, &keys).await?.into_iter();
        let candidate = |(record, object): (_, Option<String>)| {
            let shadow = if object.is_some() { shadows.next().flatten() } else { None };
            Candidate { record, object, shadow }
        };
        Ok(known.into_iter().map(candidate).collect())
    }

    /// Looks up objects that may have been made already.
    async fn look_up(&self, candidates: &mut Vec<Candidate>, done: &mut Done) -> Result<(), Halt> {
        let why = |candidate: &Candidate| self.earlier.get(&candidate.id()).map(|waiting| &waiting.why);
        let in_doubt = |candidate: &Candidate| {
            candidate.object.is_none()
                && self.desk.lane.is_live(&candidate.record)
                && matches!(why(candidate), Some(Why::InDoubt | Why::Asked))
        };
        if !candidates.iter().any(in_doubt) {
            return Ok(());
        }
        let (doubtful, sure): (Vec<_>, Vec<_>) = std::mem::take(candidates).into_iter().partition(in_doubt);
        *candidates = sure;
        for candidate in doubtful {
            if done.trouble.is_some() {
                // What is left comes again with whatever brought it here.
                self.unintend(candidate.id(), done);
                continue;
            }
            if !self.link.can_look_up(&self.desk.lane.share.object, &self.groups(&candidate)) {
                if why(&candidate) == Some(&Why::Asked) {
                    candidates.push(candidate);
                    continue;
                }
                let text = "it may have been made there or not, and the platform offers no way to look: look there, and \
                            give the record its external id, or replay this to have it made";
                self.doubt_record(candidate.id(), Rejection::new(Code::RemoteInDoubt, text), done);
                continue;
            }
            match self.find(&candidate).await {
                Ok(mut found) if found.len() <= 1 => candidates.push(self.known_as(candidate, found.pop())),
                Ok(found) => {
                    let ids: Vec<_> = found.iter().map(|object| object.id.as_str()).collect();
                    let text = format!("several objects there are like it: {}; merge them there", ids.join(", "));
                    self.doubt_record(candidate.id(), Rejection::new(Code::RemoteDuplicate, text), done);
                }
                // It may be there all the same.
                Err(trouble) if self.is_lasting(&candidate, &trouble).await => {
                    self.doubt_record(candidate.id(), outcome::told(&trouble), done);
                }
                Err(trouble) => self.troubled(&candidate, trouble, done).await?,
            }
        }
        Ok(())
    }

    /// By what a record is recognised there.
    fn groups(&self, candidate: &Candidate) -> Vec<Vec<(String, Value)>> {
        let lane = self.desk.lane;
        let wanted = lane.mapping.outward(&candidate.record.state.fields, &BTreeMap::new()).values;
        lane.matching.iter().filter_map(|group| lane.mapping.group(group, &wanted)).collect()
    }

    async fn find(&self, candidate: &Candidate) -> Result<Vec<Object>, Trouble> {
        let share = &self.desk.lane.share;
        self.link.find(&share.object, &share.options, &self.groups(candidate)).await
    }

    /// A candidate that was found there, or was not.
    fn known_as(&self, candidate: Candidate, found: Option<Object>) -> Candidate {
        let Some(found) = found else { return candidate };
        let shadow = Shadow {
            record: Some(candidate.id()),
            values: self.desk.lane.shown(found.tree),
            version: found.version,
            at: self.desk.world.clock.now(),
            state: ShadowState::Known,
        };
        Candidate { object: Some(found.id), shadow: Some(shadow), ..candidate }
    }

    /// Where the records stand that others refer to.
    async fn references(&self, candidates: &[Candidate]) -> Result<BTreeMap<RecordId, References>, Halt> {
        let mut found: BTreeMap<RecordId, References> = BTreeMap::new();
        for (field, remote) in self.desk.lane.mapping.referring() {
            let kind = self.desk.lane.shape.fields.get(field).map(|field| &field.kind);
            let (Some(Kind::Reference(_)), Some((ty, slot))) = (kind, self.desk.slots.get(remote)) else { continue };
            let mut wanted: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
            for candidate in candidates {
                let value = candidate.record.state.fields.get(field).and_then(Value::as_str);
                if let Some(target) = value.and_then(|text| text.parse().ok()) {
                    wanted.entry(target).or_default().push(candidate.id());
                }
            }
            let ids: Vec<RecordId> = wanted.keys().copied().collect();
            let records = self.desk.world.store.records_of(&self.desk.connection.business, ty, &ids).await?;
            let place = ExternalId {
                provider: self.desk.connection.provider.clone(),
                realm: self.desk.connection.realm.clone(),
                object: slot.clone(),
                id: String::new(),
            };
            for (target, record) in ids.into_iter().zip(records) {
                let there = record.and_then(|record| {
                    record.state.external_ids.iter().find(|held| held.has_slot_of(&place)).map(|held| held.id.clone())
                });
                for referring in wanted.remove(&target).unwrap_or_default() {
                    let entry = found.entry(referring).or_default();
                    match &there {
                        Some(id) => drop(entry.there.insert(field.to_owned(), id.clone())),
                        None if self.waits.is_circle(referring, target) => {
                            entry.circular.insert(field.to_owned(), target);
                        }
                        None => drop(entry.absent.insert(field.to_owned(), target)),
                    }
                }
            }
        }
        Ok(found)
    }

    /// Reads objects of which it is not known what they hold, and decides anew.
    async fn read_back(
        &self,
        doubtful: Vec<(Candidate, References, String)>,
        errands: &mut Vec<Errand>,
        done: &mut Done,
    ) -> Result<(), Halt> {
        let share = &self.desk.lane.share;
        if !self.link.can_fetch(&share.object) {
            // It is written whole: what it holds does not matter then.
            for (candidate, referred, _) in doubtful {
                let blank = Candidate { shadow: None, ..candidate };
                let ground = self.ground.read();
                let verdict = decide(self.desk.lane, &blank, &referred, ground);
                self.settle(blank, verdict, errands, done);
            }
            return Ok(());
        }
        let fetched = futures_util::stream::iter(doubtful.into_iter().map(async |(candidate, referred, id)| {
            let fetched = self.link.fetch(&share.object, &share.options, &id).await;
            (candidate, referred, id, fetched)
        }));
        let fetched: Vec<_> = fetched.buffered(ASKED_AT_ONCE).collect().await;
        for (candidate, referred, id, fetched) in fetched {
            match fetched {
                Ok(Some(object)) if !object.is_gone => {
                    let candidate = self.known_as(candidate, Some(object));
                    let ground = self.ground.read();
                    let verdict = decide(self.desk.lane, &candidate, &referred, ground);
                    if verdict == Verdict::Unchanged {
                        let values = candidate.shadow.map(|shadow| shadow.values);
                        let line = self.desk.kept(candidate.record.id, &id, values, ShadowState::Known);
                        self.keep(candidate.record.id, line, done);
                    } else {
                        self.settle(candidate, verdict, errands, done);
                    }
                }
                Ok(_gone) => {
                    let line = self.desk.kept(candidate.id(), &id, None, ShadowState::AbsentThere);
                    self.keep(candidate.id(), line, done);
                }
                Err(trouble) => self.troubled(&candidate, trouble, done).await?,
            }
        }
        Ok(())
    }

    /// Enters a verdict.
    fn settle(&self, candidate: Candidate, verdict: Verdict, errands: &mut Vec<Errand>, done: &mut Done) {
        match verdict {
            Verdict::Unchanged => {
                self.close(candidate.id(), done);
                done.counts.seen += 1;
                done.counts.unchanged += 1;
            }
            Verdict::Skipped => {
                self.close(candidate.id(), done);
                done.counts.seen += 1;
                done.counts.skipped += 1;
            }
            Verdict::Unlink(object) => {
                let line = self.desk.kept(candidate.id(), &object, None, ShadowState::LeftScope);
                self.keep(candidate.id(), line, done);
            }
            Verdict::Waits(record) => self.wait_for(candidate.id(), record, done),
            Verdict::Refused(reason) => self.refuse(&candidate, reason, done),
            Verdict::Write(write, wanted, later) => errands.push(Errand { candidate, write: *write, wanted, later }),
            // It was read back a moment ago.
            Verdict::ReadBack(_) => {}
        }
    }

    /// A record's line, with which nothing of it waits any more.
    fn keep(&self, record: RecordId, line: Line, done: &mut Done) {
        done.puts.push((WorkKey::waiting(self.desk.lane.share.id, record), WorkPut::Gone));
        done.lines.push(line);
    }

    /// Nothing of a record waits any more, and nothing is wrong with it.
    fn close(&self, record: RecordId, done: &mut Done) {
        let share = self.desk.lane.share.id;
        let problem = lockstep_core::ids::ProblemId::of(share, &Subject::Record(record));
        done.puts.push((WorkKey::waiting(share, record), WorkPut::Gone));
        done.puts.push((WorkKey::problem(share, problem), WorkPut::Gone));
    }

    /// Whether the platform answers and takes the credentials, apart from what was asked of single objects.
    async fn is_well(&self) -> bool {
        let proof = async { tokio::time::timeout(PROOF, self.link.proof()).await.is_ok_and(|proven| proven.is_ok()) };
        *self.proof.get_or_init(|| proof).await
    }

    /// Leaves out new objects of records that another record is recognised by as well: a platform that knows one object
    /// of them all would give its object to each in turn.
    async fn without_rivals(&self, errands: Vec<Errand>, done: &mut Done) -> Result<Vec<Errand>, Halt> {
        let (lane, business) = (self.desk.lane, &self.desk.connection.business);
        let keys = |errand: &Errand| {
            let fields = &errand.candidate.record.state.fields;
            let is_new = errand.write.id.is_none();
            let keys =
                lane.matching.iter().filter(|_| is_new).filter_map(|group| matching::key(&lane.shape, fields, group));
            keys.collect::<Vec<LookupKey>>()
        };
        let asked: Vec<Vec<LookupKey>> = errands.iter().map(keys).collect();
        if asked.iter().all(Vec::is_empty) {
            return Ok(errands);
        }
        let mut found = self.desk.world.store.lookups(business, &asked.concat(), RIVALS).await?.into_iter();
        let (mut kept, mut going) = (Vec::with_capacity(errands.len()), BTreeSet::new());
        for (errand, keys) in errands.into_iter().zip(&asked) {
            let id = errand.candidate.id();
            let like: BTreeSet<RecordId> =
                found.by_ref().take(keys.len()).flatten().filter(|other| *other != id).collect();
            let rival = if like.is_empty() { None } else { self.rival(&errand.candidate, like, &going).await? };
            match rival {
                None => {
                    going.insert(id);
                    kept.push(errand);
                }
                Some((other, true)) => {
                    let text = format!(
                        "record {other} has the same {}, and is known there: merge the two here, or give them different ones",
                        named(&lane.matching)
                    );
                    self.refuse(&errand.candidate, Rejection::new(Code::RemoteDuplicate, text), done);
                }
                Some((other, false)) => {
                    let text = format!("record {other} has the same {}, and goes first", named(&lane.matching));
                    let reason = Rejection::new(Code::RemoteDuplicate, text);
                    self.wait(&errand.candidate, Why::Retry, reason, None, done);
                }
            }
        }
        Ok(kept)
    }

    /// Of some records, one that is recognised by the same values, and whether it has an object there; one that has none
    /// counts where it is on its way, or is `going` now.
    async fn rival(
        &self,
        candidate: &Candidate,
        like: BTreeSet<RecordId>,
        going: &BTreeSet<RecordId>,
    ) -> Result<Option<(RecordId, bool)>, Halt> {
        let (lane, store, business) = (self.desk.lane, &self.desk.world.store, &self.desk.connection.business);
        let own = &candidate.record.state.fields;
        let like: Vec<RecordId> = like.into_iter().collect();
        let is_rival = |other: &Record| {
            let agrees = |group: &MatchGroup| matching::agree(&lane.shape, group, &other.state.fields, own);
            lane.is_live(other) && lane.matching.iter().any(agrees)
        };
        let others = store.records_of(business, &lane.share.ty, &like).await?;
        let others: Vec<Record> = others.into_iter().flatten().filter(is_rival).collect();
        if let Some(known) = others.iter().find(|other| lane.object_of(other).is_some()) {
            return Ok(Some((known.id, true)));
        }
        for other in others.iter().map(|other| other.id) {
            let row = store.work_row(business, &WorkKey::waiting(lane.share.id, other)).await?;
            let is_on_its_way = matches!(row, Some(WorkRow::Waiting(Waiting { why: Why::InDoubt, .. })));
            if is_on_its_way || going.contains(&other) {
                return Ok(Some((other, false)));
            }
        }
        Ok(None)
    }

    async fn write(&self, errands: Vec<Errand>, done: &mut Done) -> Result<(), Halt> {
        let share = &self.desk.lane.share;
        let (imported, errands) = self.imported(errands);
        done.import.extend(imported);
        if errands.is_empty() {
            return Ok(());
        }
        self.intend(&errands).await?;
        let writes = errands.iter().map(|errand| errand.write.clone()).collect();
        let written = self.link.write(&share.object, &share.options, writes).await;
        let is_down = |written: &Written| matches!(written, Written::Refused(trouble) if outcome::is_systemic(trouble));
        let is_throttled = written.iter().any(
            |written| matches!(written, Written::Refused(trouble) if trouble.class == Class::Retry && trouble.after.is_some()),
        );
        let is_all_down = written.iter().all(is_down)
            && (is_throttled || recovery::concerns_all(written.len(), self.is_well().await));
        for (errand, written) in errands.into_iter().zip(written) {
            match written {
                // It has waited by itself, and goes on doing so: else it would hold up all others for ever.
                Written::Refused(trouble)
                    if is_all_down
                        && !is_throttled
                        && self.earlier.contains_key(&errand.candidate.id())
                        && self.is_well().await =>
                {
                    self.refused(errand, trouble.clone(), done).await?;
                    done.trouble = Some(trouble);
                }
                Written::Refused(trouble) if is_all_down => {
                    // Nothing was done: those come again with whatever brought them here. What was done is kept.
                    self.unintend(errand.candidate.id(), done);
                    done.trouble = Some(trouble);
                }
                Written::Refused(trouble) if trouble.class == Class::Auth && !self.is_well().await => {
                    self.unintend(errand.candidate.id(), done);
                    done.trouble = Some(trouble);
                }
                Written::Refused(trouble) => self.refused(errand, trouble, done).await?,
                Written::Done { id, is_new, object } => self.written(errand, &id, is_new, object.as_ref(), done),
            }
        }
        Ok(())
    }

    /// New objects that are handed over as an import, and all else.
    fn imported(&self, errands: Vec<Errand>) -> (Vec<(Write, Fields)>, Vec<Errand>) {
        let is_new = |errand: &Errand| errand.write.id.is_none();
        let bulk = self.link.bulk(&self.desk.lane.share.object).filter(|_| self.may_import);
        if bulk.is_none_or(|bulk| errands.iter().filter(|errand| is_new(errand)).count() < bulk.from) {
            return (Vec::new(), errands);
        }
        let (new, standing): (Vec<_>, Vec<_>) = errands.into_iter().partition(is_new);
        (new.into_iter().map(|errand| (errand.write, errand.wanted)).collect(), standing)
    }

    /// Commits that objects may be made which must not be made twice.
    async fn intend(&self, errands: &[Errand]) -> Result<(), Halt> {
        let (share, now) = (&self.desk.lane.share, self.desk.world.clock.now());
        let settled = self.link.settle_after(&share.object);
        let is_once =
            |errand: &&Errand| errand.write.id.is_none() && !self.link.is_idempotent(&share.object, &errand.write);
        let intent = |errand: &Errand| {
            let waiting = Waiting {
                why: Why::InDoubt,
                since: self.earlier.get(&errand.candidate.id()).map_or(now, |waiting| waiting.since),
                attempt: self.earlier.get(&errand.candidate.id()).map_or(0, |waiting| waiting.attempt),
                next_at: now.plus_ms(i64::try_from(settled.as_millis()).unwrap_or(i64::MAX)),
                reason: Rejection::new(Code::RemoteInDoubt, "it is being made there"),
            };
            (WorkKey::waiting(share.id, errand.candidate.id()), WorkPut::Row(WorkRow::Waiting(waiting)))
        };
        let puts: Vec<_> = errands.iter().filter(is_once).map(intent).collect();
        if puts.is_empty() {
            return Ok(());
        }
        let turn = Turn { puts, ..Turn::of(share.business.clone(), share.id, now) };
        self.desk.world.store.commit(Commit { id: None, work: Work::Turn(Box::new(turn)) }).await?;
        Ok(())
    }

    /// A record's row stands as before it was looked at.
    fn unintend(&self, record: RecordId, done: &mut Done) {
        let key = WorkKey::waiting(self.desk.lane.share.id, record);
        let put = match self.earlier.get(&record) {
            Some(waiting) => WorkPut::Row(WorkRow::Waiting(waiting.clone())),
            None => WorkPut::Gone,
        };
        done.puts.push((key, put));
    }

    /// The objects of imports that were made, as lines.
    pub(crate) fn import_done(&self, sent: BTreeMap<RecordId, Fields>, written: Vec<(RecordId, Written)>) -> Done {
        let mut done = Done::default();
        let mut sent = sent;
        for (record, written) in written {
            let Some(wanted) = sent.remove(&record) else { continue };
            match written {
                Written::Done { id, is_new, object } => {
                    done.lines.push(self.line_written(record, &id, is_new, (None, wanted, object.as_ref())));
                }
                Written::Refused(trouble) => match trouble.class {
                    Class::Permanent | Class::Ambiguous => {
                        let reason = outcome::told(&trouble);
                        self.refuse_record(record, reason, &mut done);
                    }
                    class => {
                        self.wait_record(record, Why::InDoubt, outcome::told(&trouble), trouble.after, &mut done);
                        done.trouble = (class == Class::Auth).then_some(trouble).or(done.trouble);
                    }
                },
            }
        }
        done
    }
}

fn named(groups: &[MatchGroup]) -> String {
    groups.iter().map(|group| group.join("+")).collect::<Vec<_>>().join(" or ")
}

/// The records of changes, each once, in the order of their first.
pub(crate) fn distinct(ids: impl Iterator<Item = RecordId>) -> Vec<RecordId> {
    let mut seen = BTreeSet::new();
    ids.filter(|id| seen.insert(*id)).collect()
}
