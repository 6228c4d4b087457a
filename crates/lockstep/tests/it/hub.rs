//! The binary under test as a process: started, killed, stopped, refused.

use crate::eventually::{eventually, seconds};
use anyhow::{Context as _, Result, bail, ensure};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

/// The administrator's key of every hub started here.
pub(crate) const ADMIN_KEY: &str = "administrator-of-the-integration-tests";
/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_lockstep");
const READY: &str = "lockstep is listening on ";

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root is there")
}

/// The binary with no setting inherited.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

/// How a hub is to be started; can be started again and again.
#[derive(Clone)]
pub(crate) struct Start {
    data: PathBuf,
    listen: String,
    allow_private: String,
    settings: Vec<(&'static str, OsString)>,
}

impl Start {
    pub(crate) fn on(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: "127.0.0.1:0".to_owned(),
            allow_private: "127.0.0.0/8".to_owned(),
            settings: vec![("LOCKSTEP_ADMIN_KEY", ADMIN_KEY.into())],
        }
    }

    pub(crate) fn listening_on(mut self, address: SocketAddr) -> Self {
        self.listen = address.to_string();
        self
    }

    pub(crate) fn allowing(mut self, network: &str) -> Self {
        network.clone_into(&mut self.allow_private);
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(held, _)| *held != name);
        self
    }

    fn spawn(&self) -> Result<Running> {
        let log = NamedTempFile::new()?;
        let mut child = binary()
            .args(["serve", "--listen", &self.listen, "--allow-private", &self.allow_private, "--data"])
            .arg(&self.data)
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(log.reopen()?)
            .spawn()
            .with_context(|| format!("{BINARY} does not run"))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let (tell, address) = oneshot::channel();
        // Reads to the end, so that the pipe never fills.
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let address =
                    line.strip_prefix(READY).and_then(|url| url.split_once("://")?.1.trim().parse::<SocketAddr>().ok());
                if let (Some(address), true) = (address, tell.is_some()) {
                    let _is_heard = tell.take().map(|tell| tell.send(address));
                }
            }
        });
        Ok(Running { child, address, log })
    }

    /// Starts, and comes back when the hub says that it listens.
    ///
    /// # Errors
    /// [`Refusal`] when the process ends instead.
    pub(crate) async fn run(&self) -> Result<Hub> {
        let Running { child, address, log } = self.spawn()?;
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut hub = Hub { child, address: unknown, log };
        match tokio::time::timeout(seconds(60), address).await {
            Ok(Ok(address)) => hub.address = address,
            Ok(Err(_)) => {
                let status = hub.ended(seconds(20)).await?;
                return Err(Refusal { exit: status.code(), stderr: hub.log_text() }.into());
            }
            Err(_) => bail!("not listening after 60 s; it says: {}", hub.log_text()),
        }
        Ok(hub)
    }

    /// Starts what must not start, and gives how it ended.
    pub(crate) async fn refused(&self) -> Result<Refusal> {
        match self.run().await {
            Ok(_) => bail!("it started and serves"),
            Err(error) => error.downcast::<Refusal>(),
        }
    }
}

struct Running {
    child: Child,
    address: oneshot::Receiver<SocketAddr>,
    log: NamedTempFile,
}

/// A start that ended.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The exit code; none where a signal ended it.
    pub(crate) exit: Option<i32>,
    pub(crate) stderr: String,
}

impl Refusal {
    /// Holds it to exit code 1 and one error code.
    pub(crate) fn is_for(&self, code: &str) -> Result<()> {
        ensure!(self.exit == Some(1), "expected exit code 1: {self}");
        ensure!(self.stderr.contains(&format!("error[{code}]: ")), "expected error[{code}]: {self}");
        Ok(())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ended with {:?}, saying: {}", self.exit, self.stderr)
    }
}

impl std::error::Error for Refusal {}

/// A hub that serves. Dropped, it is killed.
pub(crate) struct Hub {
    child: Child,
    pub(crate) address: SocketAddr,
    log: NamedTempFile,
}

impl Hub {
    /// SIGKILL; comes back when the process is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "the hub had ended by itself: {}", self.log_text());
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, without waiting.
    pub(crate) fn ask_to_stop(&self) -> Result<()> {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status()?;
        ensure!(status.success(), "the hub could not be signalled");
        Ok(())
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let mut status = None;
        let looked = eventually(limit, "the hub's process ends", async || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        looked.await.with_context(|| self.log_text())?;
        status.context("ended without a status")
    }

    /// SIGTERM, then holds it to exit code 0 in its drain time.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.ask_to_stop()?;
        let status = self.ended(seconds(15)).await?;
        ensure!(status.success(), "stopped with {status}: {}", self.log_text());
        Ok(())
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it wrote to standard error.
    pub(crate) fn log_text(&self) -> String {
        let text = std::fs::read(self.log.path()).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(4_000)..]).into_owned()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended already; either way it must not outlive its test.
        let _is_over = self.child.kill();
        let _status = self.child.wait();
    }
}
