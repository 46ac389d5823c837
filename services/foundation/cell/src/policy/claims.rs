//! What a tenant claims for itself alone, and whether another has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_domain::document::policy::TenantSpec;
use tandem_domain::finding::Finding;
use tandem_domain::id::{ListenerName, TenantId};
use tandem_domain::record::{Claimed, IngressClaim};
use tandem_domain::tenant::{Config, Ingress};

use super::places::Places;
use super::{INGRESS_TAKEN, LISTENER_UNKNOWN};

/// The key of a claim: what is claimed, so that two tenants can never hold the very same.
#[must_use]
pub fn key(what: &Claimed) -> String {
    let range = |called: &Option<String>| called.clone().unwrap_or_default();
    match what {
        Claimed::Source { listener, network, called } => {
            format!("source/{listener}/{network}/{}", range(called))
        }
        // Names of certificates may be URIs: the range goes before, so that no two claims share a key.
        Claimed::Certificate { name, called } => format!("certificate/{}/{name}", range(called)),
        Claimed::Domain { listener, domain } => format!("domain/{listener}/{domain}"),
    }
}

/// Every claim of the cell, as the holder of the lease has written them.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_key: BTreeMap<String, Arc<IngressClaim>>,
    by_tenant: BTreeMap<TenantId, BTreeMap<String, Arc<IngressClaim>>>,
    places: Places,
}

impl Index {
    pub(super) fn insert(&mut self, key: String, claim: Arc<IngressClaim>) {
        self.remove(&key);
        self.places.insert(&key, &claim);
        self.by_tenant.entry(claim.tenant.clone()).or_default().insert(key.clone(), Arc::clone(&claim));
        self.by_key.insert(key, claim);
    }

    pub(super) fn remove(&mut self, key: &str) {
        let Some(claim) = self.by_key.remove(key) else { return };
        self.places.remove(key, &claim);
        if let Some(theirs) = self.by_tenant.get_mut(&claim.tenant) {
            theirs.remove(key);
            if theirs.is_empty() {
                self.by_tenant.remove(&claim.tenant);
            }
        }
    }

    /// The claims of a tenant with their keys.
    pub(super) fn of(&self, tenant: &TenantId) -> impl Iterator<Item = (&String, &Arc<IngressClaim>)> {
        self.by_tenant.get(tenant).into_iter().flatten()
    }

    /// The tenants that claim anything.
    pub(super) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.by_tenant.keys()
    }

    /// Whether another tenant has what a call could fit as well.
    pub(super) fn is_taken(&self, claim: &IngressClaim) -> bool {
        self.places.beside(&claim.what).any(|other| other.tenant != claim.tenant)
    }
}

/// The listeners that a tenant's ingresses name and that are none of these.
#[must_use]
pub fn unknown_listeners(spec: &TenantSpec, known: &[ListenerName]) -> Vec<Finding> {
    let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let mut found = Vec::new();
    for (trunk, at) in spec.trunks.iter().zip(0..) {
        for (ingress, entry) in trunk.ingress.iter().zip(0..) {
            let Some(listener) = &ingress.listener else { continue };
            if known.iter().all(|name| name.as_str() != listener) {
                let words = format!("there is no listener `{listener}` here, but {}", names.join(", "));
                found
                    .push(LISTENER_UNKNOWN.at(format!("spec.trunks[{at}].ingress[{entry}].listener"), words));
            }
        }
    }
    found
}

/// The finding that a claim is another tenant's, at the ingress entry that asks for it.
#[must_use]
pub fn taken(config: &Config, spec: &TenantSpec, claim: &IngressClaim) -> Finding {
    let trunk = config.trunks.iter().find(|t| t.name == claim.trunk);
    let entry = trunk.and_then(|t| t.ingress.iter().position(|e| asks(e, &claim.what)));
    let at = spec.trunks.iter().position(|t| t.name == claim.trunk.as_str());
    let path = match (at, entry) {
        (Some(trunk), Some(entry)) => format!("spec.trunks[{trunk}].ingress[{entry}]"),
        (Some(trunk), None) => format!("spec.trunks[{trunk}].ingress"),
        _ => "spec.trunks".to_owned(),
    };
    INGRESS_TAKEN.at(path, format!("{} another tenant's", words(&claim.what)))
}

fn asks(entry: &Ingress, what: &Claimed) -> bool {
    let ranged = |called: &Option<String>| match called {
        None => entry.called.is_empty(),
        Some(called) => entry.called.iter().any(|p| p.to_string() == *called),
    };
    let heard = |listener| entry.listener.as_ref().is_none_or(|l| l == listener);
    match what {
        Claimed::Certificate { name, called } => {
            entry.certificate.as_deref() == Some(name.as_str()) && ranged(called)
        }
        Claimed::Source { listener, network, called } => {
            entry.certificate.is_none() && entry.source == Some(*network) && heard(listener) && ranged(called)
        }
        Claimed::Domain { listener, domain } => {
            entry.certificate.is_none()
                && entry.source.is_none()
                && entry.domain.as_deref() == Some(domain.as_str())
                && heard(listener)
        }
    }
}

fn words(what: &Claimed) -> String {
    let numbers = |called: &Option<String>| called.as_ref().map_or_else(String::new, |c| format!(" to {c}"));
    match what {
        Claimed::Source { listener, network, called } => {
            format!("calls{} from {network} at listener {listener} are", numbers(called))
        }
        Claimed::Certificate { name, called } => {
            format!("calls{} from the peer whose certificate names {name} are", numbers(called))
        }
        Claimed::Domain { listener, domain } => format!("the domain {domain} at listener {listener} is"),
    }
}
