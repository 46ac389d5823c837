//! A test of the judge: a history in which every promise is kept, and the same with one fault each, which must be found
//! by its name.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use tandem_history::{
    Attempt, Cause, Change, Disturbance, Entry, Expect, Follower, History, Outcome, Promise, Record, Saw,
    Told, Version, Watcher, check,
};

const SHARD: u16 = 7;
const AGE: u64 = 15 * 60 * 1_000_000;

fn put(key: &str, value: &str) -> Change {
    Change { key: key.into(), value: Some(value.into()), token: None }
}

fn gone(key: &str) -> Change {
    Change { key: key.into(), value: None, token: None }
}

fn entry(revision: u64, change: Change) -> Entry {
    let (tenant, id) = ("acme".to_owned(), u128::from(revision));
    Entry { tenant, revision, id, at: revision * 1000, changes: vec![change], more: false }
}

/// A commit that is answered as soon as asked for.
fn attempt(n: u64, change: Change, outcome: Outcome) -> Attempt {
    Attempt {
        id: u128::from(n),
        shard: SHARD,
        tenant: "acme".into(),
        changes: vec![Change { token: None, ..change }],
        expects: vec![],
        fence: None,
        replicated: true,
        asked: n * 10,
        answered: n * 10 + 5,
        outcome,
    }
}

fn listed(records: Vec<Record>, last: Option<u64>) -> Saw {
    Saw::Listed { records, position: last.map(|r| (r, u128::from(r))), at: last.unwrap_or(0) * 1000 }
}

fn record(key: &str, value: &str, version: u64) -> Record {
    Record { tenant: "acme".into(), key: key.into(), value: value.into(), version }
}

/// Twelve commits and the end of a claim; a lease of two holders; a follower from the start, and one that came late; two
/// watchers. Every promise is kept.
fn sound() -> History {
    let mut lease = put("lease", "first");
    lease.token = Some(3);
    let mut again = put("lease", "second");
    again.token = Some(7);
    let changes = [
        (1, put("a", "1")),
        (2, put("b", "1")),
        (3, lease),
        (4, put("a", "2")),
        (5, put("c", "1")),
        (6, gone("lease")),
        (7, again),
        (8, put("a", "3")),
        (9, gone("b")),
        (10, put("a", "4")),
        (11, put("d", "1")),
        (12, put("a", "5")),
    ];
    let log: Vec<Entry> = changes.iter().map(|(n, change)| entry(*n, change.clone())).collect();
    let commits = changes.iter().filter(|(n, _)| *n != 6);
    let mut attempts: Vec<Attempt> =
        commits.map(|(n, change)| attempt(*n, change.clone(), Outcome::Committed(*n))).collect();
    let of = |attempts: &mut Vec<Attempt>, id: u128, at: &dyn Fn(&mut Attempt)| {
        attempts.iter_mut().filter(|a| a.id == id).for_each(at);
    };
    of(&mut attempts, 4, &|a| a.fence = Some(("lease".into(), 3)));
    of(&mut attempts, 8, &|a| a.fence = Some(("lease".into(), 7)));
    of(&mut attempts, 10, &|a| a.expects = vec![Expect::Version("a".into(), 8)]);
    of(&mut attempts, 11, &|a| a.expects = vec![Expect::Absent("d".into())]);
    of(&mut attempts, 12, &|a| a.expects = vec![Expect::Token("lease".into(), 7)]);
    of(&mut attempts, 5, &|a| a.outcome = Outcome::Indeterminate);
    attempts.push(attempt(20, put("x", "1"), Outcome::Refused));
    attempts.push(attempt(21, put("x", "1"), Outcome::Unavailable));
    attempts.push(attempt(22, put("x", "1"), Outcome::Indeterminate));
    let early = vec![(SHARD, listed(vec![], None)), (SHARD, Saw::Entries(log.clone()))];
    let late = vec![
        (SHARD, listed(vec![record("a", "1", 1), record("b", "1", 2)], Some(2))),
        (SHARD, Saw::Entries(log[2..8].to_vec())),
        (SHARD, Saw::Entries(log[8..].to_vec())),
    ];
    let followers = vec![
        Follower { name: "early".into(), saw: early, stopped: false },
        Follower { name: "late".into(), saw: late, stopped: false },
    ];
    let told = vec![
        Told::Snapshot(BTreeMap::from([("a".into(), Version { revision: 4, value: "2".into() })])),
        Told::Change("a".into(), 8, Some("3".into())),
        Told::Change("a".into(), 10, Some("4".into())),
        Told::Change("a".into(), 12, Some("5".into())),
    ];
    let watcher =
        Watcher { name: "w".into(), of: (SHARD, "acme".into()), prefix: "a".into(), told, coalesces: false };
    let mut slow = Watcher { name: "slow".into(), coalesces: true, ..watcher.clone() };
    slow.told.remove(2);
    let log = BTreeMap::from([(SHARD, log)]);
    History { attempts, log, followers, watchers: vec![watcher, slow], log_age: AGE, ..History::default() }
}

fn log(h: &mut History) -> &mut Vec<Entry> {
    h.log.get_mut(&SHARD).unwrap()
}

/// A fault in what is there: no follower or watcher sees another log.
fn alone(mut h: History, fault: impl FnOnce(&mut History)) -> History {
    h.followers.clear();
    h.watchers.clear();
    fault(&mut h);
    h
}

fn by_id(h: &mut History, id: u128) -> &mut Attempt {
    h.attempts.iter_mut().find(|a| a.id == id).unwrap()
}

/// What the follower that came late saw of this place in the log.
fn seen(h: &mut History, batch: usize) -> &mut Vec<Entry> {
    match &mut h.followers[1].saw[batch].1 {
        Saw::Entries(entries) => entries,
        other => panic!("{other:?}"),
    }
}

/// This promise was broken, and no other.
#[track_caller]
fn found(history: &History, promise: Promise) {
    all_found(history, &[promise]);
}

/// These promises were broken, and no other.
#[track_caller]
fn all_found(history: &History, promises: &[Promise]) {
    let report = check(history);
    let broken: BTreeSet<Promise> = report.broken.iter().map(|b| b.promise).collect();
    assert_eq!(broken, promises.iter().copied().collect(), "{report}");
}

#[test]
fn a_sound_history_breaks_nothing_and_is_counted() {
    let report = check(&sound());
    assert!(report.kept(), "{report}");
    let m = report.measured;
    assert_eq!((m.committed, m.refused, m.indeterminate, m.unavailable), (10, 1, 2, 1));
    assert_eq!((m.entries, m.holders, m.overlap, m.lost_local), (12, 2, 0, 0));
    // From the fourth to the seventh: the fifth is not known, and the sixth is the end of a claim.
    assert_eq!(m.silence, 30);
}

#[test]
fn what_was_acknowledged_and_is_not_there_is_found() {
    found(&alone(sound(), |h| drop(log(h).remove(4 - 1))), Promise::LostReplicated);
    let lost_local = |h: &mut History| {
        by_id(h, 4).replicated = false;
        log(h).remove(4 - 1);
    };
    found(&alone(sound(), lost_local), Promise::LostLocal);
}

#[test]
fn what_a_disturbance_may_lose_is_counted() {
    let disturbed = |loses, from| {
        alone(sound(), |h| {
            log(h).remove(4 - 1);
            h.disturbances.push(Disturbance { what: "restored".into(), from, until: 60, overlap: 0, loses });
        })
    };
    let report = check(&disturbed(true, 40));
    assert!(report.kept(), "{report}");
    assert_eq!(report.measured.lost_outside, 1);
    found(&disturbed(false, 40), Promise::LostReplicated);
    // Acknowledged before the copy was made.
    found(&disturbed(true, 46), Promise::LostReplicated);
}

#[test]
fn what_did_not_happen_and_is_there_is_found() {
    let happens =
        |n: u64| alone(sound(), |h| log(h).push(Entry { id: n.into(), ..entry(30, put("x", "1")) }));
    found(&happens(20), Promise::RefusedHappened);
    found(&happens(21), Promise::UnavailableHappened);
    assert!(check(&happens(22)).kept(), "what is not known may have happened");
    found(&happens(99), Promise::Invented);
    found(&alone(sound(), |h| log(h).push(entry(30, gone("a")))), Promise::Invented);
}

#[test]
fn what_happened_otherwise_than_asked_is_found() {
    let twice = |h: &mut History| {
        let second = Entry { revision: 30, ..log(h)[4].clone() };
        log(h).push(second);
    };
    found(&alone(sound(), twice), Promise::HappenedTwice);
    found(&alone(sound(), |h| by_id(h, 2).outcome = Outcome::Committed(1)), Promise::WrongRevision);
    found(&alone(sound(), |h| log(h)[4].changes[0].value = Some("2".into())), Promise::Torn);
    found(&alone(sound(), |h| log(h)[4].changes.clear()), Promise::Torn);
    found(
        &alone(sound(), |h| by_id(h, 10).expects = vec![Expect::Version("a".into(), 4)]),
        Promise::StaleAccepted,
    );
    found(
        &alone(sound(), |h| by_id(h, 10).expects = vec![Expect::Absent("a".into())]),
        Promise::StaleAccepted,
    );
    let out_of_order = |h: &mut History| {
        let entries = log(h);
        entries[4].revision = 30;
        h.attempts.retain(|a| a.id != 5 || a.outcome == Outcome::Indeterminate);
    };
    found(&alone(sound(), out_of_order), Promise::LogOutOfOrder);
}

#[test]
fn two_holders_are_found() {
    // In a log: a commit under the first token behind one under the second.
    found(&alone(sound(), |h| by_id(h, 10).fence = Some(("lease".into(), 3))), Promise::TwoHolders);
    found(
        &alone(sound(), |h| by_id(h, 12).expects = vec![Expect::Token("lease".into(), 3)]),
        Promise::TwoHolders,
    );
    // In two shards: by the clock alone.
    let elsewhere = |disturbances: Vec<Disturbance>| {
        alone(sound(), |h| {
            by_id(h, 12).fence = Some(("lease".into(), 3));
            by_id(h, 12).shard = SHARD + 1;
            by_id(h, 12).expects.clear();
            let last = log(h).pop().unwrap();
            h.log.insert(SHARD + 1, vec![last]);
            h.disturbances = disturbances;
        })
    };
    found(&elsewhere(vec![]), Promise::TwoHolders);
    let failover =
        |overlap| vec![Disturbance { what: "failover".into(), from: 70, until: 90, overlap, loses: false }];
    let report = check(&elsewhere(failover(40)));
    assert!(report.kept(), "{report}");
    assert_eq!(report.measured.overlap, 120 - 85);
    found(&elsewhere(failover(30)), Promise::TwoHolders);
}

fn spoilt(fault: impl FnOnce(&mut History)) -> History {
    let mut h = sound();
    fault(&mut h);
    h
}

#[test]
fn what_a_follower_was_not_shown_right_is_found() {
    all_found(&spoilt(|h| drop(seen(h, 1).remove(2))), &[Promise::SkippedEvent, Promise::NotConverged]);
    found(&spoilt(|h| drop(h.followers[1].saw.remove(0))), Promise::SkippedEvent);
    found(
        &spoilt(|h| {
            let e = seen(h, 1)[1].clone();
            seen(h, 1).insert(2, e);
        }),
        Promise::RepeatedEvent,
    );
    found(&spoilt(|h| drop(h.followers[1].saw.pop())), Promise::NotConverged);
    found(&spoilt(|h| seen(h, 1)[1].changes.clear()), Promise::Torn);
    let stopped = |h: &mut History| {
        h.followers[1].saw.pop();
        h.followers[1].stopped = true;
    };
    assert!(check(&spoilt(stopped)).kept(), "one that was stopped need not see the end");
    found(&spoilt(|h| h.followers[1].saw[0].1 = listed(vec![], Some(2))), Promise::WrongListing);
    // Also when something was done to the store: nobody ever asked for the end of `a`.
    let disturbed = |h: &mut History, left: Record| {
        let what = "failover".to_owned();
        h.disturbances.push(Disturbance { what, from: 0, until: 90, overlap: 0, loses: false });
        h.followers[1].saw[0].1 = listed(vec![left], Some(2));
    };
    found(&spoilt(|h| disturbed(h, record("b", "1", 2))), Promise::WrongListing);
    assert!(check(&spoilt(|h| disturbed(h, record("a", "1", 1)))).kept(), "`b` is deleted later");
}

/// The follower that came late saw this of another history after its first batch, and then what is given.
fn diverged(then: Vec<Saw>) -> History {
    spoilt(|h| {
        let other = Entry { id: 77, ..entry(9, put("b", "other")) };
        let saw = &mut h.followers[1].saw;
        saw[2] = (SHARD, Saw::Entries(vec![other]));
        saw.extend(then.into_iter().map(|saw| (SHARD, saw)));
        h.disturbances =
            vec![Disturbance { what: "failover".into(), from: 0, until: 90, overlap: 0, loses: false }];
    })
}

fn whole() -> Saw {
    let records =
        vec![record("a", "5", 12), record("c", "1", 5), record("d", "1", 11), record("lease", "second", 7)];
    listed(records, Some(12))
}

#[test]
fn a_follower_that_saw_what_did_not_survive_must_be_told() {
    let report = check(&diverged(vec![Saw::Resync(Cause::Diverged), whole()]));
    assert!(report.kept(), "{report}");
    assert_eq!(report.measured.diverged, 1);
    let log = sound().log[&SHARD].clone();
    all_found(
        &diverged(vec![Saw::Entries(log[9..].to_vec())]),
        &[Promise::UnnoticedDivergence, Promise::NotConverged],
    );
    found(&diverged(vec![]), Promise::NotConverged);
    found(&diverged(vec![Saw::Resync(Cause::Diverged)]), Promise::NotConverged);
    let empty = vec![Saw::Resync(Cause::Diverged), listed(vec![], Some(12))];
    all_found(&diverged(empty), &[Promise::WrongListing, Promise::NotConverged]);
    let needless = |h: &mut History| {
        h.followers[1].saw.push((SHARD, Saw::Resync(Cause::Diverged)));
        h.followers[1].saw.push((SHARD, whole()));
    };
    found(&spoilt(needless), Promise::NeedlessResync);
}

/// The follower that came late stands at 8 and is told that it was cut, when the newest is 12.
fn trimmed(cut: u64, end_at: u64) -> History {
    spoilt(|h| {
        h.cut.insert(SHARD, cut);
        log(h)[11].at = end_at;
        let mut whole = whole();
        if let Saw::Listed { at, .. } = &mut whole {
            *at = end_at;
        }
        h.followers[0].saw[1].1 = Saw::Entries(h.log[&SHARD].clone());
        let saw = &mut h.followers[1].saw;
        saw.truncate(2);
        saw.push((SHARD, Saw::Resync(Cause::Compacted)));
        saw.push((SHARD, whole));
    })
}

#[test]
fn a_log_that_is_cut_wrongly_is_found() {
    let report = check(&trimmed(10, 8000 + AGE));
    assert!(report.kept(), "{report}");
    assert_eq!(report.measured.compacted, 1);
    found(&trimmed(10, 7999 + AGE), Promise::WrongTrim);
    found(&trimmed(7, 8000 + AGE), Promise::WrongTrim);
    let before_the_newest = |h: &mut History| {
        log(h)[11].at = AGE * 2;
        let end = h.log[&SHARD].clone();
        h.followers[0].saw[1].1 = Saw::Entries(end.clone());
        h.cut.insert(SHARD, 11);
        let Saw::Listed { records, position, .. } = whole() else { unreachable!() };
        let saw = &mut h.followers[1].saw;
        saw[2] = (SHARD, Saw::Entries(end[8..11].to_vec()));
        saw.push((SHARD, Saw::Resync(Cause::Compacted)));
        saw.push((SHARD, Saw::Listed { records, position, at: AGE * 2 }));
    };
    found(&spoilt(before_the_newest), Promise::WrongTrim);
}

fn told(h: &mut History, watcher: usize) -> &mut Vec<Told> {
    &mut h.watchers[watcher].told
}

#[test]
fn what_a_watcher_was_not_told_right_is_found() {
    found(&spoilt(|h| drop(told(h, 0).remove(2))), Promise::WatchMissed);
    found(&spoilt(|h| drop(told(h, 0).remove(0))), Promise::WatchMissed);
    found(&spoilt(|h| drop(told(h, 1).pop())), Promise::WatchMissed);
    found(&spoilt(|h| told(h, 0).push(Told::Expired)), Promise::WatchMissed);
    let again = |h: &mut History| told(h, 0).push(Told::Change("a".into(), 10, Some("4".into())));
    all_found(&spoilt(again), &[Promise::WatchOutOfOrder, Promise::WatchMissed]);
    let invented = |h: &mut History| told(h, 0)[2] = Told::Change("a".into(), 10, Some("9".into()));
    found(&spoilt(invented), Promise::WatchInvented);
    let gone = |h: &mut History| told(h, 1).push(Told::Change("a".into(), 13, None));
    let stale = |h: &mut History| told(h, 1)[1] = Told::Change("a".into(), 10, Some("3".into()));
    found(&spoilt(stale), Promise::WatchMissed);
    let back = |h: &mut History| {
        let (one, other) = (Told::Change("a".into(), 13, Some("4".into())), told(h, 1)[2].clone());
        told(h, 1).extend([one, other]);
    };
    all_found(&spoilt(back), &[Promise::WatchOutOfOrder, Promise::WatchMissed]);
    // Who goes on from its place may be told again what came after it.
    let on = |h: &mut History| {
        let again = told(h, 1)[1].clone();
        let last = told(h, 1)[2].clone();
        told(h, 1).extend([Told::Resumed, again, last]);
    };
    assert!(check(&spoilt(on)).kept());
    all_found(&spoilt(gone), &[Promise::WatchMissed, Promise::WatchInvented]);
    // After an expiry the snapshot that follows is the truth, whatever was missed.
    let expired = |h: &mut History| {
        told(h, 0).truncate(1);
        let last = Version { revision: 12, value: "5".into() };
        told(h, 0).extend([Told::Expired, Told::Snapshot(BTreeMap::from([("a".into(), last)]))]);
    };
    assert!(check(&spoilt(expired)).kept());
}

#[test]
fn a_shard_that_is_never_written_to_again_is_found() {
    let disturbed = |outcome| {
        spoilt(|h| {
            let (what, until) = ("failover".to_owned(), 170);
            h.disturbances.push(Disturbance { what, from: 160, until, overlap: 0, loses: false });
            h.attempts.push(attempt(23, put("x", "1"), outcome));
        })
    };
    // Refused is answered by one that could write; it did not.
    for outcome in [Outcome::Unavailable, Outcome::Indeterminate, Outcome::Refused] {
        found(&disturbed(outcome), Promise::StaysUnwritable);
    }
}
