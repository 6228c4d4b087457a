//! Doubles of the platforms that Lockstep reads from and writes to: BlueConic, Copernica, ActiveCampaign, a generic
//! REST platform, and platform X behind OAuth 1.0a.
//!
//! Each is a pure state machine, `answer(call, now)`, that behaves as its platform is known to: tokens that expire,
//! pages, limits, and the odd errors. They are strict where the platform is, and where it is unknown they take the
//! answer that a wrong connector does not survive. Faults come from outside ([`Faults`]), from a seed.
//!
//! ```text
//! Transport::send ─┐                            ┌─▶ blueconic │ copernica │ activecampaign │ rest │ x
//!                  ├─▶ Call ─▶ Site: faults ────┤                    answer(call, now)
//! HTTP on a port ──┘     hooks ◀────────────────┘
//! ```
//! A platform must not read a clock, draw what its seed does not give, or open a connection: its hooks are handed
//! out, and [`Site`] sends them. It keeps a ledger of what was written to it from the outside ([`Write`]).
#![expect(
    clippy::indexing_slicing,
    reason = "members of JSON: one that is absent reads as null, and only objects made here are written to"
)]
#![expect(clippy::result_large_err, reason = "a refusal is an answer like any other, and nothing here is hot")]

pub mod activecampaign;
pub mod blueconic;
mod call;
mod census;
pub mod copernica;
mod faults;
pub mod firm;
mod ledger;
mod people;
pub mod platform_x;
pub mod rest;
mod serve;
mod site;
mod zone;

pub use call::{Answer, Call, Hook};
pub use census::{Census, Known};
pub use faults::Faults;
pub use ledger::Write;
pub use people::Person;
pub use serve::serve;
pub use site::{ScaledClock, Seen, Site};

use lockstep_core::clock::Timestamp;

/// A platform's double.
pub trait Platform: Send + 'static {
    /// Answers one call.
    fn answer(&mut self, call: &Call, now: Timestamp) -> Answer;

    /// What it says when it is asked too often; `seconds` is how long one should wait, if it tells that at all.
    fn throttled(&self, seconds: u64) -> Answer;

    /// What it says when its servers are busy.
    fn unavailable(&self) -> Answer;

    /// Every token given out so far ends now.
    fn expire_tokens(&mut self);

    /// The hooks that are due and were not given out yet.
    fn take_hooks(&mut self, now: Timestamp) -> Vec<Hook>;

    /// What became of a hook: its answer's status, or none where nobody answered.
    fn hook_answered(&mut self, hook: &Hook, status: Option<u16>);

    /// What was written from the outside so far.
    fn writes(&self) -> &[Write];
}
