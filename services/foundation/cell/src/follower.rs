//! The facts of the cell, in memory: follows every shard of the store into a [`View`].
//!
//! Readers take a [`Snapshot`] without waiting for anybody. Who must see every change subscribes: a snapshot, then
//! every [`Batch`] after it.
//!
//! Invariants:
//! - a snapshot shows whole commits: also one that was staged is there at once or not at all;
//! - what [`ViewFollower::reached`] says is in the snapshot that is loaded after it, unless it is of a tenant that the
//!   store has lost;
//! - a shard that must be listed anew is compared with what is stored as far as is known, and the differences are one change: nobody
//!   sees it empty in between;
//! - a record that this release cannot read leaves what was shown, and is named in the log;
//! - what the store lost of a tenant is shown until it is written again (`lost.rs`); `stored` is what it holds.

mod fan;
mod lost;
mod merge;
mod take;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use arc_swap::Guard;
use arc_swap::{ArcSwap, ArcSwapOption};
use take::Shards;
use tandem_domain::id::{Revision, TenantId};
use tandem_domain::record::{self, Change};
use tandem_domain::view::{TenantView, View};
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Life;
use tandem_store::{Followed, Shard, Store};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use fan::{Batch, LAG_MAX, Lagged, Scope, Subscription};
use lost::Lost;
pub use merge::records;
pub(crate) use merge::{keys, of_tenant, shown_of};

use crate::registry::Registry;

/// How soon a store that could not be read is asked again.
const RETRY: Duration = Duration::from_millis(200);
/// How often a store that could be read again is looked at until the view is known to be whole.
const LOOK: Duration = Duration::from_millis(100);

/// The facts at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The tenants.
    pub view: View,
    /// What lies in `_cell`.
    pub registry: Registry,
}

impl Snapshot {
    /// Whether the store has no tenant at all. It is new then, or was emptied: that nobody is there is not known.
    #[must_use]
    pub fn is_unborn(&self) -> bool {
        self.registry.tenants().next().is_none()
    }

    fn apply(&mut self, change: &Change) {
        self.view.apply(change);
        if change.tenant == record::cell() {
            self.registry.apply(change);
        }
    }
}

/// A revision was not reached in time: the store or this process is behind, or nobody ever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision {wanted} was not reached in time; this process has {reached}")]
pub struct Late {
    /// What was waited for.
    pub wanted: Revision,
    /// How far the tenant's shard has come.
    pub reached: Revision,
}

/// Follows the store into a view. Cheap to clone; clones see the same.
#[derive(Clone, Debug)]
pub struct ViewFollower(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    published: ArcSwap<Snapshot>,
    /// What the store holds: the same, unless it has lost something.
    stored: ArcSwap<Snapshot>,
    /// Counts listings of another history than was followed.
    diverged: watch::Sender<u64>,
    /// Microseconds since 1970 since when something is shown that the store has lost; 0: nothing is.
    lost_since: AtomicU64,
    /// How many tenants that is.
    lost: AtomicU64,
    /// How far each shard has come; written after the snapshot that shows it was published.
    reached: Box<[AtomicU64]>,
    /// Whether anything was ever claimed in a shard, so that something may expire.
    claimed: Box<[AtomicBool]>,
    /// Wakes who waits, with each publication.
    moved: watch::Sender<()>,
    synchronised: AtomicBool,
    /// Microseconds since 1970; 0: it is not stale.
    stale_since: AtomicU64,
    /// How long the last change was on its way, microseconds.
    lag: AtomicU64,
    /// The cell's id, known once the view is synchronised.
    cell: ArcSwapOption<u128>,
    /// `_cell` was listed anew: it may be another's.
    another: Notify,
    /// Held while a snapshot is published with its batches, and while somebody subscribes.
    fan: Mutex<fan::Fan>,
    clock: Clock,
}

impl ViewFollower {
    pub(crate) fn start(life: &Life, store: &Store, clock: Clock) -> Self {
        let shards = Shard::COUNT;
        let follower = Self(Arc::new(Inner {
            published: ArcSwap::default(),
            stored: ArcSwap::default(),
            diverged: watch::Sender::new(0),
            lost_since: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            reached: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            claimed: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            moved: watch::Sender::new(()),
            synchronised: AtomicBool::new(false),
            stale_since: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            cell: ArcSwapOption::empty(),
            another: Notify::new(),
            fan: Mutex::default(),
            clock,
        }));
        let (ending, store, following) = (life.clone(), store.clone(), follower.clone());
        life.tasks.spawn("cell follower", async move {
            tokio::select! {
                () = following.follow(&store) => {}
                () = following.learn_again(&store) => {}
                () = crate::last(&ending) => {}
            }
        });
        follower
    }

    /// The facts now. Never waits; hold it as long as one answer takes.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.published.load()
    }

    /// The facts now, to be kept for longer.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.published.load_full()
    }

    /// What the store holds now. It lacks what was lost of it, which [`ViewFollower::load`] still shows: who writes plans
    /// by this.
    #[must_use]
    pub fn stored(&self) -> Arc<Snapshot> {
        self.0.stored.load_full()
    }

    /// How many tenants are shown of which the store has lost something.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Acquire)
    }

    /// The tenants whose directory is shown, and the store has lost it: as they are shown.
    #[must_use]
    pub fn lost_directories(&self) -> Vec<Arc<TenantView>> {
        if self.lost() == 0 {
            return Vec::new();
        }
        let (shown, stored) = (self.snapshot(), self.stored());
        let only = |t: &&Arc<TenantView>| lost::lost(t, &stored) == Some(Lost::Directory);
        shown.view.tenants().filter(only).cloned().collect()
    }

    /// Changes whenever a shard was listed of another history than was followed: what was written may be there no more.
    pub(crate) fn diverged(&self) -> watch::Receiver<u64> {
        self.0.diverged.subscribe()
    }

    /// Whether every shard was listed once.
    #[must_use]
    pub fn is_synchronised(&self) -> bool {
        self.0.synchronised.load(Ordering::Acquire)
    }

    /// The cell's id: 128 bits from chance at its birth, that every process of the cell has and no caller is told.
    /// A store that was emptied has another soon. None: not synchronised yet.
    #[must_use]
    pub fn cell_id(&self) -> Option<u128> {
        self.0.cell.load().as_deref().copied()
    }

    /// Waits until every shard was listed once. Cancel-safe.
    pub async fn synchronised(&self) {
        self.until(|| self.is_synchronised()).await;
    }

    /// Since when the store cannot be read, or lacks something that is shown, in microseconds since 1970; none: the view
    /// is as new as can be.
    #[must_use]
    pub fn stale_since(&self) -> Option<u64> {
        let lost = Some(self.0.lost_since.load(Ordering::Acquire)).filter(|since| *since > 0);
        self.away_since().into_iter().chain(lost).min()
    }

    fn away_since(&self) -> Option<u64> {
        Some(self.0.stale_since.load(Ordering::Acquire)).filter(|since| *since > 0)
    }

    /// How long the last change was on its way: from its commit, by the store's clock, until it was shown, by this
    /// process's.
    #[must_use]
    pub fn lag(&self) -> Duration {
        Duration::from_micros(self.0.lag.load(Ordering::Relaxed))
    }

    /// How far the shard of a tenant has come. What [`ViewFollower::load`] answers after this shows at least that.
    #[must_use]
    pub fn reached(&self, tenant: &TenantId) -> Revision {
        Revision(self.0.reached[Shard::of(tenant).index()].load(Ordering::Acquire))
    }

    /// Waits until the view shows a tenant's revision, and answers a snapshot that does. Cancel-safe.
    ///
    /// # Errors
    /// [`Late`] when `deadline` passes first. A revision that is there already is answered whatever the deadline.
    pub async fn wait_for(
        &self,
        tenant: &TenantId,
        min_revision: Revision,
        deadline: Instant,
    ) -> Result<Arc<Snapshot>, Late> {
        let waiting = self.until(|| self.reached(tenant) >= min_revision);
        if self.reached(tenant) < min_revision && tokio::time::timeout_at(deadline, waiting).await.is_err() {
            return Err(Late { wanted: min_revision, reached: self.reached(tenant) });
        }
        Ok(self.snapshot())
    }

    /// Waits until a condition on the facts holds; it is asked after every change. Cancel-safe.
    pub async fn until(&self, mut holds: impl FnMut() -> bool) {
        let mut moved = self.0.moved.subscribe();
        // The sender lives in `self`: the wait does not fail.
        let _ = moved.wait_for(|()| holds()).await;
    }

    /// The facts now, and every change after them.
    #[must_use]
    pub fn subscribe(&self, scope: Scope) -> (Arc<Snapshot>, Subscription) {
        let mut fan = self.fan();
        let subscription = fan.subscribe(scope, Arc::downgrade(&self.0));
        (self.0.published.load_full(), subscription)
    }

    /// Whether anything in a shard may fall due.
    pub(crate) fn may_expire(&self, shard: Shard) -> bool {
        self.0.claimed[shard.index()].load(Ordering::Relaxed)
    }

    fn fan(&self) -> MutexGuard<'_, fan::Fan> {
        // What the lock guards stays whole through a panic: each change of it is one insert or remove.
        self.0.fan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(&self, store: &Store) {
        let mut follower = store.follow();
        let mut shards = Shards::new();
        loop {
            let next = if self.away_since().is_some() && self.is_synchronised() {
                tokio::select! {
                    biased;
                    next = follower.next() => next,
                    () = self.caught_up(store) => {
                        tracing::info!("the store can be read again");
                        self.fresh();
                        continue;
                    }
                }
            } else {
                follower.next().await
            };
            match next {
                Ok(followed) => {
                    if followed == Followed::Synchronised {
                        self.learn_cell(store).await;
                    }
                    if let Followed::Resync(_, cause) = followed {
                        store.counts().resync(cause);
                    }
                    self.take(followed, &mut shards);
                    std::mem::take(&mut shards.again).into_iter().for_each(|s| follower.list_again(s));
                }
                Err(error) => {
                    self.stale(&error);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn learn_cell(&self, store: &Store) {
        while let Err(error) = self.ask_cell(store).await {
            self.stale(&error);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Learns the cell's id again whenever it may be another, while the shards are followed.
    async fn learn_again(&self, store: &Store) {
        loop {
            self.0.another.notified().await;
            while self.ask_cell(store).await.is_err() {
                tokio::time::sleep(RETRY).await;
            }
            self.0.moved.send_replace(());
        }
    }

    async fn ask_cell(&self, store: &Store) -> Result<(), tandem_store::Error> {
        let stats = store.stats().await?;
        self.0.cell.store(Some(Arc::new(stats.cell)));
        Ok(())
    }

    fn stale(&self, error: &tandem_store::Error) {
        let now = self.0.clock.unix_micros().max(1);
        let was = self.0.stale_since.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
        if was.is_ok() {
            tracing::warn!(%error, "the store cannot be read; answering from what is known");
            self.0.moved.send_replace(());
        }
    }

    fn fresh(&self) {
        self.0.stale_since.store(0, Ordering::Release);
        self.0.moved.send_replace(());
    }

    /// Waits until the store can be read and has nothing that is not shown.
    async fn caught_up(&self, store: &Store) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(positions) = store.backend().positions().await else { continue };
            let shown = |shard: Shard| self.0.reached[shard.index()].load(Ordering::Acquire);
            if positions.iter().all(|(shard, position)| shown(*shard) == position.revision.0) {
                return;
            }
        }
    }
}
