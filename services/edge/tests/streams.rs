//! TCP: calls over it, keep-alives, names that need looking up, limits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use support::*;
use tandem_edge::config::Config;
use tandem_runtime::clock::Clock;
use tokio::net::TcpListener;

fn over_tcp(lync: &TcpListener) -> Tenant {
    let mut acme = Tenant::usual(&["127.9.0.30:5062".parse().unwrap()], &[lync.local_addr().unwrap()]);
    acme.trunk(0)["transport"] = "Tcp".into();
    acme
}

#[tokio::test]
async fn a_call_over_tcp_from_invite_to_bye() {
    let lync = TcpListener::bind((LYNC, 0)).await.unwrap();
    let bed = Bed::new(view(&[&over_tcp(&lync)], &["main"]));
    let mut gateway = Stream::connect(GATEWAY, bed.tcp()).await;
    let at = gateway.stream.local_addr().unwrap();
    let uri = format!("sip:+493023125172@{};user=phone;transport=tcp", bed.tcp());
    let contact = format!("Contact: <sip:caller@{at};transport=tcp>\r\n");
    let invite = request("INVITE", &uri, "t1", "TCP", at, &contact);
    // In two pieces, and a keep-alive before it.
    gateway.send("\r\n\r\n").await;
    gateway.send(&invite[..100]).await;
    gateway.send(&invite[100..]).await;
    let (stream, from) = lync.accept().await.unwrap();
    assert_eq!(from.ip().to_string(), EDGE, "a peer knows the edge by the address that it listens on");
    let mut lync = Stream::of(stream);
    let invite = lync.expect("INVITE").await;
    assert_eq!(headers(&invite, "Record-Route").len(), 1);
    lync.send(&respond(&invite, "200 OK", "l", "Contact: <sip:ben@127.9.0.50:5068;transport=tcp>\r\n")).await;
    let pong = gateway.recv_raw(2).await;
    assert_eq!(pong, "\r\n");
    let ok = gateway.expect("SIP/2.0 200").await;
    // The callee hangs up over the connection that there is; so does the answer come back.
    let seen = format!(
        "SIP/2.0 200 OK\r\nRecord-Route: {}\r\nContact: <sip:caller@{at};transport=tcp>\r\n\r\n",
        header(&ok, "Record-Route")
    );
    lync.send(&within("BYE", 5, &ok, "TCP", "127.9.0.50:5068".parse().unwrap(), false, &seen)).await;
    let bye = gateway.expect("BYE").await;
    gateway.send(&respond(&bye, "200 OK", "", "")).await;
    lync.expect("SIP/2.0 200").await;
    assert_eq!(bed.edge.stats().keep_alives, 1);
}

#[tokio::test]
async fn what_is_no_message_ends_its_connection_and_no_other() {
    let lync = TcpListener::bind((LYNC, 0)).await.unwrap();
    let bed = Bed::new(view(&[&over_tcp(&lync)], &["main"]));
    let mut good = Stream::connect(GATEWAY, bed.tcp()).await;
    let at = good.stream.local_addr().unwrap();
    for (noise, answer) in [
        ("GET / HTTP/1.1\r\n\r\n", ""),
        ("\u{16}\u{3}\u{1}", ""),
        (
            "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nContent-Length: -1\r\n\r\n",
            "SIP/2.0 400",
        ),
    ] {
        let mut bad = Stream::connect(GATEWAY, bed.tcp()).await;
        bad.send(noise).await;
        assert!(bad.rest().await.starts_with(answer), "{noise:?}");
    }
    good.send(&request("OPTIONS", &format!("sip:{}", bed.tcp()), "o1", "TCP", at, "")).await;
    good.expect("SIP/2.0 200").await;
    assert_eq!(bed.edge.stats().malformed, 3);
}

#[tokio::test]
async fn idle_and_slow_connections_end_and_too_many_are_refused() {
    let lync = TcpListener::bind((LYNC, 0)).await.unwrap();
    let config = Config { connections_max: 2, ..config() };
    let (clock, hand) = Clock::manual(0);
    let view = view(&[&over_tcp(&lync)], &["main"]);
    let bed = Bed::with(config, view, clock, vec![listener("main", EDGE)]);
    let mut idle = Stream::connect(GATEWAY, bed.tcp()).await;
    let mut slow = Stream::connect(GATEWAY, bed.tcp()).await;
    let at = idle.stream.local_addr().unwrap();
    // An answer on each shows that it was taken.
    for stream in [&mut idle, &mut slow] {
        stream.send(&request("OPTIONS", &format!("sip:{}", bed.tcp()), "o1", "TCP", at, "")).await;
        stream.expect("SIP/2.0 200").await;
    }
    let mut third = Stream::connect(GATEWAY, bed.tcp()).await;
    assert_eq!(third.rest().await, "");
    assert_eq!(bed.edge.stats().connections_refused, 1);
    slow.send("OPTIONS sip:").await;
    // Ten seconds from when its first bytes were read, which is far before the ten minutes of who is only idle.
    let mut waited = 0;
    loop {
        hand.advance(Duration::from_secs(10));
        waited += 10;
        assert!(waited < 600, "it was not closed");
        if let Ok(rest) = tokio::time::timeout(Duration::from_millis(50), slow.rest()).await {
            assert_eq!(rest, "");
            break;
        }
    }
    hand.advance(Duration::from_secs(600));
    assert_eq!(idle.rest().await, "");
}

#[tokio::test]
async fn a_peer_with_a_name_is_looked_up_while_the_call_waits() {
    let cic = Peer::new("127.0.0.1", EDGE_UNSET).await;
    let mut acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    acme.trunk(1)["addresses"] = serde_json::json!([
        {"host": "nobody.invalid", "port": 5060, "priority": 0},
        {"host": "localhost", "port": cic.addr().port(), "priority": 1},
    ]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    gateway.send(&gateway.invite("+493023125101", "n1")).await;
    let invite = cic.expect("INVITE").await;
    assert_eq!(uri(&invite), format!("sip:+493023125101@localhost:{};user=phone", cic.addr().port()));
    assert_eq!(bed.edge.stats().unresolved, 1);
}

/// RFC 3261 18.1.1: what is too large for a datagram goes by a stream, and by UDP if the stream is refused.
#[tokio::test]
async fn a_large_request_goes_by_tcp_where_the_trunk_takes_both() {
    for tcp_is_there in [true, false] {
        let cic = Peer::new(CIC, EDGE_UNSET).await;
        let stream = TcpListener::bind(cic.addr()).await.unwrap();
        let stream = tcp_is_there.then_some(stream);
        let mut acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
        acme.trunk(1)["transport"] = "UdpOrTcp".into();
        let bed = Bed::new(view(&[&acme], &["main"]));
        let gateway = Peer::new(GATEWAY, bed.udp()).await;
        gateway.send(&gateway.invite("+493023125101", "s1")).await;
        let small = cic.expect("INVITE").await;
        assert!(header(&small, "Via").starts_with("SIP/2.0/UDP"));
        let large = gateway.invite("+493023125101", "s2");
        let large = large.replace("Max-Forwards", &format!("Subject: {}\r\nMax-Forwards", "x".repeat(900)));
        gateway.send(&large).await;
        match stream {
            Some(stream) => {
                let invite = Stream::of(stream.accept().await.unwrap().0).expect("INVITE").await;
                assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP"));
                assert_eq!(headers(&invite, "Record-Route").len(), 2);
            }
            None => {
                let invite = cic.expect_call("s2").await;
                assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP"));
            }
        }
    }
}
