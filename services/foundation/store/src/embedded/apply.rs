//! A commit inside the writer's transaction. It either changes everything it should or nothing: all that can
//! refuse is looked at before the first write.

use redb::ReadableTable as _;
use tandem_domain::id::{Revision, TenantId};

use super::batch::{Batch, Fault};
use super::layout::{Damaged, Ends, Head, ShardState, Take, end_key, record_key, session_key, write_entry};
use crate::types::{
    Changed, Commit, CommitId, Entry, Fence, LOG_AGE, LOG_BYTES_MAX, Outcome, Precondition, REVISION_END,
    Refusal, SessionId, Shard, Until, What, Write,
};

/// How many entries that are merely old one new entry cuts: after a long idle time no commit pays for all of them.
const CUT_MAX: usize = 128;

/// How far a revision goes on at most where the clock went back, microseconds.
const LEAP_BACK: u64 = 1 << 20;
/// One such part of the revisions that are left is the most that a revision goes on while the clock is behind.
const LEAP_PART: u64 = 1024;

/// A staged generation that a commit turns over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generation {
    pub(super) id: u64,
    pub(super) parts: u32,
}

/// The oldest entry of a log, and where the next one is.
struct Oldest {
    bytes: u64,
    at: u64,
    commit: u128,
    next: u64,
}

impl Batch<'_> {
    /// Does a commit, and the staged writes of a generation after it.
    pub(super) fn commit(
        &mut self,
        commit: &Commit,
        generation: Option<Generation>,
    ) -> Result<Outcome, Fault> {
        let shard = Shard::of(&commit.tenant);
        if let Some(revision) = self.done(shard, commit)? {
            return Ok(Outcome::Committed(revision));
        }
        let mut state = self.shard(shard)?;
        if let Some(refusal) = self.refusal(shard, &state, commit, generation)? {
            return Ok(Outcome::Refused(refusal));
        }
        let parts = generation.map_or(0, |g| g.parts);
        let mut revision = Revision(state.revision);
        if !commit.writes.is_empty() {
            revision = self.enter(shard, &mut state, commit, &commit.writes, parts > 0)?;
        }
        if let Some(generation) = generation {
            for part in 0..parts {
                let writes = self.part(shard, &commit.tenant, generation.id, part)?;
                revision = self.enter(shard, &mut state, commit, &writes, part + 1 < parts)?;
            }
            self.forget_generation(shard, &commit.tenant, generation.id)?;
        }
        self.commits.insert((shard.0, commit.id.0), revision.0)?;
        self.keep(shard, &state)?;
        Ok(Outcome::Committed(revision))
    }

    /// Whether this commit happened before: its id is known as long as its entry is in the log, and after that as
    /// long as one of the records that it wrote was not written again.
    fn done(&self, shard: Shard, commit: &Commit) -> Result<Option<Revision>, Fault> {
        if let Some(done) = self.commits.get((shard.0, commit.id.0))? {
            return Ok(Some(Revision(done.value())));
        }
        for write in &commit.writes {
            let own = self.head(shard, &commit.tenant, &write.key)?.filter(|h| h.commit == commit.id);
            if let Some(head) = own {
                return Ok(Some(head.version));
            }
        }
        Ok(None)
    }

    /// What does not hold, if anything.
    fn refusal(
        &mut self,
        shard: Shard,
        state: &ShardState,
        commit: &Commit,
        generation: Option<Generation>,
    ) -> Result<Option<Refusal>, Fault> {
        for (at, precondition) in commit.preconditions.iter().enumerate() {
            if let Err(found) = self.holds(shard, state, &commit.tenant, precondition)? {
                return Ok(Some(Refusal { precondition: at, found }));
            }
        }
        let unsaid = Refusal { precondition: commit.preconditions.len(), found: None };
        for write in &commit.writes {
            if let What::Claim(_, Until::Session(session)) = write.what
                && !self.lives(shard, state.time, &commit.tenant, session)?
            {
                return Ok(Some(unsaid));
            }
        }
        let whole = generation.map_or(Ok(true), |g| self.is_staged(shard, &commit.tenant, g))?;
        Ok((!whole).then_some(unsaid))
    }

    /// One entry of the log, and its writes.
    fn enter(
        &mut self,
        shard: Shard,
        state: &mut ShardState,
        commit: &Commit,
        writes: &[Write],
        more: bool,
    ) -> Result<Revision, Fault> {
        let revision = self.next_revision(state)?;
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            changes.push(self.write(shard, state, commit, write, revision)?);
        }
        let entry = Entry {
            tenant: commit.tenant.clone(),
            revision,
            commit: commit.id,
            at: state.time,
            trace: commit.trace.clone(),
            changes: changes.into(),
            more,
        };
        self.append(shard, state, &entry)?;
        Ok(revision)
    }

    pub(super) fn next_revision(&self, state: &ShardState) -> Result<Revision, Fault> {
        let next = following(state.revision, self.wall, state.wall_before);
        if next < REVISION_END { Ok(Revision(next)) } else { Err(Fault::NoRevision) }
    }

    /// Whether a precondition holds; if not, the version that was found.
    fn holds(
        &mut self,
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
                (self.is_current(shard, state.time, tenant, head, *token)?, head.map(|h| h.version))
            }
            Precondition::FenceIs(Fence { key, token }) => {
                let cell = tandem_domain::record::cell();
                let head = self.head(Shard::CELL, &cell, key)?;
                let there = self.shard(Shard::CELL)?;
                (self.is_current(Shard::CELL, there.time, &cell, head, *token)?, head.map(|h| h.version))
            }
            Precondition::SessionLives(session) => (self.lives(shard, state.time, tenant, *session)?, None),
        };
        Ok(if ok { Ok(()) } else { Err(found) })
    }

    /// Whether a claim is held by this token: also a claim that is due and not yet swept is held by nobody.
    fn is_current(
        &self,
        shard: Shard,
        time: u64,
        tenant: &TenantId,
        head: Option<Head>,
        token: Revision,
    ) -> Result<bool, Fault> {
        let Some(head) = head.filter(|h| h.token == Some(token)) else { return Ok(false) };
        Ok(match head.ends {
            Ends::Never => true,
            Ends::At(deadline) => deadline > time,
            Ends::With(session) => self.lives(shard, time, tenant, session)?,
        })
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
                let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
                (Some(value), Some(version), Ends::At(state.time.saturating_add(ttl)))
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
                self.hangs.insert(hang_key(shard, tenant, session, key).as_slice(), &[][..])?;
            }
        }
        Ok(())
    }

    pub(super) fn unhang(
        &mut self,
        shard: Shard,
        tenant: &TenantId,
        ends: Ends,
        key: &[u8],
    ) -> Result<(), Fault> {
        match ends {
            Ends::Never => {}
            Ends::At(deadline) => {
                self.ends.remove(end_key(shard, deadline, key).as_slice())?;
            }
            Ends::With(session) => {
                self.hangs.remove(hang_key(shard, tenant, session, key).as_slice())?;
            }
        }
        Ok(())
    }

    /// Appends to the log, and cuts it: by age in shard time and by bytes, but never the entry before the new
    /// one, for that is what every follower of an idle shard saw last.
    pub(super) fn append(
        &mut self,
        shard: Shard,
        state: &mut ShardState,
        entry: &Entry,
    ) -> Result<(), Fault> {
        let bytes = write_entry(entry);
        self.log.insert((shard.0, entry.revision.0), bytes.as_slice())?;
        let before = state.revision;
        state.revision = entry.revision.0;
        state.wall_before = state.wall;
        state.commit = entry.commit.0;
        state.log_bytes += bytes.len() as u64;
        state.log_entries += 1;
        if state.first == 0 {
            state.first = entry.revision.0;
        }
        let young = state.time.saturating_sub(LOG_AGE.as_micros() as u64);
        let mut cut = 0;
        while state.first < before {
            let oldest = self.oldest(shard, state.first)?;
            let aged = oldest.at < young && cut < CUT_MAX;
            if !aged && state.log_bytes <= LOG_BYTES_MAX {
                break;
            }
            self.log.remove((shard.0, state.first))?;
            // A generation has several entries under one id, which stands for the last of them.
            let last = self.commits.get((shard.0, oldest.commit))?.map(|r| r.value());
            if last == Some(state.first) {
                self.commits.remove((shard.0, oldest.commit))?;
            }
            state.log_bytes -= oldest.bytes;
            state.log_entries -= 1;
            state.first = oldest.next;
            state.cut = true;
            cut += 1;
        }
        Ok(())
    }

    fn oldest(&self, shard: Shard, first: u64) -> Result<Oldest, Fault> {
        let mut range = self.log.range((shard.0, first)..=(shard.0, u64::MAX))?;
        let (_, value) = range.next().ok_or(Damaged("a log without its first entry"))??;
        let bytes = value.value().len() as u64;
        let mut from = Take(value.value());
        let commit = CommitId(from.u128()?).0;
        let at = from.u64()?;
        let next = range.next().transpose()?.map_or(u64::MAX, |(k, _)| k.value().1);
        Ok(Oldest { bytes, at, commit, next })
    }
}

/// The revision after `last`: the clock's, or a later one while the clock is behind. Microseconds all; `before` is the
/// clock when the shard was stored last.
///
/// Counting by one while the clock is behind would give one revision to different entries of two histories that part
/// there: with the same commit done again after a failover they would have a position in common, and nobody could tell
/// them apart; nor two holders by their tokens. So a revision then goes on by half of what the clock did, which still
/// lets the clock catch up, or, where the clock went back, by its last digits. Never by so much that revisions run out.
fn following(last: u64, clock: u64, before: u64) -> u64 {
    // A clock that is beyond all revisions must not use them up.
    let clock = if clock < REVISION_END - 1 { clock } else { 0 };
    if clock > last {
        return clock;
    }
    let leap = clock.checked_sub(before).map_or(clock % LEAP_BACK, |went| went / 2);
    last + 1 + leap.min(REVISION_END.saturating_sub(last) / LEAP_PART)
}

/// `shard tenant session record-key`.
fn hang_key(shard: Shard, tenant: &TenantId, session: SessionId, key: &[u8]) -> Vec<u8> {
    let mut hang = session_key(shard, tenant, session);
    hang.extend_from_slice(key);
    hang
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_the_clocks_and_goes_on_with_it_while_it_is_behind() {
        const T: u64 = 1_700_000_000_000_000;
        assert_eq!(following(0, T, 0), T);
        assert_eq!(following(T, T + 5, T), T + 5);
        assert_eq!(following(T, T, T), T + 1, "the same microsecond");
        let behind = T - 60_000_000;
        assert_eq!(following(T, behind, behind), T + 1);
        assert_eq!(following(T, behind + 3000, behind), T + 1501, "half of what the clock did");
        assert_eq!(following(T, behind, T), T + 1 + behind % LEAP_BACK, "the clock went back");
        assert_eq!(following(T, u64::MAX, T), T + 1, "a clock beyond all revisions");
        assert_eq!(following(T, behind, u64::MAX), T + 1 + behind % LEAP_BACK, "and back from there");
        let end = REVISION_END - 1000;
        assert_eq!(following(end, behind, T), end + 1, "the last ones are used one by one");
        assert_eq!(following(REVISION_END - 1, behind, T), REVISION_END);
    }
}
