//! The deletion of a tenant, step by step: marked first, then its records, then its claims and its name.

use tandem_domain::id::TenantId;
use tandem_domain::record::{self, Kind, Record, TenantRecord};
use tandem_store::{WRITES_MAX, Write, delete, put};

use super::claims::Index;
use crate::follower::{Snapshot, keys};

/// One commit of a deletion.
#[derive(Debug)]
pub(super) struct Step {
    /// Whose records.
    pub(super) tenant: TenantId,
    /// What is deleted.
    pub(super) writes: Vec<Write>,
    /// Keys of claims that are among them.
    pub(super) released: Vec<String>,
    /// Whether the tenant is gone then.
    pub(super) last: bool,
}

/// The next step; none: nobody bears the name any more.
///
/// The policy goes with the first records, so that nothing is decided by it any more and no import is taken.
pub(super) fn step(shown: &Snapshot, index: &Index, tenant: &TenantId) -> Option<Step> {
    let born = shown.registry.tenant(&tenant.name).filter(|t| t.tenant == *tenant)?;
    let in_cell = |writes, released, last| Step { tenant: record::cell(), writes, released, last };
    if !born.deleting {
        let marked = Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: true });
        return Some(in_cell(vec![put(tenant.name.as_str(), &marked)], Vec::new(), false));
    }
    let mut writes = Vec::new();
    if let Some(view) = shown.view.tenant_by_id(tenant) {
        keys(view, |kind, key| {
            if writes.len() < WRITES_MAX {
                writes.push(delete(kind, key));
            }
        });
    }
    if !writes.is_empty() {
        return Some(Step { tenant: tenant.clone(), writes, released: Vec::new(), last: false });
    }
    // The name goes last: claims that nobody bears would be looked for only when a writer begins.
    let released: Vec<String> = index.of(tenant).map(|(k, _)| k.clone()).take(WRITES_MAX - 1).collect();
    let last = index.of(tenant).count() == released.len();
    let mut writes: Vec<Write> = released.iter().map(|k| delete(Kind::IngressClaim, k)).collect();
    if last {
        writes.push(delete(Kind::Tenant, tenant.name.as_str()));
    }
    Some(in_cell(writes, released, last))
}
