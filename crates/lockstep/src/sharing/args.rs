//! Flags of `lockstep connection|share|run|problem`.

use crate::command_line::RemoteArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Whom to ask, for which business, and how to print the answer.
#[derive(Clone, Debug, Args)]
pub(crate) struct AskArgs {
    /// The business; may be left out where the key opens only one
    #[arg(long, env = "LOCKSTEP_BUSINESS", value_name = "ID")]
    pub(crate) business: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

/// One thing by its id.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// What a configuration is put together from.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration as JSON; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A member of it, such as `base_url=https://api.example.com` or `auth.key=…`; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Keep it without trying it at the platform
    #[arg(long)]
    pub(crate) untested: bool,
}

/// Accounts on platforms.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionCommand {
    /// List connections
    List(AskArgs),
    /// Show a connection; its secrets are never shown
    Get(OneArgs),
    /// Connect an account
    Add(AddConnectionArgs),
    /// Change a connection; what is not named stays
    Set(SetConnectionArgs),
    /// Try a connection as it stands
    Check(OneArgs),
    /// Print the address at which somebody logs in at the platform
    Login(LoginArgs),
    /// List the fields that a remote object has there, as a mapping names them
    Fields(FieldsArgs),
    /// Print the addresses of inbound hooks, to be pasted at the platform
    Hooks(OneArgs),
    /// Forget the credentials; shares stay, and wait for new ones
    Revoke(OneArgs),
    /// Drop a connection without shares
    Delete(OneArgs),
    /// List the connectors that the hub has
    Connectors(AskArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddConnectionArgs {
    /// The connector's name
    pub(crate) connector: String,
    /// A name for people [default: the connector's]
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// The connector's version [default: the newest]
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// The slug under which the ids of its objects stand [default: the connector's]
    #[arg(long, value_name = "SLUG")]
    pub(crate) provider: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetConnectionArgs {
    /// Its id
    pub(crate) id: String,
    /// A new name
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Another version of its connector
    #[arg(long)]
    pub(crate) version: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FieldsArgs {
    /// The connection's id
    pub(crate) id: String,
    /// The remote object, as its connector calls it
    pub(crate) object: String,
    /// What the object asks for beside, such as `database=11`; may be given several times
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub(crate) options: Vec<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The connection's id
    pub(crate) id: String,
    /// Where the browser goes afterwards
    #[arg(long, value_name = "URL")]
    pub(crate) redirect: Option<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// Which way a share goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// From the platform into the hub
    In,
    /// From the hub to the platform
    Out,
}

/// What is kept equal with a platform.
#[derive(Debug, Subcommand)]
pub(crate) enum ShareCommand {
    /// List shares, with how far each has come
    List(AskArgs),
    /// Show a share
    Get(OneArgs),
    /// Share a remote object of a connection
    Add(Box<AddShareArgs>),
    /// Change a share; what is not named stays
    Set(Box<SetShareArgs>),
    /// Show a mapping at work on something real; nothing is written
    Preview(PreviewArgs),
    /// Begin a run
    Run(RunArgs),
    /// Do nothing for a share until it is resumed
    Pause(OneArgs),
    /// Let a paused share go on
    Resume(OneArgs),
    /// End the run that a share has
    Cancel(OneArgs),
    /// Drop a share; records and remote objects stay
    Delete(OneArgs),
}

/// What a share says of how it works.
#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// A name for people
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// The mapping as JSON; `-` reads it from standard input, `none` takes the connector's own
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Which records: an expression such as "city == 'Delft'"; "" takes all
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) condition: Option<String>,
    /// What becomes of the other side when a record leaves the condition
    #[arg(long, value_name = "WHAT", value_parser = ["ignore", "unlink"])]
    pub(crate) on_leave: Option<String>,
    /// Whether what was there before is brought over
    #[arg(long, value_name = "WHAT", value_parser = ["none", "all"])]
    pub(crate) history: Option<String>,
    /// By which fields a record is recognised, with commas within a group; may be given several times
    #[arg(long = "match", value_name = "FIELDS")]
    pub(crate) matching: Vec<String>,
    /// When it pulls by itself: a cron expression in UTC; "" ends that
    #[arg(long, value_name = "CRON")]
    pub(crate) cron: Option<String>,
    /// So many seconds later at most, so that not all shares come at once
    #[arg(long, value_name = "SECONDS", requires = "cron")]
    pub(crate) jitter: Option<u32>,
    /// Turn pulls by schedule on or off
    #[arg(long, value_name = "BOOL")]
    pub(crate) pull: Option<bool>,
    /// Turn inbound hooks on or off
    #[arg(long, value_name = "BOOL")]
    pub(crate) hooks: Option<bool>,
    /// Turn pushes of changes as they come on or off
    #[arg(long, value_name = "BOOL")]
    pub(crate) push: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct AddShareArgs {
    /// The connection
    pub(crate) connection: String,
    /// The remote object, as the connector names it
    pub(crate) object: String,
    /// Which way, seen from the hub
    pub(crate) direction: Way,
    /// The type [default: the connector's own]
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) ty: Option<String>,
    /// What the connector asks to know of the object, such as database=12; may be given several times
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub(crate) options: Vec<String>,
    /// Begin paused
    #[arg(long)]
    pub(crate) paused: bool,
    #[command(flatten)]
    pub(crate) said: ShareArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetShareArgs {
    /// Its id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) said: ShareArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// The share's id
    pub(crate) id: String,
    /// A record [default: the newest]
    #[arg(long, value_name = "ID", group = "what")]
    pub(crate) record: Option<String>,
    /// A remote object, by its id there
    #[arg(long, value_name = "ID", group = "what")]
    pub(crate) remote: Option<String>,
    /// An object as the platform writes it, in JSON; `-` reads it from standard input
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) sample: Option<PathBuf>,
    /// A mapping to show in place of the share's, in JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The share's id
    pub(crate) id: String,
    /// What it does [default: incremental; baseline for a share that has had none]
    #[arg(long, value_parser = ["baseline", "full", "incremental"])]
    pub(crate) kind: Option<String>,
    /// The one record or remote object that it is about
    #[arg(long, value_name = "ID")]
    pub(crate) only: Option<String>,
    /// Wait for its end, and fail if it does not come to a good one
    #[arg(long)]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// Bulk executions of shares.
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// List runs, newest first
    List(OfShareArgs),
    /// Show a run
    Get(OneArgs),
    /// Stop a run where it is
    Pause(OneArgs),
    /// Let a paused run go on
    Resume(OneArgs),
    /// End a run
    Cancel(OneArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OfShareArgs {
    /// Those of this share
    #[arg(long, value_name = "ID")]
    pub(crate) share: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// Objects and records that could not be taken in or brought over.
#[derive(Debug, Subcommand)]
pub(crate) enum ProblemCommand {
    /// List problems
    List(ProblemsArgs),
    /// Show a problem
    Get(OneArgs),
    /// Try once more: one, or all that the flags name
    Replay(ReplayArgs),
    /// Close a problem without trying again
    Dismiss(OneArgs),
}

/// Which problems.
#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Those of this share
    #[arg(long, value_name = "ID")]
    pub(crate) share: Option<String>,
    /// Those going this way
    #[arg(long)]
    pub(crate) side: Option<Way>,
    /// Those for this reason, such as `ambiguous_match`
    #[arg(long)]
    pub(crate) code: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ProblemsArgs {
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Its id; without one, --all
    #[arg(required_unless_present = "all")]
    pub(crate) id: Option<String>,
    /// All that --share, --side and --code name
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

impl Way {
    /// As it is written in a body.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}
