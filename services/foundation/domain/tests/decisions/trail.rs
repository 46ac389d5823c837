//! The reasons, as people read them.

use std::fmt::Write as _;

use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::routing::attempt::{CallAttempt, Facts};
use tandem_domain::routing::decision::Decision;
use tandem_domain::routing::render;
use tandem_domain::routing::trail::Steps;

use crate::common::{CALLEES, OPTIONS, World, by_trunk, by_user, golden};

/// The reasons, as people read them.
#[test]
fn the_trail_says_which_rule_won_and_why_each_other_lost() {
    let world = World::new(Model::LocalControl, InboundOption::ProxyFirst);
    let mut out = String::new();
    let mut show = |title: &str, attempt: &CallAttempt<'_>, facts: &Facts| {
        let (decision, trail): (Decision, Steps) = world.decide(attempt, facts);
        let _ = writeln!(out, "{title}\n\n{}\n{}", render::decision(&decision), render::reasons(&trail));
    };
    let silent = Facts { cic_silent_seconds: Some(42), ..Facts::default() };
    show("A stranger calls Ruth's DID", &by_trunk("gw", "+49 30 555 0103"), &Facts::default());
    show("The same while the CIC in the cloud is silent", &by_trunk("gw", "+49 30 555 0103"), &silent);
    show(
        "A stranger calls Beth, whose DID is her Line URI",
        &by_trunk("gw", "+49305550208"),
        &Facts::default(),
    );
    show("CIC calls Ruth's station", &by_trunk("cic", "tel:+49305550203"), &Facts::default());
    show("Rita dials a premium number", &by_user("r1", "0900123456"), &Facts::default());
    show("Rita calls for help", &by_user("r1", "112"), &Facts::default());
    show("A stranger calls a number of nobody's", &by_trunk("gw", "+49305550999"), &Facts::default());
    golden("trail.txt", &out);
}

/// A terminal of a hundred columns shows each line whole: decision, ladder and reasons of calls of every kind.
#[test]
fn no_line_of_an_explanation_is_wider_than_it_says() {
    for (model, inbound) in Model::ALL.iter().flat_map(|m| OPTIONS.map(|o| (*m, o))) {
        let world = World::new(model, inbound);
        for (ingress, edge) in [("gw", true), ("gw", false), ("cic", true), ("lync", true)] {
            for called in
                CALLEES.iter().map(|(_, called, _)| *called).chain(["112", "+4989555", "0900123456"])
            {
                let attempt = by_trunk(ingress, called);
                let facts = Facts { edge_in_path: edge, ..Facts::default() };
                let (decision, mut trail) = world.decide(&attempt, &facts);
                let (plan, more) = world.plan(&attempt, &facts);
                trail.0.extend(more.0);
                let text = render::explanation(&decision, &plan, &trail);
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
                assert!(widest <= render::WIDTH && render::WIDTH <= 100, "{widest}:\n{text}");
            }
        }
    }
}
