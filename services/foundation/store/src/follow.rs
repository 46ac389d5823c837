//! Following every shard of a cell: a snapshot of each, then every change in order.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use crate::backend::Backend;
use crate::types::{Cause, Entry, Error, Listing, Position, Pulled, Shard};

/// How often a follower looks for itself, whatever hints come: hints may be lost.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How many entries one pull brings at most: bounds a step's memory.
const PULL_MAX: usize = 256;
/// How many shards are listed ahead of what was shown, so that reading and what is done with it go side by side.
/// Bounds the memory of it to so many shards.
const LIST_AHEAD: usize = 4;

/// What a follower learns, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Everything that a shard holds at one moment; what was known of it before is void.
    Listed(Shard, Listing),
    /// Entries of one shard that belong together: to be shown at once.
    Entries(Shard, Vec<Entry>),
    /// The shard must be listed anew, and why; its listing follows.
    Resync(Shard, Cause),
    /// Every shard was listed once: what was shown up to here is the whole cell.
    Synchronised,
}

/// Where a follower stands in one shard.
#[derive(Debug, Default)]
struct Place {
    position: Option<Position>,
    /// Entries whose change is not complete yet.
    held: Vec<Entry>,
}

/// A listing on its way; given up when dropped.
struct Ahead(JoinHandle<Result<Listing, Error>>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows every shard of a cell. Dropping it stops it; it holds nothing in the store.
pub struct Follower {
    backend: Arc<dyn Backend>,
    hints: broadcast::Receiver<Shard>,
    places: Vec<Place>,
    to_list: VecDeque<Shard>,
    listing: VecDeque<(Shard, Ahead)>,
    to_pull: BTreeSet<Shard>,
    /// The shard pulled last: the next one is the next in turn, so that a busy shard holds up no other.
    pulled: Shard,
    looked: Instant,
    synchronised: bool,
    hints_closed: bool,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower({} to list)", self.to_list.len())
    }
}

impl Follower {
    /// A follower that has seen nothing yet.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        // Hints are taken before the listing, so that none in between is lost.
        let hints = backend.hints();
        let places = (0..Shard::COUNT).map(|_| Place::default()).collect();
        let to_list = Shard::all().collect();
        Self {
            backend,
            hints,
            places,
            to_list,
            listing: VecDeque::new(),
            to_pull: BTreeSet::new(),
            pulled: Shard::CELL,
            looked: Instant::now(),
            synchronised: false,
            hints_closed: false,
        }
    }

    /// Takes its hints away, as when all of them are lost: it finds what there is by looking.
    #[cfg(feature = "conformance")]
    pub fn deafen(&mut self) {
        self.hints = broadcast::Sender::new(1).subscribe();
        self.hints_closed = true;
    }

    /// Looks no more by itself: it finds what it is hinted at.
    #[cfg(feature = "conformance")]
    pub fn only_by_hints(&mut self) {
        self.looked = Instant::now() + std::time::Duration::from_secs(24 * 3600);
    }

    /// From now on it follows another store, as when the primary is another.
    #[cfg(feature = "conformance")]
    pub fn turn_to(&mut self, backend: Arc<dyn Backend>) {
        self.hints = backend.hints();
        self.backend = backend;
    }

    /// Lists a shard anew, as if it had been told to: who shows it has lost what it showed.
    pub fn list_again(&mut self, shard: Shard) {
        if !self.to_list.contains(&shard) {
            self.to_list.push_back(shard);
        }
    }

    /// What comes next; waits for it. Cancel safe: what was not answered is asked again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the store cannot be read: ask again, nothing is missed.
    pub async fn next(&mut self) -> Result<Followed, Error> {
        loop {
            self.list_ahead();
            if let Some((shard, ahead)) = self.listing.front_mut() {
                let shard = *shard;
                let listed = (&mut ahead.0).await;
                self.listing.pop_front();
                return self.listed(shard, listed);
            }
            if !self.synchronised {
                self.synchronised = true;
                return Ok(Followed::Synchronised);
            }
            if self.looked.elapsed() >= LOOK_EVERY {
                self.look().await?;
            }
            if let Some(shard) = self.in_turn() {
                if let Some(followed) = self.pull(shard).await? {
                    return Ok(followed);
                }
                continue;
            }
            self.wait().await?;
        }
    }

    /// Begins listings, as many as may be ahead.
    fn list_ahead(&mut self) {
        while self.listing.len() < LIST_AHEAD {
            let Some(shard) = self.to_list.pop_front() else { return };
            let backend = Arc::clone(&self.backend);
            let listing = tokio::spawn(async move { backend.list(shard).await });
            self.listing.push_back((shard, Ahead(listing)));
        }
    }

    /// Takes a listing; one that failed is begun again by the next call.
    fn listed(
        &mut self,
        shard: Shard,
        listed: Result<Result<Listing, Error>, JoinError>,
    ) -> Result<Followed, Error> {
        let listed = listed.unwrap_or_else(|_| Err(Error::Unavailable("a listing was given up".into())));
        match listed {
            Ok(listing) => {
                self.places[shard.index()] = Place { position: listing.position, held: Vec::new() };
                Ok(Followed::Listed(shard, listing))
            }
            Err(e) => {
                self.to_list.push_front(shard);
                Err(e)
            }
        }
    }

    /// The next shard to pull, after the one pulled last.
    fn in_turn(&mut self) -> Option<Shard> {
        let after = (Bound::Excluded(self.pulled), Bound::Unbounded);
        let next = self.to_pull.range(after).next().or_else(|| self.to_pull.first()).copied()?;
        self.pulled = next;
        Some(next)
    }

    /// One pull; none: there was nothing new to show.
    async fn pull(&mut self, shard: Shard) -> Result<Option<Followed>, Error> {
        let after = self.places[shard.index()].position;
        let pulled = self.backend.pull(shard, after, PULL_MAX).await?;
        let place = &mut self.places[shard.index()];
        match pulled {
            Pulled::Resync(cause) => {
                place.held.clear();
                self.to_pull.remove(&shard);
                self.to_list.push_back(shard);
                Ok(Some(Followed::Resync(shard, cause)))
            }
            Pulled::Entries(entries) => {
                let Some(last) = entries.last() else {
                    self.to_pull.remove(&shard);
                    return Ok(None);
                };
                place.position = Some(Position { revision: last.revision, commit: last.commit });
                place.held.extend(entries);
                let whole = place.held.iter().rposition(|e| !e.more).map_or(0, |at| at + 1);
                let ready: Vec<Entry> = place.held.drain(..whole).collect();
                Ok((!ready.is_empty()).then_some(Followed::Entries(shard, ready)))
            }
        }
    }

    /// Waits for a hint, or looks for itself.
    async fn wait(&mut self) -> Result<(), Error> {
        let hint =
            async { if self.hints_closed { std::future::pending().await } else { self.hints.recv().await } };
        match tokio::time::timeout_at(self.looked + LOOK_EVERY, hint).await {
            Ok(Ok(shard)) => {
                self.to_pull.insert(shard);
                self.drain_hints().await
            }
            Ok(Err(RecvError::Closed)) => {
                self.hints_closed = true;
                Ok(())
            }
            Ok(Err(RecvError::Lagged(_))) | Err(_) => self.look().await,
        }
    }

    async fn drain_hints(&mut self) -> Result<(), Error> {
        loop {
            match self.hints.try_recv() {
                Ok(shard) => {
                    self.to_pull.insert(shard);
                }
                Err(TryRecvError::Lagged(_)) => return self.look().await,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Asks where every shard is, and pulls those that are elsewhere than this follower: also those that lost
    /// what it saw.
    async fn look(&mut self) -> Result<(), Error> {
        let positions = self.backend.positions().await;
        // Also when it could not: what is hinted meanwhile is shown before the next look.
        self.looked = Instant::now();
        let positions = positions?;
        let mut now: Vec<Option<Position>> = vec![None; Shard::COUNT];
        for (shard, position) in positions {
            if let Some(place) = now.get_mut(shard.index()) {
                *place = Some(position);
            }
        }
        for shard in Shard::all() {
            if self.places[shard.index()].position != now[shard.index()] {
                self.to_pull.insert(shard);
            }
        }
        Ok(())
    }
}
