//! Does faults to real Redis servers while a store on them is used, and has what was seen judged.
//!
//! ```text
//! chaos N [--seed SEED] [--only WORD]
//! ```
//!
//! N faults of each kind, on a primary with two replicas behind Sentinels, on a Cluster of nine, and on one Redis alone.
//! It starts itself again in namespaces of its own (network, mounts), where networks can be cut and disks be small without
//! anybody else noticing; where the system does not permit them, these faults are left out, and that is said. Prints a
//! line for each fault and a table; ends with an error if a promise was broken.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests only")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

mod alone;
mod clock;
mod cluster;
mod roles;
mod round;
mod sentinel;
mod table;
mod world;

use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use table::Table;
use tandem_faults::dice::Dice;

/// Says that this process is in namespaces of its own.
const INSIDE: &str = "TANDEM_CHAOS_INSIDE";

/// What is to be done.
#[derive(Clone, Debug)]
struct Plan {
    /// How many faults of each kind.
    each: usize,
    seed: u64,
    /// Only kinds that one of these words is in, with commas between.
    only: Option<String>,
    /// Whether this is in namespaces of its own.
    inside: bool,
}

/// What needs them.
const NEEDS_NAMESPACES: [&str; 2] = ["cut", "full disk"];

impl Plan {
    /// The kinds of a shape that are wanted, as often as wanted: round after round.
    fn rounds<K: Copy>(&self, shape: &str, kinds: &[(&str, K)]) -> Vec<(String, K, u64)> {
        let mut dice = Dice(self.seed);
        let mut rounds = Vec::new();
        for n in 0..self.each {
            for (kind, k) in kinds {
                let name = format!("{shape} {kind}");
                let seed = dice.roll(1 << 40);
                let can = self.inside || !NEEDS_NAMESPACES.contains(kind);
                if n == 0 && !can {
                    println!("{name}: left out, for there are no namespaces here");
                }
                if can
                    && self.only.as_ref().is_none_or(|only| only.split(',').any(|word| name.contains(word)))
                {
                    rounds.push((name, *k, seed));
                }
            }
        }
        rounds
    }
}

fn plan() -> Result<Plan, String> {
    let mut plan = Plan { each: 0, seed: 1, only: None, inside: std::env::var_os(INSIDE).is_some() };
    let mut args = std::env::args().skip(1);
    let usage = || "chaos N [--seed SEED] [--only WORD]".to_owned();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => plan.seed = args.next().and_then(|s| s.parse().ok()).ok_or_else(usage)?,
            "--only" => plan.only = Some(args.next().ok_or_else(usage)?),
            n => plan.each = n.parse().map_err(|_| usage())?,
        }
    }
    if plan.each == 0 { Err(usage()) } else { Ok(plan) }
}

/// A command in namespaces of its own.
fn unshared() -> Command {
    let mut command = Command::new("unshare");
    command.args(if world::root() { &[][..] } else { &["--user", "--map-root-user"][..] });
    command.args(["--net", "--mount"]);
    command
}

/// Starts this program again, in namespaces of its own.
fn again_inside() -> Result<ExitCode, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = unshared();
    command.arg(program).args(std::env::args().skip(1)).env(INSIDE, "1");
    let ended = command.status().map_err(|e| format!("unshare: {e}"))?;
    Ok(ExitCode::from(u8::try_from(ended.code().unwrap_or(1)).unwrap_or(1)))
}

fn main() -> ExitCode {
    let run = || -> Result<ExitCode, String> {
        let plan = plan()?;
        if plan.inside {
            world::prepare()?;
        } else if unshared().arg("true").stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
            return again_inside();
        }
        // Asking servers blocks a thread for a moment.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build();
        runtime.map_err(|e| e.to_string())?.block_on(all(plan))
    };
    run().unwrap_or_else(|why| {
        eprintln!("{why}");
        ExitCode::FAILURE
    })
}

async fn all(plan: Plan) -> Result<ExitCode, String> {
    let shim = Arc::new(clock::Shim::build()?);
    let table = Arc::<Table>::default();
    println!("seed {}: {} of each kind", plan.seed, plan.each);
    // Each on a thread of its own, for asking servers blocks it.
    let shapes = [
        tokio::spawn(sentinel::run(
            plan.clone(),
            Arc::clone(&table),
            Arc::clone(&shim),
            1,
            &sentinel::NOTICED,
        )),
        tokio::spawn(sentinel::run(plan.clone(), Arc::clone(&table), shim, 3, &sentinel::OTHERS)),
        tokio::spawn(cluster::run(plan.clone(), Arc::clone(&table))),
        tokio::spawn(alone::run(plan, Arc::clone(&table))),
    ];
    let mut whole = true;
    for shape in shapes {
        // One that could not go on has said why.
        whole &= shape.await.is_ok();
    }
    println!("\n{table}");
    Ok(if whole && table.kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
