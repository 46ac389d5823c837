//! Who uses a store while something is done to it: writers, holders of a fence, sweeps and followers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_domain::record;
use tandem_store::{
    Backend, Commit, CommitId, Durability, Error, Fence, Follower, Key, Outcome, Precondition, Shard, Until,
    What, Write,
};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinHandle;

use crate::dice::Dice;
use crate::record::{Recorder, Seen};

/// A kind of record that is none of the product's.
const KIND: u8 = 200;
/// The fence that holders contend for.
const LEASE: &str = "lease";
/// How many keys the writers of a tenant share.
const SHARED: u64 = 4;
/// How often an answer that is not known is asked for again.
const AGAIN: usize = 3;

/// How hard a store is used.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two commits of a writer.
    pub pause: Duration,
    /// How long a holder holds.
    pub held: Duration,
    /// Between two sweeps.
    pub sweep: Duration,
}

/// Everybody who uses the store.
#[derive(Debug)]
pub struct Load {
    /// What was asked.
    pub recorder: Arc<Recorder>,
    /// The tenants that are written to.
    pub tenants: Vec<TenantId>,
    stores: Vec<Arc<dyn Backend>>,
    seen: Vec<Seen>,
    following: Vec<JoinHandle<()>>,
    working: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    ids: Arc<AtomicU64>,
    commits: Arc<RwLock<()>>,
}

/// A tenant.
#[must_use]
pub fn tenant(name: &str) -> TenantId {
    TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
}

fn key(key: &str) -> Key {
    Key::new(KIND, key)
}

impl Load {
    /// Begins: for each store a writer of `Local` and one of `Replicated` commits, a holder, a sweep and a follower.
    #[must_use]
    pub fn begin(stores: Vec<Arc<dyn Backend>>, tenants: Vec<TenantId>, pace: Pace, dice: &mut Dice) -> Self {
        let mut load = Self {
            recorder: Arc::default(),
            tenants,
            stores,
            seen: vec![],
            following: vec![],
            working: vec![],
            stop: Arc::default(),
            ids: Arc::new(AtomicU64::new(1)),
            commits: Arc::default(),
        };
        for n in 0..load.stores.len() {
            load.follow(n);
            for durability in [Durability::Local, Durability::Replicated] {
                let writer = load.worker(n, durability, dice);
                load.working.push(tokio::spawn(writer.write(pace)));
            }
            let holder = load.worker(n, Durability::Local, dice);
            load.working.push(tokio::spawn(holder.hold(pace)));
            load.working.push(tokio::spawn(load.worker(n, Durability::Local, dice).sweep(pace)));
        }
        load
    }

    /// The shards that are looked at.
    #[must_use]
    pub fn shards(&self) -> BTreeSet<Shard> {
        self.tenants.iter().map(Shard::of).chain([Shard::CELL]).collect()
    }

    /// One more follower, by a store.
    pub fn follow(&mut self, store: usize) {
        let seen = Seen::by(&format!("follower {}", self.seen.len()));
        let (following, shards) = (Follower::new(Arc::clone(&self.stores[store])), self.shards());
        self.seen.push(seen.clone());
        self.following.push(tokio::spawn(async move { seen.follow(following, &shards).await }));
    }

    fn worker(&self, n: usize, durability: Durability, dice: &mut Dice) -> Worker {
        Worker {
            name: format!("w{}", self.working.len()),
            store: Arc::clone(&self.stores[n]),
            recorder: Arc::clone(&self.recorder),
            tenants: self.tenants.clone(),
            shards: self.shards(),
            durability,
            dice: Dice(dice.roll(u64::MAX)),
            stop: Arc::clone(&self.stop),
            ids: Arc::clone(&self.ids),
            commits: Arc::clone(&self.commits),
        }
    }

    /// Waits until nobody waits for a commit any more; nobody begins one for as long as the answer is held.
    pub async fn quiet(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.commits).write_owned().await
    }

    /// Ends those who write, and waits until each has its answer.
    pub async fn end_writing(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.working.drain(..) {
            worker.await.unwrap();
        }
    }

    /// Writes once more to each shard, and waits until each follower was shown it; then it is over. Answers what the
    /// followers saw, whether or not they came there in time.
    pub async fn end_following(
        &mut self,
        within: Duration,
        dice: &mut Dice,
    ) -> Vec<tandem_history::Follower> {
        let last = self.worker(0, Durability::Replicated, dice);
        let mut ends = Vec::new();
        let tenants: Vec<TenantId> = self.tenants.iter().cloned().chain([record::cell()]).collect();
        for tenant in tenants {
            let shard = Shard::of(&tenant);
            let commit = last.commit_to(&tenant, vec![], vec![put("end", "end")]);
            for _ in 0..10 {
                if let Ok(Outcome::Committed(revision)) = last.recorder.commit(&*last.store, &commit).await {
                    ends.push((shard, (revision.0, commit.id.0)));
                    break;
                }
            }
        }
        let seen = self.seen.clone();
        let waiting = async {
            while !seen.iter().all(|s| ends.iter().all(|(shard, at)| s.stands_at(*shard, *at))) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // Who does not come there is judged for it.
        let _ = tokio::time::timeout(within, waiting).await;
        for following in self.following.drain(..) {
            following.abort();
        }
        self.seen.iter().map(Seen::take).collect()
    }
}

fn put(at: &str, value: &str) -> Write {
    Write { key: key(at), what: What::Put(value.as_bytes().into()) }
}

/// One that writes, holds or sweeps.
struct Worker {
    name: String,
    store: Arc<dyn Backend>,
    recorder: Arc<Recorder>,
    tenants: Vec<TenantId>,
    shards: BTreeSet<Shard>,
    durability: Durability,
    dice: Dice,
    stop: Arc<AtomicBool>,
    ids: Arc<AtomicU64>,
    /// Held to read by whoever commits.
    commits: Arc<RwLock<()>>,
}

impl Worker {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn commit_to(&self, tenant: &TenantId, preconditions: Vec<Precondition>, writes: Vec<Write>) -> Commit {
        let id = CommitId(u128::from(self.ids.fetch_add(1, Ordering::SeqCst)) << 16);
        Commit { tenant: tenant.clone(), id, preconditions, writes, durability: self.durability, trace: None }
    }

    fn any_tenant(&mut self) -> TenantId {
        let n = self.dice.roll(self.tenants.len() as u64) as usize;
        self.tenants[n].clone()
    }

    /// Commits; what is not known is asked for again a few times, by most.
    async fn commit(&mut self, commit: &Commit) -> Result<Outcome, Error> {
        let commits = Arc::clone(&self.commits);
        let _under_way = commits.read().await;
        let mut answer = self.recorder.commit(&*self.store, commit).await;
        for _ in 0..AGAIN {
            if !matches!(answer, Ok(Outcome::Indeterminate(_))) || self.dice.chance(20) {
                break;
            }
            answer = self.recorder.commit(&*self.store, commit).await;
        }
        answer
    }

    /// Writes keys of its own, deletes some, and counts up keys that all share.
    async fn write(mut self, pace: Pace) {
        let mut n = 0;
        while !self.stopped() {
            let tenant = self.any_tenant();
            n += 1;
            let commit = match self.dice.roll(10) {
                0..6 => {
                    let own = format!("{}-{}", self.name, n % 50);
                    self.commit_to(&tenant, vec![], vec![put(&own, &n.to_string())])
                }
                6 => {
                    let gone = match self.dice.chance(30) {
                        true => format!("shared-{}", self.dice.roll(SHARED)),
                        false => format!("{}-{}", self.name, self.dice.roll(50)),
                    };
                    self.commit_to(&tenant, vec![], vec![Write { key: key(&gone), what: What::Delete }])
                }
                _ => {
                    let shared = format!("shared-{}", self.dice.roll(SHARED));
                    let Ok(found) = self.store.get(&tenant, &key(&shared)).await else { continue };
                    let condition = match &found {
                        Some(found) => Precondition::VersionIs(key(&shared), found.version),
                        None => Precondition::Absent(key(&shared)),
                    };
                    self.commit_to(
                        &tenant,
                        vec![condition],
                        vec![put(&shared, &format!("{}-{n}", self.name))],
                    )
                }
            };
            let _ = self.commit(&commit).await;
            tokio::time::sleep(pace.pause).await;
        }
    }

    /// Claims the fence whenever it is free, and now and then when it is not, and writes under it until it is
    /// refused; then it knows that it has lost it.
    async fn hold(mut self, pace: Pace) {
        let mut n = 0;
        while !self.stopped() {
            let pause = Duration::from_micros(self.dice.roll(pace.held.as_micros() as u64 / 4 + 1));
            tokio::time::sleep(pause).await;
            let Ok(found) = self.store.get(&record::cell(), &key(LEASE)).await else { continue };
            let condition = match found {
                None => Precondition::Absent(key(LEASE)),
                Some(found) if self.dice.chance(25) => Precondition::VersionIs(key(LEASE), found.version),
                Some(_) => continue,
            };
            let what = What::Claim(self.name.as_bytes().into(), Until::After(pace.held));
            let mut claim =
                self.commit_to(&record::cell(), vec![condition], vec![Write { key: key(LEASE), what }]);
            claim.durability = Durability::Replicated;
            let Ok(Outcome::Committed(token)) = self.commit(&claim).await else { continue };
            let fence = Precondition::FenceIs(Fence { key: key(LEASE), token });
            while !self.stopped() {
                let tenant = self.any_tenant();
                n += 1;
                let mut commit = self.commit_to(
                    &tenant,
                    vec![fence.clone()],
                    vec![put("fenced", &format!("{}-{n}", self.name))],
                );
                if self.dice.chance(50) {
                    commit.durability = Durability::Replicated;
                }
                if matches!(self.commit(&commit).await, Ok(Outcome::Refused(_))) {
                    break;
                }
                tokio::time::sleep(pace.pause).await;
            }
        }
    }

    async fn sweep(self, pace: Pace) {
        while !self.stopped() {
            for shard in &self.shards {
                // Whoever cannot sweep now does so the next time.
                let _ = self.store.sweep(*shard).await;
            }
            tokio::time::sleep(pace.sweep).await;
        }
    }
}
