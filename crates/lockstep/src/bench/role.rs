//! What this executable does when the bench starts it again as a peer: serve until its standard input closes, which
//! it does when the bench ends, however it ends.

use std::io::{self, Read, Write};

use anyhow::Context;
use clap::ValueEnum;
use tokio::sync::oneshot;

use super::process::READY;
use super::{bare, load, sink};

/// A peer in a process of its own, so that what it costs is not booked to the hub or the load generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Counts deliveries.
    Sink,
    /// Parses creates and answers 202.
    BareServer,
}

impl Role {
    /// As it is written after `--role`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::BareServer => "bare-server",
        }
    }

    /// Serves until the standard input closes.
    pub(crate) async fn play(self) -> anyhow::Result<()> {
        let (tell, told) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink()).ok();
            drop(end);
        });
        let announce = async {
            let address = told.await.context("a peer that never listened")?;
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "lockstep bench {} {READY}{address}", self.name())?;
            stdout.flush().context("telling the address")
        };
        let serve = async {
            match self {
                Self::BareServer => bare::serve(tell, ended).await,
                Self::Sink => {
                    let on_one_thread = || load::on_own_runtime(sink::serve_counting(tell, ended));
                    tokio::task::spawn_blocking(on_one_thread).await?
                }
            }
        };
        tokio::try_join!(announce, serve)?;
        Ok(())
    }
}
