//! Fences of writers that serve every tenant: a claim in `_cell`, and a floor in each shard. What they promise, and
//! why, is said in [`super`].

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use tandem_domain::id::Revision;
use tokio::time::Instant;

use super::Redis;
use super::node::Shared;
use super::request::{self, Fenced};
use crate::types::{Commit, Error, Fence, Key, Precondition, SHARDS, Shard};

/// Fences whose floors were raised in every shard, as long as no connection was made anew since: a primary that took
/// another's place may not have been told.
#[derive(Debug, Default)]
pub(super) struct Raised(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    epoch: u64,
    tokens: HashSet<(Key, Revision)>,
}

impl Raised {
    fn has(&self, fence: &Fence, shared: &Shared) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.epoch == shared.epoch.load(Ordering::Acquire)
            && known.tokens.contains(&(fence.key.clone(), fence.token))
    }

    /// Notes that a fence's floors were raised on the connections of an epoch.
    fn note(&self, fence: &Fence, epoch: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != epoch {
            *known = Known { epoch, tokens: HashSet::new() };
        }
        known.tokens.retain(|(key, _)| *key != fence.key);
        known.tokens.insert((fence.key.clone(), fence.token));
    }
}

impl Redis {
    /// Asks of each fence of a commit whether it is held, and makes sure that no smaller token is accepted anywhere
    /// before this one is. None for a commit to the shard that fences lie in: it looks for itself.
    pub(super) async fn fences(
        &self,
        commit: &Commit,
        shard: Shard,
        until: Instant,
    ) -> Result<Vec<Fenced>, Error> {
        let mut fences = Vec::new();
        if shard == Shard::CELL {
            return Ok(fences);
        }
        for precondition in &commit.preconditions {
            if let Precondition::FenceIs(fence) = precondition {
                fences.push(self.fence(fence, until).await?);
            }
        }
        Ok(fences)
    }

    async fn fence(&self, fence: &Fence, until: Instant) -> Result<Fenced, Error> {
        let cell = tandem_domain::record::cell();
        let look = || async {
            let found = self.look_at(&cell, &fence.key, until).await?;
            let held = found.as_ref().is_some_and(|(f, held)| *held && f.token == Some(fence.token));
            Ok::<_, Error>(Fenced { found: found.map(|(f, _)| f.version), held })
        };
        let fenced = look().await?;
        if !fenced.held || self.raised.has(fence, &self.shared) {
            return Ok(fenced);
        }
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        // In every shard, before the first commit under it: who held it before is accepted nowhere from then on.
        self.raise(fence, until).await?;
        let fenced = look().await?;
        if fenced.held {
            self.raised.note(fence, epoch);
        }
        Ok(fenced)
    }

    async fn raise(&self, fence: &Fence, until: Instant) -> Result<(), Error> {
        let mut raising = tokio::task::JoinSet::new();
        for shard in (0..SHARDS).map(Shard) {
            let (redis, call) = (self.clone(), request::raise(&self.shared.keys.shard(shard), fence));
            raising.spawn(async move { redis.call(shard, &call, until).await.map(|_| ()) });
        }
        while let Some(raised) = raising.join_next().await {
            raised.map_err(|e| Error::Unavailable(e.to_string()))??;
        }
        Ok(())
    }
}
