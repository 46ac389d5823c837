//! What is asked of the writer, and what it answers once that is synced.

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

/// What a request did, as long as its answer waits for the sync.
pub(super) enum Did {
    Outcome(Outcome),
    Unit(Result<(), Error>),
    Lives(bool),
    Swept(usize),
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

    /// Does it in the transaction.
    pub(super) fn apply(&self, batch: &mut Batch<'_>, world: &World) -> Result<Did, Fault> {
        Ok(match self {
            Self::Commit(commit, generation, _) => Did::Outcome(batch.commit(commit, *generation)?),
            Self::Stage { tenant, generation, part, writes, .. } => {
                Did::Unit(Ok(batch.stage(tenant, *generation, *part, writes)?))
            }
            Self::OpenSession { tenant, session, ttl_ms, .. } => {
                Did::Unit(batch.open_session(tenant, *session, *ttl_ms)?)
            }
            Self::KeepAlive { tenant, session, ttl_ms, .. } => {
                Did::Lives(batch.keep_alive(tenant, *session, *ttl_ms)?)
            }
            Self::EndSession { tenant, session, .. } => Did::Unit(Ok(batch.end_session(tenant, *session)?)),
            Self::Sweep(shard, _) => Did::Swept(batch.sweep(*shard, CommitId((world.chance)()))?),
            Self::Close(_) => Did::Unit(Ok(())),
        })
    }

    /// The commit that was written, if it is one.
    pub(super) fn wrote(&self, did: &Did) -> Option<(Shard, CommitId)> {
        match (self, did) {
            (Self::Commit(commit, ..), Did::Outcome(Outcome::Committed(_))) => {
                Some((Shard::of(&commit.tenant), commit.id))
            }
            _ => None,
        }
    }

    /// Synced: says so, and hints.
    pub(super) fn tell(self, did: Did, hints: &broadcast::Sender<Shard>) {
        // Nobody following, or a caller that went away, is no fault.
        match (self, did) {
            (Self::Commit(commit, _, reply), Did::Outcome(outcome)) => {
                if matches!(outcome, Outcome::Committed(_)) {
                    let _ = hints.send(Shard::of(&commit.tenant));
                }
                let _ = reply.send(Ok(outcome));
            }
            (Self::Sweep(shard, reply), Did::Swept(n)) => {
                if n > 0 {
                    let _ = hints.send(shard);
                }
                let _ = reply.send(Ok(n));
            }
            (Self::KeepAlive { reply, .. }, Did::Lives(lives)) => drop(reply.send(Ok(lives))),
            (
                Self::Stage { reply, .. }
                | Self::OpenSession { reply, .. }
                | Self::EndSession { reply, .. }
                | Self::Close(reply),
                Did::Unit(answer),
            ) => drop(reply.send(answer)),
            // Each request does what is its own: there is no other pair.
            (request, _) => request.refuse("the writer lost the answer"),
        }
    }

    /// It is not known whether what was written stays. Everything but a commit may simply be asked again; so may a
    /// refusal, for it may rest on a commit of the same batch.
    pub(super) fn doubt(self, did: &Did, why: &str) {
        match (self, did) {
            (Self::Commit(_, _, reply), Did::Outcome(Outcome::Committed(_))) => {
                drop(reply.send(Ok(Outcome::Indeterminate(why.to_owned()))));
            }
            (request, _) => request.refuse(why),
        }
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
}
