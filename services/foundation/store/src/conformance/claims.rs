//! Claims: at most one holder whose token is accepted.

use std::time::Duration;

use super::rig::{
    Rig, acme, claim, delete, hanging, key, put, refused, revision, same, seconds, shard, update,
};
use super::{Case, Failed, ensure, promises};
use crate::types::{Fence, Outcome, Precondition, SessionId, Shard, Until};

pub(super) fn cases() -> Vec<Case> {
    promises![
        of_claimants_one_holds,
        a_token_is_the_revision_of_its_claim,
        a_stale_token_is_refused,
        a_claim_that_is_due_is_nobodys_before_it_is_swept,
        a_claim_of_a_session_that_ended_is_nobodys_before_it_is_swept,
        a_fenced_writer_that_lost_its_claim_is_refused_for_every_tenant,
        a_claim_put_over_is_no_claim_any_more,
    ]
}

async fn of_claimants_one_holds(rig: &Rig) -> Result<(), Failed> {
    let mut tasks = Vec::new();
    for n in 0..16 {
        let backend = rig.backend();
        let what = claim("station", &n.to_string(), seconds(60));
        let commit = rig.commit_of(vec![Precondition::Absent(key("station"))], vec![what]);
        tasks.push(tokio::spawn(async move { backend.commit(commit).await }));
    }
    let mut tokens = Vec::new();
    for task in tasks {
        if let Outcome::Committed(token) = task.await.map_err(|e| Failed(e.to_string()))?? {
            tokens.push(token);
        }
    }
    same("holders", &tokens.len(), &1)?;
    same("the token", &rig.get("station").await?.and_then(|r| r.token), &tokens.first().copied())
}

async fn a_token_is_the_revision_of_its_claim(rig: &Rig) -> Result<(), Failed> {
    let token = rig.committed(vec![claim("a", "1", seconds(60))]).await?;
    same("the token", &rig.get("a").await?.and_then(|r| r.token), &Some(token))?;
    let updated = rig.committed(vec![update("a", "2")]).await?;
    let found = rig.get("a").await?;
    same("an update keeps it", &found.as_ref().and_then(|r| r.token), &Some(token))?;
    same("and has its own version", &found.map(|r| r.version), &Some(updated))?;
    let again = rig.committed(vec![claim("a", "3", seconds(60))]).await?;
    ensure!(again > token, "a later claim has a token that is not larger");
    same("a claim anew has its own", &rig.get("a").await?.and_then(|r| r.token), &Some(again))?;
    let entries = rig.pull_all(shard(), None, 10).await?;
    let logged: Vec<_> = entries.iter().flat_map(|e| e.changes.iter().map(|c| c.token)).collect();
    same("tokens in the log", &logged, &vec![Some(token), Some(token), Some(again)])
}

async fn a_stale_token_is_refused(rig: &Rig) -> Result<(), Failed> {
    let first = rig.committed(vec![claim("station", "jane", seconds(60))]).await?;
    let held = vec![Precondition::TokenIs(key("station"), first)];
    revision(rig.commit(held.clone(), vec![put("call", "jane")]).await?)?;
    // Another takes it over; the first holder does not know yet.
    let second = revision(rig.commit(held.clone(), vec![claim("station", "john", seconds(60))]).await?)?;
    let (_, found) = refused(rig.commit(held.clone(), vec![put("call", "jane again")]).await?)?;
    same("what was found", &found, &Some(second))?;
    same(
        "what it would have written",
        &rig.get("call").await?.map(|r| r.value.to_vec()),
        &Some(b"jane".into()),
    )?;
    // It ends and is claimed anew: neither token of before counts.
    rig.committed(vec![delete("station")]).await?;
    rig.committed(vec![claim("station", "jill", seconds(60))]).await?;
    for token in [first, second] {
        let held = vec![Precondition::TokenIs(key("station"), token)];
        refused(rig.commit(held, vec![put("call", "nobody")]).await?)?;
    }
    Ok(())
}

async fn a_claim_that_is_due_is_nobodys_before_it_is_swept(rig: &Rig) -> Result<(), Failed> {
    let token = rig.committed(vec![claim("a", "1", Until::After(Duration::from_secs(2)))]).await?;
    let held = vec![Precondition::TokenIs(key("a"), token)];
    rig.advance(Duration::from_micros(1_999_999));
    revision(rig.commit(held.clone(), vec![put("x", "in time")]).await?)?;
    rig.advance(Duration::from_micros(1));
    refused(rig.commit(held, vec![put("x", "too late")]).await?)?;
    ensure!(rig.get("a").await?.is_some(), "it was removed without a sweep");
    Ok(())
}

async fn a_claim_of_a_session_that_ended_is_nobodys_before_it_is_swept(rig: &Rig) -> Result<(), Failed> {
    rig.backend().open_session(&acme(), SessionId(5), 60_000).await?;
    let token = rig.committed(vec![claim("a", "1", hanging(5))]).await?;
    let held = vec![Precondition::TokenIs(key("a"), token)];
    revision(rig.commit(held.clone(), vec![put("x", "in time")]).await?)?;
    rig.backend().end_session(&acme(), SessionId(5)).await?;
    refused(rig.commit(held, vec![put("x", "too late")]).await?)?;
    Ok(())
}

async fn a_fenced_writer_that_lost_its_claim_is_refused_for_every_tenant(rig: &Rig) -> Result<(), Failed> {
    let cell = tandem_domain::record::cell();
    let acquire = |until| {
        let mut commit = rig.commit_of(vec![], vec![claim("policy-writer", "me", until)]);
        commit.tenant = cell.clone();
        commit
    };
    let token = revision(rig.send(&acquire(seconds(4))).await?)?;
    let fence = vec![Precondition::FenceIs(Fence { key: key("policy-writer"), token })];
    revision(rig.commit(fence.clone(), vec![put("policy", "1")]).await?)?;
    rig.pass(Shard::CELL, Duration::from_secs(4)).await?;
    refused(rig.commit(fence.clone(), vec![put("policy", "late")]).await?)?;
    let token = revision(rig.send(&acquire(seconds(60))).await?)?;
    refused(rig.commit(fence, vec![put("policy", "stale")]).await?)?;
    let fence = vec![Precondition::FenceIs(Fence { key: key("policy-writer"), token })];
    revision(rig.commit(fence, vec![put("policy", "2")]).await?)?;
    same("the policy", &rig.get("policy").await?.map(|r| r.value.to_vec()), &Some(b"2".to_vec()))
}

async fn a_claim_put_over_is_no_claim_any_more(rig: &Rig) -> Result<(), Failed> {
    let token = rig.committed(vec![claim("a", "1", seconds(2))]).await?;
    rig.committed(vec![put("a", "2")]).await?;
    refused(rig.commit(vec![Precondition::TokenIs(key("a"), token)], vec![put("x", "1")]).await?)?;
    rig.pass(shard(), Duration::from_secs(10)).await?;
    same("what the sweep left", &rig.get("a").await?.map(|r| r.value.to_vec()), &Some(b"2".into()))
}
