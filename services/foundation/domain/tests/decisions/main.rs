//! `decide` itself: where a call goes next from where it is asked (domain rules 9.1, 9.3).

#![allow(clippy::unwrap_used, reason = "a decision that cannot be read is a failed test")]

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

use common::{MODELS, OPTIONS, STRANGER, World, by_trunk, golden};
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

/// Where a call goes, as the typed table has it: the trunk and the number asked for, if that is another; or the status.
fn cell(decision: &Decision, called: &str) -> String {
    match &decision.outcome {
        Outcome::Reject(rejection) => rejection.reason.status().to_string(),
        Outcome::Route(route) => {
            let target = &route.targets[0];
            let same = target.request_uri.starts_with(&format!("sip:{called}@"));
            let line = target.request_uri.starts_with("sip:+49305550203@");
            let number = if same {
                ""
            } else if line {
                "=LINE"
            } else {
                "=ANOTHER"
            };
            format!("{}{number}", target.trunk)
        }
    }
}

/// Option by ingress by called (what the edge's place comes down to): typed by hand, for every model; and as people read
/// it, with the Request-URI.
#[test]
fn decide_by_option_ingress_and_called() {
    let rows = include_str!("../data/decide.csv").lines().filter(|l| !l.starts_with('#')).skip(1);
    let rows: Vec<Vec<&str>> = rows.map(|l| l.split(',').collect()).collect();
    for (model, name) in MODELS {
        let mut out = String::new();
        for (option, inbound) in OPTIONS.into_iter().enumerate() {
            let world = World::new(model, inbound);
            for (place, ingress) in ["gw", "cic", "lync"].into_iter().enumerate() {
                let _ = writeln!(out, "option {} ({inbound}), asked by {ingress}", option + 1);
                for row in &rows {
                    let (what, called) = (row[0], row[1]);
                    // What comes from CIC and Lync is called by one of their users, the rest by a stranger.
                    let from = match ingress {
                        "cic" => "sip:3101@cic.acme.example",
                        "lync" => "sip:+49305550202@acme.example;user=phone",
                        _ => STRANGER,
                    };
                    let caller = Caller { from, ..Caller::default() };
                    let attempt = CallAttempt { caller, ..by_trunk(ingress, called) };
                    let (decision, _) = world.decide(&attempt, &Facts::default());
                    let expected = row[2 + option * 3 + place];
                    let asked = format!("{name}, option {}, by {ingress}: {what}", option + 1);
                    assert_eq!(cell(&decision, called), expected, "{asked}");
                    let _ = writeln!(out, "  {what:<16} {called:<13} {}", line(&decision));
                }
                out.push('\n');
            }
        }
        // Which way a call goes does not depend on the model, only on what is silent.
        golden("decide.txt", &out);
    }
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
