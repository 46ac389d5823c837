//! One fault: the store is used before, while and after, and what was seen is judged.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tandem_domain::id::TenantId;
use tandem_faults::dice::Dice;
use tandem_faults::load::{Load, Pace};
use tandem_faults::record::{self, Recorder};
use tandem_faults::watchers::Watchers;
use tandem_history::{Disturbance, History, Report};
use tandem_store::redis::{Redis, Settings};
use tandem_store::{Backend, World};

const PACE: Pace = Pace {
    pause: Duration::from_millis(8),
    held: Duration::from_millis(1500),
    sweep: Duration::from_millis(250),
};
/// How long a follower may take to see the end, after all is whole again.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// What a round brought.
pub(crate) struct Judged {
    pub(crate) report: Report,
    /// From the fault to the first `Replicated` commit that was asked for after it and acknowledged, microseconds; the
    /// longest of the shards.
    pub(crate) writable: u64,
    /// From the fault to the server that took its place; 0: none had to.
    pub(crate) detected: u64,
    /// How often a server took the place of another and was not meant to.
    pub(crate) unmeant: usize,
}

/// What was done, and when another had taken the place of the server that it was done to.
pub(crate) struct Done {
    pub(crate) disturbance: Disturbance,
    pub(crate) detected: u64,
}

impl Done {
    /// A failover: two holders may overlap for as long as a primary that is cut off goes on and is not noticed.
    pub(crate) fn failover(what: &str, recorder: &Recorder, from: u64, detected_at: u64) -> Self {
        const MAX_LAG: u64 = 2_000_000;
        let detected = detected_at - from;
        let overlap = MAX_LAG + detected;
        let disturbance =
            Disturbance { what: what.to_owned(), from, until: recorder.now(), overlap, loses: false };
        Self { disturbance, detected }
    }

    /// An older copy was restored.
    pub(crate) fn restored(disturbance: Disturbance) -> Self {
        Self { disturbance, detected: 0 }
    }

    /// Something that makes no other server the primary.
    pub(crate) fn in_place(what: &str, recorder: &Recorder, from: u64) -> Self {
        let disturbance =
            Disturbance { what: what.to_owned(), from, until: recorder.now(), overlap: 0, loses: false };
        Self { disturbance, detected: 0 }
    }
}

fn world(seed: u64) -> World {
    let since = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let dice = std::sync::Mutex::new(Dice(seed));
    let roll = move || {
        let mut dice = dice.lock().unwrap();
        u128::from(dice.roll(u64::MAX)) << 64 | u128::from(dice.roll(u64::MAX))
    };
    World { clock: Arc::new(move || since().as_micros() as u64), chance: Arc::new(roll) }
}

/// A store that is used while something is done to it.
pub(crate) struct Round {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) dice: Dice,
    stores: Vec<Arc<dyn Backend>>,
    load: Load,
    watchers: Watchers,
}

impl Round {
    /// Begins to use a store that nobody used before.
    pub(crate) async fn begin(settings: Settings, tenants: Vec<TenantId>, seed: u64) -> Result<Self, String> {
        let mut dice = Dice(seed);
        let settings = Settings { prefix: format!("s{seed}"), ..settings };
        let mut stores: Vec<Arc<dyn Backend>> = Vec::new();
        for n in 0..2 {
            let redis = Redis::open(settings.clone(), world(seed + n));
            redis.check().await.map_err(|e| e.to_string())?;
            stores.push(Arc::new(redis));
        }
        let load = Load::begin(stores.clone(), tenants.clone(), PACE, &mut dice);
        let watchers = Watchers::begin(&stores, &load.recorder, &tenants, &mut dice).await?;
        tokio::time::sleep(Duration::from_millis(400 + dice.roll(600))).await;
        Ok(Self { recorder: Arc::clone(&load.recorder), dice, stores, load, watchers })
    }

    /// Goes on for a while after the fault, and ends all writing.
    pub(crate) async fn end(&mut self) {
        // One that comes late lists what there is.
        self.load.follow(1);
        tokio::time::sleep(Duration::from_millis(400 + self.dice.roll(400))).await;
        self.load.end_writing().await;
    }

    /// Reads what survived, and judges.
    ///
    /// A failover that was not meant, as of a server that was merely slow, excuses what was acknowledged while it happened:
    /// the replica that confirmed it may not be the one that was elected.
    pub(crate) async fn judge(mut self, done: Done, unmeant: Vec<Disturbance>) -> Result<Judged, String> {
        // The processes that are watched by leave before the logs end.
        let watchers = self.watchers.end(SHOWN_WITHIN).await;
        let followers = self.load.end_following(SHOWN_WITHIN, &mut self.dice).await;
        let attempts = self.recorder.attempts();
        let mut history = History { attempts, followers, watchers, ..History::default() };
        let (detected, times) = (done.detected, unmeant.len());
        history.disturbances.push(done.disturbance);
        history.disturbances.extend(unmeant);
        for shard in self.load.shards() {
            history.log.insert(shard.0, record::log(&*self.stores[0], shard).await?);
        }
        for store in &self.stores {
            store.close().await.map_err(|e| e.to_string())?;
        }
        let writable = writable(&history);
        Ok(Judged { report: tandem_history::check(&history), writable, detected, unmeant: times })
    }
}

/// How long after the fault the last shard of those that were written to was written to again. One that never was is the
/// judge's to find.
fn writable(history: &History) -> u64 {
    let from = history.disturbances[0].from;
    let first = |shard: &u16| {
        let after = history.attempts.iter().filter(|a| a.shard == *shard && a.replicated);
        let done = |a: &&tandem_history::Attempt| matches!(a.outcome, tandem_history::Outcome::Committed(_));
        // What was answered at once was under way when it happened.
        after.filter(|a| a.asked > from).find(done).map(|a| a.answered - from)
    };
    history.log.keys().filter_map(first).max().unwrap_or_default()
}
