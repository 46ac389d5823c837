//! Processes of the product on the stores that are used, and watchers of users in them: each goes from one process to the
//! other by its mark, as a reader does by its resume token.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_cell::watch::{Mark, NoResume, Told, Watch};
use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::User;
use tandem_domain::document::policy::Treatments;
use tandem_domain::document::terms::CallControl;
use tandem_domain::id::{TenantId, UserId};
use tandem_domain::record::{self, Kind, Record, TenantRecord};
use tandem_history as history;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_store::{Backend, Commit, CommitId, Durability, Outcome, Shard, Store, What, Write, delete, put};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::record::{self as said, Recorder};
use crate::recorded::Recorded;

/// How many users of a tenant are written.
const USERS: u64 = 8;
/// The user that is written last; behind all others in the order in which what waits is told.
const LAST: &str = "z-last";
/// Between two writes of a tenant's users.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a process may take to have the tenants, and to leave.
const PATIENCE: Duration = Duration::from_secs(20);

/// Watchers, with the processes that they watch by and who writes what they watch.
#[derive(Debug)]
pub struct Watchers {
    cells: Vec<(Cell, Life)>,
    tenants: Vec<TenantId>,
    writers: Vec<JoinHandle<()>>,
    watching: Vec<JoinHandle<()>>,
    told: Vec<(history::Watcher, Seen)>,
    writing: Arc<Writing>,
}

type Seen = Arc<Mutex<Vec<history::Told>>>;

/// Writes users.
#[derive(Debug)]
struct Writing {
    store: Arc<dyn Backend>,
    stop: AtomicBool,
}

impl Watchers {
    /// Begins: a process on each store, tenants of these names, a writer of the users of each, and two watchers of each.
    ///
    /// # Errors
    /// What could not be begun: the store cannot be written.
    pub async fn begin(
        stores: &[Arc<dyn Backend>],
        recorder: &Arc<Recorder>,
        tenants: &[TenantId],
        dice: &mut Dice,
    ) -> Result<Self, String> {
        let recorded =
            |store: &Arc<dyn Backend>| Arc::new(Recorded::new(store, recorder)) as Arc<dyn Backend>;
        let stores: Vec<_> = stores.iter().map(recorded).collect();
        let process = |store: &Arc<dyn Backend>, seed| {
            let (life, store) = (Life::new(), Store::new(Arc::clone(store)));
            let chance = Chance::seeded(seed);
            (Cell::join(&life, Clock::machine(), chance, store, Settings::memory("watched")), life)
        };
        let cells: Vec<_> = stores.iter().map(|store| process(store, dice.roll(u64::MAX))).collect();
        let writing = Arc::new(Writing { store: Arc::clone(&stores[0]), stop: AtomicBool::new(false) });
        let (tenants, writers) = (tenants.to_vec(), vec![]);
        let mut all = Self { cells, tenants, writers, watching: vec![], told: vec![], writing };
        all.births().await?;
        for tenant in all.tenants.clone() {
            let writing = Arc::clone(&all.writing);
            let writer = writing.write(tenant.clone(), Dice(dice.roll(u64::MAX)));
            all.writers.push(tokio::spawn(writer));
            for n in 0..2 {
                all.watch(&tenant, n, Dice(dice.roll(u64::MAX)));
            }
        }
        Ok(all)
    }

    /// Writes the tenants, and waits until each process shows them.
    async fn births(&self) -> Result<(), String> {
        for (n, tenant) in self.tenants.iter().enumerate() {
            let born = Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: false });
            let write = put(tenant.name.as_str(), &born);
            self.writing.commit(&record::cell(), CommitId((1 << 101) + n as u128), write).await?;
        }
        for (cell, _) in &self.cells {
            let there = || self.tenants.iter().all(|t| cell.view().load().view.tenant_by_id(t).is_some());
            let shown = tokio::time::timeout(PATIENCE, cell.view().until(there)).await;
            shown.map_err(|_| "a process does not show the tenants".to_owned())?;
        }
        Ok(())
    }

    fn watch(&mut self, tenant: &TenantId, first: usize, dice: Dice) {
        let watcher = history::Watcher {
            name: format!("watcher {}", self.told.len()),
            of: (Shard::of(tenant).0, said::tenant(tenant)),
            prefix: format!("{}/", Kind::User as u8),
            coalesces: true,
            told: vec![],
        };
        let (seen, cells) = (Seen::default(), self.cells.iter().map(|(cell, _)| cell.clone()).collect());
        let watching = Watching { cells, at: first, tenant: tenant.clone(), seen: Arc::clone(&seen), dice };
        self.watching.push(tokio::spawn(watching.run()));
        self.told.push((watcher, seen));
    }

    /// Ends writing; then, when every watcher was told the last or `within` is over, watching and the processes. Answers
    /// what the watchers were told, whether or not they came there in time.
    pub async fn end(self, within: Duration) -> Vec<history::Watcher> {
        self.writing.stop.store(true, Ordering::SeqCst);
        for writer in self.writers {
            writer.await.unwrap();
        }
        for (n, tenant) in self.tenants.iter().enumerate() {
            // Who cannot be told it is judged by what is there.
            let write = put(LAST, &user(LAST, 0));
            let _ = self.writing.commit(tenant, CommitId((1 << 102) + n as u128), write).await;
        }
        let until = Instant::now() + within;
        let mut ended = Vec::new();
        for (mut watcher, seen) in self.told {
            while !has_last(&seen.lock().unwrap()) && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            watcher.told.clone_from(&seen.lock().unwrap());
            ended.push(watcher);
        }
        self.watching.iter().for_each(JoinHandle::abort);
        for (_, life) in &self.cells {
            life.shutdown.advance(Phase::Draining);
            let _ = tokio::time::timeout(PATIENCE, life.tasks.ended()).await;
        }
        ended
    }
}

/// Whether the last user was told, and nothing has become void since.
fn has_last(told: &[history::Told]) -> bool {
    let last = format!("{}/{LAST}", Kind::User as u8);
    let mut latest = told.iter().rev().take_while(|told| !matches!(told, history::Told::Expired));
    latest.any(|told| match told {
        history::Told::Change(key, ..) => *key == last,
        history::Told::Snapshot(all) => all.contains_key(&last),
        _ => false,
    })
}

impl Writing {
    /// Commits, as often as it takes; a refusal there is not.
    async fn commit(&self, tenant: &TenantId, id: CommitId, write: Write) -> Result<(), String> {
        let (tenant, writes, durability) = (tenant.clone(), vec![write], Durability::Replicated);
        let commit = Commit { tenant, id, preconditions: vec![], writes, durability, trace: None };
        for _ in 0..10 {
            if let Ok(Outcome::Committed(_)) = self.store.commit(commit.clone()).await {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err("the store cannot be written".to_owned())
    }

    /// Writes the users of a tenant, and deletes some.
    async fn write(self: Arc<Self>, tenant: TenantId, mut dice: Dice) {
        let mut n = 0;
        while !self.stop.load(Ordering::SeqCst) {
            n += 1;
            let id = format!("u{}", dice.roll(USERS));
            let write = if dice.chance(15) { delete(Kind::User, &id) } else { put(&id, &user(&id, n)) };
            let name = CommitId(u128::from(dice.roll(u64::MAX)) << 32 | 1 << 100);
            // What is not done now is not done; the next one is.
            let _ = self.commit(&tenant, name, write).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A user whose values tell its versions apart.
fn user(id: &str, n: u64) -> Record {
    Record::User(Arc::new(User {
        id: UserId::parse(id).unwrap(),
        display_name: Some(n.to_string()),
        cic: None,
        lync: None,
        call_control: CallControl::LyncClient,
        phone: None,
        plug_in: false,
        station: None,
        site: None,
        treatments: Treatments::default(),
    }))
}

/// One watcher.
struct Watching {
    cells: Vec<Cell>,
    at: usize,
    tenant: TenantId,
    seen: Seen,
    dice: Dice,
}

impl Watching {
    fn told(&self, told: history::Told) {
        self.seen.lock().unwrap().push(told);
    }

    /// Watches, is broken off now and then, and goes on in the other process.
    async fn run(mut self) {
        const RETRY: Duration = Duration::from_millis(20);
        let mut mark = None;
        loop {
            let cell = &self.cells[self.at % self.cells.len()];
            self.at += 1;
            match begin(cell, &self.tenant, mark).await {
                Ok(watch) => {
                    if mark.is_some() {
                        self.told(history::Told::Resumed);
                    }
                    mark = self.read(watch).await;
                }
                Err(NoResume::Expired | NoResume::NoTenant) => {
                    self.told(history::Told::Expired);
                    mark = None;
                    tokio::time::sleep(RETRY).await;
                }
                // Another process may be able to, and so may this one be later.
                Err(NoResume::Late | NoResume::Busy | NoResume::Away(_)) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Reads for a while; answers where to go on from, if there is anything to go on from.
    async fn read(&mut self, mut watch: Watch) -> Option<Mark> {
        let until = Instant::now() + Duration::from_millis(50 + self.dice.roll(400));
        // What a snapshot has told so far.
        let mut snapshot = watch.mark().is_none().then(BTreeMap::new);
        while let Ok(told) = tokio::time::timeout_at(until, watch.next()).await {
            let as_of = watch.revision().0;
            match told {
                Some(Told::Put(record)) => {
                    let (key, value) = stored(&record);
                    match &mut snapshot {
                        Some(all) => drop(all.insert(key, history::Version { revision: as_of, value })),
                        None => self.told(history::Told::Change(key, as_of, Some(value))),
                    }
                }
                Some(Told::Gone(key)) => {
                    self.told(history::Told::Change(format!("{}/{key}", Kind::User as u8), as_of, None));
                }
                Some(Told::InitialEnd) => {
                    self.told(history::Told::Snapshot(snapshot.take().unwrap_or_default()))
                }
                Some(Told::Bookmark) => {}
                Some(Told::Restart) => {
                    self.told(history::Told::Expired);
                    snapshot = Some(BTreeMap::new());
                }
                Some(Told::End) | None => {
                    self.told(history::Told::Expired);
                    return None;
                }
            }
        }
        watch.mark()
    }
}

async fn begin(cell: &Cell, tenant: &TenantId, mark: Option<Mark>) -> Result<Watch, NoResume> {
    let tenant = tenant.clone();
    match mark {
        // By its bytes, as a token carries it.
        Some(mark) => {
            let mark = Mark::read(&mark.bytes()).ok_or(NoResume::Expired)?;
            Watch::resume(cell, tenant, Kind::User, mark, Instant::now() + Duration::from_secs(5)).await
        }
        None => Watch::begin(cell, tenant, Kind::User).map_err(|_| NoResume::NoTenant),
    }
}

/// A user's key and value, as they are stored.
fn stored(record: &Record) -> (String, String) {
    let Record::User(user) = record else { panic!("a watch of users told {record:?}") };
    let write = put(user.id.as_str(), record);
    let What::Put(value) = &write.what else { panic!("a put is none") };
    (said::key(&write.key), said::text(value))
}
