//! The facts of the cell, in memory: follows every shard of the store into a [`View`].
//!
//! Readers take a [`Snapshot`] without waiting for anybody. Who must see every change subscribes: a snapshot, then
//! every [`Batch`] after it.
//!
//! Invariants:
//! - a snapshot shows whole commits: also one that was staged is there at once or not at all;
//! - what [`ViewFollower::reached`] says is in the snapshot that is loaded after it;
//! - a shard that must be listed anew is compared with what is shown, and the differences are one change: nobody
//!   sees it empty in between;
//! - a record that this release cannot read leaves what was shown, and is named in the log.

mod fan;
mod merge;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use arc_swap::Guard;
use arc_swap::{ArcSwap, ArcSwapOption};
use tandem_domain::id::{Revision, TenantId, TenantName};
use tandem_domain::record::{self, Change, Kind};
use tandem_domain::view::{TenantView, View};
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Life;
use tandem_store::{Entry, Followed, Listing, Position, Shard, Store, Stored, codec};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use fan::{Batch, LAG_MAX, Lagged, Scope, Subscription};
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

    /// Since when the store cannot be read, in microseconds since 1970; none: the view is as new as can be.
    #[must_use]
    pub fn stale_since(&self) -> Option<u64> {
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
        let mut listed = vec![false; Shard::COUNT];
        loop {
            let next = if self.stale_since().is_some() && self.is_synchronised() {
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
                    self.take(followed, &mut listed);
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

    fn take(&self, followed: Followed, listed: &mut [bool]) {
        match followed {
            Followed::Listed(shard, listing) => {
                let first = !std::mem::replace(&mut listed[shard.index()], true);
                self.listed(shard, &listing, first);
                if shard == Shard::CELL && !first {
                    self.0.another.notify_one();
                }
            }
            Followed::Entries(shard, entries) => self.entries(shard, &entries),
            Followed::Resync(shard, cause) => {
                tracing::warn!(shard = shard.0, ?cause, "listing a shard anew");
            }
            Followed::Synchronised => {
                self.0.synchronised.store(true, Ordering::Release);
                self.fresh();
            }
        }
    }

    fn listed(&self, shard: Shard, listing: &Listing, first: bool) {
        if listing.records.iter().any(|r| r.token.is_some()) {
            self.0.claimed[shard.index()].store(true, Ordering::Relaxed);
        }
        let records = listing.records.iter().filter_map(|stored| match codec::listed(stored) {
            Ok(change) => Some(change),
            Err(codec::CodecError::UnknownKind(_)) => None,
            Err(error) => {
                tracing::error!(tenant = %stored.tenant, key = %stored.key.key, %error, "record left out");
                None
            }
        });
        let position = listing.position;
        let batches = if first {
            fan::batches(position, records.map(|change| (change, None)))
        } else {
            let shown = self.snapshot();
            complain_of_loss(&shown, shard, listing);
            let differences = merge::differences(&shown, shard, records.collect(), listing.at);
            fan::batches(position, differences.map(|c| (c, None)))
        };
        self.publish(shard, position, batches);
    }

    fn entries(&self, shard: Shard, entries: &[Entry]) {
        if entries.iter().flat_map(|e| e.changes.iter()).any(|c| c.token.is_some()) {
            self.0.claimed[shard.index()].store(true, Ordering::Relaxed);
        }
        let changes = entries.iter().flat_map(|entry| {
            let trace = entry.trace.clone();
            readable(entry).into_iter().map(move |change| (change, trace.clone()))
        });
        let position = entries.last().map(|e| Position { revision: e.revision, commit: e.commit });
        self.publish(shard, position, fan::batches(position, changes));
        let at = entries.last().map_or(0, |e| e.at);
        self.0.lag.store(self.0.clock.unix_micros().saturating_sub(at), Ordering::Relaxed);
    }

    fn publish(&self, shard: Shard, position: Option<Position>, mut batches: Vec<Batch>) {
        let mut next = Snapshot::clone(&self.load());
        for change in batches.iter().flat_map(|b| b.changes.iter()) {
            next.apply(change);
        }
        for batch in &mut batches {
            batch.shown = next.view.tenant_by_id(&batch.tenant).cloned();
        }
        let mut fan = self.fan();
        self.0.published.store(Arc::new(next));
        fan.stands(shard, position);
        batches.into_iter().for_each(|batch| fan.send(&Arc::new(batch)));
        drop(fan);
        let revision = position.map_or(0, |p| p.revision.0);
        self.0.reached[shard.index()].store(revision, Ordering::Release);
        self.0.moved.send_replace(());
    }
}

/// Names the tenants whose directory a store has lost: it was emptied, or is an older copy. Nobody can assert a
/// directory again but who imported it.
fn complain_of_loss(shown: &Snapshot, shard: Shard, listing: &Listing) {
    if listing.position.is_none() && shard == Shard::CELL {
        tracing::error!(
            "the store was emptied, or another took its place; processes and policy are written again"
        );
    }
    // A tenant's record lies in the cell's shard, what it has in its own.
    let of_cell = |r: &Stored| {
        let name = (r.key.kind == Kind::Tenant as u8).then(|| TenantName::parse(&r.key.key).ok()).flatten();
        name.and_then(|name| shown.registry.tenant(&name)).map(|record| record.tenant.clone())
    };
    let there: HashSet<TenantId> = match shard {
        Shard::CELL => listing.records.iter().filter_map(of_cell).collect(),
        _ => listing.records.iter().map(|r| r.tenant.clone()).collect(),
    };
    let concerned = |t: &&Arc<TenantView>| shard == Shard::CELL || Shard::of(t.id()) == shard;
    for tenant in shown.view.tenants().filter(concerned).filter(|t| !there.contains(t.id())) {
        let (users, numbers) = (tenant.users_len(), tenant.numbers_len());
        if users + numbers > 0 {
            tracing::error!(tenant = %tenant.id(), users, numbers, "the store has lost this directory; import it again, or restore a backup");
        }
    }
}

/// The changes of an entry that this release can read; the others are named in the log.
fn readable(entry: &Entry) -> Vec<Change> {
    codec::changes(entry).unwrap_or_else(|_| {
        let one = |changed: &tandem_store::Changed| {
            let alone = Entry { changes: Arc::new([changed.clone()]), ..entry.clone() };
            codec::changes(&alone)
                .inspect_err(|error| {
                    tracing::error!(tenant = %entry.tenant, key = %changed.key.key, %error, "change left out");
                })
                .unwrap_or_default()
        };
        entry.changes.iter().flat_map(one).collect()
    })
}
