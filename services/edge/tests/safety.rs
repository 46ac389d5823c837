//! What must hold whatever else goes wrong: calls for help, trust, toll, limits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::json;
use support::*;
use tandem_edge::config::Config;
use tandem_edge::trace::{Did, Hop};
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Phase;

/// An edge, its gateway and its CIC, both on UDP.
struct Three {
    bed: Bed,
    gateway: Peer,
    cic: Peer,
}

impl Three {
    async fn new(change: impl FnOnce(&mut Tenant)) -> Self {
        Self::with(config(), change).await
    }

    async fn with(config: Config, change: impl FnOnce(&mut Tenant)) -> Self {
        let cic = Peer::new(CIC, EDGE_UNSET).await;
        let gateway = Peer::new(GATEWAY, EDGE_UNSET).await;
        let mut acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
        acme.trunk(0)["addresses"] = json!([{"host": GATEWAY, "port": gateway.addr().port()}]);
        change(&mut acme);
        let bed =
            Bed::with(config, view(&[&acme], &["main"]), Clock::machine(), vec![listener("main", EDGE)]);
        let edge = bed.udp();
        Self { bed, gateway: Peer { edge, ..gateway }, cic: Peer { edge, ..cic } }
    }

    /// A call from the gateway that CIC has answered: the 200 as the gateway got it.
    async fn answered(&self, call: &str) -> String {
        self.gateway.send(&self.gateway.invite("+493023125101", call)).await;
        let invite = self.cic.expect("INVITE").await;
        let contact = format!("Contact: <sip:jane@{}>\r\n", self.cic.addr());
        self.cic.send(&respond(&invite, "200 OK", "c", &contact)).await;
        let ok = self.gateway.expect("SIP/2.0 200").await;
        self.gateway.send(&within("ACK", 1, &ok, "UDP", self.gateway.addr(), true, &ok)).await;
        self.cic.expect("ACK").await;
        ok
    }

    /// A request of the gateway's within a call.
    fn within(&self, method: &str, ok: &str, more: &str) -> String {
        let request = within(method, 2, ok, "UDP", self.gateway.addr(), true, ok);
        request.replace("Max-Forwards", &format!("{more}Max-Forwards"))
    }
}

/// RFC 5031: a service by its name. It is taken out by the gateway under the number that a gateway can dial, and its
/// CANCEL and the ACK of its failure, which carry the same name, find it.
#[tokio::test]
async fn a_call_for_help_by_the_name_of_its_service_goes_out() {
    let Three { bed, gateway, cic } = Three::new(|_| {}).await;
    let help = |call: &str| cic.request("INVITE", "urn:service:sos", call, "");
    cic.send(&help("u1")).await;
    let invite = gateway.expect("INVITE").await;
    assert!(uri(&invite).starts_with("sip:112@"), "{invite}");
    gateway.send(&respond(&invite, "180 Ringing", "g", "")).await;
    cic.expect("SIP/2.0 180").await;
    cic.send(
        &help("u1")
            .replace("INVITE sip", "CANCEL sip")
            .replace("INVITE urn", "CANCEL urn")
            .replace("1 INVITE", "1 CANCEL"),
    )
    .await;
    cic.expect("SIP/2.0 200").await;
    let cancel = gateway.expect("CANCEL").await;
    gateway.send(&respond(&cancel, "200 OK", "g", "")).await;
    gateway.send(&respond(&invite, "487 Request Terminated", "g", "")).await;
    gateway.expect("ACK").await;
    let ended = cic.expect("SIP/2.0 487").await;
    let ack = help("u1").replace("INVITE urn", "ACK urn").replace("1 INVITE", "1 ACK");
    cic.send(&ack.replace("To: <urn:service:sos>", &format!("To: {}", header(&ended, "To")))).await;
    // Acknowledged, it is not sent again: what comes next is another's answer.
    for (uri, call) in [("urn:isbn:1", "u2"), ("urn:service:counseling", "u3")] {
        cic.send(&cic.request("INVITE", uri, call, "")).await;
        let mut found = cic.expect("SIP/2.0 4").await;
        while header(&found, "Call-ID") != call {
            found = cic.expect("SIP/2.0 4").await;
        }
    }
    assert_eq!((bed.edge.stats().proxied, bed.edge.stats().invalid), (1, 1));
}

#[tokio::test]
async fn an_edge_that_drains_takes_calls_for_help_and_no_others() {
    let Three { bed, gateway, cic } = Three::new(|_| {}).await;
    // A call that rings keeps the edge from leaving meanwhile.
    gateway.send(&gateway.invite("+493023125101", "d1")).await;
    let ringing = cic.expect("INVITE").await;
    cic.send(&respond(&ringing, "180 Ringing", "c", "")).await;
    gateway.expect("SIP/2.0 180").await;
    bed.life.shutdown.advance(Phase::Draining);
    let mut at = 0;
    while bed.edge.stats().drained == 0 {
        at += 1;
        gateway.send(&gateway.invite("+493023125101", &format!("d2-{at}"))).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = gateway.expect("SIP/2.0 503").await;
    assert!(header(&refused, "Retry-After").parse::<u32>().unwrap() >= 1, "{refused}");
    // What is told of it is what was answered.
    let of = |hop: &&Hop| hop.call_id == header(&refused, "Call-ID");
    let hops = bed.hops();
    assert_eq!(hops.iter().find(of).unwrap().did, Did::Reject("element.leaving", 503));
    for (called, call) in [("sip:112@cic.acme.example", "d3"), ("urn:service:sos", "d4")] {
        cic.send(&cic.request("INVITE", called, call, "")).await;
        loop {
            let found = gateway.recv().await;
            if found.starts_with("INVITE") && header(&found, "Call-ID") == call {
                break;
            }
        }
    }
}

/// What a trunk asserts is read and then written anew by policy: never twice, and never as an untrusted one said it.
#[tokio::test]
async fn an_asserted_identity_is_policys_alone() {
    for trusted in [false, true] {
        let three = Three::new(|acme| {
            acme.trunk(0)["identity"] = json!({"trusted": trusted});
            // An untrusted one that may call for help: nothing of that call is taken away but what it asserts.
            acme.trunk(1)["identity"] = json!({"trusted": trusted});
        })
        .await;
        let Three { gateway, cic, .. } = &three;
        let said = "P-Asserted-Identity: <tel:+49301>\r\nP-Preferred-Identity: <tel:+49302>\r\nX-Kept: 1\r\n";
        cic.send(&cic.request("INVITE", "sip:112@cic.acme.example", "i1", said)).await;
        let help = gateway.expect("INVITE").await;
        assert_eq!(
            headers(&help, "P-Asserted-Identity"),
            ["<sip:+493023125100@gw.acme.example;user=phone>", "<tel:+493023125100>"],
            "the callback alone"
        );
        assert!(headers(&help, "P-Preferred-Identity").is_empty(), "{help}");
        assert_eq!(header(&help, "X-Kept"), "1");
        let called = format!("sip:+493023125101@{};user=phone", gateway.edge);
        gateway.send(&gateway.request("INVITE", &called, "i2", said)).await;
        let invite = cic.expect_call("i2").await;
        // Nobody vouches for what an untrusted one says: From shows it, as it came, and nothing asserts it.
        let asserted: &[&str] =
            if trusted { &["<sip:+49301@cic.acme.example;user=phone>", "<tel:+49301>"] } else { &[] };
        assert_eq!(headers(&invite, "P-Asserted-Identity"), asserted);
        assert!(header(&invite, "From").contains("+4989555"), "{invite}");
        assert!(headers(&invite, "P-Preferred-Identity").is_empty(), "{invite}");
    }
}

/// Toll policy holds for where a call is transferred to: else a transfer would dial what a call may not.
#[tokio::test]
async fn a_transfer_goes_no_further_than_a_call_may() {
    let three = Three::new(|_| {}).await;
    let Three { bed, gateway, cic } = &three;
    let ok = three.answered("f1").await;
    let refer = |to: &str| {
        three.within("REFER", &ok, &format!("Refer-To: <sip:{to}@gw.acme.example;user=phone>\r\n"))
    };
    gateway.send(&refer("+49900123")).await;
    let refused = gateway.expect("SIP/2.0 403").await;
    assert_eq!(header(&refused, "CSeq"), "2 REFER");
    assert_eq!(bed.edge.stats().transfers_refused, 1);
    assert!(cic.is_quiet());
    gateway
        .send(
            &refer("+493023125172")
                .replace("2REFER", "3REFER")
                .replace("2 REFER", "3 REFER")
                .replace("REFER2", "REFER3"),
        )
        .await;
    let passed = cic.expect("REFER").await;
    assert!(header(&passed, "Refer-To").contains("+493023125172"), "{passed}");
    cic.send(&respond(&passed, "202 Accepted", "", "")).await;
    gateway.expect("SIP/2.0 202").await;
}

#[tokio::test]
async fn a_peer_of_one_tenant_is_not_served_at_anothers_domain() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let lync = ["127.9.0.50:5068".parse().unwrap()];
    let acme = Tenant::usual(&[cic.addr()], &lync);
    let mut globex = Tenant { name: "globex", ..Tenant::usual(&["127.9.0.32:5062".parse().unwrap()], &lync) };
    globex.spec = serde_json::from_str(&globex.spec.to_string().replace("acme", "globex")).unwrap();
    for (at, ingress) in
        [json!([{"domain": "sip.globex.example"}]), json!([]), json!([])].into_iter().enumerate()
    {
        globex.trunk(at)["ingress"] = ingress;
    }
    let bed = Bed::new(view(&[&acme, &globex], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    let stranger = Peer::new("127.9.9.8", bed.udp()).await;
    let asks = |peer: &Peer, domain: &str, call: &str| {
        peer.request("INVITE", &format!("sip:+493023125101@{domain}"), call, "")
    };
    gateway.send(&asks(&gateway, "sip.globex.example", "o1")).await;
    gateway.expect("SIP/2.0 403").await;
    assert_eq!((bed.edge.stats().foreign_domains, bed.edge.stats().decisions), (1, 0));
    // By that domain, and at its own tenant's, all is well.
    stranger.send(&asks(&stranger, "sip.globex.example", "o2")).await;
    bed.until("globex decides", |s| s.decisions == 1).await;
    gateway.send(&asks(&gateway, "gw.acme.example", "o3")).await;
    cic.expect("INVITE").await;
    let tenants: Vec<String> = bed.hops().iter().map(|h| h.tenant.to_string()).collect();
    assert_eq!(tenants, ["globex", "acme"]);
}

/// Lync's clients ask every proxy for `ms-benotify`, and nobody ever answers a BENOTIFY.
#[tokio::test]
async fn a_benotify_passes_and_is_never_answered() {
    let three = Three::new(|_| {}).await;
    let Three { bed, gateway, cic } = &three;
    let ok = three.answered("b1").await;
    gateway.send(&three.within("BENOTIFY", &ok, "Proxy-Require: ms-benotify\r\n")).await;
    cic.expect("BENOTIFY").await;
    // What cannot pass gets no answer: by a dialog that is none, by a Route that is forged, with an unknown extension.
    let no_route: String = three
        .within("BENOTIFY", &ok, "")
        .split_inclusive("\r\n")
        .filter(|l| !l.starts_with("Route"))
        .collect();
    let before = bed.edge.stats().received;
    for (at, text) in [
        no_route.clone(),
        no_route.replace("Max-Forwards", "Route: <sip:192.0.2.9;lr>\r\nMax-Forwards"),
        three.within("BENOTIFY", &ok, "Proxy-Require: other\r\n"),
        gateway.request("BENOTIFY", "sip:+49900123@gw.acme.example", "b2", ""),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.send(&text.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{at}"))).await;
    }
    bed.until("all came", |s| s.received >= before + 4).await;
    let info = three.within("INFO", &ok, "Proxy-Require: ms-benotify, other\r\n");
    gateway.send(&info).await;
    // The first that is answered is the last, and for the extension that we do not have.
    let refused = gateway.recv().await;
    assert!(refused.starts_with("SIP/2.0 420"), "{refused}");
    assert_eq!(header(&refused, "Unsupported"), "other");
    assert_eq!(header(&refused, "CSeq"), "2 INFO");
}

/// At its limit an edge says when to come back, and what goes on in calls that it has still passes.
#[tokio::test]
async fn past_the_limit_of_transactions_callers_are_told_when_to_come_back() {
    let three = Three::with(Config { transactions_max: 4, ..config() }, |_| {}).await;
    let Three { bed, gateway, cic } = &three;
    let ok = three.answered("l1").await;
    gateway.send(&gateway.invite("+493023125101", "l2")).await;
    let second = cic.expect_call("l2").await;
    gateway.send(&gateway.invite("+493023125101", "l3")).await;
    let refused = gateway.expect("SIP/2.0 503").await;
    assert_eq!(header(&refused, "Call-ID"), "l3");
    assert!(header(&refused, "Retry-After").parse::<u32>().unwrap() >= 1, "{refused}");
    assert_eq!(bed.edge.stats().overloaded, 1);
    // A response finds its own, and so does an ACK.
    cic.send(&respond(&second, "180 Ringing", "c", "")).await;
    gateway.expect("SIP/2.0 180").await;
    gateway.send(&within("ACK", 1, &ok, "UDP", gateway.addr(), true, &ok)).await;
    cic.expect("ACK").await;
    // Nor is a call for help refused, nor what ends a call that stands.
    cic.send(&cic.request("INVITE", "sip:112@cic.acme.example", "l4", "")).await;
    let help = gateway.expect("INVITE").await;
    assert!(help.starts_with("INVITE sip:112@"), "{help}");
    gateway.send(&within("BYE", 2, &ok, "UDP", gateway.addr(), true, &ok)).await;
    cic.expect("BYE").await;
    assert_eq!(bed.edge.stats().overloaded, 1);
}

/// The rescue centre sees the site's callback number and calls it: Jane, who called for help, gets the call.
#[tokio::test]
async fn a_rescuer_who_calls_back_reaches_who_called_for_help() {
    let Three { bed, gateway, cic } = Three::new(|_| {}).await;
    let back = |call: &str| gateway.invite("+493023125100", call);
    // Before, the number is nobody's.
    gateway.send(&back("c1")).await;
    gateway.expect("SIP/2.0 404").await;
    let janes = cic.request("INVITE", "sip:112@cic.acme.example", "e1", "");
    cic.send(&janes.replace("<sip:+4989555@gw.acme.example>", "<sip:+493023125101@cic.acme.example>")).await;
    let help = gateway.expect("INVITE").await;
    assert!(header(&help, "P-Asserted-Identity").contains("+493023125100"), "{help}");
    gateway.send(&respond(&help, "486 Busy Here", "g", "")).await;
    cic.expect("SIP/2.0 486").await;
    gateway.expect("ACK").await;
    gateway.send(&back("c2")).await;
    let rings = cic.expect("INVITE").await;
    assert!(rings.starts_with("INVITE sip:+493023125101@"), "{rings}");
    let of = |hop: &&Hop| hop.call_id == "c2";
    let hops = bed.hops();
    let reasons = hops.iter().find(of).unwrap().reasons.join("\n");
    assert!(reasons.contains("+ emergency-callback: +493023125100 was shown for jane"), "{reasons}");
}
