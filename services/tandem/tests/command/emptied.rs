//! A store that is emptied under its processes: nobody is told that nobody is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_client::RoutingClient;
use tandem_servers::Server;
use tandem_servers::cluster::Cluster;
use tempfile::TempDir;

use crate::harness::{CLARA, Running, one_example, path, run, until};

/// What callers were answered all the while.
#[derive(Debug, Default)]
struct Answers {
    well: usize,
    wrong: Vec<String>,
}

/// Asks for a decision over and over until it is told to stop.
async fn ask(server: String, answers: Arc<Mutex<Answers>>, stop: Arc<AtomicBool>) {
    let mut client = RoutingClient::connect(server).await.unwrap();
    let attempt = pb::CallAttempt {
        ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
        called: CLARA.into(),
        ..Default::default()
    };
    let request = pb::RouteCallRequest {
        parent: "tenants/brandt".into(),
        attempt: Some(attempt),
        ..Default::default()
    };
    while !stop.load(Ordering::SeqCst) {
        let answer = client.route_call(request.clone()).await;
        let mut answers = answers.lock().unwrap();
        match answer.map(tonic::Response::into_inner) {
            Ok(decision) if format!("{decision:?}").contains("clara.hoffmann") => {
                answers.well += 1;
            }
            other if answers.wrong.len() < 10 => answers.wrong.push(format!("{other:?}")),
            _ => {}
        }
    }
}

/// Station and routing on one store, with the people of one example.
struct House {
    url: String,
    base: TempDir,
    station: Running,
    routing: Running,
}

impl House {
    fn start(url: &str) -> Self {
        let base = one_example("brandt");
        let tenants = path(&base, "tenants");
        let serve = |service| {
            Running::start(&[
                "serve",
                service,
                "--tenants",
                &tenants,
                "--store",
                url,
                "--grpc",
                "127.0.0.1:0",
            ])
        };
        let (station, routing) = (serve("station"), serve("routing"));
        station.ask(&["directory", "import", &path(&base, "directories/brandt.yaml")]).ended(0);
        let house = Self { url: url.to_owned(), base, station, routing };
        until("routing shows it", || house.decides(&house.routing).then_some(()));
        house
    }

    fn decides(&self, routing: &Running) -> bool {
        let said = routing.ask(&["call", "route", "--tenant", "brandt", "--called", CLARA]);
        said.out.contains("clara.hoffmann")
    }

    /// A process that knows nothing of before.
    fn fresh(&self) -> Running {
        let tenants = path(&self.base, "tenants");
        Running::start(&[
            "serve",
            "routing",
            "--tenants",
            &tenants,
            "--store",
            &self.url,
            "--grpc",
            "127.0.0.1:0",
        ])
    }

    /// Empties under load, and waits until everything is in the store again; answers what callers were told.
    fn under_load(&self, empty: impl FnOnce()) -> Answers {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (answers, stop) = (Arc::<Mutex<Answers>>::default(), Arc::new(AtomicBool::new(false)));
        let asking: Vec<_> = (0..2)
            .map(|_| runtime.spawn(ask(self.routing.server(), Arc::clone(&answers), Arc::clone(&stop))))
            .collect();
        until("callers are answered", || (answers.lock().unwrap().well > 10).then_some(()));
        empty();
        // Started at once, when nobody may have written anything again.
        let fresh = self.fresh();
        until("a process that knows nothing decides by it", || self.decides(&fresh).then_some(()));
        // And so do those who remembered, after all of it.
        let before = answers.lock().unwrap().well;
        until("callers are answered after that", || {
            (answers.lock().unwrap().well > before + 10).then_some(())
        });
        stop.store(true, Ordering::SeqCst);
        asking.into_iter().for_each(|one| runtime.block_on(one).unwrap());
        std::mem::take(&mut answers.lock().unwrap())
    }
}

#[test]
fn a_store_that_is_emptied_under_its_processes_is_written_again_and_no_caller_notices() {
    let redis = Server::start(&["--appendonly", "no"]);
    let house = House::start(&format!("redis://127.0.0.1:{}?durability=single", redis.port));
    let answers = house.under_load(|| assert_eq!(redis.cli(&["FLUSHALL"]), "OK"));
    assert_eq!(answers.wrong, Vec::<String>::new());
    let station = house.station.end().ended(0).err;
    for words in ["shown as they were", "that the store had lost is written again"] {
        assert!(station.contains(words), "{words}: {station}");
    }
    assert!(house.routing.end().ended(0).err.contains("registering anew"));
}

#[test]
fn one_primary_of_a_cluster_that_is_emptied_is_written_again_and_no_caller_notices() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = runtime.block_on(Cluster::start(0));
    let at: Vec<String> = cluster.servers.iter().map(|s| format!("{}:{}", s.host, s.port)).collect();
    let house = House::start(&format!("redis-cluster://{}?durability=single", at.join(",")));
    // One of them has the cell's own records, another what brandt has.
    for server in &cluster.servers {
        let answers = house.under_load(|| assert_eq!(server.cli(&["FLUSHALL"]), "OK"));
        assert_eq!(answers.wrong, Vec::<String>::new(), "{}", server.port);
        until("nothing is refused", || {
            (run(&["store", "status", "--store", &house.url]).code == 0).then_some(())
        });
    }
    house.station.end().ended(0);
    house.routing.end().ended(0);
}
