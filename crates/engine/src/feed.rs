//! The change feed: the readable face of a business's log, for readers that come and ask.
//!
//! ```text
//!  commit ──▶ Bells (one for each business with somebody waiting)
//!                │                                    ┌─▶ page: a poll, with `wait` a long one
//!                └─▶ Lens: types, kinds, fields, reach ┤
//!                                                     └─▶ Stream ◀── Class (a ring of encoded events, shared by all
//!                                                                    readers who see the same)
//! ```
//! A reader's place is the newest change examined, wanted or not, so a reader whom nothing concerns does not read the
//! same changes again. What a reader sees is decided anew whenever settings change: each page of the log carries the
//! version of the settings it was read under, and a lens ground under another version is ground again first. Nothing
//! waits for a reader: one that is slow reads pages of the store when it comes back.

mod lens;
mod stream;

pub use lens::{Lens, Wanted};
pub use stream::{Classes, Event, Stream};

use crate::World;
use crate::control::position;
use crate::principal::Principal;
use crate::refusal::Refusal;
use lockstep_core::change::Change;
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::ids::BusinessId;
use lockstep_core::limits;
use lockstep_core::position::Position;
use lockstep_store::ChangePage;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Wakes whoever waits at the head of a log.
#[derive(Debug, Default)]
pub struct Bells {
    by_business: Mutex<BTreeMap<BusinessId, watch::Sender<()>>>,
}

impl Bells {
    /// An ear for a business's bell. It hears what is rung from now on.
    #[must_use]
    pub fn listen(&self, business: &BusinessId) -> watch::Receiver<()> {
        let mut bells = self.by_business.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(business.clone()).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    fn ring(&self, is_meant: impl Fn(&BusinessId) -> bool) {
        let mut bells = self.by_business.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|_, bell| bell.receiver_count() > 0);
        for (_, bell) in bells.iter().filter(|(business, _)| is_meant(business)) {
            bell.send_replace(());
        }
    }
}

/// Rings the bells of businesses whose logs have grown, and all of them when settings have changed, until told to
/// stop.
pub async fn run(world: &World, mut stop: watch::Receiver<bool>) {
    let heads = world.store.heads();
    while !*stop.borrow() {
        tokio::select! {
            () = heads.moved() => {}
            _ = stop.changed() => {}
        }
        let moves = heads.take();
        world.bells.ring(|business| moves.has_settings || moves.businesses.contains(business));
    }
    // Whoever waits sees that it is over.
    world.bells.ring(|_| true);
}

/// What one answer of the feed holds.
#[derive(Debug)]
pub struct Page {
    /// Through what the changes are seen.
    pub lens: Arc<Lens>,
    /// Changes examined, oldest first; those not wanted are left out when they are seen through the lens.
    pub changes: Vec<Arc<Change>>,
    /// The newest change examined.
    pub after: Position,
    /// The newest seq there is.
    pub head: u64,
}

impl Page {
    /// The page as JSON, a [`lockstep_wire::feed::FeedPage`].
    ///
    /// # Errors
    /// `internal`, which is a bug.
    pub fn write(&self) -> Result<Vec<u8>, Refusal> {
        let mut text = b"{\"changes\":[".to_vec();
        let mut is_first = true;
        for change in &self.changes {
            let written = self.lens.entry(change, |entry| {
                if !std::mem::take(&mut is_first) {
                    text.push(b',');
                }
                serde_json::to_writer(&mut text, entry)
            });
            written.unwrap_or(Ok(())).map_err(|error| unwritten(&error))?;
        }
        let Self { after, head, .. } = self;
        let cursor = after.cursor(self.lens.business());
        text.extend_from_slice(format!("],\"after\":\"{cursor}\",\"seq\":{},\"head\":{head}}}", after.seq).as_bytes());
        Ok(text)
    }
}

fn unwritten(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(error = %error, "a change could not be written; this is a bug");
    Refusal::new(Code::Internal, "the feed could not be written: the server's log says why")
}

/// Where a reader goes on, as it says so: an opaque cursor, or a bare seq of the log as it is.
///
/// # Errors
/// `invalid_parameter`; `log_restored` for a place that the log does not have; `history_pruned` for one below which
/// changes are missing.
pub async fn place(world: &World, business: &BusinessId, after: Option<&str>) -> Result<Position, Refusal> {
    let head = world.store.head(business).await?;
    let Some(text) = after else {
        return Ok(Position { seq: world.store.floor(business).await?, ..head });
    };
    let position = match text.parse::<u64>() {
        Ok(seq) => Position { seq, ..head },
        Err(_) => Position::parse(text, business).map_err(|refused| {
            let text = format!("after: {}, or the seq of a change", refused.message);
            Rejection::new(Code::InvalidParameter, text)
        })?,
    };
    if position.epoch != head.epoch || position.seq > head.seq {
        let text = format!(
            "after is {}, which is no place in the log of {business}: it may have been restored from a backup since; \
             read the records again, and go on from the feed's newest `after`",
            shown(text)
        );
        return Err(Refusal::new(Code::LogRestored, text));
    }
    position::check_kept(world, business, position.seq.saturating_add(1)).await?;
    Ok(position)
}

/// A page of changes after a place, with the lens through which they are to be seen: at most `limit` that are wanted,
/// of a bounded number examined. With `wait`, a page without any is waited for so long to be other.
///
/// # Errors
/// What is wrong with the request or no longer allowed; what the store says.
pub async fn page(
    world: &World,
    principal: &Principal,
    business: &str,
    wanted: &Wanted,
    (after, limit, wait): (Option<&str>, usize, Duration),
) -> Result<Page, Refusal> {
    let mut lens = Lens::grind(world, principal, business, wanted)?;
    let mut place = place(world, lens.business(), after).await?;
    let mut bell = world.bells.listen(lens.business());
    let limit = limit.clamp(1, limits::FEED_PAGE_CHANGES_MAX);
    let waiting = tokio::time::sleep(wait);
    tokio::pin!(waiting);
    loop {
        let found = examined(world, &mut lens, principal, wanted, place, limit).await?;
        let (changes, head, seq) = found;
        place.seq = seq;
        let is_over = !changes.is_empty() || wait.is_zero() || waiting.is_elapsed();
        if is_over {
            return Ok(Page { lens, changes, after: place, head });
        }
        if place.seq < head {
            continue;
        }
        tokio::select! {
            () = &mut waiting => {}
            heard = bell.changed() => if heard.is_err() { bell = world.bells.listen(lens.business()) },
        }
        // A credential may have ended meanwhile; a floor that has risen past the place is told as one.
        principal.renewed(world)?;
        place = self::place(world, lens.business(), Some(&place.cursor(lens.business()))).await?;
    }
}

/// Changes after a place that the lens lets through, the head, and the newest seq examined.
async fn examined(
    world: &World,
    lens: &mut Arc<Lens>,
    principal: &Principal,
    wanted: &Wanted,
    place: Position,
    limit: usize,
) -> Result<(Vec<Arc<Change>>, u64, u64), Refusal> {
    let (mut changes, mut seq, mut looked) = (Vec::new(), place.seq, 0);
    loop {
        let page = read(world, lens, principal, wanted, seq).await?;
        let is_last = page.changes.len() < limits::PAGE_CHANGES_MAX;
        for change in page.changes {
            if changes.len() == limit {
                return Ok((changes, page.head, seq));
            }
            seq = change.seq;
            looked += 1;
            if lens.wants(&change) {
                changes.push(change);
            }
        }
        if changes.len() == limit || seq >= page.head || looked >= limits::FEED_EXAMINED_MAX || is_last {
            return Ok((changes, page.head, seq));
        }
    }
}

/// A page of the log, with a lens ground under the settings that the page was read under.
async fn read(
    world: &World,
    lens: &mut Arc<Lens>,
    principal: &Principal,
    wanted: &Wanted,
    after: u64,
) -> Result<ChangePage, Refusal> {
    loop {
        let page = unbroken(world, lens.business(), after, limits::PAGE_CHANGES_MAX).await?;
        if page.settings_version <= lens.settings_version() {
            return Ok(page);
        }
        world.settings.refresh(world.store.as_ref()).await?;
        let renewed = principal.renewed(world)?;
        *lens = Lens::grind(world, &renewed, lens.business().clone().as_str(), wanted)?;
    }
}

/// A page of the log that begins right after a place: a floor may rise past it while its reader is on the way.
///
/// # Errors
/// `history_pruned`, and what the store says.
async fn unbroken(world: &World, business: &BusinessId, after: u64, limit: usize) -> Result<ChangePage, Refusal> {
    let next = after.saturating_add(1);
    let page = world.store.changes(business, after, limit).await?;
    if page.changes.first().is_some_and(|first| first.seq != next) {
        position::check_kept(world, business, next).await?;
    }
    Ok(page)
}
