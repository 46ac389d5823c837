//! Sessions and expiry inside the writer's transaction. Keep-alives write no log entry; expiry is a write like
//! any other, in steps that are bounded.

use redb::ReadableTable as _;
use tandem_domain::id::TenantId;

use super::batch::{Batch, Fault};
use super::layout::{Head, ShardState, end_key, read_record_key, session_key};
use crate::types::{Changed, CommitId, Entry, Error, SWEEP_MAX, SessionId, Shard};

/// How far shard time may run ahead of what is stored of it, in microseconds, while something waits for a
/// deadline: a crash gives deadlines at most this much more. Without deadlines nothing is stored.
const AHEAD_MAX: u64 = 10_000_000;

impl Batch<'_> {
    pub(super) fn lives(
        &self,
        shard: Shard,
        time: u64,
        tenant: &TenantId,
        session: SessionId,
    ) -> Result<bool, Fault> {
        let deadline = self.sessions.get(session_key(shard, tenant, session).as_slice())?;
        Ok(deadline.is_some_and(|d| d.value() > time))
    }

    pub(super) fn open_session(
        &mut self,
        tenant: &TenantId,
        session: SessionId,
        ttl_ms: u32,
    ) -> Result<Result<(), Error>, Fault> {
        let shard = Shard::of(tenant);
        let state = self.shard(shard)?;
        let known = self.sessions.get(session_key(shard, tenant, session).as_slice())?.map(|d| d.value());
        if known.is_some_and(|deadline| deadline <= state.time) {
            return Ok(Err(crate::limits::ended()));
        }
        self.keep(shard, &state)?;
        self.set_deadline(shard, tenant, session, state.time + u64::from(ttl_ms) * 1000)?;
        Ok(Ok(()))
    }

    pub(super) fn keep_alive(
        &mut self,
        tenant: &TenantId,
        session: SessionId,
        ttl_ms: u32,
    ) -> Result<bool, Fault> {
        let shard = Shard::of(tenant);
        let state = self.shard(shard)?;
        let lives = self.lives(shard, state.time, tenant, session)?;
        if lives {
            self.keep(shard, &state)?;
            self.set_deadline(shard, tenant, session, state.time + u64::from(ttl_ms) * 1000)?;
        }
        Ok(lives)
    }

    pub(super) fn end_session(&mut self, tenant: &TenantId, session: SessionId) -> Result<(), Fault> {
        let shard = Shard::of(tenant);
        let known = self.sessions.get(session_key(shard, tenant, session).as_slice())?.is_some();
        if known { self.set_deadline(shard, tenant, session, 0) } else { Ok(()) }
    }

    fn set_deadline(
        &mut self,
        shard: Shard,
        tenant: &TenantId,
        session: SessionId,
        at: u64,
    ) -> Result<(), Fault> {
        self.dirty = true;
        let key = session_key(shard, tenant, session);
        let before = self.sessions.insert(key.as_slice(), at)?.map(|d| d.value());
        if let Some(before) = before {
            self.session_ends.remove(end_key(shard, before, &key[2..]).as_slice())?;
        }
        self.session_ends.insert(end_key(shard, at, &key[2..]).as_slice(), &[][..])?;
        Ok(())
    }

    /// One step of expiry. `id` names its entries in the log.
    pub(super) fn sweep(&mut self, shard: Shard, id: CommitId) -> Result<usize, Fault> {
        let (mut state, stored) = self.moved(shard)?;
        let mut due = self.due_records(shard, state.time)?;
        for session in self.due_sessions(shard, state.time)? {
            let room = SWEEP_MAX.saturating_sub(due.len());
            let hanging = self.hanging(&session, room)?;
            if hanging.len() < room {
                self.forget_session(shard, &session)?;
            }
            due.extend(hanging);
        }
        self.forget_staged(shard, state.time)?;
        due.sort_unstable();
        due.dedup();
        let swept = due.len();
        self.expire(shard, &mut state, due, id)?;
        if swept > 0 || (state.time - stored > AHEAD_MAX && self.awaits(shard)?) {
            self.keep(shard, &state)?;
        }
        Ok(swept)
    }

    /// Whether anything of a shard has a deadline.
    fn awaits(&self, shard: Shard) -> Result<bool, Fault> {
        let (from, to) = (end_key(shard, 0, &[]), end_key(shard, u64::MAX, &[]));
        let any = self.ends.range(from.as_slice()..to.as_slice())?.next().transpose()?.is_some()
            || self.session_ends.range(from.as_slice()..to.as_slice())?.next().transpose()?.is_some();
        Ok(any || self.stages(shard)?)
    }

    /// Removes records, with one entry a tenant.
    fn expire(
        &mut self,
        shard: Shard,
        state: &mut ShardState,
        due: Vec<Vec<u8>>,
        id: CommitId,
    ) -> Result<(), Fault> {
        let mut by_tenant: Vec<(TenantId, Vec<Changed>)> = Vec::new();
        for bytes in due {
            let head = self.records.get(bytes.as_slice())?.map(|r| Head::read(r.value()).map(|h| h.0));
            let Some(head) = head.transpose()? else { continue };
            let (tenant, key) = read_record_key(&bytes)?;
            self.records.remove(bytes.as_slice())?;
            self.unhang(shard, &tenant, head.ends, &bytes)?;
            let gone = Changed { key, value: None, token: None };
            match by_tenant.last_mut().filter(|(t, _)| *t == tenant) {
                Some((_, changes)) => changes.push(gone),
                None => by_tenant.push((tenant, vec![gone])),
            }
        }
        for (at, (tenant, changes)) in by_tenant.into_iter().enumerate() {
            let entry = Entry {
                tenant,
                revision: self.next_revision(state)?,
                commit: CommitId(id.0.wrapping_add(at as u128)),
                at: state.time,
                trace: None,
                changes: changes.into(),
                more: false,
            };
            self.append(shard, state, &entry)?;
        }
        Ok(())
    }

    fn due_records(&self, shard: Shard, time: u64) -> Result<Vec<Vec<u8>>, Fault> {
        let (from, to) = (end_key(shard, 0, &[]), end_key(shard, time + 1, &[]));
        let range = self.ends.range(from.as_slice()..to.as_slice())?;
        range.take(SWEEP_MAX).map(|due| Ok(due?.0.value()[10..].to_vec())).collect()
    }

    /// Sessions that are due, as `shard tenant session`.
    fn due_sessions(&self, shard: Shard, time: u64) -> Result<Vec<Vec<u8>>, Fault> {
        let (from, to) = (end_key(shard, 0, &[]), end_key(shard, time + 1, &[]));
        let range = self.session_ends.range(from.as_slice()..to.as_slice())?;
        let mut found = Vec::new();
        for due in range.take(SWEEP_MAX) {
            let mut key = shard.0.to_be_bytes().to_vec();
            key.extend_from_slice(&due?.0.value()[10..]);
            found.push(key);
        }
        Ok(found)
    }

    /// Keys of records that hang on a session, at most `max`.
    fn hanging(&self, session: &[u8], max: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let range = self.hangs.range(session..)?;
        let mut found = Vec::new();
        for hang in range.take(max) {
            let (key, _) = hang?;
            let Some(record) = key.value().strip_prefix(session) else { break };
            found.push(record.to_vec());
        }
        Ok(found)
    }

    fn forget_session(&mut self, shard: Shard, session: &[u8]) -> Result<(), Fault> {
        self.dirty = true;
        let deadline = self.sessions.remove(session)?.map(|d| d.value());
        if let Some(deadline) = deadline {
            self.session_ends.remove(end_key(shard, deadline, &session[2..]).as_slice())?;
        }
        Ok(())
    }
}
