//! Several processes on one store: a Redis of the test's own.

use std::fs;

use tandem_servers::Server;
use tandem_servers::cluster::Cluster;
use tempfile::TempDir;

use crate::harness::{CLARA, Running, Said, one_example, path, run, until};
use crate::running::first_trunk;

fn redis() -> Server {
    Server::start(&["--appendonly", "no"])
}

fn url(redis: &Server) -> String {
    format!("redis://127.0.0.1:{}?durability=single", redis.port)
}

/// What is written once is in force at both; when one is killed, who says nothing to anybody, the other writes policy.
fn policy_goes_over(killed: Running, left: Running, base: &TempDir, meanwhile: impl FnOnce()) {
    let policy = base.path().join("tenants/brandt.yaml");
    let good = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, good.replace("inbound: LyncFirst", "inbound: CicFirst")).unwrap();
    for process in [&killed, &left] {
        until("CIC comes first", || (first_trunk(process) == "cic").then_some(()));
    }
    meanwhile();
    drop(killed);
    fs::write(&policy, good).unwrap();
    until("the other writes policy", || (first_trunk(&left) == "lync").then_some(()));
    left.end().ended(0);
}

#[test]
fn processes_share_a_store_and_another_writes_policy_when_the_writer_is_killed() {
    let (redis, base) = (redis(), one_example("brandt"));
    let (url, tenants) = (url(&redis), path(&base, "tenants"));
    let up = || Running::up(&["--tenants", &tenants, "--store", &url]);
    let (first, second) = (up(), up());
    let file = path(&base, "directories/brandt.yaml");
    first.ask(&["directory", "import", &file]).ended(0);
    let knows = |process: &Running| {
        let said = process.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA]).ended(0);
        said.out.contains("clara.hoffmann").then_some(())
    };
    until("the other process shows what was imported", || knows(&second));
    assert_eq!((first_trunk(&first), first_trunk(&second)), ("lync".to_owned(), "lync".to_owned()));

    // The first holds the lease.
    policy_goes_over(first, second, &base, || {});
}

#[test]
fn services_alone_share_a_store() {
    let (redis, base) = (redis(), one_example("brandt"));
    let (url, tenants) = (url(&redis), path(&base, "tenants"));
    let serve = |service| {
        Running::start(&["serve", service, "--tenants", &tenants, "--store", &url, "--grpc", "127.0.0.1:0"])
    };
    let (station, routing) = (serve("station"), serve("routing"));
    station.ask(&["directory", "import", &path(&base, "directories/brandt.yaml")]).ended(0);
    until("routing shows what station wrote", || {
        let said = routing.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA]).ended(0);
        said.out.contains("clara.hoffmann").then_some(())
    });
    station.end().ended(0);
    routing.end().ended(0);
}

#[test]
fn what_a_store_does_not_keep_is_said_before_it_is_used() {
    let redis = redis();
    let up = |url: &str| -> Said {
        run(&["up", "--grpc", "127.0.0.1:0", "--listen", "public=udp:127.0.0.1:0", "--store", url])
    };
    let weak = up(&format!("redis://127.0.0.1:{}", redis.port)).ended(78);
    for names in ["appendonly yes", "min-replicas-to-write 1", "durability=single"] {
        assert!(weak.err.contains(names), "{weak:#?}");
    }
    let wrong = up("redis://cell:hush@127.0.0.1:0").ended(65);
    assert!(wrong.err.contains("--store") && wrong.err.contains("no port"), "{wrong:#?}");
    assert!(!wrong.err.contains("hush"), "{wrong:#?}");
}

#[test]
fn of_two_that_are_started_at_once_one_writes_policy_and_the_other_waits_for_it() {
    let (redis, base) = (redis(), one_example("brandt"));
    let (url, tenants) = (url(&redis), path(&base, "tenants"));
    let up = || Running::up(&["--tenants", &tenants, "--store", &url]);
    let (one, two) = std::thread::scope(|scope| {
        let (one, two) = (scope.spawn(up), scope.spawn(up));
        (one.join().unwrap(), two.join().unwrap())
    });
    let status = || run(&["store", "status", "--store", &url, "--output", "json"]).ended(0).json();
    let holder = || {
        let leases = status()["leases"].as_array().unwrap().clone();
        assert!(leases.len() <= 1, "{leases:?}");
        leases.first().map(|lease| lease["holder"].as_str().unwrap().to_owned())
    };
    let first = until("one of them writes", holder);
    assert_eq!(status()["processes"].as_array().unwrap().len(), 2);
    // Whichever it is: what is written once is in force at both.
    policy_goes_over(one, two, &base, || {
        assert_eq!(holder().as_ref(), Some(&first), "the lease stays where it was");
    });
}

#[test]
fn the_status_of_a_store_shows_who_is_there_and_what_is_refused() {
    let (redis, base) = (redis(), one_example("brandt"));
    let (single, strict) = (url(&redis), format!("redis://127.0.0.1:{}", redis.port));
    let status = |url: &str| run(&["store", "status", "--store", url]);
    // An empty server stays empty when it is looked at.
    let empty = status(&single).ended(0).out;
    assert!(empty.contains("0 records") && empty.contains("none is registered"), "{empty}");
    assert_eq!(redis.cli(&["DBSIZE"]), "0");
    let running = Running::up(&["--tenants", &path(&base, "tenants"), "--store", &single]);
    let said = status(&single).ended(0).out;
    let primary = format!("primary   127.0.0.1:{}, Redis ", redis.port);
    for words in
        ["durability single", &primary, "257 shards", "tenants   brandt", "process   up-", "lease/policy"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Without permission for one Redis it says what it would refuse, and by which setting.
    let weak = status(&strict).ended(1).out;
    for words in ["refused", "appendonly yes", "min-replicas-to-write 1", "no replica is connected"] {
        assert!(weak.contains(words), "{words}: {weak}");
    }
    running.end().ended(0);
    drop(redis);
    let gone = status(&single).ended(69);
    assert!(gone.err.contains("start Redis there, or name another with --store"), "{gone:#?}");
}

#[test]
fn the_status_of_a_store_shows_a_primary_that_is_away_and_the_others() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut cluster = runtime.block_on(Cluster::start(0));
    let at: Vec<String> = cluster.servers.iter().map(|s| format!("{}:{}", s.host, s.port)).collect();
    let url = format!("redis-cluster://{}", at.join(","));
    cluster.servers[1].kill();
    let said = run(&["store", "status", "--store", &url]).ended(1).out;
    for words in [format!("primary   {}, Redis ", at[0]), format!("primary   {}, Redis ", at[2])] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    let of_the_dead = said.lines().find(|line| line.contains(&format!("primary   {}", at[1])));
    assert!(of_the_dead.is_some_and(|line| line.contains("away: ")), "{said}");
    assert!(said.contains("holds     not known: "), "{said}");
    let json = run(&["store", "status", "--store", &url, "--output", "json"]).ended(1).json();
    assert_eq!((json["records"].is_null(), json["sizes_unknown"].is_string()), (true, true), "{json}");
    assert_eq!((&json["well"], json["nodes"].as_array().unwrap().len()), (&false.into(), 3));
}

/// What a process tells at /metrics.
pub(crate) fn metrics(of: &Running) -> String {
    use std::io::{Read as _, Write as _};
    let at = of.ready["metrics"].as_str().unwrap();
    let mut stream = std::net::TcpStream::connect(at).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

/// The number that a metric has there, by its name with its labels.
pub(crate) fn value(told: &str, name: &str) -> Option<f64> {
    told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_process_and_a_backup_tell_metrics_of_the_store() {
    let (mut redis, base, dir) = (redis(), one_example("brandt"), tempfile::TempDir::new().unwrap());
    let url = url(&redis);
    let running =
        Running::up(&["--tenants", &path(&base, "tenants"), "--store", &url, "--metrics=127.0.0.1:0"]);
    let backup = dir.path().to_str().unwrap();
    let backup = Running::start(&["backup", "--store", &url, "--metrics=127.0.0.1:0", backup]);
    // The first look may have come before anything was written.
    until("a look at the server", || {
        value(&metrics(&running), "tandem_store_log_bytes").filter(|bytes| *bytes >= 100.0)
    });
    let told = metrics(&running);
    let node = format!("tandem_store_clock_ahead_seconds{{node=\"127.0.0.1:{}\"}}", redis.port);
    let at_least = [
        ("tandem_store_commits_total{outcome=\"committed\"}", 2.0),
        ("tandem_store_commit_seconds_count", 2.0),
        ("tandem_store_commits_total{outcome=\"indeterminate\"}", 0.0),
        ("tandem_store_wait_shortfalls_total", 0.0),
        ("tandem_store_resyncs_total{cause=\"diverged\"}", 0.0),
        ("tandem_store_follower_lag_seconds", 0.0),
        ("tandem_store_clock_skew_seconds", 0.0),
        (node.as_str(), -1.0),
        ("tandem_store_log_bytes", 100.0),
        ("tandem_store_synchronised", 1.0),
    ];
    for (name, least) in at_least {
        assert!(value(&told, name).is_some_and(|value| value >= least), "{name}: {told}");
    }
    assert_eq!(value(&told, "tandem_store_stale_seconds"), Some(0.0));
    let behind = || value(&metrics(&backup), "tandem_backup_lag_seconds");
    assert!(behind().is_some_and(|lag| lag < 60.0));
    assert_eq!(redis.cli(&["FLUSHALL"]), "OK");
    until("the loss is counted", || {
        value(&metrics(&running), "tandem_store_resyncs_total{cause=\"diverged\"}").filter(|n| *n > 0.0)
    });
    redis.kill();
    until("the store is away", || {
        value(&metrics(&running), "tandem_store_stale_seconds").filter(|stale| *stale > 0.0)
    });
    until("the backup is behind", || behind().filter(|lag| *lag > 3.0));
}
