//! Judges. What a store promised, against what was seen of it: by those who wrote, who followed and who watched, and in
//! the log that survived.
//!
//! ```text
//! History { attempts, log, followers, watchers, disturbances } ──check──> Report { broken: by name, measured }
//! ```
//!
//! Pure, and imports nothing of ours: a judge that shared code with the judged would prove nothing. It lives beside the
//! tests, for it never enters the product; whoever records a history (a simulation, real servers under faults, replicas of
//! the services) says it in the words of this crate.
//!
//! A promise is judged as it is worded, with its conditions: a [`Disturbance`] says from when to when something was done
//! to the store, how long two holders of a fence may then overlap, and whether what was acknowledged may be lost.

mod commits;
mod fences;
mod followers;
mod report;
mod watchers;

pub use report::{Broken, Measured, Promise, Report};

use std::collections::BTreeMap;

/// Microseconds since the history began, on one clock that never jumps.
pub type Moment = u64;
/// A position in a shard's log.
pub type Revision = u64;
/// A commit's name.
pub type Id = u128;
/// A shard's number.
pub type Shard = u16;

/// One record's change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The record, within its tenant.
    pub key: String,
    /// What it is from now on; none: it is no more.
    pub value: Option<String>,
    /// Its fencing token, if it is a claim. Of what was asked for: not known yet, and not compared.
    pub token: Option<Revision>,
}

/// An entry of a shard's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whose records.
    pub tenant: String,
    /// Its place.
    pub revision: Revision,
    /// Which commit.
    pub id: Id,
    /// Shard time, microseconds.
    pub at: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// The next entry belongs to the same change.
    pub more: bool,
}

/// What must have been so when a commit was accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// There was no such record.
    Absent(String),
    /// It had this version.
    Version(String, Revision),
    /// It was claimed with this token.
    Token(String, Revision),
}

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It happened, at this revision.
    Committed(Revision),
    /// It did not happen: a precondition does not hold.
    Refused,
    /// It may have happened.
    Indeterminate,
    /// It did not happen: the store could not be written.
    Unavailable,
}

/// A commit that was asked for, and the answer. A retry is an attempt of its own under the same id.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its name.
    pub id: Id,
    /// Where its tenant lies.
    pub shard: Shard,
    /// Whose records.
    pub tenant: String,
    /// What was asked for.
    pub changes: Vec<Change>,
    /// Its preconditions on the records of its tenant.
    pub expects: Vec<Expect>,
    /// The fence that it was made under, and the token.
    pub fence: Option<(String, Revision)>,
    /// Whether it was to be on more than one node before it was acknowledged.
    pub replicated: bool,
    /// When it was asked for.
    pub asked: Moment,
    /// When it was answered.
    pub answered: Moment,
    /// The answer.
    pub outcome: Outcome,
}

/// A record as a listing shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub key: String,
    /// What it is.
    pub value: String,
    /// When it was last written.
    pub version: Revision,
}

/// Why a follower was told to list anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The log was cut past where it stood.
    Compacted,
    /// The store has another history than it saw.
    Diverged,
}

/// What a follower saw.
#[derive(Clone, Debug)]
pub enum Saw {
    /// A listing: every record, the position to follow from, and shard time.
    Listed {
        /// Every record.
        records: Vec<Record>,
        /// Where to follow from; none: the shard was never written.
        position: Option<(Revision, Id)>,
        /// Shard time, microseconds.
        at: u64,
    },
    /// Entries, to be shown at once.
    Entries(Vec<Entry>),
    /// It must list anew.
    Resync(Cause),
}

/// A follower, and what it saw of each shard, in order.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// For messages.
    pub name: String,
    /// What it saw.
    pub saw: Vec<(Shard, Saw)>,
    /// Whether it was stopped before the history's end: then it need not have seen the end of the log.
    pub stopped: bool,
}

/// What a watcher of one tenant was told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Everything that there is; what was told before is void.
    Snapshot(BTreeMap<String, Version>),
    /// One key's change; without a value: it is no more. To a watcher that coalesces: its latest state, as of a
    /// revision.
    Change(String, Revision, Option<String>),
    /// It was broken off, and goes on from where everything was told: what was told after that may be told again.
    Resumed,
    /// Its place is lost: a snapshot must follow.
    Expired,
}

/// A key's version as a watcher knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// When it was written.
    pub revision: Revision,
    /// What it is.
    pub value: String,
}

/// A watcher, and what it was told.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    /// For messages.
    pub name: String,
    /// The tenant whose keys it watches, and its shard.
    pub of: (Shard, String),
    /// The keys that it watches begin so.
    pub prefix: String,
    /// Whether steps between may be left out: of each key the last one must come. Its values tell its versions apart.
    pub coalesces: bool,
    /// What it was told, in order, over all its connections.
    pub told: Vec<Told>,
}

/// Something that was done to the store.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// What.
    pub what: String,
    /// When it began.
    pub from: Moment,
    /// When the store was whole again.
    pub until: Moment,
    /// How long two holders of a fence may overlap because of it, microseconds; 0: not at all.
    pub overlap: u64,
    /// Whether it is outside the condition under which what was acknowledged as replicated is kept: what was
    /// acknowledged from `from` to `until` may be lost (an older copy was restored).
    pub loses: bool,
}

/// Everything that is known of a store's time.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of their answers.
    pub attempts: Vec<Attempt>,
    /// The log of each shard as it survived, from its first entry on, with what was cut from its front as far as it
    /// is known.
    pub log: BTreeMap<Shard, Vec<Entry>>,
    /// The newest revision that was cut from each log, if one was.
    pub cut: BTreeMap<Shard, Revision>,
    /// How much of a log must be kept, in microseconds of shard time; 0: that is not judged.
    pub log_age: u64,
    /// Who followed.
    pub followers: Vec<Follower>,
    /// Who watched.
    pub watchers: Vec<Watcher>,
    /// What was done to the store.
    pub disturbances: Vec<Disturbance>,
}

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Report {
    let mut report = Report::default();
    commits::check(history, &mut report);
    fences::check(history, &mut report);
    for follower in &history.followers {
        followers::check(history, follower, &mut report);
    }
    for watcher in &history.watchers {
        watchers::check(history, watcher, &mut report);
    }
    report
}
