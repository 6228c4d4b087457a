//! `lockstep doctor`: looks at a data folder and a running server and says in plain words what is wrong.

use crate::command_line::{DoctorArgs, RemoteArgs, ServeArgs};
use crate::failure::Failure;
use crate::printer::say;
use crate::progress::Progress;
use crate::remote::Remote;
use crate::settings::Settings;
use crate::wire_up::Hub;
use crate::{keys, paths, remote, wire_up};
use lockstep_core::limits::DISK_FREE_BYTES_MIN;
use lockstep_engine::control::hold;
use lockstep_store::StoreError;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    fine: bool,
    says: String,
}

/// Looks at everything and says what it found; fails if something is wrong.
pub(crate) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let data = args.remote.data.clone().unwrap_or_else(paths::default_data);
    let mut findings = if args.running { Vec::new() } else { vec![folder(&data)] };
    if data.exists() && !args.running {
        findings.push(disk(&data));
        findings.push(sync(&data));
        findings.push(store(&data, args.json));
        findings.push(sealing(&data, args));
    }
    findings.push(wire_up::runtime()?.block_on(server(&args.remote, args.running)));
    if args.json {
        say(&serde_json::to_string_pretty(&findings).unwrap_or_default());
    } else {
        for finding in &findings {
            say(&format!("{} {}: {}", if finding.fine { "ok  " } else { "BAD " }, finding.what, finding.says));
        }
    }
    let wrong = findings.iter().filter(|finding| !finding.fine).count();
    if wrong > 0 {
        return Err(Failure::Other(anyhow::anyhow!("{wrong} of {} things looked at are wrong", findings.len())));
    }
    Ok(())
}

fn folder(data: &Path) -> Finding {
    let what = "data folder";
    match std::fs::metadata(data) {
        Ok(found) if found.is_dir() => Finding { what, fine: true, says: data.display().to_string() },
        Ok(_) => {
            Finding { what, fine: false, says: format!("{} is no folder: name another with --data", data.display()) }
        }
        Err(error) => Finding {
            what,
            fine: false,
            says: format!("{} cannot be read ({error}): `lockstep serve --data DIR` makes one", data.display()),
        },
    }
}

fn disk(data: &Path) -> Finding {
    let what = "disk";
    match rustix::fs::statvfs(data) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let fine = free >= DISK_FREE_BYTES_MIN;
            let advice = if fine { "" } else { ": writing is refused until more is free" };
            Finding { what, fine, says: format!("{} MiB free{advice}", free / 1_048_576) }
        }
        Err(error) => Finding { what, fine: false, says: error.to_string() },
    }
}

/// How long a sync takes here: every commit waits for one.
fn sync(data: &Path) -> Finding {
    const TIMES: u32 = 20;
    let what = "sync";
    let path = data.join("doctor.tmp");
    let measure = || -> std::io::Result<u128> {
        let mut file = std::fs::File::create(&path)?;
        let started = instant();
        for _ in 0..TIMES {
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
        }
        Ok(started.elapsed().as_micros() / u128::from(TIMES))
    };
    let measured = measure();
    // It is a scratch file of our own; one that stays is harmless.
    let _ = std::fs::remove_file(&path);
    match measured {
        Ok(us) if us > 50_000 => Finding {
            what,
            fine: false,
            says: format!("{us} µs each: the disk is too slow or too busy; writes wait for it"),
        },
        Ok(us) => Finding { what, fine: true, says: format!("{us} µs each") },
        Err(error) => Finding { what, fine: false, says: format!("{} cannot be written: {error}", data.display()) },
    }
}

#[expect(clippy::disallowed_methods, reason = "the doctor measures the disk")]
fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

fn store(data: &Path, is_quiet: bool) -> Finding {
    let what = "store";
    let _progress = Progress::begin("reading every page of the store", None, is_quiet);
    match lockstep_store_sqlite::examine(data) {
        Ok(faults) if faults.is_empty() => Finding { what, fine: true, says: "every page reads well".to_owned() },
        Ok(faults) => Finding { what, fine: false, says: format!("damaged: {}", faults.join("; ")) },
        Err(StoreError::InUse(_)) => {
            Finding { what, fine: true, says: "in use by a running server; stop it to have every page read".to_owned() }
        }
        Err(error) => Finding { what, fine: false, says: Failure::from(error).to_string() },
    }
}

fn sealing(data: &Path, args: &DoctorArgs) -> Finding {
    let what = "sealing key";
    let given = args.secret_key_file.clone();
    let serve = ServeArgs { data: Some(data.to_owned()), secret_key_file: given, ..ServeArgs::default() };
    let settings = match Settings::read(serve) {
        Ok(settings) => settings,
        Err(failure) => return Finding { what, fine: false, says: failure.to_string() },
    };
    if !keys::is_given(&settings) && !data.join("lockstep.db").exists() {
        return Finding { what, fine: true, says: "none yet: the first start makes one".to_owned() };
    }
    let listen = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let opened = wire_up::runtime().and_then(|runtime| {
        runtime.block_on(async {
            let hub = Hub::open(&Settings { listen, ..settings }).await?;
            hub.world.store.close().await;
            Ok(hub.world.settings.read(|settings| settings.hold.is_some()))
        })
    });
    match opened {
        Ok(false) => Finding { what, fine: true, says: "opens what this folder has sealed".to_owned() },
        Ok(true) => Finding { what, fine: true, says: format!("opens what this folder has sealed; {}", hold::WHY) },
        Err(Failure::Coded(rejection)) if rejection.code == lockstep_core::error::Code::DataInUse => {
            Finding { what, fine: true, says: "readable; the running server has it open".to_owned() }
        }
        Err(failure) => Finding { what, fine: false, says: failure.to_string() },
    }
}

/// Asks a running server whether it can do its work.
async fn server(args: &RemoteArgs, must_run: bool) -> Finding {
    let (what, url) = ("server", &args.url);
    let remote = match Remote::new(args) {
        Ok(remote) => remote,
        Err(failure) => return Finding { what, fine: false, says: failure.to_string() },
    };
    let asked = async {
        let answer = remote.call(http::Method::GET, "/readyz").await?;
        anyhow::Ok((answer.status().as_u16(), remote::whole(answer).await?))
    };
    match asked.await {
        Ok((200, body)) => {
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let says = match body.get("held").and_then(serde_json::Value::as_str) {
                Some(why) => format!("{url} takes writes, and delivers nothing: {why}"),
                None => format!("{url} takes writes and delivers"),
            };
            Finding { what, fine: true, says }
        }
        Ok((status, body)) => {
            let says = format!("{url} answers {status}: {}", String::from_utf8_lossy(&body).trim());
            Finding { what, fine: false, says }
        }
        Err(error) => {
            let says = format!("none runs at {url}, or --url names another place ({error:#})");
            Finding { what, fine: !must_run, says }
        }
    }
}
