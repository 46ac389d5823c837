//! What happens when a target does not take a call: trunk failover, treatments, silence, loops. Time is moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use support::*;
use tandem_edge::trace::{Because, Did};
use tandem_runtime::clock::{Clock, ManualClock};
use tokio::net::TcpListener;

/// Two CICs, a Lync, a gateway, and an edge whose clock stands still.
struct Four {
    bed: Bed,
    hand: ManualClock,
    gateway: Peer,
    one: Peer,
    two: Peer,
    lync: TcpListener,
}

impl Four {
    async fn new(change: impl FnOnce(&mut Tenant)) -> Self {
        let one = Peer::new(CIC, EDGE_UNSET).await;
        let two = Peer::new("127.9.0.31", EDGE_UNSET).await;
        let lync = TcpListener::bind((LYNC, 0)).await.unwrap();
        let mut acme = Tenant::usual(&[one.addr(), two.addr()], &[lync.local_addr().unwrap()]);
        change(&mut acme);
        let (clock, hand) = Clock::manual(1_000_000);
        let bed = Bed::with(config(), view(&[&acme], &["main"]), clock, vec![listener("main", EDGE)]);
        let edge = bed.udp();
        let gateway = Peer::new(GATEWAY, edge).await;
        Self { bed, hand, gateway, one: Peer { edge, ..one }, two: Peer { edge, ..two }, lync }
    }

    async fn call(&self, called: &str, call: &str) {
        self.gateway.send(&self.gateway.invite(called, call)).await;
    }

    fn seconds(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    /// The gateway gets this, and acknowledges it.
    async fn ends(&self, start: &str, call: &str) -> String {
        let mut found = self.gateway.expect(start).await;
        while header(&found, "Call-ID") != call {
            // The time that a test moves may overtake an ACK: then an earlier answer comes again.
            found = self.gateway.expect(start).await;
        }
        let ack = within_transaction("ACK", &self.gateway.invite("x", call), &found);
        self.gateway.send(&ack).await;
        found
    }
}

fn within_transaction(method: &str, invite: &str, response: &str) -> String {
    let to = header(response, "To");
    format!(
        "{method} {} SIP/2.0\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        uri(invite),
        header(invite, "Via"),
        header(invite, "From"),
        header(invite, "Call-ID"),
    )
}

#[tokio::test]
async fn silence_moves_on_and_the_silent_goes_last_for_half_a_minute() {
    let four = Four::new(|_| {}).await;
    four.call("+493023125101", "s1").await;
    four.one.expect("INVITE").await;
    four.seconds(3);
    let invite = four.two.expect("INVITE").await;
    assert_eq!(uri(&invite), format!("sip:+493023125101@{};user=phone", four.two.addr()));
    four.two.send(&respond(&invite, "486 Busy Here", "b", "")).await;
    four.two.expect("ACK").await;
    four.ends("SIP/2.0 486", "s1").await;
    // The next call does not pay for it.
    four.call("+493023125101", "s2").await;
    let invite = four.two.expect("INVITE").await;
    four.two.send(&respond(&invite, "486 Busy Here", "b", "")).await;
    four.ends("SIP/2.0 486", "s2").await;
    assert!(four.bed.hops()[1].reasons.iter().any(|r| r.contains("silent a moment ago")));
    // Half a minute after it was silent it is tried first again. (An OPTIONS asked it meanwhile.)
    four.seconds(31);
    four.call("+493023125101", "s3").await;
    loop {
        let found = four.one.recv().await;
        if found.contains("Call-ID: s3") {
            break;
        }
        assert!(found.starts_with("INVITE") || found.starts_with("OPTIONS"), "{found}");
    }
    let stats = four.bed.edge.stats();
    assert_eq!((stats.silent, stats.failed_over), (1, 1));
}

#[tokio::test]
async fn a_bare_100_is_borne_for_ten_seconds_and_then_cancelled() {
    let four = Four::new(|_| {}).await;
    four.call("+493023125101", "h1").await;
    let invite = four.one.expect("INVITE").await;
    four.one.send(&respond(&invite, "100 Trying", "", "")).await;
    four.bed.until("the 100 is heard", |s| s.received == 2).await;
    four.seconds(10);
    let cancel = four.one.expect("CANCEL").await;
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    four.one.send(&respond(&cancel, "200 OK", "a", "")).await;
    four.one.send(&respond(&invite, "487 Request Terminated", "a", "")).await;
    four.one.expect("ACK").await;
    let invite = four.two.expect("INVITE").await;
    let ok = respond(&invite, "200 OK", "b", &format!("Contact: <sip:jane@{}>\r\n", four.two.addr()));
    four.two.send(&ok).await;
    four.gateway.expect("SIP/2.0 200").await;
}

#[tokio::test]
async fn a_retry_code_moves_on_and_a_users_own_word_does_not() {
    let four = Four::new(|_| {}).await;
    four.call("+493023125101", "e1").await;
    let invite = four.one.expect("INVITE").await;
    four.one.send(&respond(&invite, "503 Service Unavailable", "a", "")).await;
    four.one.expect("ACK").await;
    let invite = four.two.expect("INVITE").await;
    four.two.send(&respond(&invite, "404 Not Found", "b", "")).await;
    four.ends("SIP/2.0 404", "e1").await;
    four.call("+493023125101", "e2").await;
    let invite = four.one.expect("INVITE").await;
    four.one.send(&respond(&invite, "486 Busy Here", "a", "")).await;
    four.ends("SIP/2.0 486", "e2").await;
    assert_eq!(four.bed.edge.stats().failed_over, 1);
}

#[tokio::test]
async fn a_2xx_that_comes_late_reaches_the_caller() {
    let four = Four::new(|_| {}).await;
    four.call("+493023125101", "l1").await;
    let first = four.one.expect("INVITE").await;
    four.seconds(3);
    let second = four.two.expect("INVITE").await;
    let ok = |invite: &str, tag: &str, at| {
        respond(invite, "200 OK", tag, &format!("Contact: <sip:jane@{at}>\r\n"))
    };
    four.two.send(&ok(&second, "two", four.two.addr())).await;
    assert!(header(&four.gateway.expect("SIP/2.0 200").await, "To").ends_with("tag=two"));
    four.one.send(&ok(&first, "one", four.one.addr())).await;
    assert!(header(&four.gateway.expect("SIP/2.0 200").await, "To").ends_with("tag=one"));
}

#[tokio::test]
async fn a_caller_who_cancels_gets_487() {
    let four = Four::new(|_| {}).await;
    four.call("+493023125101", "c1").await;
    let invite = four.one.expect("INVITE").await;
    four.one.send(&respond(&invite, "180 Ringing", "a", "")).await;
    let ringing = four.gateway.expect("SIP/2.0 180").await;
    let cancel = within_transaction("CANCEL", &four.gateway.invite("+493023125101", "c1"), &ringing);
    four.gateway.send(&cancel.replace(";tag=a", "")).await;
    four.gateway.expect("SIP/2.0 200").await;
    let cancel = four.one.expect("CANCEL").await;
    four.one.send(&respond(&cancel, "200 OK", "a", "")).await;
    four.one.send(&respond(&invite, "487 Request Terminated", "a", "")).await;
    four.ends("SIP/2.0 487", "c1").await;
    assert_eq!(four.bed.edge.stats().cancelled, 1);
}

/// Ben is in Lync; what happens to his calls is the tenant's to say.
fn treated(acme: &mut Tenant) {
    acme.users[1]["treatments"] = serde_json::json!({
        "onBusy": "+493023125101", "onNoAnswer": "+4989111", "noAnswerSeconds": 20, "onUnreachable": "+493023125101"
    });
}

#[tokio::test]
async fn a_busy_callees_treatment_is_decided_anew_and_says_who_forwarded() {
    let four = Four::new(treated).await;
    four.call("+493023125172", "b1").await;
    let mut lync = Stream::of(four.lync.accept().await.unwrap().0);
    let invite = lync.expect("INVITE").await;
    // UDP on one side, TCP on the other: two Record-Routes, the callee's on top (RFC 5658).
    let routes = headers(&invite, "Record-Route");
    assert_eq!(routes.len(), 2);
    assert!(routes[0].contains("transport=tcp") && !routes[1].contains("transport="), "{routes:?}");
    lync.send(&respond(&invite, "180 Ringing", "r", "")).await;
    four.gateway.expect("SIP/2.0 180").await;
    lync.send(&respond(&invite, "486 Busy Here", "r", "")).await;
    let invite = four.one.expect("INVITE").await;
    assert_eq!(uri(&invite), format!("sip:+493023125101@{};user=phone", four.one.addr()));
    let diversion = header(&invite, "Diversion");
    assert_eq!(diversion, "<sip:+493023125172@cic.acme.example;user=phone>;reason=user-busy;counter=1");
    four.one.send(&respond(&invite, "603 Decline", "a", "")).await;
    four.ends("SIP/2.0 603", "b1").await;
    let hops = four.bed.hops();
    assert_eq!((hops.len(), hops[1].because), (2, Because::Busy));
    assert_eq!(four.bed.edge.stats().treated, 1);
}

/// RFC 7044: where it stands, history goes on.
#[tokio::test]
async fn a_trunk_that_reads_history_info_gets_it_after_what_is_there() {
    let four = Four::new(|acme| {
        treated(acme);
        acme.trunk(0)["identity"] = serde_json::json!({"trusted": true});
        acme.trunk(1)["identity"] = serde_json::json!({"trusted": true, "diversion": "HistoryInfo"});
    })
    .await;
    let before = "History-Info: <sip:+4930@x>;index=1\r\nHistory-Info: <sip:+493023125172@x>;index=1.1\r\n";
    let invite = four.gateway.invite("+493023125172", "h1");
    four.gateway.send(&invite.replace("Max-Forwards", &format!("{before}Max-Forwards"))).await;
    let mut lync = Stream::of(four.lync.accept().await.unwrap().0);
    let invite = lync.expect("INVITE").await;
    assert_eq!(headers(&invite, "History-Info").len(), 2, "Lync rings, and nothing is diverted:\n{invite}");
    lync.send(&respond(&invite, "486 Busy Here", "r", "")).await;
    let invite = four.one.expect("INVITE").await;
    let to = format!("sip:+493023125101@{};user=phone", four.one.addr());
    let ours = format!("<{to}>;index=1.1.1;mp=1.1");
    let expected = ["<sip:+4930@x>;index=1", "<sip:+493023125172@x>;index=1.1", &ours];
    assert_eq!((uri(&invite), headers(&invite, "History-Info")), (&*to, expected.to_vec()));
    assert!(headers(&invite, "Diversion").is_empty());
}

#[tokio::test]
async fn who_does_not_answer_is_forwarded_to_the_pstn_as_the_called_users_forwarding() {
    let four = Four::new(|acme| {
        treated(acme);
        let gateway = std::net::UdpSocket::bind(("127.9.0.11", 0)).unwrap().local_addr().unwrap();
        acme.trunk(0)["addresses"] = serde_json::json!([{"host": "127.9.0.11", "port": gateway.port()}]);
    })
    .await;
    four.call("+493023125172", "n1").await;
    let mut lync = Stream::of(four.lync.accept().await.unwrap().0);
    let invite = lync.expect("INVITE").await;
    lync.send(&respond(&invite, "183 Session Progress", "r", "")).await;
    four.gateway.expect("SIP/2.0 183").await;
    four.seconds(20);
    let cancel = lync.expect("CANCEL").await;
    lync.send(&respond(&cancel, "200 OK", "r", "")).await;
    lync.send(&respond(&invite, "487 Request Terminated", "r", "")).await;
    four.bed.until("the treatment is decided", |s| s.treated == 1).await;
    let hops = four.bed.hops();
    assert_eq!(
        (hops[1].because, hops[1].did.clone(), &*hops[1].called),
        (Because::NoAnswer, Did::Proxy(1), "+4989111")
    );
    assert!(hops[1].reasons.iter().any(|r| r.contains("forwarded the call")), "{:#?}", hops[1].reasons);
}

#[tokio::test]
async fn a_lync_that_cannot_be_reached_is_treated_as_unreachable() {
    let four = Four::new(treated).await;
    let Four { bed, gateway, one, lync, .. } = four;
    drop(lync);
    gateway.send(&gateway.invite("+493023125172", "u1")).await;
    let invite = one.expect("INVITE").await;
    assert!(header(&invite, "Diversion").contains("reason=unavailable"));
    assert_eq!(bed.edge.stats().connections_failed, 1);
}

/// RFC 5806: the entry of who diverted last stands for both diversions, so that whoever counts them ends a chain in time.
/// RFC 7044: each is an entry of its own.
#[tokio::test]
async fn a_call_that_is_diverted_twice_says_so() {
    let four = Four::new(|acme| {
        acme.trunk(1)["identity"] = serde_json::json!({"trusted": true, "diversion": "Diversion"});
        acme.trunk(2)["identity"] = serde_json::json!({"trusted": true, "diversion": "Diversion"});
    })
    .await;
    let (first, invite) = diverted_twice(&four, "t1").await;
    let entry = "<sip:+493023125172@cic.acme.example;user=phone>;reason=deflection;counter=1";
    assert_eq!(header(&first, "Diversion"), entry);
    let entry = "<sip:+493023125101@med.acme.example;user=phone>;reason=deflection;counter=2";
    assert_eq!(headers(&invite, "Diversion"), [entry]);

    let four = Four::new(|acme| {
        acme.trunk(2)["identity"] = serde_json::json!({"trusted": true, "diversion": "HistoryInfo"});
    })
    .await;
    let (_, invite) = diverted_twice(&four, "t2").await;
    let by = |number: &str| format!("<sip:{number}@med.acme.example;user=phone?Reason=SIP%3Bcause%3D302>");
    let history = format!(
        "{};index=1, {};index=1.1;mp=1, <{}>;index=1.1.1;mp=1.1",
        by("+493023125172"),
        by("+493023125101"),
        uri(&invite)
    );
    assert_eq!(headers(&invite, "History-Info"), [history]);
}

/// A call to Lync, which redirects it to CIC, which redirects it back: what CIC was asked, and Lync the second time.
async fn diverted_twice(four: &Four, call: &str) -> (String, String) {
    four.call("+493023125172", call).await;
    let mut lync = Stream::of(four.lync.accept().await.unwrap().0);
    let invite = lync.expect("INVITE").await;
    let to = |number: &str| format!("Contact: <sip:{number}@somewhere.example;user=phone>\r\n");
    lync.send(&respond(&invite, "302 Moved Temporarily", "r", &to("+493023125101"))).await;
    lync.expect("ACK").await;
    let first = four.one.expect("INVITE").await;
    four.one.send(&respond(&first, "302 Moved Temporarily", "a", &to("+493023125172"))).await;
    (first, lync.expect("INVITE").await)
}

#[tokio::test]
async fn a_redirection_goes_where_policy_lets_it_and_no_further() {
    let four = Four::new(|_| {}).await;
    four.call("+493023125172", "x1").await;
    let mut lync = Stream::of(four.lync.accept().await.unwrap().0);
    let invite = lync.expect("INVITE").await;
    let to = |number: &str| format!("Contact: <sip:{number}@somewhere.example;user=phone>\r\n");
    lync.send(&respond(&invite, "302 Moved Temporarily", "r", &to("+493023125101"))).await;
    let invite = four.one.expect("INVITE").await;
    assert!(header(&invite, "Diversion").contains("reason=deflection"));
    four.one.send(&respond(&invite, "480 Temporarily Unavailable", "a", "")).await;
    four.ends("SIP/2.0 480", "x1").await;
    // A premium number: the 302 is not passed up either, or the gateway would dial it.
    four.call("+493023125172", "x2").await;
    lync.expect("ACK").await;
    let invite = lync.expect("INVITE").await;
    lync.send(&respond(&invite, "302 Moved Temporarily", "r", &to("+49900123"))).await;
    four.ends("SIP/2.0 403", "x2").await;
    assert!(four.bed.edge.stats().refused.contains(&("toll.refused", 1)));
}

/// Of attempts that a gateway makes, those by one number are counted, and many are let through; those without a number
/// are as many callers. What a loop through other systems is refused by is a scenario of its own (`tests/`).
#[tokio::test]
async fn attempts_alike_by_one_number_are_counted_until_they_are_answered() {
    let four = Four::new(|_| {}).await;
    for call in ["n1", "n2", "n3", "n4", "n5"] {
        four.call("+493023125101", call).await;
    }
    four.bed.until("five by one number are tried", |s| s.proxied == 5).await;
    let anonymous = |call: &str| {
        let invite = four.gateway.invite("+493023125101", call);
        let (from, rest) = invite.split_once("From: ").unwrap();
        let (_, rest) = rest.split_once(';').unwrap();
        format!("{from}From: <sip:anonymous@anonymous.invalid>;{rest}")
    };
    for call in 0..30 {
        four.gateway.send(&anonymous(&format!("anonymous-{call}"))).await;
    }
    four.bed.until("thirty by nobody are tried", |s| s.proxied == 35).await;

    let four = Four::new(|acme| acme.spec["limits"] = serde_json::json!({"attemptsAlikeElsewhere": 3})).await;
    for call in ["a1", "a2", "a3"] {
        four.call("+493023125101", call).await;
    }
    four.bed.until("three are tried", |s| s.proxied == 3).await;
    four.call("+493023125101", "a4").await;
    four.ends("SIP/2.0 482", "a4").await;
    // Another caller is another call.
    let other = four.gateway.invite("+493023125101", "a5").replace("+4989555", "+4989777");
    four.gateway.send(&other).await;
    four.bed.until("the other is tried", |s| s.proxied == 4).await;
    // One less unanswered, one more may try.
    let mut invite = four.one.expect("INVITE").await;
    while !invite.contains("Call-ID: a1") {
        invite = four.one.expect("INVITE").await;
    }
    four.one.send(&respond(&invite, "486 Busy Here", "b", "")).await;
    four.gateway.expect("SIP/2.0 486").await;
    four.call("+493023125101", "a6").await;
    four.bed.until("it is tried", |s| s.proxied == 5).await;
    assert!(four.bed.edge.stats().refused.contains(&("route.loop", 1)));
}

/// CIC in the cloud, the rest at the premises; Carla has a Lync phone as her CIC station.
fn local_control(acme: &mut Tenant) {
    acme.spec["model"] = "LocalControl".into();
    acme.spec["media"] = serde_json::json!({"selection": {"sites": ["berlin"], "any": false}});
    acme.spec["survivable"] = serde_json::json!({"cicSilentSeconds": 10, "huntTarget": "+493023125172"});
    acme.users.push(serde_json::json!({
        "id": "carla", "cic": {"userId": "carla", "extension": "103"}, "callControl": "CicClient",
        "lync": {"sipAddress": "sip:carla@acme.example", "lineUri": "tel:+493023125173", "telephony": "Uc"},
        "phone": {"kind": "LyncHard"}, "station": "s3"
    }));
    acme.numbers.push(serde_json::json!({"number": "+493023125103", "kind": "Did", "user": "carla"}));
}

/// The CIC is in the cloud and silent, and the same call rings Lync at the premises.
#[tokio::test]
async fn the_survivable_rules_reach_lync_in_the_same_call() {
    let four = Four::new(|acme| {
        acme.spec["model"] = "LocalControl".into();
        local_control(acme);
    })
    .await;
    four.call("+493023125103", "w1").await;
    four.one.expect("INVITE").await;
    four.seconds(3);
    four.two.expect("INVITE").await;
    four.seconds(3);
    four.bed.until("both were silent", |s| s.silent == 2).await;
    // The second has been silent since it was asked, 3 s ago: 7 s are left.
    four.seconds(6);
    assert_eq!(four.bed.edge.stats().survived, 0);
    four.seconds(1);
    let mut lync = Stream::of(four.lync.accept().await.unwrap().0);
    let invite = lync.expect("INVITE").await;
    assert!(uri(&invite).starts_with("sip:+493023125173@"), "{invite}");
    let hops = four.bed.hops();
    assert_eq!((hops[1].because, hops[1].survivable), (Because::CicSilent, true));
    // The next call pays nothing, until the CIC is heard: it is asked by OPTIONS.
    four.call("+493023125103", "w2").await;
    lync.expect("INVITE").await;
    let ask = loop {
        let found = four.one.recv().await;
        if found.starts_with("OPTIONS") {
            break found;
        }
    };
    four.one.send(&respond(&ask, "200 OK", "o", "")).await;
    let before = four.bed.edge.stats().received;
    four.call("+493023125103", "w3").await;
    four.bed.until("both came", |s| s.received > before).await;
    four.one.expect_call("w3").await;
}

#[tokio::test]
async fn an_emergency_call_goes_before_everything() {
    let four = Four::new(|acme| {
        let at = std::net::UdpSocket::bind(("127.9.0.11", 0)).unwrap().local_addr().unwrap();
        acme.trunk(0)["addresses"] = serde_json::json!([{"host": "127.9.0.11", "port": at.port()}]);
    })
    .await;
    // From CIC, five times alike: no limit holds, and no redirect, treatment or toll rule is asked.
    for call in ["e1", "e2", "e3", "e4", "e5"] {
        four.one.send(&four.one.invite("112", call)).await;
    }
    four.bed.until("all are tried", |s| s.proxied == 5).await;
    let hops = four.bed.hops();
    assert!(hops.iter().all(|h| h.target.as_deref().is_some_and(|t| t.starts_with("gateway"))), "{hops:#?}");
    assert!(hops[0].reasons.iter().any(|r| r.starts_with("+ emergency")), "{:#?}", hops[0].reasons);
}

/// A redirect server never sees whether its calls arrive: it asks the CIC itself.
#[tokio::test]
async fn a_silent_cic_is_found_out_where_calls_are_redirected() {
    let four = Four::new(|acme| {
        local_control(acme);
        acme.trunk(0)["accept302"] = true.into();
    })
    .await;
    four.call("+493023125103", "f1").await;
    four.ends("SIP/2.0 302", "f1").await;
    four.one.expect("OPTIONS").await;
    four.two.expect("OPTIONS").await;
    four.seconds(3);
    four.bed.until("both were silent", |s| s.silent == 2).await;
    four.seconds(7);
    four.call("+493023125103", "f2").await;
    let found = four.ends("SIP/2.0 302", "f2").await;
    assert!(header(&found, "Contact").starts_with("<sip:+493023125173@127.9.0.50"), "{found}");
    // One that answers is back.
    let ask = loop {
        let found = four.one.expect("OPTIONS").await;
        if header(&found, "CSeq") == "1 OPTIONS" {
            break found;
        }
    };
    let before = four.bed.edge.stats().received;
    four.one.send(&respond(&ask, "405 Method Not Allowed", "o", "")).await;
    four.bed.until("it is heard", |s| s.received > before).await;
    four.call("+493023125103", "f3").await;
    let found = four.ends("SIP/2.0 302", "f3").await;
    assert!(header(&found, "Contact").starts_with("<sip:+493023125103@127.9.0.30"), "{found}");
}
