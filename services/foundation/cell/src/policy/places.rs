//! Which claims one call could fit as well: found by the starts that they share, not by looking at all.
//!
//! A claim is a point of two starts: of an address (a network) and of a called number (a prefix; none is the start of
//! every number). Two claims of one place collide exactly if in both one's start is the start of the other's
//! ([`Claimed::overlaps`]). So what collides with a claim are the starts of its own start, which are few and looked
//! up one by one, and what begins with it, which lies side by side.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tandem_domain::ingress::{Network, called_digits};
use tandem_domain::number::Digits;
use tandem_domain::record::{Claimed, IngressClaim};

/// Claims by place, network and called prefix.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, ByNetwork>);

/// By the first address, left-aligned in 128 bits, and how many bits count.
type ByNetwork = BTreeMap<(u128, u8), ByCalled>;
/// By the called prefix, then by key: certificates may differ by case alone.
type ByCalled = BTreeMap<Digits, BTreeMap<String, Arc<IngressClaim>>>;

/// Where a claim is.
struct Point {
    place: String,
    network: (u128, u8),
    called: Digits,
}

impl Point {
    /// None: the claim fits no call, and collides with nothing.
    fn of(what: &Claimed) -> Option<Self> {
        let (place, network, called) = match what {
            Claimed::Source { listener, network, called } => {
                let family = if network.address().is_ipv4() { 4 } else { 6 };
                (format!("source{family}/{listener}"), aligned(*network), called.as_deref())
            }
            Claimed::Certificate { name, called } => {
                (format!("certificate/{}", name.to_ascii_lowercase()), (0, 0), called.as_deref())
            }
            Claimed::Domain { listener, domain } => {
                (format!("domain/{listener}/{}", domain.to_ascii_lowercase()), (0, 0), None)
            }
        };
        let called = called.map_or(Some(Digits::default()), called_digits)?;
        Some(Self { place, network, called })
    }
}

fn aligned(network: Network) -> (u128, u8) {
    let address = match network.address() {
        IpAddr::V4(a) => u128::from(a.to_bits()) << 96,
        IpAddr::V6(a) => a.to_bits(),
    };
    (address, network.bits())
}

/// The address bits that do not count in a network of so many.
const fn rest(bits: u8) -> u128 {
    match u128::MAX.checked_shr(bits as u32) {
        Some(rest) => rest,
        None => 0,
    }
}

impl Places {
    pub(super) fn insert(&mut self, key: &str, claim: &Arc<IngressClaim>) {
        let Some(Point { place, network, called }) = Point::of(&claim.what) else { return };
        let there = self.0.entry(place).or_default().entry(network).or_default().entry(called).or_default();
        there.insert(key.to_owned(), Arc::clone(claim));
    }

    pub(super) fn remove(&mut self, key: &str, claim: &IngressClaim) {
        let Some(Point { place, network, called }) = Point::of(&claim.what) else { return };
        let Some(networks) = self.0.get_mut(&place) else { return };
        let Some(prefixes) = networks.get_mut(&network) else { return };
        let Some(keys) = prefixes.get_mut(&called) else { return };
        keys.remove(key);
        if keys.is_empty() {
            prefixes.remove(&called);
        }
        if prefixes.is_empty() {
            networks.remove(&network);
        }
        if networks.is_empty() {
            self.0.remove(&place);
        }
    }

    /// The claims that collide with one, itself among them if it is there.
    pub(super) fn beside(&self, what: &Claimed) -> impl Iterator<Item = &Arc<IngressClaim>> {
        let at = Point::of(what).and_then(|point| Some((self.0.get(&point.place)?, point)));
        at.into_iter().flat_map(|(networks, point)| {
            let Point { network, called, .. } = point;
            around(networks, network).flat_map(move |prefixes| along(prefixes, called))
        })
    }
}

/// What lies around a network, and in it.
fn around(networks: &ByNetwork, (address, bits): (u128, u8)) -> impl Iterator<Item = &ByCalled> {
    let around = (0..bits).filter_map(move |bits| networks.get(&(address & !rest(bits), bits)));
    let within = networks.range((address, bits)..=(address | rest(bits), u8::MAX));
    around.chain(within.map(|(_, prefixes)| prefixes))
}

/// What is called by a start of a prefix, or by more than it.
fn along(prefixes: &ByCalled, called: Digits) -> impl Iterator<Item = &Arc<IngressClaim>> {
    let starts = (0..called.len()).filter_map(move |n| prefixes.get(&called.prefix(n)));
    let longer = prefixes.range(called..).take_while(move |(more, _)| more.starts_with(called));
    starts.chain(longer.map(|(_, keys)| keys)).flat_map(BTreeMap::values)
}

#[cfg(test)]
mod tests {
    use tandem_domain::id::{Incarnation, ListenerName, TenantId, TenantName, TrunkName};

    use super::*;

    fn claim(at: usize, what: Claimed) -> Arc<IngressClaim> {
        let name = TenantName::parse(&format!("t{at}")).unwrap();
        let tenant = TenantId { name, incarnation: Incarnation(1) };
        Arc::new(IngressClaim { what, tenant, trunk: TrunkName::parse("gw").unwrap() })
    }

    fn source(listener: &str, network: &str, called: Option<&str>) -> Claimed {
        Claimed::Source {
            listener: ListenerName::parse(listener).unwrap(),
            network: network.parse().unwrap(),
            called: called.map(str::to_owned),
        }
    }

    /// Every sort, nested in every way that counts.
    fn all() -> Vec<Claimed> {
        let calleds = [None, Some("+4930"), Some("493012"), Some("+4931"), Some("+1"), Some("nobody")];
        let networks = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.0/24",
            "10.1.2.3",
            "10.1.2.4",
            "10.2.0.0/16",
            "11.0.0.0/8",
            "255.255.255.255",
            "::/0",
            "2001:db8::/32",
            "2001:db8::1",
            "a01::",
            "a01:203::/32",
        ];
        let mut all = Vec::new();
        for called in calleds {
            for network in networks {
                all.extend(["a", "b"].map(|listener| source(listener, network, called)));
            }
            for name in ["gw.example", "GW.example", "other.example"] {
                all.push(Claimed::Certificate { name: name.to_owned(), called: called.map(str::to_owned) });
            }
        }
        for domain in ["acme.example", "ACME.example", "gw.example"] {
            for listener in ["a", "b"] {
                let listener = ListenerName::parse(listener).unwrap();
                all.push(Claimed::Domain { listener, domain: domain.to_owned() });
            }
        }
        all
    }

    #[test]
    fn what_is_found_is_what_overlaps_and_what_was_removed_is_not() {
        let all = all();
        let mut places = Places::default();
        let claims: Vec<_> = all.iter().enumerate().map(|(at, what)| claim(at, what.clone())).collect();
        for (at, claim) in claims.iter().enumerate() {
            places.insert(&at.to_string(), claim);
        }
        let agree = |places: &Places, there: &dyn Fn(usize) -> bool| {
            for what in &all {
                let mut found: Vec<&IngressClaim> = places.beside(what).map(AsRef::as_ref).collect();
                let mut expected: Vec<&IngressClaim> = claims
                    .iter()
                    .enumerate()
                    .filter(|(at, c)| there(*at) && c.what.overlaps(what))
                    .map(|(_, c)| c.as_ref())
                    .collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{what:?}");
            }
        };
        agree(&places, &|_| true);
        for at in (0..claims.len()).step_by(2) {
            places.remove(&at.to_string(), &claims[at]);
        }
        agree(&places, &|at| at % 2 == 1);
        for at in (1..claims.len()).step_by(2) {
            places.remove(&at.to_string(), &claims[at]);
        }
        assert!(places.0.is_empty(), "nothing is left of it");
    }

    #[test]
    fn what_is_looked_at_does_not_grow_with_other_tenants() {
        let mut places = Places::default();
        for at in 0..10_000 {
            // Half have an address of their own, half share a carrier and have numbers of their own.
            let own = source("a", &format!("10.{}.{}.1", at / 250, at % 250), None);
            let shared = source("a", "192.0.2.1", Some(&format!("+49{at:05}")));
            places.insert(&at.to_string(), &claim(at, if at % 2 == 0 { own } else { shared }));
        }
        assert_eq!(places.beside(&source("a", "10.99.0.1", None)).count(), 0);
        assert_eq!(places.beside(&source("a", "192.0.2.1", Some("+4909999"))).count(), 1);
        assert_eq!(places.beside(&source("a", "192.0.2.1", Some("+5"))).count(), 0);
    }
}
