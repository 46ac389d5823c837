//! Words for requests to a store on real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

pub(crate) use tandem_servers::until;

use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_store::redis::{Redis, Settings};
use tandem_store::{
    Backend, Commit, CommitId, Durability, Entry, Error, Fence, Key, Outcome, Position, Precondition, Pulled,
    Shard, Until, What, World, Write,
};

/// Numbers that no other draw of this process gets.
fn draw() -> u64 {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn world() -> World {
    let since = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    World {
        clock: Arc::new(move || since().as_micros() as u64),
        // Spread over all bits, so that pauses from chance differ.
        chance: Arc::new(|| u128::from(draw()).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
    }
}

/// A store, opened and used as a service does.
pub(crate) fn open(settings: Settings) -> Redis {
    Redis::open(settings, world())
}

/// One Redis alone, tried for so long.
pub(crate) fn single(port: u16, within: Duration) -> Settings {
    Settings { single: true, write_within: within, ..Settings::alone("127.0.0.1", port) }
}

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn acme() -> TenantId {
    tenant("acme")
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
}

pub(crate) fn shard() -> Shard {
    Shard::of(&acme())
}

pub(crate) fn key(key: &str) -> Key {
    Key::new(3, key)
}

pub(crate) fn put(at: &str, value: &str) -> Write {
    Write { key: key(at), what: What::Put(value.as_bytes().into()) }
}

pub(crate) fn claim(at: &str, until: Until) -> Write {
    Write { key: key(at), what: What::Claim((*b"held").into(), until) }
}

pub(crate) fn delete(at: &str) -> Write {
    Write { key: key(at), what: What::Delete }
}

pub(crate) fn local(preconditions: Vec<Precondition>, writes: Vec<Write>) -> Commit {
    Commit {
        tenant: acme(),
        id: CommitId(u128::from(draw()) << 8),
        preconditions,
        writes,
        durability: Durability::Local,
        trace: None,
    }
}

pub(crate) fn replicated(writes: Vec<Write>) -> Commit {
    Commit { durability: Durability::Replicated, ..local(vec![], writes) }
}

pub(crate) fn fence(key_of: &str, token: Revision) -> Precondition {
    Precondition::FenceIs(Fence { key: key(key_of), token })
}

pub(crate) fn revision(outcome: Result<Outcome, Error>) -> Revision {
    match outcome {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("not committed: {other:?}"),
    }
}

/// Commits, and what was lost is asked for again until it is known.
pub(crate) async fn committed(store: &Redis, commit: Commit) -> Revision {
    loop {
        match store.commit(commit.clone()).await {
            Ok(Outcome::Committed(revision)) => return revision,
            Ok(Outcome::Indeterminate(_)) | Err(Error::Unavailable(_)) => {}
            other => panic!("not committed: {other:?}"),
        }
    }
}

pub(crate) async fn value(store: &Redis, at: &str) -> Option<String> {
    let found = store.get(&acme(), &key(at)).await.unwrap();
    found.map(|f| String::from_utf8_lossy(&f.value).into_owned())
}

/// The whole log of the shard of most tests.
pub(crate) async fn log(store: &Redis) -> Vec<Entry> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        match store.pull(shard(), after, 1000).await.unwrap() {
            Pulled::Resync(cause) => panic!("the log was cut: {cause:?}"),
            Pulled::Entries(entries) => {
                let Some(last) = entries.last() else { return all };
                after = Some(Position { revision: last.revision, commit: last.commit });
                all.extend(entries);
            }
        }
    }
}
