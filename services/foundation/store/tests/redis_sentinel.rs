//! Behind Sentinels: the primary is killed, and another takes its place.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::sync::Arc;

use servers::rig::{LONG, committed, fence, local, open, put, replicated, revision, until, value};
use servers::sentinel::Watched;
use tandem_store::redis::Settings;
use tandem_store::{Backend, Commit, Durability, Outcome};

fn patient(watched: &Watched) -> Settings {
    Settings { write_within: LONG, ..watched.settings() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_replicated_commit_is_lost_when_the_primary_is_killed() {
    let mut watched = Watched::start().await;
    let store = open(patient(&watched));
    store.check().await.unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        for n in 0..20 {
            let at = format!("{round}-{n}");
            let commit = replicated(vec![put(&at, "1")]);
            acknowledged.push((at, revision(store.commit(commit.clone()).await), commit.id));
        }
        let primary = watched.primary().unwrap();
        watched.servers[primary].kill();
        // Without being told: looked up anew, and written to as soon as it can be.
        let at = format!("{round}-after");
        let commit = replicated(vec![put(&at, "1")]);
        acknowledged.push((at, committed(&store, commit.clone()).await, commit.id));
        watched.servers[primary].again();
        let good = || async {
            watched.primary().is_some_and(|at| {
                let said = watched.servers[at].cli(&["INFO", "replication"]);
                said.contains("min_slaves_good_slaves:2")
            })
        };
        until("two replicas again", good).await;
    }
    for (at, revision, id) in acknowledged {
        let found = store.get(&servers::rig::acme(), &servers::rig::key(&at)).await.unwrap();
        assert_eq!(found.map(|f| (f.version, f.commit)), Some((revision, id)), "{at} was acknowledged");
    }
    let revisions: Vec<_> = servers::rig::log(&store).await.iter().map(|e| e.revision).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b));
}

/// A commit on a primary that was cut off: a local one is lost with it, and its follower is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_lacks_what_was_seen_is_noticed() {
    use tandem_store::{Followed, Follower};
    let mut watched = Watched::start().await;
    let store = open(patient(&watched));
    committed(&store, replicated(vec![put("a", "kept")])).await;
    let mut follower = Follower::new(Arc::new(store.clone()));
    while follower.next().await.unwrap() != Followed::Synchronised {}
    let primary = watched.primary().unwrap();
    let replicas: Vec<usize> = (0..3).filter(|n| *n != primary).collect();
    // Nothing reaches the replicas any more, and the primary goes on.
    replicas.iter().for_each(|n| watched.servers[*n].signal("STOP"));
    watched.servers[primary].cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    watched.servers[primary].cli(&["CLIENT", "KILL", "TYPE", "replica"]);
    revision(store.commit(local(vec![], vec![put("a", "lost")])).await);
    let seen = async {
        loop {
            if let Ok(Followed::Entries(..)) = follower.next().await {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, seen).await.unwrap();
    watched.servers[primary].kill();
    replicas.iter().for_each(|n| watched.servers[*n].signal("CONT"));
    let told = async {
        let mut cause = None;
        loop {
            match follower.next().await {
                Ok(Followed::Resync(_, why)) => cause = Some(why),
                Ok(Followed::Listed(_, listing)) if cause.is_some() => return (cause, listing),
                _ => {}
            }
        }
    };
    let (cause, listing) = tokio::time::timeout(LONG, told).await.unwrap();
    assert_eq!(cause, Some(tandem_store::Cause::Diverged));
    assert_eq!(listing.records.iter().map(|r| &*r.value).collect::<Vec<_>>(), [b"kept"]);
    assert_eq!(value(&store, "a").await.as_deref(), Some("kept"));
}

/// What was told to shards of the primary that died is told again to the one that took its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_holds_over_a_failover() {
    let mut watched = Watched::start().await;
    let (first, second) = (open(patient(&watched)), open(patient(&watched)));
    let cell = tandem_domain::record::cell();
    let lease = || Commit {
        tenant: cell.clone(),
        durability: Durability::Replicated,
        ..local(vec![], vec![servers::rig::claim("lease", tandem_store::Until::After(LONG * 10))])
    };
    let old = committed(&first, lease()).await;
    let fenced = |token, at: &str| Commit {
        durability: Durability::Replicated,
        ..local(vec![fence("lease", token)], vec![put(at, "1")])
    };
    committed(&first, fenced(old, "a")).await;
    let new = committed(&second, lease()).await;
    let primary = watched.primary().unwrap();
    watched.servers[primary].kill();
    committed(&second, fenced(new, "b")).await;
    let refused = first.commit(fenced(old, "c")).await;
    assert!(matches!(refused, Ok(Outcome::Refused(_))), "{refused:?}");
}

/// What waits for its answer there is not left to wait: it is asked of the one that took its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_primary_that_stands_still_is_done_by_the_one_that_took_its_place() {
    let watched = Watched::start().await;
    let store = open(patient(&watched));
    committed(&store, replicated(vec![put("a", "before")])).await;
    watched.servers[watched.primary().unwrap()].signal("STOP");
    let kinds = [local(vec![], vec![put("a", "local")]), replicated(vec![put("b", "replicated")])];
    let [a, b] = kinds.map(|commit| store.commit(commit));
    let (a, b) = tokio::join!(a, b);
    assert!(matches!((&a, &b), (Ok(Outcome::Committed(_)), Ok(Outcome::Committed(_)))), "{a:?} {b:?}");
}
