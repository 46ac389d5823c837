//! Histories: random commits by several writers, while a follower follows. What it was shown adds up to what is
//! there, and so does the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::following::{next, synchronised};
use super::rig::{
    Rig, State, apply, claim, delete, hanging, key, listed, put, revision, same, seconds, shard, tenant,
};
use super::{Case, Failed, ensure, promises};
use crate::backend::Backend;
use crate::follow::Followed;
use crate::types::{Commit, CommitId, Durability, Outcome, Precondition, Pulled, SessionId, Shard, Write};
use tandem_domain::id::{Revision, TenantId};

pub(super) fn cases() -> Vec<Case> {
    promises![
        what_a_follower_was_shown_is_what_is_listed,
        a_log_replayed_from_its_start_is_what_is_listed,
        a_listing_while_others_write_misses_nothing_and_doubles_nothing,
        histories_that_part_when_the_clock_goes_back_have_nothing_in_common,
        histories_that_part_while_the_clock_is_behind_have_nothing_in_common,
    ]
}

const WRITERS: u64 = 4;
const COMMITS: u64 = 60;
const KEYS: u64 = 12;

/// A small generator of its own, so that a history is the same on every machine: splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn tenants() -> Vec<TenantId> {
    ["acme", "globex", "initech"].map(|n| tenant(n, 1)).to_vec()
}

fn write(dice: &mut Dice) -> Write {
    let at = format!("{:02}", dice.roll(KEYS));
    match dice.roll(6) {
        0 => delete(&at),
        1 => claim(&at, "held", seconds(1 + dice.roll(3))),
        2 => claim(&at, "hangs", hanging(1)),
        _ => put(&at, &dice.roll(1000).to_string()),
    }
}

fn random(dice: &mut Dice, id: CommitId) -> Commit {
    let tenants = tenants();
    let mut writes: Vec<Write> = (0..=dice.roll(4)).map(|_| write(dice)).collect();
    writes.sort_by(|a, b| a.key.cmp(&b.key));
    writes.dedup_by(|a, b| a.key == b.key);
    let preconditions = match dice.roll(5) {
        0 => vec![Precondition::Absent(key(&format!("{:02}", dice.roll(KEYS))))],
        1 => vec![Precondition::VersionIs(key("00"), Revision(dice.roll(2)))],
        _ => vec![],
    };
    let at = dice.roll(tenants.len() as u64) as usize;
    let tenant = tenants.into_iter().nth(at).unwrap_or_else(super::rig::acme);
    Commit { tenant, id, preconditions, writes, durability: Durability::Local, trace: None }
}

/// What was acknowledged: where, at which revision, and which commit.
type Acknowledged = BTreeSet<(Shard, Revision, CommitId)>;

/// One writer: commits, retries some, and sweeps. Answers what was acknowledged.
async fn writer(
    backend: Arc<dyn Backend>,
    seed: u64,
    left: Arc<AtomicUsize>,
) -> Result<Acknowledged, Failed> {
    let mut dice = Dice(seed);
    let mut acknowledged = Acknowledged::new();
    for n in 0..COMMITS {
        let commit = random(&mut dice, CommitId(u128::from(seed * 10_000 + n)));
        let outcome = backend.commit(commit.clone()).await?;
        if let Outcome::Committed(revision) = outcome {
            acknowledged.insert((Shard::of(&commit.tenant), revision, commit.id));
        }
        if dice.roll(4) == 0 {
            let again = backend.commit(commit.clone()).await?;
            let known =
                matches!((&outcome, &again), (Outcome::Committed(a), Outcome::Committed(b)) if a == b);
            let refused = matches!(outcome, Outcome::Refused(_));
            ensure!(known || refused, "a retry was answered {again:?} after {outcome:?}");
        }
        if dice.roll(8) == 0 {
            backend.sweep(Shard::of(&commit.tenant)).await?;
        }
        if dice.roll(16) == 0 {
            backend.end_session(&commit.tenant, SessionId(1)).await?;
        }
        left.fetch_sub(1, Ordering::SeqCst);
    }
    Ok(acknowledged)
}

/// Runs the writers while the clock moves; answers what was acknowledged when all have ended.
async fn write_all(rig: &Rig, seed: u64) -> Result<Acknowledged, Failed> {
    for tenant in tenants() {
        rig.backend().open_session(&tenant, SessionId(1), 600_000).await?;
    }
    let left = Arc::new(AtomicUsize::new((WRITERS * COMMITS) as usize));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(writer(rig.backend(), seed * 100 + n + 1, Arc::clone(&left))))
        .collect();
    let mut seen = usize::MAX;
    while left.load(Ordering::SeqCst) > 0 && tasks.iter().any(|t| !t.is_finished()) {
        let now = left.load(Ordering::SeqCst);
        if now < seen {
            rig.advance(Duration::from_millis(50));
            seen = now;
        }
        tokio::task::yield_now().await;
    }
    let mut acknowledged = Acknowledged::new();
    for task in tasks {
        acknowledged.extend(task.await.map_err(|e| Failed(e.to_string()))??);
    }
    Ok(acknowledged)
}

/// Everything that is there.
async fn everything(rig: &Rig) -> Result<State, Failed> {
    let mut state = State::new();
    for tenant in tenants() {
        state.extend(listed(&rig.backend().list(Shard::of(&tenant)).await?.records));
    }
    Ok(state)
}

async fn what_a_follower_was_shown_is_what_is_listed(rig: &Rig) -> Result<(), Failed> {
    let (mut follower, _) = synchronised(rig).await?;
    let acknowledged = write_all(rig, 1).await?;
    let mut shown = Acknowledged::new();
    // The end is known by one last commit to each tenant's shard.
    let mut ends = Vec::new();
    for tenant in tenants() {
        let mut last = rig.commit_of(vec![], vec![put("end", "1")]);
        last.tenant = tenant.clone();
        ends.push((Shard::of(&tenant), revision(rig.send(&last).await?)?));
    }
    let mut state = State::new();
    let mut last = Vec::<(Shard, Revision)>::new();
    while !ends.iter().all(|e| last.contains(e)) {
        match next(&mut follower).await? {
            Followed::Entries(shard, entries) => {
                for entry in entries {
                    let before = last.iter().position(|(s, _)| *s == shard).map(|at| last.remove(at));
                    ensure!(
                        before.is_none_or(|(_, r)| r < entry.revision),
                        "revision {} again",
                        entry.revision
                    );
                    last.push((shard, entry.revision));
                    shown.insert((shard, entry.revision, entry.commit));
                    apply(&mut state, &entry);
                }
            }
            other => return Err(Failed(format!("a follower that was up to date was shown {other:?}"))),
        }
    }
    same("acknowledged and not shown", &acknowledged.difference(&shown).next(), &None)?;
    same("the follower's state", &state, &everything(rig).await?)
}

async fn a_log_replayed_from_its_start_is_what_is_listed(rig: &Rig) -> Result<(), Failed> {
    let acknowledged = write_all(rig, 2).await?;
    let mut logged = Acknowledged::new();
    let mut state = State::new();
    for tenant in tenants() {
        let mut at = 0;
        for entry in rig.pull_all(Shard::of(&tenant), None, 16).await? {
            ensure!(entry.revision.0 > at, "revision {} after {at}", entry.revision);
            at = entry.revision.0;
            logged.insert((Shard::of(&tenant), entry.revision, entry.commit));
            apply(&mut state, &entry);
        }
    }
    same("acknowledged and not in the log", &acknowledged.difference(&logged).next(), &None)?;
    same("the log's state", &state, &everything(rig).await?)
}

async fn a_listing_while_others_write_misses_nothing_and_doubles_nothing(rig: &Rig) -> Result<(), Failed> {
    let backend = rig.backend();
    let shards: Vec<Shard> = tenants().iter().map(Shard::of).collect();
    let lister = tokio::spawn(async move {
        let mut all = Vec::new();
        for _ in 0..20 {
            for shard in &shards {
                all.push((*shard, backend.list(*shard).await?));
            }
            tokio::task::yield_now().await;
        }
        Ok::<_, crate::types::Error>(all)
    });
    write_all(rig, 3).await?;
    for (shard, listing) in lister.await.map_err(|e| Failed(e.to_string()))?? {
        let mut state = listed(&listing.records);
        same("records listed twice", &state.len(), &listing.records.len())?;
        let newest = listing.records.iter().map(|r| r.version).max();
        let at = listing.position.map(|p| p.revision);
        ensure!(newest <= at, "a record of {newest:?} in a listing at {at:?}");
        for entry in rig.pull_all(shard, listing.position, 16).await? {
            apply(&mut state, &entry);
        }
        same("a listing and what came after", &state, &listed(&rig.backend().list(shard).await?.records))?;
    }
    Ok(())
}

/// As after a failover while the clock is behind: something else is done at either of two that were the same, then the
/// same commit at both. Only the time is another.
async fn parted(rig: &Rig, before_they_part: &[Commit]) -> Result<(), Failed> {
    let stores = [rig.backend(), rig.another().await];
    let first = rig.commit_of(vec![], vec![put("a", "1")]);
    for store in &stores {
        store.commit(first.clone()).await?;
    }
    rig.set_clock(rig.now() - 60_000_000);
    for commit in before_they_part {
        for store in &stores {
            store.commit(commit.clone()).await?;
        }
    }
    let again = rig.commit_of(vec![], vec![put("b", "1")]);
    let mut tokens = Vec::new();
    for store in &stores {
        rig.advance(Duration::from_millis(30));
        let apart = rig.commit_of(vec![], vec![claim("c", "held", seconds(60))]);
        tokens.push(revision(store.commit(apart).await?)?);
        store.commit(again.clone()).await?;
    }
    ensure!(tokens[0] != tokens[1], "two holders have the token {}", tokens[0]);
    let seen = rig.position(shard()).await?;
    match stores[1].pull(shard(), seen, 16).await? {
        Pulled::Resync(_) => Ok(()),
        taken => Err(Failed(format!("another history was taken for the one of {seen:?}: {taken:?}"))),
    }
}

async fn histories_that_part_when_the_clock_goes_back_have_nothing_in_common(
    rig: &Rig,
) -> Result<(), Failed> {
    parted(rig, &[]).await
}

async fn histories_that_part_while_the_clock_is_behind_have_nothing_in_common(
    rig: &Rig,
) -> Result<(), Failed> {
    parted(rig, &[rig.commit_of(vec![], vec![put("a", "2")])]).await
}
