//! What happens when nobody takes a call (domain rules 3.2 B).

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::decision::Treatment;

use crate::common::{OPTIONS, World, by_trunk};
use crate::outcome;

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
    assert_eq!(outcome(&decision).unwrap().treatment, Treatment::default());
}

/// Who is called decides: what the number sets comes before what its owner sets, and that before the tenant's. A time
/// that nothing rings is the nearest that something does.
#[test]
fn the_most_particular_treatment_counts() {
    let world = World::wide(Model::LocalControl, InboundOption::ProxyFirst, |_| {});
    let silent = Facts { cic_silent_seconds: Some(60), ..Facts::default() };
    for (called, facts, busy, no_answer, unreachable) in [
        // Lena's Line URI: her own, her 2 s raised to 7 s, and the tenant's for what she leaves open.
        (
            "+49305550204",
            &Facts::default(),
            Some("+49305550120"),
            Some(("+49305550120", 7)),
            Some("+49305550100"),
        ),
        // Her published number has a treatment of its own, and hers for the rest; 40 s are its own.
        (
            "+49305550104",
            &Facts::default(),
            Some("+49305550101"),
            Some(("+49305550120", 40)),
            Some("+49305550100"),
        ),
        // Vera's Lync phone without CIC: hers.
        ("+4315550103", &silent, Some("+49305550120"), Some(("+49305550120", 12)), Some("+49305550100")),
        // The queue's, for the call that goes to its hunt target: not to the target itself.
        ("+49305550120", &silent, Some("+49305550100"), None, None),
    ] {
        let (decision, _) = world.decide(&by_trunk("gw-berlin", called), facts);
        let treatment = &outcome(&decision).unwrap().treatment;
        assert_eq!(treatment.on_busy.as_deref(), busy, "{called}");
        let found = treatment.on_no_answer.as_ref().map(|(to, seconds)| (&**to, *seconds));
        assert_eq!(found, no_answer, "{called}");
        assert_eq!(treatment.on_unreachable.as_deref(), unreachable, "{called}");
    }
    let mut world = World::wide(Model::LocalControl, InboundOption::ProxyFirst, |_| {});
    let target = |world: &World| {
        let (decision, _) = world.decide(&by_trunk("gw-berlin", "+49305550120"), &silent);
        outcome(&decision).unwrap().treatment.on_unreachable.clone()
    };
    world.directory.workgroups[0].treatments.on_unreachable = Some("+49305550101".into());
    assert_eq!(target(&world).as_deref(), Some("+49305550101"), "the workgroup's own");
    world.directory.users[3].treatments.no_answer_seconds = Some(u16::MAX);
    let (decision, _) = world.decide(&by_trunk("gw-berlin", "+49305550204"), &Facts::default());
    assert_eq!(outcome(&decision).unwrap().treatment.on_no_answer.as_ref().unwrap().1, 300);
}

/// Who is CIC's is treated by CIC, also where the call meets Lync first; and the station leg is CIC's own.
#[test]
fn cic_treats_what_is_its_own() {
    for inbound in OPTIONS {
        let world = World::wide(Model::OnPremises, inbound, |_| {});
        for attempt in [
            by_trunk("gw-berlin", "+4315550103"),
            by_trunk("gw-berlin", "+49305550120"),
            by_trunk("lync", "+4315550103"),
            by_trunk("cic", "+4315550203"),
            by_trunk("cic", "+4315550103"),
        ] {
            let (decision, _) = world.decide(&attempt, &Facts::default());
            let treatment = &outcome(&decision).unwrap().treatment;
            assert_eq!(
                *treatment,
                Treatment::default(),
                "{inbound} {:?} {}",
                attempt.ingress,
                attempt.called
            );
        }
        // A Lync user's call is not treated where CIC passes it on, but where it leaves for Lync.
        let (decision, _) = world.decide(&by_trunk("cic", "+49305550204"), &Facts::default());
        assert_ne!(outcome(&decision).unwrap().treatment, Treatment::default(), "{inbound}");
    }
}
