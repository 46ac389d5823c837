//! The decisions that edges made last and told: facts, kept in memory only, in the order in which they were made.
//!
//! An edge that was cut off tells late what it decided, and then stands where it belongs. There is one room for all
//! edges, in bytes. When it is full, the oldest decision goes of who has the most: the caller first, and among a
//! caller's edges the one. So an edge that is flooded, or sends what it likes, pushes out its own decisions only, down
//! to an even share of the room, and never what this process decided by itself. A caller with many edges shares as
//! one: who makes up names of edges gains nothing by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_domain::id::TenantId;
use tandem_proto::routing::v1 as pb;
use tandem_wire::request::DecisionFilter;

use crate::fact::Fact;

/// How many facts a listing looks at before others get their turn.
const CHUNK: usize = 1024;
/// What a fact costs beside its bytes, in bytes: its places in the two orders.
const FACT_BYTES: usize = 256;

/// An edge: by whose authority it speaks, and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) caller: Arc<str>,
    pub(crate) id: Arc<str>,
}

/// When a decision was made, in microseconds since 1970, and which it is of those that came with that moment.
pub(crate) type At = (u64, u64);

/// Above every moment.
pub(crate) const END: At = (u64::MAX, u64::MAX);

/// What edges told.
#[derive(Debug)]
pub(crate) struct Told {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    facts: BTreeMap<At, Fact>,
    bytes: usize,
    came: u64,
    callers: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Share>>,
}

/// What an edge has of the room.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    facts: BTreeSet<At>,
}

impl Told {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default() }
    }

    /// Keeps what an edge decided at a moment.
    pub(crate) fn keep(&self, edge: &Edge, at_us: u64, fact: Fact) {
        let mut inner = self.lock();
        let at = (at_us, inner.came);
        inner.came += 1;
        inner.add(edge, at, fact);
        while inner.bytes > self.bytes_max && inner.drop_some() {}
    }

    /// Decisions of a tenant that fit, the last made first, with their moments, which lie below `below`; at most `max`.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        filter: &DecisionFilter,
        below: At,
        max: usize,
    ) -> Vec<(At, pb::DecisionFact)> {
        let from = (filter.from_us.unwrap_or(0), 0);
        let mut below = filter.to_us.map_or(below, |to| below.min((to.saturating_add(1), 0)));
        let mut found = Vec::new();
        while from < below && found.len() < max {
            let Some(next) = self.look(from, below, |at, fact| {
                if found.len() < max {
                    found.extend(fact.fits(tenant, filter).map(|fact| (at, fact)));
                }
            }) else {
                break;
            };
            below = next;
            tokio::task::yield_now().await;
        }
        found
    }

    /// Looks at some facts; then below what to go on, if there was any.
    fn look(&self, from: At, below: At, mut see: impl FnMut(At, &Fact)) -> Option<At> {
        let inner = self.lock();
        let mut last = None;
        for (at, fact) in inner.facts.range(from..below).rev().take(CHUNK) {
            see(*at, fact);
            last = Some(*at);
        }
        last
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic between the orders would leave a fact that is in one of them: it is passed over.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, edge: &Edge, at: At, fact: Fact) {
        let bytes = cost(&fact);
        let edges = self.callers.entry(Arc::clone(&edge.caller)).or_default();
        let share = edges.entry(Arc::clone(&edge.id)).or_default();
        share.facts.insert(at);
        share.bytes += bytes;
        self.bytes += bytes;
        self.facts.insert(at, fact);
    }

    /// Drops the oldest of who has the most: one of 64 at once, for to look for who that is costs a walk over all edges.
    /// False: there is none.
    fn drop_some(&mut self) -> bool {
        let all = |edges: &BTreeMap<Arc<str>, Share>| edges.values().map(|share| share.bytes).sum::<usize>();
        let Some((caller, edges)) = self.callers.iter_mut().max_by_key(|(_, edges)| all(edges)) else {
            return false;
        };
        let Some((id, share)) = edges.iter_mut().max_by_key(|(_, share)| share.bytes) else { return false };
        let (caller, id) = (Arc::clone(caller), Arc::clone(id));
        for _ in 0..share.facts.len().div_ceil(64) {
            let bytes = share.facts.pop_first().and_then(|at| self.facts.remove(&at)).map_or(0, |f| cost(&f));
            share.bytes = share.bytes.saturating_sub(bytes);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        if share.facts.is_empty() {
            edges.remove(&id);
        }
        if edges.is_empty() {
            self.callers.remove(&caller);
        }
        true
    }
}

fn cost(fact: &Fact) -> usize {
    FACT_BYTES + fact.bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Index, hash};
    use prost::Message as _;
    use tandem_domain::id::{Incarnation, TenantName};

    fn edge(caller: &str, id: &str) -> Edge {
        Edge { caller: caller.into(), id: id.into() }
    }

    fn tenant() -> TenantId {
        TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(7) }
    }

    fn fact(at_us: u64, call_id: &str) -> Fact {
        let attempt = pb::CallAttempt { call_id: call_id.into(), ..Default::default() }.encode_to_vec();
        let name = "tenants/acme/decisions/e-1".into();
        let decision = pb::Decision { name, ..Default::default() }.encode_to_vec();
        let tenant = Incarnation(7);
        let index = Index { at_us, tenant, called: None, call_id: hash(call_id), routed: true };
        Fact::of(index, &attempt, &decision, Vec::new())
    }

    /// Room for so many of these facts.
    fn room(facts: usize) -> Told {
        Told::new(facts * cost(&fact(0, "a")))
    }

    async fn listed(told: &Told, below: At, max: usize) -> Vec<u64> {
        let found = told.list(&tenant(), &DecisionFilter::default(), below, max).await;
        found.iter().map(|(_, fact)| fact.at_us).collect()
    }

    #[tokio::test]
    async fn decisions_are_listed_in_the_order_in_which_they_were_made_not_learnt() {
        let told = room(5000);
        let (here, cut_off) = (edge("a", "here"), edge("a", "cut-off"));
        (1000..3000).step_by(2).for_each(|at| told.keep(&here, at, fact(at, "a")));
        (1001..3000).step_by(2).for_each(|at| told.keep(&cut_off, at, fact(at, "a")));
        let expected: Vec<u64> = (1000..3000).rev().collect();
        assert_eq!(listed(&told, END, 5000).await, expected);
        assert_eq!(listed(&told, (2000, 0), 3).await, [1999, 1998, 1997]);
        let filter = DecisionFilter { from_us: Some(1500), to_us: Some(1502), ..DecisionFilter::default() };
        let found = told.list(&tenant(), &filter, END, 9).await;
        assert_eq!(found.iter().map(|(_, f)| f.at_us).collect::<Vec<_>>(), [1502, 1501, 1500]);
    }

    #[tokio::test]
    async fn who_tells_most_pushes_out_its_own() {
        let told = room(30);
        let (quiet, loud) = (edge("a", "quiet"), edge("a", "loud"));
        (0..10).for_each(|at| told.keep(&quiet, at, fact(at, "a")));
        (100..1000).for_each(|at| told.keep(&loud, at, fact(at, "a")));
        let expected: Vec<u64> = (980..1000).rev().chain((0..10).rev()).collect();
        assert_eq!(listed(&told, END, 99).await, expected);
        // Names that are made up share as the one caller that they belong to.
        let other = edge("b", "other");
        (2000..2015).for_each(|at| told.keep(&other, at, fact(at, "a")));
        (3000..4000).for_each(|at| told.keep(&edge("a", &format!("made-up-{at}")), at, fact(at, "a")));
        let kept = listed(&told, END, 99).await;
        assert_eq!((kept.len(), kept.iter().filter(|at| (2000..2015).contains(*at)).count()), (30, 15));
    }

    #[test]
    fn where_room_is_short_one_of_64_goes_at_once() {
        let (told, only) = (room(640), edge("a", "only"));
        let keep = |at| {
            told.keep(&only, at, fact(at, "a"));
            told.lock().facts.len()
        };
        assert_eq!((0..640).map(keep).last(), Some(640));
        // One walk over all edges then makes room for more than one.
        assert_eq!(keep(640), 641 - 11);
        assert_eq!((641..651).map(keep).last(), Some(640));
        assert_eq!(told.lock().facts.first_key_value().map(|(at, _)| at.0), Some(11), "the oldest went");
    }

    #[tokio::test]
    async fn one_that_has_no_room_at_all_is_not_kept_and_takes_nothing_with_it() {
        let told = Told::new(10);
        told.keep(&edge("a", "b"), 1, fact(1, "a"));
        assert_eq!(listed(&told, END, 9).await, [0; 0]);
        let inner = told.lock();
        assert!(inner.callers.is_empty() && inner.facts.is_empty() && inner.bytes == 0);
    }
}
