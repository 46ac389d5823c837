//! The writer's transaction: its tables, and the moment it happens at.

use redb::{ReadableTable as _, Table, WriteTransaction};
use tandem_domain::id::TenantId;

use super::layout::{
    COMMITS, Damaged, ENDS, HANGS, Head, LOG, RECORDS, SESSION_ENDS, SESSIONS, SHARD_STATES, STAGED,
    ShardState, record_key,
};
use crate::types::{Key, STEP_MAX, Shard};

/// Why a transaction cannot go on. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{}", words(.0))]
    Disk(redb::Error),
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error("the revisions of this shard are used up; export the tenant to a new cell")]
    NoRevision,
}

impl Fault {
    /// Whether it is one request's own, such as a record that cannot be read, and not the disk's: the requests
    /// beside it are none the worse.
    pub(super) const fn is_local(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::NoRevision)
    }
}

impl From<redb::StorageError> for Fault {
    fn from(e: redb::StorageError) -> Self {
        Self::Disk(e.into())
    }
}

impl From<redb::TableError> for Fault {
    fn from(e: redb::TableError) -> Self {
        Self::Disk(e.into())
    }
}

/// What went wrong, in the words of who must mend it.
pub(super) fn words(error: &redb::Error) -> String {
    match error {
        redb::Error::Io(e) if e.kind() == std::io::ErrorKind::StorageFull => {
            "no space left on the disk; make room, nothing that was acknowledged is lost".into()
        }
        other => other.to_string(),
    }
}

pub(super) type Bytes<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// Shard time as this process has seen it, which runs ahead of what is stored while a shard is idle: storing it
/// would be a sync for each step of each sweep. One place a shard: (shard time, wall clock), zeros before the first.
#[derive(Debug)]
pub(super) struct Clocks(Vec<(u64, u64)>);

impl Clocks {
    pub(super) fn new() -> Self {
        Self(vec![(0, 0); Shard::COUNT])
    }

    /// Moves a shard's time on: by what the clock moved since the last step, at most [`STEP_MAX`], never back.
    /// The stored time counts where this process has seen none yet: what passed while it was away is one step.
    fn step(&mut self, shard: Shard, stored: (u64, u64), wall: u64) -> u64 {
        let seen = &mut self.0[shard.index()];
        let (time, at) = if seen.0 >= stored.0 { *seen } else { stored };
        let time = match time {
            0 => wall,
            _ => time + wall.saturating_sub(at).min(STEP_MAX.as_micros() as u64),
        };
        *seen = (time, wall);
        time
    }
}

/// The tables of one transaction, and the moment.
pub(super) struct Batch<'t> {
    pub(super) records: Bytes<'t>,
    pub(super) log: Table<'t, (u16, u64), &'static [u8]>,
    pub(super) commits: Table<'t, (u16, u128), u64>,
    shards: Table<'t, u16, &'static [u8]>,
    pub(super) ends: Bytes<'t>,
    pub(super) sessions: Table<'t, &'static [u8], u64>,
    pub(super) session_ends: Bytes<'t>,
    pub(super) hangs: Bytes<'t>,
    pub(super) staged: Bytes<'t>,
    clocks: &'t mut Clocks,
    /// The machine's clock, microseconds since 1970.
    pub(super) wall: u64,
    /// Whether anything was written: a transaction that only looked needs no sync.
    pub(super) dirty: bool,
}

impl<'t> Batch<'t> {
    pub(super) fn new(txn: &'t WriteTransaction, clocks: &'t mut Clocks, wall: u64) -> Result<Self, Fault> {
        Ok(Self {
            records: txn.open_table(RECORDS)?,
            log: txn.open_table(LOG)?,
            commits: txn.open_table(COMMITS)?,
            shards: txn.open_table(SHARD_STATES)?,
            ends: txn.open_table(ENDS)?,
            sessions: txn.open_table(SESSIONS)?,
            session_ends: txn.open_table(SESSION_ENDS)?,
            hangs: txn.open_table(HANGS)?,
            staged: txn.open_table(STAGED)?,
            clocks,
            wall,
            dirty: false,
        })
    }

    /// The shard with its time moved on, and the time that is stored.
    pub(super) fn moved(&mut self, shard: Shard) -> Result<(ShardState, u64), Fault> {
        let stored = self.shards.get(shard.0)?;
        let mut state = stored.map(|s| ShardState::read(s.value())).transpose()?.unwrap_or_default();
        let before = state.time;
        state.time = self.clocks.step(shard, (state.time, state.wall), self.wall);
        state.wall = self.wall;
        Ok((state, before))
    }

    /// The shard with its time moved on.
    pub(super) fn shard(&mut self, shard: Shard) -> Result<ShardState, Fault> {
        Ok(self.moved(shard)?.0)
    }

    pub(super) fn keep(&mut self, shard: Shard, state: &ShardState) -> Result<(), Fault> {
        self.dirty = true;
        self.shards.insert(shard.0, state.write().as_slice())?;
        Ok(())
    }

    pub(super) fn head(&self, shard: Shard, tenant: &TenantId, key: &Key) -> Result<Option<Head>, Fault> {
        let found = self.records.get(record_key(shard, tenant, key).as_slice())?;
        Ok(found.map(|f| Head::read(f.value()).map(|(h, _)| h)).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    #[test]
    fn shard_time_moves_by_two_seconds_at_most_and_never_back() {
        let mut clocks = Clocks::new();
        let shard = Shard(7);
        assert_eq!(clocks.step(shard, (0, 0), 100 * S), 100 * S, "it begins at the clock");
        assert_eq!(clocks.step(shard, (100 * S, 100 * S), 101 * S), 101 * S);
        assert_eq!(clocks.step(shard, (100 * S, 100 * S), 9_000 * S), 103 * S, "a jump is one step");
        assert_eq!(clocks.step(shard, (100 * S, 100 * S), 50 * S), 103 * S, "never back");
        assert_eq!(clocks.step(shard, (100 * S, 100 * S), 51 * S), 104 * S, "and on from there");
        let mut restarted = Clocks::new();
        assert_eq!(restarted.step(shard, (100 * S, 100 * S), 9_000 * S), 102 * S, "an outage is one step");
    }
}
