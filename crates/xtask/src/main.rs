//! Checks of the house rules that neither the compiler nor clippy can make.
//!
//! `cargo run -q -p xtask -- tidy` looks at sources and documents, `-- layers` at which
//! crate depends on which. Both list every breach as `path:line: what, and what to do`
//! and end with a failure if there is one. It must not change anything.

mod breach;
mod checklists;
mod codes;
mod layers;
mod links;
mod source;
mod tidy;
mod tree;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use breach::Breach;

fn main() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("xtask has no workspace")?;
    let task = std::env::args().nth(1);
    let mut breaches = match task.as_deref() {
        Some("tidy") => tidy::check(root)?,
        Some("layers") => layers::check(root)?,
        _ => bail!("which check? say `cargo run -q -p xtask -- tidy` or `-- layers`"),
    };
    breaches.sort();
    report(&breaches)?;
    Ok(if breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(breaches: &[Breach]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for breach in breaches {
        writeln!(out, "{breach}")?;
    }
    match breaches.len() {
        0 => writeln!(out, "in order")?,
        1 => writeln!(out, "1 breach")?,
        n => writeln!(out, "{n} breaches")?,
    }
    Ok(())
}
