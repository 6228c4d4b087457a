//! The files of the workspace, read once.
//! It must not look into what is built (`target`), hidden, or fetched (`node_modules`).

use std::path::Path;

use anyhow::Context;

/// A text file: its path from the root, with `/`, and its content.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All files below `root/under` whose name ends in `.ext`, in the order of their paths.
/// A folder that does not exist holds no files.
pub(crate) fn files(root: &Path, under: &str, ext: &str) -> anyhow::Result<Vec<File>> {
    let mut found = Vec::new();
    let mut waiting = vec![root.join(under)];
    while let Some(folder) = waiting.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == ext) {
                let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                let path = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
