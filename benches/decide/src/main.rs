//! What a decision costs, in CPU time of the thread and in allocations.
//!
//! `bench-decide [TENANTS USERS]`, 1,000 tenants of 1,000 users by default: `decide` for calls of each kind in tenants
//! and users drawn at random, with three trails: `NoTrail`, which keeps nothing; one that lets every word be composed
//! and drops it, to show what composing costs; and `Steps`, which keeps them. Rounds of the three are interleaved; the
//! median round is printed. Allocations are counted by the allocator.
//!
//! `bench-decide --count CALLS [TENANTS USERS]` makes so many decisions of each kind with `NoTrail` and says nothing: for
//! a program that counts instructions. `bare.py` does so of this crate and of a copy without any call of the trail.

mod counting;
mod cell;

use std::borrow::Cow;
use std::hint::black_box;

use tandem_domain::routing::attempt::{CallAttempt, Facts};
use tandem_domain::routing::decide;
use tandem_domain::routing::decision::Outcome;
use tandem_domain::routing::trail::{NoTrail, Rule, Steps, Trail, Verdict};
use tandem_domain::view::View;

use cell::{Call, Cell};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const ROUNDS: usize = 9;
const CALLS: usize = 50_000;

/// Composes every word and drops it.
struct Dropping;

impl Trail for Dropping {
    const KEEPS: bool = true;

    fn step(&mut self, _: Rule, _: Verdict, words: impl FnOnce() -> Cow<'static, str>) {
        black_box(words());
    }
}

fn main() {
    let mut args: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if std::env::args().any(|arg| arg == "--count") {
        return count(args.remove(0), args.first().copied().unwrap_or(20), args.get(1).copied().unwrap_or(100));
    }
    let (tenants, users) = (args.first().copied().unwrap_or(1_000), args.get(1).copied().unwrap_or(1_000));
    let cell = Cell::new(tenants, users);
    println!("{tenants} tenants of {users} users; {CALLS} calls a round, {ROUNDS} rounds, medians");
    println!("{:<34} {:>9} {:>9} {:>9}   {:>6} {:>7}", "call", "NoTrail", "dropped", "Steps", "allocs", "bytes");
    for kind in cell::KINDS {
        let calls = cell.calls(kind, CALLS);
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(round(&cell.view, &calls, || NoTrail));
            times[1].push(round(&cell.view, &calls, || Dropping));
            times[2].push(round(&cell.view, &calls, Steps::default));
        }
        let [silent, dropped, kept] = times.map(median);
        let (allocations, bytes) = allocations(&cell.view, &calls);
        println!(
            "{:<34} {silent:>6.0} ns {dropped:>6.0} ns {kept:>6.0} ns   {allocations:>6.1} {bytes:>7.0}",
            kind.words()
        );
    }
}

/// Decides, for whoever counts from outside.
fn count(calls: usize, tenants: usize, users: usize) {
    let cell = Cell::new(tenants, users);
    for kind in cell::KINDS {
        black_box(round(&cell.view, &cell.calls(kind, calls), || NoTrail));
    }
}

/// CPU nanoseconds of a decision.
fn round<T: Trail>(view: &View, calls: &[Call], trail: impl Fn() -> T) -> f64 {
    let facts = Facts::default();
    let began = cpu();
    for call in calls {
        black_box(one(view, call, &facts, &mut trail()));
    }
    (cpu() - began) * 1e9 / calls.len() as f64
}

/// Allocations and bytes of a decision without a trail.
fn allocations(view: &View, calls: &[Call]) -> (f64, f64) {
    let facts = Facts::default();
    let before = counting::counted();
    for call in calls {
        black_box(one(view, call, &facts, &mut NoTrail));
    }
    let after = counting::counted();
    let each = |before: u64, after: u64| (after - before) as f64 / calls.len() as f64;
    (each(before.0, after.0), each(before.1, after.1))
}

fn one<T: Trail>(view: &View, call: &Call, facts: &Facts, trail: &mut T) -> Option<u16> {
    let tenant = view.tenant(&call.tenant)?;
    let attempt: CallAttempt<'_> = call.attempt();
    match decide(tenant, &attempt, facts, trail).outcome {
        Outcome::Route(route) => route.targets.first().map(|t| t.port),
        Outcome::Reject(rejection) => Some(rejection.reason.status()),
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for a timespec, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
