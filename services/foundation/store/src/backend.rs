//! The contract that a backend keeps. What each method promises is tested by the conformance suite.

use std::future::Future;
use std::pin::Pin;

use tandem_domain::id::TenantId;
use tokio::sync::broadcast;

use crate::types::{
    Commit, Error, Key, Listing, Outcome, Position, Pulled, SessionId, Shard, Stats, Stored, Write,
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

    /// One record as it is now.
    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>>;

    /// Every record of a shard at one moment, and where to follow from. No change is missed between the two.
    fn list(&self, shard: Shard) -> Reply<'_, Listing>;

    /// What came after a position, at most `max` entries. The pull is inclusive: the position's own entry must
    /// be in the log, otherwise the answer is `Resync`. Entries that belong together (`Entry::more`) may be
    /// split over pulls. Without a position: from the start of the log, if it was never cut.
    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled>;

    /// The last entry of each shard that has one: whether there is anything to pull.
    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>>;

    /// Hints that a shard moved. Hints may be lost and may come twice: they are no truth.
    fn hints(&self) -> broadcast::Receiver<Shard>;

    /// Opens a session of a tenant that ends `ttl_ms` of shard time after the last keep-alive. No log entry.
    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()>;

    /// Puts the deadline off. Answers false if the session has ended. No log entry.
    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool>;

    /// Ends a session now; what hangs on it is removed by the next sweeps, as changes.
    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()>;

    /// One step: moves shard time on, and removes at most [`SWEEP_MAX`](crate::SWEEP_MAX) records that are due,
    /// as changes. Answers how many; idempotent.
    fn sweep(&self, shard: Shard) -> Reply<'_, usize>;

    /// Puts writes aside for a later commit that is too large for one: `part` from 0. They are seen by nobody
    /// until [`Backend::turn_over`], and are forgotten an hour of shard time later.
    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()>;

    /// Does all staged writes of a generation at once, after the commit's own preconditions and writes. Readers
    /// see the state before or the state after: the entries carry `more` up to the last.
    fn turn_over(&self, commit: Commit, generation: u64) -> Reply<'_, Outcome>;

    /// What the store is and holds, for people and metrics.
    fn stats(&self) -> Reply<'_, Stats>;
}
