//! The proxy core, with callers and callees that do whatever the script says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tandem_sip::message::{Header, Message, Start, Table, Via, check_request, list};
use tandem_sip::proxy::{CallId, Config, Incoming, Listener, Output, Proxy, Target};
use tandem_sip::transaction::{Limits, Packet, Peer, Transport};

use super::{LONGEST, PAUSES, STATUSES, Script, TRANSACTIONS_MAX, TRANSACTIONS_MOST, peer};

const METHODS: [&str; 8] = ["INVITE", "BYE", "OPTIONS", "ACK", "CANCEL", "REFER", "PRACK", "X-ODD"];
/// Sent requests that can still be answered.
const SENT_MAX: usize = 16;

struct Driven {
    proxy: Proxy,
    /// Whether each step is printed: with SIP_TRACE set, for who reads a failing script.
    traced: bool,
    now: Duration,
    table: Table,
    /// Those that wait to be decided about, or did.
    calls: Vec<CallId>,
    gone: BTreeSet<CallId>,
    /// What the proxy sent: requests, newest last.
    sent: Vec<String>,
    /// What came last, to come again.
    last: Option<(Vec<u8>, Peer)>,
    /// The route that the last dialog recorded.
    route: String,
    /// The final status that went to the sender of a request: by sent-by, branch and method.
    finals: BTreeMap<(String, String, String), (CallId, Option<u16>)>,
    /// Names with a branch of RFC 2543, and those of them that several requests had.
    named: BTreeSet<(String, String, String)>,
    shared: BTreeSet<(String, String, String)>,
}

/// How branches of RFC 3261 begin (8.1.1.7).
const COOKIE: &str = "z9hG4bK";

pub(super) fn run(script: &mut Script<'_>) {
    let listener = |transport| Listener { transport, host: "192.0.2.1".into(), port: 5060 };
    let mut config = Config::new(vec![listener(Transport::Udp), listener(Transport::Tcp)], [7; 16]);
    config.limits = Limits { transactions_max: TRANSACTIONS_MAX };
    let mut driven = Driven {
        proxy: Proxy::new(config),
        traced: std::env::var_os("SIP_TRACE").is_some(),
        now: Duration::ZERO,
        table: Table::new(),
        calls: Vec::new(),
        gone: BTreeSet::new(),
        sent: Vec::new(),
        last: None,
        route: String::new(),
        finals: BTreeMap::new(),
        named: BTreeSet::new(),
        shared: BTreeSet::new(),
    };
    while let Some(operation) = script.byte() {
        driven.trace(|| format!("operation {}", char::from(96 + (operation & 15))));
        driven.operate(operation, script);
        driven.settle();
    }
    driven.end();
}

impl Driven {
    fn operate(&mut self, operation: u8, script: &mut Script<'_>) {
        match operation & 15 {
            // f, o: time
            6 | 15 => {
                let pause = script.of(&PAUSES);
                self.pass(pause, false);
            }
            operation @ (1..=5 | 13) => self.peers_act(operation, script),
            operation => self.user_says(operation, script),
        }
    }

    fn peers_act(&mut self, operation: u8, script: &mut Script<'_>) {
        match operation {
            // a: a request outside of a dialog
            1 => {
                let text = request(script.of(&METHODS), script.number(), script.number(), "");
                self.arrive(text.into_bytes(), peer(script.number()));
            }
            // b: one inside, by the recorded route
            2 => {
                let route = self.route.clone();
                let text = request(script.of(&METHODS), script.number(), script.number() | 8, &route);
                self.arrive(text.into_bytes(), peer(script.number()));
            }
            // c: what came last comes again
            3 => {
                if let Some((bytes, from)) = self.last.clone() {
                    self.arrive(bytes, from);
                }
            }
            // d: what came last with another method: its CANCEL, its ACK
            4 => {
                let method = script.of(&["CANCEL", "ACK"]);
                if let Some((bytes, from)) = self.last.clone() {
                    let text = String::from_utf8_lossy(&bytes).replace("INVITE", method);
                    self.arrive(text.into_bytes(), from);
                }
            }
            // e: a response to what was sent
            5 => {
                let (nth, status, odd) = (script.number(), script.of(&STATUSES), script.number());
                if let Some(request) = self.sent.len().checked_sub(1 + nth).map(|at| self.sent[at].clone()) {
                    self.arrive(reply(&request, status, odd).into_bytes(), peer(1));
                }
            }
            // m: any bytes
            _ => {
                let length = script.number() * 64 + script.number();
                let bytes = script.bytes(length).to_vec();
                self.arrive(bytes, peer(script.number()));
            }
        }
    }

    fn user_says(&mut self, operation: u8, script: &mut Script<'_>) {
        let call = |driven: &Self, nth: usize| {
            driven.calls.len().checked_sub(1 + nth % 4).map(|at| driven.calls[at])
        };
        match operation {
            // g: targets for a call
            7 => {
                let (nth, targets, ring) = (script.number(), script.number() % 4, script.number());
                let targets = (0..targets).map(|at| target(at, ring)).collect();
                let ring = (ring > 7).then_some(Duration::from_secs(10));
                if let Some(id) = call(self, nth) {
                    self.proxy.route(id, targets, ring, self.now);
                }
            }
            // h: a redirection
            8 => {
                if let Some(id) = call(self, script.number()) {
                    self.proxy.redirect(id, &["sip:a@192.0.2.21"], self.now);
                }
            }
            // i: an answer
            9 => {
                if let Some(id) = call(self, script.number()) {
                    self.proxy.answer(id, (404, "Not Found"), &[], self.now);
                }
            }
            // j: giving up
            10 => {
                if let Some(id) = call(self, script.number()) {
                    self.proxy.give_up(id, self.now);
                }
            }
            // k: a name was looked up
            11 => {
                let (nth, found) = (script.number(), script.number());
                if let Some(id) = call(self, nth) {
                    self.proxy.resolved(id, (found > 0).then(|| peer(found)), self.now);
                }
            }
            // l: nothing reaches a peer
            12 => self.proxy.on_transport_error(peer(script.number()), self.now),
            _ => {}
        }
    }

    /// A message comes in as the edge lets it: checked.
    fn arrive(&mut self, bytes: Vec<u8>, from: Peer) {
        let mut table = std::mem::take(&mut self.table);
        if let Ok(message) = table.parse_datagram(&bytes) {
            match message.start() {
                Start::Response { .. } => self.proxy.on_response(&message, self.now),
                Start::Request { .. } => self.on_request(&message, from),
            }
        }
        self.table = table;
    }

    fn on_request(&mut self, message: &Message<'_>, from: Peer) {
        let Ok(keys) = check_request(message, 1024) else { return };
        if keys.method != "ACK" && keys.method != "CANCEL" {
            self.last = Some((message.bytes().to_vec(), from));
        }
        let transactions = self.proxy.held().1;
        let incoming = self.proxy.on_request(message, &keys, 7, from, self.now);
        let name = key(message);
        if self.proxy.held().1 > transactions {
            // A new one, though an old one may have had the same name. By a branch of RFC 2543 both may live: which of
            // them a response is for cannot be told by it.
            self.finals.remove(&name);
            if !name.1.starts_with(COOKIE) && !self.named.insert(name.clone()) {
                self.shared.insert(name.clone());
            }
        }
        if let Incoming::Asked(id) = incoming {
            assert!(!self.calls.contains(&id));
            self.calls.push(id);
            if !self.shared.contains(&name) {
                self.finals.insert(name, (id, None));
            }
        }
    }

    fn pass(&mut self, by: Duration, gives_up: bool) {
        let end = self.now + by;
        while let Some(at) = self.proxy.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.proxy.on_time(self.now);
            for id in self.settle() {
                if gives_up {
                    self.proxy.give_up(id, self.now);
                    self.settle();
                }
            }
        }
        self.now = end;
    }

    /// Looks at what the proxy wants; answers which calls are exhausted.
    fn settle(&mut self) -> Vec<CallId> {
        let mut exhausted = Vec::new();
        let outputs: Vec<Output> = self.proxy.drain().collect();
        for output in outputs {
            self.trace(|| match &output {
                Output::Send(peer, packet) => {
                    format!("to {}:\n{}", peer.address, String::from_utf8_lossy(packet))
                }
                other => format!("{other:?}"),
            });
            let id = match output {
                Output::Send(_, packet) | Output::SendTo(_, packet) => {
                    self.sends(&packet);
                    continue;
                }
                Output::Exhausted(id, _) => {
                    exhausted.push(id);
                    // One that nobody was asked about: a request inside of a dialog.
                    if !self.calls.contains(&id) {
                        self.calls.push(id);
                    }
                    id
                }
                Output::Gone(id) => {
                    assert!(self.gone.insert(id), "gone twice");
                    self.calls.retain(|call| *call != id);
                    self.finals.retain(|_, (call, _)| *call != id);
                    continue;
                }
                Output::Resolve(id, _) => {
                    self.calls.push(id);
                    id
                }
                Output::Silent(id, ..)
                | Output::FailedOver(id, _)
                | Output::Ringing(id, _)
                | Output::Answered(id, _)
                | Output::Failed(id, _)
                | Output::Cancelled(id)
                | Output::Ended(id) => id,
            };
            assert!(!self.gone.contains(&id), "told of a call that is gone");
        }
        let (calls, transactions) = self.proxy.held();
        assert!(transactions <= TRANSACTIONS_MOST && calls <= transactions, "{calls} {transactions}");
        exhausted
    }

    #[allow(clippy::print_stdout, reason = "it was asked for")]
    fn trace(&self, what: impl FnOnce() -> String) {
        if self.traced {
            println!("{:?} {}", self.now, what());
        }
    }

    fn sends(&mut self, packet: &Packet) {
        let mut table = std::mem::take(&mut self.table);
        let message = table.parse_datagram(packet);
        let message = message.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(packet)));
        match message.start() {
            Start::Request { .. } => {
                if message.first(Header::RecordRoute).is_some() {
                    let routes: Vec<_> =
                        message.all(Header::RecordRoute).map(String::from_utf8_lossy).collect();
                    self.route = routes.join(", ");
                }
                self.sent.push(String::from_utf8_lossy(packet).into_owned());
                if self.sent.len() > SENT_MAX {
                    self.sent.remove(0);
                }
            }
            Start::Response { status, .. } if status >= 200 => {
                if let Some((_, before)) = self.finals.get_mut(&key(&message)) {
                    // A 2xx that comes late goes up although a failure did, which is sent again until its ACK comes.
                    let late = (200..300).contains(&status) && before.is_some();
                    assert!(
                        late || before.is_none_or(|before| status == before),
                        "{status} after {before:?}"
                    );
                    *before = Some(before.unwrap_or(status));
                }
            }
            Start::Response { .. } => {}
        }
        self.table = table;
    }

    fn end(&mut self) {
        for id in self.calls.clone() {
            self.proxy.resolved(id, None, self.now);
            self.proxy.give_up(id, self.now);
            for id in self.settle() {
                self.proxy.give_up(id, self.now);
                self.settle();
            }
        }
        self.pass(LONGEST, true);
        assert_eq!(self.proxy.held(), (0, 0), "something is left");
        assert_eq!(self.proxy.next_deadline(), None);
    }
}

/// By what a request and its responses are found: the sent-by and branch of the top Via, the method.
fn key(message: &Message<'_>) -> (String, String, String) {
    let top = message.first(Header::Via).and_then(|v| list(v).next()).unwrap_or_default();
    let via = Via::parse(top).ok();
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    let method = message.first(Header::CSeq).unwrap_or_default();
    let method = method.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    let branch = text(via.as_ref().and_then(|v| v.branch));
    (text(via.as_ref().map(|v| v.host)), branch, String::from_utf8_lossy(method).into_owned())
}

/// `branch` also says whose Call-ID it has; `shape` has bits: 1 an RFC 2543 branch, 2 hardly any hops left, 4 a name in
/// the Request-URI, 8 a To tag.
fn request(method: &str, branch: usize, shape: usize, route: &str) -> String {
    let has = |bit: usize| shape & bit != 0;
    let cookie = if has(1) { "" } else { "z9hG4bK" };
    let hops = if has(2) { shape % 2 } else { 70 };
    let host = if has(4) { "peer.example" } else { "192.0.2.12" };
    let tag = if has(8) { ";tag=t" } else { "" };
    let route = if route.is_empty() { String::new() } else { format!("Route: {route}\r\n") };
    format!(
        "{method} sip:b@{host} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={cookie}{branch};rport\r\n{route}\
         From: <sip:a@192.0.2.10>;tag=f\r\nTo: <sip:b@192.0.2.1>{tag}\r\nCall-ID: c{}\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: {hops}\r\nContact: <sip:a@192.0.2.10>\r\nContent-Length: 0\r\n\r\n",
        branch / 4
    )
}

/// `odd` spoils it: 1 another branch, 2 the number of the branch alone, 3 no Via but ours, 4 of a CANCEL.
fn reply(request: &str, status: u16, odd: usize) -> String {
    let mut out = format!("SIP/2.0 {status} X\r\n");
    let copied = ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:", "To:"];
    let mut vias = 0;
    for line in request.split("\r\n").filter(|line| copied.iter().any(|name| line.starts_with(name))) {
        vias += usize::from(line.starts_with("Via:"));
        let line = match odd {
            1 => line.replace("z9hG4bK", "z9hG4bKx"),
            2 => line.replacen('.', ".0", 3),
            3 if vias > 1 && line.starts_with("Via:") => continue,
            4 => line.replace("INVITE", "CANCEL"),
            _ => line.to_owned(),
        };
        out += &line;
        out += if line.starts_with("To:") && !line.contains("tag=") { ";tag=t\r\n" } else { "\r\n" };
    }
    out + "Contact: <sip:c@192.0.2.13>\r\nWWW-Authenticate: Digest realm=\"r\"\r\nContent-Length: 0\r\n\r\n"
}

fn target(at: usize, kind: usize) -> Target {
    Target {
        tag: at as u32,
        uri: format!("sip:b@192.0.2.{}", 20 + at).into(),
        peer: peer(at + kind),
        remove: Arc::from([Header::AssertedIdentity]),
        remove_named: &["X-Old"],
        add: Arc::from(["X-Added: y".to_owned()]),
        strip_private: kind % 2 == 1,
        no_response: Duration::from_secs(3),
        only_100: Duration::from_secs(10),
        retry_on: [408, 500, 503][..].into(),
    }
}
