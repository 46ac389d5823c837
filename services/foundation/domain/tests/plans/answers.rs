//! How a call is answered, and for how long it rings (domain rules 1.2, 3.6).

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::{EndpointFacts, Facts};
use tandem_domain::routing::plan::{Answer, ManualBecause};

use crate::common::{self, World, all_connected, by_trunk, by_user, user};

/// Vector 6: ring 15 s; 0 means 15; 6 is raised to 7; 7.
#[test]
fn a_station_rings_15_seconds_and_never_less_than_7() {
    let mut station = common::directory().stations.swap_remove(0);
    for (set, expected) in [(None, 15), (Some(15), 15), (Some(0), 15), (Some(6), 7), (Some(7), 7)] {
        station.ring_seconds = set;
        assert_eq!(tandem_domain::directory::ring_seconds(&station), expected, "{set:?}");
    }
}

/// A user of a Lync phone who calls out by the CIC client: CIC first rings the own station, which the plug-in takes
/// off-hook or the user does (domain rules 9.2, 3.6 step 5); of remote control it is CIC's own phone.
#[test]
fn the_callers_own_station_is_answered_as_any_station() {
    let absent = Facts::default();
    let connected = all_connected();
    for (caller, called, facts, station, plug_ins) in [
        ("r3", "+4989123456", &connected, Some(Answer::Manual(ManualBecause::NoPlugIn)), 0),
        ("r4", "+4989123456", &connected, Some(Answer::AutoOffHook), 1),
        ("r4", "+4989123456", &absent, Some(Answer::Manual(ManualBecause::PlugInAbsent)), 0),
        ("r4", "+49305550101", &connected, Some(Answer::AutoOffHook), 1),
        ("r3", "+49305550104", &connected, Some(Answer::Manual(ManualBecause::NoPlugIn)), 1),
        ("r4", "+49305550103", &connected, Some(Answer::AutoOffHook), 1),
        ("r6", "+4989123456", &connected, Some(Answer::Rcc), 0),
        ("r1", "+4989123456", &connected, None, 0),
        ("r2", "+49305550104", &connected, None, 1),
    ] {
        let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
        let (plan, _) = world.plan(&by_user(caller, called), facts);
        assert_eq!((plan.station_answer, plan.rejected), (station, None), "{caller} calls {called}");
        assert_eq!(plan.legs.iter().filter(|l| l.letter == 'm').count(), plug_ins, "{caller} calls {called}");
    }
}

/// Vectors 18 and 19: how rows 4 and 5 are answered, and why.
#[test]
fn the_answer_mode_follows_what_is_connected() {
    use tandem_domain::document::terms::PhoneKind::{LyncHard, LyncSoft};
    let check = |id: &str, kind, paired, seen: Option<(bool, bool)>, row: &str, expected| {
        let mut world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
        let person = world.directory.users.iter_mut().find(|u| u.id.as_str() == id).unwrap();
        let phone = person.phone.as_mut().unwrap();
        (phone.kind, phone.paired) = (kind, paired);
        let endpoints = seen
            .map(|(plug_in, lync_client)| EndpointFacts { user: user(id), plug_in, lync_client, site: None })
            .into_iter()
            .collect();
        let called = if id == "r4" { "+49305550104" } else { "+49305550105" };
        let (plan, _) = world.plan(&by_trunk("gw", called), &Facts { endpoints, ..Facts::default() });
        assert_eq!((plan.answer, plan.callee.name()), (expected, row), "{id} {kind:?} {paired} {seen:?}");
        let commanded = plan.legs.iter().any(|l| l.letter == 'm');
        assert_eq!(commanded, expected == Answer::AutoOffHook, "the plug-in's leg");
    };
    for kind in [LyncSoft, LyncHard] {
        let paired = kind == LyncHard;
        check("r4", kind, paired, Some((true, true)), "R4", Answer::AutoOffHook);
        check("r4", kind, paired, Some((true, false)), "R3", Answer::Manual(ManualBecause::LyncClientAbsent));
        check("r4", kind, paired, Some((false, true)), "R3", Answer::Manual(ManualBecause::PlugInAbsent));
        check("r4", kind, paired, None, "R3", Answer::Manual(ManualBecause::PlugInAbsent));
        check("r5", kind, paired, Some((true, true)), "R5", Answer::Manual(ManualBecause::Row5));
    }
    check("r4", LyncHard, false, Some((true, true)), "R4", Answer::Manual(ManualBecause::PhoneNotPaired));
}
