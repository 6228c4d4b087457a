//! Streams: readers that stay. All who see the same through their lenses share one class, whose newest events are
//! encoded once and handed to each as they are.

use super::lens::{Lens, Wanted};
use super::{place, unbroken, unwritten};
use crate::World;
use crate::principal::Principal;
use crate::refusal::Refusal;
use bytes::Bytes;
use lockstep_core::change::Change;
use lockstep_core::ids::BusinessId;
use lockstep_core::limits;
use lockstep_core::position::Position;
use lockstep_wire::feed::Heartbeat;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Events of changes after one place up to another, as text.
#[derive(Clone, Debug)]
struct Chunk {
    after: u64,
    to: u64,
    text: Bytes,
}

/// The newest chunks, without holes between them.
#[derive(Debug, Default)]
struct Ring {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

impl Ring {
    fn end(&self) -> Option<u64> {
        self.chunks.back().map(|chunk| chunk.to)
    }

    /// The chunk that begins where a reader stands.
    fn at(&self, after: u64) -> Option<&Chunk> {
        let index = self.chunks.partition_point(|chunk| chunk.after < after);
        self.chunks.get(index).filter(|chunk| chunk.after == after)
    }

    /// Where a reader that stands within the ring, but at no chunk's beginning, comes to one; also one before it.
    fn next_boundary(&self, after: u64) -> Option<u64> {
        let index = self.chunks.partition_point(|chunk| chunk.after <= after);
        self.chunks.get(index).map(|chunk| chunk.after).or_else(|| self.end()).filter(|boundary| *boundary > after)
    }

    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.text.len();
        self.chunks.push_back(chunk);
        while self.bytes > limits::FEED_RING_BYTES_MAX || self.chunks.len() > limits::FEED_RING_CHUNKS_MAX {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }
}

/// Readers who see the same.
#[derive(Debug)]
struct Class {
    /// The lens that they share, of the newest settings that one of them has looked under.
    lens: Mutex<Arc<Lens>>,
    /// Held while the ring is made longer, so that it is made so once.
    ring: tokio::sync::Mutex<Ring>,
}

type Key = (BusinessId, Wanted, String);

/// The classes that have readers, and how many of them may read the store at once.
#[derive(Debug)]
pub struct Classes {
    by_key: Mutex<BTreeMap<Key, Weak<Class>>>,
    reading: Semaphore,
}

impl Default for Classes {
    fn default() -> Self {
        Self { by_key: Mutex::default(), reading: Semaphore::new(limits::FEED_READS_MAX) }
    }
}

impl Classes {
    /// The class of those who see what this lens shows, and the lens that they share.
    fn join(&self, lens: Arc<Lens>) -> (Arc<Class>, Arc<Lens>) {
        let key = lens.key();
        let mut classes = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(class) = classes.get(&key).and_then(Weak::upgrade) else {
            classes.retain(|_, class| class.strong_count() > 0);
            let shared = Mutex::new(Arc::clone(&lens));
            let class = Arc::new(Class { lens: shared, ring: tokio::sync::Mutex::default() });
            classes.insert(key, Arc::downgrade(&class));
            return (class, lens);
        };
        let mut shared = class.lens.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.settings_version() != lens.settings_version() {
            *shared = lens;
        }
        let lens = Arc::clone(&shared);
        drop(shared);
        (class, lens)
    }
}

impl Classes {
    /// Lets go of all that is held encoded: of a record erased since, it may hold values.
    pub(crate) async fn forget(&self) {
        let all: Vec<_> = {
            let classes = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            classes.values().filter_map(Weak::upgrade).collect()
        };
        for class in all {
            *class.ring.lock().await = Ring::default();
        }
    }
}

/// One reader that stays.
pub struct Stream {
    world: Arc<World>,
    principal: Principal,
    wanted: Wanted,
    lens: Arc<Lens>,
    class: Arc<Class>,
    bell: watch::Receiver<()>,
    place: Position,
    stop: watch::Receiver<bool>,
    is_over: bool,
}

/// What a look at the log came to.
enum Found {
    /// Events.
    Chunk(Chunk),
    /// The log has no more.
    Nothing,
    /// Settings have changed: the reader looks again at what it may see.
    Renew,
}

/// What comes next on a stream.
#[derive(Debug)]
pub enum Event {
    /// Text of events.
    Text(Bytes),
    /// The last: why the stream ends.
    End(Refusal),
}

impl Stream {
    /// A reader after a place; without one, at the newest change.
    ///
    /// # Errors
    /// What is wrong with the request or not allowed; what the store says.
    pub async fn open(
        world: Arc<World>,
        principal: Principal,
        business: &str,
        wanted: Wanted,
        (after, stop): (Option<&str>, watch::Receiver<bool>),
    ) -> Result<Self, Refusal> {
        let lens = Lens::grind(&world, &principal, business, &wanted)?;
        let place = match after {
            Some(after) => place(&world, lens.business(), Some(after)).await?,
            None => world.store.head(lens.business()).await?,
        };
        let (class, lens) = world.classes.join(lens);
        let bell = world.bells.listen(lens.business());
        Ok(Self { world, principal, wanted, lens, class, bell, place, stop, is_over: false })
    }

    /// What comes next; a heartbeat where nothing does for a while, nothing when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        if self.is_over || *self.stop.borrow() {
            return None;
        }
        match self.found().await {
            Ok(text) => Some(Event::Text(text)),
            Err(None) => None,
            Err(Some(refusal)) => {
                self.is_over = true;
                Some(Event::End(refusal))
            }
        }
    }

    async fn found(&mut self) -> Result<Bytes, Option<Refusal>> {
        let beat = Instant::now() + Duration::from_millis(limits::FEED_HEARTBEAT_MS);
        loop {
            // What is rung while the log is looked at is heard after it.
            self.bell.borrow_and_update();
            self.renew()?;
            // Apart, so that a reader that waits does not carry the room for reading.
            match Box::pin(self.step()).await? {
                Found::Chunk(chunk) => {
                    self.place.seq = chunk.to;
                    if !chunk.text.is_empty() {
                        return Ok(chunk.text);
                    }
                    continue;
                }
                Found::Renew => continue,
                Found::Nothing => {}
            }
            tokio::select! {
                heard = self.bell.changed() => if heard.is_err() { return Err(None) },
                _ = self.stop.changed() => return Err(None),
                () = tokio::time::sleep_until(beat) => return Ok(self.heartbeat()),
            }
        }
    }

    /// Looks again at what the reader may see, where settings have changed; and whether its time is over, which nothing
    /// tells of.
    fn renew(&mut self) -> Result<(), Refusal> {
        self.principal = self.principal.renewed(&self.world)?;
        let version = self.world.settings.read(|settings| settings.version);
        if version == self.lens.settings_version() {
            return Ok(());
        }
        let lens = Lens::grind(&self.world, &self.principal, self.lens.business().as_str(), &self.wanted)?;
        (self.class, self.lens) = self.world.classes.join(lens);
        Ok(())
    }

    /// The next chunk for this reader, if the log has more.
    async fn step(&self) -> Result<Found, Refusal> {
        let after = self.place.seq;
        let mut ring = self.class.ring.lock().await;
        if let Some(chunk) = ring.at(after) {
            return Ok(Found::Chunk(chunk.clone()));
        }
        if let Some(boundary) = ring.next_boundary(after) {
            // Behind the ring, or within one of its chunks: a page of its own, up to where the ring takes over.
            drop(ring);
            return self.read(Some(boundary)).await;
        }
        if ring.end().is_some_and(|end| end < after) {
            // Ahead of a ring whose readers have not looked yet: it begins anew here, and they read pages up to it.
            *ring = Ring::default();
        }
        let found = self.read(None).await?;
        if let Found::Chunk(chunk) = &found {
            ring.push(chunk.clone());
        }
        Ok(found)
    }

    /// Reads and encodes a page after the reader's place, not beyond a boundary.
    async fn read(&self, boundary: Option<u64>) -> Result<Found, Refusal> {
        let after = self.place.seq;
        let _turn = self.world.classes.reading.acquire().await;
        let limit = boundary.map_or(u64::MAX, |boundary| boundary.saturating_sub(after));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(limits::PAGE_CHANGES_MAX);
        let page = unbroken(&self.world, self.lens.business(), after, limit).await?;
        if page.settings_version > self.lens.settings_version() {
            self.world.settings.refresh(self.world.store.as_ref()).await?;
            return Ok(Found::Renew);
        }
        let Some(last) = page.changes.last() else { return Ok(Found::Nothing) };
        let to = last.seq;
        let text = encoded(&self.lens, &page.changes, self.place.epoch)?;
        Ok(Found::Chunk(Chunk { after, to, text }))
    }

    fn heartbeat(&self) -> Bytes {
        let after = self.place.cursor(self.lens.business());
        let beat = Heartbeat { after: after.clone(), seq: self.place.seq };
        let data = serde_json::to_string(&beat).unwrap_or_default();
        format!("id: {after}\nevent: heartbeat\ndata: {data}\n\n").into()
    }
}

/// Server-sent events of those changes that the lens lets through.
fn encoded(lens: &Lens, changes: &[Arc<Change>], epoch: u32) -> Result<Bytes, Refusal> {
    let mut text = Vec::new();
    for change in changes {
        let written = lens.entry(change, |entry| {
            let cursor = Position { epoch, seq: change.seq }.cursor(lens.business());
            write!(text, "id: {cursor}\nevent: {}\ndata: ", entry.kind)?;
            serde_json::to_writer(&mut text, entry)?;
            text.write_all(b"\n\n")
        });
        written.unwrap_or(Ok(())).map_err(|error: std::io::Error| unwritten(&error))?;
    }
    Ok(text.into())
}
