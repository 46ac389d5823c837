//! What the store crate adds to its scripts: commits through it, against the same commands sent by a client that does
//! nothing else (redis-benchmark cannot: its arguments end at a zero byte, and ours hold some).
//!
//! `cargo run --release -p bench-redis [COMMITS]`. Each round does both, in turn; medians and their ratio are printed.
//! A commit is a claim of a key of 200 bytes under a fence. Redis and the client each run where the system puts them.
//!
//! `cargo run --release -p bench-redis cell` measures what replicas do with it (`cell.rs`).

mod cell;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_store::redis::{Redis, Settings, Time};
use tandem_store::{
    Backend, Commit, CommitId, Durability, Key, Outcome, Precondition, Until, What, World, Write as Change,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

/// As the product allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const IN_FLIGHT: usize = 800;
/// Commits under way where each is synced.
const SYNCED_IN_FLIGHT: usize = 50;
const ROUNDS: usize = 5;
/// The bytes of an answer that says committed: an array of 0 and a revision.
const ANSWER: usize = 22;
const TENANTS: u64 = 64;
const START: u64 = 1_700_000_000_000_000;

struct Server {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(dir.path())
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server; `tests/run tools` installs it");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, port, _dir: dir }
    }

    /// Seconds of CPU that it has used.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id())).unwrap();
        stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
    }

    /// Bytes of data that it holds.
    fn memory(&self) -> u64 {
        let mut to = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        to.write_all(b"INFO memory\r\n").unwrap();
        let mut answer = [0; 16 * 1024];
        let n = to.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..n]);
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("used_memory");
        used.trim().parse().unwrap()
    }

    fn ask(&self, command: &[u8]) {
        let mut to = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        to.write_all(command).unwrap();
        let _ = to.read(&mut [0; 4096]).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tenant(n: u64) -> TenantId {
    TenantId { name: TenantName::parse(&format!("tenant-{n}")).unwrap(), incarnation: Incarnation(1) }
}

fn open(port: u16, single: bool) -> Redis {
    let clock = AtomicU64::new(START);
    let draws = AtomicU64::new(1);
    let world = World {
        // By a microsecond a call: the same commands bring the same revisions.
        clock: Arc::new(move || clock.load(Ordering::Relaxed)),
        chance: Arc::new(move || u128::from(draws.fetch_add(1, Ordering::Relaxed)) << 64),
    };
    let settings = Settings {
        single,
        time: Time::World,
        write_within: Duration::from_secs(60),
        ..Settings::alone("127.0.0.1", port)
    };
    Redis::open(settings, world)
}

fn commit(n: u64, tokens: &[Revision], durability: Durability) -> Commit {
    let of = n % TENANTS;
    let key = Key::new(3, &format!("station-{n:08}"));
    let claim = What::Claim(vec![b'x'; 200].into(), Until::After(Duration::from_secs(60)));
    Commit {
        tenant: tenant(of),
        id: CommitId(u128::from(n) << 32 | 0xabcd),
        preconditions: vec![
            Precondition::TokenIs(Key::new(3, "fence"), tokens[of as usize]),
            Precondition::Absent(key.clone()),
        ],
        writes: vec![Change { key, what: claim }],
        durability,
        trace: None,
    }
}

/// The fences, as every round has them.
async fn fences(store: &Redis) -> Vec<Revision> {
    let mut tokens = Vec::new();
    for n in 0..TENANTS {
        let what = What::Claim((*b"fence").into(), Until::After(Duration::from_secs(600_000)));
        let write = Change { key: Key::new(3, "fence"), what };
        let commit = Commit {
            tenant: tenant(n),
            id: CommitId(1 << 100 | u128::from(n)),
            preconditions: vec![],
            writes: vec![write],
            durability: Durability::Local,
            trace: None,
        };
        match store.commit(commit).await.unwrap() {
            Outcome::Committed(token) => tokens.push(token),
            other => panic!("{other:?}"),
        }
    }
    tokens
}

/// Seconds of CPU that this process has used.
fn own_cpu() -> f64 {
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("schedstat")).ok();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of);
    tasks.map(|stat| stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9).sum()
}

/// Commits through the store crate; answers seconds by the clock.
async fn through(store: &Redis, commits: u64, in_flight: usize, durability: Durability) -> f64 {
    let tokens = Arc::new(fences(store).await);
    let room = Arc::new(Semaphore::new(in_flight));
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..commits {
        let permit = Arc::clone(&room).acquire_owned().await.unwrap();
        let (store, tokens) = (store.clone(), Arc::clone(&tokens));
        tasks.spawn(async move {
            let outcome = store.commit(commit(n, &tokens, durability)).await;
            assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
            drop(permit);
        });
        while tasks.try_join_next().is_some_and(|done| done.is_ok()) {}
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    began.elapsed().as_secs_f64()
}

/// Commands that a store sent on its connection of commits, as bytes, one each.
async fn record(server: &Server, commits: u64) -> Vec<Vec<u8>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut records) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    let to = server.port;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let server = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let (mut all, mut chunk) = (Vec::new(), vec![0; 65536]);
                while let Ok(n @ 1..) = from_client.read(&mut chunk).await {
                    all.extend_from_slice(&chunk[..n]);
                    if to_server.write_all(&chunk[..n]).await.is_err() {
                        break;
                    }
                }
                let _ = sender.send(all);
            });
        }
    });
    let store = open(port, true);
    store.check().await.unwrap();
    through(&store, commits, IN_FLIGHT, Durability::Local).await;
    store.close().await.unwrap();
    drop(store);
    let mut longest = Vec::new();
    while let Ok(Some(all)) = tokio::time::timeout(Duration::from_secs(2), records.recv()).await {
        if all.len() > longest.len() {
            longest = all;
        }
    }
    let is_commit =
        |command: &Vec<u8>| command.windows(7).take(24).any(|w| w == b"EVALSHA") && command.len() > 400;
    split(&longest).into_iter().filter(is_commit).collect()
}

/// RESP commands, one each.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let number = |at: usize| {
        let end = at + bytes[at..].iter().position(|b| *b == b'\r').unwrap();
        (std::str::from_utf8(&bytes[at + 1..end]).unwrap().parse::<usize>().unwrap(), end + 2)
    };
    let (mut at, mut commands) = (0, Vec::new());
    while at < bytes.len() {
        let begin = at;
        let (args, mut next) = number(at);
        for _ in 0..args {
            let (len, value) = number(next);
            next = value + len + 2;
        }
        commands.push(bytes[begin..next].to_vec());
        at = next;
    }
    commands
}

/// Sends commands and counts answers, with so many under way; answers seconds by the clock.
fn blast(port: u16, commands: &[Vec<u8>], in_flight: usize) -> f64 {
    let mut to = TcpStream::connect(("127.0.0.1", port)).unwrap();
    to.set_nodelay(true).unwrap();
    let (mut sent, mut received) = (0, 0);
    let mut answers = vec![0; 1 << 16];
    let began = Instant::now();
    let mut out = Vec::new();
    while received < commands.len() * ANSWER {
        let end = (received / ANSWER + in_flight).min(commands.len());
        out.clear();
        commands[sent..end].iter().for_each(|c| out.extend_from_slice(c));
        sent = end;
        to.write_all(&out).unwrap();
        let n = to.read(&mut answers).unwrap();
        assert!(received > 0 || answers.starts_with(b"*2\r\n:0\r\n$8\r\n"), "the commands are not taken");
        received += n;
    }
    assert_eq!(received, commands.len() * ANSWER, "a command was not taken");
    began.elapsed().as_secs_f64()
}

/// Commits of which each is synced to the disk, against the bare client with as many under way.
async fn synced(commands: &[Vec<u8>]) {
    let commits = commands.len() as u64 - TENANTS;
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut speed = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        server.ask(b"FLUSHALL\r\n");
        let store = open(server.port, true);
        store.check().await.unwrap();
        let seconds = through(&store, commits, SYNCED_IN_FLIGHT, Durability::Local).await;
        speed.0.push(commits as f64 / seconds);
        store.close().await.unwrap();
        server.ask(b"FLUSHALL\r\n");
        let seconds = tokio::task::block_in_place(|| blast(server.port, commands, SYNCED_IN_FLIGHT));
        speed.1.push(commands.len() as f64 / seconds);
    }
    line("commits a second, each synced, 50 in flight, against bare client", speed.0, speed.1, "");
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn line(what: &str, ours: Vec<f64>, theirs: Vec<f64>, unit: &str) {
    let ratios = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    println!("{what}: {:.2} against {:.2} {unit}, {:.2}x", median(ours), median(theirs), median(ratios));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().nth(1).is_some_and(|mode| mode == "cell") {
        return cell::run().await;
    }
    let commits: u64 = std::env::args().nth(1).map_or(100_000, |n| n.parse().unwrap());
    let server = Server::start(&["--appendonly", "no"]);
    let commands = record(&server, commits).await;
    println!("{} commands recorded, {} bytes each", commands.len(), commands.last().unwrap().len());
    let (mut cpu, mut speed) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    let mut own = Vec::new();
    for _ in 0..ROUNDS {
        server.ask(b"FLUSHALL\r\n");
        let store = open(server.port, true);
        store.check().await.unwrap();
        let (before, own_before) = (server.cpu(), own_cpu());
        let seconds = through(&store, commits, IN_FLIGHT, Durability::Local).await;
        cpu.0.push((server.cpu() - before) * 1e6 / commits as f64);
        own.push((own_cpu() - own_before) * 1e6 / commits as f64);
        speed.0.push(commits as f64 / seconds / 1000.0);
        store.close().await.unwrap();
        server.ask(b"FLUSHALL\r\n");
        let before = server.cpu();
        let seconds = tokio::task::block_in_place(|| blast(server.port, &commands, IN_FLIGHT));
        cpu.1.push((server.cpu() - before) * 1e6 / commands.len() as f64);
        speed.1.push(commands.len() as f64 / seconds / 1000.0);
    }
    line("CPU of Redis a commit, store crate against bare client", cpu.0, cpu.1, "us");
    line("commits a second, store crate against bare client", speed.0, speed.1, "thousand");
    println!("CPU of this process a commit: {:.1} us, the making of the commit included", median(own));
    synced(&commands[..commands.len().min(6_000)]).await;

    let primary = Server::start(&["--appendonly", "yes", "--min-replicas-to-write", "1"]);
    let of = primary.port.to_string();
    let _replica = Server::start(&["--appendonly", "no", "--replicaof", "127.0.0.1", &of]);
    let store = open(primary.port, false);
    let until = Instant::now() + Duration::from_secs(30);
    while store.commit(commit(u64::from(u32::MAX), &[Revision(0); 64], Durability::Local)).await.is_err() {
        assert!(Instant::now() < until, "no replica");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut speed = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (durability, into) in [(Durability::Replicated, &mut speed.0), (Durability::Local, &mut speed.1)]
        {
            primary.ask(b"FLUSHALL\r\n");
            let seconds = through(&store, commits / 2, IN_FLIGHT, durability).await;
            into.push(commits as f64 / 2.0 / seconds / 1000.0);
        }
    }
    line("commits a second, replicated against local", speed.0, speed.1, "thousand");
}
