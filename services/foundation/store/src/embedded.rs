//! The embedded backend: one process, one file, every commit synced before it is acknowledged.
//!
//! ```text
//! commit ──> queue ──> writer (one thread): take what waits, one transaction, one sync ──> answers
//! get, list, pull ──> a snapshot of the database, on a blocking thread; never waits for the writer
//! ```
//!
//! Every commit is synced before it is acknowledged, so that `Local` and `Replicated` mean the same here: the one
//! disk. Waiting commits share one sync, so that many at once cost little more than one. Deadlines run in shard
//! time that is kept in memory and stored with every write.
//!
//! When a transaction fails, its callers are told so, and the writer opens the file anew before the next one: a
//! disk that was full works again when it has room. After a sync that failed the file is first written anew, for
//! the system may show bytes that are not on the disk and that no later sync would write. What it then holds is
//! what happened; `Indeterminate` is said only while that cannot be found out.

mod apply;
mod batch;
mod expire;
mod gate;
mod layout;
mod open;
mod read;
mod request;
mod staging;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use redb::Database;
use tandem_domain::id::TenantId;
use tokio::sync::{broadcast, mpsc, oneshot};

use apply::Generation;
use batch::{Clocks, Fault};
use gate::Gate;
use request::Request;
use writer::Writer;

use crate::backend::{Backend, Reply};
use crate::limits;
use crate::types::{
    Commit, Error, Key, Listing, Outcome, Position, Pulled, SessionId, Shard, Stats, Stored, Write,
};

pub use crate::types::World;
pub use open::{OpenError, lock_file};

/// How many requests may wait for the writer: at hundreds of commits a sync well under a second of waiting, and at
/// worst 1 GiB. More callers than that wait to get in.
const QUEUE: usize = 1024;
/// How many hints a slow follower may leave unread before it is told that it missed some, which costs it a look
/// at every shard.
const HINTS: usize = 1024;

/// Where the records lie. A disk of another kind gives a fresh handle on the same bytes at each call.
#[derive(Clone)]
pub enum Place {
    /// A directory, made if it is not there. Locked as long as the store is open.
    Directory(PathBuf),
    /// Memory: gone with the process. For tests and trials.
    Memory,
    /// Anything that behaves as a disk; for tests.
    Disk(Arc<dyn Disk>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Memory => f.write_str("memory"),
            Self::Disk(_) => f.write_str("disk"),
        }
    }
}

/// A disk that can be opened again, as after a restart.
pub trait Disk: Send + Sync + 'static {
    /// A handle on what the disk holds now.
    fn open(&self) -> Box<dyn redb::StorageBackend>;
}

/// A store in one process.
pub struct Embedded {
    // Before `_writer`: fields are dropped in this order, and the writer ends when nobody can ask it any more.
    requests: mpsc::Sender<Request>,
    _writer: Joined,
    gate: Arc<Gate>,
    hints: broadcast::Sender<Shard>,
    place: Place,
}

/// The writer's thread, waited for when dropped: who drops a store may open it again at once.
struct Joined(Option<std::thread::JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(writer) = self.0.take() {
            // One that panicked has ended too, and has let go of everything.
            drop(writer.join());
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedded({:?})", self.place)
    }
}

impl Embedded {
    /// Opens a store, or makes it. Blocks while the file is checked.
    ///
    /// # Errors
    /// [`OpenError`], which says what is wrong with the place and what to do. Nothing is changed then.
    pub fn open(place: Place, world: World) -> Result<Self, OpenError> {
        let lock = open::Lock::take(&place)?;
        let database = open::database(&place, &world)?;
        let gate = Arc::new(Gate::new(database));
        let (requests, waiting) = mpsc::channel(QUEUE);
        let hints = broadcast::Sender::new(HINTS);
        let writer = Writer {
            gate: Arc::clone(&gate),
            place: place.clone(),
            world,
            hints: hints.clone(),
            clocks: Clocks::new(),
            suspect: false,
            lock,
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(waiting))
            .map_err(|e| OpenError::Thread(e.to_string()))?;
        Ok(Self { requests, _writer: Joined(Some(writer)), gate, hints, place })
    }

    /// Hands work to the writer. `doubt` is what is said when no answer comes: then it may have been done.
    async fn ask<T>(
        &self,
        work: impl FnOnce(request::Answer<T>) -> Request,
        doubt: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(work(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or_else(|_| doubt())
    }

    /// Reads little: memory is read in place, for there is nothing to wait for.
    async fn glance<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        match (&self.place, self.gate.open()) {
            (Place::Memory, Some(database)) => read(&database).map_err(|e| Error::Unavailable(e.to_string())),
            _ => self.read(read).await,
        }
    }

    /// Reads on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let gate = Arc::clone(&self.gate);
        tokio::task::spawn_blocking(move || {
            read(&*gate.wait()?).map_err(|e| Error::Unavailable(e.to_string()))
        })
        .await
        .unwrap_or_else(|_| Err(Error::Unavailable("the database could not be read".into())))
    }
}

/// What is said of everything but commits when the writer ended before it answered: it may simply be asked again.
fn unanswered<T>() -> Result<T, Error> {
    Err(Error::Unavailable("the writer ended before it answered".into()))
}

fn doubtful() -> Result<Outcome, Error> {
    Ok(Outcome::Indeterminate("the writer ended before it answered".into()))
}

impl Backend for Embedded {
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        Box::pin(async move {
            limits::commit(&commit, None)?;
            self.ask(|reply| Request::Commit(Box::new(commit), None, reply), doubtful).await
        })
    }

    fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Reply<'_, Outcome> {
        Box::pin(async move {
            limits::commit(&commit, Some(parts))?;
            let generation = Some(Generation { id: generation, parts });
            self.ask(|reply| Request::Commit(Box::new(commit), generation, reply), doubtful).await
        })
    }

    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(async move {
            limits::part(part, &writes)?;
            self.ask(|reply| Request::Stage { tenant, generation, part, writes, reply }, unanswered).await
        })
    }

    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(async move {
            limits::session(ttl_ms)?;
            self.ask(|reply| Request::OpenSession { tenant, session, ttl_ms, reply }, unanswered).await
        })
    }

    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        let tenant = tenant.clone();
        Box::pin(async move {
            limits::session(ttl_ms)?;
            self.ask(|reply| Request::KeepAlive { tenant, session, ttl_ms, reply }, unanswered).await
        })
    }

    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(self.ask(move |reply| Request::EndSession { tenant, session, reply }, unanswered))
    }

    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        Box::pin(self.ask(move |reply| Request::Sweep(shard, reply), unanswered))
    }

    fn close(&self) -> Reply<'_, ()> {
        Box::pin(self.ask(Request::Close, || Ok(())))
    }

    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        Box::pin(self.glance(move |db| read::get(db, &tenant, &key)))
    }

    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        Box::pin(self.read(move |db| read::list(db, shard)))
    }

    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        Box::pin(self.glance(move |db| read::pull(db, shard, after, max)))
    }

    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        Box::pin(self.glance(read::positions))
    }

    fn hints(&self) -> broadcast::Receiver<Shard> {
        self.hints.subscribe()
    }

    fn stats(&self) -> Reply<'_, Stats> {
        let place = self.place.clone();
        Box::pin(self.read(move |db| read::stats(db, &place)))
    }
}
