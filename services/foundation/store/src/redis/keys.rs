//! Where everything lies in Redis. This is stored state: a change needs a new [`FORMAT`] and a way from the old one.
//!
//! All keys of a shard bear its hash tag, so that they lie on one primary: `tandem:{7}:r12` is the twelfth hash of
//! shard 7's records. `{c}` is the reserved tenant's shard.
//!
//! | key | type | what |
//! | --- | --- | --- |
//! | `s` | string | the shard's state: last revision, shard time, bounds of the log (`lua/shard.lua`) |
//! | `l` | stream | the log; an entry's id is its revision |
//! | `i0` `i1` | hash | commit ids and their revisions, in two generations that take turns |
//! | `b` | list | chunks of the log, by which it is cut |
//! | `r0`..`r63` | hash | records, by field |
//! | `e` | sorted set | records that end at a time: deadline, field |
//! | `q` | sorted set | sessions: deadline, tenant and session |
//! | `h` | sorted set | what hangs on sessions: tenant, session and field, in their order |
//! | `f` | hash | floors: the largest token that each fence was seen with |
//! | `g` | sorted set | staged parts: when they were staged, tenant, generation and part |
//! | `g` and a part's name | string | a staged part |
//!
//! The cell itself, as it was born, is the hash `tandem:{c}:cell`.

use tandem_domain::id::TenantId;

use crate::bytes::{hash, put_tenant};
use crate::types::{Key, SessionId, Shard};

/// The format that this release writes and reads.
pub(super) const FORMAT: u32 = 1;
/// Hashes that a shard's records lie in, so that no key is too large to move.
pub(super) const HASHES: u8 = 64;

/// The keys of a store: all begin alike.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    front: String,
}

/// The keys of one shard.
#[derive(Clone, Debug)]
pub(super) struct ShardKeys {
    front: String,
}

impl Keys {
    pub(super) fn new(front: &str) -> Self {
        Self { front: front.to_owned() }
    }

    pub(super) fn shard(&self, shard: Shard) -> ShardKeys {
        ShardKeys { front: format!("{}:{{{}}}:", self.front, tag(shard)) }
    }

    /// Which shard a channel of hints speaks of.
    pub(super) fn shard_of_channel(&self, channel: &[u8]) -> Option<Shard> {
        let rest =
            channel.strip_prefix(self.front.as_bytes())?.strip_prefix(b":{")?.strip_suffix(b"}:hint")?;
        if rest == b"c" {
            return Some(Shard::CELL);
        }
        std::str::from_utf8(rest).ok()?.parse().ok().filter(|n| *n < crate::types::SHARDS).map(Shard)
    }
}

fn tag(shard: Shard) -> String {
    if shard == Shard::CELL { "c".to_owned() } else { shard.0.to_string() }
}

/// The slot of a Redis Cluster that a shard lies in: CRC-16/XMODEM of its tag, modulo 16384 (Redis Cluster
/// specification, "Hash tags").
pub(super) fn slot(shard: Shard) -> u16 {
    slot_of(tag(shard).as_bytes())
}

/// The slot of a key without a hash tag.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let crc = key.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % 16384
}

impl ShardKeys {
    fn named(&self, name: &str) -> Vec<u8> {
        [self.front.as_bytes(), name.as_bytes()].concat()
    }

    pub(super) fn state(&self) -> Vec<u8> {
        self.named("s")
    }

    pub(super) fn log(&self) -> Vec<u8> {
        self.named("l")
    }

    pub(super) fn deadlines(&self) -> Vec<u8> {
        self.named("e")
    }

    pub(super) fn sessions(&self) -> Vec<u8> {
        self.named("q")
    }

    pub(super) fn floors(&self) -> Vec<u8> {
        self.named("f")
    }

    /// Where it is known which parts are staged.
    pub(super) fn parts(&self) -> Vec<u8> {
        self.named("g")
    }

    /// A staged part; `member` is its name, as [`part`] makes it.
    pub(super) fn part(&self, member: &[u8]) -> Vec<u8> {
        [self.front.as_bytes(), b"g", member].concat()
    }

    pub(super) fn records(&self, hash: u8) -> Vec<u8> {
        self.named(&format!("r{hash}"))
    }

    /// The cell as it was born; in the reserved tenant's shard only.
    pub(super) fn cell(&self) -> Vec<u8> {
        self.named("cell")
    }

    pub(super) fn hints(&self) -> Vec<u8> {
        self.named("hint")
    }

    /// The eight keys that every script has that writes to the log, in their order.
    pub(super) fn fixed(&self) -> [Vec<u8>; 8] {
        ["s", "l", "i0", "i1", "b", "e", "q", "h"].map(|name| self.named(name))
    }

    /// Every hash of records.
    pub(super) fn all_records(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..HASHES).map(|hash| self.records(hash))
    }
}

/// The front of a tenant's keys.
pub(super) fn tenant(tenant: &TenantId) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    put_tenant(&mut out, tenant);
    out
}

/// A record's field: the number of its hash, tenant, kind, key.
pub(super) fn field(tenant: &[u8], key: &Key) -> Vec<u8> {
    let name = || [key.kind].into_iter().chain(key.key.bytes());
    let hash = hash(tenant.iter().copied().chain(name())) % u64::from(HASHES);
    let mut out = Vec::with_capacity(2 + tenant.len() + key.key.len());
    out.push(hash as u8);
    out.extend_from_slice(tenant);
    out.extend(name());
    out
}

/// A session among those of its shard: tenant, session.
pub(super) fn session(tenant: &[u8], session: SessionId) -> Vec<u8> {
    [tenant, &session.0.to_be_bytes()].concat()
}

/// A generation among what is staged: tenant, generation.
pub(super) fn generation(tenant: &[u8], generation: u64) -> Vec<u8> {
    [tenant, &generation.to_be_bytes()].concat()
}

/// A part among what is staged: generation, part.
pub(super) fn part(generation: &[u8], part: u32) -> Vec<u8> {
    [generation, &part.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // The check value of CRC-16/XMODEM, and `CLUSTER KEYSLOT` of a server.
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot(Shard(7)), slot_of(b"7"));
    }

    #[test]
    fn a_channel_says_its_shard() {
        let keys = Keys::new("tandem");
        for shard in [Shard::CELL, Shard(0), Shard(255)] {
            assert_eq!(keys.shard_of_channel(&keys.shard(shard).hints()), Some(shard));
        }
        assert_eq!(Keys::new("other").shard_of_channel(&keys.shard(Shard(1)).hints()), None);
        assert_eq!(keys.shard_of_channel(b"tandem:{256}:hint"), None);
    }
}
