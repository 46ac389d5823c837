//! What is read from a snapshot of the database.

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
};
use tandem_domain::id::{Revision, TenantId};

use super::Place;
use super::batch::Fault;
use super::layout::{
    Damaged, Head, LOG, META, RECORDS, SHARD_STATES, ShardState, Take, read_entry, read_key, read_record_key,
    record_key, tenant_key,
};
use crate::types::{Cause, CommitId, Key, Listing, PULL_BYTES_MAX, Position, Pulled, Shard, Stats, Stored};

fn begin(database: &Database) -> Result<ReadTransaction, Fault> {
    database.begin_read().map_err(|e| match e {
        redb::TransactionError::Storage(e) => e.into(),
        _ => Fault::Damaged(Damaged("a transaction in progress")),
    })
}

fn stored(tenant: TenantId, key: Key, value: &[u8]) -> Result<Stored, Fault> {
    let (head, value) = Head::read(value)?;
    Ok(Stored {
        tenant,
        key,
        value: value.into(),
        version: head.version,
        commit: head.commit,
        token: head.token,
        at: head.at,
    })
}

fn state(txn: &ReadTransaction, shard: Shard) -> Result<ShardState, Fault> {
    let found =
        txn.open_table(SHARD_STATES)?.get(shard.0)?.map(|s| ShardState::read(s.value())).transpose()?;
    Ok(found.unwrap_or_default())
}

fn position(state: &ShardState) -> Option<Position> {
    (state.revision > 0)
        .then_some(Position { revision: Revision(state.revision), commit: CommitId(state.commit) })
}

pub(super) fn get(database: &Database, tenant: &TenantId, key: &Key) -> Result<Option<Stored>, Fault> {
    let txn = begin(database)?;
    let bytes = record_key(Shard::of(tenant), tenant, key);
    let found = txn.open_table(RECORDS)?.get(bytes.as_slice())?;
    found.map(|f| stored(tenant.clone(), key.clone(), f.value())).transpose()
}

pub(super) fn list(database: &Database, shard: Shard) -> Result<Listing, Fault> {
    let txn = begin(database)?;
    let state = state(&txn, shard)?;
    let table = txn.open_table(RECORDS)?;
    let from = shard.0.to_be_bytes();
    let to = (u32::from(shard.0) + 1).to_be_bytes();
    let mut records = Vec::new();
    // Records of a tenant lie together: its name is read once, and shared by all of them.
    let mut last: Option<(TenantId, Vec<u8>)> = None;
    for record in table.range(&from[..]..&to[2..])? {
        let (key, value) = record?;
        let key = key.value();
        let known = last.as_ref().and_then(|(t, front)| Some((t.clone(), key.strip_prefix(&front[..])?)));
        let (tenant, name) = match known {
            Some((tenant, rest)) => (tenant, read_key(Take(rest))?),
            None => {
                let (tenant, name) = read_record_key(key)?;
                last = Some((tenant.clone(), tenant_key(shard, &tenant)));
                (tenant, name)
            }
        };
        records.push(stored(tenant, name, value.value())?);
    }
    Ok(Listing { records, position: position(&state), at: state.time })
}

pub(super) fn pull(
    database: &Database,
    shard: Shard,
    after: Option<Position>,
    max: usize,
) -> Result<Pulled, Fault> {
    let txn = begin(database)?;
    let state = state(&txn, shard)?;
    if position(&state) == after {
        return Ok(Pulled::Entries(Vec::new()));
    }
    let log = txn.open_table(LOG)?;
    let from = after.map_or(0, |p| p.revision.0);
    let mut range = log.range((shard.0, from)..=(shard.0, u64::MAX))?;
    if after.is_none() && state.cut {
        return Ok(Pulled::Resync(Cause::Compacted));
    }
    if let Some(after) = after {
        // Inclusive: what the follower saw last must come back first.
        let first = range.next().transpose()?;
        let same = first.as_ref().is_some_and(|(k, _)| k.value().1 == after.revision.0);
        if !same {
            // A log that was never cut begins where its history does: that is another one.
            let cut = state.cut && state.first > after.revision.0 && state.revision > after.revision.0;
            return Ok(Pulled::Resync(if cut { Cause::Compacted } else { Cause::Diverged }));
        }
        if let Some((k, v)) = first
            && read_entry(k.value().1, v.value())?.commit != after.commit
        {
            return Ok(Pulled::Resync(Cause::Diverged));
        }
    }
    let mut entries = Vec::new();
    let mut bytes = 0;
    for entry in range.take(max.max(1)) {
        let (key, value) = entry?;
        bytes += value.value().len() as u64;
        if bytes > PULL_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.push(read_entry(key.value().1, value.value())?);
    }
    Ok(Pulled::Entries(entries))
}

pub(super) fn positions(database: &Database) -> Result<Vec<(Shard, Position)>, Fault> {
    let txn = begin(database)?;
    let mut found = Vec::new();
    for shard in txn.open_table(SHARD_STATES)?.iter()? {
        let (key, value) = shard?;
        if let Some(position) = position(&ShardState::read(value.value())?) {
            found.push((Shard(key.value()), position));
        }
    }
    Ok(found)
}

pub(super) fn stats(database: &Database, place: &Place) -> Result<Stats, Fault> {
    let txn = begin(database)?;
    let cell = txn
        .open_table(META)?
        .get("cell")?
        .and_then(|c| c.value().try_into().ok())
        .map_or(0, u128::from_be_bytes);
    let mut stats = Stats { backend: format!("embedded, {place:?}"), cell, ..Stats::default() };
    stats.records = txn.open_table(RECORDS)?.len()?;
    for shard in txn.open_table(SHARD_STATES)?.iter()? {
        let state = ShardState::read(shard?.1.value())?;
        stats.log_entries += state.log_entries;
        stats.log_bytes += state.log_bytes;
    }
    if let Place::Directory(path) = place {
        stats.disk_bytes = std::fs::metadata(path.join(super::open::FILE)).map_or(0, |m| m.len());
    }
    Ok(stats)
}
