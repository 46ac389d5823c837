//! What lies in `_cell`: the tenants, what they claim, and the processes.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use tandem_domain::id::{TenantId, TenantName};
use tandem_domain::record::{Change, IngressClaim, Kind, ProcessRecord, Record, TenantRecord};

/// The records of `_cell` at one moment. Cloning copies a few pointers.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    tenants: RedBlackTreeMapSync<TenantName, TenantRecord>,
    claims: RedBlackTreeMapSync<String, Arc<IngressClaim>>,
    processes: RedBlackTreeMapSync<String, Arc<ProcessRecord>>,
}

impl Registry {
    /// Every tenant that bears a name, in the order of names.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantRecord> {
        self.tenants.values()
    }

    /// The tenant that bears a name now.
    #[must_use]
    pub fn tenant(&self, name: &TenantName) -> Option<&TenantRecord> {
        self.tenants.get(name)
    }

    /// Every ingress claim with its key.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Arc<IngressClaim>)> {
        self.claims.iter().map(|(k, c)| (k.as_str(), c))
    }

    /// The claims of one tenant with their keys. Walks all claims.
    pub fn claims_of<'r>(
        &'r self,
        tenant: &'r TenantId,
    ) -> impl Iterator<Item = (&'r str, &'r Arc<IngressClaim>)> {
        self.claims().filter(move |(_, c)| c.tenant == *tenant)
    }

    /// Every registered process.
    pub fn processes(&self) -> impl Iterator<Item = &Arc<ProcessRecord>> {
        self.processes.iter().filter(|(k, p)| **k == p.id).map(|(_, p)| p)
    }

    /// Every lease that a process holds, by its key, with the holder.
    pub fn leases(&self) -> impl Iterator<Item = (&str, &Arc<ProcessRecord>)> {
        self.processes.iter().filter(|(k, p)| **k != p.id).map(|(k, p)| (k.as_str(), p))
    }

    /// Applies one change of `_cell`.
    pub(crate) fn apply(&mut self, change: &Change) {
        match (change.kind, &change.record) {
            (Kind::Tenant, Some(Record::Tenant(record))) => {
                self.tenants.insert_mut(record.tenant.name.clone(), record.clone());
            }
            (Kind::Tenant, None) => {
                if let Ok(name) = TenantName::parse(&change.key) {
                    self.tenants.remove_mut(&name);
                }
            }
            (Kind::IngressClaim, Some(Record::IngressClaim(claim))) => {
                self.claims.insert_mut(change.key.clone(), Arc::clone(claim));
            }
            (Kind::IngressClaim, None) => {
                self.claims.remove_mut(&change.key);
            }
            (Kind::Process, Some(Record::Process(process))) => {
                self.processes.insert_mut(change.key.clone(), Arc::clone(process));
            }
            (Kind::Process, None) => {
                self.processes.remove_mut(&change.key);
            }
            // Of a tenant, not of the cell.
            _ => {}
        }
    }

    /// The record under a key, if there is one.
    pub(crate) fn record(&self, kind: Kind, key: &str) -> Option<Record> {
        match kind {
            Kind::Tenant => {
                let name = TenantName::parse(key).ok()?;
                self.tenants.get(&name).cloned().map(Record::Tenant)
            }
            Kind::IngressClaim => self.claims.get(key).cloned().map(Record::IngressClaim),
            Kind::Process => self.processes.get(key).cloned().map(Record::Process),
            Kind::Policy | Kind::User | Kind::Station | Kind::Workgroup | Kind::Number => None,
        }
    }

    /// Every key that is there.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Kind, &str)> {
        let tenants = self.tenants.keys().map(|n| (Kind::Tenant, n.as_str()));
        let claims = self.claims.keys().map(|k| (Kind::IngressClaim, k.as_str()));
        let processes = self.processes.keys().map(|k| (Kind::Process, k.as_str()));
        tenants.chain(claims).chain(processes)
    }
}
