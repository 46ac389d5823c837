//! One tenant's systems: a gateway, a CIC server with its phones and media servers, a Lync system, at addresses that no
//! other test has.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_proto::sim::v1::{MediaFlow, SeenCall};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_sim::cic::Cic;
use tandem_sim::gateway::Gateway;
use tandem_sim::lync::Lync;
use tandem_sim::net::{Carried, Direction, Packet};
use tandem_sim::{CallResult, Place, Simulator, World, settings};

/// Elements refer to each other by address before any of them runs, so ports are fixed and addresses are the test's
/// own: 127, this process, this test, the element.
static TESTS: AtomicU8 = AtomicU8::new(1);

pub(crate) struct Net(String);

impl Net {
    pub(crate) fn new() -> Self {
        let process = 16 + std::process::id() % 200;
        Self(format!("127.{process}.{}", TESTS.fetch_add(1, Ordering::Relaxed)))
    }

    /// `NET.10` in a text becomes the address of this test.
    pub(crate) fn put(&self, text: &str) -> String {
        text.replace("NET", &self.0)
    }
}

/// A gateway that knows a proxy (`PX`, played by nobody), CIC and Mediation. ROUTE is the order in which it tries them.
pub(crate) const GATEWAY: &str = r#"
address: NET.10:5060
packet_interval_ms: 2
ip_groups:
  - { name: PX, address: "NET.11:5060" }
  - { name: CIC, address: "NET.20:5060" }
  - { name: MED, address: "NET.30:5068", transport: tcp }
tel_to_ip_routes:
  - { ip_groups: [ROUTE] }
alternative_routing: { no_response_ms: 300, only_100_ms: 400, causes: [503] }
"#;

/// ann and bob have CIC phones, pat has a Lync phone that is a station; pat's DID is not her Line URI.
pub(crate) const CIC: &str = r#"
address: NET.20:5060
packet_interval_ms: 2
greeting_ms: 100
lines:
  - { name: Gateway, remote: "NET.10:5060", no_response_ms: 300 }
  - { name: Lync, transport: tcp, remote: "NET.30:5068", no_response_ms: 300 }
  - { name: Stations, no_response_ms: 300 }
line_groups:
  - { name: Lync, lines: [Lync] }
  - { name: PSTN, lines: [Gateway] }
dial_plan:
  - { pattern: "+142555502XX", line_group: Lync }
  - { pattern: "911", line_group: PSTN }
  - { pattern: "+*", line_group: PSTN }
users:
  - { name: ann, extension: "2001", dids: ["+14255550101"], default_station: ann }
  - { name: bob, extension: "2002", dids: ["+14255550102"], default_station: bob }
  - { name: pat, extension: "2004", dids: ["+14255550104"], default_station: pat }
  - { name: sue, extension: "2005", default_station: soft, voicemail: false }
stations:
  - { name: ann, line: Stations, phone: ann-phone, ring_timeout_ms: 300 }
  - { name: bob, line: Stations, phone: bob-phone, ring_timeout_ms: 300 }
  - { name: pat, line: Lync, contact_address: "+14255550204", ring_timeout_ms: 2000 }
  - { name: soft, line: Stations }
phones:
  - { name: ann-phone, address: "NET.41:5060", answer: manual, answer_after_ms: 5 }
  - { name: bob-phone, address: "NET.42:5060", answer: auto, answer_after_ms: 5 }
workgroups:
  - { name: Sales, extension: "8000", dids: ["+14255550180"], agents: [ann, bob] }
  - { name: Service, extension: "8001", dids: ["+14255550181"], agents: [pat] }
attendant_profiles:
  - { name: Main, dnis: ["+14255550190"], transfer_to: "2001" }
media_servers:
  - { name: MS, address: NET.60, location: premises }
"#;

/// lee is a Lync user; pat's endpoint is a CIC station; rcc has Enterprise Voice off, her Line URI is a CIC number.
pub(crate) const LYNC: &str = r#"
packet_interval_ms: 2
mediation: { address: "NET.30:5068" }
front_end: { address: "NET.31:5061" }
trunks:
  - { name: GW, address: "NET.10:5060", pstn_usages: [Tandem], fast_failover_ms: 300 }
  - { name: CIC, address: "NET.20:5060", pstn_usages: [Tandem], fast_failover_ms: 300 }
voice_routes:
  - { name: To CIC, number_pattern: '^\+142555501', pstn_usages: [Tandem], trunks: [CIC] }
  - { name: PSTN, number_pattern: '^\+', pstn_usages: [Long Distance], trunks: [GW] }
normalization_rules:
  - { pattern: '^(\d{4})$', translation: '+1425555$1' }
users:
  - { sip_address: "sip:lee@contoso.example", line_uri: "tel:+14255550202", endpoints: [lee-phone], pstn_usages: [Long Distance, Tandem] }
  - { sip_address: "sip:pat@contoso.example", line_uri: "tel:+14255550204", endpoints: [pat-phone, pat-desk] }
  - { sip_address: "sip:rcc@contoso.example", line_uri: "tel:+14255550101", enterprise_voice: false }
endpoints:
  - { name: lee-phone, address: "NET.51:5060", answer: manual, answer_after_ms: 5 }
  - { name: pat-phone, address: "NET.52:5060", answer: manual, answer_after_ms: 5 }
  - { name: pat-desk, address: "NET.53:5060", answer: never }
"#;

pub(crate) struct Tenant {
    pub(crate) net: Net,
    pub(crate) world: World,
    pub(crate) gateway: Simulator,
    pub(crate) cic: Simulator,
    pub(crate) lync: Simulator,
    /// SIP messages that were sent: from, to, text.
    pub(crate) wire: Arc<Mutex<Vec<(String, String, String)>>>,
}

/// What a test changes in the configurations: (from, to), applied to each.
pub(crate) type Changes<'a> = &'a [(&'a str, &'a str)];

impl Tenant {
    /// A tenant whose gateway tries `route`.
    pub(crate) fn new(route: &str, changes: Changes<'_>) -> Self {
        let net = Net::new();
        let text = |template: &str| {
            let mut text = template.replace("ROUTE", route);
            for (from, to) in changes {
                text = text.replace(from, to);
            }
            net.put(&text)
        };
        let texts = [GATEWAY, CIC, LYNC].map(text);
        Self::of_texts(net, &texts)
    }

    /// A tenant of three configurations: gateway, CIC, Lync.
    pub(crate) fn of_texts(net: Net, [gateway, cic, lync]: &[String; 3]) -> Self {
        let wire: Arc<Mutex<Vec<(String, String, String)>>> = Arc::default();
        let seen = Arc::clone(&wire);
        let observer = move |packet: &Packet<'_>| {
            if packet.carried == Carried::Sip && packet.direction == Direction::Sent {
                let text = String::from_utf8_lossy(packet.bytes).into_owned();
                seen.lock().unwrap().push((packet.from.to_string(), packet.to.to_string(), text));
            }
        };
        let world =
            World::new(Clock::machine(), Chance::machine(), Life::new()).observed_by(Arc::new(observer));
        let cic = Cic::start(settings::parse("cic.yaml", cic).unwrap(), &world).unwrap();
        let lync = Lync::start(settings::parse("lync.yaml", lync).unwrap(), &world).unwrap();
        let gateway = Gateway::start(settings::parse("gw.yaml", gateway).unwrap(), &world).unwrap();
        Self { net, world, gateway, cic, lync, wire }
    }

    /// A call from the PSTN, held for 150 ms.
    pub(crate) fn call(caller: &str, called: &str) -> Place {
        Place {
            caller: caller.to_owned(),
            hold: Some(Duration::from_millis(1000)),
            ..Place::new("GW", called)
        }
    }

    pub(crate) async fn pstn_call(&self, caller: &str, called: &str) -> CallResult {
        self.gateway.place_call(Self::call(caller, called)).unwrap().result().await
    }

    /// All legs of a caller, in the order in which they began, when every one of them has ended.
    pub(crate) async fn legs(&self, caller: &str) -> Vec<SeenCall> {
        let mut legs = Vec::new();
        self.until("all legs ended", || {
            legs = self.legs_now(caller);
            legs.iter().all(|leg| leg.ended)
        })
        .await;
        legs
    }

    pub(crate) fn legs_now(&self, caller: &str) -> Vec<SeenCall> {
        let of = |simulator: &Simulator| simulator.status(caller).calls;
        let mut legs: Vec<_> = [&self.gateway, &self.cic, &self.lync].into_iter().flat_map(of).collect();
        legs.sort_by_key(|leg| leg.at_us);
        legs
    }

    /// The elements that a call passed, as a ladder's columns: `GW > CIC > ann-phone`.
    pub(crate) async fn hops(&self, caller: &str) -> String {
        hops(&self.legs(caller).await)
    }

    /// Waits until `done`, ten seconds at most.
    pub(crate) async fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = self.world.clock.monotonic() + Duration::from_secs(10);
        while !done() {
            assert!(self.world.clock.monotonic() < deadline, "never came: {what}");
            self.world.clock.sleep(Duration::from_millis(2)).await;
        }
    }

    /// The record of one leg that an element took.
    pub(crate) async fn taken(&self, caller: &str, element: &str) -> SeenCall {
        let legs = self.legs(caller).await;
        let found = legs.iter().find(|leg| leg.element == element && !leg.outgoing);
        found.unwrap_or_else(|| panic!("no leg at {element} in {}", hops(&legs))).clone()
    }

    /// Tells an element of any of the three how to behave.
    pub(crate) fn behave(&self, element: &str, behaviour: &str) {
        let command = behaviour.parse().unwrap();
        let simulators = [&self.gateway, &self.cic, &self.lync];
        let told = simulators.iter().any(|simulator| simulator.set_behaviour(element, &command).is_ok());
        assert!(told, "nobody is {element}");
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.world.life.shutdown.advance(Phase::Stopped);
    }
}

/// The elements in the order in which legs reached them: a leg that nobody took ends where it was sent.
pub(crate) fn hops(legs: &[SeenCall]) -> String {
    let Some(first) = legs.iter().find(|leg| leg.outgoing) else { return String::new() };
    let mut names = vec![first.element.clone()];
    names.extend(legs.iter().filter(|leg| !leg.outgoing).map(|leg| leg.element.clone()));
    names.join(" > ")
}

/// The flows of a leg as (element, peer's address without port, sent, received).
pub(crate) fn flows(leg: &SeenCall) -> Vec<(String, String, u64, u64)> {
    let ip = |flow: &MediaFlow| flow.peer.rsplit_once(':').map(|(ip, _)| ip.to_owned()).unwrap_or_default();
    leg.media.iter().map(|flow| (flow.element.clone(), ip(flow), flow.sent, flow.received)).collect()
}
