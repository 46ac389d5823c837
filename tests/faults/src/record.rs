//! What was asked of a store and what was seen, in the words of `tandem_history`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tandem_domain::id::TenantId;
use tandem_history as history;
use tandem_store::{
    Backend, Cause, Commit, Durability, Entry, Error, Fence, Followed, Follower, Key, Listing, Outcome,
    Position, Precondition, Pulled, Shard, What,
};
use tokio::time::Instant;

/// Writes down what is asked and answered.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    attempts: Mutex<Vec<history::Attempt>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { began: Instant::now(), attempts: Mutex::default() }
    }
}

impl Recorder {
    /// Microseconds since it began.
    #[must_use]
    pub fn now(&self) -> history::Moment {
        self.began.elapsed().as_micros() as u64
    }

    /// Commits, and writes it down.
    ///
    /// # Errors
    /// The store's.
    pub async fn commit(&self, store: &dyn Backend, commit: &Commit) -> Result<Outcome, Error> {
        let asked = self.now();
        let answer = store.commit(commit.clone()).await;
        let outcome = match &answer {
            Ok(Outcome::Committed(revision)) => history::Outcome::Committed(revision.0),
            Ok(Outcome::Refused(_)) => history::Outcome::Refused,
            Ok(Outcome::Indeterminate(_)) => history::Outcome::Indeterminate,
            Err(_) => history::Outcome::Unavailable,
        };
        let attempt = attempt(commit, asked, self.now(), outcome);
        self.attempts.lock().unwrap().push(attempt);
        answer
    }

    /// What was written down.
    #[must_use]
    pub fn attempts(&self) -> Vec<history::Attempt> {
        self.attempts.lock().unwrap().clone()
    }
}

fn attempt(
    commit: &Commit,
    asked: history::Moment,
    answered: history::Moment,
    outcome: history::Outcome,
) -> history::Attempt {
    let expect = |condition: &Precondition| match condition {
        Precondition::Absent(k) => Some(history::Expect::Absent(key(k))),
        Precondition::VersionIs(k, r) => Some(history::Expect::Version(key(k), r.0)),
        Precondition::TokenIs(k, r) => Some(history::Expect::Token(key(k), r.0)),
        Precondition::FenceIs(_) | Precondition::SessionLives(_) => None,
    };
    let fence = |condition: &Precondition| match condition {
        Precondition::FenceIs(Fence { key: k, token }) => Some((key(k), token.0)),
        _ => None,
    };
    let changes = commit.writes.iter().map(|write| history::Change {
        key: key(&write.key),
        value: match &write.what {
            What::Put(value) | What::Claim(value, _) | What::Update(value) => Some(text(value)),
            What::Delete => None,
        },
        token: None,
    });
    history::Attempt {
        id: commit.id.0,
        shard: Shard::of(&commit.tenant).0,
        tenant: tenant(&commit.tenant),
        changes: changes.collect(),
        expects: commit.preconditions.iter().filter_map(expect).collect(),
        fence: commit.preconditions.iter().find_map(fence),
        replicated: commit.durability == Durability::Replicated,
        asked,
        answered,
        outcome,
    }
}

pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

pub(crate) fn key(key: &Key) -> String {
    format!("{}/{}", key.kind, key.key)
}

pub(crate) fn tenant(tenant: &TenantId) -> String {
    format!("{}.{:x}", tenant.name, tenant.incarnation.0)
}

pub(crate) fn entry(entry: &Entry) -> history::Entry {
    let change = |c: &tandem_store::Changed| history::Change {
        key: key(&c.key),
        value: c.value.as_deref().map(text),
        token: c.token.map(|t| t.0),
    };
    history::Entry {
        tenant: tenant(&entry.tenant),
        revision: entry.revision.0,
        id: entry.commit.0,
        at: entry.at,
        changes: entry.changes.iter().map(change).collect(),
        more: entry.more,
    }
}

fn listing(listing: &Listing) -> history::Saw {
    let record = |r: &tandem_store::Stored| history::Record {
        tenant: tenant(&r.tenant),
        key: key(&r.key),
        value: text(&r.value),
        version: r.version.0,
    };
    history::Saw::Listed {
        records: listing.records.iter().map(record).collect(),
        position: listing.position.map(|p| (p.revision.0, p.commit.0)),
        at: listing.at,
    }
}

/// What a follower was shown up to now.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<history::Follower>>);

impl Seen {
    /// A follower by this name, which has seen nothing.
    #[must_use]
    pub fn by(name: &str) -> Self {
        let follower = history::Follower { name: name.to_owned(), ..history::Follower::default() };
        Self(Arc::new(Mutex::new(follower)))
    }

    /// What it saw.
    #[must_use]
    pub fn take(&self) -> history::Follower {
        self.0.lock().unwrap().clone()
    }

    /// Whether the last that it was shown of a shard is this position.
    #[must_use]
    pub fn stands_at(&self, shard: Shard, position: (u64, u128)) -> bool {
        let last = |saw: &history::Saw| match saw {
            history::Saw::Listed { position, .. } => *position,
            history::Saw::Entries(entries) => entries.last().map(|e| (e.revision, e.id)),
            history::Saw::Resync(_) => None,
        };
        let seen = self.0.lock().unwrap();
        let found = seen.saw.iter().rev().find(|(of, _)| *of == shard.0);
        found.and_then(|(_, saw)| last(saw)) == Some(position)
    }

    /// Follows these shards, for as long as it is polled.
    pub async fn follow(&self, mut follower: Follower, shards: &BTreeSet<Shard>) {
        loop {
            let (shard, saw) = match follower.next().await {
                Ok(Followed::Listed(shard, all)) => (shard, listing(&all)),
                Ok(Followed::Entries(shard, all)) => {
                    (shard, history::Saw::Entries(all.iter().map(entry).collect()))
                }
                Ok(Followed::Resync(shard, Cause::Compacted)) => {
                    (shard, history::Saw::Resync(history::Cause::Compacted))
                }
                Ok(Followed::Resync(shard, Cause::Diverged)) => {
                    (shard, history::Saw::Resync(history::Cause::Diverged))
                }
                Ok(Followed::Synchronised) => continue,
                Err(Error::Closed) => return,
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            };
            if shards.contains(&shard) {
                self.0.lock().unwrap().saw.push((shard.0, saw));
            }
        }
    }
}

/// The whole log of a shard, read from its start.
///
/// # Errors
/// Why it cannot be: the store's, or that it was cut.
pub async fn log(store: &dyn Backend, shard: Shard) -> Result<Vec<history::Entry>, String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        match store.pull(shard, after, 1000).await.map_err(|e| e.to_string())? {
            Pulled::Resync(cause) => return Err(format!("the log was cut: {cause:?}")),
            Pulled::Entries(entries) => {
                let Some(last) = entries.last() else { return Ok(all) };
                after = Some(Position { revision: last.revision, commit: last.commit });
                all.extend(entries.iter().map(entry));
            }
        }
    }
}
