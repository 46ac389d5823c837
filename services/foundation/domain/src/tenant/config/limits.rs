//! Limits of a tenant.

use crate::document::terms::TrunkRole;

/// Limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Unanswered attempts alike at once, of callers with a number from a system of the tenant's.
    pub attempts_alike: u16,
    /// The same from elsewhere, and of callers without a number.
    pub attempts_alike_elsewhere: u16,
}

impl Limits {
    /// Unanswered attempts alike at once, where policy says nothing.
    pub const ATTEMPTS_ALIKE: u16 = 3;
    /// The same from elsewhere: a company's callers all show its main number, and nobody counts those without one.
    pub const ATTEMPTS_ALIKE_ELSEWHERE: u16 = 20;

    /// How many unanswered attempts may be out when another comes; none: such calls are not counted.
    ///
    /// `from` is the role of the ingress trunk (none: a user's own phone), `numbered` whether the caller has a number.
    /// The loops of domain rules 3.3 pass CIC, Lync or a proxy, and carry the caller round; what comes from a gateway
    /// is new each time.
    #[must_use]
    pub const fn alike(&self, from: Option<TrunkRole>, numbered: bool) -> Option<AlikeMax> {
        let alike = match (from, numbered) {
            (Some(TrunkRole::Cic | TrunkRole::Lync | TrunkRole::SipProxy), true) => self.attempts_alike,
            (Some(TrunkRole::Gateway), false) => return None,
            _ => self.attempts_alike_elsewhere,
        };
        let elsewhere = self.attempts_alike_elsewhere;
        Some(AlikeMax { alike, by_number: if alike > elsewhere { alike } else { elsewhere } })
    }
}

/// How many unanswered attempts may be out at once when another comes.
///
/// Colleagues who all show their company's main number differ in the rest that they show, and a call that comes round
/// does not: it is counted by all of that. Should an agent on its way round write something new each time, the number
/// alone ends it, later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlikeMax {
    /// By a caller who is shown the same in everything.
    pub alike: u16,
    /// By a caller of the same number; never less.
    pub by_number: u16,
}

impl AlikeMax {
    /// The count that has reached its limit, and the limit.
    #[must_use]
    pub const fn reached(&self, alike: u16, by_number: u16) -> Option<(u16, u16)> {
        if alike >= self.alike {
            Some((alike, self.alike))
        } else if by_number >= self.by_number {
            Some((by_number, self.by_number))
        } else {
            None
        }
    }
}
