//! The single writer: takes all that waits, decides and writes it in one transaction, and answers once that is
//! synced.
//!
//! A batch that fails, by a panic or a refused write, is rolled back and repeated one commit at a time, so only
//! the culprit fails. Nobody is answered before the transaction that holds their work has been synced (P1).

use crate::fault::OrFault;
use crate::load::{Known, Loader, take_lease};
use crate::open::Files;
use crate::queue::{Job, Queue, Rider, Taken};
use crate::recent::Recent;
use crate::snapshot::Snapshots;
use crate::write::{Brought, DELIVERY, Writing};
use crate::{erase, index, key, prune, sweep};
use lockstep_core::clock::Clock;
use lockstep_core::limits;
use lockstep_store::batch::{Sets, decide_all};
use lockstep_store::heads::Heads;
use lockstep_store::settle::Fence;
use lockstep_store::{Commit, Committed, StoreError, Work, codec};
use rusqlite::{Connection, OptionalExtension, params};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What the writer shares with those who ask.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) heads: Heads,
    pub(crate) recent: Recent,
    pub(crate) settings_version: AtomicU64,
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) disk_free: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) commands: AtomicU64,
    pub(crate) commit_us: AtomicU64,
    pub(crate) snapshots: Snapshots,
    /// Whether the log still holds pages from before an erasure.
    pub(crate) must_empty_log: AtomicBool,
}

/// The writer's own things.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) files: Files,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) known: Known,
    pub(crate) wal_bytes_max: u64,
}

type Answers = Vec<Result<Committed, StoreError>>;

/// An answer to a rider.
enum RiderAnswer {
    Settled(Result<(), StoreError>),
    Claimed(Result<Fence, StoreError>),
    Erased(Result<bool, StoreError>),
    Indexed(Result<bool, StoreError>),
    Pruned(Result<u64, StoreError>),
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(taken) = self.shared.queue.take() {
            self.turn(taken);
        }
        let emptied = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
        if let Err(error) = emptied {
            tracing::warn!(error = %error, "the log could not be copied back at closing; the next start does it");
        }
    }

    fn turn(&mut self, taken: Taken) {
        let Taken { jobs, riders } = taken;
        let started = instant();
        let (commits, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|Job { commit, reply, .. }| (commit, reply)).unzip();
        let done = match self.shared.queue.broken() {
            // What an earlier sync left on the disk is not known: nothing may build on it.
            Some(broken) => Err(broken),
            None => self.transact(&commits, &riders),
        };
        let (answers, rider_answers) = match done {
            Ok(done) => done,
            Err(error) if matches!(error, StoreError::DiskFull(_) | StoreError::Broken(_)) => {
                self.shared.queue.refuse(Some(error.clone()));
                (vec![Err(error.clone()); commits.len()], fail_riders(&riders, &error))
            }
            Err(_) => self.one_by_one(&commits, &riders),
        };
        let done = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        done(&self.shared.commits, 1);
        done(&self.shared.commit_us, u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who has hung up needs no answer; the work is done all the same.
            let _ = reply.send(answer);
        }
        for (rider, answer) in riders.into_iter().zip(rider_answers) {
            match (rider, answer) {
                (Rider::Settle(_, reply) | Rider::Sweep(_, reply), RiderAnswer::Settled(answer)) => {
                    let _ = reply.send(answer);
                }
                (Rider::Claim(_, reply), RiderAnswer::Claimed(answer)) => {
                    let _ = reply.send(answer);
                }
                (Rider::Prune(_, reply), RiderAnswer::Pruned(answer)) => {
                    let _ = reply.send(answer);
                }
                (Rider::Erase(reply), RiderAnswer::Erased(answer))
                | (Rider::Index(reply), RiderAnswer::Indexed(answer)) => {
                    let _ = reply.send(answer);
                }
                _ => {}
            }
        }
        self.look_after_disk();
    }

    /// Each commit and rider in a transaction of its own, after they failed together.
    fn one_by_one(&mut self, commits: &[Commit], riders: &[Rider]) -> (Answers, Vec<RiderAnswer>) {
        let mut answers = Vec::with_capacity(commits.len());
        for commit in commits {
            let alone = self.transact(std::slice::from_ref(commit), &[]);
            answers.push(match alone {
                Ok((mut answers, _)) => answers.pop().unwrap_or(Err(StoreError::Closed)),
                Err(error) => Err(error),
            });
        }
        let mut rider_answers = Vec::with_capacity(riders.len());
        for rider in riders {
            let alone = self.transact(&[], std::slice::from_ref(rider));
            rider_answers.extend(match alone {
                Ok((_, answers)) => answers,
                Err(error) => fail_riders(std::slice::from_ref(rider), &error),
            });
        }
        (answers, rider_answers)
    }

    /// One transaction; synced when this returns well. A commit that is refused by what it believed does not spoil
    /// the others: it is undone by its savepoint.
    fn transact(&mut self, commits: &[Commit], riders: &[Rider]) -> Result<(Answers, Vec<RiderAnswer>), StoreError> {
        let Self { connection, clock, shared, known, .. } = self;
        let mut brought = Brought::default();
        let worked = catch_unwind(AssertUnwindSafe(|| {
            let transaction =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).or_fault()?;
            let loader = Loader { connection: &transaction, known };
            let mut turn = Turn { writing: Writing { loader, brought: &mut brought }, now: clock.now() };
            let answers = turn.commits(commits)?;
            let rider_answers = riders.iter().map(|rider| turn.rider(rider)).collect::<Result<Vec<_>, _>>()?;
            let version = crate::load::settings_version(&transaction)?;
            transaction.commit().or_fault()?;
            Ok((answers, rider_answers, version))
        }));
        let worked = worked.unwrap_or_else(|_| Err(StoreError::Failed("a rule panicked; this is a bug".to_owned())));
        let Ok((answers, rider_answers, version)) = worked else {
            known.clear();
            return worked.map(|(answers, rider_answers, _)| (answers, rider_answers));
        };
        shared.settings_version.store(version, Ordering::Release);
        let commands: usize = commits.iter().map(|commit| commit.work.commands()).sum();
        shared.commands.fetch_add(commands as u64, Ordering::Relaxed);
        for (business, changes) in &brought.changes {
            shared.recent.add(business, changes);
        }
        for (business, record) in &brought.erased {
            shared.recent.blank(business, *record);
        }
        for (business, floor) in &brought.floors {
            shared.recent.prune(business, *floor);
        }
        if brought.has_blanked {
            shared.must_empty_log.store(true, Ordering::Relaxed);
        }
        shared.heads.publish(&brought.moves);
        Ok((answers, rider_answers))
    }

    /// Refuses commits while the disk is nearly full, and empties the log when it has grown past its bound.
    fn look_after_disk(&mut self) {
        let wal = std::fs::metadata(&self.files.wal).map_or(0, |file| file.len());
        self.shared.wal_bytes.store(wal, Ordering::Relaxed);
        // What was erased stands in the log until that is emptied.
        let must_empty = self.shared.must_empty_log.load(Ordering::Relaxed);
        // A snapshot reads the log: emptying it would wait for its end, and commits with it.
        if (wal > self.wal_bytes_max || must_empty) && !self.shared.snapshots.is_copying() {
            let mut is_busy = true;
            let emptied = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |row| {
                is_busy = row.get::<_, i64>(0)? != 0;
                Ok(())
            });
            if let Err(error) = emptied {
                tracing::warn!(wal.bytes = wal, error = %error, "the log could not be emptied");
            } else if !is_busy {
                self.shared.must_empty_log.store(false, Ordering::Relaxed);
            }
        }
        let turns = self.shared.commits.load(Ordering::Relaxed);
        if turns.is_multiple_of(64) || self.shared.queue.state().1.is_some() {
            self.shared.queue.refuse(floor(&self.files, &self.shared.disk_free));
        }
    }
}

/// Why commits must be refused for want of room, if they must.
pub(crate) fn floor(files: &Files, disk_free: &AtomicU64) -> Option<StoreError> {
    let stat = rustix::fs::statvfs(&files.folder).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    disk_free.store(free, Ordering::Relaxed);
    (free < limits::DISK_FREE_BYTES_MIN).then(|| {
        StoreError::DiskFull(format!(
            "{free} bytes are free at {}, and at least {} must be: free some, and writing goes on by itself",
            files.folder.display(),
            limits::DISK_FREE_BYTES_MIN
        ))
    })
}

fn fail_riders(riders: &[Rider], error: &StoreError) -> Vec<RiderAnswer> {
    let fail = |rider: &Rider| match rider {
        Rider::Settle(..) | Rider::Sweep(..) => RiderAnswer::Settled(Err(error.clone())),
        Rider::Claim(..) => RiderAnswer::Claimed(Err(error.clone())),
        Rider::Erase(..) => RiderAnswer::Erased(Err(error.clone())),
        Rider::Index(..) => RiderAnswer::Indexed(Err(error.clone())),
        Rider::Prune(..) => RiderAnswer::Pruned(Err(error.clone())),
    };
    riders.iter().map(fail).collect()
}

/// One transaction's work.
struct Turn<'a> {
    writing: Writing<'a>,
    now: lockstep_core::clock::Timestamp,
}

impl Turn<'_> {
    /// Commands of neighbouring commits share working sets; a control commit in between sees them written.
    fn commits(&mut self, commits: &[Commit]) -> Result<Answers, StoreError> {
        let (mut sets, mut answers) = (Sets::new(), Answers::new());
        for commit in commits {
            let earlier = commit.id.map(|id| self.named(id.0)).transpose()?.flatten();
            if let Some(earlier) = earlier {
                answers.push(Ok(earlier));
                continue;
            }
            let answer = match &commit.work {
                Work::Commands(commands) => {
                    let outcomes = decide_all(&mut self.writing.loader, &mut sets, commands)?;
                    Ok(Committed::Outcomes(outcomes))
                }
                Work::Turn(turn) => {
                    let outcomes = decide_all(&mut self.writing.loader, &mut sets, turn.commands())?;
                    self.writing.turn(turn, &outcomes)?;
                    Ok(Committed::Outcomes(outcomes))
                }
                Work::Control(control) => {
                    self.flush(&mut sets)?;
                    self.control(control)?
                }
                Work::Upload(batch) => {
                    let outcomes = decide_all(&mut self.writing.loader, &mut sets, batch.commands())?;
                    // The upload's end is told after its lines: they are written first.
                    self.flush(&mut sets)?;
                    Ok(self.writing.upload(batch, outcomes, self.now)?)
                }
            };
            if let (Some(id), Ok(committed)) = (commit.id, &answer) {
                self.name(id.0, committed)?;
            }
            answers.push(answer);
        }
        self.flush(&mut sets)?;
        Ok(answers)
    }

    fn flush(&mut self, sets: &mut Sets) -> Result<(), StoreError> {
        std::mem::take(sets).into_values().try_for_each(|set| self.writing.set(set))
    }

    /// The inner result is the caller's; the outer one is the transaction's.
    fn control(
        &mut self,
        control: &lockstep_store::settings::Control,
    ) -> Result<Result<Committed, StoreError>, StoreError> {
        let connection = self.writing.loader.connection;
        connection.execute_batch("SAVEPOINT control").or_fault()?;
        let answer = match self.writing.control(control) {
            Ok(version) => Ok(Committed::Settings(version)),
            Err(error @ (StoreError::Conflict(_) | StoreError::UnknownBusiness(_))) => {
                connection.execute_batch("ROLLBACK TO control").or_fault()?;
                self.writing.loader.known.clear();
                Err(error)
            }
            Err(error) => return Err(error),
        };
        connection.execute_batch("RELEASE control").or_fault()?;
        Ok(answer)
    }

    fn rider(&mut self, rider: &Rider) -> Result<RiderAnswer, StoreError> {
        let connection = self.writing.loader.connection;
        Ok(match rider {
            Rider::Settle(settle, _) => match self.writing.settle(settle) {
                Err(StoreError::Fenced) => RiderAnswer::Settled(Err(StoreError::Fenced)),
                other => RiderAnswer::Settled(Ok(other?)),
            },
            Rider::Claim(owner, _) => RiderAnswer::Claimed(Ok(Fence(take_lease(connection, DELIVERY, owner)?))),
            Rider::Prune(prune, _) => {
                let floor = prune::turn(connection, prune)?;
                self.writing.brought.floors.push((prune.business.clone(), floor));
                RiderAnswer::Pruned(Ok(floor))
            }
            Rider::Erase(_) => {
                self.writing.brought.has_blanked = true;
                RiderAnswer::Erased(Ok(erase::turn(connection)?))
            }
            Rider::Index(_) => RiderAnswer::Indexed(Ok(index::turn(&mut self.writing.loader)?)),
            Rider::Sweep(now, _) => RiderAnswer::Settled(Ok(sweep::main(connection, *now)?)),
        })
    }

    fn named(&self, id: u128) -> Result<Option<Committed>, StoreError> {
        let mut select =
            self.writing.loader.connection.prepare_cached("SELECT body FROM named_commit WHERE id = ?1").or_fault()?;
        let body: Option<Vec<u8>> = select.query_row([key::blob(id)], |row| row.get(0)).optional().or_fault()?;
        body.map(|body| codec::decode(&body)).transpose()
    }

    fn name(&self, id: u128, committed: &Committed) -> Result<(), StoreError> {
        let mut insert = self
            .writing
            .loader
            .connection
            .prepare_cached("INSERT INTO named_commit (id, at, body) VALUES (?1, ?2, ?3)")
            .or_fault()?;
        insert.execute(params![key::blob(id), self.now.0, codec::encode(committed)?]).or_fault()?;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a commit takes is a metric, not a fact of the data")]
fn instant() -> Instant {
    Instant::now()
}
