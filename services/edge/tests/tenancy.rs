//! Whose a request is, and what strangers get.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use support::*;
use tandem_edge::config::{Config, Strangers};
use tandem_runtime::clock::Clock;
use tandem_sip::transaction::Transport;

/// A request that is answered at once: what was sent before it got no answer.
async fn is_answered(peer: &Peer, call: &str) {
    peer.send(&peer.request("OPTIONS", &format!("sip:{}", peer.edge), call, "")).await;
    let found = peer.recv().await;
    assert!(found.starts_with("SIP/2.0 200") && found.contains(&format!("Call-ID: {call}")), "{found}");
    assert!(!found.contains("\r\nServer:"), "{found}");
}

#[tokio::test]
async fn a_stranger_gets_silence_or_a_403_that_is_no_larger_than_the_request() {
    let acme = Tenant::usual(&["127.9.0.30:5062".parse().unwrap()], &["127.9.0.50:5068".parse().unwrap()]);
    for strangers in [Strangers::Silence, Strangers::Refuse] {
        let config = Config { strangers, ..config() };
        let view = view(&[&acme], &["main"]);
        let bed = Bed::with(config, view, Clock::machine(), vec![listener("main", EDGE)]);
        let stranger = Peer::new("127.9.9.9", bed.udp()).await;
        let invite = stranger.invite("+493023125101", "x1");
        stranger.send(&invite).await;
        bed.until("it came", |s| s.strangers == 1).await;
        // Scanners: OPTIONS, REGISTER, nonsense, an ACK, half a message.
        for (at, method) in ["OPTIONS", "REGISTER", "ACK", "BYE"].into_iter().enumerate() {
            stranger
                .send(&stranger.request(method, &format!("sip:{}", bed.udp()), &format!("y{at}"), ""))
                .await;
        }
        for noise in [
            "",
            "\r\n\r\n",
            "\0\0\0\0",
            "INVITE sip:a SIP/2.0\r\n\r\n",
            "INVITE sip:a@b SIP/9.0\r\nVia: x\r\n\r\n",
        ] {
            stranger.send(noise).await;
        }
        bed.until("all came", |s| s.strangers == 5 && s.malformed + s.invalid >= 3).await;
        match strangers {
            Strangers::Silence => assert!(stranger.is_quiet()),
            Strangers::Refuse => {
                let found = stranger.recv().await;
                assert!(found.starts_with("SIP/2.0 403 Forbidden"), "{found}");
                assert!(found.len() <= invite.len(), "{} > {}", found.len(), invite.len());
            }
        }
        // Peers are served all the while.
        let gateway = Peer::new(GATEWAY, bed.udp()).await;
        is_answered(&gateway, "o1").await;
    }
}

#[tokio::test]
async fn two_tenants_with_equal_addresses_are_told_apart_by_listener() {
    let one = Peer::new(CIC, EDGE_UNSET).await;
    let two = Peer::new(CIC, EDGE_UNSET).await;
    let lync = ["127.9.0.50:5068".parse().unwrap()];
    let acme = tenant("acme", "one", &Tenant::usual(&[one.addr()], &lync));
    let globex = tenant("globex", "two", &Tenant::usual(&[two.addr()], &lync));
    let view = view(&[&acme, &globex], &[]);
    let listeners = vec![listener("one", EDGE), listener("two", "127.9.0.2")];
    let bed = Bed::with(config(), view, Clock::machine(), listeners);
    // One gateway address, one branch, one Call-ID: two tenants, two calls.
    for (name, cic) in [("one", &one), ("two", &two)] {
        let gateway = Peer::new(GATEWAY, bed.at(name, Transport::Udp)).await;
        let invite =
            gateway.invite("+493023125101", "same").replace(&gateway.addr().to_string(), "127.9.0.10:5060");
        gateway.send(&invite).await;
        let invite = cic.expect("INVITE").await;
        // It leaves by the listener that the trunk comes in by.
        assert!(header(&invite, "Via").contains(&bed.at(name, Transport::Udp).to_string()), "{invite}");
        cic.socket
            .send_to(respond(&invite, "486 Busy Here", "b", "").as_bytes(), bed.at(name, Transport::Udp))
            .await
            .unwrap();
        gateway.expect("SIP/2.0 486").await;
    }
    let hops = bed.hops();
    assert_eq!(hops.iter().map(|h| h.tenant.as_str()).collect::<Vec<_>>(), ["acme", "globex"]);
}

fn tenant(name: &'static str, listener: &str, usual: &Tenant) -> Tenant {
    let mut spec = usual.spec.clone();
    for trunk in spec["trunks"].as_array_mut().unwrap() {
        trunk["ingress"][0]["listener"] = listener.into();
    }
    Tenant { name, spec, users: usual.users.clone(), numbers: usual.numbers.clone() }
}

#[tokio::test]
async fn two_tenants_behind_one_carrier_are_told_apart_by_called_range() {
    let one = Peer::new(CIC, EDGE_UNSET).await;
    let two = Peer::new("127.9.0.32", EDGE_UNSET).await;
    let lync = ["127.9.0.50:5068".parse().unwrap()];
    let mut acme = Tenant::usual(&[one.addr()], &lync);
    let mut globex = Tenant { name: "globex", ..Tenant::usual(&[two.addr()], &lync) };
    globex.spec = serde_json::from_str(&globex.spec.to_string().replace("+493023125", "+493023126")).unwrap();
    globex.trunk(1)["ingress"][0]["source"] = "127.9.0.32".into();
    globex.trunk(2)["ingress"] = serde_json::json!([]);
    globex.numbers[0]["number"] = "+493023126101".into();
    globex.users[1]["lync"]["lineUri"] = "tel:+493023126172".into();
    // Both in remote control: the carrier's gateway in the cloud is the gateway of many.
    acme.spec["model"] = "RemoteControl".into();
    globex.spec["model"] = "RemoteControl".into();
    acme.trunk(0)["ingress"][0]["called"] = serde_json::json!(["+493023125"]);
    globex.trunk(0)["ingress"][0]["called"] = serde_json::json!(["+493023126"]);
    let bed = Bed::new(view(&[&acme, &globex], &["main"]));
    let carrier = Peer::new(GATEWAY, bed.udp()).await;
    for (called, cic, call) in [("+493023125101", &one, "k1"), ("+493023126101", &two, "k2")] {
        carrier.send(&carrier.invite(called, call)).await;
        let invite = cic.expect("INVITE").await;
        let ok = respond(&invite, "200 OK", "c", &format!("Contact: <sip:jane@{}>\r\n", cic.addr()));
        cic.socket.send_to(ok.as_bytes(), bed.udp()).await.unwrap();
        let ok = carrier.expect("SIP/2.0 200").await;
        carrier.send(&within("ACK", 1, &ok, "UDP", carrier.addr(), true, &ok)).await;
        cic.expect("ACK").await;
        // Within the dialog the Request-URI is a contact and names no number: it is known whose dialog it is.
        carrier.send(&within("BYE", 2, &ok, "UDP", carrier.addr(), true, &ok)).await;
        let bye = cic.expect("BYE").await;
        cic.socket.send_to(respond(&bye, "200 OK", "", "").as_bytes(), bed.udp()).await.unwrap();
        carrier.expect("SIP/2.0 200").await;
    }
    let hops = bed.hops();
    assert_eq!(hops.iter().map(|h| h.tenant.as_str()).collect::<Vec<_>>(), ["acme", "globex"]);
    // A number of neither is nobody's.
    carrier.send(&carrier.invite("+493099999999", "k3")).await;
    bed.until("it is a stranger's", |s| s.strangers == 1).await;
}

/// A restarted edge knows whose dialogs there are by their Route alone, if it has the key that it had.
#[tokio::test]
async fn dialogs_of_a_shared_carrier_outlive_the_edge_that_has_its_key() {
    for (keeps, start) in [(true, "SIP/2.0 200"), (false, "SIP/2.0 403")] {
        let cic = Peer::new(CIC, EDGE_UNSET).await;
        let mut acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
        acme.trunk(0)["ingress"][0]["called"] = serde_json::json!(["+493023125"]);
        let view = view(&[&acme], &["main"]);
        let key = |text: &str| Config {
            route_key: text.repeat(16).into(),
            strangers: Strangers::Refuse,
            ..config()
        };
        let bed = Bed::with(key("0f"), view.clone(), Clock::machine(), vec![listener("main", EDGE)]);
        let edge = bed.udp();
        let carrier = Peer::new(GATEWAY, edge).await;
        carrier.send(&carrier.invite("+493023125101", "r1")).await;
        let invite = cic.expect("INVITE").await;
        let ok = respond(&invite, "200 OK", "c", &format!("Contact: <sip:jane@{}>\r\n", cic.addr()));
        cic.socket.send_to(ok.as_bytes(), edge).await.unwrap();
        let ok = carrier.expect("SIP/2.0 200").await;
        carrier.send(&within("ACK", 1, &ok, "UDP", carrier.addr(), true, &ok)).await;
        cic.expect("ACK").await;
        drop(bed);

        let again = vec![listener_again("main", edge).await];
        let config = key(if keeps { "0f" } else { "f0" });
        let bed = Bed::with(config, view, Clock::machine(), again);
        carrier.send(&within("BYE", 2, &ok, "UDP", carrier.addr(), true, &ok)).await;
        if keeps {
            let bye = cic.expect("BYE").await;
            cic.socket.send_to(respond(&bye, "200 OK", "", "").as_bytes(), edge).await.unwrap();
        }
        carrier.expect(start).await;
        assert_eq!(bed.edge.stats().strangers, u64::from(!keeps));
    }
}

#[tokio::test]
async fn a_forged_route_goes_nowhere() {
    let elsewhere = Peer::new("127.9.8.8", EDGE_UNSET).await;
    let acme = Tenant::usual(&["127.9.0.30:5062".parse().unwrap()], &["127.9.0.50:5068".parse().unwrap()]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    for (at, route) in [
        format!("<sip:{};lr;tdm=0123456789abcdef>", bed.udp()),
        format!("<sip:{};lr>", bed.udp()),
        format!("<sip:{};lr>", elsewhere.addr()),
        format!("<sip:{};lr;tdm=0123456789abcdef>, <sip:{};lr>", bed.udp(), elsewhere.addr()),
    ]
    .iter()
    .enumerate()
    {
        let to = format!("sip:victim@{}", elsewhere.addr());
        let bye = gateway.request("BYE", &to, &format!("z{at}"), &format!("Route: {route}\r\n"));
        gateway.send(&bye.replace(">\r\nCall-ID", ">;tag=x\r\nCall-ID")).await;
        let found = gateway.recv().await;
        assert!(found.starts_with("SIP/2.0 403"), "{route}: {found}");
    }
    assert!(elsewhere.is_quiet());
}

#[tokio::test]
async fn what_an_untrusted_trunk_says_of_itself_goes_no_further() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    let more = "P-Asserted-Identity: <tel:+49301>\r\nP-Preferred-Identity: <tel:+49302>\r\nX-Tandem-Decision: forged-1\r\n\
                X-Tenant: globex\r\nms-diagnostics: 1;reason=\"x\"\r\nDiversion: <sip:+49303@a>\r\n\
                Answer-Mode: Auto\r\nPriv-Answer-Mode: Auto\r\nCall-Info: <sip:a>;answer-after=0\r\nSubject: kept\r\n";
    let uri = format!("sip:+493023125101@{};user=phone", bed.udp());
    gateway.send(&gateway.request("INVITE", &uri, "t1", more)).await;
    let invite = cic.expect("INVITE").await;
    for gone in [
        "P-Preferred-Identity",
        "X-Tenant",
        "ms-diagnostics",
        "Diversion",
        "Answer-Mode",
        "Priv-Answer-Mode",
        "Call-Info",
    ] {
        assert!(headers(&invite, gone).is_empty(), "{gone} stayed:\n{invite}");
    }
    assert!(!invite.contains("+49301"), "{invite}");
    assert_eq!(headers(&invite, "X-Tandem-Decision"), ["edge-1-1"]);
    assert_eq!(header(&invite, "Subject"), "kept");
    // Nor does what the trusted say go to the untrusted: in no response, and in no request of the dialog.
    let private = "P-Asserted-Identity: <tel:+49301>\r\nX-MS-Thing: y\r\nms-diagnostics: 1\r\nHistory-Info: <sip:a@b>;index=1\r\n\
                   Remote-Party-ID: <sip:a@b>\r\nSubject: kept\r\n";
    let contact = format!("Contact: <sip:jane@{}>\r\n", cic.addr());
    cic.socket.send_to(respond(&invite, "180 Ringing", "c", private).as_bytes(), bed.udp()).await.unwrap();
    has_nothing_private(&gateway.expect("SIP/2.0 180").await);
    let ok = respond(&invite, "200 OK", "c", &(contact + private));
    cic.socket.send_to(ok.as_bytes(), bed.udp()).await.unwrap();
    let ok = gateway.expect("SIP/2.0 200").await;
    has_nothing_private(&ok);
    let bye = within("BYE", 2, &ok, "UDP", gateway.addr(), true, &ok);
    gateway.send(&bye.replace("Max-Forwards", &format!("{private}Max-Forwards"))).await;
    let bye = cic.expect("BYE").await;
    has_nothing_private(&bye);
    cic.socket.send_to(respond(&bye, "200 OK", "", private).as_bytes(), bed.udp()).await.unwrap();
    has_nothing_private(&gateway.expect("SIP/2.0 200").await);
}

fn has_nothing_private(message: &str) {
    for gone in ["P-Asserted-Identity", "X-MS-Thing", "ms-diagnostics", "History-Info", "Remote-Party-ID"] {
        assert!(headers(message, gone).is_empty(), "{gone} stayed:\n{message}");
    }
    assert_eq!(header(message, "Subject"), "kept");
}

#[tokio::test]
async fn trusted_trunks_keep_what_they_tell_each_other_but_for_an_older_decision() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let mut acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    acme.trunk(0)["identity"] = serde_json::json!({"trusted": true});
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    let more = "x-tandem-decision: edge-0-7\r\nX-MS-Thing: y\r\nms-diagnostics: 1\r\nX-Tandem-Decision: edge-0-8\r\n";
    let uri = format!("sip:+493023125101@{};user=phone", bed.udp());
    gateway.send(&gateway.request("INVITE", &uri, "t2", more)).await;
    let invite = cic.expect("INVITE").await;
    assert_eq!(headers(&invite, "X-Tandem-Decision"), ["edge-1-1"]);
    assert_eq!((header(&invite, "X-MS-Thing"), header(&invite, "ms-diagnostics")), ("y", "1"));
    let ringing = respond(&invite, "180 Ringing", "c", "X-MS-Thing: z\r\n");
    cic.socket.send_to(ringing.as_bytes(), bed.udp()).await.unwrap();
    assert_eq!(header(&gateway.expect("SIP/2.0 180").await, "X-MS-Thing"), "z");
}

/// A peer that is known sends thousands of broken messages, and the edge serves on.
#[tokio::test]
async fn broken_messages_cost_a_counter() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    let whole = gateway.request(
        "INVITE",
        &format!("sip:+493023125101@{};user=phone", bed.udp()),
        "m0",
        &format!("Route: <sip:{};lr>\r\nReplaces: a;to-tag=b\r\nDiversion: <sip:a@b>\r\n", bed.udp()),
    );
    let chance = tandem_runtime::clock::Chance::seeded(11);
    let below = |n: usize| usize::try_from(chance.below(n as u64)).unwrap();
    for round in 0..3_000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(4) {
                0 => bytes.truncate(at + 1),
                1 => bytes[at] = below(256) as u8,
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, [b'<', b'"', b'\r', b'\n', b';', b',', 0, 0xff][below(8)]),
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        gateway.socket.send_to(&bytes, bed.udp()).await.unwrap();
        if round % 100 == 0 {
            // Neither side's buffer overflows while the other keeps up.
            gateway
                .send(&gateway.request("OPTIONS", &format!("sip:{}", bed.udp()), &format!("o{round}"), ""))
                .await;
            let mark = format!("Call-ID: o{round}\r\n");
            while !gateway.recv().await.contains(&mark) {}
        }
    }
    let stats = bed.edge.stats();
    assert!(stats.malformed > 100 && stats.invalid > 100, "{stats:?}");
}
