//! Changes that are too large for one commit: seen whole, or not at all.

use std::time::Duration;

use super::following::{next, synchronised};
use super::rig::{Rig, acme, delete, key, put, refused, revision, same, shard, tenant};
use super::{Case, Failed, ensure, promises};
use crate::follow::Followed;
use crate::types::{Precondition, STAGED_AGE, Shard, What, Write};

pub(super) fn cases() -> Vec<Case> {
    promises![
        what_is_staged_is_seen_by_nobody_until_it_is_turned_over,
        a_generation_is_turned_over_whole,
        a_generation_without_one_of_its_parts_is_refused,
        a_generation_is_turned_over_under_its_preconditions,
        a_turn_over_asked_again_finds_its_own_success,
        a_turn_over_half_cut_from_the_log_finds_its_own_success,
        generations_of_tenants_that_lie_together_are_apart,
        parts_that_nobody_turned_over_are_forgotten,
    ]
}

fn part(part: u32, writes: usize) -> Vec<Write> {
    (0..writes).map(|n| put(&format!("{part:03}-{n:03}"), "staged")).collect()
}

async fn stage(rig: &Rig, generation: u64, parts: u32, writes: usize) -> Result<(), Failed> {
    for p in 0..parts {
        rig.backend().stage(&acme(), generation, p, part(p, writes)).await?;
    }
    Ok(())
}

async fn what_is_staged_is_seen_by_nobody_until_it_is_turned_over(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("000-000", "before")]).await?;
    let before = rig.position(shard()).await?;
    stage(rig, 1, 3, 100).await?;
    same("the records", &rig.backend().list(shard()).await?.records.len(), &1)?;
    same("the log", &rig.position(shard()).await?, &before)?;
    same(
        "a record that it would replace",
        &rig.get("000-000").await?.map(|r| r.value.to_vec()),
        &Some(b"before".into()),
    )?;
    let turn = rig.commit_of(vec![], vec![]);
    revision(rig.backend().turn_over(turn, 1, 3).await?)?;
    same("the records then", &rig.backend().list(shard()).await?.records.len(), &300)?;
    same("the record then", &rig.get("000-000").await?.map(|r| r.value.to_vec()), &Some(b"staged".into()))
}

async fn a_generation_is_turned_over_whole(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("old", "1")]).await?;
    let (mut follower, _) = synchronised(rig).await?;
    // A part asked again replaces itself: the later one counts.
    rig.backend().stage(&acme(), 9, 1, vec![put("not this", "1")]).await?;
    stage(rig, 9, 40, 512).await?;
    let turn = rig.commit_of(vec![], vec![delete("old"), put("generation", "9")]);
    let done = revision(rig.backend().turn_over(turn.clone(), 9, 40).await?)?;
    let Followed::Entries(_, entries) = next(&mut follower).await? else {
        return Err(Failed("a follower was not shown the generation".into()));
    };
    let changes: usize = entries.iter().map(|e| e.changes.len()).sum();
    same("changes shown at once", &changes, &(40 * 512 + 2))?;
    same("the last entry", &entries.last().map(|e| (e.revision, e.more)), &Some((done, false)))?;
    ensure!(entries.iter().rev().skip(1).all(|e| e.more), "an entry within the generation ends it");
    ensure!(
        entries.iter().all(|e| e.commit == turn.id),
        "an entry of the generation has another commit's id"
    );
    ensure!(entries.iter().all(|e| e.changes.len() <= 512), "an entry has more than 512 changes");
    same("the records", &rig.backend().list(shard()).await?.records.len(), &(40 * 512 + 1))
}

async fn a_generation_without_one_of_its_parts_is_refused(rig: &Rig) -> Result<(), Failed> {
    stage(rig, 1, 3, 10).await?;
    for parts in [4, 5] {
        let turn = rig.commit_of(vec![Precondition::Absent(key("x"))], vec![put("x", "1")]);
        let (which, found) = refused(rig.backend().turn_over(turn, 1, parts).await?)?;
        same("the precondition that goes without saying", &(which, found), &(1, None))?;
    }
    refused(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 2, 3).await?)?;
    ensure!(rig.position(shard()).await?.is_none(), "half a generation was written");
    revision(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 3).await?)?;
    refused(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 3).await?)?;
    Ok(())
}

async fn a_generation_is_turned_over_under_its_preconditions(rig: &Rig) -> Result<(), Failed> {
    let version = rig.committed(vec![put("directory", "1")]).await?;
    stage(rig, 1, 2, 10).await?;
    rig.committed(vec![put("directory", "2")]).await?;
    let conditions = vec![Precondition::VersionIs(key("directory"), version)];
    let turn = rig.commit_of(conditions, vec![put("directory", "3")]);
    refused(rig.backend().turn_over(turn, 1, 2).await?)?;
    same("records", &rig.backend().list(shard()).await?.records.len(), &1)
}

async fn a_turn_over_asked_again_finds_its_own_success(rig: &Rig) -> Result<(), Failed> {
    stage(rig, 1, 3, 10).await?;
    let turn = rig.commit_of(vec![], vec![]);
    let done = rig.backend().turn_over(turn.clone(), 1, 3).await?;
    same("the retry", &rig.backend().turn_over(turn, 1, 3).await?, &done)?;
    same("entries", &rig.pull_all(shard(), None, 100).await?.len(), &3)
}

async fn a_turn_over_half_cut_from_the_log_finds_its_own_success(rig: &Rig) -> Result<(), Failed> {
    // More than the log may hold, so that its own last entries cut its first ones.
    for p in 0..40 {
        let large = Write { key: key(&p.to_string()), what: What::Put(vec![b'x'; 1_000_000].into()) };
        rig.backend().stage(&acme(), 1, p, vec![large]).await?;
    }
    let turn = rig.commit_of(vec![], vec![]);
    let done = rig.backend().turn_over(turn.clone(), 1, 40).await?;
    for n in 0..4 {
        let large = Write { key: key(&n.to_string()), what: What::Put(vec![b'y'; 1_000_000].into()) };
        rig.committed(vec![large]).await?;
    }
    same("the retry", &rig.backend().turn_over(turn, 1, 40).await?, &done)
}

async fn generations_of_tenants_that_lie_together_are_apart(rig: &Rig) -> Result<(), Failed> {
    let twin = (2..).map(|n| tenant("acme", n)).find(|t| Shard::of(t) == shard());
    let twin = twin.ok_or_else(|| Failed("no two tenants lie in one shard".into()))?;
    // The same generation and part, by chance.
    rig.backend().stage(&acme(), 1, 0, vec![put("ours", "1")]).await?;
    rig.backend().stage(&twin, 1, 0, vec![put("theirs", "1")]).await?;
    rig.backend().stage(&twin, 1, 1, vec![put("theirs too", "1")]).await?;
    refused(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 2).await?)?;
    revision(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 1).await?)?;
    let state = || async { Ok::<_, Failed>(rig.backend().list(shard()).await?.records) };
    let written: Vec<_> = state().await?.iter().map(|r| (r.tenant.clone(), r.key.key.to_string())).collect();
    same("what was turned over", &written, &vec![(acme(), "ours".to_owned())])?;
    let mut turn = rig.commit_of(vec![], vec![]);
    turn.tenant = twin.clone();
    revision(rig.backend().turn_over(turn, 1, 2).await?)?;
    let theirs = state().await?.into_iter().filter(|r| r.tenant == twin).count();
    same("what the other turned over", &theirs, &2)
}

async fn parts_that_nobody_turned_over_are_forgotten(rig: &Rig) -> Result<(), Failed> {
    stage(rig, 1, 2, 10).await?;
    rig.pass(shard(), STAGED_AGE - Duration::from_secs(60)).await?;
    stage(rig, 2, 2, 10).await?;
    rig.pass(shard(), Duration::from_secs(120)).await?;
    refused(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 2).await?)?;
    revision(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 2, 2).await?)?;
    Ok(())
}
