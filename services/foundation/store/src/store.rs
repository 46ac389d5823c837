//! The handle that services hold.

use std::sync::Arc;
use std::time::Instant;

use tandem_domain::id::TenantId;
use tandem_domain::record::{Kind, Record};
use tracing::Instrument as _;

use crate::backend::Backend;
use crate::codec::{self, CodecError};
use crate::counts::Counts;
use crate::follow::Follower;
use crate::types::{Commit, Error, Outcome, SessionId, Shard, Stats, Stored, Until, What, Write};

/// A store, whatever is behind it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    counts: Arc<Counts>,
}

/// A record that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// Where and when it was written.
    pub stored: Stored,
}

impl Store {
    /// A handle on a backend.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, counts: Arc::default() }
    }

    /// The backend itself, for what only the contract offers.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// What was counted since it was opened.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Counts a commit and has it in a span: of which shard, and how it ended.
    async fn counted(
        &self,
        shard: Shard,
        commit: impl Future<Output = Result<Outcome, Error>>,
    ) -> Result<Outcome, Error> {
        let span = tracing::debug_span!("commit", shard = shard.0, outcome = tracing::field::Empty);
        let began = Instant::now();
        let ended = commit.instrument(span.clone()).await;
        let word = self.counts.commit(&ended, began.elapsed());
        span.record("outcome", word);
        ended
    }

    /// See [`Backend::commit`].
    ///
    /// # Errors
    /// As there.
    pub async fn commit(&self, commit: Commit) -> Result<Outcome, Error> {
        self.counted(Shard::of(&commit.tenant), self.backend.commit(commit)).await
    }

    /// See [`Backend::stage`].
    ///
    /// # Errors
    /// As there.
    pub async fn stage(
        &self,
        tenant: &TenantId,
        generation: u64,
        part: u32,
        writes: Vec<Write>,
    ) -> Result<(), Error> {
        self.backend.stage(tenant, generation, part, writes).await
    }

    /// See [`Backend::turn_over`].
    ///
    /// # Errors
    /// As there.
    pub async fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Result<Outcome, Error> {
        let shard = Shard::of(&commit.tenant);
        self.counted(shard, self.backend.turn_over(commit, generation, parts)).await
    }

    /// One record.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot be read, or the record not understood.
    pub async fn get(&self, tenant: &TenantId, kind: Kind, key: &str) -> Result<Option<Found>, Error> {
        let Some(stored) = self.backend.get(tenant, &codec::key(kind, key)).await? else { return Ok(None) };
        let record = codec::decode(kind, &stored.value).map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(Some(Found { record, stored }))
    }

    /// Follows every shard.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower::new(Arc::clone(&self.backend))
    }

    /// See [`Backend::open_session`].
    ///
    /// # Errors
    /// As there.
    pub async fn open_session(
        &self,
        tenant: &TenantId,
        session: SessionId,
        ttl_ms: u32,
    ) -> Result<(), Error> {
        self.backend.open_session(tenant, session, ttl_ms).await
    }

    /// See [`Backend::keep_alive`].
    ///
    /// # Errors
    /// As there.
    pub async fn keep_alive(
        &self,
        tenant: &TenantId,
        session: SessionId,
        ttl_ms: u32,
    ) -> Result<bool, Error> {
        self.backend.keep_alive(tenant, session, ttl_ms).await
    }

    /// See [`Backend::end_session`].
    ///
    /// # Errors
    /// As there.
    pub async fn end_session(&self, tenant: &TenantId, session: SessionId) -> Result<(), Error> {
        self.backend.end_session(tenant, session).await
    }

    /// One step of expiry; see [`Backend::sweep`].
    ///
    /// # Errors
    /// As there.
    pub async fn sweep(&self, shard: Shard) -> Result<usize, Error> {
        self.backend.sweep(shard).await
    }

    /// See [`Backend::stats`].
    ///
    /// # Errors
    /// As there.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.backend.stats().await
    }

    /// See [`Backend::close`].
    ///
    /// # Errors
    /// As there.
    pub async fn close(&self) -> Result<(), Error> {
        self.backend.close().await
    }
}

/// The write that puts a record.
#[must_use]
pub fn put(key: &str, record: &Record) -> Write {
    Write { key: codec::key(record.kind(), key), what: What::Put(codec::encode(record)) }
}

/// The write that claims a record: its token is the commit's revision.
#[must_use]
pub fn claim(key: &str, record: &Record, until: Until) -> Write {
    Write { key: codec::key(record.kind(), key), what: What::Claim(codec::encode(record), until) }
}

/// The write that changes a claimed record: it keeps its token and its end.
#[must_use]
pub fn update(key: &str, record: &Record) -> Write {
    Write { key: codec::key(record.kind(), key), what: What::Update(codec::encode(record)) }
}

/// The write that deletes a record.
#[must_use]
pub fn delete(kind: Kind, key: &str) -> Write {
    Write { key: codec::key(kind, key), what: What::Delete }
}

/// Whether bytes could not be understood because a newer release wrote them: a process then keeps what it has.
#[must_use]
pub fn is_newer(error: &CodecError) -> bool {
    matches!(error, CodecError::Version { found, .. } if *found > codec::VERSION)
}
