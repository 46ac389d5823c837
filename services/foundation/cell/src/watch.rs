//! Records of one kind of a tenant as they are, then as they change: what every watch of every service stands on.
//!
//! A watch is pulled by its reader. What changed while the reader was busy is kept as the names of the records alone,
//! each once; told is the latest state. So what is kept is bounded by the tenant's records, whatever the reader does.
//!
//! A [`Mark`] says up to where everything was told. A watch that begins from one tells what changed after it, whoever
//! gave it: another process, or this one in an earlier life. It is found in the store's log, inclusively: a mark whose
//! entry is no longer there, for it is too old or of another history, is [`NoResume::Expired`], and never a gap.
//!
//! While changes wait, the mark stays where everything was told; a watch that is broken off there tells some of it
//! again, and misses none of it. The first snapshot has no mark. From a restart until its snapshot is told the mark says
//! that there is nothing to go on from: a watch that begins there restarts again.

mod turns;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tandem_domain::id::{Revision, TenantId};
use tandem_domain::record::{Change, Kind, Record};
use tandem_domain::view::TenantView;
use tandem_store::{CommitId, Entry, Error, Position, Pulled, Shard};
use tokio::time::Instant;

pub(crate) use turns::Turns;

use crate::Cell;
use crate::follower::{Batch, Lagged, Scope, Subscription, of_tenant, shown_of};
use turns::Busy;

/// How long nothing may be said.
pub const BOOKMARK_EVERY: Duration = Duration::from_secs(30);
/// Entries of one pull.
const PULL_MAX: usize = 256;

/// Up to where everything was told: an entry of the shard's log, or its beginning; or that nothing that was told before
/// holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark(From);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Entry(Option<Position>),
    /// After a restart whose snapshot was not told to its end.
    Anew,
}

/// The bytes of [`From::Anew`]: no entry has this revision.
const ANEW: [u8; 24] = [0xff; 24];

impl Mark {
    fn at(position: Option<Position>) -> Self {
        Self(From::Entry(position))
    }

    /// Its bytes: the revision (8) and the commit (16) of the entry, or zeros; all ones: begin anew.
    #[must_use]
    pub fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        if self.0 == From::Anew {
            return ANEW;
        }
        if let From::Entry(Some(Position { revision, commit })) = self.0 {
            bytes[..8].copy_from_slice(&revision.0.to_be_bytes());
            bytes[8..].copy_from_slice(&commit.0.to_be_bytes());
        }
        bytes
    }

    /// From its bytes. None: they are no mark's.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes == ANEW {
            return Some(Self(From::Anew));
        }
        let (revision, commit) = bytes.split_first_chunk()?;
        let revision = Revision(u64::from_be_bytes(*revision));
        let commit = CommitId(u128::from_be_bytes(commit.try_into().ok()?));
        Some(Self::at((revision.0 > 0).then_some(Position { revision, commit })))
    }
}

/// What a watch tells.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// A record as it is.
    Put(Record),
    /// The record under this key is no more.
    Gone(String),
    /// Everything before belonged to the snapshot.
    InitialEnd,
    /// Nothing changed; the watch lives.
    Bookmark,
    /// The reader was slower than what is kept for it: what it knows is void, a snapshot follows.
    Restart,
    /// The tenant is no more, or another bears its name. The last that is told.
    End,
}

/// The tenant is not there (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTenant;

/// Why a watch cannot go on from a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoResume {
    /// The log does not have it any more, or never had: begin anew.
    Expired,
    /// The log has it, and this process had not reached it in time.
    Late,
    /// As many read the log as may at once, and none ended in time.
    Busy,
    /// The log cannot be read now.
    Away(Error),
    /// The tenant is not there (any more).
    NoTenant,
}

/// A watch of one kind of a tenant's records.
pub struct Watch {
    cell: Cell,
    tenant: TenantId,
    kind: Kind,
    changes: Subscription,
    /// The tenant as the changes that were taken have left it.
    shown: Arc<TenantView>,
    /// The revision of what was taken last.
    revision: Revision,
    /// Where the log stood with what was taken last.
    taken: Option<Position>,
    /// Up to where everything was told. None: the first snapshot is being told.
    told: Option<Mark>,
    /// Whether it is still to be told that what was told before is void.
    restarting: bool,
    /// What is still to be told of the snapshot.
    snapshot: VecDeque<Record>,
    /// Whether the end of the snapshot is still to be told.
    initial: bool,
    /// What changed since, and is not told yet.
    pending: BTreeSet<String>,
    bookmark_at: Duration,
    ended: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({} of {})", self.kind.name(), self.tenant)
    }
}

impl Watch {
    /// A watch that begins with the records as they are.
    ///
    /// # Errors
    /// [`NoTenant`].
    pub fn begin(cell: &Cell, tenant: TenantId, kind: Kind) -> Result<Self, NoTenant> {
        let mut watch = Self::subscribed(cell, tenant, kind)?;
        watch.list();
        Ok(watch)
    }

    /// A watch that tells what changed after a mark. From a mark that says so it begins with [`Told::Restart`].
    ///
    /// # Errors
    /// [`NoResume`]; after `deadline` at the latest.
    pub async fn resume(
        cell: &Cell,
        tenant: TenantId,
        kind: Kind,
        mark: Mark,
        deadline: Instant,
    ) -> Result<Self, NoResume> {
        let mut watch = Self::subscribed(cell, tenant, kind).map_err(|NoTenant| NoResume::NoTenant)?;
        let From::Entry(position) = mark.0 else {
            watch.list_anew();
            return Ok(watch);
        };
        watch.told = Some(mark);
        // What this process shows is what was told last: nothing needs to be asked.
        if watch.taken != position {
            let catching_up = watch.catch_up(position, deadline);
            tokio::time::timeout_at(deadline, catching_up).await.unwrap_or(Err(NoResume::Late))?;
        }
        Ok(watch)
    }

    fn subscribed(cell: &Cell, tenant: TenantId, kind: Kind) -> Result<Self, NoTenant> {
        let (snapshot, changes) = cell.view().subscribe(Scope::Tenant(tenant.clone()));
        // Its end may have been told before this subscribed.
        let shown = snapshot.view.tenant_by_id(&tenant).cloned().ok_or(NoTenant)?;
        Ok(Self {
            cell: cell.clone(),
            tenant,
            kind,
            revision: shown.revision(),
            taken: changes.began(),
            changes,
            shown,
            told: None,
            restarting: false,
            snapshot: VecDeque::new(),
            initial: false,
            pending: BTreeSet::new(),
            bookmark_at: cell.clock().monotonic() + BOOKMARK_EVERY,
            ended: false,
        })
    }

    /// Subscribed anew, of the same tenant.
    fn again(&mut self) -> Result<(), NoTenant> {
        let next = Self::subscribed(&self.cell, self.tenant.clone(), self.kind)?;
        (self.changes, self.shown) = (next.changes, next.shown);
        (self.revision, self.taken) = (next.revision, next.taken);
        Ok(())
    }

    /// Begins with the tenant as it is shown.
    fn list(&mut self) {
        self.pending.clear();
        self.told = None;
        self.initial = true;
        self.snapshot = of_tenant(&self.shown, self.kind).into();
    }

    /// Lists as after a restart, which is told first: a reader may know records that are no more.
    fn list_anew(&mut self) {
        self.list();
        self.told = Some(Mark(From::Anew));
        self.restarting = true;
    }

    /// Notes what changed after `mark` up to where this process is.
    async fn catch_up(&mut self, mark: Option<Position>, deadline: Instant) -> Result<(), NoResume> {
        let mut pulled = self.pull(mark, deadline).await?;
        // The log has the mark; another process was ahead of this one, which will have it soon.
        let revision = mark.map_or(Revision(0), |m| m.revision);
        if self.revision_reached() < revision {
            let view = self.cell.view().clone();
            view.until(|| view.reached(&self.tenant) >= revision).await;
            self.again().map_err(|NoTenant| NoResume::NoTenant)?;
            // What was committed while it waited is shown, and not among what was pulled before.
            pulled = self.pull(mark, deadline).await?;
        }
        if self.taken == mark {
            return Ok(());
        }
        loop {
            let Some(last) = pulled.last().map(|e| Position { revision: e.revision, commit: e.commit })
            else {
                // The log ends before what this process shows: it is about to be told so, and so is the reader.
                return Err(NoResume::Expired);
            };
            for entry in &pulled {
                self.note_entry(entry);
                if self.taken == Some(Position { revision: entry.revision, commit: entry.commit }) {
                    return Ok(());
                }
            }
            pulled = self.pull(Some(last), deadline).await?;
        }
    }

    fn revision_reached(&self) -> Revision {
        self.taken.map_or(Revision(0), |p| p.revision)
    }

    async fn pull(&self, after: Option<Position>, deadline: Instant) -> Result<Vec<Entry>, NoResume> {
        let shard = Shard::of(&self.tenant);
        // Held while the log is read, and not while the view is waited for.
        let store = self.cell.store().backend();
        let pull = || store.pull(shard, after, PULL_MAX);
        match self.cell.resuming().pull(shard, deadline, pull).await {
            Ok(Ok(Pulled::Entries(entries))) => Ok(entries),
            Ok(Ok(Pulled::Resync(_))) => Err(NoResume::Expired),
            Ok(Err(error)) => Err(NoResume::Away(error)),
            Err(Busy) => Err(NoResume::Busy),
        }
    }

    fn note_entry(&mut self, entry: &Entry) {
        if entry.tenant == self.tenant {
            let ours = entry.changes.iter().filter(|c| c.key.kind == self.kind as u8);
            self.pending.extend(ours.map(|c| c.key.key.to_string()));
        }
    }

    /// The tenant as the last that was told has it.
    #[must_use]
    pub fn shown(&self) -> &Arc<TenantView> {
        &self.shown
    }

    /// The revision of the last that was told.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Up to where everything was told. None: the first snapshot is being told.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.told
    }

    /// Tells what comes next; waits for it. None: the watch has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Told> {
        let told = self.wait().await?;
        self.bookmark_at = self.cell.clock().monotonic() + BOOKMARK_EVERY;
        self.ended = told == Told::End;
        Some(told)
    }

    async fn wait(&mut self) -> Option<Told> {
        if self.ended {
            return None;
        }
        if std::mem::take(&mut self.restarting) {
            return Some(Told::Restart);
        }
        if let Some(record) = self.snapshot.pop_front() {
            return Some(Told::Put(record));
        }
        if std::mem::take(&mut self.initial) {
            self.told = Some(Mark::at(self.taken));
            return Some(Told::InitialEnd);
        }
        let clock = self.cell.clock().clone();
        loop {
            // All that waits is taken first, so that what changed twice is told once.
            match self.take_all() {
                Ok(()) => {}
                Err(Lagged) => return Some(self.restart()),
            }
            if self.ended {
                return Some(Told::End);
            }
            if let Some(key) = self.pending.pop_first() {
                if self.pending.is_empty() {
                    self.told = Some(Mark::at(self.taken));
                }
                return Some(shown_of(&self.shown, self.kind, &key).map_or(Told::Gone(key), Told::Put));
            }
            tokio::select! {
                batch = self.changes.next() => match batch {
                    Ok(batch) => self.take(&batch),
                    Err(Lagged) => return Some(self.restart()),
                },
                () = clock.sleep_until(self.bookmark_at) => return Some(self.bookmark()),
            }
        }
    }

    /// A bookmark, with the mark moved on as far as nothing waits. Also for the end of a process: the last that is
    /// told then.
    pub fn bookmark(&mut self) -> Told {
        if self.pending.is_empty()
            && !self.initial
            && self.told.is_some()
            && let Some(position) = self.changes.caught_up()
        {
            self.taken = position;
            self.told = Some(Mark::at(position));
            self.revision = self.revision.max(self.revision_reached());
        }
        Told::Bookmark
    }

    fn take_all(&mut self) -> Result<(), Lagged> {
        while let Some(batch) = self.changes.try_next()? {
            self.take(&batch);
        }
        Ok(())
    }

    fn take(&mut self, batch: &Batch) {
        if batch.tenant == self.tenant {
            self.revision = self.revision.max(batch.revision);
            self.taken = batch.position;
            self.shown = batch.shown.clone().unwrap_or_else(|| Arc::clone(&self.shown));
        }
        batch.changes.iter().for_each(|change| self.note(change));
    }

    fn note(&mut self, change: &Change) {
        match (change.kind, &change.record) {
            (Kind::Tenant, Some(Record::Tenant(born))) => self.ended |= born.tenant != self.tenant,
            (Kind::Tenant, _) => self.ended = true,
            (kind, _) if kind == self.kind && change.tenant == self.tenant => {
                self.pending.insert(change.key.clone());
            }
            _ => {}
        }
    }

    fn restart(&mut self) -> Told {
        if self.again().is_err() {
            return Told::End;
        }
        self.list_anew();
        self.restarting = false;
        Told::Restart
    }
}
