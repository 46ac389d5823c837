//! Commits: atomic, conditional, found again by their id, within limits, at revisions that grow.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{
    Rig, acme, claim, delete, goes_on, hanging, key, put, refused, revision, same, seconds, shard, tenant,
    update,
};
use super::{Case, Failed, ensure, promises};
use crate::types::{
    Cause, Commit, CommitId, Error, Fence, Key, LOG_AGE, Outcome, PARTS_MAX, PRECONDITIONS_MAX, Precondition,
    Pulled, REVISION_END, SessionId, Shard, TTL_MAX, Until, WRITES_MAX, What, Write,
};
use tandem_domain::id::Revision;

pub(super) fn cases() -> Vec<Case> {
    promises![
        an_acknowledged_commit_is_there,
        a_commit_is_all_or_nothing,
        a_precondition_that_does_not_hold_refuses_and_says_what_was_found,
        a_retry_finds_its_own_success,
        a_retry_after_the_log_was_cut_finds_its_own_success,
        a_retry_is_not_done_twice,
        a_request_over_a_limit_is_invalid_by_name,
        a_request_at_its_limit_is_taken,
        revisions_grow_and_keep_to_the_clock,
        of_writers_of_one_version_one_wins,
        tenants_and_incarnations_share_nothing,
        the_reserved_tenant_lies_apart,
    ]
}

async fn an_acknowledged_commit_is_there(rig: &Rig) -> Result<(), Failed> {
    for n in 0..50 {
        let commit = rig.commit_of(vec![], vec![put(&format!("{n}"), &format!("value {n}"))]);
        let done = revision(rig.send(&commit).await?)?;
        let Some(found) = rig.get(&format!("{n}")).await? else {
            return Err(Failed(format!("commit {n} was acknowledged and is not there")));
        };
        same("the value", &&*found.value, &format!("value {n}").as_bytes())?;
        same("the version", &found.version, &done)?;
        same("the commit", &found.commit, &commit.id)?;
        same("the token of what is no claim", &found.token, &None)?;
        same("the time of the write", &found.at, &rig.now())?;
    }
    let listing = rig.backend().list(shard()).await?;
    same("records listed", &listing.records.len(), &50)
}

async fn a_commit_is_all_or_nothing(rig: &Rig) -> Result<(), Failed> {
    let first = rig.committed(vec![put("a", "1"), put("b", "1"), put("c", "1")]).await?;
    for k in ["a", "b", "c"] {
        same("the version of each", &rig.get(k).await?.map(|r| r.version), &Some(first))?;
    }
    let before = rig.position(shard()).await?;
    let conditions = vec![Precondition::VersionIs(key("a"), first), Precondition::Absent(key("b"))];
    let writes = vec![put("a", "2"), delete("b"), put("d", "2")];
    let (at, found) = refused(rig.commit(conditions, writes).await?)?;
    same("which refused", &(at, found), &(1, Some(first)))?;
    same("what it would have written", &rig.get("a").await?.map(|r| r.version), &Some(first))?;
    ensure!(rig.get("b").await?.is_some(), "a refused commit deleted a record");
    ensure!(rig.get("d").await?.is_none(), "a refused commit wrote a record");
    same("the log", &rig.position(shard()).await?, &before)?;
    let entries = rig.pull_all(shard(), None, 10).await?;
    same("changes of the one entry", &entries.iter().map(|e| e.changes.len()).collect::<Vec<_>>(), &vec![3])
}

async fn a_precondition_that_does_not_hold_refuses_and_says_what_was_found(rig: &Rig) -> Result<(), Failed> {
    let there = rig.committed(vec![put("there", "1")]).await?;
    let token = rig.committed(vec![claim("claim", "1", seconds(60))]).await?;
    let version = rig.committed(vec![update("claim", "2")]).await?;
    rig.backend().open_session(&acme(), SessionId(1), 60_000).await?;
    let cell = tandem_domain::record::cell();
    let mut fence = rig.commit_of(vec![], vec![claim("fence", "1", seconds(60))]);
    fence.tenant = cell;
    let fenced = revision(rig.send(&fence).await?)?;
    let past = |r: Revision| Revision(r.0 - 1);
    let fence = |token| Precondition::FenceIs(Fence { key: key("fence"), token });
    for (precondition, expected) in [
        (Precondition::Absent(key("none")), Ok(())),
        (Precondition::Absent(key("there")), Err(Some(there))),
        (Precondition::VersionIs(key("there"), there), Ok(())),
        (Precondition::VersionIs(key("there"), past(there)), Err(Some(there))),
        (Precondition::VersionIs(key("none"), there), Err(None)),
        (Precondition::TokenIs(key("claim"), token), Ok(())),
        (Precondition::TokenIs(key("claim"), version), Err(Some(version))),
        (Precondition::TokenIs(key("claim"), past(token)), Err(Some(version))),
        (Precondition::TokenIs(key("there"), there), Err(Some(there))),
        (Precondition::TokenIs(key("none"), there), Err(None)),
        (Precondition::SessionLives(SessionId(1)), Ok(())),
        (Precondition::SessionLives(SessionId(2)), Err(None)),
        (fence(fenced), Ok(())),
        (fence(past(fenced)), Err(Some(fenced))),
    ] {
        let outcome = rig.commit(vec![precondition.clone()], vec![put("x", "1")]).await?;
        let got = match outcome {
            Outcome::Committed(_) => Ok(()),
            Outcome::Refused(r) if r.precondition == 0 => Err(r.found),
            other => return Err(Failed(format!("{precondition:?}: {other:?}"))),
        };
        same(&format!("{precondition:?}"), &got, &expected)?;
    }
    let unsaid = rig.commit(vec![], vec![claim("hangs", "1", hanging(2))]).await?;
    same("a claim on a session that is not there", &refused(unsaid)?, &(0, None))
}

async fn a_retry_finds_its_own_success(rig: &Rig) -> Result<(), Failed> {
    let first = rig.commit_of(vec![Precondition::Absent(key("a"))], vec![put("a", "1")]);
    let done = rig.send(&first).await?;
    same("the retry", &rig.send(&first).await?, &done)?;
    let another = Commit { id: rig.id(), ..first.clone() };
    refused(rig.send(&another).await?)?;
    // Also when another commit has since written over it, and when it left nothing behind.
    rig.committed(vec![put("a", "2")]).await?;
    same("the retry of what was written over", &rig.send(&first).await?, &done)?;
    same("what was written over", &rig.get("a").await?.map(|r| r.value.to_vec()), &Some(b"2".to_vec()))?;
    let gone = rig.commit_of(vec![], vec![delete("a")]);
    let done = rig.send(&gone).await?;
    rig.committed(vec![put("a", "3")]).await?;
    same("the retry of a deletion", &rig.send(&gone).await?, &done)?;
    ensure!(rig.get("a").await?.is_some(), "a retried deletion deleted what was written after it");
    // A commit that was refused did not happen: the same id may succeed later.
    let mut late = rig.commit_of(vec![Precondition::Absent(key("a"))], vec![put("a", "4")]);
    refused(rig.send(&late).await?)?;
    late.preconditions.clear();
    revision(rig.send(&late).await?)?;
    Ok(())
}

async fn a_retry_after_the_log_was_cut_finds_its_own_success(rig: &Rig) -> Result<(), Failed> {
    let first = rig.commit_of(vec![Precondition::Absent(key("a"))], vec![put("a", "1"), put("b", "1")]);
    let done = rig.send(&first).await?;
    // One of its records is written over: the other still says whose it is.
    rig.committed(vec![put("a", "2")]).await?;
    rig.pass(shard(), LOG_AGE + Duration::from_secs(60)).await?;
    for n in 0..3 {
        rig.committed(vec![put("c", &n.to_string())]).await?;
    }
    let log = rig.backend().pull(shard(), None, 1).await?;
    same("the log", &log, &Pulled::Resync(Cause::Compacted))?;
    let last = rig.position(shard()).await?;
    same("the retry", &rig.send(&first).await?, &done)?;
    same("the log after it", &rig.position(shard()).await?, &last)
}

async fn a_retry_is_not_done_twice(rig: &Rig) -> Result<(), Failed> {
    let commit = rig.commit_of(vec![], vec![put("a", "1")]);
    rig.send(&commit).await?;
    // At once, as after a lost reply, and several of them.
    let backend = rig.backend();
    let retries: Vec<_> = (0..8)
        .map(|_| {
            let (backend, commit) = (Arc::clone(&backend), commit.clone());
            tokio::spawn(async move { backend.commit(commit).await })
        })
        .collect();
    for retry in retries {
        let answer = retry.await.map_err(|e| Failed(e.to_string()))??;
        ensure!(matches!(answer, Outcome::Committed(_)), "a retry was not found: {answer:?}");
    }
    let entries = rig.pull_all(shard(), None, 10).await?;
    same("entries of a commit asked nine times", &entries.len(), &1)
}

fn writes(n: usize, bytes: usize) -> Vec<Write> {
    let value: Arc<[u8]> = vec![b'x'; bytes].into();
    (0..n).map(|i| Write { key: key(&format!("{i:06}")), what: What::Put(Arc::clone(&value)) }).collect()
}

async fn a_request_over_a_limit_is_invalid_by_name(rig: &Rig) -> Result<(), Failed> {
    let twice = vec![put("a", "1"), delete("a")];
    let long = vec![Write { key: Key::new(3, &"k".repeat(513)), what: What::Delete }];
    let conditions = vec![Precondition::Absent(key("a")); PRECONDITIONS_MAX + 1];
    let forever = TTL_MAX + Duration::from_secs(1);
    for (what, commit) in [
        ("without writes", rig.commit_of(vec![], vec![])),
        ("513 writes", rig.commit_of(vec![], writes(WRITES_MAX + 1, 1))),
        ("bytes in one commit", rig.commit_of(vec![], writes(2, 512 * 1024))),
        ("written twice", rig.commit_of(vec![], twice)),
        ("a key of 513 bytes", rig.commit_of(vec![], long)),
        ("513 preconditions", rig.commit_of(conditions, vec![put("a", "1")])),
        ("a claim of", rig.commit_of(vec![], vec![claim("a", "1", Until::After(forever))])),
    ] {
        invalid(what, rig.backend().commit(commit).await)?;
    }
    let mut traced = rig.commit_of(vec![], vec![put("a", "1")]);
    traced.trace = Some("0".repeat(129).into());
    invalid("a trace", rig.backend().commit(traced).await)?;
    invalid("a session of", rig.backend().open_session(&acme(), SessionId(1), u32::MAX).await)?;
    let staged = |part, writes| {
        let backend = rig.backend();
        async move { backend.stage(&acme(), 1, part, writes).await }
    };
    invalid("part 4096", staged(PARTS_MAX, vec![put("a", "1")]).await)?;
    invalid("without writes", staged(0, vec![]).await)?;
    invalid("a staged claim", staged(0, vec![claim("a", "1", seconds(1))]).await)?;
    invalid("513 writes", staged(0, writes(WRITES_MAX + 1, 1)).await)?;
    let turn = rig.backend().turn_over(rig.commit_of(vec![], vec![]), 1, 0).await;
    invalid("a generation of no parts", turn)?;
    ensure!(rig.position(shard()).await?.is_none(), "an invalid request left an entry in the log");
    Ok(())
}

fn invalid<T>(what: &str, answer: Result<T, Error>) -> Result<(), Failed> {
    match answer {
        Err(error @ Error::Invalid { .. }) => {
            ensure!(error.to_string().contains(what), "{what:?} is not named: {error}");
            ensure!(!error.retryable(), "{what:?} is said to be worth a retry");
            Ok(())
        }
        Err(other) => Err(Failed(format!("{what:?} is not invalid: {other}"))),
        Ok(_) => Err(Failed(format!("{what:?} was taken"))),
    }
}

async fn a_request_at_its_limit_is_taken(rig: &Rig) -> Result<(), Failed> {
    rig.committed(writes(WRITES_MAX, 1)).await?;
    let largest = 1024 * 1024 - 2 * 6;
    rig.committed(writes(2, largest / 2)).await?;
    rig.committed(vec![Write { key: Key::new(3, &"k".repeat(512)), what: What::Put((*b"x").into()) }])
        .await?;
    rig.committed(vec![claim("claim", "1", Until::After(TTL_MAX))]).await?;
    let listing = rig.backend().list(shard()).await?;
    same("records", &listing.records.len(), &(WRITES_MAX + 2))
}

async fn revisions_grow_and_keep_to_the_clock(rig: &Rig) -> Result<(), Failed> {
    let start = rig.now();
    let first = rig.committed(vec![put("a", "1")]).await?;
    same("the first is the clock's", &first, &Revision(start))?;
    let second = rig.committed(vec![put("a", "2")]).await?;
    same("while the clock stands, the next", &second.0, &(first.0 + 1))?;
    rig.advance(Duration::from_secs(1));
    same("and the clock's again", &rig.committed(vec![put("a", "3")]).await?, &Revision(rig.now()))?;
    let last = rig.now();
    rig.set_clock(start - 1_000_000);
    goes_on("a clock set back", last, rig.committed(vec![put("a", "4")]).await?)?;
    rig.set_clock(u64::MAX / 2);
    let mad = rig.committed(vec![put("a", "5")]).await?;
    ensure!(mad.0 < REVISION_END, "a mad clock made revision {mad}");
    rig.set_clock(start);
    let after = rig.committed(vec![put("a", "6")]).await?;
    goes_on("after a mad clock", mad.0, after)
}

async fn of_writers_of_one_version_one_wins(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("count", "0")]).await?;
    let mut tasks = Vec::new();
    for writer in 0..8_u128 {
        let backend = rig.backend();
        tasks.push(tokio::spawn(async move {
            let mut won = 0_u64;
            for round in 0..20_u128 {
                let Ok(Some(found)) = backend.get(&acme(), &key("count")).await else { return Err(()) };
                let count: u64 =
                    std::str::from_utf8(&found.value).ok().and_then(|v| v.parse().ok()).ok_or(())?;
                let commit = Commit {
                    tenant: acme(),
                    id: CommitId(1_000_000 + writer * 1000 + round),
                    preconditions: vec![Precondition::VersionIs(key("count"), found.version)],
                    writes: vec![put("count", &(count + 1).to_string())],
                    durability: crate::types::Durability::Local,
                    trace: None,
                };
                if matches!(backend.commit(commit).await, Ok(Outcome::Committed(_))) {
                    won += 1;
                }
            }
            Ok(won)
        }));
    }
    let mut won = 0;
    for task in tasks {
        won += task.await.map_err(|e| Failed(e.to_string()))?.map_err(|()| Failed("a read failed".into()))?;
    }
    let count = rig.get("count").await?.map(|r| String::from_utf8_lossy(&r.value).into_owned());
    same("the count against the commits that won", &count, &Some(won.to_string()))?;
    same("entries", &rig.pull_all(shard(), None, 100).await?.len(), &(won as usize + 1))
}

async fn tenants_and_incarnations_share_nothing(rig: &Rig) -> Result<(), Failed> {
    let tenants = [tenant("acme", 1), tenant("acme", 2), tenant("acme-2", 1), tenant("globex", 1)];
    for (n, tenant) in tenants.iter().enumerate() {
        let mut commit = rig.commit_of(vec![Precondition::Absent(key("a"))], vec![put("a", &n.to_string())]);
        commit.tenant = tenant.clone();
        revision(rig.send(&commit).await?)?;
        rig.backend().open_session(tenant, SessionId(1), 1000 * (1 + n as u32)).await?;
    }
    for (n, tenant) in tenants.iter().enumerate() {
        let found = rig.backend().get(tenant, &key("a")).await?;
        same("its own value", &found.map(|f| f.value.to_vec()), &Some(n.to_string().into_bytes()))?;
        let listing = rig.backend().list(Shard::of(tenant)).await?;
        let own = listing.records.iter().filter(|r| r.tenant == *tenant).count();
        same("its own records", &own, &1)?;
        ensure!(Shard::of(tenant).0 < crate::types::SHARDS, "a tenant lies where the reserved one does");
    }
    rig.backend().end_session(&tenants[0], SessionId(1)).await?;
    let lives = rig.backend().keep_alive(&tenants[1], SessionId(1), 1000).await?;
    ensure!(lives, "a session ended with that of another incarnation");
    Ok(())
}

async fn the_reserved_tenant_lies_apart(rig: &Rig) -> Result<(), Failed> {
    let cell = tandem_domain::record::cell();
    let mut commit = rig.commit_of(vec![], vec![put("a", "1")]);
    commit.tenant = cell.clone();
    revision(rig.send(&commit).await?)?;
    same("its shard", &Shard::of(&cell), &Shard::CELL)?;
    same("all shards", &Shard::all().count(), &Shard::COUNT)?;
    let positions = rig.backend().positions().await?;
    same("what moved", &positions.iter().map(|(s, _)| *s).collect::<Vec<_>>(), &vec![Shard::CELL])?;
    same("its records", &rig.backend().list(Shard::CELL).await?.records.len(), &1)
}
