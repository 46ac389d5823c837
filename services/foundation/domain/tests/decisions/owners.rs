//! Whose number it is (domain rules 3.1).

use tandem_domain::document::directory::NumberAssignment;
use tandem_domain::document::policy::NumberRoute;
use tandem_domain::document::terms::{AssignmentKind, Model, RouteOwner};
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::decision::{Decision, Owner, Reason};
use tandem_domain::routing::trail::{Rule, Verdict};

use crate::common::{MODELS, OPTIONS, World, by_trunk, user};
use crate::{first, outcome};

/// A row of the table: what the three sources say, and whose the number is under each option.
struct Row<'a> {
    route: &'a str,
    cic: &'a str,
    lync: &'a str,
    owner: [&'a str; 3],
}

fn table() -> Vec<Row<'static>> {
    let lines = include_str!("../data/owners.csv").lines().filter(|l| !l.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let [route, cic, lync, a, b, c] = cells[..] else { panic!("{line}") };
            Row { route, cic, lync, owner: [a, b, c] }
        })
        .collect()
}

impl Row<'_> {
    /// The golden tables' tenant in which one number is as the row says.
    fn world(&self, model: Model, option: usize, number: &str, exact: bool) -> World {
        let route = (self.route != "-").then(|| NumberRoute {
            pattern: if exact { number.into() } else { format!("{}*", &number[..number.len() - 2]) },
            owner: match self.route {
                "CIC" => RouteOwner::Cic,
                "LYNC" => RouteOwner::Lync,
                "WORKGROUP" => RouteOwner::Workgroup,
                "REJECT" => RouteOwner::Reject,
                other => panic!("{other}"),
            },
            workgroup: (self.route == "WORKGROUP").then(|| "support".into()),
            comment: None,
        });
        let mut world = World::with(model, OPTIONS[option], |spec| spec.numbers.routes.extend(route));
        let (kind, of) = match self.cic.split_once(' ') {
            Some(("did", of)) => (Some(AssignmentKind::Did), Some(user(of))),
            None if self.cic == "workgroup" => (Some(AssignmentKind::Workgroup), None),
            None if self.cic == "attendant" => (Some(AssignmentKind::Attendant), None),
            _ => (None, None),
        };
        world.directory.numbers.extend(kind.map(|kind| NumberAssignment {
            number: number.into(),
            kind,
            user: of,
            workgroup: (kind == AssignmentKind::Workgroup).then(|| "support".parse().unwrap()),
            treatments: Default::default(),
        }));
        if let Some(of) = self.lync.strip_prefix("line ") {
            let owner = world.directory.users.iter_mut().find(|u| u.id.as_str() == of).unwrap();
            owner.lync.as_mut().unwrap().line_uri = Some(format!("tel:{number}"));
        }
        world
    }
}

fn words(decision: &Decision) -> String {
    match &decision.owner {
        Owner::CicUser(id) => format!("{id} (CIC)"),
        Owner::Workgroup(id) => format!("{id} (CIC)"),
        Owner::LyncUser(id) => format!("{id} (Lync)"),
        Owner::Attendant => "Attendant".into(),
        Owner::Cic => "CIC".into(),
        Owner::Lync => "Lync".into(),
        Owner::Pstn => "PSTN".into(),
        Owner::Nobody => "nobody".into(),
        Owner::Refused => "refused".into(),
        Owner::NotLookedUp => "not asked".into(),
    }
}

/// The table, for every model and option, by a route that names the number and by one that names its block; and in
/// each case every source of the table is told of, with exactly one that won.
#[test]
fn the_precedence_of_owners() {
    const NUMBER: &str = "+49305550150";
    for (model, name) in MODELS {
        for row in table() {
            for (option, expected) in row.owner.into_iter().enumerate() {
                for exact in [true, false].into_iter().take(if row.route == "-" { 1 } else { 2 }) {
                    let world = row.world(model, option, NUMBER, exact);
                    let (decision, trail) = world.decide(&by_trunk("gw", NUMBER), &Facts::default());
                    let asked =
                        format!("{name}, option {}: {} {} {}", option + 1, row.route, row.cic, row.lync);
                    assert_eq!(words(&decision), expected, "{asked}");
                    let sources = [Rule::ExplicitRoute, Rule::CicOwner, Rule::LyncOwner, Rule::DefaultOwner];
                    let told: Vec<Rule> =
                        trail.0.iter().map(|s| s.rule).filter(|r| sources.contains(r)).collect();
                    assert_eq!(told, sources, "{asked}: {trail:#?}");
                    let won =
                        trail.0.iter().filter(|s| sources.contains(&s.rule) && s.verdict == Verdict::Won);
                    assert_eq!(won.count(), 1, "{asked}: {trail:#?}");
                }
            }
        }
    }
}

/// The longest pattern wins, and one number before a block.
#[test]
fn the_longest_route_wins() {
    let world = World::wide(Model::OnPremises, OPTIONS[0], |_| {});
    for (called, owner, next) in [
        ("+49305550171", "refused", Err(Reason::RefusedByRoute)),
        ("+49305550175", "CIC", Ok("cic")),
        ("+49305550181", "Lync", Ok("lync")),
        ("+49305550185", "support (CIC)", Ok("cic")),
        ("+49305550190", "nobody", Err(Reason::UnknownNumber)),
    ] {
        let (decision, _) = world.decide(&by_trunk("gw-berlin", called), &Facts::default());
        assert_eq!((words(&decision).as_str(), first(&decision).map(|f| f.0)), (owner, next), "{called}");
        let (plan, _) = world.plan(&by_trunk("gw-berlin", called), &Facts::default());
        assert_eq!(plan.rejected.map(|r| r.reason), next.err(), "{called}");
    }
}

/// An extension is its user's, its workgroup's, or its station's.
#[test]
fn extensions_are_cics() {
    let world = World::wide(Model::OnPremises, OPTIONS[0], |_| {});
    for (called, owner) in
        [("3101", "berta (CIC)"), ("3200", "support (CIC)"), ("3300", "CIC"), ("3400", "nobody")]
    {
        let (decision, _) = world.decide(&by_trunk("lync", called), &Facts::default());
        assert_eq!(words(&decision), owner, "{called}");
    }
    // A station at which nobody sits rings; whose user is known is that user.
    let (plan, _) = world.plan(&by_trunk("gw-berlin", "3300"), &Facts::default());
    assert_eq!(plan.hops_words(), "GW > PX > CIC > CPH");
    let mut world = World::wide(Model::OnPremises, OPTIONS[0], |_| {});
    world.directory.users[0].station = Some("lobby".parse().unwrap());
    let (decision, _) = world.decide(&by_trunk("lync", "3300"), &Facts::default());
    assert_eq!(words(&decision), "berta (CIC)");
}

/// Who owns a number is said also where the call is refused.
#[test]
fn a_refusal_says_whose_number_it_was() {
    let world = World::with(Model::OnPremises, OPTIONS[0], |spec| spec.features.row5 = false);
    for (called, agent, owner, reason) in [
        ("+49305550105", None, "r5 (CIC)", Reason::NotReleased),
        ("+49305550120", Some(user("r2")), "support (CIC)", Reason::AgentNotCicUser),
        ("+49305550120", Some(user("r5")), "support (CIC)", Reason::NotReleased),
    ] {
        let (decision, _) = world.decide(&by_trunk("gw", called), &Facts { agent, ..Facts::default() });
        assert_eq!((words(&decision).as_str(), outcome(&decision).err()), (owner, Some(reason)), "{called}");
    }
}

/// A block that is routed to CIC may hold the station's own Line URI: CIC must still be able to ring it.
#[test]
fn a_route_to_cic_does_not_take_the_station_from_cic() {
    for inbound in OPTIONS {
        let world = World::with(Model::OnPremises, inbound, |spec| {
            spec.numbers.routes.push(NumberRoute {
                pattern: "+4930555*".into(),
                owner: RouteOwner::Cic,
                workgroup: None,
                comment: None,
            });
        });
        for (called, expected) in [
            ("+49305550203", Ok("lync")),
            ("+49305550103", Ok("lync")),
            ("+49305550101", Err(Reason::WouldReturn)),
        ] {
            let (decision, _) = world.decide(&by_trunk("cic", called), &Facts::default());
            assert_eq!(first(&decision).map(|f| f.0), expected, "{inbound} {called}");
        }
    }
}
