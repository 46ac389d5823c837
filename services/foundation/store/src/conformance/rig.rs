//! What cases are written with: a store, its clock, and short words for requests.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};

use super::{Failed, Open, Opts, ensure};
use crate::backend::Backend;
use crate::types::{
    Commit, CommitId, Durability, Entry, Key, Outcome, Position, Precondition, Pulled, SessionId, Shard,
    Stored, Until, What, World, Write,
};

/// Where the clock of every case begins: the end of 2023.
const START: u64 = 1_700_000_000_000_000;

/// A store under test, with its clock and its ids.
pub struct Rig {
    backend: Mutex<Arc<dyn Backend>>,
    open: Open,
    opts: Opts,
    clock: Arc<AtomicU64>,
    ids: AtomicU64,
}

impl Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rig({})", self.opts.name)
    }
}

impl Rig {
    pub(super) async fn new(name: &str, open: Open) -> Self {
        let clock = Arc::new(AtomicU64::new(START));
        let now = Arc::clone(&clock);
        let drawn = AtomicU64::new(1);
        let world = World {
            clock: Arc::new(move || now.load(Ordering::SeqCst)),
            // Far from the ids of the cases' own commits.
            chance: Arc::new(move || (u128::from(drawn.fetch_add(1, Ordering::SeqCst)) << 64) | 7),
        };
        let opts = Opts { name: name.to_owned(), world };
        let backend = Mutex::new(open(opts.clone()).await);
        Self { backend, open, opts, clock, ids: AtomicU64::new(1) }
    }

    /// The store.
    #[must_use]
    pub fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the store and opens it again.
    pub(super) async fn restart(&self) -> Result<(), Failed> {
        self.backend().close().await?;
        let again = (self.open)(self.opts.clone()).await;
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = again;
        Ok(())
    }

    /// Another store, empty, on the same clock.
    pub(super) async fn another(&self) -> Arc<dyn Backend> {
        (self.open)(Opts { name: format!("{}.another", self.opts.name), world: self.opts.world.clone() })
            .await
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(super) fn set_clock(&self, to: u64) {
        self.clock.store(to, Ordering::SeqCst);
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    /// Lets shard time pass, as sweeps do: in steps that it takes whole. Answers how many records expired.
    pub(super) async fn pass(&self, shard: Shard, time: Duration) -> Result<usize, Failed> {
        let step = Duration::from_secs(2);
        let mut left = time;
        let mut swept = 0;
        while !left.is_zero() {
            let by = left.min(step);
            self.advance(by);
            swept += self.backend().sweep(shard).await?;
            left -= by;
        }
        Ok(swept)
    }

    pub(super) fn id(&self) -> CommitId {
        CommitId(u128::from(self.ids.fetch_add(1, Ordering::SeqCst)))
    }

    pub(super) fn commit_of(&self, preconditions: Vec<Precondition>, writes: Vec<Write>) -> Commit {
        Commit {
            tenant: acme(),
            id: self.id(),
            preconditions,
            writes,
            durability: Durability::Local,
            trace: None,
        }
    }

    pub(super) async fn send(&self, commit: &Commit) -> Result<Outcome, Failed> {
        Ok(self.backend().commit(commit.clone()).await?)
    }

    pub(super) async fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
    ) -> Result<Outcome, Failed> {
        self.send(&self.commit_of(preconditions, writes)).await
    }

    /// A commit that must succeed.
    pub(super) async fn committed(&self, writes: Vec<Write>) -> Result<Revision, Failed> {
        revision(self.commit(Vec::new(), writes).await?)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Stored>, Failed> {
        Ok(self.backend().get(&acme(), &self::key(key)).await?)
    }

    /// Everything after a position, by as many pulls as it takes; fails on a `Resync`.
    pub(super) async fn pull_all(
        &self,
        shard: Shard,
        mut after: Option<Position>,
        max: usize,
    ) -> Result<Vec<Entry>, Failed> {
        let mut all = Vec::new();
        loop {
            match self.backend().pull(shard, after, max).await? {
                Pulled::Resync(cause) => return Err(Failed(format!("resync ({cause:?}) from {after:?}"))),
                Pulled::Entries(entries) => {
                    let Some(last) = entries.last() else { return Ok(all) };
                    after = Some(Position { revision: last.revision, commit: last.commit });
                    all.extend(entries);
                }
            }
        }
    }

    /// The last entry of a shard.
    pub(super) async fn position(&self, shard: Shard) -> Result<Option<Position>, Failed> {
        let positions = self.backend().positions().await?;
        Ok(positions.into_iter().find(|(s, _)| *s == shard).map(|(_, p)| p))
    }
}

/// The tenant of most cases.
pub(super) fn acme() -> TenantId {
    tenant("acme", 1)
}

/// The shard of most cases.
pub(super) fn shard() -> Shard {
    Shard::of(&acme())
}

#[expect(clippy::expect_used, reason = "the names are those of the cases, and are names")]
pub(super) fn tenant(name: &str, incarnation: u128) -> TenantId {
    TenantId {
        name: TenantName::parse(name).expect("a case's tenant has a tenant's name"),
        incarnation: Incarnation(incarnation),
    }
}

pub(super) fn key(key: &str) -> Key {
    Key::new(3, key)
}

pub(super) fn put(at: &str, value: &str) -> Write {
    Write { key: key(at), what: What::Put(value.as_bytes().into()) }
}

pub(super) fn delete(at: &str) -> Write {
    Write { key: key(at), what: What::Delete }
}

pub(super) fn claim(at: &str, value: &str, until: Until) -> Write {
    Write { key: key(at), what: What::Claim(value.as_bytes().into(), until) }
}

pub(super) fn update(at: &str, value: &str) -> Write {
    Write { key: key(at), what: What::Update(value.as_bytes().into()) }
}

pub(super) const fn seconds(n: u64) -> Until {
    Until::After(Duration::from_secs(n))
}

pub(super) const fn hanging(on: u128) -> Until {
    Until::Session(SessionId(on))
}

pub(super) fn revision(outcome: Outcome) -> Result<Revision, Failed> {
    match outcome {
        Outcome::Committed(revision) => Ok(revision),
        other => Err(Failed(format!("a commit that nothing forbids was not done: {other:?}"))),
    }
}

/// The precondition that refused.
pub(super) fn refused(outcome: Outcome) -> Result<(usize, Option<Revision>), Failed> {
    match outcome {
        Outcome::Refused(refusal) => Ok((refusal.precondition, refusal.found)),
        other => Err(Failed(format!("a commit that must be refused was not: {other:?}"))),
    }
}

pub(super) fn same<T: PartialEq + Debug>(what: &str, got: &T, expected: &T) -> Result<(), Failed> {
    if got == expected { Ok(()) } else { Err(Failed(format!("{what}: {got:?}, expected {expected:?}"))) }
}

/// While the clock is behind, revisions grow all the same, and not far away from it.
pub(super) fn goes_on(what: &str, before: u64, after: Revision) -> Result<(), Failed> {
    const FAR: u64 = 2_000_000;
    ensure!(after.0 > before && after.0 < before + FAR, "{what}: {after} after {before}");
    Ok(())
}

/// What a tenant's records are: by kind and key, the value.
pub(super) type State = BTreeMap<(TenantId, Key), Arc<[u8]>>;

pub(super) fn listed(records: &[Stored]) -> State {
    records.iter().map(|r| ((r.tenant.clone(), r.key.clone()), Arc::clone(&r.value))).collect()
}

pub(super) fn apply(state: &mut State, entry: &Entry) {
    for change in entry.changes.iter() {
        let at = (entry.tenant.clone(), change.key.clone());
        match &change.value {
            Some(value) => state.insert(at, Arc::clone(value)),
            None => state.remove(&at),
        };
    }
}
