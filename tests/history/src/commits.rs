//! Commits against the log that survived: what was acknowledged is there, what was refused is not, and what is there was
//! asked for, whole, once, and with its preconditions true.

use std::collections::{BTreeMap, HashMap};

use crate::{Attempt, Change, Entry, Expect, History, Id, Moment, Outcome, Promise, Report, Revision, Shard};

/// Where a commit is in the log: its shard, and the entries of its change.
type Happened<'a> = HashMap<Id, Vec<(Shard, &'a [Entry])>>;

pub(crate) fn check(history: &History, report: &mut Report) {
    let asked = attempts(history);
    let mut happened: Happened<'_> = HashMap::new();
    for (shard, log) in &history.log {
        report.measured.entries += log.len() as u64;
        for pair in log.windows(2) {
            if pair[0].revision >= pair[1].revision {
                let (a, b) = (pair[0].revision, pair[1].revision);
                report.broke_by(Promise::LogOutOfOrder, format!("shard {shard}: {a} is followed by {b}"));
            }
        }
        for change in changes(log) {
            happened.entry(change[0].id).or_default().push((*shard, change));
        }
        contents(*shard, log, &asked, report);
    }
    for (id, attempts) in &asked {
        let places = happened.get(id).map_or(&[][..], Vec::as_slice);
        if places.len() > 1 {
            report.broke_by(
                Promise::HappenedTwice,
                format!("commit {id:x} is {} times in the log", places.len()),
            );
        }
        let at = places.first().map(|(_, entries)| entries[0].revision);
        outcomes(history, *id, attempts, at, report);
    }
    writable(history, report);
    count(history, report);
}

/// After the last disturbance something is acknowledged as replicated in each shard that anybody went on writing to.
fn writable(history: &History, report: &mut Report) {
    let Some(last) = history.disturbances.iter().max_by_key(|d| d.from) else { return };
    for shard in history.log.keys() {
        let mut after = history
            .attempts
            .iter()
            .filter(|a| a.shard == *shard && a.replicated && a.asked > last.from)
            .peekable();
        let asked = after.peek().is_some();
        if asked && !after.any(|a| matches!(a.outcome, Outcome::Committed(_))) {
            let what = format!("shard {shard} was never written to again after {}", last.what);
            report.broke_by(Promise::StaysUnwritable, what);
        }
    }
}

/// The attempts of each commit, in the order of their answers.
fn attempts(history: &History) -> BTreeMap<Id, Vec<&Attempt>> {
    let mut all: BTreeMap<Id, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &history.attempts {
        all.entry(attempt.id).or_default().push(attempt);
    }
    all
}

/// A log in pieces of entries that belong together.
fn changes(log: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    log.chunk_by(|a, b| a.more && a.id == b.id)
}

/// What the attempts of a commit were told, against where it is.
fn outcomes(history: &History, id: Id, attempts: &[&Attempt], at: Option<Revision>, report: &mut Report) {
    for attempt in attempts {
        let Outcome::Committed(said) = attempt.outcome else { continue };
        match at {
            Some(found) if found == said => {}
            Some(found) => {
                let what = format!("commit {id:x} was acknowledged at {said} and is at {found}");
                report.broke_by(Promise::WrongRevision, what);
            }
            None => lost(history, attempt, said, report),
        }
    }
    let (Some(last), Some(at)) = (attempts.last(), at) else { return };
    if last.outcome == Outcome::Refused {
        report.broke_by(Promise::RefusedHappened, format!("commit {id:x} was refused and is at {at}"));
    }
    if attempts.iter().all(|a| a.outcome == Outcome::Unavailable) {
        report.broke_by(Promise::UnavailableHappened, format!("commit {id:x} was not done and is at {at}"));
    }
}

fn lost(history: &History, attempt: &Attempt, said: Revision, report: &mut Report) {
    let Attempt { id, shard, answered, .. } = attempt;
    let what = || {
        format!(
            "commit {id:x} was acknowledged at {said} of shard {shard}, {answered} us in, and is not there"
        )
    };
    let outside =
        |at: Moment| history.disturbances.iter().any(|d| d.loses && (d.from..=d.until).contains(&at));
    if attempt.replicated && outside(attempt.answered) {
        report.measured.lost_outside += 1;
    } else if attempt.replicated {
        report.broke_by(Promise::LostReplicated, what());
    } else if history.disturbances.is_empty() {
        report.broke_by(Promise::LostLocal, what());
    } else {
        report.measured.lost_local += 1;
    }
}

/// A record as the log says it is.
#[derive(Clone, Copy)]
struct State {
    version: Revision,
    token: Option<Revision>,
}

type Records<'a> = HashMap<(&'a str, &'a str), State>;

/// Walks a log, and looks whether each change was asked for so and might be accepted there.
fn contents<'a>(shard: Shard, log: &'a [Entry], asked: &BTreeMap<Id, Vec<&'a Attempt>>, report: &mut Report) {
    let mut now: Records<'a> = Records::new();
    for change in changes(log) {
        let first = &change[0];
        let all = || change.iter().flat_map(|e| &e.changes);
        match asked.get(&first.id).and_then(|a| a.first()) {
            Some(attempt) => {
                if attempt.tenant != first.tenant || attempt.shard != shard || !same(&attempt.changes, all())
                {
                    let what =
                        format!("commit {:x} at {} is not what was asked for", first.id, first.revision);
                    report.broke_by(Promise::Torn, what);
                }
                expected(attempt, first, &now, report);
            }
            None if all().all(|c| c.value.is_none()) => expired(change, &now, report),
            None => {
                let what = format!("commit {:x} at {} was never asked for", first.id, first.revision);
                report.broke_by(Promise::Invented, what);
            }
        }
        for entry in change {
            for c in &entry.changes {
                let key = (&*entry.tenant, &*c.key);
                match c.value {
                    Some(_) => drop(now.insert(key, State { version: entry.revision, token: c.token })),
                    None => drop(now.remove(&key)),
                }
            }
        }
    }
}

/// Whether a commit's preconditions held where it is.
fn expected<'a>(attempt: &'a Attempt, at: &'a Entry, now: &Records<'a>, report: &mut Report) {
    for expect in &attempt.expects {
        let (Expect::Absent(key) | Expect::Version(key, _) | Expect::Token(key, _)) = expect;
        let found = now.get(&(&*at.tenant, &**key));
        let (holds, promise) = match expect {
            Expect::Absent(_) => (found.is_none(), Promise::StaleAccepted),
            Expect::Version(_, v) => (found.is_some_and(|s| s.version == *v), Promise::StaleAccepted),
            Expect::Token(_, t) => (found.is_some_and(|s| s.token == Some(*t)), Promise::TwoHolders),
        };
        if !holds {
            let what = format!("commit {:x} at {} was accepted without {expect:?}", at.id, at.revision);
            report.broke_by(promise, what);
        }
    }
}

/// Only what is claimed ends by itself.
fn expired(change: &[Entry], now: &Records<'_>, report: &mut Report) {
    for entry in change {
        for c in &entry.changes {
            let claimed = now.get(&(&*entry.tenant, &*c.key)).is_some_and(|s| s.token.is_some());
            if !claimed {
                let what =
                    format!("{} of {} ended at {} and was no claim", c.key, entry.tenant, entry.revision);
                report.broke_by(Promise::Invented, what);
            }
        }
    }
}

fn same<'a>(asked: &'a [Change], done: impl Iterator<Item = &'a Change>) -> bool {
    asked.iter().map(|c| (&c.key, &c.value)).eq(done.map(|c| (&c.key, &c.value)))
}

fn count(history: &History, report: &mut Report) {
    let mut acknowledged: Vec<Moment> = Vec::new();
    for attempt in &history.attempts {
        match attempt.outcome {
            Outcome::Committed(_) => {
                report.measured.committed += 1;
                report.measured.replicated += u64::from(attempt.replicated);
                acknowledged.push(attempt.answered);
            }
            Outcome::Refused => report.measured.refused += 1,
            Outcome::Indeterminate => report.measured.indeterminate += 1,
            Outcome::Unavailable => report.measured.unavailable += 1,
        }
    }
    acknowledged.sort_unstable();
    let gaps = acknowledged.windows(2).map(|pair| pair[1] - pair[0]);
    report.measured.silence = gaps.max().unwrap_or_default();
}
