//! A store under faults in virtual time, the same for the same seed.
//!
//! ```text
//!  load ──> SimStore (a client: latency, lost requests and replies, retries under the same id)
//!             └> Cloud: a primary and two replicas that lag, each a real embedded store; failovers, restarts, pauses,
//!                       networks that are cut, clocks that jump, long idle times
//! ```
//!
//! What commits, sweeps, fences, sessions, logs and their cuts do is the product's own: each server is an
//! [`Embedded`](tandem_store::embedded::Embedded) in memory, to which the operations of the one before are done again in
//! their order when it is elected. Followers are the product's, too. What is simulated is what lies between: networks,
//! clocks, elections, and the client's retries, which keep to the same rules as those on Redis.
//!
//! One thread, virtual time, chance from the seed: `simulate(seed)` answers the same each time.

mod bug;
mod client;
mod cloud;
mod director;
mod server;

pub use bug::{BUGS, Bug};

use std::sync::Arc;
use std::time::Duration;

use tandem_history::{History, Report};
use tandem_store::Backend;

use crate::dice::Dice;
use crate::load::{Load, Pace, tenant};
use client::SimStore;
use cloud::Cloud;

/// What a run brought.
#[derive(Debug)]
pub struct Simulated {
    /// The judgement.
    pub report: Report,
    /// What was done, in words.
    pub done: Vec<String>,
    /// A number of everything that was seen: the same run has the same.
    pub digest: u64,
}

/// Runs a seed, with a planted bug or none. Blocks; needs no runtime.
#[must_use]
pub fn simulate(seed: u64, bug: Option<Bug>) -> Simulated {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed, bug))
}

async fn run(seed: u64, bug: Option<Bug>) -> Simulated {
    let mut dice = Dice(seed);
    let cloud = Cloud::start(dice.roll(u64::MAX), bug);
    let store = |n| Arc::new(SimStore::new(&cloud, n)) as Arc<dyn Backend>;
    let stores = vec![store(0), store(1)];
    let pace = Pace {
        pause: Duration::from_millis(50 + dice.roll(150)),
        held: Duration::from_millis(300 + dice.roll(8000)),
        sweep: Duration::from_millis(500),
    };
    let mut load = Load::begin(stores.clone(), vec![tenant("acme"), tenant("globex")], pace, &mut dice);
    let disturbances = director::direct(&cloud, &load, &mut dice).await;
    load.follow(1);
    tokio::time::sleep(Duration::from_millis(300 + dice.roll(500))).await;
    load.end_writing().await;
    cloud.calm();
    let done = disturbances.iter().map(|d| format!("{} at {} us", d.what, d.from)).collect();
    let followers = load.end_following(Duration::from_secs(30), &mut dice).await;
    let mut history =
        History { attempts: load.recorder.attempts(), followers, disturbances, ..History::default() };
    history.log_age = tandem_store::LOG_AGE.as_micros() as u64;
    for (shard, (log, cut)) in cloud.whole_logs(&load.shards()) {
        history.log.insert(shard.0, log);
        history.cut.insert(shard.0, cut);
    }
    let report = tandem_history::check(&history);
    Simulated { report, done, digest: digest(&history) }
}

/// FNV-1a of what was seen.
fn digest(history: &History) -> u64 {
    let text = format!("{:?}{:?}{:?}", history.attempts, history.log, history.followers);
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
