//! What is left in local control while the CIC in the cloud is silent (domain rules 2.4).

use tandem_domain::document::policy::{MediaSelection, TollRule};
use tandem_domain::document::terms::{InboundOption, MediaLost, Model, SrtpMode, Transport, TrunkRole};
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::decision::Reason;

use crate::common::{World, by_trunk};
use crate::{LYNC_R3, first, outcome};

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

/// The administrator wrote the hunt target; the toll policy holds for it all the same, by place and trunk.
#[test]
fn a_hunt_by_the_pstn_is_under_the_toll_policy() {
    let silent = Facts { cic_silent_seconds: Some(30), ..Facts::default() };
    for (rule, expected) in [
        (None, Err(Reason::Toll)),
        (Some((vec!["+4989"], vec![])), Ok(vec!["gw-berlin", "gw-berlin-2", "gw-vienna", "carrier"])),
        (Some((vec!["+4989"], vec!["gw-vienna"])), Ok(vec!["gw-vienna"])),
        (Some((vec!["+4940"], vec![])), Err(Reason::Toll)),
    ] {
        let mut world = World::wide(Model::LocalControl, InboundOption::ProxyFirst, |spec| {
            spec.toll.extend(rule.clone().map(|(called, trunks)| TollRule {
                from: vec![TrunkRole::Gateway],
                sites: vec![],
                called: called.into_iter().map(Into::into).collect(),
                trunks: trunks.into_iter().map(Into::into).collect(),
                allow: true,
            }));
        });
        world.directory.workgroups[0].hunt_target = Some("+4989123456".into());
        let (decision, _) = world.decide(&by_trunk("gw-berlin", "+49305550120"), &silent);
        let found = outcome(&decision).map(|r| r.targets.iter().map(|t| t.trunk.as_str()).collect());
        assert_eq!(found, expected, "{rule:?}");
    }
}

/// CIC's media server selection decides whether a call can be recorded: excluded, or not in the rule, is none.
#[test]
fn the_media_server_is_the_selection_rules() {
    for (sites, any, exclude, expected) in [
        (vec!["berlin", "vienna"], false, vec![], true),
        (vec!["vienna"], false, vec![], false),
        (vec![], true, vec!["cloud"], true),
        (vec![], true, vec!["berlin"], true),
        (vec![], true, vec!["cloud", "berlin"], false),
        (vec!["berlin"], false, vec!["berlin"], false),
    ] {
        let strings = |list: &[&str]| list.iter().map(|s| (*s).into()).collect();
        let world = World::wide(Model::LocalControl, InboundOption::ProxyFirst, |spec| {
            spec.media.recorded = true;
            spec.media.media_server_lost = Some(MediaLost::Refuse);
            // A rule that ends with <Any> may choose one in the cloud.
            spec.media.media_may_leave_premises = Some(any);
            let (sites, exclude) = (strings(&sites), strings(&exclude));
            spec.media.selection = Some(MediaSelection { sites, any, exclude });
        });
        let (decision, _) = world.decide(&by_trunk("gw-berlin", "+49305550101"), &Facts::default());
        let expected = if expected { Ok("cic") } else { Err(Reason::NoMediaServer) };
        assert_eq!(first(&decision).map(|f| f.0), expected, "{sites:?} {any} {exclude:?}");
    }
}

/// SRTP on one side and RTP on the other: CIC's media server joins them, and where neither is in the call nobody does.
/// Help is called all the same.
#[test]
fn nobody_joins_srtp_and_rtp_without_a_media_server() {
    let world = |required: bool| {
        World::with(Model::LocalControl, InboundOption::ProxyFirst, |spec| {
            spec.trunks[2].transport = Transport::Tls;
            spec.trunks[2].addresses[0].port = Some(5067);
            spec.trunks[2].srtp = Some(if required { SrtpMode::Required } else { SrtpMode::Optional });
        })
    };
    let down = Facts { premises_media_server_down: true, ..Facts::default() };
    let up = Facts::default();
    let silent = Facts { cic_silent_seconds: Some(60), ..Facts::default() };
    for (called, facts, expected) in [
        ("+49305550202", &up, Err(Reason::NoTranscryptor)),
        ("+49305550103", &up, Ok("cic")),
        ("+49305550103", &down, Err(Reason::NoTranscryptor)),
        ("+49305550103", &silent, Err(Reason::NoTranscryptor)),
        ("+49305550101", &down, Ok("cic")),
        ("112", &down, Ok("gw")),
    ] {
        for required in [true, false] {
            let world = world(required);
            let (decision, _) = world.decide(&by_trunk("gw", called), facts);
            let (plan, _) = world.plan(&by_trunk("gw", called), facts);
            let joined = expected
                .or_else(|_| Ok(if facts == &silent || called == "+49305550202" { "lync" } else { "cic" }));
            let expected = if required { expected } else { joined };
            assert_eq!(first(&decision).map(|f| f.0), expected, "{called} {required} {facts:?}");
            assert_eq!(plan.rejected.map(|r| r.reason), expected.err(), "{called} {required}");
            if expected.is_ok() {
                assert_eq!(plan.srtp_mixed, required && called == "+49305550103", "{called} {required}");
            }
        }
    }
    assert_eq!(Reason::NoTranscryptor.status(), 488);
}
