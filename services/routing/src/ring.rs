//! The decisions that this process made last: facts, kept in memory only. What edges decided is [kept apart](crate::told).
//!
//! ```text
//! sequence ─▶ place (sequence mod max): who, when, whom, and the bytes of attempt and decision
//! ```
//!
//! A fact is kept as the bytes that came and went, in a buffer that is used again and again: a ring of sixty thousand
//! decisions would otherwise be a million small allocations that outlive every cache. Each place has a lock of its
//! own, so that decisions never wait for each other, nor for a listing.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tandem_domain::id::TenantId;
use tandem_proto::routing::v1 as pb;
use tandem_wire::request::DecisionFilter;

use crate::fact::{Fact, Index};

/// Places that are made at once, when the first of them is needed; and how many a listing looks at before others get
/// their turn.
const CHUNK: usize = 1024;

/// A buffer that grew beyond this is given back when a smaller fact comes into its place, in bytes.
const BUFFER_MAX: usize = 4 * 1024;

/// A decision, and its place among all that were ever made.
#[derive(Debug)]
struct Kept {
    sequence: u64,
    fact: Fact,
}

type Places = Box<[Mutex<Option<Kept>>]>;

#[derive(Debug)]
pub(crate) struct Ring {
    /// How many were ever taken: the next one's sequence, from 0.
    next: AtomicU64,
    chunks: Box<[OnceLock<Places>]>,
    max: u64,
}

impl Ring {
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1);
        let chunks = (0..max.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
        Self { next: AtomicU64::new(0), chunks, max: max as u64 }
    }

    /// Takes the next place. Until it is filled, the oldest decision stays there.
    pub(crate) fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// How many places were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    fn chunk_and_place(&self, sequence: u64) -> (usize, usize) {
        let at = (sequence % self.max) as usize;
        (at / CHUNK, at % CHUNK)
    }

    /// Keeps a decision in the place that was taken for it.
    pub(crate) fn fill(&self, sequence: u64, index: Index, attempt: &[u8], decision: &[u8]) {
        let (chunk, place) = self.chunk_and_place(sequence);
        let Some(chunk) = self.chunks.get(chunk) else { return };
        let places = chunk.get_or_init(|| (0..CHUNK).map(|_| Mutex::new(None)).collect());
        let Some(place) = places.get(place) else { return };
        let mut place = lock(place);
        // Another may have come round the whole ring meanwhile: the newer one stays.
        if place.as_ref().is_some_and(|there| there.sequence > sequence) {
            return;
        }
        let mut bytes = place.take().map(|kept| kept.fact.bytes).unwrap_or_default();
        bytes.clear();
        let needed = attempt.len() + decision.len();
        if bytes.capacity() > BUFFER_MAX && needed < BUFFER_MAX {
            bytes = Vec::new();
        }
        *place = Some(Kept { sequence, fact: Fact::of(index, attempt, decision, bytes) });
    }

    /// The sequence that the next decision will have: all there are lie below it.
    pub(crate) fn end(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Decisions of a tenant that fit, newest first, with their sequences, which lie below `below`; at most `max`.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        filter: &DecisionFilter,
        below: u64,
        max: usize,
    ) -> Vec<(u64, pb::DecisionFact)> {
        let next = self.end();
        let oldest = next.saturating_sub(self.max);
        let mut found = Vec::new();
        let mut below = below.min(next);
        while below > oldest && found.len() < max {
            let from = below.saturating_sub(CHUNK as u64).max(oldest);
            found.extend(self.look(from..below, tenant, filter).take(max - found.len()));
            below = from;
            tokio::task::yield_now().await;
        }
        found
    }

    /// Looks at some places, the newest first.
    fn look(
        &self,
        places: Range<u64>,
        tenant: &TenantId,
        filter: &DecisionFilter,
    ) -> impl Iterator<Item = (u64, pb::DecisionFact)> {
        places.rev().filter_map(|sequence| {
            let (chunk, place) = self.chunk_and_place(sequence);
            let place = self.chunks.get(chunk)?.get()?.get(place).map(lock)?;
            let kept = place.as_ref().filter(|kept| kept.sequence == sequence)?;
            Some((sequence, kept.fact.fits(tenant, filter)?))
        })
    }
}

fn lock(place: &Mutex<Option<Kept>>) -> MutexGuard<'_, Option<Kept>> {
    // Every change is one replacement, whole or not at all.
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::hash;
    use prost::Message as _;
    use tandem_domain::id::{Incarnation, TenantName};

    fn tenant(name: &str) -> TenantId {
        TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(7) }
    }

    fn fill(ring: &Ring, sequence: u64, name: &str, call_id: &str) {
        let attempt = pb::CallAttempt { call_id: call_id.into(), ..Default::default() };
        let decision =
            pb::Decision { name: format!("tenants/{name}/decisions/p-{sequence}"), ..Default::default() };
        let index = Index {
            at_us: sequence,
            tenant: Incarnation(7),
            called: None,
            call_id: hash(call_id),
            routed: true,
        };
        ring.fill(sequence, index, &attempt.encode_to_vec(), &decision.encode_to_vec());
    }

    async fn listed(ring: &Ring, name: &str, filter: &DecisionFilter) -> Vec<u64> {
        ring.list(&tenant(name), filter, u64::MAX, 5000).await.iter().map(|(_, f)| f.at_us).collect()
    }

    #[tokio::test]
    async fn the_newest_stay_across_chunks_and_a_late_writer_does_not_put_an_older_one_back() {
        let ring = Ring::new(CHUNK + 6);
        let late = ring.take();
        for _ in 0..CHUNK + 7 {
            let sequence = ring.take();
            fill(&ring, sequence, "acme", "a");
        }
        fill(&ring, late, "acme", "late");
        let all = listed(&ring, "acme", &DecisionFilter::default()).await;
        let expected: Vec<u64> = (2..CHUNK as u64 + 8).rev().collect();
        assert_eq!(all, expected);
    }

    #[tokio::test]
    async fn two_tenants_of_one_incarnation_do_not_see_each_other() {
        let ring = Ring::new(8);
        for name in ["acme", "acme-2", "acme"] {
            let sequence = ring.take();
            fill(&ring, sequence, name, "a");
        }
        assert_eq!(listed(&ring, "acme", &DecisionFilter::default()).await, [2, 0]);
        assert_eq!(listed(&ring, "acme-2", &DecisionFilter::default()).await, [1]);
    }

    #[tokio::test]
    async fn a_call_is_found_by_its_call_id() {
        let ring = Ring::new(8);
        for call_id in ["a", "b", "a"] {
            let sequence = ring.take();
            fill(&ring, sequence, "acme", call_id);
        }
        let filter = DecisionFilter { call_id: Some("b".into()), ..DecisionFilter::default() };
        assert_eq!(listed(&ring, "acme", &filter).await, [1]);
    }

    #[test]
    fn a_buffer_that_one_large_fact_needed_is_given_back() {
        let ring = Ring::new(1);
        let index = Index { at_us: 0, tenant: Incarnation(7), called: None, call_id: 0, routed: true };
        ring.fill(0, index, &[0; 3 * BUFFER_MAX], &[]);
        ring.fill(1, index, &[0; 100], &[0; 100]);
        let places = ring.chunks[0].get().unwrap();
        assert!(lock(&places[0]).as_ref().unwrap().fact.bytes.capacity() < BUFFER_MAX);
    }
}
