//! What every part of the compiler needs: the names of the document, and where findings go.

use crate::document::policy::TenantSpec;
use crate::document::terms::TrunkRole;
use crate::finding::{Finding, nearest};
use crate::id::SiteName;
use crate::number::Number;
use crate::tenant::checks;
use crate::tenant::config::{SiteIx, TrunkIx};
use crate::tenant::tables::Prefix;

/// The most trunks of a tenant: each is looked at on each call.
pub(super) const TRUNKS_MAX: usize = 64;
/// The most premises of a tenant: with the cloud, a set of sites is one 64-bit word.
pub(super) const PREMISES_MAX: usize = 63;

/// The compiler's state.
pub(super) struct Scope<'a> {
    pub(super) spec: &'a TenantSpec,
    pub(super) found: Vec<Finding>,
    /// Site names by their place; the cloud first.
    sites: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(spec: &'a TenantSpec) -> Self {
        let premises = spec.sites.iter().map(|s| s.name.as_str()).filter(|n| *n != SiteName::CLOUD);
        let sites = std::iter::once(SiteName::CLOUD).chain(premises.take(PREMISES_MAX)).collect();
        Self { spec, found: Vec::new(), sites }
    }

    /// The site of a name. A name that is not listed is found and taken for the cloud.
    pub(super) fn site(&mut self, name: &str, path: &str) -> SiteIx {
        if let Some(ix) = self.site_known(name) {
            return ix;
        }
        // Beyond the limit of sites, which is found already.
        if !self.spec.sites.iter().any(|s| s.name == name) {
            let mut finding = checks::SITE_UNDEFINED.at(path, format!("there is no site {name:?}"));
            if let Some(meant) = nearest(name, self.sites.iter().copied()) {
                finding = finding.fix(format!("did you mean {meant:?}? Otherwise add it to spec.sites"));
            }
            self.found.push(finding);
        }
        SiteIx::CLOUD
    }

    pub(super) fn site_known(&self, name: &str) -> Option<SiteIx> {
        let at = self.sites.iter().position(|s| *s == name)?;
        u8::try_from(at).ok().map(SiteIx)
    }

    pub(super) fn site_name(&self, site: SiteIx) -> &'a str {
        self.sites.get(usize::from(site.0)).copied().unwrap_or(SiteName::CLOUD)
    }

    /// The first premises listed: where the model puts what stands at the customer's.
    pub(super) fn premises(&self) -> SiteIx {
        if self.sites.len() > 1 { SiteIx(1) } else { SiteIx::CLOUD }
    }

    /// The trunk of a name, and its role. A name that is not listed is found.
    pub(super) fn trunk(&mut self, name: &str, path: &str) -> Option<(TrunkIx, TrunkRole)> {
        let trunks = &self.spec.trunks;
        if let Some((at, trunk)) = (0_u16..).zip(trunks).take(TRUNKS_MAX).find(|(_, t)| t.name == name) {
            return Some((TrunkIx(at), trunk.role));
        }
        if !trunks.iter().any(|t| t.name == name) {
            let mut finding = checks::TRUNK_UNDEFINED.at(path, format!("there is no trunk {name:?}"));
            if let Some(meant) = nearest(name, trunks.iter().take(TRUNKS_MAX).map(|t| t.name.as_str())) {
                finding = finding.fix(format!("did you mean {meant:?}? Otherwise add it to spec.trunks"));
            }
            self.found.push(finding);
        }
        None
    }

    /// A list up to its limit; what is beyond is found, with the limit's reason, and not looked at.
    pub(super) fn limited<'l, T>(&mut self, list: &'l [T], max: usize, path: &str, why: &str) -> &'l [T] {
        if list.len() > max {
            let words = format!("{} entries are more than {max}: {why}", list.len());
            self.found.push(checks::LIST_TOO_LONG.at(path, words));
        }
        &list[..list.len().min(max)]
    }

    /// Finds entries that stand in a list twice.
    pub(super) fn once<T: Ord>(
        &mut self,
        keys: impl Iterator<Item = T>,
        path: &str,
        field: &str,
        show: impl Fn(&T) -> String,
    ) {
        let mut seen = std::collections::BTreeMap::new();
        for (at, key) in keys.enumerate() {
            if let Some(first) = seen.get(&key) {
                let words = format!("{} stands in {path}[{first}] already", show(&key));
                self.found.push(checks::LIST_DUPLICATE.at(format!("{path}[{at}]{field}"), words));
            } else {
                seen.insert(key, at);
            }
        }
    }

    /// A value inside its range, or the default.
    pub(super) fn within<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        given: Option<T>,
        min: T,
        max: T,
        default: T,
        path: &str,
    ) -> T {
        match given {
            Some(value) if value < min || value > max => {
                let words = format!("{value} is not between {min} and {max}");
                self.found.push(
                    checks::VALUE_OUT_OF_RANGE
                        .at(path, words)
                        .fix(format!("choose {min} to {max}, or remove the field to have {default}")),
                );
                default
            }
            Some(value) => value,
            None => default,
        }
    }

    /// A number in canonical form.
    pub(super) fn number(&mut self, given: &str, path: &str) -> Option<Number> {
        let number = Number::parse_canonical(given);
        if number.is_none() {
            self.found
                .push(checks::NUMBER_NOT_CANONICAL.at(path, format!("{given:?} is not in canonical form")));
        }
        number
    }

    /// Starts of numbers in canonical form.
    pub(super) fn prefixes(&mut self, given: &[String], path: &str) -> Box<[Prefix]> {
        const WHY: &str = "each is compared on each call; join them into longer blocks";
        let given = self.limited(given, 256, path, WHY);
        let prefixes = given.iter().enumerate().map(|(at, p)| self.prefix(p, &format!("{path}[{at}]")));
        prefixes.flatten().collect()
    }

    /// The start of numbers in canonical form.
    pub(super) fn prefix(&mut self, given: &str, path: &str) -> Option<Prefix> {
        let prefix = Prefix::parse(given);
        if prefix.is_none() {
            let words = format!("{given:?} is no start of a number in canonical form");
            self.found.push(checks::NUMBER_NOT_A_PREFIX.at(path, words));
        }
        prefix
    }
}

/// Whether this is an IP address or a host name (RFC 1123 2.1): labels of letters, digits and inner hyphens,
/// 63 each and 253 in all; the last is not all digits, for that is an address written wrong.
pub(super) fn is_host(host: &str) -> bool {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}
