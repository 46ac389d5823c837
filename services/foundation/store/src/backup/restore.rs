//! From a backup to an empty store.

use std::collections::HashMap;

use tandem_domain::id::TenantId;
use tokio::task::JoinSet;

use super::BackupError;
use super::replay::{Backup, Records, digest_of};
use crate::store::Store;
use crate::types::{
    COMMIT_BYTES_MAX, Commit, CommitId, Durability, Error, Key, Outcome, Precondition, Shard, WRITES_MAX,
    What, World, Write,
};

/// Shards that are written side by side.
const ABREAST: usize = 16;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Records that were written.
    pub records: u64,
    /// The digest of the store, read back: equal to the backup's.
    pub digest: String,
}

/// Writes a backup to a store that is empty, and compares what is there then. The reserved tenant comes last: until
/// then nobody is served what is half there.
///
/// # Errors
/// [`BackupError`]; after one the store is not to be used.
pub async fn restore(backup: &Backup, store: &Store, world: &World) -> Result<Restored, BackupError> {
    let stats = store.stats().await?;
    if stats.records > 0 {
        return Err(BackupError::NotEmpty { records: stats.records });
    }
    let mut tasks: JoinSet<Result<u64, BackupError>> = JoinSet::new();
    let mut records = 0;
    for shard in Shard::all().filter(|s| *s != Shard::CELL) {
        if let Some(of) = backup.shards.get(&shard) {
            tasks.spawn(write_all(store.clone(), world.clone(), commits(of)));
        }
        while tasks.len() >= ABREAST {
            records += joined(tasks.join_next().await)?;
        }
    }
    while !tasks.is_empty() {
        records += joined(tasks.join_next().await)?;
    }
    if let Some(of) = backup.shards.get(&Shard::CELL) {
        records += write_all(store.clone(), world.clone(), commits(of)).await?;
    }
    let mut listings = HashMap::new();
    for shard in Shard::all() {
        listings.insert(shard, store.backend().list(shard).await?.records);
    }
    let (wanted, found) = (backup.digest(), digest_of(&listings));
    if wanted == found {
        Ok(Restored { records, digest: found })
    } else {
        Err(BackupError::Digest { wanted, found })
    }
}

fn joined(one: Option<Result<Result<u64, BackupError>, tokio::task::JoinError>>) -> Result<u64, BackupError> {
    match one {
        None => Ok(0),
        Some(Ok(written)) => written,
        Some(Err(why)) => Err(Error::Unavailable(why.to_string()).into()),
    }
}

/// The writes of a shard in commits as large as they may be.
fn commits(records: &Records) -> Vec<(TenantId, Vec<Write>)> {
    let mut all: Vec<(TenantId, Vec<Write>)> = Vec::new();
    let mut bytes = 0;
    for ((tenant, key), (value, _)) in records.iter().filter(|(_, (_, claimed))| !claimed) {
        let size = key.key.len() + value.len();
        let fits = all.last().is_some_and(|(of, writes)| {
            of == tenant && writes.len() < WRITES_MAX && bytes + size <= COMMIT_BYTES_MAX
        });
        if !fits {
            all.push((tenant.clone(), Vec::new()));
            bytes = 0;
        }
        bytes += size;
        if let Some((_, writes)) = all.last_mut() {
            writes.push(Write { key: key.clone(), what: What::Put(value.clone()) });
        }
    }
    all
}

async fn write_all(
    store: Store,
    world: World,
    commits: Vec<(TenantId, Vec<Write>)>,
) -> Result<u64, BackupError> {
    let mut written = 0;
    for (tenant, writes) in commits {
        written += writes.len() as u64;
        let absent = |key: &Key| Precondition::Absent(key.clone());
        let commit = Commit {
            tenant,
            id: CommitId((world.chance)()),
            preconditions: writes.iter().map(|w| absent(&w.key)).collect(),
            writes,
            durability: Durability::Replicated,
            trace: None,
        };
        loop {
            match store.commit(commit.clone()).await? {
                Outcome::Committed(_) => break,
                Outcome::Refused(_) => return Err(BackupError::Disturbed),
                Outcome::Indeterminate(why) => tracing::debug!(%why, "asking again"),
            }
        }
    }
    Ok(written)
}
