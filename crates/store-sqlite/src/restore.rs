//! Restoring: a snapshot made the store of an empty folder, every log in a new epoch.
//!
//! The file is written under another name, examined, migrated and given its new epoch there; only then it gets the
//! name under which a server would find it. So a restore that breaks off leaves a folder without a store.

use crate::epoch;
use crate::fault::OrFault;
use crate::load::{Known, Loader};
use crate::open::{self, Files};
use crate::write::{Brought, Writing};
use lockstep_core::clock::Timestamp;
use lockstep_core::ids::BusinessId;
use lockstep_core::position::Position;
use lockstep_store::StoreError;
use lockstep_store::settings::Control;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const LOCK: &str = "lockstep.lock";

/// A folder on its way to be a store's. What was put in it goes again unless it is finished.
pub struct Restoring {
    files: Files,
    part: PathBuf,
    was_there: bool,
    is_finished: bool,
    _lock: File,
}

impl Restoring {
    /// Takes a folder that is empty or not there.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] where something is in it, [`StoreError::InUse`] where another has taken it.
    pub fn begin(folder: &Path) -> Result<Self, StoreError> {
        let was_there = folder.exists();
        if was_there {
            let unreadable = |error: std::io::Error| StoreError::Unusable(format!("{}: {error}", folder.display()));
            for entry in std::fs::read_dir(folder).map_err(unreadable)? {
                let name = entry.map_err(unreadable)?.file_name();
                if name != LOCK {
                    return Err(StoreError::Unusable(format!(
                        "{} is not empty: it holds {}; name a folder that is empty or not there yet",
                        folder.display(),
                        name.to_string_lossy()
                    )));
                }
            }
        }
        let lock = open::take(folder)?;
        let part = folder.join("lockstep.db.part");
        Ok(Self { files: Files::of(folder), part, was_there, is_finished: false, _lock: lock })
    }

    /// The file that the snapshot is to be written into.
    ///
    /// # Errors
    /// [`StoreError::Unusable`].
    pub fn file(&self) -> Result<File, StoreError> {
        let made = File::options().write(true).create_new(true).mode(0o600).open(&self.part);
        made.map_err(|error| StoreError::Unusable(format!("{}: {error}", self.part.display())))
    }

    /// Examines what was written, gives every log its next epoch, commits the control, and makes it the folder's
    /// store. Gives where each log now stands.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Newer`], or what the disk said; the folder is then as it was.
    pub fn finish(mut self, now: Timestamp, control: &Control) -> Result<Vec<(BusinessId, Position)>, StoreError> {
        let heads = self.prepare(now, control)?;
        let failed = |error: std::io::Error| StoreError::Failed(format!("{}: {error}", self.part.display()));
        File::open(&self.part).and_then(|file| file.sync_all()).map_err(failed)?;
        std::fs::rename(&self.part, &self.files.main).map_err(failed)?;
        File::open(&self.files.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        self.is_finished = true;
        Ok(heads)
    }

    fn prepare(&self, now: Timestamp, control: &Control) -> Result<Vec<(BusinessId, Position)>, StoreError> {
        let mut connection = open::part(&self.part)?;
        let faults = open::faults(&connection)?;
        if !faults.is_empty() {
            return Err(StoreError::Corrupt(format!("the backup's store is damaged: {}", faults.join("; "))));
        }
        let transaction = connection.transaction().or_fault()?;
        epoch::raise(&transaction, now)?;
        let (mut known, mut brought) = (Known::default(), Brought::default());
        let loader = Loader { connection: &transaction, known: &mut known };
        Writing { loader, brought: &mut brought }.control(control)?;
        let heads = epoch::heads(&transaction)?;
        transaction.commit().or_fault()?;
        connection.close().map_err(|(_, error)| crate::fault::fault(&error))?;
        Ok(heads)
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // What cannot be removed is in the way of the next try, which then says so.
        let journal = self.part.with_extension("part-journal");
        for path in [&self.part, &journal, &self.files.folder.join(LOCK)] {
            let _ = std::fs::remove_file(path);
        }
        if !self.was_there {
            let _ = std::fs::remove_dir(&self.files.folder);
        }
    }
}
