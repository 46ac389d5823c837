//! Several processes on one store: a Redis of the test's own.

use std::fs;

use tandem_servers::Server;

use crate::harness::{Running, Said, run, until};
use crate::running::{CLARA, first_trunk, one_example, path};

fn redis() -> Server {
    Server::start(&["--appendonly", "no"])
}

fn url(redis: &Server) -> String {
    format!("redis://127.0.0.1:{}?durability=single", redis.port)
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

    let policy = base.path().join("tenants/brandt.yaml");
    let good = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, good.replace("inbound: LyncFirst", "inbound: CicFirst")).unwrap();
    for process in [&first, &second] {
        until("CIC comes first", || (first_trunk(process) == "cic").then_some(()));
    }
    // The first holds the lease. Killed, it says nothing to anybody.
    drop(first);
    fs::write(&policy, good).unwrap();
    until("the other writes policy", || (first_trunk(&second) == "lync").then_some(()));
    second.end().ended(0);
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
