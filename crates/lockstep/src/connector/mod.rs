//! `lockstep connector …`: begins a connector, and tries one by itself, without a hub: what it asks for, whether a
//! configuration works, which streams there are, and their records.

mod begin;
mod builtin;
mod input;
mod output;
mod sample;
mod tell;

use crate::command_line::{AccountArgs, ConnectorCommand, LogFormat, ReadArgs, ShowArgs};
use crate::failure::Failure;
use crate::logging;
use crate::printer::{complain, say};
use crate::world::{SystemClock, SystemIds};
use lockstep_connect::{Ask, Check, Event, Session, Sharing, Source, World};
use lockstep_core::clock::IdSource as _;
use lockstep_core::error::Code;
use lockstep_egress::{AddressPolicy, HttpTransport};
pub(crate) use output::Format;
use output::Output;
use std::io::ErrorKind;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Pages between the reader and the printer.
const PAGES_AHEAD: usize = 1;

/// Runs one of the commands.
pub(crate) fn run(command: ConnectorCommand) -> Result<(), Failure> {
    match command {
        ConnectorCommand::List => builtin::list(),
        ConnectorCommand::New(args) => begin::begin(&args),
        ConnectorCommand::Spec(args) => spec(&args),
        ConnectorCommand::Check(args) => runtime()?.block_on(check(&args)),
        ConnectorCommand::Discover(args) => runtime()?.block_on(discover(&args)),
        ConnectorCommand::Read(args) => runtime()?.block_on(read(&args)),
        ConnectorCommand::Test(args) => runtime()?.block_on(sample::test(&args)),
        ConnectorCommand::Schema => {
            say(&output::pretty(&Sharing::schema()));
            Ok(())
        }
    }
}

/// One thread: one account is read at the pace of its platform, and a second thread would only hold more memory.
fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Failure::Other(error.into()))
}

fn spec(args: &ShowArgs) -> Result<(), Failure> {
    let source = input::source(&args.connector)?;
    match args.format {
        Format::Airbyte => say(&output::spec_line(&source)),
        Format::Json | Format::Jsonl => say(&output::pretty(&source.spec())),
        Format::Text => tell::spec(&args.connector, &source),
    }
    Ok(())
}

async fn check(args: &AccountArgs) -> Result<(), Failure> {
    let source = input::source(&args.connector)?;
    let session = open(&source, args)?;
    tell::doubts(&source);
    let outcome = session.check().await;
    tell_config(&session, args.format);
    match args.format {
        Format::Airbyte => say(&output::check_line(&outcome)),
        Format::Json | Format::Jsonl => say(&output::check_json(&outcome).to_string()),
        Format::Text if outcome == Check::Works => say("The configuration works."),
        Format::Text => {}
    }
    match outcome {
        Check::Works => Ok(()),
        Check::Fails(why) => Err(Failure::new(Code::ConnectorFailed, why)),
    }
}

async fn discover(args: &AccountArgs) -> Result<(), Failure> {
    let source = input::source(&args.connector)?;
    let session = open(&source, args)?;
    let streams = session.discover().await;
    tell_config(&session, args.format);
    let streams = streams.map_err(|failure| Failure::new(Code::ConnectorFailed, failure.message))?;
    match args.format {
        Format::Airbyte => say(&output::catalog_line(&streams)),
        Format::Json | Format::Jsonl => say(&output::pretty(&output::catalog(&streams))),
        Format::Text => tell::streams(&streams),
    }
    tell::refused(&source);
    Ok(())
}

async fn read(args: &ReadArgs) -> Result<(), Failure> {
    let source = input::source(&args.account.connector)?;
    let ask = input::ask(args)?;
    let session = open(&source, &args.account)?;
    let mut output = Output::begin(args.account.format, args.account.quiet, ask.states.clone());
    if ask.streams.is_none() {
        tell::refused(&source);
    }
    let pulled = pull(&session, ask, &mut output).await?;
    let (states, written) = output.end();
    if let Some(path) = &args.save_state {
        input::save_state(path, &states)?;
    }
    match (written, pulled) {
        (Err(error), _) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        (Err(error), _) => Err(Failure::Other(anyhow::Error::new(error).context("writing the records"))),
        (Ok(()), Pulled::Whole) => Ok(()),
        (Ok(()), Pulled::Stopped) => Err(Failure::new(Code::ConnectorFailed, "stopped before everything was read")),
        (Ok(()), Pulled::Part) => {
            Err(Failure::new(Code::ConnectorFailed, "not everything could be read; what is missing is said above"))
        }
    }
}

/// How reading ended.
enum Pulled {
    /// Nothing is missing.
    Whole,
    /// Something could not be read.
    Part,
    /// The person at the terminal has had enough.
    Stopped,
}

/// Reads, and hands what happens to the output. Ctrl-C ends the reading; what was read until then is written.
async fn pull(session: &Session, ask: Ask, output: &mut Output) -> Result<Pulled, Failure> {
    let (out, mut events) = mpsc::channel::<Event>(PAGES_AHEAD);
    let reading = async {
        let done = tokio::select! {
            done = session.read(ask, &out) => Some(done),
            Ok(()) = tokio::signal::ctrl_c() => None,
        };
        drop(out);
        done
    };
    // The events are dropped with it, which ends the reading.
    let printing = async move {
        let mut is_whole = true;
        while let Some(event) = events.recv().await {
            if let Event::Ended { is_whole: ended, .. } = &event {
                is_whole &= ended;
            }
            let is_read = session.take_kept_config().is_none_or(|config| output.config(&config));
            if !output.take(&event) || !is_read {
                // Nobody reads the output any more, as with `| head`; nor is what still comes taken for read.
                return false;
            }
        }
        is_whole
    };
    let (done, is_whole) = tokio::join!(reading, printing);
    match done {
        None => Ok(Pulled::Stopped),
        Some(Err(failure)) => Err(Failure::new(Code::ConnectorFailed, failure.message)),
        Some(Ok(())) if is_whole => Ok(Pulled::Whole),
        Some(Ok(())) => Ok(Pulled::Part),
    }
}

/// Tells the configuration that should be kept from now on, where it is a new one.
fn tell_config(session: &Session, format: Format) {
    match session.take_kept_config() {
        Some(config) if format == Format::Airbyte => say(&output::config_line(&config)),
        Some(_secret) => note(output::KEPT_UNTOLD),
        None => {}
    }
}

/// A session over the network.
fn open(source: &Source, args: &AccountArgs) -> Result<Session, Failure> {
    if args.trace {
        logging::begin("lockstep_connect=debug", LogFormat::Text, None)?;
    }
    let policy = Arc::new(AddressPolicy::new(args.allow_private.clone()));
    let config = input::config(args.config.as_deref())?;
    let transport = Arc::new(HttpTransport::new(policy));
    let world = World { transport, clock: Arc::new(SystemClock), seed: seed(), keep: None };
    source.open(config, world).map_err(|failure| Failure::new(Code::SettingsInvalid, failure.message))
}

#[expect(clippy::cast_possible_truncation, reason = "any part of a random number is one")]
fn seed() -> u64 {
    SystemIds.ordered() as u64
}

/// A line for people, on standard error. What a platform says in it cannot move the cursor or clear the screen.
fn note(line: &str) {
    complain(&line.replace(|one: char| one.is_control() && one != '\n', " "));
}
