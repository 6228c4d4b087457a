//! Opening: the folder, its lock, the files, their format.
//!
//! One process serves a folder: an advisory lock is held on `lockstep.lock` for as long as the store lives. A file
//! of a later format is refused and left as it is; an older one is migrated in one transaction.

use crate::fault::{OrFault, fault};
use lockstep_store::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Marks a file as ours ("`LckS`").
const APPLICATION_ID: i64 = 0x4c63_6b53;

/// A step from one format to the next: what is made, and what is filled in from what stood.
type Migration = (&'static str, fn(&Connection) -> Result<(), StoreError>);

const MAIN: &[Migration] = &[
    (include_str!("../migrations/0001_main.sql"), |_| Ok(())),
    (include_str!("../migrations/0002_bulk.sql"), crate::lookup::fill),
    (include_str!("../migrations/0003_rest.sql"), |_| Ok(())),
    (include_str!("../migrations/0004_shares.sql"), |_| Ok(())),
];
const ATTEMPTS: &[Migration] = &[(include_str!("../migrations/attempts_0001.sql"), |_| Ok(()))];

/// The files of one data folder.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) main: PathBuf,
    pub(crate) wal: PathBuf,
    pub(crate) attempts: PathBuf,
}

impl Files {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            main: folder.join("lockstep.db"),
            wal: folder.join("lockstep.db-wal"),
            attempts: folder.join("attempts.db"),
        }
    }
}

/// Makes the folder if need be and takes it for this process.
pub(crate) fn take(folder: &Path) -> Result<File, StoreError> {
    let unusable = |error: &std::io::Error| {
        StoreError::Unusable(format!("the data folder {} cannot be used: {error}", folder.display()))
    };
    // What stands in it is for its owner alone.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| unusable(&error))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lockstep.lock"))
        .map_err(|error| unusable(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(format!(
            "another process serves the data folder {}: stop it first, or name another folder with --data",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(&error)),
    }
}

/// Opens the main file for writing, migrated.
pub(crate) fn main(files: &Files) -> Result<Connection, StoreError> {
    let mut connection = connect(&files.main)?;
    check_format(&connection, MAIN)?;
    tune(&connection, "FULL", 32_000)?;
    forget_well(&connection)?;
    migrate(&mut connection, MAIN)?;
    Ok(connection)
}

/// What is deleted or replaced is overwritten, so that what was erased does not stand in the file's free parts.
fn forget_well(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "secure_delete", true).or_fault()
}

/// Opens a main file that is not in its place yet, migrated, without a log beside it.
pub(crate) fn part(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = connect(path)?;
    check_format(&connection, MAIN)?;
    connection.pragma_update(None, "journal_mode", "DELETE").or_fault()?;
    connection.pragma_update(None, "synchronous", "FULL").or_fault()?;
    migrate(&mut connection, MAIN)?;
    Ok(connection)
}

/// Opens the main file for a checkpointer.
pub(crate) fn checkpointer(files: &Files) -> Result<Connection, StoreError> {
    let connection = connect(&files.main)?;
    tune(&connection, "FULL", 1_000)?;
    Ok(connection)
}

/// Opens the main file for reading.
pub(crate) fn reader(files: &Files) -> Result<Connection, StoreError> {
    let connection = connect(&files.main)?;
    tune(&connection, "FULL", 8_000)?;
    connection.pragma_update(None, "query_only", true).or_fault()?;
    Ok(connection)
}

/// Opens the attempt log.
pub(crate) fn attempts(files: &Files) -> Result<Connection, StoreError> {
    let mut connection = connect(&files.attempts)?;
    check_format(&connection, ATTEMPTS)?;
    forget_well(&connection)?;
    tune(&connection, "NORMAL", 1_000)?;
    connection.pragma_update(None, "wal_autocheckpoint", 1_000).or_fault()?;
    migrate(&mut connection, ATTEMPTS)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| named(path, &fault(&error)))?;
    // The first read of the file: this is where one that is no database shows itself.
    let known: rusqlite::Result<i64> = connection.pragma_query_value(None, "schema_version", |row| row.get(0));
    known.map_err(|error| named(path, &fault(&error)))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn named(path: &Path, error: &StoreError) -> StoreError {
    let text = format!("{}: {error}", path.display());
    match error {
        StoreError::Corrupt(_) => StoreError::Corrupt(text),
        StoreError::Unusable(_) => StoreError::Unusable(text),
        StoreError::DiskFull(_) => StoreError::DiskFull(text),
        _ => StoreError::Failed(text),
    }
}

fn tune(connection: &Connection, synchronous: &str, cache_kib: i64) -> Result<(), StoreError> {
    let set = |name: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value).or_fault();
    set("busy_timeout", &5_000)?;
    set("journal_mode", &"WAL")?;
    set("synchronous", &synchronous)?;
    set("cache_size", &-cache_kib)?;
    set("temp_store", &"MEMORY")?;
    // The writer only appends; a thread of its own copies the log back.
    set("wal_autocheckpoint", &0)?;
    set("journal_size_limit", &(64 * 1024 * 1024))
}

/// The format of the file, if it is ours and not of a later one. Nothing is set before this, since some settings are
/// written into the file.
fn check_format(connection: &Connection, steps: &[Migration]) -> Result<i64, StoreError> {
    let pragma = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).or_fault()
    };
    let (found, owner) = (pragma(connection, "user_version")?, pragma(connection, "application_id")?);
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if owner != 0 && owner != APPLICATION_ID {
        return Err(StoreError::Corrupt("the file belongs to another program".to_owned()));
    }
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    Ok(found)
}

fn migrate(connection: &mut Connection, steps: &[Migration]) -> Result<(), StoreError> {
    let found = check_format(connection, steps)?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let transaction = connection.transaction().or_fault()?;
    for (sql, fill) in steps.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(sql).or_fault()?;
        fill(&transaction)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known).or_fault()?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).or_fault()?;
    }
    transaction.commit().or_fault()
}

/// What SQLite finds wrong with the main file; nothing, where it is well.
pub(crate) fn examine(files: &Files) -> Result<Vec<String>, StoreError> {
    let connection = connect(&files.main)?;
    faults(&connection)
}

/// What SQLite finds wrong with an open file.
pub(crate) fn faults(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut check = connection.prepare("PRAGMA quick_check").or_fault()?;
    let lines = check.query_map([], |row| row.get::<_, String>(0)).or_fault()?;
    let lines = lines.collect::<Result<Vec<_>, _>>().or_fault()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
