//! The embedded backend: one process, one file, every commit synced before it is acknowledged.
//!
//! ```text
//! commit ──> queue ──> writer (one thread): take what waits, one transaction, one sync ──> answers
//! get, list, pull ──> a snapshot of the database, on a blocking thread; never waits for the writer
//! ```
//!
//! Waiting commits share one sync, so that many at once cost little more than one. When a transaction fails, the
//! writer opens the file anew before the next one: a disk that was full works again when it has room.

mod apply;
mod layout;
mod open;
mod read;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use redb::Database;
use tandem_domain::id::TenantId;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::backend::{Backend, Reply};
use crate::types::{
    COMMIT_BYTES_MAX, Commit, Error, KEY_BYTES_MAX, Key, Listing, Outcome, Position, Pulled, SessionId,
    Shard, Stats, Stored, WRITES_MAX, What, Write,
};

pub use open::{OpenError, lock_file};

/// How many requests may wait for the writer. At a sync of 1 ms and hundreds of commits a sync this is well under
/// a second of waiting; more callers than that wait to get in.
const QUEUE: usize = 4096;
/// How many hints a slow follower may leave unread before it is told that it missed some, which costs it a look
/// at every shard.
const HINTS: usize = 1024;

/// What the machine gives to a store: passed in, so that tests own time, chance and disk.
#[derive(Clone)]
pub struct World {
    /// Microseconds since 1970.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// 128 random bits.
    pub chance: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

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
    requests: mpsc::Sender<writer::Request>,
    database: Shared,
    hints: broadcast::Sender<Shard>,
    place: Place,
    _lock: Option<open::Lock>,
}

/// The open database; none while the writer opens it anew.
type Shared = Arc<RwLock<Option<Arc<Database>>>>;

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
        let shared: Shared = Arc::new(RwLock::new(Some(Arc::new(database))));
        let (requests, waiting) = mpsc::channel(QUEUE);
        let hints = broadcast::Sender::new(HINTS);
        let writer = writer::Writer::new(Arc::clone(&shared), place.clone(), world, hints.clone());
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(waiting))
            .map_err(|e| OpenError::Thread(e.to_string()))?;
        Ok(Self { requests, database: shared, hints, place, _lock: lock })
    }

    /// Hands work to the writer. `doubt` is what is said when no answer comes: then it may have been done.
    async fn ask<T>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> writer::Request,
        doubt: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(work(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or_else(|_| doubt())
    }

    /// Reads on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, apply::Fault> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || {
            let database = shared.read().unwrap_or_else(PoisonError::into_inner).clone();
            let database =
                database.ok_or_else(|| Error::Unavailable("the database is being opened again".into()))?;
            read(&database).map_err(|e| Error::Unavailable(e.to_string()))
        })
        .await
        .map_err(|_| Error::Closed)?
    }
}

fn invalid<T>(what: String, fix: &str) -> Result<T, Error> {
    Err(Error::Invalid { what, fix: fix.into() })
}

/// The limits of a commit, the same for every backend.
pub(crate) fn check(writes: &[Write], staged: bool) -> Result<(), Error> {
    if writes.is_empty() && !staged {
        return invalid("a commit without writes".into(), "write something, or do not commit");
    }
    if writes.len() > WRITES_MAX {
        return invalid(
            format!("{} writes in one commit", writes.len()),
            "at most 512; stage larger changes",
        );
    }
    let mut bytes = 0;
    for write in writes {
        if write.key.key.len() > KEY_BYTES_MAX {
            return invalid(format!("a key of {} bytes", write.key.key.len()), "a key has at most 512 bytes");
        }
        bytes += write.key.key.len();
        bytes += match &write.what {
            What::Put(v) | What::Update(v) | What::Claim(v, _) => v.len(),
            What::Delete => 0,
        };
    }
    if bytes > COMMIT_BYTES_MAX {
        return invalid(format!("{bytes} bytes in one commit"), "at most 1 MiB; stage larger changes");
    }
    let mut keys: Vec<&Key> = writes.iter().map(|w| &w.key).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            invalid(format!("{:?} is written twice", pair[0].key), "write each record once in a commit")
        }
        None => Ok(()),
    }
}

fn doubtful() -> Result<Outcome, Error> {
    Ok(Outcome::Indeterminate("the writer ended before it answered".into()))
}

impl Backend for Embedded {
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        Box::pin(async move {
            check(&commit.writes, false)?;
            self.ask(|reply| writer::Request::Commit(Box::new(commit), None, reply), doubtful).await
        })
    }

    fn turn_over(&self, commit: Commit, generation: u64) -> Reply<'_, Outcome> {
        Box::pin(async move {
            check(&commit.writes, true)?;
            self.ask(|reply| writer::Request::Commit(Box::new(commit), Some(generation), reply), doubtful)
                .await
        })
    }

    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(async move {
            check(&writes, false)?;
            if writes.iter().any(|w| !matches!(w.what, What::Put(_) | What::Delete)) {
                return invalid(
                    "a staged claim".into(),
                    "stage puts and deletes; claim in the turning commit",
                );
            }
            self.ask(
                |reply| writer::Request::Stage { tenant, generation, part, writes, reply },
                || Err(Error::Closed),
            )
            .await
        })
    }

    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(self.ask(
            move |reply| writer::Request::OpenSession { tenant, session, ttl_ms, reply },
            || Err(Error::Closed),
        ))
    }

    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        let tenant = tenant.clone();
        Box::pin(self.ask(
            move |reply| writer::Request::KeepAlive { tenant, session, ttl_ms, reply },
            || Err(Error::Closed),
        ))
    }

    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        let tenant = tenant.clone();
        Box::pin(
            self.ask(
                move |reply| writer::Request::EndSession { tenant, session, reply },
                || Err(Error::Closed),
            ),
        )
    }

    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        Box::pin(self.ask(move |reply| writer::Request::Sweep(shard, reply), || Err(Error::Closed)))
    }

    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        Box::pin(self.read(move |db| read::get(db, &tenant, &key)))
    }

    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        Box::pin(self.read(move |db| read::list(db, shard)))
    }

    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        Box::pin(self.read(move |db| read::pull(db, shard, after, max)))
    }

    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        Box::pin(self.read(read::positions))
    }

    fn hints(&self) -> broadcast::Receiver<Shard> {
        self.hints.subscribe()
    }

    fn stats(&self) -> Reply<'_, Stats> {
        let place = self.place.clone();
        Box::pin(self.read(move |db| read::stats(db, &place)))
    }
}
