//! Followers of a Redis that lost what they saw: each ends in `Resync` and is shown what there is.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::sync::Arc;

use servers::Server;
use servers::rig::{LONG, committed, local, open, put, shard, single, until};
use tandem_store::redis::Redis;
use tandem_store::{Backend, Cause, Error, Followed, Follower, Precondition, SessionId};

/// What a follower shows next of its shard; what it cannot read now it asks for again.
async fn next(follower: &mut Follower) -> Followed {
    let showing = async {
        loop {
            match follower.next().await {
                Ok(followed) => return followed,
                Err(Error::Unavailable(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(LONG, showing).await.unwrap()
}

/// A follower that was shown everything.
async fn following(store: &Redis) -> Follower {
    let mut follower = Follower::new(Arc::new(store.clone()));
    while next(&mut follower).await != Followed::Synchronised {}
    follower
}

/// Waits until it was shown one change of `a`.
async fn shown(follower: &mut Follower, value: &str) {
    loop {
        if let Followed::Entries(of, entries) = next(follower).await
            && of == shard()
        {
            let last = entries.last().and_then(|e| e.changes.last()).and_then(|c| c.value.clone());
            if last.as_deref() == Some(value.as_bytes()) {
                return;
            }
        }
    }
}

/// Waits until it must list its shard anew, and answers why and what it was shown then.
async fn resynced(follower: &mut Follower) -> (Cause, Vec<String>) {
    let mut cause = None;
    loop {
        match next(follower).await {
            Followed::Resync(of, why) if of == shard() => cause = Some(why),
            Followed::Listed(of, listing) if of == shard() => {
                let values = listing.records.iter().map(|r| String::from_utf8_lossy(&r.value).into_owned());
                return (cause.unwrap(), values.collect());
            }
            _ => {}
        }
    }
}

fn saved(server: &Server) -> Vec<u8> {
    assert_eq!(server.cli(&["SAVE"]), "OK");
    std::fs::read(server.dir().join("dump.rdb")).unwrap()
}

fn restore(server: &mut Server, copy: &[u8]) {
    server.kill();
    std::fs::write(server.dir().join("dump.rdb"), copy).unwrap();
    server.again();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_restored_is_noticed_and_shown() {
    let mut server = Server::start(&["--appendonly", "no"]);
    let store = open(single(server.port, LONG));
    committed(&store, local(vec![], vec![put("a", "old")])).await;
    let copy = saved(&server);
    let mut follower = following(&store).await;
    committed(&store, local(vec![], vec![put("a", "new")])).await;
    shown(&mut follower, "new").await;
    restore(&mut server, &copy);
    // Nobody has written since: the store alone says it.
    assert_eq!(resynced(&mut follower).await, (Cause::Diverged, vec!["old".to_owned()]));
    committed(&store, local(vec![], vec![put("a", "newer")])).await;
    shown(&mut follower, "newer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_history_is_noticed_and_shown() {
    let mut server = Server::start(&["--appendonly", "no"]);
    let store = open(single(server.port, LONG));
    committed(&store, local(vec![], vec![put("a", "old")])).await;
    let copy = saved(&server);
    let mut follower = following(&store).await;
    committed(&store, local(vec![], vec![put("a", "lost")])).await;
    shown(&mut follower, "lost").await;
    restore(&mut server, &copy);
    // Somebody has: a log that goes on as if nothing were missing.
    for n in 0..3 {
        committed(&open(single(server.port, LONG)), local(vec![], vec![put("a", &n.to_string())])).await;
    }
    let (cause, values) = resynced(&mut follower).await;
    assert_eq!(cause, Cause::Diverged);
    assert_eq!(values.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_store_is_noticed_and_owners_are_told() {
    let server = Server::start(&["--appendonly", "no"]);
    let store = open(single(server.port, LONG));
    let session = SessionId(7);
    store.open_session(&servers::rig::acme(), session, 60_000).await.unwrap();
    committed(&store, local(vec![Precondition::SessionLives(session)], vec![put("a", "1")])).await;
    let mut follower = following(&store).await;
    server.cli(&["FLUSHALL"]);
    assert_eq!(resynced(&mut follower).await, (Cause::Diverged, vec![]));
    // Whoever owned something learns that it is no more, and asserts it again.
    assert!(!store.keep_alive(&servers::rig::acme(), session, 60_000).await.unwrap());
    store.open_session(&servers::rig::acme(), session, 60_000).await.unwrap();
    committed(&store, local(vec![], vec![put("a", "again")])).await;
    shown(&mut follower, "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_started_again_goes_on_where_it_was() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = open(single(server.port, LONG));
    committed(&store, local(vec![], vec![put("a", "1")])).await;
    let mut follower = following(&store).await;
    for n in 2..5 {
        server.kill();
        until("reads fail", || async { store.positions().await.is_err() }).await;
        server.again();
        // Without being told of it: the store finds its way back.
        committed(&store, local(vec![], vec![put("a", &n.to_string())])).await;
        shown(&mut follower, &n.to_string()).await;
    }
    assert_eq!(servers::rig::log(&store).await.len(), 4);
}
