//! The decision table (domain rules 9), computed from real policies and directories.

mod common;
mod premises_gateway;

use std::fmt::Write as _;

use common::{CALLEES, MODELS, OPTIONS, World, all_connected, by_trunk, by_user, golden, user};
use tandem_domain::document::terms::{InboundOption, LyncPstnEgress, MediaLost, Model};
use tandem_domain::routing::attempt::{EndpointFacts, Facts};
use tandem_domain::routing::decision::Reason;
use tandem_domain::routing::plan::{Answer, Element, ManualBecause, Plan};

/// One row of the table: model, option, callee, then each computed column.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    cells: [String; 11],
}

const HEAD: [&str; 11] = [
    "model", "option", "callee", "hops", "legs", "media_anchor", "signalling_crossings", "media_crossings",
    "mediation_sessions", "features", "wan_lost",
];

fn row(model: &str, option: usize, callee: &str, plan: &Plan) -> Row {
    assert_eq!(plan.rejected, None, "{model} {option} {callee}");
    assert_eq!(plan.callee.name(), callee, "{model} {option}: the row in force");
    let (without, with) = plan.media_crossings;
    Row {
        cells: [
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
        ],
    }
}

/// The rows of a model: three options, eleven callees.
fn rows(model: Model, name: &str, change: impl Fn(&mut tandem_domain::document::policy::TenantSpec)) -> Vec<Row> {
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
fn table(rows: &[Row]) -> String {
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|c| rows.iter().map(|r| r.cells[c].len()).chain([HEAD[c].len()]).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    let mut line = |first: &str, cells: &[&str]| {
        let text: String = cells.iter().zip(&widths).map(|(c, w)| format!("  {c:<w$}")).collect();
        let _ = writeln!(out, "{}", format!("{first:>3}{text}").trim_end());
    };
    line("#", &HEAD);
    for (at, row) in rows.iter().enumerate() {
        line(&(at + 1).to_string(), &row.cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}

/// The decision table as data, which nobody computed: quoted fields may hold commas.
fn table_as_data() -> Vec<Row> {
    let text = include_str!("../../../../tests/data/decision-table.csv");
    let fields = |line: &str| {
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        fields.push(field);
        fields
    };
    let mut lines = text.lines();
    let head = fields(lines.next().expect("a head"));
    assert_eq!(head[1..], HEAD, "the columns of the data");
    lines
        .map(|line| Row { cells: fields(line).split_off(1).try_into().expect("eleven columns") })
        .collect()
}

#[test]
fn all_99_rows_come_out_as_the_decision_table_has_them() {
    let rows: Vec<Row> = MODELS.into_iter().flat_map(|(model, name)| rows(model, name, |_| {})).collect();
    let expected = table_as_data();
    assert_eq!(rows.len(), expected.len());
    for (at, (row, expected)) in rows.iter().zip(&expected).enumerate() {
        for (column, (found, expected)) in HEAD.iter().zip(row.cells.iter().zip(&expected.cells)) {
            assert_eq!(found, expected, "row {}, {column}", at + 1);
        }
    }
    golden("plan-99.txt", &table(&rows));
}

/// Remote control, but the customer keeps the gateway (domain rules 9): only GW moves. Compared with a derivation
/// that shares no code with the domain.
#[test]
fn the_33_rows_with_a_premises_gateway_come_out_as_derived_from_hops_and_sites() {
    let at_premises = |spec: &mut tandem_domain::document::policy::TenantSpec| {
        spec.placement.gateway = Some("berlin".into());
    };
    let rows = rows(Model::RemoteControl, "remote", at_premises);
    let derived = premises_gateway::derive(include_str!("../../../../tests/data/decision-table.csv"));
    assert_eq!(derived.len(), 33);
    for (row, derived) in rows.iter().zip(&derived) {
        let [_, option, callee, hops, .., wan_lost] = &row.cells;
        let found = [
            option, callee, hops, &row.cells[6], &row.cells[7], &row.cells[8], wan_lost,
        ];
        assert_eq!(found.map(String::as_str), derived.cells(), "{option} {callee}");
    }
    golden("plan-premises-gateway-33.txt", &table(&rows));
}
