//! The proxy core in virtual time: callers and callees are bytes, minutes pass in microseconds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_sip::message::{Header, Message, Start, Table, list};
use tandem_sip::proxy::{CallId, Cause, Config, Hop, Incoming, Listener, Output, Proxy, Target};
use tandem_sip::transaction::{Peer, Transport};

const CALLER: &str = "192.0.2.10:5060";
const PROXY: &str = "192.0.2.1";
const A: &str = "192.0.2.21:5060";
const B: &str = "192.0.2.22:5060";

struct Rig {
    proxy: Proxy,
    now: Duration,
    /// What the proxy told, sends apart.
    told: Vec<Output>,
    /// What it sent: to whom, and the text.
    sent: Vec<(SocketAddr, String)>,
}

fn peer(address: &str, transport: Transport) -> Peer {
    let listener = u16::from(transport != Transport::Udp);
    Peer { address: address.parse().unwrap(), transport, listener, connection: 0 }
}

fn udp(address: &str) -> Peer {
    peer(address, Transport::Udp)
}

fn rig() -> Rig {
    let listener = |transport| Listener { transport, host: PROXY.into(), port: 5060 };
    let config = Config::new(vec![listener(Transport::Udp), listener(Transport::Tcp)], *b"0123456789abcdef");
    Rig { proxy: Proxy::new(config), now: Duration::ZERO, told: Vec::new(), sent: Vec::new() }
}

fn target(tag: u32, address: &str) -> Target {
    Target {
        tag,
        uri: format!("sip:+4930123456@{address};user=phone").into(),
        peer: udp(address),
        remove: Arc::from([Header::AssertedIdentity]),
        add: Arc::from(["P-Asserted-Identity: <tel:+49301>".to_owned()]),
        strip_private: false,
        no_response: Duration::from_secs(3),
        only_100: Duration::from_secs(10),
        retry_on: Arc::from([408, 500, 502, 503, 504]),
    }
}

fn invite(branch: &str) -> String {
    format!(
        "INVITE sip:+4930123456@{PROXY} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+49301@192.0.2.10>;tag=a\r\nTo: <sip:+4930123456@{PROXY}>\r\n\
         Call-ID: one@192.0.2.10\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@192.0.2.10>\r\nX-Unknown: kept\r\n\
         Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
    )
}

/// A request inside the dialog, by the recorded route.
fn in_dialog(method: &str, uri: &str, from: &str, route: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}\r\nRoute: {route}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@y>;tag=a\r\nTo: <sip:x@y>;tag=b\r\nCall-ID: one@192.0.2.10\r\n\
         CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn parse<R>(bytes: &[u8], read: impl FnOnce(&Message<'_>) -> R) -> R {
    read(&Table::new().parse_datagram(bytes).expect("a message"))
}

/// A callee's response to what the proxy sent.
fn reply(request: &str, status: &str, extra: &str) -> String {
    parse(request.as_bytes(), |m| {
        let mut out = format!("SIP/2.0 {status}\r\n");
        for (header, name, value) in m.headers() {
            let (name, value) = (std::str::from_utf8(name).unwrap(), std::str::from_utf8(value).unwrap());
            match header {
                Header::Via | Header::From | Header::CallId | Header::CSeq | Header::RecordRoute => {
                    out += &format!("{name}: {value}\r\n");
                }
                Header::To if value.contains("tag=") || status.starts_with("100") => {
                    out += &format!("To: {value}\r\n")
                }
                Header::To => out += &format!("To: {value};tag=b\r\n"),
                _ => {}
            }
        }
        out + extra + "Content-Length: 0\r\n\r\n"
    })
}

impl Rig {
    fn settle(&mut self) {
        for output in self.proxy.drain() {
            match output {
                Output::Send(peer, packet) => {
                    self.sent.push((peer.address, String::from_utf8(packet.to_vec()).unwrap()));
                }
                other => self.told.push(other),
            }
        }
    }

    fn request_from(&mut self, text: &str, from: Peer) -> Incoming {
        let now = self.now;
        let incoming = parse(text.as_bytes(), |m| self.proxy.on_request(m, 7, from, now));
        self.settle();
        incoming
    }

    fn request(&mut self, text: &str) -> Incoming {
        self.request_from(text, udp(CALLER))
    }

    fn asked(&mut self, text: &str) -> CallId {
        match self.request(text) {
            Incoming::Asked(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn response(&mut self, text: &str) {
        let now = self.now;
        parse(text.as_bytes(), |m| self.proxy.on_response(m, now));
        self.settle();
    }

    fn route(&mut self, id: CallId, targets: &[Target], ring: Option<u64>) {
        self.proxy.route(id, targets.to_vec(), ring.map(Duration::from_secs), self.now);
        self.settle();
    }

    fn give_up(&mut self, id: CallId) {
        self.proxy.give_up(id, self.now);
        self.settle();
    }

    /// Lets time pass, doing what is due when it is due.
    fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.proxy.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.proxy.on_time(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Takes the messages sent to an address since the last look.
    fn to(&mut self, address: &str) -> Vec<String> {
        let address: SocketAddr = address.parse().unwrap();
        let (found, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sent).into_iter().partition(|(to, _)| *to == address);
        self.sent = rest;
        found.into_iter().map(|(_, text)| text).collect()
    }

    fn methods_to(&mut self, address: &str) -> Vec<String> {
        self.to(address).iter().map(|t| method(t).to_owned()).collect()
    }

    fn statuses(&mut self) -> Vec<u16> {
        let status = |t: &String| {
            parse(t.as_bytes(), |m| match m.start() {
                Start::Response { status, .. } => status,
                Start::Request { .. } => 0,
            })
        };
        self.to(CALLER).iter().map(status).collect()
    }

    fn take_told(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.told)
    }

    fn nothing_is_left(&mut self) {
        self.pass(Duration::from_secs(400));
        assert_eq!(self.proxy.held(), (0, 0), "everything ends");
    }
}

fn method(text: &str) -> &str {
    text.split(' ').next().unwrap()
}

fn all(text: &str, header: Header) -> Vec<String> {
    parse(text.as_bytes(), |m| {
        m.all(header).flat_map(list).map(|v| String::from_utf8(v.to_vec()).unwrap()).collect()
    })
}

#[test]
fn rfc3261_16_6_forwards_with_via_record_route_and_everything_else_as_it_came() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    assert_eq!(rig.statuses(), [100]);
    let sent = rig.to(A).pop().unwrap();
    assert!(sent.starts_with(&format!("INVITE sip:+4930123456@{A};user=phone SIP/2.0\r\n")), "{sent}");
    let vias = all(&sent, Header::Via);
    assert!(vias[0].starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtdm"), "{vias:?}");
    assert_eq!(vias[1], "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1;rport=5060;received=192.0.2.10");
    assert_eq!(all(&sent, Header::MaxForwards), ["69"]);
    assert!(all(&sent, Header::RecordRoute)[0].starts_with("<sip:192.0.2.1:5060;lr;tdm="));
    assert_eq!(all(&sent, Header::AssertedIdentity), ["<tel:+49301>"]);
    for kept in ["From: <sip:+49301@192.0.2.10>;tag=a\r\n", "X-Unknown: kept\r\n", "\r\n\r\nv=0\n"] {
        assert!(sent.contains(kept), "{kept:?} in {sent}");
    }
    rig.response(&reply(&sent, "180 Ringing", ""));
    rig.response(&reply(&sent, "200 OK", "Contact: <sip:callee@192.0.2.21>\r\n"));
    let up = rig.to(CALLER);
    assert_eq!(all(&up[1], Header::Via).len(), 1, "our Via is taken off");
    assert_eq!(rig.take_told(), [Output::Ringing(id, 1), Output::Answered(id, 1)]);
    // The ACK and the BYE go by the recorded route, in both directions.
    let route = all(&sent, Header::RecordRoute).join(", ");
    for (name, from, uri, to) in
        [("ACK", CALLER, "sip:callee@192.0.2.21", A), ("BYE", A, "sip:caller@192.0.2.10", CALLER)]
    {
        assert_eq!(rig.request_from(&in_dialog(name, uri, from, &route), udp(from)), Incoming::Handled);
        let passed = rig.to(to).pop().unwrap();
        assert!(passed.starts_with(&format!("{name} {uri} SIP/2.0\r\n")), "{passed}");
        assert!(all(&passed, Header::Route).is_empty());
        if name == "BYE" {
            rig.response(&reply(&passed, "200 OK", ""));
            assert!(rig.to(A)[0].starts_with("SIP/2.0 200"));
        }
    }
    rig.nothing_is_left();
}

#[test]
fn rfc3261_16_12_a_route_without_our_cookie_is_refused() {
    let mut rig = rig();
    for route in
        ["<sip:192.0.2.1:5060;lr;tdm=0000000000000000>", "<sip:192.0.2.1:5060;lr>", "<sip:203.0.113.9;lr>"]
    {
        let request = invite(&format!("z9hG4bK{}", route.len()))
            .replace("Max-Forwards", &format!("Route: {route}\r\nMax-Forwards"));
        assert_eq!(rig.request(&request), Incoming::Handled, "{route}");
        assert_eq!(rig.statuses(), [403], "{route}");
    }
    rig.nothing_is_left();
}

#[test]
fn silence_moves_on_and_the_late_2xx_is_still_forwarded() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A), target(2, B)], None);
    rig.pass(Duration::from_millis(2900));
    let to_a = rig.to(A);
    assert_eq!(to_a.len(), 3, "timer A: at 0, 0.5 and 1.5 s");
    assert!(rig.to(B).is_empty());
    rig.pass(Duration::from_millis(200));
    let to_b = rig.to(B).pop().unwrap();
    assert_eq!(rig.take_told(), [Output::Silent(id, udp(A), 1), Output::FailedOver(id, 1)]);
    rig.pass(Duration::from_secs(1));
    assert!(rig.to(A).is_empty(), "a branch that was left is not sent again");
    rig.response(&reply(&to_b, "180 Ringing", ""));
    // The silent one answers after all: RFC 3261 16.7 step 5.
    rig.response(&reply(&to_a[0], "200 OK", ""));
    assert_eq!(rig.statuses(), [100, 180, 200]);
    let cancel = rig.to(B).pop().unwrap();
    assert_eq!(method(&cancel), "CANCEL");
    assert_eq!(all(&cancel, Header::Via), vec![all(&to_b, Header::Via)[0].clone()]);
    rig.response(&reply(&cancel, "200 OK", ""));
    // And the second 2xx of the race goes up, too: a proxy may not hang it up.
    rig.response(&reply(&to_b, "200 OK", ""));
    assert_eq!(rig.statuses(), [200]);
    rig.nothing_is_left();
}

#[test]
fn rfc3261_9_1_a_silent_branch_is_cancelled_only_after_its_first_provisional() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A), target(2, B)], None);
    rig.pass(Duration::from_millis(3100));
    let to_a = rig.to(A).remove(0);
    rig.response(&reply(&to_a, "180 Ringing", ""));
    assert_eq!(rig.methods_to(A), ["CANCEL"]);
    assert_eq!(rig.statuses(), [100], "a branch that was left rings for nobody");
    rig.pass(Duration::from_secs(40));
    rig.give_up(id);
    rig.nothing_is_left();
}

#[test]
fn only_a_100_moves_on_after_its_time_with_a_cancel_first() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A), target(2, B)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "100 Trying", ""));
    rig.pass(Duration::from_millis(9900));
    assert!(rig.to(A).is_empty() && rig.to(B).is_empty());
    rig.pass(Duration::from_millis(200));
    let cancel = rig.to(A).remove(0);
    assert_eq!(method(&cancel), "CANCEL");
    assert!(rig.to(B).is_empty(), "the final answer is waited for");
    rig.response(&reply(&cancel, "200 OK", ""));
    rig.response(&reply(&to_a, "487 Request Terminated", ""));
    assert_eq!(rig.methods_to(A), ["ACK"]);
    assert_eq!(rig.methods_to(B), ["INVITE"]);
    assert_eq!(rig.take_told(), [Output::FailedOver(id, 1)]);
    rig.pass(Duration::from_secs(40));
    rig.give_up(id);
    rig.nothing_is_left();
}

#[test]
fn only_a_100_moves_on_after_two_seconds_if_the_cancelled_says_nothing() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A), target(2, B)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "100 Trying", ""));
    rig.pass(Duration::from_millis(11_900));
    assert!(rig.to(B).is_empty());
    rig.pass(Duration::from_millis(200));
    assert_eq!(rig.methods_to(B), ["INVITE"]);
    rig.pass(Duration::from_secs(40));
    rig.give_up(id);
    rig.nothing_is_left();
}

#[test]
fn a_final_error_moves_on_only_for_the_trunks_codes_and_before_any_18x() {
    for (before, status, moves) in [
        ("", "503 Service Unavailable", true),
        ("", "486 Busy Here", false),
        ("", "404 Not Found", false),
        ("180 Ringing", "503 Service Unavailable", false),
        ("", "603 Decline", false),
    ] {
        let mut rig = rig();
        let id = rig.asked(&invite("z9hG4bK1"));
        rig.route(id, &[target(1, A), target(2, B)], None);
        let to_a = rig.to(A).pop().unwrap();
        if !before.is_empty() {
            rig.response(&reply(&to_a, before, ""));
        }
        rig.response(&reply(&to_a, status, ""));
        assert_eq!(rig.methods_to(A), ["ACK"]);
        assert_eq!(rig.to(B).len(), usize::from(moves), "{before} {status}");
        rig.pass(Duration::from_secs(40));
        rig.give_up(id);
        rig.nothing_is_left();
    }
}

#[test]
fn rfc3261_16_7_a_503_is_not_passed_up() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "503 Service Unavailable", "Retry-After: 60\r\n"));
    assert_eq!(rig.take_told(), [Output::Exhausted(id, Cause::Unreachable)]);
    rig.give_up(id);
    assert_eq!(rig.statuses(), [100, 500]);
    rig.nothing_is_left();
}

#[test]
fn a_treatment_takes_a_busy_call_elsewhere_on_the_same_request() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], Some(20));
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "180 Ringing", ""));
    rig.response(&reply(&to_a, "486 Busy Here", ""));
    assert_eq!(rig.take_told(), [Output::Ringing(id, 1), Output::Exhausted(id, Cause::Busy)]);
    rig.route(id, &[target(2, B)], None);
    let to_b = rig.to(B).pop().unwrap();
    rig.response(&reply(&to_b, "200 OK", ""));
    assert_eq!(rig.statuses(), [100, 180, 200]);
    rig.nothing_is_left();
}

#[test]
fn a_call_that_rings_too_long_is_cancelled_then_treated() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A), target(2, B)], Some(20));
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "183 Session Progress", ""));
    rig.pass(Duration::from_millis(20_100));
    let cancel = rig.to(A).remove(0);
    assert_eq!(method(&cancel), "CANCEL");
    rig.response(&reply(&cancel, "200 OK", ""));
    rig.response(&reply(&to_a, "487 Request Terminated", ""));
    assert_eq!(rig.take_told().last(), Some(&Output::Exhausted(id, Cause::NoAnswer)));
    rig.give_up(id);
    assert_eq!(rig.statuses(), [100, 183, 480], "487 is for callers who cancelled");
    rig.nothing_is_left();
}

#[test]
fn rfc3261_16_10_cancel_is_answered_and_passed_on() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "180 Ringing", ""));
    let cancel = invite("z9hG4bK1").replace("INVITE", "CANCEL");
    assert_eq!(rig.request(&cancel), Incoming::Handled);
    assert_eq!(rig.statuses(), [100, 180, 200]);
    let passed = rig.to(A).remove(0);
    assert_eq!(method(&passed), "CANCEL");
    // A retransmitted CANCEL gets its 200 again, and nothing else happens.
    rig.request(&cancel);
    assert_eq!(rig.statuses(), [200]);
    rig.response(&reply(&passed, "200 OK", ""));
    rig.response(&reply(&to_a, "487 Request Terminated", ""));
    assert_eq!(rig.statuses(), [487]);
    assert!(rig.take_told().contains(&Output::Cancelled(id)));
    rig.request(&invite("z9hG4bK1").replace("INVITE", "ACK"));
    rig.nothing_is_left();
    assert_eq!(rig.request(&cancel), Incoming::Handled);
    assert_eq!(rig.statuses(), [481], "nothing to cancel");
}

#[test]
fn a_cancel_while_the_callee_is_silent_ends_the_call_when_its_patience_ends() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A), target(2, B)], None);
    rig.request(&invite("z9hG4bK1").replace("INVITE", "CANCEL"));
    assert_eq!(rig.statuses(), [100, 200]);
    rig.pass(Duration::from_secs(4));
    assert!(rig.to(B).is_empty(), "nothing new is tried");
    assert!(rig.statuses().contains(&487));
    rig.nothing_is_left();
}

#[test]
fn rfc3261_17_retransmissions_are_absorbed_and_the_ack_of_a_failure_is_ours() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.proxy.redirect(id, &["sip:+49@192.0.2.21".into(), "sip:+49@192.0.2.22".into()], rig.now);
    rig.settle();
    let response = rig.to(CALLER).pop().unwrap();
    assert!(response.starts_with("SIP/2.0 302"));
    let contacts = all(&response, Header::Contact);
    assert_eq!(contacts.len(), 2);
    assert!(
        contacts[0].contains("192.0.2.21") && contacts[1].contains("192.0.2.22"),
        "in order: {contacts:?}"
    );
    assert_eq!(rig.request(&invite("z9hG4bK1")), Incoming::Handled);
    assert_eq!(rig.statuses(), [302], "the same answer to the same request");
    rig.pass(Duration::from_millis(600));
    assert_eq!(rig.statuses(), [302], "timer G");
    let ack = invite("z9hG4bK1").replace("INVITE", "ACK");
    assert_eq!(rig.request(&ack), Incoming::Handled);
    rig.pass(Duration::from_secs(10));
    assert!(rig.statuses().is_empty(), "the ACK ends it");
    rig.nothing_is_left();
}

#[test]
fn rfc5393_a_request_that_comes_back_unchanged_is_a_loop_and_a_spiral_is_not() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    // As it was sent: the Request-URI is another, so that this is a spiral.
    assert!(matches!(rig.request_from(&sent, udp(A)), Incoming::Asked(_)));
    // With the Request-URI that it came with first: a loop.
    let back = sent
        .replace(&format!("sip:+4930123456@{A};user=phone"), &format!("sip:+4930123456@{PROXY}"))
        .replacen("Via: ", &format!("Via: SIP/2.0/UDP {A};branch=z9hG4bKother\r\nVia: "), 1);
    assert_eq!(rig.request_from(&back, udp(A)), Incoming::Handled);
    assert!(rig.to(A).iter().any(|t| t.starts_with("SIP/2.0 482")));
}

#[test]
fn rfc5658_two_record_routes_where_the_transport_changes() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    let to_tcp = Target { peer: peer(A, Transport::Tcp), ..target(1, A) };
    rig.route(id, &[to_tcp], None);
    let sent = rig.to(A).pop().unwrap();
    let recorded = all(&sent, Header::RecordRoute);
    assert!(recorded[0].contains(";transport=tcp;lr") && !recorded[1].contains("transport"), "{recorded:?}");
    rig.response(&reply(&sent, "200 OK", ""));
    // The callee's BYE has both, its own side first.
    let bye = in_dialog("BYE", "sip:caller@192.0.2.10", A, &recorded.join(", "));
    assert_eq!(rig.request_from(&bye, peer(A, Transport::Tcp)), Incoming::Handled);
    let passed = rig.to(CALLER);
    let passed = passed.iter().find(|t| method(t) == "BYE").expect("the BYE");
    assert!(all(passed, Header::Via)[0].starts_with("SIP/2.0/UDP"), "it leaves by the other listener");
    assert!(all(passed, Header::Route).is_empty());
}

#[test]
fn rfc6026_a_stray_response_is_dropped() {
    let mut rig = rig();
    let stray = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtdm99.00000000\r\n\
                 Via: SIP/2.0/UDP 192.0.2.10\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\n\
                 CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    rig.response(stray);
    assert!(rig.sent.is_empty() && rig.told.is_empty());
}

#[test]
fn a_response_with_a_guessed_branch_is_dropped() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    let branch =
        all(&to_a, Header::Via)[0].split("branch=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let (number, _) = branch.split_once('.').unwrap();
    rig.response(&reply(&to_a, "200 OK", "").replace(&branch, &format!("{number}.00000000")));
    assert_eq!(rig.statuses(), [100], "the number alone is not enough");
    rig.response(&reply(&to_a, "200 OK", ""));
    assert_eq!(rig.statuses(), [200]);
    rig.nothing_is_left();
}

#[test]
fn rfc3261_16_8_timer_c_ends_what_rings_for_ever() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "180 Ringing", ""));
    rig.pass(Duration::from_secs(184));
    assert!(rig.to(A).is_empty());
    rig.pass(Duration::from_secs(2));
    assert_eq!(method(&rig.to(A).remove(0)), "CANCEL");
    rig.pass(Duration::from_secs(3));
    assert_eq!(rig.take_told().last(), Some(&Output::Exhausted(id, Cause::NoAnswer)));
    rig.give_up(id);
    assert_eq!(rig.statuses(), [100, 180, 480]);
    rig.nothing_is_left();
}

#[test]
fn rfc4320_a_request_that_nobody_answers_is_not_answered_late() {
    let mut rig = rig();
    let options = invite("z9hG4bK1").replace("INVITE", "OPTIONS");
    let id = rig.asked(&options);
    rig.route(id, &[target(1, A)], None);
    rig.pass(Duration::from_secs(40));
    assert_eq!(rig.take_told().last(), Some(&Output::Exhausted(id, Cause::Unreachable)));
    rig.give_up(id);
    assert!(rig.statuses().is_empty());
    rig.nothing_is_left();
}

#[test]
fn a_redirecting_callee_is_the_users_to_follow() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(
        &to_a,
        "302 Moved Temporarily",
        "Contact: \"B\" <sip:+4930999@192.0.2.22>;q=0.5\r\n",
    ));
    let cause = Cause::Redirected("sip:+4930999@192.0.2.22".into());
    assert_eq!(rig.take_told(), [Output::Exhausted(id, cause)]);
    rig.give_up(id);
    rig.nothing_is_left();
}

#[test]
fn a_name_in_a_route_is_resolved_by_the_user() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "200 OK", ""));
    rig.take_told();
    let route = all(&sent, Header::RecordRoute).join(", ");
    rig.request(&in_dialog("BYE", "sip:callee@pool.example", CALLER, &route));
    let told = rig.take_told();
    let Some(Output::Resolve(call, Hop::Name { host, .. })) = told.last() else { panic!("{told:?}") };
    assert_eq!(host, "pool.example");
    rig.proxy.resolved(*call, Some(udp(B)), rig.now);
    rig.settle();
    assert_eq!(rig.methods_to(B), ["BYE"]);
}

#[test]
fn equal_branches_of_two_tenants_are_two_transactions() {
    let mut rig = rig();
    let text = invite("z9hG4bK1");
    let (now, from) = (rig.now, udp(CALLER));
    let first = parse(text.as_bytes(), |m| rig.proxy.on_request(m, 1, from, now));
    let second = parse(text.as_bytes(), |m| rig.proxy.on_request(m, 2, from, now));
    assert!(matches!((first, second), (Incoming::Asked(a), Incoming::Asked(b)) if a != b));
}

#[test]
fn max_forwards_zero_goes_no_further() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    rig.route(id, &[target(1, A)], None);
    assert_eq!(rig.statuses(), [100, 483]);
    assert!(rig.to(A).is_empty());
    rig.nothing_is_left();
}
