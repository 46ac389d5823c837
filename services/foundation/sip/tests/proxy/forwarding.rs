//! What goes on, and where: Via, Route, Record-Route, trust.

use tandem_sip::message::Header;
use tandem_sip::proxy::{Hop, Incoming, Output, Target};
use tandem_sip::transaction::Transport;

use crate::rig::*;

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
    assert_eq!(vias[1], "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK1;received=192.0.2.10;rport=5060");
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
fn a_mark_tells_whose_dialog_it_is_to_any_proxy_with_the_key() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let route = all(&rig.to(A)[0], Header::RecordRoute).join(", ");
    let bye = in_dialog("BYE", "sip:callee@192.0.2.21", CALLER, &route);
    let scope = |rig: &Rig, text: &str| parse(text.as_bytes(), |m| rig.proxy.scope_of(m));
    assert_eq!(scope(&rig_with(|_| {}), &bye), Some(7));
    assert_eq!(scope(&rig_with(|config| config.key = [3; 16]), &bye), None);
    assert_eq!(scope(&rig, &bye.replace("one@", "two@")), None, "of another dialog");
    assert_eq!(scope(&rig, &invite("z9hG4bK2")), None);
    // And it routes, in the dialog's own scope only.
    let mut again = rig_with(|_| {});
    assert_eq!(again.request(&bye), Incoming::Handled);
    assert_eq!(again.methods_to(A), ["BYE"]);
    let mut other = rig_with(|_| {});
    parse(bye.as_bytes(), |m| other.proxy.on_request(m, &keys(m), 8, udp(CALLER), other.now));
    other.settle();
    assert_eq!(other.statuses(), [403]);
}

/// RFC 3325 5: what one side asserts of somebody is not told to a side that does not trust it.
#[test]
fn private_headers_stop_between_sides_that_do_not_trust_each_other_in_all_of_a_dialog() {
    let private = "X-MS-A: 1\r\nms-diagnostics: 2\r\nP-Charging-Vector: 3\r\nRemote-Party-ID: <sip:a@b>\r\n\
                   Diversion: <sip:a@b>\r\nHistory-Info: <sip:a@b>;index=1\r\nx-old: 4\r\nSubject: kept\r\n";
    let has = |text: &str| {
        let lines = text.split("\r\n").filter_map(|line| line.split_once(": "));
        let private = private.split("\r\n").filter_map(|line| line.split_once(": "));
        let private: Vec<_> = private.map(|(name, _)| name).filter(|name| *name != "Subject").collect();
        lines.filter(|(name, _)| private.contains(name)).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    for (strips, kept) in [(true, 0), (false, 6)] {
        let mut rig = rig();
        let id = rig.asked(&invite("z9hG4bK1").replace("X-Unknown: kept\r\n", private));
        rig.route(id, &[Target { strip_private: strips, ..target(1, A) }], None);
        let sent = rig.to(A).pop().unwrap();
        assert_eq!(has(&sent).len(), kept, "the named one always goes: {sent}");
        rig.response(&reply(&sent, "180 Ringing", private));
        rig.response(&reply(&sent, "200 OK", private));
        let up = rig.to(CALLER);
        for response in &up[1..] {
            assert_eq!(has(response).len(), if strips { 0 } else { 7 }, "{response}");
            assert!(response.contains("Subject: kept"));
        }
        let route = all(&sent, Header::RecordRoute).join(", ");
        for (method, from, to) in [("BYE", CALLER, A), ("INFO", A, CALLER)] {
            let text = in_dialog(method, &format!("sip:x@{to}"), from, &route);
            rig.request_from(&text.replace("CSeq", &format!("{private}CSeq")), udp(from));
            let passed = rig.to(to).pop().unwrap();
            assert_eq!(has(&passed).len(), if strips { 0 } else { 7 }, "{passed}");
            rig.response(&reply(&passed, "200 OK", private));
            let answer = rig.to(from).pop().unwrap();
            assert_eq!(has(&answer).len(), if strips { 0 } else { 7 }, "{answer}");
        }
    }
}

/// What we could not read ourselves we do not send: no CANCEL and no ACK could be made from it.
#[test]
fn what_grows_past_the_limits_is_refused() {
    for (lines, status) in [("a: b\r\n".repeat(80), 0), ("a: b\r\n".repeat(86), 513)] {
        let mut rig = rig();
        let id = rig.asked(&invite("z9hG4bK1").replace("X-Unknown: kept\r\n", &lines));
        rig.route(id, &[target(1, A)], None);
        assert_eq!(rig.to(A).len(), usize::from(status == 0));
        assert_eq!(rig.statuses().get(1).copied().unwrap_or(0), status);
        rig.pass(std::time::Duration::from_secs(40));
        rig.give_up(id);
        rig.nothing_is_left();
    }
}

/// The recorded route of a call that is up.
fn recorded(rig: &mut Rig) -> String {
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "200 OK", ""));
    all(&sent, Header::RecordRoute).join(", ")
}

/// Step 6: a strict router finds itself in the Request-URI, and the target at the end of the Route.
#[test]
fn rfc3261_16_6_a_next_hop_that_is_no_loose_router_gets_the_request_uri() {
    let mut rig = rig();
    let ours = recorded(&mut rig);
    let loose = [format!("<sip:{B};lr>"), format!("<sip:{B};x=y;lr=on>"), format!("<sip:{B};LR>")];
    let strict = [
        format!("<sip:{B}>"),
        format!("<sip:{B};lrx>"),
        format!("<sip:a;lr@{B}>"),
        format!("<sip:{B};x=%3Blr>"),
    ];
    for next in loose.iter().chain(&strict) {
        rig.request(&in_dialog(
            "ACK",
            "sip:callee@192.0.2.21",
            CALLER,
            &format!("{ours}, {next}, <sip:last;lr>"),
        ));
        let passed = rig.to(B).pop().unwrap_or_default();
        let (uri, route) = (passed.split(' ').nth(1), all(&passed, Header::Route).join(", "));
        if loose.contains(next) {
            assert_eq!(uri, Some("sip:callee@192.0.2.21"), "{next}");
            assert_eq!(route, format!("{next}, <sip:last;lr>"));
        } else {
            assert_eq!(uri, Some(next.trim_matches(['<', '>'])), "{next}");
            assert_eq!(route, "<sip:last;lr>, <sip:callee@192.0.2.21>");
        }
    }
}

/// A strict router before us has put us into the Request-URI, and the target at the end of the Route.
#[test]
fn rfc3261_16_4_a_strict_routers_exchange_is_undone() {
    let mut rig = rig();
    let ours = recorded(&mut rig);
    let us = ours.trim_matches(['<', '>']);
    rig.request(&in_dialog("ACK", us, CALLER, &format!("<sip:{B};lr>, <sip:callee@192.0.2.21>")));
    let passed = rig.to(B).pop().expect("it goes to the next of the route");
    assert!(passed.starts_with("ACK sip:callee@192.0.2.21 SIP/2.0\r\n"), "{passed}");
    assert_eq!(all(&passed, Header::Route), [format!("<sip:{B};lr>")]);
    rig.request(&in_dialog("ACK", us, CALLER, "<sip:callee@192.0.2.21>"));
    let passed = rig.to(A).pop().expect("it goes to the target");
    assert!(passed.starts_with("ACK sip:callee@192.0.2.21 SIP/2.0\r\n"), "{passed}");
    assert!(all(&passed, Header::Route).is_empty());
}
