//! Rules of RFC 3261 16 that a proxy keeps on its way, one by one, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[allow(dead_code, reason = "each test file uses its own part")]
#[path = "proxy/rig.rs"]
mod rig;

use std::time::Duration;

use rig::*;
use tandem_sip::message::Header;
use tandem_sip::proxy::{Hop, Incoming, Output, Target};

const CALLEE: &str = "sip:callee@192.0.2.21";

/// A call that A has answered, with our Route for its dialog.
fn answered() -> (Rig, String) {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "200 OK", ""));
    assert_eq!(rig.statuses(), [100, 200]);
    rig.take_told();
    let route = all(&sent, Header::RecordRoute).join(", ");
    (rig, route)
}

/// The address in a Route value.
fn bare(route: &str) -> &str {
    route.trim_start_matches('<').trim_end_matches('>')
}

#[test]
fn rfc3261_16_4_what_a_strict_router_exchanged_is_put_back() {
    let (mut rig, route) = answered();
    // It put our Route into the Request-URI, and the callee at the end.
    let bye = in_dialog("BYE", bare(&route), CALLER, &format!("<{CALLEE}>"));
    assert_eq!(rig.request(&bye), Incoming::Handled);
    let passed = rig.to(A).pop().unwrap();
    assert!(passed.starts_with(&format!("BYE {CALLEE} SIP/2.0\r\n")), "{passed}");
    assert!(all(&passed, Header::Route).is_empty(), "{passed}");
    // With a hop of its own between: that one stays, and is where it goes.
    let info = in_dialog("INFO", bare(&route), CALLER, &format!("<sip:{B};lr>, <{CALLEE}>"));
    assert_eq!(rig.request(&info), Incoming::Handled);
    let passed = rig.to(B).pop().unwrap();
    assert!(passed.starts_with(&format!("INFO {CALLEE} SIP/2.0\r\n")), "{passed}");
    assert_eq!(all(&passed, Header::Route), [format!("<sip:{B};lr>")]);
    // Nobody else's cookie opens this door either.
    let forged = format!("{}0000", &bare(&route)[..bare(&route).len() - 4]);
    rig.request(&in_dialog("UPDATE", &forged, CALLER, &format!("<{CALLEE}>")));
    assert_eq!(rig.statuses(), [403]);
}

#[test]
fn rfc3261_16_6_step_6_a_strict_router_gets_its_address_in_the_request_uri() {
    let (mut rig, route) = answered();
    let through = |hop: &str| format!("{route}, <{hop}>, <sip:192.0.2.30;lr>");
    rig.request(&in_dialog("BYE", CALLEE, CALLER, &through(&format!("sip:{B}"))));
    let passed = rig.to(B).pop().unwrap();
    assert!(passed.starts_with(&format!("BYE sip:{B} SIP/2.0\r\n")), "{passed}");
    assert_eq!(all(&passed, Header::Route), ["<sip:192.0.2.30;lr>".to_owned(), format!("<{CALLEE}>")]);
    rig.request(&in_dialog("INFO", CALLEE, CALLER, &through(&format!("sip:{B};lr"))));
    let passed = rig.to(B).pop().unwrap();
    assert!(passed.starts_with(&format!("INFO {CALLEE} SIP/2.0\r\n")), "a loose one does not: {passed}");
    assert_eq!(all(&passed, Header::Route), [format!("<sip:{B};lr>"), "<sip:192.0.2.30;lr>".to_owned()]);
}

/// The callee's side may fork, and an answer comes again until its ACK arrives: each goes up (RFC 6026 7.1 and 8.4).
#[test]
fn rfc3261_16_7_step_5_every_2xx_goes_up() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    let ok = reply(&sent, "200 OK", "");
    rig.response(&ok);
    rig.response(&ok);
    rig.response(&ok.replace(";tag=b", ";tag=c"));
    let up = rig.to(CALLER);
    let tags: Vec<String> = up[1..].iter().map(|t| all(t, Header::To).concat()).collect();
    assert_eq!(tags.len(), 3, "{up:?}");
    assert!(tags[1].ends_with(";tag=b") && tags[2].ends_with(";tag=c"), "{tags:?}");
    assert_eq!(rig.take_told(), [Output::Answered(id, 1)], "one call was answered once");
    rig.pass(Duration::from_secs(31));
    rig.response(&ok);
    assert_eq!(rig.statuses(), [200]);
    rig.pass(Duration::from_secs(1));
    rig.response(&ok);
    assert!(rig.statuses().is_empty(), "64 x T1 after the first it is a stray one");
    rig.nothing_is_left();
}

#[test]
fn rfc3261_16_7_step_2_every_provisional_response_starts_timer_c_again() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    for _ in 0..3 {
        rig.response(&reply(&sent, "183 Session Progress", ""));
        rig.pass(Duration::from_secs(180));
        assert!(rig.to(A).is_empty(), "it has 185 s from then");
    }
    // A 100 is no sign that it goes on.
    rig.response(&reply(&sent, "100 Trying", ""));
    rig.pass(Duration::from_secs(6));
    assert_eq!(rig.methods_to(A)[0], "CANCEL");
    rig.response(&reply(&sent, "487 Request Terminated", ""));
    rig.give_up(id);
    rig.nothing_is_left();
}

#[test]
fn rfc3261_16_7_step_7_the_challenges_of_all_branches_go_up_together() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    let target = |tag, at| Target { retry_on: [401, 407][..].into(), ..target(tag, at) };
    rig.route(id, &[target(1, A), target(2, B)], None);
    let (one, two) = ("Digest realm=\"a\", nonce=\"1\"", "Digest realm=\"b\", nonce=\"2\"");
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "401 Unauthorized", &format!("WWW-Authenticate: {one}\r\n")));
    let sent = rig.to(B).pop().unwrap();
    rig.response(&reply(
        &sent,
        "407 Proxy Authentication Required",
        &format!("Proxy-Authenticate: {two}\r\n"),
    ));
    rig.give_up(id);
    let up = rig.to(CALLER).pop().unwrap();
    assert!(up.starts_with("SIP/2.0 40"), "{up}");
    for line in [format!("WWW-Authenticate: {one}\r\n"), format!("Proxy-Authenticate: {two}\r\n")] {
        assert_eq!(up.matches(&line).count(), 1, "{line} in {up}");
    }
}

/// Whatever a trunk's codes are: a 6xx speaks for the callee everywhere.
#[test]
fn rfc3261_16_7_step_5_nothing_new_is_tried_after_a_6xx() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    let target = |tag, at| Target { retry_on: [503, 603][..].into(), ..target(tag, at) };
    rig.route(id, &[target(1, A), target(2, B)], None);
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "603 Decline", ""));
    assert!(rig.to(B).is_empty());
    assert!(matches!(rig.take_told()[..], [Output::Exhausted(..)]));
    rig.give_up(id);
    assert_eq!(rig.statuses(), [100, 603]);
    rig.nothing_is_left();
}

#[test]
fn rfc3261_16_6_step_3_what_has_no_max_forwards_gets_70() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1").replace("Max-Forwards: 70\r\n", ""));
    rig.route(id, &[target(1, A)], None);
    assert_eq!(all(&rig.to(A)[0], Header::MaxForwards), ["70"]);
    let id = rig.asked(&invite("z9hG4bK2").replace("Max-Forwards: 70", "Max-Forwards: 1"));
    rig.route(id, &[target(1, A)], None);
    assert_eq!(all(&rig.to(A)[0], Header::MaxForwards), ["0"]);
}

#[test]
fn rfc3261_12_2_a_dialog_without_a_route_of_ours_is_none() {
    let (mut rig, route) = answered();
    let bye = in_dialog("BYE", CALLEE, CALLER, &route).replace(&format!("Route: {route}\r\n"), "");
    assert_eq!(rig.request(&bye), Incoming::Handled);
    assert_eq!(rig.statuses(), [481]);
    assert!(rig.to(A).is_empty());
}

#[test]
fn rfc3263_a_next_hop_without_an_address_is_a_503() {
    let (mut rig, route) = answered();
    rig.request(&in_dialog("BYE", "sip:callee@pool.example", CALLER, &route));
    let told = rig.take_told();
    let Some(Output::Resolve(call, Hop::Name { .. })) = told.last() else { panic!("{told:?}") };
    rig.proxy.resolved(*call, None, rig.now);
    rig.settle();
    assert_eq!(rig.statuses(), [503]);
    rig.nothing_is_left();
}

/// Where a branch is none of RFC 3261's, all of these tell transactions apart, and nothing else does.
#[test]
fn rfc3261_17_2_3_without_the_magic_cookie_the_fields_of_rfc2543_are_the_key() {
    let base = invite("old");
    let mut rig = rig();
    rig.asked(&base);
    assert_eq!(rig.request(&base), Incoming::Handled);
    assert_eq!(rig.request(&base.replace("X-Unknown: kept", "X-Unknown: other")), Incoming::Handled);
    for (from, to) in [
        ("INVITE sip:+4930123456@", "INVITE sip:+4930123457@"),
        (";tag=a", ";tag=z"),
        ("one@192.0.2.10", "two@192.0.2.10"),
        ("CSeq: 1 ", "CSeq: 2 "),
        ("branch=old", "branch=new"),
        ("192.0.2.10:5060;branch", "192.0.2.10:5062;branch"),
    ] {
        assert!(base.contains(from), "{from}");
        assert!(matches!(rig.request(&base.replace(from, to)), Incoming::Asked(_)), "{to} is another");
    }
    // Without any branch at all, which clients of Lync send: the ACK still finds what it acknowledges, whose To has a tag
    // of ours.
    let bare = base.replace(";branch=old", "");
    let id = rig.asked(&bare);
    rig.proxy.redirect(id, &["sip:+49@192.0.2.21"], rig.now);
    rig.settle();
    let answer = rig.to(CALLER).pop().unwrap();
    let to = |text: &str| format!("To: {}\r\n", all(text, Header::To).concat());
    let ack = bare.replace("INVITE", "ACK").replace(&to(&bare), &to(&answer));
    assert_eq!(rig.request(&ack), Incoming::Handled);
    rig.pass(Duration::from_secs(4));
    assert!(rig.statuses().is_empty(), "acknowledged, it is not sent again");
}

/// RFC 3261 16.3: a proxy passes methods on that it does not know. Each way, with its body and its answer.
#[test]
fn rfc3261_16_every_method_passes_within_a_dialog_both_ways() {
    for name in
        ["PRACK", "UPDATE", "INFO", "NOTIFY", "REFER", "MESSAGE", "SUBSCRIBE", "OPTIONS", "FROBNICATE"]
    {
        for (from, uri, to) in [(CALLER, CALLEE, A), (A, "sip:caller@192.0.2.10", CALLER)] {
            let (mut rig, route) = answered();
            let more =
                "RAck: 1 1 INVITE\r\nEvent: x\r\nX-Unknown: kept\r\nContent-Type: a/b\r\nContent-Length: 4";
            let request = in_dialog(name, uri, from, &route).replace("Content-Length: 0", more) + "body";
            assert_eq!(rig.request_from(&request, udp(from)), Incoming::Handled);
            let passed = rig.to(to).pop().unwrap_or_else(|| panic!("{name} does not pass"));
            assert!(passed.starts_with(&format!("{name} {uri} SIP/2.0\r\n")), "{passed}");
            assert!(passed.contains(&format!("{more}\r\n\r\nbody")), "{passed}");
            assert!(all(&passed, Header::Route).is_empty() && all(&passed, Header::RecordRoute).is_empty());
            assert_eq!(all(&passed, Header::MaxForwards), ["69"]);
            // Sent again it is absorbed; its answer goes back, and comes again when it is asked again.
            assert_eq!(rig.request_from(&request, udp(from)), Incoming::Handled);
            assert!(rig.to(to).is_empty());
            rig.response(&reply(&passed, "299 Fine", "X-Answer: kept\r\n"));
            rig.request_from(&request, udp(from));
            let answers = rig.to(from);
            assert_eq!(answers.len(), 2, "{name}: {answers:?}");
            for answer in answers {
                assert!(answer.starts_with("SIP/2.0 299 Fine\r\n") && answer.contains("X-Answer: kept\r\n"));
                assert_eq!(all(&answer, Header::Via).len(), 1);
            }
            assert!(rig.take_told().is_empty(), "{name} is nobody's to decide about");
            rig.nothing_is_left();
        }
    }
}

/// MS-SIP: a BENOTIFY is a NOTIFY that nobody answers. Nobody resends one either: it is passed on like an ACK.
#[test]
fn a_benotify_passes_once_and_is_never_answered() {
    let (mut rig, route) = answered();
    let benotify = in_dialog("BENOTIFY", "sip:caller@192.0.2.10", A, &route);
    assert_eq!(rig.request_from(&benotify, udp(A)), Incoming::Handled);
    assert_eq!(rig.methods_to(CALLER), ["BENOTIFY"]);
    for (at, cannot_pass) in [
        benotify.replace(&format!("Route: {route}\r\n"), ""),
        benotify.replace(&route, "<sip:192.0.2.9;lr>"),
        benotify.replace(";tag=b", "").replace(&format!("Route: {route}\r\n"), ""),
        benotify.replace("Max-Forwards: 70", "Max-Forwards: 0"),
    ]
    .into_iter()
    .enumerate()
    {
        let cannot_pass = cannot_pass.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{at}"));
        assert_eq!(rig.request_from(&cannot_pass, udp(A)), Incoming::Handled);
    }
    rig.nothing_is_left();
    assert!(
        rig.sent.is_empty() && rig.take_told().iter().all(|t| matches!(t, Output::Gone(_))),
        "{:?}",
        rig.sent
    );
}
