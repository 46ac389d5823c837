//! An observer of decisions: what `tandem demo` prints beside each hop, and what a trace can be made of.

use std::sync::Arc;

use tandem_domain::id::{Revision, TenantName, TrunkName};
use tandem_domain::routing::attempt::Retargeted;
use tandem_domain::routing::trail::{Steps, Verdict};

/// Is told of every decision that the edge takes, by the one task that takes calls: it must not block.
pub trait Observer: Send + Sync {
    /// Whether reasons are wanted: composing them costs as much as the decision.
    fn wants_reasons(&self) -> bool {
        false
    }

    /// A decision was taken.
    fn decided(&self, hop: &Hop);
}

/// An observer that is shared.
pub type SharedObserver = Arc<dyn Observer>;

/// What an edge did with a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Whose call.
    pub tenant: TenantName,
    /// Call-ID of the request that came in.
    pub call_id: String,
    /// INVITE, or another method that begins something.
    pub method: String,
    /// By which trunk it came.
    pub ingress: TrunkName,
    /// The Request-URI, or where a treatment or redirection leads.
    pub called: String,
    /// The decision's resource name: `tenants/acme/decisions/edge-1-7`.
    pub decision: String,
    /// The tenant's revision that it was computed at.
    pub revision: Revision,
    /// What was decided.
    pub did: Did,
    /// Why this decision was asked for.
    pub because: Because,
    /// For how long the feed had been away, in ms. None: it was there.
    pub last_good_ms: Option<u64>,
    /// Whether a survivable rule chose the targets.
    pub survivable: bool,
    /// The first target: `trunk host:port`.
    pub target: Option<String>,
    /// Every rule that was considered, in order, where the observer wants them.
    pub reasons: Vec<String>,
}

/// What a decision does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// 302 with this many contacts.
    Redirect(usize),
    /// Sent on, to this many targets in order.
    Proxy(usize),
    /// Refused, by the reason's name and with its status.
    Reject(&'static str, u16),
}

/// Why a decision was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// A request came.
    Asked,
    /// The called was busy.
    Busy,
    /// The called did not answer.
    NoAnswer,
    /// The called could not be reached.
    Unreachable,
    /// The called redirected.
    Redirected,
    /// CIC is silent, and the survivable rules hold now.
    CicSilent,
    /// A REFER names a new target.
    Transfer,
}

impl Because {
    /// Why a call goes elsewhere than where it went first; none: it does not, or not by us.
    pub(crate) const fn retargeted(self) -> Option<Retargeted> {
        match self {
            Self::Busy => Some(Retargeted::Busy),
            Self::NoAnswer => Some(Retargeted::NoAnswer),
            Self::Unreachable => Some(Retargeted::Unreachable),
            Self::Redirected => Some(Retargeted::Deflected),
            Self::Asked | Self::CicSilent | Self::Transfer => None,
        }
    }
}

/// Reasons as text: `+` decided, `-` lost, `·` applied.
pub(crate) fn reasons(steps: &Steps) -> Vec<String> {
    let mark = |verdict| match verdict {
        Verdict::Won => '+',
        Verdict::Lost => '-',
        Verdict::Applied => '·',
    };
    steps.0.iter().map(|s| format!("{} {}: {}", mark(s.verdict), s.rule.name(), s.words)).collect()
}
