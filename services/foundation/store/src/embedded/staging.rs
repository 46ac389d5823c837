//! Staged generations inside the writer's transaction: the parts of a change that is too large for one commit.

use redb::ReadableTable as _;
use tandem_domain::id::TenantId;

use super::apply::Generation;
use super::batch::{Batch, Fault};
use super::layout::{Damaged, Take, read_staged, tenant_key, write_staged};
use crate::types::{STAGED_AGE, Shard, Write};

/// `shard tenant generation`, the front of a generation's parts.
fn generation_key(shard: Shard, tenant: &TenantId, generation: u64) -> Vec<u8> {
    let mut key = tenant_key(shard, tenant);
    key.extend_from_slice(&generation.to_be_bytes());
    key
}

fn part_key(shard: Shard, tenant: &TenantId, generation: u64, part: u32) -> Vec<u8> {
    let mut key = generation_key(shard, tenant, generation);
    key.extend_from_slice(&part.to_be_bytes());
    key
}

impl Batch<'_> {
    pub(super) fn stage(
        &mut self,
        tenant: &TenantId,
        generation: u64,
        part: u32,
        writes: &[Write],
    ) -> Result<(), Fault> {
        let shard = Shard::of(tenant);
        let state = self.shard(shard)?;
        self.keep(shard, &state)?;
        let key = part_key(shard, tenant, generation, part);
        self.staged.insert(key.as_slice(), write_staged(state.time, writes).as_slice())?;
        Ok(())
    }

    /// Whether every part of a generation is there.
    pub(super) fn is_staged(&self, shard: Shard, tenant: &TenantId, of: Generation) -> Result<bool, Fault> {
        for part in 0..of.parts {
            if self.staged.get(part_key(shard, tenant, of.id, part).as_slice())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn part(
        &self,
        shard: Shard,
        tenant: &TenantId,
        generation: u64,
        part: u32,
    ) -> Result<Vec<Write>, Fault> {
        let stored = self.staged.get(part_key(shard, tenant, generation, part).as_slice())?;
        let stored = stored.ok_or(Damaged("a generation without one of its parts"))?;
        Ok(read_staged(stored.value())?.1)
    }

    /// Removes all parts of a generation, also those beyond what was turned over.
    pub(super) fn forget_generation(
        &mut self,
        shard: Shard,
        tenant: &TenantId,
        generation: u64,
    ) -> Result<(), Fault> {
        let from = generation_key(shard, tenant, generation);
        let mut to = from.clone();
        to.extend_from_slice(&[0xff; 5]);
        self.staged.retain_in(from.as_slice()..to.as_slice(), |_, _| false)?;
        Ok(())
    }

    /// Whether anything is staged in a shard.
    pub(super) fn stages(&self, shard: Shard) -> Result<bool, Fault> {
        let (from, to) = (shard.0.to_be_bytes(), (shard.0 + 1).to_be_bytes());
        Ok(self.staged.range(&from[..]..&to[..])?.next().transpose()?.is_some())
    }

    /// Removes parts that nobody turned over in time.
    pub(super) fn forget_staged(&mut self, shard: Shard, time: u64) -> Result<(), Fault> {
        let (from, to) = (shard.0.to_be_bytes(), (shard.0 + 1).to_be_bytes());
        let mut old = Vec::new();
        for part in self.staged.range(&from[..]..&to[..])? {
            let (key, value) = part?;
            if Take(value.value()).u64()?.saturating_add(STAGED_AGE.as_micros() as u64) < time {
                old.push(key.value().to_vec());
            }
        }
        for key in old {
            self.dirty = true;
            self.staged.remove(key.as_slice())?;
        }
        Ok(())
    }
}
