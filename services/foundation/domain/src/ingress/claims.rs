//! What a tenant claims, and when two claims collide.

use crate::id::{ListenerName, TenantId};
use crate::number::Digits;
use crate::record::{Claimed, IngressClaim};
use crate::tenant::{Config, Ingress};

/// The digits of a claim's called prefix, without plus. None: it is no prefix of a number, and claims nothing.
///
/// Plus does not matter: before the tenant is known nobody can say what digits without plus mean, so that two
/// claims may not differ by it alone.
#[must_use]
pub fn called_digits(prefix: &str) -> Option<Digits> {
    Digits::parse(prefix.strip_prefix('+').unwrap_or(prefix).as_bytes())
}

/// Whether one called number could have both starts; none is the start of every number.
fn called_overlap(a: Option<&str>, b: Option<&str>) -> bool {
    let digits = |p: Option<&str>| p.map_or(Some(Digits::default()), called_digits);
    match (digits(a), digits(b)) {
        (Some(a), Some(b)) => a.starts_with(b) || b.starts_with(a),
        _ => false,
    }
}

impl Claimed {
    /// Whether one call could fit both, so that only one tenant can have one of them.
    ///
    /// Claims of different sorts never collide: a certificate goes before a source, a source before a domain. Equal
    /// addresses behind different listeners do not collide, nor do peers that tenants share by called numbers.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Source { listener: la, network: na, called: ca },
                Self::Source { listener: lb, network: nb, called: cb },
            ) => la == lb && na.overlaps(*nb) && called_overlap(ca.as_deref(), cb.as_deref()),
            (Self::Certificate { name: na, called: ca }, Self::Certificate { name: nb, called: cb }) => {
                na.eq_ignore_ascii_case(nb) && called_overlap(ca.as_deref(), cb.as_deref())
            }
            (Self::Domain { listener: la, domain: da }, Self::Domain { listener: lb, domain: db }) => {
                la == lb && da.eq_ignore_ascii_case(db)
            }
            _ => false,
        }
    }
}

/// What a compiled policy claims, in order and each once. `listeners` are those of the cell that are not shared:
/// what names no listener is claimed at each of them.
///
/// An entry claims the strongest that it names: certificate, else source, else domain. What it names beside is a
/// condition that the call must meet as well.
#[must_use]
pub fn claims(config: &Config, tenant: &TenantId, listeners: &[ListenerName]) -> Vec<IngressClaim> {
    let mut claims = Vec::new();
    for trunk in &config.trunks {
        for entry in &trunk.ingress {
            entry_claims(entry, listeners, |what| {
                claims.push(IngressClaim { what, tenant: tenant.clone(), trunk: trunk.name.clone() });
            });
        }
    }
    claims.sort_unstable();
    // Two trunks of one tenant may be known by the same; the resolver tells them apart by their conditions.
    claims.dedup_by(|b, a| a.what == b.what);
    claims
}

fn entry_claims(entry: &Ingress, listeners: &[ListenerName], mut claim: impl FnMut(Claimed)) {
    let called: Vec<Option<String>> = match &*entry.called {
        [] => vec![None],
        prefixes => prefixes.iter().map(|p| Some(p.to_string())).collect(),
    };
    let listeners = entry.listener.as_ref().map_or(listeners, std::slice::from_ref);
    if let Some(name) = &entry.certificate {
        called.into_iter().for_each(|called| claim(Claimed::Certificate { name: name.to_string(), called }));
    } else if let Some(network) = entry.source {
        for listener in listeners {
            for called in &called {
                claim(Claimed::Source { listener: listener.clone(), network, called: called.clone() });
            }
        }
    } else if let Some(domain) = &entry.domain {
        for listener in listeners {
            claim(Claimed::Domain { listener: listener.clone(), domain: domain.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(listener: &str, network: &str, called: Option<&str>) -> Claimed {
        Claimed::Source {
            listener: ListenerName::parse(listener).unwrap(),
            network: network.parse().unwrap(),
            called: called.map(str::to_owned),
        }
    }

    fn certificate(name: &str, called: Option<&str>) -> Claimed {
        Claimed::Certificate { name: name.to_owned(), called: called.map(str::to_owned) }
    }

    fn domain(listener: &str, domain: &str) -> Claimed {
        Claimed::Domain { listener: ListenerName::parse(listener).unwrap(), domain: domain.to_owned() }
    }

    #[test]
    fn two_claims_collide_when_one_call_could_fit_both() {
        for (a, b, collide) in [
            (source("a", "10.1.0.0/16", None), source("a", "10.1.2.3", None), true),
            (source("a", "10.1.2.3", None), source("b", "10.1.2.3", None), false),
            (source("a", "10.1.2.3", None), source("a", "10.1.2.4", None), false),
            (source("a", "10.1.2.3", Some("+4930")), source("a", "10.1.2.3", Some("+4940")), false),
            (source("a", "10.1.2.3", Some("+4930")), source("a", "10.1.2.3", Some("+49301")), true),
            (source("a", "10.1.2.3", Some("+4930")), source("a", "10.1.2.3", Some("4930")), true),
            (source("a", "10.1.2.3", Some("+4930")), source("a", "10.0.0.0/8", None), true),
            (source("a", "10.1.2.3", None), source("a", "::/0", None), false),
            (certificate("gw.example", None), certificate("GW.example", Some("+49")), true),
            (certificate("gw.example", Some("+43")), certificate("gw.example", Some("+49")), false),
            (certificate("gw.example", None), certificate("other.example", None), false),
            (domain("a", "acme.example"), domain("a", "ACME.example"), true),
            (domain("a", "acme.example"), domain("b", "acme.example"), false),
            (certificate("acme.example", None), domain("a", "acme.example"), false),
        ] {
            assert_eq!(a.overlaps(&b), collide, "{a:?} {b:?}");
            assert_eq!(b.overlaps(&a), collide, "{b:?} {a:?}");
        }
    }
}
