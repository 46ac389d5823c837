//! What a caller is told when things go wrong between it and Redis: committed, refused or not known, and never one
//! for the other. Each case is provoked with a real server, and a proxy that loses what it should.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::sync::Arc;
use std::time::Duration;

use servers::Server;
use servers::proxy::Proxy;
use servers::rig::{
    LONG, claim, committed, delete, fence, key, local, log, open, put, replicated, revision, shard, single,
    until, value,
};
use tandem_store::redis::{OpenError, Redis, Settings};
use tandem_store::{Backend, Commit, Durability, Error, Outcome, Precondition, Shard, Until};

const SHORT: Duration = Duration::from_millis(700);

/// A server, a store that reaches it through a proxy, and one that reaches it directly.
struct Rig {
    server: Server,
    proxy: Proxy,
    through: Arc<Redis>,
    direct: Redis,
}

async fn rig(within: Duration) -> Rig {
    let server = Server::start(&["--appendonly", "no"]);
    let proxy = Proxy::start(server.port).await;
    let through = Arc::new(open(single(proxy.port, within)));
    let direct = open(single(server.port, LONG));
    through.check().await.unwrap();
    direct.check().await.unwrap();
    Rig { server, proxy, through, direct }
}

impl Rig {
    fn send(&self, commit: &Commit) -> tokio::task::JoinHandle<Result<Outcome, Error>> {
        let (through, commit) = (Arc::clone(&self.through), commit.clone());
        tokio::spawn(async move { through.commit(commit).await })
    }

    async fn has(&self, at: &str) {
        until(at, || async { value(&self.direct, at).await.is_some() }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_lost_after_the_script_ran_is_no_conflict() {
    let rig = rig(LONG).await;
    rig.proxy.swallow_answers(true);
    // Done again it would be refused: `a` is there.
    let commit = local(vec![Precondition::Absent(key("a"))], vec![put("a", "1")]);
    let sent = rig.send(&commit);
    rig.has("a").await;
    rig.proxy.swallow_answers(false);
    rig.proxy.cut();
    let done = revision(sent.await.unwrap());
    let entries = log(&rig.direct).await;
    assert_eq!(entries.iter().map(|e| (e.revision, e.commit)).collect::<Vec<_>>(), [(done, commit.id)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_stays_lost_is_indeterminate_until_it_is_asked_for_again() {
    let rig = rig(SHORT).await;
    rig.proxy.swallow_answers(true);
    let commit = local(vec![Precondition::Absent(key("a"))], vec![put("a", "1")]);
    let outcome = rig.send(&commit).await.unwrap();
    assert!(matches!(outcome, Ok(Outcome::Indeterminate(_))), "{outcome:?}");
    rig.proxy.swallow_answers(false);
    rig.proxy.cut();
    committed(&rig.through, commit).await;
    assert_eq!(log(&rig.direct).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_sent_is_unavailable_and_not_in_doubt() {
    let rig = rig(SHORT).await;
    rig.proxy.refuse(true);
    rig.proxy.cut();
    // Which the store notices on its own, or by what it sends first.
    until("no connection", || async {
        matches!(rig.through.commit(local(vec![], vec![put("b", "1")])).await, Err(Error::Unavailable(_)))
    })
    .await;
    assert_eq!(value(&rig.direct, "b").await, None);
    rig.proxy.refuse(false);
    committed(&rig.through, local(vec![], vec![put("b", "2")])).await;
}

/// The refusal of a retry is believed: so the first try must not happen after it, however late it arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_arrives_after_its_retry_was_refused_does_not_happen() {
    let rig = rig(LONG).await;
    // Larger than what passes: the server has the commit's beginning, and no more.
    let large = "x".repeat(300_000);
    let commit = local(vec![Precondition::Absent(key("a"))], vec![put("a", &large)]);
    rig.proxy.hold_after(100_000);
    let sent = rig.send(&commit);
    rig.proxy.holds().await;
    revision(rig.direct.commit(local(vec![], vec![put("a", "another's")])).await);
    rig.proxy.cut();
    rig.proxy.release();
    let refused = sent.await.unwrap();
    assert!(matches!(refused, Ok(Outcome::Refused(_))), "{refused:?}");
    revision(rig.direct.commit(local(vec![], vec![delete("a")])).await);
    rig.proxy.deliver_late();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(value(&rig.direct, "a").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_writer_that_was_paused_is_refused_once_its_successor_wrote() {
    let rig = rig(LONG).await;
    let cell = tandem_domain::record::cell();
    let lease = |until| Commit { tenant: cell.clone(), ..local(vec![], vec![claim("lease", until)]) };
    let first = revision(rig.direct.commit(lease(Until::After(LONG))).await);
    revision(rig.through.commit(local(vec![fence("lease", first)], vec![put("a", "first")])).await);
    // It asks whether it holds, is told so, and its commit is long on its way.
    let large = "x".repeat(300_000);
    rig.proxy.hold_after(100_000);
    let sent = rig.send(&local(vec![fence("lease", first)], vec![put("a", &large)]));
    rig.proxy.holds().await;
    let second = revision(rig.direct.commit(lease(Until::After(LONG))).await);
    let successor = local(vec![fence("lease", second)], vec![put("b", "second")]);
    revision(rig.direct.commit(successor).await);
    rig.proxy.release();
    let refused = sent.await.unwrap();
    assert!(matches!(&refused, Ok(Outcome::Refused(r)) if r.found == Some(second)), "{refused:?}");
    assert_eq!(value(&rig.direct, "a").await.as_deref(), Some("first"));
}

/// Also in a shard in which the successor wrote nothing yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_writer_that_was_paused_is_refused_wherever_its_successor_wrote_first() {
    let rig = rig(LONG).await;
    let cell = tandem_domain::record::cell();
    let lease = || Commit { tenant: cell.clone(), ..local(vec![], vec![claim("lease", Until::After(LONG))]) };
    let first = revision(rig.direct.commit(lease()).await);
    revision(rig.through.commit(local(vec![fence("lease", first)], vec![put("a", "first")])).await);
    let large = "x".repeat(300_000);
    rig.proxy.hold_after(100_000);
    let sent = rig.send(&local(vec![fence("lease", first)], vec![put("a", &large)]));
    rig.proxy.holds().await;
    let second = revision(rig.direct.commit(lease()).await);
    let elsewhere = servers::rig::tenant("globex");
    assert_ne!(Shard::of(&elsewhere), shard());
    let there = Commit { tenant: elsewhere, ..local(vec![fence("lease", second)], vec![put("b", "second")]) };
    revision(rig.direct.commit(there).await);
    rig.proxy.release();
    let refused = sent.await.unwrap();
    assert!(matches!(refused, Ok(Outcome::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_became_a_replica_refuses_until_it_is_one_again() {
    let rig = rig(SHORT).await;
    rig.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let commit = local(vec![], vec![put("a", "1")]);
    let outcome = rig.through.commit(commit.clone()).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    let patient = open(single(rig.server.port, LONG));
    let waiting = tokio::spawn(async move { patient.commit(commit).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.server.cli(&["REPLICAOF", "NO", "ONE"]);
    revision(waiting.await.unwrap());
    assert_eq!(log(&rig.direct).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let rig = rig(LONG).await;
    for n in 0..3 {
        rig.server.cli(&["SCRIPT", "FLUSH"]);
        revision(rig.through.commit(local(vec![], vec![put("a", &n.to_string())])).await);
        rig.server.cli(&["SCRIPT", "FLUSH"]);
        assert_eq!(value(&rig.through, "a").await, Some(n.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_write_now_is_said_to_be_so_by_name() {
    let rig = rig(LONG).await;
    let refused = |what: &'static str| {
        let through = Arc::clone(&rig.through);
        async move {
            match through.commit(local(vec![], vec![put("a", "1")])).await {
                Err(error @ Error::Unavailable(_)) => {
                    assert!(error.retryable() && error.to_string().contains(what), "{error}");
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    };
    rig.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    refused("NOREPLICAS").await;
    rig.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    rig.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    refused("OOM").await;
    rig.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    // A snapshot that cannot be written: its directory is gone.
    rig.server.cli(&["CONFIG", "SET", "save", "3600 1"]);
    std::fs::remove_dir_all(rig.server.dir()).unwrap();
    rig.server.cli(&["BGSAVE"]);
    let stopped =
        || async { rig.server.cli(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err") };
    until("a snapshot that failed", stopped).await;
    refused("MISCONF").await;
    rig.server.cli(&["CONFIG", "SET", "save", ""]);
    revision(rig.through.commit(local(vec![], vec![put("a", "1")])).await);
    assert_eq!(log(&rig.direct).await.len(), 1, "what was refused was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_server_that_stands_still() {
    let rig = rig(SHORT).await;
    rig.server.signal("STOP");
    let asked = async {
        let outcome = rig.through.commit(local(vec![], vec![put("a", "1")])).await;
        assert!(matches!(outcome, Ok(Outcome::Indeterminate(_))), "{outcome:?}");
        assert!(matches!(rig.through.list(shard()).await, Err(Error::Unavailable(_))));
        assert!(matches!(rig.through.positions().await, Err(Error::Unavailable(_))));
    };
    // Far more than what the settings ask for.
    tokio::time::timeout(LONG, asked).await.unwrap();
    rig.server.signal("CONT");
    committed(&rig.through, local(vec![], vec![put("b", "1")])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_is_refused_by_name_where_it_cannot_be_kept() {
    let server = Server::start(&["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
    let weak = open(Settings { single: false, ..single(server.port, SHORT) });
    let Err(OpenError::Unfit(why)) = weak.check().await else {
        panic!("a weak configuration is not noticed")
    };
    let refused = weak.commit(replicated(vec![put("a", "1")])).await;
    for names in
        ["appendonly yes", "maxmemory-policy noeviction", "min-replicas-to-write 1", "durability=single"]
    {
        assert!(why.contains(names), "{why}");
        assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains(names)), "{refused:?}");
    }
    assert_eq!(value(&weak, "a").await, None);
    revision(weak.commit(local(vec![], vec![put("a", "local")])).await);
    let permitted = open(single(server.port, SHORT));
    permitted.check().await.unwrap();
    revision(permitted.commit(replicated(vec![put("a", "single")])).await);
    assert!(permitted.stats().await.unwrap().backend.contains("durability single"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_another_format_is_left_alone() {
    let server = Server::start(&["--appendonly", "no"]);
    open(single(server.port, LONG)).check().await.unwrap();
    server.cli(&["HSET", "tandem:{c}:cell", "format", "2"]);
    let refused = open(single(server.port, LONG)).check().await;
    assert!(matches!(&refused, Err(OpenError::Unfit(why)) if why.contains("format 2")), "{refused:?}");
}

/// A primary and its replica, as `Replicated` asks for.
fn pair() -> (Server, Server) {
    let strong = ["--appendonly", "yes", "--appendfsync", "everysec", "--min-replicas-to-write", "1"];
    let primary = Server::start(&strong);
    let of = primary.port.to_string();
    let replica = Server::start(&[&strong[..], &["--replicaof", "127.0.0.1", &of]].concat());
    (primary, replica)
}

async fn linked(primary: &Server) {
    let good = || async { primary.cli(&["INFO", "replication"]).contains("min_slaves_good_slaves:1") };
    until("a replica", good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_is_acknowledged_when_a_replica_has_it_and_not_before() {
    let (primary, replica) = pair();
    linked(&primary).await;
    let settings = Settings { single: false, ..single(primary.port, Duration::from_secs(2)) };
    let store = open(settings.clone());
    store.check().await.unwrap();
    revision(store.commit(replicated(vec![put("a", "1")])).await);
    let there = replica.cli(&["--raw", "XLEN", "tandem:{%}:l".replace('%', &shard().0.to_string()).as_str()]);
    assert_eq!(there, "1", "acknowledged, and the replica has it not");
    // The replica stands still: it still counts as good for a while, and confirms nothing.
    replica.signal("STOP");
    let commit = replicated(vec![put("a", "2")]);
    let outcome = store.commit(commit.clone()).await;
    assert!(matches!(&outcome, Ok(Outcome::Indeterminate(why)) if why.contains("no replica")), "{outcome:?}");
    assert!(store.shortfalls() > 0, "and it is counted");
    // A retry that finds it on the primary must not take that for an answer either.
    // Nor may a connection that has written nothing yet.
    let other = open(settings);
    for store in [&store, &other] {
        let again = store.commit(commit.clone()).await;
        assert!(!matches!(again, Ok(Outcome::Committed(_))), "{again:?}");
    }
    revision(
        store.commit(Commit { durability: Durability::Local, ..local(vec![], vec![put("b", "1")]) }).await,
    );
    replica.signal("CONT");
    let done = committed(&store, commit.clone()).await;
    let entries = log(&store).await;
    assert_eq!(
        entries.iter().filter(|e| e.commit == commit.id).map(|e| e.revision).collect::<Vec<_>>(),
        [done]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_cut_by_a_change_of_roles_is_told_apart_commit_by_commit() {
    let (primary, _replica) = pair();
    linked(&primary).await;
    let proxy = Proxy::start(primary.port).await;
    let settings = Settings { single: false, ..single(proxy.port, LONG) };
    let store = Arc::new(open(settings));
    store.check().await.unwrap();
    revision(store.commit(replicated(vec![put("0", "0")])).await);
    // Of one batch some reach the primary before it is none any more.
    proxy.hold_after(400_000);
    let large = "x".repeat(100_000);
    let commits: Vec<Commit> = (0..8)
        .map(|n| Commit {
            preconditions: vec![Precondition::Absent(key(&format!("k{n}")))],
            ..replicated(vec![put(&format!("k{n}"), &large)])
        })
        .collect();
    let sent: Vec<_> = commits
        .iter()
        .map(|commit| {
            let (store, commit) = (Arc::clone(&store), commit.clone());
            tokio::spawn(async move { store.commit(commit).await })
        })
        .collect();
    proxy.holds().await;
    let direct = open(single(primary.port, LONG));
    until("some of the batch", || async { log(&direct).await.len() > 1 }).await;
    primary.cli(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    primary.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    proxy.release();
    tokio::time::sleep(Duration::from_millis(200)).await;
    primary.cli(&["REPLICAOF", "NO", "ONE"]);
    for one in sent {
        revision(one.await.unwrap());
    }
    let entries = log(&direct).await;
    for commit in &commits {
        assert_eq!(entries.iter().filter(|e| e.commit == commit.id).count(), 1, "written once each");
    }
}
