//! What a backup holds: its frames, in order.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tandem_domain::id::TenantId;

use super::file::{Frames, generations};
use super::frame::{Frame, Kept};
use super::{BackupError, FORMAT};
use crate::types::{Entry, Key, Shard, Stored};

/// The records of a shard, in the order of tenant, kind and key; whether somebody held each.
pub(super) type Records = BTreeMap<(TenantId, Key), (Arc<[u8]>, bool)>;

/// A backup that was read.
#[derive(Debug)]
pub struct Backup {
    /// The file that was read.
    pub path: PathBuf,
    /// The id of the cell that it is of.
    pub cell: u128,
    /// Everything that was committed before this is there; microseconds since 1970 by the clock of who wrote it.
    pub whole_until: u64,
    /// Changes that are there beyond the listings.
    pub entries: u64,
    /// Bytes at the end that were not written whole, and are left out.
    pub cut: u64,
    /// A later generation that was ended before it had everything, and is passed over.
    pub passed_over: Option<PathBuf>,
    pub(super) shards: HashMap<Shard, Records>,
}

impl Backup {
    /// How many records there are that somebody held: they are not restored.
    #[must_use]
    pub fn claimed(&self) -> u64 {
        self.shards.values().flat_map(BTreeMap::values).filter(|(_, claimed)| *claimed).count() as u64
    }

    /// How many records there are that are restored.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.shards.values().flat_map(BTreeMap::values).filter(|(_, claimed)| !*claimed).count() as u64
    }

    /// The digest of what is restored: SHA-256 over every record in order. Equal for equal content, whatever the
    /// backend and the history.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(|shard| {
            let records = self.shards.get(&shard);
            records
                .into_iter()
                .flatten()
                .map(|((tenant, key), (value, claimed))| (tenant, key, value, *claimed))
        })
    }
}

/// The digest of every record that is for good: SHA-256 over the shards in order, each its records in the order of
/// tenant, kind and key. Equal for equal content, whatever the backend and the history.
pub(super) fn digest<'r, I>(mut of: impl FnMut(Shard) -> I) -> String
where
    I: Iterator<Item = (&'r TenantId, &'r Key, &'r Arc<[u8]>, bool)>,
{
    let mut hash = Sha256::new();
    for shard in Shard::all() {
        for (tenant, key, value, claimed) in of(shard) {
            if !claimed {
                hash.update(one(tenant, key, value));
            }
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn one(tenant: &TenantId, key: &Key, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + value.len());
    crate::bytes::put_tenant(&mut bytes, tenant);
    bytes.push(key.kind);
    crate::bytes::put_sized(&mut bytes, key.key.as_bytes());
    crate::bytes::put_sized(&mut bytes, value);
    bytes
}

/// The digest of listings: of a store as it is.
pub(super) fn digest_of(listings: &HashMap<Shard, Vec<Stored>>) -> String {
    digest(|shard| {
        listings.get(&shard).into_iter().flatten().map(|r| (&r.tenant, &r.key, &r.value, r.token.is_some()))
    })
}

/// Reads the newest generation of a directory that has everything.
///
/// # Errors
/// [`BackupError`]: there is none, or it cannot be trusted.
pub fn read(dir: &Path) -> Result<Backup, BackupError> {
    let all =
        if dir.is_dir() { generations(dir)? } else { return Err(BackupError::None(dir.to_path_buf())) };
    let mut passed_over = None;
    for (_, path) in all.iter().rev() {
        match replay(path)? {
            Some(backup) => return Ok(Backup { passed_over, ..backup }),
            None => passed_over = Some(path.clone()),
        }
    }
    let none = if all.is_empty() { BackupError::None } else { BackupError::Unfinished };
    Err(none(dir.to_path_buf()))
}

/// What is known while frames are read.
#[derive(Default)]
struct Replay {
    shards: HashMap<Shard, Records>,
    /// The shard that is being listed, and what came of it.
    listing: Option<(Shard, Records)>,
    /// Entries whose change is not complete yet.
    held: HashMap<Shard, Vec<Entry>>,
    entries: u64,
    whole: Option<u64>,
}

/// One generation; none: it does not have everything.
fn replay(path: &Path) -> Result<Option<Backup>, BackupError> {
    let mut frames = Frames::open(path)?;
    let cell = match frames.next()? {
        Some(Frame::Header { format, .. }) if format > FORMAT => {
            return Err(BackupError::Newer { path: path.to_path_buf(), found: format });
        }
        Some(Frame::Header { cell, .. }) => cell,
        Some(_) => return Err(frames.damaged("it begins with no header")),
        None => return Ok(None),
    };
    let mut replay = Replay::default();
    while let Some(frame) = frames.next()? {
        replay.take(frame).map_err(|what| frames.damaged(what))?;
    }
    let Replay { shards, entries, whole, .. } = replay;
    Ok(whole.map(|whole_until| Backup {
        path: path.to_path_buf(),
        cell,
        whole_until,
        entries,
        cut: frames.cut,
        passed_over: None,
        shards,
    }))
}

impl Replay {
    fn take(&mut self, frame: Frame) -> Result<(), &'static str> {
        match frame {
            Frame::Header { .. } => return Err("a second header"),
            Frame::Listing(shard) => self.listing = Some((shard, Records::new())),
            Frame::Records(records) => {
                let (_, into) = self.listing.as_mut().ok_or("records of no listing")?;
                for Kept { tenant, key, value, claimed } in records {
                    into.insert((tenant, key), (value, claimed));
                }
            }
            Frame::Listed(shard, count) => {
                let listed = self.listing.take().filter(|(of, r)| *of == shard && r.len() as u64 == count);
                let (_, records) = listed.ok_or("a listing with other records than it had")?;
                self.held.remove(&shard);
                self.shards.insert(shard, records);
            }
            Frame::Entry(shard, entry) => {
                let more = entry.more;
                let held = self.held.entry(shard).or_default();
                held.push(entry);
                if !more {
                    let whole = std::mem::take(held);
                    self.entries += whole.len() as u64;
                    let records = self.shards.entry(shard).or_default();
                    whole.iter().for_each(|entry| apply(records, entry));
                }
            }
            Frame::Whole(at) => self.whole = Some(at),
        }
        Ok(())
    }
}

fn apply(records: &mut Records, entry: &Entry) {
    for change in entry.changes.iter() {
        let at = (entry.tenant.clone(), change.key.clone());
        match &change.value {
            None => drop(records.remove(&at)),
            Some(value) => drop(records.insert(at, (value.clone(), change.token.is_some()))),
        }
    }
}
