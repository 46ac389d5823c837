//! Replicas of a cell on one Redis: how long a change is on its way into another's view, how long a follower lists a
//! million records, and how many bytes a user, a station and a lease take, in Redis and in a replica.
//!
//! `cargo run --release -p bench-redis cell`. Redis, the writer and the reader share the machine; the two cells share
//! this process and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cell::follower::Scope;
use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::{CicAccount, LyncAccount, Station, User};
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::document::terms::{CallControl, StationKind, TelephonyMode};
use tandem_domain::id::{Incarnation, Revision, StationId, TenantId, TenantName, UserId};
use tandem_domain::record::{self, PolicyRecord, Record, TenantRecord};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_store::redis::Settings as RedisSettings;
use tandem_store::{Commit, Durability, Home, Key, Outcome, Until, What, Write, put};
use tokio::task::JoinSet;

use crate::Server;

const TENANTS: u64 = 1_000;
const PEOPLE: u64 = 1_000;
/// Changes a second, and for how long.
const RATE: u64 = 5_000;
const SECONDS: u64 = 10;

pub async fn run() {
    let server = Server::start(&["--appendonly", "no"]);
    let chance = Chance::machine();
    let writer = join(&server, &chance).await;
    for n in 0..TENANTS {
        born(&writer, n).await;
    }
    measure_way(&server, &writer, &chance).await;
    let fill = [("user", user as fn(u64, u64) -> Write), ("station", station), ("lease", lease)];
    for (what, write) in fill {
        let (redis, replica) = (server.memory(), resident());
        fill_with(&writer, write).await;
        let each =
            |before: u64, after: u64| (after.saturating_sub(before)) as f64 / (TENANTS * PEOPLE) as f64;
        let (redis, replica) = (each(redis, server.memory()), each(replica, resident()));
        println!(
            "a {what}, of {}: {redis:.0} B in Redis, its share of the log included; {replica:.0} B in a replica",
            TENANTS * PEOPLE
        );
        if what == "user" {
            for _ in 0..3 {
                list(&server, &chance).await;
            }
        }
    }
}

async fn join(server: &Server, chance: &Chance) -> Cell {
    let settings = Settings { home: home(server), ..Settings::memory("bench") };
    // Ends with the process.
    let life: &'static Life = Box::leak(Box::new(Life::new()));
    let cell = Cell::open(life, Clock::machine(), chance.clone(), settings).await.expect("the store opens");
    cell.view().synchronised().await;
    cell
}

fn home(server: &Server) -> Home {
    let settings = RedisSettings { single: true, ..RedisSettings::alone("127.0.0.1", server.port) };
    Home::Redis(Box::new(settings))
}

/// A follower begins with what is there.
async fn list(server: &Server, chance: &Chance) {
    let life = Life::new();
    let settings = Settings { home: home(server), ..Settings::memory("bench") };
    let began = Instant::now();
    let cell = Cell::open(&life, Clock::machine(), chance.clone(), settings).await.expect("the store opens");
    cell.view().synchronised().await;
    let users: usize = cell.view().load().view.tenants().map(|t| t.users_len()).sum();
    println!(
        "a follower lists {users} users and has a view of them in {:.2} s",
        began.elapsed().as_secs_f64()
    );
    life.shutdown.advance(tandem_runtime::drain::Phase::Stopped);
}

/// From the commit's acknowledgement at one replica until another's view shows it.
async fn measure_way(server: &Server, writer: &Cell, chance: &Chance) {
    let reader = join(server, chance).await;
    let (_, mut changes) = reader.view().subscribe(Scope::Cell);
    // One looks at every change: many who each wait for one would be woken by each.
    let looking = tokio::spawn(async move {
        let mut seen = HashMap::new();
        while let Ok(Ok(batch)) = tokio::time::timeout(Duration::from_secs(2), changes.next()).await {
            seen.insert((batch.tenant.clone(), batch.revision), Instant::now());
        }
        seen
    });
    let (mut tasks, mut committed) = (JoinSet::new(), Vec::new());
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        tick.tick().await;
        let due = began.elapsed().as_micros() as u64 * RATE / 1_000_000;
        for n in sent..due {
            let writer = writer.clone();
            tasks.spawn(async move {
                let tenant = tenant(n % TENANTS);
                let revision = commit(&writer, &tenant, vec![user(n % TENANTS, n / TENANTS % PEOPLE)]).await;
                ((tenant, revision), Instant::now())
            });
        }
        sent = due;
        while let Some(done) = tasks.try_join_next() {
            committed.push(done.expect("it is committed"));
        }
    }
    while let Some(done) = tasks.join_next().await {
        committed.push(done.expect("it is committed"));
    }
    let elapsed = began.elapsed();
    let seen = looking.await.expect("it looked");
    let way = |(change, at): &((TenantId, Revision), Instant)| {
        seen.get(change).expect("it was seen").saturating_duration_since(*at)
    };
    let mut times: Vec<Duration> = committed.iter().map(way).collect();
    let rate = sent as f64 / elapsed.as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (half, most, all) = (at(0.5), at(0.99), at(1.0));
    println!(
        "committed at one replica, in another's view, {rate:.0} a second: median {half:.2} ms, p99 {most:.2} ms, most {all:.2} ms"
    );
}

async fn fill_with(cell: &Cell, write: fn(u64, u64) -> Write) {
    let mut tasks = JoinSet::new();
    for n in 0..TENANTS {
        for from in (0..PEOPLE).step_by(250) {
            let cell = cell.clone();
            let writes = (from..from + 250).map(|at| write(n, at)).collect();
            tasks.spawn(async move {
                let revision = commit(&cell, &tenant(n), writes).await;
                let patience = tokio::time::Instant::now() + Duration::from_secs(120);
                cell.view().wait_for(&tenant(n), revision, patience).await.expect("it is shown");
            });
            while tasks.len() >= 32 {
                tasks.join_next().await;
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn commit(cell: &Cell, tenant: &TenantId, writes: Vec<Write>) -> Revision {
    let commit = Commit {
        tenant: tenant.clone(),
        id: cell.commit_id(),
        preconditions: Vec::new(),
        writes,
        durability: Durability::Local,
        trace: None,
    };
    match cell.store().commit(commit).await {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("{other:?}"),
    }
}

fn tenant(n: u64) -> TenantId {
    let name = TenantName::parse(&format!("tenant-{n}")).expect("it is a label");
    TenantId { name, incarnation: Incarnation(u128::from(n) + 1) }
}

async fn born(cell: &Cell, n: u64) {
    const POLICY: &str = include_str!("../../../services/foundation/domain/src/tenant/base.yaml");
    let document: TenantDocument = serde_saphyr::from_str(POLICY).expect("the policy is valid");
    let (id, policy) = (tenant(n), PolicyRecord { generation: 1, spec: document.spec });
    let tenant = Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false });
    commit(cell, &record::cell(), vec![put(id.name.as_str(), &tenant)]).await;
    commit(cell, &id, vec![put("", &Record::Policy(Arc::new(policy)))]).await;
}

fn user(of: u64, n: u64) -> Write {
    let user = User {
        id: UserId::parse(&format!("user.{n}")).expect("it is a name"),
        display_name: Some(format!("User {n}")),
        cic: Some(CicAccount {
            user_id: format!("user{n}"),
            extension: Some(format!("{:06}", 100_000 + n)),
            nt_domain_account: Some(format!("ACME{of}\\user{n}")),
            source: None,
        }),
        lync: Some(LyncAccount {
            sip_address: format!("sip:user.{n}@acme{of}.example"),
            line_uri: Some(format!("tel:+4930{:07}", 1_000_000 + n)),
            line_server: None,
            telephony: TelephonyMode::Uc,
            source: None,
        }),
        call_control: CallControl::CicClient,
        phone: None,
        plug_in: true,
        station: Some(StationId::parse(&format!("station.{n}")).expect("it is a name")),
        site: None,
        treatments: Default::default(),
    };
    put(user.id.clone().as_str(), &Record::User(Arc::new(user)))
}

fn station(_: u64, n: u64) -> Write {
    let station = Station {
        id: StationId::parse(&format!("station.{n}")).expect("it is a name"),
        kind: StationKind::Remote,
        contact_address: Some(format!("tel:+4930{:07}", 1_000_000 + n)),
        extension: None,
        site: None,
        audio_licence: true,
        acd_licence: false,
        ring_seconds: None,
    };
    put(station.id.clone().as_str(), &Record::Station(Arc::new(station)))
}

/// As a station's lease will be: a claim that says who sits there. No view has them yet.
fn lease(_: u64, n: u64) -> Write {
    let what = What::Claim(format!("user.{n}").into_bytes().into(), Until::After(Duration::from_secs(3_600)));
    Write { key: Key::new(200, &format!("station.{n}")), what }
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages") * 4096
}
