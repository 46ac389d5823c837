//! A store that goes away, and one that comes back with another history.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tandem_cell::follower::Scope;
use tandem_cell::watch::{Told, Watch};
use tandem_domain::id::TenantId;
use tandem_domain::record::{Kind, Record};
use tandem_runtime::clock::Clock;
use tandem_store::backend::Reply;
use tandem_store::embedded::Place;
use tandem_store::{
    Backend, Commit, Error, Key, Listing, Outcome, Position, Pulled, SessionId, Shard, Stats, Store, Stored,
    Write, delete, put,
};
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout};

use crate::rig::{Rig, SOON, START, store, until, user};

/// The way to a real store, which can be closed, or lead to another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    to: Arc<RwLock<Option<Store>>>,
    /// Who pulls from here finds the store away.
    held: Arc<RwLock<Option<Position>>>,
    /// Who pulls from here has no answer.
    stalled: Arc<RwLock<Option<Position>>>,
    /// How many have none.
    stalling: Arc<AtomicUsize>,
    /// From where was pulled, and answered.
    pub(crate) pulled: Arc<RwLock<Vec<Option<Position>>>>,
}

impl Way {
    pub(crate) fn to(store: Store) -> Self {
        let way = Self::default();
        way.lead(Some(store));
        way
    }

    pub(crate) fn lead(&self, to: Option<Store>) {
        *self.to.write().unwrap() = to;
    }

    pub(crate) fn hold(&self, from: Option<Position>) {
        *self.held.write().unwrap() = from;
    }

    pub(crate) fn stall(&self, from: Option<Position>) {
        *self.stalled.write().unwrap() = from;
    }

    pub(crate) fn stalling(&self) -> usize {
        self.stalling.load(Ordering::SeqCst)
    }

    fn there(&self) -> Result<Arc<dyn Backend>, Error> {
        let there = self.to.read().unwrap();
        let store = there.as_ref().ok_or_else(|| Error::Unavailable("the way is closed".into()))?;
        Ok(Arc::clone(store.backend()))
    }
}

macro_rules! on_the_way {
    ($($name:ident($($arg:ident: $of:ty),*) -> $answer:ty;)+) => {
        impl Backend for Way {
            $(fn $name(&self, $($arg: $of),*) -> Reply<'_, $answer> {
                let there = self.there();
                Box::pin(async move { there?.$name($($arg),*).await })
            })+

            fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
                let (there, tenant, key) = (self.there(), tenant.clone(), key.clone());
                Box::pin(async move { there?.get(&tenant, &key).await })
            }

            fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
                let is_held = after.is_some() && *self.held.read().unwrap() == after;
                let there = if is_held { Err(Error::Unavailable("held".into())) } else { self.there() };
                let is_stalled = after.is_some() && *self.stalled.read().unwrap() == after;
                Box::pin(async move {
                    if is_stalled {
                        self.stalling.fetch_add(1, Ordering::SeqCst);
                        std::future::pending::<()>().await;
                    }
                    let pulled = there?.pull(shard, after, max).await;
                    self.pulled.write().unwrap().push(after);
                    pulled
                })
            }

            fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
                let (there, tenant) = (self.there(), tenant.clone());
                Box::pin(async move { there?.open_session(&tenant, session, ttl_ms).await })
            }

            fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
                let (there, tenant) = (self.there(), tenant.clone());
                Box::pin(async move { there?.keep_alive(&tenant, session, ttl_ms).await })
            }

            fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
                let (there, tenant) = (self.there(), tenant.clone());
                Box::pin(async move { there?.end_session(&tenant, session).await })
            }

            fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
                let (there, tenant) = (self.there(), tenant.clone());
                Box::pin(async move { there?.stage(&tenant, generation, part, writes).await })
            }

            fn hints(&self) -> broadcast::Receiver<Shard> {
                self.there().map_or_else(|_| broadcast::Sender::new(1).subscribe(), |there| there.hints())
            }
        }
    };
}

on_the_way! {
    commit(commit: Commit) -> Outcome;
    list(shard: Shard) -> Listing;
    positions() -> Vec<(Shard, Position)>;
    sweep(shard: Shard) -> usize;
    turn_over(commit: Commit, generation: u64, parts: u32) -> Outcome;
    stats() -> Stats;
    close() -> ();
}

fn open(path: &Path, clock: &Clock, seed: u64) -> Store {
    store(Place::Directory(path.to_owned()), clock, seed)
}

pub(crate) fn names(rig: &Rig, tenant: &TenantId) -> Vec<String> {
    let shown = rig.cell.view().load();
    let mut names: Vec<_> = shown
        .view
        .tenant_by_id(tenant)
        .into_iter()
        .flat_map(|t| t.users())
        .map(|u| format!("{}={}", u.id, u.display_name.as_deref().unwrap_or_default()))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_store_that_is_away_leaves_the_view_and_says_since_when() {
    let (clock, hand) = Clock::manual(START);
    let real = store(Place::Memory, &clock, 9);
    let way = Way::to(real.clone());
    let rig = Rig::join(&Store::new(Arc::new(way.clone())), &clock, "one", 1).await;
    let acme = rig.birth("acme").await;
    let revision = rig.user(&acme, "jane").await;
    rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
    assert_eq!(rig.cell.view().stale_since(), None);
    hand.advance(Duration::from_secs(1));
    way.lead(None);
    let stale = async {
        while rig.cell.view().stale_since().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, stale).await.expect("noticed");
    assert_eq!(rig.cell.view().stale_since(), Some(START + 1_000_000));
    hand.advance(Duration::from_secs(60));
    assert_eq!(rig.cell.view().stale_since(), Some(START + 1_000_000), "since it began, not the last try");
    assert_eq!(names(&rig, &acme), ["jane=Jane"], "answered from the view");
    assert!(rig.cell.view().is_synchronised());
    // Another process wrote meanwhile: it is shown before the view is called fresh.
    let meanwhile = Commit {
        tenant: acme.clone(),
        id: rig.cell.commit_id(),
        preconditions: Vec::new(),
        writes: vec![put("joe", &user("joe", "Joe"))],
        durability: tandem_store::Durability::Local,
        trace: None,
    };
    real.commit(meanwhile).await.unwrap();
    way.lead(Some(real));
    until(&rig.cell, || rig.cell.view().stale_since().is_none()).await;
    assert_eq!(names(&rig, &acme), ["jane=Jane", "joe=Joe"]);
}

#[tokio::test]
async fn another_history_is_shown_as_one_change_and_nothing_is_left_of_the_old_one() {
    let (clock, _hand) = Clock::manual(START);
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = open(first.path(), &clock, 9);
    let way = Way::to(before.clone());
    let rig = Rig::join(&Store::new(Arc::new(way.clone())), &clock, "one", 1).await;
    let (acme, id) = (rig.birth("acme").await, rig.cell.view().cell_id().unwrap());
    for id in ["changed", "deleted", "same"] {
        rig.user(&acme, id).await;
    }
    // A copy of the store as it is now.
    way.lead(None);
    before.close().await.unwrap();
    std::fs::copy(first.path().join("tandem.redb"), second.path().join("tandem.redb")).unwrap();
    way.lead(Some(open(first.path(), &clock, 10)));
    let newborn = rig.birth("newborn").await;
    let writes = vec![
        put("changed", &user("changed", "Later")),
        delete(Kind::User, "deleted"),
        put("added", &user("added", "Later")),
    ];
    let revision = rig.commit(&acme, writes).await;
    let old = rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
    assert_eq!(names(&rig, &acme), ["added=Later", "changed=Later", "same=Jane"]);
    let (_, mut changes) = rig.cell.view().subscribe(Scope::Tenant(acme.clone()));
    // A restore: the copy takes the store's place.
    way.lead(Some(open(second.path(), &clock, 11)));
    until(&rig.cell, || names(&rig, &acme) == ["changed=Jane", "deleted=Jane", "same=Jane"]).await;
    until(&rig.cell, || rig.cell.view().load().view.tenant_by_id(&newborn).is_none()).await;
    let batch = timeout(SOON, changes.next()).await.unwrap().unwrap();
    let mut seen: Vec<_> = batch.changes.iter().map(|c| (c.key.as_str(), c.record.is_some())).collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [("added", false), ("changed", true), ("deleted", true)],
        "one change, what is the same left out"
    );
    assert_eq!(old.view.tenant_by_id(&acme).unwrap().users_len(), 3, "a snapshot never changes");
    assert_eq!(rig.cell.view().cell_id(), Some(id), "a copy is the same cell");
    // And it goes on from there.
    let revision = rig.user(&acme, "next").await;
    rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
    assert_eq!(names(&rig, &acme).len(), 4);
}

#[tokio::test]
async fn a_watch_goes_on_in_a_process_that_is_behind_and_misses_nothing_that_came_meanwhile() {
    let clock = Clock::machine();
    let real = store(Place::Memory, &clock, 9);
    let way = Way::to(real.clone());
    let ahead = Rig::join(&real, &clock, "ahead", 1).await;
    let behind = Rig::join(&Store::new(Arc::new(way.clone())), &clock, "behind", 2).await;
    let acme = ahead.birth("acme").await;
    let last = async |rig: &Rig, id: &str| {
        let written = ahead.user(&acme, id).await;
        until(&rig.cell, || rig.cell.view().reached(&acme) >= written).await;
        let positions = real.backend().positions().await.unwrap();
        positions.into_iter().find(|(shard, _)| *shard == Shard::of(&acme)).map(|(_, position)| position)
    };
    way.hold(last(&behind, "jane").await);
    let told = last(&ahead, "joe").await;
    let mut watch = Watch::begin(&ahead.cell, acme.clone(), Kind::User).unwrap();
    while watch.mark().is_none() {
        watch.next().await;
    }
    let (mark, by) = (watch.mark().unwrap(), Instant::now() + SOON);
    let resuming = Watch::resume(&behind.cell, acme.clone(), Kind::User, mark, by);
    let meanwhile = async {
        while !way.pulled.read().unwrap().contains(&told) {
            tokio::task::yield_now().await;
        }
        ahead.user(&acme, "meanwhile").await;
        way.hold(None);
    };
    let (resumed, ()) = timeout(SOON, async { tokio::join!(resuming, meanwhile) }).await.unwrap();
    let next = timeout(SOON, resumed.unwrap().next()).await.unwrap();
    assert!(matches!(next, Some(Told::Put(Record::User(user))) if user.id.as_str() == "meanwhile"));
}

#[tokio::test]
async fn the_cell_of_a_store_that_was_emptied_is_another_and_every_process_knows_it() {
    let clock = Clock::machine();
    let first = store(Place::Memory, &clock, 9);
    let way = Way::to(first.clone());
    let rig = Rig::join(&Store::new(Arc::new(way.clone())), &clock, "one", 1).await;
    let id = first.stats().await.unwrap().cell;
    assert_eq!(rig.cell.view().cell_id(), Some(id));
    let empty = store(Place::Memory, &clock, 10);
    let now = empty.stats().await.unwrap().cell;
    assert_ne!(now, id);
    way.lead(Some(empty));
    until(&rig.cell, || rig.cell.view().cell_id() == Some(now)).await;
}
