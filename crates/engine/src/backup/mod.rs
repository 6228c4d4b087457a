//! Backup: the whole store in one archive, streamed while the hub goes on.
//!
//! ```text
//!  Store::snapshot ─▶ digest ─▶ tar ─▶ zstd ─▶ pieces ─▶ whoever asked
//! ```
//! The copy is complete before the first piece leaves, so the manifest stands first and whoever receives it can check
//! everything that follows. Neither the sealing key nor the administrator's key is in it: they are not in the store.

pub mod archive;

use crate::World;
use crate::control;
use crate::principal::Principal;
use crate::refusal::Refusal;
use archive::{FORMAT, FileEntry, Head, Manifest, StoreEntry};
use bytes::Bytes;
use lockstep_core::error::Code;
use lockstep_core::limits;
use lockstep_store::snapshot::Snapshot;
use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Pieces of an archive as they are made; an error where making it broke off.
pub type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// Begins an archive of the store as it stands.
///
/// # Errors
/// `forbidden`, `busy` while another is being taken, `disk_full`, `store_failed`.
pub async fn begin(world: &World, principal: &Principal) -> Result<Pieces, Refusal> {
    principal.must_administer()?;
    control::note(world, principal, "backup.take", "store").await?;
    let snapshot = world.store.snapshot().await?;
    let created_at = world.clock.now().to_string();
    let (pieces, receiver) = mpsc::channel(limits::BACKUP_PIECES_MAX);
    let (reply, begun) = oneshot::channel();
    let runtime = Handle::current();
    let make = move || {
        let mut out = Outlet { pieces, runtime, gathered: Vec::with_capacity(PIECE_BYTES) };
        let made = manifest(&snapshot, created_at);
        let is_begun = reply.send(made.as_ref().map(|_| ()).map_err(ToString::to_string)).is_ok();
        let Some(manifest) = made.ok().filter(|_| is_begun) else { return };
        let Snapshot { file, place, .. } = snapshot;
        if let Err(error) = archive::write(&mut out, &manifest, vec![file]).and_then(|()| out.flush()) {
            tracing::warn!(error = %error, "a backup broke off");
            out.fail(error);
        }
        drop(place);
    };
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(error = %error, "a backup could not be begun");
        Refusal::new(Code::StoreFailed, "the backup could not be begun: the server's log says why")
    };
    std::thread::Builder::new().name("backup".to_owned()).spawn(make).map_err(|error| failed(&error))?;
    match begun.await {
        Ok(Ok(())) => Ok(receiver),
        Ok(Err(error)) => Err(failed(&error)),
        Err(gone) => Err(failed(&gone)),
    }
}

fn manifest(snapshot: &Snapshot, created_at: String) -> io::Result<Manifest> {
    let mut file = &snapshot.file;
    let (bytes, sha256) = archive::digest(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    let head = |(id, position): &(_, lockstep_core::position::Position)| Head {
        id: Clone::clone(id),
        epoch: position.epoch,
        seq: position.seq,
    };
    Ok(Manifest {
        format: FORMAT,
        lockstep: env!("CARGO_PKG_VERSION").to_owned(),
        created_at,
        store: StoreEntry { engine: "sqlite".to_owned(), format: snapshot.format },
        files: vec![FileEntry { name: snapshot.name.to_owned(), bytes, sha256 }],
        businesses: snapshot.heads.iter().map(head).collect(),
    })
}

/// Where the archive's bytes go: into pieces, as fast as they are taken.
struct Outlet {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
    gathered: Vec<u8>,
}

impl Outlet {
    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let patience = Duration::from_millis(limits::BACKUP_STALL_MS_MAX);
        // The patience is the runtime's to measure: this thread has no clock of its own.
        let sent = self.runtime.block_on(async { self.pieces.send_timeout(piece, patience).await });
        sent.map_err(|_refused| io::Error::other("whoever asked for it takes no more"))
    }

    fn fail(&self, error: io::Error) {
        // Who has gone needs no word of it.
        let _ = self.send(Err(error));
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE_BYTES));
        self.send(Ok(piece.into()))
    }
}
