//! The things that are measured, one file each, in the order of the issue that asked for them.
//!
//! Each starts the servers it needs, runs rounds in which the hub and its peer take turns, and reports medians over
//! the rounds; a ratio is taken within a round and the median is of the ratios, so that a slow minute of the machine
//! weighs on both sides.

mod accept;
mod airbyte;
mod both;
mod bulk;
mod dead;
mod drain;
mod fan_out;
mod feed;
mod idle;
mod latency;
mod query;
mod readers;
mod restored;
mod shares;

use clap::ValueEnum;

use super::hub::logs_since;
use super::report::Report;
use super::{Bench, say};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trial {
    /// Durable creates, nobody subscribed.
    A,
    /// Creates and deliveries together.
    B,
    /// Draining a backlog.
    C,
    /// Latency at a quarter of saturation.
    D,
    /// What subscriptions cost that do not match.
    E,
    /// Idle memory.
    F,
    /// A dead endpoint with a long backlog; only where it is asked for, since it takes minutes.
    G,
    /// An upload of many, and a sync of all; only where it is asked for, since it takes minutes.
    H,
    /// Backup, restore and start of a large store; only where it is asked for.
    I,
    /// The change feed on one connection; only where it is asked for.
    J,
    /// Thousands of readers of the feed; only where it is asked for.
    K,
    /// Looking for records by a field; only where it is asked for.
    L,
    /// Reading a platform from a manifest; only where it is asked for.
    M,
    /// Two platforms brought together; only where it is asked for.
    N,
}

impl Trial {
    /// Those that are run when none is named.
    pub(crate) const USUAL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    fn sign(self) -> (char, &'static str) {
        match self {
            Self::A => ('a', "durable creates, no subscription"),
            Self::B => ('b', "accept and deliver together, one subscription"),
            Self::C => ('c', "draining a backlog"),
            Self::D => ('d', "a quarter of saturation, open loop"),
            Self::E => ('e', "1, 1,000 and 10,000 subscriptions of which one matches"),
            Self::F => ('f', "idle: one business, one subscription, after 2 s"),
            Self::G => ('g', "one endpoint dead beside a healthy one, then back"),
            Self::H => ('h', "an upload of many, then a sync of all"),
            Self::I => ('i', "a large store backed up, restored, started"),
            Self::J => ('j', "the change feed on one connection"),
            Self::K => ('k', "5,000 readers of one business's feed"),
            Self::L => ('l', "queries by an indexed field"),
            Self::M => ('m', "100,000 records read from a manifest, beside airbyte-cdk"),
            Self::N => ('n', "100,000 people from one platform to another, then edits told by hooks"),
        }
    }

    /// Measures; what broke stands in the report, beside what was measured before it broke.
    pub(crate) async fn run(self, bench: &Bench) -> Report {
        let (letter, title) = self.sign();
        say(&format!("({letter}) {title}"));
        let mut report = Report::new(letter, title);
        let first = bench.next_board();
        let outcome = match self {
            Self::A => accept::run(bench, &mut report).await,
            Self::B => both::run(bench, &mut report).await,
            Self::C => drain::run(bench, &mut report).await,
            Self::D => latency::run(bench, &mut report).await,
            Self::E => fan_out::run(bench, &mut report).await,
            Self::F => idle::run(bench, &mut report).await,
            Self::G => dead::run(bench, &mut report).await,
            Self::H => bulk::run(bench, &mut report).await,
            Self::I => restored::run(bench, &mut report).await,
            Self::J => feed::run(bench, &mut report).await,
            Self::K => readers::run(bench, &mut report).await,
            Self::L => query::run(bench, &mut report).await,
            Self::M => airbyte::run(bench, &mut report).await,
            Self::N => shares::run(bench, &mut report).await,
        };
        report.error = outcome.err().map(|error| format!("{error:#}{}", logs_since(bench, first)));
        report
    }
}
