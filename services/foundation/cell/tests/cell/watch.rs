//! Watches: what later services stand on.

use std::time::Duration;

use tandem_cell::follower::LAG_MAX;
use tandem_cell::watch::{Mark, NoResume, NoTenant, Told, Watch};
use tandem_domain::id::Revision;
use tandem_domain::id::TenantId;
use tandem_domain::record::{Kind, Record};
use tandem_runtime::clock::Clock;
use tandem_store::{Shard, delete, put};
use tokio::time::Instant;

use crate::rig::{Rig, SOON, START, unknown, until, user};

async fn next(watch: &mut Watch) -> String {
    let told = tokio::time::timeout(SOON, watch.next()).await.expect("in time");
    match told {
        Some(Told::Put(Record::User(user))) => user.id.to_string(),
        Some(Told::Gone(key)) => format!("-{key}"),
        other => format!("{other:?}"),
    }
}

async fn resume(rig: &Rig, tenant: &TenantId, mark: Mark) -> Result<Watch, NoResume> {
    Watch::resume(&rig.cell, tenant.clone(), Kind::User, mark, Instant::now() + SOON).await
}

#[tokio::test]
async fn a_tenant_that_went_away_before_the_watch_began_is_not_watched_for_ever() {
    let rig = Rig::machine().await;
    assert_eq!(Watch::begin(&rig.cell, unknown(), Kind::User).err(), Some(NoTenant));
    let beginning = Mark::read(&[0; 24]).unwrap();
    assert_eq!(resume(&rig, &unknown(), beginning).await.err(), Some(NoResume::NoTenant));
}

#[tokio::test]
async fn a_mark_of_another_history_is_expired_and_no_gap() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    let written = rig.user(&acme, "a").await;
    until(&rig.cell, || rig.cell.view().reached(&acme) >= written).await;
    let mut watch = Watch::begin(&rig.cell, acme.clone(), Kind::User).unwrap();
    while watch.mark().is_none() {
        watch.next().await;
    }
    let ours = watch.mark().unwrap();
    let written = rig.user(&acme, "b").await;
    until(&rig.cell, || rig.cell.view().reached(&acme) >= written).await;
    assert_eq!(next(&mut resume(&rig, &acme, ours).await.unwrap()).await, "b");
    // The same place, by another commit; and a place that nobody wrote yet.
    let mut other = ours.bytes();
    other[20] ^= 1;
    let mut ahead = ours.bytes();
    ahead[1] += 1;
    for bytes in [other, ahead] {
        let mark = Mark::read(&bytes).unwrap();
        assert_eq!(resume(&rig, &acme, mark).await.err(), Some(NoResume::Expired));
    }
    for strange in [&[][..], &[1; 7], &[1; 23], &[1; 25]] {
        assert_eq!(Mark::read(strange), None);
    }
}

#[tokio::test]
async fn a_watch_of_an_idle_tenant_goes_on_from_where_its_shard_is() {
    let (clock, hand) = Clock::manual(START);
    let rig = Rig::of(clock, tandem_cell::Settings::memory("test"), 1).await;
    let acme = rig.birth("acme").await;
    // Another tenant in the same shard, whose changes move the shard's log on.
    let neighbour = {
        let mut n = 0;
        loop {
            let tenant = TenantId { incarnation: tandem_domain::id::Incarnation(n), ..acme.clone() };
            if tenant != acme && Shard::of(&tenant) == Shard::of(&acme) {
                break tenant;
            }
            n += 1;
        }
    };
    let mut watch = Watch::begin(&rig.cell, acme.clone(), Kind::User).unwrap();
    assert_eq!(next(&mut watch).await, "Some(InitialEnd)");
    let before = watch.mark().unwrap();
    let written: Revision = rig.commit(&neighbour, vec![put("x", &user("x", "X"))]).await;
    until(&rig.cell, || rig.cell.view().reached(&acme) >= written).await;
    hand.advance(Duration::from_secs(31));
    assert_eq!(next(&mut watch).await, "Some(Bookmark)");
    assert_ne!(watch.mark().unwrap(), before);
    assert_eq!(watch.revision(), written);
    rig.commit(&acme, vec![put("a", &user("a", "A")), delete(Kind::User, "z")]).await;
    let mut again = resume(&rig, &acme, watch.mark().unwrap()).await.unwrap();
    assert_eq!([next(&mut again).await, next(&mut again).await], ["a", "-z"]);
}

#[tokio::test]
async fn a_busy_watch_that_has_nothing_to_tell_is_marked_all_the_same() {
    let (clock, hand) = Clock::manual(START);
    let rig = Rig::of(clock, tandem_cell::Settings::memory("test"), 1).await;
    let acme = rig.birth("acme").await;
    let mut watch = Watch::begin(&rig.cell, acme.clone(), Kind::Station).unwrap();
    assert_eq!(next(&mut watch).await, "Some(InitialEnd)");
    let busy = async {
        loop {
            rig.user(&acme, "u").await;
            hand.advance(Duration::from_secs(1));
        }
    };
    tokio::select! {
        told = next(&mut watch) => assert_eq!(told, "Some(Bookmark)"),
        () = busy => {}
    }
}

#[tokio::test]
async fn a_watch_that_is_broken_off_after_a_restart_begins_anew_and_ends_with_what_is_there() {
    let rig = Rig::machine().await;
    let acme = rig.birth("acme").await;
    let mut watch = Watch::begin(&rig.cell, acme.clone(), Kind::User).unwrap();
    assert_eq!(next(&mut watch).await, "Some(InitialEnd)");
    let mut written = Revision(0);
    for _ in 0..=LAG_MAX / 512 {
        let writes = (0..512).map(|n| put(&format!("u{n}"), &user(&format!("u{n}"), "x"))).collect();
        written = rig.commit(&acme, writes).await;
    }
    let gone = (4..512).map(|n| delete(Kind::User, &format!("u{n}"))).collect();
    written = written.max(rig.commit(&acme, gone).await);
    until(&rig.cell, || rig.cell.view().reached(&acme) >= written).await;
    assert_eq!(next(&mut watch).await, "Some(Restart)");
    let restarted = watch.mark().expect("it says that nothing of before holds");
    assert_eq!(next(&mut watch).await, "u0");
    let within = watch.mark().unwrap();
    // The last that a process tells when it leaves is no promise that the snapshot was told.
    assert_eq!((watch.bookmark(), watch.mark()), (Told::Bookmark, Some(within)));
    // What was told of the new snapshot is no more.
    let written = rig.commit(&acme, vec![delete(Kind::User, "u0")]).await;
    until(&rig.cell, || rig.cell.view().reached(&acme) >= written).await;
    for mark in [restarted, within] {
        let mark = Mark::read(&mark.bytes()).unwrap();
        let mut again = resume(&rig, &acme, mark).await.unwrap();
        let mut told = Vec::new();
        while told.len() < 5 {
            told.push(next(&mut again).await);
        }
        assert_eq!(told, ["Some(Restart)", "u1", "u2", "u3", "Some(InitialEnd)"]);
        assert_ne!(again.mark(), Some(mark), "the new snapshot was told");
    }
}
