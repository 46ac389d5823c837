//! The facts: every tenant of a cell as the log has it, in memory.
//!
//! One type with one [`View::apply`], the same in every replica and every edge.
//!
//! ```text
//! log ── Change ──> View::apply ──> View ── clone ──> a snapshot that never changes
//!                                    │
//!                                    ├─ tenant, by name or id ──> TenantView: config, users, numbers ...
//!                                    └─ resolve: whose call is it ──> tenant and trunk
//! ```
//!
//! Invariants:
//! - applied changes equal a rebuild from the records that are left;
//! - to clone a view is to copy a few pointers; a change costs what it touches, whatever the size of tenant or cell;
//! - a [`TenantView`] reaches nothing of another tenant;
//! - a name is at any time borne by one incarnation, which the tenant's own record names; what another
//!   incarnation left is not reached, and what a dead one still sends is dropped.

mod entry;
mod keyed;
pub(crate) mod names;
mod numbers;
mod person;
pub(crate) mod slots;
mod tenant;

use std::collections::BTreeMap;
use std::sync::Arc;

use rpds::HashTrieSetSync;

use crate::id::TenantId;
use crate::ingress::resolver::Resolver;
use crate::ingress::{Arrival, Resolution};
use crate::number::index::Index;
use crate::record::{Change, Kind, Record};
use crate::tenant::TrunkIx;
pub use entry::{Conflict, Entries, Entry};
pub(crate) use keyed::Numbered;
use names::Of;
pub(crate) use names::bare;
pub(crate) use numbers::Role;
pub use person::Person;
use slots::Slots;
pub use tenant::{Ahead, TenantView, read_ahead};

/// Every tenant of a cell. See the module's text.
#[derive(Clone, Debug, Default)]
pub struct View {
    tenants: Slots<TenantView>,
    /// By the hash of the name: every incarnation.
    names: Index,
    /// Incarnations that were born and are no more: what comes late for them is dropped.
    dead: HashTrieSetSync<TenantId>,
    resolver: Resolver,
}

impl View {
    /// A view of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tenant that bears a name now.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<&Arc<TenantView>> {
        self.slots_of(name).find_map(|s| self.tenants.get(s).filter(|t| t.born && t.id.name.as_str() == name))
    }

    /// A tenant by name and incarnation, if that is the one that bears the name now.
    #[must_use]
    pub fn tenant_by_id(&self, id: &TenantId) -> Option<&Arc<TenantView>> {
        self.tenant(id.name.as_str()).filter(|t| t.id == *id)
    }

    /// Every tenant that bears its name now, in no order that means anything.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<TenantView>> {
        self.tenants.iter().map(|(_, t)| t).filter(|t| t.born)
    }

    /// Makes a view of records at once: what [`View::apply`] one by one would make, for a fraction of the cost.
    #[must_use]
    pub fn build<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Self {
        let mut view = Self::default();
        let mut of: BTreeMap<&TenantId, Vec<&Change>> = BTreeMap::new();
        for change in changes {
            match change.kind {
                Kind::Tenant | Kind::IngressClaim | Kind::Process => view.apply(change),
                _ => of.entry(&change.tenant).or_default().push(change),
            }
        }
        for (id, changes) in of {
            if view.dead.contains(id) {
                continue;
            }
            let slot = view.slot_or_new(id);
            let Some(tenant) = view.tenants.get_mut(slot) else { continue };
            tenant.load(changes);
            if !tenant.born && tenant.is_empty() {
                view.drop_tenant(slot);
            }
        }
        view
    }

    /// Applies one change of the log. Changes of one shard come in order; records of different shards in any.
    pub fn apply(&mut self, change: &Change) {
        match change.kind {
            Kind::Tenant => self.set_tenant(change),
            Kind::IngressClaim => {
                let claim = match &change.record {
                    Some(Record::IngressClaim(claim)) => Some(&**claim),
                    _ => None,
                };
                self.resolver.set(&change.key, claim);
            }
            Kind::Process => {}
            Kind::Policy | Kind::User | Kind::Station | Kind::Workgroup | Kind::Number => {
                self.apply_to_tenant(change);
            }
        }
    }

    /// Whose call it is. Allocates nothing.
    #[must_use]
    pub fn resolve(&self, call: &Arrival<'_>) -> Resolution<'_> {
        let found = self.resolver.claim(call).and_then(|claim| {
            let tenant = self.tenant_by_id(&claim.tenant)?;
            let trunks = &tenant.config()?.trunks;
            let fits = |at: &usize| trunks[*at].ingress.iter().any(|entry| entry.fits(call));
            // A claim tells the tenant; of trunks that are known by the same, the one whose conditions are met.
            let named = trunks.iter().position(|t| t.name == claim.trunk).filter(|at| fits(at));
            let at = named.or_else(|| (0..trunks.len()).find(fits))?;
            Some((tenant, TrunkIx(u16::try_from(at).ok()?)))
        });
        let Some((tenant, trunk)) = found else { return Resolution::Unknown };
        match self.resolver.domain_owner(call) {
            Some(owner) if *owner != tenant.id => Resolution::ForeignDomain,
            _ => Resolution::Tenant(tenant, trunk),
        }
    }

    fn slots_of(&self, name: &str) -> impl Iterator<Item = u32> + use<> {
        self.names.get(names::hash(Of::Tenant, &[name])).into_iter()
    }

    fn slot(&self, id: &TenantId) -> Option<u32> {
        self.slots_of(id.name.as_str()).find(|s| self.tenants.get(*s).is_some_and(|t| t.id == *id))
    }

    fn slot_or_new(&mut self, id: &TenantId) -> u32 {
        self.slot(id).unwrap_or_else(|| {
            let slot = self.tenants.insert(Arc::new(TenantView::new(id.clone())));
            self.names.insert(names::hash(Of::Tenant, &[id.name.as_str()]), slot);
            slot
        })
    }

    fn drop_tenant(&mut self, slot: u32) {
        let Some(tenant) = self.tenants.get(slot) else { return };
        self.names.remove(names::hash(Of::Tenant, &[tenant.id.name.as_str()]), slot);
        self.tenants.remove(slot);
    }

    fn set_tenant(&mut self, change: &Change) {
        let record = match &change.record {
            Some(Record::Tenant(record)) => Some(record),
            _ => None,
        };
        let name = record.map_or(change.key.as_str(), |r| r.tenant.name.as_str());
        // Whoever bore the name before bears it no more.
        let slots: Vec<u32> = self.slots_of(name).collect();
        for slot in slots {
            let Some(tenant) = self.tenants.get(slot) else { continue };
            let stays = record.is_some_and(|r| r.tenant == tenant.id);
            if tenant.born && tenant.id.name.as_str() == name && !stays {
                self.dead.insert_mut(tenant.id.clone());
                self.drop_tenant(slot);
            }
        }
        if let Some(record) = record {
            let slot = self.slot_or_new(&record.tenant);
            self.dead.remove_mut(&record.tenant);
            if let Some(tenant) = self.tenants.get_mut(slot) {
                tenant.born = true;
                tenant.deleting = record.deleting;
            }
        }
    }

    fn apply_to_tenant(&mut self, change: &Change) {
        let slot = match self.slot(&change.tenant) {
            Some(slot) => slot,
            None if change.record.is_none() || self.dead.contains(&change.tenant) => return,
            None => self.slot_or_new(&change.tenant),
        };
        let Some(tenant) = self.tenants.get_mut(slot) else { return };
        tenant.apply(change);
        if !tenant.born && tenant.is_empty() {
            self.drop_tenant(slot);
        }
    }
}

#[cfg(test)]
mod tests;
