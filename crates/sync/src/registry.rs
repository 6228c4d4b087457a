//! The connectors that this hub has: the ready-made ones, and those in a folder of the operator's.
//!
//! The folder holds a connector a folder, `NAME` or `NAME@VERSION`; without a version it is version 1, as the ready-made
//! ones are, and it goes before one of those of the same name. It is looked at again while the hub runs: what is put
//! there can be used at once, what was changed is read anew, and of one that no longer reads the last that did is kept.
//! A connection names a version and stays with it.

pub mod builtin;
mod folder;

use folder::{Folder, Stamp};
use lockstep_connect::{Connector, Files};
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_core::error::{Code, Rejection, shown};
use lockstep_core::limits;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The version of a connector that names none.
pub const FIRST_VERSION: &str = "1";

/// A connector, ready for use.
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether the hub brought it along.
    pub is_ready_made: bool,
    /// What it is.
    pub connector: Connector,
    /// Why what stands in its folder now is not what is used, where that is so.
    pub trouble: Option<String>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({}@{})", self.name, self.version)
    }
}

/// All of them.
pub struct Registry {
    ready_made: BTreeMap<Key, Arc<Known>>,
    folder: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    found: Mutex<Found>,
}

/// What stood in the folder when it was last looked at.
#[derive(Default)]
struct Found {
    looked_at: Option<Timestamp>,
    entries: BTreeMap<PathBuf, Entry>,
}

/// A connector's folder.
struct Entry {
    key: Key,
    stamp: Stamp,
    known: Option<Arc<Known>>,
    trouble: Option<String>,
}

/// A connector's name and version, in the order of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    version: String,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name).then_with(|| by_version(&self.version, &other.version))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Numbers between dots by their size, all else as text, so that 10 comes after 9.
fn by_version(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        text.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part.to_owned())).collect()
    };
    parts(one).cmp(&parts(other))
}

impl Registry {
    /// The ready-made connectors, and those in a folder.
    ///
    /// # Errors
    /// `settings_invalid`, where the folder cannot be listed; `connector_invalid`, where a ready-made one does not read.
    pub fn new(folder: Option<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, Rejection> {
        let mut ready_made = BTreeMap::new();
        for (name, manifest, sharing) in builtin::ALL {
            let key = Key { name: name.to_owned(), version: FIRST_VERSION.to_owned() };
            let connector = parse(name, manifest, Some(sharing), Arc::new(()))?;
            let known = Known {
                name: key.name.clone(),
                version: key.version.clone(),
                is_ready_made: true,
                connector,
                trouble: None,
            };
            ready_made.insert(key, Arc::new(known));
        }
        let registry = Self { ready_made, folder, clock, found: Mutex::default() };
        if let Some(folder) = &registry.folder {
            folder::list(folder)?;
        }
        Ok(registry)
    }

    /// A connector in the version that a connection stays with.
    ///
    /// # Errors
    /// `not_found`, naming those there are; `connector_invalid`, where it never read.
    pub fn get(&self, name: &str, version: &str) -> Result<Arc<Known>, Rejection> {
        let key = Key { name: name.to_owned(), version: version.to_owned() };
        let found = self.look();
        match found.entries.values().find(|entry| entry.key == key) {
            Some(entry) => entry.usable(),
            None => self.ready_made.get(&key).cloned().ok_or_else(|| self.unknown(&found, name, Some(version))),
        }
    }

    /// A connector in its newest version.
    ///
    /// # Errors
    /// Those of [`Self::get`].
    pub fn newest(&self, name: &str) -> Result<Arc<Known>, Rejection> {
        let found = self.look();
        let own = found.entries.values().map(|entry| &entry.key);
        let newest = own.chain(self.ready_made.keys()).filter(|key| key.name == name).max().cloned();
        let Some(key) = newest else { return Err(self.unknown(&found, name, None)) };
        drop(found);
        self.get(&key.name, &key.version)
    }

    /// All that can be used, by name and version.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Known>> {
        let found = self.look();
        let mut all = self.ready_made.clone();
        for entry in found.entries.values() {
            if let Ok(known) = entry.usable() {
                all.insert(entry.key.clone(), known);
            }
        }
        all.into_values().collect()
    }

    fn unknown(&self, found: &Found, name: &str, version: Option<&str>) -> Rejection {
        let own = found.entries.values().map(|entry| &entry.key);
        let mut names: Vec<String> = own.chain(self.ready_made.keys()).map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        let asked = version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
        let text = format!("there is no connector {}: there are {}", shown(&asked), names.join(", "));
        Rejection::new(Code::NotFound, text).at_field("connector")
    }

    /// What stands in the folder, looked at again where that was a while ago.
    fn look(&self) -> MutexGuard<'_, Found> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(folder) = &self.folder else { return found };
        let now = self.clock.now();
        let is_fresh = |at: Timestamp| now.ms_since(at) < limits::CONNECTORS_LOOKED_AT_MS;
        if found.looked_at.is_some_and(is_fresh) {
            return found;
        }
        found.looked_at = Some(now);
        match folder::list(folder) {
            Ok(listed) => found.take(listed),
            Err(refused) => {
                tracing::warn!(error = %refused, "the connectors' folder cannot be read; what is known stays")
            }
        }
        found
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({:?})", self.folder)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version == FIRST_VERSION {
            f.write_str(&self.name)
        } else {
            write!(f, "{}@{}", self.name, self.version)
        }
    }
}

impl Found {
    /// Reads what is new or has changed, and lets go what is there no more.
    fn take(&mut self, listed: BTreeMap<PathBuf, Stamp>) {
        self.entries.retain(|path, _| listed.contains_key(path));
        for (path, stamp) in listed {
            let standing = self.entries.get(&path);
            if standing.is_some_and(|entry| entry.stamp == stamp) {
                continue;
            }
            let Some(key) = key_of(&path) else { continue };
            let before = standing.and_then(|entry| entry.known.clone());
            let entry = match read(&path, &key) {
                Ok(known) => Entry { key, stamp, known: Some(Arc::new(known)), trouble: None },
                Err(refused) => {
                    tracing::warn!(connector = %key, error = %refused, "a connector does not read");
                    Entry { key, stamp, known: before, trouble: Some(refused.message) }
                }
            };
            self.entries.insert(path, entry);
        }
    }
}

impl Entry {
    fn usable(&self) -> Result<Arc<Known>, Rejection> {
        let trouble = || self.trouble.clone().unwrap_or_default();
        let known = self.known.as_ref().ok_or_else(|| Rejection::new(Code::ConnectorInvalid, trouble()))?;
        if self.trouble.is_none() {
            return Ok(Arc::clone(known));
        }
        let Known { name, version, is_ready_made, connector, .. } = known.as_ref();
        Ok(Arc::new(Known {
            name: name.clone(),
            version: version.clone(),
            is_ready_made: *is_ready_made,
            connector: connector.clone(),
            trouble: self.trouble.clone(),
        }))
    }
}

/// The name and version that a folder's name says.
fn key_of(path: &Path) -> Option<Key> {
    let whole = path.file_name()?.to_str()?;
    let (name, version) = whole.split_once('@').unwrap_or((whole, FIRST_VERSION));
    let is_named = !name.is_empty() && !version.is_empty();
    is_named.then(|| Key { name: name.to_owned(), version: version.to_owned() })
}

fn read(path: &Path, key: &Key) -> Result<Known, Rejection> {
    let folder = Folder::at(path);
    let manifest = folder.load("manifest.yaml").ok_or_else(|| {
        let most = limits::CONNECTOR_BYTES_MAX;
        let text = format!("{key}/manifest.yaml cannot be read: it must be UTF-8 of at most {most} bytes");
        Rejection::new(Code::ConnectorInvalid, text)
    })?;
    let sharing = folder.load("lockstep.yaml");
    let connector = parse(&key.to_string(), &manifest, sharing.as_deref(), Arc::new(folder))?;
    let Key { name, version } = key.clone();
    Ok(Known { name, version, is_ready_made: false, connector, trouble: None })
}

fn parse(name: &str, manifest: &str, sharing: Option<&str>, files: Arc<dyn Files>) -> Result<Connector, Rejection> {
    let refused = |bad| Rejection::new(Code::ConnectorInvalid, format!("the connector {name} does not read:\n{bad}"));
    Connector::parse(manifest, sharing, files).map_err(refused)
}

#[cfg(test)]
#[path = "registry/tests.rs"]
mod tests;
