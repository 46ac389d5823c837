//! A store whose commits are written down, for whoever takes a store and knows nothing of that.

use std::sync::Arc;

use tandem_domain::id::TenantId;
use tandem_store::backend::Reply;
use tandem_store::{
    Backend, Commit, Key, Listing, Outcome, Position, Pulled, SessionId, Shard, Stats, Stored, Write,
};
use tokio::sync::broadcast;

use crate::record::Recorder;

/// A store, and where its commits are written down.
#[derive(Debug)]
pub struct Recorded {
    store: Arc<dyn Backend>,
    recorder: Arc<Recorder>,
}

impl Recorded {
    /// A store whose commits this recorder writes down.
    #[must_use]
    pub fn new(store: &Arc<dyn Backend>, recorder: &Arc<Recorder>) -> Self {
        Self { store: Arc::clone(store), recorder: Arc::clone(recorder) }
    }
}

impl Backend for Recorded {
    fn commit(&self, commit: Commit) -> Reply<'_, Outcome> {
        Box::pin(async move { self.recorder.commit(&*self.store, &commit).await })
    }
    fn get(&self, tenant: &TenantId, key: &Key) -> Reply<'_, Option<Stored>> {
        self.store.get(tenant, key)
    }
    fn list(&self, shard: Shard) -> Reply<'_, Listing> {
        self.store.list(shard)
    }
    fn pull(&self, shard: Shard, after: Option<Position>, max: usize) -> Reply<'_, Pulled> {
        self.store.pull(shard, after, max)
    }
    fn positions(&self) -> Reply<'_, Vec<(Shard, Position)>> {
        self.store.positions()
    }
    fn hints(&self) -> broadcast::Receiver<Shard> {
        self.store.hints()
    }
    fn open_session(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, ()> {
        self.store.open_session(tenant, session, ttl_ms)
    }
    fn keep_alive(&self, tenant: &TenantId, session: SessionId, ttl_ms: u32) -> Reply<'_, bool> {
        self.store.keep_alive(tenant, session, ttl_ms)
    }
    fn end_session(&self, tenant: &TenantId, session: SessionId) -> Reply<'_, ()> {
        self.store.end_session(tenant, session)
    }
    fn sweep(&self, shard: Shard) -> Reply<'_, usize> {
        self.store.sweep(shard)
    }
    fn stage(&self, tenant: &TenantId, generation: u64, part: u32, writes: Vec<Write>) -> Reply<'_, ()> {
        self.store.stage(tenant, generation, part, writes)
    }
    fn turn_over(&self, commit: Commit, generation: u64, parts: u32) -> Reply<'_, Outcome> {
        self.store.turn_over(commit, generation, parts)
    }
    fn stats(&self) -> Reply<'_, Stats> {
        self.store.stats()
    }
    fn close(&self) -> Reply<'_, ()> {
        self.store.close()
    }
}
