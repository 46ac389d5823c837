//! Out to the PSTN: who may, and by which gateway (domain rules 3.4, 9.1).

use tandem_domain::document::policy::TollRule;
use tandem_domain::document::terms::{InboundOption, LyncPstnEgress, Model};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts, Hints, Method};
use tandem_domain::routing::decision::Reason;

use crate::common::{STRANGER, World, by_trunk};
use crate::first;

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
        hints: Hints { forwarded_by: Some(by), forwards: 1, ..Hints::default() },
        method,
        ..by_trunk(ingress, "+4989123456")
    };
    for (attempt, expected) in [
        (by_trunk("cic", "+4989123456"), Err(Reason::NoForwarder)),
        (forwarded("cic", Method::Invite, "sip:3103@cic.acme.example"), Ok("gw")),
        (forwarded("cic", Method::Invite, "sip:ruth@acme.example"), Ok("gw")),
        (forwarded("lync", Method::Refer, "sip:ruth@acme.example"), Ok("gw")),
        (forwarded("cic", Method::Invite, "sip:+4940999@elsewhere.example"), Err(Reason::NoForwarder)),
        // An untrusted gateway's word is no evidence, nor what it refers to; what our own element retargets is.
        (forwarded("gw", Method::Invite, "+49305550103"), Err(Reason::NoForwarder)),
        (forwarded("gw", Method::Refer, "+49305550103"), Err(Reason::NoForwarder)),
        (forwarded("gw", Method::Redirect, "+49305550103"), Ok("gw")),
    ] {
        let (decision, trail) = world.decide(&attempt, &Facts::default());
        assert_eq!(first(&decision).map(|f| f.0), expected, "{attempt:?}\n{trail:#?}");
    }
}

#[test]
fn a_trusted_gateways_referrer_is_believed() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.toll.push(TollRule { from: vec![], sites: vec![], called: vec![], trunks: vec![], allow: true });
    });
    let attempt = CallAttempt {
        hints: Hints { forwarded_by: Some("+49305550103"), forwards: 1, ..Hints::default() },
        method: Method::Refer,
        ..by_trunk("gw", "+4989123456")
    };
    assert_eq!(first(&world.decide(&attempt, &Facts::default()).0).map(|f| f.0), Ok("gw"));
}

/// The caller's own gateway, then its backups; a toll rule narrows by the caller's place and to its trunks.
#[test]
fn the_gateway_of_the_callers_place_and_what_the_toll_rule_leaves() {
    let world = World::wide(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        let (called, trunks) = (vec!["+33".into()], vec!["gw-berlin".into()]);
        spec.toll.insert(0, TollRule { from: vec![], sites: vec![], called, trunks, allow: true });
    });
    let trunks = |from, called| {
        let attempt = CallAttempt { caller: Caller { from, ..Caller::default() }, ..by_trunk("cic", called) };
        let (decision, _) = world.decide(&attempt, &Facts::default());
        let route = crate::outcome(&decision).map_err(|r| vec![r.name()]);
        route.map_or_else(
            |e| e,
            |r| r.targets.iter().map(|t| t.trunk.as_str().to_owned().leak() as &str).collect(),
        )
    };
    let (berta, viktor) = ("sip:3101@cic.wide.example", "sip:3102@cic.wide.example");
    assert_eq!(trunks(berta, "+4989123"), ["gw-berlin", "gw-berlin-2"]);
    assert_eq!(trunks(viktor, "+4989123"), ["gw-vienna"]);
    // From Vienna to America by one trunk alone, which is not Vienna's; from Berlin not at all.
    assert_eq!(trunks(viktor, "+12125550100"), ["gw-berlin-2"]);
    assert_eq!(trunks(berta, "+12125550100"), ["toll.refused"]);
    assert_eq!(trunks(berta, "+442012345"), ["gw-berlin", "gw-berlin-2"]);
    // A backup is no way round the rule.
    assert_eq!(trunks(berta, "+33123456"), ["gw-berlin"]);
    assert_eq!(trunks(viktor, "+442012345"), ["toll.refused"]);
}
