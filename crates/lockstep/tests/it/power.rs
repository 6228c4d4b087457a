//! The power-loss shim of `tests/powerloss`: built, put under a hub, and its plug pulled.

use crate::hub::{Start, root};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shim for one data folder.
pub(crate) struct Power {
    library: PathBuf,
    data: PathBuf,
    journal: PathBuf,
}

impl Power {
    /// Builds the shim in `work`, which must not be the data folder.
    pub(crate) fn wire_up(work: &Path, data: &Path) -> Result<Self> {
        let library = work.join("shim.so");
        let built = Command::new("gcc")
            .args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(root().join("tests/powerloss/shim.c"))
            .arg("-lpthread")
            .output()
            .context("gcc does not run")?;
        ensure!(built.status.success(), "the shim does not build: {}", String::from_utf8_lossy(&built.stderr));
        Ok(Self { library, data: data.to_owned(), journal: work.join("journal") })
    }

    /// Puts the shim under a hub.
    pub(crate) fn under(&self, start: Start) -> Start {
        start
            .with("LD_PRELOAD", &self.library)
            .with("LOCKSTEP_SHIM_DIR", &self.data)
            .with("LOCKSTEP_SHIM_JOURNAL", &self.journal)
    }

    /// Takes away what no sync covered; with a seed, only from a random point of each file on. The hub must be dead.
    pub(crate) fn cut(&self, keep: Option<u64>) -> Result<()> {
        let mut undo = Command::new("python3");
        undo.arg(root().join("tests/powerloss/undo.py")).arg("--dir").arg(&self.data);
        undo.arg("--journal").arg(&self.journal);
        if let Some(seed) = keep {
            undo.args(["--keep-random", &seed.to_string()]);
        }
        let done = undo.output().context("python3 does not run")?;
        ensure!(done.status.success(), "the plug was not pulled: {}", String::from_utf8_lossy(&done.stderr));
        println!("power cut: {}", String::from_utf8_lossy(&done.stdout).trim());
        Ok(())
    }
}
