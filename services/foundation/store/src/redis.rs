//! The Redis backend: one truth for many processes. Redis 7.0 or newer, alone, behind Sentinels, or as a Cluster.
//!
//! ```text
//! commit ──> one script on the shard's primary: checks, writes, appends to the log, hints ──> answer
//!               └ Replicated: in a batch, with one WAIT behind it, on a connection of its own
//! pull   ──> XRANGE from the last seen entry on; list ──> HSCAN, then the log replayed over it
//! ```
//!
//! **Outcomes.** An answer that was lost is asked for again under the same commit id; the connection that lost it is
//! ended on the server before (`conn`), so that neither success nor refusal is a guess. `Indeterminate` is said when
//! the time for that is up, or when a commit is on the primary and no replica has confirmed it.
//!
//! **Fences.** A claim in `_cell` fences writers of every tenant, whose shards may lie on other primaries, where no
//! script can see it. So each shard keeps a floor for each fence: the largest token that it was told of. A writer's
//! token is asked for in `_cell` before each commit, and raised in every shard before the first; a commit whose token
//! is below its shard's floor is refused by the commit's own script. Hence: before the first commit of a holder is
//! accepted anywhere, no commit of an earlier holder is accepted anywhere, whatever it had asked before and however
//! long it was paused. A holder whose claim ended may be accepted after its end only by a commit that asked before,
//! and only until a successor's first.
//!
//! **Large changes.** A generation is turned over in steps of one part each, so that no script is long; from the first
//! step on it happens, and whoever meets the shard meanwhile (a commit, a listing, a sweep) goes on with it to the
//! end before its own work. Nobody is shown half of it.
//!
//! **What can be lost**: a `Local` commit that no replica had when its primary died; a `Replicated` one only if every
//! replica that confirmed it is lost, too, or another is elected. `docs/store.md` has a test beside each sentence.

mod batch;
mod conn;
mod fence;
mod hints;
mod info;
mod keys;
mod layout;
mod node;
mod nodes;
mod read;
mod request;
mod script;
pub mod settings;
mod steps;
mod topology;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redis::Value;
use tandem_domain::id::TenantId;
use tokio::sync::{Notify, RwLock, RwLockReadGuard, broadcast, watch};
use tokio::time::Instant;

use crate::backend::{Backend, Reply};
use crate::limits;
use crate::types::{
    Commit, Error, Key, Listing, Outcome, Position, Pulled, SessionId, Shard, Stats, Stored, World, Write,
};
use conn::Conn;
use fence::Raised;
use keys::Keys;
use node::{Class, NoConn, Node, Shared};
use request::{Generation, Session};
pub use settings::{BadUrl, Settings, Time};
use topology::{Map, Topology};

/// Why a store on Redis is not to be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no store's URL.
    #[error("{0}")]
    Url(#[from] BadUrl),
    /// Nobody answers, or not to us. It is tried on: this need not be the end of a process.
    #[error("{0}")]
    Unreachable(String),
    /// It answers, and what it holds or how it is configured does not fit.
    #[error("{0}")]
    Unfit(String),
}

/// A store on Redis. Cheap to clone; needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct Redis {
    shared: Arc<Shared>,
    topology: Arc<Topology>,
    /// Whether it is closed; held while something is asked.
    gate: Arc<RwLock<bool>>,
    raised: Arc<Raised>,
    /// About how large an entry of each shard is; 0: not known.
    entry_bytes: Arc<[AtomicU64]>,
    /// The last revision of each shard that was seen by looking.
    seen: Arc<[AtomicU64]>,
}

impl Redis {
    /// A store, connected to from now on, for as long as it lives. Whether it can be used is said by
    /// [`Redis::check`]; what is asked before it can waits a while, and is told so.
    #[must_use]
    pub fn open(settings: Settings, world: World) -> Self {
        let shared = Arc::new(Shared {
            keys: Keys::new(&settings.prefix),
            settings,
            world,
            hints: hints::all(),
            changed: watch::Sender::new(()),
            epoch: AtomicU64::new(0),
            look: Notify::new(),
            shortfalls: AtomicU64::new(0),
        });
        Self {
            topology: Arc::new(Topology::start(&shared)),
            shared,
            gate: Arc::default(),
            raised: Arc::default(),
            entry_bytes: numbers(),
            seen: numbers(),
        }
    }

    /// Whether every primary can be used, holds a store of this release, and is configured to keep what it must.
    ///
    /// # Errors
    /// [`OpenError`], with what to do.
    pub async fn check(&self) -> Result<(), OpenError> {
        match self.cell().await {
            Ok(_) => {}
            Err(Error::Unavailable(why)) => return Err(OpenError::Unreachable(why)),
            Err(other) => return Err(OpenError::Unfit(other.to_string())),
        }
        let until = self.write_until();
        for shard in Shard::all() {
            let (node, _) = self.conn(shard, Class::Local, until).await.map_err(OpenError::Unreachable)?;
            if let Some(why) = self.weakness(node.inner()) {
                return Err(OpenError::Unfit(why));
            }
        }
        Ok(())
    }

    /// The time that scripts are given: none, where they take the server's.
    fn now(&self) -> Vec<u8> {
        match self.shared.settings.time {
            Time::Server => Vec::new(),
            Time::World => (self.shared.world.clock)().to_string().into_bytes(),
        }
    }

    fn write_until(&self) -> Instant {
        Instant::now() + self.shared.settings.write_within
    }

    /// The primary of a shard and a connection to it, waited for.
    async fn conn(
        &self,
        shard: Shard,
        class: Class,
        until: Instant,
    ) -> Result<(Arc<Node>, Arc<Conn>), String> {
        let find = |map: &Arc<Map>| {
            let node = map.of(shard)?;
            Ok((Arc::clone(node), node.inner().conn(class)?))
        };
        self.wait_for(until, false, find).await
    }

    /// A connection to read from a shard's primary, waited for unless it is known to be away.
    async fn reading(&self, shard: Shard, until: Instant) -> Result<Arc<Conn>, String> {
        self.wait_for(until, true, |map| map.of(shard)?.inner().conn(Class::Local)).await
    }

    /// Who has which shard, waited for.
    async fn wait_for_map(&self, until: Instant) -> Result<Arc<Map>, String> {
        self.wait_for(until, false, |map| map.of(Shard::CELL).map(|_| Arc::clone(map))).await
    }

    async fn wait_for<T>(
        &self,
        until: Instant,
        hurried: bool,
        find: impl Fn(&Arc<Map>) -> Result<T, NoConn>,
    ) -> Result<T, String> {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let why = match find(&self.topology.map()) {
                Ok(found) => return Ok(found),
                Err(none) if hurried && none.down => return Err(none.why),
                Err(none) => none.why,
            };
            // The sender lives as long as this does.
            if tokio::time::timeout_at(until, changed.changed()).await.is_err() {
                return Err(why);
            }
        }
    }

    async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, Error> {
        let closed = self.gate.read().await;
        if *closed { Err(Error::Closed) } else { Ok(closed) }
    }

    async fn session(&self, tenant: &TenantId, session: SessionId, what: Session) -> Result<Value, Error> {
        let shard = Shard::of(tenant);
        let call = request::session(&self.shared.keys.shard(shard), tenant, session, what, self.now());
        self.call(shard, &call, self.write_until()).await
    }
}

/// A number for each shard.
fn numbers() -> Arc<[AtomicU64]> {
    (0..Shard::COUNT).map(|_| AtomicU64::new(0)).collect()
}

impl Backend for Redis {
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        Box::pin(async move {
            limits::commit(&commit, None)?;
            let _entered = self.enter().await?;
            self.write(&commit, None).await
        })
    }

    fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Reply<'_, Outcome> {
        Box::pin(async move {
            limits::commit(&commit, Some(parts))?;
            let _entered = self.enter().await?;
            self.write(&commit, Some(Generation { id: generation, parts })).await
        })
    }

    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(async move {
            limits::part(part, &writes)?;
            let _entered = self.enter().await?;
            self.put_aside(&tenant, generation, part, &writes).await
        })
    }

    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(async move {
            limits::session(ttl_ms)?;
            let _entered = self.enter().await?;
            match self.session(&tenant, session, Session::Open(ttl_ms)).await? {
                Value::Int(2) => Err(limits::ended()),
                _ => Ok(()),
            }
        })
    }

    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        let tenant = tenant.clone();
        Box::pin(async move {
            limits::session(ttl_ms)?;
            let _entered = self.enter().await?;
            Ok(self.session(&tenant, session, Session::Keep(ttl_ms)).await? == Value::Int(1))
        })
    }

    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.session(&tenant, session, Session::End).await.map(|_| ())
        })
    }

    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.step(shard).await
        })
    }

    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.record(&tenant, &key).await
        })
    }

    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.listing(shard).await
        })
    }

    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.pulled(shard, after, max).await
        })
    }

    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.all_positions().await
        })
    }

    fn hints(&self) -> broadcast::Receiver<Shard> {
        self.shared.hints.subscribe()
    }

    fn stats(&self) -> Reply<'_, Stats> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.all_stats().await
        })
    }

    fn nodes(&self) -> Reply<'_, Vec<crate::types::Node>> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.all_nodes().await
        })
    }

    fn sizes(&self) -> Reply<'_, Stats> {
        Box::pin(async move {
            let _entered = self.enter().await?;
            self.all_sizes().await
        })
    }

    fn shortfalls(&self) -> u64 {
        self.shared.shortfalls.load(Ordering::Relaxed)
    }

    fn close(&self) -> Reply<'_, ()> {
        Box::pin(async move {
            // What was asked before holds the gate until it is answered.
            *self.gate.write().await = true;
            self.topology.close();
            Ok(())
        })
    }
}
