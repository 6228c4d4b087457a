//! A folder of connectors, and the files of one.

use lockstep_connect::Files;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::limits;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// When each file of a connector last changed, and how long it is: what differs is read anew.
pub(super) type Stamp = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// The connectors in a folder, each with its stamp: every folder there that has a manifest.
pub(super) fn list(folder: &Path) -> Result<BTreeMap<PathBuf, Stamp>, Rejection> {
    let unread = |error: std::io::Error| {
        let text = format!("the connectors' folder {} cannot be listed: {error}", folder.display());
        Rejection::new(Code::SettingsInvalid, text)
    };
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if !path.join("manifest.yaml").is_file() {
            continue;
        }
        if found.len() >= limits::CONNECTORS_MAX {
            tracing::warn!(most = limits::CONNECTORS_MAX, "the connectors' folder holds more than are taken");
            break;
        }
        found.insert(path.clone(), stamp(&path));
    }
    Ok(found)
}

/// The files of a connector, those one folder down too.
fn stamp(folder: &Path) -> Stamp {
    let mut stamp = Stamp::new();
    let mut folders = vec![(folder.to_owned(), true)];
    while let Some((folder, goes_deeper)) = folders.pop() {
        for path in fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
            let Ok(told) = path.metadata() else { continue };
            if told.is_file() {
                stamp.insert(path, (told.modified().ok(), told.len()));
            } else if goes_deeper && told.is_dir() {
                folders.push((path, false));
            }
        }
    }
    stamp
}

/// The files of one connector, and nothing beside or above it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Files for Folder {
    fn load(&self, path: &str) -> Option<String> {
        let path = Path::new(path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let path = self.0.join(path);
        // A link that leads out of the folder is no file of the connector's.
        let (path, home) = (path.canonicalize().ok()?, self.0.canonicalize().ok()?);
        let is_own = path.starts_with(home) && path.metadata().ok()?.len() <= limits::CONNECTOR_BYTES_MAX;
        if is_own { fs::read_to_string(path).ok() } else { None }
    }
}
