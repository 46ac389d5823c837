//! Watchers of a sound store are told all that they should be; one whose store has a planted fault is found by its name.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_domain::id::TenantId;
use tandem_domain::record::{self as records, Kind};
use tandem_faults::dice::Dice;
use tandem_faults::load::tenant;
use tandem_faults::record::{self, Recorder};
use tandem_faults::watchers::Watchers;
use tandem_history::{History, Promise, Report};
use tandem_runtime::clock::{Chance, Clock};
use tandem_store::backend::Reply;
use tandem_store::embedded::{Embedded, Place};
use tandem_store::{
    Backend, Changed, Commit, Entry, Error, Key, Listing, Outcome, Position, Pulled, SessionId, Shard, Stats,
    Stored, Write,
};
use tokio::sync::broadcast;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Nothing,
    /// Now and then a change is not shown.
    LeavesOut,
    /// Now and then what a record was before its last state is shown after that.
    ShowsWhatWas,
}

#[derive(Debug)]
struct Faulty {
    store: Arc<dyn Backend>,
    fault: Fault,
    shown: AtomicU64,
    /// What each record was.
    before: Mutex<HashMap<(TenantId, Key), Vec<Changed>>>,
}

impl Faulty {
    fn spoil(&self, entry: &mut Entry) {
        let Some(change) = entry.changes.first().filter(|c| c.key.kind == Kind::User as u8).cloned() else {
            return;
        };
        let now = self.shown.fetch_add(1, Ordering::SeqCst) % 5 == 4;
        let at = (entry.tenant.clone(), change.key.clone());
        let mut before = self.before.lock().unwrap();
        let was = before.entry(at).or_default();
        let older = was.iter().rev().filter(|c| c.value.is_some()).nth(1).cloned();
        was.push(change);
        match (self.fault, older) {
            (Fault::LeavesOut, _) if now => entry.changes = Vec::new().into(),
            (Fault::ShowsWhatWas, Some(older)) if now => entry.changes = vec![older].into(),
            _ => {}
        }
    }
}

impl Backend for Faulty {
    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        Box::pin(async move {
            let mut pulled = self.store.pull(shard, after, max).await?;
            if let Pulled::Entries(entries) = &mut pulled {
                entries.iter_mut().for_each(|entry| self.spoil(entry));
            }
            Ok::<_, Error>(pulled)
        })
    }
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        self.store.commit(commit)
    }
    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        self.store.get(tenant, key)
    }
    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        self.store.list(shard)
    }
    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        self.store.positions()
    }
    fn hints(&self) -> broadcast::Receiver<Shard> {
        self.store.hints()
    }
    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        self.store.open_session(tenant, session, ttl_ms)
    }
    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        self.store.keep_alive(tenant, session, ttl_ms)
    }
    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        self.store.end_session(tenant, session)
    }
    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        self.store.sweep(shard)
    }
    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
        self.store.stage(tenant, generation, part, writes)
    }
    fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Reply<'_, Outcome> {
        self.store.turn_over(commit, generation, parts)
    }
    fn stats(&self) -> Reply<'_, Stats> {
        self.store.stats()
    }
    fn close(&self) -> Reply<'_, ()> {
        self.store.close()
    }
}

/// Two processes on one store, of which the second is shown it with a fault.
async fn watched(fault: Fault) -> (Report, usize) {
    let world = tandem_cell::world(&Clock::machine(), &Chance::seeded(1));
    let store: Arc<dyn Backend> = Arc::new(Embedded::open(Place::Memory, world).unwrap());
    let faulty =
        Faulty { store: Arc::clone(&store), fault, shown: AtomicU64::new(0), before: Mutex::default() };
    let stores = [Arc::clone(&store), Arc::new(faulty) as Arc<dyn Backend>];
    let (recorder, tenants) = (Arc::<Recorder>::default(), vec![tenant("acme"), tenant("globex")]);
    let watchers = Watchers::begin(&stores, &recorder, &tenants, &mut Dice(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let watchers = watchers.end(Duration::from_secs(20)).await;
    let mut history = History { attempts: recorder.attempts(), watchers, ..History::default() };
    for shard in tenants.iter().chain([&records::cell()]).map(Shard::of) {
        history.log.insert(shard.0, record::log(&*store, shard).await.unwrap());
    }
    let resumed = |told: &&tandem_history::Told| matches!(told, tandem_history::Told::Resumed);
    let times = history.watchers.iter().map(|w| w.told.iter().filter(resumed).count()).sum();
    (tandem_history::check(&history), times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_go_from_one_process_to_the_other_are_told_everything_in_order() {
    let (report, resumed) = watched(Fault::Nothing).await;
    assert!(report.kept(), "{report}");
    assert!(resumed > 0, "no watcher went on from its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_watcher_is_not_told_is_found() {
    let (report, _) = watched(Fault::LeavesOut).await;
    assert!(report.broke(Promise::WatchMissed), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_watcher_is_told_out_of_order_is_found() {
    let (report, _) = watched(Fault::ShowsWhatWas).await;
    assert!(report.broke(Promise::WatchOutOfOrder), "{report}");
}
