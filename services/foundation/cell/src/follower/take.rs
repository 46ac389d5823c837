//! What the log tells, shown.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tandem_domain::id::{TenantId, TenantName};
use tandem_domain::record::{Change, Kind, Record};
use tandem_domain::view::TenantView;
use tandem_store::{Cause, Entry, Followed, Listing, Position, Shard, Stored, codec};

use super::lost::Kept;
use super::{Snapshot, ViewFollower, fan, merge};

impl ViewFollower {
    pub(super) fn take(&self, followed: Followed, shards: &mut Shards) {
        match followed {
            Followed::Listed(shard, listing) => {
                let first = !std::mem::replace(&mut shards.listed[shard.index()], true);
                self.listed(shard, &listing, first, shards);
                if shard == Shard::CELL && !first {
                    self.0.another.notify_one();
                }
            }
            Followed::Entries(shard, entries) => self.entries(shard, &entries, shards),
            Followed::Resync(shard, cause) => {
                tracing::warn!(shard = shard.0, ?cause, "listing a shard anew");
                shards.diverged[shard.index()] = cause == Cause::Diverged;
            }
            Followed::Synchronised => {
                self.0.synchronised.store(true, Ordering::Release);
                self.fresh();
            }
        }
    }

    fn listed(&self, shard: Shard, listing: &Listing, first: bool, shards: &mut Shards) {
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
        let changes: Vec<(Change, Trace)> = if first {
            records.map(|change| (change, None)).collect()
        } else {
            let stored = self.stored();
            complain_of_loss(&stored, shard, listing);
            merge::differences(&stored, shard, records.collect(), listing.at).map(|c| (c, None)).collect()
        };
        let diverged = std::mem::take(&mut shards.diverged[shard.index()]);
        self.publish(shard, position, changes, diverged, shards);
        if diverged {
            self.0.diverged.send_modify(|times| *times += 1);
        }
    }

    fn entries(&self, shard: Shard, entries: &[Entry], shards: &mut Shards) {
        if entries.iter().flat_map(|e| e.changes.iter()).any(|c| c.token.is_some()) {
            self.0.claimed[shard.index()].store(true, Ordering::Relaxed);
        }
        let changes = entries.iter().flat_map(|entry| {
            let trace = entry.trace.clone();
            readable(entry).into_iter().map(move |change| (change, trace.clone()))
        });
        let position = entries.last().map(|e| Position { revision: e.revision, commit: e.commit });
        self.publish(shard, position, changes.collect(), false, shards);
        let at = entries.last().map_or(0, |e| e.at);
        self.0.lag.store(self.0.clock.unix_micros().saturating_sub(at), Ordering::Relaxed);
    }

    /// Shows changes of a shard; what it lacks after them, if it has another history, is kept.
    fn publish(
        &self,
        shard: Shard,
        position: Option<Position>,
        changes: Vec<(Change, Trace)>,
        diverged: bool,
        shards: &mut Shards,
    ) {
        shards.positions[shard.index()] = position;
        let before = self.snapshot();
        let kept = &mut shards.kept;
        if kept.is_empty() && !diverged {
            let mut next = Snapshot::clone(&before);
            changes.iter().for_each(|(change, _)| next.apply(change));
            self.show(shard, Arc::new(next), None, changes, shards);
        } else {
            let stored_before = self.stored();
            let mut stored = Snapshot::clone(&stored_before);
            changes.iter().for_each(|(change, _)| stored.apply(change));
            if diverged {
                kept.look(shard, &before, &stored);
            }
            shards.again.extend(born_again(&changes, &before, &stored_before));
            let through = kept.let_through(changes, &before, &stored);
            let through: Vec<_> = through.into_iter().map(|(c, trace)| (c, trace.flatten())).collect();
            let mut next = Snapshot::clone(&before);
            through.iter().for_each(|(change, _)| next.apply(change));
            self.show(shard, Arc::new(next), Some(Arc::new(stored)), through, shards);
        }
        let revision = position.map_or(0, |p| p.revision.0);
        self.0.reached[shard.index()].store(revision, Ordering::Release);
        self.0.moved.send_replace(());
    }

    /// Publishes a snapshot with the changes that lead to it. `stored`: what the store holds, if it may lack something.
    fn show(
        &self,
        shard: Shard,
        next: Arc<Snapshot>,
        stored: Option<Arc<Snapshot>>,
        changes: Vec<(Change, Trace)>,
        shards: &Shards,
    ) {
        let mut moved: BTreeSet<Shard> = changes.iter().map(|(c, _)| Shard::of(&c.tenant)).collect();
        moved.insert(shard);
        let lost = shards.kept.len() as u64;
        // Once nothing is kept the two are one again.
        let stored = stored.filter(|_| lost > 0).unwrap_or_else(|| Arc::clone(&next));
        let mut fan = self.fan();
        for shard in moved {
            // A mark in a shard of which something else is shown leads on nowhere: who goes on from it begins anew.
            if !shards.kept.holds(shard, &next) {
                fan.stands(shard, shards.positions[shard.index()]);
            }
        }
        let mut batches = fan::batches(changes.into_iter());
        for batch in &mut batches {
            batch.shown = next.view.tenant_by_id(&batch.tenant).cloned();
            batch.position = fan.position(Shard::of(&batch.tenant));
        }
        self.0.stored.store(stored);
        self.0.published.store(next);
        batches.into_iter().for_each(|batch| fan.send(&Arc::new(batch)));
        drop(fan);
        self.loses(lost);
    }

    /// Says that something is shown of so many tenants that the store has lost.
    fn loses(&self, tenants: u64) {
        let before = self.0.lost.swap(tenants, Ordering::AcqRel);
        let now = self.0.clock.unix_micros().max(1);
        match (before, tenants) {
            (0, 1..) => {
                tracing::error!(
                    tenants,
                    "the store has lost tenants; they are shown as they were until they are written again"
                );
                self.0.lost_since.store(now, Ordering::Release);
            }
            (1.., 0) => {
                tracing::info!("the store has again what it had lost");
                self.0.lost_since.store(0, Ordering::Release);
            }
            _ => {}
        }
    }
}

type Trace = Option<Arc<str>>;

/// What is known of each shard while it is followed.
pub(super) struct Shards {
    listed: Vec<bool>,
    /// Whether its next listing is of another history.
    diverged: Vec<bool>,
    /// Where its log stands.
    positions: Vec<Option<Position>>,
    /// What the store lacks of what is shown.
    kept: Kept,
    /// Shards that are to be listed again.
    pub(super) again: Vec<Shard>,
}

impl Shards {
    pub(super) fn new() -> Self {
        Self {
            listed: vec![false; Shard::COUNT],
            diverged: vec![false; Shard::COUNT],
            positions: vec![None; Shard::COUNT],
            kept: Kept::default(),
            again: Vec::new(),
        }
    }
}

/// The shards of tenants that are shown and whose names the store has again: with the name, a view forgets what the
/// tenant has in a shard of its own, which may all be there still.
fn born_again(changes: &[(Change, Trace)], shown: &Snapshot, stored: &Snapshot) -> Vec<Shard> {
    let again = |(change, _): &(Change, Trace)| match &change.record {
        Some(Record::Tenant(born)) => {
            let known = shown.view.tenant_by_id(&born.tenant).is_some();
            let lost = stored.registry.tenant(&born.tenant.name).is_none();
            (known && lost).then(|| Shard::of(&born.tenant))
        }
        _ => None,
    };
    changes.iter().filter_map(again).collect()
}

/// Names the tenants whose directory a store has lost: it was emptied, or is an older copy. Nobody can assert a
/// directory again but who imported it.
fn complain_of_loss(shown: &Snapshot, shard: Shard, listing: &Listing) {
    if listing.position.is_none() && shard == Shard::CELL {
        tracing::error!(
            "the store was emptied, or another took its place; what is remembered is written again"
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
            tracing::error!(tenant = %tenant.id(), users, numbers, "the store has lost this directory; the station service writes it again if a process of it remembers it, otherwise import it or restore a backup");
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
