//! A primary: its connections, kept up for as long as it is one of ours.
//!
//! ```text
//!  Local       a connection for local commits and reads
//!  Replicated  a connection for replicated commits: a batch, then one WAIT, which delays only what queues behind it
//!  hints       a connection for pub/sub
//! ```
//!
//! A connection that broke is made anew with growing pauses, from chance, of half a second at most. Nothing here
//! ends for good but by being dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Cmd;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::batch::{self, Job};
use super::conn::{self, Conn, Fail, Grave};
use super::hints;
use super::info::Info;
use super::keys::Keys;
use super::settings::{Address, Settings};
use crate::types::{Shard, World};

/// The first pause after a connection failed, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(500));
/// How often an idle connection is tried, and how long it may take to answer.
const TRY_EVERY: Duration = Duration::from_secs(1);
const TRY_WITHIN: Duration = Duration::from_secs(3);
/// From when on an answer is late.
const LATE: Duration = Duration::from_millis(200);
/// Every which try asks for the server's configuration anew.
const ASK_EVERY: u32 = 5;
/// How many connections of servers that never came back are remembered.
const GRAVES: usize = 1024;
/// How many replicated commits wait for the batch before their callers wait.
const QUEUE: usize = 4096;

/// Which connection of a primary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Local commits and reads.
    Local,
    /// Replicated commits.
    Replicated,
}

/// What all connections of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) keys: Keys,
    pub(super) world: World,
    pub(super) hints: tokio::sync::broadcast::Sender<Shard>,
    /// Changes whenever a connection or a primary does: who waits for one looks again.
    pub(super) changed: watch::Sender<()>,
    /// Counts connections that were made: what was told to a server before may be unknown to one that took its place.
    pub(super) epoch: AtomicU64,
    /// Asks for a fresh look-up of the primaries.
    pub(super) look: Notify,
    /// How often no replica confirmed in time.
    pub(super) shortfalls: AtomicU64,
}

impl Shared {
    /// A pause before the next try, from chance: half to whole of what the failures so far ask for.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let whole = PAUSE.0.saturating_mul(1 << failures.min(10)).min(PAUSE.1);
        let chance = ((self.world.chance)() & 0xffff) as u32;
        whole / 2 + (whole / 2) * chance / 0x1_0000
    }
}

/// A primary that is ours as long as this lives.
#[derive(Debug)]
pub(super) struct Node {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) at: Address,
    pub(super) shared: Arc<Shared>,
    links: [Mutex<Link>; 2],
    graves: Mutex<Vec<Grave>>,
    info: Mutex<Info>,
    shards: watch::Sender<Vec<Shard>>,
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Link {
    conn: Option<Arc<Conn>>,
    /// Why there is none.
    why: String,
    /// Whether the last try to make one failed.
    down: bool,
}

/// There is no connection now.
#[derive(Clone, Debug)]
pub(super) struct NoConn {
    pub(super) why: String,
    /// Whether the last try to make one failed: who reads need not wait for the next.
    pub(super) down: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is set as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Node {
    pub(super) fn start(shared: &Arc<Shared>, at: Address, shards: Vec<Shard>) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let link = || Mutex::new(Link { conn: None, why: "not connected yet".to_owned(), down: false });
        let inner = Arc::new(Inner {
            at,
            shared: Arc::clone(shared),
            links: [link(), link()],
            graves: Mutex::default(),
            info: Mutex::default(),
            shards: watch::Sender::new(shards),
            jobs,
        });
        let tasks = vec![
            tokio::spawn(Arc::clone(&inner).keep(Class::Local)),
            tokio::spawn(Arc::clone(&inner).keep(Class::Replicated)),
            tokio::spawn(batch::run(Arc::clone(&inner), waiting)),
            tokio::spawn(hints::run(Arc::clone(&inner))),
        ];
        Self { inner, tasks }
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// It is no primary of ours any more: who waits for an answer asks the one that took its place.
    pub(super) fn retire(&self) {
        self.inner.links.iter().filter_map(|link| lock(link).conn.clone()).for_each(|conn| conn.die());
    }

    /// Which shards lie here from now on.
    pub(super) fn set_shards(&self, shards: Vec<Shard>) {
        self.inner.shards.send_if_modified(|now| {
            let differs = *now != shards;
            *now = shards;
            differs
        });
    }
}

impl Inner {
    /// The connection of a class, if there is one now.
    pub(super) fn conn(&self, class: Class) -> Result<Arc<Conn>, NoConn> {
        let link = lock(&self.links[class as usize]);
        match &link.conn {
            Some(conn) if !conn.is_left() => Ok(Arc::clone(conn)),
            _ => Err(NoConn { why: format!("Redis {}: {}", self.at, link.why), down: link.down }),
        }
    }

    /// What the server said of itself last.
    pub(super) fn info(&self) -> Info {
        lock(&self.info).clone()
    }

    pub(super) fn shards(&self) -> watch::Receiver<Vec<Shard>> {
        self.shards.subscribe()
    }

    pub(super) fn jobs(&self) -> &mpsc::Sender<Job> {
        &self.jobs
    }

    async fn keep(self: Arc<Self>, class: Class) {
        let mut failures = 0;
        loop {
            match self.open().await {
                Ok(conn) => {
                    failures = 0;
                    let conn = Arc::new(conn);
                    self.shared.epoch.fetch_add(1, Ordering::AcqRel);
                    lock(&self.links[class as usize]).conn = Some(Arc::clone(&conn));
                    self.shared.changed.send_replace(());
                    let why = self.watch_over(&conn).await;
                    tracing::info!(redis = %self.at, ?class, %why, "a connection is given up");
                    self.bury(conn.grave.clone());
                    conn.die();
                    *lock(&self.links[class as usize]) = Link { conn: None, why, down: false };
                }
                Err(why) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(redis = %self.at, ?class, %why, "Redis cannot be used; trying on");
                    }
                    *lock(&self.links[class as usize]) = Link { conn: None, why, down: true };
                }
            }
            self.shared.look.notify_one();
            self.shared.changed.send_replace(());
            tokio::time::sleep(self.shared.pause(failures)).await;
        }
    }

    /// Remembers a connection that may have left commands behind, until they cannot happen any more.
    fn bury(&self, grave: Grave) {
        let mut graves = lock(&self.graves);
        if graves.len() == GRAVES {
            graves.remove(0);
        }
        graves.push(grave);
    }

    async fn open(&self) -> Result<Conn, String> {
        let settings = &self.shared.settings;
        let client = conn::client(settings, &settings.login, &self.at, settings.database)?;
        let graves = lock(&self.graves).clone();
        let conn = Conn::open(&client, &graves).await?;
        if let Some(why) = conn.info.unfit() {
            return Err(why);
        }
        if !conn.info.is_primary {
            return Err("it is a replica now".to_owned());
        }
        lock(&self.graves).retain(|grave| grave.run != conn.grave.run || !graves.contains(grave));
        *lock(&self.info) = conn.info.clone();
        Ok(conn)
    }

    /// What is answered; whoever may have taken the place of one that answers late is looked up meanwhile.
    async fn looking_meanwhile<T>(&self, asked: impl Future<Output = T>) -> T {
        let mut asked = std::pin::pin!(asked);
        loop {
            match tokio::time::timeout(LATE, &mut asked).await {
                Ok(answer) => return answer,
                Err(_) => self.shared.look.notify_one(),
            }
        }
    }

    /// Returns when a connection is not to be used any more, and says why.
    async fn watch_over(&self, conn: &Conn) -> String {
        let mut tries = 0;
        let mut cmd = Cmd::new();
        loop {
            tokio::select! {
                () = conn.leaving.notified() => return "it broke".to_owned(),
                () = tokio::time::sleep(TRY_EVERY) => {}
            }
            tries += 1;
            let asks = tries % ASK_EVERY == 0;
            cmd.clear();
            cmd.arg(if asks { "INFO" } else { "PING" });
            let asked = conn.ask(&cmd, Instant::now() + TRY_WITHIN);
            match self.looking_meanwhile(asked).await {
                Ok(answer) if asks => {
                    let info = match conn::text(answer) {
                        Ok(text) => Info::read(&text),
                        Err(why) => return why,
                    };
                    if !info.is_primary {
                        return "it is a replica now".to_owned();
                    }
                    *lock(&self.info) = info;
                }
                Ok(_) => {}
                Err(Fail::Said(e)) => return conn::words(&e),
                Err(Fail::Lost(why)) => return why,
            }
        }
    }
}
