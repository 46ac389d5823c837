//! A test of the suite: backends with one planted fault each, and the case that must notice it. A suite that lets
//! one of these through would let a real backend do the same. Each is planted over every backend, for a case may
//! lean on what only one of them does.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tandem_domain::id::{Incarnation, Revision, TenantId};
use tandem_store::conformance::{self, Keeps, Opening, Opts};
use tandem_store::embedded::{Embedded, Place};
use tandem_store::redis::{Redis, Settings, Time};
use tandem_store::{
    Backend, Cause, Commit, CommitId, Key, Listing, Outcome, Position, Precondition, Pulled, SessionId,
    Shard, Stats, Stored, What, World, Write, backend::Reply,
};
use tokio::sync::broadcast;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    LosesAnAcknowledgedCommit,
    WritesHalfOfWhatItRefuses,
    AcceptsAStaleToken,
    AcceptsAStaleFence,
    ForgetsCommitIds,
    MixesIncarnations,
    SkipsAnEvent,
    ShowsAnEventTwice,
    TrimsTheEntryBeforeTheNewOne,
    TrimsAndDoesNotSay,
    AcceptsAForeignPosition,
    MissesARecordInAListing,
    ShowsHalfAGeneration,
    TurnsOverWhatIsThere,
    ExpiresWithoutAnEntry,
    ExpiresByTheWallClock,
    SweepsWithoutBound,
    LogsKeepAlives,
    RevivesSessions,
    /// A fault of one promise only: hints are no truth, and a store whose hints are all lost keeps every other.
    LosesHints,
}

const IDLE: u64 = 15 * 60 * 1_000_000;

struct Faulty {
    inner: Arc<dyn Backend>,
    fault: Fault,
    /// The clock of the suite, and the one that the inner store sees.
    world: World,
    inner_clock: Arc<AtomicU64>,
    calls: AtomicU64,
    known: Mutex<HashSet<CommitId>>,
    /// When the last commit was, and before which revision the log was wrongly cut.
    last: AtomicU64,
    cut: AtomicU64,
}

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.fault)
    }
}

impl Faulty {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn now(&self) -> u64 {
        let now = (self.world.clock)();
        self.inner_clock.store(now, Ordering::SeqCst);
        now
    }

    fn tenant(&self, tenant: &TenantId) -> TenantId {
        let mut tenant = tenant.clone();
        if self.is(Fault::MixesIncarnations) {
            tenant.incarnation = Incarnation(0);
        }
        tenant
    }

    fn mangle(&self, mut commit: Commit) -> Commit {
        commit.tenant = self.tenant(&commit.tenant);
        if self.is(Fault::ForgetsCommitIds) {
            commit.id = CommitId(1 << 100 | u128::from(self.calls.load(Ordering::SeqCst)));
        }
        commit.preconditions.retain(|p| match p {
            Precondition::TokenIs(..) => !self.is(Fault::AcceptsAStaleToken),
            Precondition::FenceIs(_) => !self.is(Fault::AcceptsAStaleFence),
            _ => true,
        });
        commit
    }

    fn after(&self, pulled: Pulled, after: Option<Position>) -> Pulled {
        let mut entries = match pulled {
            Pulled::Resync(Cause::Diverged) if self.is(Fault::AcceptsAForeignPosition) => vec![],
            Pulled::Resync(Cause::Compacted) if self.is(Fault::TrimsAndDoesNotSay) => vec![],
            Pulled::Resync(cause) => return Pulled::Resync(cause),
            Pulled::Entries(entries) => entries,
        };
        let cut = self.cut.load(Ordering::SeqCst);
        if after.is_some_and(|p| p.revision.0 < cut) && self.is(Fault::TrimsTheEntryBeforeTheNewOne) {
            return Pulled::Resync(Cause::Compacted);
        }
        if self.is(Fault::SkipsAnEvent) && entries.len() > 2 {
            entries.remove(1);
        }
        if self.is(Fault::ShowsAnEventTwice) && entries.len() > 2 {
            entries.insert(1, entries[0].clone());
        }
        if self.is(Fault::ShowsHalfAGeneration) {
            entries.iter_mut().for_each(|e| e.more = false);
        }
        if self.is(Fault::ExpiresWithoutAnEntry) {
            let known = self.known.lock().unwrap();
            entries.retain(|e| known.contains(&e.commit));
        }
        Pulled::Entries(entries)
    }
}

impl Backend for Faulty {
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        Box::pin(async move {
            let now = self.now();
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            if self.is(Fault::LosesAnAcknowledgedCommit) && call % 10 == 9 {
                return Ok(Outcome::Committed(Revision(now)));
            }
            self.known.lock().unwrap().insert(commit.id);
            let commit = self.mangle(commit);
            let outcome = self.inner.commit(commit.clone()).await?;
            if let Outcome::Committed(revision) = outcome
                && now.saturating_sub(self.last.swap(now, Ordering::SeqCst)) > IDLE
            {
                self.cut.store(revision.0, Ordering::SeqCst);
            }
            if self.is(Fault::WritesHalfOfWhatItRefuses) && matches!(outcome, Outcome::Refused(_)) {
                let half = Commit {
                    preconditions: vec![],
                    writes: commit.writes[..1].to_vec(),
                    id: CommitId(commit.id.0 + (1 << 90)),
                    ..commit
                };
                self.inner.commit(half).await?;
            }
            Ok(outcome)
        })
    }

    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        let (tenant, key) = (self.tenant(tenant), key.clone());
        Box::pin(async move { self.inner.get(&tenant, &key).await })
    }

    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        Box::pin(async move {
            let mut listing = self.inner.list(shard).await?;
            if self.is(Fault::MissesARecordInAListing) {
                listing.records.pop();
            }
            Ok(listing)
        })
    }

    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        Box::pin(async move { Ok(self.after(self.inner.pull(shard, after, max).await?, after)) })
    }

    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        self.inner.positions()
    }

    fn hints(&self) -> broadcast::Receiver<Shard> {
        if self.is(Fault::LosesHints) { broadcast::Sender::new(1).subscribe() } else { self.inner.hints() }
    }

    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        self.now();
        let tenant = self.tenant(tenant);
        Box::pin(async move { self.inner.open_session(&tenant, session, ttl_ms).await })
    }

    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        let now = self.now();
        let tenant = self.tenant(tenant);
        Box::pin(async move {
            let lives = self.inner.keep_alive(&tenant, session, ttl_ms).await?;
            if self.is(Fault::LogsKeepAlives) {
                let beat = Write { key: Key::new(200, "beat"), what: What::Put((*b"1").into()) };
                let id = CommitId(u128::from(now) << 64);
                let durability = tandem_store::Durability::Local;
                let writes = vec![beat];
                self.inner
                    .commit(Commit { tenant, id, preconditions: vec![], writes, durability, trace: None })
                    .await?;
            }
            Ok(lives || self.is(Fault::RevivesSessions))
        })
    }

    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        self.now();
        let tenant = self.tenant(tenant);
        Box::pin(async move { self.inner.end_session(&tenant, session).await })
    }

    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        Box::pin(async move {
            let mut swept = 0;
            if self.is(Fault::ExpiresByTheWallClock) {
                // Walks the inner clock up to where the suite's is, so that shard time follows the whole jump.
                while self.inner_clock.load(Ordering::SeqCst) + 2_000_000 < (self.world.clock)() {
                    self.inner_clock.fetch_add(2_000_000, Ordering::SeqCst);
                    swept += self.inner.sweep(shard).await?;
                }
            }
            self.now();
            loop {
                let step = self.inner.sweep(shard).await?;
                swept += step;
                if step == 0 || !self.is(Fault::SweepsWithoutBound) {
                    return Ok(swept);
                }
            }
        })
    }

    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
        self.now();
        self.inner.stage(tenant, generation, part, writes)
    }

    fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Reply<'_, Outcome> {
        Box::pin(async move {
            self.now();
            let mut parts = parts;
            loop {
                match self.inner.turn_over(commit.clone(), generation, parts).await? {
                    Outcome::Refused(_) if self.is(Fault::TurnsOverWhatIsThere) && parts > 1 => parts -= 1,
                    outcome => return Ok(outcome),
                }
            }
        })
    }

    fn stats(&self) -> Reply<'_, Stats> {
        self.inner.stats()
    }

    fn close(&self) -> Reply<'_, ()> {
        self.inner.close()
    }
}

/// What the fault is planted over.
#[derive(Clone, Copy)]
enum Over {
    Memory,
    /// The Redis at a port.
    Redis(u16),
}

impl Over {
    async fn open(self, name: String, world: World) -> Arc<dyn Backend> {
        match self {
            Self::Memory => Arc::new(Embedded::open(Place::Memory, world).unwrap()),
            Self::Redis(port) => {
                let settings = Settings {
                    prefix: name,
                    single: true,
                    time: Time::World,
                    ..Settings::alone("127.0.0.1", port)
                };
                let redis = Redis::open(settings, world);
                redis.check().await.unwrap();
                Arc::new(redis)
            }
        }
    }
}

fn open(fault: Fault, over: Over, opts: Opts) -> Opening {
    Box::pin(async move {
        let inner_clock = Arc::new(AtomicU64::new((opts.world.clock)()));
        let seen = Arc::clone(&inner_clock);
        let world = World {
            clock: Arc::new(move || seen.load(Ordering::SeqCst)),
            chance: Arc::clone(&opts.world.chance),
        };
        let inner = over.open(format!("{fault:?}.{}", opts.name), world).await;
        Arc::new(Faulty {
            inner,
            fault,
            inner_clock,
            calls: AtomicU64::new(0),
            known: Mutex::default(),
            last: AtomicU64::new((opts.world.clock)()),
            cut: AtomicU64::new(0),
            world: opts.world,
        }) as Arc<dyn Backend>
    })
}

async fn check(fault: Fault, over: Over, case: &'static str) {
    let failures =
        conformance::check(Keeps::Nothing, |c| c == case, move |opts| open(fault, over, opts)).await;
    assert_eq!(failures.iter().map(|f| f.case).collect::<Vec<_>>(), [case], "{fault:?} was not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_fault_fails_the_case_that_names_it() {
    all(Over::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_fault_fails_the_case_that_names_it_on_redis() {
    let server = servers::Server::start(&["--appendonly", "no"]);
    all(Over::Redis(server.port)).await;
}

async fn all(over: Over) {
    for (fault, case) in [
        (Fault::LosesAnAcknowledgedCommit, "an_acknowledged_commit_is_there"),
        (Fault::WritesHalfOfWhatItRefuses, "a_commit_is_all_or_nothing"),
        (Fault::AcceptsAStaleToken, "a_stale_token_is_refused"),
        (Fault::AcceptsAStaleFence, "a_fenced_writer_that_lost_its_claim_is_refused_for_every_tenant"),
        (Fault::ForgetsCommitIds, "a_retry_finds_its_own_success"),
        (Fault::MixesIncarnations, "tenants_and_incarnations_share_nothing"),
        (Fault::SkipsAnEvent, "every_change_is_in_the_log_in_order_once"),
        (Fault::SkipsAnEvent, "a_log_replayed_from_its_start_is_what_is_listed"),
        (Fault::LosesAnAcknowledgedCommit, "a_log_replayed_from_its_start_is_what_is_listed"),
        (Fault::LosesAnAcknowledgedCommit, "what_a_follower_was_shown_is_what_is_listed"),
        (Fault::ShowsAnEventTwice, "every_change_is_in_the_log_in_order_once"),
        (Fault::TrimsTheEntryBeforeTheNewOne, "an_idle_log_keeps_what_every_follower_saw_last"),
        (Fault::TrimsAndDoesNotSay, "a_log_is_cut_by_age_and_who_lags_is_told"),
        (Fault::AcceptsAForeignPosition, "a_position_that_never_was_is_resynchronised"),
        (Fault::MissesARecordInAListing, "a_listing_and_its_position_fit"),
        (Fault::ShowsHalfAGeneration, "a_generation_is_turned_over_whole"),
        (Fault::TurnsOverWhatIsThere, "a_generation_without_one_of_its_parts_is_refused"),
        (Fault::ExpiresWithoutAnEntry, "expiry_is_a_write"),
        (Fault::ExpiresByTheWallClock, "deadlines_do_not_jump_with_the_clock"),
        (Fault::SweepsWithoutBound, "a_sweep_is_bounded_and_idempotent"),
        (Fault::LogsKeepAlives, "a_keep_alive_writes_no_entry_and_puts_the_end_off"),
        (Fault::RevivesSessions, "a_session_that_ended_stays_ended"),
        (Fault::LosesHints, "what_changed_is_hinted_at"),
    ] {
        check(fault, over, case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_forgets_at_its_end_fails_the_restarts() {
    // Opened again it is another store: everything acknowledged is gone.
    let open = |opts: Opts| open(Fault::LosesHints, Over::Memory, opts);
    let restarts = ["what_was_acknowledged_outlives_a_restart", "what_was_staged_outlives_a_restart"];
    let failures = conformance::check(Keeps::AfterClose, move |c| restarts.contains(&c), open).await;
    assert_eq!(failures.iter().map(|f| f.case).collect::<Vec<_>>(), restarts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_hints_are_no_fault() {
    let follows = |case: &str| case.starts_with("a_follower") || case.starts_with("what_a_follower");
    let failures =
        conformance::check(Keeps::Nothing, follows, |opts| open(Fault::LosesHints, Over::Memory, opts)).await;
    assert_eq!(failures, []);
}
