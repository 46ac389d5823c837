//! The decisions that this process made last, or was told of by its edges: facts, kept in memory only.
//!
//! ```text
//! sequence ─▶ place (sequence mod max): who, when, whom, and the bytes of attempt and decision
//! ```
//!
//! A fact is kept as the bytes that came and went, in a buffer that is used again and again: a ring of sixty thousand
//! decisions would otherwise be a million small allocations that outlive every cache. Each place has a lock of its
//! own, so that decisions never wait for each other, nor for a listing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use prost::Message as _;
use tandem_domain::id::{Incarnation, TenantId};
use tandem_domain::number::Number;
use tandem_proto::routing::v1 as pb;
use tandem_wire::request::DecisionFilter;

/// Places that are made at once, when the first of them is needed; and how many a listing looks at before others get
/// their turn.
const CHUNK: usize = 1024;

/// A buffer that grew beyond this is given back when a smaller fact comes into its place, in bytes.
const BUFFER_MAX: usize = 4 * 1024;

/// A decision that was made.
#[derive(Debug)]
struct Fact {
    sequence: u64,
    index: Index,
    attempt_len: usize,
    /// The `CallAttempt`, then the `Decision`, both encoded.
    bytes: Vec<u8>,
}

/// What a fact is found by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    /// Microseconds since 1970.
    pub(crate) at_us: u64,
    /// The tenant's; its name stands in the decision.
    pub(crate) tenant: Incarnation,
    pub(crate) called: Option<Number>,
    /// The Call-ID's [`hash`].
    pub(crate) call_id: u64,
    pub(crate) routed: bool,
}

type Places = Box<[Mutex<Option<Fact>>]>;

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
        let mut bytes = place.take().map(|fact| fact.bytes).unwrap_or_default();
        bytes.clear();
        let needed = attempt.len() + decision.len();
        if bytes.capacity() > BUFFER_MAX && needed < BUFFER_MAX {
            bytes = Vec::new();
        }
        bytes.reserve_exact(needed);
        bytes.extend_from_slice(attempt);
        bytes.extend_from_slice(decision);
        *place = Some(Fact { sequence, index, attempt_len: attempt.len(), bytes });
    }

    /// Decisions of a tenant that fit, newest first, from below `before` on; at most `max`. And where to go on.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        filter: &DecisionFilter,
        before: Option<u64>,
        max: usize,
    ) -> (Vec<pb::DecisionFact>, Option<u64>) {
        let next = self.next.load(Ordering::Relaxed);
        let oldest = next.saturating_sub(self.max);
        let mut found = Vec::new();
        let mut below = before.unwrap_or(u64::MAX).min(next);
        while below > oldest {
            let from = below.saturating_sub(CHUNK as u64).max(oldest);
            if let Some(more) = self.look(from..below, tenant, filter, max, &mut found) {
                return (found, Some(more));
            }
            below = from;
            tokio::task::yield_now().await;
        }
        (found, None)
    }

    /// Looks at some places; where to go on once `max` were found and there is one more.
    fn look(
        &self,
        places: Range<u64>,
        tenant: &TenantId,
        filter: &DecisionFilter,
        max: usize,
        found: &mut Vec<pb::DecisionFact>,
    ) -> Option<u64> {
        for sequence in places.rev() {
            let (chunk, place) = self.chunk_and_place(sequence);
            let Some(places) = self.chunks.get(chunk).and_then(OnceLock::get) else { continue };
            let Some(place) = places.get(place).map(lock) else { continue };
            let here =
                place.as_ref().filter(|f| f.sequence == sequence && f.index.tenant == tenant.incarnation);
            let Some(fact) = here.and_then(|f| fits(f, tenant, filter)) else { continue };
            if found.len() == max {
                return Some(sequence + 1);
            }
            found.push(fact);
        }
        None
    }
}

fn lock(place: &Mutex<Option<Fact>>) -> MutexGuard<'_, Option<Fact>> {
    // Every change is one replacement, whole or not at all.
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a Call-ID is looked for by, so that few facts need to be decoded.
pub(crate) fn hash(call_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    hasher.finish()
}

/// The message of a fact that fits.
fn fits(fact: &Fact, tenant: &TenantId, filter: &DecisionFilter) -> Option<pb::DecisionFact> {
    let index = &fact.index;
    let fits = filter.number.is_none_or(|n| index.called == Some(n))
        && filter.from_us.is_none_or(|from| index.at_us >= from)
        && filter.to_us.is_none_or(|to| index.at_us <= to)
        && filter.routed.is_none_or(|r| r == index.routed)
        && filter.call_id.as_deref().is_none_or(|wanted| hash(wanted) == index.call_id);
    if !fits {
        return None;
    }
    let (attempt, decision) = fact.bytes.split_at_checked(fact.attempt_len)?;
    let attempt = pb::CallAttempt::decode(attempt).ok()?;
    let decision = pb::Decision::decode(decision).ok()?;
    let ours = tandem_wire::name::is_under(&decision.name, &tenant.name)
        && filter.call_id.as_ref().is_none_or(|wanted| attempt.call_id == *wanted);
    ours.then_some(pb::DecisionFact { at_us: index.at_us, attempt: Some(attempt), decision: Some(decision) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::id::TenantName;

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
        let (facts, _) = ring.list(&tenant(name), filter, None, 5000).await;
        facts.iter().map(|f| f.at_us).collect()
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
        assert!(lock(&places[0]).as_ref().unwrap().bytes.capacity() < BUFFER_MAX);
    }
}
