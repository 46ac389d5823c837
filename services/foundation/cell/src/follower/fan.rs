//! Changes on their way to subscribers. What waits for each is bounded: who is too slow is told to begin anew.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_domain::record::{self, Change, Kind};
use tandem_domain::view::TenantView;
use tandem_store::{Position, Shard};
use tokio::sync::mpsc;

use super::Inner;

/// The most changes that wait for one subscriber. One batch is taken whatever its size when nothing waits: a
/// directory that was replaced is one batch, shared by all who wait for it.
pub const LAG_MAX: usize = 16_384;

/// Changes of one tenant that belong together: one or more whole commits, in the log's order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Whose.
    pub tenant: TenantId,
    /// The revision of the last change.
    pub revision: Revision,
    /// The trace that caused the last change (W3C traceparent), if it is known.
    pub trace: Option<Arc<str>>,
    /// What changed.
    pub changes: Arc<[Change]>,
    /// The tenant as these changes leave it; none: nobody bears its name, or they are the cell's own.
    pub shown: Option<Arc<TenantView>>,
    /// Where the shard's log stands with them; none: the shard was never written.
    pub position: Option<Position>,
}

/// Groups changes by tenant, the order within each kept. What the tenant is then, and where its shard stands, is not in
/// them yet.
pub(super) fn batches(changes: impl Iterator<Item = (Change, Option<Arc<str>>)>) -> Vec<Batch> {
    let mut grouped: Vec<(TenantId, Option<Arc<str>>, Vec<Change>)> = Vec::new();
    let mut places: BTreeMap<TenantId, usize> = BTreeMap::new();
    for (change, trace) in changes {
        let place = *places.entry(change.tenant.clone()).or_insert_with(|| {
            grouped.push((change.tenant.clone(), None, Vec::new()));
            grouped.len() - 1
        });
        grouped[place].1 = trace;
        grouped[place].2.push(change);
    }
    let batch = |(tenant, trace, changes): (TenantId, Option<Arc<str>>, Vec<Change>)| {
        let revision = changes.last().map_or(Revision(0), |c| c.revision);
        Batch { tenant, revision, trace, changes: changes.into(), shown: None, position: None }
    };
    grouped.into_iter().map(batch).collect()
}

/// What a subscriber wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything in the cell.
    Cell,
    /// One tenant: its records, and the record of its birth or death in `_cell`.
    Tenant(TenantId),
}

/// The subscriber was too slow, or the process is leaving: what waited is gone, subscribe again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more changes waited than are kept; subscribe again")]
pub struct Lagged;

/// Every change after a snapshot. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    rx: mpsc::UnboundedReceiver<Arc<Batch>>,
    state: Arc<State>,
    id: u64,
    scope: Scope,
    began: Option<Position>,
    follower: Weak<Inner>,
}

#[derive(Debug, Default)]
struct State {
    waiting: AtomicUsize,
    lagged: AtomicBool,
}

impl Subscription {
    /// Waits for the next batch. Cancel-safe.
    ///
    /// # Errors
    /// [`Lagged`]: take a new snapshot by subscribing again.
    pub async fn next(&mut self) -> Result<Arc<Batch>, Lagged> {
        if self.state.lagged.load(Ordering::Acquire) {
            return Err(Lagged);
        }
        let batch = self.rx.recv().await.ok_or(Lagged)?;
        self.taken(&batch);
        Ok(batch)
    }

    /// The next batch if one waits already.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub fn try_next(&mut self) -> Result<Option<Arc<Batch>>, Lagged> {
        if self.state.lagged.load(Ordering::Acquire) {
            return Err(Lagged);
        }
        match self.rx.try_recv() {
            Ok(batch) => {
                self.taken(&batch);
                Ok(Some(batch))
            }
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(Lagged),
        }
    }

    /// Where the log of a followed tenant's shard stood when this began; none: it was never written, or more than a
    /// tenant is followed.
    #[must_use]
    pub fn began(&self) -> Option<Position> {
        self.began
    }

    /// Where the log of a followed tenant's shard stands, if everything up to there was taken; none: something
    /// waits, or more than a tenant is followed.
    #[must_use]
    pub fn caught_up(&self) -> Option<Option<Position>> {
        let (Scope::Tenant(tenant), Some(inner)) = (&self.scope, self.follower.upgrade()) else {
            return None;
        };
        let fan = inner.fan.lock().unwrap_or_else(PoisonError::into_inner);
        let lagged = self.state.lagged.load(Ordering::Acquire);
        (self.rx.is_empty() && !lagged).then(|| fan.position(Shard::of(tenant)))
    }

    fn taken(&self, batch: &Batch) {
        self.state.waiting.fetch_sub(batch.changes.len(), Ordering::AcqRel);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(inner) = self.follower.upgrade() {
            inner.fan.lock().unwrap_or_else(PoisonError::into_inner).forget(&self.scope, self.id);
        }
    }
}

#[derive(Debug)]
struct Sender {
    tx: mpsc::UnboundedSender<Arc<Batch>>,
    state: Arc<State>,
}

impl Sender {
    /// False: it lags, and is sent no more.
    fn send(&self, batch: &Arc<Batch>) -> bool {
        let size = batch.changes.len();
        let before = self.state.waiting.fetch_add(size, Ordering::AcqRel);
        if before > 0 && before + size > LAG_MAX {
            self.state.lagged.store(true, Ordering::Release);
            return false;
        }
        self.tx.send(Arc::clone(batch)).is_ok()
    }
}

/// Who subscribed to what.
#[derive(Debug, Default)]
pub(super) struct Fan {
    /// Where each shard stands in the snapshot that is published.
    positions: BTreeMap<Shard, Position>,
    next: u64,
    cell: BTreeMap<u64, Sender>,
    tenants: BTreeMap<TenantId, BTreeMap<u64, Sender>>,
}

impl Fan {
    pub(super) fn subscribe(&mut self, scope: Scope, follower: Weak<Inner>) -> Subscription {
        let (tx, rx) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let sender = Sender { tx, state: Arc::clone(&state) };
        let id = self.next;
        self.next += 1;
        match &scope {
            Scope::Cell => self.cell.insert(id, sender),
            Scope::Tenant(tenant) => self.tenants.entry(tenant.clone()).or_default().insert(id, sender),
        };
        let began = match &scope {
            Scope::Cell => None,
            Scope::Tenant(tenant) => self.position(Shard::of(tenant)),
        };
        Subscription { rx, state, id, scope, began, follower }
    }

    /// Where a shard stands in the snapshot that is published.
    pub(super) fn position(&self, shard: Shard) -> Option<Position> {
        self.positions.get(&shard).copied()
    }

    pub(super) fn stands(&mut self, shard: Shard, position: Option<Position>) {
        match position {
            Some(position) => self.positions.insert(shard, position),
            None => self.positions.remove(&shard),
        };
    }

    fn forget(&mut self, scope: &Scope, id: u64) {
        match scope {
            Scope::Cell => {
                self.cell.remove(&id);
            }
            Scope::Tenant(tenant) => {
                if let Some(senders) = self.tenants.get_mut(tenant) {
                    senders.remove(&id);
                    if senders.is_empty() {
                        self.tenants.remove(tenant);
                    }
                }
            }
        }
    }

    pub(super) fn send(&mut self, batch: &Arc<Batch>) {
        self.cell.retain(|_, sender| sender.send(batch));
        if let Some(senders) = self.tenants.get_mut(&batch.tenant) {
            senders.retain(|_, sender| sender.send(batch));
        }
        if batch.tenant == record::cell() {
            for change in batch.changes.iter().filter(|c| c.kind == Kind::Tenant) {
                self.send_birth(batch, change);
            }
        }
    }

    /// Tells who follows any incarnation of a name that another bears it now, or none.
    fn send_birth(&mut self, batch: &Batch, change: &Change) {
        let Ok(name) = TenantName::parse(&change.key) else { return };
        let of = |incarnation| TenantId { name: name.clone(), incarnation: Incarnation(incarnation) };
        let mut followed = self.tenants.range_mut(of(0)..=of(u128::MAX)).peekable();
        if followed.peek().is_none() {
            return;
        }
        let birth = Arc::new(Batch { changes: Arc::new([change.clone()]), ..batch.clone() });
        for (_, senders) in followed {
            senders.retain(|_, sender| sender.send(&birth));
        }
    }
}
