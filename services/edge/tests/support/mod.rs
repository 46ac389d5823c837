//! A bed for an edge: tenants in a few lines, and peers that speak SIP by hand over real sockets on loopback.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bed that cannot be made fails its test")]

mod logged;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_domain::document::policy::TenantSpec;
use tandem_domain::id::{Incarnation, ListenerName, Revision, TenantId, TenantName};
use tandem_domain::ingress::claims;
use tandem_domain::record::{Change, Kind, PolicyRecord, Record, TenantRecord, cell};
use tandem_domain::tenant::compile;
use tandem_domain::view::View;
use tandem_edge::config::{Config, Listener};
use tandem_edge::trace::{Hop, Observer};
use tandem_edge::{Edge, Given, Upstream, build, system_lookup};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_sip::transaction::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;

pub(crate) use logged::logged;

/// Nothing here takes longer than this on a machine that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the peers of the usual tenant are.
pub(crate) const GATEWAY: &str = "127.9.0.10";
pub(crate) const CIC: &str = "127.9.0.30";
pub(crate) const LYNC: &str = "127.9.0.50";
pub(crate) const EDGE: &str = "127.9.0.1";
/// Where the edge of a peer is that is made before it.
pub(crate) const EDGE_UNSET: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// The usual tenant: option 1, with Jane at a CIC phone (+49 30 23125 101), Ben in Lync (172) and workgroup 180.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) spec: Value,
    pub(crate) users: Vec<Value>,
    pub(crate) numbers: Vec<Value>,
}

impl Tenant {
    pub(crate) fn usual(cic: &[SocketAddr], lync: &[SocketAddr]) -> Self {
        let addresses = |all: &[SocketAddr]| -> Value {
            let one = |(at, a): (usize, &SocketAddr)| json!({"host": a.ip().to_string(), "port": a.port(), "priority": at});
            all.iter().enumerate().map(one).collect()
        };
        let spec = json!({
            "model": "OnPremises", "inbound": "ProxyFirst",
            "sites": [{"name": "berlin", "countryCode": "49", "nationalPrefix": "0",
                       "emergency": {"egress": ["gateway"], "callback": "+493023125100"}}],
            "trunks": [
                {"name": "gateway", "role": "Gateway", "transport": "Udp", "addresses": [{"host": GATEWAY}],
                 "ingress": [{"source": GATEWAY}], "domains": ["gw.acme.example"]},
                {"name": "cic", "role": "Cic", "transport": "Udp", "addresses": addresses(cic),
                 "ingress": [{"source": CIC}], "domains": ["cic.acme.example"], "identity": {"trusted": true},
                 "timers": {"noResponseMs": 3000, "only100Ms": 10000}},
                {"name": "lync", "role": "Lync", "transport": "Tcp", "addresses": addresses(lync),
                 "ingress": [{"source": LYNC}], "domains": ["med.acme.example"], "identity": {"trusted": true}},
            ],
            "numbers": {"ranges": [{"prefix": "+493023125", "site": "berlin"}]},
            "emergency": {"numbers": ["112"]},
            "toll": [{"called": ["+49900"], "allow": false}, {"called": ["+49"], "allow": true}],
        });
        let users = vec![
            json!({"id": "jane", "cic": {"userId": "jane", "extension": "101"}, "callControl": "CicClient",
                   "phone": {"kind": "CicHard"}}),
            json!({"id": "ben", "lync": {"sipAddress": "sip:ben@acme.example", "lineUri": "tel:+493023125172", "telephony": "Uc"},
                   "callControl": "LyncClient", "phone": {"kind": "LyncSoft"}}),
        ];
        let numbers = vec![json!({"number": "+493023125101", "kind": "Did", "user": "jane"})];
        Self { name: "acme", spec, users, numbers }
    }

    /// A trunk of the spec, by its place: 0 gateway, 1 CIC, 2 Lync.
    pub(crate) fn trunk(&mut self, at: usize) -> &mut Value {
        &mut self.spec["trunks"][at]
    }

    pub(crate) fn id(&self) -> TenantId {
        let incarnation = self.name.bytes().fold(7_u128, |h, b| h * 31 + u128::from(b));
        TenantId { name: TenantName::parse(self.name).unwrap(), incarnation: Incarnation(incarnation) }
    }

    pub(crate) fn changes(&self, listeners: &[&str]) -> Vec<Change> {
        let id = self.id();
        let spec: TenantSpec = serde_json::from_value(self.spec.clone()).unwrap();
        let compiled = compile(self.name, &spec).unwrap_or_else(|e| panic!("{e:#?}"));
        let listeners: Vec<_> = listeners.iter().map(|l| ListenerName::parse(l).unwrap()).collect();
        let change = |tenant: &TenantId, kind, key: &str, record, revision| Change {
            tenant: tenant.clone(),
            kind,
            key: key.to_owned(),
            record: Some(record),
            revision: Revision(revision),
            at: revision,
        };
        let birth = Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false });
        let mut out = vec![change(&cell(), Kind::Tenant, self.name, birth, 1)];
        let policy = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec }));
        out.push(change(&id, Kind::Policy, "", policy, 2));
        for (at, claim) in claims(&compiled.config, &id, &listeners).into_iter().enumerate() {
            let key = format!("{}-{at}", self.name);
            out.push(change(&cell(), Kind::IngressClaim, &key, Record::IngressClaim(Arc::new(claim)), 3));
        }
        for user in &self.users {
            let key = user["id"].as_str().unwrap().to_owned();
            let user = Record::User(Arc::new(serde_json::from_value(user.clone()).unwrap()));
            out.push(change(&id, Kind::User, &key, user, 4));
        }
        for number in &self.numbers {
            let key = number["number"].as_str().unwrap().to_owned();
            let number = Record::Number(Arc::new(serde_json::from_value(number.clone()).unwrap()));
            out.push(change(&id, Kind::Number, &key, number, 5));
        }
        out
    }
}

pub(crate) fn view(tenants: &[&Tenant], listeners: &[&str]) -> View {
    let changes: Vec<Change> = tenants.iter().flat_map(|t| t.changes(listeners)).collect();
    View::build(&changes)
}

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<Hop>>);

impl Observer for Seen {
    fn wants_reasons(&self) -> bool {
        true
    }
    fn decided(&self, hop: &Hop) {
        self.0.lock().unwrap().push(hop.clone());
    }
}

/// A running edge.
pub(crate) struct Bed {
    pub(crate) edge: Edge,
    pub(crate) view: watch::Sender<View>,
    pub(crate) life: Life,
    pub(crate) seen: Arc<Seen>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.life.shutdown.advance(Phase::Stopped);
    }
}

pub(crate) fn listener(name: &str, ip: &str) -> Listener {
    // A port that is free for UDP and TCP: the pair is what a peer expects.
    for _ in 0..64 {
        let udp = std::net::UdpSocket::bind((ip, 0)).unwrap();
        let Ok(tcp) = std::net::TcpListener::bind(udp.local_addr().unwrap()) else { continue };
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        return Listener {
            name: ListenerName::parse(name).unwrap(),
            advertised: None,
            udp: Some(UdpSocket::from_std(udp).unwrap()),
            tcp: Some(tokio::net::TcpListener::from_std(tcp).unwrap()),
        };
    }
    panic!("no port that is free for UDP and TCP");
}

/// A listener where another edge was: its sockets may need a moment to be free.
pub(crate) async fn listener_again(name: &str, at: SocketAddr) -> Listener {
    let start = std::time::Instant::now();
    loop {
        let sockets =
            std::net::UdpSocket::bind(at).and_then(|udp| Ok((udp, std::net::TcpListener::bind(at)?)));
        if let Ok((udp, tcp)) = sockets {
            udp.set_nonblocking(true).unwrap();
            tcp.set_nonblocking(true).unwrap();
            return Listener {
                name: ListenerName::parse(name).unwrap(),
                advertised: None,
                udp: Some(UdpSocket::from_std(udp).unwrap()),
                tcp: Some(tokio::net::TcpListener::from_std(tcp).unwrap()),
            };
        }
        assert!(start.elapsed() < PATIENCE, "{at} is not free");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn config() -> Config {
    Config { id: "edge-1".into(), ..Config::default() }
}

impl Bed {
    pub(crate) fn new(view: View) -> Self {
        Self::with(config(), view, Clock::machine(), vec![listener("main", EDGE)])
    }

    pub(crate) fn with(config: Config, view: View, clock: Clock, listeners: Vec<Listener>) -> Self {
        let (sender, receiver) = watch::channel(view);
        Self::upstream(config, sender, Upstream::View(receiver), clock, listeners)
    }

    pub(crate) fn upstream(
        config: Config,
        view: watch::Sender<View>,
        upstream: Upstream,
        clock: Clock,
        listeners: Vec<Listener>,
    ) -> Self {
        let (life, seen) = (Life::new(), Arc::new(Seen::default()));
        life.shutdown.advance(Phase::Running);
        let given = Given {
            life: life.clone(),
            clock,
            chance: Chance::seeded(7),
            upstream,
            listeners,
            lookup: system_lookup(),
            observer: Some(Arc::clone(&seen) as _),
        };
        let edge = build(config, given).unwrap();
        Self { edge, view, life, seen }
    }

    pub(crate) fn udp(&self) -> SocketAddr {
        self.at("main", Transport::Udp)
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        self.at("main", Transport::Tcp)
    }

    pub(crate) fn at(&self, name: &str, transport: Transport) -> SocketAddr {
        let found = self.edge.addresses().find(|(n, t, _)| n.as_str() == name && *t == transport);
        found.unwrap().2
    }

    /// Waits until something is so of what the edge has counted.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&tandem_edge::stats::Stats) -> bool) {
        until(what, || is(&self.edge.stats())).await;
    }

    pub(crate) fn hops(&self) -> Vec<Hop> {
        self.seen.0.lock().unwrap().clone()
    }
}

/// Waits for a condition, giving way to others meanwhile.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !is() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A UDP peer.
pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    pub(crate) edge: SocketAddr,
}

impl Peer {
    pub(crate) async fn new(ip: &str, edge: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind((ip, 0)).await.unwrap(), edge }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) async fn send(&self, message: &str) {
        self.socket.send_to(message.as_bytes(), self.edge).await.unwrap();
    }

    pub(crate) async fn recv(&self) -> String {
        let mut buffer = vec![0; 65_535];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await;
        let (count, _) = received.unwrap_or_else(|_| panic!("{} got nothing", self.addr())).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// The next message that begins with this; what comes before is skipped: retransmissions and 100s.
    pub(crate) async fn expect(&self, start: &str) -> String {
        loop {
            let message = self.recv().await;
            if message.starts_with(start) {
                return message;
            }
            let skipped = message.starts_with("SIP/2.0 100") || message.starts_with("INVITE");
            assert!(skipped, "{} expected {start:?}, got:\n{message}", self.addr());
        }
    }

    /// The INVITE of this call; others are skipped.
    pub(crate) async fn expect_call(&self, call: &str) -> String {
        loop {
            let message = self.recv().await;
            if message.starts_with("INVITE") && header(&message, "Call-ID") == call {
                return message;
            }
        }
    }

    /// Whether nothing is waiting to be read.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut buffer = [0; 1];
        match self.socket.try_recv_from(&mut buffer) {
            Err(e) => e.kind() == std::io::ErrorKind::WouldBlock,
            Ok(_) => false,
        }
    }

    /// A request of this peer's.
    pub(crate) fn request(&self, method: &str, uri: &str, call: &str, more: &str) -> String {
        let at = self.addr();
        request(method, uri, call, "UDP", at, more)
    }

    pub(crate) fn invite(&self, called: &str, call: &str) -> String {
        let uri = format!("sip:{called}@{};user=phone", self.edge);
        self.request("INVITE", &uri, call, &format!("Contact: <sip:caller@{}>\r\n", self.addr()))
    }
}

pub(crate) fn request(method: &str, uri: &str, call: &str, via: &str, at: SocketAddr, more: &str) -> String {
    let transport = if via == "TCP" { ";transport=tcp" } else { "" };
    let _ = transport;
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via} {at};branch=z9hG4bK{call}{method};rport\r\n\
         From: <sip:+4989555@gw.acme.example>;tag=f{call}\r\nTo: <{uri}>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// A TCP peer's connection.
pub(crate) struct Stream {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Stream {
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn connect(from: &str, to: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
        Self::of(socket.connect(to).await.unwrap())
    }

    pub(crate) async fn send(&mut self, message: &str) {
        self.stream.write_all(message.as_bytes()).await.unwrap();
    }

    /// The next message; none has a body.
    pub(crate) async fn recv(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.buffer.split_off(end + 4);
                return String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap();
            }
            let mut piece = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
            let count = read.expect("got nothing").unwrap();
            assert!(count > 0, "the connection was closed");
            self.buffer.extend_from_slice(&piece[..count]);
        }
    }

    /// This many bytes.
    pub(crate) async fn recv_raw(&mut self, count: usize) -> String {
        while self.buffer.len() < count {
            let mut piece = [0; 256];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await.unwrap().unwrap();
            self.buffer.extend_from_slice(&piece[..read]);
        }
        let rest = self.buffer.split_off(count);
        String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap()
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = std::mem::take(&mut self.buffer);
        let read =
            tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut all)).await.expect("not closed");
        // A reset is a close, too: bytes of ours were not read.
        let _ = read;
        String::from_utf8(all).unwrap()
    }

    pub(crate) async fn expect(&mut self, start: &str) -> String {
        loop {
            let message = self.recv().await;
            if message.starts_with(start) {
                return message;
            }
            assert!(message.starts_with("SIP/2.0 100"), "expected {start:?}, got:\n{message}");
        }
    }
}

/// The values of a header's lines.
pub(crate) fn headers<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let lines = message.split("\r\n\r\n").next().unwrap().split("\r\n").skip(1);
    lines
        .filter_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v))
        .collect()
}

pub(crate) fn header<'a>(message: &'a str, name: &str) -> &'a str {
    headers(message, name).first().copied().unwrap_or_else(|| panic!("no {name} in\n{message}"))
}

/// The Request-URI.
pub(crate) fn uri(message: &str) -> &str {
    message.split(' ').nth(1).unwrap()
}

/// A response to a request, by whoever `contact` is.
pub(crate) fn respond(request: &str, status: &str, tag: &str, more: &str) -> String {
    let mut out = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
        for value in headers(request, name) {
            let tagged = name == "To" && !value.contains("tag=") && !tag.is_empty();
            let tag = if tagged { format!(";tag={tag}") } else { String::new() };
            out.push_str(&format!("{name}: {value}{tag}\r\n"));
        }
    }
    out.push_str(more);
    out.push_str("Content-Length: 0\r\n\r\n");
    out
}

/// The route set of a dialog, as its caller sees it, and its remote target.
pub(crate) fn dialog(response: &str) -> (Vec<String>, String) {
    let routes = headers(response, "Record-Route").iter().rev().map(|r| (*r).to_owned()).collect();
    let contact = header(response, "Contact").trim_matches(['<', '>']).to_owned();
    (routes, contact)
}

/// A request within a dialog.
pub(crate) fn within(
    method: &str,
    cseq: u32,
    response: &str,
    via: &str,
    at: SocketAddr,
    by_caller: bool,
    seen: &str,
) -> String {
    let (mut routes, contact) = dialog(seen);
    if !by_caller {
        routes.reverse();
    }
    let routes: String = routes.iter().map(|r| format!("Route: {r}\r\n")).collect();
    let (from, to) = (header(response, "From"), header(response, "To"));
    let (from, to) = if by_caller { (from, to) } else { (to, from) };
    let call = header(response, "Call-ID");
    format!(
        "{method} {contact} SIP/2.0\r\nVia: SIP/2.0/{via} {at};branch=z9hG4bK{call}{method}{cseq};rport\r\n{routes}\
         From: {from}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
