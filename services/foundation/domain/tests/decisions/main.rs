//! `decide` itself: where a call goes next from where it is asked (domain rules 9.1, 9.3).

#[path = "../common/mod.rs"]
mod common;
mod emergency;
mod identity;
mod next_hop;
mod owners;
mod pstn;
mod survivable;
mod targets;
mod trail;
mod treatments;

use std::fmt::Write as _;

use common::{OPTIONS, STRANGER, World, by_trunk, golden};
use tandem_domain::document::terms::Model;
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts};
use tandem_domain::routing::decision::{Decision, Outcome, Owner, Reason, Route};

/// Who owns a call and where it goes, on one line.
fn line(decision: &Decision) -> String {
    let owner = match &decision.owner {
        Owner::CicUser(id) => format!("CIC ({id})"),
        Owner::Workgroup(id) => format!("CIC ({id})"),
        Owner::Attendant => "CIC (Attendant)".into(),
        Owner::LyncUser(id) => format!("Lync ({id})"),
        Owner::Cic => "CIC (default)".into(),
        Owner::Lync => "Lync (default)".into(),
        Owner::Pstn => "PSTN".into(),
        Owner::Nobody => "nobody".into(),
        Owner::Refused => "refused".into(),
        Owner::NotLookedUp => "not asked".into(),
    };
    let next = match &decision.outcome {
        Outcome::Route(Route { targets, survivable, .. }) => {
            let first = &targets[0];
            let how = if *survivable { " (survivable)" } else { "" };
            format!("{:<5} {}{how}", first.trunk, first.request_uri)
        }
        Outcome::Reject(rejection) => format!("{} {}", rejection.reason.status(), rejection.reason.name()),
    };
    format!("{owner:<16} {next}")
}

/// What is called in the table: its name, the number, and who it belongs to.
const CALLED: [(&str, &str); 12] = [
    ("DID of R1", "+49305550101"),
    ("DID of R3", "+49305550103"),
    ("DID of R6", "+49305550106"),
    ("Line URI of R2", "+49305550202"),
    ("Line URI of R3", "+49305550203"),
    ("Line URI of R6", "+49305550206"),
    ("DID = Line URI", "+49305550208"),
    ("extension of R1", "3101"),
    ("extension of R3", "3103"),
    ("workgroup", "+49305550120"),
    ("unknown", "+49305550999"),
    ("PSTN", "+4989123456"),
];

/// Option by ingress by called (what the issue of the edge's place comes down to).
#[test]
fn decide_by_option_ingress_and_called() {
    let mut out = String::new();
    for (option, inbound) in OPTIONS.into_iter().enumerate() {
        let world = World::new(Model::OnPremises, inbound);
        for ingress in ["gw", "cic", "lync"] {
            let _ = writeln!(out, "option {} ({inbound}), asked by {ingress}", option + 1);
            for (what, called) in CALLED {
                // What comes from CIC and Lync is called by one of their users, the rest by a stranger.
                let from = match ingress {
                    "cic" => "sip:3101@cic.acme.example",
                    "lync" => "sip:+49305550202@acme.example;user=phone",
                    _ => STRANGER,
                };
                let attempt =
                    CallAttempt { caller: Caller { from, ..Caller::default() }, ..by_trunk(ingress, called) };
                let (decision, _) = world.decide(&attempt, &Facts::default());
                let _ = writeln!(out, "  {what:<16} {called:<13} {}", line(&decision));
            }
            out.push('\n');
        }
    }
    golden("decide.txt", &out);
}

fn outcome(decision: &Decision) -> Result<&Route, Reason> {
    match &decision.outcome {
        Outcome::Route(route) => Ok(route),
        Outcome::Reject(rejection) => Err(rejection.reason),
    }
}

fn first(decision: &Decision) -> Result<(&str, &str), Reason> {
    outcome(decision).map(|r| (r.targets[0].trunk.as_str(), &*r.targets[0].request_uri))
}

const LYNC_R3: (&str, &str) = ("lync", "sip:+49305550203@med1.acme.example:5068;user=phone;transport=tcp");
