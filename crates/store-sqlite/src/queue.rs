//! What waits for the writer, bounded: at its limits new commits are refused before they cost anything.

use lockstep_core::ids::BusinessId;
use lockstep_core::limits;
use lockstep_store::prune::Prune;
use lockstep_store::settle::{Fence, Settle};
use lockstep_store::{Commit, Committed, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long the writer rests between looks at whether it must still refuse.
const REFUSING_LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One waiting commit.
pub(crate) struct Job {
    pub(crate) commit: Commit,
    pub(crate) reply: Reply<Committed>,
    bytes: usize,
    commands: usize,
    came: Instant,
}

/// Work that rides along with commits.
pub(crate) enum Rider {
    /// Cursors and the like.
    Settle(Settle, Reply<()>),
    /// A claim of the delivery work.
    Claim(String, Reply<Fence>),
    /// Dropping the old end of a log.
    Prune(Prune, Reply<u64>),
    /// Blanking the past of an erased record.
    Erase(Reply<bool>),
    /// Going on building indexes.
    Index(Reply<bool>),
    /// Forgetting what is over.
    Sweep(lockstep_core::clock::Timestamp, Reply<()>),
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Batches of uploads and of runs, by business; they go when the others have gone, a batch of each business in turn.
    bulk: BTreeMap<BusinessId, VecDeque<Job>>,
    bulk_turn: Option<BusinessId>,
    riders: Vec<Rider>,
    riders_since: Option<Instant>,
    commands: usize,
    bytes: usize,
    is_closing: bool,
    refusing: Option<StoreError>,
}

/// The queue between callers and the one writer.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

/// What the writer takes at once.
pub(crate) struct Taken {
    pub(crate) jobs: Vec<Job>,
    pub(crate) riders: Vec<Rider>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a commit.
    pub(crate) fn push(&self, commit: Commit, reply: Reply<Committed>) -> Result<(), StoreError> {
        let (commands, bytes) = (commit.work.commands().max(1), commit.work.bytes());
        let mut waiting = self.lock();
        waiting.admit(bytes)?;
        waiting.commands += commands;
        waiting.bytes += bytes;
        let bulk = commit.work.bulk_of().cloned();
        let job = Job { commit, reply, bytes, commands, came: now() };
        match bulk {
            Some(business) => waiting.bulk.entry(business).or_default().push_back(job),
            None => waiting.jobs.push_back(job),
        }
        drop(waiting);
        self.bell.notify_one();
        Ok(())
    }

    /// Queues work that rides along.
    pub(crate) fn ride(&self, rider: Rider) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.is_closing {
            return Err(StoreError::Closed);
        }
        // Claims and sweeps are waited for by a person or a start: they do not linger.
        let since = if matches!(rider, Rider::Settle(..)) { now() } else { now() - linger() };
        waiting.riders_since = Some(waiting.riders_since.map_or(since, |earlier| earlier.min(since)));
        waiting.riders.push(rider);
        drop(waiting);
        self.bell.notify_one();
        Ok(())
    }

    /// Takes all that waits, up to a commit's limits; waits for some. Riders alone wait a moment for company.
    /// Nothing at all, now and then, while commits are refused; none when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut waiting = self.lock();
        loop {
            if !waiting.jobs.is_empty() || !waiting.bulk.is_empty() {
                return Some(waiting.take());
            }
            match waiting.riders_since {
                Some(since) => {
                    let left = linger().saturating_sub(now().saturating_duration_since(since));
                    if left.is_zero() || waiting.is_closing {
                        return Some(waiting.take());
                    }
                    waiting = self.bell.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                None if waiting.is_closing => return None,
                // Whoever refuses must look again by itself: nothing else may come that would make it.
                None if waiting.refusing.is_some() => {
                    let (woken, waited) =
                        self.bell.wait_timeout(waiting, REFUSING_LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
                    waiting = woken;
                    if waited.timed_out() {
                        return Some(waiting.take());
                    }
                }
                None => waiting = self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes no more; what waits is finished.
    pub(crate) fn close(&self) {
        self.lock().is_closing = true;
        self.bell.notify_all();
    }

    /// Refuses commits until told otherwise; after a disk failed, for good.
    pub(crate) fn refuse(&self, why: Option<StoreError>) {
        let mut waiting = self.lock();
        if !matches!(waiting.refusing, Some(StoreError::Broken(_))) {
            waiting.refusing = why;
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// The disk's failure, if it has failed.
    pub(crate) fn broken(&self) -> Option<StoreError> {
        self.lock().refusing.clone().filter(|why| matches!(why, StoreError::Broken(_)))
    }

    /// How many commands wait, and why new ones are refused, if they are.
    pub(crate) fn state(&self) -> (usize, Option<String>) {
        let waiting = self.lock();
        (waiting.commands, waiting.refusing.as_ref().map(ToString::to_string))
    }
}

impl Waiting {
    fn admit(&self, bytes: usize) -> Result<(), StoreError> {
        if self.is_closing {
            return Err(StoreError::Closed);
        }
        if let Some(why) = &self.refusing {
            return Err(why.clone());
        }
        let age_ms = self.jobs.front().map_or(0, |job| now().saturating_duration_since(job.came).as_millis());
        let busy = |what: String| Err(StoreError::Busy(format!("{what}: try again in a moment")));
        if self.commands >= limits::WRITER_QUEUE_MAX {
            return busy(format!("{} commands wait to be written", self.commands));
        }
        if self.bytes + bytes > limits::WRITER_QUEUE_BYTES_MAX {
            return busy(format!("{} bytes wait to be written", self.bytes));
        }
        if age_ms > u128::from(limits::WRITER_QUEUE_AGE_MS_MAX) {
            return busy(format!("the oldest command has waited {age_ms} ms to be written"));
        }
        Ok(())
    }

    fn take(&mut self) -> Taken {
        let (mut commands, mut bytes, mut jobs) = (0, 0, Vec::new());
        while let Some(job) = self.jobs.front() {
            let is_full =
                commands + job.commands > limits::COMMIT_COMMANDS_MAX || bytes + job.bytes > limits::COMMIT_BYTES_MAX;
            if is_full && !jobs.is_empty() {
                break;
            }
            commands += job.commands;
            bytes += job.bytes;
            jobs.extend(self.jobs.pop_front());
        }
        // One batch of one upload, so that whoever waits for a single command waits for little more than that.
        if let Some(job) = self.next_bulk() {
            commands += job.commands;
            bytes += job.bytes;
            jobs.push(job);
        }
        self.commands -= commands;
        self.bytes -= bytes;
        self.riders_since = None;
        Taken { jobs, riders: std::mem::take(&mut self.riders) }
    }
}

impl Waiting {
    /// The oldest batch of the business whose turn it is.
    fn next_bulk(&mut self) -> Option<Job> {
        let after = self.bulk_turn.take();
        let later = after.and_then(|after| self.bulk.range((Excluded(after), Unbounded)).next());
        let business = later.or_else(|| self.bulk.iter().next()).map(|(business, _)| business.clone())?;
        let jobs = self.bulk.get_mut(&business)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.bulk.remove(&business);
        }
        self.bulk_turn = Some(business);
        job
    }
}

const fn linger() -> Duration {
    Duration::from_millis(limits::SETTLE_WAIT_MS)
}

#[expect(clippy::disallowed_methods, reason = "how long work waits is a matter of this process alone")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_store::Work;

    fn empty_commit() -> Commit {
        Commit { id: None, work: Work::Commands(Vec::new()) }
    }

    #[test]
    fn a_failed_disk_is_written_to_no_more() {
        let queue = Queue::default();
        queue.refuse(Some(StoreError::Broken("fsync".to_owned())));
        queue.refuse(None);
        let refused = queue.push(empty_commit(), oneshot::channel().0);
        assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
        assert!(queue.broken().is_some());
    }

    #[test]
    fn a_refusing_queue_gives_the_writer_an_empty_turn() {
        let queue = Queue::default();
        queue.refuse(Some(StoreError::DiskFull("no room".to_owned())));
        let refused = queue.push(empty_commit(), oneshot::channel().0);
        assert!(matches!(refused, Err(StoreError::DiskFull(_))), "{refused:?}");
        let taken = queue.take().expect("the queue is open");
        assert!(taken.jobs.is_empty() && taken.riders.is_empty(), "a turn in which the disk is looked at again");
        queue.refuse(None);
        queue.push(empty_commit(), oneshot::channel().0).unwrap();
        assert_eq!(queue.take().expect("the queue is open").jobs.len(), 1);
    }

    #[test]
    fn a_full_queue_refuses_and_a_closed_one_gives_out_the_rest() {
        let queue = Queue::default();
        let control = || Commit { id: None, work: control_of_nothing() };
        for _ in 0..limits::WRITER_QUEUE_MAX {
            queue.push(control(), oneshot::channel().0).unwrap();
        }
        let refused = queue.push(control(), oneshot::channel().0);
        assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
        queue.close();
        let refused = queue.push(control(), oneshot::channel().0);
        assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
        let turns: Vec<_> = std::iter::from_fn(|| queue.take()).map(|taken| taken.jobs.len()).collect();
        assert!(turns.iter().all(|jobs| *jobs <= limits::COMMIT_COMMANDS_MAX), "{turns:?}");
        assert_eq!(turns.iter().sum::<usize>(), limits::WRITER_QUEUE_MAX);
    }

    fn control_of_nothing() -> Work {
        Work::Control(Box::new(lockstep_store::contract::desk::control(Vec::new())))
    }
}
