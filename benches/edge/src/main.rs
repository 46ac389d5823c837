//! What a call costs an edge that holds a million numbers, against Kamailio.
//!
//!     bench-edge [ROUNDS] [redirect|proxy]        9 rounds of both by default
//!
//! Redirected calls (INVITE, 302, ACK): the edge, which keeps a transaction and looks the number up, against Kamailio
//! with a transaction (`t_newtran`, `t_reply`) and without (`sl_send_reply`), both of which answer every number with
//! the same two Contacts; beside them a loop that only parses and writes, as the floor. Full calls through a
//! stateful, record-routing proxy (INVITE, 100, 180, 200, ACK, BYE, 200): the edge against Kamailio (`tm`, `rr`).
//! Kamailio has one worker and its fastest allocator (`-x fm -X fm`).
//!
//! Servers are children on core 0, the load is on core 1; rounds take turns. What counts is the server's CPU time per
//! call (`/proc/PID/task/*/schedstat`), for it is steady on a machine that is shared: calls per CPU-second are its
//! inverse. A server's CPU is counted from the first round to the end of its last transaction, so that what a
//! transaction costs after its call is counted; a round's is what was used until the server's next round.
//!
//! A call that nobody answers, or that is refused, fails the run. Needs `taskset`, `kamailio` and two cores.

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use cpu::Cpu;
use load::{Ends, Round};
use server::Server;

mod cpu;
mod floor;
mod load;
mod message;
mod phone;
mod serve;
mod server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const EDGE: &str = "127.9.2.1";
pub const KAMAILIO: &str = "127.9.2.2";
pub const FLOOR: &str = "127.9.2.3";
pub const CALLER_REDIRECTED: &str = "127.9.2.10";
pub const CALLER_PROXIED: &str = "127.9.2.11";
const PHONE: &str = "127.9.2.30";

/// A socket of the load's or the floor's, with room enough that a datagram that is lost is the server's doing.
pub fn bind(ip: &str) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    Ok(socket)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// What a server did: its CPU at the start of each round and at the end, and the rounds.
#[derive(Default)]
struct Record {
    cpu: Vec<Cpu>,
    rounds: Vec<Round>,
}

impl Record {
    fn calls(&self) -> u64 {
        self.rounds.iter().map(|r| r.done).sum()
    }

    /// Microseconds of CPU a call, of the whole run.
    fn cost(&self) -> f64 {
        let used = self.cpu.last().map_or(0, Cpu::ns) - self.cpu.first().map_or(0, Cpu::ns);
        used as f64 / 1e3 / self.calls() as f64
    }

    /// Of each round.
    fn costs(&self) -> Vec<f64> {
        let used = self.cpu.windows(2).map(|w| w[1].ns() - w[0].ns());
        used.zip(&self.rounds).map(|(ns, r)| ns as f64 / 1e3 / r.done as f64).collect()
    }

    /// What a thread that matters took of that.
    fn threads(&self) -> String {
        let (Some(first), Some(last)) = (self.cpu.first(), self.cpu.last()) else { return String::new() };
        let cost = |ns: u64| ns as f64 / 1e3 / self.calls() as f64;
        let busy = last.since(first).into_iter().filter(|(_, ns)| cost(*ns) >= 0.1);
        busy.map(|(name, ns)| format!("{name} {:.2}", cost(ns))).collect::<Vec<_>>().join(", ")
    }

    /// What did not go as it was meant to; none: all did.
    fn faults(&self) -> Option<String> {
        let lost: u64 = self.rounds.iter().map(|r| r.lost).sum();
        let refused: Vec<String> = self
            .rounds
            .iter()
            .flat_map(|r| &r.refused)
            .map(|(status, count)| format!("{count} refused with {status}"))
            .collect();
        (lost > 0 || !refused.is_empty()).then(|| format!("{lost} lost; {}", refused.join(", ")))
    }
}

/// What is compared.
struct Contest {
    title: &'static str,
    from: &'static str,
    ends: Ends,
    /// How long the last transaction lives.
    settle: Duration,
}

/// Rounds of each server in turn, then a table; the first server is what the others are compared with.
fn compare(contest: &Contest, servers: &[Server], rounds: usize, next: &mut u64) -> Result<()> {
    let mut records: Vec<Record> = servers.iter().map(|_| Record::default()).collect();
    for _ in 0..rounds {
        for (server, record) in servers.iter().zip(&mut records) {
            record.cpu.push(server.cpu());
            record.rounds.push(load::round(contest.from, server.at, contest.ends, *next)?);
            *next += 64_000_000;
        }
    }
    sleep(contest.settle);
    records.iter_mut().zip(servers).for_each(|(record, server)| record.cpu.push(server.cpu()));
    println!("\n{}, {rounds} rounds", contest.title);
    let ours = &records[0];
    for (server, record) in servers.iter().zip(&records) {
        let (cost, costs) = (record.cost(), record.costs());
        let by_rounds: Vec<f64> =
            costs.iter().zip(ours.costs()).map(|(theirs, ours)| theirs / ours).collect();
        let spread = |of: &[f64]| of.iter().fold((f64::MAX, 0_f64), |(l, m), c| (l.min(*c), m.max(*c)));
        let ((least, most), (worst, best)) = (spread(&costs), spread(&by_rounds));
        let rate = median(record.rounds.iter().map(|r| r.done as f64 / r.seconds).collect());
        println!(
            "{:38} {:>7.0} calls/CPU-s  {cost:>6.2} us CPU/call ({least:.2} to {most:.2}; {}) of {} calls at {rate:.0}/s  edge is {:.2}x (rounds {:.2}x, {worst:.2}x to {best:.2}x)",
            server.name,
            1e6 / cost,
            record.threads(),
            record.calls(),
            cost / ours.cost(),
            median(by_rounds),
        );
    }
    let faults =
        servers.iter().zip(&records).filter_map(|(s, r)| Some(format!("{}: {}", s.name, r.faults()?)));
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(format!("calls failed: {}", faults.join("; ")).into()) }
}

/// The load, on core 1.
fn load(rounds: usize, what: &str) -> Result<()> {
    let phone = bind(PHONE)?;
    let at = phone.local_addr()?;
    std::thread::spawn(move || phone::run(&phone).map_err(|e| eprintln!("the phone: {e}")));
    let mut next = 1;
    let edge = || Server::own("edge, 1,000,000 numbers", &["serve", &at.to_string()]);
    if what != "proxy" {
        let contest = Contest {
            title: "redirected calls",
            from: CALLER_REDIRECTED,
            ends: Ends::Redirected,
            settle: Duration::from_secs(7),
        };
        let servers = [
            edge()?,
            Server::kamailio("kamailio t_newtran + t_reply", "TM", at)?,
            Server::kamailio("kamailio sl_send_reply, no transaction", "SL", at)?,
            Server::own("bare loop, parse and answer", &["floor"])?,
        ];
        compare(&contest, &servers, rounds, &mut next)?;
    }
    if what != "redirect" {
        let contest = Contest {
            title: "full calls through a stateful proxy",
            from: CALLER_PROXIED,
            ends: Ends::HungUp,
            settle: Duration::from_secs(40),
        };
        let servers: [Server; 2] = [edge()?, Server::kamailio("kamailio tm + rr", "RELAY", at)?];
        compare(&contest, &servers, rounds, &mut next)?;
    }
    Ok(())
}

/// Runs this program again, with the load's role, on core 1.
fn pinned(rounds: &str, what: &str) -> Result<()> {
    let own = std::env::current_exe()?;
    let status = Command::new("taskset").args(["-c", "1"]).arg(own).args(["load", rounds, what]).status()?;
    if status.success() { Ok(()) } else { Err(format!("the load failed: {status}").into()) }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", next] => serve::run(next.parse::<SocketAddr>()?),
        ["floor"] => floor::run(),
        ["load", rounds, what] => load(rounds.parse()?, what),
        [] => pinned("9", "both"),
        [rounds] => pinned(rounds, "both"),
        [rounds, what @ ("redirect" | "proxy")] => pinned(rounds, what),
        _ => Err("usage: bench-edge [ROUNDS] [redirect|proxy]".into()),
    }
}
