//! The command line: commands, flags, the environment variables beside them, help texts.

use crate::bench::BenchArgs;
use crate::connector::Format;
use crate::kept_for::KeptFor;
use crate::sharing::args::{ConnectionCommand, ProblemCommand, RunCommand, ShareCommand};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Keeps business records equal in every application a business uses.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, after_help = "Try it first: lockstep demo")]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const ADMIN_KEY_HELP: &str =
    "The administrator's key is read from LOCKSTEP_ADMIN_KEY, or from admin.key in the data folder.";

const CALLER_KEY_HELP: &str = "The API key or token is read from LOCKSTEP_API_KEY, else the administrator's from \
    LOCKSTEP_ADMIN_KEY or admin.key in the data folder.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API and deliver changes
    #[command(after_help = "Secrets are read from the environment alone:\n  \
        LOCKSTEP_ADMIN_KEY   the administrator's API key [default: made in DIR/admin.key]\n  \
        LOCKSTEP_SECRET_KEY  the sealing key, 32 bytes in base64 or hex [default: made in DIR/lockstep.key]\n  \
        LOCKSTEP_ALERT_SECRET  signs what goes to the alert URL: whsec_ and 32 bytes in base64")]
    Serve(Box<ServeArgs>),
    /// Show the main job at once: three simulated platforms kept equal, a receiver that prints what arrives, edits
    Demo(DemoArgs),
    /// Say in plain words what is wrong, if something is
    Doctor(DoctorArgs),
    /// Follow the changes of a business as they happen
    #[command(after_help = CALLER_KEY_HELP)]
    Tail(TailArgs),
    /// Write a backup of a running hub into one file
    #[command(after_help = ADMIN_KEY_HELP)]
    Backup(BackupArgs),
    /// Make a data folder of a backup; the hub is then held until it is released
    Restore(RestoreArgs),
    /// Let deliveries of a restored hub go
    #[command(after_help = ADMIN_KEY_HELP)]
    Release(ReleaseArgs),
    /// Seal a folder's secrets with another key; the folder must not be in use
    #[command(after_help = "Keys are read from the environment, or from files:\n  \
        LOCKSTEP_SECRET_KEY      the key as it is [default: DIR/lockstep.key]\n  \
        LOCKSTEP_NEW_SECRET_KEY  the key to come [default: one is made, where the key is the folder's own]")]
    Rekey(RekeyArgs),
    /// Try a connector by itself: what it asks for, whether a configuration works, its streams, their records
    #[command(subcommand)]
    Connector(ConnectorCommand),
    /// Keep accounts on platforms: connect, change, try, log in, revoke
    #[command(subcommand, after_help = CALLER_KEY_HELP)]
    Connection(Box<ConnectionCommand>),
    /// Keep shares: what of a platform and of the hub is kept equal, and which way
    #[command(subcommand, after_help = CALLER_KEY_HELP)]
    Share(ShareCommand),
    /// Watch and steer runs of shares
    #[command(subcommand, after_help = CALLER_KEY_HELP)]
    Run(RunCommand),
    /// See what could not be taken in or brought over, and try it again
    #[command(subcommand, after_help = CALLER_KEY_HELP)]
    Problem(ProblemCommand),
    /// Explain an error code
    Explain(ExplainArgs),
    /// Measure this machine: the hub beside a bare server and a bare client, in one run
    Bench(BenchArgs),
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For machines, one object a line
    Json,
}

/// A flag beats its variable, a variable beats the file, the file beats the default.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Folder of the store, made if need be [default: ./lockstep-data]
    #[arg(long, env = "LOCKSTEP_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:7070]
    #[arg(long, env = "LOCKSTEP_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Private addresses that outgoing calls may go to; may be given several times
    #[arg(long, env = "LOCKSTEP_ALLOW_PRIVATE", value_name = "CIDR", value_delimiter = ',')]
    pub(crate) allow_private: Vec<IpNet>,
    /// File with the sealing key: 32 bytes in base64 or hex [default: DIR/lockstep.key]
    #[arg(long, env = "LOCKSTEP_SECRET_KEY_FILE", value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// PEM file with the server's certificate and those that vouch for it: serve HTTPS
    #[arg(long, env = "LOCKSTEP_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, env = "LOCKSTEP_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Folder with connectors beside the ready-made ones, a folder each; what changes there is read while the hub runs
    #[arg(long, env = "LOCKSTEP_CONNECTORS", value_name = "DIR")]
    pub(crate) connectors: Option<PathBuf>,
    /// Where platforms and people reach this hub, for hooks and logins [default: the address it listens on]
    #[arg(long, env = "LOCKSTEP_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Send traces of requests and deliveries to this OpenTelemetry collector, by OTLP over HTTP
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// How long changes are kept, such as 90d; records keep their present state [default: for ever]
    #[arg(long, env = "LOCKSTEP_HISTORY_KEPT_FOR", value_name = "DURATION")]
    pub(crate) history_kept_for: Option<KeptFor>,
    /// How long changes are held beyond that for a subscription that still needs them [default: 30d]
    #[arg(long, env = "LOCKSTEP_CURSOR_HELD_FOR", value_name = "DURATION")]
    pub(crate) cursor_held_for: Option<KeptFor>,
    /// Calls a second that a credential may make which has no rate limit of its own [default: as many as it likes]
    #[arg(long, env = "LOCKSTEP_RATE_LIMIT", value_name = "CALLS")]
    pub(crate) rate_limit: Option<u32>,
    /// Post system events here too, such as a subscription that was paused
    #[arg(long, env = "LOCKSTEP_ALERT_URL", value_name = "URL")]
    pub(crate) alert_url: Option<String>,
    /// How log lines are written [default: text]
    #[arg(long, env = "LOCKSTEP_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged, as a tracing filter [default: info]
    #[arg(long, env = "LOCKSTEP_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// A TOML file with these settings, named as the flags without dashes in front
    #[arg(long, env = "LOCKSTEP_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The administrator's API key; one is made in DIR/admin.key where none is given
    #[arg(skip)]
    pub(crate) admin_key: Option<String>,
    /// The sealing key itself
    #[arg(skip)]
    pub(crate) secret_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "LOCKSTEP_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:7070")]
    pub(crate) listen: SocketAddr,
    /// Stop after so many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N")]
    pub(crate) seconds: Option<u64>,
    /// Play the story of the three platforms once, compare every record, and end: 0 when all are equal, else 1
    #[arg(long)]
    pub(crate) once: bool,
    /// Print what came of it as one line of JSON, and nothing else
    #[arg(long, requires = "once")]
    pub(crate) json: bool,
    /// How many profiles BlueConic has
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(10..=50_000))]
    pub(crate) people: u64,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
    /// File with the sealing key [default: DIR/lockstep.key]
    #[arg(long, env = "LOCKSTEP_SECRET_KEY_FILE", value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// Look at the running server alone; that none answers is wrong then (for health checks)
    #[arg(long)]
    pub(crate) running: bool,
    /// Print findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A hub that runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct RemoteArgs {
    /// Where a running server listens
    #[arg(long, env = "LOCKSTEP_URL", value_name = "URL", default_value = "http://127.0.0.1:7070")]
    pub(crate) url: String,
    /// A PEM file with certificates of authorities to trust over https, besides the public ones
    #[arg(long, env = "LOCKSTEP_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Folder of the store [default: ./lockstep-data]
    #[arg(long, env = "LOCKSTEP_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// The business; may be left out where the key opens only one
    #[arg(long, env = "LOCKSTEP_BUSINESS", value_name = "ID")]
    pub(crate) business: Option<String>,
    /// Types, with commas between [default: all]
    #[arg(long, value_name = "TYPES")]
    pub(crate) types: Option<String>,
    /// Kinds, with commas between, such as created,email.updated [default: all]
    #[arg(long, value_name = "KINDS")]
    pub(crate) kinds: Option<String>,
    /// Updates only where one of these fields changed
    #[arg(long, value_name = "FIELDS")]
    pub(crate) fields: Option<String>,
    /// Begin after this seq or cursor; 0 is the oldest change [default: what comes from now on]
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<String>,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Print each change as a line of JSON, as the feed gives it
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to write, such as hub.tar.zst
    pub(crate) file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    pub(crate) file: PathBuf,
    /// The folder to make: empty, or not there yet
    #[arg(long, env = "LOCKSTEP_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Print what was restored as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RekeyArgs {
    /// Folder of the store [default: ./lockstep-data]
    #[arg(long, env = "LOCKSTEP_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// File with the sealing key as it is [default: DIR/lockstep.key]
    #[arg(long, env = "LOCKSTEP_SECRET_KEY_FILE", value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// File with the sealing key to come
    #[arg(long, value_name = "FILE")]
    pub(crate) new_secret_key_file: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The code, such as `unknown_field`; without one, all codes are listed
    pub(crate) code: Option<String>,
}

/// A connector is a folder with a `manifest.yaml`, or one of the ready-made ones by its name.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectorCommand {
    /// List the ready-made connectors
    List,
    /// Begin a connector: a small one that works, with comments that lead to docs/CONNECTORS.md
    New(NewArgs),
    /// Show what configuration a connector asks for
    Spec(ShowArgs),
    /// Try a configuration
    Check(AccountArgs),
    /// List the streams
    Discover(AccountArgs),
    /// Read records, each a line of JSON on standard output
    Read(ReadArgs),
    /// Replay recorded calls and compare what is read of them
    Test(TestArgs),
    /// Print the JSON Schema of lockstep.yaml
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Folder to write it into; it is made where it is not there, and refused where it holds anything
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Folder with a manifest.yaml, or the name of a ready-made connector
    #[arg(value_name = "DIR")]
    pub(crate) connector: String,
    /// How the output is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct AccountArgs {
    /// Folder with a manifest.yaml, or the name of a ready-made connector
    #[arg(value_name = "DIR")]
    pub(crate) connector: String,
    /// The configuration as JSON; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How the output is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Private addresses that calls may go to; may be given several times
    #[arg(long, env = "LOCKSTEP_ALLOW_PRIVATE", value_name = "CIDR", value_delimiter = ',')]
    pub(crate) allow_private: Vec<IpNet>,
    /// Tell nothing but what is asked for and what goes wrong
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Tell every call on standard error, without secrets
    #[arg(long)]
    pub(crate) trace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    /// A stream to read; may be given several times [default: all]
    #[arg(long = "stream", value_name = "NAME", conflicts_with = "catalog")]
    pub(crate) streams: Vec<String>,
    /// Streams and modes to read, as a configured catalog of Airbyte's protocol
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// States to read on from, as STATE messages or by stream
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Write the states that were reached, to be given to --state
    #[arg(long, value_name = "FILE")]
    pub(crate) save_state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Folder with a manifest.yaml and samples/
    #[arg(value_name = "DIR")]
    pub(crate) connector: String,
    /// Record a sample against the platform instead, with secrets taken out
    #[arg(long, requires = "config")]
    pub(crate) record: bool,
    /// Name of the sample to record
    #[arg(long, value_name = "NAME", default_value = "recorded")]
    pub(crate) name: String,
    /// The configuration to record with, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A stream to record; may be given several times [default: all]
    #[arg(long = "stream", value_name = "NAME")]
    pub(crate) streams: Vec<String>,
    /// Private addresses that calls may go to; may be given several times
    #[arg(long, env = "LOCKSTEP_ALLOW_PRIVATE", value_name = "CIDR", value_delimiter = ',')]
    pub(crate) allow_private: Vec<IpNet>,
}
