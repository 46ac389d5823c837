//! The view that follows the store, and those who follow the view.

use std::time::Duration;

use crate::rig::{Rig, SOON, START, store, unknown, until, user};
use tandem_cell::follower::{LAG_MAX, Lagged, Scope};
use tandem_domain::id::Revision;
use tandem_domain::record::{self, Kind};
use tandem_runtime::clock::Clock;
use tandem_store::embedded::Place;
use tandem_store::{delete, put};
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_writer_reads_its_own_write_at_its_revision() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    for n in 0..50 {
        let id = format!("u{n}");
        let revision = rig.user(&acme, &id).await;
        let shown = rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
        let tenant = shown.view.tenant_by_id(&acme).unwrap();
        assert!(tenant.user(&id).is_some());
        assert_eq!(tenant.revision(), revision);
    }
}

#[tokio::test]
async fn a_revision_that_nobody_wrote_is_late_at_the_deadline() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    let revision = rig.user(&acme, "jane").await;
    rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
    let beyond = Revision(revision.0 + 1);
    let late = rig.cell.view().wait_for(&acme, beyond, Instant::now()).await.unwrap_err();
    assert_eq!((late.wanted, late.reached), (beyond, revision));
    // What is there already is answered whatever the deadline.
    rig.cell.view().wait_for(&acme, revision, Instant::now() - Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_gets_a_snapshot_and_every_change_after_it() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    let writing = {
        let cell = rig.cell.clone();
        let acme = acme.clone();
        async move {
            for n in 0..300 {
                let commit = tandem_store::Commit {
                    tenant: acme.clone(),
                    id: cell.commit_id(),
                    preconditions: Vec::new(),
                    writes: vec![put("jane", &user("jane", &n.to_string()))],
                    durability: tandem_store::Durability::Local,
                    trace: None,
                };
                cell.store().commit(commit).await.unwrap();
            }
        }
    };
    let reading = async {
        for _ in 0..20 {
            let (shown, mut changes) = rig.cell.view().subscribe(Scope::Tenant(acme.clone()));
            let name = |u: &tandem_domain::document::directory::User| -> i32 {
                u.display_name.as_deref().unwrap().parse().unwrap()
            };
            let mut last = shown.view.tenant_by_id(&acme).unwrap().user("jane").map_or(-1, |u| name(u));
            while last < 299 {
                let batch = timeout(SOON, changes.next()).await.unwrap().unwrap();
                for change in batch.changes.iter() {
                    let Some(record::Record::User(u)) = &change.record else { panic!() };
                    assert_eq!(name(u), last + 1, "neither a gap nor a repetition");
                    last += 1;
                }
            }
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn a_subscriber_hears_of_its_tenant_and_of_no_other() {
    let rig = Rig::machine().await;
    let (acme, other) = (rig.birth("acme").await, rig.birth("other").await);
    let (_, mut changes) = rig.cell.view().subscribe(Scope::Tenant(acme.clone()));
    let (_, mut all) = rig.cell.view().subscribe(Scope::Cell);
    rig.user(&other, "olga").await;
    rig.user(&acme, "jane").await;
    rig.commit(&record::cell(), vec![delete(Kind::Tenant, "other")]).await;
    rig.commit(&record::cell(), vec![delete(Kind::Tenant, "acme")]).await;
    let first = timeout(SOON, changes.next()).await.unwrap().unwrap();
    assert_eq!((first.tenant.clone(), first.changes[0].key.as_str()), (acme.clone(), "jane"));
    let death = timeout(SOON, changes.next()).await.unwrap().unwrap();
    assert_eq!(
        (death.changes.len(), death.changes[0].kind, death.changes[0].key.as_str()),
        (1, Kind::Tenant, "acme")
    );
    assert!(death.changes[0].record.is_none());
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let batch = timeout(SOON, all.next()).await.unwrap().unwrap();
        seen.extend(batch.changes.iter().map(|c| c.key.clone()));
    }
    seen.sort();
    assert_eq!(seen, ["acme", "jane", "olga", "other"]);
}

#[tokio::test]
async fn a_subscriber_that_is_too_slow_begins_anew() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    let (_, mut changes) = rig.cell.view().subscribe(Scope::Tenant(acme.clone()));
    let mut revision = Revision(0);
    for round in 0..=LAG_MAX / 512 {
        let writes =
            (0..512).map(|n| put(&format!("u{n}"), &user(&format!("u{n}"), &round.to_string()))).collect();
        revision = rig.commit(&acme, writes).await;
    }
    rig.cell.view().wait_for(&acme, revision, Instant::now() + SOON).await.unwrap();
    assert_eq!(changes.next().await.unwrap_err(), Lagged);
    assert_eq!(changes.try_next().unwrap_err(), Lagged);
    let (shown, mut changes) = rig.cell.view().subscribe(Scope::Tenant(acme.clone()));
    assert_eq!(shown.view.tenant_by_id(&acme).unwrap().users_len(), 512);
    assert!(matches!(changes.try_next(), Ok(None)));
}

#[tokio::test]
async fn one_batch_is_taken_whatever_its_size_when_nothing_waits() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    let (_, mut changes) = rig.cell.view().subscribe(Scope::Tenant(acme.clone()));
    let parts = LAG_MAX / 512 + 1;
    for part in 0..parts {
        let id = |n| format!("u{part}-{n}");
        let writes = (0..512).map(|n| put(&id(n), &user(&id(n), "x"))).collect();
        rig.cell.store().stage(&acme, 7, u32::try_from(part).unwrap(), writes).await.unwrap();
    }
    let commit = tandem_store::Commit {
        tenant: acme.clone(),
        id: rig.cell.commit_id(),
        preconditions: Vec::new(),
        writes: Vec::new(),
        durability: tandem_store::Durability::Replicated,
        trace: None,
    };
    rig.cell.store().turn_over(commit, 7, u32::try_from(parts).unwrap()).await.unwrap();
    let batch = timeout(SOON, changes.next()).await.unwrap().unwrap();
    assert_eq!(batch.changes.len(), parts * 512);
}

#[tokio::test]
async fn a_process_is_registered_until_it_leaves() {
    let (clock, _hand) = Clock::manual(START);
    let store = store(Place::Memory, &clock, 9);
    let one = Rig::join(&store, &clock, "one", 1).await;
    let two = Rig::join(&store, &clock, "two", 2).await;
    let roles = |rig: &Rig| {
        let shown = rig.cell.view().load();
        let mut roles: Vec<_> = shown.registry.processes().map(|p| p.role.clone()).collect();
        roles.sort();
        roles
    };
    until(&one.cell, || roles(&one) == ["one", "two"]).await;
    two.leave().await;
    until(&one.cell, || roles(&one) == ["one"]).await;
}

#[tokio::test]
async fn a_process_that_died_is_gone_after_its_time_and_one_whose_session_was_lost_comes_back() {
    let (clock, hand) = Clock::manual(START);
    let store = store(Place::Memory, &clock, 9);
    let one = Rig::join(&store, &clock, "one", 1).await;
    let two = Rig::join(&store, &clock, "two", 2).await;
    let there = |id: &str| one.cell.view().load().registry.processes().any(|p| p.id == id);
    let (first, second) = (one.cell.session().process().to_owned(), two.cell.session().process().to_owned());
    until(&one.cell, || there(&first) && there(&second)).await;
    // Cut, not asked to leave: as a process that was killed.
    two.life.shutdown.advance(tandem_runtime::drain::Phase::Stopped);
    two.life.tasks.join().await;
    let gone = async {
        while there(&second) {
            hand.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.expect("expired");
    assert!(there(&first), "who keeps its session alive stays");
    let lost = one.cell.session().registered().await;
    store.end_session(&record::cell(), lost).await.unwrap();
    let again = async {
        while one.cell.session().id().is_none_or(|id| id == lost) || !there(&first) {
            hand.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, again).await.expect("registered anew");
}

#[tokio::test]
async fn an_unknown_tenant_has_reached_nothing() {
    let rig = Rig::machine().await;
    assert!(rig.cell.view().load().view.tenant_by_id(&unknown()).is_none());
    assert_eq!(rig.cell.view().stale_since(), None);
}
