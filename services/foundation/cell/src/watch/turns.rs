//! Turns of reading the log, so that what is read at once is bounded, and a shard that does not answer holds up no other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tandem_store::backend::Reply;
use tandem_store::{Error, Pulled, Shard};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How many shards that answer are read at once: a pull brings 4 MiB at most.
const AT_ONCE: usize = 12;
/// How many that were slow or away the last time.
const SLOW_AT_ONCE: usize = 4;
/// From when on a shard is slow.
const SLOW: Duration = Duration::from_millis(200);

/// No turn came in time.
pub(super) struct Busy;

/// The turns of a process. Of one shard one reads at a time; who waits comes in the order of asking.
#[derive(Debug)]
pub(crate) struct Turns {
    shards: Vec<OfShard>,
    ready: Semaphore,
    slow: Semaphore,
}

#[derive(Debug)]
struct OfShard {
    turn: Semaphore,
    /// Whether its last pull was slow, or failed: it waits among its like.
    is_slow: AtomicBool,
}

impl Turns {
    pub(crate) fn new() -> Self {
        let of_shard = |_| OfShard { turn: Semaphore::new(1), is_slow: AtomicBool::new(false) };
        Self {
            shards: (0..Shard::COUNT).map(of_shard).collect(),
            ready: Semaphore::new(AT_ONCE),
            slow: Semaphore::new(SLOW_AT_ONCE),
        }
    }

    /// Pulls in turn. A pull that takes long is given up once, to wait where it is in nobody's way.
    pub(super) async fn pull<'s>(
        &self,
        shard: Shard,
        deadline: Instant,
        pull: impl Fn() -> Reply<'s, Pulled>,
    ) -> Result<Result<Pulled, Error>, Busy> {
        let of = &self.shards[shard.index()];
        let _turn = before(deadline, &of.turn).await?;
        if !of.is_slow.load(Ordering::Relaxed) {
            let _ready = before(deadline, &self.ready).await?;
            let pulled = tokio::time::timeout_at(deadline.min(Instant::now() + SLOW), pull()).await;
            of.is_slow.store(!matches!(pulled, Ok(Ok(_))), Ordering::Relaxed);
            if let Ok(pulled) = pulled {
                return Ok(pulled);
            }
        }
        let _slow = before(deadline, &self.slow).await?;
        let began = Instant::now();
        let Ok(pulled) = tokio::time::timeout_at(deadline, pull()).await else { return Err(Busy) };
        of.is_slow.store(pulled.is_err() || began.elapsed() > SLOW, Ordering::Relaxed);
        Ok(pulled)
    }
}

async fn before(deadline: Instant, of: &Semaphore) -> Result<SemaphorePermit<'_>, Busy> {
    // Nobody closes it.
    tokio::time::timeout_at(deadline, of.acquire()).await.ok().and_then(Result::ok).ok_or(Busy)
}
