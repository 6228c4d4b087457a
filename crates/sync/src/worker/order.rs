//! Orders: what a worker is asked from outside, and the door they come through.

use super::Worker;
use crate::Halt;
use crate::control::Only;
use lockstep_connect::Class;
use lockstep_core::error::Code;
use lockstep_core::ids::{RecordId, RunId, ShareId};
use lockstep_core::limits;
use lockstep_core::run::{Run, RunKind, RunState};
use lockstep_core::work::{WorkKey, WorkKind, WorkPut, WorkRow};
use lockstep_engine::refusal::Refusal;
use lockstep_store::turn::Turn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// What a worker is asked.
pub(crate) enum Order {
    /// A hint has been committed.
    Hinted(WorkKey),
    /// Begin a run.
    Run(ShareId, RunKind, Option<Only>, oneshot::Sender<Result<Run, Refusal>>),
    /// Bring a run into another state.
    Turn(ShareId, RunId, RunState, oneshot::Sender<Result<Run, Refusal>>),
    /// Try again what could not be done.
    Replay(ShareId, Vec<Only>, oneshot::Sender<Result<(), Refusal>>),
}

/// The door of a worker.
#[derive(Default)]
pub(crate) struct Door {
    bell: Notify,
    is_closed: AtomicBool,
    /// Whether an order found no room.
    has_missed: AtomicBool,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
}

impl Door {
    /// The worker's side.
    pub(crate) fn enter(&self) -> mpsc::Receiver<Order> {
        let (sender, receiver) = mpsc::channel(limits::ORDERS_MAX);
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Gives an order; gives it back where nobody works, or too many wait.
    pub(crate) fn give(&self, order: Order) -> Option<Order> {
        let sender = self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let unheard = match sender {
            Some(sender) => sender.try_send(order).err().map(mpsc::error::TrySendError::into_inner),
            None => Some(order),
        };
        if unheard.is_some() {
            self.has_missed.store(true, Ordering::Release);
        }
        self.knock();
        unheard
    }

    /// There may be something to do.
    pub(crate) fn knock(&self) {
        self.bell.notify_one();
    }

    pub(crate) async fn knocked(&self) {
        self.bell.notified().await;
    }

    /// The worker is to end after its turn.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.knock();
    }

    /// Waits until the worker is to end, at most so long.
    pub(crate) async fn closed_within(&self, patience: Duration) {
        let closed = async {
            while !self.is_closed() {
                self.knocked().await;
            }
        };
        // Either is the end of waiting.
        let _ = tokio::time::timeout(patience, closed).await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

impl Worker {
    /// Takes the orders that have come.
    pub(super) async fn heed(&mut self) -> Result<bool, Halt> {
        let mut is_heard = self.door.has_missed.swap(false, Ordering::AcqRel);
        if is_heard {
            let shares: Vec<ShareId> = self.lanes.keys().copied().collect();
            for share in shares {
                self.read_rows(share, WorkKind::Hint).await?;
            }
        }
        while let Ok(order) = self.orders.try_recv() {
            is_heard = true;
            match order {
                Order::Hinted(key) => self.agenda.set(key, self.world.clock.now()),
                Order::Run(share, kind, None, reply) => {
                    let answer = self.ordered_run(share, kind).await?;
                    let _gone = reply.send(answer);
                }
                Order::Run(share, kind, Some(only), reply) => {
                    let answer = self.ordered_one(share, kind, only).await?;
                    let _gone = reply.send(answer);
                }
                Order::Turn(share, run, state, reply) => {
                    let answer = self.turned(share, run, state).await?;
                    let _gone = reply.send(answer);
                }
                Order::Replay(share, subjects, reply) => {
                    self.replay(share, subjects).await?;
                    let _gone = reply.send(Ok(()));
                }
            }
        }
        Ok(is_heard)
    }

    async fn ordered_run(&mut self, share: ShareId, kind: RunKind) -> Result<Result<Run, Refusal>, Halt> {
        let Some(lane) = self.lanes.get(&share) else { return Ok(Err(unfit(share))) };
        if let Some(run) = &lane.run {
            let text = format!("run {} of the share is under way: let it end, or cancel it", run.id);
            return Ok(Err(Refusal::new(Code::RunUnderWay, text)));
        }
        // Before its baseline has listed the remote, a share has nothing that less could go on from.
        let kind = if lane.progress.is_live { kind } else { RunKind::Baseline };
        self.begin(share, kind).await?;
        self.recovered(share).await?;
        let run = self.lanes.get(&share).and_then(|lane| lane.run.clone());
        Ok(run.ok_or_else(|| unfit(share)))
    }

    /// A run of one object or record: it is done at once.
    async fn ordered_one(&mut self, share: ShareId, kind: RunKind, only: Only) -> Result<Result<Run, Refusal>, Halt> {
        if !self.lanes.contains_key(&share) {
            return Ok(Err(unfit(share)));
        }
        let run = Run { state: RunState::Completed, ..self.new_run(share, kind) };
        let run = Run { ended_at: Some(run.started_at), stage: lockstep_core::run::Stage::Over, ..run };
        let id = run.id;
        let troubled = match only {
            Only::Object(object) => self.take_one(share, &object, run).await?,
            Only::Record(record) => self.push_one(share, record, run).await?,
        };
        if let Some(trouble) = troubled {
            let code = if trouble.class == Class::Gone { Code::NotFound } else { Code::ConnectionFailed };
            return Ok(Err(Refusal::new(code, trouble.failure.message)));
        }
        let puts = self.oldest_runs(share).await?;
        self.commit(Turn { puts, ..self.blank(share) }).await?;
        let row = self.world.store.work_row(&self.connection.business, &WorkKey::run(share, id)).await?;
        Ok(match row {
            Some(WorkRow::Run(run)) => Ok(run),
            _ => Err(unfit(share)),
        })
    }

    async fn turned(&mut self, share: ShareId, id: RunId, state: RunState) -> Result<Result<Run, Refusal>, Halt> {
        let run = self.lanes.get(&share).and_then(|lane| lane.run.clone()).filter(|run| run.id == id);
        let Some(run) = run else {
            return Ok(Err(Refusal::new(Code::NotFound, format!("run {id} is over"))));
        };
        self.listings.remove(&share);
        let next = Run { state, ..run };
        if next.is_open() {
            self.commit(Turn { run: Some(next.clone()), ..self.blank(share) }).await?;
        } else {
            let ended = Run { ended_at: Some(self.world.clock.now()), ..next.clone() };
            self.end_run(share, ended, |_progress| {}).await?;
        }
        Ok(Ok(next))
    }

    async fn replay(&mut self, share: ShareId, subjects: Vec<Only>) -> Result<(), Halt> {
        let now = self.world.clock.now();
        let sends_out = self.lanes.get(&share).is_some_and(|lane| lane.share.sends_out());
        let put = |only: Only| match only {
            Only::Object(id) => Some((WorkKey::hint(share, &id), WorkPut::Raise { at: now, shown: None })),
            Only::Record(record) => sends_out.then(|| asked_again(share, record, now)),
        };
        let puts: Vec<_> = subjects.into_iter().filter_map(put).collect();
        self.commit(Turn { puts, ..self.blank(share) }).await?;
        self.recovered(share).await
    }
}

fn asked_again(share: ShareId, record: RecordId, now: lockstep_core::clock::Timestamp) -> (WorkKey, WorkPut) {
    let waiting = lockstep_core::work::Waiting {
        // Nothing is made a second time because somebody is impatient, as far as one can look.
        why: lockstep_core::work::Why::Asked,
        since: now,
        attempt: 0,
        next_at: now,
        reason: lockstep_core::error::Rejection::new(Code::RemoteInDoubt, "it is tried again because somebody asked"),
    };
    (WorkKey::waiting(share, record), WorkPut::Row(WorkRow::Waiting(waiting)))
}

fn unfit(share: ShareId) -> Refusal {
    let text = format!("nothing can be done for share {share} now: its mapping or its type does not fit; look at it");
    Refusal::new(Code::ConnectionNotReady, text)
}
