//! What follows when a target does not take a call.

use std::time::Duration;

use tandem_sip::message::Header;
use tandem_sip::proxy::{Cause, Output};

use crate::rig::*;

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
