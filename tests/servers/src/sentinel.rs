//! The documented production shape: a primary with two replicas, and three Sentinels.

use std::process::{Child, Command};

use tandem_store::redis::Settings;
use tandem_store::redis::settings::{Address, Shape};
use tempfile::TempDir;

use super::{Server, cli, end, free_port, run, until};

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
    sentinels: Vec<(u16, Option<Child>, TempDir)>,
}

impl Watched {
    /// Starts all of it, and waits until each knows the others.
    pub async fn start() -> Self {
        let primary = Server::start(&STRONG);
        let of = primary.port.to_string();
        let mut servers = vec![primary];
        for _ in 0..2 {
            servers.push(Server::start(&[&STRONG[..], &["--replicaof", "127.0.0.1", &of]].concat()));
        }
        let linked =
            || async { cli(servers[0].port, &["INFO", "replication"]).contains("min_slaves_good_slaves:2") };
        until("two replicas", linked).await;
        let sentinels: Vec<_> = (0..3).map(|_| sentinel(&of)).collect();
        let watched = Self { servers, sentinels };
        for (port, ..) in &watched.sentinels {
            let knows = || async {
                let said = cli(*port, &["SENTINEL", "MASTER", "main"]);
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
        let at = |port: &u16| Address { host: "127.0.0.1".to_owned(), port: *port };
        Settings::of(Shape::Sentinel(
            self.sentinels.iter().map(|(port, ..)| at(port)).collect(),
            "main".to_owned(),
        ))
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

fn sentinel(primary: &str) -> (u16, Option<Child>, TempDir) {
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let file = dir.path().join("sentinel.conf");
    let config = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 2\n\
        sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 6000\n",
        dir.path().display()
    );
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("redis-sentinel");
    command.arg(&file);
    let child = run(command, &dir.path().join("log"));
    (port, Some(child), dir)
}
