//! `layers`: which of our crates may depend on which, and how long a chain may grow.
//! The table is that of docs/ARCHITECTURE.md, section 2 of the house rules; change both
//! together. It must not look at dev-dependencies: tests may reach further.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::breach::Breach;
use crate::tree;

/// Crate, and the crates of ours it may depend on.
const MAY_DEPEND: [(&str, &[&str]); 19] = [
    ("expr", &[]),
    ("core", &["expr"]),
    ("egress", &["core"]),
    ("manifest", &["core", "expr"]),
    ("files", &[]),
    ("wire", &["core"]),
    ("store", &["core"]),
    ("store-sqlite", &["core", "store"]),
    ("store-postgres", &["core", "store"]),
    ("connect", &["core", "manifest", "expr", "egress", "files"]),
    ("places", &["core", "egress"]),
    ("streams", &["core", "egress"]),
    ("engine", &["core", "expr", "wire", "store", "egress"]),
    ("sync", &["core", "expr", "wire", "store", "manifest", "connect", "files", "egress", "engine"]),
    ("http", &["core", "wire", "engine", "sync"]),
    ("console", &["core", "wire", "engine", "sync"]),
    ("lockstep", &[ALL]),
    ("sim", &[ALL]),
    ("xtask", &[]),
];

/// Any crate but the binary.
const ALL: &str = "*";
const BINARY: &str = "lockstep";
/// Most crates in a chain of dependencies, both ends counted.
const CHAIN_MAX: usize = 8;

/// A crate and its dependencies among ours, each with its line in the manifest.
#[derive(Debug)]
struct Member {
    path: String,
    needs: Vec<(String, usize)>,
}

/// Checks every `crates/*/Cargo.toml` of the workspace at `root`.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Breach>> {
    let mut members = BTreeMap::new();
    for file in tree::files(root, "crates", "toml")? {
        let Some(name) = file.path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml")) else {
            continue;
        };
        let needs = needs(&file.text).with_context(|| format!("reading {}", file.path))?;
        members.insert(name.to_owned(), Member { path: file.path, needs });
    }
    Ok(judge(&members))
}

/// Our crates in `[dependencies]`, by folder name, with their lines.
fn needs(manifest: &str) -> anyhow::Result<Vec<(String, usize)>> {
    let table: toml::Table = manifest.parse()?;
    let dependencies = table.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten();
    let ours = dependencies.filter_map(|(key, value)| {
        let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
        let name = if package == BINARY { BINARY } else { package.strip_prefix("lockstep-")? };
        let line = manifest.lines().position(|line| line.starts_with(key.as_str())).map_or(1, |at| at + 1);
        Some((name.to_owned(), line))
    });
    Ok(ours.collect())
}

fn judge(members: &BTreeMap<String, Member>) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (name, member) in members {
        let may = MAY_DEPEND.iter().find(|(known, _)| known == name).map(|(_, may)| *may);
        if may.is_none() {
            let what = format!("`{name}` is not in the table of layers; add it there and in docs/ARCHITECTURE.md");
            breaches.push(Breach::new(&member.path, 1, what));
        }
        let may = may.unwrap_or(&[ALL]);
        for (needed, line) in &member.needs {
            let is_allowed = may.contains(&needed.as_str()) || (may.contains(&ALL) && needed != BINARY);
            if !is_allowed {
                let what = format!("`{name}` may not depend on `{needed}`; move the code to where both may see it");
                breaches.push(Breach::new(&member.path, *line, what));
            }
        }
        let chain = chain(members, name, 0);
        if chain.len() > CHAIN_MAX {
            let what =
                format!("a chain of {} crates, at most {CHAIN_MAX}: {}; shorten it", chain.len(), chain.join(" → "));
            breaches.push(Breach::new(&member.path, 1, what));
        }
    }
    breaches
}

/// The longest chain that begins with `name`. `depth` ends a circle, which cargo refuses anyway.
fn chain<'m>(members: &'m BTreeMap<String, Member>, name: &'m str, depth: usize) -> Vec<&'m str> {
    let needs = members.get(name).map(|member| member.needs.as_slice()).unwrap_or_default();
    let beyond = needs.iter().filter(|_| depth < members.len()).map(|(needed, _)| chain(members, needed, depth + 1));
    let longest = beyond.max_by_key(Vec::len).unwrap_or_default();
    [name].into_iter().chain(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(all: &[(&str, &[&str])]) -> BTreeMap<String, Member> {
        let member = |name: &str, needs: &[&str]| Member {
            path: format!("crates/{name}/Cargo.toml"),
            needs: needs.iter().map(|need| ((*need).to_owned(), 7)).collect(),
        };
        all.iter().map(|(name, needs)| ((*name).to_owned(), member(name, needs))).collect()
    }

    fn breaches(all: &[(&str, &[&str])]) -> Vec<String> {
        judge(&members(all)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_are_read_with_their_lines_and_without_those_of_tests() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nlockstep-core.workspace = true\nserde = \"1\"\n\
                        door = { package = \"lockstep-egress\", path = \"../egress\" }\n\n[dev-dependencies]\nlockstep-sim.workspace = true\n";
        let mut found = needs(manifest).unwrap();
        found.sort();
        assert_eq!(found, [("core".to_owned(), 5), ("egress".to_owned(), 7)]);
    }

    #[test]
    fn the_table_is_kept() {
        assert_eq!(breaches(&[("expr", &[]), ("core", &["expr"]), ("sim", &["core", "http"])]), [""; 0]);
        let found = breaches(&[("core", &["store"]), ("sim", &["lockstep"]), ("attic", &[])]);
        assert_eq!(found.len(), 3);
        assert!(found[1].starts_with("crates/core/Cargo.toml:7: `core` may not depend on `store`"), "{found:?}");
        assert!(found[0].contains("`attic` is not in the table"), "{found:?}");
    }

    #[test]
    fn chains_stay_short() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let all: Vec<(&str, Vec<&str>)> =
            names.iter().enumerate().map(|(at, name)| (*name, names[at + 1..].to_vec())).collect();
        let all: Vec<(&str, &[&str])> = all.iter().map(|(name, needs)| (*name, needs.as_slice())).collect();
        let found = breaches(&all);
        assert_eq!(found.iter().filter(|what| what.contains("a chain of 9 crates")).count(), 1, "{found:?}");
    }
}
