//! The post room: follows each business's log and brings changes to endpoints, at least once and in order.
//!
//! ```text
//!  log ─▶ tail (one a business) ─▶ index ─▶ lane (one a subscription) ─▶ letter ─▶ post ─▶ egress
//!                                             ▲   │ parked · gate · notices
//!                                   own pages ┘   └─▶ settling ─▶ Store::settle
//! ```
//! A tail reads each change of its business once and asks the index who wants it. A lane holds a bounded number of
//! seqs; a full one leaves the tail, catches up by pages of its own and rejoins. Its cursor is the highest seq
//! below which all is settled, unwanted or parked; it is stored only while the lane owes something, so an idle
//! subscription costs neither a task nor a write.
//!
//! A letter is what the subscription's format makes of a change; a template that cannot tell it says so, and the
//! record is parked as if it had been refused. The post dresses a letter with the subscriber's headers, signs it and
//! proves who calls; tokens for that are fetched at their desk, one at a time.
//!
//! One record is on its way to one endpoint at a time, which is what keeps its changes in order. A record that an
//! endpoint refuses while others pass is *parked*: one row, later changes found along the record's chain. An
//! endpoint that refuses different records without a success between has its *gate* closed: nothing more is parked,
//! no attempt is used up, single probes go out until one arrives. Since when it is closed is a row, so that the
//! owner is warned and the subscription paused in time however often the hub is started.
//!
//! The whole room is one task on a runtime of its own. It awaits everything at once through one set of futures, so
//! there are no locks, and a world on simulated time runs it the same way each time.

mod addressee;
mod credential;
mod gate;
mod index;
mod lane;
mod letter;
mod owner;
mod post;
mod room;
mod settling;
mod tail;
mod template;
mod token;
mod walk;

use crate::World;
use crate::refusal::Refusal;
use lockstep_core::error::Code;
use lockstep_core::ids::SubscriptionId;
use lockstep_store::StoreError;
use lockstep_wire::subscription::{DeliveriesView, TestView};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

const ASKS_MAX: usize = 64;

/// What the room can be asked from outside.
enum Ask {
    Test(SubscriptionId, oneshot::Sender<TestView>),
    Standing(SubscriptionId, oneshot::Sender<DeliveriesView>),
    Lapse(SubscriptionId),
}

/// The door of the post room.
#[derive(Clone)]
pub struct PostRoom {
    asks: mpsc::Sender<Ask>,
}

/// The room's end of the door; whoever runs the room takes it.
pub struct Desk {
    asks: mpsc::Receiver<Ask>,
}

impl PostRoom {
    /// A door and the desk behind it.
    #[must_use]
    pub fn new() -> (Self, Desk) {
        let (sender, receiver) = mpsc::channel(ASKS_MAX);
        (Self { asks: sender }, Desk { asks: receiver })
    }

    /// Sends a sample to a subscription's endpoint by the path that deliveries take.
    ///
    /// # Errors
    /// `busy`, or `shutting_down`.
    pub async fn test(&self, subscription: SubscriptionId) -> Result<TestView, Refusal> {
        self.ask(|reply| Ask::Test(subscription, reply)).await
    }

    /// How a subscription's lane stands.
    ///
    /// # Errors
    /// `busy`, or `shutting_down`.
    pub async fn standing(&self, subscription: SubscriptionId) -> Result<DeliveriesView, Refusal> {
        self.ask(|reply| Ask::Standing(subscription, reply)).await
    }

    /// Asks that a subscription lapses that has fallen too far behind. One that the room has no time for is asked for
    /// again by the next sweep.
    pub(crate) fn lapse(&self, subscription: SubscriptionId) {
        if self.asks.try_send(Ask::Lapse(subscription)).is_err() {
            tracing::debug!(subscription.id = %subscription, "the post room is busy: it lapses later");
        }
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(ask(reply)).map_err(|_closed| Refusal {
            retry_after_s: Some(1),
            ..Refusal::new(Code::Busy, "the post room is busy: try again in a moment")
        })?;
        answer.await.map_err(|_closed| Refusal {
            retry_after_s: Some(1),
            ..Refusal::new(Code::ShuttingDown, "the post room is closing: try again in a moment")
        })
    }
}

/// Runs the room until told to stop; what is under way is given time to land, and what landed is settled.
///
/// # Errors
/// What the store said, if it could not even be read at the start; [`StoreError::Fenced`] if another took over.
pub async fn run(
    world: Arc<World>,
    desk: &mut Desk,
    stop: watch::Receiver<bool>,
    owner: &str,
) -> Result<(), StoreError> {
    room::Room::open(world, owner).await?.run(&mut desk.asks, stop).await
}
