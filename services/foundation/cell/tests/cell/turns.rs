//! How many watches of a process read the log at once to begin from a mark.

use std::sync::Arc;
use std::time::Duration;

use tandem_cell::watch::{Mark, NoResume, Told, Watch};
use tandem_domain::id::TenantId;
use tandem_domain::record::{Kind, Record};
use tandem_runtime::clock::Clock;
use tandem_store::embedded::Place;
use tandem_store::{Position, Shard, Store};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::away::Way;
use crate::rig::{Rig, SOON, store, until};

/// So many that they would be in others' way if each took a turn of its own.
const MANY: usize = 20;

/// Two processes of one store; the way of the second to it can be closed at a place.
struct Two {
    real: Store,
    way: Way,
    ahead: Rig,
    behind: Rig,
    acme: TenantId,
}

impl Two {
    async fn new() -> Self {
        let clock = Clock::machine();
        let real = store(Place::Memory, &clock, 9);
        let way = Way::to(real.clone());
        let ahead = Rig::join(&real, &clock, "ahead", 1).await;
        let behind = Rig::join(&Store::new(Arc::new(way.clone())), &clock, "behind", 2).await;
        let acme = ahead.birth("acme").await;
        Self { real, way, ahead, behind, acme }
    }

    /// A user that is shown by these processes; where the log stands then, and the mark of one that was told.
    async fn written(&self, id: &str, shown: &[&Rig]) -> (Option<Position>, Mark) {
        let written = self.ahead.user(&self.acme, id).await;
        for rig in shown {
            until(&rig.cell, || rig.cell.view().reached(&self.acme) >= written).await;
        }
        let positions = self.real.backend().positions().await.unwrap();
        let at = positions.into_iter().find(|(shard, _)| *shard == Shard::of(&self.acme)).map(|(_, at)| at);
        let mut watch = Watch::begin(&self.ahead.cell, self.acme.clone(), Kind::User).unwrap();
        while watch.mark().is_none() {
            watch.next().await;
        }
        (at, watch.mark().unwrap())
    }

    fn resuming(&self, mark: Mark) -> JoinHandle<Result<Watch, NoResume>> {
        self.resuming_of(&self.acme, mark)
    }

    fn resuming_of(&self, tenant: &TenantId, mark: Mark) -> JoinHandle<Result<Watch, NoResume>> {
        let (cell, of) = (self.behind.cell.clone(), tenant.clone());
        tokio::spawn(async move { Watch::resume(&cell, of, Kind::User, mark, Instant::now() + SOON).await })
    }

    async fn resume(&self, mark: Mark, within: Duration) -> Result<Watch, NoResume> {
        let by = Instant::now() + within;
        Watch::resume(&self.behind.cell, self.acme.clone(), Kind::User, mark, by).await
    }
}

async fn next(watch: &mut Watch) -> String {
    match timeout(SOON, watch.next()).await.unwrap() {
        Some(Told::Put(Record::User(user))) => user.id.to_string(),
        other => format!("{other:?}"),
    }
}

async fn becomes(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, waiting).await.expect("in time");
}

#[tokio::test]
async fn one_more_than_may_read_the_log_of_a_shard_at_once_is_told_that_they_are_busy() {
    let two = Two::new().await;
    let (at, mark) = two.written("jane", &[&two.ahead, &two.behind]).await;
    two.written("joe", &[&two.ahead, &two.behind]).await;
    two.way.stall(at);
    let reading = two.resuming(mark);
    // A pull that takes long is given up once, to wait where it is in nobody's way.
    becomes(|| two.way.stalling() == 2).await;
    assert_eq!(two.resume(mark, Duration::from_millis(100)).await.err(), Some(NoResume::Busy));
    assert_eq!(two.way.stalling(), 2, "it did not read");
    // Who gives up makes room.
    two.way.stall(None);
    reading.abort();
    assert_eq!(next(&mut two.resume(mark, SOON).await.unwrap()).await, "joe");
}

#[tokio::test]
async fn who_reads_a_log_that_does_not_answer_waits_no_longer_than_it_may() {
    let two = Two::new().await;
    let (at, mark) = two.written("jane", &[&two.ahead, &two.behind]).await;
    two.written("joe", &[&two.ahead, &two.behind]).await;
    two.way.stall(at);
    for within in [Duration::from_millis(50), Duration::from_millis(500)] {
        let resumed = timeout(SOON, two.resume(mark, within)).await.expect("by its deadline");
        assert_eq!(resumed.err(), Some(NoResume::Busy));
    }
}

#[tokio::test]
async fn readers_of_a_shard_that_does_not_answer_hold_up_those_of_no_other() {
    let two = Two::new().await;
    let (at, mark) = two.written("jane", &[&two.ahead, &two.behind]).await;
    two.written("joe", &[&two.ahead, &two.behind]).await;
    let tenant = two.acme.clone();
    let globex = Two { acme: two.ahead.birth("globex").await, ..two };
    assert_ne!(Shard::of(&globex.acme), Shard::of(&tenant));
    let (_, other) = globex.written("jim", &[&globex.ahead, &globex.behind]).await;
    globex.written("jill", &[&globex.ahead, &globex.behind]).await;
    globex.way.stall(at);
    let waiting: Vec<_> = (0..MANY).map(|_| globex.resuming_of(&tenant, mark)).collect();
    becomes(|| globex.way.stalling() > 0).await;
    assert_eq!(next(&mut globex.resume(other, SOON).await.unwrap()).await, "jill");
    waiting.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn who_waits_for_the_view_leaves_its_turn_at_the_log_to_others() {
    let two = Two::new().await;
    let (_, first) = two.written("first", &[&two.ahead, &two.behind]).await;
    let (at, _) = two.written("jane", &[&two.ahead, &two.behind]).await;
    two.way.hold(at);
    let (last, mark) = two.written("joe", &[&two.ahead]).await;
    // The log has their mark, and the process has not reached it.
    let waiting: Vec<_> = (0..MANY).map(|_| two.resuming(mark)).collect();
    let pulled = || two.way.pulled.read().unwrap().iter().filter(|from| **from == last).count();
    becomes(|| pulled() == MANY).await;
    assert_eq!(next(&mut two.resume(first, SOON).await.unwrap()).await, "jane");
    two.way.hold(None);
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
}
