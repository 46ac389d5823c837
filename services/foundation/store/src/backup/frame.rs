//! Frames as bytes. This is stored state.
//!
//! `length (4), checksum of those (4), checksum of the payload (4), payload`, big-endian; the payload begins with its
//! kind. The length has a checksum of its own, so that a damaged one is not taken for an end that was cut short.

use std::sync::Arc;

use tandem_domain::id::{Revision, TenantId};

use super::FORMAT;
use crate::bytes::{Damaged, Take, put_sized, put_tenant, take_tenant};
use crate::types::{Changed, CommitId, Entry, Key, Shard};

/// What a frame's head has.
pub(super) const HEAD: usize = 12;
/// The largest payload: an entry of a commit of 1 MiB with the keys of its deletions, with room to spare.
pub(super) const PAYLOAD_MAX: usize = 16 * 1024 * 1024;
const MAGIC: &[u8] = b"tandem backup";

/// A record as a backup has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) tenant: TenantId,
    pub(super) key: Key,
    pub(super) value: Arc<[u8]>,
    /// Whether somebody held it.
    pub(super) claimed: bool,
}

/// What is written, in the order in which it was learnt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Frame {
    /// The first of a generation.
    Header { format: u16, cell: u128 },
    /// A shard is listed anew; its records follow.
    Listing(Shard),
    /// Records of the shard that is being listed.
    Records(Vec<Kept>),
    /// The shard is listed: so many records.
    Listed(Shard, u64),
    /// A change.
    Entry(Shard, Entry),
    /// Everything that was committed before this time is there; microseconds since 1970, by the clock of who writes.
    Whole(u64),
}

/// The frame as it is written.
pub(super) fn write(frame: &Frame) -> Vec<u8> {
    let mut out = vec![0; HEAD];
    match frame {
        Frame::Header { format, cell } => {
            out.push(0);
            out.extend_from_slice(MAGIC);
            out.extend_from_slice(&format.to_be_bytes());
            out.extend_from_slice(&cell.to_be_bytes());
        }
        Frame::Listing(shard) => {
            out.push(1);
            out.extend_from_slice(&shard.0.to_be_bytes());
        }
        Frame::Records(records) => {
            out.push(2);
            for kept in records {
                put_tenant(&mut out, &kept.tenant);
                out.push(kept.key.kind);
                put_sized(&mut out, kept.key.key.as_bytes());
                out.push(u8::from(kept.claimed));
                put_sized(&mut out, &kept.value);
            }
        }
        Frame::Listed(shard, records) => {
            out.push(3);
            out.extend_from_slice(&shard.0.to_be_bytes());
            out.extend_from_slice(&records.to_be_bytes());
        }
        Frame::Entry(shard, entry) => put_entry(&mut out, *shard, entry),
        Frame::Whole(at) => {
            out.push(5);
            out.extend_from_slice(&at.to_be_bytes());
        }
    }
    let payload = crc32fast::hash(&out[HEAD..]);
    let length = u32::try_from(out.len() - HEAD).unwrap_or(u32::MAX).to_be_bytes();
    out[..4].copy_from_slice(&length);
    out[4..8].copy_from_slice(&crc32fast::hash(&length).to_be_bytes());
    out[8..HEAD].copy_from_slice(&payload.to_be_bytes());
    out
}

fn put_entry(out: &mut Vec<u8>, shard: Shard, entry: &Entry) {
    out.push(4);
    out.extend_from_slice(&shard.0.to_be_bytes());
    put_tenant(out, &entry.tenant);
    out.extend_from_slice(&entry.revision.0.to_be_bytes());
    out.extend_from_slice(&entry.commit.0.to_be_bytes());
    out.extend_from_slice(&entry.at.to_be_bytes());
    out.push(u8::from(entry.more));
    for change in entry.changes.iter() {
        out.push(change.key.kind);
        put_sized(out, change.key.key.as_bytes());
        match &change.value {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                out.extend_from_slice(&change.token.map_or(0, |t| t.0).to_be_bytes());
                put_sized(out, value);
            }
        }
    }
}

/// How long the payload is, of a frame's head. None: the head is damaged.
pub(super) fn length(head: &[u8; HEAD]) -> Option<usize> {
    let (length, rest) = head.split_first_chunk::<4>()?;
    let sound = crc32fast::hash(length).to_be_bytes() == rest[..4];
    let length = u32::from_be_bytes(*length) as usize;
    (sound && length <= PAYLOAD_MAX).then_some(length)
}

/// The frame of a head and a payload.
pub(super) fn read(head: &[u8; HEAD], payload: &[u8]) -> Result<Frame, Damaged> {
    if crc32fast::hash(payload).to_be_bytes() != head[8..] {
        return Err(Damaged("bytes that do not have their checksum"));
    }
    let mut from = Take(payload);
    let frame = match from.u8()? {
        0 => {
            if from.bytes(MAGIC.len())? != MAGIC {
                return Err(Damaged("a header that is no backup's"));
            }
            let header = Frame::Header { format: from.u16()?, cell: from.u128()? };
            // What a newer format has beyond is its own.
            from.0 =
                if matches!(header, Frame::Header { format, .. } if format > FORMAT) { &[] } else { from.0 };
            header
        }
        1 => Frame::Listing(Shard(from.u16()?)),
        2 => Frame::Records(take_records(&mut from)?),
        3 => Frame::Listed(Shard(from.u16()?), from.u64()?),
        4 => take_entry(&mut from)?,
        5 => Frame::Whole(from.u64()?),
        _ => return Err(Damaged("a frame of an unknown kind")),
    };
    if from.0.is_empty() { Ok(frame) } else { Err(Damaged("a frame that goes on")) }
}

fn take_records(from: &mut Take<'_>) -> Result<Vec<Kept>, Damaged> {
    let mut records = Vec::new();
    while !from.0.is_empty() {
        let tenant = take_tenant(from)?;
        let kind = from.u8()?;
        let key = Key::new(kind, from.text()?);
        records.push(Kept { tenant, key, claimed: from.u8()? != 0, value: from.sized()?.into() });
    }
    Ok(records)
}

fn take_entry(from: &mut Take<'_>) -> Result<Frame, Damaged> {
    let shard = Shard(from.u16()?);
    let tenant = take_tenant(from)?;
    let (revision, commit) = (Revision(from.u64()?), CommitId(from.u128()?));
    let (at, more) = (from.u64()?, from.u8()? != 0);
    let mut changes = Vec::new();
    while !from.0.is_empty() {
        let kind = from.u8()?;
        let key = Key::new(kind, from.text()?);
        changes.push(match from.u8()? {
            0 => Changed { key, value: None, token: None },
            _ => {
                let token = Some(Revision(from.u64()?)).filter(|t| t.0 > 0);
                Changed { key, value: Some(from.sized()?.into()), token }
            }
        });
    }
    let entry = Entry { tenant, revision, commit, at, trace: None, changes: changes.into(), more };
    Ok(Frame::Entry(shard, entry))
}

#[cfg(test)]
mod tests {
    use tandem_domain::id::{Incarnation, TenantName};

    use super::*;

    fn frames() -> Vec<Frame> {
        let tenant = TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(7) };
        let (key, value): (_, Arc<[u8]>) = (Key::new(3, "jane"), (*b"value").into());
        let kept = Kept { tenant: tenant.clone(), key: key.clone(), value: value.clone(), claimed: true };
        let changes = [
            Changed { key: key.clone(), value: Some(value), token: Some(Revision(9)) },
            Changed { key, value: None, token: None },
        ];
        let entry = Entry {
            tenant,
            revision: Revision(10),
            commit: CommitId(11),
            at: 12,
            trace: None,
            changes: changes.into(),
            more: true,
        };
        vec![
            Frame::Header { format: FORMAT, cell: 5 },
            Frame::Listing(Shard(3)),
            Frame::Records(vec![kept.clone(), kept]),
            Frame::Listed(Shard(3), 2),
            Frame::Entry(Shard(256), entry),
            Frame::Whole(99),
        ]
    }

    #[test]
    fn what_is_written_is_read_and_one_changed_bit_is_noticed() {
        for frame in frames() {
            let bytes = write(&frame);
            let (head, payload) = bytes.split_first_chunk::<HEAD>().unwrap();
            assert_eq!(length(head), Some(payload.len()));
            assert_eq!(read(head, payload).unwrap(), frame);
            for bit in 0..bytes.len() * 8 {
                let mut bent = bytes.clone();
                bent[bit / 8] ^= 1 << (bit % 8);
                let (head, payload) = bent.split_first_chunk::<HEAD>().unwrap();
                assert!(length(head).is_none() || read(head, payload).is_err(), "bit {bit} of {frame:?}");
            }
        }
    }
}
