//! A primary with two replicas behind three Sentinels: each server on an address, a disk and a clock of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_faults::dice::Dice;
use tandem_faults::load::tenant;
use tandem_faults::record::Recorder;
use tandem_servers::sentinel::Watched;
use tandem_servers::{Launch, until};

use crate::Plan;
use crate::clock::{Clock, Shim};
use crate::roles::Roles;
use crate::round::{Done, Round};
use crate::table::Table;
use crate::world::{self, Cut};

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Kill,
    Stop,
    Cut,
    /// By an operator who has writes wait meanwhile.
    Failover,
    /// By an operator who does not: what the old primary acknowledges until it is told is lost.
    Unannounced,
    Disk,
    Clock,
}

/// What the Sentinels notice by themselves.
pub(crate) const NOTICED: [(&str, Kind); 3] =
    [("kill", Kind::Kill), ("stop", Kind::Stop), ("cut", Kind::Cut)];
/// The rest.
pub(crate) const OTHERS: [(&str, Kind); 4] = [
    ("failover", Kind::Failover),
    ("failover unannounced", Kind::Unannounced),
    ("full disk", Kind::Disk),
    ("clock jump", Kind::Clock),
];

struct Rig {
    /// Where the Sentinels are.
    sentinels: String,
    watched: Watched,
    disks: Vec<PathBuf>,
    clocks: Vec<Clock>,
}

/// Does these kinds, with servers in a network of this number.
pub(crate) async fn run(plan: Plan, table: Arc<Table>, shim: Arc<Shim>, net: u8, kinds: &[(&str, Kind)]) {
    let rounds = plan.rounds("sentinel", kinds);
    if rounds.is_empty() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut disks, mut clocks, mut launches) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..3 {
        let mut disk = dir.path().join(n.to_string());
        if plan.inside {
            disk = world::small_disk(&disk, 192).unwrap();
        } else {
            std::fs::create_dir(&disk).unwrap();
        }
        let (clock, env) = shim.clock(&format!("clock-{net}-{n}"));
        launches.push(Launch { host: format!("127.0.{net}.{}", n + 1), env, dir: Some(disk.clone()) });
        disks.push(disk);
        clocks.push(clock);
    }
    let launches: [Launch; 3] = launches.try_into().unwrap();
    let sentinels = format!("127.0.{net}.9");
    let mut rig = Rig { watched: Watched::launch(launches, &sentinels).await, sentinels, disks, clocks };
    for (name, kind, seed) in rounds {
        let tenants = vec![tenant("acme"), tenant("globex")];
        let judged = async {
            let (roles, before) = (Roles::look(&rig.watched.servers), rig.watched.elected().unwrap());
            let mut round = Round::begin(rig.watched.settings(), tenants, seed).await?;
            let recorder = Arc::clone(&round.recorder);
            let (done, meant) = rig.fault(kind, &recorder, &mut round.dice).await;
            round.end().await;
            let unmeant = roles.unmeant(&recorder, &[before], meant);
            round.judge(done, unmeant).await
        };
        table.take(&name, seed, judged.await);
        rig.forget().await;
    }
}

impl Rig {
    /// Does it; answers what was done, and who was to become the primary by it.
    async fn fault(&mut self, kind: Kind, recorder: &Recorder, dice: &mut Dice) -> (Done, Option<usize>) {
        let primary = self.watched.elected().unwrap();
        let from = recorder.now();
        match kind {
            Kind::Kill => {
                self.watched.servers[primary].kill();
                let to = self.failed_over(primary).await;
                let detected = recorder.now();
                self.watched.servers[primary].again();
                let (host, port) =
                    (&self.watched.servers[to].host, self.watched.servers[to].port.to_string());
                self.watched.servers[primary].cli(&["REPLICAOF", host, &port]);
                self.whole().await;
                (Done::failover("kill", recorder, from, detected), Some(to))
            }
            Kind::Stop => {
                self.watched.servers[primary].signal("STOP");
                let to = self.failed_over(primary).await;
                let detected = recorder.now();
                tokio::time::sleep(Duration::from_millis(dice.roll(1500))).await;
                self.watched.servers[primary].signal("CONT");
                self.whole().await;
                (Done::failover("stop", recorder, from, detected), Some(to))
            }
            Kind::Cut => {
                let other = |n: usize| self.watched.servers[n].host.clone();
                let others = (0..3).filter(|n| *n != primary).map(other).chain([self.sentinels.clone()]);
                let cut = Cut::between(&other(primary), &others.collect::<Vec<_>>());
                let to = self.failed_over(primary).await;
                let detected = recorder.now();
                tokio::time::sleep(Duration::from_millis(dice.roll(2500))).await;
                drop(cut);
                self.whole().await;
                (Done::failover("cut", recorder, from, detected), Some(to))
            }
            Kind::Failover | Kind::Unannounced => {
                self.ordered(primary, matches!(kind, Kind::Failover), recorder).await
            }
            Kind::Disk => {
                let filler = world::fill(&self.disks[primary]);
                tokio::time::sleep(Duration::from_millis(1000 + dice.roll(2000))).await;
                std::fs::remove_file(filler).unwrap();
                self.whole().await;
                (Done::in_place("full disk", recorder, from), None)
            }
            Kind::Clock => {
                const JUMPS: [i64; 6] = [3_600, -3_600, 90, -90, 3, -3];
                let jump = JUMPS[dice.roll(6) as usize] * 1_000_000;
                self.clocks[primary].shift(jump);
                tokio::time::sleep(Duration::from_millis(1000 + dice.roll(1500))).await;
                self.clocks[primary].shift(0);
                self.whole().await;
                (Done::in_place("clock jump", recorder, from), None)
            }
        }
    }

    /// A failover that an operator orders; announced, writes wait until it is over.
    async fn ordered(&self, primary: usize, announced: bool, recorder: &Recorder) -> (Done, Option<usize>) {
        let from = recorder.now();
        // One that is given up, for no replica was good at that moment, is ordered again.
        let over = async || {
            if announced {
                let said = self.watched.servers[primary].cli(&["CLIENT", "PAUSE", "10000", "WRITE"]);
                assert_eq!(said, "OK");
            }
            // One that is under way refuses another.
            drop(self.watched.ask(0, &["SENTINEL", "FAILOVER", "main"]));
            tokio::time::timeout(Duration::from_secs(5), self.failed_over(primary)).await.is_ok()
        };
        until("a failover", over).await;
        let to = self.failed_over(primary).await;
        let detected = recorder.now();
        self.whole().await;
        let mut done = Done::failover("failover", recorder, from, detected);
        done.disturbance.loses = !announced;
        (done, Some(to))
    }

    /// Waits until another is the primary, and answers which.
    async fn failed_over(&self, from: usize) -> usize {
        let is = |n: usize| n != from && self.watched.servers[n].cli(&["ROLE"]).starts_with("master");
        until("another primary", || async { self.watched.elected().is_some_and(is) }).await;
        self.watched.elected().unwrap()
    }

    /// Waits until the primary has two replicas that keep up.
    async fn whole(&self) {
        let good = |n: usize| {
            let said = self.watched.servers[n].cli(&["INFO", "replication"]);
            said.contains("role:master") && said.contains("min_slaves_good_slaves:2")
        };
        until("two replicas", || async { self.watched.elected().is_some_and(good) }).await;
    }

    /// Forgets what the round wrote, so that disks stay small.
    async fn forget(&self) {
        let primary = self.watched.elected().unwrap();
        self.watched.servers[primary].cli(&["FLUSHALL"]);
        for server in &self.watched.servers {
            server.cli(&["BGREWRITEAOF"]);
        }
        self.whole().await;
    }
}
