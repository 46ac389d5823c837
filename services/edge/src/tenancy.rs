//! Whose a request is. Deny by default: what no tenant has claimed is nobody's, and From, P-Asserted-Identity and
//! their like never select a tenant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tandem_domain::id::TenantId;
use tandem_domain::ingress::{Arrival, Resolution};
use tandem_domain::tenant::TrunkIx;
use tandem_domain::view::{TenantView, View};
use tandem_sip::message::Uri;

/// A tenant's request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belongs<'v> {
    pub(crate) tenant: &'v Arc<TenantView>,
    pub(crate) trunk: TrunkIx,
}

/// Why a request is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stranger {
    /// No claim fits.
    Unclaimed,
    /// It comes from one tenant's peer and asks for another tenant's domain.
    ForeignDomain,
}

/// Resolves a request by where it came in, where it came from and what it asks for.
pub(crate) fn resolve<'v>(
    view: &'v View,
    listener: &str,
    source: IpAddr,
    asks: Option<&Uri<'_>>,
) -> Result<Belongs<'v>, Stranger> {
    let arrival = Arrival {
        listener,
        source,
        certificate_names: &[],
        domain: asks.map(|uri| uri.host).filter(|host| !host.is_empty()),
        called: asks.map(Uri::as_str),
    };
    match view.resolve(&arrival) {
        Resolution::Tenant(tenant, trunk) => Ok(Belongs { tenant, trunk }),
        Resolution::ForeignDomain => Err(Stranger::ForeignDomain),
        Resolution::Unknown => Err(Stranger::Unclaimed),
    }
}

/// What keeps a tenant's transactions and dialogs apart from those of others: the same on every edge and in every
/// run, for it stands, masked, in the Route values of dialogs that may outlive us.
pub(crate) fn scope(tenant: &TenantId) -> u64 {
    let name = tenant.name.as_str().bytes();
    let bytes = name.chain(std::iter::once(0)).chain(tenant.incarnation.0.to_be_bytes());
    // FNV-1a, then the finaliser of SplitMix64 so that near names are far apart.
    let mut hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Tenants by their scopes, as they were asked for. Bounded; forgotten, they are found again.
#[derive(Debug, Default)]
pub(crate) struct Scopes(HashMap<u64, TenantId, foldhash::fast::RandomState>);

/// The tenants of a large cell, several times over.
const SCOPES_MAX: usize = 65_536;

impl Scopes {
    /// The tenant that a scope is now: one that is gone, or was made anew under its name, is not found. The first time it
    /// walks all tenants, which is done only for a dialog whose mark has proved to be ours.
    pub(crate) fn find<'v>(&mut self, view: &'v View, wanted: u64) -> Option<&'v Arc<TenantView>> {
        let known = self.0.get(&wanted).and_then(|id| view.tenant_by_id(id));
        known.or_else(|| {
            let found = view.tenants().find(|tenant| scope(tenant.id()) == wanted)?;
            if self.0.len() >= SCOPES_MAX {
                self.0.clear();
            }
            self.0.insert(wanted, found.id().clone());
            Some(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::id::{Incarnation, TenantName};

    fn tenant(name: &str, incarnation: u128) -> TenantId {
        TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(incarnation) }
    }

    #[test]
    fn a_scope_is_a_tenants_own_and_never_changes() {
        let scopes: Vec<u64> =
            [("acme", 1), ("acme", 2), ("acmf", 1)].iter().map(|(n, i)| scope(&tenant(n, *i))).collect();
        assert!(scopes[0] != scopes[1] && scopes[0] != scopes[2] && scopes[1] != scopes[2]);
        // Golden: it stands in Route values, so that another release must make the same.
        assert_eq!(scopes[0], 11_805_421_320_554_885_312);
    }
}
