//! Two ways to load a server: as fast as its answers come (closed loop), and by a timetable (open loop).
//!
//! Connections are spread over threads with a runtime of their own, half as many as there are processors: on two
//! cores a single-threaded generator costs least and leaves most to what is measured. Any answer but the expected
//! one ends the load as an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinSet;

use super::clock;
use super::link::{Sender, Target};
use super::machine;

/// What is asked over and over.
pub(crate) struct Errand {
    /// Where to.
    pub(crate) target: Target,
    /// The answer that counts.
    pub(crate) expected: StatusCode,
    /// The body of request `n`.
    pub(crate) body: Box<dyn Fn(u64) -> Bytes + Send + Sync>,
}

impl Errand {
    async fn post(&self, sender: &mut Sender, number: u64) -> anyhow::Result<()> {
        let (status, answer) = self.target.post(sender, (self.body)(number)).await?;
        ensure!(status == self.expected, self.target.refusal(status, &answer));
        Ok(())
    }
}

/// A closed loop under way: each connection asks again when it has its answer. Dropped, it stops.
pub(crate) struct ClosedLoop {
    state: Arc<State>,
    threads: JoinSet<anyhow::Result<()>>,
}

struct State {
    errand: Errand,
    is_stopped: AtomicBool,
    next: AtomicU64,
    limit: u64,
    answered: AtomicU64,
}

impl ClosedLoop {
    /// Starts `connections`, which together ask at most `limit` times.
    pub(crate) fn start(errand: Errand, connections: usize, limit: u64) -> Self {
        let (next, answered) = (AtomicU64::new(0), AtomicU64::new(0));
        let state = Arc::new(State { errand, is_stopped: AtomicBool::new(false), next, limit, answered });
        let mut threads = JoinSet::new();
        for share in shares(connections) {
            let state = Arc::clone(&state);
            threads.spawn_blocking(move || {
                on_own_runtime(all(share.map(move |_| Arc::clone(&state).ask_until_stopped())))
            });
        }
        Self { state, threads }
    }

    /// Expected answers until this moment.
    pub(crate) fn answered(&self) -> u64 {
        self.state.answered.load(Ordering::Relaxed)
    }

    /// Lets the limit be reached; how many answers came.
    pub(crate) async fn finish(mut self) -> anyhow::Result<u64> {
        while let Some(outcome) = self.threads.join_next().await {
            outcome??;
        }
        Ok(self.answered())
    }

    /// Stops asking, waits for the answers under way; how many came in all.
    pub(crate) async fn stop(self) -> anyhow::Result<u64> {
        self.state.is_stopped.store(true, Ordering::Relaxed);
        self.finish().await
    }
}

impl Drop for ClosedLoop {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::Relaxed);
    }
}

impl State {
    async fn ask_until_stopped(self: Arc<Self>) -> anyhow::Result<()> {
        let outcome = self.errand.target.connected(|sender| self.ask(sender)).await;
        if outcome.is_err() {
            self.is_stopped.store(true, Ordering::Relaxed);
        }
        outcome
    }

    async fn ask(&self, mut sender: Sender) -> anyhow::Result<()> {
        while !self.is_stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.limit {
                break;
            }
            self.errand.post(&mut sender, number).await?;
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What became of each request of a timetable, in nanoseconds since `origin`; 0 is not yet.
pub(crate) struct Marks {
    origin: Instant,
    marks: Vec<Mark>,
}

/// One request's moments.
#[derive(Default)]
pub(crate) struct Mark {
    /// Its turn came and it was sent.
    pub(crate) sent: AtomicU64,
    /// Its answer was read.
    pub(crate) answered: AtomicU64,
    /// Its delivery reached the sink.
    pub(crate) arrived: AtomicU64,
}

impl Marks {
    /// Room for `count` requests.
    pub(crate) fn new(count: usize) -> Self {
        Self { origin: clock::now(), marks: std::iter::repeat_with(Mark::default).take(count).collect() }
    }

    /// Writes this moment to one of the moments of request `number`; the first time stands.
    pub(crate) fn note(&self, number: u64, moment: impl Fn(&Mark) -> &AtomicU64) {
        let mark = usize::try_from(number).ok().and_then(|at| self.marks.get(at));
        if let Some(mark) = mark {
            let now = clock::nanoseconds_since(self.origin);
            moment(mark).compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).ok();
        }
    }

    /// The requests, in the order of the timetable.
    pub(crate) fn all(&self) -> &[Mark] {
        &self.marks
    }
}

/// Sends request n at n ÷ `rate_per_s` seconds from now, for all n that `marks` has room for.
///
/// The timer wakes once a millisecond, so what falls in one leaves together. A connection whose last answer is still
/// out when its turn comes sends late; with far more connections than requests under way that is rare.
pub(crate) async fn by_timetable(
    errand: Errand,
    connections: usize,
    rate_per_s: f64,
    marks: Arc<Marks>,
) -> anyhow::Result<()> {
    let errand = Arc::new(errand);
    // Connections are opened before the first is due.
    let start = clock::now() + Duration::from_millis(200);
    let mut threads = JoinSet::new();
    for share in shares(connections) {
        let (errand, marks) = (Arc::clone(&errand), Arc::clone(&marks));
        threads.spawn_blocking(move || {
            on_own_runtime(all(share.map(move |first| {
                let turns = Turns { first, step: connections, start, every: Duration::from_secs_f64(1.0 / rate_per_s) };
                turns.keep(Arc::clone(&errand), Arc::clone(&marks))
            })))
        });
    }
    while let Some(outcome) = threads.join_next().await {
        outcome??;
    }
    Ok(())
}

/// One connection's turns in the timetable.
struct Turns {
    first: usize,
    step: usize,
    start: Instant,
    every: Duration,
}

impl Turns {
    async fn keep(self, errand: Arc<Errand>, marks: Arc<Marks>) -> anyhow::Result<()> {
        let (errand, marks) = (&*errand, &*marks);
        let work = |mut sender: Sender| async move {
            for turn in (self.first..marks.all().len()).step_by(self.step) {
                let due = self.start + self.every.mul_f64(turn as f64);
                tokio::time::sleep_until(due.into()).await;
                let number = turn as u64;
                marks.note(number, |mark| &mark.sent);
                errand.post(&mut sender, number).await?;
                marks.note(number, |mark| &mark.answered);
            }
            Ok(())
        };
        errand.target.connected(work).await
    }
}

/// The numbers of the connections each thread of the generator keeps.
fn shares(connections: usize) -> impl Iterator<Item = std::iter::StepBy<std::ops::Range<usize>>> {
    let threads = (machine::cores() / 2).clamp(1, connections.max(1));
    (0..threads).map(move |first| (first..connections).step_by(threads))
}

/// Runs `tasks` side by side; the first error ends them all.
async fn all<F>(tasks: impl Iterator<Item = F>) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for task in tasks {
        running.spawn(task);
    }
    while let Some(outcome) = running.join_next().await {
        outcome??;
    }
    Ok(())
}

/// Runs `work` to its end on a single-threaded runtime made for it; called on a thread that may block.
pub(crate) fn on_own_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
