//! SIP between an edge and programs that others wrote: sipp as gateway and phone, Kamailio as the next hop.
//!
//! Our own tests speak SIP as we understand it; these show that others understand it likewise: transactions,
//! Record-Route and Route, redirection, UDP and TCP. Every call must succeed, for the caller, for the callee and in
//! what the edge has counted.
//!
//! ```text
//! sipp 127.9.1.10 ──> edge 127.9.1.1 ──> sipp 127.9.1.30
//!                                   └──> Kamailio 127.9.1.30 ──> sipp 127.9.1.40
//! ```
//!
//! They need `sipp` and `kamailio` (`tests/run tools` installs both), hence the feature `peers`.
#![expect(clippy::unwrap_used, reason = "what cannot be made fails its test")]

mod common;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tandem_domain::id::ListenerName;
use tandem_domain::view::View;
use tandem_edge::config::{Config, Listener};
use tandem_edge::{Edge, Given, Upstream, build, system_lookup};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_sip::transaction::Transport;
use tokio::sync::watch;

/// Calls of each test.
const CALLS: u64 = 50;
/// New calls a second: enough that they overlap.
const RATE: &str = "25";
/// Nothing here takes longer than this on a machine that works, however loaded.
const PATIENCE: Duration = Duration::from_secs(600);
/// The same for sipp, which ends with an error after it.
const PATIENCE_SIPP: &str = "590s";
/// So often sipp sends a request again before it calls it lost: a loaded machine answers late, not never.
const RETRIES: &str = "30";
/// How often a program is started anew, on another port, because somebody took its port before it did.
const STARTS: usize = 5;

const EDGE: &str = "127.9.1.1";
const GATEWAY: &str = "127.9.1.10";
const CIC: &str = "127.9.1.30";
const PHONE: &str = "127.9.1.40";
/// A DID whose calls go to CIC.
const CALLED: &str = "+493023125101";

/// A tenant whose gateway calls its CIC.
fn tenant(cic: SocketAddr, transport: Transport, redirects: bool) -> View {
    let transport = if transport == Transport::Udp { "Udp" } else { "Tcp" };
    let spec = json!({
        "model": "OnPremises", "inbound": "ProxyFirst",
        "sites": [{"name": "berlin", "countryCode": "49", "nationalPrefix": "0",
                   "emergency": {"egress": ["gateway"], "callback": CALLED}}],
        "trunks": [
            {"name": "gateway", "role": "Gateway", "transport": "Udp", "addresses": [{"host": GATEWAY}],
             "ingress": [{"source": GATEWAY}], "domains": ["gw.acme.example"], "accept302": redirects},
            {"name": "cic", "role": "Cic", "transport": transport,
             "addresses": [{"host": cic.ip().to_string(), "port": cic.port()}],
             "ingress": [{"source": CIC}], "domains": ["cic.acme.example"], "identity": {"trusted": true},
             // A phone on a loaded machine is not silent.
             "timers": {"noResponseMs": 10_000, "only100Ms": 60_000}},
            {"name": "lync", "role": "Lync", "transport": "Tcp", "addresses": [{"host": "127.9.1.50", "port": 5068}],
             "ingress": [{"source": "127.9.1.50"}], "domains": ["med.acme.example"], "identity": {"trusted": true}},
        ],
        "numbers": {"ranges": [{"prefix": "+493023125", "site": "berlin"}]},
        "emergency": {"numbers": ["112"]},
        "toll": [{"called": ["+49"], "allow": true}],
    });
    let jane = json!({"id": "jane", "cic": {"userId": "jane", "extension": "101"}, "callControl": "CicClient",
                      "phone": {"kind": "CicHard"}});
    common::view(spec, jane, CALLED)
}

/// A running edge; dropped, it is stopped.
struct Running {
    edge: Edge,
    life: Life,
    _view: watch::Sender<View>,
}

impl Running {
    async fn new(view: View) -> Self {
        let (udp, tcp) = pair(EDGE);
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let listener = Listener {
            name: ListenerName::parse("main").unwrap(),
            advertised: None,
            udp: Some(tokio::net::UdpSocket::from_std(udp).unwrap()),
            tcp: Some(tokio::net::TcpListener::from_std(tcp).unwrap()),
        };
        let (sender, receiver) = watch::channel(view);
        let life = Life::new();
        life.shutdown.advance(Phase::Running);
        let given = Given {
            life: life.clone(),
            clock: Clock::machine(),
            chance: Chance::seeded(11),
            upstream: Upstream::View(receiver),
            listeners: vec![listener],
            lookup: system_lookup(),
            observer: None,
        };
        let edge = build(Config { id: "edge-1".into(), ..Config::default() }, given).unwrap();
        edge.ready().await;
        Self { edge, life, _view: sender }
    }

    fn at(&self, transport: Transport) -> String {
        self.edge.addresses().find(|(_, t, _)| *t == transport).unwrap().2.to_string()
    }

    /// Waits until it has counted this of calls: redirected, proxied, ringing, answered, ended.
    async fn counted(&self, expected: [u64; 5]) {
        let counts = || {
            let s = self.edge.stats();
            [s.redirected, s.proxied, s.ringing, s.answered, s.ended]
        };
        let start = Instant::now();
        while counts() != expected && start.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(counts(), expected, "redirected, proxied, ringing, answered, ended");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.life.shutdown.advance(Phase::Stopped);
    }
}

/// Sockets on one port that is free for UDP and TCP.
fn pair(ip: &str) -> (UdpSocket, TcpListener) {
    for _ in 0..64 {
        let udp = UdpSocket::bind((ip, 0)).unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("{ip} has no port that is free for UDP and TCP");
}

/// Where a program will listen that cannot be given a socket.
fn free(ip: &str) -> SocketAddr {
    pair(ip).0.local_addr().unwrap()
}

/// A program that was started here. Its output is kept, to be shown if it fails; dropped, it is ended by its pid.
struct Program {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Program {
    fn start(name: &str, program: &str, arguments: &[&str], dir: &Path) -> Self {
        let output = dir.join(format!("{name}.out"));
        let file = fs::File::options().create(true).append(true).open(&output).unwrap();
        // Debian's kamailio is in /usr/sbin, which is not on everybody's path.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new(program)
            .args(arguments)
            .env("PATH", path)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{program} does not start ({e}); `tests/run tools` installs it"));
        Self { name: name.to_owned(), child, output }
    }

    /// Waits until it has a socket there. False: it has ended instead.
    async fn listens(&mut self, at: SocketAddr, transport: Transport) -> bool {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if is_bound(at, transport) {
                return true;
            }
            assert!(start.elapsed() < PATIENCE, "{} does not listen on {at}:\n{}", self.name, self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Whether it has ended by itself, content; if it has otherwise, the test has failed.
    fn has_succeeded(&mut self) -> bool {
        let Some(status) = self.child.try_wait().unwrap() else { return false };
        assert!(status.success(), "{} failed, {status}:\n{}", self.name, self.said());
        true
    }

    /// Waits until it ends by itself, content.
    async fn succeeds(mut self) {
        let start = Instant::now();
        while !self.has_succeeded() {
            assert!(start.elapsed() < PATIENCE, "{} does not end:\n{}", self.name, self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn said(&self) -> String {
        let text =
            fs::read(&self.output).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        // What went wrong first explains what followed.
        let lines: Vec<&str> = text.lines().collect();
        let (first, rest) = lines.split_at(lines.len().min(80));
        let last = &rest[rest.len().saturating_sub(20)..];
        [first, &["..."], last].concat().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // SIGTERM first: Kamailio then ends its workers, which a SIGKILL would leave behind.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether somebody listens there. Asked of the kernel, for a trial by binding would be in the program's way.
fn is_bound(at: SocketAddr, transport: Transport) -> bool {
    let IpAddr::V4(ip) = at.ip() else { panic!("{at} is not IPv4") };
    let address = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), at.port());
    let (table, state) =
        if transport == Transport::Udp { ("/proc/net/udp", "07") } else { ("/proc/net/tcp", "0A") };
    let table = fs::read_to_string(table).unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&address) && fields.nth(1) == Some(state)
    })
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
    path.to_str().unwrap().to_owned()
}

/// sipp's own way to say over what it speaks: one socket for all calls.
fn sipp_transport(transport: Transport) -> &'static str {
    if transport == Transport::Udp { "u1" } else { "t1" }
}

/// A sipp that plays a scenario for all calls of a test; it fails if one of them does.
fn sipp(name: &str, scenario: &str, transport: Transport, more: &[&str], dir: &Path) -> Program {
    let (script, calls) = (script(scenario), CALLS.to_string());
    let mut arguments = vec!["-sf", &script, "-m", &calls, "-t", sipp_transport(transport), "-nostdin"];
    arguments.extend([
        "-trace_err",
        "-error_file",
        "/dev/stderr",
        "-timeout",
        PATIENCE_SIPP,
        "-timeout_error",
    ]);
    arguments.extend(["-max_retrans", RETRIES, "-max_invite_retrans", RETRIES]);
    // sipp ends itself where the machine has kept it waiting too often.
    arguments.extend(["-watchdog_interval", "0"]);
    arguments.extend(more);
    Program::start(name, "sipp", &arguments, dir)
}

/// A sipp that makes the calls, from a port that the system chooses.
fn caller(scenario: &str, edge: &Running, transport: Transport, dir: &Path) -> Program {
    let more = [&edge.at(transport), "-s", CALLED, "-i", GATEWAY, "-r", RATE];
    sipp("caller", scenario, transport, &more, dir)
}

/// A sipp that answers them, and where.
async fn phone(scenario: &str, ip: &str, transport: Transport, dir: &Path) -> (Program, SocketAddr) {
    started(ip, transport, |at| {
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        sipp("phone", scenario, transport, &["-i", &ip, "-p", &port], dir)
    })
    .await
}

/// A Kamailio that records its route and relays every call to `next`, and where.
async fn kamailio(transport: Transport, next: SocketAddr, dir: &Path) -> (Program, SocketAddr) {
    let (config, own, next) = (script("kamailio.cfg"), dir.to_str().unwrap(), format!("NEXT=\"sip:{next}\""));
    started(CIC, transport, |at| {
        let (udp, tcp) = (format!("udp:{at}"), format!("tcp:{at}"));
        let mut arguments =
            vec!["-f", &config, "-DD", "-E", "-m", "64", "-M", "8", "-Y", own, "-A", &next, "-l", &udp];
        if transport == Transport::Tcp {
            arguments.extend(["-l", &tcp]);
        }
        Program::start("kamailio", "kamailio", &arguments, dir)
    })
    .await
}

/// Starts a program that cannot be given a socket, until it listens where it was told to.
async fn started(
    ip: &str,
    transport: Transport,
    start: impl Fn(SocketAddr) -> Program,
) -> (Program, SocketAddr) {
    for nth in 1.. {
        let at = free(ip);
        let mut program = start(at);
        if program.listens(at, transport).await {
            return (program, at);
        }
        assert!(nth < STARTS, "{} ended:\n{}", program.name, program.said());
    }
    unreachable!("the last start returns or fails")
}

async fn check_redirect(transport: Transport) {
    let dir = tempfile::tempdir().unwrap();
    let cic = SocketAddr::new(CIC.parse().unwrap(), 5062);
    let edge = Running::new(tenant(cic, Transport::Udp, true)).await;
    caller("uac-redirect.xml", &edge, transport, dir.path()).succeeds().await;
    edge.counted([CALLS, 0, 0, 0, 0]).await;
}

/// Waits for both, and for neither longer than the other takes to fail: it would wait in vain.
async fn both_succeed(mut phone: Program, mut caller: Program) {
    let start = Instant::now();
    while !(phone.has_succeeded() & caller.has_succeeded()) {
        let said = || format!("{}\n{}", phone.said(), caller.said());
        assert!(start.elapsed() < PATIENCE, "the calls do not end:\n{}", said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Who ends the calls, and by which scripts.
#[derive(Clone, Copy)]
enum HangsUp {
    Caller,
    Callee,
}

impl HangsUp {
    /// The caller's script, the callee's.
    fn scripts(self) -> (&'static str, &'static str) {
        match self {
            Self::Caller => ("uac-call.xml", "uas.xml"),
            Self::Callee => ("uac-hung-up.xml", "uas-hangs-up.xml"),
        }
    }
}

/// Full calls: the caller's transport, the callee's.
async fn check_calls(from: Transport, to: Transport, hangs_up: HangsUp) {
    let dir = tempfile::tempdir().unwrap();
    let (calling, answering) = hangs_up.scripts();
    let (phone, cic) = phone(answering, CIC, to, dir.path()).await;
    let edge = Running::new(tenant(cic, to, false)).await;
    both_succeed(phone, caller(calling, &edge, from, dir.path())).await;
    edge.counted([0, CALLS, CALLS, CALLS, CALLS]).await;
}

/// Full calls through Kamailio, which the edge reaches over this.
async fn check_through_kamailio(transport: Transport, hangs_up: HangsUp) {
    let dir = tempfile::tempdir().unwrap();
    let (calling, answering) = hangs_up.scripts();
    let (phone, at) = phone(answering, PHONE, Transport::Udp, dir.path()).await;
    let (_kamailio, cic) = kamailio(transport, at, dir.path()).await;
    let edge = Running::new(tenant(cic, transport, false)).await;
    both_succeed(phone, caller(calling, &edge, Transport::Udp, dir.path())).await;
    edge.counted([0, CALLS, CALLS, CALLS, CALLS]).await;
}

#[tokio::test]
async fn sipp_is_redirected_over_udp() {
    check_redirect(Transport::Udp).await;
}

#[tokio::test]
async fn sipp_is_redirected_over_tcp() {
    check_redirect(Transport::Tcp).await;
}

#[tokio::test]
async fn sipp_calls_sipp_over_udp() {
    check_calls(Transport::Udp, Transport::Udp, HangsUp::Caller).await;
}

#[tokio::test]
async fn sipp_calls_sipp_from_udp_to_tcp() {
    check_calls(Transport::Udp, Transport::Tcp, HangsUp::Caller).await;
}

#[tokio::test]
async fn sipp_calls_sipp_from_tcp_to_udp() {
    check_calls(Transport::Tcp, Transport::Udp, HangsUp::Caller).await;
}

#[tokio::test]
async fn sipp_hangs_up_on_sipp() {
    check_calls(Transport::Udp, Transport::Udp, HangsUp::Callee).await;
}

#[tokio::test]
async fn sipp_calls_sipp_through_kamailio_over_udp() {
    check_through_kamailio(Transport::Udp, HangsUp::Caller).await;
}

#[tokio::test]
async fn sipp_calls_sipp_through_kamailio_over_tcp() {
    check_through_kamailio(Transport::Tcp, HangsUp::Caller).await;
}

#[tokio::test]
async fn sipp_hangs_up_on_sipp_through_kamailio() {
    check_through_kamailio(Transport::Udp, HangsUp::Callee).await;
}
