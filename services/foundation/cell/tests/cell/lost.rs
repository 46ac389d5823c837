//! A store that has lost what was shown: it is shown until it is written again, and never that nobody is there.

use std::sync::Arc;

use tandem_cell::follower::Scope;
use tandem_cell::policy::Policy;
use tandem_cell::watch::{NoResume, Watch};
use tandem_domain::id::{Incarnation, TenantId};
use tandem_domain::record::{self, Kind, PolicyRecord, Record, TenantRecord};
use tandem_runtime::clock::Clock;
use tandem_store::embedded::Place;
use tandem_store::{Store, put};
use tokio::time::{Instant, timeout};

use crate::away::{Way, names};
use crate::desk::{A, document, settings};
use crate::rig::{Rig, SOON, store, until};

/// A member of a cell with one tenant and one user, whose store can be replaced.
struct House {
    rig: Rig,
    way: Way,
    clock: Clock,
    acme: TenantId,
    dir: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let clock = Clock::machine();
        let way = Way::to(store(Place::Memory, &clock, 9));
        let rig = Rig::join(&Store::new(Arc::new(way.clone())), &clock, "up", 1).await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("acme.yaml"), document("acme", "One", A)).unwrap();
        let house = Self {
            way,
            clock,
            acme: TenantId { name: crate::desk::name("acme"), incarnation: Incarnation(0) },
            dir,
            rig,
        };
        let writing = house.writes();
        let shown = || house.rig.cell.view().load().view.tenant("acme").is_some_and(|t| t.config().is_some());
        until(&house.rig.cell, shown).await;
        let acme = house.rig.cell.view().load().view.tenant("acme").unwrap().id().clone();
        let revision = house.rig.user(&acme, "jane").await;
        house.rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
        drop(writing);
        Self { acme, ..house }
    }

    fn writes(&self) -> Policy {
        Policy::start(&self.rig.life, &self.rig.cell, settings(&self.dir, "here"))
    }

    /// The store is emptied: another takes its place.
    async fn emptied(&self) {
        self.way.lead(Some(store(Place::Memory, &self.clock, 10)));
        until(&self.rig.cell, || self.rig.cell.view().stale_since().is_some()).await;
    }

    async fn shown(&self, holds: impl Fn(&tandem_cell::follower::Snapshot) -> bool) {
        until(&self.rig.cell, || holds(&self.rig.cell.view().stored())).await;
    }
}

#[tokio::test]
async fn what_a_store_has_lost_is_shown_until_it_is_written_again() {
    let house = House::new().await;
    let (view, acme) = (house.rig.cell.view().clone(), house.acme.clone());
    let (before, mut changes) = view.subscribe(Scope::Cell);
    let generation = before.view.tenant_by_id(&acme).unwrap().policy().unwrap().generation;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watching = {
        let (view, acme, stop) = (view.clone(), acme.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let shown = view.load();
                let tenant = shown.view.tenant_by_id(&acme).expect("somebody is there");
                assert!(tenant.config().is_some() && tenant.user("jane").is_some());
                assert_eq!(shown.registry.claims().count(), 1);
                drop(shown);
                tokio::task::yield_now().await;
            }
        })
    };
    house.emptied().await;
    // By the writer, in the new store: the same tenant in the same generation, as this process remembers it.
    house.shown(|s| s.view.tenant("acme").is_some_and(|t| t.policy().is_some())).await;
    let stored = view.stored();
    let again = stored.view.tenant_by_id(&acme).expect("the same incarnation");
    assert_eq!(again.policy().unwrap().generation, generation);
    assert_eq!((again.users_len(), stored.registry.claims().count()), (0, 1));
    // Its directory is still shown, and still lost.
    until(&house.rig.cell, || view.lost_directories().iter().map(|t| t.id()).eq([&acme])).await;
    assert!(view.stale_since().is_some());
    assert_eq!((view.lost(), names(&house.rig, &acme)), (1, vec!["jane=Jane".to_owned()]));
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    watching.await.unwrap();
    while let Some(batch) = changes.try_next().unwrap() {
        let gone = batch.changes.iter().find(|c| c.record.is_none() && c.kind != Kind::Process);
        assert_eq!(gone, None, "no follower is told that anything is gone");
    }
    // Something of it is written: that is the directory now.
    house.rig.user(&acme, "joe").await;
    until(&house.rig.cell, || names(&house.rig, &acme) == ["joe=Jane"]).await;
    until(&house.rig.cell, || view.stale_since().is_none()).await;
    assert!(Arc::ptr_eq(&view.stored(), &view.snapshot()), "one again");
    let revision = house.rig.user(&acme, "jim").await;
    view.wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
    assert_eq!(names(&house.rig, &acme), ["jim=Jane", "joe=Jane"]);
}

#[tokio::test]
async fn a_watch_of_what_a_store_has_lost_goes_on_nowhere_else() {
    let house = House::new().await;
    let mut watch = Watch::begin(&house.rig.cell, house.acme.clone(), Kind::User).unwrap();
    house.emptied().await;
    house.shown(|s| s.view.tenant("acme").is_some_and(|t| t.policy().is_some())).await;
    while watch.mark().is_none() {
        timeout(SOON, watch.next()).await.unwrap();
    }
    watch.bookmark();
    let mark = watch.mark().unwrap();
    // A process that knows nothing of jane: a reader that went on there would never hear that she is gone.
    let fresh = Rig::join(&Store::new(Arc::new(house.way.clone())), &house.clock, "fresh", 3).await;
    until(&fresh.cell, || fresh.cell.view().load().view.tenant_by_id(&house.acme).is_some()).await;
    assert_eq!(names(&fresh, &house.acme), Vec::<String>::new());
    let resumed =
        Watch::resume(&fresh.cell, house.acme.clone(), Kind::User, mark, Instant::now() + SOON).await;
    assert_eq!(resumed.err(), Some(NoResume::Expired));
}

#[tokio::test]
async fn another_incarnation_in_the_place_of_what_was_lost_is_shown_as_it_is() {
    let house = House::new().await;
    // Whoever wrote policy until now does not any more.
    let policy = house.rig.cell.view().load().view.tenant("acme").unwrap().policy().unwrap().clone();
    std::fs::remove_file(house.dir.path().join("acme.yaml")).unwrap();
    let empty = store(Place::Memory, &house.clock, 10);
    let other = Rig::join(&empty, &house.clock, "other", 4).await;
    let born = TenantId { incarnation: Incarnation(7), ..house.acme.clone() };
    let birth = Record::Tenant(TenantRecord { tenant: born.clone(), deleting: false });
    other.commit(&record::cell(), vec![put("acme", &birth)]).await;
    house.way.lead(Some(empty));
    until(&house.rig.cell, || house.rig.cell.view().stale_since().is_some()).await;
    assert_eq!(names(&house.rig, &house.acme), ["jane=Jane"], "until it has a policy");
    let record = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec: policy.spec.clone() }));
    other.commit(&born, vec![put("", &record)]).await;
    until(&house.rig.cell, || house.rig.cell.view().load().view.tenant_by_id(&born).is_some()).await;
    until(&house.rig.cell, || house.rig.cell.view().stale_since().is_none()).await;
    assert_eq!(names(&house.rig, &born), Vec::<String>::new());
}

/// What was to go when its store was lost is not kept for ever by who shows it.
#[tokio::test]
async fn what_is_being_deleted_is_not_lost() {
    let house = House::new().await;
    std::fs::remove_file(house.dir.path().join("acme.yaml")).unwrap();
    let other_history = store(Place::Memory, &house.clock, 10);
    let other = Rig::join(&other_history, &house.clock, "other", 4).await;
    let going = Record::Tenant(TenantRecord { tenant: house.acme.clone(), deleting: true });
    other.commit(&record::cell(), vec![put("acme", &going)]).await;
    house.way.lead(Some(other_history));
    let view = house.rig.cell.view();
    let goes = || view.load().view.tenant("acme").is_some_and(|t| t.is_deleting() && t.users_len() == 0);
    until(&house.rig.cell, goes).await;
    until(&house.rig.cell, || view.stale_since().is_none()).await;
    assert_eq!(view.lost(), 0);
}
