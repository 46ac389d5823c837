//! What a call costs an edge that holds a million numbers, against Kamailio.
//!
//!     bench-edge [ROUNDS]        7 by default
//!
//! Redirected calls (INVITE, 302, ACK): the edge, which keeps a transaction and looks the number up, against Kamailio
//! with a transaction (`t_newtran`, `t_reply`) and without (`sl_send_reply`), both of which answer every number with
//! the same two Contacts. Full calls through a stateful, record-routing proxy (INVITE, 100, 180, 200, ACK, BYE, 200):
//! the edge against Kamailio (`tm`, `rr`). Kamailio has one worker and its fastest allocator (`-x fm -X fm`).
//!
//! Servers are children on core 0, the load is on core 1; rounds take turns. What counts is the server's CPU time per
//! call (`/proc/PID/task/*/schedstat`), for it is steady on a machine that is shared: calls per CPU-second are its
//! inverse. Medians of the rounds are printed. Needs `taskset`, `kamailio` and two cores.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod load;
mod serve;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const EDGE: &str = "127.9.2.1";
const KAMAILIO: &str = "127.9.2.2";
pub const CALLER_REDIRECTED: &str = "127.9.2.10";
pub const CALLER_PROXIED: &str = "127.9.2.11";
const PHONE: &str = "127.9.2.30";

/// A server on core 0, ended by its pid.
struct Server {
    child: Child,
    at: SocketAddr,
    pids: Vec<u32>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, for Kamailio then ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Server {
    fn edge(phone: SocketAddr) -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(own).args(["serve", &phone.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("its output")?).lines();
        let at = lines.next().ok_or("the edge ended")??.parse()?;
        lines.next().ok_or("the edge ended")??;
        let pids = vec![child.id()];
        Ok(Self { child, at, pids })
    }

    fn kamailio(mode: &str, phone: SocketAddr) -> Result<Self> {
        let at = UdpSocket::bind((KAMAILIO, 0))?.local_addr()?;
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio.cfg");
        let mut command = Command::new("taskset");
        command.args([
            "-c", "0", "kamailio", "-f", config, "-DD", "-E", "-m", "1024", "-M", "32", "-x", "fm", "-X",
            "fm",
        ]);
        command.args([
            "-Y",
            "/tmp",
            "-A",
            mode,
            "-A",
            &format!("NEXT=\"sip:{phone}\""),
            "-l",
            &format!("udp:{at}"),
        ]);
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let child = command.env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut server = Self { child, at, pids: Vec::new() };
        // Its workers are its children, and there is one more than it has sockets: it serves once it answers.
        let probe = UdpSocket::bind((CALLER_REDIRECTED, 0))?;
        probe.set_read_timeout(Some(Duration::from_millis(100)))?;
        let start = Instant::now();
        loop {
            let from = probe.local_addr()?;
            let ask = format!(
                "BYE sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-0\r\nFrom: <sip:a@{from}>;tag=1\r\n\
                 To: <sip:{at}>;tag=2\r\nCall-ID: probe\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = probe.send_to(ask.as_bytes(), at);
            if probe.recv(&mut [0; 2_048]).is_ok() {
                break;
            }
            if start.elapsed() > Duration::from_secs(10) || server.child.try_wait()?.is_some() {
                return Err("kamailio does not serve".into());
            }
        }
        let pid = server.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        server.pids = children.split_whitespace().filter_map(|p| p.parse().ok()).chain([pid]).collect();
        Ok(server)
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Rounds of each server in turn, then a table; the first server is what the others are compared with.
fn compare(
    title: &str,
    servers: &[(&str, Server)],
    from: &str,
    full: bool,
    rounds: usize,
    next: &mut u64,
) -> Result<()> {
    let mut cost: Vec<Vec<f64>> = vec![Vec::new(); servers.len()];
    let mut rate = cost.clone();
    let mut failed = vec![0; servers.len()];
    for _ in 0..rounds {
        for (at, (_, server)) in servers.iter().enumerate() {
            let measured = load::round(from, server.at, &server.pids, full, *next)?;
            *next += 1_000_000;
            cost[at].push(measured.cpu_ns as f64 / 1e3 / measured.calls as f64);
            rate[at].push(measured.calls as f64 / measured.seconds);
            failed[at] += measured.failed;
        }
    }
    println!("\n{title}, {rounds} rounds, medians");
    let edge = median(cost[0].clone());
    for (at, (name, _)) in servers.iter().enumerate() {
        let ratio = median(cost[at].iter().zip(&cost[0]).map(|(theirs, ours)| theirs / ours).collect());
        let (least, most) = cost[at].iter().fold((f64::MAX, 0_f64), |(l, m), c| (l.min(*c), m.max(*c)));
        let cost = median(cost[at].clone());
        println!(
            "{name:38} {:>8.0} calls/CPU-s  {cost:>7.2} us CPU/call ({least:.2} to {most:.2})  {:>7.0} calls/s  failed {}  edge is {:.2}x ({ratio:.2}x by rounds)",
            1e6 / cost,
            median(rate[at].clone()),
            failed[at],
            cost / edge,
        );
    }
    Ok(())
}

/// The load, on core 1.
fn load(rounds: usize) -> Result<()> {
    let phone = UdpSocket::bind((PHONE, 0))?;
    let at = phone.local_addr()?;
    std::thread::spawn(move || load::phone(&phone).map_err(|e| eprintln!("the phone: {e}")));
    let mut next = 1;
    let edge = ("edge, 1,000,000 numbers", Server::edge(at)?);
    let servers = [
        edge,
        ("kamailio t_newtran + t_reply", Server::kamailio("TM", at)?),
        ("kamailio sl_send_reply, no transaction", Server::kamailio("SL", at)?),
    ];
    compare("redirected calls", &servers, CALLER_REDIRECTED, false, rounds, &mut next)?;
    let [edge, ..] = servers;
    let servers = [edge, ("kamailio tm + rr", Server::kamailio("RELAY", at)?)];
    compare("full calls through a stateful proxy", &servers, CALLER_PROXIED, true, rounds, &mut next)
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", next] => serve::run(next.parse()?),
        ["load", rounds] => load(rounds.parse()?),
        [] | [_] => {
            let rounds = args.first().map_or("7", String::as_str);
            let status = Command::new("taskset")
                .args(["-c", "1"])
                .arg(std::env::current_exe()?)
                .args(["load", rounds])
                .status()?;
            if status.success() { Ok(()) } else { Err(format!("the load failed: {status}").into()) }
        }
        _ => Err("usage: bench-edge [ROUNDS]".into()),
    }
}
