//! Backup and restore, from either backend to either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod servers;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use servers::rig::{acme, claim, delete, local, put, replicated, tenant, world};
use tandem_domain::id::Revision;
use tandem_servers::on::On;
use tandem_store::backup::{Backup, BackupError, FORMAT, Progress, Writing, read, restore};
use tandem_store::{Commit, Outcome, Shard, Store, Until};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

async fn commit(store: &Store, commit: Commit) -> Revision {
    match store.commit(commit).await.unwrap() {
        Outcome::Committed(revision) => revision,
        other => panic!("{other:?}"),
    }
}

/// What is for good in a store.
async fn content(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for shard in Shard::all() {
        for record in store.backend().list(shard).await.unwrap().records {
            if record.token.is_none() {
                all.insert(format!("{} {:?}", record.tenant, record.key), record.value.to_vec());
            }
        }
    }
    all
}

/// Waits for a backup to come somewhere.
async fn comes(progress: &mut watch::Receiver<Progress>, holds: impl FnMut(&Progress) -> bool) {
    tokio::time::timeout(Duration::from_secs(60), progress.wait_for(holds)).await.expect("in time").unwrap();
}

/// A backup that is told to end when it has everything.
/// A backup that goes on until told to end, once it is whole for the first time.
async fn begun(
    store: &Store,
    dir: &Path,
    end: impl Future<Output = ()> + Send + 'static,
) -> (watch::Receiver<Progress>, JoinHandle<Result<Progress, BackupError>>) {
    let writing = Writing::new(store.clone(), world(), dir).unwrap();
    let mut progress = writing.progress();
    let running = tokio::spawn(writing.run(false, end));
    comes(&mut progress, |p| p.whole_until.is_some()).await;
    (progress, running)
}

async fn backed_up(store: &Store, dir: &Path) -> Backup {
    let writing = Writing::new(store.clone(), world(), dir).unwrap();
    writing.run(true, std::future::pending()).await.unwrap();
    read(dir).unwrap()
}

async fn fill(store: &Store) {
    for n in 0..40 {
        let of = |commit: Commit| Commit { tenant: tenant(&format!("tenant-{n}")), ..commit };
        let writes = (0..10).map(|w| put(&format!("key-{w}"), &format!("{n} {w}"))).collect();
        commit(store, of(replicated(writes))).await;
    }
    let cell = |commit: Commit| Commit { tenant: tandem_domain::record::cell(), ..commit };
    commit(store, cell(replicated(vec![put("of the cell", "x")]))).await;
    commit(store, cell(local(vec![], vec![claim("lease", Until::After(Duration::from_secs(600)))]))).await;
}

/// What changes while a backup follows: among it a change of 1,000 records at once.
async fn change(store: &Store) {
    commit(store, local(vec![], vec![put("new", "1"), put("gone", "1")])).await;
    commit(store, local(vec![], vec![put("new", "2"), delete("gone")])).await;
    for part in 0..2 {
        let writes = (0..500).map(|n| put(&format!("large-{part}-{n}"), "x")).collect();
        store.stage(&acme(), 9, part, writes).await.unwrap();
    }
    let turning = store.turn_over(local(vec![], vec![]), 9, 2).await.unwrap();
    assert!(matches!(turning, Outcome::Committed(_)), "{turning:?}");
}

async fn goes_from(from: On, to: On) {
    let (source, target, dir) = (from.start(), to.start(), TempDir::new().unwrap());
    let source = source.open(world()).await.map(|store| (store, source)).unwrap();
    fill(&source.0).await;
    let (end, ended) = oneshot::channel::<()>();
    let (mut progress, running) = begun(&source.0, dir.path(), async { drop(ended.await) }).await;
    change(&source.0).await;
    let now = (world().clock)();
    comes(&mut progress, |p| p.whole_until.is_some_and(|until| until > now)).await;
    end.send(()).unwrap();
    running.await.unwrap().unwrap();

    let backup = read(dir.path()).unwrap();
    assert!((backup.cut, backup.claimed()) == (0, 1) && backup.entries >= 4, "{backup:?}");
    let store = target.open(world()).await.unwrap();
    let restored = restore(&backup, &store, &world()).await.unwrap();
    assert_eq!((restored.records, &restored.digest), (backup.records(), &backup.digest()));
    assert_eq!(content(&store).await, content(&source.0).await);
    assert_eq!(restored.records, 40 * 10 + 1 + 1 + 1000);
    let again = restore(&backup, &store, &world()).await.unwrap_err();
    assert!(matches!(again, BackupError::NotEmpty { records } if records == restored.records), "{again}");
    // The same content has the same digest, whatever its history.
    let other = TempDir::new().unwrap();
    assert_eq!(backed_up(&store, other.path()).await.digest(), restored.digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_either_backend_is_restored_to_either_and_compared() {
    for from in [On::Embedded, On::Redis] {
        for to in [On::Embedded, On::Redis] {
            goes_from(from, to).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_cut_anywhere_is_a_whole_earlier_moment_or_says_that_it_is_none() {
    let (on, dir) = (On::Embedded.start(), TempDir::new().unwrap());
    let store = on.open(world()).await.unwrap();
    fill(&store).await;
    let (mut progress, running) = begun(&store, dir.path(), std::future::pending()).await;
    // Two records that are always written together.
    for n in 0..20 {
        commit(&store, local(vec![], vec![put("left", &n.to_string()), put("right", &n.to_string())])).await;
    }
    change(&store).await;
    let now = (world().clock)();
    comes(&mut progress, |p| p.whole_until.is_some_and(|until| until > now)).await;
    running.abort();
    let _ = running.await;
    let whole = std::fs::read(dir.path().join("000001.tandem")).unwrap();
    let (mut none, mut some, mut last) = (0, 0, 0);
    for cut in (0..=whole.len()).step_by(97).chain([whole.len()]) {
        let half = TempDir::new().unwrap();
        std::fs::write(half.path().join("000001.tandem"), &whole[..cut]).unwrap();
        match read(half.path()) {
            Err(BackupError::Unfinished(_)) => none += 1,
            Ok(backup) => {
                some += 1;
                assert!(backup.entries >= last, "a longer backup has no less");
                last = backup.entries;
                // To restore each would take a minute.
                if some % 16 != 0 && cut != whole.len() {
                    continue;
                }
                let (store, digest) = (On::Embedded.start().open(world()).await.unwrap(), backup.digest());
                assert_eq!(restore(&backup, &store, &world()).await.unwrap().digest, digest);
                let there = content(&store).await;
                let of =
                    |name: &str| there.iter().find(|(key, _)| key.contains(name)).map(|(_, value)| value);
                assert_eq!(of("\"left\""), of("\"right\""));
                let large = there.keys().filter(|key| key.contains("large-")).count();
                assert!(large == 0 || large == 1000, "{large} of 1,000 that came at once");
            }
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
    assert!(none > 10 && some > 10, "{none} {some}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_restored_is_said_by_name() {
    let (on, dir) = (On::Embedded.start(), TempDir::new().unwrap());
    let store = on.open(world()).await.unwrap();
    fill(&store).await;
    assert!(matches!(read(&dir.path().join("nothing")), Err(BackupError::None(_))));
    assert!(matches!(read(dir.path()), Err(BackupError::None(_))));
    backed_up(&store, dir.path()).await;
    let file = dir.path().join("000001.tandem");
    let whole = std::fs::read(&file).unwrap();
    for at in (0..whole.len() - 1).step_by(whole.len() / 50) {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        std::fs::write(&file, bent).unwrap();
        assert!(matches!(read(dir.path()), Err(BackupError::Damaged { .. })), "byte {at}");
    }
    // Room that a power cut left empty is an end that was not written.
    let mut longer = whole.clone();
    longer.extend([0; 5000]);
    std::fs::write(&file, &longer).unwrap();
    assert_eq!(read(dir.path()).unwrap().cut, 5000);
    // A later generation that was ended early leaves the earlier one.
    std::fs::write(dir.path().join("000002.tandem"), &whole[..whole.len() / 2]).unwrap();
    let earlier = read(dir.path()).unwrap();
    assert_eq!((earlier.path.as_path(), earlier.passed_over.is_some()), (file.as_path(), true));
    // One process writes at a time; and the next generation takes the places of both.
    let _writing = Writing::new(store.clone(), world(), dir.path()).unwrap();
    let second = Writing::new(store.clone(), world(), dir.path());
    assert!(matches!(second, Err(BackupError::InUse(_))));
    drop(_writing);
    assert!(backed_up(&store, dir.path()).await.path.ends_with("000003.tandem"));
    assert!(!file.exists());
    // A format to come: the header's payload begins after 12 bytes with its kind and 13 of its name.
    let mut newer = whole.clone();
    newer[26..28].copy_from_slice(&(FORMAT + 1).to_be_bytes());
    let sum = crc32fast::hash(&newer[12..44]).to_be_bytes();
    newer[8..12].copy_from_slice(&sum);
    std::fs::write(dir.path().join("000009.tandem"), newer).unwrap();
    assert!(matches!(read(dir.path()), Err(BackupError::Newer { found, .. }) if found == FORMAT + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_store_is_followed_and_what_was_before_is_no_more() {
    let (on, dir) = (On::Redis.start(), TempDir::new().unwrap());
    let store = on.open(world()).await.unwrap();
    fill(&store).await;
    let (mut progress, running) = begun(&store, dir.path(), std::future::pending()).await;
    assert_eq!(on.server().unwrap().cli(&["FLUSHALL"]), "OK");
    commit(&store, local(vec![], vec![put("after", "1")])).await;
    let resynced = |p: &Progress| p.resyncs > 0;
    comes(&mut progress, resynced).await;
    let now = (world().clock)();
    comes(&mut progress, |p| p.whole_until.is_some_and(|until| until > now)).await;
    running.abort();
    let _ = running.await;
    let backup = read(dir.path()).unwrap();
    assert_eq!(backup.records(), 1, "{backup:?}");
}
