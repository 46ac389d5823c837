//! The one writer: a thread that takes what waits, does it in one transaction, syncs, and answers.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use redb::Database;
use tandem_domain::id::TenantId;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::apply::{Batch, Fault};
use super::{Place, Shared, World, open};
use crate::types::{Commit, CommitId, Error, Outcome, SessionId, Shard, Write};

/// How many requests share a sync at most: bounds the transaction's memory (1 MiB each at worst) and the time
/// that the first waits for the last.
const BATCH: usize = 256;
/// How long the writer waits for readers to leave the old handle before it tells callers to come back.
const REOPEN_TRIES: u32 = 50;

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Work for the writer, and where the answer goes.
pub(super) enum Request {
    Commit(Box<Commit>, Option<u64>, Answer<Outcome>),
    Stage { tenant: TenantId, generation: u64, part: u32, writes: Vec<Write>, reply: Answer<()> },
    OpenSession { tenant: TenantId, session: SessionId, ttl_ms: u32, reply: Answer<()> },
    KeepAlive { tenant: TenantId, session: SessionId, ttl_ms: u32, reply: Answer<bool> },
    EndSession { tenant: TenantId, session: SessionId, reply: Answer<()> },
    Sweep(Shard, Answer<usize>),
}

/// An answer that waits for the sync.
enum Done {
    Outcome(Outcome, Shard, Answer<Outcome>),
    Unit(Answer<()>),
    Lives(bool, Answer<bool>),
    Swept(usize, Shard, Answer<usize>),
}

impl Done {
    /// Synced: says so, and hints.
    fn tell(self, hints: &broadcast::Sender<Shard>) {
        // Nobody following, or a caller that went away, is no fault.
        match self {
            Self::Outcome(outcome, shard, reply) => {
                if matches!(outcome, Outcome::Committed(_)) {
                    let _ = hints.send(shard);
                }
                let _ = reply.send(Ok(outcome));
            }
            Self::Unit(reply) => drop(reply.send(Ok(()))),
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
    fn refuse(self, why: &str) {
        let error = || Error::Unavailable(why.to_owned());
        match self {
            Self::Outcome(_, _, reply) => drop(reply.send(Err(error()))),
            Self::Unit(reply) => drop(reply.send(Err(error()))),
            Self::Lives(_, reply) => drop(reply.send(Err(error()))),
            Self::Swept(_, _, reply) => drop(reply.send(Err(error()))),
        }
    }

    /// The sync failed: what was written may or may not be there.
    fn doubt(self, why: &str) {
        match self {
            // A refusal was read from what was synced before: it holds.
            Self::Outcome(Outcome::Committed(_), _, reply) => {
                drop(reply.send(Ok(Outcome::Indeterminate(why.to_owned()))));
            }
            Self::Outcome(outcome, _, reply) => drop(reply.send(Ok(outcome))),
            other => other.refuse(why),
        }
    }
}

impl Request {
    fn refuse(self, why: &str) {
        let error = || Error::Unavailable(why.to_owned());
        match self {
            Self::Commit(_, _, reply) => drop(reply.send(Err(error()))),
            Self::Stage { reply, .. } | Self::OpenSession { reply, .. } | Self::EndSession { reply, .. } => {
                drop(reply.send(Err(error())));
            }
            Self::KeepAlive { reply, .. } => drop(reply.send(Err(error()))),
            Self::Sweep(_, reply) => drop(reply.send(Err(error()))),
        }
    }

    fn apply(self, batch: &mut Batch<'_>, world: &World) -> Result<Done, Box<(Fault, Self)>> {
        match self {
            Self::Commit(commit, generation, reply) => match batch.commit(&commit, generation) {
                Ok(outcome) => Ok(Done::Outcome(outcome, Shard::of(&commit.tenant), reply)),
                Err(fault) => Err(Box::new((fault, Self::Commit(commit, generation, reply)))),
            },
            Self::Stage { tenant, generation, part, writes, reply } => {
                match batch.stage(&tenant, generation, part, &writes) {
                    Ok(()) => Ok(Done::Unit(reply)),
                    Err(fault) => {
                        Err(Box::new((fault, Self::Stage { tenant, generation, part, writes, reply })))
                    }
                }
            }
            Self::OpenSession { tenant, session, ttl_ms, reply } => {
                match batch.open_session(&tenant, session, ttl_ms) {
                    Ok(()) => Ok(Done::Unit(reply)),
                    Err(fault) => {
                        Err(Box::new((fault, Self::OpenSession { tenant, session, ttl_ms, reply })))
                    }
                }
            }
            Self::KeepAlive { tenant, session, ttl_ms, reply } => {
                match batch.keep_alive(&tenant, session, ttl_ms) {
                    Ok(lives) => Ok(Done::Lives(lives, reply)),
                    Err(fault) => Err(Box::new((fault, Self::KeepAlive { tenant, session, ttl_ms, reply }))),
                }
            }
            Self::EndSession { tenant, session, reply } => match batch.end_session(&tenant, session) {
                Ok(()) => Ok(Done::Unit(reply)),
                Err(fault) => Err(Box::new((fault, Self::EndSession { tenant, session, reply }))),
            },
            Self::Sweep(shard, reply) => match batch.sweep(shard, CommitId((world.chance)())) {
                Ok(n) => Ok(Done::Swept(n, shard, reply)),
                Err(fault) => Err(Box::new((fault, Self::Sweep(shard, reply)))),
            },
        }
    }
}

pub(super) struct Writer {
    shared: Shared,
    place: Place,
    world: World,
    hints: broadcast::Sender<Shard>,
}

impl Writer {
    pub(super) fn new(shared: Shared, place: Place, world: World, hints: broadcast::Sender<Shard>) -> Self {
        Self { shared, place, world, hints }
    }

    /// Works until every handle on the store is gone.
    pub(super) fn run(self, mut waiting: mpsc::Receiver<Request>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut requests = vec![first];
            while requests.len() < BATCH {
                match waiting.try_recv() {
                    Ok(next) => requests.push(next),
                    Err(_) => break,
                }
            }
            match self.database() {
                Ok(database) => self.batch(database, requests),
                Err(why) => requests.into_iter().for_each(|r| r.refuse(&why)),
            }
        }
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn database(&self) -> Result<Arc<Database>, String> {
        if let Some(database) = self.shared.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(database);
        }
        let database = Arc::new(open::database(&self.place, &self.world).map_err(|e| e.to_string())?);
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&database));
        Ok(database)
    }

    /// Forgets a handle that failed, and waits until readers have left it, for a file is opened once at a time.
    fn forget(&self, database: Arc<Database>) {
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = None;
        for _ in 0..REOPEN_TRIES {
            if Arc::strong_count(&database) == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(database);
    }

    fn batch(&self, database: Arc<Database>, requests: Vec<Request>) {
        let txn = match database.begin_write() {
            Ok(txn) => txn,
            Err(e) => {
                self.forget(database);
                return requests.into_iter().for_each(|r| r.refuse(&e.to_string()));
            }
        };
        let mut done = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter();
        let wall = (self.world.clock)();
        let applied = Batch::new(&txn, wall).map_err(|e| e.to_string()).and_then(|mut batch| {
            for request in requests.by_ref() {
                match request.apply(&mut batch, &self.world) {
                    Ok(answer) => done.push(answer),
                    Err(refused) => {
                        let (fault, request) = *refused;
                        let why = fault.to_string();
                        request.refuse(&why);
                        return Err(why);
                    }
                }
            }
            Ok(())
        });
        if let Err(why) = applied {
            drop(txn);
            self.forget(database);
            done.into_iter().for_each(|d| d.refuse(&why));
            return requests.for_each(|r| r.refuse(&why));
        }
        match txn.commit() {
            Ok(()) => done.into_iter().for_each(|d| d.tell(&self.hints)),
            Err(e) => {
                self.forget(database);
                done.into_iter().for_each(|d| d.doubt(&e.to_string()));
            }
        }
    }
}
