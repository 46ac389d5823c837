//! A decision that was made, as it is remembered.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::FixedState;
use prost::Message as _;
use tandem_domain::id::{Incarnation, TenantId};
use tandem_domain::number::Number;
use tandem_proto::routing::v1 as pb;
use tandem_wire::request::DecisionFilter;

/// A decision that was made.
#[derive(Debug)]
pub(crate) struct Fact {
    index: Index,
    attempt_len: usize,
    /// The `CallAttempt`, then the `Decision`, both encoded.
    pub(crate) bytes: Vec<u8>,
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

impl Fact {
    /// A fact of an encoded attempt and decision, in an empty buffer.
    pub(crate) fn of(index: Index, attempt: &[u8], decision: &[u8], mut bytes: Vec<u8>) -> Self {
        bytes.reserve_exact(attempt.len() + decision.len());
        bytes.extend_from_slice(attempt);
        bytes.extend_from_slice(decision);
        Self { index, attempt_len: attempt.len(), bytes }
    }

    /// The message of a fact that fits.
    pub(crate) fn fits(&self, tenant: &TenantId, filter: &DecisionFilter) -> Option<pb::DecisionFact> {
        let index = &self.index;
        let fits = index.tenant == tenant.incarnation
            && filter.number.is_none_or(|n| index.called == Some(n))
            && filter.from_us.is_none_or(|from| index.at_us >= from)
            && filter.to_us.is_none_or(|to| index.at_us <= to)
            && filter.routed.is_none_or(|r| r == index.routed)
            && filter.call_id.as_deref().is_none_or(|wanted| hash(wanted) == index.call_id);
        if !fits {
            return None;
        }
        let (attempt, decision) = self.bytes.split_at_checked(self.attempt_len)?;
        let attempt = pb::CallAttempt::decode(attempt).ok()?;
        let decision = pb::Decision::decode(decision).ok()?;
        let ours = tandem_wire::name::is_under(&decision.name, &tenant.name)
            && filter.call_id.as_ref().is_none_or(|wanted| attempt.call_id == *wanted);
        ours.then_some(pb::DecisionFact {
            at_us: index.at_us,
            attempt: Some(attempt),
            decision: Some(decision),
        })
    }
}

/// What a Call-ID is looked for by, so that few facts need to be decoded.
pub(crate) fn hash(call_id: &str) -> u64 {
    // Whoever makes Call-IDs collide makes their own facts be decoded in vain, no more.
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(call_id.as_bytes());
    hasher.finish()
}
