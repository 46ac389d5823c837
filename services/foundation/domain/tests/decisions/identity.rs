//! Who a trunk is told calls (domain rules 9.1; RFC 3325).

use tandem_domain::document::terms::{DiversionForm, InboundOption, Model, NumberForm};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Earlier, Facts, Hints, Method, Retargeted};
use tandem_domain::routing::render;
use tandem_domain::routing::trail::Rule;

use crate::common::{STRANGER, World, by_trunk, by_user};
use crate::outcome;

#[test]
fn the_caller_is_told_in_each_trunks_form_and_not_across_a_trust_boundary() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[0].identity.screening = vec!["+493055501".into()];
        spec.trunks[0].number_form_out = Some(NumberForm::National);
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
    assert_eq!(identity.asserted[..], ["<sip:0305550103@gw.acme.example>", "<tel:+49305550103>"]);
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

/// RFC 3325 5: a number that nobody vouches for is not asserted; From passes as it came, for the agent to see.
#[test]
fn what_an_untrusted_gateway_says_is_shown_as_from_and_asserted_to_nobody() {
    let asserted = |trusted: bool, from, own, called| {
        let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
            spec.trunks[0].identity.trusted = trusted;
            for inside in [1, 2] {
                spec.trunks[inside].identity.default_number = Some("+49305550199".into());
            }
        });
        let caller = Caller { from, asserted: own, private: false };
        let (decision, _) =
            world.decide(&CallAttempt { caller, ..by_trunk("gw", called) }, &Facts::default());
        let identity = &outcome(&decision).unwrap().targets[0].identity;
        identity.asserted.last().cloned()
    };
    let own = Some("sip:+4940333444@gw.acme.example;user=phone");
    let default = Some("<tel:+49305550199>".to_owned());
    for called in ["+49305550101", "+49305550202"] {
        let stranger = Some("<tel:+4940111222>".to_owned());
        assert_eq!(asserted(true, STRANGER, None, called), stranger);
        assert_eq!(asserted(true, STRANGER, own, called), Some("<tel:+4940333444>".to_owned()));
        assert_eq!(asserted(false, STRANGER, None, called), None, "{called}");
        assert_eq!(asserted(false, STRANGER, own, called), None, "{called}");
        // A user's own number is as easily said as any.
        assert_eq!(asserted(false, "sip:+49305550101@gw.acme.example", None, called), None);
        // An extension is the tenant's own and never comes from outside; who has no number has the trunk's.
        assert_eq!(asserted(true, "sip:3101@gw.acme.example", None, called), default);
        assert_eq!(asserted(false, "sip:3101@gw.acme.example", None, called), None);
        assert_eq!(asserted(false, "sip:anonymous@anonymous.invalid", None, called), default);
    }
}

/// A phone may say which of its user's numbers it calls by, but not somebody else's.
#[test]
fn a_phone_calls_by_a_number_of_its_own_user() {
    let world = World::wide(Model::OnPremises, InboundOption::ProxyFirst, |_| {});
    for (user, from, shown) in [
        ("vera", "sip:+4315550103@wide.example;user=phone", "+4315550103"),
        ("vera", "sip:+49305550101@wide.example;user=phone", "3103"),
        ("vera", "sip:+49900666@wide.example;user=phone", "3103"),
        ("vera", "sip:vera@wide.example", "3103"),
        ("lena", "sip:lena@wide.example", "+49305550204"),
        ("lena", "sip:3101@wide.example", "+49305550204"),
        ("berta", "030 5550101", "+49305550101"),
        ("viktor", "01 5550102", "+4315550102"),
    ] {
        let caller = Caller { from, ..Caller::default() };
        let attempt = CallAttempt { caller, ..by_user(user, "+49305550120") };
        let (decision, _) = world.decide(&attempt, &Facts::default());
        let asserted = &outcome(&decision).unwrap().targets[0].identity.asserted[0];
        assert!(asserted.starts_with(&format!("<sip:{shown}@")), "{user} by {from}: {asserted}");
    }
}

/// What is not asserted is not hidden: From arrives, and the words say so.
#[test]
fn it_is_said_that_from_passes_when_nothing_is_asserted() {
    for (trusted, shown, told) in [
        (false, "From as it came, nothing asserted", "cic gets From as it came, and nothing is asserted"),
        (true, "<tel:+4940111222>", "cic is told that <sip:+4940111222@cic.acme.example;user=phone> calls"),
    ] {
        let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
            spec.trunks[0].identity.trusted = trusted;
        });
        let (decision, trail) = world.decide(&by_trunk("gw", "+49305550101"), &Facts::default());
        let text = render::decision(&decision);
        assert!(text.contains(shown), "{text}");
        let steps = trail.0.iter().filter(|s| s.rule == Rule::CallerIdentity);
        let words: Vec<&str> = steps.map(|s| &*s.words).collect();
        assert!(matches!(words[..], [said] if said.starts_with(told)), "{words:?}");
    }
}

const ROLF: &str = "sip:+49305550202@edge:5070;user=phone";
const RUTH: &str = "+49305550101";

fn by<'a>(who: &'a str, retargeted: Option<Retargeted>, history: Option<&'a str>) -> Hints<'a> {
    Hints { forwarded_by: Some(who), forwards: 1, retargeted, history, ..Hints::default() }
}

/// What each target is told of whose call it was, where trunks read this form and the gateway writes nationally.
fn told(form: DiversionForm, attempt: &CallAttempt<'_>) -> Vec<Option<(DiversionForm, String)>> {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[0].identity.trusted = true;
        for trunk in &mut spec.trunks {
            trunk.identity.diversion = Some(form);
        }
        spec.trunks[0].number_form_out = Some(NumberForm::National);
    });
    let (decision, _) = world.decide(attempt, &Facts::default());
    let targets = &outcome(&decision).unwrap().targets;
    let entries =
        targets.iter().map(|t| t.identity.diverted.as_ref().map(|d| (d.header, d.entry.to_string())));
    entries.collect()
}

fn redirected<'a>(ingress: &'a str, called: &'a str, hints: Hints<'a>) -> CallAttempt<'a> {
    CallAttempt { hints, method: Method::Redirect, ..by_trunk(ingress, called) }
}

/// RFC 5806: a call that is sent elsewhere says whose it was and why, in the form that the trunk reads.
#[test]
fn a_call_that_is_sent_elsewhere_says_whose_it_was() {
    let outside = "+4989123456";
    // Where it goes decides in which form: CIC's domain with plus, the gateway's nationally.
    for (called, why, entry) in [
        (
            RUTH,
            Some(Retargeted::Busy),
            "<sip:+49305550202@cic.acme.example;user=phone>;reason=user-busy;counter=1",
        ),
        (
            RUTH,
            Some(Retargeted::NoAnswer),
            "<sip:+49305550202@cic.acme.example;user=phone>;reason=no-answer;counter=1",
        ),
        (
            outside,
            Some(Retargeted::Unreachable),
            "<sip:0305550202@gw.acme.example>;reason=unavailable;counter=1",
        ),
        (
            outside,
            Some(Retargeted::Deflected),
            "<sip:0305550202@gw.acme.example>;reason=deflection;counter=1",
        ),
        (outside, None, "<sip:0305550202@gw.acme.example>;reason=unknown;counter=1"),
    ] {
        let ingress = if called == outside { "cic" } else { "gw" };
        let found = told(DiversionForm::Diversion, &redirected(ingress, called, by(ROLF, why, Some("1"))));
        assert!(
            !found.is_empty() && found.iter().all(|f| *f == Some((DiversionForm::Diversion, entry.into()))),
            "{found:?}"
        );
    }
    // What is no number of the world stands as it came, without what a URI brings beside; and only if it can stand.
    for (who, entry) in [
        ("sip:rolf@acme.example?Subject=x", Some("<sip:rolf@acme.example>;reason=unknown;counter=1")),
        ("3101", Some("<sip:3101@cic.acme.example>;reason=unknown;counter=1")),
        ("tel:3101;phone-context=acme", Some("<sip:3101@cic.acme.example>;reason=unknown;counter=1")),
        ("sip:a>;reason=x@b", None),
        ("sip:a b@c", None),
    ] {
        let found = told(DiversionForm::Diversion, &redirected("gw", RUTH, by(who, None, None)));
        assert_eq!(found[0].as_ref().map(|(_, e)| e.as_str()), entry, "{who}");
    }
}

/// One entry stands for what the message does not tell: the element's own diversions, or all where entries are stripped.
#[test]
fn who_diverts_a_second_time_counts_both() {
    for (trusted, expected) in [(true, ";counter=2"), (false, ";counter=5")] {
        let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
            spec.trunks[0].identity.trusted = trusted;
            spec.trunks[1].identity.diversion = Some(DiversionForm::Diversion);
        });
        let hints = Hints { forwards: 5, diversions: 2, ..by("+49305550202", Some(Retargeted::Busy), None) };
        let (decision, _) = world.decide(&redirected("gw", RUTH, hints), &Facts::default());
        let identity = &outcome(&decision).unwrap().targets[0].identity;
        let entry = identity.diverted.as_ref().map(|d| &*d.entry).unwrap();
        assert!(entry.ends_with(expected) && identity.strip != trusted, "{entry}");
    }
}

/// RFC 7044: history goes on where it stands; each address has the Request-URI that it gets.
#[test]
fn history_goes_on_where_it_stands() {
    let history = |index| {
        let hints = by(ROLF, Some(Retargeted::Busy), index);
        let found = told(DiversionForm::HistoryInfo, &redirected("gw", RUTH, hints));
        found.into_iter().map(|f| f.unwrap().1).collect::<Vec<_>>()
    };
    let anew = |host: &str| {
        format!(
            "<sip:+49305550202@cic.acme.example;user=phone?Reason=SIP%3Bcause%3D486>;index=1, \
                 <sip:+49305550101@{host};user=phone>;index=1.1;mp=1"
        )
    };
    assert_eq!(history(None), [anew("10.0.1.1"), anew("10.0.1.2")]);
    assert_eq!(history(Some("1.x")), [anew("10.0.1.1"), anew("10.0.1.2")]);
    let on = |host: &str| format!("<sip:+49305550101@{host};user=phone>;index=1.1.1;mp=1.1");
    assert_eq!(history(Some("1.1")), [on("10.0.1.1"), on("10.0.1.2")]);
}

/// RFC 7044: of a call that is sent elsewhere twice on its way, each time is an entry.
#[test]
fn history_has_everyone_who_sent_the_call_elsewhere() {
    let (lena, ida) = ("+49305550204", "+49305550106");
    let earlier = [
        Earlier { by: lena, retargeted: Some(Retargeted::NoAnswer) },
        Earlier { by: ida, retargeted: Some(Retargeted::Deflected) },
    ];
    let history = |earlier: &[Earlier<'_>], index| {
        let hints = Hints { earlier, ..by(ROLF, Some(Retargeted::Busy), index) };
        told(DiversionForm::HistoryInfo, &redirected("gw", RUTH, hints))[0].as_ref().unwrap().1.clone()
    };
    let of = |number: &str, cause: u16, place: &str| {
        format!("<sip:{number}@cic.acme.example;user=phone?Reason=SIP%3Bcause%3D{cause}>;{place}")
    };
    let (rolf, to) = ("+49305550202", "<sip:+49305550101@10.0.1.1;user=phone>");
    assert_eq!(
        history(&earlier[..1], None),
        [of(lena, 408, "index=1"), of(rolf, 486, "index=1.1;mp=1"), format!("{to};index=1.1.1;mp=1.1")]
            .join(", ")
    );
    // Whom the caller asked for is the message's own last entry, also where they may not be shown.
    let unshown = [Earlier { by: "<nobody>", retargeted: None }, earlier[1]];
    for earlier in [&earlier, &unshown] {
        assert_eq!(
            history(earlier, Some("1.2")),
            [
                of(ida, 302, "index=1.2.1;mp=1.2"),
                of(rolf, 486, "index=1.2.1.1;mp=1.2.1"),
                format!("{to};index=1.2.1.1.1;mp=1.2.1.1")
            ]
            .join(", ")
        );
    }
}

/// A new call, or one that its own sender refers, says nothing by us; and a call for help is nobody else's.
#[test]
fn nothing_is_said_of_what_was_not_sent_elsewhere() {
    for (form, called, method) in [
        (DiversionForm::None, RUTH, Method::Redirect),
        (DiversionForm::Diversion, RUTH, Method::Invite),
        (DiversionForm::HistoryInfo, RUTH, Method::Refer),
        (DiversionForm::Diversion, "112", Method::Redirect),
    ] {
        assert_eq!(
            told(form, &CallAttempt { method, ..redirected("gw", called, by(ROLF, None, None)) })[0],
            None,
            "{form} {called} {method:?}"
        );
    }
}

/// Entries that are taken away on the way to who is not trusted are not gone on from.
#[test]
fn a_stripped_history_begins_anew() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[0].identity.trusted = false;
        spec.trunks[1].identity.diversion = Some(DiversionForm::HistoryInfo);
    });
    let rolf = Some("+49305550202");
    let hints = Hints { forwarded_by: rolf, history: Some("1.1"), ..Hints::default() };
    let attempt = CallAttempt { hints, method: Method::Redirect, ..by_trunk("gw", "+49305550101") };
    let (decision, _) = world.decide(&attempt, &Facts::default());
    let identity = &outcome(&decision).unwrap().targets[0].identity;
    let entry = identity.diverted.as_ref().map(|d| &*d.entry).unwrap();
    assert!(identity.strip && entry.contains(";index=1, ") && entry.ends_with(";index=1.1;mp=1"), "{entry}");
}
