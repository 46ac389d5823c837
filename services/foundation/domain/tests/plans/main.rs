//! The decision table (domain rules 9), computed from real policies and directories.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be read is a failed test")]

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod direct;
mod ladders;
mod loops;
mod media;
mod pencil;
mod table;
mod wan;

use tandem_domain::routing::plan::Plan;

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
