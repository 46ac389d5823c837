//! Toll policy: who may call what by which trunk, alike for INVITE, REFER and 3xx (domain rules 9.1).

use super::decision::Reason;
use crate::document::terms::TrunkRole;
use crate::number::Number;
use crate::tenant::{Config, SiteIx, TollRule, TrunkIx};

/// A call that toll policy judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Toll<'a> {
    pub(super) config: &'a Config,
    /// The role of the ingress trunk; none: a user's own phone.
    pub(super) from: Option<TrunkRole>,
    /// Where the caller sits.
    pub(super) site: Option<SiteIx>,
}

/// What the toll policy says of a call, and by which rule (counted from 0).
#[derive(Clone, Copy, Debug)]
pub(super) enum Judgement<'a> {
    Allowed(usize, &'a TollRule),
    Forbidden(usize),
    /// No rule speaks of such a call.
    NoRule,
}

impl<'a> Toll<'a> {
    /// Judges a call to a number; none: to something that is no number (a dialog, an address), of which only
    /// rules for any number speak.
    pub(super) fn judge(&self, called: Option<Number>) -> Judgement<'a> {
        let found = match called {
            Some(number) => self.config.toll_rule(self.from, self.site, number),
            None => self.config.toll.iter().enumerate().find(|(_, r)| r.called.is_empty() && self.speaks(r)),
        };
        match found {
            Some((at, rule)) if rule.allow => Judgement::Allowed(at, rule),
            Some((at, _)) => Judgement::Forbidden(at),
            None => Judgement::NoRule,
        }
    }

    fn speaks(&self, rule: &TollRule) -> bool {
        (rule.from.is_empty() || self.from.is_some_and(|r| rule.from.has(r)))
            && (rule.sites.is_empty() || self.site.is_some_and(|s| rule.sites.has(s)))
    }
}

impl Judgement<'_> {
    /// Whether the call may go by a trunk.
    pub(super) fn by(&self, trunk: TrunkIx) -> bool {
        matches!(self, Self::Allowed(_, rule) if rule.may_use(trunk))
    }

    /// Why not, if it is not allowed at all.
    pub(super) const fn refusal(&self) -> Option<Reason> {
        match self {
            Self::Allowed(..) => None,
            Self::Forbidden(_) | Self::NoRule => Some(Reason::Toll),
        }
    }
}
