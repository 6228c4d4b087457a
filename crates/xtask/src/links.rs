//! Links from one of our documents to another file must lead somewhere.
//! It must not look at links to the web.

use std::path::{Component, Path, PathBuf};

use crate::breach::Breach;

/// Breaches in the document at `path`; `exists` is asked with paths from the root.
pub(crate) fn check(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Breach> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let dead = targets(text).into_iter().filter(|(_, target)| !exists(&resolve(folder, target)));
    dead.map(|(line, target)| Breach::new(path, line, format!("link to `{target}`, which is not there; mend the path")))
        .collect()
}

/// Local targets of `[text](target)` with their lines; code is passed over.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        // Every second piece between backticks is code.
        let prose = line.split('`').step_by(2);
        let links = prose.flat_map(|piece| piece.split("](").skip(1));
        let local = links.filter_map(|rest| local(rest.split([')', ' ']).next()?));
        found.extend(local.map(|target| (at + 1, target)));
    }
    found
}

fn local(target: &str) -> Option<&str> {
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    let file = target.split('#').next().unwrap_or_default();
    (!is_elsewhere && !file.is_empty()).then_some(file)
}

/// `target` seen from `folder`, without `.` and `..`; a leading `/` means the root.
fn resolve(folder: &Path, target: &str) -> PathBuf {
    let start = if target.starts_with('/') { Path::new("") } else { folder };
    let mut path = start.to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found_where_they_stand() {
        let text = "See [map](ARCHITECTURE.md#rooms), [web](https://example.org)\n[gone](WALKS/x.md \"title\") [top](#a)\n\
                    ```\n[code](no.md)\n```\n`[code](no.md)` and [up](../README.md) [root](/README.md)\n";
        let there = ["docs/ARCHITECTURE.md", "README.md"];
        let found = check("docs/STYLE.md", text, |path| there.iter().any(|file| Path::new(file) == path));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["docs/STYLE.md:2: link to `WALKS/x.md`, which is not there; mend the path"]);
    }
}
