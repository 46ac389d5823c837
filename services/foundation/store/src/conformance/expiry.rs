//! Time: deadlines in shard time, expiry as a write, sessions.

use std::time::Duration;

use super::rig::{Rig, acme, claim, hanging, key, put, refused, same, seconds, shard, tenant, update};
use super::{Case, Failed, ensure, promises};
use crate::types::{Error, Precondition, SWEEP_MAX, SessionId, Shard, Until};

pub(super) fn cases() -> Vec<Case> {
    promises![
        expiry_is_a_write,
        deadlines_do_not_jump_with_the_clock,
        deadlines_of_an_idle_shard_come,
        a_sweep_is_bounded_and_idempotent,
        a_claim_renewed_does_not_end_at_its_old_deadline,
        a_keep_alive_writes_no_entry_and_puts_the_end_off,
        what_hangs_on_a_session_ends_with_it_in_bounded_steps,
        what_no_longer_hangs_on_a_session_outlives_it,
        a_session_that_ended_stays_ended,
        a_process_is_registered_as_long_as_it_lives,
    ]
}

async fn expiry_is_a_write(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![claim("a", "1", seconds(4)), claim("b", "1", seconds(60)), put("c", "1")]).await?;
    let before = rig.position(shard()).await?;
    same("expired", &rig.pass(shard(), Duration::from_secs(4)).await?, &1)?;
    ensure!(rig.get("a").await?.is_none(), "what expired is still read");
    let entries = rig.pull_all(shard(), before, 10).await?;
    let changes: Vec<_> =
        entries.iter().flat_map(|e| e.changes.iter()).map(|c| (&*c.key.key, c.value.is_none())).collect();
    same("changes in the log", &changes, &vec![("a", true)])?;
    same("the tenant", &entries.first().map(|e| e.tenant.clone()), &Some(acme()))?;
    ensure!(entries.iter().all(|e| e.at >= rig.now() - 1), "expiry at a time of its own");
    same("what was not due", &rig.backend().list(shard()).await?.records.len(), &2)
}

async fn deadlines_do_not_jump_with_the_clock(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![claim("a", "1", seconds(10))]).await?;
    let start = rig.now();
    // An outage, or a clock set ahead: one step of 2 s at most.
    rig.advance(Duration::from_secs(7200));
    same("after an hour's jump", &rig.backend().sweep(shard()).await?, &0)?;
    // A clock set back: no step at all.
    for back in 1..20 {
        rig.set_clock(start - back * 3_600_000_000);
        same("with a clock that runs back", &rig.backend().sweep(shard()).await?, &0)?;
    }
    // And on, from wherever the clock is: 8 s are left of the 10.
    same("7.9 s later", &rig.pass(shard(), Duration::from_millis(7900)).await?, &0)?;
    same("8 s later", &rig.pass(shard(), Duration::from_millis(100)).await?, &1)
}

async fn deadlines_of_an_idle_shard_come(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![claim("a", "1", seconds(120))]).await?;
    let mut swept = 0;
    for _ in 0..240 {
        rig.advance(Duration::from_millis(500));
        swept += rig.backend().sweep(shard()).await?;
    }
    same("expired by nothing but sweeps", &swept, &1)
}

async fn a_sweep_is_bounded_and_idempotent(rig: &Rig) -> Result<(), Failed> {
    let writes = (0..300).map(|n| claim(&format!("{n}"), "1", seconds(2))).collect();
    rig.committed(writes).await?;
    rig.advance(Duration::from_secs(2));
    let mut steps = Vec::new();
    for _ in 0..5 {
        steps.push(rig.backend().sweep(shard()).await?);
    }
    same("steps", &steps, &vec![SWEEP_MAX, SWEEP_MAX, 300 - 2 * SWEEP_MAX, 0, 0])?;
    let mut gone: Vec<_> = Vec::new();
    for entry in rig.pull_all(shard(), None, 100).await?.iter().skip(1) {
        ensure!(entry.changes.len() <= SWEEP_MAX, "one step wrote {} changes", entry.changes.len());
        gone.extend(entry.changes.iter().map(|c| c.key.clone()));
    }
    gone.sort();
    gone.dedup();
    same("each expired once", &gone.len(), &300)
}

async fn a_claim_renewed_does_not_end_at_its_old_deadline(rig: &Rig) -> Result<(), Failed> {
    let token = rig.committed(vec![claim("a", "1", seconds(4)), claim("b", "1", seconds(4))]).await?;
    rig.pass(shard(), Duration::from_secs(2)).await?;
    let held = vec![Precondition::TokenIs(key("a"), token)];
    rig.commit(held, vec![claim("a", "2", seconds(4)), update("b", "2")]).await?;
    same("at the old deadline", &rig.pass(shard(), Duration::from_secs(2)).await?, &1)?;
    ensure!(rig.get("a").await?.is_some(), "what was renewed expired");
    ensure!(rig.get("b").await?.is_none(), "an update put the end off");
    same("at the new one", &rig.pass(shard(), Duration::from_secs(2)).await?, &1)
}

async fn a_keep_alive_writes_no_entry_and_puts_the_end_off(rig: &Rig) -> Result<(), Failed> {
    let id = SessionId(7);
    rig.backend().open_session(&acme(), id, 5000).await?;
    rig.committed(vec![claim("a", "1", hanging(7))]).await?;
    let before = rig.position(shard()).await?;
    for _ in 0..10 {
        same("expired", &rig.pass(shard(), Duration::from_secs(4)).await?, &0)?;
        ensure!(rig.backend().keep_alive(&acme(), id, 5000).await?, "a session that was kept alive ended");
    }
    same("the log", &rig.position(shard()).await?, &before)?;
    same("at its end", &rig.pass(shard(), Duration::from_secs(5)).await?, &1)?;
    ensure!(!rig.backend().keep_alive(&acme(), id, 5000).await?, "a session that ended is kept alive");
    ensure!(!rig.backend().keep_alive(&acme(), SessionId(8), 5000).await?, "a session that never was lives");
    Ok(())
}

async fn what_hangs_on_a_session_ends_with_it_in_bounded_steps(rig: &Rig) -> Result<(), Failed> {
    for id in [1, 2] {
        rig.backend().open_session(&acme(), SessionId(id), 60_000).await?;
        let writes = (0..200).map(|n| claim(&format!("{id}-{n}"), "1", hanging(id))).collect();
        rig.committed(writes).await?;
    }
    rig.backend().end_session(&acme(), SessionId(1)).await?;
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(rig.backend().sweep(shard()).await?);
    }
    same("steps", &steps, &vec![SWEEP_MAX, 200 - SWEEP_MAX, 0, 0])?;
    let left = rig.backend().list(shard()).await?.records;
    same("of the other session", &left.len(), &200)?;
    ensure!(left.iter().all(|r| r.key.key.starts_with("2-")), "another session's record ended");
    Ok(())
}

async fn what_no_longer_hangs_on_a_session_outlives_it(rig: &Rig) -> Result<(), Failed> {
    for id in [1, 2] {
        rig.backend().open_session(&acme(), SessionId(id), 60_000).await?;
    }
    let writes = ["put over", "claimed for a time", "of another", "hangs"].map(|k| claim(k, "1", hanging(1)));
    rig.committed(writes.into()).await?;
    rig.committed(vec![
        put("put over", "2"),
        claim("claimed for a time", "2", Until::After(Duration::from_secs(60))),
        claim("of another", "2", hanging(2)),
    ])
    .await?;
    rig.backend().end_session(&acme(), SessionId(1)).await?;
    same("ended", &rig.backend().sweep(shard()).await?, &1)?;
    let left: Vec<_> =
        rig.backend().list(shard()).await?.records.iter().map(|r| r.key.key.to_string()).collect();
    same("left", &left, &["claimed for a time", "of another", "put over"].map(String::from).to_vec())
}

async fn a_session_that_ended_stays_ended(rig: &Rig) -> Result<(), Failed> {
    let id = SessionId(3);
    rig.backend().open_session(&acme(), id, 60_000).await?;
    rig.backend().open_session(&acme(), id, 60_000).await?;
    rig.committed(vec![claim("a", "1", hanging(3))]).await?;
    rig.backend().end_session(&acme(), id).await?;
    ensure!(!rig.backend().keep_alive(&acme(), id, 60_000).await?, "kept alive after its end");
    match rig.backend().open_session(&acme(), id, 60_000).await {
        Err(Error::Invalid { .. }) => {}
        other => return Err(Failed(format!("opened again after its end: {other:?}"))),
    }
    let late = rig.commit(vec![Precondition::SessionLives(id)], vec![claim("b", "1", hanging(3))]).await?;
    refused(late)?;
    same("swept", &rig.backend().sweep(shard()).await?, &1)?;
    rig.backend().end_session(&acme(), SessionId(99)).await?;
    Ok(())
}

async fn a_process_is_registered_as_long_as_it_lives(rig: &Rig) -> Result<(), Failed> {
    let cell = tandem_domain::record::cell();
    let (here, there) = (SessionId(1), SessionId(2));
    for (session, name) in [(here, "routing-1"), (there, "routing-2")] {
        rig.backend().open_session(&cell, session, 6000).await?;
        let mut commit = rig.commit_of(vec![], vec![claim(name, "formats 1 to 1", Until::Session(session))]);
        commit.tenant = cell.clone();
        super::rig::revision(rig.send(&commit).await?)?;
    }
    for _ in 0..4 {
        rig.pass(Shard::CELL, Duration::from_secs(2)).await?;
        ensure!(rig.backend().keep_alive(&cell, here, 6000).await?, "a process that lives was given up");
    }
    let left: Vec<_> =
        rig.backend().list(Shard::CELL).await?.records.iter().map(|r| r.key.key.to_string()).collect();
    same("registered", &left, &vec!["routing-1".to_owned()])?;
    let last = rig.pull_all(Shard::CELL, None, 10).await?.pop().and_then(|e| e.changes.first().cloned());
    same(
        "and its end is a change",
        &last.map(|c| (c.key.key.to_string(), c.value)),
        &Some(("routing-2".into(), None)),
    )?;
    ensure!(Shard::of(&tenant("acme", 1)) != Shard::CELL, "a tenant lies in the reserved shard");
    Ok(())
}
