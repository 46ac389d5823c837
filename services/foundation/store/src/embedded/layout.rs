//! How records, log and sessions lie in the embedded database. This is stored state: a change needs a new
//! [`FORMAT`] and a way from the old one.
//!
//! All integers are big-endian, so that the order of the bytes is the order of the numbers.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | name | `format`, `cell`, `shards` |
//! | `records` | shard, tenant, kind, key | [`Head`], value |
//! | `log` | shard, revision | entry |
//! | `commits` | shard, commit id | revision |
//! | `shards` | shard | [`ShardState`] |
//! | `ends` | shard, deadline, record key | nothing |
//! | `sessions` | shard, tenant, session | deadline |
//! | `session_ends` | shard, deadline, tenant, session | nothing |
//! | `hangs` | shard, tenant, session, record key | nothing |
//! | `staged` | shard, tenant, generation, part | shard time, writes |

use redb::TableDefinition;
use tandem_domain::id::{Revision, TenantId};

pub(super) use crate::bytes::{Damaged, Take};
use crate::bytes::{put_sized, put_tenant, take_tenant};
use crate::types::{Changed, CommitId, Entry, Key, SessionId, Shard, What, Write};

/// The format that this release writes and reads.
pub(super) const FORMAT: u32 = 1;

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(super) const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");
pub(super) const RECORDS: Bytes = TableDefinition::new("records");
pub(super) const LOG: TableDefinition<'static, (u16, u64), &'static [u8]> = TableDefinition::new("log");
pub(super) const COMMITS: TableDefinition<'static, (u16, u128), u64> = TableDefinition::new("commits");
pub(super) const SHARD_STATES: TableDefinition<'static, u16, &'static [u8]> = TableDefinition::new("shards");
pub(super) const ENDS: Bytes = TableDefinition::new("ends");
pub(super) const SESSIONS: TableDefinition<'static, &'static [u8], u64> = TableDefinition::new("sessions");
pub(super) const SESSION_ENDS: Bytes = TableDefinition::new("session_ends");
pub(super) const HANGS: Bytes = TableDefinition::new("hangs");
pub(super) const STAGED: Bytes = TableDefinition::new("staged");

/// `shard tenant`.
pub(super) fn tenant_key(shard: Shard, tenant: &TenantId) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    out.extend_from_slice(&shard.0.to_be_bytes());
    put_tenant(&mut out, tenant);
    out
}

/// `shard tenant kind key`.
pub(super) fn record_key(shard: Shard, tenant: &TenantId, key: &Key) -> Vec<u8> {
    let mut out = tenant_key(shard, tenant);
    out.push(key.kind);
    out.extend_from_slice(key.key.as_bytes());
    out
}

pub(super) fn read_record_key(bytes: &[u8]) -> Result<(TenantId, Key), Damaged> {
    let mut from = Take(bytes);
    from.bytes(2)?;
    let tenant = take_tenant(&mut from)?;
    Ok((tenant, read_key(from)?))
}

/// `kind key`, what follows the tenant.
pub(super) fn read_key(mut from: Take<'_>) -> Result<Key, Damaged> {
    let kind = from.u8()?;
    let key = std::str::from_utf8(from.0).map_err(|_| Damaged("a record's key"))?;
    Ok(Key::new(kind, key))
}

/// `shard deadline`, the front of `ends` and `session_ends`.
pub(super) fn end_key(shard: Shard, deadline: u64, rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(10 + rest.len());
    out.extend_from_slice(&shard.0.to_be_bytes());
    out.extend_from_slice(&deadline.to_be_bytes());
    out.extend_from_slice(rest);
    out
}

/// `shard tenant session`.
pub(super) fn session_key(shard: Shard, tenant: &TenantId, session: SessionId) -> Vec<u8> {
    let mut out = tenant_key(shard, tenant);
    out.extend_from_slice(&session.0.to_be_bytes());
    out
}

/// How a record ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ends {
    Never,
    At(u64),
    With(SessionId),
}

/// What lies before a record's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) version: Revision,
    pub(super) commit: CommitId,
    pub(super) at: u64,
    pub(super) token: Option<Revision>,
    pub(super) ends: Ends,
}

impl Head {
    pub(super) fn write(&self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + value.len());
        out.extend_from_slice(&self.version.0.to_be_bytes());
        out.extend_from_slice(&self.commit.0.to_be_bytes());
        out.extend_from_slice(&self.at.to_be_bytes());
        out.extend_from_slice(&self.token.map_or(0, |t| t.0).to_be_bytes());
        match self.ends {
            Ends::Never => out.push(0),
            Ends::At(deadline) => {
                out.push(1);
                out.extend_from_slice(&deadline.to_be_bytes());
            }
            Ends::With(session) => {
                out.push(2);
                out.extend_from_slice(&session.0.to_be_bytes());
            }
        }
        out.extend_from_slice(value);
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), Damaged> {
        let mut from = Take(bytes);
        let version = Revision(from.u64()?);
        let commit = CommitId(from.u128()?);
        let at = from.u64()?;
        let token = Some(from.u64()?).filter(|t| *t != 0).map(Revision);
        let ends = match from.u8()? {
            0 => Ends::Never,
            1 => Ends::At(from.u64()?),
            2 => Ends::With(SessionId(from.u128()?)),
            _ => return Err(Damaged("a record's end")),
        };
        Ok((Self { version, commit, at, token, ends }, from.0))
    }
}

/// What is known of a shard beside its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ShardState {
    /// The last entry; 0: none ever.
    pub(super) revision: u64,
    pub(super) commit: u128,
    /// Shard time, microseconds.
    pub(super) time: u64,
    /// The machine's clock when shard time was last moved.
    pub(super) wall: u64,
    /// What that was when the shard was stored, or its last entry written. Not stored itself.
    pub(super) wall_before: u64,
    pub(super) log_bytes: u64,
    pub(super) log_entries: u64,
    /// The first entry that is still in the log; 0: none.
    pub(super) first: u64,
    /// Whether any entry was ever cut: without a position, the log tells the whole story only before that.
    pub(super) cut: bool,
}

impl ShardState {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&self.revision.to_be_bytes());
        out.extend_from_slice(&self.commit.to_be_bytes());
        for n in [self.time, self.wall, self.log_bytes, self.log_entries, self.first] {
            out.extend_from_slice(&n.to_be_bytes());
        }
        out.push(u8::from(self.cut));
        out
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Take(bytes);
        let (revision, commit, time, wall) = (from.u64()?, from.u128()?, from.u64()?, from.u64()?);
        Ok(Self {
            revision,
            commit,
            time,
            wall,
            wall_before: wall,
            log_bytes: from.u64()?,
            log_entries: from.u64()?,
            first: from.u64()?,
            cut: from.u8()? == 1,
        })
    }
}

pub(super) fn write_entry(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&entry.commit.0.to_be_bytes());
    out.extend_from_slice(&entry.at.to_be_bytes());
    out.push(u8::from(entry.more));
    put_tenant(&mut out, &entry.tenant);
    put_sized(&mut out, entry.trace.as_deref().unwrap_or_default().as_bytes());
    out.extend_from_slice(&u32::try_from(entry.changes.len()).unwrap_or(u32::MAX).to_be_bytes());
    for change in entry.changes.iter() {
        out.push(change.key.kind);
        put_sized(&mut out, change.key.key.as_bytes());
        out.extend_from_slice(&change.token.map_or(0, |t| t.0).to_be_bytes());
        out.push(u8::from(change.value.is_some()));
        if let Some(value) = &change.value {
            put_sized(&mut out, value);
        }
    }
    out
}

pub(super) fn read_entry(revision: u64, bytes: &[u8]) -> Result<Entry, Damaged> {
    let mut from = Take(bytes);
    let commit = CommitId(from.u128()?);
    let at = from.u64()?;
    let more = from.u8()? == 1;
    let tenant = take_tenant(&mut from)?;
    let trace = Some(from.text()?).filter(|t| !t.is_empty()).map(Into::into);
    let count = from.u32()?;
    let mut changes = Vec::with_capacity(count.min(1024) as usize);
    for _ in 0..count {
        let kind = from.u8()?;
        let key = Key::new(kind, from.text()?);
        let token = Some(from.u64()?).filter(|t| *t != 0).map(Revision);
        let value = if from.u8()? == 1 { Some(from.sized()?.into()) } else { None };
        changes.push(Changed { key, value, token });
    }
    Ok(Entry { tenant, revision: Revision(revision), commit, at, trace, changes: changes.into(), more })
}

/// Staged writes: puts and deletes only, for claims take their token from a commit.
pub(super) fn write_staged(at: u64, writes: &[Write]) -> Vec<u8> {
    let mut out = at.to_be_bytes().to_vec();
    for write in writes {
        out.push(write.key.kind);
        put_sized(&mut out, write.key.key.as_bytes());
        let value = match &write.what {
            What::Put(value) => Some(value),
            _ => None,
        };
        out.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put_sized(&mut out, value);
        }
    }
    out
}

pub(super) fn read_staged(bytes: &[u8]) -> Result<(u64, Vec<Write>), Damaged> {
    let mut from = Take(bytes);
    let at = from.u64()?;
    let mut writes = Vec::new();
    while !from.0.is_empty() {
        let kind = from.u8()?;
        let key = Key::new(kind, from.text()?);
        let what = if from.u8()? == 1 { What::Put(from.sized()?.into()) } else { What::Delete };
        writes.push(Write { key, what });
    }
    Ok((at, writes))
}

#[cfg(test)]
mod tests {
    use tandem_domain::id::{Incarnation, TenantName};

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let tenant = TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(7) };
        let key = record_key(Shard(3), &tenant, &Key::new(2, "jane"));
        assert_eq!(read_record_key(&key).unwrap(), (tenant.clone(), Key::new(2, "jane")));
        for ends in [Ends::Never, Ends::At(9), Ends::With(SessionId(4))] {
            let head =
                Head { version: Revision(5), commit: CommitId(6), at: 7, token: Some(Revision(5)), ends };
            let bytes = head.write(b"value");
            assert_eq!(Head::read(&bytes).unwrap(), (head, &b"value"[..]));
            assert!(Head::read(&bytes[..20]).is_err());
        }
        let entry = Entry {
            tenant,
            revision: Revision(8),
            commit: CommitId(1),
            at: 2,
            trace: Some("00-1-2-01".into()),
            changes: [Changed { key: Key::new(1, "a"), value: Some((*b"x").into()), token: None }].into(),
            more: true,
        };
        assert_eq!(read_entry(8, &write_entry(&entry)).unwrap(), entry);
        let writes = vec![
            Write { key: Key::new(1, "a"), what: What::Put((*b"x").into()) },
            Write { key: Key::new(1, "b"), what: What::Delete },
        ];
        assert_eq!(read_staged(&write_staged(3, &writes)).unwrap(), (3, writes));
    }
}
