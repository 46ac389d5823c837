//! Records, entries and staged parts as bytes in Redis. This is stored state, as [`super::keys`] says.
//!
//! A record: version (8), commit (16), time (8), token (8), how it ends (1: 0 never, 1 deadline of 8, 2 session of
//! 16), value. An entry of the log: a field `m` (time, commit, whether more follows, tenant, trace, changes), a field
//! `v` for each value that was written, and a field `t` with the tokens of updates, if there are any.

use std::sync::Arc;

use redis::Value;
use tandem_domain::id::{Revision, TenantId};

use super::keys;
use crate::bytes::{Damaged, Take, put_sized, take_tenant};
use crate::types::{Changed, CommitId, Entry, Key, Position, Stored, What, Write};

/// What a change of an entry is.
const DELETED: u8 = 0;
const PUT: u8 = 1;
const CLAIMED: u8 = 2;
const UPDATED: u8 = 3;

/// What is known of a shard beside its records, as `lua/shard.lua` keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct State {
    /// The last entry; none: none ever.
    pub(super) position: Option<Position>,
    /// Shard time, microseconds.
    pub(super) time: u64,
    pub(super) log_bytes: u64,
    pub(super) log_entries: u64,
    /// The newest revision that was cut from the log; 0: none ever.
    pub(super) cut: u64,
    pub(super) records: u64,
    /// The generation that is being turned over.
    pub(super) turning: Option<Turning>,
}

/// A generation that is being turned over: whoever meets it goes on with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Turning {
    pub(super) commit: [u8; 16],
    /// The part that comes next.
    pub(super) part: u32,
    pub(super) generation: Vec<u8>,
}

fn damaged(what: &'static str) -> Damaged {
    Damaged(what)
}

impl State {
    pub(super) fn read(bytes: Option<&[u8]>) -> Result<Self, Damaged> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let mut from = Take(bytes);
        let mut numbers = [0; 18];
        for number in &mut numbers {
            *number = from.u64()?;
        }
        let last = CommitId(from.u128()?);
        let [revision, time, _, log_bytes, log_entries, cut, .., records] = numbers;
        Ok(Self {
            position: (revision > 0).then_some(Position { revision: Revision(revision), commit: last }),
            time,
            log_bytes,
            log_entries,
            cut,
            records,
            turning: Turning::read(from.0)?,
        })
    }
}

impl Turning {
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Damaged> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut from = Take(bytes);
        let commit = from.array()?;
        let part = from.u32()?;
        from.u32()?;
        let len = from.u16()?;
        Ok(Some(Self { commit, part, generation: from.bytes(usize::from(len))?.to_vec() }))
    }
}

/// A record from its field and value.
pub(super) fn stored(field: &[u8], value: &[u8]) -> Result<Stored, Damaged> {
    let mut from = Take(field);
    from.u8()?;
    let tenant = take_tenant(&mut from)?;
    let key = key(from.0)?;
    stored_at(tenant, key, value)
}

/// A record of a key that is known.
pub(super) fn stored_at(tenant: TenantId, key: Key, value: &[u8]) -> Result<Stored, Damaged> {
    let mut from = Take(value);
    let version = Revision(from.u64()?);
    let commit = CommitId(from.u128()?);
    let at = from.u64()?;
    let token = token(from.u64()?);
    match from.u8()? {
        0 => {}
        1 => drop(from.u64()?),
        2 => drop(from.u128()?),
        _ => return Err(damaged("a record's end")),
    }
    Ok(Stored { tenant, key, value: from.0.into(), version, commit, token, at })
}

fn token(revision: u64) -> Option<Revision> {
    (revision != 0).then_some(Revision(revision))
}

fn key(bytes: &[u8]) -> Result<Key, Damaged> {
    let (kind, key) = bytes.split_first().ok_or(damaged("a record without kind"))?;
    Ok(Key::new(*kind, std::str::from_utf8(key).map_err(|_| damaged("a record's key"))?))
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    // Names, keys and traces have far less than 64 KiB.
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Tenant and trace, as an entry has them.
pub(super) fn front(tenant: &[u8], trace: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + tenant.len() + trace.map_or(0, str::len));
    put_short(&mut out, tenant);
    put_short(&mut out, trace.unwrap_or_default().as_bytes());
    out
}

/// Count and changes, as an entry has them.
pub(super) fn changes(writes: &[Write]) -> Vec<u8> {
    let mut out = u32::try_from(writes.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    for write in writes {
        out.push(match write.what {
            What::Delete => DELETED,
            What::Put(_) => PUT,
            What::Claim(..) => CLAIMED,
            What::Update(_) => UPDATED,
        });
        let key = write.key.key.as_bytes();
        out.extend_from_slice(&u16::try_from(key.len() + 1).unwrap_or(u16::MAX).to_be_bytes());
        out.push(write.key.kind);
        out.extend_from_slice(key);
    }
    out
}

/// Writes as a staged part: puts and deletes only, for claims take their token from a commit.
pub(super) fn staged(tenant: &[u8], writes: &[Write]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    put_sized(&mut out, &changes(writes));
    for write in writes {
        let value = match &write.what {
            What::Put(value) => Some(value),
            _ => None,
        };
        out.push(if value.is_some() { PUT } else { DELETED });
        put_short(&mut out, &keys::field(tenant, &write.key));
        if let Some(value) = value {
            put_sized(&mut out, value);
        }
    }
    out
}

/// An entry as XRANGE answers it, and its bytes.
pub(super) fn entry(value: Value) -> Result<(Entry, u64), Damaged> {
    let no_entry = damaged("an entry of the log");
    let Value::Array(pair) = value else { return Err(no_entry) };
    let Ok([Value::BulkString(id), Value::Array(fields)]) = <[Value; 2]>::try_from(pair) else {
        return Err(no_entry);
    };
    let revision = revision(&id)?;
    let (mut head, mut values, mut tokens) = (None, Vec::new(), Vec::new());
    let mut fields = fields.into_iter();
    let mut bytes = 0;
    while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) = (fields.next(), fields.next())
    {
        bytes += value.len() as u64;
        match name.as_slice() {
            b"m" => head = Some(value),
            b"v" => values.push(value),
            b"t" => tokens = value,
            // A field that a later release adds.
            _ => {}
        }
    }
    let head = head.ok_or(damaged("an entry without changes"))?;
    Ok((read_entry(revision, &head, values, &tokens)?, bytes))
}

fn revision(id: &[u8]) -> Result<Revision, Damaged> {
    let text = std::str::from_utf8(id).ok().and_then(|id| id.strip_suffix("-0"));
    text.and_then(|n| n.parse().ok()).map(Revision).ok_or(damaged("an entry's id"))
}

fn read_entry(
    revision: Revision,
    head: &[u8],
    values: Vec<Vec<u8>>,
    tokens: &[u8],
) -> Result<Entry, Damaged> {
    let mut from = Take(head);
    let at = from.u64()?;
    let commit = CommitId(from.u128()?);
    let more = from.u8()? == 1;
    from.u16()?;
    let tenant = take_tenant(&mut from)?;
    let trace = short(&mut from)?;
    let trace = std::str::from_utf8(trace).map_err(|_| damaged("a trace"))?;
    let count = from.u32()?;
    let (mut values, mut tokens) = (values.into_iter(), Take(tokens));
    let mut changes = Vec::with_capacity(count.min(1024) as usize);
    for _ in 0..count {
        let what = from.u8()?;
        let key = key(short(&mut from)?)?;
        let token = match what {
            CLAIMED => Some(revision),
            UPDATED => token(tokens.u64()?),
            _ => None,
        };
        let value = match what {
            DELETED => None,
            _ => Some(values.next().ok_or(damaged("a change without its value"))?.into()),
        };
        changes.push(Changed { key, value, token });
    }
    let trace = (!trace.is_empty()).then(|| Arc::from(trace));
    Ok(Entry { tenant, revision, commit, at, trace, changes: changes.into(), more })
}

fn short<'a>(from: &mut Take<'a>) -> Result<&'a [u8], Damaged> {
    let len = from.u16()?;
    from.bytes(usize::from(len))
}
