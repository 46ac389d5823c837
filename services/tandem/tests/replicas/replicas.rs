//! Three replicas of each service on Redis behind Sentinels: callers move between them while one after the other is
//! killed, and Redis fails over twice. No answer is wrong, nothing acknowledged is lost, and who watches is told.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tandem_proto::station::v1::directory_client::DirectoryClient;
use tandem_proto::station::v1::watch_users_response::Event;
use tandem_proto::station::v1::{WatchUsersRequest, WatchUsersResponse};
use tandem_servers::sentinel::Watched;
use tandem_store::redis::settings::Shape;
use tempfile::TempDir;

use crate::harness::{CLARA, Running, Said, one_example, path, run, until};

/// Within so long a change is acknowledged by one replica or another, whatever is being killed: two failovers, each of
/// seconds, on a machine that may be busy.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(240);
/// So many users are changed all the while.
const USERS: u64 = 8;
/// How often a replica is killed, and Redis' primary before every which of these.
const KILLS: usize = 8;

/// The replicas of one service, and how each is started.
struct Replicas {
    args: Vec<String>,
    all: RwLock<Vec<Arc<Mutex<Option<Running>>>>>,
    servers: RwLock<Vec<String>>,
    turn: AtomicU64,
}

impl Replicas {
    fn start(service: &str, tenants: &str, url: &str) -> Self {
        let args = ["serve", service, "--tenants", tenants, "--store", url, "--grpc", "127.0.0.1:0"];
        let replicas = Self {
            args: args.map(str::to_owned).to_vec(),
            all: RwLock::default(),
            servers: RwLock::default(),
            turn: AtomicU64::new(0),
        };
        for _ in 0..3 {
            let running = replicas.one();
            replicas.servers.write().unwrap().push(running.server());
            replicas.all.write().unwrap().push(Arc::new(Mutex::new(Some(running))));
        }
        replicas
    }

    fn one(&self) -> Running {
        Running::start(&self.args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The next of them, whether or not it lives.
    fn next(&self) -> String {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst) as usize;
        self.servers.read().unwrap()[turn % 3].clone()
    }

    /// Kills one, as by `kill -9`, and starts another in its place.
    fn kill(&self, n: usize) {
        let place = Arc::clone(&self.all.read().unwrap()[n]);
        let mut place = place.lock().unwrap();
        drop(place.take());
        let running = self.one();
        self.servers.write().unwrap()[n] = running.server();
        *place = Some(running);
    }
}

fn ask(server: &str, args: &[&str]) -> Said {
    let mut all = args.to_vec();
    all.extend(["--server", server, "--timeout", "10"]);
    run(&all)
}

/// What a watcher knows, over all its streams.
#[derive(Default)]
struct Told {
    /// By user: the revision and the name that was told last.
    users: BTreeMap<String, (u64, String)>,
    /// What a snapshot has told so far.
    snapshot: Option<BTreeMap<String, (u64, String)>>,
    token: String,
    streams: usize,
    resumed: usize,
    wrong: Vec<String>,
}

impl Told {
    fn take(&mut self, told: WatchUsersResponse) {
        match told.event {
            Some(Event::Upsert(user)) => {
                let seen = (user.revision, user.display_name);
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.insert(user.name, seen);
                } else if let Some(before) = self.users.insert(user.name.clone(), seen.clone())
                    && before.0 >= seen.0
                {
                    self.wrong.push(format!("{}: {seen:?} after {before:?}", user.name));
                }
            }
            Some(Event::Delete(name)) => self.wrong.push(format!("{name} was never deleted")),
            Some(Event::InitialEnd(_)) => self.users = self.snapshot.take().unwrap_or_default(),
            Some(Event::Restart(_)) => self.snapshot = Some(BTreeMap::new()),
            Some(Event::Expired(_)) => self.token.clear(),
            Some(Event::Bookmark(_)) | None => {}
        }
        if !told.resume_token.is_empty() {
            self.token = told.resume_token;
        }
    }
}

/// Watches by one replica after the other, for as long as it is polled.
async fn watch(station: Arc<Replicas>, told: Arc<Mutex<Told>>) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Ok(mut client) = DirectoryClient::connect(station.next()).await else { continue };
        let resume_token = told.lock().unwrap().token.clone();
        let resumes = !resume_token.is_empty();
        let request =
            WatchUsersRequest { parent: "tenants/brandt".to_owned(), resume_token, min_revision: 0 };
        let Ok(stream) = client.watch_users(request).await else { continue };
        let mut stream = stream.into_inner();
        {
            let mut told = told.lock().unwrap();
            told.snapshot = (!resumes).then(BTreeMap::new);
            told.streams += 1;
            told.resumed += usize::from(resumes);
        }
        // Each stream for a while at most: then by another replica.
        let moved = tokio::time::Instant::now() + Duration::from_secs(4);
        while let Ok(Ok(Some(event))) = tokio::time::timeout_at(moved, stream.message()).await {
            told.lock().unwrap().take(event);
        }
    }
}

fn entry(user: u64, name: u64) -> String {
    format!(
        "apiVersion: tandem.dev/v1\nkind: Directory\nmetadata:\n  name: brandt\nspec:\n  users:\n    - id: u{user}\n      \
        displayName: \"{name}\"\n      cic: {{userId: u{user}, extension: \"39{user:02}\"}}\n      callControl: CicClient\n      \
        phone: {{kind: CicHard, vendor: Polycom}}\n"
    )
}

/// Everything that runs.
struct Cell {
    watched: Option<Watched>,
    station: Arc<Replicas>,
    routing: Arc<Replicas>,
    base: TempDir,
}

fn route(server: &str) -> Said {
    ask(server, &["call", "route", "--tenant", "brandt", "--called", CLARA])
}

impl Cell {
    /// Starts it, and waits until every replica of routing decides by the directory.
    fn start(watched: Watched) -> Self {
        let Shape::Sentinel(sentinels, name) = watched.settings().shape else { unreachable!() };
        let hosts = sentinels.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let url = format!("redis-sentinel://{hosts}/{name}");
        let base = one_example("brandt");
        let tenants = path(&base, "tenants");
        let start = |service| Arc::new(Replicas::start(service, &tenants, &url));
        let cell =
            Self { watched: Some(watched), station: start("station"), routing: start("routing"), base };
        let file = path(&cell.base, "directories/brandt.yaml");
        let import = || ask(&cell.station.next(), &["directory", "import", &file]).code == 0;
        until("the directory is imported", || import().then_some(()));
        for n in 0..3 {
            let server = cell.routing.servers.read().unwrap()[n].clone();
            until("it decides by it", || route(&server).out.contains("clara.hoffmann").then_some(()));
        }
        cell
    }

    /// Changes users, each change asked for until one replica has acknowledged it; answers the last of each.
    fn change(&self, stop: &AtomicBool) -> BTreeMap<u64, u64> {
        let file = self.base.path().join("one.yaml");
        let mut acknowledged = BTreeMap::new();
        for n in 0.. {
            let user = n % USERS;
            fs::write(&file, entry(user, n)).unwrap();
            let import = || ask(&self.station.next(), &["directory", "import", file.to_str().unwrap()]);
            self.acknowledged(import);
            acknowledged.insert(user, n);
            if stop.load(Ordering::SeqCst) && n >= USERS {
                break;
            }
        }
        acknowledged
    }

    /// Imports until that is acknowledged.
    fn acknowledged(&self, import: impl Fn() -> Said) {
        let began = Instant::now();
        loop {
            let said = import();
            if said.code == 0 {
                return;
            }
            assert!(began.elapsed() < ACKNOWLEDGED_WITHIN, "not acknowledged for so long: {said:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks for decisions; whoever answers, answers right. Answers how many did.
    fn decide(&self, stop: &AtomicBool) -> usize {
        let mut answers = 0;
        while !stop.load(Ordering::SeqCst) {
            let said = route(&self.routing.next());
            if said.code == 0 {
                assert!(said.out.contains("clara.hoffmann"), "{said:#?}");
                answers += 1;
            } else {
                // It is being killed, or has just been.
                assert!(said.code == 69, "{said:#?}");
            }
        }
        answers
    }
}

/// Kills one replica after the other, and twice Redis' primary.
fn kill(watched: &mut Watched, station: &Replicas, routing: &Replicas) {
    for n in 0..KILLS {
        std::thread::sleep(Duration::from_secs(2));
        if n == 2 || n == 5 {
            let primary = watched.elected().unwrap();
            watched.servers[primary].kill();
            until("another primary", || watched.elected().filter(|now| *now != primary));
            watched.servers[primary].again();
        }
        [station, routing][n % 2].kill(n / 2 % 3);
    }
}

#[test]
fn replicas_are_killed_and_redis_fails_over_and_nothing_is_wrong_lost_or_missed() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut cell = Cell::start(runtime.block_on(Watched::start()));
    let told = Arc::new(Mutex::new(Told::default()));
    let watching = runtime.spawn(watch(Arc::clone(&cell.station), Arc::clone(&told)));
    let stop = AtomicBool::new(false);
    let (station, routing) = (Arc::clone(&cell.station), Arc::clone(&cell.routing));
    let mut watched = cell.watched.take().unwrap();
    let (acknowledged, answers) = std::thread::scope(|scope| {
        let changing = scope.spawn(|| cell.change(&stop));
        let deciding = scope.spawn(|| cell.decide(&stop));
        let killing = scope.spawn(|| kill(&mut watched, &station, &routing));
        let killed = killing.join();
        stop.store(true, Ordering::SeqCst);
        killed.unwrap();
        (changing.join().unwrap(), deciding.join().unwrap())
    });
    assert!(answers > 0);
    // What was acknowledged last is what every watcher ends with.
    let ends = |told: &Told| {
        acknowledged.iter().all(|(user, n)| {
            let known = told.users.get(&format!("tenants/brandt/users/u{user}"));
            known.is_some_and(|(_, name)| *name == n.to_string())
        })
    };
    until("the watcher is told the end", || ends(&told.lock().unwrap()).then_some(()));
    let late = Arc::new(Mutex::new(Told::default()));
    let watching_late = runtime.spawn(watch(Arc::clone(&station), Arc::clone(&late)));
    until("one that comes late is told all", || ends(&late.lock().unwrap()).then_some(()));
    let names = |told: &Mutex<Told>| -> Vec<(String, String)> {
        told.lock().unwrap().users.iter().map(|(user, (_, name))| (user.clone(), name.clone())).collect()
    };
    assert_eq!(names(&told), names(&late), "one that comes late is told the same");
    watching.abort();
    watching_late.abort();
    let told = told.lock().unwrap();
    assert_eq!(told.wrong, Vec::<String>::new());
    assert!(told.resumed > 2, "it went on by other replicas: {} of {}", told.resumed, told.streams);
}
