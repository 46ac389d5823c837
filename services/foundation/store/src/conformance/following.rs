//! The log: every change in order, once; an inclusive pull; bounds, and what lies beyond them.

use std::sync::Arc;
use std::time::Duration;

use super::rig::{Rig, acme, delete, key, put, revision, same, shard, tenant};
use super::{Case, Failed, ensure, promises};
use crate::follow::{Followed, Follower};
use crate::types::{
    Cause, CommitId, LOG_AGE, LOG_BYTES_MAX, PULL_BYTES_MAX, Position, Pulled, Shard, What, Write,
};
use tandem_domain::id::Revision;

/// How long a follower may take to show what is there. Far more than it needs, for machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn cases() -> Vec<Case> {
    promises![
        every_change_is_in_the_log_in_order_once,
        a_pull_begins_after_a_position_that_is_there,
        a_position_that_never_was_is_resynchronised,
        an_idle_log_keeps_what_every_follower_saw_last,
        a_log_is_cut_by_age_and_who_lags_is_told,
        a_log_is_cut_by_bytes_and_who_lags_is_told,
        a_pull_is_bounded_and_brings_at_least_one,
        a_listing_and_its_position_fit,
        a_follower_lists_then_shows_every_change,
        a_follower_notices_what_no_hint_said,
        what_changed_is_hinted_at,
        a_follower_that_saw_what_the_store_never_had_is_shown_what_there_is,
        a_follower_shows_a_lagging_shard_anew,
    ]
}

pub(super) async fn next(follower: &mut Follower) -> Result<Followed, Failed> {
    match tokio::time::timeout(PATIENCE, follower.next()).await {
        Ok(followed) => Ok(followed?),
        Err(_) => Err(Failed("a follower waits for what it should have been shown".into())),
    }
}

pub(super) async fn synchronised(rig: &Rig) -> Result<(Follower, usize), Failed> {
    let mut follower = Follower::new(rig.backend());
    let mut records = 0;
    let mut shards = 0;
    loop {
        match next(&mut follower).await? {
            Followed::Listed(_, listing) => {
                shards += 1;
                records += listing.records.len();
            }
            Followed::Synchronised => break,
            other => return Err(Failed(format!("before the listing was whole: {other:?}"))),
        }
    }
    same("shards listed", &shards, &Shard::COUNT)?;
    Ok((follower, records))
}

async fn every_change_is_in_the_log_in_order_once(rig: &Rig) -> Result<(), Failed> {
    let mut expected = Vec::new();
    for n in 0..20 {
        rig.advance(Duration::from_millis(1));
        let mut commit = rig.commit_of(vec![], vec![put("b", &n.to_string()), delete("a"), put("c", "1")]);
        commit.trace = (n % 2 == 0).then(|| format!("00-{n:032x}-{n:016x}-01").into());
        let done = revision(rig.send(&commit).await?)?;
        expected.push((done, commit.id, rig.now(), commit.trace.clone()));
    }
    let entries = rig.pull_all(shard(), None, 7).await?;
    let got: Vec<_> = entries.iter().map(|e| (e.revision, e.commit, e.at, e.trace.clone())).collect();
    same("revisions, commits, times and traces", &got, &expected)?;
    for (n, entry) in entries.iter().enumerate() {
        same("the tenant", &entry.tenant, &acme())?;
        let changes: Vec<_> = entry.changes.iter().map(|c| (&*c.key.key, c.value.as_deref())).collect();
        let value = n.to_string();
        let written = vec![("b", Some(value.as_bytes())), ("a", None), ("c", Some(&b"1"[..]))];
        same("changes in the order of the writes", &changes, &written)?;
        ensure!(!entry.more, "a commit alone says that more follows");
    }
    Ok(())
}

fn position(revision: Revision, commit: CommitId) -> Position {
    Position { revision, commit }
}

async fn a_pull_begins_after_a_position_that_is_there(rig: &Rig) -> Result<(), Failed> {
    let nothing = rig.backend().pull(shard(), None, 10).await?;
    same("a shard that was never written", &nothing, &Pulled::Entries(vec![]))?;
    let mut all = Vec::new();
    for n in 0..5 {
        let commit = rig.commit_of(vec![], vec![put("a", &n.to_string())]);
        all.push(position(revision(rig.send(&commit).await?)?, commit.id));
    }
    for (n, at) in all.iter().enumerate() {
        let rest = rig.pull_all(shard(), Some(*at), 10).await?;
        let got: Vec<_> = rest.iter().map(|e| position(e.revision, e.commit)).collect();
        same("what came after", &got, &all[n + 1..].to_vec())?;
    }
    same("the last position", &rig.position(shard()).await?, &all.last().copied())?;
    ensure!(rig.backend().list(shard()).await?.position == all.last().copied(), "a listing is elsewhere");
    Ok(())
}

async fn a_position_that_never_was_is_resynchronised(rig: &Rig) -> Result<(), Failed> {
    let commit = rig.commit_of(vec![], vec![put("a", "1")]);
    let first = revision(rig.send(&commit).await?)?;
    rig.advance(Duration::from_secs(1));
    let second = rig.commit_of(vec![], vec![put("a", "2")]);
    let last = revision(rig.send(&second).await?)?;
    for (what, at) in [
        ("another commit at a revision that is there", position(first, CommitId(999))),
        ("another commit at the last revision", position(last, CommitId(999))),
        ("a revision between two", position(Revision(first.0 + 1), commit.id)),
        ("a revision that is not there yet", position(Revision(last.0 + 1), second.id)),
    ] {
        let pulled = rig.backend().pull(shard(), Some(at), 10).await?;
        same(what, &pulled, &Pulled::Resync(Cause::Diverged))?;
    }
    let elsewhere = Shard::of(&tenant("globex", 1));
    ensure!(elsewhere != shard(), "two tenants of this suite share a shard");
    let pulled = rig.backend().pull(elsewhere, Some(position(first, commit.id)), 10).await?;
    same("an empty store", &pulled, &Pulled::Resync(Cause::Diverged))
}

/// Lets shard time pass with commits elsewhere than what is asked of: by sweeps, which write nothing here.
async fn idle(rig: &Rig, time: Duration) -> Result<(), Failed> {
    rig.pass(shard(), time).await.map(|_| ())
}

async fn an_idle_log_keeps_what_every_follower_saw_last(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("a", "1")]).await?;
    let seen = rig.position(shard()).await?;
    for _ in 0..2 {
        idle(rig, LOG_AGE + Duration::from_secs(60)).await?;
    }
    rig.committed(vec![put("a", "2")]).await?;
    let entries = rig.pull_all(shard(), seen, 10).await?;
    same("the first commit after an idle time", &entries.len(), &1)?;
    rig.committed(vec![put("a", "3")]).await?;
    same("and the next", &rig.pull_all(shard(), seen, 10).await.map(|e| e.len()).unwrap_or(2), &2)
}

async fn a_log_is_cut_by_age_and_who_lags_is_told(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("a", "1")]).await?;
    let first = rig.position(shard()).await?;
    rig.committed(vec![put("a", "2")]).await?;
    let second = rig.position(shard()).await?;
    idle(rig, LOG_AGE - Duration::from_secs(60)).await?;
    rig.committed(vec![put("a", "3")]).await?;
    same("inside the bound", &rig.pull_all(shard(), first, 10).await?.len(), &2)?;
    idle(rig, Duration::from_secs(120)).await?;
    rig.committed(vec![put("a", "4")]).await?;
    let cut = Pulled::Resync(Cause::Compacted);
    same("beyond it", &rig.backend().pull(shard(), first, 10).await?, &cut)?;
    same("and the one after", &rig.backend().pull(shard(), second, 10).await?, &cut)?;
    same("who never saw anything", &rig.backend().pull(shard(), None, 10).await?, &cut)?;
    same("what is kept", &rig.backend().stats().await?.log_entries, &2)
}

/// A write of about 1 MB.
fn large(at: &str) -> Write {
    Write { key: key(at), what: What::Put(vec![b'x'; 1_000_000].into()) }
}

async fn a_log_is_cut_by_bytes_and_who_lags_is_told(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![large("0")]).await?;
    let first = rig.position(shard()).await?;
    let fit = (LOG_BYTES_MAX / 1_000_100) as usize;
    for n in 1..fit {
        rig.committed(vec![large(&(n % 4).to_string())]).await?;
    }
    same("at the bound", &rig.pull_all(shard(), first, 100).await?.len(), &(fit - 1))?;
    rig.committed(vec![large("0")]).await?;
    rig.committed(vec![large("0")]).await?;
    let pulled = rig.backend().pull(shard(), first, 1).await?;
    same("beyond it", &pulled, &Pulled::Resync(Cause::Compacted))?;
    let held = rig.backend().stats().await?.log_bytes;
    ensure!(held <= LOG_BYTES_MAX, "the log holds {held} bytes");
    Ok(())
}

async fn a_pull_is_bounded_and_brings_at_least_one(rig: &Rig) -> Result<(), Failed> {
    for n in 0..9 {
        rig.committed(vec![large(&n.to_string())]).await?;
    }
    let Pulled::Entries(entries) = rig.backend().pull(shard(), None, 3).await? else {
        return Err(Failed("a log that was never cut is resynchronised".into()));
    };
    same("at most as many as asked", &entries.len(), &3)?;
    let Pulled::Entries(entries) = rig.backend().pull(shard(), None, 100).await? else {
        return Err(Failed("a log that was never cut is resynchronised".into()));
    };
    let bytes: usize =
        entries.iter().flat_map(|e| e.changes.iter()).filter_map(|c| c.value.as_ref()).map(|v| v.len()).sum();
    ensure!(bytes as u64 <= PULL_BYTES_MAX, "a pull brought {bytes} bytes");
    same(
        "at least one",
        &matches!(rig.backend().pull(shard(), None, 0).await?, Pulled::Entries(e) if e.len() == 1),
        &true,
    )?;
    same("and in the end all", &rig.pull_all(shard(), None, 100).await?.len(), &9)
}

async fn a_listing_and_its_position_fit(rig: &Rig) -> Result<(), Failed> {
    let empty = rig.backend().list(shard()).await?;
    same("an empty shard", &(empty.records.len(), empty.position), &(0, None))?;
    let mut expected = Vec::new();
    for n in 0..30 {
        rig.committed(vec![put(&format!("{n:02}"), "x")]).await?;
        expected.push(format!("{n:02}"));
    }
    rig.committed(vec![delete("07")]).await?;
    expected.remove(7);
    let listing = rig.backend().list(shard()).await?;
    let got: Vec<_> = listing.records.iter().map(|r| r.key.key.to_string()).collect();
    same("records in the order of their keys", &got, &expected)?;
    same("nothing after it", &rig.pull_all(shard(), listing.position, 10).await?.len(), &0)?;
    for record in &listing.records {
        let found = rig.backend().get(&record.tenant, &record.key).await?;
        same("listed as read", &found.as_ref(), &Some(record))?;
    }
    Ok(())
}

async fn a_follower_lists_then_shows_every_change(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("a", "1"), put("b", "1")]).await?;
    let (mut follower, records) = synchronised(rig).await?;
    same("records listed", &records, &2)?;
    let mut expected = Vec::new();
    for n in 0..10 {
        expected.push(rig.committed(vec![put("a", &n.to_string())]).await?);
    }
    let mut shown = Vec::new();
    while shown.len() < expected.len() {
        match next(&mut follower).await? {
            Followed::Entries(of, entries) => {
                same("the shard", &of, &shard())?;
                shown.extend(entries.iter().map(|e| e.revision));
            }
            other => return Err(Failed(format!("a follower that is up to date was shown {other:?}"))),
        }
    }
    same("every change in order, once", &shown, &expected)
}

async fn a_follower_notices_what_no_hint_said(rig: &Rig) -> Result<(), Failed> {
    let (mut follower, _) = synchronised(rig).await?;
    // What happened in another process is hinted elsewhere: a follower whose hints are all taken by somebody else.
    follower.deafen();
    let done = rig.committed(vec![put("a", "1")]).await?;
    match next(&mut follower).await? {
        Followed::Entries(_, entries) => {
            same("what was shown", &entries.iter().map(|e| e.revision).collect::<Vec<_>>(), &vec![done])
        }
        other => Err(Failed(format!("instead of the change: {other:?}"))),
    }
}

async fn what_changed_is_hinted_at(rig: &Rig) -> Result<(), Failed> {
    let (mut follower, _) = synchronised(rig).await?;
    follower.only_by_hints();
    // One hint may be lost; that all of thirty are is no accident.
    for n in 0..30 {
        rig.committed(vec![put("a", &n.to_string())]).await?;
        if let Ok(shown) = tokio::time::timeout(Duration::from_secs(1), follower.next()).await {
            ensure!(matches!(shown?, Followed::Entries(of, _) if of == shard()), "something else was shown");
            return Ok(());
        }
    }
    Err(Failed("thirty commits were not hinted at".into()))
}

async fn a_follower_that_saw_what_the_store_never_had_is_shown_what_there_is(
    rig: &Rig,
) -> Result<(), Failed> {
    rig.committed(vec![put("a", "1")]).await?;
    let (mut follower, _) = synchronised(rig).await?;
    rig.committed(vec![put("b", "1")]).await?;
    ensure!(matches!(next(&mut follower).await?, Followed::Entries(..)), "a change was not shown");
    // A primary that was elected without what was seen: its history parted from this one's.
    let primary = rig.another().await;
    revision(primary.commit(rig.commit_of(vec![], vec![put("c", "1")])).await?)?;
    follower.turn_to(Arc::clone(&primary));
    same("first it says so", &next(&mut follower).await?, &Followed::Resync(shard(), Cause::Diverged))?;
    let Followed::Listed(of, listing) = next(&mut follower).await? else {
        return Err(Failed("a resynchronisation without a listing".into()));
    };
    let keys: Vec<_> = listing.records.iter().map(|r| &*r.key.key).collect();
    same("then what there is", &(of, keys), &(shard(), vec!["c"]))?;
    let done = revision(primary.commit(rig.commit_of(vec![], vec![put("d", "1")])).await?)?;
    match next(&mut follower).await? {
        Followed::Entries(_, entries) => {
            let shown: Vec<_> = entries.iter().map(|e| e.revision).collect();
            same("and every change again", &shown, &vec![done])
        }
        other => Err(Failed(format!("after the listing: {other:?}"))),
    }
}

async fn a_follower_shows_a_lagging_shard_anew(rig: &Rig) -> Result<(), Failed> {
    rig.committed(vec![put("a", "1")]).await?;
    let (mut follower, _) = synchronised(rig).await?;
    rig.committed(vec![put("b", "1")]).await?;
    idle(rig, LOG_AGE + Duration::from_secs(60)).await?;
    for n in 0..3 {
        rig.committed(vec![put("c", &n.to_string())]).await?;
    }
    same("first it says so", &next(&mut follower).await?, &Followed::Resync(shard(), Cause::Compacted))?;
    let Followed::Listed(of, listing) = next(&mut follower).await? else {
        return Err(Failed("a resynchronisation without a listing".into()));
    };
    same("then what there is", &(of, listing.records.len()), &(shard(), 3))?;
    let done = rig.committed(vec![put("d", "1")]).await?;
    match next(&mut follower).await? {
        Followed::Entries(_, entries) => same(
            "and every change again",
            &entries.iter().map(|e| e.revision).collect::<Vec<_>>(),
            &vec![done],
        ),
        other => Err(Failed(format!("after the listing: {other:?}"))),
    }
}
