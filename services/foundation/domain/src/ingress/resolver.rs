//! From a call's transport to the claims that it fits. Allocates nothing on the way of a call.

use std::net::IpAddr;
use std::sync::Arc;

use super::claims::called_digits;
use super::{Arrival, Network};
use crate::id::{ListenerName, TenantId};
use crate::number::Digits;
use crate::number::index::Index;
use crate::record::{Claimed, IngressClaim};
use crate::view::names::{self, Of};
use crate::view::slots::Slots;

/// Every claim of a cell, indexed. To clone it is to copy a few pointers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolver {
    claims: Slots<Held>,
    /// By the hash of the stored key.
    keys: Index,
    /// By the hash of what is claimed, the called prefix with it.
    index: Index,
    /// How many claims there are with a called prefix of each length.
    called: [u32; Digits::LEN_MAX + 1],
    /// Which lengths of networks each listener has claims of: only those are asked for.
    lengths: Arc<Vec<(ListenerName, Arc<Lengths>)>>,
}

#[derive(Clone, Debug)]
struct Held {
    key: Box<str>,
    claim: IngressClaim,
    called: Digits,
}

/// How many claims there are of networks of each length, for IPv4 and IPv6.
#[derive(Clone, Debug)]
struct Lengths {
    v4: [u32; 33],
    v6: [u32; 129],
}

impl Lengths {
    fn of(&self, address: IpAddr) -> &[u32] {
        if address.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    fn of_mut(&mut self, address: IpAddr) -> &mut [u32] {
        if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 }
    }
}

fn source_key(listener: &str, network: Network) -> u64 {
    let bits = match network.address() {
        IpAddr::V4(a) => u128::from(a.to_bits()) | 1 << 127,
        IpAddr::V6(a) => a.to_bits(),
    };
    let folded = (bits as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ ((bits >> 64) as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)
        ^ u64::from(network.bits()).wrapping_mul(0xa076_1d64_78bd_642f);
    names::hash(Of::Source, &[listener]) ^ folded.rotate_left(29)
}

/// Tenants that share a peer differ by called prefix alone: it is part of the key, so that a thousand of them
/// are found as fast as one.
fn with_called(key: u64, called: Digits) -> u64 {
    key ^ called.packed().wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

fn key_of(what: &Claimed, called: Digits) -> u64 {
    let key = match what {
        Claimed::Source { listener, network, .. } => source_key(listener.as_str(), *network),
        Claimed::Certificate { name, .. } => names::hash(Of::Certificate, &[name]),
        Claimed::Domain { listener, domain } => names::hash(Of::Domain, &[listener.as_str(), domain]),
    };
    with_called(key, called)
}

impl Resolver {
    /// Sets what a key of the store claims; none: nothing any more.
    pub(crate) fn set(&mut self, key: &str, claim: Option<&IngressClaim>) {
        let hash = names::hash(Of::ClaimKey, &[key]);
        let mut slots = self.keys.get(hash).into_iter();
        if let Some(slot) = slots.find(|s| self.claims.get(*s).is_some_and(|h| *h.key == *key)) {
            if let Some(old) = self.claims.get(slot).cloned() {
                self.index.remove(key_of(&old.claim.what, old.called), slot);
                self.count(&old.claim.what, old.called, false);
            }
            self.claims.remove(slot);
            self.keys.remove(hash, slot);
        }
        let Some(claim) = claim else { return };
        let called = match &claim.what {
            Claimed::Source { called, .. } | Claimed::Certificate { called, .. } => called.as_deref(),
            Claimed::Domain { .. } => None,
        };
        let Some(called) = called.map_or(Some(Digits::default()), called_digits) else { return };
        let held = Held { key: key.into(), claim: claim.clone(), called };
        let slot = self.claims.insert(Arc::new(held));
        self.keys.insert(hash, slot);
        self.index.insert(key_of(&claim.what, called), slot);
        self.count(&claim.what, called, true);
    }

    fn count(&mut self, what: &Claimed, called: Digits, more: bool) {
        let step = |count: &mut u32| *count = if more { *count + 1 } else { count.saturating_sub(1) };
        step(&mut self.called[called.len()]);
        let Claimed::Source { listener, network, .. } = what else { return };
        let all = Arc::make_mut(&mut self.lengths);
        let at = all.iter().position(|(l, _)| l == listener).unwrap_or_else(|| {
            all.push((listener.clone(), Arc::new(Lengths { v4: [0; 33], v6: [0; 129] })));
            all.len() - 1
        });
        let lengths = Arc::make_mut(&mut all[at].1);
        step(&mut lengths.of_mut(network.address())[usize::from(network.bits())]);
    }

    /// The claim that a call fits: by a name of its certificate, else by its source, else by the domain it asks for.
    pub(crate) fn claim(&self, call: &Arrival<'_>) -> Option<&IngressClaim> {
        let called = self.called(call);
        let by_source = || self.by_source(call, called);
        self.by_certificate(call, called).or_else(by_source).or_else(|| self.by_domain(call, called))
    }

    /// The digits that are called, if any claim depends on them.
    fn called(&self, call: &Arrival<'_>) -> Digits {
        let [_, prefixes @ ..] = &self.called;
        let any = prefixes.iter().any(|count| *count > 0);
        if any { call.called_digits().unwrap_or_default() } else { Digits::default() }
    }

    /// Whose the domain is that a call asks for.
    pub(crate) fn domain_owner(&self, call: &Arrival<'_>) -> Option<&TenantId> {
        self.by_domain(call, self.called(call)).map(|c| &c.tenant)
    }

    fn by_certificate(&self, call: &Arrival<'_>, called: Digits) -> Option<&IngressClaim> {
        call.certificate_names.iter().find_map(|asked| {
            self.best(
                names::hash(Of::Certificate, &[asked]),
                called,
                |what| matches!(what, Claimed::Certificate { name, .. } if name.eq_ignore_ascii_case(asked)),
            )
        })
    }

    fn by_source(&self, call: &Arrival<'_>, called: Digits) -> Option<&IngressClaim> {
        let source = call.source.to_canonical();
        let (_, lengths) = self.lengths.iter().find(|(l, _)| l.as_str() == call.listener)?;
        let lengths = lengths.of(source);
        (0..lengths.len()).rev().filter(|bits| lengths[*bits] > 0).find_map(|bits| {
            let asked = Network::new(source, bits as u8)?;
            self.best(source_key(call.listener, asked), called, |what| {
                matches!(what, Claimed::Source { listener, network, .. }
                    if *network == asked && listener.as_str() == call.listener)
            })
        })
    }

    fn by_domain(&self, call: &Arrival<'_>, called: Digits) -> Option<&IngressClaim> {
        let asked = call.domain?;
        self.best(names::hash(Of::Domain, &[call.listener, asked]), called, |what| {
            matches!(what, Claimed::Domain { listener, domain }
                if listener.as_str() == call.listener && domain.eq_ignore_ascii_case(asked))
        })
    }

    /// Of the claims with a key, the one with the longest called prefix that fits. The writer of claims lets no two
    /// fit one call; if two did, the order of claims would decide, everywhere alike.
    fn best(&self, key: u64, called: Digits, is: impl Fn(&Claimed) -> bool) -> Option<&IngressClaim> {
        (0..=called.len()).rev().filter(|n| self.called[*n] > 0).find_map(|n| {
            let prefix = called.prefix(n);
            let slots = self.index.get(with_called(key, prefix)).into_iter();
            let held = slots.filter_map(|s| self.claims.get(s));
            held.filter(|h| h.called == prefix && is(&h.claim.what)).map(|h| &h.claim).min()
        })
    }
}

#[cfg(test)]
mod tests;
