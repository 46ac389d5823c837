//! Calls through an edge: redirect and proxy, over UDP and TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use support::*;

#[tokio::test]
async fn a_gateway_that_takes_redirects_gets_the_targets_in_order() {
    let cic = ["127.9.0.30:5062".parse().unwrap(), "127.9.0.31:5063".parse().unwrap()];
    let mut acme = Tenant::usual(&cic, &["127.9.0.50:5068".parse().unwrap()]);
    acme.trunk(0)["accept302"] = true.into();
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    gateway.send(&gateway.invite("+493023125101", "r1")).await;
    let found = gateway.expect("SIP/2.0 302").await;
    assert_eq!(
        headers(&found, "Contact"),
        [
            "<sip:+493023125101@127.9.0.30:5062;user=phone>;q=1.000",
            "<sip:+493023125101@127.9.0.31:5063;user=phone>;q=0.667",
        ]
    );
    let ack = gateway.invite("+493023125101", "r1").replace("INVITE", "ACK").replace("K1ACK", "K1INVITE");
    gateway.send(&ack.replace("bKr1ACK", "bKr1INVITE")).await;
    assert_eq!((bed.edge.stats().redirected, bed.edge.stats().proxied), (1, 0));
    let hops = bed.hops();
    assert_eq!((hops.len(), hops[0].tenant.as_str(), hops[0].ingress.as_str()), (1, "acme", "gateway"));
    assert_eq!(hops[0].target.as_deref(), Some("cic 127.9.0.30:5062"));
    assert!(hops[0].reasons.iter().any(|r| r.contains("DID")), "{:?}", hops[0].reasons);
}

#[tokio::test]
async fn a_call_is_proxied_from_invite_to_bye() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    let cic = Peer { edge: bed.udp(), ..cic };
    gateway.send(&gateway.invite("+493023125101", "p1")).await;
    gateway.expect("SIP/2.0 100").await;
    let invite = cic.expect("INVITE").await;
    assert_eq!(uri(&invite), format!("sip:+493023125101@{};user=phone", cic.addr()));
    assert_eq!(header(&invite, "Max-Forwards"), "69");
    assert_eq!(headers(&invite, "Via").len(), 2);
    assert_eq!(headers(&invite, "Record-Route").len(), 1);
    assert_eq!(header(&invite, "X-Tandem-Decision"), "edge-1-1");
    assert_eq!(header(&invite, "From"), "<sip:+4989555@gw.acme.example>;tag=fp1");
    cic.send(&respond(&invite, "180 Ringing", "c", "")).await;
    gateway.expect("SIP/2.0 180").await;
    let ok = respond(&invite, "200 OK", "c", &format!("Contact: <sip:jane@{}>\r\n", cic.addr()));
    cic.send(&ok).await;
    let ok = gateway.expect("SIP/2.0 200").await;
    assert_eq!(headers(&ok, "Via").len(), 1);
    gateway.send(&within("ACK", 1, &ok, "UDP", gateway.addr(), true, &ok)).await;
    let ack = cic.expect("ACK").await;
    assert_eq!(uri(&ack), format!("sip:jane@{}", cic.addr()));
    assert!(headers(&ack, "Route").is_empty(), "{ack}");
    // The callee hangs up.
    let as_callee = ok.replace("Contact: ", "X-Old: ");
    let seen = format!(
        "{}Contact: <sip:caller@{}>\r\n\r\n",
        as_callee.trim_end_matches("\r\n").to_owned() + "\r\n",
        gateway.addr()
    );
    cic.send(&within("BYE", 7, &ok, "UDP", cic.addr(), false, &seen)).await;
    let bye = gateway.expect("BYE").await;
    gateway.send(&respond(&bye, "200 OK", "", "")).await;
    cic.expect("SIP/2.0 200").await;
    let stats = bed.edge.stats();
    assert_eq!((stats.proxied, stats.ringing, stats.answered, stats.ended), (1, 1, 1, 1));
}

/// A company's own exchange shows all its callers by the main number. A call that comes round is shown the same each
/// time; colleagues are not.
#[tokio::test]
async fn colleagues_behind_one_main_number_are_no_loop() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let mut acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    let exchange = serde_json::json!({"name": "exchange", "role": "SipProxy", "transport": "Udp",
        "addresses": [{"host": "127.9.0.20"}], "ingress": [{"source": "127.9.0.20"}]});
    acme.spec["trunks"].as_array_mut().unwrap().push(exchange);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let exchange = Peer::new("127.9.0.20", bed.udp()).await;
    let call = async |name: &str, user: &str, id: &str| {
        let from = format!("From: {name} <sip:{user}@");
        let invite = exchange.invite("+493023125101", id);
        exchange.send(&invite.replace("From: <sip:+4989555@", &from)).await;
    };
    for at in 0..5 {
        call(&format!("\"Colleague {at}\""), "+4989555", &format!("name-{at}")).await;
    }
    bed.until("five by their names are tried", |s| s.proxied == 5).await;
    // One person, or a call that comes round.
    for at in 0..4 {
        call("Jane", "+4989555", &format!("same-{at}")).await;
    }
    exchange.expect("SIP/2.0 482").await;
    assert_eq!((bed.edge.stats().proxied, bed.edge.stats().refused), (8, vec![("route.loop", 1)]));
    // Whatever is shown, a number is no more than so many callers.
    for at in 0..13 {
        call(&format!("\"Other {at}\""), "+4989555", &format!("other-{at}")).await;
    }
    exchange.expect("SIP/2.0 482").await;
    assert_eq!((bed.edge.stats().proxied, bed.edge.stats().refused), (20, vec![("route.loop", 2)]));
}
