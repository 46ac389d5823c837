//! The sweeper: what is due expires, as a write that everybody who follows sees.
//!
//! Every process sweeps, so that none is missed when one dies. The first by rendezvous hash of a shard sweeps it
//! every 500 ms, the others every 2 s: they find nothing left unless the first is gone. Only shards in which
//! something can fall due are swept; all others once a minute, for what nobody turned over.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use futures::future::join_all;
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Life;
use tandem_store::{Shard, Store};

use crate::follower::ViewFollower;

/// How often the first of a shard sweeps it.
const EVERY: Duration = Duration::from_millis(500);
/// Every which round the others do.
const OTHERS: u64 = 4;
/// Every which round shards are swept in which nothing is known to fall due.
const IDLE: u64 = 120;
/// Steps of one round at most: what is left falls to the next, so that a storm of expiry leaves room for others.
const STEPS: usize = 8;

pub(crate) fn start(life: &Life, store: &Store, view: &ViewFollower, clock: &Clock, process: &str) {
    let (ending, store, view, clock, process) =
        (life.clone(), store.clone(), view.clone(), clock.clone(), process.to_owned());
    life.tasks.spawn("cell sweeper", async move {
        let sweeping = async {
            for round in 1.. {
                clock.sleep(EVERY).await;
                let due = Shard::all().filter(|s| is_due(*s, round, &view, &process));
                join_all(due.map(|shard| sweep(&store, shard))).await;
            }
        };
        tokio::select! {
            () = sweeping => {}
            () = crate::last(&ending) => {}
        }
    });
}

fn is_due(shard: Shard, round: u64, view: &ViewFollower, process: &str) -> bool {
    if !view.may_expire(shard) {
        return round % IDLE == u64::from(shard.0) % IDLE;
    }
    let first = {
        let snapshot = view.load();
        let others = snapshot.registry.processes().map(|p| p.id.as_str());
        others.map(|id| weight(shard, id)).max().is_none_or(|most| weight(shard, process) >= most)
    };
    first || round.is_multiple_of(OTHERS)
}

/// The rendezvous weight of a process for a shard. Nothing depends on two processes agreeing: sweeping twice is
/// harmless.
fn weight(shard: Shard, process: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (shard.0, process).hash(&mut hasher);
    hasher.finish()
}

async fn sweep(store: &Store, shard: Shard) {
    for _ in 0..STEPS {
        match store.sweep(shard).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(shard = shard.0, %error, "cannot sweep now; the next round tries again");
                return;
            }
        }
    }
}
