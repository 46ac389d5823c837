//! What one request does inside the writer's transaction. Each either changes everything it should or nothing:
//! all that can refuse is looked at before the first write.

use redb::{ReadableTable, Table, WriteTransaction};
use tandem_domain::id::{Revision, TenantId};

use super::layout::{
    COMMITS, Damaged, ENDS, Ends, HANGS, Head, LOG, RECORDS, SESSION_ENDS, SESSIONS, SHARD_STATES, STAGED,
    ShardState, Take, end_key, read_entry, read_record_key, read_staged, record_key, session_key, tenant_key,
    write_entry, write_staged,
};
use crate::types::{
    Changed, Commit, CommitId, Entry, Fence, Key, LOG_AGE, LOG_BYTES_MAX, Outcome, Precondition, Refusal,
    STEP_MAX, SWEEP_MAX, SessionId, Shard, Until, WRITES_MAX, What, Write,
};

/// Staged writes that nobody turned over are forgotten after this much shard time, in microseconds.
const STAGED_AGE: u64 = 3_600_000_000;

/// Why a transaction cannot go on. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Disk(#[from] redb::StorageError),
    #[error(transparent)]
    Table(#[from] redb::TableError),
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

type Bytes<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// The tables of one transaction, and the moment.
pub(super) struct Batch<'t> {
    records: Bytes<'t>,
    log: Table<'t, (u16, u64), &'static [u8]>,
    commits: Table<'t, (u16, u128), u64>,
    shards: Table<'t, u16, &'static [u8]>,
    ends: Bytes<'t>,
    sessions: Table<'t, &'static [u8], u64>,
    session_ends: Bytes<'t>,
    hangs: Bytes<'t>,
    staged: Bytes<'t>,
    /// The machine's clock, microseconds since 1970.
    wall: u64,
}

impl<'t> Batch<'t> {
    pub(super) fn new(txn: &'t WriteTransaction, wall: u64) -> Result<Self, Fault> {
        Ok(Self {
            records: txn.open_table(RECORDS)?,
            log: txn.open_table(LOG)?,
            commits: txn.open_table(COMMITS)?,
            shards: txn.open_table(SHARD_STATES)?,
            ends: txn.open_table(ENDS)?,
            sessions: txn.open_table(SESSIONS)?,
            session_ends: txn.open_table(SESSION_ENDS)?,
            hangs: txn.open_table(HANGS)?,
            staged: txn.open_table(STAGED)?,
            wall,
        })
    }

    /// The shard with its time moved on: by what the clock moved, at most [`STEP_MAX`], never back.
    fn shard(&self, shard: Shard) -> Result<ShardState, Fault> {
        let stored = self.shards.get(shard.0)?;
        let mut state = stored.map(|s| ShardState::read(s.value())).transpose()?.unwrap_or_default();
        state.time = if state.time == 0 {
            self.wall
        } else {
            let step = self.wall.saturating_sub(state.wall).min(STEP_MAX.as_micros() as u64);
            state.time + step
        };
        state.wall = self.wall;
        Ok(state)
    }

    fn keep(&mut self, shard: Shard, state: &ShardState) -> Result<(), Fault> {
        self.shards.insert(shard.0, state.write().as_slice())?;
        Ok(())
    }

    fn head(&self, shard: Shard, tenant: &TenantId, key: &Key) -> Result<Option<Head>, Fault> {
        let found = self.records.get(record_key(shard, tenant, key).as_slice())?;
        Ok(found.map(|f| Head::read(f.value()).map(|(h, _)| h)).transpose()?)
    }

    /// Does a commit, and the staged writes of `generation` after it.
    pub(super) fn commit(&mut self, commit: &Commit, generation: Option<u64>) -> Result<Outcome, Fault> {
        let shard = Shard::of(&commit.tenant);
        if let Some(done) = self.commits.get((shard.0, commit.id.0))? {
            return Ok(Outcome::Committed(Revision(done.value())));
        }
        let mut state = self.shard(shard)?;
        for (at, precondition) in commit.preconditions.iter().enumerate() {
            if let Err(found) = self.holds(shard, &state, &commit.tenant, precondition)? {
                return Ok(Outcome::Refused(Refusal { precondition: at, found }));
            }
        }
        let staged = generation.map_or(Ok(Vec::new()), |g| self.take_staged(shard, &commit.tenant, g))?;
        let mut parts: Vec<&[Write]> =
            if commit.writes.is_empty() { Vec::new() } else { vec![&commit.writes] };
        parts.extend(staged.chunks(WRITES_MAX));
        if parts.is_empty() {
            return Ok(Outcome::Committed(Revision(state.revision)));
        }
        let last = parts.len().saturating_sub(1);
        let mut revision = Revision(state.revision);
        for (at, writes) in parts.into_iter().enumerate() {
            revision = self.next_revision(&state);
            let mut changes = Vec::with_capacity(writes.len());
            for write in writes {
                changes.push(self.write(shard, &state, commit, write, revision)?);
            }
            let id = if at == 0 { commit.id } else { CommitId(commit.id.0.wrapping_add(at as u128)) };
            let entry = Entry {
                tenant: commit.tenant.clone(),
                revision,
                commit: id,
                at: state.time,
                trace: commit.trace.clone(),
                changes: changes.into(),
                more: at < last,
            };
            self.append(shard, &mut state, &entry)?;
        }
        self.commits.insert((shard.0, commit.id.0), revision.0)?;
        self.keep(shard, &state)?;
        Ok(Outcome::Committed(revision))
    }

    fn next_revision(&self, state: &ShardState) -> Revision {
        Revision((state.revision + 1).max(self.wall))
    }

    /// Whether a precondition holds; if not, the version that was found.
    fn holds(
        &self,
        shard: Shard,
        state: &ShardState,
        tenant: &TenantId,
        precondition: &Precondition,
    ) -> Result<Result<(), Option<Revision>>, Fault> {
        let (ok, found) = match precondition {
            Precondition::Absent(key) => {
                let head = self.head(shard, tenant, key)?;
                (head.is_none(), head.map(|h| h.version))
            }
            Precondition::VersionIs(key, version) => {
                let head = self.head(shard, tenant, key)?;
                (head.is_some_and(|h| h.version == *version), head.map(|h| h.version))
            }
            Precondition::TokenIs(key, token) => {
                let head = self.head(shard, tenant, key)?;
                (self.is_current(shard, state, tenant, head, *token)?, head.map(|h| h.version))
            }
            Precondition::FenceIs(Fence { key, token }) => {
                let cell = tandem_domain::record::cell();
                let lies = Shard::of(&cell);
                let head = self.head(lies, &cell, key)?;
                let there = self.shard(lies)?;
                (self.is_current(lies, &there, &cell, head, *token)?, head.map(|h| h.version))
            }
            Precondition::SessionLives(session) => (self.lives(shard, state, tenant, *session)?, None),
        };
        Ok(if ok { Ok(()) } else { Err(found) })
    }

    /// Whether a claim is held by this token: also a claim that is due and not yet swept is held by nobody.
    fn is_current(
        &self,
        shard: Shard,
        state: &ShardState,
        tenant: &TenantId,
        head: Option<Head>,
        token: Revision,
    ) -> Result<bool, Fault> {
        let Some(head) = head.filter(|h| h.token == Some(token)) else { return Ok(false) };
        Ok(match head.ends {
            Ends::Never => true,
            Ends::At(deadline) => deadline > state.time,
            Ends::With(session) => self.lives(shard, state, tenant, session)?,
        })
    }

    fn lives(
        &self,
        shard: Shard,
        state: &ShardState,
        tenant: &TenantId,
        session: SessionId,
    ) -> Result<bool, Fault> {
        let deadline = self.sessions.get(session_key(shard, tenant, session).as_slice())?;
        Ok(deadline.is_some_and(|d| d.value() > state.time))
    }

    fn write(
        &mut self,
        shard: Shard,
        state: &ShardState,
        commit: &Commit,
        write: &Write,
        version: Revision,
    ) -> Result<Changed, Fault> {
        let key = record_key(shard, &commit.tenant, &write.key);
        let before = self.head(shard, &commit.tenant, &write.key)?;
        let (value, token, ends) = match &write.what {
            What::Delete => (None, None, Ends::Never),
            What::Put(value) => (Some(value), None, Ends::Never),
            What::Claim(value, Until::After(ttl)) => {
                (Some(value), Some(version), Ends::At(state.time + ttl.as_micros() as u64))
            }
            What::Claim(value, Until::Session(session)) => (Some(value), Some(version), Ends::With(*session)),
            What::Update(value) => {
                (Some(value), before.and_then(|b| b.token), before.map_or(Ends::Never, |b| b.ends))
            }
        };
        if let Some(before) = before.filter(|b| b.ends != ends) {
            self.unhang(shard, &commit.tenant, before.ends, &key)?;
        }
        if let Some(value) = value {
            let head = Head { version, commit: commit.id, at: state.time, token, ends };
            self.records.insert(key.as_slice(), head.write(value).as_slice())?;
            self.hang(shard, &commit.tenant, ends, &key)?;
        } else {
            self.records.remove(key.as_slice())?;
        }
        Ok(Changed { key: write.key.clone(), value: value.cloned(), token })
    }

    fn hang(&mut self, shard: Shard, tenant: &TenantId, ends: Ends, key: &[u8]) -> Result<(), Fault> {
        match ends {
            Ends::Never => {}
            Ends::At(deadline) => {
                self.ends.insert(end_key(shard, deadline, key).as_slice(), &[][..])?;
            }
            Ends::With(session) => {
                let mut hang = session_key(shard, tenant, session);
                hang.extend_from_slice(key);
                self.hangs.insert(hang.as_slice(), &[][..])?;
            }
        }
        Ok(())
    }

    fn unhang(&mut self, shard: Shard, tenant: &TenantId, ends: Ends, key: &[u8]) -> Result<(), Fault> {
        match ends {
            Ends::Never => {}
            Ends::At(deadline) => {
                self.ends.remove(end_key(shard, deadline, key).as_slice())?;
            }
            Ends::With(session) => {
                let mut hang = session_key(shard, tenant, session);
                hang.extend_from_slice(key);
                self.hangs.remove(hang.as_slice())?;
            }
        }
        Ok(())
    }

    /// Appends to the log, and cuts it: by age in shard time and by bytes, but never the entry before the new
    /// one, for that is what every follower of an idle shard saw last.
    fn append(&mut self, shard: Shard, state: &mut ShardState, entry: &Entry) -> Result<(), Fault> {
        let bytes = write_entry(entry);
        self.log.insert((shard.0, entry.revision.0), bytes.as_slice())?;
        let before = state.revision;
        state.revision = entry.revision.0;
        state.commit = entry.commit.0;
        state.log_bytes += bytes.len() as u64;
        state.log_entries += 1;
        if state.first == 0 {
            state.first = entry.revision.0;
        }
        let oldest = state.time.saturating_sub(LOG_AGE.as_micros() as u64);
        while state.first < before {
            let (size, at, commit, next) = self.oldest(shard, state.first)?;
            if at >= oldest && state.log_bytes <= LOG_BYTES_MAX {
                break;
            }
            self.log.remove((shard.0, state.first))?;
            self.commits.remove((shard.0, commit))?;
            state.log_bytes -= size;
            state.log_entries -= 1;
            state.first = next;
        }
        Ok(())
    }

    /// The oldest entry of a log: its size, shard time and commit, and where the next one is.
    fn oldest(&self, shard: Shard, first: u64) -> Result<(u64, u64, u128, u64), Fault> {
        let mut range = self.log.range((shard.0, first)..=(shard.0, u64::MAX))?;
        let (_, value) = range.next().ok_or(Damaged("a log without its first entry"))??;
        let entry = read_entry(first, value.value())?;
        let next = range.next().transpose()?.map_or(u64::MAX, |(k, _)| k.value().1);
        Ok((value.value().len() as u64, entry.at, entry.commit.0, next))
    }

    pub(super) fn open_session(
        &mut self,
        tenant: &TenantId,
        session: SessionId,
        ttl_ms: u32,
    ) -> Result<(), Fault> {
        let shard = Shard::of(tenant);
        let state = self.shard(shard)?;
        self.keep(shard, &state)?;
        self.set_deadline(shard, tenant, session, state.time + u64::from(ttl_ms) * 1000)
    }

    pub(super) fn keep_alive(
        &mut self,
        tenant: &TenantId,
        session: SessionId,
        ttl_ms: u32,
    ) -> Result<bool, Fault> {
        let shard = Shard::of(tenant);
        let state = self.shard(shard)?;
        let lives = self.lives(shard, &state, tenant, session)?;
        if lives {
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
        let mut state = self.shard(shard)?;
        let mut due = self.due_records(shard, state.time)?;
        let sessions = self.due_sessions(shard, state.time)?;
        for session in &sessions {
            let room = SWEEP_MAX.saturating_sub(due.len());
            let hanging = self.hanging(session, room)?;
            if hanging.len() < room {
                self.forget_session(shard, session)?;
            }
            due.extend(hanging);
        }
        self.forget_staged(shard, state.time)?;
        due.sort();
        due.dedup();
        let swept = due.len();
        self.expire(shard, &mut state, due, id)?;
        if swept > 0 {
            self.keep(shard, &state)?;
        }
        Ok(swept)
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
            let Some(head) = self
                .records
                .get(bytes.as_slice())?
                .map(|r| Head::read(r.value()).map(|h| h.0))
                .transpose()?
            else {
                continue;
            };
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
                revision: self.next_revision(state),
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
        let deadline = self.sessions.remove(session)?.map(|d| d.value());
        if let Some(deadline) = deadline {
            self.session_ends.remove(end_key(shard, deadline, &session[2..]).as_slice())?;
        }
        Ok(())
    }

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
        let mut key = tenant_key(shard, tenant);
        key.extend_from_slice(&generation.to_be_bytes());
        key.extend_from_slice(&part.to_be_bytes());
        self.staged.insert(key.as_slice(), write_staged(state.time, writes).as_slice())?;
        Ok(())
    }

    fn take_staged(&mut self, shard: Shard, tenant: &TenantId, generation: u64) -> Result<Vec<Write>, Fault> {
        let mut front = tenant_key(shard, tenant);
        front.extend_from_slice(&generation.to_be_bytes());
        let mut to = front.clone();
        to.extend_from_slice(&[0xff; 5]);
        let mut writes = Vec::new();
        let mut keys = Vec::new();
        for part in self.staged.range(front.as_slice()..to.as_slice())? {
            let (key, value) = part?;
            writes.extend(read_staged(value.value())?.1);
            keys.push(key.value().to_vec());
        }
        for key in keys {
            self.staged.remove(key.as_slice())?;
        }
        Ok(writes)
    }

    fn forget_staged(&mut self, shard: Shard, time: u64) -> Result<(), Fault> {
        let (from, to) = (shard.0.to_be_bytes(), (shard.0 + 1).to_be_bytes());
        let mut old = Vec::new();
        for part in self.staged.range(&from[..]..&to[..])? {
            let (key, value) = part?;
            if Take(value.value()).u64()? + STAGED_AGE < time {
                old.push(key.value().to_vec());
            }
        }
        for key in old {
            self.staged.remove(key.as_slice())?;
        }
        Ok(())
    }
}
