//! `decide` itself: where a call goes next from where it is asked (domain rules 9.1, 9.3).

mod common;

use std::fmt::Write as _;

use common::{CALLEES, OPTIONS, STRANGER, World, by_trunk, by_user, golden, user};
use tandem_domain::document::policy::TollRule;
use tandem_domain::document::terms::{InboundOption, LyncPstnEgress, MediaLost, Model, TrunkRole};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts, Hints, Method, SilentAddress};
use tandem_domain::routing::decision::{Carriage, Decision, Outcome, Owner, Reason, Route};
use tandem_domain::routing::render;
use tandem_domain::routing::trail::Steps;

/// Who owns a call and where it goes, on one line.
fn line(decision: &Decision) -> String {
    let owner = match &decision.owner {
        Owner::CicUser(id) => format!("CIC ({id})"),
        Owner::Workgroup(id) => format!("CIC ({id})"),
        Owner::Attendant => "CIC (Attendant)".into(),
        Owner::LyncUser(id) => format!("Lync ({id})"),
        Owner::Cic => "CIC (default)".into(),
        Owner::Lync => "Lync (default)".into(),
        Owner::Pstn => "PSTN".into(),
        Owner::Nobody => "nobody".into(),
        Owner::Refused => "refused".into(),
        Owner::NotLookedUp => "not asked".into(),
    };
    let next = match &decision.outcome {
        Outcome::Route(Route { targets, survivable, .. }) => {
            let first = &targets[0];
            let how = if *survivable { " (survivable)" } else { "" };
            format!("{:<5} {}{how}", first.trunk, first.request_uri)
        }
        Outcome::Reject(rejection) => format!("{} {}", rejection.reason.status(), rejection.reason.name()),
    };
    format!("{owner:<16} {next}")
}

/// What is called in the table: its name, the number, and who it belongs to.
const CALLED: [(&str, &str); 12] = [
    ("DID of R1", "+49305550101"),
    ("DID of R3", "+49305550103"),
    ("DID of R6", "+49305550106"),
    ("Line URI of R2", "+49305550202"),
    ("Line URI of R3", "+49305550203"),
    ("Line URI of R6", "+49305550206"),
    ("DID = Line URI", "+49305550208"),
    ("extension of R1", "3101"),
    ("extension of R3", "3103"),
    ("workgroup", "+49305550120"),
    ("unknown", "+49305550999"),
    ("PSTN", "+4989123456"),
];

/// Option by ingress by called (what the issue of the edge's place comes down to).
#[test]
fn decide_by_option_ingress_and_called() {
    let mut out = String::new();
    for (option, inbound) in OPTIONS.into_iter().enumerate() {
        let world = World::new(Model::OnPremises, inbound);
        for ingress in ["gw", "cic", "lync"] {
            let _ = writeln!(out, "option {} ({inbound}), asked by {ingress}", option + 1);
            for (what, called) in CALLED {
                // What comes from CIC and Lync is called by one of their users, the rest by a stranger.
                let from = match ingress {
                    "cic" => "sip:3101@cic.acme.example",
                    "lync" => "sip:+49305550202@acme.example;user=phone",
                    _ => STRANGER,
                };
                let attempt =
                    CallAttempt { caller: Caller { from, ..Caller::default() }, ..by_trunk(ingress, called) };
                let (decision, _) = world.decide(&attempt, &Facts::default());
                let _ = writeln!(out, "  {what:<16} {called:<13} {}", line(&decision));
            }
            out.push('\n');
        }
    }
    golden("decide.txt", &out);
}

fn outcome(decision: &Decision) -> Result<&Route, Reason> {
    match &decision.outcome {
        Outcome::Route(route) => Ok(route),
        Outcome::Reject(rejection) => Err(rejection.reason),
    }
}

fn first(decision: &Decision) -> Result<(&str, &str), Reason> {
    outcome(decision).map(|r| (r.targets[0].trunk.as_str(), &*r.targets[0].request_uri))
}

const LYNC_R3: (&str, &str) = ("lync", "sip:+49305550203@med1.acme.example:5068;user=phone;transport=tcp");

/// Vector 1: the same number in two tenants with different owners.
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

/// Vector 7, at run time: the fourth unanswered attempt alike is answered 482.
#[test]
fn the_fourth_attempt_alike_is_a_loop() {
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    for (alike, expected) in [(0, Ok(())), (2, Ok(())), (3, Err(Reason::LoopDetected))] {
        let facts = Facts { attempts_alike: alike, ..Facts::default() };
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550101"), &facts);
        assert_eq!(outcome(&decision).map(|_| ()), expected, "{alike} before");
        // Emergency calls are exempt.
        let (decision, _) = world.decide(&by_trunk("cic", "112"), &facts);
        assert!(outcome(&decision).is_ok());
    }
    assert_eq!(Reason::LoopDetected.status(), 482);
}

/// Vector 8: silence always moves on; an error only if its code is in the retry list.
#[test]
fn each_target_carries_its_trunks_timers_and_retry_list() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[1].retry_on = Some(vec![500]);
        spec.trunks[1].timers.no_response_ms = Some(2_000);
        spec.trunks[1].timers.only_100_ms = Some(8_000);
    });
    let (decision, _) = world.decide(&by_trunk("gw", "+49305550101"), &Facts::default());
    let route = outcome(&decision).unwrap();
    assert_eq!(route.targets.len(), 2);
    for target in &route.targets {
        assert_eq!(
            (&*target.retry_on, target.no_response_ms, target.only_100_ms),
            (&[500][..], 2_000, 8_000)
        );
    }
    let (decision, _) = world.decide(&by_trunk("gw", "+49305550202"), &Facts::default());
    let lync = &outcome(&decision).unwrap().targets[0];
    assert_eq!((&*lync.retry_on, lync.no_response_ms), (&[408, 500, 502, 503, 504][..], 3_000));
}

#[test]
fn a_silent_address_goes_last_also_behind_a_backup_trunk() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        let mut backup = spec.trunks[1].clone();
        backup.name = "cic-b".into();
        backup.addresses.truncate(1);
        backup.addresses[0].host = "10.0.1.9".into();
        backup.domains.clear();
        spec.trunks[1].backup = vec!["cic-b".into()];
        spec.trunks.push(backup);
    });
    let hosts = |facts: &Facts| {
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550101"), facts);
        outcome(&decision).unwrap().targets.iter().map(|t| t.host.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(hosts(&Facts::default()), ["10.0.1.1", "10.0.1.2", "10.0.1.9"]);
    let silent =
        SilentAddress { trunk: "cic".parse().unwrap(), host: "10.0.1.1".into(), port: 5060, ip: None };
    assert_eq!(
        hosts(&Facts { silent: vec![silent], ..Facts::default() }),
        ["10.0.1.2", "10.0.1.9", "10.0.1.1"]
    );
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

#[test]
fn survivable_rules_hold_in_local_control_while_cic_is_silent_and_not_before() {
    for (model, silent, survivable) in [
        (Model::LocalControl, None, false),
        (Model::LocalControl, Some(9), false),
        (Model::LocalControl, Some(10), true),
        (Model::RemoteControl, Some(600), false),
        (Model::OnPremises, Some(600), false),
    ] {
        let world = World::new(model, InboundOption::ProxyFirst);
        let facts = Facts { cic_silent_seconds: silent, ..Facts::default() };
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550103"), &facts);
        let expected = if survivable { LYNC_R3.0 } else { "cic" };
        assert_eq!(first(&decision).map(|f| f.0), Ok(expected), "{model} {silent:?}");
        assert_eq!(outcome(&decision).unwrap().survivable, survivable);
    }
}

/// Domain rules 2.4: Lync phones by Line URI, CIC phones by name, queues to their hunt target.
#[test]
fn survivable_rules_by_row() {
    let facts = Facts { cic_silent_seconds: Some(30), ..Facts::default() };
    let hunts = |workgroup: Option<&str>, tenant: Option<&str>| {
        let mut world = World::with(Model::LocalControl, InboundOption::ProxyFirst, |spec| {
            spec.survivable.hunt_target = tenant.map(Into::into);
            spec.toll.push(TollRule {
                from: vec![TrunkRole::Gateway],
                sites: vec![],
                called: vec!["+4989".into()],
                trunks: vec![],
                allow: true,
            });
        });
        world.directory.workgroups[0].hunt_target = workgroup.map(Into::into);
        world
    };
    let world = hunts(None, None);
    for (callee, called, expected) in [
        ("R1", "+49305550101", Err(Reason::PhoneNotRegistered)),
        ("R2", "+49305550202", Ok("+49305550202")),
        ("R3", "+49305550103", Ok("+49305550203")),
        ("R4", "+49305550104", Ok("+49305550204")),
        ("R5", "+49305550105", Ok("+49305550205")),
        ("R6", "+49305550106", Err(Reason::PhoneNotRegistered)),
        ("queue", "+49305550120", Err(Reason::NoHuntTarget)),
    ] {
        let (decision, _) = world.decide(&by_trunk("gw", called), &facts);
        let found = first(&decision).map(|(trunk, uri)| (trunk, uri.get(4..16).unwrap()));
        assert_eq!(found, expected.map(|number| ("lync", number)), "{callee}");
    }
    for (workgroup, tenant, expected) in [
        (None, Some("+49305550202"), Ok(("lync", "+49305550202"))),
        (Some("+49305550103"), Some("+49305550202"), Ok(("lync", "+49305550203"))),
        (Some("+4989123456"), None, Ok(("gw", "+4989123456@"))),
        (Some("+49305550101"), None, Err(Reason::NoHuntTarget)),
    ] {
        let world = hunts(workgroup, tenant);
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550120"), &facts);
        let found = first(&decision).map(|(trunk, uri)| (trunk, uri.get(4..16).unwrap()));
        assert_eq!(found, expected, "{workgroup:?} {tenant:?}");
    }
}

/// Vector 21, decided: without a media server of the premises the call goes on unrecorded, or is refused.
#[test]
fn a_recorded_call_without_a_media_server_follows_policy() {
    for (lost, expected) in
        [(MediaLost::ProceedUnrecorded, Ok("cic")), (MediaLost::Refuse, Err(Reason::NoMediaServer))]
    {
        let world = World::with(Model::LocalControl, InboundOption::ProxyFirst, |spec| {
            spec.media.recorded = true;
            spec.media.media_server_lost = Some(lost);
        });
        let facts = Facts { premises_media_server_down: true, ..Facts::default() };
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550101"), &facts);
        assert_eq!(first(&decision).map(|f| f.0), expected, "{lost}");
        // Lync's own calls ask no media server of CIC.
        let (decision, _) = world.decide(&by_trunk("gw", "+49305550202"), &facts);
        assert_eq!(first(&decision).map(|f| f.0), Ok("lync"), "{lost}");
    }
}

#[test]
fn emergency_comes_before_everything() {
    let world = World::with(Model::RemoteControl, InboundOption::CicFirst, |spec| {
        spec.toll = vec![];
        spec.limits.attempts_alike = Some(1);
    });
    let facts = Facts { attempts_alike: 50, cic_silent_seconds: Some(600), ..Facts::default() };
    for called in ["112", "110", "urn:service:sos", "URN:SERVICE:SOS.fire", "sip:112@cic.acme.example"] {
        let (decision, _) = world.decide(&by_user("r1", called), &facts);
        assert!(decision.emergency, "{called}");
        let route = outcome(&decision).unwrap();
        assert_eq!(route.targets[0].trunk.as_str(), "gw");
        assert_eq!(route.carriage, Carriage::Proxy);
        let identity = &route.targets[0].identity;
        assert_eq!(identity.asserted[1], "<tel:+49305550100>", "the site's callback number");
        assert!(!identity.strip);
        assert_eq!(route.treatment, tandem_domain::routing::decision::Treatment::default());
    }
    // 110 is Berlin's, not the cloud's.
    let (decision, _) = world.decide(&by_trunk("cic", "110"), &facts);
    assert!(!decision.emergency);
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
fn the_toll_policy_is_one_for_invite_refer_and_redirect() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.lync_pstn_egress = LyncPstnEgress::Gateway;
    });
    for method in [Method::Invite, Method::Refer, Method::Redirect] {
        for (ingress, from, called, expected) in [
            ("cic", "sip:3101@cic.acme.example", "+4989123456", Ok("gw")),
            ("cic", "sip:3101@cic.acme.example", "0049900123456", Err(Reason::Toll)),
            ("lync", "sip:rolf@acme.example", "+4989123456", Ok("gw")),
            ("lync", "sip:rolf@acme.example", "+49900123456", Err(Reason::Toll)),
            ("cic", STRANGER, "+4989123456", Err(Reason::NoForwarder)),
        ] {
            let attempt = CallAttempt {
                caller: Caller { from, ..Caller::default() },
                method,
                ..by_trunk(ingress, called)
            };
            let (decision, _) = world.decide(&attempt, &Facts::default());
            assert_eq!(first(&decision).map(|f| f.0), expected, "{method:?} {ingress} {called}");
        }
    }
}

/// From outside to outside only for a user of the tenant who is shown to have forwarded the call.
#[test]
fn off_net_to_off_net_needs_a_forwarder() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.toll.push(TollRule { from: vec![], sites: vec![], called: vec![], trunks: vec![], allow: true });
        spec.trunks[0].identity.trusted = false;
        spec.lync_pstn_egress = LyncPstnEgress::Gateway;
    });
    let forwarded = |ingress, method, by| CallAttempt {
        hints: Hints { forwarded_by: Some(by), forwards: 1, replaces: false },
        method,
        ..by_trunk(ingress, "+4989123456")
    };
    for (attempt, expected) in [
        (by_trunk("cic", "+4989123456"), Err(Reason::NoForwarder)),
        (forwarded("cic", Method::Invite, "sip:3103@cic.acme.example"), Ok("gw")),
        (forwarded("cic", Method::Invite, "sip:ruth@acme.example"), Ok("gw")),
        (forwarded("lync", Method::Refer, "sip:ruth@acme.example"), Ok("gw")),
        (forwarded("cic", Method::Invite, "sip:+4940999@elsewhere.example"), Err(Reason::NoForwarder)),
        // An untrusted gateway's word is no evidence; what our own element retargets is.
        (forwarded("gw", Method::Invite, "+49305550103"), Err(Reason::NoForwarder)),
        (forwarded("gw", Method::Redirect, "+49305550103"), Ok("gw")),
    ] {
        let (decision, trail) = world.decide(&attempt, &Facts::default());
        assert_eq!(first(&decision).map(|f| f.0), expected, "{attempt:?}\n{trail:#?}");
    }
}

#[test]
fn the_caller_is_told_in_each_trunks_form_and_not_across_a_trust_boundary() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[0].identity.screening = vec!["+493055501".into()];
        spec.trunks[0].number_form_out = Some(tandem_domain::document::terms::NumberForm::National);
        spec.trunks[2].identity.trusted = false;
    });
    let asserted = |ingress, from, called, private| {
        let attempt =
            CallAttempt { caller: Caller { from, asserted: None, private }, ..by_trunk(ingress, called) };
        let (decision, _) = world.decide(&attempt, &Facts::default());
        let route = outcome(&decision).unwrap();
        let target = &route.targets[0];
        (target.request_uri.to_string(), (*target.identity).clone())
    };
    // In the carrier's national form.
    let did = "sip:+49305550103@cic.acme.example;user=phone";
    let (uri, identity) = asserted("cic", did, "+4989123456", false);
    assert_eq!(uri, "sip:089123456@10.0.0.1");
    assert_eq!(identity.asserted, ["<sip:0305550103@gw.acme.example>", "<tel:+49305550103>"]);
    assert!(!identity.strip);
    // A number that screening refuses, or an extension, which means nothing outside, becomes the default number.
    for from in ["sip:+49305550202@cic.acme.example", "sip:3103@cic.acme.example"] {
        let (_, identity) = asserted("cic", from, "+4989123456", false);
        assert_eq!(identity.asserted[1], "<tel:+49305550100>", "{from}");
    }
    // Privacy: who is trusted is told and asked for silence; who is not is not told.
    let (_, identity) = asserted("cic", did, "+4989123456", true);
    assert_eq!((identity.asserted.len(), identity.privacy), (2, Some("id")));
    let (_, identity) = asserted("gw", STRANGER, "+49305550202", true);
    assert_eq!((identity.asserted.len(), identity.privacy, identity.strip), (0, Some("id"), true));
}

#[test]
fn treatments_come_from_the_number_the_user_the_tenant_and_never_beside_cic() {
    let mut world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.treatments.on_busy = Some("+49305550100".into());
        spec.treatments.on_unreachable = Some("+49305550100".into());
        spec.treatments.on_no_answer = Some("+49305550202".into());
    });
    world.directory.users[1].treatments.on_busy = Some("+49305550120".into());
    world.directory.users[1].treatments.no_answer_seconds = Some(12);
    let (decision, _) = world.decide(&by_trunk("gw", "+49305550202"), &Facts::default());
    let treatment = &outcome(&decision).unwrap().treatment;
    assert_eq!(treatment.on_busy.as_deref(), Some("+49305550120"), "the user's own");
    assert_eq!(treatment.on_unreachable.as_deref(), Some("+49305550100"), "the tenant's");
    assert_eq!(treatment.on_no_answer, None, "never to the number that was called");
    let (decision, _) = world.decide(&by_trunk("gw", "+49305550101"), &Facts::default());
    assert_eq!(outcome(&decision).unwrap().treatment, tandem_domain::routing::decision::Treatment::default());
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
fn a_gateway_that_takes_redirects_is_redirected() {
    let world =
        World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| spec.trunks[0].accept_302 = true);
    for (ingress, expected) in [("gw", Carriage::Redirect), ("lync", Carriage::Proxy)] {
        let (decision, _) = world.decide(&by_trunk(ingress, "+49305550101"), &Facts::default());
        assert_eq!(outcome(&decision).unwrap().carriage, expected);
    }
}

/// The reasons, as people read them.
#[test]
fn the_trail_says_which_rule_won_and_why_each_other_lost() {
    let world = World::new(Model::LocalControl, InboundOption::ProxyFirst);
    let mut out = String::new();
    let mut show = |title: &str, attempt: &CallAttempt<'_>, facts: &Facts| {
        let (decision, trail): (Decision, Steps) = world.decide(attempt, facts);
        let _ = writeln!(out, "{title}\n\n{}\n{}", render::decision(&decision), render::reasons(&trail));
    };
    let silent = Facts { cic_silent_seconds: Some(42), ..Facts::default() };
    show("A stranger calls Ruth's DID", &by_trunk("gw", "+49 30 555 0103"), &Facts::default());
    show("The same while the CIC in the cloud is silent", &by_trunk("gw", "+49 30 555 0103"), &silent);
    show(
        "A stranger calls Beth, whose DID is her Line URI",
        &by_trunk("gw", "+49305550208"),
        &Facts::default(),
    );
    show("CIC calls Ruth's station", &by_trunk("cic", "tel:+49305550203"), &Facts::default());
    show("Rita dials a premium number", &by_user("r1", "0900123456"), &Facts::default());
    show("Rita calls for help", &by_user("r1", "112"), &Facts::default());
    show("A stranger calls a number of nobody's", &by_trunk("gw", "+49305550999"), &Facts::default());
    golden("trail.txt", &out);
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
