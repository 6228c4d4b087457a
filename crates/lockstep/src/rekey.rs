//! `lockstep rekey`: seals a folder's secrets with another key.
//!
//! Where the key is the folder's own, the new one is on the disk before anything is sealed with it, and takes the old
//! one's name after. Broken off in between, the folder opens with one of the two, and the next rekey finds out which.

use crate::command_line::{RekeyArgs, ServeArgs};
use crate::failure::Failure;
use crate::printer::say;
use crate::progress::Progress;
use crate::settings::{Settings, variable};
use crate::wire_up::{must_bring_key, runtime};
use crate::world::{SystemClock, SystemIds};
use crate::{keys, paths};
use lockstep_core::clock::{Clock, IdSource};
use lockstep_core::error::Code;
use lockstep_engine::rekey::reseal;
use lockstep_engine::seal::Sealer;
use lockstep_engine::settings::newer;
use lockstep_store::settings::{Setting, SettingRow};
use lockstep_store::{Commit, Store, Work};
use lockstep_store_sqlite::SqliteStore;
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// What a rekey came to.
enum Done {
    /// So many values were sealed anew.
    Resealed(usize),
    /// One that had broken off was finished.
    Finished,
}

/// Seals everything anew; the folder must not be in use.
pub(crate) fn run(args: &RekeyArgs) -> Result<(), Failure> {
    let data = args.data.clone().unwrap_or_else(paths::default_data);
    if !data.join("lockstep.db").exists() {
        let text = format!("{} holds no store: name the folder with --data", data.display());
        return Err(Failure::new(Code::DataUnusable, text));
    }
    let serve = ServeArgs { data: Some(data), secret_key_file: args.secret_key_file.clone(), ..ServeArgs::default() };
    let settings = Settings::read(serve)?;
    keys::check(&settings)?;
    let progress = Progress::begin("sealing anew", None, args.json);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = SqliteStore::open(&settings.data, Arc::clone(&clock))?;
    let done = runtime()?.block_on(async {
        let done = rekey(&store, &settings, args, clock.as_ref()).await;
        store.close().await;
        done
    })?;
    drop(progress);
    tell(&done, &settings.data, args);
    Ok(())
}

fn tell(done: &Done, data: &Path, args: &RekeyArgs) {
    let count = if let Done::Resealed(count) = done { *count } else { 0 };
    if args.json {
        say(&json!({"data": data, "resealed": count, "finished": matches!(done, Done::Finished)}).to_string());
        return;
    }
    match done {
        Done::Resealed(_) => say(&format!("{count} sealed values of {} are sealed with the new key", data.display())),
        Done::Finished => {
            let key = paths::sealing_key(data);
            say(&format!("a rekey had broken off; it is finished: {} is the new key", key.display()));
        }
    }
    say("Backups taken before need the old key: keep it for as long as you keep them.");
    say("If others have the old key, give the subscriptions new secrets as well (rotate-secret).");
}

async fn rekey(store: &dyn Store, settings: &Settings, args: &RekeyArgs, clock: &dyn Clock) -> Result<Done, Failure> {
    must_bring_key(settings, store).await?;
    let rows = newer(store, 0).await?;
    let old = Sealer::new(&keys::sealing(settings, &SystemIds)?.key)?;
    let is_own = settings.secret_key.is_none() && settings.secret_key_file.is_none();
    let beside = paths::next_sealing_key(&settings.data);
    if is_own && let Some(next) = keys::read(&beside)? {
        if checks(&rows, &Sealer::new(&next)?) {
            put_in_place(&settings.data)?;
            return Ok(Done::Finished);
        }
        if checks(&rows, &old) {
            // Nothing was sealed with it before that rekey broke off.
            std::fs::remove_file(&beside).map_err(|error| unwritable(&beside, &error))?;
        }
    }
    let given = match (variable("LOCKSTEP_NEW_SECRET_KEY"), &args.new_secret_key_file) {
        (Some(text), _) => Some(keys::parse(&text, "LOCKSTEP_NEW_SECRET_KEY")?),
        (None, Some(path)) => Some(keys::read(path)?.ok_or_else(|| {
            Failure::new(Code::SealingKeyInvalid, format!("the new sealing key {} is not there", path.display()))
        })?),
        (None, None) if is_own => None,
        (None, None) => {
            let text = "the key is not the folder's own, so the new one must be given: set LOCKSTEP_NEW_SECRET_KEY, or \
                        name its file with --new-secret-key-file";
            return Err(Failure::new(Code::SettingsInvalid, text));
        }
    };
    let key = given.unwrap_or_else(|| SystemIds.secret());
    let (control, count) = reseal(rows, &old, &Sealer::new(&key)?, clock.now())?;
    if given.is_none() {
        keys::write_once(&beside, &key)?;
        sync_folder(&settings.data)?;
    }
    store.commit(Commit { id: None, work: Work::Control(Box::new(control)) }).await?;
    if given.is_none() {
        put_in_place(&settings.data)?;
    }
    Ok(Done::Resealed(count))
}

fn checks(rows: &[SettingRow], sealer: &Sealer) -> bool {
    let mut values =
        rows.iter().filter_map(|row| if let Some(Setting::Sealing(value)) = &row.value { Some(value) } else { None });
    values.all(|value| sealer.check(value).is_ok())
}

/// Gives the new key the old one's name; the old one stays beside it, for backups that were taken before.
fn put_in_place(data: &Path) -> Result<(), Failure> {
    let (own, old, next) = (paths::sealing_key(data), paths::old_sealing_key(data), paths::next_sealing_key(data));
    let put = || {
        if old.exists() {
            std::fs::remove_file(&old)?;
        }
        std::fs::hard_link(&own, &old)?;
        std::fs::rename(&next, &own)
    };
    put().map_err(|error: std::io::Error| unwritable(&own, &error))?;
    sync_folder(data)
}

fn sync_folder(data: &Path) -> Result<(), Failure> {
    File::open(data).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(data, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let text = format!(
        "{} cannot be written: {error}; run the rekey again, it goes on where this one broke off",
        path.display()
    );
    Failure::new(Code::DataUnusable, text)
}
