//! The addresses to try, in order.

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::{Facts, SilentAddress};
use tandem_domain::routing::decision::Carriage;

use crate::common::{World, by_trunk};
use crate::outcome;

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
fn a_gateway_that_takes_redirects_is_redirected() {
    let world =
        World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| spec.trunks[0].accept_302 = true);
    for (ingress, expected) in [("gw", Carriage::Redirect), ("lync", Carriage::Proxy)] {
        let (decision, _) = world.decide(&by_trunk(ingress, "+49305550101"), &Facts::default());
        assert_eq!(outcome(&decision).unwrap().carriage, expected);
    }
}

/// What an emergency call shows of its caller must arrive, and a 302 says nothing of it.
#[test]
fn a_call_for_help_is_not_redirected() {
    let world = World::with(Model::OnPremises, InboundOption::CicFirst, |spec| {
        spec.trunks.iter_mut().find(|t| t.name == "cic").unwrap().accept_302 = true;
    });
    for (called, expected) in [("+49305550202", Carriage::Redirect), ("112", Carriage::Proxy)] {
        let (decision, _) = world.decide(&by_trunk("cic", called), &Facts::default());
        assert_eq!(outcome(&decision).unwrap().carriage, expected, "{called}");
    }
}

/// Whoever was redirected away is not there to be told that the called is busy.
#[test]
fn a_call_that_may_be_treated_is_not_redirected() {
    let world = World::with(Model::OnPremises, InboundOption::ProxyFirst, |spec| {
        spec.trunks[0].accept_302 = true;
        spec.treatments.on_busy = Some("+49305550100".into());
    });
    for (called, treated, expected) in
        [("+49305550101", false, Carriage::Redirect), ("+49305550202", true, Carriage::Proxy)]
    {
        let (decision, trail) = world.decide(&by_trunk("gw", called), &Facts::default());
        let route = outcome(&decision).unwrap();
        assert_eq!((route.treatment.on_busy.is_some(), route.carriage), (treated, expected), "{called}");
        let said = trail.0.iter().any(|step| step.words.contains("not redirected"));
        assert_eq!(said, treated, "{called}");
    }
}
