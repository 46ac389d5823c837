//! What is counted of a store, in plain numbers: whoever tells metrics reads them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::types::{Cause, Error, Outcome};

/// How a commit ended, for people and metrics.
pub(crate) const OUTCOMES: [&str; 5] = ["committed", "refused", "indeterminate", "unavailable", "invalid"];
/// Bounds of how long commits took, in seconds; the last is the rest.
pub(crate) const BOUNDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, f64::INFINITY];

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub struct Counts {
    outcomes: [AtomicU64; OUTCOMES.len()],
    took: [AtomicU64; BOUNDS.len()],
    took_us: AtomicU64,
    compacted: AtomicU64,
    diverged: AtomicU64,
}

/// How a commit ended: its place in [`OUTCOMES`].
fn place(ended: &Result<Outcome, Error>) -> usize {
    match ended {
        Ok(Outcome::Committed(_)) => 0,
        Ok(Outcome::Refused(_)) => 1,
        Ok(Outcome::Indeterminate(_)) => 2,
        Err(Error::Unavailable(_) | Error::Closed) => 3,
        Err(Error::Invalid { .. }) => 4,
    }
}

fn read(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

impl Counts {
    /// Counts a commit, and says in a word how it ended.
    pub(crate) fn commit(&self, ended: &Result<Outcome, Error>, took: Duration) -> &'static str {
        let place = place(ended);
        self.outcomes[place].fetch_add(1, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len() - 1);
        self.took[bucket].fetch_add(1, Ordering::Relaxed);
        self.took_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        OUTCOMES[place]
    }

    /// Counts a shard that a follower had to list anew.
    pub fn resync(&self, cause: Cause) {
        match cause {
            Cause::Compacted => self.compacted.fetch_add(1, Ordering::Relaxed),
            Cause::Diverged => self.diverged.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// Commits by how they ended: committed, refused, indeterminate, unavailable, invalid.
    #[must_use]
    pub fn outcomes(&self) -> [(&'static str, u64); OUTCOMES.len()] {
        std::array::from_fn(|at| (OUTCOMES[at], read(&self.outcomes[at])))
    }

    /// How long commits took: the sum in seconds, and by bounds in seconds how many lay between each and the one before;
    /// the last bound is `f64::INFINITY`, for the rest.
    #[must_use]
    pub fn took(&self) -> (f64, [(f64, u64); BOUNDS.len()]) {
        let buckets = std::array::from_fn(|at| (BOUNDS[at], read(&self.took[at])));
        (Duration::from_micros(read(&self.took_us)).as_secs_f64(), buckets)
    }

    /// Shards that were listed anew, by why.
    #[must_use]
    pub fn resyncs(&self) -> [(&'static str, u64); 2] {
        [("compacted", read(&self.compacted)), ("diverged", read(&self.diverged))]
    }
}
