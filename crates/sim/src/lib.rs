//! A world in one thread: the real engine on simulated time, with a store that is slow and fails, endpoints that are
//! slow, down, flapping, picky, throttling or gone, and a hub that is killed.
//!
//! ```text
//! seed ─▶ script ─▶ engine ─▶ slow_store            what was acked, what arrived,
//!           │          └────▶ endpoint   ─▶ evidence ─▶ checkers ─▶ Report
//!           └─ moods, kills, time            what was committed when
//! ```
//! Everything that could differ between two runs is a port: time is tokio's paused clock, ids, waits and faults are
//! drawn from the seed. So a seed that finds something finds it again: `LOCKSTEP_SIM_SEEDS=SEED..SEED+1 just sim`.
//! Beside the world stand the doubles of platforms that connectors talk to ([`platforms`]), under the same rules. They are
//! all there is without the feature `world`: so the binary has them for its demo, and tests of it on the machine's time.
//! Nothing here may read a clock of the machine's, draw a random number of its own, or start a thread.

pub mod chance;
#[cfg(feature = "world")]
pub mod checkers;
#[cfg(feature = "world")]
pub mod endpoint;
#[cfg(feature = "world")]
pub mod evidence;
#[cfg(feature = "world")]
pub mod model;
pub mod platforms;
#[cfg(feature = "world")]
mod script;
#[cfg(feature = "world")]
pub mod shares;
#[cfg(feature = "world")]
pub mod slow_store;
pub mod time;
#[cfg(feature = "world")]
pub mod trace;
#[cfg(feature = "world")]
pub mod world;

/// What a run came to.
#[cfg(feature = "world")]
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Promises broken, a line each.
    pub breaches: Vec<String>,
    /// The hash of its trace.
    pub hash: u64,
    /// Its trace.
    pub trace: Vec<String>,
    /// Commands acknowledged.
    pub acks: usize,
    /// Requests that arrived.
    pub arrivals: usize,
    /// Times the post room was opened.
    pub lives: u64,
}

/// Runs the world of a seed for so many steps, lets it come to rest, and judges what it left behind.
///
/// # Errors
/// Where the world itself fails, which is no breach but a fault of the simulation.
#[cfg(feature = "world")]
pub fn run(seed: u64, steps: usize) -> anyhow::Result<Report> {
    world::simulate(script::play(seed, steps))
}
