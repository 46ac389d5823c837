//! The servers: one primary, two replicas that lag behind it, and what an election makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tandem_history as history;
use tandem_store::{Backend, Entry, Error, Outcome, Position, Precondition, Pulled, Shard};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::bug::Bug;
use super::server::{Answer, Op, Server, What, wait};
use crate::dice::Dice;
use crate::record;

/// How long a primary that is cut off goes on: `min-replicas-max-lag`.
pub(crate) const MAX_LAG: Duration = Duration::from_secs(2);
/// When the clocks of the servers begin.
const START: u64 = 1_700_000_000_000_000;

/// A primary of before, which does not know it yet.
struct Cut {
    server: Server,
    since: Instant,
}

/// The servers as they are now.
pub(crate) struct State {
    /// Counts elections: a client that knows an older one asks the wrong server.
    pub(crate) epoch: u64,
    primary: Server,
    /// Everything that the primary was told, in order.
    ops: Vec<Op>,
    /// How much of it the primary was elected with.
    elected_with: usize,
    /// What it has in the logs of its shards, cut or not, each entry with how much of `ops` there was then.
    logs: BTreeMap<Shard, Vec<(usize, Entry)>>,
    /// The shards that anybody asked to write to.
    touched: BTreeSet<Shard>,
    /// How much of it each replica has. A replica is only told it when it is elected: nobody can see a difference.
    replicas: [usize; 2],
    /// Until when each replica is held up.
    held: [Instant; 2],
    /// The primary answers nobody.
    pub(crate) down: bool,
    cut: Option<Cut>,
    /// By how much the primary's clock is wrong, microseconds.
    skew: i64,
    pub(crate) dice: Dice,
    /// How often a request and a reply is lost, of a hundred.
    pub(crate) lossy: u64,
    /// Which client reads nothing.
    pub(crate) blind: Option<usize>,
    pub(crate) bug: Option<Bug>,
}

/// All of them.
#[derive(Clone)]
pub(crate) struct Cloud {
    state: Arc<Mutex<State>>,
    pub(crate) hints: broadcast::Sender<Shard>,
    began: Instant,
}

impl Cloud {
    pub(crate) fn start(seed: u64, bug: Option<Bug>) -> Self {
        let now = Instant::now();
        let state = State {
            epoch: 0,
            primary: Server::new(),
            ops: vec![],
            elected_with: 0,
            logs: BTreeMap::new(),
            touched: BTreeSet::new(),
            replicas: [0; 2],
            held: [now; 2],
            down: false,
            cut: None,
            skew: 0,
            dice: Dice(seed),
            lossy: 2,
            blind: None,
            bug,
        };
        Self { state: Arc::new(Mutex::new(state)), hints: broadcast::Sender::new(1024), began: now }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn now(&self, skew: i64) -> u64 {
        let elapsed = self.began.elapsed().as_micros() as i64;
        START.saturating_add_signed(elapsed + skew)
    }

    /// Asks the server that was elected in this epoch to do something. An error is that it surely was not done. With
    /// the answer comes how much the primary was told with it; none: no replica will ever have it.
    pub(crate) fn ask(&self, epoch: u64, what: What) -> Result<(Answer, Option<usize>), Error> {
        let mut state = self.state();
        let away = |why: &str| Err(Error::Unavailable(why.to_owned()));
        let chance = state.dice.roll(u64::MAX);
        let now = self.now(state.skew);
        let what = state.mangle(what);
        let op = Op { now, chance, what };
        let shard = op.shard();
        state.touched.extend(shard);
        if epoch == state.epoch {
            if state.down {
                return away("no answer");
            }
            let answer = state.primary.apply(&op)?;
            state.ops.push(op);
            if let Some(shard) = shard {
                state.note(shard, &answer);
                // Nobody following is no fault.
                let _ = self.hints.send(shard);
            }
            return Ok((answer, Some(state.ops.len())));
        }
        let forever = state.bug == Some(Bug::GoesOnCutOff);
        match &state.cut {
            Some(cut) if epoch + 1 == state.epoch && (forever || cut.since.elapsed() < MAX_LAG) => {
                Ok((cut.server.apply(&op)?, None))
            }
            Some(_) => away("NOREPLICAS"),
            None => away("READONLY"),
        }
    }

    /// The server to read from in an epoch.
    pub(crate) fn read<T>(
        &self,
        epoch: u64,
        read: impl FnOnce(&dyn Backend) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let state = self.state();
        match &state.cut {
            _ if epoch == state.epoch && !state.down => read(&state.primary.store),
            Some(cut) if epoch + 1 == state.epoch => read(&cut.server.store),
            _ => Err(Error::Unavailable("no answer".to_owned())),
        }
    }

    /// Replicas that are not held up take some of what they lack.
    pub(crate) fn replicate(&self) {
        let mut state = self.state();
        if state.down {
            return;
        }
        for n in 0..2 {
            if state.dice.roll(4) != 0 || state.held[n] > Instant::now() {
                continue;
            }
            let lacks = (state.ops.len() - state.replicas[n]) as u64;
            let takes = state.dice.roll(lacks + 1) as usize;
            state.replicas[n] += takes;
        }
    }

    /// Whether a replica has what the primary of this epoch was told so far; none: it is not the primary any more.
    pub(crate) fn has(&self, epoch: u64, told: usize) -> Option<bool> {
        let state = self.state();
        if epoch != state.epoch {
            return None;
        }
        let early = state.bug == Some(Bug::AcknowledgesTooSoon);
        Some(early || state.replicas.iter().any(|has| *has >= told))
    }

    /// Holds a replica up.
    pub(crate) fn hold_up(&self, replica: usize, until: Instant) {
        self.state().held[replica] = until;
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    pub(crate) fn set_lossy(&self, percent: u64) {
        self.state().lossy = percent;
    }

    /// Moves the primary's clock.
    pub(crate) fn jump(&self, us: i64) {
        self.state().skew += us;
    }

    /// The primary is cut off from all but its clients, and goes on; or it is gone.
    pub(crate) fn elect(&self, cut_off: bool) {
        let mut state = self.state();
        let wrong = state.bug == Some(Bug::ElectsTheWrongOne);
        let best = usize::from((state.replicas[1] > state.replicas[0]) != wrong);
        let kept = state.replicas[best];
        state.ops.truncate(kept);
        state.logs.values_mut().for_each(|log| log.truncate(log.partition_point(|(ops, _)| *ops <= kept)));
        state.elected_with = kept;
        let elected = Server::of(&state.ops);
        let before = std::mem::replace(&mut state.primary, elected);
        // In its place comes one that has nothing yet; and who has more begins anew.
        state.replicas[best] = 0;
        if state.replicas[1 - best] > kept {
            state.replicas[1 - best] = 0;
        }
        state.cut = cut_off.then(|| Cut { server: before, since: Instant::now() });
        state.epoch += 1;
        state.down = false;
    }

    /// The primary that was cut off learns that it is none.
    pub(crate) fn heal(&self) {
        if self.state().bug != Some(Bug::GoesOnCutOff) {
            self.state().cut = None;
        }
    }

    /// Nothing is lost and nobody held up from now on.
    pub(crate) fn calm(&self) {
        let mut state = self.state();
        state.lossy = 0;
        state.down = false;
        state.cut = None;
        state.blind = None;
        state.held = [Instant::now(); 2];
    }

    /// Cuts a client off from what it reads; none: everybody reads.
    pub(crate) fn set_blind(&self, client: Option<usize>) {
        self.state().blind = client;
    }

    /// Whether the primary may be lost without what an earlier one acknowledged being lost with it: a replica has all
    /// that it was elected with. Two that are lost one after the other, before that, are outside the condition.
    pub(crate) fn can_spare_it(&self) -> bool {
        let state = self.state();
        state.replicas.iter().any(|has| *has >= state.elected_with)
    }

    /// The logs of shards from their first entries on, and the newest revision that was cut from each.
    pub(crate) fn whole_logs(&self, shards: &BTreeSet<Shard>) -> BTreeMap<Shard, (Vec<history::Entry>, u64)> {
        let state = self.state();
        let is_cut = |shard: Shard, e: &Entry| {
            matches!(
                wait(state.primary.store.pull(
                    shard,
                    Some(Position { revision: e.revision, commit: e.commit }),
                    1
                )),
                Ok(Pulled::Resync(_))
            )
        };
        let whole = |shard: &Shard| {
            let log = state.logs.get(shard).map_or(&[][..], Vec::as_slice);
            let kept = log.partition_point(|(_, e)| is_cut(*shard, e));
            let cut = kept.checked_sub(1).map_or(0, |last| log[last].1.revision.0);
            (*shard, (log.iter().map(|(_, e)| record::entry(e)).collect(), cut))
        };
        shards.iter().map(whole).collect()
    }
}

impl State {
    /// Whether anybody ever asked to write to a shard. Most nobody does, and they need not be listed by the hundred.
    pub(crate) fn was_written(&self, shard: Shard) -> bool {
        self.touched.contains(&shard)
    }

    /// Takes what an operation added to a log.
    fn note(&mut self, shard: Shard, answer: &Answer) {
        let log = self.logs.entry(shard).or_default();
        let last = log.last().map(|(_, e)| Position { revision: e.revision, commit: e.commit });
        let added = match answer {
            Answer::Outcome(Outcome::Committed(revision)) => last.is_none_or(|l| l.revision < *revision),
            Answer::Swept(n) => *n > 0,
            _ => false,
        };
        if added && let Ok(Pulled::Entries(entries)) = wait(self.primary.store.pull(shard, last, 16)) {
            log.extend(entries.into_iter().map(|e| (self.ops.len(), e)));
        }
    }

    /// What a bug makes of what is asked.
    fn mangle(&self, mut what: What) -> What {
        if let What::Commit(commit) = &mut what {
            commit.preconditions.retain(|condition| match condition {
                Precondition::FenceIs(_) => self.bug != Some(Bug::AcceptsAStaleFence),
                Precondition::VersionIs(..) => self.bug != Some(Bug::AcceptsAStaleVersion),
                _ => true,
            });
        }
        what
    }
}
