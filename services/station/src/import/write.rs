//! Writing an import: the tenant's lease, the commits, the answer that is kept for a repetition.
//!
//! What lies here in the store are records of kinds that are the station service's own ([`LEASE`], [`ANSWER`]):
//! nobody follows them, and they end by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message as _;
use tandem_cell::Cell;
use tandem_domain::id::{Revision, TenantId};
use tandem_domain::record::Kind;
use tandem_proto::station::v1 as pb;
use tandem_store::{
    COMMIT_BYTES_MAX, Commit, Durability, Error, Key, Outcome, Precondition, SessionId, Until, WRITES_MAX,
    What, Write, codec,
};
use tandem_wire::request::Mode;
use tandem_wire::status::{Reason, Refusal};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::plan::{self, Plan};
use super::{AGAIN, Import, open};

/// The kind of the lease of a tenant's imports. Part of stored keys, never reused.
const LEASE: u8 = 64;
/// The kind of the answers that are kept by request id. Part of stored keys, never reused.
const ANSWER: u8 = 65;
/// How long the lease outlives the process that holds it, and how often it is kept meanwhile: three may be lost.
const LEASE_FOR: Duration = Duration::from_secs(10);
const KEEP_EVERY: Duration = Duration::from_millis(2500);
/// How soon a lease that another holds is asked for again.
const RETRY: Duration = Duration::from_millis(100);
/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// The most answers that this process keeps for a tenant in that time.
const KEPT_MAX: usize = 100_000;
/// The most bytes of an answer that is kept; of a longer one warnings and then errors are dropped from the end.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What a chunk of writes may have, with room for what goes with the last one.
const CHUNK: (usize, usize) = (WRITES_MAX - 2, COMMIT_BYTES_MAX - ANSWER_BYTES_MAX - 1024);
/// How often a policy may change under an import before it gives up.
const PLANS: usize = 5;
/// How often a commit whose outcome is not known is asked again.
const DOUBTS: usize = 5;

/// How many answers this process has kept lately for each tenant, so that no caller fills the store with them.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashMap<TenantId, Vec<Duration>>>);

impl Kept {
    /// Notes one more at `now`. False: there are too many.
    fn note(&self, tenant: &TenantId, now: Duration) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = kept.entry(tenant.clone()).or_default();
        let old = times.partition_point(|at| *at + KEPT_FOR <= now);
        times.drain(..old);
        let room = times.len() < KEPT_MAX;
        if room {
            times.push(now);
        }
        room
    }
}

/// Why a commit did not happen.
enum Stop {
    /// A precondition: which.
    Precondition(usize),
    Refusal(Refusal),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refusal(refusal(error))
    }
}

pub(super) fn refusal(error: Error) -> Refusal {
    match error {
        Error::Unavailable(why) => {
            tracing::warn!(%why, "the store did not take an import");
            let words = "the store cannot be written now; send the import again";
            Refusal::new(Reason::StoreUnavailable, words).retry_after(AGAIN)
        }
        Error::Closed => Refusal::new(Reason::Draining, "this process is leaving; send the import again"),
        Error::Invalid { what, fix } => {
            tracing::error!(what, fix, "the store refused what an import wrote");
            Refusal::internal()
        }
    }
}

fn lost() -> Refusal {
    let words = "the store has lost this tenant, and it is not written again yet; send the import again";
    Refusal::new(Reason::StoreUnavailable, words).retry_after(AGAIN)
}

fn conflict(words: &'static str) -> Refusal {
    Refusal::new(Reason::Conflict, words).retry_after(AGAIN)
}

/// Applies an import.
///
/// # Errors
/// Refusals: another import is under way, the store is away, the policy keeps changing.
pub(super) async fn apply(
    cell: &Cell,
    kept: &Kept,
    import: Import,
    until: Instant,
) -> Result<pb::ImportDirectoryResponse, Refusal> {
    let tenant = import.tenant.clone();
    let mut writer = Writer::new(cell, &tenant, until);
    writer.take_lease().await?;
    let done = writer.write(kept, import).await;
    if !matches!(&done, Ok((_, true))) {
        writer.give_back().await;
    }
    writer.end().await;
    let (answer, _) = done?;
    // What was written is shown by this process before it is answered; by others at the answer's revision.
    let _ = cell.view().wait_for(&tenant, Revision(answer.revision), until).await;
    Ok(answer)
}

/// Writes one tenant's directory.
pub(super) struct Writer<'a> {
    pub(super) cell: &'a Cell,
    pub(super) tenant: &'a TenantId,
    /// Of the lease.
    pub(super) token: Revision,
    until: Instant,
    /// The lease hangs on it, so that it ends soon where this does not end in order.
    session: SessionId,
    keeping: Option<Keeping>,
}

/// Keeps a session alive until it is dropped.
struct Keeping(JoinHandle<()>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lease_key() -> Key {
    Key::new(LEASE, "import")
}

impl<'a> Writer<'a> {
    pub(super) fn new(cell: &'a Cell, tenant: &'a TenantId, until: Instant) -> Self {
        Self { cell, tenant, token: Revision(0), until, session: cell.session_id(), keeping: None }
    }

    /// Takes the lease of the tenant's imports; waits while another has it.
    pub(super) async fn take_lease(&mut self) -> Result<(), Refusal> {
        self.begin_session().await?;
        let holder: Arc<[u8]> = self.cell.session().process().as_bytes().into();
        loop {
            let until = Until::Session(self.session);
            let lease = Write { key: lease_key(), what: What::Claim(Arc::clone(&holder), until) };
            /// The place of the session among what must be so.
            const SESSION: usize = 1;
            let absent = vec![Precondition::Absent(lease_key()), Precondition::SessionLives(self.session)];
            match self.commit(absent, vec![lease], None).await {
                Ok(token) => {
                    self.token = token;
                    return Ok(());
                }
                Err(Stop::Precondition(which)) if Instant::now() + RETRY < self.until => {
                    tokio::time::sleep(RETRY).await;
                    if which == SESSION {
                        // It went with the store that it was opened in.
                        self.session = self.cell.session_id();
                        self.begin_session().await?;
                    }
                }
                Err(Stop::Precondition(_)) => {
                    return Err(conflict("another import of this tenant is under way; send it again later"));
                }
                Err(Stop::Refusal(refusal)) => return Err(refusal),
            }
        }
    }

    async fn begin_session(&mut self) -> Result<(), Refusal> {
        let (store, clock) = (self.cell.store().clone(), self.cell.clock().clone());
        let (tenant, session) = (self.tenant.clone(), self.session);
        let ttl_ms = LEASE_FOR.as_millis() as u32;
        store.open_session(&tenant, session, ttl_ms).await.map_err(refusal)?;
        self.keeping = Some(Keeping(tokio::spawn(async move {
            loop {
                clock.sleep(KEEP_EVERY).await;
                // One that has ended is found out by the next commit.
                let _ = store.keep_alive(&tenant, session, ttl_ms).await;
            }
        })));
        Ok(())
    }

    /// Ends what the lease hangs on.
    pub(super) async fn end(mut self) {
        self.keeping = None;
        // Otherwise it ends in its time.
        let _ = self.cell.store().end_session(self.tenant, self.session).await;
    }

    /// Gives the lease back, if it can be; otherwise it ends in its time.
    pub(super) async fn give_back(&self) {
        let held = vec![Precondition::TokenIs(lease_key(), self.token)];
        let gone = vec![Write { key: lease_key(), what: What::Delete }];
        let _ = self.commit(held, gone, None).await;
    }

    /// Plans and writes. True: the lease was given back with the last commit.
    async fn write(
        &self,
        kept: &Kept,
        mut import: Import,
    ) -> Result<(pb::ImportDirectoryResponse, bool), Refusal> {
        if let Some(answer) = self.repeated(&import).await? {
            return Ok((answer, false));
        }
        let (mut written, mut deleted) = (0, 0);
        for _ in 0..PLANS {
            let version = self.policy().await?;
            let mut shown = self.shown(version.unwrap_or_default().max(self.token)).await?;
            open(&shown.view, &import)?;
            let Some(version) = version else {
                if self.cell.view().lost() > 0 {
                    return Err(lost());
                }
                continue;
            };
            if self.cell.view().lost() > 0 {
                self.write_lost(version).await?;
                shown = self.cell.view().stored();
                // What else the store lacks may be its directory, too.
                if shown.view.tenant_by_id(self.tenant).is_none_or(|t| t.policy().is_none()) {
                    return Err(lost());
                }
            }
            let (back, mut plan) = plan::make(shown, import).await?;
            import = back;
            // What a plan before this one wrote is found unchanged by this one.
            plan.answer.written += written;
            plan.answer.deleted += deleted;
            plan.answer.unchanged = plan.answer.unchanged.saturating_sub(written + deleted);
            let last = self.last(kept, &import, &plan)?;
            match self.commit_all(version, &import, plan.writes, last).await {
                Ok(revision) => {
                    plan.answer.revision = revision.0;
                    return Ok((plan.answer, true));
                }
                Err((Stop::Refusal(refusal), _)) => return Err(refusal),
                Err((Stop::Precondition(0), _)) => {
                    return Err(conflict("the import took too long and lost its turn; send it again"));
                }
                Err((Stop::Precondition(_), done)) => {
                    written += done.0;
                    deleted += done.1;
                }
            }
        }
        Err(conflict("the tenant's policy kept changing under the import; send it again"))
    }

    pub(super) async fn shown(
        &self,
        revision: Revision,
    ) -> Result<Arc<tandem_cell::follower::Snapshot>, Refusal> {
        let waited = self.cell.view().wait_for(self.tenant, revision, self.until).await;
        waited.map_err(|late| Refusal::new(Reason::RevisionNotReached, late.to_string()))
    }

    /// The answer that was kept for the import's request id.
    async fn repeated(&self, import: &Import) -> Result<Option<pb::ImportDirectoryResponse>, Refusal> {
        let Some(id) = &import.header.request_id else { return Ok(None) };
        let found = self.cell.store().backend().get(self.tenant, &Key::new(ANSWER, id)).await;
        let Some(stored) = found.map_err(refusal)? else { return Ok(None) };
        let (fingerprint, answer) = stored.value.split_at_checked(16).unwrap_or((&[], &[]));
        if fingerprint != import.fingerprint.to_be_bytes() {
            return Err(Refusal::new(
                Reason::RequestIdReused,
                "header.request_id: came with another import before; give each import an id of its own",
            ));
        }
        let mut answer = pb::ImportDirectoryResponse::decode(answer).map_err(|error| {
            tracing::error!(%error, "an answer that was kept cannot be read");
            Refusal::internal()
        })?;
        answer.revision = stored.version.0;
        Ok(Some(answer))
    }

    /// What goes with the last commit: the lease is given back, and the answer kept.
    fn last(&self, kept: &Kept, import: &Import, plan: &Plan) -> Result<Vec<Write>, Refusal> {
        let mut writes = vec![Write { key: lease_key(), what: What::Delete }];
        if let Some(id) = &import.header.request_id {
            if !kept.note(self.tenant, self.cell.clock().monotonic()) {
                let words = "100,000 request ids in 24 hours; send without one, or later";
                return Err(Refusal::quota(&import.parent, words, Some(Duration::from_secs(60))));
            }
            let mut value = import.fingerprint.to_be_bytes().to_vec();
            value.extend(shortened(plan.answer.clone()).encode_to_vec());
            let what = What::Claim(value.into(), Until::After(KEPT_FOR));
            writes.push(Write { key: Key::new(ANSWER, id), what });
        }
        Ok(writes)
    }

    /// Commits everything. On failure says how many puts and deletes of records happened.
    async fn commit_all(
        &self,
        policy: Revision,
        import: &Import,
        writes: Vec<Write>,
        last: Vec<Write>,
    ) -> Result<Revision, (Stop, (u64, u64))> {
        let held = vec![
            Precondition::TokenIs(lease_key(), self.token),
            Precondition::VersionIs(codec::key(Kind::Policy, ""), policy),
        ];
        let mut chunks = chunks(writes);
        if import.header.mode == Mode::Replace && chunks.len() > 1 {
            let done = self.turn_over(held, chunks, last).await;
            return done.map_err(|stop| (stop, (0, 0)));
        }
        let fits = |chunk: &Vec<Write>| bytes(chunk) + bytes(&last) <= COMMIT_BYTES_MAX;
        let mut final_chunk = chunks.pop_if(|chunk| fits(chunk)).unwrap_or_default();
        final_chunk.extend(last);
        let (mut written, mut deleted) = (0, 0);
        for chunk in chunks {
            let deletes = chunk.iter().filter(|w| w.what == What::Delete).count() as u64;
            let puts = chunk.len() as u64 - deletes;
            self.commit(held.clone(), chunk, None).await.map_err(|stop| (stop, (written, deleted)))?;
            written += puts;
            deleted += deletes;
        }
        self.commit(held, final_chunk, None).await.map_err(|stop| (stop, (written, deleted)))
    }

    /// Commits puts that readers see at once. The lease is kept.
    pub(super) async fn commit_whole(
        &self,
        policy: Revision,
        writes: Vec<Write>,
    ) -> Result<Revision, Refusal> {
        let held = vec![
            Precondition::TokenIs(lease_key(), self.token),
            Precondition::VersionIs(codec::key(Kind::Policy, ""), policy),
        ];
        let mut chunks = chunks(writes);
        let done = match chunks.pop() {
            Some(only) if chunks.is_empty() => self.commit(held, only, None).await,
            Some(last) => {
                chunks.push(last);
                self.turn_over(held, chunks, Vec::new()).await
            }
            None => return Ok(policy),
        };
        done.map_err(|stop| match stop {
            Stop::Refusal(refusal) => refusal,
            Stop::Precondition(_) => conflict("the policy or the turn changed meanwhile"),
        })
    }

    /// Stages a change that is larger than a commit, and turns it over at once.
    async fn turn_over(
        &self,
        held: Vec<Precondition>,
        chunks: Vec<Vec<Write>>,
        last: Vec<Write>,
    ) -> Result<Revision, Stop> {
        let generation = self.cell.chance().u64();
        let mut parts = 0;
        for chunk in chunks {
            self.cell.store().stage(self.tenant, generation, parts, chunk).await?;
            parts += 1;
        }
        self.commit(held, last, Some((generation, parts))).await
    }

    async fn commit(
        &self,
        preconditions: Vec<Precondition>,
        writes: Vec<Write>,
        staged: Option<(u64, u32)>,
    ) -> Result<Revision, Stop> {
        let commit = Commit {
            tenant: self.tenant.clone(),
            id: self.cell.commit_id(),
            preconditions,
            writes,
            durability: Durability::Replicated,
            trace: None,
        };
        let store = self.cell.store();
        for _ in 0..DOUBTS {
            let outcome = match staged {
                None => store.commit(commit.clone()).await?,
                Some((generation, parts)) => store.turn_over(commit.clone(), generation, parts).await?,
            };
            match outcome {
                Outcome::Committed(revision) => return Ok(revision),
                Outcome::Refused(refused) => return Err(Stop::Precondition(refused.precondition)),
                Outcome::Indeterminate(why) => {
                    tracing::warn!(%why, "asking what became of a commit");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        Err(Stop::Refusal(Refusal::new(
            Reason::OutcomeUnknown,
            "the store does not say whether the import was written; send it again with the same request id",
        )))
    }
}

/// Writes in parts that a commit takes, their order kept.
fn chunks(writes: Vec<Write>) -> Vec<Vec<Write>> {
    let (most, bytes_max) = CHUNK;
    let mut chunks: Vec<Vec<Write>> = Vec::new();
    let mut filled = 0;
    for write in writes {
        let size = bytes(std::slice::from_ref(&write));
        match chunks.last_mut().filter(|chunk| chunk.len() < most && filled + size <= bytes_max) {
            Some(chunk) => {
                chunk.push(write);
                filled += size;
            }
            None => {
                chunks.push(vec![write]);
                filled = size;
            }
        }
    }
    chunks
}

/// What a commit counts of writes.
fn bytes(writes: &[Write]) -> usize {
    let value = |write: &Write| match &write.what {
        What::Put(value) | What::Update(value) | What::Claim(value, _) => value.len(),
        What::Delete => 0,
    };
    writes.iter().map(|write| write.key.key.len() + value(write)).sum()
}

/// An answer that is short enough to be kept.
fn shortened(mut answer: pb::ImportDirectoryResponse) -> pb::ImportDirectoryResponse {
    while answer.encoded_len() > ANSWER_BYTES_MAX {
        let list = if answer.warnings.is_empty() { &mut answer.errors } else { &mut answer.warnings };
        list.truncate(list.len() / 2);
    }
    answer
}
