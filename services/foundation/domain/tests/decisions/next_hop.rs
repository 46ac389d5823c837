//! Which system is next, from where it is asked.

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts, Hints, Method};
use tandem_domain::routing::decision::{Owner, Reason};
use tandem_domain::routing::trail::Rule;

use crate::common::{self, CALLEES, OPTIONS, STRANGER, World, by_trunk, by_user, user};
use crate::{LYNC_R3, first, outcome};

/// Vector 1: the same number in two tenants with different owners.
/// Colleagues who show one number are no loop; but by the number alone a loop ends as well.
#[test]
fn callers_of_one_number_are_many_until_they_are_too_many() {
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let own = Caller { from: "sip:+49305550101@x;user=phone", ..Caller::default() };
    for (alike, by_number, expected) in
        [(2, 19, None), (3, 3, Some(Reason::LoopDetected)), (0, 20, Some(Reason::LoopDetected))]
    {
        let facts = Facts { attempts_alike: alike, attempts_by_number: by_number, ..Facts::default() };
        let attempt = CallAttempt { caller: own, ..by_trunk("lync", "+49305550103") };
        let (decision, trail) = world.decide(&attempt, &facts);
        assert_eq!(outcome(&decision).err(), expected, "{alike} {by_number}");
        if by_number == 20 {
            let words = "20 unanswered attempts alike at once, the limit is 20";
            assert!(trail.0.iter().any(|step| step.words == words), "{trail:?}");
        }
    }
    // Who allows more of those who are shown alike allows no fewer by the number.
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.limits.attempts_alike = Some(50);
    });
    let facts = Facts { attempts_alike: 49, attempts_by_number: 49, ..Facts::default() };
    let attempt = CallAttempt { caller: own, ..by_trunk("lync", "+49305550103") };
    assert!(outcome(&world.decide(&attempt, &facts).0).is_ok());
}

#[test]
fn the_same_number_in_two_tenants_is_two_numbers() {
    let one = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let mut two = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    // In the second tenant the number that is R1's DID in the first is a Lync user's Line URI.
    two.directory.numbers.retain(|n| n.number != "+49305550101");
    let lync = two.directory.users[1].lync.as_mut().unwrap();
    lync.line_uri = Some("tel:+49305550101".into());
    let attempt = by_trunk("gw", "+49305550101");
    for _ in 0..2 {
        assert_eq!(one.decide(&attempt, &Facts::default()).0.owner, Owner::CicUser(user("r1")));
        assert_eq!(two.decide(&attempt, &Facts::default()).0.owner, Owner::LyncUser(user("r2")));
    }
}

#[test]
fn row_5_is_a_named_refusal_until_the_tenant_turns_it_on() {
    for (on, expected) in [(true, Ok("cic")), (false, Err(Reason::NotReleased))] {
        let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| spec.features.row5 = on);
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550105"), &Facts::default());
        assert_eq!(first(&decision).map(|f| f.0), expected, "{on}");
    }
}

/// Q2 does not exist: a Lync user cannot be an agent.
#[test]
fn an_agent_without_a_cic_account_is_a_named_refusal() {
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let facts = Facts { agent: Some(user("r2")), ..Facts::default() };
    let (decision, _) = world.decide(&by_trunk("gw", "+49305550120"), &facts);
    assert_eq!(outcome(&decision).err(), Some(Reason::AgentNotCicUser));
    let (plan, _) = world.plan(&by_trunk("gw", "+49305550120"), &facts);
    assert_eq!(plan.rejected.map(|r| r.reason), Some(Reason::AgentNotCicUser));
}

/// The station leg: what CIC sends to its outbound proxy leaves by Mediation with the Line URI, whichever of the
/// user's numbers CIC asks for.
#[test]
fn cic_rings_its_station_by_the_line_uri() {
    for inbound in OPTIONS {
        let world = World::new(Model::OnPremises, inbound);
        for called in ["+49305550203", "+49305550103", "3103", "tel:+49-30-555-0203"] {
            let (decision, _) = world.decide(&by_trunk("cic", called), &Facts::default());
            assert_eq!(first(&decision), Ok(LYNC_R3), "{inbound} {called}");
        }
    }
}

/// A number never goes back to the system that it came from (domain rules 3.3, L1 and L3).
#[test]
fn nothing_goes_back_where_it_came_from() {
    for inbound in OPTIONS {
        let world = World::new(Model::OnPremises, inbound);
        for (ingress, called) in [("cic", "+49305550101"), ("cic", "+49305550120"), ("lync", "+49305550202")]
        {
            let (decision, _) = world.decide(&by_trunk(ingress, called), &Facts::default());
            assert_eq!(outcome(&decision).err(), Some(Reason::WouldReturn), "{inbound} {ingress} {called}");
        }
    }
}

/// An edge that drains says so of each new call, whatever else is so of it, and turns no call for help away.
#[test]
fn an_element_that_leaves_takes_calls_for_help_alone() {
    let facts = Facts { leaving: true, attempts_alike: 50, ..Facts::default() };
    for inbound in OPTIONS {
        let world = World::new(Model::LocalControl, inbound);
        for (ingress, called) in [("gw", "+49305550101"), ("cic", "+49305550202"), ("lync", "nobody's")] {
            let (decision, trail) = world.decide(&by_trunk(ingress, called), &facts);
            assert_eq!(outcome(&decision).err(), Some(Reason::Leaving), "{inbound} {ingress} {called}");
            assert!(trail.0.iter().any(|step| step.rule == Rule::Leaving), "{trail:?}");
        }
        let (decision, _) = world.decide(&by_trunk("cic", "112"), &facts);
        assert!(decision.emergency && outcome(&decision).is_ok());
    }
    assert_eq!(Reason::Leaving.status(), 503);
}

/// Vector 7, at run time: what CIC or Lync sends a fourth time, unanswered, is answered 482. From outside, many who
/// show one number may call one number, and who shows none is never counted.
#[test]
fn the_fourth_attempt_alike_is_a_loop() {
    let (own, nobody) = ("sip:+49305550101@x;user=phone", "sip:anonymous@anonymous.invalid");
    let check = |world: &World, ingress, from, limit: Option<u16>| {
        let called = if ingress == "cic" { "+49305550202" } else { "+49305550103" };
        for alike in [0, 2, 3, 4, 5, 19, 20, u16::MAX] {
            let facts = Facts { attempts_alike: alike, ..Facts::default() };
            let caller = Caller { from, ..Caller::default() };
            let (decision, _) = world.decide(&CallAttempt { caller, ..by_trunk(ingress, called) }, &facts);
            let refused = limit.is_some_and(|limit| alike >= limit).then_some(Reason::LoopDetected);
            assert_eq!(outcome(&decision).err(), refused, "{ingress} {from}: {alike} before");
            // Emergency calls are exempt.
            let (decision, _) = world.decide(&by_trunk(ingress, "112"), &facts);
            assert!(outcome(&decision).is_ok());
        }
    };
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    for ingress in ["cic", "lync"] {
        check(&world, ingress, own, Some(3));
        check(&world, ingress, nobody, Some(20));
    }
    check(&world, "gw", STRANGER, Some(20));
    check(&world, "gw", nobody, None);
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        (spec.limits.attempts_alike, spec.limits.attempts_alike_elsewhere) = (Some(4), Some(5));
    });
    check(&world, "lync", own, Some(4));
    check(&world, "gw", STRANGER, Some(5));
    assert_eq!(Reason::LoopDetected.status(), 482);
}

#[test]
fn a_request_of_a_dialog_goes_to_the_trunk_whose_domain_it_names() {
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let replaces = |ingress, called| CallAttempt {
        hints: Hints { replaces: true, ..Hints::default() },
        caller: Caller { from: "sip:rolf@acme.example", ..Caller::default() },
        ..by_trunk(ingress, called)
    };
    for (attempt, expected) in [
        (by_trunk("cic", "sip:rolf@acme.example;gruu"), Ok("lync")),
        (by_trunk("gw", "sip:ruth@cic.acme.example"), Ok("cic")),
        (by_trunk("lync", "sip:rolf@acme.example"), Err(Reason::WouldReturn)),
        (by_trunk("gw", "sip:x@nowhere.example"), Err(Reason::NotANumber)),
        (replaces("lync", "sip:+4999@cic.acme.example"), Ok("cic")),
        // No rule lets the gateway's callers reach the gateway, dialog or not.
        (replaces("lync", "sip:+49900123@gw.acme.example"), Err(Reason::Toll)),
        (replaces("lync", "sip:conference@gw.acme.example"), Ok("gw")),
        (by_trunk("lync", "sip:conference@gw.acme.example"), Err(Reason::NoForwarder)),
        // A domain of nobody's: a number is looked up as ever.
        (replaces("gw", "sip:+49305550101@203.0.113.1"), Ok("cic")),
    ] {
        let (decision, _) = world.decide(&attempt, &Facts::default());
        assert_eq!(first(&decision).map(|f| f.0), expected, "{}", attempt.called);
    }
}

#[test]
fn what_is_no_number_of_ours_has_a_named_reason() {
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    for (attempt, expected) in [
        (by_trunk("nowhere", "+49305550101"), Reason::UnknownTrunk),
        (by_trunk("ms", "+49305550101"), Reason::UnknownTrunk),
        (by_user("nobody", "+49305550101"), Reason::UnknownUser),
        (by_trunk("gw", ""), Reason::NotANumber),
        (by_trunk("gw", "hello world"), Reason::NotANumber),
        (by_trunk("gw", "+1234567890123456"), Reason::NumberTooLong),
        (by_trunk("gw", "+49305550999"), Reason::UnknownNumber),
        (by_trunk("gw", "9999"), Reason::UnknownNumber),
    ] {
        let (decision, _) = world.decide(&attempt, &Facts::default());
        assert_eq!(outcome(&decision).err(), Some(expected), "{:?}", attempt.called);
        let (plan, _) = world.plan(&attempt, &Facts::default());
        assert_eq!(plan.rejected.map(|r| r.reason), Some(expected), "{:?}", attempt.called);
    }
}

#[test]
fn every_callee_of_the_table_is_decided_as_its_plan_begins() {
    for inbound in OPTIONS {
        let world = World::new(Model::OnPremises, inbound);
        for (callee, called, agent) in CALLEES {
            let facts = Facts { agent: agent.map(user), edge_in_path: true, ..common::all_connected() };
            let attempt = by_trunk("gw", called);
            let (decision, _) = world.decide(&attempt, &facts);
            let (plan, _) = world.plan(&attempt, &facts);
            let next = plan.hops[2].element.name().to_lowercase();
            let trunk = if next == "med" { "lync" } else { &next };
            assert_eq!(first(&decision).map(|f| f.0), Ok(trunk), "{inbound} {callee}");
        }
    }
}

/// Lync knows its users by their Line URIs alone: whatever number of theirs is called, and from wherever Tandem is
/// asked, that is what goes out; and the plan says so.
#[test]
fn a_lync_users_published_number_becomes_the_line_uri() {
    const DID: &str = "+49305550104";
    const LINE: &str = "sip:+49305550204@";
    for inbound in OPTIONS {
        let world = World::wide(Model::OnPremises, inbound, |_| {});
        let next = |attempt: CallAttempt<'_>| {
            let (decision, _) = world.decide(&attempt, &Facts::default());
            let route = outcome(&decision).map(|r| r.targets[0].clone());
            route.map(|t| (t.trunk.to_string(), t.request_uri.to_string()))
        };
        let outside = if inbound == InboundOption::CicFirst { "cic" } else { "lync" };
        let redirected = CallAttempt { method: Method::Redirect, ..by_trunk("lync", DID) };
        for (attempt, trunk) in [
            (by_trunk("gw-berlin", DID), outside),
            (by_trunk("cic", DID), "lync"),
            (redirected, "lync"),
            (by_user("lena", DID), "lync"),
        ] {
            let (to, uri) = next(attempt).unwrap();
            assert!(to == trunk && uri.starts_with(LINE), "{inbound} {:?}: {to} {uri}", attempt.ingress);
        }
        // Lync itself does not get back what it sent, unless it is sent on by a redirection.
        assert_eq!(next(by_trunk("lync", DID)), Err(Reason::WouldReturn));
        let facts = Facts { edge_in_path: true, ..Facts::default() };
        let (plan, _) = world.plan(&by_trunk("gw-berlin", DID), &facts);
        let asked: Vec<String> = plan.hops.iter().filter_map(|h| Some(h.number?.to_string())).collect();
        let (before, after) = asked.split_at(2);
        assert_eq!(before, [DID; 2], "{inbound}");
        assert!(!after.is_empty() && after.iter().all(|n| n == "+49305550204"), "{inbound}: {asked:?}");
    }
}

/// What people dial means what it means where they sit, and by the trunk that they came by.
#[test]
fn what_was_dialled_is_read_as_the_callers_place_reads_it() {
    let world = World::wide(Model::OnPremises, InboundOption::ProxyFirst, |_| {});
    for (attempt, number) in [
        (by_user("berta", "0305550101"), "+49305550101"),
        (by_user("viktor", "015550102"), "+4315550102"),
        (by_user("vera", "0049305550101"), "+49305550101"),
        (by_trunk("carrier", "999101"), "+49305550101"),
        (by_trunk("cic", "999101"), "999101"),
    ] {
        let (decision, _) = world.decide(&attempt, &Facts::default());
        assert_eq!(decision.called.map(|n| n.to_string()).as_deref(), Some(number), "{:?}", attempt.ingress);
    }
    // By a trunk, the place is that of the user whom the trunk's word names.
    let vera = CallAttempt {
        caller: Caller { from: "sip:vera@wide.example", ..Caller::default() },
        ..by_trunk("lync", "015550102")
    };
    let (decision, _) = world.decide(&vera, &Facts::default());
    assert_eq!(decision.owner, Owner::CicUser(user("viktor")));
}

/// Domain rules 3.3 count the proxy among the systems: with CIC behind it, a DID that is the Line URI meets it twice
/// with one number. Decision and plan refuse alike, and once CIC is silent there is no second pass.
#[test]
fn a_did_that_is_the_line_uri_is_a_loop_through_an_outbound_proxy() {
    const BOTH: &str = "+49305550208";
    for (inbound, direct, expected) in [
        (InboundOption::ProxyFirst, true, Ok("cic")),
        (InboundOption::ProxyFirst, false, Err(Reason::PlannedLoop)),
        (InboundOption::CicFirst, false, Ok("cic")),
        (InboundOption::LyncFirst, false, Ok("lync")),
    ] {
        let world = World::with(Model::LocalControl, inbound, |spec| spec.lync.cic_line_direct = direct);
        let (decision, _) = world.decide(&by_trunk("gw", BOTH), &Facts::default());
        assert_eq!(first(&decision).map(|f| f.0), expected, "{inbound} {direct}");
        let (plan, _) = world.plan(&by_trunk("gw", BOTH), &Facts::default());
        assert_eq!(plan.rejected.map(|r| r.reason), expected.err(), "{inbound} {direct}");
        if expected.is_err() {
            let silent = Facts { cic_silent_seconds: Some(60), ..Facts::default() };
            let (decision, _) = world.decide(&by_trunk("gw", BOTH), &silent);
            assert_eq!(first(&decision).map(|f| f.0), Ok("lync"));
            let (plan, _) = world.plan(&by_trunk("gw", BOTH), &silent);
            assert_eq!((plan.hops_words().as_str(), plan.rejected), ("GW > PX > MED > FE > LPH", None));
        }
    }
}
