//! `lockstep backup FILE`, `lockstep restore FILE`, `lockstep release`: a hub's way into an archive and out of it.
//!
//! An archive holds all that a hub stores, secrets sealed; the sealing key is no part of it, and whoever restores must
//! bring it. So a stolen archive signs nothing, and an archive without its key delivers nothing.

use crate::command_line::{BackupArgs, ReleaseArgs, RestoreArgs};
use crate::failure::Failure;
use crate::printer::say;
use crate::progress::{Counted, Progress};
use crate::remote::{Remote, whole};
use crate::wire_up::runtime;
use crate::world::SystemClock;
use anyhow::Context as _;
use http_body_util::BodyExt;
use lockstep_core::clock::Clock;
use lockstep_core::error::Code;
use lockstep_engine::backup::archive::{self, ArchiveError, Manifest};
use lockstep_engine::control::hold;
use lockstep_store_sqlite::restore::Restoring;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for the next piece of a backup.
const STALL: Duration = Duration::from_secs(300);

/// Writes an archive of a running hub.
pub(crate) fn take(args: &BackupArgs) -> Result<(), Failure> {
    must_be_free(&args.file, args.force)?;
    let part = Part::beside(&args.file)?;
    let remote = Remote::as_administrator(&args.remote)?.patient();
    let received = runtime()?.block_on(receive(&remote, &part, args.json));
    received?;
    // Read again from where it stands: this checks the disk as well as the way here.
    let manifest = check(&part.path, args.json).map_err(|error| unusable("what the hub sent", &error))?;
    must_be_free(&args.file, args.force)?;
    let bytes = part.keep(&args.file)?;
    if args.json {
        say(&json!({"file": args.file, "bytes": bytes, "manifest": manifest}).to_string());
        return Ok(());
    }
    let stored: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    say(&format!(
        "{} holds {} businesses as of {}",
        args.file.display(),
        manifest.businesses.len(),
        manifest.created_at
    ));
    say(&format!("{bytes} bytes, of a store of {stored}; every digest is right"));
    say("The sealing key is not in it: keep a copy of that elsewhere.");
    Ok(())
}

fn must_be_free(file: &Path, may_replace: bool) -> Result<(), Failure> {
    if !may_replace && file.exists() {
        let text = format!("{} is there already: name another file, or replace it with --force", file.display());
        return Err(Failure::new(Code::SettingsInvalid, text));
    }
    Ok(())
}

async fn receive(remote: &Remote, part: &Part, is_quiet: bool) -> Result<(), Failure> {
    let copying = Progress::begin("the hub copies its store", None, is_quiet);
    let mut body = remote.ask("/management/backup").await?.into_body();
    drop(copying);
    let mut progress = Progress::begin("receiving", None, is_quiet);
    let mut file = &part.file;
    while let Some(frame) = tokio::time::timeout(STALL, body.frame()).await.context("nothing more came")? {
        let frame =
            frame.context("the backup broke off on its way: the hub's log says why, if it was the hub's doing")?;
        if let Ok(piece) = frame.into_data() {
            file.write_all(&piece).with_context(|| format!("writing {}", part.path.display()))?;
            progress.add(piece.len() as u64);
        }
    }
    Ok(())
}

/// A file on its way; gone again unless it is kept.
struct Part {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl Part {
    fn beside(target: &Path) -> Result<Self, Failure> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(name);
        let made = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = made.with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self { path, file, is_kept: false })
    }

    /// Gives it its name, once it is on the disk; gives its length.
    fn keep(mut self, target: &Path) -> Result<u64, Failure> {
        let keep = || -> io::Result<u64> {
            self.file.sync_all()?;
            std::fs::rename(&self.path, target)?;
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            Ok(self.file.metadata()?.len())
        };
        let bytes = keep().with_context(|| format!("{} cannot be written", target.display()))?;
        self.is_kept = true;
        Ok(bytes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays is of no use and harms nothing.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn open(file: &Path) -> Result<(File, u64), ArchiveError> {
    let file = File::open(file)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn check(file: &Path, is_quiet: bool) -> Result<Manifest, ArchiveError> {
    let (file, bytes) = open(file)?;
    let mut progress = Progress::begin("checking", Some(bytes), is_quiet);
    archive::read(io::BufReader::new(Counted::new(file, &mut progress)), |_, _, _| Ok(()))
}

fn unusable(what: &str, error: &ArchiveError) -> Failure {
    Failure::new(Code::BackupUnusable, format!("{what} is no backup that can be used: {error}"))
}

/// Makes a data folder of an archive.
pub(crate) fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let clock = SystemClock;
    let restoring = Restoring::begin(&args.data)?;
    let manifest = unpack(&args.file, &restoring, args.json)?;
    let progress = Progress::begin("examining the store", None, args.json);
    let heads = restoring.finish(clock.now(), &hold::of_restore(clock.now(), &manifest.created_at))?;
    drop(progress);
    if args.json {
        let heads: Vec<Value> = heads
            .iter()
            .map(|(id, position)| json!({"id": id, "epoch": position.epoch, "seq": position.seq}))
            .collect();
        say(&json!({"data": args.data, "backupOf": manifest.created_at, "businesses": heads, "held": true}).to_string());
        return Ok(());
    }
    let folder = args.data.display();
    say(&format!("{folder} holds {} businesses as of {}; every digest was right", heads.len(), manifest.created_at));
    say("It is held: it takes writes, and nothing leaves until you release it. Next:");
    say(&format!("  1. bring the sealing key: LOCKSTEP_SECRET_KEY, --secret-key-file, or {folder}/lockstep.key"));
    say(&format!("  2. lockstep serve --data {folder}"));
    say("  3. look at it: lockstep doctor; are the records there, is no other copy of this hub delivering?");
    say("  4. lockstep release");
    say("What was written after the backup is lost. Applications that kept a position are told so (log_restored).");
    Ok(())
}

fn unpack(file: &Path, restoring: &Restoring, is_quiet: bool) -> Result<Manifest, Failure> {
    let is_bad = |error: ArchiveError| unusable(&file.display().to_string(), &error);
    let (input, bytes) = open(file).map_err(is_bad)?;
    let mut progress = Progress::begin("unpacking", Some(bytes), is_quiet);
    let input = io::BufReader::new(Counted::new(input, &mut progress));
    let mut stores = 0;
    let mut unwritten = None;
    let read = archive::read(input, |manifest, entry, from| {
        if manifest.store.engine != "sqlite" || entry.name != "lockstep.db" {
            return Ok(());
        }
        stores += 1;
        let mut target = restoring.file().map_err(|error| {
            let text = error.to_string();
            unwritten = Some(error);
            io::Error::other(text)
        })?;
        io::copy(from, &mut target).map(drop)
    });
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let manifest = read.map_err(is_bad)?;
    if stores == 0 {
        let text = format!("it holds no store that this version can restore, but one of {}", manifest.store.engine);
        return Err(is_bad(ArchiveError::Wrong(text)));
    }
    Ok(manifest)
}

/// Lets deliveries of a restored hub go.
pub(crate) fn release(args: &ReleaseArgs) -> Result<(), Failure> {
    let remote = Remote::as_administrator(&args.remote)?;
    let answer =
        runtime()?.block_on(async { Ok::<_, Failure>(whole(remote.ask("/management/release").await?).await?) });
    let answer: Value = serde_json::from_slice(&answer?).context("the answer cannot be read")?;
    if args.json {
        say(&answer.to_string());
        return Ok(());
    }
    match answer.get("heldSince").and_then(Value::as_str) {
        Some(since) => say(&format!("released: it was held since {since}; deliveries go out now")),
        None => say("nothing was held"),
    }
    Ok(())
}
