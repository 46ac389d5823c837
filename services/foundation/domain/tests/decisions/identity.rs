//! Who a trunk is told calls (domain rules 9.1; RFC 3325).

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts};
use tandem_domain::routing::render;
use tandem_domain::routing::trail::Rule;

use crate::common::{STRANGER, World, by_trunk, by_user};
use crate::outcome;

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
