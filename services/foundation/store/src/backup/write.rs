//! The follower that writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::BackupError;
use super::file::{Generation, Lock};
use super::frame::{Frame, Kept};
use crate::follow::{Followed, Follower};
use crate::store::Store;
use crate::types::{Error, Listing, Position, Shard, Stored, World};

/// How often what was written is made sure of, and looked at whether it is all.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// How soon a store that could not be read is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes of records in one frame, about.
const FRAME_BYTES: usize = 256 * 1024;
/// A generation is begun anew when its log has grown beyond this and beyond twice its listing.
const LOG_BYTES: u64 = 64 * 1024 * 1024;

/// How far a backup is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything that was committed before this is on the disk of the backup; microseconds since 1970 by this
    /// machine's clock. None: not everything was listed yet.
    pub whole_until: Option<u64>,
    /// Records that were listed.
    pub records: u64,
    /// Changes that were written since.
    pub entries: u64,
    /// Bytes of the generation that is being written.
    pub bytes: u64,
    /// Shards that had to be listed anew.
    pub resyncs: u64,
    /// Why the store cannot be read now.
    pub away: Option<String>,
}

/// A backup that is being written.
pub struct Writing {
    dir: PathBuf,
    store: Store,
    world: World,
    _lock: Lock,
    progress: watch::Sender<Progress>,
}

/// A place that must be reached before what was committed until then is known to be there.
struct Goal {
    at: u64,
    positions: Vec<(Shard, Position)>,
}

/// One generation.
struct Run {
    generation: Generation,
    follower: Follower,
    places: BTreeMap<Shard, Position>,
    /// What is to be listed anew: until then what was written of it is void.
    void: BTreeSet<Shard>,
    goal: Option<Goal>,
    synchronised: bool,
    listed_bytes: u64,
}

impl Writing {
    /// A backup of a store to a directory, which is made if it is not there. Nothing is written yet.
    ///
    /// # Errors
    /// [`BackupError::Io`], [`BackupError::InUse`].
    pub fn new(store: Store, world: World, dir: &Path) -> Result<Self, BackupError> {
        let lock = Lock::take(dir)?;
        Ok(Self { dir: dir.to_path_buf(), store, world, _lock: lock, progress: watch::Sender::default() })
    }

    /// How far it is, as it goes on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Writes until `ended`, and then until what was learnt is on the disk. With `once` it ends by itself as soon as
    /// everything that was committed before it began is there.
    ///
    /// # Errors
    /// [`BackupError`]: what cannot be written. A store that cannot be read is waited for.
    pub async fn run(self, once: bool, ended: impl Future<Output = ()>) -> Result<Progress, BackupError> {
        let mut ended = std::pin::pin!(ended);
        let began = (self.world.clock)();
        let cell = tokio::select! {
            cell = self.cell() => cell,
            () = &mut ended => return Ok(self.progress.borrow().clone()),
        };
        loop {
            let mut run = Run::begin(Generation::begin(&self.dir, cell)?, self.store.follow());
            self.progress.send_modify(|p| (p.records, p.entries) = (0, 0));
            let mut sync_at = Instant::now() + SYNC_EVERY;
            loop {
                tokio::select! {
                    biased;
                    () = &mut ended => {
                        run.generation.sync()?;
                        return Ok(self.progress.borrow().clone());
                    }
                    next = tokio::time::timeout_at(sync_at, run.follower.next()) => match next {
                        Ok(Ok(followed)) => self.take(&mut run, followed)?,
                        Ok(Err(error)) => self.away(&error).await,
                        Err(_) => {}
                    },
                }
                if Instant::now() >= sync_at {
                    self.sync(&mut run).await?;
                    sync_at = Instant::now() + SYNC_EVERY;
                }
                let now = self.progress.borrow().whole_until;
                if once && run.synchronised && now.is_some_and(|until| until >= began) {
                    return Ok(self.progress.borrow().clone());
                }
                if run.generation.bytes - run.listed_bytes > LOG_BYTES.max(2 * run.listed_bytes)
                    && run.synchronised
                {
                    break;
                }
            }
        }
    }

    async fn cell(&self) -> u128 {
        loop {
            match self.store.stats().await {
                Ok(stats) => return stats.cell,
                Err(error) => self.away(&error).await,
            }
        }
    }

    async fn away(&self, error: &Error) {
        let why = error.to_string();
        self.progress.send_if_modified(|p| p.away.replace(why.clone()).as_ref() != Some(&why));
        tokio::time::sleep(RETRY).await;
    }

    fn take(&self, run: &mut Run, followed: Followed) -> Result<(), BackupError> {
        match followed {
            Followed::Listed(shard, listing) => {
                let records = listing.records.len() as u64;
                run.listing(shard, listing)?;
                self.progress.send_modify(|p| p.records += records);
            }
            Followed::Entries(shard, entries) => {
                let count = entries.len() as u64;
                for entry in entries {
                    run.places.insert(shard, Position { revision: entry.revision, commit: entry.commit });
                    run.generation.write(&Frame::Entry(shard, entry))?;
                }
                self.progress.send_modify(|p| p.entries += count);
            }
            Followed::Resync(shard, cause) => {
                tracing::warn!(shard = shard.0, ?cause, "listing a shard anew");
                // It may be of another history: its goal is never reached, and where it stood is no place in this one.
                run.resync(shard);
                self.progress.send_modify(|p| p.resyncs += 1);
            }
            Followed::Synchronised => {
                run.synchronised = true;
                run.listed_bytes = run.generation.bytes;
            }
        }
        Ok(())
    }

    /// Makes sure of what was written. If it is all that was committed before the last look, that is written, too.
    async fn sync(&self, run: &mut Run) -> Result<(), BackupError> {
        if !run.synchronised {
            return Ok(());
        }
        let reached = run.reached();
        if let Some(goal) = &reached {
            run.generation.write(&Frame::Whole(goal.at))?;
        }
        run.generation.sync()?;
        if let Some(goal) = reached {
            run.generation.only(&self.dir)?;
            let bytes = run.generation.bytes;
            self.progress.send_modify(|p| {
                (p.whole_until, p.bytes, p.away) = (Some(goal.at), bytes, None);
            });
        }
        if run.goal.is_none() {
            let at = (self.world.clock)();
            match self.store.backend().positions().await {
                Ok(positions) => run.goal = Some(Goal { at, positions }),
                Err(error) => self.away(&error).await,
            }
        }
        Ok(())
    }
}

impl Goal {
    /// A shard that lost what was seen is listed anew; until then it is not there.
    fn is_reached(&self, places: &BTreeMap<Shard, Position>) -> bool {
        let has = |(shard, goal): &(Shard, Position)| {
            places.get(shard).is_some_and(|place| place.revision >= goal.revision)
        };
        self.positions.iter().all(has)
    }
}

impl Run {
    const fn begin(generation: Generation, follower: Follower) -> Self {
        Self {
            generation,
            follower,
            places: BTreeMap::new(),
            void: BTreeSet::new(),
            goal: None,
            synchronised: false,
            listed_bytes: 0,
        }
    }

    fn resync(&mut self, shard: Shard) {
        self.goal = None;
        self.places.remove(&shard);
        self.void.insert(shard);
    }

    /// The goal, if it is reached now.
    fn reached(&mut self) -> Option<Goal> {
        self.goal.take_if(|goal| self.void.is_empty() && goal.is_reached(&self.places))
    }

    fn listing(&mut self, shard: Shard, listing: Listing) -> Result<(), BackupError> {
        self.void.remove(&shard);
        let count = listing.records.len() as u64;
        self.generation.write(&Frame::Listing(shard))?;
        let (mut some, mut bytes) = (Vec::new(), 0);
        for Stored { tenant, key, value, token, .. } in listing.records {
            bytes += value.len() + key.key.len();
            some.push(Kept { tenant, key, value, claimed: token.is_some() });
            if bytes >= FRAME_BYTES {
                self.generation.write(&Frame::Records(std::mem::take(&mut some)))?;
                bytes = 0;
            }
        }
        if !some.is_empty() {
            self.generation.write(&Frame::Records(some))?;
        }
        self.generation.write(&Frame::Listed(shard, count))?;
        match listing.position {
            Some(position) => self.places.insert(shard, position),
            None => self.places.remove(&shard),
        };
        Ok(())
    }
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writing({})", self.dir.display())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::Arc;

    use tandem_domain::id::Revision;

    use super::*;
    use crate::embedded::{Embedded, Place};
    use crate::types::CommitId;

    #[tokio::test]
    async fn nothing_is_whole_until_a_shard_of_another_history_was_listed() {
        let world = World { clock: Arc::new(|| 1), chance: Arc::new(|| 1) };
        let store = Store::new(Arc::new(Embedded::open(Place::Memory, world).unwrap()));
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::begin(Generation::begin(dir.path(), 1).unwrap(), store.follow());
        let at = |revision| Position { revision: Revision(revision), commit: CommitId(1) };
        let goal = |positions| Some(Goal { at: 1, positions });
        run.places.insert(Shard::CELL, at(10));
        run.goal = goal(vec![(Shard::CELL, at(10))]);
        assert!(run.reached().is_some());
        // A younger history, and one in which nothing was written.
        for positions in [vec![(Shard::CELL, at(3))], vec![]] {
            run.places.insert(Shard::CELL, at(10));
            run.resync(Shard::CELL);
            run.goal = goal(positions);
            assert!(run.reached().is_none());
            let position = Some(at(3));
            run.listing(Shard::CELL, Listing { position, records: Vec::new(), at: 1 }).unwrap();
            assert!(run.reached().is_some());
        }
    }
}
