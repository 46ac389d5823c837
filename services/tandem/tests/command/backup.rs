//! `tandem backup`, killed whenever it may be, and `tandem restore`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_runtime::clock::{Chance, Clock};
use tandem_servers::Server;
use tandem_store::embedded::Place;
use tandem_store::{Commit, CommitId, Durability, Home, Key, Outcome, Shard, Store, What, Write};
use tempfile::TempDir;

use crate::harness::{Running, run, until};

/// How often the backup is killed.
const KILLS: u64 = 6;

fn acme() -> TenantId {
    TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(1) }
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

async fn open(home: Home) -> Store {
    home.open(tandem_cell::world(&Clock::machine(), &Chance::machine())).await.unwrap()
}

/// Commits a record after another, and says when each was acknowledged.
async fn write(store: Store, enough: Arc<AtomicBool>) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    while !enough.load(Ordering::SeqCst) {
        let key = Key::new(3, &format!("{:08}", acknowledged.len()));
        let commit = Commit {
            tenant: acme(),
            id: CommitId(acknowledged.len() as u128 + 1),
            preconditions: Vec::new(),
            writes: vec![Write { key, what: What::Put((*b"value").into()) }],
            durability: Durability::Replicated,
            trace: None,
        };
        assert!(matches!(store.commit(commit).await.unwrap(), Outcome::Committed(_)));
        acknowledged.push(now_us());
    }
    acknowledged
}

/// Micros of `2026-01-31T08:05:09.120Z`, of today or yesterday.
fn of_today(utc: &str) -> u64 {
    let digits = |at: std::ops::Range<usize>| utc[at].parse::<u64>().unwrap();
    let of_day = ((digits(11..13) * 60 + digits(14..16)) * 60 + digits(17..19)) * 1000 + digits(20..23);
    let day = 24 * 3600 * 1000;
    let now = now_us() / 1000;
    let today = now / day * day + of_day;
    (if today > now { today - day } else { today }) * 1000
}

#[test]
fn a_backup_that_is_killed_at_any_moment_leaves_all_that_it_said_it_had() {
    let (redis, dirs) = (Server::start(&["--appendonly", "no"]), TempDir::new().unwrap());
    let url = format!("redis://127.0.0.1:{}?durability=single", redis.port);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = runtime.block_on(open(Home::of_url(&url).unwrap()));
    let enough = Arc::new(AtomicBool::new(false));
    let writing = runtime.spawn(write(store.clone(), Arc::clone(&enough)));
    let (dir, data) = (dirs.path().join("backup"), dirs.path().join("data"));
    let (dir, data) = (dir.to_str().unwrap(), data.to_str().unwrap());
    let chance = Chance::machine();
    for _ in 0..KILLS {
        let backup = Running::start(&["backup", "--store", &url, dir]);
        std::thread::sleep(Duration::from_millis(chance.below(1200)));
        // Dropped, it is killed as by `kill -9`.
        drop(backup);
    }
    let lost_at = now_us();
    enough.store(true, Ordering::SeqCst);
    let acknowledged = runtime.block_on(writing).unwrap();

    let said = run(&["restore", dir, "--data", data, "--output", "json"]).ended(0).json();
    let whole_until = of_today(said["whole_until"].as_str().unwrap());
    let place = Place::Directory(std::path::Path::new(data).join("store"));
    let restored = runtime.block_on(open(Home::Embedded(place)));
    let listed = runtime.block_on(restored.backend().list(Shard::of(&acme()))).unwrap().records;
    runtime.block_on(restored.close()).unwrap();
    let keys: Vec<String> = listed.iter().map(|r| r.key.key.to_string()).collect();
    let expected: Vec<String> = (0..keys.len()).map(|n| format!("{n:08}")).collect();
    assert_eq!(keys, expected, "what is there is the beginning of what was written, without a hole");
    let promised = acknowledged.iter().filter(|at| **at < whole_until).count();
    assert!(keys.len() >= promised, "{} restored of {promised} that the backup said it had", keys.len());
    let acknowledged_before = acknowledged.iter().filter(|at| **at <= lost_at).count();
    let (lost, behind) = (acknowledged_before.saturating_sub(keys.len()), lost_at - whole_until);
    println!("lost {lost} of {acknowledged_before} acknowledged; the backup was {} ms behind", behind / 1000);
}

#[test]
fn what_was_backed_up_of_redis_is_served_from_the_embedded_store_and_back() {
    let (first, second, dirs) = (
        Server::start(&["--appendonly", "no"]),
        Server::start(&["--appendonly", "no"]),
        TempDir::new().unwrap(),
    );
    let url = |server: &Server| format!("redis://127.0.0.1:{}?durability=single", server.port);
    let base = crate::harness::one_example("brandt");
    let (tenants, dir) = (crate::harness::path(&base, "tenants"), dirs.path().join("backup"));
    let (dir, data) = (dir.to_str().unwrap(), dirs.path().join("data"));
    let data = data.to_str().unwrap();
    let directory = crate::harness::path(&base, "directories/brandt.yaml");
    let up = |at: &[&str]| Running::up(&[&["--tenants", &tenants], at].concat());
    let knows = |process: &Running| {
        let said = process.ask(&["call", "route", "--tenant", "brandt", "--called", crate::harness::CLARA]);
        said.ended(0).out.contains("clara.hoffmann")
    };
    let running = up(&["--store", &url(&first)]);
    running.ask(&["directory", "import", &directory]).ended(0);
    run(&["backup", "--store", &url(&first), "--once", dir]).ended(0);
    // What it had: more than the directory; and what the process held is not restored.
    let said = run(&["restore", dir, "--data", data]).ended(0).out;
    assert!(said.contains("digest") && said.contains("lost") && said.contains("processes held"), "{said}");
    let full = run(&["restore", dir, "--store", &url(&first)]).ended(65);
    assert!(full.err.contains("restore into an empty one"), "{full:#?}");
    running.end().ended(0);
    let embedded = up(&["--data", data]);
    assert!(knows(&embedded));
    let busy = run(&["backup", "--data", data, "--once", dir]);
    assert_ne!(busy.code, 0, "{busy:#?}");
    embedded.end().ended(0);
    run(&["backup", "--data", data, "--once", dir]).ended(0);
    run(&["restore", dir, "--store", &url(&second)]).ended(0);
    let redis = up(&["--store", &url(&second)]);
    until("what was restored is served", || knows(&redis).then_some(()));
    redis.end().ended(0);
}

#[test]
fn a_backup_that_is_none_is_an_error_in_words() {
    let dirs = TempDir::new().unwrap();
    let path = |name: &str| dirs.path().join(name).to_str().unwrap().to_owned();
    let none = run(&["restore", &path("nothing"), "--data", &path("data")]).ended(65);
    assert!(none.err.contains("no backup is here"), "{none:#?}");
    run(&["backup", "--data", &path("data"), "--once", &path("backup")]).ended(0);
    let file = dirs.path().join("backup/000001.tandem");
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    let damaged = run(&["restore", &path("backup"), "--data", &path("other")]).ended(65);
    assert!(damaged.err.contains("damaged at byte 0"), "{damaged:#?}");
}
