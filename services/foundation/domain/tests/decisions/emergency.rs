//! Emergency calls: before everything, always (domain rules 9.1).

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::number::Number;
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts, Method, Returns};
use tandem_domain::routing::callback;
use tandem_domain::routing::decision::{Carriage, Decision, Owner, Reason, Treatment};
use tandem_domain::routing::trail::Rule;

use crate::common::{MODELS, World, by_trunk, by_user, user};
use crate::outcome;

/// The trunks that help is called by, in order, and what is dialled at the first.
fn way(decision: &Decision) -> (Vec<&str>, &str) {
    assert!(decision.emergency, "{decision:?}");
    let targets = &outcome(decision).unwrap().targets;
    let trunks = targets.iter().map(|t| t.trunk.as_str()).collect();
    let user = targets[0].request_uri.strip_prefix("sip:").unwrap().split('@').next().unwrap();
    (trunks, user)
}

#[test]
fn emergency_comes_before_everything() {
    let world = World::with(Model::RemoteControl, InboundOption::CicFirst, |spec| {
        spec.toll = vec![];
        spec.limits.attempts_alike = Some(1);
    });
    let facts = Facts { attempts_alike: 50, cic_silent_seconds: Some(600), ..Facts::default() };
    let dialled =
        ["112", "110", "+112", "urn:service:sos", "URN:SERVICE:SOS.fire", "sip:112@cic.acme.example"];
    for called in dialled {
        for attempt in [by_user("r1", called), by_trunk("cic", called), by_trunk("lync", called)] {
            let (decision, _) = world.decide(&attempt, &facts);
            assert!(decision.emergency, "{called}");
            let route = outcome(&decision).unwrap();
            assert_eq!(route.targets[0].trunk.as_str(), "gw");
            assert_eq!(route.carriage, Carriage::Proxy);
            assert!(!route.targets[0].identity.strip);
            assert_eq!(route.treatment, Treatment::default());
        }
        let (decision, _) = world.decide(&by_user("r1", called), &facts);
        let identity = &outcome(&decision).unwrap().targets[0].identity;
        assert_eq!(identity.asserted[1], "<tel:+49305550100>", "the site's callback number");
    }
}

/// Lync writes a plus before the string (its voice route is `^\+112$`); what goes out is the string itself. A number
/// that begins so, or an extension behind it, is none.
#[test]
fn a_plus_before_the_string_is_no_country_code() {
    let world = World::wide(Model::OnPremises, InboundOption::ProxyFirst, |_| {});
    for (called, expected) in [
        ("+112", Some("112")),
        ("sip:+133@med1.wide.example;user=phone", Some("133")),
        ("tel:+1-1-2", Some("112")),
        ("+1121", None),
        ("+112;ext=1", None),
        ("112112", None),
    ] {
        let (decision, _) = world.decide(&by_trunk("lync", called), &Facts::default());
        assert_eq!(decision.emergency, expected.is_some(), "{called}");
        if let Some(expected) = expected {
            assert_eq!(way(&decision).1, expected, "{called}");
        }
    }
}

/// A known caller dials the strings of their own place. Who is not known may sit anywhere: CIC in the cloud asks for
/// phones of every premises.
#[test]
fn the_strings_of_a_caller_whose_place_is_not_known_are_those_of_all() {
    let known = "sip:3101@cic.wide.example";
    for (model, name) in MODELS {
        let world = World::wide(model, InboundOption::CicFirst, |_| {});
        for ingress in ["cic", "lync"] {
            for (called, egress) in [("110", "gw-berlin"), ("133", "gw-vienna")] {
                let (decision, _) = world.decide(&by_trunk(ingress, called), &Facts::default());
                let (trunks, dialled) = way(&decision);
                // Where the string means something.
                assert_eq!((trunks[0], dialled), (egress, called), "{name} {ingress}");
            }
        }
        // What a gateway brings is dialled where it stands: the end of a DID may read like another country's string.
        for (ingress, called, help) in [
            ("gw-berlin", "110", true),
            ("gw-berlin", "133", false),
            ("gw-vienna", "133", true),
            ("gw-vienna", "110", false),
        ] {
            let (decision, _) = world.decide(&by_trunk(ingress, called), &Facts::default());
            assert_eq!(decision.emergency, help, "{name} {ingress} {called}");
        }
        let berta = |called| CallAttempt {
            caller: Caller { from: known, ..Caller::default() },
            ..by_trunk("cic", called)
        };
        assert!(world.decide(&berta("110"), &Facts::default()).0.emergency);
        assert!(!world.decide(&berta("133"), &Facts::default()).0.emergency, "{name}: no string of Berlin's");
    }
}

/// Out by the caller's own place, in the order of its list, each gateway with its backups, the one that it came from
/// last.
#[test]
fn help_is_called_by_the_callers_own_place() {
    let world = World::wide(Model::RemoteControl, InboundOption::ProxyFirst, |_| {});
    for (attempt, expected) in [
        (by_user("berta", "112"), vec!["gw-berlin", "gw-vienna", "gw-berlin-2"]),
        (by_user("viktor", "112"), vec!["gw-vienna"]),
        (by_user("vera", "urn:service:sos"), vec!["gw-vienna"]),
        (by_trunk("gw-berlin", "112"), vec!["gw-vienna", "gw-berlin-2", "gw-berlin"]),
        (by_trunk("gw-vienna", "112"), vec!["gw-vienna"]),
        (by_trunk("carrier", "112"), vec!["carrier"]),
    ] {
        let (decision, _) = world.decide(&attempt, &Facts::default());
        assert_eq!(way(&decision).0, expected, "{:?}", attempt.ingress);
    }
    // The urn becomes what is dialled there.
    assert_eq!(way(&world.decide(&by_user("vera", "urn:service:sos"), &Facts::default()).0).1, "112");
}

/// A place without an egress of its own takes another's; a tenant without any takes whatever gateway there is.
#[test]
fn help_is_called_from_anywhere() {
    let mut world = World::wide(Model::RemoteControl, InboundOption::ProxyFirst, |_| {});
    // What policy refuses may have changed under way: the config is made by hand.
    let compiled = |world: &World| tandem_domain::tenant::compile("wide", &world.spec);
    assert!(compiled(&world).is_ok());
    world.spec.sites[2].emergency.as_mut().unwrap().egress.clear();
    assert!(compiled(&world).is_err(), "a place with phones has an egress, or the policy is refused");
    world.spec.sites[0].emergency = None;
    world.spec.sites[2].emergency.as_mut().unwrap().egress = vec!["gw-vienna".into()];
    // The cloud has none: the phones' place has.
    let (decision, _) = world.decide(&by_trunk("carrier", "112"), &Facts::default());
    assert_eq!(way(&decision).0, ["gw-berlin", "gw-vienna", "gw-berlin-2"]);
}

/// Whoever asks: a user whom the directory does not know, a trunk that policy does not know.
#[test]
fn a_stranger_is_helped_and_nothing_else() {
    let world = World::wide(Model::OnPremises, InboundOption::ProxyFirst, |_| {});
    for (stranger, reason) in [
        (by_user("nobody", "112"), Reason::UnknownUser),
        (by_trunk("nowhere", "112"), Reason::UnknownTrunk),
        (by_trunk("ms", "112"), Reason::UnknownTrunk),
    ] {
        let (decision, _) = world.decide(&stranger, &Facts::default());
        assert_eq!(way(&decision).0[0], "gw-berlin", "{stranger:?}");
        let (plan, _) = world.plan(&stranger, &Facts::default());
        assert_eq!(plan.rejected, None);
        for called in ["+49305550101", "911", "urn:service:counseling", "sip:lena@wide.example"] {
            let (decision, _) = world.decide(&CallAttempt { called, ..stranger }, &Facts::default());
            assert_eq!(outcome(&decision).err(), Some(reason), "{called}");
        }
    }
}

/// Who calls for help is always told, whatever they asked for and whoever is told.
#[test]
fn a_rescuer_is_always_told_who_calls() {
    let world = World::wide(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[0].identity.trusted = false;
    });
    for (caller, expected) in
        [("sip:3101@cic.wide.example", "<tel:+49305550100>"), ("", "<tel:+49305550100>")]
    {
        let attempt = CallAttempt {
            caller: Caller { from: caller, asserted: None, private: true },
            ..by_trunk("cic", "112")
        };
        let (decision, _) = world.decide(&attempt, &Facts::default());
        let route = outcome(&decision).unwrap();
        let untrusted = route.targets.iter().find(|t| t.trunk.as_str() == "gw-berlin").unwrap();
        assert_eq!(untrusted.identity.asserted.get(1).map(String::as_str), Some(expected), "{caller:?}");
        assert_eq!((untrusted.identity.privacy, untrusted.identity.strip), (None, false));
    }
    // Another call of the same caller is private, and an untrusted gateway is not told.
    let attempt = CallAttempt {
        caller: Caller { from: "sip:3101@cic.wide.example", asserted: None, private: true },
        ..by_trunk("cic", "+4989123")
    };
    let (decision, _) = world.decide(&attempt, &Facts::default());
    let identity = &outcome(&decision).unwrap().targets[0].identity;
    assert_eq!((identity.asserted.len(), identity.privacy), (0, Some("id")));
}

/// Who calls a site's callback number within half an hour of a call for help gets whoever called, and whoever the number
/// is for where that one does not answer.
#[test]
fn a_rescuer_who_calls_back_gets_who_called_for_help() {
    let callback = number("+49305550100");
    let from = |number: &'static str| Caller { from: number, ..Caller::default() };
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let view = world.view();
    let dials = |caller| callback::returns(&view, &CallAttempt { caller, ..by_trunk("cic", "112") });
    let hers = number("+49305550101");
    assert_eq!(dials(from("sip:+49305550101@cic.acme.example")), Some((callback, hers)));
    assert_eq!(dials(from("sip:+4989999@cic.acme.example")), None, "nobody of the tenant's");
    assert_eq!(callback::returns(&view, &by_trunk("cic", "+49305550202")), None, "no call for help");

    let facts = |ago_seconds| Facts {
        returns: vec![Returns { callback, to: hers, ago_seconds }],
        ..Facts::default()
    };
    let way = |attempt: &CallAttempt<'_>, facts: &Facts| {
        let (decision, trail) = world.decide(attempt, facts);
        let steps = trail.0.iter().filter(|s| s.rule == Rule::EmergencyCallback);
        let steps: Vec<String> = steps.map(|s| s.words.to_string()).collect();
        let to = outcome(&decision).ok().map(|r| r.targets[0].request_uri.to_string());
        assert_eq!(decision.called, Some(callback));
        (decision.owner, to, steps)
    };
    let rings = by_trunk("gw", "+49305550100");
    let (usual, usual_to, steps) = way(&rings, &Facts::default());
    assert!(steps.is_empty());
    let (owner, to, steps) = way(&rings, &facts(1_799));
    assert_eq!(owner, Owner::CicUser(user("r1")));
    assert!(to.as_ref().unwrap().contains("305550101"), "{to:?}");
    assert!(steps[0].contains("called for help 29 min ago: it leads back to +49305550101"), "{steps:?}");
    // Half an hour is over; a number of nobody; from inside; and as the way on from who did not answer.
    let (owner, to, steps) = way(&rings, &facts(1_801));
    assert_eq!((owner, to), (usual.clone(), usual_to.clone()));
    assert!(steps[0].contains("more than half an hour ago"), "{steps:?}");
    let nobodys = Facts {
        returns: vec![Returns { callback, to: number("+49305550999"), ago_seconds: 1 }],
        ..Facts::default()
    };
    assert_eq!(way(&rings, &nobodys).0, usual);
    let inside = CallAttempt { caller: from("sip:+49305550103@x"), ..by_trunk("lync", "+49305550100") };
    assert_eq!(way(&inside, &facts(1)).0, way(&inside, &Facts::default()).0);
    let on = CallAttempt { method: Method::Redirect, ..rings };
    assert_eq!(way(&on, &facts(1)).0, usual);
}

/// Of a user whom Lync rings Tandem has the treatment: it leads to whoever the callback number is for.
#[test]
fn a_rescuer_is_not_left_without_an_answer() {
    let (callback, lync) = (number("+49305550100"), number("+49305550202"));
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let facts = Facts { returns: vec![Returns { callback, to: lync, ago_seconds: 60 }], ..Facts::default() };
    let (decision, _) = world.decide(&by_trunk("gw", "+49305550100"), &facts);
    let treatment = &outcome(&decision).unwrap().treatment;
    let to = Some("+49305550100");
    assert_eq!((treatment.on_busy.as_deref(), treatment.on_unreachable.as_deref()), (to, to));
    assert_eq!(treatment.on_no_answer.as_ref().map(|(to, _)| &**to), to);
}

fn number(text: &str) -> Number {
    Number::parse_canonical(text).unwrap()
}
