//! What a history is found to be.

use std::fmt;

/// A promise of the store, by the name of what breaks it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Promise {
    /// On one primary there is at most one holder whose token is accepted; across a failover two overlap no longer
    /// than is said.
    TwoHolders,
    /// No acknowledged `Replicated` commit is lost inside the stated condition.
    LostReplicated,
    /// No acknowledged commit is lost while nothing is done to the store.
    LostLocal,
    /// What was refused did not happen.
    RefusedHappened,
    /// What the store said that it could not do, it did not.
    UnavailableHappened,
    /// A commit happens at most once.
    HappenedTwice,
    /// A commit happens at the revision that was answered.
    WrongRevision,
    /// A commit is done whole and as asked for.
    Torn,
    /// Nothing happens that nobody asked for, but the end of what ends.
    Invented,
    /// A precondition held when its commit was accepted.
    StaleAccepted,
    /// Revisions of a shard grow.
    LogOutOfOrder,
    /// A follower ends where the log ends, with what it says.
    NotConverged,
    /// A follower is shown every entry.
    SkippedEvent,
    /// A follower is shown every entry once.
    RepeatedEvent,
    /// A follower is shown entries in their order.
    OutOfOrder,
    /// Who saw what did not survive is told.
    UnnoticedDivergence,
    /// A listing shows what there is at its position.
    WrongListing,
    /// The log is not cut before its time, nor the entry before the newest ever.
    WrongTrim,
    /// What was disturbed can be written to again.
    StaysUnwritable,
    /// Nobody is told to list anew while nothing is done to the store.
    NeedlessResync,
    /// A watcher is told the last of each key; and each change, unless it coalesces.
    WatchMissed,
    /// A watcher is told the changes of a key in their order.
    WatchOutOfOrder,
    /// A watcher is told what was written.
    WatchInvented,
}

/// A promise that was broken, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}

/// What was counted and measured beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measured {
    /// Attempts by outcome.
    pub committed: u64,
    /// Likewise.
    pub refused: u64,
    /// Likewise.
    pub indeterminate: u64,
    /// Likewise.
    pub unavailable: u64,
    /// Attempts that were acknowledged as replicated.
    pub replicated: u64,
    /// Acknowledged `Local` commits that did not survive.
    pub lost_local: u64,
    /// Acknowledged `Replicated` commits that did not survive what is outside the condition.
    pub lost_outside: u64,
    /// Entries of all logs.
    pub entries: u64,
    /// Tokens under which a fenced commit was accepted.
    pub holders: u64,
    /// The longest that two holders of a fence overlapped, microseconds.
    pub overlap: u64,
    /// Followers told that the log was cut, and that the store has another history.
    pub compacted: u64,
    /// Likewise.
    pub diverged: u64,
    /// What watchers that coalesce were told one by one, and how often they went on from their place.
    pub told: u64,
    /// Likewise.
    pub resumed: u64,
    /// The longest time between two acknowledgements, microseconds.
    pub silence: u64,
}

/// The judgement.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Each promise that was broken, as often as it was.
    pub broken: Vec<Broken>,
    /// What was counted.
    pub measured: Measured,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn kept(&self) -> bool {
        self.broken.is_empty()
    }

    /// Whether this promise was broken.
    #[must_use]
    pub fn broke(&self, promise: Promise) -> bool {
        self.broken.iter().any(|b| b.promise == promise)
    }

    pub(crate) fn broke_by(&mut self, promise: Promise, what: String) {
        self.broken.push(Broken { promise, what });
    }
}

/// The first dozen of what was broken, a line each.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        for broken in self.broken.iter().take(SHOWN) {
            writeln!(f, "{broken}")?;
        }
        match self.broken.len() {
            0 => writeln!(f, "every promise was kept"),
            n if n > SHOWN => writeln!(f, "and {} more", n - SHOWN),
            _ => Ok(()),
        }
    }
}
