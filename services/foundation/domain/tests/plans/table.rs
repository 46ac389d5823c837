//! The 99 rows, and the 33 of remote control whose customer keeps the gateway.

use std::fmt::Write as _;

use tandem_domain::document::policy::TenantSpec;
use tandem_domain::document::terms::Model;
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::plan::Plan;

use crate::common::{CALLEES, MODELS, OPTIONS, World, all_connected, by_trunk, golden, user};
use crate::pencil::{self, HEAD};

fn row(model: &str, option: usize, callee: &str, plan: &Plan) -> [String; 11] {
    assert_eq!(plan.rejected, None, "{model} {option} {callee}");
    assert_eq!(plan.callee.name(), callee, "{model} {option}: the row in force");
    let (without, with) = plan.media_crossings;
    [
        model.into(),
        (option + 1).to_string(),
        callee.into(),
        plan.hops_words(),
        plan.legs_words(),
        plan.anchor.words().into(),
        plan.signalling_crossings.to_string(),
        format!("{without}/{with}"),
        plan.mediation_sessions.to_string(),
        plan.features_words(),
        plan.wan_lost.name().into(),
    ]
}

/// The rows of a model: three options, eleven callees.
fn rows(model: Model, name: &str, change: impl Fn(&mut TenantSpec)) -> Vec<[String; 11]> {
    let mut rows = Vec::new();
    for (option, inbound) in OPTIONS.into_iter().enumerate() {
        let world = World::with(model, inbound, &change);
        for (callee, called, agent) in CALLEES {
            let facts = Facts { agent: agent.map(user), ..all_connected() };
            let (plan, _) = world.plan(&by_trunk("gw", called), &facts);
            rows.push(row(name, option, callee, &plan));
        }
    }
    rows
}

/// Rows as a table that a person can read.
fn text(rows: &[[String; 11]]) -> String {
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|c| rows.iter().map(|r| r[c].len()).chain([HEAD[c].len()]).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    let mut line = |first: &str, cells: &[&str]| {
        let text: String = cells.iter().zip(&widths).map(|(c, w)| format!("  {c:<w$}")).collect();
        let _ = writeln!(out, "{}", format!("{first:>3}{text}").trim_end());
    };
    line("#", &HEAD);
    for (at, row) in rows.iter().enumerate() {
        line(&(at + 1).to_string(), &row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}

fn compare(found: &[[String; 11]], expected: &[[String; 11]]) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        for (column, (found, expected)) in HEAD.iter().zip(found.iter().zip(expected)) {
            assert_eq!(found, expected, "row {}, {column}", at + 1);
        }
    }
}

#[test]
fn all_99_rows_come_out_as_the_decision_table_has_them() {
    let rows: Vec<_> = MODELS.into_iter().flat_map(|(model, name)| rows(model, name, |_| {})).collect();
    compare(&rows, &pencil::table());
    golden("plan-99.txt", &text(&rows));
}

/// Remote control, but the customer keeps the gateway (domain rules 9): only GW moves. Compared, in every column, with
/// a derivation that shares no code with the domain.
#[test]
fn the_33_rows_with_a_premises_gateway_come_out_as_derived_from_hops_and_sites() {
    let rows = rows(Model::RemoteControl, "remote", |spec| spec.placement.gateway = Some("berlin".into()));
    compare(&rows, &pencil::with_own_gateway());
    golden("plan-premises-gateway-33.txt", &text(&rows));
}

/// The pencil itself, on the rows that nobody computed.
#[test]
fn the_pencil_comes_out_as_the_table_where_the_table_speaks() {
    for row in pencil::table() {
        let [model, _, _, hops, legs, _, signalling, media, sessions, ..] = &row;
        let (model, _) = MODELS.map(|(_, name)| (name, ())).into_iter().find(|(n, ())| n == model).unwrap();
        let sites = pencil::Sites { model, own_gateway: false };
        assert_eq!(*signalling, sites.signalling(hops).to_string(), "{row:?}");
        assert_eq!(*media, sites.media(hops), "{row:?}");
        assert_eq!(*sessions, pencil::sessions(hops).to_string(), "{row:?}");
        let own: Vec<&str> = legs.split(' ').filter(|l| !matches!(*l, "k" | "(k)" | "l" | "m")).collect();
        assert_eq!(own.join(" "), pencil::letters(hops), "{row:?}");
    }
}

/// Vector 20: one tenant, one user of each row, each its own way, answer and features, as rows 1 to 6 have them. The
/// IM-only user, the seventh, routes as row 1 and can be synchronised.
#[test]
fn six_rows_in_one_tenant() {
    let world = World::new(Model::OnPremises, OPTIONS[0]);
    let table = pencil::table();
    let mut im = table[0].clone();
    (im[2], im[9]) = ("IM-only".into(), "rec, sup, vm, sync".into());
    let callees = CALLEES.into_iter().filter(|(_, _, agent)| agent.is_none());
    for ((callee, called, _), expected) in
        callees.zip(&table).chain([(("IM_ONLY", "+49305550107", None), &im)])
    {
        let (plan, _) = world.plan(&by_trunk("gw", called), &all_connected());
        let found = row("on-prem", 0, callee, &plan);
        assert_eq!(found[3..], expected[3..], "{callee}");
    }
}
