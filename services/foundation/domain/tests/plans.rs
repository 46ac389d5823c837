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
    "model",
    "option",
    "callee",
    "hops",
    "legs",
    "media_anchor",
    "signalling_crossings",
    "media_crossings",
    "mediation_sessions",
    "features",
    "wan_lost",
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
fn rows(
    model: Model,
    name: &str,
    change: impl Fn(&mut tandem_domain::document::policy::TenantSpec),
) -> Vec<Row> {
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
#[allow(clippy::unwrap_used, reason = "a table that does not read is a failed test")]
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
    let head = fields(lines.next().unwrap());
    assert_eq!(head[1..], HEAD, "the columns of the data");
    lines.map(|line| Row { cells: fields(line).split_off(1).try_into().unwrap() }).collect()
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
        let found = [option, callee, hops, &row.cells[6], &row.cells[7], &row.cells[8], wan_lost];
        assert_eq!(found.map(String::as_str), derived.cells(), "{option} {callee}");
    }
    golden("plan-premises-gateway-33.txt", &table(&rows));
}

/// A call's way, its Mediation sessions, and how it is answered, on one line.
fn line(plan: &Plan) -> String {
    let end = match &plan.rejected {
        Some(rejected) => format!("{} {}", rejected.reason.status(), rejected.reason.name()),
        None => {
            plan.answer.words().to_owned() + &plan.answer.why().map(|w| format!(": {w}")).unwrap_or_default()
        }
    };
    format!("{}  [{}]  MED {}  {end}", plan.hops_words(), plan.legs_words(), plan.mediation_sessions)
}

/// Domain rules 9.2, all models and options alike but for the proxy before the gateway.
#[test]
fn direct_and_outbound_calls() {
    let mut out = String::new();
    let pstn = "+4989123456";
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
            let world = World::with(Model::OnPremises, inbound, |spec| {
                spec.lync_pstn_egress = egress;
                spec.toll.push(tandem_domain::document::policy::TollRule {
                    from: vec![],
                    sites: vec!["berlin".into()],
                    called: vec![],
                    trunks: vec![],
                    allow: true,
                });
            });
            for (what, from, called) in calls {
                let (plan, _) = world.plan(&by_user(from, called), &all_connected());
                let _ = writeln!(out, "  {what:<30} {}", line(&plan));
            }
            out.push('\n');
        }
    }
    golden("direct.txt", &out);
}

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

/// Vector 6: ring 15 s; 0 means 15; 6 is raised to 7; 7.
#[test]
fn a_station_rings_15_seconds_and_never_less_than_7() {
    let mut station = common::directory().stations.swap_remove(0);
    for (set, expected) in [(None, 15), (Some(15), 15), (Some(0), 15), (Some(6), 7), (Some(7), 7)] {
        station.ring_seconds = set;
        assert_eq!(tandem_domain::directory::ring_seconds(&station), expected, "{set:?}");
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

/// Vector 17: TLS without SRTP to a Lync trunk that requires it is a configuration error before any call.
#[test]
fn tls_without_srtp_to_lync_is_a_configuration_error() {
    let mut spec = common::policy();
    spec.trunks[2].transport = tandem_domain::document::terms::Transport::Tls;
    spec.trunks[2].addresses[0].port = Some(5067);
    spec.trunks[1].transport = tandem_domain::document::terms::Transport::Tls;
    let found = tandem_domain::tenant::compile("acme", &spec).unwrap_err();
    assert!(found.iter().any(|f| f.code.contains("srtp") && f.is_error()), "{found:#?}");
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

/// Vector 20: one tenant, one user of each row, each its own way, answer and features.
#[test]
fn six_rows_in_one_tenant() {
    let world = World::new(Model::OnPremises, InboundOption::ProxyFirst);
    let mut out = String::new();
    for (callee, called, agent) in CALLEES {
        if agent.is_none() {
            let (plan, _) = world.plan(&by_trunk("gw", called), &all_connected());
            let _ = writeln!(out, "{callee}  {}  ({})", line(&plan), plan.features_words());
        }
    }
    let (plan, _) = world.plan(&by_trunk("gw", "+49305550107"), &all_connected());
    let _ = writeln!(out, "IM  {}  ({})", line(&plan), plan.features_words());
    golden("six-rows.txt", &out);
}

/// Vector 21: never anchored in the cloud; unrecorded or refused as policy says.
#[test]
fn without_the_premises_media_server_audio_stays_on_the_premises() {
    for inbound in OPTIONS {
        for (lost, may_leave) in
            [(MediaLost::ProceedUnrecorded, false), (MediaLost::Refuse, false), (MediaLost::Refuse, true)]
        {
            let world = World::with(Model::LocalControl, inbound, |spec| {
                spec.media.recorded = true;
                spec.media.media_server_lost = Some(lost);
                spec.media.media_may_leave_premises = Some(may_leave);
                if may_leave {
                    spec.media.selection = None;
                }
            });
            let facts = Facts { premises_media_server_down: true, ..Facts::default() };
            let (plan, _) = world.plan(&by_trunk("gw", "+49305550103"), &facts);
            let at = plan.anchored_at.as_ref().map(|(element, site)| (element.name(), site.as_str()));
            let legs = plan.legs_words();
            match (lost, may_leave) {
                (MediaLost::Refuse, false) => {
                    assert_eq!(plan.rejected.map(|r| r.reason), Some(Reason::NoMediaServer));
                }
                (_, true) => {
                    assert_eq!(
                        (at, plan.media_crossings),
                        (Some(("MS", "cloud")), (0, 2)),
                        "policy's own word"
                    );
                }
                _ => {
                    assert_eq!((at, plan.media_crossings), (Some(("MED", "berlin")), (0, 0)));
                    assert!(!legs.contains('k'), "{legs}");
                    assert!(!plan.features_words().contains("rec"));
                }
            }
        }
    }
}

/// The way that is left when the WAN is lost (domain rules 2.4), row by row.
#[test]
fn ways_when_the_wan_is_lost() {
    let mut out = String::new();
    for (model, name) in MODELS {
        for (option, inbound) in OPTIONS.into_iter().enumerate() {
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
                for (callee, called, agent) in CALLEES {
                    let facts = Facts { agent: agent.map(user), wan_lost: true, ..all_connected() };
                    let (plan, _) = world.plan(&by_trunk("gw", called), &facts);
                    let _ = writeln!(out, "  {callee}  {:<8}  {}", plan.wan_lost.name(), line(&plan));
                }
                out.push('\n');
            }
        }
    }
    golden("wan-lost.txt", &out);
}

/// Ladders, as people read them.
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
