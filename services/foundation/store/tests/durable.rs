//! Durability: what was acknowledged is there, and no half of anything, after a process is killed, after a power
//! cut that drops what was not synced, after a disk that was full, and after a sync that failed.

#![allow(clippy::unwrap_used, reason = "a test")]

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use disk::{Dice, LossyDisk, Power};
use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_store::embedded::{Embedded, Place};
use tandem_store::{
    Backend as _, Commit, CommitId, Durability, Error, Key, Outcome, Position, Pulled, Shard, What, World,
    Write,
};

/// The child process of the kill test finds its directory here.
const CHILD_DIR: &str = "TANDEM_STORE_TEST_CHILD_DIR";
/// Records of one commit: it is there with all of them, or not at all.
const TOGETHER: u64 = 3;
const TASKS: u64 = 8;

fn acme() -> TenantId {
    TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(1) }
}

fn world() -> World {
    let micros = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::try_from(since.unwrap().as_micros()).unwrap()
    };
    let drawn = AtomicU64::new(1);
    World {
        clock: Arc::new(micros),
        chance: Arc::new(move || u128::from(drawn.fetch_add(1, Ordering::SeqCst)) << 64),
    }
}

/// The commit numbered `n`: as many records as go together, each with the number.
fn numbered(n: u64, bytes: usize) -> Commit {
    let mut value = n.to_be_bytes().to_vec();
    value.resize(8 + bytes, 0);
    let value: Arc<[u8]> = value.into();
    let write =
        |part| Write { key: Key::new(3, &format!("{n:012}/{part}")), what: What::Put(Arc::clone(&value)) };
    Commit {
        tenant: acme(),
        id: CommitId(u128::from(n)),
        preconditions: vec![],
        writes: (0..TOGETHER).map(write).collect(),
        durability: Durability::Local,
        trace: None,
    }
}

/// Holds a store against what it acknowledged: every acknowledged commit is there, each commit is there whole or
/// not at all, and the log adds up to the records.
async fn verify(store: &Embedded, acknowledged: &BTreeMap<u64, u64>, what: &str) {
    let shard = Shard::of(&acme());
    let listing = store.list(shard).await.unwrap();
    let mut found = BTreeMap::<u64, Vec<u64>>::new();
    for record in &listing.records {
        let n = u64::from_be_bytes(record.value[..8].try_into().unwrap());
        assert_eq!(record.key.key.split('/').next().unwrap().parse::<u64>().unwrap(), n, "{what}");
        found.entry(n).or_default().push(record.version.0);
    }
    for (n, revisions) in &found {
        assert_eq!(revisions.len() as u64, TOGETHER, "{what}: half of commit {n}");
        assert!(revisions.iter().all(|r| r == &revisions[0]), "{what}: commit {n} at several revisions");
    }
    for (n, revision) in acknowledged {
        let at = found.get(n).map(|r| r[0]);
        assert_eq!(at, Some(*revision), "{what}: commit {n} was acknowledged at {revision}");
    }
    let mut logged = BTreeSet::new();
    let mut after: Option<Position> = None;
    while let Pulled::Entries(entries) = store.pull(shard, after, 1000).await.unwrap() {
        let Some(last) = entries.last() else { break };
        after = Some(Position { revision: last.revision, commit: last.commit });
        logged.extend(entries.iter().map(|e| u64::try_from(e.commit.0).unwrap()));
    }
    assert_eq!(after, listing.position, "{what}: the log ends elsewhere than the listing says");
    assert_eq!(logged, found.keys().copied().collect(), "{what}: the log and the records differ");
}

/// Not a test of its own: what the killed process runs. It commits until it dies, and says what was acknowledged.
#[test]
fn child_commits_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let start: u64 = std::env::var("TANDEM_STORE_TEST_START").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(Embedded::open(Place::Directory(dir.into()), world()).unwrap());
        let next = Arc::new(AtomicU64::new(start));
        let tasks = (0..TASKS).map(|_| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            async move {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let Ok(Outcome::Committed(r)) = store.commit(numbered(n, 100)).await else { return };
                    // One write, so that a line is there whole or not at all.
                    let line = format!("acknowledged {n} {r}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            }
        });
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = tasks.map(|t| local.spawn_local(t)).collect();
        local
            .run_until(async {
                for task in tasks {
                    task.await.unwrap();
                }
            })
            .await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_random_points_keeps_what_it_acknowledged() {
    const ROUNDS: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x7a4d);
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_commits_until_it_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .env("TANDEM_STORE_TEST_START", (round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut hear = |line: Option<std::io::Result<String>>| {
            let Some(Ok(line)) = line else { return None };
            if let Some(said) = line.strip_prefix("acknowledged ") {
                let (n, revision) = said.split_once(' ').unwrap();
                acknowledged.insert(n.parse().unwrap(), revision.parse().unwrap());
            }
            Some(())
        };
        // At a random point of a random commit: after so many answers, and so many turns of a loop.
        for _ in 0..1 + dice.roll(120) {
            hear(lines.next()).expect("the child ended before it was killed");
        }
        for _ in 0..dice.roll(200_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts.
        while hear(lines.next()).is_some() {}
        let store = Embedded::open(Place::Directory(dir.path().into()), world()).unwrap();
        verify(&store, &acknowledged, &format!("round {round}")).await;
        store.close().await.unwrap();
    }
    assert!(acknowledged.len() as u64 > ROUNDS, "{} commits were acknowledged", acknowledged.len());
}

/// Commits by several tasks until the disk dies; answers what was acknowledged.
async fn commit_until_dead(store: Embedded, start: u64, bytes: usize) -> BTreeMap<u64, u64> {
    let store = Arc::new(store);
    let next = Arc::new(AtomicU64::new(start));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, next) = (Arc::clone(&store), Arc::clone(&next));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    match store.commit(numbered(n, bytes)).await {
                        Ok(Outcome::Committed(revision)) => acknowledged.push((n, revision.0)),
                        _ => return acknowledged,
                    }
                }
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    // The writer cannot be waited for: its disk is dead. The next opening is of another handle.
    let _ = store.close().await;
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_drops_what_was_not_synced_keeps_what_was_acknowledged() {
    for power in [Power::DropsAll, Power::KeepsSome] {
        let mut dice = Dice(0x11 + power as u64);
        let disk = LossyDisk::new();
        let mut acknowledged = BTreeMap::new();
        for round in 0..24 {
            // It dies at a random call, also while the store is opened and the round before is mended.
            disk.die_after(dice.roll(if round % 4 == 0 { 60 } else { 2500 }));
            if let Ok(store) = Embedded::open(Place::Disk(Arc::new(disk.clone())), world()) {
                acknowledged.extend(commit_until_dead(store, round * 1_000_000, 100).await);
            }
            disk.cut_power(power, &mut dice);
            let store = Embedded::open(Place::Disk(Arc::new(disk.clone())), world())
                .unwrap_or_else(|e| panic!("{power:?}, round {round}: {e}"));
            verify(&store, &acknowledged, &format!("{power:?}, round {round}")).await;
            store.close().await.unwrap();
        }
        assert!(acknowledged.len() > 300, "{} commits were acknowledged", acknowledged.len());
    }
}

/// A test of these tests: what a store that does not sync would lose is noticed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "was acknowledged at")]
async fn a_disk_that_only_says_that_it_synced_is_noticed() {
    let disk = LossyDisk::new();
    let store = Embedded::open(Place::Disk(Arc::new(disk.clone())), world()).unwrap();
    disk.lie();
    disk.die_after(2000);
    let acknowledged = commit_until_dead(store, 0, 100).await;
    disk.cut_power(Power::DropsAll, &mut Dice(1));
    let store = Embedded::open(Place::Disk(Arc::new(disk)), world()).unwrap();
    verify(&store, &acknowledged, "a lying disk").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_by_name_and_works_again_when_it_has_room() {
    let disk = LossyDisk::new();
    let store = Embedded::open(Place::Disk(Arc::new(disk.clone())), world()).unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut n = 0;
    for room in [3_000_000, 5_000_000, 9_000_000] {
        disk.set_room(room);
        let refused = loop {
            n += 1;
            match store.commit(numbered(n, 30_000)).await {
                Ok(Outcome::Committed(revision)) => acknowledged.insert(n, revision.0),
                other => break other,
            };
        };
        match refused {
            Err(error @ Error::Unavailable(_)) => {
                assert!(error.retryable());
                assert!(error.to_string().contains("no space left on the disk"), "{error}");
            }
            other => panic!("a full disk was answered {other:?}"),
        }
        // Nothing is lost, all is still read, and what is small may still find its place or is refused alike.
        verify(&store, &acknowledged, "full").await;
        disk.set_room(u64::MAX);
        // The commit that was refused, asked again.
        match store.commit(numbered(n, 30_000)).await {
            Ok(Outcome::Committed(revision)) => acknowledged.insert(n, revision.0),
            other => panic!("with room again: {other:?}"),
        };
        verify(&store, &acknowledged, "with room again").await;
    }
    store.close().await.unwrap();
    let store = Embedded::open(Place::Disk(Arc::new(disk)), world()).unwrap();
    verify(&store, &acknowledged, "opened again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_is_never_taken_for_a_success() {
    let mut dice = Dice(77);
    let disk = LossyDisk::new();
    let store = Embedded::open(Place::Disk(Arc::new(disk.clone())), world()).unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut doubted = 0;
    for n in 0..200 {
        if dice.roll(5) == 0 {
            disk.fail_syncs(dice.roll(3), 1 + dice.roll(4));
        }
        match store.commit(numbered(n, 100)).await {
            Ok(Outcome::Committed(revision)) => acknowledged.insert(n, revision.0),
            Ok(Outcome::Indeterminate(_)) => {
                doubted += 1;
                // Asked again with its id, until it is known.
                match store.commit(numbered(n, 100)).await {
                    Ok(Outcome::Committed(revision)) => acknowledged.insert(n, revision.0),
                    Ok(Outcome::Indeterminate(_)) | Err(Error::Unavailable(_)) => None,
                    other => panic!("{other:?}"),
                }
            }
            Err(Error::Unavailable(_)) => None,
            other => panic!("{other:?}"),
        };
    }
    assert!(doubted > 0, "no sync failed where it is not known what became of a commit");
    disk.cut_power(Power::DropsAll, &mut dice);
    let _ = store.close().await;
    let store = Embedded::open(Place::Disk(Arc::new(disk)), world()).unwrap();
    verify(&store, &acknowledged, "after failed syncs and a power cut").await;
}
