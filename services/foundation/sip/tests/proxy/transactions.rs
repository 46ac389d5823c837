//! Transactions, loops and what is no answer.

use std::time::Duration;

use tandem_sip::message::Header;
use tandem_sip::proxy::{Incoming, Output};

use crate::rig::*;

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
    rig.proxy.redirect(id, &["sip:+49@192.0.2.21", "sip:+49@192.0.2.22"], rig.now);
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
    for guessed in ["", "0", "00000000", &branch[number.len() + 1..branch.len() - 1]] {
        rig.response(&reply(&to_a, "200 OK", "").replace(&branch, &format!("{number}.{guessed}")));
        assert!(!rig.statuses().contains(&200), "the number alone is not enough: {guessed}");
    }
    rig.response(&reply(&to_a, "200 OK", ""));
    assert_eq!(rig.statuses(), [200]);
    rig.nothing_is_left();
}

#[test]
fn equal_branches_of_two_tenants_are_two_transactions() {
    let mut rig = rig();
    let text = invite("z9hG4bK1");
    let (now, from) = (rig.now, udp(CALLER));
    let first = parse(text.as_bytes(), |m| rig.proxy.on_request(m, &keys(m), 1, from, now));
    let second = parse(text.as_bytes(), |m| rig.proxy.on_request(m, &keys(m), 2, from, now));
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

/// The wait is configuration; each call gets its own, so that those who are refused together do not return together.
#[test]
fn a_503_for_want_of_room_says_when_to_come_again_spread_by_half() {
    let mut waits = std::collections::BTreeSet::new();
    for call in 0..64 {
        let mut rig = rig_with(|config| {
            config.limits.transactions_max = 1;
            config.retry_after = Duration::from_secs(20);
        });
        let id = rig.asked(&invite("z9hG4bK1").replace("one@", &format!("{call}@")));
        rig.route(id, &[target(1, A)], None);
        let refused = rig.to(CALLER).pop().unwrap();
        assert!(refused.starts_with("SIP/2.0 503 "), "{refused}");
        waits.insert(all(&refused, Header::RetryAfter)[0].parse::<u32>().unwrap());
        rig.nothing_is_left();
    }
    assert!(waits.first() >= Some(&10) && waits.last() <= Some(&30) && waits.len() > 10, "{waits:?}");
}

/// Whatever fills the reserve, a call for help has room of its own.
#[test]
fn a_storm_within_dialogs_leaves_room_for_a_call_for_help() {
    let mut rig = rig_with(|config| config.limits.transactions_max = 2);
    let storm = |n: usize| {
        let info = invite(&format!("z9hG4bKs{n}")).replace("INVITE", "INFO");
        rig.request(&info.replace(">\r\nCall-ID", ">;tag=gone\r\nCall-ID"))
    };
    let taken = (0..100).map(storm).take_while(|incoming| *incoming != Incoming::Full).count();
    assert!((3..100).contains(&taken), "more than others may, and not without end: {taken}");
    assert_eq!(rig.request(&invite("z9hG4bK1")), Incoming::Full);
    assert!(matches!(rig.call_for_help(&invite("z9hG4bK1")), Incoming::Asked(_)));
}

/// RFC 3261 21.5.4: whoever has no room for another call still lets one go.
#[test]
fn what_ends_a_call_is_not_refused_for_want_of_room() {
    let mut rig = rig_with(|config| config.limits.transactions_max = 2);
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    assert_eq!(rig.request(&invite("z9hG4bK2").replace("one@", "two@")), Incoming::Full);
    rig.response(&reply(&to_a, "180 Ringing", ""));
    rig.to(CALLER);
    assert_eq!(rig.request(&invite("z9hG4bK1").replace("INVITE", "CANCEL")), Incoming::Handled);
    assert!(rig.to(CALLER).iter().any(|sent| sent.starts_with("SIP/2.0 200 ")));
    assert!(rig.to(A).iter().any(|sent| sent.starts_with("CANCEL ")));
}

/// RFC 3261 9.1: 64 x T1 after its CANCEL a request counts as cancelled, whatever rings on.
#[test]
fn what_rings_on_after_its_cancel_is_over_in_time() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let to_a = rig.to(A).pop().unwrap();
    rig.response(&reply(&to_a, "180 Ringing", ""));
    rig.request(&invite("z9hG4bK1").replace("INVITE", "CANCEL"));
    rig.response(&reply(&to_a, "180 Ringing", ""));
    rig.pass(Duration::from_secs(70));
    assert_eq!(rig.proxy.held(), (0, 0));
}

#[test]
fn what_is_cancelled_while_its_name_is_looked_up_goes_nowhere() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "200 OK", ""));
    let route = all(&sent, Header::RecordRoute).join(", ");
    let again = in_dialog("INVITE", "sip:callee@pool.example", CALLER, &route);
    rig.request(&again);
    let Some(Output::Resolve(call, _)) = rig.take_told().pop() else { panic!("no name to look up") };
    rig.request(&again.replace("CSeq: 1 INVITE", "CSeq: 1 CANCEL").replacen("INVITE sip", "CANCEL sip", 1));
    assert!(rig.statuses().ends_with(&[200, 487]));
    rig.proxy.resolved(call, Some(udp(B)), rig.now);
    rig.settle();
    assert!(rig.to(B).is_empty());
    rig.nothing_is_left();
}

/// RFC 3261 16.11: who keeps no state gives a request that comes again the branch that it had.
#[test]
fn an_ack_that_comes_again_goes_on_as_it_did() {
    let mut rig = rig();
    let id = rig.asked(&invite("z9hG4bK1"));
    rig.route(id, &[target(1, A)], None);
    let sent = rig.to(A).pop().unwrap();
    rig.response(&reply(&sent, "200 OK", ""));
    let route = all(&sent, Header::RecordRoute).join(", ");
    let ack = in_dialog("ACK", "sip:callee@192.0.2.21", CALLER, &route);
    rig.request(&ack);
    rig.request(&ack);
    rig.request(&ack.replace("z9hG4bKACK", "z9hG4bKother"));
    let acks = rig.to(A);
    assert_eq!(acks[0], acks[1]);
    assert_ne!(all(&acks[0], Header::Via)[0], all(&acks[2], Header::Via)[0]);
    // Nobody answers it; who does is not heard.
    rig.response(&reply(&acks[0], "200 OK", ""));
    assert_eq!(rig.statuses(), [100, 200]);
}
