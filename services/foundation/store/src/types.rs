//! The words of the contract.

use std::sync::Arc;
use std::time::Duration;

use tandem_domain::id::{Revision, TenantId};

/// Shards of a cell that tenants lie in, recorded at its birth, immutable. The reserved tenant has one more, its
/// own.
pub const SHARDS: u16 = 256;
/// The most writes of one commit; larger changes are staged.
pub const WRITES_MAX: usize = 512;
/// The most preconditions of one commit: one for each write.
pub const PRECONDITIONS_MAX: usize = WRITES_MAX;
/// The most parts of a staged generation, each as large as a commit: two million records, several times what a
/// tenant may have.
pub const PARTS_MAX: u32 = 4096;
/// The most bytes of one commit: keys and values.
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a record's key.
pub const KEY_BYTES_MAX: usize = 512;
/// The most bytes of a commit's trace; a W3C traceparent has 55.
pub const TRACE_BYTES_MAX: usize = 128;
/// The longest that a claim or a session lasts without being renewed: what nobody looked after for a week is
/// nobody's.
pub const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The end of revisions, exclusive: what a 64-bit float, and so a Lua script, still counts by ones. The year 2255.
pub const REVISION_END: u64 = 1 << 53;
/// How many bytes of entries one pull brings at most, but always one entry: bounds a follower's memory.
pub const PULL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Staged parts that nobody turned over are forgotten after this much shard time.
pub const STAGED_AGE: Duration = Duration::from_secs(3600);
/// How far shard time moves in one step at most, so that an outage or a clock's jump freezes deadlines.
pub const STEP_MAX: Duration = Duration::from_secs(2);
/// How much of the log is kept, in shard time.
pub const LOG_AGE: Duration = Duration::from_secs(15 * 60);
/// How much of the log is kept, in bytes a shard.
pub const LOG_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// The most records that one step of a sweep expires.
pub const SWEEP_MAX: usize = 128;

/// A shard of the cell: 0 to 255, and [`Shard::CELL`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Shard(pub u16);

impl Shard {
    /// Where the reserved tenant `_cell` lies, alone: no tenant's traffic cuts its log short.
    pub const CELL: Self = Self(SHARDS);
    /// How many shards there are with [`Shard::CELL`]: a table with a place for each.
    pub const COUNT: usize = SHARDS as usize + 1;

    /// Where a tenant lies: by the 64-bit FNV-1a hash of its name, a zero byte and its incarnation (16 bytes,
    /// big-endian), upper half folded onto the lower, modulo [`SHARDS`]. This is stored state: it never changes.
    #[must_use]
    pub fn of(tenant: &TenantId) -> Self {
        if *tenant == tandem_domain::record::cell() {
            return Self::CELL;
        }
        let bytes = tenant.name.as_str().bytes().chain([0]).chain(tenant.incarnation.0.to_be_bytes());
        Self((crate::bytes::hash(bytes) % u64::from(SHARDS)) as u16)
    }

    /// Every shard; the reserved tenant's first, for it says which tenants there are.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::CELL).chain((0..SHARDS).map(Self))
    }

    /// Its place in a table of [`Shard::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A caller's own name for a commit, from chance: a retry with the same one finds what the first did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommitId(pub u128);

/// A record's place: its tenant, its kind and its key within the kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// The kind's number; see [`tandem_domain::record::Kind`].
    pub kind: u8,
    /// At most [`KEY_BYTES_MAX`] bytes.
    pub key: Arc<str>,
}

impl Key {
    /// A key.
    #[must_use]
    pub fn new(kind: u8, key: &str) -> Self {
        Self { kind, key: key.into() }
    }
}

/// A session: a connected owner with one deadline. What hangs on it ends with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u128);

/// What must be so for a commit to happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Precondition {
    /// There is no such record.
    Absent(Key),
    /// The record is there, written at this revision.
    VersionIs(Key, Revision),
    /// The record is there, was claimed at this revision (its fencing token), and has not expired.
    TokenIs(Key, Revision),
    /// The claim of another tenant's record is held: the fence of writers that serve the whole cell. The embedded
    /// backend checks it in the commit's transaction; Redis, whose shards may lie on different primaries, asks
    /// for it before and keeps a floor in each shard, so that before a holder's first commit is accepted anywhere
    /// none of an earlier holder is accepted anywhere (module `redis`).
    FenceIs(Fence),
    /// The session lives.
    SessionLives(SessionId),
}

/// A claim that fences a writer: which record of `_cell`, and the token that its holder was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fence {
    /// The claimed record.
    pub key: Key,
    /// The revision of the claim.
    pub token: Revision,
}

/// One write of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Which record.
    pub key: Key,
    /// What becomes of it.
    pub what: What,
}

/// What becomes of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// It has this value, for good.
    Put(Arc<[u8]>),
    /// It is claimed: it has this value, its token is this commit's revision, and it ends as `until` says.
    Claim(Arc<[u8]>, Until),
    /// It has this value, and keeps its token and its end; used by a claim's holder, with `TokenIs`. Of a record
    /// that is no claim, or is not there, it is a `Put`.
    Update(Arc<[u8]>),
    /// It is no more.
    Delete,
}

/// How long a claim lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// This long in shard time from the commit on; at most [`TTL_MAX`].
    After(Duration),
    /// As long as the session.
    Session(SessionId),
}

/// How durable a commit must be before it is acknowledged. The embedded backend syncs every commit, so that
/// both mean the same there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Durability {
    /// On one node.
    Local,
    /// On more than one node, where the store has them.
    Replicated,
}

/// What is asked of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Whose records.
    pub tenant: TenantId,
    /// From chance; the same for a retry.
    pub id: CommitId,
    /// All must hold.
    pub preconditions: Vec<Precondition>,
    /// At most [`WRITES_MAX`], each key once.
    pub writes: Vec<Write>,
    /// Before it is acknowledged.
    pub durability: Durability,
    /// The trace that caused it (W3C traceparent), carried in the log.
    pub trace: Option<Arc<str>>,
}

/// What became of a commit. Never a guess.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It happened, at this revision. A retry that found its own earlier success has that one's.
    Committed(Revision),
    /// It did not happen, and nothing of it did: this precondition does not hold.
    Refused(Refusal),
    /// It may have happened: ask again with the same id. Says why it is not known.
    Indeterminate(String),
}

/// A precondition that does not hold, and what was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Which of the commit's preconditions, from 0. Their number itself stands for what goes without saying: the
    /// sessions that its claims hang on live, and the staged parts that it turns over are all there.
    pub precondition: usize,
    /// What was found in its place: the version of the record, if there is one.
    pub found: Option<Revision>,
}

/// Why the store did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The request is over a limit, or contradicts itself; the same request is never taken.
    #[error("{what}: {fix}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// What to do.
        fix: String,
    },
    /// The store cannot be written or read now; the same request may be taken later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store is closed: this process is leaving.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// Whether the same request may be taken later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A record as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub key: Key,
    /// What it is.
    pub value: Arc<[u8]>,
    /// When it was last written: its version.
    pub version: Revision,
    /// Which commit wrote it.
    pub commit: CommitId,
    /// When it was claimed: its fencing token, if it is a claim.
    pub token: Option<Revision>,
    /// Shard time of the write, in microseconds since 1970.
    pub at: u64,
}

/// One record's change in an entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// Which record.
    pub key: Key,
    /// What it is from now on; none: it is no more.
    pub value: Option<Arc<[u8]>>,
    /// Its fencing token, if it is a claim.
    pub token: Option<Revision>,
}

/// An entry of a shard's log: one commit, or one step of expiry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whose records.
    pub tenant: TenantId,
    /// Its place.
    pub revision: Revision,
    /// Which commit.
    pub commit: CommitId,
    /// Shard time in microseconds since 1970.
    pub at: u64,
    /// The trace that caused it.
    pub trace: Option<Arc<str>>,
    /// What changed, in the order of the writes.
    pub changes: Arc<[Changed]>,
    /// The next entry belongs to the same change: readers show neither before they have the last.
    pub more: bool,
}

/// Where a follower stands in a shard: the last entry that it applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Its revision.
    pub revision: Revision,
    /// Its commit: another commit at the same revision is another history.
    pub commit: CommitId,
}

/// What a pull from a shard's log brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pulled {
    /// Entries after the position, in order, at most as many as asked and, but for the first, at most
    /// [`PULL_BYTES_MAX`]; none: nothing new.
    Entries(Vec<Entry>),
    /// The position is not in the log: list anew.
    Resync(Cause),
}

/// Why a follower must list anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Cause {
    /// The log was cut past the position.
    Compacted,
    /// The store has another history than the follower saw: an older copy restored, or a failover.
    Diverged,
}

/// A listing of a shard: every record at one moment, and where to follow from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Every record, in the order of tenant, kind and key.
    pub records: Vec<Stored>,
    /// Where to follow from; none: the shard was never written.
    pub position: Option<Position>,
    /// Shard time of the listing.
    pub at: u64,
}

/// What a store is and holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Which backend, in words.
    pub backend: String,
    /// The cell's id, given at its birth.
    pub cell: u128,
    /// Records in all.
    pub records: u64,
    /// Entries in all logs.
    pub log_entries: u64,
    /// Bytes in all logs.
    pub log_bytes: u64,
    /// Bytes on disk; 0 in memory.
    pub disk_bytes: u64,
}

/// A server of a store, as it is seen now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Where it is.
    pub at: String,
    /// The server that it copies; none: it is a primary.
    pub replica_of: Option<String>,
    /// Its release; empty: not known.
    pub version: String,
    /// How many shards lie there.
    pub shards: usize,
    /// Of a replica: how long ago it was last heard of, in seconds, and whether its link is whole.
    pub lag_s: Option<u64>,
    /// By how much its clock is ahead of this process's, in microseconds; half of the way there and back is left out.
    pub ahead_us: Option<i64>,
    /// What is refused here, and why.
    pub refused: Vec<String>,
    /// Why it cannot be used now.
    pub away: Option<String>,
}

/// What the machine gives to a store: passed in, so that tests own time, chance and disk.
#[derive(Clone)]
pub struct World {
    /// Microseconds since 1970.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// 128 random bits.
    pub chance: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
