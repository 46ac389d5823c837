//! `RouteCall` and `RouteCalls` against a bare tonic echo of the same messages, in one run.
//!
//! The servers are children pinned to one core, each with one current-thread runtime, the load is this process on
//! another. Rounds take turns. What counts is the servers' CPU time per request, read from the kernel.
//!
//!     bench-rpc [ROUNDS] [TENANTS] [NUMBERS]
//!     bench-rpc --changes [ROUNDS] [TENANTS] [NUMBERS]         RouteCall on Redis while 500 users a second change, against quiet
//!     bench-rpc --serve route|echo TENANTS NUMBERS              one server alone, for a profiler: prints its address
//!     bench-rpc --change PORT TENANTS SECONDS                   500 changes a second, to the Redis at that port
//!     bench-rpc --load ADDRESS unary|stream TENANTS NUMBERS     one round against it

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod changes;
mod load;
mod server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections and requests in flight on each.
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 32;
/// How long a round lasts.
const ROUND: Duration = Duration::from_secs(2);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // Ended by its own handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(mode: &str, tenants: usize, numbers: usize) -> Result<Self> {
        Self::start_at(mode, tenants, numbers, 0)
    }

    /// `port`: that of its Redis, 0 where it has none.
    fn start_at(mode: &str, tenants: usize, numbers: usize, port: u16) -> Result<Self> {
        let this = std::env::current_exe()?;
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(this)
            .args(["--serve", mode, &tenants.to_string(), &numbers.to_string(), &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    /// CPU time of every thread, in ns.
    fn cpu(&self) -> Result<u64> {
        let mut total = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = std::fs::read_to_string(task?.path().join("schedstat"))?;
            total += stat.split(' ').next().unwrap_or("0").parse::<u64>()?;
        }
        Ok(total)
    }
}

/// One way of asking one server.
struct Case {
    name: &'static str,
    server: usize,
    stream: bool,
    ns: Vec<f64>,
    rate: Vec<f64>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "--serve") {
        let port = args.get(4).map_or(Ok(0), |port| port.parse())?;
        return server::run(&args[1], args[2].parse()?, args[3].parse()?, port);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.first().is_some_and(|a| a == "--load") {
        let (tenants, numbers) = (args[3].parse()?, args[4].parse()?);
        let done = runtime.block_on(load::run(&args[1], args[2] == "stream", tenants, numbers, ROUND))?;
        println!("{done} answers");
        return Ok(());
    }
    if args.first().is_some_and(|a| a == "--change") {
        let time = Duration::from_secs_f64(args[3].parse()?);
        return runtime.block_on(changes::make(args[1].parse()?, args[2].parse()?, time));
    }
    if args.first().is_some_and(|a| a == "--changes") {
        return changes::measure(&runtime, &args[1..]);
    }
    let number = |at: usize, default| args.get(at).map_or(Ok(default), |a| a.parse());
    let (rounds, tenants, numbers) = (number(0, 7)?, number(1, 1000)?, number(2, 1000)?);
    eprintln!("loading {tenants} tenants of {numbers} numbers...");
    let servers = [Served::start("route", tenants, numbers)?, Served::start("echo", tenants, numbers)?];
    let case = |name, server, stream| Case { name, server, stream, ns: Vec::new(), rate: Vec::new() };
    let mut cases = [
        case("RouteCall", 0, false),
        case("echo, unary", 1, false),
        case("RouteCalls", 0, true),
        case("echo, bidirectional", 1, true),
    ];
    for round in 0..=rounds {
        for case in &mut cases {
            let served = &servers[case.server];
            let (before, start) = (served.cpu()?, Instant::now());
            let done = runtime.block_on(load::run(&served.address, case.stream, tenants, numbers, ROUND))?;
            let (cpu, elapsed) = (served.cpu()? - before, start.elapsed());
            // The first round warms up.
            if round > 0 {
                case.ns.push(cpu as f64 / done as f64);
                case.rate.push(done as f64 / elapsed.as_secs_f64());
            }
        }
    }
    for case in &cases {
        println!(
            "{:<22} {:>8.0} ns CPU a request, {:>8.0} a second",
            case.name,
            median(&case.ns),
            median(&case.rate)
        );
    }
    // Each round's own ratio: neighbours of the machine disturb both alike.
    let ratio = |a: usize, b: usize| {
        let each: Vec<f64> = cases[b].ns.iter().zip(&cases[a].ns).map(|(b, a)| b / a).collect();
        median(&each)
    };
    println!("RouteCall per CPU-second against the unary echo:           {:.2}x (bound 0.95x)", ratio(0, 1));
    println!("RouteCalls per CPU-second against the bidirectional echo:  {:.2}x (bound 0.6x)", ratio(2, 3));
    println!("RouteCalls per CPU-second against the unary echo:          {:.2}x (bound 4x)", ratio(2, 1));
    Ok(())
}
