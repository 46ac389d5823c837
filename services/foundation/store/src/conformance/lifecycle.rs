//! Closing and opening again.

use std::time::Duration;

use super::rig::{Rig, acme, claim, goes_on, hanging, key, put, refused, revision, same, seconds, shard};
use super::{Case, Failed, ensure, promises};
use crate::types::{Error, Precondition, SessionId};

pub(super) fn cases() -> Vec<Case> {
    let mut all = promises![a_closed_store_says_so];
    all.extend(promises![restarting:
        what_was_acknowledged_outlives_a_restart,
        a_retry_after_a_restart_finds_its_own_success,
        an_outage_freezes_deadlines,
        time_that_has_passed_outlives_a_restart,
        a_session_is_as_long_as_it_was_opened_for_whatever_passed_before,
        revisions_grow_over_a_restart,
        what_was_staged_outlives_a_restart,
    ]);
    all
}

async fn a_closed_store_says_so(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("a", "1")]).await?;
    rig.backend().close().await?;
    let commit = rig.backend().commit(rig.commit_of(vec![], vec![put("b", "1")])).await.map(|_| ());
    let list = rig.backend().list(shard()).await.map(|_| ());
    let pull = rig.backend().pull(shard(), None, 1).await.map(|_| ());
    let sweep = rig.backend().sweep(shard()).await.map(|_| ());
    for answer in [commit, list, pull, sweep] {
        same("a closed store answers", &answer, &Err(Error::Closed))?;
    }
    ensure!(!Error::Closed.retryable(), "a closed store asks to be asked again");
    Ok(())
}

async fn what_was_acknowledged_outlives_a_restart(rig: &Rig) -> Result<(), Failed> {
    rig.backend().open_session(&acme(), SessionId(1), 60_000).await?;
    let writes = vec![put("a", "1"), claim("lease", "1", seconds(60)), claim("hangs", "1", hanging(1))];
    let token = rig.committed(writes).await?;
    for n in 0..20 {
        rig.committed(vec![put("n", &n.to_string())]).await?;
    }
    let records = rig.backend().list(shard()).await?;
    let entries = rig.pull_all(shard(), None, 100).await?;
    let stats = rig.backend().stats().await?;
    rig.restart().await?;
    same("records and position", &rig.backend().list(shard()).await?, &records)?;
    same("the log", &rig.pull_all(shard(), None, 100).await?, &entries)?;
    same("the cell's id", &rig.backend().stats().await?.cell, &stats.cell)?;
    same("the size of the log", &rig.backend().stats().await?.log_bytes, &stats.log_bytes)?;
    let held = vec![Precondition::TokenIs(key("lease"), token), Precondition::TokenIs(key("hangs"), token)];
    revision(rig.commit(held, vec![put("x", "1")]).await?)?;
    ensure!(rig.backend().keep_alive(&acme(), SessionId(1), 60_000).await?, "a session ended by a restart");
    Ok(())
}

async fn a_retry_after_a_restart_finds_its_own_success(rig: &Rig) -> Result<(), Failed> {
    let commit = rig.commit_of(vec![Precondition::Absent(key("a"))], vec![put("a", "1")]);
    let done = rig.send(&commit).await?;
    rig.restart().await?;
    same("the retry", &rig.send(&commit).await?, &done)
}

async fn an_outage_freezes_deadlines(rig: &Rig) -> Result<(), Failed> {
    rig.backend().open_session(&acme(), SessionId(1), 10_000).await?;
    let token = rig.committed(vec![claim("a", "1", seconds(10)), claim("b", "1", hanging(1))]).await?;
    for _ in 0..3 {
        rig.advance(Duration::from_secs(24 * 3600));
        rig.restart().await?;
        same("expired by an outage", &rig.backend().sweep(shard()).await?, &0)?;
    }
    let held = vec![Precondition::TokenIs(key("a"), token), Precondition::SessionLives(SessionId(1))];
    revision(rig.commit(held, vec![put("x", "1")]).await?)?;
    same("when its time has come", &rig.pass(shard(), Duration::from_secs(10)).await?, &2)
}

/// How much of the time that has passed a restart may take back, so that not every step must be written.
const TAKEN_BACK: Duration = Duration::from_secs(10);

async fn time_that_has_passed_outlives_a_restart(rig: &Rig) -> Result<(), Failed> {
    rig.backend().open_session(&acme(), SessionId(1), 60_000).await?;
    rig.committed(vec![claim("a", "1", seconds(60)), claim("b", "1", hanging(1))]).await?;
    same("40 s later", &rig.pass(shard(), Duration::from_secs(40)).await?, &0)?;
    rig.restart().await?;
    same("19 s after it", &rig.pass(shard(), Duration::from_secs(19)).await?, &0)?;
    same("in the end", &rig.pass(shard(), TAKEN_BACK + Duration::from_secs(2)).await?, &2)
}

async fn a_session_is_as_long_as_it_was_opened_for_whatever_passed_before(rig: &Rig) -> Result<(), Failed> {
    // Nothing has a deadline yet.
    rig.committed(vec![put("a", "1")]).await?;
    rig.pass(shard(), Duration::from_secs(600)).await?;
    rig.backend().open_session(&acme(), SessionId(1), 10_000).await?;
    rig.restart().await?;
    rig.pass(shard(), Duration::from_secs(10) + TAKEN_BACK + Duration::from_secs(2)).await?;
    let lives = rig.backend().keep_alive(&acme(), SessionId(1), 10_000).await?;
    ensure!(!lives, "the restart took back the time before the session was opened");
    Ok(())
}

async fn revisions_grow_over_a_restart(rig: &Rig) -> Result<(), Failed> {
    let before = rig.committed(vec![put("a", "1")]).await?;
    rig.set_clock(rig.now() - 3_600_000_000);
    rig.restart().await?;
    let after = rig.committed(vec![put("a", "2")]).await?;
    goes_on("with a clock set back", before.0, after)
}

async fn what_was_staged_outlives_a_restart(rig: &Rig) -> Result<(), Failed> {
    for part in 0..3 {
        rig.backend().stage(&acme(), 1, part, vec![put(&part.to_string(), "1")]).await?;
    }
    rig.restart().await?;
    refused(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 4).await?)?;
    revision(rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 3).await?)?;
    same("records", &rig.backend().list(shard()).await?.records.len(), &3)
}
