//! The way that is left when the WAN is lost (domain rules 2.4).

use std::fmt::Write as _;

use tandem_domain::document::terms::InboundOption;
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::plan::Answer;

use crate::common::{CALLEES, MODELS, OPTIONS, World, all_connected, by_trunk, golden, user};
use crate::{line, pencil};

/// Row by row, as the table's word for it leads to by domain rules 2.4, derived with the pencil.
#[test]
fn ways_when_the_wan_is_lost() {
    let mut out = String::new();
    let mut table = pencil::table().into_iter().collect::<std::collections::VecDeque<_>>();
    for (model, name) in MODELS {
        for (option, inbound) in OPTIONS.into_iter().enumerate() {
            let rows: Vec<_> = table.drain(..CALLEES.len()).collect();
            for second in [false, true] {
                if second && inbound == InboundOption::ProxyFirst {
                    continue;
                }
                let world = World::with(model, inbound, |spec| {
                    spec.survivable.secondary_route = second;
                    spec.survivable.hunt_target = Some("+49305550202".into());
                });
                let route = if second { ", with a second route" } else { "" };
                let _ = writeln!(out, "{name}, option {}{route}", option + 1);
                for ((callee, called, agent), row) in CALLEES.into_iter().zip(&rows) {
                    let facts = Facts { agent: agent.map(user), wan_lost: true, ..all_connected() };
                    let (plan, _) = world.plan(&by_trunk("gw", called), &facts);
                    let _ = writeln!(out, "  {callee}  {:<8}  {}", plan.wan_lost.name(), line(&plan));
                    let asked = format!("{name}, option {}, {callee}{route}", option + 1);
                    let left = pencil::left(row, name, second);
                    let ends = plan.rejected.as_ref().map(|r| r.reason.name());
                    assert_eq!((plan.hops_words(), ends), (left.hops.clone(), left.ends), "{asked}");
                    assert_eq!(plan.wan_lost.name(), row[10], "{asked}");
                    assert_eq!(usize::from(plan.mediation_sessions), pencil::sessions(&left.hops), "{asked}");
                    let legs = plan.legs_words();
                    assert!(legs.starts_with(&pencil::letters(&left.hops)), "{asked}: {legs}");
                    match left.answer {
                        pencil::Answers::AsEver => {
                            let (ever, _) =
                                world.plan(&by_trunk("gw", called), &Facts { wan_lost: false, ..facts });
                            assert_eq!((plan.answer, plan.features), (ever.answer, ever.features), "{asked}");
                        }
                        pencil::Answers::Cic => assert_eq!(plan.answer, Answer::System, "{asked}"),
                        pencil::Answers::LyncPhone => {
                            assert_eq!(plan.answer, Answer::LyncClient, "{asked}");
                            assert_eq!(plan.features_words(), "none of CIC", "{asked}");
                        }
                        pencil::Answers::Nobody => assert_eq!(plan.answer, Answer::None, "{asked}"),
                    }
                }
                out.push('\n');
            }
        }
    }
    golden("wan-lost.txt", &out);
}
