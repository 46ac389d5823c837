//! A Redis Cluster: three primaries with two replicas each, and one of three alone for what needs no replicas.

use std::process::Command;
use std::time::Duration;

use tandem_store::redis::Settings;
use tandem_store::redis::settings::Shape;

use super::{Launch, Server, missing, until};

/// A Cluster of servers.
#[derive(Debug)]
pub struct Cluster {
    /// First those that were made primaries.
    pub servers: Vec<Server>,
}

impl Cluster {
    /// Three primaries with `replicas` each.
    pub async fn start(replicas: usize) -> Self {
        Self::launch((0..3 * (1 + replicas)).map(|_| Launch::default()).collect()).await
    }

    /// Three primaries, and as many replicas each as there are servers for, started so.
    pub async fn launch(how: Vec<Launch>) -> Self {
        let replicas = how.len() / 3 - 1;
        let min = if replicas > 0 { "1" } else { "0" };
        let args = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "2000",
            "--appendonly",
            "yes",
            "--min-replicas-to-write",
            min,
            "--min-replicas-max-lag",
            "2",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let servers: Vec<Server> = how.into_iter().map(|how| Server::launch(how, &args)).collect();
        let cluster = Self { servers };
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]);
        command.args(cluster.servers.iter().map(|s| format!("{}:{}", s.host, s.port)));
        command.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let out = command.output().unwrap_or_else(|e| missing("redis-cli", &e));
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        for server in &cluster.servers {
            let ok = || async { server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok") };
            until("a cluster", ok).await;
        }
        for primary in cluster.primaries() {
            let wanted = format!("connected_slaves:{replicas}");
            let linked =
                || async { cluster.servers[primary].cli(&["INFO", "replication"]).contains(&wanted) };
            until("replicas", linked).await;
        }
        cluster
    }

    /// How a store on it is opened.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::of(Shape::Cluster(self.servers.iter().take(3).map(Server::address).collect()))
    }

    /// Settings that ask others than this server who is where, and do not wait for it long.
    #[must_use]
    pub fn settings_without(&self, server: usize) -> Settings {
        let others = self.servers.iter().enumerate().filter(|(n, _)| *n != server);
        let shape = Shape::Cluster(others.take(3).map(|(_, s)| s.address()).collect());
        Settings { write_within: Duration::from_millis(700), ..Settings::of(shape) }
    }

    /// The servers that are primaries, as those that live say.
    #[must_use]
    pub fn primaries(&self) -> Vec<usize> {
        let is = |s: &Server| s.lives() && s.cli(&["ROLE"]).starts_with("master");
        (0..self.servers.len()).filter(|n| is(&self.servers[*n])).collect()
    }

    /// The primary that has a slot, as a node that lives says.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<usize> {
        self.owner_by(self.servers.iter().position(Server::lives)?, slot)
    }

    /// The primary that has a slot, as one node says.
    #[must_use]
    pub fn owner_by(&self, asked: usize, slot: u16) -> Option<usize> {
        for line in self.servers[asked].cli(&["CLUSTER", "NODES"]).lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let has = |range: &&str| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(a), Ok(b)) if (a..=b).contains(&slot))
            };
            if !fields[2].contains("fail") && fields.iter().skip(8).any(has) {
                let port: u16 = fields[1].split(['@', ':']).nth(1)?.parse().ok()?;
                return self.servers.iter().position(|s| s.port == port);
            }
        }
        None
    }

    fn id(&self, of: usize) -> String {
        self.servers[of].cli(&["CLUSTER", "MYID"])
    }

    /// Begins to move a slot: keys go over, the slot stays.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, source, target) = (slot.to_string(), self.id(from), self.id(to));
        assert_eq!(self.servers[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]), "OK");
        assert_eq!(self.servers[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]), "OK");
    }

    /// Moves at most so many keys of a slot; answers how many were left to move before.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, max: usize) -> usize {
        let keys = self.servers[from].cli(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &max.to_string()]);
        let keys: Vec<&str> = keys.lines().filter(|l| !l.is_empty()).collect();
        let port = self.servers[to].port.to_string();
        for key in &keys {
            let said = self.servers[from].cli(&["MIGRATE", &self.servers[to].host, &port, key, "0", "5000"]);
            assert!(said == "OK" || said == "NOKEY", "{said}");
        }
        keys.len()
    }

    /// The slot is the other's.
    pub fn end_move(&self, slot: u16, to: usize) {
        let (slot, target) = (slot.to_string(), self.id(to));
        for primary in self.primaries() {
            assert_eq!(self.servers[primary].cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]), "OK");
        }
    }
}

/// The slot of a key.
#[must_use]
pub fn slot(server: &Server, key: &str) -> u16 {
    server.cli(&["CLUSTER", "KEYSLOT", key]).parse().unwrap()
}
