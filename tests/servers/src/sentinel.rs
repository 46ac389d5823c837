//! The documented production shape: a primary with two replicas, and three Sentinels.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tandem_store::redis::Settings;
use tandem_store::redis::settings::{Address, Shape};
use tempfile::TempDir;

use super::{Launch, PATIENCE, Server, cli_at, end, free_port, run, until};

/// What `Replicated` asks for.
pub const STRONG: [&str; 8] = [
    "--appendonly",
    "yes",
    "--min-replicas-to-write",
    "1",
    "--min-replicas-max-lag",
    "2",
    "--repl-diskless-sync-delay",
    "0",
];

/// A primary, two replicas, and the Sentinels that watch them.
#[derive(Debug)]
pub struct Watched {
    /// First the one that was made the primary.
    pub servers: Vec<Server>,
    host: String,
    sentinels: Vec<(u16, Option<Child>, TempDir)>,
}

impl Watched {
    /// Starts all of it, and waits until each knows the others.
    pub async fn start() -> Self {
        Self::launch([(); 3].map(|()| Launch::default()), "127.0.0.1").await
    }

    /// Starts it with the servers so, and the Sentinels at this address of loopback.
    pub async fn launch(how: [Launch; 3], sentinels_at: &str) -> Self {
        let mut servers: Vec<Server> = Vec::new();
        for how in how {
            let mut args = STRONG.to_vec();
            let of = servers.first().map(|s| (s.host.clone(), s.port.to_string()));
            if let Some((host, port)) = &of {
                args.extend(["--replicaof", host, port]);
            }
            servers.push(Server::launch(how, &args));
        }
        let linked =
            || async { servers[0].cli(&["INFO", "replication"]).contains("min_slaves_good_slaves:2") };
        until("two replicas", linked).await;
        let sentinels: Vec<_> = (0..3).map(|_| sentinel(&servers[0], sentinels_at)).collect();
        let watched = Self { servers, host: sentinels_at.to_owned(), sentinels };
        for at in 0..3 {
            let knows = || async {
                let said = watched.ask(at, &["SENTINEL", "MASTER", "main"]);
                let mut lines = said.lines();
                let mut field =
                    |name| lines.by_ref().find(|l| *l == name).and_then(|_| lines.next()).map(str::to_owned);
                field("num-slaves").as_deref() == Some("2")
                    && field("num-other-sentinels").as_deref() == Some("2")
            };
            until("a Sentinel that knows all", knows).await;
        }
        watched
    }

    /// How a store on it is opened.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let at = |port: &u16| Address { host: self.host.clone(), port: *port };
        Settings::of(Shape::Sentinel(
            self.sentinels.iter().map(|(port, ..)| at(port)).collect(),
            "main".to_owned(),
        ))
    }

    /// Asks one of the Sentinels something.
    #[must_use]
    pub fn ask(&self, sentinel: usize, args: &[&str]) -> String {
        cli_at(&self.host, self.sentinels[sentinel].0, args)
    }

    /// The server that is the primary, as most Sentinels say.
    #[must_use]
    pub fn elected(&self) -> Option<usize> {
        let says = |n| self.ask(n, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        let said = [says(0), says(1), says(2)];
        let most = said.iter().find(|one| said.iter().filter(|other| other == one).count() > 1)?;
        self.servers.iter().position(|s| *most == format!("{}\n{}", s.host, s.port))
    }

    /// The server that is the primary, as the servers that live say themselves.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        self.servers.iter().position(|s| s.lives() && s.cli(&["ROLE"]).starts_with("master"))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.sentinels.iter_mut().for_each(|(_, child, _)| end(child.take()));
    }
}

/// Starts a Sentinel, and waits until it answers.
fn sentinel(primary: &Server, host: &str) -> (u16, Option<Child>, TempDir) {
    for _ in 0..10 {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let file = dir.path().join("sentinel.conf");
        let config = format!(
            "port {port}\nbind {host}\nbind-source-addr {host}\nprotected-mode no\ndir {}\n\
            sentinel monitor main {} {} 2\n\
            sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 6000\n",
            dir.path().display(),
            primary.host,
            primary.port
        );
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("redis-sentinel");
        command.arg(&file);
        let mut child = run(command, &dir.path().join("log"));
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            if cli_at(host, port, &["PING"]) == "PONG" {
                return (port, Some(child), dir);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Somebody took the port before it did.
        end(Some(child));
    }
    panic!("no Sentinel starts");
}
