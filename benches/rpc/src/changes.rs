//! RouteCall while 500 users a second change, against the same server quiet: one Redis, one server that follows it, and a
//! process of its own that writes.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tandem_domain::record::Record;
use tandem_store::redis::Settings;
use tandem_store::{Commit, CommitId, Durability, Home, Outcome, World, put};
use tokio::runtime::Runtime;

use crate::server::{tenant, user};
use crate::{ROUND, Result, Served, load, median};

const RATE: u64 = 500;

/// A Redis that ends with this.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn home(port: u16) -> Home {
    Home::Redis(Box::new(Settings { single: true, ..Settings::alone("127.0.0.1", port) }))
}

/// Changes a user of some tenant, 500 times a second for so long.
pub async fn make(port: u16, tenants: usize, time: Duration) -> Result<()> {
    let now =
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros();
    let draws = AtomicU64::new(now() as u64);
    let world = World {
        clock: Arc::new(move || now() as u64),
        chance: Arc::new(move || u128::from(draws.fetch_add(1, Ordering::Relaxed)) << 64),
    };
    let store = home(port).open(world).await?;
    let user = user()?;
    let (began, first) = (Instant::now(), now() << 32);
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    let mut done = 0;
    while began.elapsed() < time {
        tick.tick().await;
        let due = began.elapsed().as_micros() as u64 * RATE / 1_000_000;
        for n in done..due {
            let mut changed = user.clone();
            changed.display_name = Some(format!("Change {n}"));
            let commit = Commit {
                tenant: tenant(n as usize * 7919 % tenants)?,
                id: CommitId(first | u128::from(n)),
                preconditions: Vec::new(),
                writes: vec![put(user.id.as_str(), &Record::User(Arc::new(changed)))],
                durability: Durability::Local,
                trace: None,
            };
            match store.commit(commit).await? {
                Outcome::Committed(_) => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
        done = due;
    }
    println!("{done} changes");
    Ok(())
}

pub fn measure(runtime: &Runtime, args: &[String]) -> Result<()> {
    let number = |at: usize, default| args.get(at).map_or(Ok(default), |a| a.parse());
    let (rounds, tenants, numbers) = (number(0, 7)?, number(1, 1000)?, number(2, 1000)?);
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let redis = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn()?;
    let _redis = Redis(redis);
    std::thread::sleep(Duration::from_secs(1));
    eprintln!("loading {tenants} tenants of {numbers} numbers into Redis...");
    let served = Served::start_at("route", tenants, numbers, port)?;
    let mut ns = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (changing, ns) in ns.iter_mut().enumerate() {
            let mut writer = match changing {
                0 => None,
                _ => Some(writer(port, tenants)?),
            };
            let before = served.cpu()?;
            let done = runtime.block_on(load::run(&served.address, false, tenants, numbers, ROUND))?;
            let cpu = served.cpu()? - before;
            if let Some(writer) = &mut writer
                && !writer.wait()?.success()
            {
                return Err("the writer failed".into());
            }
            if round > 0 {
                ns.push(cpu as f64 / done as f64);
            }
        }
    }
    let each: Vec<f64> = ns[0].iter().zip(&ns[1]).map(|(quiet, changing)| quiet / changing).collect();
    println!("RouteCall quiet, following Redis   {:>8.0} ns CPU a request", median(&ns[0]));
    println!("while 500 users a second change    {:>8.0} ns CPU a request", median(&ns[1]));
    println!("per CPU-second, changing against quiet: {:.2}x (bound 0.9x)", median(&each));
    Ok(())
}

/// Writes for the length of a round, and is under way before it begins.
fn writer(port: u16, tenants: usize) -> Result<Child> {
    let time = (ROUND + Duration::from_millis(600)).as_secs_f64().to_string();
    let child = Command::new(std::env::current_exe()?)
        .args(["--change", &port.to_string(), &tenants.to_string(), &time])
        .stdout(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(300));
    Ok(child)
}
