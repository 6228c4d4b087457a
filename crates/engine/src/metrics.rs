//! Every metric: its name, unit and labels, in one place.

use lockstep_core::command::Ending;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicI64;

/// How something ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum End {
    /// It changed a record, or settled.
    Ok,
    /// It changed nothing.
    Unchanged,
    /// It failed.
    Failed,
}

/// The labels of a count by ending.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndLabels {
    /// How it ended.
    pub end: End,
}

/// All metrics. Counters add up from the start of the process; gauges are set when they are scraped or change.
pub struct Metrics {
    registry: Registry,
    commands: Family<EndLabels, Counter>,
    attempts: Family<EndLabels, Counter>,
    attempt_seconds: Histogram,
    /// Deliveries under way.
    pub in_flight: Gauge,
    /// Endpoints whose gate is closed.
    pub gates_closed: Gauge,
    /// 1 while the hub is held and nothing leaves.
    pub held: Gauge,
    /// Records parked.
    pub parked: Gauge,
    /// Lanes that owe something.
    pub lanes_owing: Gauge,
    /// Age of the oldest change not yet delivered where it could be, in milliseconds.
    pub oldest_undelivered_ms: Gauge,
    /// When the post room last turned, in milliseconds since 1970.
    pub delivery_turned_at_ms: Gauge<i64, AtomicI64>,
    /// Commands that wait to be written.
    pub queued: Gauge,
    /// Size of the write-ahead log, in bytes.
    pub wal_bytes: Gauge,
    /// Free bytes on the disk.
    pub disk_free_bytes: Gauge,
    /// Commits made.
    pub commits: Gauge,
    /// Time spent in commits, in microseconds.
    pub commit_us: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("lockstep"),
            commands: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Histogram::new(exponential_buckets(0.001, 2.5, 12)),
            in_flight: Gauge::default(),
            gates_closed: Gauge::default(),
            held: Gauge::default(),
            parked: Gauge::default(),
            lanes_owing: Gauge::default(),
            oldest_undelivered_ms: Gauge::default(),
            delivery_turned_at_ms: Gauge::default(),
            queued: Gauge::default(),
            wal_bytes: Gauge::default(),
            disk_free_bytes: Gauge::default(),
            commits: Gauge::default(),
            commit_us: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("commands", "Commands ended, by how", self.commands.clone());
        registry.register("delivery_attempts", "HTTP tries of deliveries, by how they ended", self.attempts.clone());
        registry.register("delivery_attempt_seconds", "Time of one HTTP try", self.attempt_seconds.clone());
        registry.register("deliveries_in_flight", "Deliveries under way", self.in_flight.clone());
        registry.register("endpoints_gate_closed", "Endpoints that only probes go to", self.gates_closed.clone());
        registry.register("held", "1 while the hub is held since a restore, and nothing leaves", self.held.clone());
        registry.register("records_parked", "Records that wait for their next try", self.parked.clone());
        registry.register("lanes_owing", "Subscriptions that are owed something", self.lanes_owing.clone());
        let oldest = self.oldest_undelivered_ms.clone();
        registry.register("oldest_undelivered_milliseconds", "Age of the oldest change not yet delivered", oldest);
        registry.register("writer_queued_commands", "Commands that wait to be written", self.queued.clone());
        registry.register("wal_bytes", "Size of the write-ahead log", self.wal_bytes.clone());
        registry.register("disk_free_bytes", "Free bytes on the data folder's disk", self.disk_free_bytes.clone());
        registry.register("commits_made", "Commits since the start", self.commits.clone());
        registry.register("commit_microseconds", "Time spent in commits since the start", self.commit_us.clone());
    }

    /// Counts a command by its ending.
    pub fn command_ended(&self, ending: &Ending) {
        let end = match ending {
            Ending::Changed { .. } | Ending::Taken { .. } | Ending::Syncing { .. } | Ending::Uploading => End::Ok,
            Ending::Unchanged => End::Unchanged,
            Ending::Failed(_) | Ending::Refused(_) => End::Failed,
        };
        self.commands.get_or_create(&EndLabels { end }).inc();
    }

    /// Counts one try of a delivery.
    pub fn attempt_ended(&self, is_settled: bool, took_ms: u32) {
        let end = if is_settled { End::Ok } else { End::Failed };
        self.attempts.get_or_create(&EndLabels { end }).inc();
        self.attempt_seconds.observe(f64::from(took_ms) / 1_000.0);
    }

    /// Sets what a store tells of itself.
    pub fn observe_store(&self, state: &lockstep_store::StoreState) {
        let gauge = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge(&self.queued, state.queued as u64);
        gauge(&self.wal_bytes, state.wal_bytes);
        gauge(&self.disk_free_bytes, state.disk_free_bytes.unwrap_or(0));
        gauge(&self.commits, state.commits);
        gauge(&self.commit_us, state.commit_us);
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
