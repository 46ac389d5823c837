//! Fences: whose token is accepted, by the logs and by the clock on the wall.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{Attempt, Disturbance, History, Id, Moment, Outcome, Promise, Report, Revision};

pub(crate) fn check(history: &History, report: &mut Report) {
    let mut under: BTreeMap<&str, Vec<(&Attempt, Revision)>> = BTreeMap::new();
    for attempt in &history.attempts {
        if let Some((fence, token)) = &attempt.fence {
            under.entry(fence).or_default().push((attempt, *token));
        }
    }
    for (fence, attempts) in under {
        in_the_logs(history, fence, &attempts, report);
        by_the_clock(history, fence, &attempts, report);
    }
}

/// In no shard is an earlier holder's commit behind a later one's.
fn in_the_logs(history: &History, fence: &str, attempts: &[(&Attempt, Revision)], report: &mut Report) {
    let token_of: HashMap<Id, Revision> = attempts.iter().map(|(a, token)| (a.id, *token)).collect();
    for (shard, log) in &history.log {
        let mut newest = 0;
        for entry in log {
            let Some(token) = token_of.get(&entry.id) else { continue };
            if *token < newest {
                let what = format!(
                    "shard {shard} has at {} a commit under token {token} of {fence}, behind one under {newest}",
                    entry.revision
                );
                report.broke_by(Promise::TwoHolders, what);
            }
            newest = newest.max(*token);
        }
    }
}

/// What was asked for under a token after a later one's commit was acknowledged is accepted nowhere, but as long as a
/// disturbance permits.
fn by_the_clock(history: &History, fence: &str, attempts: &[(&Attempt, Revision)], report: &mut Report) {
    let accepted: Vec<_> =
        attempts.iter().filter(|(a, _)| matches!(a.outcome, Outcome::Committed(_))).collect();
    // A retry that finds its own earlier success was accepted when that was.
    let mut asked: HashMap<Id, Moment> = HashMap::new();
    for (attempt, _) in attempts {
        let at = asked.entry(attempt.id).or_insert(attempt.asked);
        *at = (*at).min(attempt.asked);
    }
    let tokens: BTreeSet<Revision> = accepted.iter().map(|(_, token)| *token).collect();
    report.measured.holders += tokens.len() as u64;
    // For each token, when the first commit of a later holder was acknowledged.
    let mut first: BTreeMap<Revision, Moment> = BTreeMap::new();
    for (attempt, token) in &accepted {
        let at = first.entry(*token).or_insert(attempt.answered);
        *at = (*at).min(attempt.answered);
    }
    let mut succeeded: HashMap<Revision, Moment> = HashMap::new();
    let mut earliest: Option<Moment> = None;
    for (token, at) in first.iter().rev() {
        if let Some(at) = earliest {
            succeeded.insert(*token, at);
        }
        earliest = Some(earliest.map_or(*at, |e| e.min(*at)));
    }
    for (attempt, token) in &accepted {
        let Some(successor) = succeeded.get(token) else { continue };
        let asked = asked.get(&attempt.id).copied().unwrap_or(attempt.asked);
        let overlap = asked.saturating_sub(*successor);
        if overlap == 0 {
            continue;
        }
        report.measured.overlap = report.measured.overlap.max(overlap);
        let permits = |d: &Disturbance| {
            let within = asked >= d.from && *successor <= d.until.saturating_add(d.overlap);
            within && overlap <= d.overlap
        };
        if !history.disturbances.iter().any(permits) {
            let what = format!(
                "commit {:x} under token {token} of {fence} was accepted {overlap} us after a later holder's",
                attempt.id
            );
            report.broke_by(Promise::TwoHolders, what);
        }
    }
}
