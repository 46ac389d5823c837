//! The decisions that this process made last: facts, kept in memory only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_domain::id::TenantId;
use tandem_domain::routing::decision::{Decision, Outcome};
use tandem_wire::attempt::Attempt;
use tandem_wire::request::DecisionFilter;

/// A decision that was made.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) sequence: u64,
    /// Microseconds since 1970.
    pub(crate) at_us: u64,
    pub(crate) tenant: TenantId,
    pub(crate) attempt: Attempt,
    pub(crate) decision: Decision,
    pub(crate) stale_ms: u64,
}

/// How many places are looked at under one lock: bounds how long a listing holds up a decision.
const LOOK: u64 = 1024;

#[derive(Debug)]
pub(crate) struct Ring {
    places: Mutex<Places>,
    max: usize,
}

#[derive(Debug, Default)]
struct Places {
    facts: Vec<Fact>,
    /// How many were ever pushed: the next one's sequence, from 0.
    next: u64,
}

impl Ring {
    pub(crate) fn new(max: usize) -> Self {
        Self { places: Mutex::default(), max: max.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Every change is one push or one replacement, whole or not at all.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a decision; `make` is given its sequence. Forgets the oldest when there is no room.
    pub(crate) fn push(&self, make: impl FnOnce(u64) -> Fact) {
        let mut places = self.lock();
        let sequence = places.next;
        places.next += 1;
        let fact = make(sequence);
        let at = (sequence % self.max as u64) as usize;
        // What is replaced is dropped after the lock is given back.
        let _replaced = match places.facts.get_mut(at) {
            Some(place) => Some(std::mem::replace(place, fact)),
            None => {
                places.facts.push(fact);
                None
            }
        };
        drop(places);
    }

    /// Decisions of a tenant that fit, newest first, from below `before` on; at most `max`. And where to go on.
    pub(crate) fn list(
        &self,
        tenant: &TenantId,
        filter: &DecisionFilter,
        before: Option<u64>,
        max: usize,
    ) -> (Vec<Fact>, Option<u64>) {
        let mut found = Vec::new();
        let mut from = before.unwrap_or(u64::MAX).min(self.lock().next);
        loop {
            let places = self.lock();
            let oldest = places.next.saturating_sub(self.max as u64);
            let low = from.saturating_sub(LOOK).max(oldest);
            for sequence in (low..from).rev() {
                let fact = &places.facts[(sequence % self.max as u64) as usize];
                if fact.tenant == *tenant && fits(fact, filter) {
                    if found.len() == max {
                        return (found, Some(sequence + 1));
                    }
                    found.push(fact.clone());
                }
            }
            if low <= oldest {
                return (found, None);
            }
            from = low;
        }
    }
}

fn fits(fact: &Fact, filter: &DecisionFilter) -> bool {
    let routed = matches!(fact.decision.outcome, Outcome::Route(_));
    filter.number.is_none_or(|n| fact.decision.called == Some(n))
        && filter.call_id.as_deref().is_none_or(|c| c == fact.attempt.call_id())
        && filter.from_us.is_none_or(|from| fact.at_us >= from)
        && filter.to_us.is_none_or(|to| fact.at_us <= to)
        && filter.routed.is_none_or(|r| r == routed)
}
