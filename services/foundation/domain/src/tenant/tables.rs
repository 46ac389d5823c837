//! The tables that a decision looks numbers up in.

use std::sync::Arc;

use crate::document::terms::{RouteOwner, TrunkRole};
use crate::number::prefixes::Prefixes;
use crate::number::{Digits, Number};

use super::config::{SiteIx, TrunkIx};

/// The start of numbers in canonical form: `+4930` or `34`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    /// Whether of global numbers.
    pub global: bool,
    /// The digits; empty: every number of its kind.
    pub digits: Digits,
}

impl Prefix {
    /// Reads `+`, `+4930` or `34`; the empty text is none.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        let (global, digits) = s.strip_prefix('+').map_or((false, s), |d| (true, d));
        let digits = Digits::parse(digits.as_bytes())?;
        (global || !digits.is_empty()).then_some(Self { global, digits })
    }

    /// Whether a number starts with it.
    #[must_use]
    pub fn fits(self, number: Number) -> bool {
        number.is_global() == self.global && number.digits().starts_with(self.digits)
    }

    /// Whether some number starts with both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.global == other.global
            && (self.digits.starts_with(other.digits) || other.digits.starts_with(self.digits))
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.global { "+" } else { "" }, self.digits)
    }
}

/// A set of trunk roles.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RoleSet(u8);

impl RoleSet {
    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a role is in it.
    #[must_use]
    pub const fn has(self, role: TrunkRole) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl FromIterator<TrunkRole> for RoleSet {
    fn from_iter<I: IntoIterator<Item = TrunkRole>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | (1 << role as u8)))
    }
}

/// A set of sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SiteSet(u64);

impl SiteSet {
    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a site is in it.
    #[must_use]
    pub const fn has(self, site: SiteIx) -> bool {
        self.0 & (1 << site.0) != 0
    }

    /// The sites, the cloud first.
    pub fn iter(self) -> impl Iterator<Item = SiteIx> {
        (0..64).map(SiteIx).filter(move |s| self.has(*s))
    }
}

impl FromIterator<SiteIx> for SiteSet {
    fn from_iter<I: IntoIterator<Item = SiteIx>>(sites: I) -> Self {
        Self(sites.into_iter().fold(0, |set, site| set | (1 << site.0)))
    }
}

/// A block of numbers of the tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Its common start.
    pub prefix: Prefix,
    /// Where its numbers ring.
    pub site: Option<SiteIx>,
}

/// Prefixes, to find the longest that a number has: places in the list that they were given in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Starts {
    global: Prefixes,
    local: Prefixes,
}

impl Starts {
    fn new(prefixes: impl Iterator<Item = Prefix> + Clone) -> Self {
        let of = |global: bool| {
            let given = prefixes.clone().zip(0..).filter(|(prefix, _)| prefix.global == global);
            Prefixes::build(given.map(|(prefix, at)| (prefix.digits, at)).collect())
        };
        Self { global: of(true), local: of(false) }
    }

    fn find(&self, number: Number) -> Option<usize> {
        let starts = if number.is_global() { &self.global } else { &self.local };
        starts.find(number.digits()).map(|at| at as usize)
    }
}

/// The tenant's ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ranges {
    ranges: Box<[Range]>,
    starts: Starts,
}

impl Ranges {
    /// Sorts ranges; of equals the first stays.
    #[must_use]
    pub fn new(mut ranges: Vec<Range>) -> Self {
        ranges.sort_by_key(|r| r.prefix);
        ranges.dedup_by_key(|r| r.prefix);
        Self { starts: Starts::new(ranges.iter().map(|r| r.prefix)), ranges: ranges.into() }
    }

    /// The range with the longest prefix that a number has.
    #[must_use]
    pub fn find(&self, number: Number) -> Option<&Range> {
        self.ranges.get(self.starts.find(number)?)
    }

    /// Every range, by prefix.
    pub fn iter(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter()
    }
}

/// A route that an administrator wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExplicitRoute {
    /// The number, or the start of numbers.
    pub pattern: Prefix,
    /// The extension of a number that is named exactly with one; else empty.
    pub ext: Digits,
    /// Whether the pattern is one number, not a start.
    pub exact: bool,
    /// To whom.
    pub owner: RouteOwner,
    /// Which workgroup, when `owner` is `Workgroup`.
    pub workgroup: Option<Arc<str>>,
    /// Its place in the document's list, for explanations.
    pub at: u16,
}

impl ExplicitRoute {
    fn key(&self) -> (bool, Prefix, Digits) {
        (self.exact, self.pattern, self.ext)
    }
}

impl std::fmt::Display for ExplicitRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.exact, self.ext.is_empty()) {
            (false, _) => write!(f, "{}*", self.pattern),
            (true, true) => write!(f, "{}", self.pattern),
            (true, false) => write!(f, "{};ext={}", self.pattern, self.ext),
        }
    }
}

/// The explicit routes: starts of numbers, then single numbers, each sorted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routes {
    routes: Box<[ExplicitRoute]>,
    starts: Starts,
}

impl Routes {
    /// Sorts routes; of equal patterns the first stays.
    #[must_use]
    pub fn new(mut routes: Vec<ExplicitRoute>) -> Self {
        routes.sort_by(|a, b| a.key().cmp(&b.key()).then(a.at.cmp(&b.at)));
        routes.dedup_by(|b, a| a.key() == b.key());
        let starts = routes.iter().take_while(|r| !r.exact).map(|r| r.pattern);
        Self { starts: Starts::new(starts), routes: routes.into() }
    }

    /// The route of a number: the one that names it exactly, or else the longest start.
    #[must_use]
    pub fn find(&self, number: Number) -> Option<&ExplicitRoute> {
        let whole = Prefix { global: number.is_global(), digits: number.digits() };
        let exact = self.routes.binary_search_by(|r| r.key().cmp(&(true, whole, number.ext())));
        self.routes.get(exact.ok().or_else(|| self.starts.find(number))?)
    }

    /// Every route: starts first, then single numbers, each in the order of digits.
    pub fn iter(&self) -> impl Iterator<Item = &ExplicitRoute> {
        self.routes.iter()
    }
}

/// How what people dial becomes a number: rules of the ingress trunk, then of the caller's site, then the
/// tenant's; in each list the first that fits wins. [`canonical`](crate::number::canonical()) reads it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DialPlan {
    /// The tenant's rules.
    pub rules: Box<[DialRule]>,
    /// Rules for calls from one trunk.
    pub by_trunk: Box<[(TrunkIx, Box<[DialRule]>)]>,
    /// Rules for callers at one site.
    pub by_site: Box<[(SiteIx, Box<[DialRule]>)]>,
}

/// One rewriting of what was dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialRule {
    /// What the dialled digits start with: ASCII digits, and `X` for any digit.
    pub pattern: Box<[u8]>,
    /// The fewest digits in all.
    pub min: u8,
    /// The most digits in all.
    pub max: u8,
    /// How many digits are taken off the front; never more than `min`.
    pub strip: u8,
    /// Whether the result is a global number.
    pub global: bool,
    /// What is put in front.
    pub prepend: Digits,
}

impl DialRule {
    /// The most digits that a rule looks at: E.164's 15 and an access code or international prefix before.
    pub const DIALLED_MAX: usize = 24;

    /// Whether the rule speaks of these dialled ASCII digits.
    #[must_use]
    pub fn fits(&self, dialled: &[u8]) -> bool {
        let len = dialled.len();
        (usize::from(self.min)..=usize::from(self.max)).contains(&len)
            && len >= self.pattern.len()
            && self.pattern.iter().zip(dialled).all(|(p, d)| p == d || *p == b'X')
            && dialled.iter().all(u8::is_ascii_digit)
    }

    /// Rewrites digits that fit. None: what comes out is empty or has more than 15 digits.
    #[must_use]
    pub fn rewrite(&self, dialled: &[u8]) -> Option<Number> {
        let rest = dialled.get(usize::from(self.strip)..)?;
        let mut out = [0_u8; Digits::LEN_MAX];
        let mut len = 0;
        for digit in self.prepend.iter().map(|d| b'0' + d).chain(rest.iter().copied()) {
            *out.get_mut(len)? = digit;
            len += 1;
        }
        let digits = Digits::parse(&out[..len])?;
        if self.global { Number::global(digits, Digits::default()) } else { Number::local(digits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(pattern: &str, owner: RouteOwner, at: u16) -> ExplicitRoute {
        let exact = !pattern.ends_with('*');
        let pattern = Prefix::parse(pattern.trim_end_matches('*')).unwrap();
        ExplicitRoute { pattern, ext: Digits::default(), exact, owner, workgroup: None, at }
    }

    #[test]
    fn the_longest_pattern_wins_and_an_exact_one_before_all() {
        let routes = Routes::new(vec![
            route("+49*", RouteOwner::Lync, 0),
            route("+4930*", RouteOwner::Cic, 1),
            route("+493012", RouteOwner::Reject, 2),
            route("+493012*", RouteOwner::Workgroup, 3),
            route("3*", RouteOwner::Lync, 4),
        ]);
        for (called, owner) in [
            ("+4930", Some(RouteOwner::Cic)),
            ("+493012", Some(RouteOwner::Reject)),
            ("+4930123", Some(RouteOwner::Workgroup)),
            ("+4940", Some(RouteOwner::Lync)),
            ("+1", None),
            ("30", Some(RouteOwner::Lync)),
            ("49", None),
        ] {
            let found = routes.find(Number::parse_canonical(called).unwrap());
            assert_eq!(found.map(|r| r.owner), owner, "{called}");
        }
    }

    #[test]
    fn a_range_is_found_by_its_longest_prefix() {
        let range = |s: &str| Range { prefix: Prefix::parse(s).unwrap(), site: None };
        let ranges = Ranges::new(vec![range("+4930"), range("+49301"), range("2")]);
        for (called, prefix) in [
            ("+49301", Some("+49301")),
            ("+49302", Some("+4930")),
            ("+4", None),
            ("21", Some("2")),
            ("+2", None),
        ] {
            let found = ranges.find(Number::parse_canonical(called).unwrap());
            assert_eq!(found.map(|r| r.prefix.to_string()).as_deref(), prefix, "{called}");
        }
    }
}
