//! Random worlds: each seed plays its script, and the checkers find nothing.
//!
//! `LOCKSTEP_SIM_SEEDS=200` runs seeds 0 to 199, `LOCKSTEP_SIM_SEEDS=17..18` seed 17 alone, and
//! `LOCKSTEP_SIM_TRACE=1` shows all that happened in one that failed.

use lockstep_sim::run;
use std::ops::Range;

const STEPS: usize = 250;
const SEEDS: Range<u64> = 0..40;

#[expect(clippy::disallowed_methods, reason = "a test has no settings")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The seeds that were asked for, else these.
pub(crate) fn seeds_or(usual: Range<u64>) -> Range<u64> {
    let Some(asked) = told("LOCKSTEP_SIM_SEEDS") else { return usual };
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{asked} is neither N nor FROM..TO"));
    match asked.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&asked),
    }
}

/// Plays every second seed, so that two cores share them.
fn play(rest: u64) {
    let mut failed = Vec::new();
    for seed in seeds_or(SEEDS).filter(|seed| seed % 2 == rest) {
        let report = run(seed, STEPS).expect("the world itself stands");
        if !report.breaches.is_empty() {
            let (count, next) = (report.breaches.len(), seed + 1);
            let shown = report.breaches.iter().take(6).cloned().collect::<Vec<_>>().join("\n  ");
            let trace = told("LOCKSTEP_SIM_TRACE").map(|_| report.trace.join("\n")).unwrap_or_default();
            failed.push(format!(
                "seed {seed}: {count} breaches; alone: LOCKSTEP_SIM_SEEDS={seed}..{next} just sim promises\n  {shown}\n{trace}"
            ));
        }
    }
    assert!(failed.is_empty(), "promises were broken\n{}", failed.join("\n"));
}

#[test]
fn the_promises_hold_in_every_even_world() {
    play(0);
}

#[test]
fn the_promises_hold_in_every_odd_world() {
    play(1);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let [one, other] = [run(3, STEPS).unwrap(), run(3, STEPS).unwrap()];
    let differs = one.trace.iter().zip(&other.trace).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!((one.hash, one.trace.len()), (other.hash, other.trace.len()));
    assert_ne!(one.hash, run(4, STEPS).unwrap().hash);
}

#[test]
fn worlds_are_lively() {
    let reports: Vec<_> = (0..6).map(|seed| run(seed, STEPS).unwrap()).collect();
    let sum = |count: fn(&lockstep_sim::Report) -> usize| reports.iter().map(count).sum::<usize>();
    let (acks, arrivals) = (sum(|report| report.acks), sum(|report| report.arrivals));
    let lives: u64 = reports.iter().map(|report| report.lives).sum();
    assert!(acks > 600 && arrivals > 1_200 && lives > 20, "{acks} acks, {arrivals} arrivals, {lives} lives");
}
