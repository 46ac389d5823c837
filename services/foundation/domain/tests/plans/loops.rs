//! Loops, legal double passes, and where the edge stands (domain rules 3.3, 9.1).

use tandem_domain::document::policy::NumberRoute;
use tandem_domain::document::terms::{InboundOption, Model, RouteOwner};
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::decision::Reason;
use tandem_domain::routing::plan::Element;

use crate::common::{World, by_trunk};
use crate::line;

/// Vector 2: DID = Line URI under option 3: Lync rings at once, CIC never sees the call.
#[test]
fn a_did_that_is_the_line_uri_never_reaches_cic_under_option_3() {
    for (inbound, hops) in [
        (InboundOption::ProxyFirst, "GW > PX > CIC > MED > FE > LPH"),
        (InboundOption::CicFirst, "GW > CIC > MED > FE > LPH"),
        (InboundOption::LyncFirst, "GW > MED > FE > LPH"),
    ] {
        let world = World::new(Model::OnPremises, inbound);
        let (plan, _) = world.plan(&by_trunk("gw", "+49305550208"), &Facts::default());
        assert_eq!(plan.hops_words(), hops);
        let interaction = plan.features.supervisor;
        assert_eq!(
            interaction,
            inbound != InboundOption::LyncFirst,
            "{inbound}: whether there is an interaction"
        );
    }
}

/// Vector 7: option 3's double pass is legal; the same number to the same system twice is 482.
#[test]
fn the_double_pass_is_legal_and_the_same_number_twice_is_not() {
    let world = World::new(Model::OnPremises, InboundOption::LyncFirst);
    let (plan, _) = world.plan(&by_trunk("gw", "+49305550103"), &Facts::default());
    assert_eq!((plan.rejected, plan.mediation_sessions), (None, 3));
    // Enterprise Voice is off, so that Lync does not ring at once; CIC then sends back the number that came.
    let mut world = World::new(Model::OnPremises, InboundOption::LyncFirst);
    let both = world.directory.users.iter_mut().find(|u| u.id.as_str() == "both").unwrap();
    both.lync.as_mut().unwrap().telephony = tandem_domain::document::terms::TelephonyMode::Rcc;
    let (plan, _) = world.plan(&by_trunk("gw", "+49305550208"), &Facts::default());
    let rejected = plan.rejected.clone().unwrap();
    assert_eq!((rejected.reason, rejected.reason.status()), (Reason::PlannedLoop, 482), "{}", line(&plan));
    assert_eq!(plan.hops_words(), "GW > MED > FE > MED > CIC > MED");
}

/// CIC behind the proxy: leg e becomes c and f.
#[test]
fn cic_behind_the_proxy() {
    for (inbound, hops, legs) in [
        (InboundOption::ProxyFirst, "GW > PX > CIC > PX > MED > FE > LPH", "a b c c f h i k"),
        (InboundOption::CicFirst, "GW > CIC > EDGE > MED > FE > LPH", "a d c f h i k"),
        (
            InboundOption::LyncFirst,
            "GW > MED > FE > MED > CIC > EDGE > MED > FE > LPH",
            "a g h h e c f h i k",
        ),
    ] {
        let world = World::with(Model::OnPremises, inbound, |spec| spec.lync.cic_line_direct = false);
        let (plan, _) = world.plan(&by_trunk("gw", "+49305550103"), &Facts::default());
        assert_eq!((plan.hops_words().as_str(), plan.legs_words().as_str()), (hops, legs), "{inbound}");
    }
}

/// Options 2 and 3 with Tandem's edge where it can stand: each of its hops is Tandem's decision.
#[test]
fn the_edge_in_the_way_decides_its_hops() {
    for (inbound, hops) in [
        (InboundOption::ProxyFirst, "GW > PX > CIC > PX > MED > FE > LPH"),
        (InboundOption::CicFirst, "GW > EDGE > CIC > EDGE > MED > FE > LPH"),
        (InboundOption::LyncFirst, "GW > EDGE > MED > FE > MED > EDGE > CIC > EDGE > MED > FE > LPH"),
    ] {
        let world = World::with(Model::OnPremises, inbound, |spec| spec.lync.cic_line_direct = false);
        let facts = Facts { edge_in_path: true, ..Facts::default() };
        let (plan, _) = world.plan(&by_trunk("gw", "+49305550103"), &facts);
        assert_eq!((plan.hops_words().as_str(), plan.rejected), (hops, None), "{inbound}");
        for pair in plan.hops.windows(2) {
            let ours = matches!(pair[0].element, Element::Px | Element::Edge);
            let tandem = pair[1].decided_by == tandem_domain::routing::plan::DecidedBy::Tandem;
            assert_eq!(ours, tandem, "{inbound}: {pair:?}");
        }
    }
}

/// Lync rings a Line URI at once; where the edge stands before it, what the edge refuses does not come so far.
#[test]
fn the_edge_in_the_way_refuses_before_lync_rings() {
    let world = World::with(Model::OnPremises, InboundOption::LyncFirst, |spec| {
        spec.numbers.routes.push(NumberRoute {
            pattern: "+49305550202".into(),
            owner: RouteOwner::Reject,
            workgroup: None,
            comment: None,
        });
    });
    for (edge_in_path, hops, reason) in
        [(false, "GW > MED > FE > LPH", None), (true, "GW > EDGE", Some(Reason::RefusedByRoute))]
    {
        let facts = Facts { edge_in_path, ..Facts::default() };
        let (plan, _) = world.plan(&by_trunk("gw", "+49305550202"), &facts);
        assert_eq!((plan.hops_words().as_str(), plan.rejected.map(|r| r.reason)), (hops, reason));
    }
}

/// Option 3 reaches CIC only if Lync's two trunks share a PSTN usage (domain rules 3.1): without it the policy is
/// refused, so that no call finds out.
#[test]
fn without_a_shared_usage_option_3_is_a_configuration_error() {
    let world = World::with(Model::OnPremises, InboundOption::LyncFirst, |spec| {
        spec.lync.cic_usages = vec!["other".into()];
    });
    let found = tandem_domain::tenant::compile("acme", &world.spec).unwrap_err();
    assert!(found.iter().any(|f| f.code == "route.no_shared_usage" && f.is_error()), "{found:#?}");
}
