//! Measures the way back: from when a new primary takes writes until the store's callers are acknowledged again.
//!
//! `cargo run --release -p tandem-faults --bin wayback -- ROUNDS`: behind Sentinels and on a Cluster of nine, with the
//! primary killed (`kill -9`) and stopped (`SIGSTOP`). A probe asks each other server for a write every 5 ms.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "for tests only")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tandem_domain::id::TenantId;
use tandem_faults::load::tenant;
use tandem_servers::cluster::{Cluster, slot};
use tandem_servers::sentinel::Watched;
use tandem_servers::{Server, until};
use tandem_store::redis::{Redis, Settings};
use tandem_store::{Backend, Commit, CommitId, Durability, Key, Outcome, Shard, What, World, Write};

/// Writers of each kind: one that waits for the server that is gone hides no other.
const WRITERS: usize = 4;

/// When each writer was acknowledged last.
type Acknowledged = Arc<Mutex<Vec<Vec<Instant>>>>;

fn world() -> World {
    let next = AtomicU64::new(1);
    let began = Instant::now();
    let clock = move || 1_700_000_000_000_000 + u64::try_from(began.elapsed().as_micros()).unwrap();
    let chance = move || {
        // What pauses are made from: splitmix64.
        let mut z = next.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        u128::from(z ^ (z >> 27)) << 64 | u128::from(z.wrapping_mul(31))
    };
    World { clock: Arc::new(clock), chance: Arc::new(chance) }
}

async fn write(store: Redis, of: TenantId, n: usize, stop: Arc<AtomicBool>, told: Acknowledged) {
    let durability = if n < WRITERS { Durability::Replicated } else { Durability::Local };
    for at in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let write =
            Write { key: Key::new(200, &format!("{n}")), what: What::Put(at.to_be_bytes().to_vec().into()) };
        let commit = Commit {
            tenant: of.clone(),
            id: CommitId((n as u128) << 64 | u128::from(at + 1) | u128::from(std::process::id()) << 96),
            preconditions: Vec::new(),
            writes: vec![write],
            durability,
            trace: None,
        };
        if matches!(store.commit(commit).await, Ok(Outcome::Committed(_))) {
            told.lock().unwrap()[n].push(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks a server for a write until it takes one.
fn probe(at: (String, u16), key: &str, first: &Mutex<Option<Instant>>, stop: &AtomicBool) {
    let asked = || -> std::io::Result<()> {
        let stream = TcpStream::connect(&at)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while !stop.load(Ordering::SeqCst) && first.lock().unwrap().is_none() {
            stream.write_all(format!("SET {key} 1\r\n").as_bytes())?;
            let mut answer = String::new();
            answers.read_line(&mut answer)?;
            if answer.starts_with("+OK") {
                first.lock().unwrap().get_or_insert_with(Instant::now);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    };
    while !stop.load(Ordering::SeqCst) && first.lock().unwrap().is_none() {
        // One that is away is asked again.
        let _ = asked();
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One round's times, milliseconds.
struct Times {
    writable: f64,
    first: f64,
    all: [f64; 2],
}

/// Hits a primary while it is written to, and waits until all are acknowledged again.
async fn round(
    settings: Settings,
    of: TenantId,
    others: Vec<(String, u16)>,
    key: String,
    hit: impl FnOnce(),
) -> Times {
    let store = Redis::open(settings, world());
    store.check().await.unwrap();
    let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(vec![vec![]; 2 * WRITERS])));
    let writing: Vec<_> = (0..2 * WRITERS)
        .map(|n| tokio::spawn(write(store.clone(), of.clone(), n, Arc::clone(&stop), Arc::clone(&told))))
        .collect();
    let written = || async { told.lock().unwrap().iter().all(|acks: &Vec<Instant>| acks.len() > 20) };
    until("writers", written).await;
    let (writable, began) = (Arc::new(Mutex::new(None)), Instant::now());
    hit();
    let probes: Vec<_> = others
        .into_iter()
        .map(|at| {
            let (key, writable, stop) = (key.clone(), Arc::clone(&writable), Arc::clone(&stop));
            std::thread::spawn(move || probe(at, &key, &writable, &stop))
        })
        .collect();
    until("a primary that takes writes", || async { writable.lock().unwrap().is_some() }).await;
    let from = writable.lock().unwrap().unwrap();
    let after = |acks: &Vec<Instant>| acks.iter().find(|at| **at >= from).copied();
    until("acknowledged again", || async { told.lock().unwrap().iter().all(|acks| after(acks).is_some()) })
        .await;
    stop.store(true, Ordering::SeqCst);
    for one in writing {
        one.await.unwrap();
    }
    probes.into_iter().for_each(|one| one.join().unwrap());
    let back: Vec<Instant> = told.lock().unwrap().iter().map(|acks| after(acks).unwrap()).collect();
    let ms = |at: Instant| at.duration_since(from).as_secs_f64() * 1000.0;
    let most = |some: &[Instant]| some.iter().map(|at| ms(*at)).fold(0.0, f64::max);
    Times {
        writable: from.duration_since(began).as_secs_f64() * 1000.0,
        first: back.iter().map(|at| ms(*at)).fold(f64::MAX, f64::min),
        all: [most(&back[..WRITERS]), most(&back[WRITERS..])],
    }
}

fn others(servers: &[Server], than: usize) -> Vec<(String, u16)> {
    let others = servers.iter().enumerate().filter(|(n, _)| *n != than);
    others.map(|(_, s)| (s.host.clone(), s.port)).collect()
}

fn hit(server: &mut Server, kill: bool) {
    if kill { server.kill() } else { server.signal("STOP") }
}

fn mend(server: &mut Server, kill: bool) {
    if kill { server.again() } else { server.signal("CONT") }
}

async fn sentinel(kill: bool, rounds: usize) -> Vec<Times> {
    let (mut watched, mut times) = (Watched::start().await, Vec::new());
    for _ in 0..rounds {
        let primary = watched.elected().unwrap();
        let (settings, others) = (watched.settings(), others(&watched.servers, primary));
        let server = &mut watched.servers[primary];
        times.push(round(settings, tenant("acme"), others, "probe".to_owned(), || hit(server, kill)).await);
        mend(&mut watched.servers[primary], kill);
        let good =
            |n: usize| watched.servers[n].cli(&["INFO", "replication"]).contains("min_slaves_good_slaves:2");
        until("two replicas", || async { watched.elected().is_some_and(good) }).await;
    }
    times
}

async fn cluster(kill: bool, rounds: usize) -> Vec<Times> {
    let (mut cluster, mut times) = (Cluster::start(2).await, Vec::new());
    let of = tenant("acme");
    let tag = format!("{{{}}}", Shard::of(&of).0);
    for _ in 0..rounds {
        let slot = slot(&cluster.servers[0], &tag);
        let owner = |cluster: &Cluster| (0..9).find_map(|n| cluster.owner_by(n, slot));
        let primary = owner(&cluster).unwrap();
        let (settings, others) = (cluster.settings(), others(&cluster.servers, primary));
        let server = &mut cluster.servers[primary];
        times.push(round(settings, of.clone(), others, format!("{tag}probe"), || hit(server, kill)).await);
        mend(&mut cluster.servers[primary], kill);
        let good = |n: &usize| {
            let said = cluster.servers[*n].cli(&["INFO", "replication"]);
            said.contains("role:master") && said.contains("min_slaves_good_slaves:2")
        };
        until("three whole primaries", || async { (0..9).filter(good).count() == 3 }).await;
    }
    times
}

fn table(name: &str, times: &[Times]) {
    let of = |of: fn(&Times) -> f64| {
        let mut all: Vec<f64> = times.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        format!("{:.0} / {:.0}", all[all.len() / 2], all[all.len() - 1])
    };
    println!(
        "| {name} | {} | {} | {} | {} | {} |",
        times.len(),
        of(|t| t.writable),
        of(|t| t.first),
        of(|t| t.all[0]),
        of(|t| t.all[1])
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10);
    println!(
        "| primary | rounds | writable after, ms | first acknowledged after that | every replicated writer | every local writer |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    table("Sentinel, killed", &sentinel(true, rounds).await);
    table("Sentinel, stopped", &sentinel(false, rounds).await);
    table("Cluster, killed", &cluster(true, rounds).await);
    table("Cluster, stopped", &cluster(false, rounds).await);
}
