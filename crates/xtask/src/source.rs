//! Rules for one Rust file: its sign on the door, its name, its size, its words, and
//! which part of the outside world it may mention.
//! It must not read files: it is given a path and a text.

use crate::breach::Breach;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "service"];

/// Longest file, without its tests, in lines.
const LINES_MAX: usize = 800;

/// Words that postpone.
const POSTPONING: [(&str, &str); 3] = [
    ("todo!", "unfinished; finish it or leave it out"),
    ("#[ignore", "a test that does not run; mend it or remove it"),
    ("for now", "a promise to come back; say what holds and why"),
];

/// What only some folders may mention: word, folders, what to do elsewhere.
const HOMES: [(&str, &[&str], &str); 3] = [
    ("rusqlite", &["crates/store-sqlite/"], "SQLite lives in store-sqlite; go through the Store port"),
    (
        "hyper_util::client",
        &["crates/egress/", "crates/lockstep/src/bench", "crates/lockstep/tests/"],
        "only egress opens connections; use its Transport",
    ),
    (
        "axum",
        &["crates/http/", "crates/lockstep/", "crates/sim/", "crates/egress/tests/"],
        "the server lives in http; keep this crate free of it",
    ),
];

/// Crates that do no I/O, and the words that would betray it.
const PURE: [&str; 3] = ["crates/core/src/", "crates/manifest/src/", "crates/files/src/"];
const IMPURE: [&str; 6] = ["std::fs", "std::net", "tokio", "SystemTime", "tracing::", "println"];

/// Ways to wait in a test, and the comment that excuses them.
const SLEEPS: [&str; 2] = ["thread::sleep", "tokio::time::sleep"];
const SLEEP_REASON: &str = "// tidy: sleep";

/// All breaches in the file at `path`.
pub(crate) fn check(path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if !text.starts_with("//!") {
        breaches.push(Breach::new(
            path,
            1,
            "no opening `//!`; say what this room is for, why, and what it must not do",
        ));
    }
    if let Some(name) = path.split(['/', '.']).find(|part| EMPTY_NAMES.contains(part)) {
        breaches.push(Breach::new(path, 1, format!("`{name}` names nothing; name what is inside")));
    }
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    if lines > LINES_MAX {
        let what = format!("{lines} lines without tests, at most {LINES_MAX}; give a part its own file");
        breaches.push(Breach::new(path, LINES_MAX, what));
    }
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        let found = blanks(line)
            .into_iter()
            .chain(module_name(line))
            .chain(words(path, line))
            .chain(homes(path, line))
            .chain(sleeps(path, line, before));
        breaches.extend(found.map(|what| Breach::new(path, at + 1, what)));
        before = line;
    }
    breaches
}

fn blanks(line: &str) -> Option<String> {
    if line.contains('\t') {
        return Some("a tab; run cargo fmt, and write \\t in texts".to_owned());
    }
    line.ends_with(' ').then(|| "blanks at the end of the line; remove them".to_owned())
}

fn module_name(line: &str) -> Option<String> {
    let rest = code(line).split_once("mod ")?.1;
    let name = rest.trim().trim_end_matches([';', '{', ' ']);
    EMPTY_NAMES.contains(&name).then(|| format!("module `{name}` names nothing; name what is inside"))
}

fn words(path: &str, line: &str) -> Vec<String> {
    // This file has to spell out what it forbids.
    if path == "crates/xtask/src/source.rs" {
        return Vec::new();
    }
    let hits = POSTPONING.iter().filter(|(word, _)| line.contains(word));
    hits.map(|(word, what)| format!("`{word}`: {what}")).collect()
}

fn homes(path: &str, line: &str) -> Vec<String> {
    if path.starts_with("crates/xtask/") {
        return Vec::new();
    }
    let code = code(line);
    let strays = HOMES
        .iter()
        .filter(|(word, folders, _)| code.contains(word) && !folders.iter().any(|folder| path.starts_with(folder)))
        .map(|(word, _, what)| format!("`{word}`: {what}"));
    let is_pure = PURE.iter().any(|folder| path.starts_with(folder));
    let leaks = IMPURE
        .iter()
        .filter(|word| is_pure && code.contains(**word))
        .map(|word| format!("`{word}`: this crate does no I/O; take the value as an argument or a port"));
    strays.chain(leaks).collect()
}

fn sleeps(path: &str, line: &str, before: &str) -> Option<String> {
    let is_test = path.starts_with("tests/") || path.contains("/tests/");
    let is_excused = line.contains(SLEEP_REASON) || before.contains(SLEEP_REASON);
    let sleeps = SLEEPS.iter().any(|sleep| code(line).contains(sleep));
    (is_test && sleeps && !is_excused)
        .then(|| format!("a test that sleeps; wait for the event, or give the reason in `{SLEEP_REASON}: …`"))
}

/// The line without a comment at its end or on its own.
fn code(line: &str) -> &str {
    let is_comment = |at: usize| line.get(..at).is_some_and(|before| before.is_empty() || before.ends_with(' '));
    let at = line.match_indices("//").map(|(at, _)| at).find(|at| is_comment(*at));
    line.get(..at.unwrap_or(line.len())).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(path: &str, body: &str, expected: &str) {
        let found: Vec<String> = check(path, &format!("//! Room.\n{body}\n")).iter().map(ToString::to_string).collect();
        match expected {
            "" => assert!(found.is_empty(), "{found:?}"),
            _ => assert!(found.len() == 1 && found[0].contains(expected), "{found:?}"),
        }
    }

    #[test]
    fn every_file_opens_with_its_purpose() {
        assert_eq!(check("crates/a/src/lib.rs", "fn a() {}\n").len(), 1);
        check_one("crates/a/src/lib.rs", "fn a() {}", "");
    }

    #[test]
    fn names_say_something() {
        check_one("crates/a/src/utils.rs", "", "crates/a/src/utils.rs:1: `utils` names nothing");
        check_one("crates/a/src/misc/mod.rs", "", "`misc`");
        check_one("crates/a/src/lib.rs", "pub mod helpers;", "lib.rs:2: module `helpers`");
        check_one("crates/a/src/lib.rs", "mod service_level;", "");
    }

    #[test]
    fn files_stay_small_but_tests_may_be_long() {
        let long = "fn a() {}\n".repeat(LINES_MAX + 1);
        check_one("crates/a/src/lib.rs", &long, "lines without tests");
        check_one("crates/a/src/lib.rs", &format!("#[cfg(test)]\n{long}"), "");
    }

    #[test]
    fn nothing_is_postponed() {
        check_one("crates/a/src/lib.rs", "    todo!()", "unfinished");
        check_one("crates/a/src/lib.rs", "// Good enough for now.", "a promise");
        check_one("crates/a/tests/it.rs", "#[ignore = \"slow\"]", "does not run");
    }

    #[test]
    fn blanks_are_in_place() {
        check_one("crates/a/src/lib.rs", "fn a() {} ", "blanks");
        check_one("crates/a/src/lib.rs", "\tfn a() {}", "a tab");
    }

    #[test]
    fn the_outside_world_has_its_homes() {
        check_one("crates/engine/src/lib.rs", "use rusqlite::Connection;", "Store port");
        check_one("crates/store-sqlite/src/lib.rs", "use rusqlite::Connection;", "");
        check_one("crates/lockstep/src/bench_load.rs", "use hyper_util::client::legacy::Client;", "");
        check_one("crates/lockstep/src/main.rs", "use hyper_util::client::legacy::Client;", "Transport");
        check_one("crates/egress/src/client.rs", "use axum::Router;", "`axum`");
        check_one("crates/egress/tests/it.rs", "use axum::Router;", "");
        check_one("crates/engine/src/lib.rs", "/// Not like rusqlite.", "");
    }

    #[test]
    fn pure_crates_do_no_io() {
        check_one("crates/core/src/ids.rs", "use std::net::IpAddr;", "no I/O");
        check_one("crates/core/src/ids.rs", "let a = 1; // unlike tokio", "");
        check_one("crates/core/tests/it.rs", "use std::fs;", "");
    }

    #[test]
    fn tests_do_not_sleep_without_a_reason() {
        check_one("crates/a/tests/it.rs", "std::thread::sleep(d);", "a test that sleeps");
        check_one("crates/a/tests/it.rs", "// tidy: sleep: the kernel's timer\nstd::thread::sleep(d);", "");
        check_one("crates/a/src/lib.rs", "tokio::time::sleep(d).await;", "");
    }
}
