//! A client of the servers: looks the primary up, waits for answers that may be lost, asks again under the same id, and says
//! what became of it, by the rules of the backend on Redis.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tandem_domain::id::TenantId;
use tandem_store::backend::Reply;
use tandem_store::{
    Backend, Cause, Commit, CommitId, Durability, Error, Key, Listing, Outcome, Position, Pulled, SessionId,
    Shard, Stats, Stored, Write,
};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::bug::Bug;
use super::cloud::Cloud;
use super::server::{Answer, What, wait};

/// How long a commit is tried.
const WITHIN: Duration = Duration::from_secs(5);
/// How long replicas may take to confirm one try.
const CONFIRM_WITHIN: Duration = Duration::from_millis(500);
/// How often the primary is looked up, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How late a request may be delivered.
pub(crate) const LATE: Duration = Duration::from_secs(3);

/// A store on the simulated servers.
pub(crate) struct SimStore {
    cloud: Cloud,
    number: usize,
    bug: Option<Bug>,
    /// The election that it knows of, and when it looked, milliseconds.
    epoch: AtomicU64,
    looked: AtomicU64,
    began: Instant,
}

impl std::fmt::Debug for SimStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimStore({})", self.number)
    }
}

/// What one try brought.
enum Tried {
    /// The answer of the server that was elected in this epoch.
    Said(Outcome, u64),
    /// It was surely not done.
    Not(String),
    /// It may have been done.
    Doubt(String),
}

impl SimStore {
    pub(crate) fn new(cloud: &Cloud, number: usize) -> Self {
        let (epoch, looked) = (AtomicU64::new(0), AtomicU64::new(0));
        let bug = cloud.state().bug;
        Self { cloud: cloud.clone(), number, bug, epoch, looked, began: Instant::now() }
    }

    fn look(&self) {
        // With the bug, one client stays with the primary that it knows.
        if self.is(Bug::GoesOnCutOff) && self.number == 1 {
            return;
        }
        self.epoch.store(self.cloud.state().epoch, Ordering::SeqCst);
        self.looked.store(self.began.elapsed().as_millis() as u64, Ordering::SeqCst);
    }

    /// The election that is known of.
    fn epoch(&self) -> u64 {
        let now = self.began.elapsed().as_millis() as u64;
        if now - self.looked.load(Ordering::SeqCst) > LOOK_EVERY.as_millis() as u64 {
            self.look();
        }
        self.epoch.load(Ordering::SeqCst)
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn roll(&self, sides: u64) -> u64 {
        self.cloud.state().dice.roll(sides)
    }

    fn lost(&self) -> bool {
        let mut state = self.cloud.state();
        let lossy = state.lossy;
        state.dice.chance(lossy)
    }

    /// The way to the server, or back.
    async fn travel(&self) {
        tokio::time::sleep(Duration::from_micros(50 + self.roll(3000))).await;
        self.cloud.replicate();
    }

    /// What cannot be asked now is asked of whoever is the primary a moment later.
    async fn pause(&self) {
        self.look();
        tokio::time::sleep(Duration::from_millis(20 + self.roll(100))).await;
    }

    async fn tried(&self, commit: &Commit) -> Tried {
        self.travel().await;
        if self.lost() {
            return Tried::Doubt("the request was lost".to_owned());
        }
        let epoch = self.epoch();
        let (answer, told) = match self.cloud.ask(epoch, What::Commit(commit.clone())) {
            Ok(answered) => answered,
            Err(why) => return Tried::Not(why.to_string()),
        };
        let Answer::Outcome(outcome) = answer else { return Tried::Doubt("nonsense".to_owned()) };
        self.travel().await;
        if self.lost() {
            return Tried::Doubt("the reply was lost".to_owned());
        }
        if matches!(outcome, Outcome::Committed(_)) && commit.durability == Durability::Replicated {
            let until = Instant::now() + CONFIRM_WITHIN;
            loop {
                if told.is_none() && self.is(Bug::GoesOnCutOff) {
                    break;
                }
                match told.and_then(|told| self.cloud.has(epoch, told)) {
                    Some(true) => break,
                    Some(false) if Instant::now() < until => self.travel().await,
                    _ => return Tried::Doubt("no replica has confirmed it".to_owned()),
                }
            }
        }
        Tried::Said(outcome, epoch)
    }

    async fn write(&self, mut commit: Commit) -> Result<Outcome, Error> {
        let until = Instant::now() + WITHIN;
        let mut doubt = None;
        loop {
            let why = match self.tried(&commit).await {
                Tried::Said(outcome, by) => {
                    self.deliver_again(&commit, &outcome, by);
                    return Ok(outcome);
                }
                Tried::Doubt(why) if self.is(Bug::TakesALostReplyForNothingDone) => {
                    return Err(Error::Unavailable(why));
                }
                Tried::Doubt(why) => {
                    doubt = Some(why.clone());
                    why
                }
                Tried::Not(why) => why,
            };
            if Instant::now() >= until {
                return match doubt {
                    Some(doubt) => Ok(Outcome::Indeterminate(doubt)),
                    None => Err(Error::Unavailable(why)),
                };
            }
            if self.is(Bug::ForgetsCommitIds) {
                commit.id = CommitId(commit.id.0 ^ 1 << 100);
            }
            self.pause().await;
        }
    }

    /// A network that delivers a request twice, to the server that had it: what was done is found to be done. What was
    /// refused is not delivered again, for the connection was ended before.
    fn deliver_again(&self, commit: &Commit, outcome: &Outcome, epoch: u64) {
        let late = self.is(Bug::DeliversLate);
        let again = match outcome {
            Outcome::Committed(_) => self.roll(20) == 0,
            _ => late,
        };
        if again {
            let (cloud, commit) = (self.cloud.clone(), commit.clone());
            let after = Duration::from_millis(self.roll(LATE.as_millis() as u64));
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                if cloud.state().epoch == epoch {
                    drop(cloud.ask(epoch, What::Commit(commit)));
                }
            });
        }
    }

    /// Something that may be done twice.
    async fn call(&self, what: What) -> Result<Answer, Error> {
        let until = Instant::now() + WITHIN;
        loop {
            self.travel().await;
            let why = match self.cloud.ask(self.epoch(), what.clone()) {
                Ok((answer, _)) if !self.lost() => return Ok(answer),
                Ok(_) => Error::Unavailable("the reply was lost".to_owned()),
                Err(Error::Unavailable(why)) => Error::Unavailable(why),
                Err(other) => return Err(other),
            };
            if Instant::now() >= until {
                return Err(why);
            }
            self.pause().await;
        }
    }

    async fn read<T>(&self, read: impl Fn(&dyn Backend) -> Result<T, Error>) -> Result<T, Error> {
        self.travel().await;
        let blind = self.cloud.state().blind == Some(self.number);
        if blind || self.lost() {
            return Err(Error::Unavailable("no answer".to_owned()));
        }
        let answer = self.cloud.read(self.epoch(), read);
        if answer.is_err() {
            self.look();
        }
        answer
    }

    /// What a bug makes of a pull.
    fn mangle(
        &self,
        pulled: Pulled,
        rolled: u64,
        shard: Shard,
        after: Option<Position>,
        store: &dyn Backend,
    ) -> Pulled {
        match pulled {
            Pulled::Resync(Cause::Diverged) if self.is(Bug::PullsAnything) => {
                let later = |e: &tandem_store::Entry| after.is_some_and(|p| e.revision > p.revision);
                match wait(store.pull(shard, None, 256)) {
                    Ok(Pulled::Entries(all)) => Pulled::Entries(all.into_iter().filter(later).collect()),
                    _ => Pulled::Resync(Cause::Diverged),
                }
            }
            Pulled::Entries(mut entries) => {
                if entries.len() > 2 && self.is(Bug::SkipsAnEvent) {
                    entries.remove(1);
                }
                if !entries.is_empty() && self.is(Bug::CutsTooSoon) && rolled == 0 {
                    return Pulled::Resync(Cause::Compacted);
                }
                Pulled::Entries(entries)
            }
            other => other,
        }
    }
}

impl Backend for SimStore {
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        Box::pin(self.write(commit))
    }

    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        let (tenant, key) = (tenant.clone(), key.clone());
        Box::pin(async move { self.read(|store| wait(store.get(&tenant, &key))).await })
    }

    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        Box::pin(async move {
            let written = self.cloud.state().was_written(shard);
            let list = |store: &dyn Backend| match written {
                true => wait(store.list(shard)),
                false => Ok(Listing { records: vec![], position: None, at: 0 }),
            };
            let mut listing = self.read(list).await?;
            if self.is(Bug::ListsThePast)
                && let Some(record) = listing.records.first_mut()
            {
                record.value = (*b"past").into();
            }
            Ok(listing)
        })
    }

    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        Box::pin(async move {
            let rolled = self.roll(20);
            self.read(|store| {
                let pulled = wait(store.pull(shard, after, max))?;
                Ok(self.mangle(pulled, rolled, shard, after, store))
            })
            .await
        })
    }

    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        Box::pin(self.read(|store| wait(store.positions())))
    }

    fn hints(&self) -> broadcast::Receiver<Shard> {
        self.cloud.hints.subscribe()
    }

    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        let what = What::OpenSession(tenant.clone(), session, ttl_ms);
        Box::pin(async move { self.call(what).await.map(|_| ()) })
    }

    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        let what = What::KeepAlive(tenant.clone(), session, ttl_ms);
        Box::pin(async move { Ok(matches!(self.call(what).await?, Answer::Lives(true))) })
    }

    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        let what = What::EndSession(tenant.clone(), session);
        Box::pin(async move { self.call(what).await.map(|_| ()) })
    }

    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        Box::pin(async move {
            match self.call(What::Sweep(shard)).await? {
                Answer::Swept(n) => Ok(n),
                _ => Ok(0),
            }
        })
    }

    fn stage(&self, _: &TenantId, _: u64, _: u32, _: Vec<Write>) -> Reply<'_, ()> {
        Box::pin(async { Err(Error::Unavailable("nothing is staged here".to_owned())) })
    }

    fn turn_over(&self, _: Commit, _: u64, _: u32) -> Reply<'_, Outcome> {
        Box::pin(async { Err(Error::Unavailable("nothing is staged here".to_owned())) })
    }

    fn stats(&self) -> Reply<'_, Stats> {
        Box::pin(self.read(|store| wait(store.stats())))
    }

    fn close(&self) -> Reply<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
