//! `tidy`: gathers the files and puts the scanners to them.
//! It must not hold a rule itself: those are in `source`, `links`, `checklists` and `codes`.

use std::path::Path;

use crate::breach::Breach;
use crate::{checklists, codes, links, source, tree};

/// Runs every scanner over the workspace at `root`.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Breach>> {
    let mut breaches = Vec::new();
    let mut sources = Vec::new();
    for folder in ["crates", "tests"] {
        sources.extend(tree::files(root, folder, "rs")?);
    }
    for file in &sources {
        breaches.extend(source::check(&file.path, &file.text));
    }
    let mut documents = tree::files(root, "docs", "md")?;
    if let Ok(text) = std::fs::read_to_string(root.join("README.md")) {
        documents.push(tree::File { path: "README.md".to_owned(), text });
    }
    for file in &documents {
        breaches.extend(links::check(&file.path, &file.text, |target| root.join(target).exists()));
        breaches.extend(checklists::check(&file.path, &file.text, &sources));
    }
    let table = std::fs::read_to_string(root.join(codes::TABLE)).unwrap_or_default();
    let pages: Vec<&str> = documents.iter().map(|file| file.path.as_str()).collect();
    breaches.extend(codes::check(&table, &pages));
    Ok(breaches)
}
