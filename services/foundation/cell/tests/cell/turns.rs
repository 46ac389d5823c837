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

/// As many as may.
const AT_ONCE: usize = 4;

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
        let (cell, acme) = (self.behind.cell.clone(), self.acme.clone());
        tokio::spawn(async move { Watch::resume(&cell, acme, Kind::User, mark, Instant::now() + SOON).await })
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
async fn one_more_than_may_read_the_log_at_once_is_told_that_they_are_busy() {
    let two = Two::new().await;
    let (at, mark) = two.written("jane", &[&two.ahead, &two.behind]).await;
    two.written("joe", &[&two.ahead, &two.behind]).await;
    two.way.stall(at);
    let reading: Vec<_> = (0..AT_ONCE).map(|_| two.resuming(mark)).collect();
    becomes(|| two.way.stalling() == AT_ONCE).await;
    assert_eq!(two.resume(mark, Duration::from_millis(100)).await.err(), Some(NoResume::Busy));
    assert_eq!(two.way.stalling(), AT_ONCE, "it did not read");
    // Who gives up makes room.
    two.way.stall(None);
    reading.iter().for_each(JoinHandle::abort);
    assert_eq!(next(&mut two.resume(mark, SOON).await.unwrap()).await, "joe");
}

#[tokio::test]
async fn who_waits_for_the_view_leaves_its_turn_at_the_log_to_others() {
    let two = Two::new().await;
    let (_, first) = two.written("first", &[&two.ahead, &two.behind]).await;
    let (at, _) = two.written("jane", &[&two.ahead, &two.behind]).await;
    two.way.hold(at);
    let (last, mark) = two.written("joe", &[&two.ahead]).await;
    // The log has their mark, and the process has not reached it.
    let waiting: Vec<_> = (0..AT_ONCE).map(|_| two.resuming(mark)).collect();
    let pulled = || two.way.pulled.read().unwrap().iter().filter(|from| **from == last).count();
    becomes(|| pulled() == AT_ONCE).await;
    assert_eq!(next(&mut two.resume(first, SOON).await.unwrap()).await, "jane");
    two.way.hold(None);
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
}
