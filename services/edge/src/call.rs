//! A call that the edge keeps hold of: what it was asked, what was decided, what is tried.

use std::fmt;
use std::sync::Arc;

use tandem_domain::id::{TenantId, TrunkName};
use tandem_domain::routing::attempt::Retargeted;
use tandem_domain::routing::decision::{Route, Treatment};

use crate::carry::Tried;
use crate::facts::Alike;

/// How often one call may be forwarded, its forwarding before it came counted: what the longest honest chain of
/// colleagues needs, and few enough to end what turns in a circle.
pub(crate) const FORWARDS_MAX: u8 = 5;

/// Names a decision: the edge, and which of its decisions. It becomes text where somebody reads it.
#[derive(Clone, Debug)]
pub(crate) struct DecisionId {
    pub(crate) edge: Arc<str>,
    pub(crate) number: u64,
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.edge, self.number)
    }
}

/// Who forwarded a call, and why: what a retargeted request says of it.
#[derive(Clone, Debug)]
pub(crate) struct Diverted {
    /// Who was called, as it was asked for.
    pub(crate) by: String,
    /// Why it was not taken there.
    pub(crate) why: Option<Retargeted>,
}

/// A call on its way, until it is answered, refused or given up.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) scope: u64,
    pub(crate) tenant: TenantId,
    /// The trunk that it came by.
    pub(crate) ingress: TrunkName,
    pub(crate) listener: u16,
    /// Call-ID, as it came.
    pub(crate) call_id: Box<str>,
    pub(crate) is_invite: bool,
    pub(crate) is_emergency: bool,
    /// The last decision.
    pub(crate) decision: DecisionId,
    /// Whom it is for now, where that is not the Request-URI: a treatment's or redirection's target.
    pub(crate) destination: Option<String>,
    /// How often it was forwarded.
    pub(crate) forwards: u8,
    /// Whose forwarding the edge carried out, in order: at most [`FORWARDS_MAX`].
    pub(crate) diverted: Vec<Diverted>,
    /// What was decided: its targets wait for names.
    pub(crate) route: Option<Route>,
    /// What is tried, by the tags of the proxy core.
    pub(crate) tried: Vec<Tried>,
    pub(crate) treatment: Treatment,
    /// A survivable rule chose the targets.
    pub(crate) survivable: bool,
    /// It counts among the attempts alike, by this.
    pub(crate) alike: Option<Alike>,
    /// It has waited once for the survivable rules: it does not wait again.
    pub(crate) has_waited: bool,
}

impl Call {
    /// A call about which this was decided; what, is not taken up yet.
    pub(crate) fn new(
        scope: u64,
        tenant: &TenantId,
        ingress: &TrunkName,
        listener: u16,
        call_id: &str,
        decision: DecisionId,
    ) -> Self {
        Self {
            scope,
            tenant: tenant.clone(),
            ingress: ingress.clone(),
            listener,
            call_id: call_id.into(),
            is_invite: false,
            is_emergency: false,
            decision,
            destination: None,
            forwards: 0,
            diverted: Vec::new(),
            route: None,
            tried: Vec::new(),
            treatment: Treatment::default(),
            survivable: false,
            alike: None,
            has_waited: false,
        }
    }

    /// The trunk of a tag.
    pub(crate) fn trunk(&self, tag: u32) -> Option<&TrunkName> {
        self.tried(tag).map(|t| &t.place.trunk)
    }

    /// The address of a tag.
    pub(crate) fn tried(&self, tag: u32) -> Option<&Tried> {
        self.tried.get(usize::try_from(tag).ok()?)
    }
}
