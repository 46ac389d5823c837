//! A Cluster of nine: three primaries with two replicas each, each node on an address of its own.

use std::sync::Arc;
use std::time::Duration;

use tandem_domain::id::TenantId;
use tandem_domain::record;
use tandem_faults::dice::Dice;
use tandem_faults::load::tenant;
use tandem_faults::record::Recorder;
use tandem_servers::cluster::{Cluster, slot};
use tandem_servers::{Launch, until};
use tandem_store::Shard;

use crate::Plan;
use crate::roles::Roles;
use crate::round::{Done, Round};
use crate::table::Table;
use crate::world::Cut;

#[derive(Clone, Copy)]
enum Kind {
    Kill,
    Stop,
    Cut,
    Failover,
    Move,
}

const KINDS: [(&str, Kind); 5] = [
    ("kill", Kind::Kill),
    ("stop", Kind::Stop),
    ("cut", Kind::Cut),
    ("failover", Kind::Failover),
    ("slot moved", Kind::Move),
];

struct Rig {
    cluster: Cluster,
}

pub(crate) async fn run(plan: Plan, table: Arc<Table>) {
    let rounds = plan.rounds("cluster", &KINDS);
    if rounds.is_empty() {
        return;
    }
    let launch = |n: usize| Launch { host: format!("127.0.2.{}", n + 1), ..Launch::default() };
    let mut rig = Rig { cluster: Cluster::launch((0..9).map(launch).collect()).await };
    for (name, kind, seed) in rounds {
        rig.whole().await;
        let tenants = rig.tenants();
        let hit = Shard::of(&tenants[0]);
        let before = rig.cluster.primaries();
        let judged = async {
            let roles = Roles::look(&rig.cluster.servers);
            let mut round = Round::begin(rig.cluster.settings(), tenants, seed).await?;
            let recorder = Arc::clone(&round.recorder);
            let shard = if round.dice.chance(50) { hit } else { Shard::CELL };
            let (done, meant) = rig.fault(kind, shard, &recorder, &mut round.dice).await;
            round.end().await;
            let unmeant = roles.unmeant(&recorder, &before, meant);
            round.judge(done, unmeant).await
        };
        table.take(&name, seed, judged.await);
        for primary in rig.cluster.primaries() {
            rig.cluster.servers[primary].cli(&["FLUSHALL"]);
        }
    }
}

impl Rig {
    fn slot(&self, shard: Shard) -> u16 {
        let tag = if shard == Shard::CELL { "c".to_owned() } else { shard.0.to_string() };
        slot(&self.cluster.servers[0], &format!("{{{tag}}}"))
    }

    fn owner(&self, shard: Shard) -> usize {
        self.cluster.owner(self.slot(shard)).unwrap()
    }

    /// Two tenants, so that they and what all share lie on three primaries.
    fn tenants(&self) -> Vec<TenantId> {
        let mut taken = vec![self.owner(Shard::of(&record::cell()))];
        let mut tenants = Vec::new();
        for n in 0.. {
            let tenant = tenant(&format!("t{n}"));
            let owner = self.owner(Shard::of(&tenant));
            if !taken.contains(&owner) {
                taken.push(owner);
                tenants.push(tenant);
            }
            if tenants.len() == 2 {
                break;
            }
        }
        tenants
    }

    /// Does it; answers what was done, and who was to become a primary by it.
    async fn fault(
        &mut self,
        kind: Kind,
        shard: Shard,
        recorder: &Recorder,
        dice: &mut Dice,
    ) -> (Done, Option<usize>) {
        let slot = self.slot(shard);
        let primary = self.cluster.owner(slot).unwrap();
        let from = recorder.now();
        match kind {
            Kind::Kill => {
                self.cluster.servers[primary].kill();
                let to = self.failed_over(slot, primary).await;
                let detected = recorder.now();
                self.cluster.servers[primary].again();
                self.whole().await;
                (Done::failover("kill", recorder, from, detected), Some(to))
            }
            Kind::Stop => {
                self.cluster.servers[primary].signal("STOP");
                let to = self.failed_over(slot, primary).await;
                let detected = recorder.now();
                tokio::time::sleep(Duration::from_millis(dice.roll(1500))).await;
                self.cluster.servers[primary].signal("CONT");
                self.whole().await;
                (Done::failover("stop", recorder, from, detected), Some(to))
            }
            Kind::Cut => {
                let hosts = |n: usize| self.cluster.servers[n].host.clone();
                let others: Vec<String> = (0..9).filter(|n| *n != primary).map(hosts).collect();
                let cut = Cut::between(&hosts(primary), &others);
                let to = self.failed_over(slot, primary).await;
                let detected = recorder.now();
                tokio::time::sleep(Duration::from_millis(dice.roll(2500))).await;
                drop(cut);
                self.whole().await;
                (Done::failover("cut", recorder, from, detected), Some(to))
            }
            Kind::Failover => {
                let replica = self.replica_of(primary);
                let said = self.cluster.servers[replica].cli(&["CLUSTER", "FAILOVER"]);
                assert_eq!(said, "OK");
                let to = self.failed_over(slot, primary).await;
                let detected = recorder.now();
                self.whole().await;
                (Done::failover("failover", recorder, from, detected), Some(to))
            }
            Kind::Move => {
                let to = self.cluster.primaries().into_iter().find(|n| *n != primary).unwrap();
                self.cluster.begin_move(slot, primary, to);
                while self.cluster.move_keys(slot, primary, to, 5) > 0 {}
                self.cluster.end_move(slot, to);
                (Done::in_place("slot moved", recorder, from), None)
            }
        }
    }

    fn replica_of(&self, primary: usize) -> usize {
        let port = self.cluster.servers[primary].port.to_string();
        let is = |n: &usize| {
            let said = self.cluster.servers[*n].cli(&["ROLE"]);
            let mut lines = said.lines();
            lines.next() == Some("slave") && lines.nth(1) == Some(&*port)
        };
        (0..9).find(is).unwrap()
    }

    /// Waits until another has the slot, as the others say, and answers which.
    async fn failed_over(&self, slot: u16, from: usize) -> usize {
        let asked = usize::from(from == 0);
        let other = || self.cluster.owner_by(asked, slot).filter(|owner| *owner != from);
        until("another primary", || async { other().is_some() }).await;
        other().unwrap()
    }

    /// Waits until every node says that all is well, and every primary has replicas that keep up.
    async fn whole(&self) {
        let said = |n: usize, what: &[&str]| self.cluster.servers[n].cli(what);
        let well = || async {
            let primaries = self.cluster.primaries();
            let good = |n: &usize| {
                let said = said(*n, &["INFO", "replication"]);
                !said.contains("min_slaves_good_slaves:0") && !said.contains("connected_slaves:0")
            };
            primaries.len() == 3
                && primaries.iter().all(good)
                && (0..9).all(|n| said(n, &["CLUSTER", "INFO"]).contains("cluster_state:ok"))
        };
        until("a cluster that is whole", well).await;
    }
}
