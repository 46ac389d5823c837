//! Runs seeds of the simulation.
//!
//! ```text
//! simulate N [--from SEED]    N seeds
//! simulate --seed SEED        one, with what was done
//! simulate --bugs             after how many seeds each planted bug is found
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_faults::sim::{BUGS, simulate};

const USAGE: &str = "simulate N [--from SEED] | simulate --seed SEED | simulate --bugs";

fn number(text: Option<&String>) -> Option<u64> {
    text.and_then(|text| text.parse().ok())
}

/// Whether every promise was kept.
fn one(seed: u64) -> bool {
    let simulated = simulate(seed, None);
    simulated.done.iter().for_each(|done| println!("{done}"));
    println!("{:#?}\n{}", simulated.report.measured, simulated.report);
    simulated.report.kept()
}

/// As many at once as there are cores. Each is the same whatever runs beside it.
fn many(from: u64, count: u64) -> bool {
    let began = std::time::Instant::now();
    let (next, failed) = (AtomicU64::new(from), AtomicU64::new(0));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= from.saturating_add(count) {
            break;
        }
        let simulated = simulate(seed, None);
        if !simulated.report.kept() {
            failed.fetch_add(1, Ordering::Relaxed);
            println!("seed {seed}: run it again by: tests/simulate --seed {seed}\n{}", simulated.report);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner();
    println!("{count} seeds from {from} in {:.0} s: {failed} failed", began.elapsed().as_secs_f64());
    failed == 0
}

fn bugs() -> bool {
    const MOST: u64 = 200;
    for (bug, promises) in BUGS {
        let found = (1..=MOST).find(|seed| {
            let report = simulate(*seed, Some(bug)).report;
            promises.iter().any(|promise| report.broke(*promise))
        });
        match found {
            Some(seed) => println!("| {bug:?} | {promises:?} | {} |", seed),
            None => println!("| {bug:?} | {promises:?} | not within {MOST} |"),
        }
    }
    true
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kept = match args.first().map(String::as_str) {
        Some("--seed") => number(args.get(1)).map(one),
        Some("--bugs") => Some(bugs()),
        Some(_) => number(args.first()).map(|count| {
            let from = args.iter().position(|a| a == "--from").and_then(|at| number(args.get(at + 1)));
            many(from.unwrap_or(0), count)
        }),
        None => None,
    };
    match kept {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}
