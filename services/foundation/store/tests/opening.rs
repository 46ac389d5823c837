//! What can be wrong with a data directory: each is one clear error that says what to do, and nothing is changed.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableTable as _, TableDefinition};
use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_store::embedded::{Embedded, OpenError, Place};
use tandem_store::{Backend as _, Commit, CommitId, Durability, Key, Shard, What, World, Write};

fn world() -> World {
    World { clock: Arc::new(|| 1_700_000_000_000_000), chance: Arc::new(|| 7) }
}

fn open(path: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(Place::Directory(path.into()), world())
}

fn acme() -> TenantId {
    TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(1) }
}

/// A store with a thousand records, closed.
async fn filled(path: &Path) {
    let store = open(path).unwrap();
    for n in 0..10_u128 {
        let writes = (0..100).map(|k| Write {
            key: Key::new(3, &format!("{n}-{k}")),
            what: What::Put(vec![b'x'; 200].into()),
        });
        let commit = Commit {
            tenant: acme(),
            id: CommitId(n),
            preconditions: vec![],
            writes: writes.collect(),
            durability: Durability::Local,
            trace: None,
        };
        store.commit(commit).await.unwrap();
    }
    store.close().await.unwrap();
}

/// Opens what must not open: the error names the path and the fix, and leaves every byte as it is.
fn refused(path: &Path, named: &str, fix: &str) {
    let before = fs::read(path.join("tandem.redb")).ok();
    let error = open(path).unwrap_err().to_string();
    for part in [&*path.display().to_string(), named, fix] {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(fs::read(path.join("tandem.redb")).ok() == before, "the file was changed: {error}");
}

#[tokio::test]
async fn a_second_process_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let pid = format!("in use by process {}", std::process::id());
    let error = open(dir.path()).unwrap_err().to_string();
    assert!(error.contains(&pid) && error.contains("stop that process"), "{error}");
    first.close().await.unwrap();
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["hello", &"hello ".repeat(100_000)] {
        fs::write(dir.path().join("tandem.redb"), text).unwrap();
        refused(dir.path(), "is damaged", "Restore it from a backup");
    }
}

#[tokio::test]
async fn a_file_that_lost_everything_is_no_new_store() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    fs::write(dir.path().join("tandem.redb"), b"").unwrap();
    refused(dir.path(), "it is empty", "Restore it from a backup");
}

#[tokio::test]
async fn a_store_that_was_not_made_whole_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tandem.redb.new"), b"cut short").unwrap();
    filled(dir.path()).await;
    assert!(!dir.path().join("tandem.redb.new").exists());
    open(dir.path()).unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_file_cut_short_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let file = dir.path().join("tandem.redb");
    let whole = fs::read(&file).unwrap();
    for part in [2, 3, 10, 100] {
        fs::write(&file, &whole[..whole.len() / part]).unwrap();
        refused(dir.path(), "is damaged", "Restore it from a backup");
    }
    fs::write(&file, &whole).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.list(Shard::of(&acme())).await.unwrap().records.len(), 1000);
}

#[tokio::test]
async fn a_damaged_file_is_found_or_reads_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let file = dir.path().join("tandem.redb");
    let whole = fs::read(&file).unwrap();
    let step = whole.len() / 60;
    let mut found = 0;
    for at in (0..60).map(|n| n * step) {
        let mut damaged = whole.clone();
        let end = (at + 64).min(damaged.len());
        for byte in &mut damaged[at..end] {
            *byte ^= 0x5a;
        }
        fs::write(&file, &damaged).unwrap();
        match open(dir.path()) {
            Err(OpenError::Damaged { .. }) => {
                found += 1;
                assert!(fs::read(&file).unwrap() == damaged, "a damaged file was changed");
            }
            Err(other) => panic!("damage at {at}: {other}"),
            // Space that is not in use.
            Ok(store) => {
                let listing = store.list(Shard::of(&acme())).await.unwrap();
                assert!(listing.records.iter().all(|r| r.value.iter().all(|b| *b == b'x')), "at {at}");
                assert_eq!(listing.records.len(), 1000, "damage at {at}");
                store.close().await.unwrap();
            }
        }
    }
    assert!(found > 5, "damage was found {found} times of 60");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_its_own_requests_alone() {
    const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let database = Database::create(dir.path().join("tandem.redb")).unwrap();
    let txn = database.begin_write().unwrap();
    let key = {
        let mut records = txn.open_table(RECORDS).unwrap();
        let key = records.first().unwrap().unwrap().0.value().to_vec();
        records.insert(&key[..], &b"short"[..]).unwrap();
        String::from_utf8(key[key.len() - 3..].to_vec()).unwrap()
    };
    txn.commit().unwrap();
    drop(database);
    let store = Arc::new(open(dir.path()).unwrap());
    let commit = |n: u128, tenant: &str, key: &str| Commit {
        tenant: TenantId { name: TenantName::parse(tenant).unwrap(), incarnation: Incarnation(1) },
        id: CommitId(1000 + n),
        preconditions: vec![],
        writes: vec![Write { key: Key::new(3, key), what: What::Put((*b"y").into()) }],
        durability: Durability::Local,
        trace: None,
    };
    let asked: Vec<_> = (0..40)
        .map(|n| {
            let (tenant, key) = if n % 4 == 0 { ("acme", key.as_str()) } else { ("globex", "a") };
            let (store, commit) = (Arc::clone(&store), commit(n, tenant, key));
            tokio::spawn(async move { (n, store.commit(commit).await) })
        })
        .collect();
    for asked in asked {
        let (n, answer) = asked.await.unwrap();
        match answer {
            Ok(tandem_store::Outcome::Committed(_)) if n % 4 > 0 => {}
            Err(tandem_store::Error::Unavailable(why)) if n % 4 == 0 => {
                assert!(why.contains("cannot read"), "{why}");
            }
            other => panic!("request {n}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn another_format_names_itself() {
    const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    for found in [0_u32, 2, 77] {
        let database = Database::create(dir.path().join("tandem.redb")).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(META).unwrap().insert("format", &found.to_be_bytes()[..]).unwrap();
        txn.commit().unwrap();
        drop(database);
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::Format { found: f, .. } if f == found), "{error}");
        assert!(error.to_string().contains(&format!("has format {found}, this release reads 1")), "{error}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_used_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a file");
    fs::write(&file, "x").unwrap();
    refused(&file, "exists", "choose another directory");
    refused(&file.join("below"), "ot a directory", "choose another directory");
}

/// Not a test of its own: what runs as another user, who may not write.
#[test]
fn child_opens_without_permission() {
    let Ok(dir) = std::env::var("TANDEM_STORE_TEST_FORBIDDEN") else { return };
    let error = open(Path::new(&dir)).unwrap_err().to_string();
    assert!(error.contains("ermission denied") && error.contains("make this one writable"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_says_so() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    // Permissions do not bind root: there, a child of nobody's tries. It runs a copy that nobody may read.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = std::process::Command::new(program);
    child.args(["--exact", "child_opens_without_permission"]).env("TANDEM_STORE_TEST_FORBIDDEN", &data);
    if fs::metadata(dir.path()).unwrap().uid() == 0 {
        child.uid(65534).gid(65534);
    }
    let ran = child.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "the child did not run its test");
}

#[tokio::test]
async fn a_store_that_was_dropped_opens_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        drop(open(dir.path()).unwrap());
    }
}
