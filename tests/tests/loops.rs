//! A loop through systems that carry nothing round: CIC and Lync are back-to-back agents, and each believes that the
//! other has the user (domain rules 3.3).
//!
//! ```text
//!        +493023125103            +493023125103 (a DID: to CIC)
//!  GW ──────────────────> edge ────────────────────────────────> CIC
//!                          │ ^ <──────────────────────────────── CIC   rings the station at +493023125173
//!                          │ └───────────────────────────────┐
//!                          └──> MED > FE   makes +493023125103 of it, which is nobody's Line URI, and sends it out
//! ```
//!
//! Lync's normalisation is wrong, and no rule of Tandem's sees that: each hop is allowed by itself. What ends the loop
//! is that the edge counts attempts alike, by what comes round whatever an agent drops: who calls whom by which ways.
#![expect(clippy::unwrap_used, reason = "what cannot be made fails its test")]

mod common;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_domain::id::ListenerName;
use tandem_domain::view::View;
use tandem_edge::config::{Config, Listener};
use tandem_edge::{Edge, Given, Upstream, build, system_lookup};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_sim::cic::Cic;
use tandem_sim::gateway::Gateway;
use tandem_sim::lync::Lync;
use tandem_sim::{Place, Simulator, World, settings};
use tokio::sync::watch;

const DID: &str = "+493023125103";

const GATEWAY: &str = r#"
address: NET.10:5060
ip_groups: [{ name: Tandem, address: "EDGE" }]
tel_to_ip_routes: [{ ip_groups: [Tandem] }]
alternative_routing: { no_response_ms: 30000, only_100_ms: 30000 }
"#;

/// Carla's station is a Lync phone; CIC's Lync line goes by the edge.
const CIC: &str = r#"
address: NET.30:5060
voicemail: false
calls_max: 100
lines:
  - { name: Proxy, remote: "EDGE", no_response_ms: 30000 }
  - { name: Lync, remote: "EDGE", no_response_ms: 30000 }
line_groups: [{ name: Lync, lines: [Lync] }]
users: [{ name: carla, extension: "103", dids: ["+493023125103"], default_station: carla }]
stations: [{ name: carla, line: Lync, contact_address: "+493023125173", ring_timeout_ms: 30000 }]
media_servers: [{ name: MS, address: NET.40, location: premises }]
"#;

/// The wrong rule makes Carla's DID of her Line URI, which Lync does not know.
const LYNC: &str = r#"
mediation: { address: "NET.50:5068" }
front_end: { address: "NET.51:5061" }
calls_max: 100
internal_silence_ms: 30000
trunks: [{ name: Tandem, address: "EDGE", pstn_usages: [Inter-Trunk], fast_failover_ms: 30000 }]
voice_routes: [{ name: Out, number_pattern: '^\+49', pstn_usages: [Inter-Trunk], trunks: [Tandem] }]
normalization_rules: [{ pattern: '^4930231251[07]3$', translation: '+493023125103' }]
"#;

fn tenant(net: &str, limits: &Value) -> View {
    let at = |last: u8, port: u16| json!([{"host": format!("{net}.{last}"), "port": port}]);
    let from = |last: u8| json!([{"source": format!("{net}.{last}")}]);
    let patient = json!({"noResponseMs": 10_000, "only100Ms": 60_000});
    let spec = json!({
        "model": "OnPremises", "inbound": "ProxyFirst",
        "sites": [{"name": "berlin", "countryCode": "49", "nationalPrefix": "0",
                   "emergency": {"egress": ["gateway"], "callback": DID}}],
        "trunks": [
            {"name": "gateway", "role": "Gateway", "transport": "Udp", "addresses": at(10, 5060),
             "ingress": from(10), "domains": ["gw.acme.example"], "timers": patient},
            {"name": "cic", "role": "Cic", "transport": "Udp", "addresses": at(30, 5060),
             "ingress": from(30), "domains": ["cic.acme.example"], "timers": patient},
            {"name": "lync", "role": "Lync", "transport": "Tcp", "addresses": at(50, 5068), "numberFormOut": "E164",
             "ingress": from(50), "domains": ["med.acme.example"], "timers": patient},
        ],
        "numbers": {"ranges": [{"prefix": "+493023125", "site": "berlin"}]},
        "emergency": {"numbers": ["112"]},
        "lync": {"cicLineDirect": false},
        "limits": limits,
    });
    let carla = json!({
        "id": "carla", "cic": {"userId": "carla", "extension": "103"}, "callControl": "CicClient",
        "lync": {"sipAddress": "sip:carla@acme.example", "lineUri": "tel:+493023125173", "telephony": "Uc"},
        "phone": {"kind": "LyncHard"}
    });
    common::view(spec, carla, DID)
}

/// An edge between a gateway, a CIC and a Lync, each at an address of its own.
struct Ring {
    edge: Edge,
    gateway: Simulator,
    cic: Simulator,
    world: World,
    _view: watch::Sender<View>,
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.world.life.shutdown.advance(Phase::Stopped);
    }
}

impl Ring {
    /// `place` tells tests that run at once apart.
    async fn new(place: u8, limits: Value) -> Self {
        let net = format!("127.{}.{place}", 16 + std::process::id() % 200);
        let (udp, tcp, at) = pair(&format!("{net}.1"));
        let listener = Listener {
            name: ListenerName::parse("main").unwrap(),
            advertised: None,
            udp: Some(tokio::net::UdpSocket::from_std(udp).unwrap()),
            tcp: Some(tokio::net::TcpListener::from_std(tcp).unwrap()),
        };
        let world = World::new(Clock::machine(), Chance::machine(), Life::new());
        world.life.shutdown.advance(Phase::Running);
        let (view, receiver) = watch::channel(tenant(&net, &limits));
        let given = Given {
            life: world.life.clone(),
            clock: Clock::machine(),
            chance: Chance::machine(),
            upstream: Upstream::View(receiver),
            listeners: vec![listener],
            lookup: system_lookup(),
            observer: None,
        };
        let edge = build(Config { id: "edge-1".into(), ..Config::default() }, given).unwrap();
        edge.ready().await;
        let put = |text: &str| text.replace("NET", &net).replace("EDGE", &at.to_string());
        let cic = Cic::start(settings::parse("cic.yaml", &put(CIC)).unwrap(), &world).unwrap();
        Lync::start(settings::parse("lync.yaml", &put(LYNC)).unwrap(), &world).unwrap();
        let gateway =
            Gateway::start(settings::parse("gateway.yaml", &put(GATEWAY)).unwrap(), &world).unwrap();
        Self { edge, gateway, cic, world, _view: view }
    }

    /// A call from outside to Carla: its final status, and how often CIC has rung her station since the beginning.
    async fn call(&self, caller: &str) -> (u16, usize) {
        let place =
            Place { caller: caller.to_owned(), ring: Duration::from_secs(60), ..Place::new("GW", DID) };
        let result = self.gateway.place_call(place).unwrap().result().await;
        let legs = self.cic.status("").calls;
        (result.status, legs.iter().filter(|leg| leg.outgoing).count())
    }

    fn loops(&self) -> u64 {
        let refused = self.edge.stats().refused;
        refused.iter().find(|(reason, _)| *reason == "route.loop").map_or(0, |(_, count)| *count)
    }
}

/// A port that is free for UDP and TCP.
fn pair(ip: &str) -> (UdpSocket, TcpListener, SocketAddr) {
    for _ in 0..64 {
        let udp = UdpSocket::bind((ip, 0)).unwrap();
        let at = udp.local_addr().unwrap();
        let Ok(tcp) = TcpListener::bind(at) else { continue };
        udp.set_nonblocking(true).unwrap();
        tcp.set_nonblocking(true).unwrap();
        return (udp, tcp, at);
    }
    panic!("no port that is free for UDP and TCP");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_back_to_back_agents_ends_after_three_rounds() {
    let ring = Ring::new(1, json!({})).await;
    let (status, rung) = ring.call("+4989555001").await;
    // Three rounds, and the fourth is refused on its way.
    assert_eq!((rung, ring.loops()), (4, 1), "status {status}");
    assert!((400..600).contains(&status), "{status}");
    // The caller's plus is lost on the first way to Lync, so that three times around are counted after that: the fourth
    // time that Lync brings the call.
    assert_eq!(ring.edge.stats().proxied, 1 + 4 + 3);
    // It is over: the same caller is counted from the beginning.
    assert_eq!((ring.call("+4989555001").await.1, ring.loops()), (8, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policy_says_how_many_rounds() {
    let ring = Ring::new(2, json!({"attemptsAlike": 1})).await;
    assert_eq!((ring.call("+4989555001").await.1, ring.loops()), (2, 1));
}

/// Who has no number looks like all others without one, so that more are let through; but the loop ends too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_a_caller_without_a_number_ends_too() {
    let ring = Ring::new(3, json!({"attemptsAlikeElsewhere": 6})).await;
    let (status, rung) = ring.call("anonymous").await;
    assert_eq!((rung, ring.loops()), (7, 1), "status {status}");
}
