//! The embedded backend through its public face.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tandem_domain::document::directory::NumberAssignment;
use tandem_domain::document::policy::Treatments;
use tandem_domain::document::terms::AssignmentKind;
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName, UserId};
use tandem_domain::record::{Kind, Record};
use tandem_store::embedded::{Embedded, OpenError, Place, World};
use tandem_store::{
    Commit, CommitId, Durability, Followed, Outcome, Precondition, SessionId, Shard, Store, Until, Write,
    claim, codec, delete, put,
};

struct Rig {
    store: Store,
    clock: Arc<AtomicU64>,
    ids: AtomicU64,
}

const START: u64 = 1_700_000_000_000_000;

fn rig(place: Place) -> Rig {
    let clock = Arc::new(AtomicU64::new(START));
    let now = Arc::clone(&clock);
    let ids = AtomicU64::new(1_000_000);
    let world = World {
        clock: Arc::new(move || now.load(Ordering::Relaxed)),
        chance: Arc::new(move || u128::from(ids.fetch_add(1, Ordering::Relaxed)) << 64),
    };
    let store = Store::new(Arc::new(Embedded::open(place, world).unwrap()));
    Rig { store, clock, ids: AtomicU64::new(1) }
}

fn tenant(name: &str) -> TenantId {
    TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
}

fn number(n: u64) -> Record {
    Record::Number(Arc::new(NumberAssignment {
        number: format!("+4930{n:08}"),
        kind: AssignmentKind::Did,
        user: Some(UserId::parse("jane").unwrap()),
        workgroup: None,
        treatments: Treatments::default(),
    }))
}

impl Rig {
    fn commit_of(&self, preconditions: Vec<Precondition>, writes: Vec<Write>) -> Commit {
        let id = CommitId(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)));
        Commit {
            tenant: tenant("acme"),
            id,
            preconditions,
            writes,
            durability: Durability::Local,
            trace: None,
        }
    }

    async fn commit(&self, preconditions: Vec<Precondition>, writes: Vec<Write>) -> Outcome {
        self.store.commit(self.commit_of(preconditions, writes)).await.unwrap()
    }

    async fn committed(&self, writes: Vec<Write>) -> Revision {
        match self.commit(Vec::new(), writes).await {
            Outcome::Committed(revision) => revision,
            other => panic!("{other:?}"),
        }
    }

    fn advance(&self, by: Duration) {
        self.clock.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_commit_is_read_back_and_seen_by_a_follower() {
    let rig = rig(Place::Memory);
    let first = rig.committed(vec![put("1", &number(1))]).await;
    let mut follower = rig.store.follow();
    let mut listed = Vec::new();
    loop {
        match follower.next().await.unwrap() {
            Followed::Listed(_, listing) => listed.extend(listing.records),
            Followed::Synchronised => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(listed.len(), 1);
    assert_eq!(codec::listed(&listed[0]).unwrap().record, Some(number(1)));
    let second = rig.committed(vec![put("2", &number(2)), delete(Kind::Number, "1")]).await;
    assert!(second > first);
    let Followed::Entries(shard, entries) = follower.next().await.unwrap() else { panic!("entries") };
    assert_eq!(shard, Shard::of(&tenant("acme")));
    let changes = codec::changes(&entries[0]).unwrap();
    assert_eq!((changes[0].key.as_str(), changes[0].record.clone()), ("2", Some(number(2))));
    assert_eq!((changes[1].key.as_str(), changes[1].record.clone()), ("1", None));
    assert_eq!(rig.store.get(&tenant("acme"), Kind::Number, "1").await.unwrap(), None);
}

#[tokio::test]
async fn a_retry_finds_its_own_success() {
    let rig = rig(Place::Memory);
    let key = codec::key(Kind::Number, "1");
    let commit = rig.commit_of(vec![Precondition::Absent(key)], vec![put("1", &number(1))]);
    let first = rig.store.commit(commit.clone()).await.unwrap();
    assert!(matches!(first, Outcome::Committed(_)));
    assert_eq!(rig.store.commit(commit.clone()).await.unwrap(), first);
    let another = Commit { id: CommitId(77), ..commit };
    assert!(matches!(rig.store.commit(another).await.unwrap(), Outcome::Refused(r) if r.found.is_some()));
}

#[tokio::test]
async fn a_stale_token_is_refused_and_what_expired_is_a_change() {
    let rig = rig(Place::Memory);
    let key = codec::key(Kind::Number, "lease");
    let until = Until::After(Duration::from_secs(10));
    let Outcome::Committed(token) = rig.commit(vec![], vec![claim("lease", &number(1), until)]).await else {
        panic!()
    };
    let held = vec![Precondition::TokenIs(key.clone(), token)];
    assert!(matches!(rig.commit(held.clone(), vec![put("x", &number(2))]).await, Outcome::Committed(_)));
    // An outage does not expire anybody at once: shard time moves by 2 s a step.
    rig.advance(Duration::from_secs(3600));
    let shard = Shard::of(&tenant("acme"));
    assert_eq!(rig.store.sweep(shard).await.unwrap(), 0);
    assert!(matches!(rig.commit(held.clone(), vec![put("x", &number(3))]).await, Outcome::Committed(_)));
    // The sweeps themselves move it on, also while nobody writes.
    for _ in 0..3 {
        rig.advance(Duration::from_secs(2));
        assert_eq!(rig.store.sweep(shard).await.unwrap(), 0);
    }
    rig.advance(Duration::from_secs(2));
    assert!(matches!(rig.commit(held, vec![put("x", &number(5))]).await, Outcome::Refused(_)));
    assert_eq!(rig.store.sweep(shard).await.unwrap(), 1);
    assert_eq!(rig.store.sweep(shard).await.unwrap(), 0);
    assert_eq!(rig.store.get(&tenant("acme"), Kind::Number, "lease").await.unwrap(), None);
}

#[tokio::test]
async fn what_hangs_on_a_session_ends_with_it() {
    let rig = rig(Place::Memory);
    let (acme, session) = (tenant("acme"), SessionId(9));
    rig.store.open_session(&acme, session, 5_000).await.unwrap();
    let writes = (0..300).map(|n| claim(&format!("{n}"), &number(n), Until::Session(session))).collect();
    rig.commit(vec![Precondition::SessionLives(session)], writes).await;
    assert!(rig.store.keep_alive(&acme, session, 5_000).await.unwrap());
    rig.store.end_session(&acme, session).await.unwrap();
    assert!(!rig.store.keep_alive(&acme, session, 5_000).await.unwrap());
    let mut swept = Vec::new();
    loop {
        match rig.store.sweep(Shard::of(&acme)).await.unwrap() {
            0 => break,
            n => swept.push(n),
        }
    }
    assert_eq!(swept, [128, 128, 44], "in bounded steps");
    let refused = rig.commit(vec![Precondition::SessionLives(session)], vec![put("x", &number(1))]).await;
    assert!(matches!(refused, Outcome::Refused(_)));
}

#[tokio::test]
async fn a_staged_change_is_seen_whole() {
    let rig = rig(Place::Memory);
    let acme = tenant("acme");
    let mut follower = rig.store.follow();
    while follower.next().await.unwrap() != Followed::Synchronised {}
    for part in 0..4 {
        let writes = (0..500).map(|n| put(&format!("{part}-{n}"), &number(n))).collect();
        rig.store.stage(&acme, 5, part, writes).await.unwrap();
    }
    assert_eq!(rig.store.get(&acme, Kind::Number, "0-0").await.unwrap(), None);
    let commit = rig.commit_of(vec![], vec![]);
    let Outcome::Committed(revision) = rig.store.turn_over(commit, 5, 4).await.unwrap() else { panic!() };
    let Followed::Entries(_, entries) = follower.next().await.unwrap() else { panic!() };
    assert_eq!(entries.iter().map(|e| e.changes.len()).sum::<usize>(), 2000);
    assert_eq!(entries.last().unwrap().revision, revision);
    assert!(entries[..3].iter().all(|e| e.more) && !entries[3].more);
}

#[tokio::test]
async fn a_directory_in_use_is_refused_by_name_and_reopens_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::Directory(dir.path().join("data"));
    let first = rig(place.clone());
    first.committed(vec![put("1", &number(1))]).await;
    let world = World { clock: Arc::new(|| START), chance: Arc::new(|| 1) };
    let refused = Embedded::open(place.clone(), world).unwrap_err();
    assert!(
        matches!(&refused, OpenError::InUse { pid, .. } if *pid == std::process::id().to_string()),
        "{refused}"
    );
    first.store.close().await.unwrap();
    assert_eq!(first.store.stats().await, Err(tandem_store::Error::Closed));
    let world = World { clock: Arc::new(|| START), chance: Arc::new(|| 1) };
    let again = Store::new(Arc::new(Embedded::open(place, world).unwrap()));
    assert!(again.get(&tenant("acme"), Kind::Number, "1").await.unwrap().is_some());
}
