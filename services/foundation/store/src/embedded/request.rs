//! What is asked of the writer, and what it answers once it is synced.

use tandem_domain::id::TenantId;
use tokio::sync::{broadcast, oneshot};

use super::World;
use super::apply::Generation;
use super::batch::{Batch, Fault};
use crate::types::{Commit, CommitId, Error, Outcome, SessionId, Shard, What, Write};

/// What a record costs beside its key and value, about.
const RECORD_BYTES: usize = 128;

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Work for the writer, and where the answer goes.
pub(super) enum Request {
    Commit(Box<Commit>, Option<Generation>, Answer<Outcome>),
    Stage { tenant: TenantId, generation: u64, part: u32, writes: Vec<Write>, reply: Answer<()> },
    OpenSession { tenant: TenantId, session: SessionId, ttl_ms: u32, reply: Answer<()> },
    KeepAlive { tenant: TenantId, session: SessionId, ttl_ms: u32, reply: Answer<bool> },
    EndSession { tenant: TenantId, session: SessionId, reply: Answer<()> },
    Sweep(Shard, Answer<usize>),
    Close(Answer<()>),
}

/// An answer that waits for the sync.
pub(super) enum Done {
    Outcome(Outcome, Shard, CommitId, Answer<Outcome>),
    Unit(Result<(), Error>, Answer<()>),
    Lives(bool, Answer<bool>),
    Swept(usize, Shard, Answer<usize>),
}

impl Done {
    /// The commit that was written, if it was one.
    pub(super) fn wrote(&self) -> Option<(Shard, CommitId)> {
        match self {
            Self::Outcome(Outcome::Committed(_), shard, id, _) => Some((*shard, *id)),
            _ => None,
        }
    }

    /// Synced: says so, and hints.
    pub(super) fn tell(self, hints: &broadcast::Sender<Shard>) {
        // Nobody following, or a caller that went away, is no fault.
        match self {
            Self::Outcome(outcome, shard, _, reply) => {
                if matches!(outcome, Outcome::Committed(_)) {
                    let _ = hints.send(shard);
                }
                let _ = reply.send(Ok(outcome));
            }
            Self::Unit(answer, reply) => drop(reply.send(answer)),
            Self::Lives(lives, reply) => drop(reply.send(Ok(lives))),
            Self::Swept(n, shard, reply) => {
                if n > 0 {
                    let _ = hints.send(shard);
                }
                let _ = reply.send(Ok(n));
            }
        }
    }

    /// Surely nothing was written.
    pub(super) fn refuse(self, why: &str) {
        let error = || Error::Unavailable(why.to_owned());
        match self {
            Self::Outcome(_, _, _, reply) => drop(reply.send(Err(error()))),
            Self::Unit(_, reply) => drop(reply.send(Err(error()))),
            Self::Lives(_, reply) => drop(reply.send(Err(error()))),
            Self::Swept(_, _, reply) => drop(reply.send(Err(error()))),
        }
    }

    /// The sync failed: what was written may or may not stay. Everything but a commit may simply be asked again.
    pub(super) fn doubt(self, why: &str) {
        match self {
            Self::Outcome(Outcome::Committed(_), _, _, reply) => {
                drop(reply.send(Ok(Outcome::Indeterminate(why.to_owned()))));
            }
            // A refusal may rest on a commit of the same batch, and that is in doubt.
            other => other.refuse(why),
        }
    }
}

impl Request {
    /// About how much memory its transaction needs.
    pub(super) fn bytes(&self) -> usize {
        let writes = match self {
            Self::Commit(commit, ..) => &commit.writes,
            Self::Stage { writes, .. } => writes,
            _ => return RECORD_BYTES,
        };
        let value = |w: &Write| match &w.what {
            What::Put(v) | What::Update(v) | What::Claim(v, _) => v.len(),
            What::Delete => 0,
        };
        writes.iter().map(|w| RECORD_BYTES + w.key.key.len() + value(w)).sum()
    }

    /// Surely nothing was written.
    pub(super) fn refuse(self, why: &str) {
        let error = || Error::Unavailable(why.to_owned());
        match self {
            Self::Commit(_, _, reply) => drop(reply.send(Err(error()))),
            Self::Stage { reply, .. }
            | Self::OpenSession { reply, .. }
            | Self::EndSession { reply, .. }
            | Self::Close(reply) => drop(reply.send(Err(error()))),
            Self::KeepAlive { reply, .. } => drop(reply.send(Err(error()))),
            Self::Sweep(_, reply) => drop(reply.send(Err(error()))),
        }
    }

    /// Does it in the transaction. If that is not possible, its caller has been told.
    pub(super) fn apply(self, batch: &mut Batch<'_>, world: &World) -> Result<Done, Fault> {
        match self {
            Self::Commit(commit, generation, reply) => {
                let (shard, id) = (Shard::of(&commit.tenant), commit.id);
                let did = batch.commit(&commit, generation);
                tried(did, reply, |outcome, reply| Done::Outcome(outcome, shard, id, reply))
            }
            Self::Stage { tenant, generation, part, writes, reply } => {
                let did = batch.stage(&tenant, generation, part, &writes);
                tried(did, reply, |(), reply| Done::Unit(Ok(()), reply))
            }
            Self::OpenSession { tenant, session, ttl_ms, reply } => {
                tried(batch.open_session(&tenant, session, ttl_ms), reply, Done::Unit)
            }
            Self::KeepAlive { tenant, session, ttl_ms, reply } => {
                tried(batch.keep_alive(&tenant, session, ttl_ms), reply, Done::Lives)
            }
            Self::EndSession { tenant, session, reply } => {
                let did = batch.end_session(&tenant, session);
                tried(did, reply, |(), reply| Done::Unit(Ok(()), reply))
            }
            Self::Sweep(shard, reply) => {
                let did = batch.sweep(shard, CommitId((world.chance)()));
                tried(did, reply, |swept, reply| Done::Swept(swept, shard, reply))
            }
            Self::Close(reply) => Ok(Done::Unit(Ok(()), reply)),
        }
    }
}

fn tried<T, U>(
    did: Result<T, Fault>,
    reply: Answer<U>,
    done: impl FnOnce(T, Answer<U>) -> Done,
) -> Result<Done, Fault> {
    match did {
        Ok(did) => Ok(done(did, reply)),
        Err(fault) => {
            drop(reply.send(Err(Error::Unavailable(fault.to_string()))));
            Err(fault)
        }
    }
}
