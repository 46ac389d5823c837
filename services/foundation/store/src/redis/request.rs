//! Requests as calls of scripts: which keys, which arguments. The first argument is always the time, empty where it
//! is the server's.

use super::keys::{self, ShardKeys};
use super::layout;
use super::script::{self, Call};
use crate::types::{Commit, Fence, Key, Precondition, STAGED_AGE, SessionId, Until, What, Write};
use tandem_domain::id::{Revision, TenantId};

/// What was found at a fence's own record: the version there, and whether this token holds it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fenced {
    pub(super) found: Option<Revision>,
    pub(super) held: bool,
}

/// A generation that a commit turns over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generation {
    pub(super) id: u64,
    pub(super) parts: u32,
}

fn text(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Keys and records of a call, as they are met.
struct Looks {
    keys: Vec<Vec<u8>>,
    tenant: Vec<u8>,
    /// The index of KEYS of each hash of records, from 1.
    hashes: [Option<usize>; keys::HASHES as usize],
    fields: Vec<(usize, Vec<u8>)>,
}

impl Looks {
    fn key(&mut self, key: Vec<u8>) -> usize {
        self.keys.push(key);
        self.keys.len()
    }

    /// The number of a record among those that are looked at, from 1.
    fn record(&mut self, shard: &ShardKeys, key: &Key) -> usize {
        let field = keys::field(&self.tenant, key);
        let hash = field[0];
        let at = match self.hashes[usize::from(hash)] {
            Some(at) => at,
            None => {
                let at = self.key(shard.records(hash));
                *self.hashes[usize::from(hash)].insert(at)
            }
        };
        // Most commits look at one or two records: no map is worth its making.
        if self.fields.len() <= 8
            && let Some(known) = self.fields.iter().position(|(_, f)| *f == field)
        {
            return known + 1;
        }
        self.fields.push((at, field));
        self.fields.len()
    }
}

/// A commit. `fences` says of each `FenceIs`, in their order, what its own shard said.
pub(super) fn commit(
    shard: &ShardKeys,
    commit: &Commit,
    generation: Option<Generation>,
    fences: &[Fenced],
    now: Vec<u8>,
    replicated: bool,
) -> Call {
    let tenant = keys::tenant(&commit.tenant);
    let mut looks = Looks {
        keys: shard.fixed().into(),
        tenant: tenant.clone(),
        hashes: [None; keys::HASHES as usize],
        fields: Vec::new(),
    };
    let mut tail = Vec::new();
    let mut fences = fences.iter();
    for precondition in &commit.preconditions {
        let said = match precondition {
            Precondition::Absent(key) => ["A".into(), text(looks.record(shard, key)), Vec::new()],
            Precondition::VersionIs(key, version) => {
                ["V".into(), text(looks.record(shard, key)), version.0.to_be_bytes().into()]
            }
            Precondition::TokenIs(key, token) => {
                ["T".into(), text(looks.record(shard, key)), token.0.to_be_bytes().into()]
            }
            Precondition::FenceIs(fence) => match fences.next() {
                Some(fenced) => ["F".into(), text(looks.key(shard.floors())), floor(fence, *fenced)],
                // The fence lies in this very shard, and is checked in this very script.
                None => {
                    let at = looks.record(shard, &fence.key);
                    ["T".into(), text(at), fence.token.0.to_be_bytes().into()]
                }
            },
            Precondition::SessionLives(session) => ["S".into(), Vec::new(), session.0.to_be_bytes().into()],
        };
        tail.extend(said);
    }
    for write in &commit.writes {
        let at = looks.record(shard, &write.key);
        tail.extend(said(at, &write.what));
    }
    let mut parts = [Vec::new(), text(0), Vec::new()];
    if let Some(generation) = generation {
        let name = keys::generation(&tenant, generation.id);
        parts = [name, text(generation.parts), text(looks.key(shard.parts()))];
    }
    let mut args = vec![
        now,
        commit.id.0.to_be_bytes().into(),
        shard.hints(),
        if replicated { "1".into() } else { Vec::new() },
        tenant.clone(),
        layout::front(&tenant, commit.trace.as_deref()),
        layout::changes(&commit.writes),
    ];
    args.extend(parts);
    args.extend([text(looks.fields.len()), text(commit.preconditions.len()), text(commit.writes.len())]);
    for (at, field) in looks.fields {
        args.extend([text(at), field]);
    }
    args.extend(tail);
    Call { script: &script::COMMIT, keys: looks.keys, args }
}

/// Token, version found, whether it is held, and the fence's name.
fn floor(fence: &Fence, fenced: Fenced) -> Vec<u8> {
    let mut out = fence.token.0.to_be_bytes().to_vec();
    out.extend_from_slice(&fenced.found.map_or(0, |f| f.0).to_be_bytes());
    out.push(u8::from(fenced.held));
    out.extend(fence_name(&fence.key));
    out
}

fn fence_name(key: &Key) -> Vec<u8> {
    [&[key.kind], key.key.as_bytes()].concat()
}

fn said(at: usize, what: &What) -> [Vec<u8>; 4] {
    let (kind, value, until) = match what {
        What::Delete => ("D", None, Vec::new()),
        What::Put(value) => ("P", Some(value), Vec::new()),
        What::Update(value) => ("U", Some(value), Vec::new()),
        What::Claim(value, Until::After(ttl)) => ("C", Some(value), text(ttl.as_micros())),
        What::Claim(value, Until::Session(session)) => ("H", Some(value), session.0.to_be_bytes().into()),
    };
    [kind.into(), text(at), value.map(|v| v.to_vec()).unwrap_or_default(), until]
}

/// One step of turning a generation over.
pub(super) fn turn(shard: &ShardKeys, turning: &layout::Turning, now: Vec<u8>) -> Call {
    let mut keys: Vec<_> = shard.fixed().into();
    keys.push(shard.part(&keys::part(&turning.generation, turning.part)));
    keys.push(shard.parts());
    keys.extend(shard.all_records());
    let args = vec![now, turning.commit.to_vec(), shard.hints(), text(turning.part)];
    Call { script: &script::TURN, keys, args }
}

/// Puts a part of a generation aside.
pub(super) fn stage(
    shard: &ShardKeys,
    tenant: &TenantId,
    generation: u64,
    part: u32,
    writes: &[Write],
    now: Vec<u8>,
) -> Call {
    let tenant = keys::tenant(tenant);
    let generation = keys::generation(&tenant, generation);
    let keys = vec![shard.state(), shard.part(&keys::part(&generation, part)), shard.parts()];
    let args = vec![now, generation, part.to_be_bytes().into(), layout::staged(&tenant, writes)];
    Call { script: &script::STAGE, keys, args }
}

/// What is asked of a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Session {
    Open(u32),
    Keep(u32),
    End,
}

pub(super) fn session(
    shard: &ShardKeys,
    tenant: &TenantId,
    session: SessionId,
    what: Session,
    now: Vec<u8>,
) -> Call {
    let (name, ttl_ms) = match what {
        Session::Open(ttl) => ("open", ttl),
        Session::Keep(ttl) => ("keep", ttl),
        Session::End => ("end", 0),
    };
    let member = keys::session(&keys::tenant(tenant), session);
    let args = vec![now, name.into(), member, text(u64::from(ttl_ms) * 1000)];
    Call { script: &script::SESSION, keys: vec![shard.state(), shard.sessions()], args }
}

/// Whether a sweep has anything to do.
pub(super) fn peek(shard: &ShardKeys, now: Vec<u8>) -> Call {
    let keys = vec![shard.state(), shard.deadlines(), shard.sessions(), shard.parts()];
    Call { script: &script::PEEK, keys, args: vec![now, text(STAGED_AGE.as_micros())] }
}

/// One step of expiry; twelve bytes of `id` name its entries.
pub(super) fn sweep(shard: &ShardKeys, id: u128, now: Vec<u8>) -> Call {
    let mut keys: Vec<_> = shard.fixed().into();
    keys.extend(shard.all_records());
    let args = vec![now, id.to_be_bytes()[..12].to_vec(), shard.hints()];
    Call { script: &script::SWEEP, keys, args }
}

/// Forgets staged parts that are too old.
pub(super) fn forget(shard: &ShardKeys, parts: Vec<Vec<u8>>, now: Vec<u8>) -> Call {
    let mut keys = vec![shard.state(), shard.parts()];
    keys.extend(parts.iter().map(|part| shard.part(part)));
    let mut args = vec![now, text(STAGED_AGE.as_micros())];
    args.extend(parts);
    Call { script: &script::FORGET, keys, args }
}

/// One record.
pub(super) fn get(shard: &ShardKeys, tenant: &TenantId, key: &Key, now: Vec<u8>) -> Call {
    let tenant = keys::tenant(tenant);
    let field = keys::field(&tenant, key);
    let keys = vec![shard.state(), shard.records(field[0]), shard.sessions()];
    Call { script: &script::GET, keys, args: vec![now, field, tenant] }
}

/// Raises the floor of a fence in a shard.
pub(super) fn raise(shard: &ShardKeys, fence: &Fence) -> Call {
    let args = vec![fence_name(&fence.key), fence.token.0.to_be_bytes().into()];
    Call { script: &script::RAISE, keys: vec![shard.floors()], args }
}
