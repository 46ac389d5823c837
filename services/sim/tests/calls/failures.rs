//! What goes wrong, and what comes in between: failover, redirects, CANCEL, busy, a lost WAN, registrations, headers.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use tandem_sim::Place;

use crate::harness::Tenant;

#[tokio::test]
async fn the_gateway_tries_the_next_peer_only_for_its_own_reasons() {
    let check = async |behaviour: &str, status: u16, expected: &str| {
        let tenant = Tenant::new("CIC, MED", &[]);
        tenant.behave("CIC", behaviour);
        assert_eq!(tenant.pstn_call("+12065550001", "+14255550202").await.status, status, "{behaviour}");
        assert_eq!(tenant.hops("+12065550001").await, expected, "{behaviour}");
    };
    check("silent", 200, "GW > MED > FE > lee-phone").await;
    check("down", 200, "GW > MED > FE > lee-phone").await;
    check("only-100", 200, "GW > CIC > MED > FE > lee-phone").await;
    check("error:503", 200, "GW > CIC > MED > FE > lee-phone").await;
    check("error:500", 500, "GW > CIC").await;
    check("busy", 486, "GW > CIC").await;
}

#[tokio::test]
async fn a_lync_trunk_that_is_silent_is_given_up_by_the_fast_failover_timer() {
    let tenant = Tenant::new("MED", &[]);
    tenant.behave("CIC", "silent");
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550104").await.status, 504);
}

#[tokio::test]
async fn a_busy_phone_refuses() {
    let tenant = Tenant::new("CIC", &[("greeting_ms: 100", "greeting_ms: 100\nvoicemail: false")]);
    tenant.behave("ann-phone", "busy");
    let result = tenant.pstn_call("+12065550001", "+14255550101").await;
    assert_eq!((result.status, result.reason.as_str()), (486, "Busy Here"));
}

#[tokio::test]
async fn a_caller_who_gives_up_cancels_all_the_way() {
    let tenant = Tenant::new("MED", &[]);
    tenant.behave("lee-phone", "ring");
    let call = tenant.gateway.place_call(Tenant::call("+12065550001", "+14255550202")).unwrap();
    let rings = || tenant.legs_now("+12065550001").iter().any(|leg| leg.element == "lee-phone");
    tenant.until("the phone rings", rings).await;
    call.hang_up();
    assert_eq!(call.result().await.status, 487);
    for leg in tenant.legs("+12065550001").await {
        assert_eq!((leg.status, leg.answered), (487, false), "{}", leg.element);
    }
}

/// The offer of a peer that is no simulator.
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 NET.10\r\ns=-\r\nc=IN IP4 NET.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A peer that is no simulator, for what simulators do not do.
fn stranger(tenant: &Tenant, address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(tenant.net.put(address)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Reads messages until one begins with `start`.
fn hear(socket: &UdpSocket, start: &str) -> String {
    let mut buffer = [0; 4096];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(start) {
            return text;
        }
    }
}

fn line<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

/// A response with what it copies of a request.
fn respond(request: &str, status: &str, more: &str) -> String {
    let copied: String = ["Via", "From", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", line(request, name)))
        .concat();
    format!(
        "SIP/2.0 {status}\r\n{copied}To: {};tag=stranger\r\n{more}Content-Length: 0\r\n\r\n",
        line(request, "To")
    )
}

#[tokio::test]
async fn a_redirect_is_followed_or_not_as_configured() {
    let check = async |changes: &[(&str, &str)], status: u16, redirected: usize, expected: &str| {
        let tenant = Tenant::new("PX", changes);
        let proxy = stranger(&tenant, "NET.11:5060");
        let contact = tenant.net.put("Contact: <sip:+14255550101@NET.20:5060;user=phone>\r\n");
        let redirects = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let (length, from) = proxy.recv_from(&mut buffer).unwrap();
            let invite = String::from_utf8_lossy(&buffer[..length]).into_owned();
            proxy.send_to(respond(&invite, "302 Moved Temporarily", &contact).as_bytes(), from).unwrap();
            hear(&proxy, "ACK ");
        });
        let result = tenant.pstn_call("+12065550001", "+14255550101").await;
        assert_eq!((result.status, result.redirected_to.len()), (status, redirected));
        assert_eq!(tenant.hops("+12065550001").await, expected);
        redirects.join().unwrap();
    };
    check(&[], 200, 1, "GW > CIC > ann-phone").await;
    check(&[("alternative_routing:", "follow_redirects: false\nalternative_routing:")], 302, 0, "GW").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_softphone_registers_and_is_rung() {
    let tenant = Tenant::new("CIC", &[]);
    let phone = stranger(&tenant, "NET.45:5070");
    let cic = tenant.net.put("NET.20:5060");
    let register = |user: &str, number: u32| {
        let text = format!(
            "REGISTER sip:NET.20 SIP/2.0\r\nVia: SIP/2.0/UDP NET.45:5070;branch=z9hG4bKr{user}{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@NET.20>;tag=1\r\nTo: <sip:{user}@NET.20>\r\nCall-ID: r1\r\n\
             CSeq: {number} REGISTER\r\nContact: <sip:{user}@NET.45:5070>\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n"
        );
        phone.send_to(tenant.net.put(&text).as_bytes(), &cic).unwrap();
        tokio::task::block_in_place(|| hear(&phone, "SIP/2.0"))
    };
    let nobody = register("9999", 1);
    assert!(nobody.starts_with("SIP/2.0 404"), "{nobody}");
    assert_eq!(tenant.cic.place_call(Place::new("ann-phone", "2005")).unwrap().result().await.status, 480);
    let registered = register("2005", 2);
    assert!(registered.starts_with("SIP/2.0 200"), "{registered}");
    assert!(line(&registered, "Contact").contains(";expires=60"), "{registered}");
    let call = tenant.cic.place_call(Place::new("ann-phone", "2005")).unwrap();
    let from_cic = |start: &str| tokio::task::block_in_place(|| hear(&phone, start));
    let invite = from_cic("INVITE ");
    assert!(invite.starts_with(&tenant.net.put("INVITE sip:2005@NET.45:5070 SIP/2.0")), "{invite}");
    let contact = tenant.net.put("Contact: <sip:2005@NET.45:5070>\r\n");
    let sdp = tenant.net.put(&SDP.replace("NET.10", "NET.45"));
    let answer = respond(&invite, "200 OK", &contact).replace(
        "Content-Length: 0\r\n",
        &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", sdp.len()),
    );
    // An answer that is sent again is acknowledged again (RFC 3261 section 13.2.2.4).
    for _ in 0..2 {
        phone.send_to(format!("{answer}{sdp}").as_bytes(), &cic).unwrap();
        let ack = from_cic("ACK ");
        assert_eq!(line(&ack, "CSeq"), line(&invite, "CSeq").replace("INVITE", "ACK"));
    }
    let bye = from_cic("BYE ");
    phone.send_to(respond(&bye, "200 OK", "").as_bytes(), &cic).unwrap();
    let result = call.result().await;
    assert_eq!((result.status, result.rtp_sent), (200, 10));
}

#[tokio::test]
async fn no_private_header_passes_a_back_to_back_agent() {
    let tenant = Tenant::new("CIC", &[]);
    // The gateway's address, as CIC knows it, with another port: a gateway that sends what simulators do not.
    let gateway = stranger(&tenant, "NET.10:5090");
    let sdp = tenant
        .net
        .put("v=0\r\no=- 1 1 IN IP4 NET.10\r\ns=-\r\nc=IN IP4 NET.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
    let invite = format!(
        "INVITE sip:+14255550202@NET.20:5060 SIP/2.0\r\nVia: SIP/2.0/UDP NET.10:5090;branch=z9hG4bKp;rport\r\n\
         Max-Forwards: 7\r\nFrom: <sip:+12065550001@NET.10>;tag=1\r\nTo: <sip:+14255550202@NET.20>\r\nCall-ID: p1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:gw@NET.10:5090>\r\nX-Tandem-Visited: GW\r\nP-Charging-Vector: icid-value=1\r\n\
         History-Info: <sip:a@b>;index=1\r\nDiversion: <sip:a@b>\r\nUser-Agent: Somebody\r\nMs-Conversation-ID: abc\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    gateway.send_to(tenant.net.put(&invite).as_bytes(), tenant.net.put("NET.20:5060")).unwrap();
    tenant
        .until("the phone has answered", || {
            tenant.legs_now("+12065550001").iter().any(|leg| leg.element == "lee-phone" && leg.answered)
        })
        .await;
    let wire = tenant.wire.lock().unwrap().clone();
    let invites: Vec<_> = wire.iter().filter(|(.., text)| text.starts_with("INVITE ")).collect();
    assert_eq!(invites.len(), 3, "from CIC, Mediation and the Front End");
    for (from, to, text) in invites {
        for header in
            ["X-Tandem", "P-Charging", "History-Info", "Diversion", "Somebody", "Ms-Conversation", "p1"]
        {
            assert!(!text.contains(header), "{header} from {from} to {to}:\n{text}");
        }
        assert_eq!(line(text, "Max-Forwards"), "70");
    }
    // What Lync's own elements tell each other does not leave them either.
    let inside = |address: &str| address.contains(&tenant.net.put("NET.3"));
    for (from, to, text) in wire.iter().filter(|(from, to, _)| !inside(from) || !inside(to)) {
        assert!(!text.contains("ms-trunking-peer"), "from {from} to {to}:\n{text}");
    }
}

#[tokio::test]
async fn a_lost_wan_swallows_what_crosses_it() {
    // Signalling of CIC at 127.p.t.20 alone is beyond the WAN.
    let tenant = Tenant::new("CIC, MED", &[]);
    let cut = tenant.net.put("wan-cut:NET.20/32");
    tenant.behave("GW", &cut);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550202").await.status, 200);
    assert_eq!(tenant.hops("+12065550001").await, "GW > MED > FE > lee-phone");
    assert_eq!(tenant.pstn_call("+12065550002", "+14255550104").await.status, 504);
    tenant.behave("GW", "wan-restored");
    assert_eq!(tenant.pstn_call("+12065550003", "+14255550101").await.status, 200);
    assert_eq!(tenant.hops("+12065550003").await, "GW > CIC > ann-phone");
}

/// Nothing of a call can be carried round by agents such as these: what ends a loop is each element's own limit.
#[tokio::test]
async fn a_loop_between_cic_and_lync_ends_at_a_limit() {
    let changes = [
        ("greeting_ms: 100", "greeting_ms: 100\ncalls_max: 12"),
        (r"number_pattern: '^\+142555501'", r"number_pattern: '^\+1425555'"),
    ];
    let tenant = Tenant::new("CIC", &changes);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550299").await.status, 503);
    let legs = tenant.legs("+12065550001").await;
    let placed = legs.iter().filter(|leg| leg.element == "CIC" && leg.outgoing).count();
    assert_eq!(placed, 6, "two legs a round, twelve in all");
}

#[tokio::test]
async fn options_is_answered_on_either_transport_and_nonsense_closes_a_stream() {
    let tenant = Tenant::new("CIC", &[]);
    let options = tenant.net.put(
        "OPTIONS sip:NET.20 SIP/2.0\r\nVia: SIP/2.0/TCP NET.70;branch=z9hG4bKo\r\nMax-Forwards: 70\r\n\
         From: <sip:a@NET.70>;tag=1\r\nTo: <sip:NET.20>\r\nCall-ID: o1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    );
    let (address, probe) = (tenant.net.put("NET.20:5060"), stranger(&tenant, "NET.70:0"));
    probe.send_to(options.replace("/TCP", "/UDP").as_bytes(), &address).unwrap();
    let (over_udp, over_tcp, closed) = tokio::task::spawn_blocking(move || {
        let over_udp = hear(&probe, "SIP/2.0");
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(options.replace("branch=z9hG4bKo", "branch=z9hG4bKt").as_bytes()).unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        let over_tcp = String::from_utf8_lossy(&buffer[..length]).into_owned();
        stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
        (over_udp, over_tcp, stream.read(&mut buffer).unwrap_or(0))
    })
    .await
    .unwrap();
    assert!(over_udp.starts_with("SIP/2.0 200 OK"), "{over_udp}");
    assert!(over_tcp.starts_with("SIP/2.0 200 OK"), "{over_tcp}");
    assert_eq!(closed, 0);
}
