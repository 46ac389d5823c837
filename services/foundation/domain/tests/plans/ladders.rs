//! Ladders, as people read them.

use std::fmt::Write as _;

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::Facts;

use crate::common::{World, all_connected, by_trunk, by_user, golden, user};

#[test]
fn ladders() {
    use tandem_domain::routing::render;
    let mut out = String::new();
    let mut show = |title: &str, world: &World, called: &str, facts: &Facts| {
        let attempt = by_trunk("gw", called);
        let (plan, _) = world.plan(&attempt, facts);
        let _ = writeln!(out, "{title}\n\n{}", render::ladder(&plan, |_, hop| render::Known::of(hop)));
    };
    let local = World::new(Model::LocalControl, InboundOption::ProxyFirst);
    show("Local control, proxy first: a call to R4", &local, "+49305550104", &all_connected());
    let facts = Facts { wan_lost: true, ..all_connected() };
    show("The same while the WAN is lost", &local, "+49305550104", &facts);
    let remote = World::new(Model::RemoteControl, InboundOption::LyncFirst);
    let facts = Facts { agent: Some(user("r6")), edge_in_path: true, ..all_connected() };
    show(
        "Remote control, Lync first, edge in the way: a queue whose agent is R6",
        &remote,
        "+49305550120",
        &facts,
    );
    let world = World::with(Model::OnPremises, InboundOption::CicFirst, |spec| spec.features.row5 = false);
    show("On-premises, CIC first: row 5 is off", &world, "+49305550105", &Facts::default());
    show("On-premises, CIC first: a Lync user", &world, "+49305550202", &Facts::default());
    let (plan, _) = local.plan(&by_user("r4", "+49305550106"), &all_connected());
    let _ = writeln!(
        out,
        "Local control: R4 calls R6 with the CIC client; the station leg was observed\n\n{}",
        render::ladder(&plan, |at, _| if at < 4 {
            render::Known::Observed
        } else {
            render::Known::Predicted
        })
    );
    golden("ladders.txt", &out);
}
