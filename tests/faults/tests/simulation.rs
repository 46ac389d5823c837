//! A bounded number of seeds of the simulation, and the bugs that it must find. More seeds: `tests/simulate`.

use tandem_faults::sim::{BUGS, simulate};

/// So many seeds are run each time.
const SEEDS: u64 = 12;
/// Each planted bug is found within so many.
const FOUND_WITHIN: u64 = 40;

#[test]
fn every_promise_is_kept_in_every_seed() {
    for seed in 0..SEEDS {
        let simulated = simulate(seed, None);
        assert!(
            simulated.report.kept(),
            "run it again by: tests/simulate --seed {seed}\n{:#?}\n{}",
            simulated.done,
            simulated.report
        );
    }
}

/// Seeds in which the simulation itself once did what no network and no operator does: it delivered a request again to
/// a server that had never had it, let a quarter of an hour pass between two tries of a commit, or took a primary away
/// before any replica had what that one was elected with.
#[test]
fn the_simulation_does_nothing_that_is_outside_the_condition() {
    for seed in [1901, 64, 5597] {
        let report = simulate(seed, None).report;
        assert!(report.kept(), "run it again by: tests/simulate --seed {seed}\n{report}");
    }
}

#[test]
fn a_seed_that_is_run_again_is_the_same() {
    for seed in [1, 2, 3] {
        assert_eq!(simulate(seed, None).digest, simulate(seed, None).digest, "seed {seed}");
    }
    assert_ne!(simulate(1, None).digest, simulate(2, None).digest);
}

#[test]
fn each_planted_bug_is_found_by_its_name() {
    for (bug, promises) in BUGS {
        let finds = |seed: &u64| {
            let report = simulate(*seed, Some(bug)).report;
            promises.iter().any(|promise| report.broke(*promise))
        };
        let found = (1..=FOUND_WITHIN).find(finds);
        assert!(found.is_some(), "{bug:?} was not found within {FOUND_WITHIN} seeds");
    }
}
