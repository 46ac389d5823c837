//! The decisions that this process made last: facts, kept in memory only.
//!
//! A fact is kept as the bytes of its message, in a buffer that is used again and again: a ring of sixty thousand
//! decisions would otherwise be a million small allocations that outlive every cache.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message as _;
use tandem_domain::id::TenantId;
use tandem_domain::number::Number;
use tandem_proto::routing::v1 as pb;
use tandem_wire::request::DecisionFilter;

/// How many places are looked at under one lock: bounds how long a listing holds up a decision.
const LOOK: u64 = 1024;

/// A decision that was made.
#[derive(Debug)]
struct Fact {
    sequence: u64,
    at_us: u64,
    tenant: TenantId,
    called: Option<Number>,
    routed: bool,
    /// The `DecisionFact`.
    bytes: Vec<u8>,
}

/// What a fact is found by.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Microseconds since 1970.
    pub(crate) at_us: u64,
    pub(crate) tenant: TenantId,
    pub(crate) called: Option<Number>,
    pub(crate) routed: bool,
}

/// A place in the ring, taken until it is filled.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Ring {
    places: Mutex<Places>,
    max: usize,
}

#[derive(Debug, Default)]
struct Places {
    facts: Vec<Option<Fact>>,
    /// How many were ever taken: the next one's sequence, from 0.
    next: u64,
}

impl Ring {
    pub(crate) fn new(max: usize) -> Self {
        Self { places: Mutex::default(), max: max.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change is one replacement, whole or not at all.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, sequence: u64) -> usize {
        (sequence % self.max as u64) as usize
    }

    /// Takes the next place; the oldest decision is forgotten when there is no other room.
    pub(crate) fn take(&self) -> Place {
        let mut places = self.lock();
        let sequence = places.next;
        places.next += 1;
        let at = self.at(sequence);
        if at == places.facts.len() {
            places.facts.push(None);
        }
        let buffer = places.facts[at].take().map(|fact| fact.bytes).unwrap_or_default();
        Place { sequence, buffer }
    }

    /// Keeps a decision in the place that was taken for it.
    pub(crate) fn fill(&self, place: Place, index: Index, fact: &pb::DecisionFact) {
        let Place { sequence, buffer: mut bytes } = place;
        bytes.clear();
        bytes.reserve(fact.encoded_len());
        fact.encode_raw(&mut bytes);
        let Index { at_us, tenant, called, routed } = index;
        let fact = Fact { sequence, at_us, tenant, called, routed, bytes };
        let at = self.at(sequence);
        let mut places = self.lock();
        // Another may have come round the whole ring meanwhile: the newer one stays.
        if places.facts[at].as_ref().is_none_or(|there| there.sequence < sequence) {
            places.facts[at] = Some(fact);
        }
    }

    /// Decisions of a tenant that fit, newest first, from below `before` on; at most `max`. And where to go on.
    pub(crate) fn list(
        &self,
        tenant: &TenantId,
        filter: &DecisionFilter,
        before: Option<u64>,
        max: usize,
    ) -> (Vec<pb::DecisionFact>, Option<u64>) {
        let mut found = Vec::new();
        let mut from = before.unwrap_or(u64::MAX).min(self.lock().next);
        loop {
            let places = self.lock();
            let oldest = places.next.saturating_sub(self.max as u64);
            let low = from.saturating_sub(LOOK).max(oldest);
            for sequence in (low..from).rev() {
                let place = places.facts.get(self.at(sequence)).and_then(Option::as_ref);
                let here = place.filter(|f| f.sequence == sequence && f.tenant == *tenant);
                let Some(fact) = here.and_then(|f| fits(f, filter)) else { continue };
                if found.len() == max {
                    return (found, Some(sequence + 1));
                }
                found.push(fact);
            }
            if low <= oldest {
                return (found, None);
            }
            from = low;
        }
    }
}

/// The message of a fact that fits.
fn fits(fact: &Fact, filter: &DecisionFilter) -> Option<pb::DecisionFact> {
    let fits = filter.number.is_none_or(|n| fact.called == Some(n))
        && filter.from_us.is_none_or(|from| fact.at_us >= from)
        && filter.to_us.is_none_or(|to| fact.at_us <= to)
        && filter.routed.is_none_or(|r| r == fact.routed);
    let message = fits.then(|| pb::DecisionFact::decode(fact.bytes.as_slice()).ok()).flatten()?;
    let call_id = message.attempt.as_ref().map(|a| a.call_id.as_str());
    filter.call_id.as_deref().is_none_or(|wanted| call_id == Some(wanted)).then_some(message)
}
