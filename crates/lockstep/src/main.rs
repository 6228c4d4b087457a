//! `lockstep`: the one binary. Reads the command line and hands over to the file of each command.

mod backup;
mod bench;
mod command_line;
mod connector;
mod demo;
mod doctor;
mod explain;
mod failure;
mod kept_for;
mod keys;
mod logging;
mod paths;
mod printer;
mod progress;
mod rekey;
mod remote;
mod serve;
mod settings;
mod sharing;
mod tail;
mod telemetry;
mod wire_up;
mod world;

use clap::Parser;
use command_line::{Command, CommandLine};
use failure::Failure;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer::complain(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(*args),
        Command::Demo(args) => demo::run(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Backup(args) => backup::take(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Release(args) => backup::release(&args),
        Command::Rekey(args) => rekey::run(&args),
        Command::Connector(command) => connector::run(command),
        Command::Connection(command) => sharing::connections(*command),
        Command::Share(command) => sharing::shares(command),
        Command::Run(command) => sharing::runs(command),
        Command::Problem(command) => sharing::problems(command),
        Command::Explain(args) => explain::run(&args),
        Command::Bench(args) => wire_up::runtime()?.block_on(bench::run(args)).map_err(Failure::from),
    }
}
