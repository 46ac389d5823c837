//! Calls that do not come from the PSTN (domain rules 9.2).

use std::fmt::Write as _;

use tandem_domain::document::policy::TollRule;
use tandem_domain::document::terms::{InboundOption, LyncPstnEgress, Model};

use crate::common::{MODELS, OPTIONS, World, all_connected, by_user, golden};
use crate::{line, pencil};

const PSTN: &str = "+4989123456";

/// The golden tables' tenant in which everybody in Berlin may call out.
fn world(model: Model, inbound: InboundOption, egress: LyncPstnEgress) -> World {
    World::with(model, inbound, |spec| {
        spec.lync_pstn_egress = egress;
        spec.toll.push(TollRule {
            from: vec![],
            sites: vec!["berlin".into()],
            called: vec![],
            trunks: vec![],
            allow: true,
        });
    })
}

/// What a row of the table calls, and who takes Lync's calls out.
fn called(what: &str) -> (String, LyncPstnEgress) {
    let row = &what[1..2];
    match what {
        "PSTN" | "PSTN by CIC" => (PSTN.into(), LyncPstnEgress::Cic),
        "PSTN by the gateway" => (PSTN.into(), LyncPstnEgress::Gateway),
        _ if what.ends_with("Line URI") || what == "R2" => (format!("+4930555020{row}"), LyncPstnEgress::Cic),
        _ => (format!("+4930555010{row}"), LyncPstnEgress::Cic),
    }
}

/// Domain rules 9.2, typed as data: every model and option, with legs, sessions and crossings by the pencil.
#[test]
fn direct_and_outbound_calls_go_as_9_2_has_them() {
    let rows = include_str!("../data/direct.csv").lines().filter(|l| !l.starts_with('#')).skip(1);
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 13);
    for (model, name) in MODELS {
        let sites = pencil::Sites { model: name, own_gateway: false };
        for (option, inbound) in OPTIONS.into_iter().enumerate() {
            for row in &rows {
                let [caller, what, hops] = row.splitn(3, ',').collect::<Vec<_>>()[..] else {
                    panic!("{row}")
                };
                let hops = hops.replace("(PX >) ", if option == 0 { "PX > " } else { "" });
                let (called, egress) = called(what);
                let world = world(model, inbound, egress);
                let (plan, _) = world.plan(&by_user(&caller.to_lowercase(), &called), &all_connected());
                let asked = format!("{name}, option {}: {caller} calls {what}", option + 1);
                assert_eq!((plan.hops_words(), &plan.rejected), (hops.clone(), &None), "{asked}");
                assert_eq!(usize::from(plan.mediation_sessions), pencil::sessions(&hops), "{asked}");
                assert_eq!(usize::from(plan.signalling_crossings), sites.signalling(&hops), "{asked}");
                let legs = plan.legs_words();
                let letters = pencil::letters(&hops);
                assert!(legs.starts_with(&letters), "{asked}: {legs} for {letters}");
            }
        }
    }
}

/// The same and more of their kind, as people read them.
#[test]
fn direct_and_outbound_calls() {
    let mut out = String::new();
    let pstn = PSTN;
    let calls = [
        ("R1 calls R2", "r1", "+49305550202"),
        ("R2 calls R1", "r2", "+49305550101"),
        ("R2 calls R3 by the CIC number", "r2", "+49305550103"),
        ("R2 calls R4 by the CIC number", "r2", "+49305550104"),
        ("R2 calls R5 by the CIC number", "r2", "+49305550105"),
        ("R2 calls R3 by the Line URI", "r2", "+49305550203"),
        ("R2 calls R5 by the Line URI", "r2", "+49305550205"),
        ("R2 calls a workgroup", "r2", "+49305550120"),
        ("R3 calls the PSTN", "r3", pstn),
        ("R4 calls the PSTN", "r4", pstn),
        ("R6 calls the PSTN by RCC", "r6", pstn),
        ("R1 calls the PSTN", "r1", pstn),
        ("R2 calls the PSTN", "r2", pstn),
        ("R5 calls the PSTN", "r5", pstn),
        ("R1 calls R6 by extension", "r1", "3106"),
        ("R4 calls R6 by extension", "r4", "3106"),
        ("R6 calls R2 by RCC", "r6", "+49305550202"),
        ("R1 calls for help", "r1", "112"),
        ("R2 calls for help", "r2", "112"),
    ];
    for (option, inbound) in OPTIONS.into_iter().enumerate() {
        for egress in [LyncPstnEgress::Cic, LyncPstnEgress::Gateway] {
            let _ = writeln!(out, "option {} ({inbound}), Lync's calls to the PSTN by {egress}", option + 1);
            let world = world(Model::OnPremises, inbound, egress);
            for (what, from, called) in calls {
                let (plan, _) = world.plan(&by_user(from, called), &all_connected());
                let _ = writeln!(out, "  {what:<30} {}", line(&plan));
            }
            out.push('\n');
        }
    }
    golden("direct.txt", &out);
}
