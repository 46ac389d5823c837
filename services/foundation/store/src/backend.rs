//! The contract that a backend keeps. What each method promises is tested by the conformance suite.

use std::future::Future;
use std::pin::Pin;

use tandem_domain::id::TenantId;
use tokio::sync::broadcast;

use crate::types::{
    Commit, Error, Key, Listing, Node, Outcome, Position, Pulled, SessionId, Shard, Stats, Stored, Write,
};

/// An answer on its way. Dropping it does not undo what was asked.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A store.
///
/// Implementers may assume nothing of callers: several processes may commit, follow and sweep one shard at once,
/// a caller may be paused between any two calls, and a reply may never be read.
pub trait Backend: std::fmt::Debug + Send + Sync + 'static {
    /// Does all of a commit's writes, or none. Durable, and in the log, before it answers `Committed`.
    ///
    /// # Errors
    /// [`Error::Invalid`] over a limit or with a key written twice; [`Error::Unavailable`] when surely nothing
    /// was written. Doubt is not an error: it is [`Outcome::Indeterminate`].
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome>;

    /// One record as it is now: also a claim that is due and was not swept yet.
    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>>;

    /// Every record of a shard at one moment, and where to follow from. No change is missed between the two.
    fn list(&self, shard: Shard) -> Reply<'_, Listing>;

    /// What came after a position, at most `max` entries, and at least one if there is one. The pull is inclusive:
    /// the position's own entry must be in the log, otherwise the answer is `Resync`. Entries that belong together
    /// (`Entry::more`) may be split over pulls. Without a position: from the start of the log, and `Resync` if it
    /// was ever cut.
    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled>;

    /// The last entry of each shard that has one: whether there is anything to pull.
    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>>;

    /// Hints that a shard moved. Hints may be lost and may come twice: they are no truth.
    fn hints(&self) -> broadcast::Receiver<Shard>;

    /// Opens a session of a tenant that ends `ttl_ms` of shard time after the last keep-alive, at most
    /// [`TTL_MAX`](crate::TTL_MAX). No log entry. Asked again while it lives, it is a keep-alive.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a session that has ended and still has what hangs on it: its end stands.
    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()>;

    /// Puts the deadline off. Answers false if the session has ended. No log entry.
    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool>;

    /// Ends a session now; what hangs on it is removed by the next sweeps, as changes.
    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()>;

    /// One step: moves shard time on, and removes at most [`SWEEP_MAX`](crate::SWEEP_MAX) records that are due,
    /// as changes. Answers how many; idempotent.
    fn sweep(&self, shard: Shard) -> Reply<'_, usize>;

    /// Puts writes (puts and deletes) aside for a commit that is too large for one, as `part` from 0; asked again,
    /// it replaces the part. `generation` is the writer's own name for the change, from chance or a counter. They
    /// are seen by nobody until [`Backend::turn_over`], and forgotten after
    /// [`STAGED_AGE`](crate::STAGED_AGE) of shard time.
    ///
    /// # Errors
    /// [`Error::Invalid`] over a limit of a commit, for a claim, and from [`PARTS_MAX`](crate::PARTS_MAX) on.
    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()>;

    /// Does the staged parts 0 to `parts - 1` of a generation at once, after the commit's own preconditions and
    /// writes (which may be none). Refused, and nothing done, if one of the parts is not there.
    ///
    /// Readers see the state before or the state after, never between: a listing holds all of it or nothing, and
    /// the entries, each as large as a commit at most, carry `more` up to the last, which a follower keeps back
    /// until it has them all. A change that is larger than the log may hold is a `Resync` to who followed.
    fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Reply<'_, Outcome>;

    /// What the store is and holds, for people and metrics.
    fn stats(&self) -> Reply<'_, Stats>;

    /// The servers that it stands on; none where it is in this process.
    fn nodes(&self) -> Reply<'_, Vec<Node>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What it holds and how much of the log is kept, as [`Backend::stats`] says; asked so, an empty server stays
    /// empty, and the cell's id is left out where it is not known.
    fn sizes(&self) -> Reply<'_, Stats> {
        self.stats()
    }

    /// How often no replica had confirmed a commit in time that was to be replicated, since this was opened.
    fn shortfalls(&self) -> u64 {
        0
    }

    /// Finishes what was asked before, lets go of everything, and answers when another may open the store. From
    /// then on everything else is [`Error::Closed`].
    fn close(&self) -> Reply<'_, ()>;
}
