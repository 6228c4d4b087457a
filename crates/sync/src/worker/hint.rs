//! Hints: remote objects that are said to have changed. They are asked for, a few at a time, and taken in.

use super::Worker;
use crate::Halt;
use crate::intake::Shown;
use futures_util::StreamExt as _;
use lockstep_connect::{Class, Failure, FailureType, Object, Trouble};
use lockstep_core::clock::Timestamp;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::{ProblemId, ShareId};
use lockstep_core::problem::Subject;
use lockstep_core::rules::{recovery, retry};
use lockstep_core::run::{Run, RunKind};
use lockstep_core::shadow::is_newer;
use lockstep_core::work::{Hint, WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_store::turn::Turn;
use tokio::sync::OnceCell;

/// Hints worked on in one turn.
const HINTS: usize = 64;
/// How many objects are asked for at once.
const ASKED_AT_ONCE: usize = 8;
/// An object was asked for a little earlier than the clock says: what is written in the same millisecond is newer.
const CAUTION_MS: i64 = -1;

/// What asking for an object came to.
enum Asked {
    Shown(Object, Timestamp),
    Gone,
    Troubled(Trouble),
}

impl Worker {
    /// Takes up hints that are due, of one share.
    pub(super) async fn follow_hints(&mut self) -> Result<bool, Halt> {
        let Some((share, keys)) = self.due(WorkKind::Hint, HINTS) else { return Ok(false) };
        let mut hints = Vec::with_capacity(keys.len());
        for key in keys {
            match self.world.store.work_row(&self.connection.business, &key).await? {
                Some(WorkRow::Hint(hint)) => hints.push((key, hint)),
                _ => self.agenda.drop(&key),
            }
        }
        self.take_hinted(share, hints).await?;
        Ok(true)
    }

    async fn take_hinted(&mut self, share: ShareId, hints: Vec<(WorkKey, Hint)>) -> Result<(), Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let keys: Vec<_> = hints.iter().map(|(key, _)| lane.shadow_key(&key.about)).collect();
        let shadows = self.world.store.shadows(&self.connection.business, &keys).await?;
        let asking = hints.into_iter().zip(shadows).map(async |((key, hint), shadow)| {
            let shown = hint.shown.clone().and_then(|shown| serde_json::from_value::<Object>(shown).ok());
            let is_news = |object: &Object| {
                let known = shadow.as_ref().and_then(|shadow| shadow.version.as_deref());
                let is_first = shadow.is_none() && object.version.is_some();
                is_first || object.version.as_deref().is_some_and(|new| known.is_some_and(|known| is_newer(new, known)))
            };
            let asked = match shown.filter(is_news) {
                // The newest word of it came when it was raised.
                Some(object) => Asked::Shown(object, hint.next_at),
                None => self.ask(share, &key.about).await,
            };
            (key, hint, asked)
        });
        let asked: Vec<_> = futures_util::stream::iter(asking).buffered(ASKED_AT_ONCE).collect().await;
        self.enter_hinted(share, asked).await
    }

    async fn ask(&self, share: ShareId, id: &str) -> Asked {
        let Some(lane) = self.lanes.get(&share) else { return Asked::Gone };
        let asked_at = self.world.clock.now().plus_ms(CAUTION_MS);
        match self.link.fetch(&lane.share.object, &lane.share.options, id).await {
            Ok(Some(object)) => Asked::Shown(object, asked_at),
            Ok(None) => Asked::Gone,
            Err(trouble) => Asked::Troubled(trouble),
        }
    }

    async fn enter_hinted(&mut self, share: ShareId, asked: Vec<(WorkKey, Hint, Asked)>) -> Result<(), Halt> {
        let proof = OnceCell::new();
        let is_well = async || *proof.get_or_init(|| self.is_well()).await;
        let common = |asked: &Asked| match asked {
            Asked::Troubled(trouble) => matches!(trouble.class, Class::Down) || is_asked_to_wait(trouble),
            _ => false,
        };
        if asked.iter().all(|(_, _, asked)| common(asked))
            && let Some((_, _, Asked::Troubled(trouble))) = asked.first()
            && (is_asked_to_wait(trouble) || recovery::concerns_all(asked.len(), is_well().await))
        {
            return self.fail(share, trouble).await;
        }
        let Some(lane) = self.lanes.get(&share) else { return Ok(()) };
        let (mut objects, mut puts) = (Vec::new(), Vec::new());
        for (key, hint, asked) in asked {
            let settled = WorkPut::Settle { count: hint.count };
            match asked {
                Asked::Shown(object, asked_at) => {
                    objects.push(Shown { object, asked_at });
                    puts.push((key, settled));
                }
                Asked::Gone => {
                    objects.push(Shown { object: gone(&key.about), asked_at: self.world.clock.now() });
                    // What was wrong with it is nobody's matter any more.
                    let problem = ProblemId::of(share, &Subject::Object(key.about.clone()));
                    puts.push((WorkKey::problem(share, problem), WorkPut::Gone));
                    puts.push((key, settled));
                }
                Asked::Troubled(trouble) if trouble.class == Class::Auth && !is_well().await => {
                    return Err(Halt::Login(trouble.failure.message));
                }
                Asked::Troubled(trouble) => puts.extend(self.put_off(share, key, &hint, &trouble)),
            }
        }
        let taking = self.desk(lane, None).take(objects).await?;
        puts.extend(self.unresolved(share, taking.references));
        let turn = Turn { lines: taking.lines, puts, ..self.blank(share) };
        self.commit(turn).await?;
        self.recovered(share).await
    }

    /// An object that could not be asked for comes again later, or is a problem.
    fn put_off(&self, share: ShareId, key: WorkKey, hint: &Hint, trouble: &Trouble) -> Vec<(WorkKey, WorkPut)> {
        let attempt = hint.attempt + 1;
        let patience = retry::wait_after(attempt, self.world.ids.fraction());
        let is_lasting = match trouble.class {
            Class::Retry | Class::Unknown | Class::Down => false,
            // The account is well: it may not read this object, or its token ended in that moment.
            Class::Auth => attempt > recovery::FORBIDDEN_TRIES,
            Class::Permanent | Class::Ambiguous | Class::Duplicate | Class::Gone => true,
        };
        match patience.filter(|_| !is_lasting) {
            Some(patience) => {
                let wait = trouble.after.unwrap_or_default().max(patience);
                let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                let next_at = self.world.clock.now().plus_ms(ms);
                let hint = Hint { attempt, next_at, shown: None, version: None, ..hint.clone() };
                vec![(key, WorkPut::Row(WorkRow::Hint(hint)))]
            }
            None => {
                let reason = Rejection::new(Code::RemoteRefused, trouble.failure.message.clone());
                let subject = Subject::Object(key.about.clone());
                let now = self.world.clock.now();
                let problem =
                    lockstep_core::problem::Problem::of(&self.connection.business, share, &subject, reason, now);
                let place = WorkKey::problem(share, problem.id);
                vec![(key, WorkPut::Settle { count: hint.count }), (place, WorkPut::Row(WorkRow::Problem(problem)))]
            }
        }
    }

    /// Reads one object and takes it in, as a run of its own. Gives why it could not.
    pub(super) async fn take_one(&mut self, share: ShareId, id: &str, run: Run) -> Result<Option<Trouble>, Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(None) };
        let known = self.world.store.shadows(&self.connection.business, &[lane.shadow_key(id)]).await?;
        let is_known = known.iter().any(Option::is_some);
        let object = match self.ask(share, id).await {
            Asked::Shown(object, asked_at) => Shown { object, asked_at },
            Asked::Gone if !is_known => {
                let message = format!("there is no {} {id} there", lane.share.object);
                let failure = Failure { kind: FailureType::System, message };
                return Ok(Some(Trouble { class: Class::Gone, failure, after: None }));
            }
            Asked::Gone => Shown { object: gone(id), asked_at: self.world.clock.now() },
            Asked::Troubled(trouble) => return Ok(Some(trouble)),
        };
        let Some(lane) = self.lanes.get(&share) else { return Ok(None) };
        let asked = Run { kind: RunKind::Incremental, ..run.clone() };
        let taking = self.desk(lane, Some(&asked)).take(vec![object]).await?;
        let standing = lane.run.clone();
        let mut puts = self.unresolved(share, taking.references);
        puts.push((WorkKey::hint(share, id), WorkPut::Gone));
        self.commit(Turn { lines: taking.lines, puts, run: Some(run), ..self.blank(share) }).await?;
        if let Some(lane) = self.lanes.get_mut(&share) {
            lane.run = standing;
        }
        Ok(None)
    }
}

fn gone(id: &str) -> Object {
    Object { id: id.to_owned(), is_gone: true, tree: serde_json::Value::Null, version: None, changed_at: None }
}

/// Whether the platform asks for less, which no object is the cause of.
fn is_asked_to_wait(trouble: &Trouble) -> bool {
    trouble.class == Class::Retry && trouble.after.is_some()
}
