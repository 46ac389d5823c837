//! On a Redis Cluster: the suite, a slot that moves, a primary that is killed.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::sync::Arc;

use servers::cluster::{Cluster, slot};
use servers::rig::{LONG, committed, local, open, put, replicated, revision, shard, tenant, until, value};
use tandem_store::conformance::{self, Keeps, Opts};
use tandem_store::redis::{OpenError, Redis, Settings, Time};
use tandem_store::{Backend, Commit, Error, Followed, Follower, Outcome, Shard};

fn patient(cluster: &Cluster) -> Settings {
    Settings { write_within: LONG, ..cluster.settings() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_passes_the_suite() {
    let cluster = Cluster::start(0).await;
    let settings = Settings { single: true, time: Time::World, ..cluster.settings() };
    let open = move |opts: Opts| -> conformance::Opening {
        let settings = Settings { prefix: opts.name.clone(), ..settings.clone() };
        Box::pin(async move {
            let redis = Redis::open(settings, opts.world);
            redis.check().await.unwrap();
            Arc::new(redis) as Arc<dyn Backend>
        })
    };
    conformance::run(Keeps::AfterClose, open).await;
}

/// Commits from several tasks all the while, each its own key once; answers all revisions when told to stop.
struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<usize>>,
}

impl Load {
    fn start(store: &Redis) -> Self {
        let stop = tokio::sync::watch::Sender::new(false);
        let tasks = (0..4)
            .map(|task| {
                let (store, stopped) = (store.clone(), stop.subscribe());
                tokio::spawn(async move {
                    let mut n = 0;
                    while !*stopped.borrow() {
                        committed(&store, local(vec![], vec![put(&format!("{task}-{n}"), "1")])).await;
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        Self { stop, tasks }
    }

    async fn end(self) -> usize {
        self.stop.send_replace(true);
        let mut all = 0;
        for task in self.tasks {
            all += task.await.unwrap();
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moved_under_load_loses_and_doubles_nothing() {
    let cluster = Cluster::start(0).await;
    let store = open(Settings { single: true, ..patient(&cluster) });
    store.check().await.unwrap();
    let mut follower = Follower::new(Arc::new(store.clone()));
    while follower.next().await.unwrap() != Followed::Synchronised {}
    let slot = slot(&cluster.servers[0], &format!("{{{}}}", shard().0));
    let load = Load::start(&store);
    let mut moves = 0;
    for _ in 0..3 {
        let from = cluster.owner(slot).unwrap();
        let to = cluster.primaries().into_iter().find(|n| *n != from).unwrap();
        cluster.begin_move(slot, from, to);
        while cluster.move_keys(slot, from, to, 10) > 0 {
            moves += 1;
        }
        cluster.end_move(slot, to);
        // Something of the load goes through before the next move.
        committed(&store, local(vec![], vec![put("between", "1")])).await;
    }
    assert!(moves > 3, "nothing was moved");
    let written = load.end().await;
    let last = committed(&store, local(vec![], vec![put("end", "1")])).await;
    let log = servers::rig::log(&store).await;
    assert_eq!(log.len(), written + 3 + 1, "each commit is in the log once");
    assert!(log.is_sorted_by(|a, b| a.revision < b.revision));
    let mut shown = 0;
    let following = async {
        loop {
            match follower.next().await {
                Ok(Followed::Entries(_, entries)) => {
                    shown += entries.len();
                    if entries.iter().any(|e| e.revision == last) {
                        return;
                    }
                }
                Ok(other) => panic!("a moved slot shows {other:?}"),
                Err(Error::Unavailable(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(LONG, following).await.unwrap();
    assert_eq!(shown, log.len());
}

/// A tenant in another shard than `acme`, on another primary.
fn elsewhere(cluster: &Cluster) -> tandem_domain::id::TenantId {
    let owner = |shard: Shard| cluster.owner(slot(&cluster.servers[0], &format!("{{{}}}", shard.0)));
    let mut tenants = (0..).map(|n| tenant(&format!("t{n}")));
    tenants.find(|t| owner(Shard::of(t)) != owner(shard())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_of_nine_nodes_is_killed_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(2).await;
    let store = open(patient(&cluster));
    store.check().await.unwrap();
    let mut acknowledged = Vec::new();
    for n in 0..20 {
        let (at, commit) = (format!("before-{n}"), replicated(vec![put(&format!("before-{n}"), "1")]));
        acknowledged.push((at, revision(store.commit(commit).await)));
    }
    let other = elsewhere(&cluster);
    let slot = slot(&cluster.servers[0], &format!("{{{}}}", shard().0));
    let dead = cluster.owner(slot).unwrap();
    // What cannot be asked is unreachable, and nothing is said of its configuration.
    let cell = cluster.owner(servers::cluster::slot(&cluster.servers[0], "{c}"));
    let silent = cluster.primaries().into_iter().find(|n| Some(*n) != cell).unwrap();
    cluster.servers[silent].signal("STOP");
    let found = open(cluster.settings_without(silent)).check().await;
    cluster.servers[silent].signal("CONT");
    let at = format!("127.0.0.1:{}", cluster.servers[silent].port);
    assert!(matches!(&found, Err(OpenError::Unreachable(why)) if why.contains(&at)), "{found:?}");
    cluster.servers[dead].kill();
    // The other primaries go on meanwhile.
    let quick = open(cluster.settings());
    let there = Commit { tenant: other, ..replicated(vec![put("there", "1")]) };
    revision(quick.commit(there).await);
    let (at, commit) = ("after".to_owned(), replicated(vec![put("after", "1")]));
    acknowledged.push((at, committed(&store, commit).await));
    assert_ne!(cluster.owner(slot), Some(dead));
    for (at, revision) in &acknowledged {
        let found = store.get(&servers::rig::acme(), &servers::rig::key(at)).await.unwrap();
        assert_eq!(found.map(|f| f.version), Some(*revision), "{at} was acknowledged");
    }
    // Back again it is a replica, and nobody writes to it.
    cluster.servers[dead].again();
    let back = || async { cluster.servers[dead].cli(&["ROLE"]).starts_with("slave") };
    until("it is a replica", back).await;
    committed(&store, replicated(vec![put("back", "1")])).await;
    assert_eq!(value(&store, "back").await.as_deref(), Some("1"));
}

/// Followers of the shards of other primaries are shown what happens there while one primary is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_away_holds_up_no_follower_of_another() {
    let mut cluster = Cluster::start(0).await;
    for server in &cluster.servers {
        server.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = open(Settings { single: true, ..cluster.settings() });
    store.check().await.unwrap();
    let other = elsewhere(&cluster);
    let mut follower = Follower::new(Arc::new(store.clone()));
    while follower.next().await.unwrap() != Followed::Synchronised {}
    let slot = slot(&cluster.servers[0], &format!("{{{}}}", shard().0));
    let dead = cluster.owner(slot).unwrap();
    cluster.servers[dead].kill();
    until("a primary is away", || async { store.positions().await.is_err() }).await;
    tokio::time::sleep(tandem_store::follow::LOOK_EVERY * 2).await;
    for n in 0..3 {
        let there = Commit { tenant: other.clone(), ..local(vec![], vec![put("a", &n.to_string())]) };
        let done = committed(&store, there).await;
        let showing = async {
            loop {
                if let Ok(Followed::Entries(_, entries)) = follower.next().await
                    && entries.iter().any(|e| e.revision == done)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(LONG, showing).await.unwrap();
    }
    let here = store.commit(local(vec![], vec![put("a", "1")])).await;
    assert!(matches!(here, Err(Error::Unavailable(_)) | Ok(Outcome::Indeterminate(_))), "{here:?}");
}
